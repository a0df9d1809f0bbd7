//! Others at work at the same time, and servers that fail in the middle.

use super::*;
use crate::{
    kube::{apply::Apply, config_map_put::ConfigMapPut, patch::Patch, secret_put::SecretPut},
    testing::Reply,
};
use keybook_api::{Ctx, FaultKind, Reconcile, Secret, value::map};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

fn value(json: Json) -> Value {
    Value::from_json(&json)
}

/// Changes a field of the first object just before the first real change that the server is asked for.
fn meddle(api: &ApiStandIn, field: &'static str, new: Json) -> Arc<AtomicUsize> {
    let (objects, count) = (api.objects.clone(), Arc::new(AtomicUsize::new(0)));
    let seen = count.clone();
    api.instead(move |asked| {
        let real = asked.method == "PATCH" && !asked.url.contains("dryRun");
        if real && seen.fetch_add(1, SeqCst) == 0 {
            let object = &mut objects.lock().unwrap()[0].1;
            object["data"][field] = new.clone();
            object["metadata"]["resourceVersion"] = json!("77");
        }
        None
    });
    count
}

/// Plans, then carries it out as planned.
async fn planned(bench: &Bench, action: &dyn Action, args: &Args) -> (Value, Result<Value, Fault>) {
    let plan = bench.describe(action, args).await.unwrap();
    let ctx = Ctx { planned: plan.memo.clone(), ..bench.ctx() };
    let applied = action.apply(&ctx, args).await;
    (plan.memo, applied.map(|applied| applied.value))
}

#[tokio::test]
async fn a_change_in_between_is_seen_by_the_server_itself() {
    for (kind, patch) in [
        ("merge", json!({"data": {"a": "2"}})),
        ("json", json!([{"op": "replace", "path": "/data/a", "value": "2"}])),
    ] {
        let bench = Bench::new();
        let api = ApiStandIn::start(&bench).await;
        api.add("configmaps", "c", "u1", json!({"data": {"a": "1"}}));
        let pairs = [
            ("resource", "configmaps".into()),
            ("name", "c".into()),
            ("type", kind.into()),
            ("patch", value(patch)),
        ];
        let asked = with(&api, pairs);
        // Of another field: it is rehearsed again, and done.
        let count = meddle(&api, "other", json!("x"));
        planned(&bench, &Patch, &asked).await.1.unwrap();
        assert_eq!(api.object("c")["data"], json!({"a": "2", "other": "x"}));
        assert_eq!(count.load(SeqCst), 2);
        // Of the field itself: nothing is written over it.
        api.objects.lock().unwrap()[0].1["data"]["a"] = json!("1");
        meddle(&api, "a", json!("theirs"));
        let fault = planned(&bench, &Patch, &asked).await.1.unwrap_err();
        assert!(fault.cause.contains("is not what it was when this was planned"), "{fault}");
        assert_eq!(api.object("c")["data"]["a"], "theirs");
    }
}

#[tokio::test]
async fn a_secret_that_is_changed_in_between_is_not_written_over() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("secrets", "s", "u1", json!({"data": {"k": "b2xk"}}));
    let asked = with(&api, [("name", "s".into()), ("data", Value::Map(map([("k", "new".into())])))]);
    meddle(&api, "k", json!("dGhlaXJz"));
    let fault = planned(&bench, &SecretPut, &asked).await.1.unwrap_err();
    assert!(fault.cause.contains("when this was planned"), "{fault}");
    assert_eq!(api.object("s")["data"]["k"], "dGhlaXJz");
}

#[tokio::test]
async fn what_was_made_is_deleted_only_as_it_was_made() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let manifest =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    let apply = with(&api, [("manifest", value(manifest))]);
    let put = with(&api, [("name", "c".into()), ("data", value(json!({"a": "1"})))]);
    let secret = with(&api, [("name", "c".into()), ("data", value(json!({"a": "1"})))]);
    let cases: [(&dyn Action, &Args); 3] = [(&Apply, &apply), (&ConfigMapPut, &put), (&SecretPut, &secret)];
    for (action, asked) in cases {
        let (memo, done) = planned(&bench, action, asked).await;
        let done = done.unwrap();
        let undo = async |done: &Value| action.undo(&bench.ctx(), asked, &memo, done).await;
        let set = |key: &str, value: Json| api.objects.lock().unwrap()[0].1["data"][key] = value;
        set("theirs", json!("eA=="));
        let fault = undo(&done).await.unwrap_err();
        assert!(fault.cause.contains("someone else changed it since"), "{fault}");
        // After a crash, the server's own notes tell whether somebody else has set anything of it.
        let managed = |names: &[&str]| {
            let all: Vec<Json> =
                names.iter().map(|name| json!({"manager": name, "fieldsV1": {"f:data": {}}})).collect();
            api.objects.lock().unwrap()[0].1["metadata"]["managedFields"] = all.into();
        };
        managed(&["keybook", "kubectl"]);
        let Reconcile::Done(found) = action.reconcile(&bench.ctx(), asked, &memo).await.unwrap() else {
            panic!("not found")
        };
        crate::testing::check_result(action, &found);
        assert!(undo(&found).await.unwrap_err().cause.contains("nobody can tell whether it still is"));
        assert!(undo(&Value::Null).await.unwrap_err().cause.contains("nobody can tell"));
        api.objects.lock().unwrap()[0].1["data"].as_object_mut().unwrap().remove("theirs");
        managed(&["keybook"]);
        let Reconcile::Done(found) = action.reconcile(&bench.ctx(), asked, &memo).await.unwrap() else {
            panic!("not found")
        };
        assert_eq!(found.get("made"), done.get("made"));
        undo(&found).await.unwrap();
        assert!(!api.has("c"));
    }
}

/// The server says 200, not 201: it was there.
#[tokio::test]
async fn an_object_that_somebody_makes_in_between_is_told() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let manifest =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    let asked = with(&api, [("manifest", value(manifest))]);
    let objects = api.objects.clone();
    api.instead(move |asked| {
        if asked.method == "PATCH" && !asked.url.contains("dryRun") {
            let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"b": "2"},
                "metadata": {"name": "c", "uid": "u7", "resourceVersion": "1"}});
            objects.lock().unwrap().push(("/api/v1/namespaces/n/configmaps/c".to_owned(), theirs));
        }
        None
    });
    let (memo, applied) = planned(&bench, &Apply, &asked).await;
    let fault = applied.unwrap_err();
    assert!(fault.cause.contains("somebody else made it"), "{fault}");
    assert!(Apply.undo(&bench.ctx(), &asked, &memo, &Value::Null).await.is_err() && api.has("c"));
}

#[tokio::test]
async fn a_server_that_fails_in_the_middle_leaves_it_unknown() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("configmaps", "c", "u1", json!({"data": {"a": "1"}}));
    let asked = with(&api, [("name", "c".into()), ("data", value(json!({"a": "2"})))]);
    let refuse = |rehearsals: bool| {
        api.instead(move |asked| {
            let hit = asked.method == "PATCH" && asked.url.contains("dryRun") == rehearsals;
            hit.then(|| Reply::Text("500 Internal Server Error", "etcdserver: request timed out".to_owned()))
        });
    };
    refuse(false);
    let fault = planned(&bench, &ConfigMapPut, &asked).await.1.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unknown);
    assert_eq!(fault.now_true.as_deref(), Some("what was asked for may or may not have happened"));
    // A rehearsal changes nothing, however it ends.
    refuse(true);
    let fault = bench.describe(&ConfigMapPut, &asked).await.unwrap_err();
    assert_eq!((fault.kind, fault.now_true.as_deref()), (FaultKind::Failed, Some("the object is as it was")));
}

/// A password is short: by a plain digest anybody could find it by trying.
#[tokio::test]
async fn hashes_of_secrets_cannot_be_guessed() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let data = Value::Map(map([("k", Value::Secret(Secret::new("hunter2")))]));
    let asked = with(&api, [("name", "s".into()), ("data", data)]);
    let plan = bench.describe(&SecretPut, &asked).await.unwrap();
    let (memo, done) = planned(&bench, &SecretPut, &asked).await;
    let plain: String = Sha256::digest("hunter2").iter().map(|byte| format!("{byte:02x}")).collect();
    let told = format!("{plan:?} {memo:?} {done:?}");
    assert!(!told.contains(&plain[..12]), "{told}");
    assert!(told.contains(&Secret::new("hunter2").keyed_hash("salt")), "{told}");
}
