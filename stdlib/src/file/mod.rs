//! `file`: files on the host.

mod assert;
mod copy;
mod digest;
mod edit;
mod edit_json;
mod edit_yaml;
mod link;
mod list;
mod make_dir;
mod r#move;
mod put;
mod read;
mod remove;
mod stat;
mod template;

use crate::support::{
    change::{Became, FileChange, Wanted, became},
    owner,
};
use keybook_api::{
    Applied, ArgKind, ArgSpec, Args, Ctx, Fault, FileKind, Reconcile, Registry, Returns, Secret, Value,
    returns::Key,
};

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(read::Read);
    all.add(stat::Stat);
    all.add(list::List);
    all.add(digest::Digest);
    all.add(assert::Assert);
    all.add(put::Put);
    all.add(template::Template);
    all.add(copy::Copy);
    all.add(edit_json::EditJson);
    all.add(edit_yaml::EditYaml);
    all.add(link::Link);
    all.add(remove::Remove);
    all.add(r#move::Move);
    all.add(make_dir::MakeDir);
}

const MODE: ArgSpec =
    ArgSpec::optional("mode", ArgKind::Mode, "the file's own; 0600 when new", "Permission bits.");
const OWNER: ArgSpec = ArgSpec::optional(
    "owner",
    ArgKind::Text,
    "the file's own; the login when new",
    "`user:group` in numbers or names, or one user's name.",
);
const CREATE_DIRS: ArgSpec =
    ArgSpec::optional("create_dirs", ArgKind::Bool, "false", "Make missing parent directories (0755).");

/// What the actions return whose whole effect is one file.
const RETURNS: Returns = Returns::map(FIELDS);

/// What is told of a file.
pub(crate) const FIELDS: &[Key] = &[
    Key::plain("path", "The path, as it was given."),
    Key::plain("sha256", "In hexadecimal."),
    Key::plain("mode", "Such as `\"0644\"`."),
    Key::plain("owner", "As `uid:gid`."),
    Key::plain("size", "In bytes."),
];

/// The change that gives the file of the argument `path` this content, never shown when it is `secret`, and what
/// `mode`, `owner` and `create_dirs` say.
async fn with_content(ctx: &Ctx, args: &Args, content: Secret, secret: bool) -> Result<FileChange, Fault> {
    let wanted = Wanted {
        mode: args.opt_mode("mode")?,
        owner: owner::wanted(ctx, args).await?,
        create_dirs: args.bool_or("create_dirs", false)?,
        secret,
        ..Wanted::content(args.path("path")?, content)
    };
    FileChange::new(ctx, wanted).await
}

/// Applies an action whose whole effect is one file, and whose result is that file's.
async fn apply_file(ctx: &Ctx, asked: &str, change: &FileChange) -> Result<Applied, Fault> {
    let (now, changed) = change.apply(ctx).await?;
    Ok(Applied { changed, ..Applied::changed(now.result(asked)) })
}

/// Reconciles an action whose whole effect is one file, and whose result is that file's.
async fn reconcile_file(ctx: &Ctx, asked: &str, memo: &Value) -> Result<Reconcile, Fault> {
    Ok(match became(ctx, memo).await? {
        Became::Written(now) => Reconcile::Done(Value::Map(now.result(asked))),
        Became::Untouched => Reconcile::NotDone,
        Became::Other(why) => Reconcile::Unknown(why),
    })
}

/// The word for a kind.
fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::Other => "other",
    }
}
