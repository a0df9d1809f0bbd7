//! Waiting by watches that end, break off and grow old.

use super::*;
use crate::{
    kube::{delete::Delete, wait::Wait},
    testing::Reply,
};
use keybook_api::FaultKind;
use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicUsize, Ordering};

fn node(name: &str, ready: &str) -> Json {
    json!({"metadata": {"name": name, "uid": name, "resourceVersion": "5"},
        "status": {"conditions": [{"type": "Ready", "status": ready, "message": "kubelet is late"}]}})
}

fn event(kind: &str, object: Json) -> Json {
    json!({"type": kind, "object": object})
}

fn list(items: Vec<Json>) -> Reply {
    Reply::Json("200 OK", json!({"items": items, "metadata": {"resourceVersion": "4"}}))
}

fn ready(api: &ApiStandIn, timeout: &str) -> Args {
    with(
        api,
        [
            ("resource", "nodes".into()),
            ("selector", "role=master".into()),
            ("condition", "Ready".into()),
            ("timeout", timeout.into()),
        ],
    )
}

#[tokio::test]
async fn a_watch_tells_when_it_is_so() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.instead(|asked| match (asked.url.starts_with("/api/v1/nodes"), asked.url.contains("watch=true")) {
        (true, true) => {
            assert!(asked.url.contains("resourceVersion=4&"), "{}", asked.url);
            let events = [event("ADDED", node("b", "True")), event("MODIFIED", node("a", "True"))];
            Some(Reply::Lines(events.to_vec(), false))
        }
        (true, false) => Some(list(vec![node("a", "False")])),
        _ => None,
    });
    let seen = read(&bench, &Wait, &ready(&api, "30s")).await.unwrap();
    assert_eq!(seen.get("names"), Some(&vec!["a", "b"].into()));
    assert!(bench.told.progress.lock().unwrap()[0].contains("a is Ready=False (kubelet is late)"));
}

#[tokio::test]
async fn a_watch_that_is_gone_or_breaks_off_is_begun_again() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let (lists, watches) = (AtomicUsize::new(0), AtomicUsize::new(0));
    api.instead(move |asked| match (asked.url.starts_with("/api/v1/nodes"), asked.url.contains("watch=true")) {
        (true, true) => {
            let gone = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired",
                "code": 410, "message": "too old resource version"});
            let changed = event("MODIFIED", node("a", "Unknown"));
            Some(match watches.fetch_add(1, Ordering::SeqCst) {
                0 => Reply::Lines(vec![changed.clone(), event("ERROR", gone)], false),
                1 => Reply::Lines(vec![changed], true),
                _ => Reply::Lines(vec![event("DELETED", node("a", "Unknown"))], false),
            })
        }
        (true, false) => Some(match lists.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => list(vec![node("a", "False")]),
            // The API server is away for a moment, too.
            2 => Reply::Json("503 Service Unavailable", json!({"kind": "Status", "reason": "ServiceUnavailable"})),
            _ => list(vec![node("a", "False")]),
        }),
        _ => None,
    });
    let gone = with(
        &api,
        [
            ("resource", "nodes".into()),
            ("name", "a".into()),
            ("gone", true.into()),
            ("timeout", "60s".into()),
        ],
    );
    let seen = read(&bench, &Wait, &gone).await.unwrap();
    assert_eq!(seen.get("names").unwrap().as_list().unwrap().len(), 0);
    let watched = api.asked().iter().filter(|asked| asked.url.contains("watch=true")).count();
    assert_eq!(watched, 3);
    assert!(api.asked().iter().any(|asked| asked.url.contains("fieldSelector=metadata.name%3Da")));
}

#[tokio::test]
async fn without_watches_it_looks_again_and_the_time_ends_it() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let lists = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = lists.clone();
    api.instead(move |asked| {
        match (asked.url.starts_with("/api/v1/nodes"), asked.url.contains("watch=true")) {
            (true, true) => {
                Some(Reply::Json("403 Forbidden", json!({"kind": "Status", "reason": "Forbidden"})))
            }
            (true, false) => {
                let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
                Some(list(vec![node("a", if first { "False" } else { "True" })]))
            }
            _ => None,
        }
    });
    read(&bench, &Wait, &ready(&api, "30s")).await.unwrap();
    assert_eq!(lists.load(Ordering::SeqCst), 2);
    api.instead(|asked| match (asked.url.starts_with("/api/v1/nodes"), asked.url.contains("watch=true")) {
        (true, true) => Some(Reply::Hang),
        (true, false) => Some(list(vec![node("a", "False")])),
        _ => None,
    });
    let fault = bench.apply(&Wait, &ready(&api, "300ms")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::TimedOut);
    assert_eq!(fault.cause, "not so after 300ms: a is Ready=False (kubelet is late)");
    api.instead(|_| Some(Reply::Json("403 Forbidden", json!({"kind": "Status"}))));
    let pods = with(&api, [("resource", "pods".into()), ("name", "a".into()), ("condition", "Ready".into())]);
    assert!(bench.apply(&Wait, &pods).await.unwrap_err().cause.contains("403"));
    for wrong in [
        with(&api, [("resource", "pods".into()), ("name", "a".into())]),
        with(&api, [("resource", "pods".into()), ("condition", "Ready".into())]),
        with(
            &api,
            [
                ("resource", "pods".into()),
                ("name", "a".into()),
                ("condition", "Ready".into()),
                ("gone", true.into()),
            ],
        ),
    ] {
        assert_eq!(bench.describe(&Wait, &wrong).await.unwrap_err().kind, FaultKind::Usage);
    }
}

#[tokio::test]
async fn a_stop_ends_a_watch() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let cancel = bench.cancel.clone();
    api.instead(move |asked| {
        if asked.url.contains("watch=true") {
            cancel.cancel();
            return Some(Reply::Hang);
        }
        asked.url.starts_with("/api/v1/nodes").then(|| list(vec![node("a", "False")]))
    });
    assert_eq!(bench.apply(&Wait, &ready(&api, "1h")).await.unwrap_err().kind, FaultKind::Stopped);
}

/// From the first request on: even what a kind is cannot be asked yet.
#[tokio::test]
async fn a_server_that_is_away_at_the_beginning_is_waited_for() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let asked = AtomicUsize::new(0);
    api.instead(move |one| match (asked.fetch_add(1, Ordering::SeqCst), one.url.as_str()) {
        (0, _) => Some(Reply::Text("503 Service Unavailable", "starting".to_owned())),
        (_, url) if url.starts_with("/api/v1/nodes") => Some(list(vec![node("a", "True")])),
        _ => None,
    });
    let seen = read(&bench, &Wait, &ready(&api, "30s")).await.unwrap();
    assert_eq!(seen.get("names"), Some(&vec!["a"].into()));
    assert!(bench.told.progress.lock().unwrap()[0].contains("503"));
}

#[tokio::test]
async fn a_server_that_is_away_while_objects_go_is_waited_for() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("pods", "a", "u1", json!({}));
    let after = AtomicUsize::new(0);
    api.instead(move |one| {
        let deleted = one.method == "DELETE" || after.load(Ordering::SeqCst) > 0;
        let count = if deleted { after.fetch_add(1, Ordering::SeqCst) } else { 0 };
        (deleted && count == 1).then(|| Reply::Text("503 Service Unavailable", "starting".to_owned()))
    });
    let asked = with(&api, [("resource", "pods".into()), ("name", "a".into()), ("timeout", "30s".into())]);
    assert!(bench.apply(&Delete, &asked).await.unwrap().changed && !api.has("a"));
}
