//! A real kubectl against a stand-in for an API server.

use super::{delete::Delete, get::Get, rollout_restart::RolloutRestart, rollout_status::RolloutStatus, *};
use crate::testing::{ApiStandIn, Bench, args};
use keybook_api::{Action, Change, FaultKind, Reconcile, Value};
use serde_json::json;

fn with(api: &ApiStandIn, extra: &[(&str, &str)]) -> Args {
    let mut all = args([("kubeconfig", api.kubeconfig.as_str().into()), ("kubectl", api.kubectl().into())]);
    all.0.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))));
    all
}

fn deployment(updated: i64) -> Json {
    json!({"metadata": {"generation": 2}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
        "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": updated, "availableReplicas": updated}})
}

#[tokio::test]
async fn objects_are_read_and_secrets_stay_secret() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("pods", "a", "u1", json!({}));
    api.add("pods", "b", "u2", json!({"metadata": {"labels": {"app": "y"}}}));
    api.add("secrets", "s", "u3", json!({"data": {"key": "aHVudGVyMg=="}, "type": "Opaque"}));
    let get = async |extra: &[(&str, &str)]| {
        bench.describe(&Get, &with(&api, extra)).await.unwrap();
        bench.apply(&Get, &with(&api, extra)).await.map(|applied| applied.value)
    };
    let pods = get(&[("resource", "pods"), ("namespace", "n")]).await.unwrap();
    assert_eq!(pods.get("count"), Some(&Value::Int(2)));
    // Without an argument it is the kubeconfig that kubectl finds.
    let found = [vec!["env".to_owned(), format!("KUBECONFIG={}", api.kubeconfig)], api.kubectl()].concat();
    let own = args([("kubectl", found.into()), ("resource", "pods".into())]);
    assert_eq!(bench.apply(&Get, &own).await.unwrap().value.get("count"), Some(&Value::Int(2)));
    let some = get(&[("resource", "pods"), ("selector", "app=y")]).await.unwrap();
    assert_eq!(some.get("count"), Some(&Value::Int(1)));
    let one = get(&[("resource", "pods"), ("name", "a")]).await.unwrap();
    assert_eq!(one.get("exists"), Some(&true.into()));
    assert_eq!(one.get("object").and_then(|pod| pod.get("metadata")?.get("uid")), Some(&"u1".into()));
    let none = get(&[("resource", "pods"), ("name", "none")]).await.unwrap();
    assert_eq!((none.get("exists"), none.get("object")), (Some(&false.into()), Some(&Value::Null)));
    let secret = get(&[("resource", "secrets"), ("name", "s")]).await.unwrap();
    assert!(secret.has_secret() && !secret.to_string().contains("aHVudGVyMg"), "{secret}");
    assert!(get(&[("resource", "nonsense")]).await.unwrap_err().cause.contains("nonsense"));
    for wrong in [
        &[("resource", "-A")][..],
        &[("resource", "pods,secrets")],
        &[("resource", "pods"), ("name", "a"), ("selector", "app=x")],
        &[("resource", "pods"), ("namespace", "a b")],
    ] {
        assert!(bench.describe(&Get, &with(&api, wrong)).await.is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn only_what_was_planned_is_deleted() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("pods", "a", "u1", json!({}));
    api.add("pods", "b", "u2", json!({}));
    api.add("pods", "other", "u3", json!({"metadata": {"labels": {"app": "y"}}}));
    let asked = with(&api, &[("resource", "pods"), ("selector", "app=x"), ("timeout", "10s")]);
    let plan = bench.describe(&Delete, &asked).await.unwrap();
    assert_eq!(plan.change, Change::Will);
    assert!(plan.lines[0].contains(" delete pods a b "), "{:?}", plan.lines);
    let reconcile = async || Delete.reconcile(&bench.ctx(), &asked, &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    api.add("pods", "c", "u4", json!({}));
    let ctx = Ctx { planned: plan.memo.clone(), ..bench.ctx() };
    let fault = Delete.apply(&ctx, &asked).await.unwrap_err();
    assert!(fault.cause.contains("other objects") && api.has("a"), "{fault}");
    api.objects.lock().unwrap().retain(|(path, _)| !path.ends_with("/c"));
    let applied = Delete.apply(&ctx, &asked).await.unwrap();
    assert_eq!(applied.value.get("deleted"), Some(&vec!["a", "b"].into()));
    assert!(!api.has("a") && !api.has("b") && api.has("other"));
    assert!(matches!(reconcile().await, Reconcile::Done(_)));
    assert!(bench.apply(&Delete, &asked).await.unwrap_err().cause.contains("that the selector matches"));
    let gone = with(&api, &[("resource", "pods"), ("name", "a")]);
    assert_eq!(bench.describe(&Delete, &gone).await.unwrap().change, Change::Wont);
    assert!(!bench.apply(&Delete, &gone).await.unwrap().changed);
    assert!(bench.describe(&Delete, &with(&api, &[("resource", "pods")])).await.is_err());
}

#[tokio::test]
async fn a_restart_is_known_by_its_annotation_and_waited_for() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("deployments", "web", "u1", deployment(2));
    let asked = |extra: &[(&str, &str)]| {
        let mut all = vec![("resource", "deployment"), ("name", "web")];
        all.extend_from_slice(extra);
        with(&api, &all)
    };
    let plan = bench.describe(&RolloutRestart, &asked(&[])).await.unwrap();
    let reconcile = async || RolloutRestart.reconcile(&bench.ctx(), &asked(&[]), &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    let applied = bench.apply(&RolloutRestart, &asked(&[])).await.unwrap();
    assert!(applied.value.get("restarted_at").unwrap().as_str().unwrap().starts_with("20"));
    assert_eq!(reconcile().await, Reconcile::Done(applied.value));

    bench.describe(&RolloutStatus, &asked(&[])).await.unwrap();
    let through = bench.apply(&RolloutStatus, &asked(&[])).await.unwrap().value;
    assert!(through.get("message").unwrap().as_str().unwrap().contains("successfully rolled out"));
    api.objects.lock().unwrap()[0].1["status"]["updatedReplicas"] = json!(1);
    let fault = bench.apply(&RolloutStatus, &asked(&[("timeout", "1s")])).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::TimedOut, "{fault}");
    assert!(fault.cause.contains("1 out of 2 new replicas"), "{fault}");

    let none = with(&api, &[("resource", "deployment"), ("name", "none")]);
    assert_eq!(bench.apply(&RolloutStatus, &none).await.unwrap_err().kind, FaultKind::Failed);
    assert!(bench.apply(&RolloutRestart, &none).await.is_err());
    let planned = RolloutRestart.describe(&bench.planning(), &none).await.unwrap();
    assert!(matches!(planned.change, Change::CannotKnow(_)));
}

/// Beforehand, so that nothing is built on what no later process has.
#[test]
fn what_is_secret_in_a_result_is_known_beforehand() {
    for (kind, secret) in [("secrets", true), ("secret", true), ("pods", false)] {
        let keys = Get.secret_results(&|arg| (arg == "resource").then(|| kind.into()));
        assert_eq!(keys.contains(&"items") && keys.contains(&"object"), secret, "{kind}");
    }
}
