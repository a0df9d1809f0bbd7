//! Certificates made by the certificate library.

use super::Bench;
use keybook_pki::{
    CaRequest, Certificate, KeyForm, KeyKind, LeafRequest, PrivateKey, Subject, Usages, issue_ca, issue_leaf,
};

const YEAR: i64 = 365 * 86_400;

/// How a test certificate differs from the usual one.
#[derive(Clone)]
pub struct Issue {
    pub cn: &'static str,
    pub kind: KeyKind,
    /// Seconds from now.
    pub not_before: i64,
    /// Seconds from now.
    pub not_after: i64,
    pub sans: &'static [&'static str],
}

impl Default for Issue {
    fn default() -> Self {
        let sans = &["DNS:localhost", "IP:127.0.0.1"];
        Self { cn: "test", kind: KeyKind::P256, not_before: -YEAR, not_after: YEAR, sans }
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn subject(issue: &Issue) -> Subject {
    Subject::Attributes(vec![("O".to_owned(), "Keybook".to_owned()), ("CN".to_owned(), issue.cn.to_owned())])
}

fn save(bench: &Bench, name: &str, certificate: &Certificate, key: &PrivateKey) {
    bench.file(&format!("{name}.pem"), certificate.to_pem());
    bench.file(&format!("{name}-key.pem"), key.to_pem(KeyForm::Pkcs8).unwrap().expose());
    bench.chmod(&format!("{name}-key.pem"), 0o600);
}

/// Makes `<name>.pem` and `<name>-key.pem`, a self-signed CA.
pub fn ca(bench: &Bench, name: &str, issue: &Issue) -> (Certificate, PrivateKey) {
    let key = PrivateKey::generate(issue.kind).unwrap();
    let (not_before, not_after) = (now() + issue.not_before, now() + issue.not_after);
    let request = CaRequest { subject: subject(issue), path_len: None, not_before, not_after };
    let certificate = issue_ca(&request, &key).unwrap();
    save(bench, name, &certificate, &key);
    (certificate, key)
}

/// Makes `<name>.pem` and `<name>-key.pem`, good for servers and clients.
pub fn leaf(
    bench: &Bench,
    ca: &(Certificate, PrivateKey),
    name: &str,
    issue: &Issue,
) -> (Certificate, PrivateKey) {
    let key = PrivateKey::generate(issue.kind).unwrap();
    let request = LeafRequest {
        subject: subject(issue),
        sans: issue.sans.iter().map(|san| san.parse().unwrap()).collect(),
        usages: Usages::from_words(["signing", "key encipherment", "server auth", "client auth"]).unwrap(),
        not_before: now() + issue.not_before,
        not_after: now() + issue.not_after,
    };
    let certificate = issue_leaf(&request, &ca.0, &ca.1, &key).unwrap();
    save(bench, name, &certificate, &key);
    (certificate, key)
}
