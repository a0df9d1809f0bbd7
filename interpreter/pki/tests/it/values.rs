//! Certificates as values, and comparing names.

use crate::tools::{CA, LEAF, Work};
use keybook_api::Value;
use keybook_pki::{Certificate, covers, sans_missing};

#[test]
fn values_go_both_ways() {
    let work = Work::new();
    work.make_key("ca", "P-256");
    work.make_root("ca", "/CN=ca", "sha256", CA);
    work.make_key("leaf", "P-256");
    work.make_issued("leaf", "/CN=etcd", "ca", "sha256", LEAF);
    let leaf = work.certificate("leaf.pem");
    let value = leaf.to_value();
    assert_eq!(Certificate::from_value(&value), Ok(leaf.clone()));
    let keys: Vec<&str> = value.as_map().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys.join(" "),
        "kind pem subject issuer serial not_before not_after not_before_unix not_after_unix sans is_ca ski aki \
         key signature usages sha256 spki_sha256 self_signed"
    );
    let text = |key: &str| value.get(key).unwrap().to_string();
    assert_eq!(text("kind"), "certificate");
    assert_eq!(text("subject"), "CN=etcd");
    assert_eq!(text("sans"), r#"["DNS:etcd.example","IP:10.0.0.1"]"#);
    assert_eq!(value.get("not_after_unix"), Some(&Value::Int(leaf.not_after())));
    assert_eq!(text("not_after"), keybook_pki::rfc3339(leaf.not_after()));
    assert_eq!(value.get("aki"), work.certificate("ca.pem").to_value().get("ski"));
    assert_eq!(value.get("self_signed"), Some(&Value::Bool(false)));
    // The decimal serial is cfssl's.
    let info: serde_json::Value = serde_json::from_str(&work.ok("cfssl", "certinfo -cert leaf.pem")).unwrap();
    assert_eq!(info["serial_number"], text("serial"));
}

#[test]
fn other_values_are_refused() {
    let message = |value: Value| Certificate::from_value(&value).unwrap_err().to_string();
    assert_eq!(message("x".into()), "a certificate is expected here, not a value of type string");
    let map = keybook_api::value::map([("kind", "certificate".into())]);
    assert_eq!(message(map.into()), "a certificate is expected here, not a map without `pem`");
    let map = keybook_api::value::map([("kind", "key".into())]);
    assert_eq!(message(map.into()), "a certificate is expected here, not another kind of map");
}

#[test]
fn names_are_covered_as_openssl_says() {
    let work = Work::new();
    work.make_key("leaf", "P-256");
    let sans = "subjectAltName=DNS:etcd.example,DNS:*.svc.example,IP:10.0.0.1,IP:fd00::1";
    work.make_root("leaf", "/CN=common.example", "sha256", sans);
    work.make_key("less", "P-256");
    work.make_root("less", "/CN=less", "sha256", "subjectAltName=DNS:ETCD.example,IP:10.0.0.2");
    let leaf = work.certificate("leaf.pem");
    for (kind, name, expected) in [
        ("hostname", "etcd.example", true),
        ("hostname", "ETCD.Example", true),
        ("hostname", "a.svc.example", true),
        ("hostname", "a.b.svc.example", false),
        ("hostname", "svc.example", false),
        ("hostname", "common.example", false),
        ("ip", "10.0.0.1", true),
        ("ip", "10.0.0.2", false),
        ("ip", "fd00:0::1", true),
    ] {
        let arguments = format!("verify -CAfile leaf.pem -verify_{kind} {name} leaf.pem");
        assert_eq!(work.run("openssl", &arguments).status.success(), expected, "openssl: {name}");
        assert_eq!(covers(&leaf, name), expected, "{name}");
    }
    assert!(!covers(&leaf, ""));
    assert_eq!(
        sans_missing(&work.certificate("less.pem"), &leaf),
        ["DNS:*.svc.example", "IP:10.0.0.1", "IP:fd00::1"]
    );
    assert!(sans_missing(&leaf, &leaf).is_empty());
}
