use crate::support::{files, tell};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, FileKind, Plan, Reconcile,
    Returns, Value, WayBack, returns::Key, value::map,
};

/// Makes a directory.
pub struct MakeDir;

const SPEC: ActionSpec = ActionSpec {
    name: "file.make_dir",
    summary: "Makes a directory and its missing parents.",
    doc: "The mode applies to the directories made; one that exists is left as it is. Undo removes those that were made, and refuses \
when one is not empty by then.\n\nErrors: the path is something else than a directory.",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("path", ArgKind::Path, "The directory."),
        ArgSpec::optional("mode", ArgKind::Mode, "0755", "Permission bits of the directories made."),
    ],
    returns: Returns::map(&[
        Key::plain("path", "The path, as it was given."),
        Key::plain("made", "The directories made, parents first."),
    ]),
    way_back: WayBack::Undo,
    example: "file.make_dir:\n  path: /root/rotation\n  mode: \"0700\"\n",
};

#[async_trait]
impl Action for MakeDir {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let path = args.path("path")?;
        let mode = mode(args)?;
        let missing = missing(ctx, path).await?;
        if missing.is_empty() {
            return Ok(Plan { memo: memo(&missing), ..Plan::wont(format!("{path} exists")) });
        }
        let lines =
            missing.iter().map(|dir| format!("make the directory {dir} (mode {})", files::mode_text(mode)));
        Ok(Plan { memo: memo(&missing), ..Plan::will(lines) })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let path = args.path("path")?;
        let missing = missing(ctx, path).await?;
        if !missing.is_empty() {
            ctx.target.make_dir(path, mode(args)?).await?;
        }
        let changed = !missing.is_empty();
        Ok(Applied { changed, ..Applied::changed(result(path, missing)) })
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let path = args.path("path")?;
        Ok(match missing(ctx, path).await?.as_slice() {
            [] => Reconcile::Done(result(path, made(memo))),
            // Some of them, or none: making the rest is harmless.
            _ => Reconcile::NotDone,
        })
    }

    async fn undo(&self, ctx: &Ctx, _args: &Args, memo: &Value, _result: &Value) -> Result<(), Fault> {
        for dir in made(memo).iter().rev() {
            if ctx.target.stat(dir).await?.is_some() && !ctx.target.list(dir).await?.is_empty() {
                return Err(tell::failed(ctx, format!("remove the directory {dir}"), "it is not empty")
                    .hint("Move what is in it elsewhere, then roll back again."));
            }
            ctx.target.remove(dir).await?;
        }
        Ok(())
    }
}

fn mode(args: &Args) -> Result<u32, Fault> {
    Ok(args.opt_mode("mode")?.unwrap_or(0o755))
}

fn memo(missing: &[String]) -> Value {
    Value::Map(map([("made", missing.to_vec().into())]))
}

fn made(memo: &Value) -> Vec<String> {
    let list = memo.get("made").and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn result(path: &str, made: Vec<String>) -> Value {
    Value::Map(map([("path", path.into()), ("made", made.into())]))
}

/// The directories to make, parents first.
async fn missing(ctx: &Ctx, path: &str) -> Result<Vec<String>, Fault> {
    let mut missing = Vec::new();
    let mut dir = path;
    loop {
        match files::follow(&*ctx.target, dir).await?.1 {
            Some(stat) if stat.kind == FileKind::Directory => break,
            Some(_) => {
                return Err(tell::failed(
                    ctx,
                    format!("make the directory {path}"),
                    format!("{dir} is no directory"),
                ));
            }
            None => missing.push(dir.to_owned()),
        }
        if dir == "/" {
            break;
        }
        dir = files::parent(dir);
    }
    missing.reverse();
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};
    use keybook_api::Change;

    #[tokio::test]
    async fn directories_are_made_and_unmade() {
        let bench = Bench::new();
        let args = args([("path", bench.path("a/b").into()), ("mode", "0700".into())]);
        let plan = bench.describe(&MakeDir, &args).await.unwrap();
        assert_eq!(plan.lines.len(), 2);
        let reconcile = async || MakeDir.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        let applied = bench.apply(&MakeDir, &args).await.unwrap();
        assert_eq!((bench.mode("a"), bench.mode("a/b")), (0o700, 0o700));
        assert_eq!(reconcile().await, Reconcile::Done(applied.value.clone()));
        assert_eq!(bench.describe(&MakeDir, &args).await.unwrap().change, Change::Wont);

        bench.file("a/b/x", "");
        let undo = async || MakeDir.undo(&bench.ctx(), &args, &plan.memo, &applied.value).await;
        assert!(undo().await.unwrap_err().cause.contains("not empty"));
        std::fs::remove_file(bench.path("a/b/x")).unwrap();
        undo().await.unwrap();
        undo().await.unwrap();
        assert!(!bench.exists("a"));
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_a_fault() {
        let bench = Bench::new();
        let path = bench.file("f", "");
        let fault = bench.describe(&MakeDir, &args([("path", path.into())])).await.unwrap_err();
        assert!(fault.cause.ends_with("is no directory"), "{fault}");
    }
}
