//! Rows of a table that are named by a key and hold one value each, as a table of settings does.

use super::{
    Client,
    commit::{commit, committed, refusal},
    statement::identifier,
    trouble,
};
use crate::support::tell::failed;
use keybook_api::{
    Applied, ArgKind, ArgSpec, Args, Ctx, Fault, FaultKind, Plan, Reconcile, Value, value::map,
};
use std::collections::BTreeMap;

pub const TABLE: ArgSpec = ArgSpec::required(
    "table",
    ArgKind::Text,
    "The table. It must be of a transactional engine, such as InnoDB.",
);
pub const KEY: ArgSpec = ArgSpec::required("key", ArgKind::Text, "The column that names a row.");
pub const VALUE: ArgSpec = ArgSpec::required("value", ArgKind::Text, "The column to write.");

/// The columns.
pub struct Rows {
    pub table: String,
    pub key: String,
    pub value: String,
}

/// A row that is to get another value.
struct Change {
    /// Its key.
    row: String,
    /// The digest of its value now.
    before: String,
    /// The digest that its value must have then.
    after: String,
    /// SQL that gives the new value.
    sql: String,
}

/// What both actions that write rows do: bring them to wanted values.
pub struct Update {
    pub client: Client,
    pub rows: Rows,
    /// The digests of the rows as they are.
    pub now: BTreeMap<String, String>,
    /// Those that they shall have.
    pub wanted: BTreeMap<String, String>,
}

impl Update {
    /// The rows that are not so yet; `sql` gives a row's new value.
    fn changes(&self, sql: impl Fn(&str) -> String) -> Vec<Change> {
        let differs = |(row, wanted): &(&String, &String)| self.now.get(*row) != Some(*wanted);
        let change = |(row, wanted): (&String, &String)| Change {
            row: row.clone(),
            before: self.now.get(row).cloned().unwrap_or_default(),
            after: wanted.clone(),
            sql: sql(row),
        };
        self.wanted.iter().filter(differs).map(change).collect()
    }

    /// `from` says what a row gets; `so` is said when there is nothing to change.
    pub fn plan(&self, from: impl Fn(&str) -> String, so: String) -> Plan {
        let Rows { table, key, value } = &self.rows;
        let changes = self.changes(|_| String::new());
        let line = |change: &Change| {
            let Change { row, before, after, .. } = change;
            let from = from(row);
            format!(
                "UPDATE {table} SET {value} = {from} WHERE {key} = '{row}'; (sha256 {before:.8} → {after:.8})"
            )
        };
        let mut plan = match changes.is_empty() {
            true => Plan::wont(so),
            false => Plan::will([self.client.line()].into_iter().chain(changes.iter().map(line))),
        };
        plan.basis = format!("{}; {}", memo(&self.now), memo(&self.wanted));
        plan.memo = memo(&self.now);
        plan
    }

    /// Changes what is not so yet; `doing` says what that is, of so many rows.
    pub async fn apply(
        &self,
        ctx: &Ctx,
        doing: impl Fn(usize) -> String,
        sql: impl Fn(&str) -> String,
    ) -> Result<Applied, Fault> {
        let changes = self.changes(sql);
        if changes.is_empty() {
            return Ok(Applied::unchanged(result(&self.now)));
        }
        self.rows.change(&self.client, ctx, &doing(changes.len()), &changes).await?;
        Ok(Applied::changed(result(&self.wanted)))
    }

    /// What an interrupted change did.
    pub fn reconcile(&self, before: &Value) -> Reconcile {
        let was = |(row, digest): (&String, &String)| before.get(row).and_then(Value::as_str) == Some(digest);
        if self.now == self.wanted {
            Reconcile::Done(result(&self.now))
        } else if self.now.iter().all(was) {
            Reconcile::NotDone
        } else {
            Reconcile::Unknown("the rows are neither what they were nor what they should be".to_owned())
        }
    }
}

impl Rows {
    pub fn from_args(args: &Args) -> Result<Self, Fault> {
        let name = |name: &str| -> Result<String, Fault> {
            identifier(args.text(name)?)
                .map_err(|why| Fault::usage(format!("read the argument `{name}`"), why))
        };
        Ok(Self { table: name("table")?, key: name("key")?, value: name("value")? })
    }

    /// The same columns of another table.
    pub fn of(&self, table: String) -> Self {
        Self { table, key: self.key.clone(), value: self.value.clone() }
    }

    /// The SHA-256 of the values of these rows, each of which must be there exactly once.
    pub async fn digests(
        &self,
        client: &Client,
        ctx: &Ctx,
        wanted: &[String],
    ) -> Result<BTreeMap<String, String>, Fault> {
        let doing = format!("look at the rows of {}", self.table);
        let keys: Vec<String> = wanted.iter().map(|key| quoted(key)).collect();
        let sql = format!(
            "SELECT {} AS kb_key, {} AS kb_sha256 FROM {} WHERE {} IN ({});\n",
            self.key,
            self.digest(),
            self.table,
            self.key,
            keys.join(", ")
        );
        let mut found = BTreeMap::new();
        for row in client.rows(ctx, &doing, &sql).await? {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (key, digest) = (text("kb_key"), text("kb_sha256"));
            if !wanted.contains(&key) || found.insert(key.clone(), digest).is_some() {
                let why = format!("`{}` names more than one row", key.escape_debug());
                return Err(failed(ctx, doing, why));
            }
        }
        match wanted.iter().find(|key| !found.contains_key(*key)) {
            Some(key) => Err(failed(ctx, doing, format!("there is no row `{}`", key.escape_debug()))),
            None => Ok(found),
        }
    }

    /// SQL that gives the value of a row.
    pub fn value_of(&self, row: &str) -> String {
        let Self { table, key, value } = self;
        format!("(SELECT kb_from.{value} FROM {table} AS kb_from WHERE kb_from.{key} = {})", quoted(row))
    }

    /// The SQL of a value's digest; `null` for NULL, so that it can be compared.
    fn digest(&self) -> String {
        format!("IFNULL(SHA2({}, 256), 'null')", self.value)
    }

    /// Changes rows in one transaction: each must be as it was looked at, and hold afterwards what it should. Values
    /// that a column is too narrow for are found so, whatever the server's mode.
    async fn change(&self, client: &Client, ctx: &Ctx, doing: &str, changes: &[Change]) -> Result<(), Fault> {
        let exit = client.run(ctx, self.script(changes).as_bytes(), ctx.next_receipt()).await?;
        if committed(&exit) {
            return Ok(());
        }
        let told = trouble(&exit);
        let at = told.split_once("keybook_row_").and_then(|(_, rest)| {
            let (number, _) = rest.split_once("_is_another")?;
            changes.get(number.parse::<usize>().ok()?)
        });
        if let Some(change) = at {
            let why = format!(
                "the row `{}` was changed meanwhile, or its column does not hold the whole value",
                change.row.escape_debug()
            );
            return Err(failed(ctx, doing, why).now("the transaction was rolled back: no row is changed"));
        }
        // A refusal of the server may repeat a part of the statement: only its number is told.
        match refusal(&told) {
            Some(number) => Err(failed(ctx, doing, format!("the server refused: error {number}"))
                .now("the transaction was rolled back: no row is changed")),
            None => Err(Fault::new(FaultKind::Unknown, doing, "the connection to the server was lost")
                .on(ctx.target.name())
                .now("whether the server committed is not known")
                .hint("When you resume, the rows are looked at.")),
        }
    }

    /// The whole session. The text that is no SQL says which row it was ([`commit`]).
    fn script(&self, changes: &[Change]) -> String {
        let mut sql = "START TRANSACTION;\n".to_owned();
        let (table, value, digest) = (&self.table, &self.value, self.digest());
        for (at, change) in changes.iter().enumerate() {
            let row = format!("{} = {}", self.key, quoted(&change.row));
            sql.push_str(&format!(
                "UPDATE {table} SET {value} = {} WHERE {row} AND {digest} = '{}';\n\
                 SET @kb_rows = (SELECT COUNT(*) FROM {table} WHERE {row} AND {digest} = '{}');\n\
                 SET @kb_next = IF(@kb_rows = 1, 'DO 0', 'keybook_row_{at}_is_another');\n\
                 PREPARE kb_next FROM @kb_next;\n",
                change.sql, change.before, change.after
            ));
        }
        sql + commit().as_str()
    }
}

/// Digests by row, for memos.
fn memo(digests: &BTreeMap<String, String>) -> Value {
    Value::Map(digests.iter().map(|(row, digest)| (row.clone(), digest.as_str().into())).collect())
}

/// What the actions give.
fn result(digests: &BTreeMap<String, String>) -> Value {
    Value::Map(map([("rows", memo(digests))]))
}

/// Text in SQL, whatever the server's mode says about backslashes; the column that it is compared with decides how.
pub fn quoted(text: &str) -> String {
    literal(text.as_bytes())
}

/// Bytes of UTF-8 in SQL.
pub fn literal(bytes: &[u8]) -> String {
    format!("_utf8mb4 X'{}'", crate::support::files::hex(bytes))
}
