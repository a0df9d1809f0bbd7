//! Certificates and keys as they may be described.

use keybook_api::Secret;
use keybook_pki::{Certificate, PrivateKey, rfc3339};

/// One line for each certificate of a PEM file; `None` when it holds none.
pub fn summary(content: &Secret) -> Option<String> {
    let all = Certificate::load_all_pem(content.expose()).ok()?;
    Some(all.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// A certificate in one line.
pub fn line(certificate: &Certificate) -> String {
    format!(
        "certificate {}, serial {}, {} to {}, sha256 {}",
        certificate.subject(),
        certificate.serial(),
        rfc3339(certificate.not_before()),
        rfc3339(certificate.not_after()),
        certificate.sha256()
    )
}

/// SHA-256 of the public key of an unencrypted private key file; `None` when there is no such key.
pub fn public_digest(content: &Secret) -> Option<String> {
    PrivateKey::load(content, None).ok().map(|key| key.spki_sha256())
}
