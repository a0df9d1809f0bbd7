//! Certificate requests, seen and made by openssl.

use crate::tools::Work;
use keybook_pki::{CertificateRequest, KeyKind, PrivateKey, San, Subject};

fn subject(list: &[(&str, &str)]) -> Subject {
    Subject::Attributes(list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

fn sans(list: &[&str]) -> Vec<San> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn openssl_verifies_and_reads_our_requests() {
    let work = Work::new();
    for kind in [KeyKind::Rsa(2048), KeyKind::P256, KeyKind::P521] {
        let key = PrivateKey::generate(kind).unwrap();
        let names = sans(&["DNS:a.example", "IP:10.0.0.1"]);
        let request = CertificateRequest::new(&subject(&[("O", "k8s"), ("CN", "é")]), &names, &key).unwrap();
        assert_eq!((request.subject(), request.sans()), ("CN=é,O=k8s", names.as_slice()));
        assert_eq!(request.spki_sha256(), key.spki_sha256());
        work.write("r.csr", request.to_pem());
        let text = work.openssl("req -noout -verify -text -in r.csr");
        assert!(text.contains("DNS:a.example, IP Address:10.0.0.1"), "{text}");
        assert_eq!(CertificateRequest::one_pem(&work.read("r.csr")).unwrap(), request);
    }
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let bare = CertificateRequest::new(&subject(&[("CN", "x")]), &[], &key).unwrap();
    work.write("r.csr", bare.to_pem());
    work.openssl("req -noout -verify -in r.csr");
    assert!(CertificateRequest::new(&subject(&[]), &[], &key).is_err());
}

#[test]
fn openssls_requests_are_read_and_damage_is_refused() {
    let work = Work::new();
    work.openssl("req -newkey rsa:2048 -nodes -keyout k.pem -out r.csr -subj /CN=x -addext subjectAltName=DNS:a,IP:::1");
    let request = CertificateRequest::one_pem(&work.read("r.csr")).unwrap();
    assert_eq!(request.spki_sha256(), work.key("k.pem").spki_sha256());
    assert_eq!(request.sans(), sans(&["DNS:a", "IP:::1"]));
    let two = format!("{0}{0}", work.text("r.csr"));
    assert!(
        CertificateRequest::one_pem(two.as_bytes())
            .unwrap_err()
            .to_string()
            .contains("2 certificate requests")
    );
    assert!(
        CertificateRequest::one_pem(&work.read("k.pem"))
            .unwrap_err()
            .to_string()
            .contains("no certificate request")
    );
    // One bit of the signature.
    work.openssl("req -in r.csr -outform der -out r.der");
    let mut der = work.read("r.der");
    *der.last_mut().unwrap() ^= 1;
    work.write("bad.der", der);
    work.write(
        "bad.csr",
        format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{}-----END CERTIFICATE REQUEST-----\n",
            work.ok("openssl", "base64 -in bad.der")
        ),
    );
    let error = CertificateRequest::one_pem(&work.read("bad.csr")).unwrap_err().to_string();
    assert!(error.contains("did not make its signature"), "{error}");
}
