use super::{CLIENT, Client, DATABASE, HOST, PASSWORD, PORT, SOCKET, TIMEOUT, USER, statement::Statement};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack,
    returns::Key, value::map,
};

/// Asks a database.
pub struct Query;

const SPEC: ActionSpec = ActionSpec {
    name: "sql.query",
    summary: "Asks a MySQL or MariaDB server one question.",
    doc: "Runs the client on the host, so that the server need not be reachable from here. The statement runs in a transaction that the \
server itself keeps from writing. Every value is text, as the server writes it, or null; bytes that are not UTF-8 are replaced (ask for \
`HEX(column)`). No row is no error: demand what is needed in `expect`. The statement and the password reach the client through pipes, \
never as arguments or files.\n\n\
Errors: a statement that is not one SELECT, SHOW, DESCRIBE or EXPLAIN, or that has a comment or INTO; whatever the server refuses; more than \
8 MiB of rows ([mysql(1)](https://dev.mysql.com/doc/refman/8.0/en/mysql.html)).",
    effect: Effect::Reads,
    args: &[
        ArgSpec::required("sql", ArgKind::Text, "The statement."),
        DATABASE,
        USER,
        PASSWORD,
        HOST,
        PORT,
        SOCKET,
        CLIENT,
        TIMEOUT,
    ],
    returns: Returns::map(&[
        Key::anything("rows", "A list of maps from column to value."),
        Key::plain("count", "How many rows there are."),
    ]),
    way_back: WayBack::Nothing,
    example: "sql.query:\n  database: transwarp_manager\n  sql: SELECT `key`, LENGTH(value) AS bytes FROM manager_info\n",
};

#[async_trait]
impl Action for Query {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let lines = vec![Client::from_args(args)?.line(), format!("{};", statement(args)?.text)];
        Ok(Plan { lines, ..tell::reads("") })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let sql = format!("START TRANSACTION READ ONLY;\n{};\nROLLBACK;\n", statement(args)?.text);
        let rows = Client::from_args(args)?.rows(ctx, "ask the database", &sql).await?;
        let count = Value::Int(rows.len() as i64);
        Ok(Applied::unchanged(map([("rows", Value::List(rows)), ("count", count)])))
    }
}

fn statement(args: &Args) -> Result<Statement, Fault> {
    let wrong = |why: String| Fault::usage("read the argument `sql`", why);
    let statement = Statement::one(args.text("sql")?).map_err(wrong)?;
    statement.begins(&["SELECT", "SHOW", "DESCRIBE", "DESC", "EXPLAIN"]).map_err(wrong)?;
    match statement.words.iter().any(|word| word == "INTO") {
        true => Err(wrong("a question does not write: it holds INTO".to_owned())),
        false => Ok(statement),
    }
}
