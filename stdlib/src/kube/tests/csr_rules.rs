//! What is approved, and what is not: one request of each kind, and each thing that may be wrong with it.

use super::requests::request;
use crate::kube::{
    csr::Csr,
    csr_rules::{CLIENT, KUBELET_CLIENT, KUBELET_SERVING, Rule},
};
use serde_json::{Value as Json, json};
use std::time::Duration;

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
