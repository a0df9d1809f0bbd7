//! The file and shell actions on the real POSIX target, whose `/` is a temporary directory here: what the test
//! double promises, the real target keeps.

use crate::testing::{Bench, Issue, args, ca, check_result};
use keybook_api::{Action, Applied, Args, Change, Ctx, Fault, Reconcile, Target, Value, value::map};
use keybook_targets::{LocalShell, posix::PosixTarget};
use std::{os::unix::fs::symlink, sync::Arc};

struct Host {
    bench: Bench,
    target: Arc<dyn Target>,
}

impl Host {
    async fn new() -> Self {
        let bench = Bench::new();
        let (root, shell) = (bench.path(""), LocalShell::new("h1"));
        let target = PosixTarget::identify(shell, root, false, "local".into(), String::new()).await.unwrap();
        Self { bench, target: Arc::new(target) }
    }

    fn ctx(&self) -> Ctx {
        Ctx { target: self.target.clone(), state_dir: "/var/lib/keybook/test".to_owned(), ..self.bench.ctx() }
    }

    /// Describes, shows that this changed nothing, and reconciles to "not done"; applies and reconciles to "done";
    /// describes again to "will not".
    async fn whole(&self, name: &str, args: &Args) -> Applied {
        let registry = crate::registry();
        let action = registry.get(name).unwrap();
        let before = self.bench.snapshot();
        let plan = action.describe(&self.ctx(), args).await.unwrap();
        assert_eq!((plan.change.clone(), before), (Change::Will, self.bench.snapshot()), "{name}");
        let attempt = |attempt| Ctx { attempt, ..self.ctx() };
        let reconcile = async |ctx: Ctx| action.reconcile(&ctx, args, &plan.memo).await.unwrap();
        assert!(
            matches!(reconcile(attempt(1)).await, Reconcile::NotDone | Reconcile::NotBegun),
            "{name} is not \"not done\""
        );
        // An attempt that was found not to have begun never will: the next one is another.
        let applied = action.apply(&attempt(2), args).await.unwrap();
        assert!(applied.changed, "{name}");
        let Reconcile::Done(found) = reconcile(attempt(2)).await else { panic!("{name} is not done") };
        for result in [&applied.value, &found] {
            check_result(&**action, result);
        }
        applied
    }

    async fn read(&self, name: &str, args: &Args) -> Result<Value, Fault> {
        let registry = crate::registry();
        let action = registry.get(name).unwrap();
        let value = action.apply(&self.ctx(), args).await?.value;
        check_result(&**action, &value);
        Ok(value)
    }
}

#[tokio::test]
async fn files_are_written_edited_moved_and_removed() {
    let host = Host::new().await;
    host.whole("file.make_dir", &args([("path", "/etc/x".into())])).await;
    let put =
        args([("path", "/etc/x/f.json".into()), ("content", "{\"a\": 1}\n".into()), ("mode", "0640".into())]);
    host.whole("file.put", &put).await;
    let set = Value::Map(map([("a", Value::Int(2))]));
    host.whole("file.edit_json", &args([("path", "/etc/x/f.json".into()), ("set", set)])).await;
    host.whole("file.copy", &args([("from", "/etc/x/f.json".into()), ("to", "/etc/x/g.json".into())])).await;
    host.whole("file.move", &args([("from", "/etc/x/g.json".into()), ("to", "/etc/h.json".into())])).await;
    assert_eq!(
        (host.bench.read("etc/h.json").as_str(), host.bench.mode("etc/h.json")),
        ("{\"a\": 2}\n", 0o640)
    );
    let both = host
        .read("file.digest", &args([("paths", vec!["/etc/x/f.json", "/etc/h.json"].into())]))
        .await
        .unwrap();
    let digests: Vec<&Value> = both.get("files").unwrap().as_map().unwrap().values().collect();
    assert_eq!((digests.len(), digests[0]), (2, digests[1]));
    host.whole("file.remove", &args([("path", "/etc/h.json".into())])).await;
    let stat = host.read("file.stat", &args([("path", "/etc/h.json".into())])).await.unwrap();
    assert_eq!(stat.get("exists"), Some(&false.into()));
}

#[tokio::test]
async fn links_are_followed_also_relative_ones() {
    let host = Host::new().await;
    host.bench.file("srv/real/f", "old");
    std::fs::create_dir(host.bench.path("srv/links")).unwrap();
    symlink("../real/f", host.bench.path("srv/links/f")).unwrap();
    host.whole("file.put", &args([("path", "/srv/links/f".into()), ("content", "new".into())])).await;
    assert_eq!(host.bench.read("srv/real/f"), "new");
    let read = host.read("file.read", &args([("path", "/srv/links/f".into())])).await.unwrap();
    assert_eq!(read.get("text"), Some(&"new".into()));
}

#[tokio::test]
async fn scripts_leave_receipts() {
    let host = Host::new().await;
    let script = args([("script", "cat; echo \"$1\"".into()), ("args", "b".into()), ("stdin", "a\n".into())]);
    let applied = host.whole("sh.run", &script).await;
    assert_eq!(applied.value.get("stdout"), Some(&"a\nb".into()));
    let failing = args([("script", "exit 7".into())]);
    let ctx = Ctx { attempt: 3, ..host.ctx() };
    let registry = crate::registry();
    let run = registry.get("sh.run").unwrap();
    assert!(run.apply(&ctx, &failing).await.unwrap_err().cause.starts_with("it ended with status 7"));
    assert!(matches!(run.reconcile(&ctx, &failing, &Value::Null).await.unwrap(), Reconcile::Unknown(_)));
}

#[tokio::test]
async fn a_ca_is_reissued_and_a_leaf_issued_in_the_runs_own_folder() {
    let host = Host::new().await;
    ca(&host.bench, "ca", &Issue::default());
    let staging = host.ctx().staging();
    let out = |name: &str| Value::from(format!("{staging}/{name}"));
    let reissue = args([
        ("cert", "/ca.pem".into()),
        ("key", "/ca-key.pem".into()),
        ("out", out("ca.pem")),
        ("days", Value::Int(5000)),
    ]);
    host.whole("x509.reissue_ca", &reissue).await;
    let issue = args([
        ("ca", out("ca.pem")),
        ("ca_key", "/ca-key.pem".into()),
        ("sans", "a.example".into()),
        ("usages", "server auth".into()),
        ("key_kind", "ECDSA-P256".into()),
        ("out_cert", out("leaf.pem")),
        ("out_key", out("leaf-key.pem")),
    ]);
    host.whole("x509.issue_leaf", &issue).await;
    assert_eq!(host.bench.mode("var/lib/keybook/test/staging/leaf-key.pem"), 0o600);
    assert_eq!(host.bench.mode("var/lib/keybook/test/staging"), 0o700);
    let check = args([("cert", out("leaf.pem")), ("key", out("leaf-key.pem"))]);
    assert_eq!(host.read("x509.check_key", &check).await.unwrap().get("matches"), Some(&true.into()));
    let bundle = args([("certs", vec!["/ca.pem".into(), out("ca.pem")].into()), ("out", "/both.pem".into())]);
    host.whole("x509.bundle", &bundle).await;
}

#[tokio::test]
async fn static_pods_move_and_never_replace() {
    let host = Host::new().await;
    host.bench.file("live/etcd.yaml", "metadata: {name: etcd}\n");
    std::fs::create_dir(host.bench.path("parked")).unwrap();
    let stop = args([
        ("pods", "etcd".into()),
        ("dir", "/live".into()),
        ("to", "/parked".into()),
        ("ps", "true".into()),
    ]);
    host.whole("static_pod.stop", &stop).await;
    let start = args([
        ("pods", "etcd".into()),
        ("dir", "/live".into()),
        ("from", "/parked".into()),
        ("ps", "echo abc k8s_etcd_etcd-n1_default_0_0".into()),
    ]);
    host.whole("static_pod.start", &start).await;
    host.bench.file("parked/etcd.yaml", "other");
    let registry = crate::registry();
    let stopping: &Arc<dyn Action> = registry.get("static_pod.stop").unwrap();
    assert!(stopping.apply(&host.ctx(), &stop).await.is_err());
    assert_eq!(host.bench.read("parked/etcd.yaml"), "other");
}
