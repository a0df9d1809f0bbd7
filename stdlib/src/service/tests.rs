//! Against a real systemd.

use super::{restart::Restart, start::Start, status::Status, stop::Stop, *};
use crate::testing::{Bench, Systemd, args};
use keybook_api::{Action, Change, FaultKind, Reconcile};

const SLEEPER: &str = "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sleep 1000\n";
const BROKEN: &str = "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/false\n";

struct Lab {
    bench: Bench,
    systemd: Systemd,
}

impl Lab {
    async fn new() -> Self {
        let bench = Bench::new();
        let units = [("sleeper.service", SLEEPER), ("broken.service", BROKEN)];
        let systemd = Systemd::start(&bench, &units).await;
        Self { bench, systemd }
    }

    fn args(&self, name: &str) -> Args {
        args([("name", name.into()), ("systemctl", self.systemd.systemctl().into())])
    }

    async fn status(&self, name: &str) -> Value {
        self.bench.describe(&Status, &self.args(name)).await.unwrap();
        self.bench.apply(&Status, &self.args(name)).await.unwrap().value
    }
}

#[tokio::test]
async fn a_service_is_started_and_stopped_and_both_are_undone() {
    let lab = Lab::new().await;
    let (bench, args) = (&lab.bench, lab.args("sleeper"));
    let status = lab.status("sleeper").await;
    assert_eq!((status.get("exists"), status.get("active")), (Some(&true.into()), Some(&false.into())));

    let plan = bench.describe(&Start, &args).await.unwrap();
    assert_eq!(plan.change, Change::Will);
    assert!(plan.lines[0].ends_with("systemctl start -- sleeper"), "{:?}", plan.lines);
    let reconcile =
        async |action: &dyn Action, memo: &Value| action.reconcile(&bench.ctx(), &args, memo).await.unwrap();
    assert_eq!(reconcile(&Start, &plan.memo).await, Reconcile::NotDone);
    let started = bench.apply(&Start, &args).await.unwrap();
    assert_eq!(started.value.get("active"), Some(&true.into()));
    assert!(started.value.get("main_pid").unwrap().as_int().unwrap() > 0);
    assert_eq!(reconcile(&Start, &plan.memo).await, Reconcile::Done(started.value.clone()));
    assert_eq!(bench.describe(&Start, &args).await.unwrap().change, Change::Wont);
    assert!(!bench.apply(&Start, &args).await.unwrap().changed);

    let stop = bench.describe(&Stop, &args).await.unwrap();
    assert_eq!(reconcile(&Stop, &stop.memo).await, Reconcile::NotDone);
    let stopped = bench.apply(&Stop, &args).await.unwrap();
    assert_eq!(stopped.value.get("state"), Some(&"inactive".into()));
    assert!(matches!(reconcile(&Stop, &stop.memo).await, Reconcile::Done(_)));
    for _ in 0..2 {
        Stop.undo(&bench.ctx(), &args, &stop.memo, &stopped.value).await.unwrap();
        assert_eq!(lab.status("sleeper").await.get("active"), Some(&true.into()));
    }
    assert!(
        matches!(reconcile(&Stop, &stop.memo).await, Reconcile::Unknown(why) if why.contains("started again"))
    );
    for _ in 0..2 {
        Start.undo(&bench.ctx(), &args, &plan.memo, &started.value).await.unwrap();
        assert_eq!(lab.status("sleeper").await.get("active"), Some(&false.into()));
    }
    // What was stopped before the step stays stopped.
    let idle = bench.describe(&Stop, &args).await.unwrap();
    assert_eq!(idle.change, Change::Wont);
    Stop.undo(&bench.ctx(), &args, &idle.memo, &Value::Null).await.unwrap();
    assert_eq!(lab.status("sleeper").await.get("active"), Some(&false.into()));
}

#[tokio::test]
async fn a_restart_is_known_by_the_main_process() {
    let lab = Lab::new().await;
    let (bench, args) = (&lab.bench, lab.args("sleeper.service"));
    bench.apply(&Start, &args).await.unwrap();
    let plan = bench.describe(&Restart, &args).await.unwrap();
    let reconcile = async || Restart.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    let before = lab.status("sleeper").await;
    let after = bench.apply(&Restart, &args).await.unwrap().value;
    assert_eq!(after.get("active"), Some(&true.into()));
    assert_ne!(after.get("main_pid"), before.get("main_pid"));
    assert_eq!(reconcile().await, Reconcile::Done(after));
    bench.apply(&Stop, &args).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    assert_eq!(bench.apply(&Restart, &args).await.unwrap().value.get("active"), Some(&true.into()));
}

#[tokio::test]
async fn a_service_that_does_not_come_up_is_a_fault() {
    let lab = Lab::new().await;
    let bench = &lab.bench;
    let fault = bench.apply(&Start, &lab.args("broken")).await.unwrap_err();
    assert_eq!(fault.now_true.as_deref(), Some("broken is failed (failed)"), "{fault}");
    assert_eq!(lab.status("broken").await.get("state"), Some(&"failed".into()));
    let status = lab.status("none").await;
    assert_eq!((status.get("exists"), status.get("active")), (Some(&false.into()), Some(&false.into())));
    for action in [&Start as &dyn Action, &Stop, &Restart] {
        let fault = bench.apply(action, &lab.args("none")).await.unwrap_err();
        assert_eq!(fault.cause, "there is no unit none");
        let plan = action.describe(&bench.planning(), &lab.args("none")).await.unwrap();
        assert!(matches!(plan.change, Change::CannotKnow(_)));
    }
    // Ended by itself, so a wait for it to be active runs out.
    let unit = Unit { timeout: Duration::from_secs(1), ..Unit::from_args(&lab.args("sleeper")).unwrap() };
    let fault = unit.make(&bench.ctx(), "start", "never", |_| false).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::TimedOut);
}

#[tokio::test]
async fn a_host_without_systemd_and_wrong_names_are_faults() {
    let bench = Bench::new();
    let mut args = args([("name", "x".into()), ("systemctl", "/nowhere/systemctl".into())]);
    assert!(bench.apply(&Status, &args).await.unwrap_err().hints[0].contains("systemd"));
    for name in ["", "-x", "a b", "a;b", "a/b"] {
        args.0.insert("name".into(), name.into());
        assert!(bench.describe(&Restart, &args).await.is_err(), "{name}");
    }
}
