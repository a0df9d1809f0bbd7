//! Certificate files, good and bad.

use crate::tools::{CA, LEAF, Work};
use keybook_pki::{Certificate, PkiError, bundle, parse_rfc3339};

fn two() -> Work {
    let work = Work::new();
    work.make_key("ca", "P-256");
    work.make_root("ca", "/C=CN/O=Example/OU=one/OU=two/CN=etcd ca", "sha256", CA);
    work.make_key("leaf", "rsa:2048");
    work.make_issued("leaf", "/CN=etcd", "ca", "sha256", LEAF);
    work
}

fn message<T>(result: Result<T, PkiError>) -> String {
    result.err().map_or_else(|| String::from("no error"), |error| error.to_string())
}

#[test]
fn certificates_are_found_wherever_they_stand() {
    let work = two();
    let (ca, leaf) = (work.certificate("ca.pem"), work.certificate("leaf.pem"));
    let text = work.openssl("x509 -text -in ca.pem");
    let all = format!("\u{feff}0 s:CN = x\r\n{text}\r\n# 中文\n{}{}", work.text("leaf.key"), leaf.to_pem());
    assert_eq!(Certificate::load_all(all.as_bytes()).unwrap(), [ca.clone(), leaf.clone()]);
    assert_eq!(Certificate::one(leaf.der()).unwrap(), leaf);
    assert_eq!(leaf.to_pem(), work.text("leaf.pem"));
    assert_eq!(
        bundle(&[leaf.clone(), ca.clone(), leaf.clone()]),
        format!("{}{}", work.text("leaf.pem"), work.text("ca.pem"))
    );
}

#[test]
fn every_bad_file_has_its_message() {
    let work = two();
    let (ca, leaf) = (work.certificate("ca.pem"), work.certificate("leaf.pem"));
    let pem = work.text("ca.pem");
    let one = |bytes: &[u8]| message(Certificate::one(bytes));

    assert_eq!(one(b""), "the file is empty");
    assert_eq!(one(b" \r\n\n"), "the file is empty");
    assert_eq!(
        message(Certificate::one_pem(ca.der())),
        "the file is DER (binary) where PEM (text) is required; `openssl x509 -inform der` converts it"
    );
    let three = bundle(&[ca.clone(), leaf.clone()]) + &pem;
    assert_eq!(one(three.as_bytes()), "the file holds 3 certificates where exactly one is expected");
    let key = work.read("leaf.key");
    assert_eq!(one(&key), "the file holds a private key where a certificate is expected");
    assert_eq!(one(&work.read("leaf.csr")), "the file holds no certificate, only CERTIFICATE REQUEST");
    assert_eq!(one(b"hello"), "the file holds no certificate (no PEM block and no DER)");
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(pem.bytes().flat_map(|byte| [byte, 0])).collect();
    assert_eq!(one(&utf16), "the file is neither DER nor text: the byte at offset 0 is not UTF-8");

    // Cut off, in each form.
    assert_eq!(
        one(&ca.der()[..100]),
        format!("the certificate is cut off: {} bytes are missing at its end", ca.der().len() - 100)
    );
    assert_eq!(
        one(&ca.der()[..ca.der().len() - 1]),
        "the certificate is cut off: 1 byte is missing at its end"
    );
    assert_eq!(
        one(&pem.as_bytes()[..pem.len() - 40]),
        "the PEM text is damaged at line 1: the CERTIFICATE that begins here has no END line; the file is cut off or mixed up"
    );
    let lines: Vec<&str> = pem.lines().collect();
    let short = [&lines[..2], &lines[lines.len() - 1..]].concat().join("\n");
    assert_eq!(
        one(format!("x\n\n{short}").as_bytes()),
        format!(
            "the certificate in the PEM block at line 3 is cut off: {} bytes are missing at its end",
            ca.der().len() - 48
        )
    );

    // Trailing data, in each form.
    assert_eq!(one(&[ca.der(), b"\n"].concat()), "1 byte follows the end of the certificate");
    work.write("longer.der", [ca.der(), b"junk"].concat());
    let longer = work.openssl("enc -base64 -in longer.der");
    let longer = format!("-----BEGIN CERTIFICATE-----\n{longer}-----END CERTIFICATE-----\n");
    assert_eq!(
        one(longer.as_bytes()),
        "4 bytes follow the end of the certificate in the PEM block at line 1"
    );

    // Damage.
    let spoilt = pem.replacen(lines[2], &lines[2].replacen(|_: char| true, "*", 1), 1);
    assert_eq!(one(spoilt.as_bytes()), "the PEM text is damaged at line 3: this line is not base64");
    let missing = pem.replacen(lines[2], &lines[2][..63], 1);
    assert_eq!(
        one(missing.as_bytes()),
        "the PEM text is damaged at line 1: the base64 of the CERTIFICATE that begins here is incomplete or damaged"
    );
    let mut tampered = ca.der().to_vec();
    tampered[4] = 0x31;
    assert!(one(&tampered).starts_with("the certificate is damaged: "), "{}", one(&tampered));
    let sha256 = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    let outer = ca.der().windows(10).rposition(|window| window == sha256).unwrap();
    let mut tampered = ca.der().to_vec();
    tampered[outer + 9] = 3;
    assert_eq!(one(&tampered), "the certificate is damaged: it names two different signature algorithms");
    let key_usage = ca.der().windows(3).position(|window| window == b"\x55\x1d\x0f").unwrap();
    let mut tampered = ca.der().to_vec();
    tampered[key_usage + 2] = 0x0e;
    assert_eq!(one(&tampered), "the certificate is damaged: it has the extension 2.5.29.14 twice");
    assert_eq!(
        one(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        "the certificate in the PEM block at line 1 is damaged: it is not a DER sequence"
    );
}

#[test]
fn fields_are_what_openssl_says() {
    let work = two();
    for name in ["ca", "leaf"] {
        let certificate = work.certificate(&format!("{name}.pem"));
        let field = |option: &str| {
            let line = work.openssl(&format!("x509 -noout -in {name}.pem {option}"));
            line.trim().split_once('=').unwrap().1.to_owned()
        };
        assert_eq!(certificate.subject(), field("-subject -nameopt RFC2253"));
        assert_eq!(certificate.issuer(), field("-issuer -nameopt RFC2253"));
        assert_eq!(certificate.serial_hex().to_uppercase(), field("-serial"));
        let fingerprint = field("-fingerprint -sha256").replace(':', "").to_lowercase();
        assert_eq!(certificate.sha256(), fingerprint);
        let date = |option| parse_rfc3339(&field(option).replacen(' ', "T", 1)).unwrap();
        assert_eq!(certificate.not_before(), date("-startdate -dateopt iso_8601"));
        assert_eq!(certificate.not_after(), date("-enddate -dateopt iso_8601"));
        work.openssl(&format!("x509 -noout -pubkey -in {name}.pem -out {name}.pub"));
        work.openssl(&format!("pkey -pubin -in {name}.pub -outform DER -out {name}.spki"));
        let digest = work.openssl(&format!("dgst -sha256 -r {name}.spki"));
        assert_eq!(certificate.spki_sha256(), digest.split(' ').next().unwrap());
    }
    let (ca, leaf) = (work.certificate("ca.pem"), work.certificate("leaf.pem"));
    assert_eq!(ca.subject(), "CN=etcd ca,OU=two,OU=one,O=Example,C=CN");
    assert!(ca.is_ca() && ca.self_signed() && !leaf.is_ca() && !leaf.self_signed());
    assert_eq!(leaf.aki().unwrap().key_id(), ca.ski());
    assert!(!leaf.aki().unwrap().has_issuer_and_serial());
    assert_eq!((ca.key(), leaf.key()), ("ECDSA-P256", "RSA-2048"));
    assert_eq!(ca.signature(), "ecdsa-with-SHA256");
    assert_eq!(ca.usages().words(), ["cert sign", "crl sign"]);
    assert_eq!(
        leaf.usages().words(),
        ["digital signature", "key encipherment", "server auth", "client auth"]
    );
    let sans: Vec<String> = leaf.sans().iter().map(ToString::to_string).collect();
    assert_eq!(sans, ["DNS:etcd.example", "IP:10.0.0.1"]);
}

#[test]
fn odd_names_are_kept() {
    let work = Work::new();
    work.make_key("odd", "P-256");
    let sans = "subjectAltName=DNS:*.a.example,IP:fd00::1,email:ops@example.com,URI:spiffe://a/b,\
        RID:1.2.3.4,otherName:1.2.3.4;UTF8:x";
    work.make_root("odd", "/DC=com/DC=example/O=a+OU=b, \"c\"/emailAddress=a@b/CN=运维", "sha256", sans);
    let odd = work.certificate("odd.pem");
    assert_eq!(odd.subject(), "CN=运维,emailAddress=a@b,O=a+OU=b\\, \\\"c\\\",DC=example,DC=com");
    assert_eq!(odd.common_name().as_deref(), Some("运维"));
    let sans: Vec<String> = odd.sans().iter().map(ToString::to_string).collect();
    assert_eq!(
        sans,
        [
            "DNS:*.a.example",
            "IP:fd00::1",
            "email:ops@example.com",
            "URI:spiffe://a/b",
            "other:88032a0304",
            "other:a00a06032a0304a0030c0178"
        ]
    );
}
