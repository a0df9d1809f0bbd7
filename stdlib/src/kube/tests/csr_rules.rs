//! What is approved, and what is not: one request of each kind, and each thing that may be wrong with it.

use super::{requests::request, with};
use crate::{
    kube::{
        csr::Csr,
        csr_approve::CsrApprove,
        csr_rules::{CLIENT, KUBELET_CLIENT, KUBELET_SERVING, Rule},
    },
    testing::{ApiStandIn, Bench, check_result},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use keybook_api::{Action, Applied, Args, Change, Ctx, Fault, FaultKind, Reconcile, Value};
use serde_json::{Value as Json, json};
use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

const NODE: &str = "system:node:n1";
const N1: &[(&str, &str)] = &[("O", "system:nodes"), ("CN", NODE)];
const JANE: &[(&str, &str)] = &[("O", "ops"), ("O", "dev"), ("CN", "jane")];

/// What asks, for a node: `signer`, usages, subject, names.
fn csr(signer: &str, who: &str, usages: &[&str], subject: &[(&str, &str)], sans: &[&str]) -> Json {
    json!({"metadata": {"name": "x", "uid": "u"}, "spec": {"signerName": signer, "username": who,
        "usages": usages, "request": request(subject, sans)}})
}

fn node(username: &str) -> Rule {
    let sans = ["DNS:n1", "IP:10.0.0.1"].map(|san| san.parse().unwrap()).to_vec();
    Rule {
        node: Some("n1".to_owned()),
        username: username.to_owned(),
        signer: None,
        organizations: Vec::new(),
        longest: None,
        sans,
    }
}

fn user(organizations: &[&str]) -> Rule {
    let organizations = organizations.iter().map(|one| (*one).to_owned()).collect();
    Rule { node: None, organizations, ..node("jane") }
}

#[track_caller]
fn refused(rule: &Rule, object: &Json, cause: &str) {
    let why = rule.check(&Csr::read(object)).expect_err(cause);
    assert!(why.contains(cause), "{why}, not {cause}");
}

#[track_caller]
fn approved(rule: &Rule, object: &Json) {
    assert_eq!(rule.check(&Csr::read(object)), Ok(()));
}

const CLIENTS: &[&str] = &["digital signature", "key encipherment", "client auth"];
const SERVERS: &[&str] = &["digital signature", "key encipherment", "server auth"];

#[test]
fn a_kubelet_s_client_certificate() {
    let (own, boot) = (node(NODE), node("system:bootstrap:abc"));
    let good = csr(KUBELET_CLIENT, NODE, CLIENTS, N1, &[]);
    approved(&own, &good);
    approved(&boot, &csr(KUBELET_CLIENT, "system:bootstrap:abc", CLIENTS, N1, &[]));
    // An API server before 1.18.
    approved(&own, &csr("", NODE, CLIENTS, N1, &[]));
    refused(&boot, &good, "system:node:n1 asks, not system:bootstrap:abc");
    let n2 = &[("O", "system:nodes"), ("CN", "system:node:n2")];
    let masters = &[("O", "system:masters"), ("CN", NODE)];
    let both = &[("O", "system:nodes"), ("O", "system:masters"), ("CN", NODE)];
    let hidden = &[("CN", "system:node:n1,O=system:nodes")];
    let twice = &[("O", "system:nodes"), ("CN", NODE), ("CN", "admin")];
    let more = &[("O", "system:nodes"), ("OU", "x"), ("CN", NODE)];
    for subject in [&n2[..], masters, both, hidden, twice, more, &[("CN", NODE)]] {
        refused(&own, &csr(KUBELET_CLIENT, NODE, CLIENTS, subject, &[]), "its subject is");
    }
    for (usages, cause) in [
        (SERVERS, "the usage server auth, which does not go with client auth"),
        (&["client auth", "server auth"], "the usage server auth"),
        (&["client auth", "cert sign"], "the usage cert sign"),
        (&["digital signature"], "does not ask for the usage client auth"),
        (&[], "does not ask for the usage client auth"),
    ] {
        refused(&own, &csr(KUBELET_CLIENT, NODE, usages, N1, &[]), cause);
    }
    for san in ["DNS:n1", "IP:10.0.0.1", "URI:spiffe://x", "email:a@b"] {
        refused(
            &own,
            &csr(KUBELET_CLIENT, NODE, CLIENTS, N1, &[san]),
            "a kubelet's client certificate has no names",
        );
    }
}

#[test]
fn a_kubelet_s_serving_certificate() {
    let own = node(NODE);
    let asks = |sans: &[&str]| csr(KUBELET_SERVING, NODE, SERVERS, N1, sans);
    approved(&own, &asks(&["DNS:N1", "IP:10.0.0.1"]));
    approved(&own, &csr("", NODE, SERVERS, N1, &["DNS:n1"]));
    for (sans, cause) in [
        (&[][..], "no name and no address"),
        (&["DNS:n1", "DNS:kubernetes"], "DNS:kubernetes, which is not an address of the node n1"),
        (&["IP:10.0.0.2"], "IP:10.0.0.2"),
        (&["DNS:n1", "URI:spiffe://x"], "neither a host name nor an address"),
        (&["DNS:n1", "email:a@b"], "neither a host name nor an address"),
        (&["DNS:*.n1"], "DNS:*.n1"),
    ] {
        refused(&own, &asks(sans), cause);
    }
    refused(&own, &csr(KUBELET_SERVING, NODE, CLIENTS, N1, &["DNS:n1"]), "the usage client auth");
    // A bootstrap token may get a node its first certificate, and no names of a node.
    let boot = "system:bootstrap:abc";
    refused(&node(boot), &csr(KUBELET_SERVING, boot, SERVERS, N1, &["DNS:n1"]), "only system:node:n1 itself");
}

#[test]
fn other_signers_are_not_for_nodes() {
    let own = node(NODE);
    for signer in [CLIENT, "kubernetes.io/legacy-unknown", "example.com/x"] {
        refused(&own, &csr(signer, NODE, CLIENTS, N1, &[]), "and a node's are for");
    }
    let wanted = Rule { signer: Some(KUBELET_SERVING.to_owned()), ..node(NODE) };
    refused(&wanted, &csr(KUBELET_CLIENT, NODE, CLIENTS, N1, &[]), "not for kubernetes.io/kubelet-serving");
    approved(&wanted, &csr(KUBELET_SERVING, NODE, SERVERS, N1, &["DNS:n1"]));
}

#[test]
fn a_user_s_certificate() {
    let asks = |subject: &[(&str, &str)]| csr(CLIENT, "jane", CLIENTS, subject, &[]);
    approved(&user(&["dev", "ops"]), &asks(JANE));
    approved(&user(&[]), &asks(&[("CN", "jane")]));
    refused(&user(&[]), &csr(CLIENT, "joe", CLIENTS, &[("CN", "jane")], &[]), "joe asks, not jane");
    let powers =
        ["system:masters", "system:nodes", "kubeadm:cluster-admins", "system:kube-controller-manager"];
    for group in powers {
        refused(&user(&[]), &asks(&[("O", group), ("CN", "jane")]), "its subject is");
    }
    for group in ["system:masters", "system:nodes"] {
        refused(&user(&[group]), &asks(&[("O", group), ("CN", "jane")]), "`organizations` names");
    }
    for subject in [&[("O", "ops"), ("CN", "jane")][..], &[("CN", "joe")], &[("CN", "jane"), ("CN", "joe")]] {
        refused(&user(&["dev", "ops"]), &asks(subject), "its subject is");
    }
    refused(&user(&[]), &csr(CLIENT, "jane", SERVERS, &[("CN", "jane")], &[]), "the usage server auth");
    refused(
        &user(&[]),
        &csr(CLIENT, "jane", CLIENTS, &[("CN", "jane")], &["DNS:other"]),
        "not one of `sans`",
    );
    for signer in [KUBELET_CLIENT, KUBELET_SERVING] {
        refused(&user(&[]), &csr(signer, "jane", CLIENTS, &[("CN", "jane")], &[]), "name the `node`");
        let named = Rule { signer: Some(signer.to_owned()), ..user(&[]) };
        refused(&named, &csr(signer, "jane", CLIENTS, &[("CN", "jane")], &[]), "name the `node`");
    }
    let own = "example.com/x";
    refused(
        &user(&[]),
        &csr(own, "jane", SERVERS, &[("CN", "jane")], &[]),
        "another one is named in `signer`",
    );
    let named = Rule { signer: Some(own.to_owned()), ..user(&[]) };
    approved(&named, &csr(own, "jane", SERVERS, &[("CN", "jane")], &[]));
    refused(&named, &csr(own, "jane", &["cert sign"], &[("CN", "jane")], &[]), "the usage cert sign");
}

#[test]
fn no_longer_than_allowed() {
    let mut long = csr(CLIENT, "jane", CLIENTS, &[("CN", "jane")], &[]);
    long["spec"]["expirationSeconds"] = json!(7200);
    approved(&user(&[]), &long);
    let within = |seconds| Rule { longest: Some(Duration::from_secs(seconds)), ..user(&[]) };
    approved(&within(7200), &long);
    refused(&within(3600), &long, "the longest allowed is 1h");
}

#[test]
fn what_cannot_be_read_is_not_approved() {
    let mut broken = csr(CLIENT, "jane", CLIENTS, &[("CN", "jane")], &[]);
    broken["spec"]["request"] = json!("eA==");
    refused(&user(&[]), &broken, "cannot be read");
}

/// The same as [`csr`], of what only openssl makes.
fn by_openssl(signer: &str, who: &str, usages: &[&str], subject: &str, sans: &str) -> Json {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("openssl");
    command.args(["req", "-new", "-batch", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.arg("-keyout").arg(folder.path().join("key")).args(["-subj", subject]);
    if !sans.is_empty() {
        command.args(["-addext", &format!("subjectAltName={sans}")]);
    }
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    json!({"metadata": {"name": "x", "uid": "u"}, "spec": {"signerName": signer, "username": who,
        "usages": usages, "request": STANDARD.encode(made.stdout)}})
}

/// Nothing is taken for a subject that only looks like it.
#[test]
fn a_subject_is_compared_attribute_by_attribute() {
    let jane = |subject: &str| by_openssl(CLIENT, "jane", CLIENTS, subject, "");
    let ops = user(&["ops"]);
    approved(&ops, &jane("/O=ops/CN=jane"));
    approved(&ops, &jane("/CN=jane/O=ops"));
    // What is named twice is wanted once.
    approved(&user(&["ops", "ops"]), &jane("/O=ops/CN=jane"));
    for (subject, told) in [
        // Several attributes in one part of the name.
        ("/CN=jane+O=ops", "O=ops+CN=jane"),
        ("/O=system:masters+O=ops/CN=jane", "CN=jane,O=ops+O=system:masters"),
        // One attribute that reads like two.
        ("/CN=jane,O=ops", "CN=jane\\,O=ops"),
        ("/O= ops/CN=jane", "CN=jane,O=\\ ops"),
        ("/O=ops/CN=jane#", "CN=jane#,O=ops"),
        // Other attributes, and the same one again.
        ("/O=ops/OU=x/CN=jane", "CN=jane,OU=x,O=ops"),
        ("/O=ops/CN=jane/UID=1", "UID=1,CN=jane,O=ops"),
        ("/O=ops/CN=jane/emailAddress=j@x", "emailAddress=j@x,CN=jane,O=ops"),
        ("/O=ops/O=ops/CN=jane", "CN=jane,O=ops,O=ops"),
        ("/O=ops/CN=jane/CN=jane", "CN=jane,CN=jane,O=ops"),
        // Parts and other cases of what is wanted.
        ("/O=ops/CN=janet", "CN=janet,O=ops"),
        ("/O=ops-admins/CN=jane", "CN=jane,O=ops-admins"),
        ("/O=Ops/CN=jane", "CN=jane,O=Ops"),
        ("/O=ops", "O=ops"),
    ] {
        refused(&ops, &jane(subject), &format!("its subject is {told}, not CN=jane,O=ops"));
    }
    let nobody = by_openssl(CLIENT, "jane", CLIENTS, "/", "DNS:n1");
    refused(&user(&[]), &nobody, "its subject is empty, not CN=jane");
}

/// An argument cannot hide an organization from the rule either.
#[test]
fn an_organization_with_a_comma_is_not_two() {
    let subject = &[("O", "ops"), ("O", "system:masters"), ("CN", "jane")];
    let asked = csr(CLIENT, "jane", CLIENTS, subject, &[]);
    refused(&user(&["ops,O=system:masters"]), &asked, "its subject is");
    refused(&user(&["ops", "system:masters"]), &asked, "`organizations` names system:masters");
    let named = Rule { signer: Some("example.com/x".to_owned()), ..user(&["system:masters"]) };
    let subject = &[("O", "system:masters"), ("CN", "jane")];
    refused(&named, &csr("example.com/x", "jane", CLIENTS, subject, &[]), "`organizations` names");
}

/// Names of kinds that have no word count as names.
#[test]
fn odd_alternative_names_are_seen() {
    let own = node(NODE);
    let subject = "/O=system:nodes/CN=system:node:n1";
    for odd in ["RID:1.2.3", "otherName:1.2.3;UTF8:n1"] {
        let client = by_openssl(KUBELET_CLIENT, NODE, CLIENTS, subject, odd);
        refused(&own, &client, "a kubelet's client certificate has no names");
        let serving = by_openssl(KUBELET_SERVING, NODE, SERVERS, subject, &format!("DNS:n1,{odd}"));
        refused(&own, &serving, "neither a host name nor an address");
        let user_s = by_openssl(CLIENT, "jane", CLIENTS, "/CN=jane", odd);
        refused(&user(&[]), &user_s, "which is not one of `sans`");
    }
}

/// What jane asks, at an API server, and the arguments that fit it.
fn pending(api: &ApiStandIn) -> Args {
    let asked = csr(CLIENT, "jane", CLIENTS, &[("CN", "jane")], &[]);
    let mut spec = asked["spec"].clone();
    spec["expirationSeconds"] = json!(86_400);
    api.add("certificatesigningrequests", "x", "u", json!({"spec": spec}));
    with(api, [("name", "x".into()), ("username", "jane".into())])
}

/// Plans, then carries it out as planned, while somebody changes the request just before it is approved.
async fn meddled(
    change: impl Fn(&mut Json) + Send + Sync + 'static,
) -> (usize, Result<Applied, Fault>, Json) {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let asked = pending(&api);
    let plan = bench.describe(&CsrApprove, &asked).await.unwrap();
    let (objects, count) = (api.objects.clone(), Arc::new(AtomicUsize::new(0)));
    let seen = count.clone();
    api.instead(move |asked| {
        if asked.method == "PUT" && seen.fetch_add(1, SeqCst) == 0 {
            let object = &mut objects.lock().unwrap()[0].1;
            object["metadata"]["resourceVersion"] = json!("77");
            change(object);
        }
        None
    });
    let ctx = Ctx { planned: plan.memo, ..bench.ctx() };
    let applied = CsrApprove.apply(&ctx, &asked).await;
    (count.load(SeqCst), applied, api.object("x"))
}

#[tokio::test]
async fn what_is_changed_in_between_is_judged_anew() {
    // Of no matter: judged again, and approved.
    let (puts, applied, object) = meddled(|object| object["metadata"]["labels"] = json!({"a": "b"})).await;
    assert!(applied.unwrap().changed);
    assert_eq!((puts, &object["metadata"]["labels"]), (2, &json!({"a": "b"})));
    assert_eq!(object["status"]["conditions"][0]["reason"], "KeybookApprove");
    // Approved by somebody else: nothing is left to do.
    let theirs = json!({"conditions": [{"type": "Approved", "status": "True", "reason": "Theirs"}]});
    let done = theirs.clone();
    let (puts, applied, object) = meddled(move |object| object["status"] = done.clone()).await;
    assert!(!applied.unwrap().changed);
    assert_eq!((puts, &object["status"]), (1, &theirs));
    // Another request by now, though it reads the same.
    for key in ["uid", "request"] {
        let (puts, applied, object) = meddled(move |object| match key {
            "uid" => object["metadata"]["uid"] = json!("u2"),
            _ => object["spec"]["request"] = request(&[("CN", "jane")], &[]),
        })
        .await;
        let fault = applied.unwrap_err();
        assert!(fault.cause.contains("another request of that name"), "{key}: {fault}");
        assert_eq!((puts, fault.now_true.as_deref()), (1, Some("nothing was changed")), "{key}");
        assert!(object["status"].is_null(), "{key}");
    }
    // What the rule does not allow.
    let (puts, applied, object) = meddled(|object| object["spec"]["usages"] = json!(["server auth"])).await;
    let fault = applied.unwrap_err();
    assert!(fault.cause.contains("the usage server auth"), "{fault}");
    assert!(puts == 1 && object["status"].is_null());
}

#[tokio::test]
async fn a_decision_stays() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let asked = pending(&api);
    let plan = bench.describe(&CsrApprove, &asked).await.unwrap();
    let set = |all: Json| api.objects.lock().unwrap()[0].1["status"] = json!({"conditions": all});
    let cases = [
        (json!([{"type": "Denied"}]), "it is denied already"),
        (json!([{"type": "Approved"}, {"type": "Denied"}]), "it is denied already"),
        (json!([{"type": "Approved"}, {"type": "Failed"}]), "it has failed already"),
    ];
    for (conditions, cause) in cases {
        set(conditions.clone());
        for fault in [
            bench.describe(&CsrApprove, &asked).await.unwrap_err(),
            bench.apply(&CsrApprove, &asked).await.unwrap_err(),
        ] {
            assert_eq!((fault.cause.as_str(), fault.hints.len()), (cause, 1), "{fault}");
            assert!(fault.attempted.starts_with("approve the certificate signing request x at "), "{fault}");
        }
        assert_eq!(api.object("x")["status"]["conditions"], conditions);
    }
    // By whomever: after a crash it counts as done, and is not done again.
    set(json!([{"type": "Approved", "reason": "Theirs"}]));
    let found = CsrApprove.reconcile(&bench.ctx(), &asked, &plan.memo).await.unwrap();
    let Reconcile::Done(value) = found else { panic!("not done") };
    check_result(&CsrApprove, &value);
    let again = bench.apply(&CsrApprove, &asked).await.unwrap();
    assert_eq!((again.changed, again.value), (false, value));
    api.objects.lock().unwrap().clear();
    let found = CsrApprove.reconcile(&bench.ctx(), &asked, &plan.memo).await.unwrap();
    assert!(matches!(found, Reconcile::Unknown(_)), "{found:?}");
}

#[tokio::test]
async fn the_validity_is_told_and_bounded() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let mut asked = pending(&api);
    let mut within = |longest: &str| {
        asked.0.insert("longest".to_owned(), longest.into());
        asked.clone()
    };
    let (short, long) = (within("12h"), within("1d"));
    let fault = bench.apply(&CsrApprove, &short).await.unwrap_err();
    assert!(fault.cause.contains("it asks for 1d, and the longest allowed is 12h"), "{fault}");
    let plan = bench.describe(&CsrApprove, &long).await.unwrap();
    assert_eq!(plan.change, Change::Will);
    assert_eq!(plan.lines[0], "jane asks by x for CN=jane, good for 1d");
    assert_eq!(plan.memo.get("uid"), Some(&Value::from("u")));
    let digest = plan.memo.get("request").and_then(Value::as_str).unwrap();
    assert!(digest.len() == 64 && plan.basis.contains(digest), "{}", plan.basis);
    let applied = bench.apply(&CsrApprove, &long).await.unwrap();
    assert_eq!(applied.value.get("expiration"), Some(&Value::from("1d")));
}

#[tokio::test]
async fn arguments_that_do_not_go_together_are_told() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let all: [(&str, Value, &str); 3] = [
        ("organizations", "ops".into(), "does not go with `node`"),
        ("longest", "soon".into(), "is not a duration"),
        ("sans", "a b".into(), "is not a subject alternative name"),
    ];
    for (key, value, cause) in all {
        let asked = with(&api, [("name", "x".into()), ("node", "n1".into()), (key, value)]);
        let fault = CsrApprove.apply(&bench.ctx(), &asked).await.unwrap_err();
        assert!(fault.kind == FaultKind::Usage && fault.cause.contains(cause), "{fault}");
    }
}
