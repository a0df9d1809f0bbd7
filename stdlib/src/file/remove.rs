use crate::support::{
    files::{self, Mark},
    shown, tell,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Diff, Effect, Fault, FileKind, Plan, Reconcile,
    Returns, Value, WayBack, returns::Key, value::map,
};

/// Removes a file.
pub struct Remove;

const SPEC: ActionSpec = ActionSpec {
    name: "file.remove",
    summary: "Removes a file, a symbolic link or an empty directory.",
    doc: "A path that names nothing is fine. Of a symbolic link the link itself is removed. A rollback puts it back as \
it was, by the original that is kept before.\n\nErrors: a directory that is not empty, a device or socket.",
    effect: Effect::Changes,
    args: &[ArgSpec::required("path", ArgKind::Path, "What to remove.")],
    returns: Returns::map(&[
        Key::plain("path", "The path, as it was given."),
        Key::plain("removed", "False when there was nothing."),
    ]),
    way_back: WayBack::Files,
    example: "file.remove:\n  path: /etc/kubernetes/rotate-certs/old.pem\n",
};

#[async_trait]
impl Action for Remove {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let path = args.path("path")?;
        let Some(found) = find(ctx, path).await? else {
            return Ok(Plan { basis: "none".to_owned(), ..Plan::wont(format!("there is no {path}")) });
        };
        let mut plan = Plan::will([format!("remove {} {path}", found.noun())]);
        plan.diffs.extend(found.diff(path));
        plan.touches = vec![path.to_owned()];
        plan.basis = found.tag();
        plan.memo = Value::Map(map([("path", path.into()), ("before", found.tag().into())]));
        Ok(plan)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let path = args.path("path")?;
        let found = find(ctx, path).await?;
        let planned = ctx.planned.get("before").and_then(Value::as_str);
        if let (Some(found), Some(planned)) = (&found, planned)
            && found.tag() != planned
        {
            let cause =
                "what is there is not what was there when this was planned: someone else is at work here";
            return Err(tell::failed(ctx, format!("remove {path}"), cause)
                .now("nothing was removed")
                .hint("Find out who else changes this file; when you resume, it is planned again."));
        }
        let changed = found.is_some();
        ctx.target.remove(path).await?;
        Ok(Applied { changed, ..Applied::changed(result(path, changed)) })
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let path = args.path("path")?;
        let before = memo.get("before").and_then(Value::as_str);
        Ok(match find(ctx, path).await? {
            None => Reconcile::Done(result(path, before.is_some())),
            // Not "not begun": somebody may have put it back, and a removal that was sent may still come.
            Some(now) if before == Some(now.tag().as_str()) => Reconcile::NotDone,
            Some(_) => {
                Reconcile::Unknown(format!("{path} is there, but not as it was: someone else changed it"))
            }
        })
    }
}

fn result(path: &str, removed: bool) -> Value {
    Value::Map(map([("path", path.into()), ("removed", removed.into())]))
}

/// What there is to remove.
enum Found {
    File(Box<files::Current>),
    Link(String),
    EmptyDir,
}

impl Found {
    fn noun(&self) -> &'static str {
        match self {
            Self::File(_) => "the file",
            Self::Link(_) => "the symbolic link",
            Self::EmptyDir => "the empty directory",
        }
    }

    fn tag(&self) -> String {
        match self {
            Self::File(file) => {
                let Mark { sha256, .. } = file.mark();
                sha256
            }
            Self::Link(to) => format!("link to {to}"),
            Self::EmptyDir => "empty directory".to_owned(),
        }
    }

    fn diff(&self, path: &str) -> Option<Diff> {
        match self {
            Self::File(file) => Some(shown::diff(path, Some(file), None, false)),
            _ => None,
        }
    }
}

async fn find(ctx: &Ctx, path: &str) -> Result<Option<Found>, Fault> {
    let Some(stat) = ctx.target.stat(path).await? else {
        return Ok(None);
    };
    let refuse = |why: &str| Err(tell::failed(ctx, format!("remove {path}"), why).now("nothing was removed"));
    match stat.kind {
        FileKind::File => Ok(Some(Found::File(Box::new(files::need(&*ctx.target, path).await?)))),
        FileKind::Symlink => Ok(Some(Found::Link(stat.link.unwrap_or_default()))),
        FileKind::Directory if ctx.target.list(path).await?.is_empty() => Ok(Some(Found::EmptyDir)),
        FileKind::Directory => refuse("it is a directory that is not empty"),
        FileKind::Other => refuse("it is neither a file nor a link nor a directory"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};
    use keybook_api::Change;

    #[tokio::test]
    async fn a_file_is_removed_once() {
        let bench = Bench::new();
        let path = bench.file("f", "text\n");
        let args = args([("path", path.as_str().into())]);
        let plan = bench.describe(&Remove, &args).await.unwrap();
        assert_eq!((plan.diffs[0].before.as_deref(), &plan.diffs[0].after), (Some("text\n"), &None));
        let reconcile = async || Remove.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        bench.file("f", "changed");
        assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
        let applied = bench.apply(&Remove, &args).await.unwrap();
        assert_eq!((bench.exists("f"), applied.changed), (false, true));
        assert_eq!(reconcile().await, Reconcile::Done(applied.value));
        assert_eq!(bench.describe(&Remove, &args).await.unwrap().change, Change::Wont);
        assert!(!bench.apply(&Remove, &args).await.unwrap().changed);
    }

    #[tokio::test]
    async fn links_and_empty_directories_go_full_ones_stay() {
        let bench = Bench::new();
        bench.file("d/f", "x");
        std::fs::create_dir(bench.path("e")).unwrap();
        std::os::unix::fs::symlink("d", bench.path("l")).unwrap();
        for name in ["l", "e"] {
            bench.apply(&Remove, &args([("path", bench.path(name).into())])).await.unwrap();
            assert!(!bench.exists(name));
        }
        let full = args([("path", bench.path("d").into())]);
        assert!(bench.describe(&Remove, &full).await.unwrap_err().cause.contains("not empty"));
        assert!(bench.apply(&Remove, &full).await.is_err());
        assert!(bench.exists("d/f"));
    }
}
