//! No input makes the library panic.

use keybook_api::Secret;
use keybook_pki::{
    CaRequest, Certificate, KeyForm, KeyKind, PrivateKey, Subject, Usage, covers, issue_ca, reissue, verify,
};
use proptest::{collection::vec, prelude::*};
use std::sync::LazyLock;

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(KeyKind::P256).unwrap());
static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
    let subject = Subject::Attributes(vec![("O".into(), "a".into()), ("CN".into(), "b".into())]);
    issue_ca(&CaRequest { subject, path_len: Some(3), not_before: 0, not_after: 1000 }, &KEY).unwrap()
});

/// Uses everything that can be had from bytes.
fn use_all(bytes: &[u8]) {
    if let Ok(found) = Certificate::load_all(bytes) {
        for certificate in &found {
            assert_eq!(Certificate::from_value(&certificate.to_value()).as_ref(), Ok(certificate));
            let _ = verify(certificate, &found, std::slice::from_ref(&*CERTIFICATE), 500, Usage::Server);
            let _ = verify(&CERTIFICATE, &found, &found, 500, Usage::Any);
            let _ = reissue(certificate, &KEY, 2000, None);
            covers(certificate, "a.example");
        }
    }
    let _ = Certificate::one_pem(bytes);
    if let Ok(key) = PrivateKey::load(&Secret::new(bytes), None) {
        key.to_pem(KeyForm::Pkcs8).unwrap();
    }
}

/// Overwrites, removes and inserts bytes.
fn mutate(bytes: &mut Vec<u8>, changes: &[(usize, u8, u8)]) {
    for (position, kind, byte) in changes {
        let at = position % bytes.len().max(1);
        match kind % 3 {
            0 if at < bytes.len() => bytes[at] = *byte,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            _ => bytes.insert(at, *byte),
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..400)) {
        use_all(&bytes);
        use_all(&[&[0x30, 0x82, 1, 0][..], &bytes].concat());
    }

    #[test]
    fn arbitrary_text(text in "(-----BEGIN (CERTIFICATE|PRIVATE KEY)-----\n[A-Za-z0-9+/=:\n -]{0,80}(-----END CERTIFICATE-----)?\n?){0,3}") {
        use_all(text.as_bytes());
    }

    #[test]
    fn mutated_certificates(changes in changes()) {
        let mut der = CERTIFICATE.der().to_vec();
        mutate(&mut der, &changes);
        use_all(&der);
        let mut pem = CERTIFICATE.to_pem().into_bytes();
        mutate(&mut pem, &changes);
        use_all(&pem);
    }

    #[test]
    fn mutated_keys(changes in changes(), form in prop_oneof![Just(KeyForm::Pkcs8), Just(KeyForm::Sec1)]) {
        let mut pem = KEY.to_pem(form).unwrap().expose().to_vec();
        mutate(&mut pem, &changes);
        use_all(&pem);
    }
}
