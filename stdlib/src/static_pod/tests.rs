//! Against a stand-in for the runtime: one file for each running container, which `ps` lists.

use super::{list::List, start::Start, stop::Stop, *};
use crate::testing::{Bench, args, exit};
use keybook_api::{Action, Change, FaultKind, Reconcile, Value, value::map};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

const ETCD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: tos-etcd-tos\n  namespace: kube-system\nspec:\n  containers:\n  - name: etcd\n";
const EVENTS: &str = "{\"metadata\": {\"name\": \"tos-etcd-tos-events\", \"namespace\": \"kube-system\"}, \"spec\": {\"containers\": [{}]}}";

/// The manifests `tos-etcd` and `tos-etcd-events`, both running on the node `n1`.
fn setup() -> Bench {
    let bench = Bench::new();
    bench.file("live/tos-etcd.manifest", ETCD);
    bench.file("live/tos-etcd-events.json", EVENTS);
    bench.file("live/.tos-etcd.manifest.swp", "not a manifest");
    bench.file("ps", "");
    run(&bench, "aaa", "etcd", "tos-etcd-tos-n1");
    run(&bench, "bbb", "POD", "tos-etcd-tos-n1");
    run(&bench, "ccc", "etcd", "tos-etcd-tos-events-n1");
    bench
}

fn run(bench: &Bench, id: &str, container: &str, pod: &str) {
    let line = format!("{id}   image  \"cmd\"  Up 2 hours   k8s_{container}_{pod}_kube-system_0123_0\n");
    bench.file("ps", format!("{}{line}", bench.read("ps")));
}

fn end(bench: &Bench, ids: &[&str]) {
    let left: Vec<String> = bench
        .read("ps")
        .lines()
        .map(str::to_owned)
        .filter(|line| !ids.iter().any(|id| line.starts_with(id)))
        .collect();
    bench.file("ps", left.iter().map(|line| format!("{line}\n")).collect::<String>());
}

fn call(bench: &Bench, timeout: &str) -> Args {
    args([
        ("pods", vec!["tos-etcd"].into()),
        ("dir", bench.path("live").into()),
        ("ps", format!("cat {}", bench.path("ps")).into()),
        ("timeout", timeout.into()),
    ])
}

#[tokio::test]
async fn a_pod_stops_and_starts() {
    let bench = setup();
    let args = call(&bench, "30s");
    let plan = bench.describe(&Stop, &args).await.unwrap();
    assert_eq!(plan.lines[0], format!("mv {} {}", bench.path("live/tos-etcd.manifest"), bench.path("")));
    assert!(plan.lines[1].starts_with("wait up to 30s until `cat "), "{:?}", plan.lines);
    let reconcile = async || Stop.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);

    // The runtime stops the pod's containers once its manifest is gone.
    let runtime = async {
        while bench.exists("live/tos-etcd.manifest") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(reconcile().await, Reconcile::NotDone, "the containers still run");
        end(&bench, &["aaa", "bbb"]);
    };
    let (applied, ()) = tokio::join!(bench.apply(&Stop, &args), runtime);
    let stopped = applied.unwrap();
    assert!(stopped.changed && bench.exists("tos-etcd.manifest"));
    assert_eq!(
        stopped.value.get("containers"),
        Some(&vec!["aaa", "bbb"].into()),
        "not those of tos-etcd-events"
    );
    assert_eq!(reconcile().await, Reconcile::Done(stopped.value.clone()));
    assert_eq!(bench.describe(&Stop, &args).await.unwrap().change, Change::Wont);
    assert!(!bench.apply(&Stop, &args).await.unwrap().changed);

    let mut start = args.clone();
    start.0.insert("old".into(), stopped.value.get("containers").unwrap().clone());
    let plan = bench.describe(&Start, &start).await.unwrap();
    assert_eq!(plan.change, Change::Will);
    let restarted = async || Start.reconcile(&bench.ctx(), &start, &plan.memo).await.unwrap();
    assert_eq!(restarted().await, Reconcile::NotDone);
    let runtime = async {
        while !bench.exists("live/tos-etcd.manifest") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(restarted().await, Reconcile::NotDone, "nothing runs yet");
        run(&bench, "eee", "POD", "tos-etcd-tos-n1");
        run(&bench, "ddd", "etcd", "tos-etcd-tos-n1");
    };
    let (applied, ()) = tokio::join!(bench.apply(&Start, &start), runtime);
    let started = applied.unwrap();
    let containers = started.value.get("containers").and_then(Value::as_list).unwrap();
    assert_eq!((containers.len(), containers[0].get("id")), (1, Some(&"ddd".into())));
    assert_eq!(bench.describe(&Start, &start).await.unwrap().change, Change::Wont);
    assert_eq!(restarted().await, Reconcile::Done(started.value));
}

#[tokio::test]
async fn undo_moves_back_what_the_step_moved() {
    let bench = setup();
    let mut args = call(&bench, "0s");
    args.0.insert("pods".into(), vec!["tos-etcd", "tos-etcd-events"].into());
    std::fs::rename(bench.path("live/tos-etcd-events.json"), bench.path("tos-etcd-events.json")).unwrap();
    let plan = bench.describe(&Stop, &args).await.unwrap();
    end(&bench, &["aaa", "bbb", "ccc"]);
    bench.apply(&Stop, &args).await.unwrap();
    for _ in 0..2 {
        Stop.undo(&bench.ctx(), &args, &plan.memo, &Value::Null).await.unwrap();
        assert!(bench.exists("live/tos-etcd.manifest") && !bench.exists("tos-etcd.manifest"));
        assert!(bench.exists("tos-etcd-events.json"), "it was parked before the step");
        Start.undo(&bench.ctx(), &args, &plan.memo, &Value::Null).await.unwrap();
    }
}

#[tokio::test]
async fn a_pod_that_does_not_stop_or_start_is_a_fault() {
    let bench = setup();
    let fault = bench.apply(&Stop, &call(&bench, "0s")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::TimedOut);
    assert!(fault.cause.contains("still running: etcd of tos-etcd-tos-n1"), "{fault}");
    assert!(fault.now_true.unwrap().contains("the manifests are in"));
    let mut start = call(&bench, "0s");
    start.0.insert("old".into(), vec!["aaa"].into());
    let fault = bench.apply(&Start, &start).await.unwrap_err();
    assert!(fault.cause.contains("not yet running: tos-etcd"), "{fault}");
}

#[tokio::test]
async fn a_runtime_that_is_down_is_never_taken_for_no_containers() {
    let bench = setup();
    let mut args = call(&bench, "30s");
    args.0.insert("ps".into(), "echo 'Cannot connect to the Docker daemon' >&2; exit 1".into());
    for fault in [
        bench.describe(&Stop, &args).await.unwrap_err(),
        bench.apply(&Stop, &args).await.unwrap_err(),
        bench.apply(&Start, &args).await.unwrap_err(),
        bench
            .apply(&List, &crate::testing::args([("dir", bench.path("live").into()), ("ps", "false".into())]))
            .await
            .unwrap_err(),
    ] {
        assert!(fault.attempted.starts_with("list the containers"), "{fault}");
    }
    assert!(bench.exists("live/tos-etcd.manifest"), "nothing was moved");

    // It goes down while waiting.
    let calls = Arc::new(AtomicUsize::new(0));
    bench.answer(move |_| {
        let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        let line = "aaa x k8s_etcd_tos-etcd-tos-n1_kube-system_0123_0\n";
        Some(Ok(if first { exit(0, line, "") } else { exit(1, "", "down") }))
    });
    let fault = bench.apply(&Stop, &call(&bench, "30s")).await.unwrap_err();
    assert!(fault.cause.contains("status 1: down"), "{fault}");
}

#[tokio::test]
async fn manifests_in_the_wrong_places_are_refused() {
    let bench = setup();
    bench.file("tos-etcd.manifest", "another");
    let args = call(&bench, "0s");
    for action in [&Stop as &dyn Action, &Start] {
        assert!(bench.describe(action, &args).await.unwrap_err().cause.ends_with("exists, too"));
        assert!(bench.apply(action, &args).await.is_err());
        let became = action.reconcile(&bench.ctx(), &args, &Value::Null).await.unwrap();
        assert!(matches!(became, Reconcile::Unknown(_)));
    }
    assert_eq!(bench.read("live/tos-etcd.manifest"), ETCD);
    for (name, value, message) in [
        ("pods", vec!["tos-apiserver"].into(), "it is neither in"),
        ("pods", Value::List(vec![]), "the list is empty"),
        ("pods", vec!["../x"].into(), "is not the name of a manifest"),
        ("pods", vec!["tos-etcd-events", "tos-etcd-events"].into(), "stands there twice"),
        ("to", bench.path("live").into(), "is in the manifest directory"),
        ("to", bench.path("live/parked").into(), "is in the manifest directory"),
        ("to", bench.path("none").into(), ""),
        ("dir", bench.path("none").into(), ""),
    ] {
        let mut args = args.clone();
        args.0.insert(name.into(), value);
        let fault = bench.describe(&Stop, &args).await.unwrap_err();
        assert!(fault.cause.contains(message), "{name}: {fault}");
    }
    let mut gone = args;
    gone.0.insert("pods".into(), vec!["tos-apiserver"].into());
    assert!(matches!(
        Stop.reconcile(&bench.ctx(), &gone, &Value::Null).await.unwrap(),
        Reconcile::Unknown(_)
    ));
}

#[tokio::test]
async fn a_name_may_be_exact_when_it_is_not_the_only_one() {
    let bench = setup();
    bench.file("live/tos-etcd.yaml", ETCD);
    let mut args = call(&bench, "0s");
    let fault = bench.describe(&Stop, &args).await.unwrap_err();
    assert!(fault.cause.contains("both have this name"), "{fault}");
    args.0.insert("pods".into(), vec!["tos-etcd.manifest"].into());
    assert!(bench.describe(&Stop, &args).await.unwrap().lines[0].contains("tos-etcd.manifest"));
}

#[tokio::test]
async fn a_pod_may_be_named_otherwise() {
    let bench = setup();
    bench.file("live/odd", "{{ a template }}");
    run(&bench, "fff", "x", "quite-other-n1");
    let mut args = call(&bench, "0s");
    args.0.insert("pods".into(), vec!["odd"].into());
    args.0.insert("match".into(), Value::Map(map([("odd", "quite-other".into())])));
    let fault = bench.apply(&Stop, &args).await.unwrap_err();
    assert!(fault.cause.contains("x of quite-other-n1"), "{fault}");
}

#[tokio::test]
async fn pods_are_listed() {
    let bench = setup();
    end(&bench, &["ccc"]);
    let args = args([("dir", bench.path("live").into()), ("ps", format!("cat {}", bench.path("ps")).into())]);
    bench.describe(&List, &args).await.unwrap();
    let value = bench.apply(&List, &args).await.unwrap().value;
    let pods = value.get("pods").and_then(Value::as_list).unwrap();
    let shown: Vec<String> = pods
        .iter()
        .map(|pod| {
            format!(
                "{} {} {}",
                pod.get("name").unwrap(),
                pod.get("running").unwrap(),
                pod.get("containers").unwrap()
            )
        })
        .collect();
    assert_eq!(shown, ["tos-etcd-events false []", "tos-etcd true [\"aaa\"]"]);
}
