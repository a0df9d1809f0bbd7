//! Changes of objects, and how they are told and taken back.

use super::*;
use crate::{
    kube::{apply::Apply, config_map_put::ConfigMapPut, delete::Delete, patch::Patch, secret_put::SecretPut},
    testing::Reply,
};
use keybook_api::{Change, Ctx, FaultKind, Reconcile, Secret, value::map};
use serde_json::{Value as Json, json};

fn value(json: Json) -> Value {
    Value::from_json(&json)
}

/// Plans, reconciles to "not done", applies as planned, reconciles to "done"; gives the plan's memo and the result.
async fn whole(bench: &Bench, action: &dyn Action, args: &Args) -> (Value, Value) {
    let plan = bench.describe(action, args).await.unwrap();
    assert_eq!(plan.change, Change::Will, "{plan:?}");
    let reconcile = async || action.reconcile(&bench.ctx(), args, &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    let ctx = Ctx { planned: plan.memo.clone(), ..bench.ctx() };
    let applied = action.apply(&ctx, args).await.unwrap();
    assert!(applied.changed);
    crate::testing::check_result(action, &applied.value);
    let Reconcile::Done(found) = reconcile().await else { panic!("not done") };
    crate::testing::check_result(action, &found);
    assert_eq!(bench.describe(action, args).await.unwrap().change, Change::Wont);
    assert!(!bench.apply(action, args).await.unwrap().changed);
    (plan.memo, applied.value)
}

#[tokio::test]
async fn a_patch_is_rehearsed_carried_out_and_taken_back() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let spec = json!({"spec": {"replicas": 1, "paused": true, "template": {"spec": {"containers": [1]}}}});
    api.add("deployments", "web", "u1", spec.clone());
    let patch =
        json!({"spec": {"replicas": 3, "paused": null, "template": {"spec": {"containers": [1, 2]}}}});
    let asked =
        with(&api, [("resource", "deployments".into()), ("name", "web".into()), ("patch", value(patch))]);
    let plan = bench.describe(&Patch, &asked).await.unwrap();
    assert_eq!(
        plan.lines,
        ["change deployments/web in n: spec.replicas, spec.paused, spec.template.spec.containers"]
    );
    assert!(plan.diffs[0].after.as_ref().unwrap().contains("replicas: 3"));
    assert_eq!(api.object("web")["spec"], spec["spec"], "a plan changes nothing");
    let (memo, result) = whole(&bench, &Patch, &asked).await;
    assert_eq!(api.object("web")["spec"]["replicas"], 3);
    for _ in 0..2 {
        Patch.undo(&bench.ctx(), &asked, &memo, &result).await.unwrap();
        assert_eq!(api.object("web")["spec"], spec["spec"]);
    }
}

#[tokio::test]
async fn what_others_changed_is_neither_planned_over_nor_taken_back() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("deployments", "web", "u1", json!({"spec": {"replicas": 1, "other": 1}}));
    let operations = value(json!([{"op": "replace", "path": "/spec/replicas", "value": 3}]));
    let asked = with(
        &api,
        [
            ("resource", "deployments".into()),
            ("name", "web".into()),
            ("type", "json".into()),
            ("patch", operations),
        ],
    );
    let plan = bench.describe(&Patch, &asked).await.unwrap();
    let set = |replicas: i64| api.objects.lock().unwrap()[0].1["spec"]["replicas"] = json!(replicas);
    let ctx = || Ctx { planned: plan.memo.clone(), ..bench.ctx() };
    set(2);
    let fault = Patch.apply(&ctx(), &asked).await.unwrap_err();
    assert!(fault.cause.contains("is not what it was when this was planned"), "{fault}");
    assert!(matches!(Patch.reconcile(&ctx(), &asked, &plan.memo).await.unwrap(), Reconcile::Unknown(_)));
    assert!(Patch.undo(&ctx(), &asked, &plan.memo, &Value::Null).await.is_err());
    set(1);
    // What other fields become is nobody's business.
    api.objects.lock().unwrap()[0].1["spec"]["other"] = json!(2);
    let applied = Patch.apply(&ctx(), &asked).await.unwrap();
    set(5);
    let fault = Patch.undo(&ctx(), &asked, &plan.memo, &applied.value).await.unwrap_err();
    assert!(fault.cause.contains("spec.replicas was changed since"), "{fault}");
    assert_eq!(api.object("web")["spec"]["replicas"], 5);
    // Another object of the same name.
    api.objects.lock().unwrap()[0].1["metadata"]["uid"] = json!("u2");
    assert!(
        Patch
            .undo(&ctx(), &asked, &plan.memo, &applied.value)
            .await
            .unwrap_err()
            .cause
            .contains("another one")
    );
    api.objects.lock().unwrap().clear();
    assert!(matches!(Patch.reconcile(&ctx(), &asked, &plan.memo).await.unwrap(), Reconcile::Unknown(_)));
}

#[tokio::test]
async fn patches_that_cannot_be_are_refused() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("configmaps", "c", "u1", json!({"data": {}}));
    let asked = |resource: &str, kind: &str, patch: Json| {
        with(
            &api,
            [
                ("resource", resource.into()),
                ("name", "c".into()),
                ("type", kind.into()),
                ("patch", value(patch)),
            ],
        )
    };
    for (resource, kind, patch, cause) in [
        ("configmaps", "merge", json!([]), "a map is needed"),
        ("configmaps", "json", json!({}), "a map is needed"),
        ("secrets", "merge", json!({"data": {}}), "plan and journal would show"),
        ("configmaps", "merge", json!({"data": {"k": "-----BEGIN EC PRIVATE KEY-----"}}), "private key"),
    ] {
        let fault = bench.describe(&Patch, &asked(resource, kind, patch)).await.unwrap_err();
        assert!(fault.cause.contains(cause), "{fault}");
    }
    // A key that is there and stays is not shown, either.
    api.objects.lock().unwrap()[0].1["data"]["k"] = json!("-----BEGIN EC PRIVATE KEY-----\nhunter2");
    let beside =
        bench.describe(&Patch, &asked("configmaps", "merge", json!({"data": {"a": "b"}}))).await.unwrap();
    assert!(beside.diffs[0].described && !format!("{beside:?}").contains("hunter2"), "{beside:?}");
    let mut secret = asked("configmaps", "merge", json!({}));
    secret.0.insert("patch".to_owned(), Value::Map(map([("x", Value::Secret(Secret::new("hunter2")))])));
    assert_eq!(bench.describe(&Patch, &secret).await.unwrap_err().kind, FaultKind::Usage);
    // In a plan it may come to be; in a run it is a fault.
    let none = asked("deployments", "merge", json!({"spec": {}}));
    assert!(matches!(Patch.describe(&bench.planning(), &none).await.unwrap().change, Change::CannotKnow(_)));
    assert!(
        bench.describe(&Patch, &none).await.unwrap_err().cause.contains("there is no deployments/c in n")
    );
    api.instead(|asked| {
        let status =
            json!({"kind": "Status", "reason": "BadRequest", "message": "webhook does not support dry run"});
        asked.url.contains("dryRun").then(|| Reply::Json("400 Bad Request", status))
    });
    let fault =
        bench.describe(&Patch, &asked("configmaps", "merge", json!({"data": {"a": "b"}}))).await.unwrap_err();
    assert!(fault.hints[0].contains("webhook"), "{fault:?}");
}

#[tokio::test]
async fn manifests_are_applied_by_the_server() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let manifest =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    let asked = with(&api, [("manifest", value(manifest.clone())), ("force", true.into())]);
    let (memo, result) = whole(&bench, &Apply, &asked).await;
    assert_eq!(result.get("created"), Some(&true.into()));
    let sent = api.asked().into_iter().rfind(|asked| asked.method == "PATCH").unwrap();
    assert!(sent.head.contains("application/apply-patch+yaml"), "{}", sent.head);
    assert!(sent.url.contains("/namespaces/n/configmaps/c?fieldManager=keybook&force=true"), "{}", sent.url);
    // Another one of that name is not what was made.
    let other = Value::Map(map([("uid", "u9".into())]));
    assert!(Apply.undo(&bench.ctx(), &asked, &memo, &other).await.is_err());
    for _ in 0..2 {
        Apply.undo(&bench.ctx(), &asked, &memo, &result).await.unwrap();
        assert!(!api.has("c"));
    }
    api.instead(|asked| {
        let status = json!({"kind": "Status", "reason": "Conflict", "message": "conflict with \"kubectl\"",
            "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".data.a"}]}});
        (asked.method == "PATCH").then(|| Reply::Json("409 Conflict", status))
    });
    let polite = with(&api, [("manifest", value(manifest.clone()))]);
    let fault = bench.describe(&Apply, &polite).await.unwrap_err();
    assert!(fault.cause.contains("conflict with") && fault.hints[0].contains("force"), "{fault:?}");
    for field in ["apiVersion", "kind", "metadata"] {
        let mut wrong = manifest.clone();
        wrong.as_object_mut().unwrap().remove(field);
        assert_eq!(
            bench.describe(&Apply, &with(&api, [("manifest", value(wrong))])).await.unwrap_err().kind,
            FaultKind::Usage
        );
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
    assert!(
        bench.describe(&Apply, &with(&api, [("manifest", value(secret))])).await.unwrap_err().hints[0]
            .contains("secret_put")
    );
}

#[tokio::test]
async fn keys_of_config_maps_are_put_and_the_others_stay() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let put = |data: Json| with(&api, [("name", "c".into()), ("data", value(data))]);
    let first = put(json!({"a": "1", "gone": null}));
    let (memo, result) = whole(&bench, &ConfigMapPut, &first).await;
    assert_eq!(api.object("c")["data"], json!({"a": "1"}));
    let second = put(json!({"b": "2", "a": null}));
    let (later, changed) = whole(&bench, &ConfigMapPut, &second).await;
    assert_eq!(api.object("c")["data"], json!({"b": "2"}));
    ConfigMapPut.undo(&bench.ctx(), &second, &later, &changed).await.unwrap();
    assert_eq!(api.object("c")["data"], json!({"a": "1"}));
    ConfigMapPut.undo(&bench.ctx(), &first, &memo, &result).await.unwrap();
    assert!(!api.has("c"));
    assert!(
        bench.describe(&ConfigMapPut, &put(json!({"n": 1}))).await.unwrap_err().cause.contains("is no text")
    );
}

#[tokio::test]
async fn secrets_are_put_and_never_shown() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let put = |value: Value| with(&api, [("name", "s".into()), ("data", Value::Map(map([("k", value)])))]);
    let first = put(Value::Secret(Secret::new("hunter2")));
    let (memo, result) = whole(&bench, &SecretPut, &first).await;
    assert_eq!(api.object("s")["data"], json!({"k": "aHVudGVyMg=="}));
    api.objects.lock().unwrap()[0].1["data"]["other"] = json!("b3RoZXI=");
    let second = put("hunter3".into());
    let plan = bench.describe(&SecretPut, &second).await.unwrap();
    let (later, changed) = whole(&bench, &SecretPut, &second).await;
    for told in [format!("{plan:?}"), format!("{memo:?}{result:?}{later:?}{changed:?}")] {
        for secret in ["hunter", "aHVudGVy"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
    let kept = later.get("kept").unwrap().as_str().unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(kept).unwrap().permissions()) & 0o777,
        0o600
    );
    // What somebody else wrote stays, until it is as this step left it.
    let theirs = |value: &str| api.objects.lock().unwrap()[0].1["data"]["k"] = json!(value);
    theirs("dGhlaXJz");
    assert!(matches!(
        SecretPut.reconcile(&bench.ctx(), &second, &later).await.unwrap(),
        Reconcile::Unknown(_)
    ));
    assert!(
        SecretPut
            .undo(&bench.ctx(), &second, &later, &changed)
            .await
            .unwrap_err()
            .cause
            .contains("someone else")
    );
    let fault = SecretPut.apply(&Ctx { planned: later.clone(), ..bench.ctx() }, &second).await.unwrap_err();
    assert!(fault.cause.contains("when this was planned"), "{fault}");
    theirs("aHVudGVyMw==");
    for _ in 0..2 {
        SecretPut.undo(&bench.ctx(), &second, &later, &changed).await.unwrap();
        assert_eq!(api.object("s")["data"], json!({"k": "aHVudGVyMg==", "other": "b3RoZXI="}));
    }
    let away = put(Value::Null);
    let (memo_away, result_away) = whole(&bench, &SecretPut, &away).await;
    assert_eq!(api.object("s")["data"], json!({"other": "b3RoZXI="}));
    SecretPut.undo(&bench.ctx(), &away, &memo_away, &result_away).await.unwrap();
    let fault = SecretPut.undo(&bench.ctx(), &first, &memo, &result).await.unwrap_err();
    assert!(fault.cause.contains("someone else changed it since"), "{fault}");
    api.objects.lock().unwrap()[0].1["data"].as_object_mut().unwrap().remove("other");
    SecretPut.undo(&bench.ctx(), &first, &memo, &result).await.unwrap();
    assert!(!api.has("s"));
    assert!(
        bench
            .describe(&SecretPut, &put(Value::Int(1)))
            .await
            .unwrap_err()
            .cause
            .contains("neither text nor secret")
    );
}

#[tokio::test]
async fn only_what_was_planned_is_deleted() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    for (name, uid) in [("a", "u1"), ("b", "u2")] {
        api.add("pods", name, uid, json!({}));
    }
    api.add("pods", "other", "u3", json!({"metadata": {"labels": {"app": "y"}}}));
    let asked =
        with(&api, [("resource", "pods".into()), ("selector", "app=x".into()), ("timeout", "10s".into())]);
    let plan = bench.describe(&Delete, &asked).await.unwrap();
    assert_eq!(plan.lines, ["delete pods/a in n (uid u1)", "delete pods/b in n (uid u2)"]);
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
    let gone = with(&api, [("resource", "pods".into()), ("name", "a".into())]);
    assert_eq!(bench.describe(&Delete, &gone).await.unwrap().change, Change::Wont);
    assert!(!bench.apply(&Delete, &gone).await.unwrap().changed);
    let another = with(&api, [("resource", "pods".into()), ("name", "other".into()), ("uid", "u9".into())]);
    assert!(!bench.apply(&Delete, &another).await.unwrap().changed && api.has("other"));
    for wrong in [
        with(&api, [("resource", "pods".into())]),
        with(&api, [("resource", "pods".into()), ("selector", " ".into())]),
        with(&api, [("resource", "pods".into()), ("name", "a".into()), ("selector", "app=x".into())]),
        with(&api, [("resource", "pods".into()), ("selector", "app=x".into()), ("uid", "u".into())]),
    ] {
        assert_eq!(bench.describe(&Delete, &wrong).await.unwrap_err().kind, FaultKind::Usage);
    }
}

#[tokio::test]
async fn finalizers_that_hold_an_object_are_named() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("pods", "stuck", "u1", json!({"metadata": {"finalizers": ["example.com/guard"]}}));
    let asked = |extra: (&str, Value)| {
        with(&api, [("resource", "pods".into()), ("name", "stuck".into()), ("grace", "0s".into()), extra])
    };
    let fault = bench.apply(&Delete, &asked(("timeout", "50ms".into()))).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::TimedOut);
    assert!(fault.cause.contains("stuck waits for its finalizers example.com/guard"), "{fault}");
    assert!(bench.apply(&Delete, &asked(("wait", false.into()))).await.unwrap().changed);
    let sent = api.asked().into_iter().rfind(|asked| asked.method == "DELETE").unwrap();
    assert_eq!(
        (&sent.body["gracePeriodSeconds"], &sent.body["preconditions"]["uid"]),
        (&json!(0), &json!("u1"))
    );
}
