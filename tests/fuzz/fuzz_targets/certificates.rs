//! Certificates, keys, requests and revocation lists of any bytes, in PEM and DER; what is read is verified and told.
#![no_main]

use keybook_api::Secret;
use keybook_pki::{Certificate, CertificateRequest, PrivateKey, RevocationList, Usage, covers, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Certificate::load_all_pem(bytes);
    if let Ok(all) = Certificate::load_all(bytes) {
        for certificate in &all {
            let _ = certificate.to_value();
            let _ = covers(certificate, "host.example");
            let _ = verify(certificate, &all, &all, 1_700_000_000, Usage::Server);
        }
    }
    if let Ok(key) = PrivateKey::load(&Secret::new(bytes), Some(&Secret::new("passphrase"))) {
        let _ = key.spki_sha256();
    }
    let _ = RevocationList::one(bytes);
    let _ = CertificateRequest::one_pem(bytes);
});
