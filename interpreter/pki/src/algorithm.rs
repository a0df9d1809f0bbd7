//! Kinds of keys and signatures: their OIDs, names, and verifying with them.

use crate::{error::PkiError, tlv};
use aws_lc_rs::{digest, signature as lc};
use der::asn1::ObjectIdentifier;
use std::{fmt, str::FromStr};

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA with this many bits.
    Rsa(u32),
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// ECDSA on NIST P-521.
    P521,
}

pub(crate) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const CURVES: [(KeyKind, ObjectIdentifier); 3] = [
    (KeyKind::P256, ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7")),
    (KeyKind::P384, ObjectIdentifier::new_unwrap("1.3.132.0.34")),
    (KeyKind::P521, ObjectIdentifier::new_unwrap("1.3.132.0.35")),
];

impl KeyKind {
    pub(crate) fn from_curve(oid: ObjectIdentifier) -> Option<Self> {
        CURVES.iter().find(|(_, known)| *known == oid).map(|(kind, _)| *kind)
    }

    /// The OID of the curve; `None` for RSA.
    pub(crate) fn curve(self) -> Option<ObjectIdentifier> {
        CURVES.iter().find(|(known, _)| *known == self).map(|(_, oid)| *oid)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA-{bits}"),
            Self::P256 => f.write_str("ECDSA-P256"),
            Self::P384 => f.write_str("ECDSA-P384"),
            Self::P521 => f.write_str("ECDSA-P521"),
        }
    }
}

/// Reads `RSA-2048`, `ECDSA-P256` and so on, without regard to case.
impl FromStr for KeyKind {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<Self, PkiError> {
        match text.to_ascii_uppercase().as_str() {
            "ECDSA-P256" => Ok(Self::P256),
            "ECDSA-P384" => Ok(Self::P384),
            "ECDSA-P521" => Ok(Self::P521),
            other => other
                .strip_prefix("RSA-")
                .and_then(|bits| bits.parse().ok())
                .map(Self::Rsa)
                .ok_or_else(|| PkiError::Unsupported(format!("a key of the kind `{text}`"))),
        }
    }
}

/// A digest that signatures use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(crate) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// A signature algorithm of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RSA PKCS#1 v1.5.
    Rsa(Hash),
    Ecdsa(Hash),
    /// One that is only named, never made or verified.
    Other(ObjectIdentifier),
}

/// OIDs of RFC 4055 and RFC 5758, with OpenSSL's names.
const SCHEMES: [(Scheme, ObjectIdentifier, &str); 8] = [
    (Scheme::Rsa(Hash::Sha1), ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5"), "sha1WithRSAEncryption"),
    (
        Scheme::Rsa(Hash::Sha256),
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"),
        "sha256WithRSAEncryption",
    ),
    (
        Scheme::Rsa(Hash::Sha384),
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"),
        "sha384WithRSAEncryption",
    ),
    (
        Scheme::Rsa(Hash::Sha512),
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"),
        "sha512WithRSAEncryption",
    ),
    (Scheme::Ecdsa(Hash::Sha1), ObjectIdentifier::new_unwrap("1.2.840.10045.4.1"), "ecdsa-with-SHA1"),
    (Scheme::Ecdsa(Hash::Sha256), ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), "ecdsa-with-SHA256"),
    (Scheme::Ecdsa(Hash::Sha384), ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), "ecdsa-with-SHA384"),
    (Scheme::Ecdsa(Hash::Sha512), ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"), "ecdsa-with-SHA512"),
];

/// Names of algorithms that are recognised but not handled.
const NAMED: [(&str, &str); 5] = [
    ("1.2.840.113549.1.1.1", "rsaEncryption"),
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    ("1.2.840.113549.1.1.10", "rsassaPss"),
    ("1.3.101.112", "ED25519"),
    ("1.3.101.113", "ED448"),
];

/// A name for the OID of a key or signature algorithm that is not handled.
pub(crate) fn algorithm_name(oid: ObjectIdentifier) -> String {
    let text = oid.to_string();
    NAMED.iter().find(|(known, _)| *known == text).map_or(text, |(_, name)| (*name).to_owned())
}

impl Scheme {
    pub(crate) fn from_oid(oid: ObjectIdentifier) -> Self {
        SCHEMES.iter().find(|(_, known, _)| *known == oid).map_or(Self::Other(oid), |(scheme, ..)| *scheme)
    }

    /// What cfssl signs with for a key of this kind (its signer.DefaultSigAlgo).
    pub(crate) fn default_for(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Rsa(4096..) => Self::Rsa(Hash::Sha512),
            KeyKind::Rsa(3072..) => Self::Rsa(Hash::Sha384),
            KeyKind::Rsa(_) => Self::Rsa(Hash::Sha256),
            KeyKind::P256 => Self::Ecdsa(Hash::Sha256),
            KeyKind::P384 => Self::Ecdsa(Hash::Sha384),
            KeyKind::P521 => Self::Ecdsa(Hash::Sha512),
        }
    }

    /// This scheme, or SHA-256 with the key's kind where such a key cannot make it or it uses SHA-1.
    pub(crate) fn usable_by(self, kind: KeyKind) -> Self {
        match (self, kind) {
            (Self::Rsa(Hash::Sha256 | Hash::Sha384 | Hash::Sha512), KeyKind::Rsa(_)) => self,
            (_, KeyKind::Rsa(_)) => Self::Rsa(Hash::Sha256),
            (Self::Ecdsa(Hash::Sha256 | Hash::Sha384 | Hash::Sha512), _) => self,
            _ => Self::Ecdsa(Hash::Sha256),
        }
    }

    /// The DER of the AlgorithmIdentifier: RSA with NULL parameters, ECDSA without.
    pub(crate) fn identifier(self) -> Vec<u8> {
        let oid = match self {
            Self::Other(oid) => oid,
            _ => SCHEMES.iter().find(|(scheme, ..)| *scheme == self).map_or(RSA, |(_, oid, _)| *oid),
        };
        let parameters = if matches!(self, Self::Rsa(_)) { tlv::wrap(tlv::NULL, &[]) } else { Vec::new() };
        tlv::sequence(&[&tlv::oid(oid), &parameters])
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(oid) => f.write_str(&algorithm_name(*oid)),
            _ => {
                f.write_str(SCHEMES.iter().find(|(scheme, ..)| scheme == self).map_or("", |(.., name)| name))
            }
        }
    }
}

/// The subject's public key of a certificate.
#[derive(Clone)]
pub(crate) struct PublicKey {
    /// The whole SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// Its BIT STRING: RSAPublicKey, or the point.
    pub bits: Vec<u8>,
    /// `None` for kinds that are not handled.
    pub kind: Option<KeyKind>,
    /// `RSA-2048` and so on, or the algorithm's name.
    pub name: String,
}

impl PublicKey {
    /// Does this key verify the signature? Errors when the combination is not supported.
    pub(crate) fn verifies(&self, scheme: Scheme, data: &[u8], signature: &[u8]) -> Result<bool, PkiError> {
        let algorithm = self.verification(scheme).ok_or_else(|| {
            PkiError::Unsupported(format!(
                "the signature algorithm {scheme} with a key of the kind {}",
                self.name
            ))
        })?;
        Ok(lc::UnparsedPublicKey::new(algorithm, &self.bits).verify(data, signature).is_ok())
    }

    /// SHA-1 and RSA of 1024 bits are verified, since old clusters hold such certificates and their daemons
    /// accept them; nothing is signed with SHA-1 here.
    fn verification(&self, scheme: Scheme) -> Option<&'static dyn lc::VerificationAlgorithm> {
        use Hash::{Sha1, Sha256, Sha384, Sha512};
        Some(match (self.kind?, scheme) {
            (KeyKind::Rsa(_), Scheme::Rsa(Sha1)) => &lc::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            (KeyKind::Rsa(_), Scheme::Rsa(Sha256)) => &lc::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            (KeyKind::Rsa(_), Scheme::Rsa(Sha384)) => &lc::RSA_PKCS1_2048_8192_SHA384,
            (KeyKind::Rsa(_), Scheme::Rsa(Sha512)) => &lc::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
            (KeyKind::P256, Scheme::Ecdsa(Sha1)) => &lc::ECDSA_P256_SHA1_ASN1,
            (KeyKind::P256, Scheme::Ecdsa(Sha256)) => &lc::ECDSA_P256_SHA256_ASN1,
            (KeyKind::P256, Scheme::Ecdsa(Sha384)) => &lc::ECDSA_P256_SHA384_ASN1,
            (KeyKind::P256, Scheme::Ecdsa(Sha512)) => &lc::ECDSA_P256_SHA512_ASN1,
            (KeyKind::P384, Scheme::Ecdsa(Sha256)) => &lc::ECDSA_P384_SHA256_ASN1,
            (KeyKind::P384, Scheme::Ecdsa(Sha384)) => &lc::ECDSA_P384_SHA384_ASN1,
            (KeyKind::P384, Scheme::Ecdsa(Sha512)) => &lc::ECDSA_P384_SHA512_ASN1,
            (KeyKind::P521, Scheme::Ecdsa(Sha1)) => &lc::ECDSA_P521_SHA1_ASN1,
            (KeyKind::P521, Scheme::Ecdsa(Sha256)) => &lc::ECDSA_P521_SHA256_ASN1,
            (KeyKind::P521, Scheme::Ecdsa(Sha384)) => &lc::ECDSA_P521_SHA384_ASN1,
            (KeyKind::P521, Scheme::Ecdsa(Sha512)) => &lc::ECDSA_P521_SHA512_ASN1,
            _ => return None,
        })
    }
}
