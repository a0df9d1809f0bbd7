//! Issued certificates beside cfssl's.

use crate::tools::Work;
use keybook_pki::{
    CaRequest, Certificate, KeyForm, KeyKind, LeafRequest, PrivateKey, San, Subject, Usages, issue_ca,
    issue_leaf, rfc3339,
};

const CONFIG: &str = r#"{"signing":{"profiles":{"etcd":{"expiry":"8760h",
    "usages":["signing","key encipherment","server auth","client auth"]}}}}"#;
const CSR: &str = r#"{"CN":"etcd","key":{"algo":"ecdsa","size":256},
    "names":[{"C":"CN","ST":"Shanghai","L":"Xuhui","O":"k8s","OU":"System"}]}"#;
const WORDS: [&str; 4] = ["signing", "key encipherment", "server auth", "client auth"];
const NOW: i64 = 1_800_000_000;

fn attributes(list: &[(&str, &str)]) -> Subject {
    Subject::Attributes(list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

fn request(subject: Subject, sans: &[&str]) -> LeafRequest {
    LeafRequest {
        subject,
        sans: sans.iter().map(|text| text.parse::<San>().unwrap()).collect(),
        usages: Usages::from_words(WORDS).unwrap(),
        not_before: NOW,
        not_after: NOW + 1000,
    }
}

fn root(kind: KeyKind) -> (Certificate, PrivateKey) {
    let key = PrivateKey::generate(kind).unwrap();
    let subject = attributes(&[("O", "k8s"), ("CN", "etcd ca")]);
    let request = CaRequest { subject, path_len: None, not_before: NOW, not_after: NOW + 100_000 };
    (issue_ca(&request, &key).unwrap(), key)
}

/// `openssl x509 -text` without what must differ.
fn profile(work: &Work, file: &str) -> String {
    let options = "no_serial,no_validity,no_sigdump";
    work.openssl(&format!("x509 -noout -text -certopt {options} -in {file}"))
}

#[test]
fn our_leaf_has_cfssls_profile() {
    for kind in [KeyKind::Rsa(2048), KeyKind::Rsa(3072), KeyKind::P256, KeyKind::P384] {
        let work = Work::new();
        let (ca, ca_key) = root(kind);
        work.write("ca.pem", ca.to_pem());
        work.write("ca.key", ca_key.to_pem(KeyForm::Pkcs8).unwrap().expose());
        work.write("config.json", CONFIG);
        work.write("csr.json", CSR);
        let names = ["etcd.example", "127.0.0.1", "fd00::1", "ops@example.com"];
        let output = work.ok(
            "cfssl",
            &format!(
                "gencert -ca=ca.pem -ca-key=ca.key -config=config.json -profile=etcd -hostname={} csr.json",
                names.join(",")
            ),
        );
        let output: serde_json::Value = serde_json::from_str(&output).unwrap();
        work.write("theirs.pem", output["cert"].as_str().unwrap());
        work.write("leaf.key", output["key"].as_str().unwrap());
        let (theirs, key) = (work.certificate("theirs.pem"), work.key("leaf.key"));

        let sans: Vec<String> = theirs.sans().iter().map(ToString::to_string).collect();
        let sans: Vec<&str> = sans.iter().map(String::as_str).collect();
        let copied = request(Subject::Der(theirs.subject_der().to_vec()), &sans);
        let ours = issue_leaf(&copied, &ca, &ca_key, &key).unwrap();
        work.write("ours.pem", ours.to_pem());
        assert_eq!(profile(&work, "ours.pem"), profile(&work, "theirs.pem"), "{kind}");

        let listed =
            [("C", "CN"), ("ST", "Shanghai"), ("L", "Xuhui"), ("O", "k8s"), ("OU", "System"), ("CN", "etcd")];
        let written = issue_leaf(&request(attributes(&listed), &names), &ca, &ca_key, &key).unwrap();
        assert_eq!(written.subject_der(), theirs.subject_der());
        assert_ne!(written.serial(), ours.serial());
        let octets = ours.serial_hex().len() / 2;
        assert!(octets < 20 || (octets == 20 && ours.serial_hex().as_str() < "8"), "{}", ours.serial_hex());
        assert_eq!(work.openssl(&format!("verify -attime {NOW} -CAfile ca.pem ours.pem")), "ours.pem: OK\n");
        check_certinfo(&work, &ours, &ca);
    }
}

fn check_certinfo(work: &Work, ours: &Certificate, ca: &Certificate) {
    let info: serde_json::Value = serde_json::from_str(&work.ok("cfssl", "certinfo -cert ours.pem")).unwrap();
    assert_eq!(info["subject"]["common_name"], "etcd");
    assert_eq!(info["issuer"]["common_name"], "etcd ca");
    assert_eq!(info["serial_number"], ours.serial());
    assert_eq!(info["not_before"], rfc3339(NOW));
    assert_eq!(info["not_after"], rfc3339(NOW + 1000));
    // cfssl 1.2 leaves out leading zeros of each octet.
    let octets = |key: &str| -> String {
        info[key].as_str().unwrap().split(':').map(|octet| format!("{:0>2}", octet.to_lowercase())).collect()
    };
    assert_eq!(Some(octets("authority_key_id")), ca.ski());
    assert_eq!(Some(octets("subject_key_id")), ours.ski());
    // certinfo leaves mail addresses out.
    assert_eq!(info["sans"], serde_json::json!(["etcd.example", "127.0.0.1", "fd00::1"]));
}

#[test]
fn our_ca_has_cfssls_profile() {
    let work = Work::new();
    work.write("ca.json", r#"{"CN":"etcd ca","key":{"algo":"ecdsa","size":256},"names":[{"O":"k8s"}]}"#);
    let output: serde_json::Value =
        serde_json::from_str(&work.ok("cfssl", "gencert -initca ca.json")).unwrap();
    work.write("theirs.pem", output["cert"].as_str().unwrap());
    work.write("ca.key", output["key"].as_str().unwrap());
    let subject = attributes(&[("O", "k8s"), ("CN", "etcd ca")]);
    let request = CaRequest { subject, path_len: None, not_before: NOW, not_after: NOW + 1000 };
    work.write("ours.pem", issue_ca(&request, &work.key("ca.key")).unwrap().to_pem());
    assert_eq!(profile(&work, "ours.pem"), profile(&work, "theirs.pem"));
}

#[test]
fn repeated_attributes_and_path_lengths_are_written() {
    let work = Work::new();
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let subject = attributes(&[("DC", "example"), ("OU", "one"), ("OU", "two"), ("CN", "运维")]);
    let request = CaRequest { subject, path_len: Some(0), not_before: NOW, not_after: NOW + 1000 };
    let ca = issue_ca(&request, &key).unwrap();
    work.write("ca.pem", ca.to_pem());
    let said = work.openssl("x509 -noout -subject -nameopt RFC2253,-esc_msb -in ca.pem");
    assert_eq!(said.trim(), "subject=CN=运维,OU=two,OU=one,DC=example");
    assert_eq!((ca.subject(), ca.path_len()), ("CN=运维,OU=two,OU=one,DC=example", Some(0)));
    assert!(work.openssl("x509 -noout -text -in ca.pem").contains("CA:TRUE, pathlen:0"));
}

#[test]
fn a_leaf_without_subject_has_critical_names() {
    let work = Work::new();
    let (ca, ca_key) = root(KeyKind::P256);
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let leaf = issue_leaf(&request(attributes(&[]), &["a.example"]), &ca, &ca_key, &key).unwrap();
    work.write("leaf.pem", leaf.to_pem());
    assert!(work.openssl("x509 -noout -text -in leaf.pem").contains("Subject Alternative Name: critical"));
}

#[test]
fn what_must_not_be_issued_is_refused() {
    let (ca, ca_key) = root(KeyKind::P256);
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let named = || request(attributes(&[("CN", "etcd")]), &[]);
    let leaf = issue_leaf(&named(), &ca, &ca_key, &key).unwrap();
    let message = |request: &LeafRequest, ca: &Certificate, ca_key: &PrivateKey| {
        issue_leaf(request, ca, ca_key, &key).unwrap_err().to_string()
    };
    assert_eq!(message(&named(), &ca, &key), "the private key does not belong to the CA `CN=etcd ca,O=k8s`");
    assert_eq!(message(&named(), &leaf, &key), "`CN=etcd` is not a CA and cannot issue certificates");
    assert_eq!(
        message(&request(attributes(&[]), &[]), &ca, &ca_key),
        "the certificate would have neither a subject nor alternative names"
    );
    let backwards = LeafRequest { not_after: NOW, ..named() };
    assert_eq!(
        message(&backwards, &ca, &ca_key),
        "the certificate would begin at 2027-01-15T08:00:00Z but end at 2027-01-15T08:00:00Z"
    );
    let garbage = LeafRequest { subject: Subject::Der(vec![1, 2, 3]), ..named() };
    assert_eq!(message(&garbage, &ca, &ca_key), "the subject is not the DER of a name");
    let nobody = CaRequest { subject: attributes(&[]), path_len: None, not_before: 0, not_after: 1 };
    assert_eq!(issue_ca(&nobody, &key).unwrap_err().to_string(), "the CA would have no subject");
}
