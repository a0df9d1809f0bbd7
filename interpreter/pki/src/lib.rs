//! Keybook's certificate library: reading, reissuing, issuing and verifying X.509 certificates, and private
//! keys in the encodings that OpenSSL, cfssl and Go use. Pure: no files, no network, no clock.

mod algorithm;
mod ca_like;
mod certificate;
mod crl;
mod dates;
mod error;
mod issue;
mod key;
mod name;
mod pem;
mod reissue;
mod request;
mod san;
mod tlv;
mod usage;
mod verify;

pub use algorithm::KeyKind;
pub use ca_like::issue_ca_like;
pub use certificate::{AuthorityKeyId, Certificate, bundle};
pub use crl::{RevocationList, Revoked};
pub use dates::{parse_rfc3339, rfc3339};
pub use error::{PkiError, Place};
pub use issue::{CaRequest, LeafRequest, Subject, issue_ca, issue_leaf};
pub use key::{KeyForm, PrivateKey};
pub use reissue::{Reissued, reissue};
pub use request::CertificateRequest;
pub use san::{San, covers, sans_missing};
pub use usage::Usages;
pub use verify::{Usage, VerifyFailure, verify};

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}
