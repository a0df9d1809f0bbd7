use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Change, Ctx, Effect, Fault, Plan, Reconcile,
    Returns, Stat, Value, WayBack, returns::Key, value::map,
};

/// Renames a file or directory.
pub struct Move;

const SPEC: ActionSpec = ActionSpec {
    name: "file.move",
    summary: "Renames a file, link or directory within one file system.",
    doc: "Refuses to replace anything. It is already done when `from` is gone and `to` is there. Undo renames it back.\n\n\
Errors: `from` is missing, `to` exists, the two are on different file systems ([rename(2)](https://man7.org/linux/man-pages/man2/rename.2.html)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("from", ArgKind::Path, "What to rename."),
        ArgSpec::required("to", ArgKind::Path, "Its new path."),
    ],
    returns: Returns::map(&[Key::plain("from", "Where it was."), Key::plain("to", "Where it is.")]),
    way_back: WayBack::Undo,
    example: "file.move:\n  from: /etc/kubernetes/manifests/etcd.yaml\n  to: /etc/kubernetes/etcd.yaml\n",
};

#[async_trait]
impl Action for Move {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let (from, to) = paths(args)?;
        let mut plan = match look(ctx, from, to).await? {
            (Some(_), None) => Plan::will([format!("rename {from} to {to}")]),
            (None, Some(_)) => Plan::wont(format!("{from} is already at {to}")),
            (Some(_), Some(_)) => return Err(refuse(ctx, from, to, format!("{to} exists"))),
            (None, None) => {
                let missing = refuse(ctx, from, to, tell::missing(from));
                return tell::planned(ctx, self, args, Err(missing));
            }
        };
        plan.memo = Value::Map(map([("moved", (plan.change == Change::Will).into())]));
        Ok(plan)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let (from, to) = paths(args)?;
        match look(ctx, from, to).await? {
            (None, Some(_)) => return Ok(Applied::unchanged(result(from, to))),
            (None, None) => return Err(refuse(ctx, from, to, tell::missing(from))),
            (Some(_), Some(_)) => return Err(refuse(ctx, from, to, format!("{to} exists"))),
            (Some(_), None) => ctx.target.rename(from, to).await?,
        }
        Ok(Applied::changed(result(from, to)))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        let (from, to) = paths(args)?;
        Ok(match look(ctx, from, to).await? {
            (Some(_), None) => Reconcile::NotDone,
            (None, Some(_)) => Reconcile::Done(result(from, to)),
            (Some(_), Some(_)) => {
                Reconcile::Unknown(format!("both {from} and {to} exist: someone else made one"))
            }
            (None, None) => {
                Reconcile::Unknown(format!("neither {from} nor {to} exists: someone else removed it"))
            }
        })
    }

    async fn undo(&self, ctx: &Ctx, args: &Args, memo: &Value, _result: &Value) -> Result<(), Fault> {
        let (from, to) = paths(args)?;
        if memo.get("moved") == Some(&Value::Bool(false)) {
            return Ok(());
        }
        match look(ctx, from, to).await? {
            (Some(_), None) => Ok(()),
            (None, Some(_)) => ctx.target.rename(to, from).await,
            (Some(_), Some(_)) => Err(refuse(ctx, to, from, format!("{from} exists")).hint(format!(
                "Compare {from} and {to}, keep the right one at {from}, then roll back again."
            ))),
            (None, None) => Err(refuse(ctx, to, from, tell::missing(to))),
        }
    }
}

fn paths(args: &Args) -> Result<(&str, &str), Fault> {
    Ok((args.path("from")?, args.path("to")?))
}

async fn look(ctx: &Ctx, from: &str, to: &str) -> Result<(Option<Stat>, Option<Stat>), Fault> {
    Ok((ctx.target.stat(from).await?, ctx.target.stat(to).await?))
}

fn refuse(ctx: &Ctx, from: &str, to: &str, why: String) -> Fault {
    tell::failed(ctx, format!("rename {from} to {to}"), why).now("nothing was renamed")
}

fn result(from: &str, to: &str) -> Value {
    Value::Map(map([("from", from.into()), ("to", to.into())]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};

    #[tokio::test]
    async fn a_file_moves_there_and_back() {
        let bench = Bench::new();
        bench.file("a", "x");
        let args = args([("from", bench.path("a").into()), ("to", bench.path("b").into())]);
        let plan = bench.describe(&Move, &args).await.unwrap();
        let reconcile = async || Move.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        let applied = bench.apply(&Move, &args).await.unwrap();
        assert_eq!((bench.exists("a"), bench.read("b").as_str()), (false, "x"));
        assert_eq!(reconcile().await, Reconcile::Done(applied.value.clone()));
        assert_eq!(bench.describe(&Move, &args).await.unwrap().change, Change::Wont);
        assert!(!bench.apply(&Move, &args).await.unwrap().changed);
        for _ in 0..2 {
            Move.undo(&bench.ctx(), &args, &plan.memo, &applied.value).await.unwrap();
            assert_eq!((bench.exists("b"), bench.read("a").as_str()), (false, "x"));
        }
    }

    #[tokio::test]
    async fn nothing_is_replaced() {
        let bench = Bench::new();
        bench.file("a", "1");
        bench.file("b", "2");
        let args = args([("from", bench.path("a").into()), ("to", bench.path("b").into())]);
        assert!(bench.describe(&Move, &args).await.unwrap_err().cause.ends_with("exists"));
        assert!(bench.apply(&Move, &args).await.is_err());
        assert!(Move.undo(&bench.ctx(), &args, &Value::Null, &Value::Null).await.is_err());
        assert_eq!((bench.read("a"), bench.read("b")), ("1".to_owned(), "2".to_owned()));
        assert!(matches!(
            Move.reconcile(&bench.ctx(), &args, &Value::Null).await.unwrap(),
            Reconcile::Unknown(_)
        ));
    }

    #[tokio::test]
    async fn what_was_moved_before_the_step_stays_on_undo() {
        let bench = Bench::new();
        bench.file("b", "x");
        let args = args([("from", bench.path("a").into()), ("to", bench.path("b").into())]);
        let plan = bench.describe(&Move, &args).await.unwrap();
        Move.undo(&bench.ctx(), &args, &plan.memo, &Value::Null).await.unwrap();
        assert!(bench.exists("b"));
    }

    #[tokio::test]
    async fn a_missing_file_cannot_move() {
        let bench = Bench::new();
        let args = args([("from", bench.path("a").into()), ("to", bench.path("b").into())]);
        assert!(matches!(
            Move.describe(&bench.planning(), &args).await.unwrap().change,
            Change::CannotKnow(_)
        ));
        assert!(bench.describe(&Move, &args).await.unwrap_err().cause.starts_with("there is no"));
        assert!(bench.apply(&Move, &args).await.is_err());
        assert!(matches!(
            Move.reconcile(&bench.ctx(), &args, &Value::Null).await.unwrap(),
            Reconcile::Unknown(_)
        ));
    }
}
