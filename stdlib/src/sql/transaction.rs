use super::{
    CLIENT, Client, DATABASE, HOST, PASSWORD, PORT, SOCKET, TIMEOUT, USER,
    commit::{commit, committed, refusal},
    statement::Statement,
    trouble,
};
use crate::{sh::last_receipt, support::tell::failed};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, FaultKind, Plan, Receipt,
    Reconcile, Returns, Value, WayBack, returns::Key, value::map,
};

/// Changes rows, all or none.
pub struct Transaction;

const SPEC: ActionSpec = ActionSpec {
    name: "sql.transaction",
    summary: "Changes rows of a MySQL or MariaDB database, all of it or nothing.",
    doc: "All statements run in one transaction. Each must change exactly the number of rows that it says (an UPDATE that sets a row to what \
it is already changes none); at the first that does not, or fails, the client leaves, the server rolls back, and the fault says which. \
Tables must be of a transactional engine such as InnoDB. Statements that commit by themselves (CREATE, ALTER, DROP, TRUNCATE, …) are \
refused, as is all but INSERT, UPDATE, DELETE and REPLACE. A statement that holds a secret may be one: then it is never shown. Keep the old \
rows by `sql.backup_table` before.\n\n\
After a crash the client's receipt tells: never begun, not done; ended well, done; else a person must look, because whether the server \
committed is not known.\n\n\
Errors: see above; no statements; a connection that is lost (then the outcome is unknown).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required(
            "statements",
            ArgKind::List,
            "Maps of `sql` (one statement) and `rows` (how many it must change).",
        ),
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
        Key::plain("statements", "How many there were."),
        Key::plain("rows", "How many rows each changed, in order; null after a crash."),
    ]),
    way_back: WayBack::None,
    example: "sql.transaction:\n  database: transwarp_manager\n  statements:\n    - { sql: \"UPDATE manager_info SET value = 'new' \
WHERE `key` = 'etcd-ca.pem'\", rows: 1 }\n",
};

#[async_trait]
impl Action for Transaction {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let mut lines = vec![Client::from_args(args)?.line(), "START TRANSACTION;".to_owned()];
        for part in parts(args)? {
            let text = if part.secret { "a secret statement" } else { &part.statement.text };
            lines.push(format!("{text}; (must change {})", count(part.rows)));
        }
        lines.push("COMMIT;".to_owned());
        Ok(Plan::will(lines))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let (client, parts) = (Client::from_args(args)?, parts(args)?);
        let exit = client.run(ctx, script(&parts).as_bytes(), ctx.next_receipt()).await?;
        if committed(&exit) {
            let rows: Vec<i64> = parts.iter().map(|part| part.rows).collect();
            return Ok(Applied::changed(result(parts.len(), Some(rows))));
        }
        Err(fault(ctx, &trouble(&exit), &parts))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        let statements = parts(args)?.len();
        let unknown =
            |why: &str| Reconcile::Unknown(format!("{why}; compare the rows with what the step sets"));
        Ok(match last_receipt(ctx).await? {
            Receipt::Absent => Reconcile::NotBegun,
            Receipt::Ended(0) => Reconcile::Done(result(statements, None)),
            Receipt::Ended(status) => unknown(&format!("the client ended with status {status}")),
            Receipt::Running => unknown("the client still runs"),
            Receipt::Cut => unknown("the client began, and how it ended was not recorded"),
        })
    }
}

/// One statement and what it must do.
struct Part {
    statement: Statement,
    rows: i64,
    secret: bool,
}

fn parts(args: &Args) -> Result<Vec<Part>, Fault> {
    let list = args.get("statements").and_then(Value::as_list).unwrap_or_default();
    if list.is_empty() {
        return Err(Fault::usage("read the argument `statements`", "the list is empty"));
    }
    list.iter()
        .enumerate()
        .map(|(at, item)| {
            part(item).map_err(|why| {
                Fault::usage("read the argument `statements`", format!("statement {}: {why}", at + 1))
            })
        })
        .collect()
}

fn part(item: &Value) -> Result<Part, String> {
    let map =
        item.as_map().ok_or_else(|| format!("expected a map of sql and rows, got {}", item.type_name()))?;
    if let Some(other) = map.keys().find(|key| !matches!(key.as_str(), "sql" | "rows")) {
        return Err(format!("it has no `{other}`, only sql and rows"));
    }
    let (text, secret) = match map.get("sql") {
        Some(Value::Text(text)) => (Some(text.as_str()), false),
        Some(Value::Secret(secret)) => (secret.expose_str(), true),
        _ => (None, false),
    };
    let statement = Statement::one(text.ok_or("`sql` must be text")?)?;
    statement.begins(&["INSERT", "UPDATE", "DELETE", "REPLACE"])?;
    match map.get("rows").and_then(Value::as_int) {
        Some(rows) if rows >= 0 => Ok(Part { statement, rows, secret }),
        _ => Err("`rows` must say how many rows it changes, as a whole number from 0".to_owned()),
    }
}

/// The whole session. The text that is no SQL carries what was counted ([`commit`]).
fn script(parts: &[Part]) -> String {
    let mut sql = "START TRANSACTION;\n".to_owned();
    for (at, part) in parts.iter().enumerate() {
        let (number, rows) = (at + 1, part.rows);
        sql.push_str(&format!(
            "{};\nSET @kb_rows = ROW_COUNT();\n\
             SET @kb_next = IF(@kb_rows = {rows}, 'DO 0', CONCAT('keybook_statement_{number}_changed_', @kb_rows));\n\
             PREPARE kb_next FROM @kb_next;\n",
            part.statement.text
        ));
    }
    sql + commit().as_str()
}

/// Which statement was it, and is it rolled back?
fn fault(ctx: &Ctx, trouble: &str, parts: &[Part]) -> Fault {
    let attempted = "change rows in one transaction";
    let counted = trouble.split_once("keybook_statement_").and_then(|(_, rest)| {
        let (number, rest) = rest.split_once("_changed_")?;
        let changed = rest.split(|c: char| !c.is_ascii_digit() && c != '-').next()?;
        Some((number.parse::<usize>().ok()?, changed.parse::<i64>().ok()?))
    });
    if let Some((number, changed)) = counted {
        let wanted = number.checked_sub(1).and_then(|at| parts.get(at)).map_or(0, |part| part.rows);
        let cause = format!("statement {number} changed {}, must be {}", count(changed), count(wanted));
        return failed(ctx, attempted, cause)
            .now("the transaction was rolled back: no row of a transactional table is changed");
    }
    let Some(number) = refusal(trouble) else {
        return Fault::new(FaultKind::Unknown, attempted, trouble)
            .on(ctx.target.name())
            .now("whether the server committed is not known")
            .hint("Compare the rows with what the step sets.");
    };
    // The server's message repeats part of a statement.
    let cause = if parts.iter().any(|part| part.secret) {
        format!(
            "the server refused a statement: error {number}; its text may repeat a secret and is not shown"
        )
    } else {
        trouble.to_owned()
    };
    failed(ctx, attempted, cause)
        .now("the transaction was rolled back: no row of a transactional table is changed")
}

fn count(rows: i64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

fn result(statements: usize, rows: Option<Vec<i64>>) -> Value {
    Value::Map(map([("statements", Value::Int(statements as i64)), ("rows", rows.into())]))
}
