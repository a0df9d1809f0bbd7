use super::{CREATE_DIRS, MODE, OWNER, RETURNS, apply_file, reconcile_file, with_content};
use crate::support::{change::FileChange, tell};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Secret, Value,
    WayBack,
};

/// Writes a file.
pub struct Put;

const SPEC: ActionSpec = ActionSpec {
    name: "file.put",
    summary: "Writes a file with the given content.",
    doc: "Written atomically: a temporary file whose name begins with a dot, then a rename. An existing file keeps its mode and owner \
unless others are given; a new one is 0600 and belongs to the login. Of a symbolic link the target is replaced, the link stays. Nothing is \
written when content, mode and owner are already right. Content that is a secret, or holds a private key, is never shown.\n\n\
After a crash the file's digest tells: the new content, done; the old, not done; anything else, a person must look.\n\n\
Errors: no such directory (unless `create_dirs`), a path that is a directory, an owner that the host does not know.",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("path", ArgKind::Path, "The file."),
        ArgSpec::required("content", ArgKind::TextOrSecret, "The whole content: text, or a secret."),
        MODE,
        OWNER,
        CREATE_DIRS,
    ],
    returns: RETURNS,
    way_back: WayBack::Files,
    example: "file.put:\n  path: /etc/sysctl.d/99-keybook.conf\n  content: |\n    net.ipv4.ip_forward = 1\n  mode: \"0644\"\n",
};

#[async_trait]
impl Action for Put {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, change(ctx, args).await.map(|change| change.plan([])))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        apply_file(ctx, args.path("path")?, &change(ctx, args).await?).await
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        reconcile_file(ctx, args.path("path")?, memo).await
    }
}

async fn change(ctx: &Ctx, args: &Args) -> Result<FileChange, Fault> {
    let content = match args.get("content") {
        Some(Value::Secret(secret)) => secret.clone(),
        _ => Secret::new(args.text("content")?),
    };
    with_content(ctx, args, content, matches!(args.get("content"), Some(Value::Secret(_)))).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};
    use keybook_api::Change;

    #[tokio::test]
    async fn a_file_is_replaced_and_reconciled_by_its_digest() {
        let bench = Bench::new();
        let path = bench.file("motd", "old\n");
        bench.chmod("motd", 0o640);
        let args = args([("path", path.as_str().into()), ("content", "new\n".into())]);
        let plan = bench.describe(&Put, &args).await.unwrap();
        assert_eq!(plan.change, Change::Will);
        assert_eq!(plan.lines, [format!("replace {path} (4 bytes, mode 0640, owner 0:0)")]);
        assert_eq!(
            (plan.diffs[0].before.as_deref(), plan.diffs[0].after.as_deref()),
            (Some("old\n"), Some("new\n"))
        );
        assert_eq!(plan.touches, [path.as_str()]);
        assert_ne!(plan.basis, "none");

        let reconcile = async || Put.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        let applied = bench.apply(&Put, &args).await.unwrap();
        assert!(applied.changed);
        assert_eq!((bench.read("motd").as_str(), bench.mode("motd")), ("new\n", 0o640));
        assert_eq!(reconcile().await, Reconcile::Done(applied.value));
        bench.file("motd", "other");
        assert!(matches!(reconcile().await, Reconcile::Unknown(why) if why.contains("someone else")));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(reconcile().await, Reconcile::Unknown(why) if why.contains("gone")));
    }

    #[tokio::test]
    async fn what_was_changed_since_the_plan_is_not_overwritten() {
        let bench = Bench::new();
        let path = bench.file("motd", "old");
        let with = |content: &str| args([("path", path.as_str().into()), ("content", content.into())]);
        let plan = bench.describe(&Put, &with("new")).await.unwrap();
        let ctx = keybook_api::Ctx { planned: plan.memo.clone(), ..bench.ctx() };

        bench.file("motd", "somebody's");
        let fault = Put.apply(&ctx, &with("new")).await.unwrap_err();
        assert!(fault.cause.contains("someone else is at work here"), "{fault}");
        assert_eq!(fault.now_true.as_deref(), Some("nothing was written"));
        assert_eq!(bench.read("motd"), "somebody's");

        std::fs::remove_file(&path).unwrap();
        assert!(Put.apply(&ctx, &with("new")).await.is_err());
        bench.file("motd", "old");
        let fault = Put.apply(&ctx, &with("newer")).await.unwrap_err();
        assert!(fault.cause.contains("is not what was planned"), "{fault}");
        assert_eq!(bench.read("motd"), "old");
        assert!(Put.apply(&ctx, &with("new")).await.unwrap().changed);
    }

    #[tokio::test]
    async fn what_is_already_so_is_left_alone() {
        let bench = Bench::new();
        let path = bench.file("f", "x");
        let with = |mode: &str| {
            args([("path", path.as_str().into()), ("content", "x".into()), ("mode", mode.into())])
        };
        assert_eq!(bench.describe(&Put, &with("0644")).await.unwrap().change, Change::Wont);
        assert!(!bench.apply(&Put, &with("0644")).await.unwrap().changed);

        let plan = bench.describe(&Put, &with("0600")).await.unwrap();
        assert_eq!(plan.change, Change::Will);
        let reconcile = async || Put.reconcile(&bench.ctx(), &with("0600"), &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        assert!(bench.apply(&Put, &with("0600")).await.unwrap().changed);
        assert_eq!(bench.mode("f"), 0o600);
        assert!(matches!(reconcile().await, Reconcile::Done(_)));
    }

    #[tokio::test]
    async fn a_new_file_is_private_and_its_directories_are_told() {
        let bench = Bench::new();
        let path = bench.path("a/b/f");
        let with = |dirs: bool| {
            args([("path", path.as_str().into()), ("content", "x".into()), ("create_dirs", dirs.into())])
        };
        let fault = bench.describe(&Put, &with(false)).await.unwrap_err();
        assert!(fault.cause.contains("there is no directory"), "{fault}");
        let plan = Put.describe(&bench.planning(), &with(false)).await.unwrap();
        assert!(matches!(plan.change, Change::CannotKnow(_)), "an earlier step may make it");
        let plan = bench.describe(&Put, &with(true)).await.unwrap();
        assert_eq!(plan.touches, [bench.path("a"), bench.path("a/b"), path.clone()]);
        assert_eq!(plan.lines.len(), 3);
        assert_eq!(Put.reconcile(&bench.ctx(), &with(true), &plan.memo).await.unwrap(), Reconcile::NotDone);
        bench.apply(&Put, &with(true)).await.unwrap();
        assert_eq!((bench.mode("a/b/f"), bench.mode("a/b")), (0o600, 0o755));
    }

    #[tokio::test]
    async fn a_link_stays_and_its_target_is_written() {
        let bench = Bench::new();
        bench.file("real", "old");
        std::os::unix::fs::symlink("real", bench.path("link")).unwrap();
        let args = args([("path", bench.path("link").into()), ("content", "new".into())]);
        let plan = bench.describe(&Put, &args).await.unwrap();
        assert_eq!(plan.touches, [bench.path("real")]);
        bench.apply(&Put, &args).await.unwrap();
        assert!(std::fs::symlink_metadata(bench.path("link")).unwrap().is_symlink());
        assert_eq!(bench.read("real"), "new");
    }

    #[tokio::test]
    async fn secrets_are_not_shown() {
        let bench = Bench::new();
        let secret = Value::Secret(Secret::new("hunter2"));
        let args = args([("path", bench.path("pw").into()), ("content", secret)]);
        let plan = bench.describe(&Put, &args).await.unwrap();
        assert!(!format!("{plan:?}").contains("hunter2"));
        let key = "-----BEGIN PRIVATE KEY-----\nMIIEsecret\n-----END PRIVATE KEY-----\n";
        let args = crate::testing::args([
            ("path", bench.path("k.pem").into()),
            ("content", key.into()),
            ("mode", "0644".into()),
        ]);
        let plan = bench.describe(&Put, &args).await.unwrap();
        assert!(!format!("{plan:?}").contains("MIIEsecret"));
        assert!(plan.lines[1].contains("others may read"), "{:?}", plan.lines);
    }
}
