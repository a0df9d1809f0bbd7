//! Restarts, budgets and what becomes of them.

use super::*;
use crate::kube::{rollout::progress, rollout_restart::RolloutRestart, rollout_status::RolloutStatus};
use keybook_api::{Change, FaultKind, Reconcile};
use serde_json::{Value as Json, json};

fn deployment(updated: i64) -> Json {
    json!({"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 2,
        "template": {"metadata": {"labels": {"app": "x"}}}},
        "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": updated, "availableReplicas": updated}})
}

fn workload<const N: usize>(api: &ApiStandIn, extra: [(&str, Value); N]) -> Args {
    let mut all = with(api, [("resource", "deployment".into()), ("name", "web".into())]);
    all.0.extend(extra.map(|(name, value)| (name.to_owned(), value)));
    all
}

#[tokio::test]
async fn a_restart_is_known_by_its_annotation() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("deployments", "web", "u1", deployment(2));
    let asked = workload(&api, [("annotation", "example.com/rotated".into())]);
    let plan = bench.describe(&RolloutRestart, &asked).await.unwrap();
    assert_eq!(plan.change, Change::Will);
    let reconcile = async || RolloutRestart.reconcile(&bench.ctx(), &asked, &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    let applied = bench.apply(&RolloutRestart, &asked).await.unwrap();
    let at = applied.value.get("restarted_at").unwrap().as_str().unwrap().to_owned();
    assert_eq!(
        api.object("web")["spec"]["template"]["metadata"]["annotations"]["example.com/rotated"],
        json!(at)
    );
    assert_eq!(reconcile().await, Reconcile::Done(applied.value));
    api.objects.lock().unwrap()[0].1["spec"]["paused"] = json!(true);
    assert!(bench.apply(&RolloutRestart, &asked).await.unwrap_err().cause.contains("paused"));
    let none = with(&api, [("resource", "daemonset".into()), ("name", "none".into())]);
    let planned = RolloutRestart.describe(&bench.planning(), &none).await.unwrap();
    assert!(matches!(planned.change, Change::CannotKnow(_)));
    assert!(bench.apply(&RolloutRestart, &none).await.is_err());
}

#[tokio::test]
async fn a_budget_that_allows_no_disruption_stops_a_restart() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("deployments", "web", "u1", deployment(2));
    let budget = |app: &str, allowed: i64| {
        json!({"spec": {"selector": {"matchLabels": {"app": app}}},
            "status": {"currentHealthy": 2, "desiredHealthy": 2, "disruptionsAllowed": allowed}})
    };
    api.add("poddisruptionbudgets", "others", "u2", budget("y", 0));
    api.add("poddisruptionbudgets", "loose", "u3", budget("x", 1));
    assert!(bench.apply(&RolloutRestart, &workload(&api, [])).await.unwrap().changed);
    api.add("poddisruptionbudgets", "tight", "u4", budget("x", 0));
    let fault = bench.apply(&RolloutRestart, &workload(&api, [])).await.unwrap_err();
    assert!(fault.cause.ends_with("by tight (healthy 2, needed 2, disruptions allowed 0)"), "{fault}");
    let plan = bench.describe(&RolloutRestart, &workload(&api, [])).await.unwrap();
    assert!(plan.lines[1].contains("no disruption is allowed by tight"), "{:?}", plan.lines);
    assert!(
        bench.apply(&RolloutRestart, &workload(&api, [("respect_pdb", false.into())])).await.unwrap().changed
    );
}

#[tokio::test]
async fn a_rollout_is_waited_for() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("deployments", "web", "u1", deployment(2));
    let through = read(&bench, &RolloutStatus, &workload(&api, [])).await.unwrap();
    assert_eq!(through.get("message"), Some(&"2 pods of the newest template are available".into()));
    api.objects.lock().unwrap()[0].1["status"]["updatedReplicas"] = json!(1);
    let fault =
        bench.apply(&RolloutStatus, &workload(&api, [("timeout", "100ms".into())])).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::TimedOut);
    assert!(fault.cause.contains("1 of 2 pods are of the newest template"), "{fault}");
    let late = json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]);
    api.objects.lock().unwrap()[0].1["status"]["conditions"] = late;
    let fault = bench.apply(&RolloutStatus, &workload(&api, [])).await.unwrap_err();
    assert!(fault.cause.contains("progress deadline"), "{fault}");
    let none = with(&api, [("resource", "statefulset".into()), ("name", "none".into())]);
    assert_eq!(bench.apply(&RolloutStatus, &none).await.unwrap_err().kind, FaultKind::Failed);
}

#[test]
fn each_kind_is_through_when_its_pods_are() {
    let daemon_set = |updated: i64, available: i64, strategy: &str| {
        json!({"kind": "DaemonSet", "spec": {"updateStrategy": {"type": strategy}}, "status": {"desiredNumberScheduled": 3,
            "updatedNumberScheduled": updated, "numberAvailable": available}})
    };
    assert!(progress(&daemon_set(3, 3, "RollingUpdate")).is_ok());
    for (updated, available, strategy) in
        [(2, 3, "RollingUpdate"), (3, 2, "RollingUpdate"), (3, 3, "OnDelete")]
    {
        assert!(progress(&daemon_set(updated, available, strategy)).is_err());
    }
    let stateful_set = |updated: i64, ready: i64, partition: i64, revision: &str| {
        json!({"kind": "StatefulSet", "spec": {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": partition}}},
            "status": {"updatedReplicas": updated, "readyReplicas": ready, "updateRevision": revision, "currentRevision": "r2"}})
    };
    assert!(progress(&stateful_set(3, 3, 0, "r2")).is_ok());
    assert!(progress(&stateful_set(1, 3, 2, "r3")).is_ok());
    for (updated, ready, partition, revision) in [(3, 2, 0, "r2"), (2, 3, 0, "r2"), (3, 3, 0, "r3")] {
        assert!(progress(&stateful_set(updated, ready, partition, revision)).is_err());
    }
    let mut unseen = deployment(2);
    unseen["metadata"]["generation"] = json!(3);
    assert!(progress(&unseen).is_err());
    let mut old = deployment(2);
    old["status"]["replicas"] = json!(3);
    assert_eq!(progress(&old).unwrap_err(), "1 old pods are left");
}
