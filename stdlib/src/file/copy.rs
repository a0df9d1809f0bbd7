use super::{CREATE_DIRS, MODE, OWNER, RETURNS, apply_file, reconcile_file};
use crate::support::{
    change::{self, FileChange, Wanted},
    files::{self, Current},
    owner, tell,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Value, WayBack,
};

/// Copies a file, between hosts too.
pub struct Copy;

const SPEC: ActionSpec = ActionSpec {
    name: "file.copy",
    summary: "Copies a file to this host, from this or another one.",
    doc: "The content goes through this program's memory only, at most 64 MiB. Symbolic links are followed on both sides. An existing \
file keeps its mode and owner unless others are given; a new one takes over the source's (numeric) ones. Nothing is written when it is \
already so.\n\n\
After a crash the file's digest tells what became of it, as for `file.put`.\n\n\
Errors: no such source or directory, a directory instead of a file, a host that the inventory does not know.",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("from", ArgKind::Path, "The file to copy."),
        ArgSpec::optional(
            "from_host",
            ArgKind::Text,
            "this host",
            "The inventory name of the host that has it.",
        ),
        ArgSpec::required("to", ArgKind::Path, "The file to write on this host."),
        ArgSpec { default: "the file's own; the source's when new", ..MODE },
        ArgSpec { default: "the file's own; the source's when new", ..OWNER },
        CREATE_DIRS,
    ],
    returns: RETURNS,
    way_back: WayBack::Files,
    example: "file.copy:\n  from: /root/gencerts/etcd.pem\n  from_host: master-1\n  to: /srv/kubernetes/etcd.pem\n",
};

#[async_trait]
impl Action for Copy {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, plan(ctx, args).await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let source = source(ctx, args).await?;
        apply_file(ctx, args.path("to")?, &change(ctx, args, source).await?).await
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        reconcile_file(ctx, args.path("to")?, memo).await
    }
}

async fn plan(ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
    let source = source(ctx, args).await?;
    let from = match args.opt_text("from_host")? {
        Some(host) => format!("{host}:{}", source.path),
        None => source.path.clone(),
    };
    let basis = change::basis(&source.mark());
    let line = format!("copy {from} (sha256 {})", source.sha256);
    let mut plan = change(ctx, args, source).await?.plan([line]);
    plan.basis = format!("{basis}; {}", plan.basis);
    Ok(plan)
}

async fn source(ctx: &Ctx, args: &Args) -> Result<Current, Fault> {
    let target = files::host_or_own(ctx, args.opt_text("from_host")?).await?;
    files::need(&*target, args.path("from")?).await
}

async fn change(ctx: &Ctx, args: &Args, source: Current) -> Result<FileChange, Fault> {
    let wanted = Wanted {
        mode: args.opt_mode("mode")?,
        owner: owner::wanted(ctx, args).await?,
        new_mode: source.stat.mode,
        new_owner: Some(source.stat.owner),
        create_dirs: args.bool_or("create_dirs", false)?,
        ..Wanted::content(args.path("to")?, source.content)
    };
    FileChange::new(ctx, wanted).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};
    use keybook_api::{Change, FaultKind};

    #[tokio::test]
    async fn a_new_copy_takes_over_mode_and_content() {
        let bench = Bench::new().with_host("h2");
        let from = bench.file("src", "x\n");
        bench.chmod("src", 0o640);
        let args = args([
            ("from", from.as_str().into()),
            ("from_host", "h2".into()),
            ("to", bench.path("dst").into()),
        ]);
        let plan = bench.describe(&Copy, &args).await.unwrap();
        assert!(plan.lines[0].starts_with(&format!("copy h2:{from} (sha256 ")));
        let reconcile = async || Copy.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        let applied = bench.apply(&Copy, &args).await.unwrap();
        assert_eq!((bench.read("dst").as_str(), bench.mode("dst")), ("x\n", 0o640));
        assert_eq!(reconcile().await, Reconcile::Done(applied.value));
        assert_eq!(bench.describe(&Copy, &args).await.unwrap().change, Change::Wont);
        bench.file("dst", "y");
        assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
    }

    #[tokio::test]
    async fn an_existing_file_keeps_its_mode() {
        let bench = Bench::new();
        bench.file("src", "new");
        bench.chmod("src", 0o600);
        bench.file("dst", "old");
        let args = args([("from", bench.path("src").into()), ("to", bench.path("dst").into())]);
        bench.apply(&Copy, &args).await.unwrap();
        assert_eq!((bench.read("dst").as_str(), bench.mode("dst")), ("new", 0o644));
    }

    #[tokio::test]
    async fn the_plan_depends_on_the_source() {
        let bench = Bench::new();
        let args = args([("from", bench.file("src", "1").into()), ("to", bench.path("dst").into())]);
        let first = bench.describe(&Copy, &args).await.unwrap().basis;
        bench.file("src", "2");
        assert_ne!(bench.describe(&Copy, &args).await.unwrap().basis, first);
    }

    #[tokio::test]
    async fn a_missing_source_cannot_be_known_while_planning() {
        let bench = Bench::new();
        let copy = |host: &str| {
            let to = bench.path("dst");
            args([("from", bench.path("src").into()), ("from_host", host.into()), ("to", to.into())])
        };
        let plan = Copy.describe(&bench.planning(), &copy("h1")).await.unwrap();
        assert!(matches!(plan.change, Change::CannotKnow(why) if why.contains("there is no ")));
        assert!(Copy.describe(&bench.ctx(), &copy("h1")).await.is_err());
        let fault = Copy.describe(&bench.planning(), &copy("h9")).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Usage);
    }
}
