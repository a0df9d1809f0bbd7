//! Revocation lists that openssl made.

use crate::tools::Work;
use keybook_pki::RevocationList;

fn list(work: &Work) {
    work.write(
        "ca.cnf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=30\n\
private_key=ca.key\ncertificate=ca.pem\ncrl_extensions=ext\n[ext]\nauthorityKeyIdentifier=keyid:always\n",
    );
    work.openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 10 -subj /O=k8s/CN=ca");
    work.write("crlnumber", "1F\n");
    work.write(
        "index.txt",
        "R\t300101000000Z\t260102030405Z,keyCompromise\t0ABC\tunknown\t/CN=a\n\
R\t300101000000Z\t260102030406Z\tFFFFFFFFFFFFFFFFFFFF\tunknown\t/CN=b\nV\t300101000000Z\t\t03\tunknown\t/CN=c\n",
    );
    work.openssl("ca -gencrl -config ca.cnf -out crl.pem");
    work.openssl("crl -in crl.pem -outform der -out crl.der");
}

#[test]
fn openssls_list_is_read() {
    let work = Work::new();
    list(&work);
    let crl = RevocationList::one(&work.read("crl.pem")).unwrap();
    assert_eq!((crl.issuer.as_str(), crl.number.as_deref()), ("CN=ca,O=k8s", Some("31")));
    assert_eq!(crl.next_update, Some(crl.this_update + 30 * 86_400));
    let found: Vec<_> = crl.revoked.iter().map(|one| (one.serial.as_str(), one.date, one.reason)).collect();
    assert_eq!(
        found,
        [("2748", 1_767_323_045, Some("keyCompromise")), ("1208925819614629174706175", 1_767_323_046, None)]
    );
    assert_eq!(RevocationList::one(&work.read("crl.der")).unwrap(), crl);
}

#[test]
fn what_is_no_list_is_refused() {
    let work = Work::new();
    list(&work);
    let message = |file: &[u8]| RevocationList::one(file).unwrap_err().to_string();
    assert!(message(&work.read("ca.pem")).contains("no revocation list"));
    assert!(message(format!("{0}{0}", work.text("crl.pem")).as_bytes()).contains("2 revocation lists"));
    let der = work.read("crl.der");
    assert!(message(&der[..der.len() - 3]).contains("3 bytes are missing"));
    assert!(message(b"").contains("empty"));
}
