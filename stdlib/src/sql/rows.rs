//! Rows of a table that are named by a key and hold one value each, as a table of settings does.

use super::{Client, statement::identifier, trouble, xml};
use crate::support::tell::failed;
use keybook_api::{ArgKind, ArgSpec, Args, Ctx, Fault, FaultKind, Reconcile, Value, value::map};
use std::collections::BTreeMap;

pub const TABLE: ArgSpec = ArgSpec::required(
    "table",
    ArgKind::Text,
    "The table. It must be of a transactional engine, such as InnoDB.",
);
pub const KEY: ArgSpec = ArgSpec::required("key", ArgKind::Text, "The column that names a row.");
pub const VALUE: ArgSpec = ArgSpec::required("value", ArgKind::Text, "The column to write.");

/// What the client prints after the commit.
const COMMITTED: &str = "keybook_committed";

/// The columns.
pub struct Rows {
    pub table: String,
    pub key: String,
    pub value: String,
}

/// A row that is to get another value.
pub struct Change {
    /// Its key.
    pub row: String,
    /// The digest of its value now.
    pub before: String,
    /// The digest that its value must have then.
    pub after: String,
    /// SQL that gives the new value.
    pub sql: String,
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

    /// The SQL of a value's digest; `null` for NULL, so that it can be compared.
    fn digest(&self) -> String {
        format!("IFNULL(SHA2({}, 256), 'null')", self.value)
    }

    /// Changes rows in one transaction: each must be as it was looked at, and hold afterwards what it should. Values
    /// that a column is too narrow for are found so, whatever the server's mode.
    pub async fn change(
        &self,
        client: &Client,
        ctx: &Ctx,
        doing: &str,
        changes: &[Change],
    ) -> Result<(), Fault> {
        let exit = client.run(ctx, self.script(changes).as_bytes(), ctx.next_receipt()).await?;
        let committed = xml::rows(&exit.out())
            .is_ok_and(|rows| rows.iter().any(|row| row.get(COMMITTED) == Some(&"1".into())));
        if exit.ok() && committed {
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
        let number = told.split_once("ERROR ").and_then(|(_, rest)| rest.split(' ').next());
        match number {
            Some(number) if !["2006", "2013", "2055"].contains(&number) => {
                Err(failed(ctx, doing, format!("the server refused: error {number}"))
                    .now("the transaction was rolled back: no row is changed"))
            }
            _ => Err(Fault::new(FaultKind::Unknown, doing, "the connection to the server was lost")
                .on(ctx.target.name())
                .now("whether the server committed is not known")
                .hint("When you resume, the rows are looked at.")),
        }
    }

    /// There is no branch in SQL outside of stored programs; a PREPARE of text that is no SQL is an error that ends
    /// the client before the COMMIT, and its message says which row it was.
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
        sql.push_str(&format!("COMMIT;\nSELECT 1 AS {COMMITTED};\n"));
        sql
    }

    /// What an interrupted change did.
    pub fn became(
        now: &BTreeMap<String, String>,
        before: &Value,
        after: &BTreeMap<String, String>,
    ) -> Reconcile {
        let was = |(row, digest): (&String, &String)| before.get(row).and_then(Value::as_str) == Some(digest);
        if now == after {
            Reconcile::Done(result(now))
        } else if now.iter().all(was) {
            Reconcile::NotDone
        } else {
            Reconcile::Unknown("the rows are neither what they were nor what they should be".to_owned())
        }
    }
}

/// Digests by row, for memos.
pub fn memo(digests: &BTreeMap<String, String>) -> Value {
    Value::Map(digests.iter().map(|(row, digest)| (row.clone(), digest.as_str().into())).collect())
}

/// What the actions give.
pub fn result(digests: &BTreeMap<String, String>) -> Value {
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
