//! Certificate and key files that are not what they should be: each stops the run before anything is changed, says
//! what is wrong with which file, and once the file is mended the run goes on to its end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::Event;
use keybook_tests::sandbox::{Bench, FIRST, arg, assert_same, openssl};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const CA: &str = "/srv/kubernetes/etcd-ca.pem";
const LEAF: &str = "/srv/kubernetes/etcd.pem";
const CA_KEY: &str = "/root/gencerts/etcd-ca-key.pem";

/// Puts this content into a host's file, resumes the run, and expects this to be said; nothing else changes. Then
/// the file is put back.
#[track_caller]
fn refused(bench: &Bench, path: &str, content: &[u8], says: &str) {
    let file = bench.on_host(FIRST, path);
    let good = fs::read(&file).unwrap();
    fs::write(&file, content).unwrap();
    let before = bench.trees();
    let ended = bench.resume().with(1).says(says);
    assert!(!ended.stderr.contains("PRIVATE KEY") && !ended.stdout.contains("PRIVATE KEY"));
    assert_same(&before, &bench.trees());
    let changed = bench.keybook.units(|event| matches!(event, Event::UnitDone { changed: true, .. }));
    assert!(changed.is_empty(), "{changed:?}");
    fs::write(&file, good).unwrap();
}

/// The DER of a PEM certificate.
fn der(bench: &Bench, pem: &Path) -> Vec<u8> {
    let out = bench.path("out.der");
    openssl(&["x509", "-in", arg(pem), "-outform", "der", "-out", arg(&out)]).unwrap();
    fs::read(out).unwrap()
}

/// PEM around any bytes.
fn pem(label: &str, der: &[u8], bench: &Bench) -> Vec<u8> {
    let raw = bench.write("raw", der);
    let base64 = openssl(&["base64", "-in", &raw]).unwrap();
    format!("-----BEGIN {label}-----\n{base64}-----END {label}-----\n").into_bytes()
}

/// Another CA of the same name, and its key.
fn stranger(bench: &Bench) -> (PathBuf, PathBuf) {
    let (cert, key) = (bench.path("stranger.pem"), bench.path("stranger-key.pem"));
    let subject = "/C=CN/ST=Shanghai/L=Shanghai/O=k8s/OU=System/CN=kubernetes";
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        subject,
        "-days",
        "30",
        "-keyout",
        arg(&key),
        "-out",
        arg(&cert),
    ])
    .unwrap();
    (cert, key)
}

#[test]
fn bad_input_certificate_files_are_refused_by_name() {
    let bench = Bench::new();
    bench.before_first_step();
    let good = fs::read(bench.on_host(FIRST, CA)).unwrap();
    let leaf = fs::read(bench.on_host(FIRST, LEAF)).unwrap();
    let key = fs::read(bench.on_host(FIRST, CA_KEY)).unwrap();
    let der = der(&bench, &bench.on_host(FIRST, CA));
    let read = format!("error: could not read the certificate {CA} on {FIRST} why");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "the file is empty"),
        (b"\n \n".to_vec(), "the file is empty"),
        (
            der.clone(),
            "the file is DER (binary) where PEM (text) is required; `openssl x509 -inform der` converts it",
        ),
        ([&good[..], &leaf[..]].concat(), "the file holds 2 certificates where exactly one is expected"),
        (
            pem("CERTIFICATE", &[&der[..], b"more"].concat(), &bench),
            "4 bytes follow the end of the certificate in the PEM block at line 1",
        ),
        (
            pem("CERTIFICATE", &der[..der.len() - 9], &bench),
            "the certificate in the PEM block at line 1 is cut off: 9 bytes are missing at its end",
        ),
        (good[..good.len() - 20].to_vec(), "the PEM text is damaged at line 1"),
        (key, "the file holds a private key where a certificate is expected"),
        (b"hello\n".to_vec(), "the file holds no certificate (no PEM block and no DER)"),
        (vec![0xff, 0xfe, 0], "the file is neither DER nor text"),
    ];
    for (content, why) in cases {
        refused(&bench, CA, &content, &format!("{read} {why}"));
    }
    refused(&bench, CA, &leaf, "is no CA certificate");
    let file = bench.on_host(FIRST, CA);
    fs::remove_file(&file).unwrap();
    bench.resume().with(1).says(&format!("could not read {CA} on {FIRST} why there is no {CA}"));
    fs::write(&file, good).unwrap();
    bench.resume().with(0);
}

/// Same name, another key: the certificate is not of this CA.
#[test]
fn bad_input_certificate_of_another_ca_is_refused() {
    let expects =
        format!("find what `leaf-dates@{FIRST}` expects on {FIRST} why /srv/kubernetes/etcd.pem on {FIRST}");
    let bench = Bench::new();
    bench.before_first_step();
    let other = fs::read(stranger(&bench).0).unwrap();
    refused(&bench, LEAF, &other, &expects);
    bench.resume().with(0);
    let bench = Bench::new();
    bench.before_first_step();
    refused(&bench, CA, &other, &expects);
}

#[test]
fn bad_input_ca_keys_are_refused_by_name() {
    let bench = Bench::new();
    bench.before_first_step();
    let (_, other) = stranger(&bench);
    let key = bench.on_host(FIRST, CA_KEY);
    let encrypted = bench.path("encrypted.pem");
    openssl(&["pkcs8", "-topk8", "-in", arg(&key), "-passout", "pass:secret", "-out", arg(&encrypted)])
        .unwrap();
    let old = bench.path("old-encrypted.pem");
    openssl(&["ec", "-in", arg(&key), "-aes128", "-passout", "pass:secret", "-out", arg(&old)]).unwrap();
    let cert = fs::read(bench.on_host(FIRST, CA)).unwrap();
    let expects = format!(
        "find what `ca-key@{FIRST}` expects on {FIRST} why etcd-ca-key.pem is the key of another CA than the cluster's"
    );
    refused(&bench, CA_KEY, &fs::read(&other).unwrap(), &expects);
    for (file, why) in [
        (fs::read(encrypted).unwrap(), "the private key is encrypted; give its passphrase"),
        (
            fs::read(old).unwrap(),
            "the private key is encrypted; this kind of encryption cannot be read here (`openssl pkey` decrypts it)",
        ),
        (Vec::new(), "the file is empty"),
        (cert, "the file holds no private key, only CERTIFICATE"),
    ] {
        refused(&bench, CA_KEY, &file, &format!("{CA_KEY} on {FIRST} why {why}"));
    }
    // Others may read it: that is said, and the run goes on.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let note = format!("others on the host may read the private key {CA_KEY} (mode 0644)");
    bench.resume().with(0).says(&note);
    let noted = bench
        .keybook
        .records()
        .iter()
        .any(|record| matches!(&record.event, Event::UnitNote { text } if text.contains(&note)));
    assert!(noted, "the journal keeps the note");
}

/// A scenario whose certificates are valid from and to these days.
fn dated(bench: &Bench, name: &str, ca: (&str, &str), leaf: (&str, &str)) {
    let text = format!(
        "certificates:\n  ca: {{ ca: true, subject: {{ CN: kubernetes }}, key: ecdsa-p256, valid: {{ from: {}, to: {} }} }}\n  \
         etcd:\n    issuer: ca\n    subject: {{ CN: etcd }}\n    key: ecdsa-p256\n    sans: [\"${{groups.master}}\", \"IP:127.0.0.1\", \
         \"${{groups.master.map(|name| hosts[name].address)}}\"]\n    valid: {{ from: {}, to: {} }}\n",
        ca.0, ca.1, leaf.0, leaf.1
    );
    bench.scenario(name, 1, &text);
}

/// An etcd whose certificates do not hold yet is not reachable: the run stops where it asks etcd. One whose certificates have
/// ended waits for somebody who announces the outage. Either has read and shown the dates, and changed nothing.
#[test]
fn bad_input_certificates_out_of_their_time_stop_the_run_at_etcd() {
    let ended = "A certificate has ended: go on without health checks";
    let refused = format!("could not run the script on {FIRST}");
    for (name, ca, leaf, dates, code, why) in [
        ("expired", ("-400d", "30d"), ("-30d", "-1d"), "expired for 24 hours", 3, ended),
        ("expired-ca", ("-400d", "-3d"), ("-30d", "30d"), "expired for 3 days", 3, ended),
        ("not-yet", ("-400d", "30d"), ("2d", "20d"), "not valid yet", 1, refused.as_str()),
    ] {
        let bench = Bench::new();
        dated(&bench, name, ca, leaf);
        bench.run(name, &[]).with(code).says(dates).says(why);
        let done = bench.keybook.units(|event| matches!(event, Event::UnitDone { .. }));
        assert!(done.contains(&format!("leaf-dates@{FIRST}")), "{done:?}");
        let changed = bench.keybook.units(|event| matches!(event, Event::UnitDone { changed: true, .. }));
        assert!(changed.is_empty(), "{changed:?}");
    }
}

/// Where a certificate is verified, the reason is in the error.
#[test]
fn bad_input_certificates_that_do_not_verify_say_why() {
    let step = "  - { id: check, hosts: node, x509.verify: { cert: /srv/leaf.pem, roots: /srv/ca.pem }, expect: result.ok }\n";
    for (ca, leaf, why) in [
        (
            "from: -400d, to: 30d",
            "issuer: ca, valid: { from: -30d, to: -1d }",
            "`result.ok` is false: `CN=leaf` expired at",
        ),
        (
            "from: -400d, to: 30d",
            "issuer: ca, valid: { from: 2d, to: 20d }",
            "`result.ok` is false: `CN=leaf` is not valid before",
        ),
        (
            "from: -400d, to: -2d",
            "issuer: ca, valid: { from: -30d, to: 20d }",
            "`result.ok` is false: `CN=ca` expired at",
        ),
        ("from: -400d, to: 30d", "issuer: other, valid: { from: -30d, to: 20d }", "`result.ok` is false: "),
    ] {
        let bench = Bench::new();
        let runbook = bench.small_runbook(step);
        let certificates = format!(
            "certificates:\n  ca: {{ ca: true, subject: {{ CN: ca }}, key: ecdsa-p256, valid: {{ {ca} }} }}\n  \
             other: {{ ca: true, subject: {{ CN: ca }}, key: ecdsa-p256 }}\n  \
             leaf: {{ subject: {{ CN: leaf }}, key: ecdsa-p256, {leaf} }}\n"
        );
        let files = "files:\n  - { hosts: node, path: /srv/ca.pem, certificate: ca }\n  \
                     - { hosts: node, path: /srv/leaf.pem, certificate: leaf }\n";
        bench.small_scenario(&format!("{certificates}{files}"));
        bench.keybook.call(["run", &runbook, "--sandbox", "--unattended"]).with(1).says(why);
    }
}
