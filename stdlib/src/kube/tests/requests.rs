//! Certificate signing requests.

use super::*;
use crate::kube::{csr_approve::CsrApprove, csr_list::CsrList};
use base64::{Engine, engine::general_purpose::STANDARD};
use keybook_api::{Change, Reconcile};
use keybook_pki::{CertificateRequest, KeyKind, PrivateKey, Subject};
use serde_json::{Value as Json, json};

const SERVING: &str = "kubernetes.io/kubelet-serving";

pub(super) fn request(subject: &[(&str, &str)], sans: &[&str]) -> Json {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let subject = subject.iter().map(|(kind, value)| ((*kind).to_owned(), (*value).to_owned())).collect();
    let sans: Vec<_> = sans.iter().map(|san| san.parse().unwrap()).collect();
    let request = CertificateRequest::new(&Subject::Attributes(subject), &sans, &key).unwrap();
    json!(STANDARD.encode(request.to_pem()))
}

/// A node asks for what it serves, everybody else for a client certificate.
fn add(api: &ApiStandIn, name: &str, username: &str, subject: &[(&str, &str)], sans: &[&str]) {
    let (signer, usage) = match username.split_once(':') {
        Some(("system", rest)) if rest.starts_with("node:") => (SERVING, "server auth"),
        Some(_) => ("kubernetes.io/kube-apiserver-client-kubelet", "client auth"),
        None => ("kubernetes.io/kube-apiserver-client", "client auth"),
    };
    let spec = json!({"request": request(subject, sans), "signerName": signer, "username": username,
        "usages": ["digital signature", usage]});
    api.add("certificatesigningrequests", name, name, json!({"spec": spec}));
}

const N1: &[(&str, &str)] = &[("O", "system:nodes"), ("CN", "system:node:n1")];

#[tokio::test]
async fn requests_are_listed_with_what_is_in_them() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    add(&api, "one", "system:node:n1", N1, &["DNS:n1", "IP:10.0.0.1"]);
    api.add(
        "certificatesigningrequests",
        "odd",
        "u2",
        json!({"spec": {"request": "eA==", "username": "x"},
        "status": {"conditions": [{"type": "Approved"}, {"type": "Denied"}], "certificate": "x"}}),
    );
    let all = read(&bench, &CsrList, &with(&api, [])).await.unwrap();
    let items = all.get("items").unwrap().as_list().unwrap();
    let text = |at: usize, key: &str| items[at].get(key).unwrap().to_string();
    assert_eq!(text(0, "subject"), "CN=system:node:n1,O=system:nodes");
    assert_eq!(text(0, "sans"), "[\"DNS:n1\",\"IP:10.0.0.1\"]");
    assert_eq!((text(0, "condition"), text(0, "issued")), ("Pending".to_owned(), "false".to_owned()));
    assert_eq!((text(1, "condition"), text(1, "issued")), ("Denied".to_owned(), "true".to_owned()));
    assert!(text(1, "error").contains("no certificate request"), "{all}");
    for filter in [("pending", true.into()), ("signer", SERVING.into())] {
        assert_eq!(
            read(&bench, &CsrList, &with(&api, [filter])).await.unwrap().get("total"),
            Some(&Value::Int(1))
        );
    }
}

#[tokio::test]
async fn only_a_request_that_is_what_it_should_be_is_approved() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add(
        "nodes",
        "n1",
        "u0",
        json!({"status": {"addresses": [
        {"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "n1"}]}}),
    );
    add(&api, "good", "system:node:n1", N1, &["DNS:n1", "IP:10.0.0.1"]);
    let approve = |name: &str| with(&api, [("name", name.into()), ("node", "n1".into())]);
    let asked = approve("good");
    let plan = bench.describe(&CsrApprove, &asked).await.unwrap();
    assert_eq!(plan.change, Change::Will);
    assert!(
        plan.lines[0].contains("for CN=system:node:n1,O=system:nodes with DNS:n1, IP:10.0.0.1"),
        "{:?}",
        plan.lines
    );
    let reconcile = async || CsrApprove.reconcile(&bench.ctx(), &asked, &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    let applied = bench.apply(&CsrApprove, &asked).await.unwrap();
    assert!(applied.changed);
    let condition = api.object("good")["status"]["conditions"][0].clone();
    assert_eq!((&condition["type"], &condition["status"]), (&json!("Approved"), &json!("True")));
    assert_eq!(reconcile().await, Reconcile::Done(applied.value));
    assert!(!bench.apply(&CsrApprove, &asked).await.unwrap().changed);
    assert_eq!(bench.describe(&CsrApprove, &asked).await.unwrap().change, Change::Wont);

    let masters = &[("O", "system:masters"), ("CN", "system:node:n1")];
    let hidden = &[("CN", "system:node:n1,O=system:nodes")];
    let node = "system:node:n1";
    for (name, username, subject, sans, cause) in [
        ("other", "system:node:n2", N1, &["DNS:n1"][..], "system:node:n2 asks, not system:node:n1"),
        ("group", node, masters, &["DNS:n1"], "its subject is CN=system:node:n1,O=system:masters"),
        ("hidden", node, hidden, &["DNS:n1"], "its subject is"),
        (
            "name",
            node,
            N1,
            &["DNS:n1", "DNS:kubernetes"],
            "DNS:kubernetes, which is not an address of the node n1",
        ),
        ("ip", node, N1, &["IP:10.0.0.2"], "IP:10.0.0.2"),
    ] {
        add(&api, name, username, subject, sans);
        for fault in [
            bench.describe(&CsrApprove, &approve(name)).await.unwrap_err(),
            bench.apply(&CsrApprove, &approve(name)).await.unwrap_err(),
        ] {
            assert!(fault.cause.contains(cause), "{fault}");
        }
        assert!(api.object(name)["status"].is_null());
    }
    assert!(bench.apply(&CsrApprove, &approve("none")).await.unwrap_err().cause.starts_with("there is no"));
    let whose = with(&api, [("name", "good".into())]);
    assert!(bench.describe(&CsrApprove, &whose).await.unwrap_err().cause.contains("whose request"));
}

#[tokio::test]
async fn first_certificates_and_those_of_users_are_approved_by_who_asks() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    add(&api, "boot", "system:bootstrap:abc", N1, &[]);
    let boot = with(
        &api,
        [("name", "boot".into()), ("node", "n1".into()), ("username", "system:bootstrap:abc".into())],
    );
    assert!(bench.apply(&CsrApprove, &boot).await.unwrap().changed);
    add(&api, "user", "jane", &[("O", "ops"), ("CN", "jane")], &["DNS:extra"]);
    let user = |sans: &str| {
        let pairs = [("name", "user".into()), ("username", "jane".into()), ("organizations", "ops".into())];
        let mut all = with(&api, pairs);
        all.0.insert("sans".to_owned(), sans.into());
        all
    };
    assert!(
        bench.apply(&CsrApprove, &user("DNS:none")).await.unwrap_err().cause.contains("not one of `sans`")
    );
    assert!(bench.apply(&CsrApprove, &user("extra")).await.unwrap().changed);
    for (name, subject) in [
        ("masters", &[("O", "system:masters"), ("CN", "jane")][..]),
        ("else", &[("CN", "joe")]),
        ("both", &[("CN", "jane"), ("CN", "joe")]),
    ] {
        add(&api, name, "jane", subject, &[]);
        let asked = with(&api, [("name", name.into()), ("username", "jane".into())]);
        assert!(
            bench.apply(&CsrApprove, &asked).await.unwrap_err().cause.contains("its subject is"),
            "{name}"
        );
    }
}

/// Somebody deletes a request after it was planned, and another one asks under its name.
#[tokio::test]
async fn another_request_of_the_planned_name_is_not_approved() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    add(&api, "user", "jane", &[("CN", "jane")], &[]);
    let asked = with(&api, [("name", "user".into()), ("username", "jane".into())]);
    let plan = bench.describe(&CsrApprove, &asked).await.unwrap();
    api.objects.lock().unwrap()[0].1["metadata"]["uid"] = json!("u2");
    let ctx = keybook_api::Ctx { planned: plan.memo.clone(), ..bench.ctx() };
    let fault = CsrApprove.apply(&ctx, &asked).await.unwrap_err();
    assert!(fault.cause.contains("another request of that name"), "{fault}");
    assert!(api.object("user")["status"].is_null());
    let found = CsrApprove.reconcile(&bench.ctx(), &asked, &plan.memo).await.unwrap();
    assert!(matches!(found, Reconcile::Unknown(_)), "{found:?}");
}
