//! Certificates: loading them from files and reading what they say.

mod parse;
pub(crate) use parse::{oid, public_key, rsa_bits};
mod value;

use crate::{
    algorithm::{PublicKey, Scheme},
    error::{PkiError, Place},
    hex,
    name::Name,
    pem,
    san::San,
    sha256,
    usage::Usages,
};
use std::{fmt, hash};
use x509_parser::num_bigint::BigUint;

/// One X.509 certificate. Its DER is never changed; two certificates are equal when their DER is.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    pub(crate) tbs: Vec<u8>,
    pub(crate) version: u32,
    serial: Vec<u8>,
    pub(crate) subject: Name,
    pub(crate) issuer: Name,
    not_before: i64,
    not_after: i64,
    pub(crate) public_key: PublicKey,
    pub(crate) scheme: Scheme,
    signature: Vec<u8>,
    pub(crate) extensions: Extensions,
}

/// What the extensions say, as far as Keybook uses them.
#[derive(Clone, Default)]
pub(crate) struct Extensions {
    pub sans: Vec<San>,
    /// `None` without a basicConstraints extension.
    pub is_ca: Option<bool>,
    pub path_len: Option<u32>,
    pub ski: Option<Vec<u8>>,
    pub aki: Option<AuthorityKeyId>,
    pub usages: Usages,
    pub has_name_constraints: bool,
    /// OIDs of critical extensions that Keybook does not know.
    pub unknown_critical: Vec<String>,
}

/// How a certificate names its issuer's key (RFC 5280 section 4.2.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorityKeyId {
    pub(crate) key_id: Option<Vec<u8>>,
    /// The DER of the directory name in it.
    pub(crate) issuer: Option<Vec<u8>>,
    pub(crate) serial: Option<Vec<u8>>,
}

impl AuthorityKeyId {
    /// The key identifier in lower-case hexadecimal.
    pub fn key_id(&self) -> Option<String> {
        self.key_id.as_deref().map(hex)
    }

    /// True when it names its issuer by issuer name and serial number, too: then the issuer must keep its serial.
    pub fn has_issuer_and_serial(&self) -> bool {
        self.issuer.is_some() && self.serial.is_some()
    }
}

const LABELS: [&str; 2] = ["CERTIFICATE", "X509 CERTIFICATE"];

impl Certificate {
    /// Every certificate of a file: PEM with any text around the blocks, or one DER. PEM blocks of other kinds
    /// are ignored when there is at least one certificate, since kubelet keeps certificate and key in one file.
    /// Errors: all variants of [`PkiError`] that are about files; never an empty list.
    pub fn load_all(file: &[u8]) -> Result<Vec<Self>, PkiError> {
        if pem::is_der(file) {
            return Self::from_der(file).map(|certificate| vec![certificate]);
        }
        Self::load_all_pem(file)
    }

    /// Like [`Certificate::load_all`], but DER is an error, for files whose reader understands only PEM.
    pub fn load_all_pem(file: &[u8]) -> Result<Vec<Self>, PkiError> {
        if pem::is_der(file) {
            return Err(PkiError::DerGiven);
        }
        let blocks = pem::blocks(pem::text(file)?)?;
        let found: Vec<Self> = blocks
            .iter()
            .filter(|block| LABELS.contains(&block.label))
            .map(|block| parse::certificate(&block.decode()?, Place::certificate(Some(block.line))))
            .collect::<Result<_, _>>()?;
        if !found.is_empty() {
            return Ok(found);
        }
        if blocks.iter().any(|block| block.label.ends_with("PRIVATE KEY")) {
            return Err(PkiError::PrivateKeyGiven);
        }
        Err(PkiError::NoCertificate { found: blocks.iter().map(|block| block.label.to_owned()).collect() })
    }

    /// The only certificate of a file, PEM or DER. Errors as [`Certificate::load_all`], and
    /// [`PkiError::Several`] for a bundle.
    pub fn one(file: &[u8]) -> Result<Self, PkiError> {
        Self::only(Self::load_all(file)?)
    }

    /// The only certificate of a file that must be PEM. Errors as [`Certificate::one`], and
    /// [`PkiError::DerGiven`].
    pub fn one_pem(file: &[u8]) -> Result<Self, PkiError> {
        Self::only(Self::load_all_pem(file)?)
    }

    fn only(mut found: Vec<Self>) -> Result<Self, PkiError> {
        match (found.len(), found.pop()) {
            (1, Some(certificate)) => Ok(certificate),
            (count, _) => Err(PkiError::Several { what: "certificates", count }),
        }
    }

    /// One certificate from DER, for chains that come from a TLS handshake. Errors when it is cut off, damaged
    /// or followed by other data.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        parse::certificate(der, Place::certificate(None))
    }

    /// The DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// PEM text with a final newline.
    pub fn to_pem(&self) -> String {
        String::from_utf8_lossy(&pem::encode("CERTIFICATE", &self.der)).into_owned()
    }

    /// The subject as RFC 4514 text: last RDN first, repeated attributes and multi-valued RDNs kept.
    pub fn subject(&self) -> &str {
        &self.subject.text
    }

    /// The DER of the subject, for copying or comparing it exactly.
    pub fn subject_der(&self) -> &[u8] {
        &self.subject.der
    }

    /// The subject's first common name.
    pub fn common_name(&self) -> Option<String> {
        self.subject.common_name()
    }

    /// The issuer as RFC 4514 text.
    pub fn issuer(&self) -> &str {
        &self.issuer.text
    }

    /// The DER of the issuer.
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuer.der
    }

    /// The serial number in decimal.
    pub fn serial(&self) -> String {
        BigUint::from_bytes_be(&self.serial).to_str_radix(10)
    }

    /// The serial number in lower-case hexadecimal, whole octets, without a leading zero octet.
    pub fn serial_hex(&self) -> String {
        hex(&self.serial)
    }

    /// The serial number's octets without leading zeros.
    pub(crate) fn serial_octets(&self) -> &[u8] {
        &self.serial
    }

    /// When it begins to be valid, seconds since 1970 UTC.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// The last second it is valid, seconds since 1970 UTC.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Its subject alternative names, in order.
    pub fn sans(&self) -> &[San] {
        &self.extensions.sans
    }

    /// True with basicConstraints CA:TRUE.
    pub fn is_ca(&self) -> bool {
        self.extensions.is_ca == Some(true)
    }

    /// How many intermediate CAs may follow below it; `None` for any number.
    pub fn path_len(&self) -> Option<u32> {
        self.extensions.path_len
    }

    /// The subject key identifier in lower-case hexadecimal.
    pub fn ski(&self) -> Option<String> {
        self.extensions.ski.as_deref().map(hex)
    }

    /// The authority key identifier.
    pub fn aki(&self) -> Option<&AuthorityKeyId> {
        self.extensions.aki.as_ref()
    }

    /// The kind of its key: `RSA-2048`, `ECDSA-P256`, or the algorithm's name or OID.
    pub fn key(&self) -> &str {
        &self.public_key.name
    }

    /// The signature algorithm by OpenSSL's name, such as `sha256WithRSAEncryption`.
    pub fn signature(&self) -> String {
        self.scheme.to_string()
    }

    /// What it may be used for.
    pub fn usages(&self) -> &Usages {
        &self.extensions.usages
    }

    /// SHA-256 of the DER in lower-case hexadecimal.
    pub fn sha256(&self) -> String {
        hex(&sha256(&self.der))
    }

    /// SHA-256 of the SubjectPublicKeyInfo in lower-case hexadecimal; equal for certificates of one key.
    pub fn spki_sha256(&self) -> String {
        hex(&sha256(&self.public_key.spki))
    }

    /// True when subject and issuer are equal and its own key made its signature.
    pub fn self_signed(&self) -> bool {
        self.subject.der == self.issuer.der && self.signed_by(self) == Ok(true)
    }

    /// Did the key of `issuer` make the signature? Names and dates are not looked at. Errors when the
    /// signature algorithm is not supported.
    pub fn signed_by(&self, issuer: &Self) -> Result<bool, PkiError> {
        issuer.public_key.verifies(self.scheme, &self.tbs, &self.signature)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, sha256 {})", self.subject(), self.sha256())
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl hash::Hash for Certificate {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.der.hash(state);
    }
}

/// PEM of the certificates in order, each only once.
pub fn bundle(certificates: &[Certificate]) -> String {
    let mut seen: Vec<&Certificate> = Vec::new();
    for certificate in certificates {
        if !seen.contains(&certificate) {
            seen.push(certificate);
        }
    }
    seen.into_iter().map(Certificate::to_pem).collect()
}
