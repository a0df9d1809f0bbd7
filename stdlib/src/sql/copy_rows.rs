use super::{
    CLIENT, Client, DATABASE, HOST, PASSWORD, PORT, SOCKET, TIMEOUT, USER,
    rows::{KEY, Rows, TABLE, Update, VALUE},
    statement::identifier,
};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack, returns::Key,
};

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
    returns: Returns::map(&[Key::anything("rows", "A map from the row's key to the SHA-256 of its value.")]),
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
        let plan = look(ctx, args).await.map(|(update, from)| {
            let so = format!("the rows of {} are those of {}", update.rows.table, from.table);
            update.plan(|_| format!("that of {}", from.table), so)
        });
        tell::planned(ctx, self, args, plan)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let (update, from) = look(ctx, args).await?;
        let doing = |count| format!("copy {count} rows of {} to {}", from.table, update.rows.table);
        update.apply(ctx, doing, |row| from.value_of(row)).await
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        Ok(look(ctx, args).await?.0.reconcile(memo))
    }
}

/// The rows, and those of the other table.
async fn look(ctx: &Ctx, args: &Args) -> Result<(Update, Rows), Fault> {
    let (client, rows) = (Client::from_args(args)?, Rows::from_args(args)?);
    let from = identifier(args.text("from")?);
    let from = rows.of(from.map_err(|why| Fault::usage("read the argument `from`", why))?);
    let keys = args.texts("rows")?;
    if keys.is_empty() || from.table == rows.table {
        return Err(Fault::usage("read the arguments", "`rows` is empty, or `from` is the table itself"));
    }
    let now = rows.digests(&client, ctx, &keys).await?;
    let wanted = from.digests(&client, ctx, &keys).await?;
    Ok((Update { client, rows, now, wanted }, from))
}
