use super::{
    CLIENT, Client, DATABASE, HOST, PASSWORD, PORT, SOCKET, TIMEOUT, USER,
    rows::{KEY, Rows, TABLE, Update, VALUE, literal},
};
use crate::support::{
    files::{self, sha256},
    tell,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns,
    Secret, Value, WayBack, returns::Key,
};
use std::collections::BTreeMap;

/// Writes files into rows.
pub struct PutFiles;

const SPEC: ActionSpec = ActionSpec {
    name: "sql.put_files",
    summary: "Writes the content of files into rows of a MySQL or MariaDB table.",
    doc: "Each file of the map goes into the column `value` of the one row that `key` names, without the line feed at its end unless \
`line_feed` says otherwise; else byte for byte. All rows change in one transaction, those that hold it already do not: each must be as it \
was looked at, and is read again before the commit, so that a value that its column cuts off is never committed. The content passes through \
this program's memory and the client's input; neither the plan nor an error shows it, so it may be a private key. Keep the old rows by \
`sql.backup_table` before, and let the step's `undo` be `sql.copy_rows`.\n\n\
After a crash the rows' digests tell: those of the files, done; as before, not done; anything else, a person must look.\n\n\
Errors: no such file, one that is not UTF-8; a row that is not there, or more than one; whatever the server refuses; a connection that is \
lost while it commits (then the outcome is unknown until it is resumed).",
    effect: Effect::Changes,
    args: &[
        TABLE,
        KEY,
        VALUE,
        ArgSpec::required(
            "files",
            ArgKind::Map,
            "The file for each row: a map from the row's key to a path on the host.",
        ),
        ArgSpec::optional("line_feed", ArgKind::Bool, "false", "Keep the line feed at the end of a file."),
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
    example: "sql.put_files:\n  database: transwarp_manager\n  table: manager_info\n  key: key\n  value: value\n  \
files: { etcd-ca.pem: /srv/kubernetes/etcd-ca.pem }\n",
};

#[async_trait]
impl Action for PutFiles {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let plan = look(ctx, args).await.map(|(update, files)| {
            let so = format!("the rows of {} hold these files already", update.rows.table);
            let path = |row: &str| files.get(row).map_or("", |content| content.path.as_str());
            update.plan(|row| format!("the content of {}", path(row)), so)
        });
        tell::planned(ctx, self, args, plan)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let (update, files) = look(ctx, args).await?;
        let doing = |count| format!("write {count} rows of {}", update.rows.table);
        let bytes = |row: &str| files.get(row).map_or(&[][..], |content| content.bytes.expose());
        update.apply(ctx, doing, |row| literal(bytes(row))).await
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        Ok(look(ctx, args).await?.0.reconcile(memo))
    }
}

/// What a row shall hold.
struct Content {
    path: String,
    bytes: Secret,
}

/// The rows, and the files for them.
async fn look(ctx: &Ctx, args: &Args) -> Result<(Update, BTreeMap<String, Content>), Fault> {
    let (client, rows) = (Client::from_args(args)?, Rows::from_args(args)?);
    let files = contents(ctx, args).await?;
    let keys: Vec<String> = files.keys().cloned().collect();
    let now = rows.digests(&client, ctx, &keys).await?;
    let digest = |(row, content): (&String, &Content)| (row.clone(), sha256(content.bytes.expose()));
    let wanted = files.iter().map(digest).collect();
    Ok((Update { client, rows, now, wanted }, files))
}

/// The contents of the files, as they are to stand in the rows.
async fn contents(ctx: &Ctx, args: &Args) -> Result<BTreeMap<String, Content>, Fault> {
    let wrong = |why: &str| Fault::usage("read the argument `files`", why);
    let files = args.get("files").and_then(Value::as_map).filter(|files| !files.is_empty());
    let keep = args.bool_or("line_feed", false)?;
    let mut wanted = BTreeMap::new();
    for (row, path) in files.ok_or_else(|| wrong("it names no file"))? {
        let path = path.as_str().filter(|path| path.starts_with('/'));
        let path = path.ok_or_else(|| wrong(&format!("`{row}` has no absolute path")))?;
        let file = files::need(&*ctx.target, path).await?;
        let all = file.content.expose();
        let bytes = if keep { all } else { all.strip_suffix(b"\n").unwrap_or(all) };
        if std::str::from_utf8(bytes).is_err() {
            return Err(tell::failed(ctx, format!("read {path}"), "it is not UTF-8"));
        }
        let content = Content { path: path.to_owned(), bytes: Secret::new(bytes) };
        wanted.insert(row.clone(), content);
    }
    Ok(wanted)
}
