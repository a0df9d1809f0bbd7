use crate::support::{
    files::{base, join, parent, sha256},
    tell::{self, failed},
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Change, Command, Ctx, Diff, Effect, Fault, FileKind,
    Plan, Reconcile, Returns, Value, WayBack, returns::Key, value::map,
};

/// Makes or replaces a symbolic link.
pub struct Link;

const SPEC: ActionSpec = ActionSpec {
    name: "file.link",
    summary: "Makes a symbolic link, or points one elsewhere.",
    doc: "Done atomically, by ln(1) and mv(1): a link whose name begins with a dot is made in the same directory and renamed over the path, \
so that there is no moment without a link. `target` is written into the link as it is given: it may be relative, and need not exist. \
Only a symbolic link is ever replaced. Undo points the link back to where it pointed, or removes it when there was none.\n\n\
After a crash the link tells: it points to `target`, done; it is as before, not done; anything else, a person must look.\n\n\
Errors: a file or directory at `path`, no directory for it, a link that was changed since the plan \
([symlink(7)](https://man7.org/linux/man-pages/man7/symlink.7.html)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("path", ArgKind::Path, "The link."),
        ArgSpec::required("target", ArgKind::Text, "Where it is to point."),
    ],
    returns: Returns::map(&[
        Key::plain("path", "The link."),
        Key::plain("target", "Where it points."),
        Key::plain("before", "Where it pointed; null when there was none."),
    ]),
    way_back: WayBack::Undo,
    example: "file.link:\n  path: /var/lib/kubelet/pki/kubelet-client-current.pem\n  \
target: /var/lib/kubelet/pki/kubelet-client-2026-01-31-10-00-00.pem\n",
};

/// $1: the link, $2: where it is to point, $3: the temporary link. Looks again before it replaces anything.
const MAKE: &str = r#"rm -f -- "$3" || exit 1
ln -s -- "$2" "$3" || exit 1
if [ -e "$1" ] && [ ! -L "$1" ]; then rm -f -- "$3"; echo 'something else than a link is there now' >&2; exit 1; fi
mv -fT -- "$3" "$1" || { rm -f -- "$3"; exit 1; }
sync -- "${1%/*}/" 2>/dev/null || sync"#;

#[async_trait]
impl Action for Link {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, plan(ctx, args).await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let (path, target) = wanted(args)?;
        let before = look(ctx, path).await?;
        if before.as_deref() == Some(target) {
            return Ok(Applied::unchanged(result(path, target, before)));
        }
        if ctx.planned.get("path").is_some() && ctx.planned.get("before") != Some(&before.clone().into()) {
            let cause =
                format!("it is {} now, which is not what was there when this was planned", tag(&before));
            return Err(failed(ctx, format!("link {path}"), cause)
                .now("nothing was written")
                .hint("Find out who else changes this link; when you resume, it is planned again."));
        }
        make(ctx, path, target).await?;
        Ok(Applied::changed(result(path, target, before)))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let (path, target) = wanted(args)?;
        let before = memo.get("before").and_then(Value::as_str);
        let now = match look(ctx, path).await {
            Err(fault) if fault.cause.starts_with(IN_THE_WAY) => return Ok(Reconcile::Unknown(fault.cause)),
            other => other?,
        };
        Ok(match now.as_deref() {
            Some(now) if now == target => Reconcile::Done(result(path, target, before.map(str::to_owned))),
            now if now == before => Reconcile::NotDone,
            _ => Reconcile::Unknown(format!("{path} is {}: someone else changed it", tag(&now))),
        })
    }

    async fn undo(&self, ctx: &Ctx, args: &Args, memo: &Value, _result: &Value) -> Result<(), Fault> {
        let (path, target) = wanted(args)?;
        let before = memo.get("before").and_then(Value::as_str);
        match look(ctx, path).await?.as_deref() {
            now if now == before => Ok(()),
            Some(now) if now == target => match before {
                Some(before) => make(ctx, path, before).await,
                None => ctx.target.remove(path).await,
            },
            now => {
                let cause = format!("it is {}: someone else changed it", tag(&now.map(str::to_owned)));
                Err(failed(ctx, format!("point {path} back"), cause)
                    .now("the link was left as it is")
                    .hint("Set the link right, then roll back again."))
            }
        }
    }
}

async fn plan(ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
    let (path, target) = wanted(args)?;
    let before = look(ctx, path).await?;
    let line = match before.as_deref() {
        Some(now) if now == target => format!("{path} already points to {target}"),
        Some(now) => format!("point {path} to {target} (it points to {now})"),
        None => {
            let dir = parent(path);
            if ctx.target.stat(dir).await?.is_none() {
                return Err(failed(ctx, format!("link {path}"), tell::missing(format!("directory {dir}"))));
            }
            format!("make the symbolic link {path} to {target}")
        }
    };
    let mut plan = Plan::will([line]);
    plan.basis = tag(&before);
    plan.memo = Value::Map(map([("path", path.into()), ("before", before.clone().into())]));
    if before.as_deref() == Some(target) {
        return Ok(Plan { change: Change::Wont, ..plan });
    }
    let after = Some(format!("a link to {target}"));
    let before = before.map(|before| format!("a link to {before}"));
    plan.diffs = vec![Diff { path: path.to_owned(), before, after, described: false }];
    plan.touches = vec![path.to_owned()];
    Ok(plan)
}

fn wanted(args: &Args) -> Result<(&str, &str), Fault> {
    let target = args.text("target")?;
    if target.is_empty() || target.contains(char::is_control) {
        let why = format!("`{}` is nothing that a link can point to", target.escape_debug());
        return Err(Fault::usage("read the argument `target`", why));
    }
    Ok((args.path("path")?, target))
}

/// How the cause of a fault about something else than a link begins.
const IN_THE_WAY: &str = "there is something else than a symbolic link: ";

/// Where the link points now; `None` when there is nothing.
async fn look(ctx: &Ctx, path: &str) -> Result<Option<String>, Fault> {
    let what = match ctx.target.stat(path).await? {
        None => return Ok(None),
        Some(stat) => match stat.kind {
            FileKind::Symlink => return Ok(Some(stat.link.unwrap_or_default())),
            FileKind::File => "a regular file",
            FileKind::Directory => "a directory",
            FileKind::Other => "a device, socket or pipe",
        },
    };
    Err(failed(ctx, format!("link {path}"), format!("{IN_THE_WAY}{what}"))
        .now("nothing was written")
        .hint(format!("Only links are replaced. Move {path} elsewhere first, by a step of its own.")))
}

async fn make(ctx: &Ctx, path: &str, target: &str) -> Result<(), Fault> {
    let id = sha256(format!("{}\n{}\n{path}", ctx.run, ctx.unit).as_bytes());
    let name = format!(".{}.{}.keybook", base(path), id.get(..12).unwrap_or(&id));
    let temporary = join(parent(path), &name);
    let command = Command::shell(MAKE).args([path, target, &temporary]).cancel(&ctx.cancel);
    let exit = ctx.target.exec(command, &|_, _| {}).await?;
    if exit.ok() {
        return Ok(());
    }
    Err(failed(ctx, format!("link {path}"), tell::tail(&exit.err(), "ln or mv failed"))
        .now("the path is as it was before"))
}

/// What is there, for messages and the plan's basis.
fn tag(link: &Option<String>) -> String {
    link.as_ref().map_or_else(|| "gone".to_owned(), |to| format!("a link to {to}"))
}

fn result(path: &str, target: &str, before: Option<String>) -> Value {
    Value::Map(map([("path", path.into()), ("target", target.into()), ("before", before.into())]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};
    use std::{fs, os::unix::fs::symlink};

    fn points(bench: &Bench, name: &str) -> Option<String> {
        fs::read_link(bench.path(name)).ok().map(|to| to.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_link_is_replaced_and_undo_points_it_back() {
        let bench = Bench::new();
        symlink("old.pem", bench.path("current.pem")).unwrap();
        let args = args([("path", bench.path("current.pem").into()), ("target", "it's $new.pem".into())]);
        let plan = bench.describe(&Link, &args).await.unwrap();
        assert_eq!((plan.change.clone(), plan.touches.len()), (Change::Will, 1));
        assert!(plan.lines[0].ends_with("(it points to old.pem)"), "{:?}", plan.lines);
        let reconcile = async || Link.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        let ctx = Ctx { planned: plan.memo.clone(), ..bench.ctx() };
        let applied = Link.apply(&ctx, &args).await.unwrap();
        assert_eq!(points(&bench, "current.pem").as_deref(), Some("it's $new.pem"));
        assert_eq!(reconcile().await, Reconcile::Done(applied.value.clone()));
        assert_eq!(bench.describe(&Link, &args).await.unwrap().change, Change::Wont);
        assert!(!bench.apply(&Link, &args).await.unwrap().changed);
        assert_eq!(fs::read_dir(bench.path("")).unwrap().count(), 1, "the temporary link is gone");
        for _ in 0..2 {
            Link.undo(&bench.ctx(), &args, &plan.memo, &applied.value).await.unwrap();
            assert_eq!(points(&bench, "current.pem").as_deref(), Some("old.pem"));
        }
        fs::remove_file(bench.path("current.pem")).unwrap();
        symlink("third", bench.path("current.pem")).unwrap();
        assert!(matches!(reconcile().await, Reconcile::Unknown(why) if why.contains("a link to third")));
        assert!(Link.undo(&bench.ctx(), &args, &plan.memo, &applied.value).await.is_err());
        assert!(Link.apply(&ctx, &args).await.unwrap_err().cause.contains("when this was planned"));
        assert_eq!(points(&bench, "current.pem").as_deref(), Some("third"));
    }

    #[tokio::test]
    async fn a_new_link_is_removed_by_undo() {
        let bench = Bench::new();
        let args = args([("path", bench.path("l").into()), ("target", "/nowhere".into())]);
        let plan = bench.describe(&Link, &args).await.unwrap();
        let applied = bench.apply(&Link, &args).await.unwrap();
        assert_eq!(applied.value.get("before"), Some(&Value::Null));
        for _ in 0..2 {
            Link.undo(&bench.ctx(), &args, &plan.memo, &applied.value).await.unwrap();
            assert!(!bench.exists("l"));
        }
        assert_eq!(Link.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap(), Reconcile::NotDone);
    }

    #[tokio::test]
    async fn only_links_are_replaced() {
        let bench = Bench::new();
        bench.file("dir/f", "text");
        for (name, what) in [("dir/f", "a regular file"), ("dir", "a directory")] {
            let args = args([("path", bench.path(name).into()), ("target", "x".into())]);
            assert!(bench.describe(&Link, &args).await.unwrap_err().cause.ends_with(what));
            assert!(bench.apply(&Link, &args).await.is_err());
            // What came there after the look is not replaced either.
            let fault = make(&bench.ctx(), &bench.path(name), "x").await.unwrap_err();
            assert!(fault.cause.contains("something else"), "{fault}");
            let became = Link.reconcile(&bench.ctx(), &args, &Value::Null).await.unwrap();
            assert!(matches!(became, Reconcile::Unknown(_)));
        }
        assert_eq!(
            (bench.read("dir/f").as_str(), fs::read_dir(bench.path("dir")).unwrap().count()),
            ("text", 1)
        );
        let lost = args([("path", bench.path("none/l").into()), ("target", "x".into())]);
        assert!(bench.describe(&Link, &lost).await.unwrap_err().cause.starts_with("there is no directory"));
        assert!(matches!(
            Link.describe(&bench.planning(), &lost).await.unwrap().change,
            Change::CannotKnow(_)
        ));
        let bad = args([("path", bench.path("l").into()), ("target", "a\nb".into())]);
        assert!(bench.describe(&Link, &bad).await.is_err());
    }
}
