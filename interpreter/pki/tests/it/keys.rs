//! Private keys in every encoding, compared with what openssl writes.

use crate::tools::{CA, Work};
use keybook_api::Secret;
use keybook_pki::{KeyForm, KeyKind, PkiError, PrivateKey};

fn load(bytes: impl Into<Vec<u8>>) -> Result<PrivateKey, PkiError> {
    PrivateKey::load(&Secret::new(bytes), None)
}

fn message(bytes: impl Into<Vec<u8>>) -> String {
    load(bytes).err().map_or_else(|| String::from("no error"), |error| error.to_string())
}

fn text(secret: &Secret) -> &str {
    secret.expose_str().unwrap()
}

/// Writes the same key in each encoding with openssl, reads each, and compares what is written with openssl's.
fn every_encoding(spec: &str, kind: KeyKind) {
    let work = Work::new();
    work.make_key("k", spec);
    let (traditional, form) = match kind {
        KeyKind::Rsa(_) => ("rsa -traditional", KeyForm::Pkcs1),
        _ => ("ec", KeyForm::Sec1),
    };
    work.openssl(&format!("{traditional} -in k.key -out k.old"));
    work.openssl("pkcs8 -topk8 -nocrypt -in k.key -out k.p8");
    work.openssl(&format!("{traditional} -in k.key -outform DER -out k.old.der"));
    work.openssl("pkcs8 -topk8 -nocrypt -in k.key -outform DER -out k.p8.der");
    let public = work.openssl("pkey -in k.key -pubout");
    for (file, original) in
        [("k.old", form), ("k.p8", KeyForm::Pkcs8), ("k.old.der", form), ("k.p8.der", KeyForm::Pkcs8)]
    {
        let key = load(work.read(file)).unwrap();
        assert_eq!((key.kind(), key.original_form()), (kind, original), "{file}");
        assert_eq!(text(&key.to_pem(form).unwrap()), work.text("k.old"), "{file}");
        assert_eq!(text(&key.to_pem(KeyForm::Pkcs8).unwrap()), work.text("k.p8"), "{file}");
        for form in [form, KeyForm::Pkcs8] {
            work.write("out.key", key.to_pem(form).unwrap().expose());
            work.openssl("pkey -in out.key -noout -check");
            assert_eq!(work.openssl("pkey -in out.key -pubout"), public, "{file}");
        }
    }
    let wrong = if form == KeyForm::Pkcs1 { KeyForm::Sec1 } else { KeyForm::Pkcs1 };
    assert_eq!(
        load(work.read("k.key")).unwrap().to_pem(wrong).unwrap_err().to_string(),
        format!("the encoding {wrong} for a key of the kind {kind} is not supported")
    );
}

#[test]
fn rsa_in_every_encoding() {
    every_encoding("rsa:2048", KeyKind::Rsa(2048));
}

#[test]
fn ecdsa_in_every_encoding() {
    every_encoding("P-256", KeyKind::P256);
    every_encoding("P-384", KeyKind::P384);
    every_encoding("P-521", KeyKind::P521);
}

#[test]
fn generated_keys_are_accepted_by_openssl_and_by_go() {
    let work = Work::new();
    work.write("csr.json", r#"{"CN":"x"}"#);
    for (kind, forms) in [
        (KeyKind::Rsa(2048), [KeyForm::Pkcs1, KeyForm::Pkcs8]),
        (KeyKind::Rsa(3072), [KeyForm::Pkcs1, KeyForm::Pkcs8]),
        (KeyKind::P256, [KeyForm::Sec1, KeyForm::Pkcs8]),
        (KeyKind::P384, [KeyForm::Sec1, KeyForm::Pkcs8]),
        (KeyKind::P521, [KeyForm::Sec1, KeyForm::Pkcs8]),
    ] {
        let key = PrivateKey::generate(kind).unwrap();
        assert_eq!((key.kind(), key.original_form()), (kind, KeyForm::Pkcs8));
        for form in forms {
            work.write("k.key", key.to_pem(form).unwrap().expose());
            work.openssl("pkey -in k.key -noout -check");
            work.make_root("k", "/CN=ca", "sha256", CA);
            let ca = work.certificate("k.pem");
            assert!(key.matches(&ca));
            assert_eq!(key.spki_sha256(), ca.spki_sha256());
            // cfssl is written in Go: it signs only when it can read the key and the key is the CA's.
            work.ok("cfssl", "gencert -ca=k.pem -ca-key=k.key csr.json");
        }
    }
    assert_eq!(
        PrivateKey::generate(KeyKind::Rsa(1024)).unwrap_err().to_string(),
        "making a key of the kind RSA-1024 is not supported"
    );
}

#[test]
fn what_stands_around_a_key_is_ignored() {
    let work = Work::new();
    work.openssl("ecparam -name prime256v1 -genkey -out k.key");
    assert!(work.text("k.key").starts_with("-----BEGIN EC PARAMETERS-----"));
    work.make_root("k", "/CN=x", "sha256", CA);
    // As kubelet-client-current.pem: certificate and key in one file.
    let both = format!("{}# key\r\n{}", work.text("k.pem"), work.text("k.key").replace('\n', "\r\n"));
    let key = load(both).unwrap();
    assert_eq!(key.original_form(), KeyForm::Sec1);
    assert!(key.matches(&work.certificate("k.pem")));
    // A SEC1 key under PKCS#8's label, which Go's crypto/tls reads, too.
    let mislabelled = work.openssl("ec -in k.key").replace("EC PRIVATE", "PRIVATE");
    assert_eq!(load(mislabelled).unwrap().original_form(), KeyForm::Sec1);
    // Without the public key in it.
    work.openssl("ec -in k.key -no_public -out short.key");
    assert_eq!(load(work.read("short.key")).unwrap().spki_sha256(), key.spki_sha256());
}

#[test]
fn encrypted_keys_need_their_passphrase() {
    let work = Work::new();
    for spec in ["rsa:2048", "P-256"] {
        work.make_key("k", spec);
        work.openssl("pkcs8 -topk8 -in k.key -out enc.key -passout pass:open-sesame");
        work.openssl("pkcs8 -topk8 -in k.key -outform DER -out enc.der -passout pass:open-sesame");
        work.openssl("pkcs8 -topk8 -in k.key -out scrypt.key -scrypt -passout pass:open-sesame");
        assert_eq!(message(work.read("enc.key")), "the private key is encrypted; give its passphrase");
        let plain = load(work.read("k.key")).unwrap();
        for file in ["enc.key", "enc.der", "scrypt.key"] {
            let open = |pass: &str| PrivateKey::load(&Secret::new(work.read(file)), Some(&Secret::new(pass)));
            let key = open("open-sesame").unwrap();
            assert_eq!(key.original_form(), KeyForm::Pkcs8);
            assert_eq!(key.to_pem(KeyForm::Pkcs8), plain.to_pem(KeyForm::Pkcs8));
            assert_eq!(
                open("wrong").unwrap_err().to_string(),
                "the passphrase does not open the private key"
            );
        }
    }
    let unreadable = "the private key is encrypted; this kind of encryption cannot be read here (`openssl pkey` decrypts it)";
    work.openssl("ec -aes128 -in k.key -out old.key -passout pass:open-sesame");
    assert!(work.text("old.key").contains("Proc-Type: 4,ENCRYPTED"));
    assert_eq!(message(work.read("old.key")), unreadable);
    work.openssl("pkcs8 -topk8 -v1 PBE-SHA1-3DES -in k.key -out v1.key -passout pass:open-sesame");
    let open = PrivateKey::load(&Secret::new(work.read("v1.key")), Some(&Secret::new("open-sesame")));
    assert_eq!(open.unwrap_err().to_string(), unreadable);
}

#[test]
fn every_bad_key_has_its_message() {
    let work = Work::new();
    work.make_key("k", "P-256");
    work.make_root("k", "/CN=x", "sha256", CA);
    let pem = work.text("k.key");
    assert_eq!(message(""), "the file is empty");
    assert_eq!(
        message([0xff, 0xfe, 0]),
        "the file is neither DER nor text: the byte at offset 0 is not UTF-8"
    );
    assert_eq!(message("hello"), "the file holds no private key (no PEM block and no DER)");
    assert_eq!(message(work.read("k.pem")), "the file holds no private key, only CERTIFICATE");
    let der = work.certificate("k.pem").der().to_vec();
    assert_eq!(message(der), "the file holds no private key, only a certificate in DER");
    assert_eq!(message(format!("{pem}{pem}")), "the file holds 2 private keys where exactly one is expected");
    work.openssl("pkcs8 -topk8 -nocrypt -in k.key -outform DER -out k.der");
    let der = work.read("k.der");
    assert_eq!(message(&der[..50]), "the private key is cut off: 88 bytes are missing at its end");
    assert_eq!(message([&der[..], b"\n"].concat()), "1 byte follows the end of the private key");
    let mut other = der.clone();
    other[40] ^= 1;
    assert_eq!(
        message(other),
        "the private key is damaged: its numbers do not make a key of the kind ECDSA-P256"
    );
    let lines: Vec<&str> = pem.lines().collect();
    assert_eq!(
        message(format!("{}\nMAA=\n{}", lines[0], lines[lines.len() - 1])),
        "the private key in the PEM block at line 1 is damaged: it is neither PKCS#1 nor PKCS#8 nor SEC1"
    );
    work.openssl("genpkey -algorithm ED25519 -out ed.key");
    assert_eq!(message(work.read("ed.key")), "a private key of the kind ED25519 is not supported");
    work.openssl("ecparam -name secp256k1 -genkey -noout -out k1.key");
    assert_eq!(message(work.read("k1.key")), "an ECDSA key on the curve 1.3.132.0.10 is not supported");
    work.openssl("ecparam -name prime256v1 -param_enc explicit -genkey -noout -out explicit.key");
    assert_eq!(message(work.read("explicit.key")), "an ECDSA key on explicit parameters is not supported");
    work.make_key("small", "rsa:1024");
    assert_eq!(
        message(work.read("small.key")),
        "an RSA key of 1024 bits (2048 to 8192 are) is not supported"
    );
    let openssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    assert_eq!(message(openssh), "a key in the encoding `OPENSSH PRIVATE KEY` is not supported");
}
