//! Reissued CAs: old leaves verify, and nothing but dates and signature has changed.

use crate::tools::{CA, LEAF, Work};
use der::{AnyRef, Decode, Reader, SliceReader};
use keybook_pki::{Certificate, PkiError, PrivateKey, Reissued, parse_rfc3339, reissue};

fn children(tlv: &[u8]) -> Vec<&[u8]> {
    let mut reader = SliceReader::new(AnyRef::from_der(tlv).unwrap().value()).unwrap();
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(reader.tlv_bytes().unwrap());
    }
    found
}

fn tbs(certificate: &Certificate) -> Vec<&[u8]> {
    children(children(certificate.der())[0])
}

/// `openssl x509 -text` without the end of validity and the signature.
fn text(work: &Work, file: &str) -> String {
    let text = work.openssl(&format!("x509 -noout -text -certopt no_sigdump -in {file}"));
    text.lines().filter(|line| !line.contains("Not After")).collect::<Vec<_>>().join("\n")
}

/// Reissues `ca.pem` to a date, writes `new.pem`, and checks all that must hold for every CA.
fn check(work: &Work, end: &str) -> Reissued {
    let (old, key) = (work.certificate("ca.pem"), work.key("ca.key"));
    let not_after = parse_rfc3339(end).unwrap();
    let reissued = reissue(&old, &key, not_after, None).unwrap();
    let new = &reissued.certificate;
    work.write("new.pem", new.to_pem());
    assert_eq!((new.not_before(), new.not_after()), (old.not_before(), not_after));
    assert!(new.self_signed());
    let (before, after) = (tbs(&old), tbs(new));
    assert_eq!(before.len(), after.len());
    let changed: Vec<usize> = (0..before.len()).filter(|index| before[*index] != after[*index]).collect();
    let algorithm_changed = reissued.signature_changed.is_some();
    assert_eq!(changed, if algorithm_changed { vec![2, 4] } else { vec![4] }, "parts of the TBSCertificate");
    assert_eq!(children(after[4])[0], children(before[4])[0], "notBefore");
    if !algorithm_changed {
        assert_eq!(text(work, "new.pem"), text(work, "ca.pem"));
    }
    let said = work.openssl("verify -check_ss_sig -CAfile new.pem new.pem leaf.pem");
    assert_eq!(said, "new.pem: OK\nleaf.pem: OK\n");
    reissued
}

fn prepare(spec: &str, subject: &str, digest: &str, extensions: &str, leaf: &str) -> Work {
    let work = Work::new();
    work.make_key("ca", spec);
    work.make_root("ca", subject, digest, extensions);
    work.make_key("leaf", "P-256");
    work.make_issued("leaf", "/CN=etcd", "ca", "sha256", leaf);
    work
}

#[test]
fn every_key_and_digest() {
    for (spec, digest) in [
        ("rsa:2048", "sha256"),
        ("rsa:2048", "sha384"),
        ("rsa:3072", "sha512"),
        ("P-256", "sha256"),
        ("P-256", "sha512"),
        ("P-384", "sha256"),
        ("P-384", "sha512"),
        ("P-521", "sha256"),
        ("P-521", "sha512"),
    ] {
        let work = prepare(spec, "/CN=etcd ca", digest, CA, LEAF);
        let reissued = check(&work, "2049-12-31T23:59:59Z");
        assert_eq!(reissued.signature_changed, None, "{spec} {digest}");
        check(&work, "2126-01-02T03:04:05Z");
        check(&work, "9999-12-31T23:59:59Z");
    }
}

#[test]
fn odd_subjects_and_extensions_stay() {
    let names_issuer = "authorityKeyIdentifier=keyid:always,issuer:always";
    let many = format!(
        "{CA}\n{names_issuer}\nsubjectAltName=DNS:ca.example\nnsComment=hand made\n1.2.3.4=critical,ASN1:UTF8:x\n\
         certificatePolicies=1.2.3\ncrlDistributionPoints=URI:http://ca.example/crl"
    );
    let leaf = format!("{LEAF}\n").replace("authorityKeyIdentifier=keyid", names_issuer);
    for subject in [
        "/C=CN/ST=Shanghai/O=Example/OU=one/OU=two/CN=etcd ca",
        "/DC=com/DC=example/O=a+OU=b/CN=运维",
        "/O=a/O=b/O=c/emailAddress=a@b",
    ] {
        // OpenSSL refuses the unknown critical extension when verifying, so that one is compared without.
        let work = prepare("rsa:2048", subject, "sha256", &many.replace("critical,ASN1", "ASN1"), &leaf);
        let reissued = check(&work, "2060-01-01T00:00:00Z");
        assert!(reissued.certificate.aki().unwrap().has_issuer_and_serial());
    }
    let work = prepare("P-256", "/CN=x", "sha256", &many, LEAF);
    let old = work.certificate("ca.pem");
    let new = reissue(&old, &work.key("ca.key"), old.not_after() + 1, None).unwrap().certificate;
    assert_eq!(tbs(&new)[7], tbs(&old)[7]);
}

#[test]
fn a_sha1_ca_is_signed_with_sha256() {
    let work = prepare("rsa:2048", "/CN=old", "sha1", CA, LEAF);
    let changed = check(&work, "2060-01-01T00:00:00Z").signature_changed.unwrap();
    assert_eq!(changed, ("sha1WithRSAEncryption".to_owned(), "sha256WithRSAEncryption".to_owned()));
}

#[test]
fn a_pss_ca_is_an_error() {
    let work = Work::new();
    work.make_key("ca", "rsa:2048");
    work.openssl("req -x509 -new -key ca.key -out ca.pem -subj /CN=pss -sha256 -sigopt rsa_padding_mode:pss");
    let ca = work.certificate("ca.pem");
    assert_eq!(ca.signature(), "rsassaPss");
    assert_eq!(
        reissue(&ca, &work.key("ca.key"), ca.not_after() + 1, None).unwrap_err().to_string(),
        "the signature algorithm rsassaPss with a key of the kind RSA-2048 is not supported"
    );
}

#[test]
fn a_cfssl_ca_goes_on_working_with_cfssl() {
    for key in [r#"{"algo":"rsa","size":2048}"#, r#"{"algo":"ecdsa","size":256}"#] {
        let work = Work::new();
        work.write("ca.json", format!(r#"{{"CN":"etcd","key":{key},"names":[{{"C":"CN","O":"k8s"}}]}}"#));
        work.write("init.json", work.ok("cfssl", "gencert -initca ca.json"));
        bare(&work, "init.json", "ca");
        work.write("leaf.json", r#"{"CN":"etcd","hosts":["10.0.0.1"]}"#);
        work.write("out.json", work.ok("cfssl", "gencert -ca=ca.pem -ca-key=ca.key leaf.json"));
        bare(&work, "out.json", "leaf");
        let reissued = check(&work, "2126-01-01T00:00:00Z");
        assert_eq!(reissued.signature_changed, None);
        work.write("out.json", work.ok("cfssl", "gencert -ca=new.pem -ca-key=ca.key leaf.json"));
        bare(&work, "out.json", "leaf");
        assert_eq!(work.openssl("verify -CAfile new.pem leaf.pem"), "leaf.pem: OK\n");
    }
}

/// What `cfssljson -bare` does, with the key in NAME.key.
fn bare(work: &Work, json: &str, name: &str) {
    let output: serde_json::Value = serde_json::from_str(&work.text(json)).unwrap();
    work.write(&format!("{name}.pem"), output["cert"].as_str().unwrap());
    work.write(&format!("{name}.key"), output["key"].as_str().unwrap());
}

#[test]
fn not_before_moves_only_when_asked() {
    let work = prepare("P-256", "/CN=ca", "sha256", CA, LEAF);
    let (old, key) = (work.certificate("ca.pem"), work.key("ca.key"));
    let earlier = parse_rfc3339("1949-01-01T00:00:00Z").unwrap();
    let new = reissue(&old, &key, old.not_after() + 1, Some(earlier)).unwrap().certificate;
    assert_eq!((new.not_before(), new.not_after()), (earlier, old.not_after() + 1));
}

#[test]
fn what_must_not_be_reissued_is_refused() {
    let work = prepare("rsa:2048", "/CN=ca", "sha256", CA, LEAF);
    let (ca, leaf) = (work.certificate("ca.pem"), work.certificate("leaf.pem"));
    let (ca_key, leaf_key) = (work.key("ca.key"), work.key("leaf.key"));
    let later = ca.not_after() + 1000;
    let message =
        |certificate: &Certificate, key: &PrivateKey, end, begin| match reissue(certificate, key, end, begin)
        {
            Err(PkiError::Refused(why)) => why,
            other => panic!("{other:?}"),
        };
    // openssl's -signkey would take the wrong key and exit 0.
    work.make_key("other", "rsa:2048");
    assert_eq!(
        message(&ca, &work.key("other.key"), later, None),
        "`CN=ca` cannot be reissued: the private key does not belong to it"
    );
    assert_eq!(message(&leaf, &leaf_key, later, None), "`CN=etcd` cannot be reissued: it is not a CA");
    work.make_key("sub", "P-256");
    work.make_issued("sub", "/CN=sub", "ca", "sha256", CA);
    assert_eq!(
        message(&work.certificate("sub.pem"), &work.key("sub.key"), later, None),
        "`CN=sub` cannot be reissued: it is not self-signed; `CN=ca` must issue it"
    );
    let end = keybook_pki::rfc3339(ca.not_after());
    assert_eq!(
        message(&ca, &ca_key, ca.not_after(), None),
        format!("`CN=ca` cannot be reissued: the new end {end} is not later than the present one, {end}")
    );
    let begin = keybook_pki::rfc3339(later);
    assert_eq!(
        message(&ca, &ca_key, later, Some(later)),
        format!("`CN=ca` cannot be reissued: it would begin at {begin} but end before")
    );
    assert_eq!(
        message(&ca, &ca_key, i64::MAX, None),
        format!("the date @{} is outside the years 0 to 9999", i64::MAX)
    );
    // Another CA's signature under the same name.
    work.make_root("other", "/CN=ca", "sha256", CA);
    work.openssl("req -new -key ca.key -subj /CN=ca -out same.csr");
    work.write("same.cnf", CA);
    work.openssl("x509 -req -in same.csr -CA other.pem -CAkey other.key -CAcreateserial -extfile same.cnf -out same.pem");
    assert_eq!(
        message(&work.certificate("same.pem"), &ca_key, later, None),
        "`CN=ca` cannot be reissued: it is not self-signed; `CN=ca` must issue it"
    );
}
