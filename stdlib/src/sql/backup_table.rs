use super::{
    CLIENT, Client, DATABASE, HOST, PASSWORD, PORT, SOCKET, TIMEOUT, USER, statement::identifier, trouble,
};
use crate::support::tell::{self, failed};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack, returns::Key, value::map,
};

/// Copies a table.
pub struct BackupTable;

const SPEC: ActionSpec = ActionSpec {
    name: "sql.backup_table",
    summary: "Copies a table of a MySQL or MariaDB database to a new one.",
    doc: "CREATE TABLE … LIKE, then INSERT … SELECT; then both tables must have as many rows and the same checksum (CHECKSUM TABLE), so the \
table must not be written meanwhile. MySQL commits both by itself, so the copy is named by the caller and stays. A copy that is there \
already and equal is left alone; one with other rows is never written to. Undo drops the copy, unless it was there before.\n\n\
After a crash the copy tells: equal to the table, done; not there or empty, not done; anything else, a person must look.\n\n\
Errors: a table that is not there, a copy with other content, whatever the server refuses \
([CREATE TABLE … LIKE](https://dev.mysql.com/doc/refman/8.0/en/create-table-like.html)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("table", ArgKind::Text, "The table."),
        ArgSpec::required("to", ArgKind::Text, "The name of the copy."),
        ArgSpec { required: true, default: "", ..DATABASE },
        USER,
        PASSWORD,
        HOST,
        PORT,
        SOCKET,
        CLIENT,
        TIMEOUT,
    ],
    returns: Returns::map(&[
        Key::plain("table", "The table."),
        Key::plain("to", "The copy."),
        Key::plain("rows", "How many rows both have."),
        Key::plain("checksum", "Of the content of both."),
    ]),
    way_back: WayBack::Undo,
    example: "sql.backup_table:\n  database: transwarp_manager\n  table: manager_info\n  to: manager_info_bak2026\n",
};

#[async_trait]
impl Action for BackupTable {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let job = Job::from_args(args)?;
        let (table, copy) = match job.look(ctx).await {
            Ok(found) => found,
            Err(fault) => return tell::planned(ctx, self, args, Err(fault)),
        };
        let mut plan = match job.verdict(ctx, &table, copy.as_ref())? {
            Verdict::Equal => {
                Plan::wont(format!("{} already holds the {} rows of {}", job.to, table.rows, job.table))
            }
            Verdict::ToCopy => {
                let lines = [job.client.line()].into_iter().chain(job.statements());
                Plan::will(lines.chain([format!("compare rows and checksum ({} rows now)", table.rows)]))
            }
        };
        plan.basis = format!("{} {}", table.rows, table.checksum);
        plan.memo = Value::Map(map([("existed", copy.is_some().into())]));
        Ok(plan)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let job = Job::from_args(args)?;
        let (table, copy) = job.look(ctx).await?;
        if matches!(job.verdict(ctx, &table, copy.as_ref())?, Verdict::Equal) {
            return Ok(Applied::unchanged(job.result(&table)));
        }
        let sql: String = job.statements().iter().map(|one| format!("{one}\n")).collect();
        let exit = job.client.run(ctx, sql.as_bytes(), None).await?;
        if !exit.ok() {
            return Err(failed(ctx, job.attempted(), trouble(&exit)).now(format!(
                "the table {} is as it was; {} may be there, without rows",
                job.table, job.to
            )));
        }
        let (table, copy) = job.look(ctx).await?;
        match copy {
            Some(copy) if copy == table => Ok(Applied::changed(job.result(&table))),
            copy => {
                let rows = copy.map_or(0, |copy| copy.rows);
                let cause =
                    format!("the table has {} rows, the copy {rows}, or their checksums differ", table.rows);
                Err(failed(ctx, job.attempted(), cause)
                    .now("the copy is there; it is not equal to the table")
                    .hint("See that nothing writes to the table, drop the copy, then resume."))
            }
        }
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        let job = Job::from_args(args)?;
        let (table, copy) = job.look(ctx).await?;
        Ok(match copy {
            Some(copy) if copy == table => Reconcile::Done(job.result(&table)),
            Some(copy) if copy.rows > 0 => Reconcile::Unknown(format!(
                "{} has {} rows that are not those of {}: one of them was written since",
                job.to, copy.rows, job.table
            )),
            _ => Reconcile::NotDone,
        })
    }

    async fn undo(&self, ctx: &Ctx, args: &Args, memo: &Value, _result: &Value) -> Result<(), Fault> {
        let job = Job::from_args(args)?;
        if memo.get("existed") != Some(&Value::Bool(false)) {
            return Ok(());
        }
        let sql = format!("DROP TABLE IF EXISTS {};\n", identifier(&job.to).unwrap_or_default());
        let exit = job.client.run(ctx, sql.as_bytes(), None).await?;
        match exit.ok() {
            true => Ok(()),
            false => {
                Err(failed(ctx, format!("drop the copy {}", job.to), trouble(&exit)).now("it is still there"))
            }
        }
    }
}

/// How two tables are compared.
#[derive(Debug, PartialEq)]
struct Content {
    rows: i64,
    checksum: String,
}

enum Verdict {
    Equal,
    ToCopy,
}

struct Job {
    client: Client,
    table: String,
    to: String,
}

impl Job {
    fn from_args(args: &Args) -> Result<Self, Fault> {
        for name in ["table", "to"] {
            identifier(args.text(name)?)
                .map_err(|why| Fault::usage(format!("read the argument `{name}`"), why))?;
        }
        let (table, to) = (args.text("table")?.to_owned(), args.text("to")?.to_owned());
        args.text("database")?;
        if table == to {
            return Err(Fault::usage("read the arguments", "`table` and `to` are the same"));
        }
        Ok(Self { client: Client::from_args(args)?, table, to })
    }

    fn attempted(&self) -> String {
        format!("copy the table {} to {}", self.table, self.to)
    }

    fn statements(&self) -> [String; 2] {
        let (table, to) = (format!("`{}`", self.table), format!("`{}`", self.to));
        [
            format!("CREATE TABLE IF NOT EXISTS {to} LIKE {table};"),
            format!("INSERT INTO {to} SELECT * FROM {table};"),
        ]
    }

    /// The table, which must be there, and the copy.
    async fn look(&self, ctx: &Ctx) -> Result<(Content, Option<Content>), Fault> {
        let table = self.content(ctx, &self.table).await?;
        let table = table
            .ok_or_else(|| failed(ctx, self.attempted(), format!("there is no table {}", self.table)))?;
        Ok((table, self.content(ctx, &self.to).await?))
    }

    async fn content(&self, ctx: &Ctx, name: &str) -> Result<Option<Content>, Fault> {
        let doing = format!("count the rows of {name}");
        let there = format!(
            "SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{name}';\n"
        );
        if self.client.rows(ctx, &doing, &there).await?.is_empty() {
            return Ok(None);
        }
        let count = format!("SELECT COUNT(*) AS kb_rows FROM `{name}`;\nCHECKSUM TABLE `{name}`;\n");
        let rows = self.client.rows(ctx, &doing, &count).await?;
        let field = |name: &str| rows.iter().find_map(|row| row.get(name)).and_then(Value::as_str);
        match (field("kb_rows").and_then(|rows| rows.parse().ok()), field("Checksum")) {
            (Some(rows), Some(checksum)) => Ok(Some(Content { rows, checksum: checksum.to_owned() })),
            _ => Err(failed(ctx, doing, "the server's answer makes no sense")),
        }
    }

    fn verdict(&self, ctx: &Ctx, table: &Content, copy: Option<&Content>) -> Result<Verdict, Fault> {
        match copy {
            Some(copy) if copy == table => Ok(Verdict::Equal),
            Some(copy) if copy.rows > 0 => {
                let cause =
                    format!("{} is there already, with {} rows that are other ones", self.to, copy.rows);
                Err(failed(ctx, self.attempted(), cause)
                    .now("nothing was written")
                    .hint("Name another copy in `to`."))
            }
            _ => Ok(Verdict::ToCopy),
        }
    }

    fn result(&self, content: &Content) -> Value {
        Value::Map(map([
            ("table", self.table.as_str().into()),
            ("to", self.to.as_str().into()),
            ("rows", Value::Int(content.rows)),
            ("checksum", content.checksum.as_str().into()),
        ]))
    }
}
