//! New CAs after an old one's model, seen by openssl.

use crate::tools::Work;
use keybook_pki::{Certificate, KeyForm, KeyKind, PrivateKey, Subject, issue_ca_like};

const NOW: i64 = 1_800_000_000;

/// A CA with extensions of its own, as `openssl req` makes it.
fn model(work: &Work) -> Certificate {
    work.write(
        "ca.cnf",
        "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nO=k8s\nOU=a\nCN=old ca\n[ext]\n\
basicConstraints=critical,CA:TRUE,pathlen:1\nkeyUsage=critical,keyCertSign,digitalSignature\n\
subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always,issuer\nnsComment=kept\n",
    );
    work.openssl("req -x509 -newkey rsa:2048 -nodes -keyout old.key -out old.pem -days 10 -config ca.cnf");
    work.certificate("old.pem")
}

#[test]
fn subject_and_extensions_are_the_models_and_the_key_is_new() {
    let work = Work::new();
    let old = model(&work);
    for kind in [KeyKind::Rsa(2048), KeyKind::P384] {
        let key = PrivateKey::generate(kind).unwrap();
        let new = issue_ca_like(&old, None, &key, NOW, NOW + 1_000_000).unwrap();
        assert_eq!(
            (new.subject_der(), new.path_len(), new.usages()),
            (old.subject_der(), Some(1), old.usages())
        );
        assert!(new.self_signed() && new.is_ca() && key.matches(&new));
        assert!(new.ski().is_some() && new.ski() != old.ski() && new.serial() != old.serial());
        assert!(new.aki().is_none());
        work.write("new.pem", new.to_pem());
        work.write("new.key", key.to_pem(KeyForm::Pkcs8).unwrap().expose());
        let text = work.openssl("x509 -noout -text -in new.pem");
        assert!(text.contains("Netscape Comment") && text.contains("kept"), "{text}");
        // A leaf of the new CA verifies against it and not against the old one of the same name.
        work.openssl("req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf");
        work.openssl(
            "x509 -req -in leaf.csr -CA new.pem -CAkey new.key -CAcreateserial -out leaf.pem -days 1",
        );
        work.openssl("verify -no_check_time -CAfile new.pem leaf.pem");
        assert!(!work.run("openssl", "verify -no_check_time -CAfile old.pem leaf.pem").status.success());
    }
}

#[test]
fn another_subject_can_be_given_and_a_wrong_order_is_refused() {
    let work = Work::new();
    let old = model(&work);
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let subject = Subject::Attributes(vec![("CN".to_owned(), "new ca".to_owned())]).to_der().unwrap();
    let new = issue_ca_like(&old, Some(&subject), &key, NOW, NOW + 10).unwrap();
    assert_eq!((new.subject(), new.issuer()), ("CN=new ca", "CN=new ca"));
    let own = work.key("old.key");
    for (key, end, message) in [(&own, NOW + 10, "the key is its own"), (&key, NOW, "but end at")] {
        let error = issue_ca_like(&old, None, key, NOW, end).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    work.openssl("req -x509 -newkey rsa:2048 -nodes -keyout l.key -out l.pem -subj /CN=l -addext basicConstraints=CA:FALSE");
    let error = issue_ca_like(&work.certificate("l.pem"), None, &key, NOW, NOW + 10).unwrap_err();
    assert!(error.to_string().ends_with("it is not a CA"), "{error}");
}
