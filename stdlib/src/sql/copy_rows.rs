use super::{
    CLIENT, Client, DATABASE, HOST, PASSWORD, PORT, SOCKET, TIMEOUT, USER,
    rows::{Change, KEY, Rows, TABLE, VALUE, memo, quoted, result},
    statement::identifier,
};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Value, WayBack,
};
use std::collections::BTreeMap;

/// Makes rows as another table has them.
pub struct CopyRows;

const SPEC: ActionSpec = ActionSpec {
    name: "sql.copy_rows",
    summary: "Makes rows of a MySQL or MariaDB table as another table has them.",
    doc: "The way back of `sql.put_files`, and of any script that writes such rows: the values of the rows that `rows` names become those of \
the table `from`, such as the copy that `sql.backup_table` made, in one transaction. Rows that are so already are left alone; the server \
copies, so that no value leaves it. Each row must be in both tables exactly once.\n\n\
After a crash the rows' digests tell: those of `from`, done; as before, not done; anything else, a person must look.\n\n\
Errors: a table or row that is not there, or more than one; whatever the server refuses; a connection that is lost while it commits (then \
the outcome is unknown until it is resumed).",
    effect: Effect::Changes,
    args: &[
        TABLE,
        ArgSpec::required(
            "from",
            ArgKind::Text,
            "The table that has the wanted values, in the same columns.",
        ),
        KEY,
        VALUE,
        ArgSpec::required("rows", ArgKind::Texts, "The keys of the rows."),
        DATABASE,
        USER,
        PASSWORD,
        HOST,
        PORT,
        SOCKET,
        CLIENT,
        TIMEOUT,
    ],
    returns: "`rows`: a map from the row's key to the SHA-256 of its value.",
    way_back: WayBack::None,
    example: "sql.copy_rows:\n  database: transwarp_manager\n  table: manager_info\n  from: manager_info_bak2026\n  key: key\n  \
value: value\n  rows: [etcd-ca.pem, etcd.pem, etcd-key.pem]\n",
};

#[async_trait]
impl Action for CopyRows {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, Job::look(ctx, args).await.map(|job| job.plan()))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let job = Job::look(ctx, args).await?;
        let changes = job.changes();
        if changes.is_empty() {
            return Ok(Applied::unchanged(result(&job.now)));
        }
        let doing = format!("copy {} rows of {} to {}", changes.len(), job.from.table, job.rows.table);
        job.rows.change(&job.client, ctx, &doing, &changes).await?;
        Ok(Applied::changed(result(&job.wanted)))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let job = Job::look(ctx, args).await?;
        Ok(Rows::became(&job.now, memo, &job.wanted))
    }
}

struct Job {
    client: Client,
    rows: Rows,
    from: Rows,
    /// The digests of the rows as they are, and as the other table has them.
    now: BTreeMap<String, String>,
    wanted: BTreeMap<String, String>,
}

impl Job {
    async fn look(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let (client, rows) = (Client::from_args(args)?, Rows::from_args(args)?);
        let from = identifier(args.text("from")?);
        let from = rows.of(from.map_err(|why| Fault::usage("read the argument `from`", why))?);
        let keys = args.texts("rows")?;
        if keys.is_empty() || from.table == rows.table {
            return Err(Fault::usage("read the arguments", "`rows` is empty, or `from` is the table itself"));
        }
        let now = rows.digests(&client, ctx, &keys).await?;
        let wanted = from.digests(&client, ctx, &keys).await?;
        Ok(Self { client, rows, from, now, wanted })
    }

    fn changes(&self) -> Vec<Change> {
        let differs = |(row, wanted): &(&String, &String)| self.now.get(*row) != Some(*wanted);
        let (from, key, value) = (&self.from.table, &self.rows.key, &self.rows.value);
        let change = |(row, wanted): (&String, &String)| Change {
            row: row.clone(),
            before: self.now.get(row).cloned().unwrap_or_default(),
            after: wanted.clone(),
            sql: format!(
                "(SELECT kb_from.{value} FROM {from} AS kb_from WHERE kb_from.{key} = {})",
                quoted(row)
            ),
        };
        self.wanted.iter().filter(differs).map(change).collect()
    }

    fn plan(&self) -> Plan {
        let changes = self.changes();
        let line = |change: &Change| {
            format!(
                "UPDATE {} SET {} = that of {} WHERE {} = '{}'; (sha256 {:.8} → {:.8})",
                self.rows.table,
                self.rows.value,
                self.from.table,
                self.rows.key,
                change.row,
                change.before,
                change.after
            )
        };
        let mut plan = match changes.is_empty() {
            true => Plan::wont(format!("the rows of {} are those of {}", self.rows.table, self.from.table)),
            false => Plan::will([self.client.line()].into_iter().chain(changes.iter().map(line))),
        };
        plan.basis = format!("{}; {}", memo(&self.now), memo(&self.wanted));
        plan.memo = memo(&self.now);
        plan
    }
}
