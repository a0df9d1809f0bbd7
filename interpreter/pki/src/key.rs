//! Private keys: loading every common encoding, writing each of them truly, signing.
//!
//! Key bytes live in buffers that are wiped on drop and are never shown.

mod load;

use crate::{
    Certificate,
    algorithm::{self, Hash, KeyKind, PublicKey, Scheme},
    error::PkiError,
    hex, pem, sha256, tlv,
};
use aws_lc_rs::{
    digest::{self, Digest},
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{self as lc, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaEncoding, RsaKeyPair},
};
use keybook_api::Secret;
use std::{fmt, str::FromStr};
use zeroize::Zeroizing;

/// An encoding of private keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyForm {
    /// `RSA PRIVATE KEY` (RFC 8017 appendix A.1.2).
    Pkcs1,
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8,
    /// `EC PRIVATE KEY` (RFC 5915).
    Sec1,
}

impl fmt::Display for KeyForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pkcs1 => "pkcs1",
            Self::Pkcs8 => "pkcs8",
            Self::Sec1 => "sec1",
        })
    }
}

/// Reads `pkcs1`, `pkcs8` or `sec1`.
impl FromStr for KeyForm {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<Self, PkiError> {
        [Self::Pkcs1, Self::Pkcs8, Self::Sec1]
            .into_iter()
            .find(|form| form.to_string() == text)
            .ok_or_else(|| PkiError::Unsupported(format!("the key encoding `{text}`")))
    }
}

/// An RSA or ECDSA private key.
pub struct PrivateKey {
    pair: Pair,
    /// RSA: the RSAPrivateKey structure. ECDSA: the private value, as long as the curve's order.
    secret: Zeroizing<Vec<u8>>,
    public: PublicKey,
    kind: KeyKind,
    form: KeyForm,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl PrivateKey {
    /// The only private key of a file: PKCS#1, PKCS#8 or SEC1, as PEM with any text, EC PARAMETERS or
    /// certificates around it, or as DER. Encrypted PKCS#8 (PBES2, RFC 8018) needs the passphrase; the older
    /// `Proc-Type: 4,ENCRYPTED` is refused. Errors: variants of [`PkiError`] that are about files; keys that are
    /// neither RSA of 2048 to 8192 bits nor ECDSA on P-256, P-384 or P-521 are not supported.
    pub fn load(file: &Secret, passphrase: Option<&Secret>) -> Result<Self, PkiError> {
        load::private_key(file.expose(), passphrase)
    }

    /// Makes a new key: RSA of 2048, 3072 or 4096 bits, or ECDSA. RSA takes up to seconds: not for async threads.
    pub fn generate(kind: KeyKind) -> Result<Self, PkiError> {
        let failed = |_| PkiError::Refused(format!("the key of the kind {kind} could not be made"));
        let size = match kind {
            KeyKind::Rsa(2048) => KeySize::Rsa2048,
            KeyKind::Rsa(3072) => KeySize::Rsa3072,
            KeyKind::Rsa(4096) => KeySize::Rsa4096,
            KeyKind::Rsa(_) => return Err(PkiError::Unsupported(format!("making a key of the kind {kind}"))),
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => {
                let random = SystemRandom::new();
                let der = EcdsaKeyPair::generate_pkcs8(ecdsa(kind), &random).map_err(failed)?;
                return load::from_der(der.as_ref(), None);
            }
        };
        let pair = RsaKeyPair::generate(size).map_err(failed)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
        load::from_der(der.as_ref(), None)
    }

    /// The kind of key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The encoding it was loaded from; PKCS#8 for a generated or an encrypted one.
    pub fn original_form(&self) -> KeyForm {
        self.form
    }

    /// Is this the key of the certificate? By public key.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        certificate.public_key.kind == Some(self.kind) && certificate.public_key.bits == self.public.bits
    }

    /// SHA-256 of the SubjectPublicKeyInfo in lower-case hexadecimal, as [`Certificate::spki_sha256`].
    pub fn spki_sha256(&self) -> String {
        hex(&sha256(&self.public.spki))
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Unencrypted PEM, truly in the asked encoding. Errors when this kind of key has no such encoding.
    pub fn to_pem(&self, form: KeyForm) -> Result<Secret, PkiError> {
        let (label, der) = match (form, &self.pair) {
            (KeyForm::Pkcs1, Pair::Rsa(_)) => ("RSA PRIVATE KEY", self.secret.clone()),
            (KeyForm::Sec1, Pair::Ecdsa(_)) => ("EC PRIVATE KEY", self.sec1(true)),
            (KeyForm::Pkcs8, _) => ("PRIVATE KEY", self.pkcs8()),
            (KeyForm::Pkcs1, Pair::Ecdsa(_)) | (KeyForm::Sec1, Pair::Rsa(_)) => {
                return Err(PkiError::Unsupported(format!(
                    "the encoding {form} for a key of the kind {}",
                    self.kind
                )));
            }
        };
        let mut pem = pem::encode(label, &der);
        Ok(Secret::new(std::mem::take(&mut *pem)))
    }

    /// The public key as PEM: `PUBLIC KEY`, a SubjectPublicKeyInfo (RFC 5280, RFC 7468 section 13).
    pub fn public_pem(&self) -> String {
        String::from_utf8_lossy(&pem::encode("PUBLIC KEY", &self.public.spki)).into_owned()
    }

    /// ECPrivateKey (RFC 5915); inside PKCS#8 the curve is named outside of it.
    fn sec1(&self, with_curve: bool) -> Zeroizing<Vec<u8>> {
        let curve = self
            .kind
            .curve()
            .filter(|_| with_curve)
            .map_or_else(Vec::new, |curve| tlv::wrap(tlv::context_constructed(0), &[&tlv::oid(curve)]));
        let public = tlv::wrap(tlv::context_constructed(1), &[&tlv::bit_string(&self.public.bits)]);
        let private = Zeroizing::new(tlv::wrap(tlv::OCTET_STRING, &[&self.secret]));
        Zeroizing::new(tlv::sequence(&[&tlv::unsigned(&[1]), &private, &curve, &public]))
    }

    /// PrivateKeyInfo, version 0 (RFC 5958).
    fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let inner = match &self.pair {
            Pair::Rsa(_) => self.secret.clone(),
            Pair::Ecdsa(_) => self.sec1(false),
        };
        let octets = Zeroizing::new(tlv::wrap(tlv::OCTET_STRING, &[&inner]));
        Zeroizing::new(tlv::sequence(&[&tlv::unsigned(&[0]), &key_algorithm(self.kind), &octets]))
    }

    /// Signs with one of the schemes that [`Scheme::usable_by`] gives for this kind.
    pub(crate) fn sign(&self, scheme: Scheme, data: &[u8]) -> Result<Vec<u8>, PkiError> {
        let failed = |_| PkiError::Refused(format!("a key of the kind {} could not sign", self.kind));
        match (&self.pair, scheme) {
            (Pair::Rsa(pair), Scheme::Rsa(hash)) => {
                let encoding = rsa_encoding(hash).ok_or_else(|| self.cannot(scheme))?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), data, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            (Pair::Ecdsa(pair), Scheme::Ecdsa(hash)) if hash != Hash::Sha1 => {
                let native = native_digest(self.kind);
                let fitted = fit(digest::digest(hash.algorithm(), data).as_ref(), native.output_len());
                let digest = Digest::import_less_safe(&fitted, native).map_err(failed)?;
                Ok(pair.sign_digest(&digest).map_err(failed)?.as_ref().to_vec())
            }
            _ => Err(self.cannot(scheme)),
        }
    }

    fn cannot(&self, scheme: Scheme) -> PkiError {
        PkiError::Unsupported(format!("signing {scheme} with a key of the kind {}", self.kind))
    }
}

/// ECDSA takes the leftmost bits of a digest, as many as the curve's order has, as a number (FIPS 186-5 section
/// 6.4.1). aws-lc-rs signs only with one digest for each curve; cutting a longer digest or putting zeros before a
/// shorter one gives the same number, so any digest can be signed. OpenSSL makes P-384 with SHA-256 by default.
fn fit(digest: &[u8], width: usize) -> Vec<u8> {
    let zeros = width.saturating_sub(digest.len());
    std::iter::repeat_n(0, zeros).chain(digest.iter().copied()).take(width).collect()
}

fn native_digest(kind: KeyKind) -> &'static digest::Algorithm {
    match kind {
        KeyKind::P384 => &digest::SHA384,
        KeyKind::P521 => &digest::SHA512,
        KeyKind::P256 | KeyKind::Rsa(_) => &digest::SHA256,
    }
}

fn ecdsa(kind: KeyKind) -> &'static EcdsaSigningAlgorithm {
    match kind {
        KeyKind::P384 => &lc::ECDSA_P384_SHA384_ASN1_SIGNING,
        KeyKind::P521 => &lc::ECDSA_P521_SHA512_ASN1_SIGNING,
        KeyKind::P256 | KeyKind::Rsa(_) => &lc::ECDSA_P256_SHA256_ASN1_SIGNING,
    }
}

fn rsa_encoding(hash: Hash) -> Option<&'static dyn RsaEncoding> {
    match hash {
        Hash::Sha1 => None,
        Hash::Sha256 => Some(&lc::RSA_PKCS1_SHA256),
        Hash::Sha384 => Some(&lc::RSA_PKCS1_SHA384),
        Hash::Sha512 => Some(&lc::RSA_PKCS1_SHA512),
    }
}

/// The AlgorithmIdentifier of a key: RSA with NULL, ECDSA with its curve.
fn key_algorithm(kind: KeyKind) -> Vec<u8> {
    match kind.curve() {
        None => tlv::sequence(&[&tlv::oid(algorithm::RSA), &tlv::wrap(tlv::NULL, &[])]),
        Some(curve) => tlv::sequence(&[&tlv::oid(algorithm::EC), &tlv::oid(curve)]),
    }
}

fn public_key(kind: KeyKind, bits: &[u8]) -> PublicKey {
    PublicKey {
        spki: tlv::sequence(&[&key_algorithm(kind), &tlv::bit_string(bits)]),
        bits: bits.to_vec(),
        kind: Some(kind),
        name: kind.to_string(),
    }
}

impl Pair {
    fn public_bits(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::Ecdsa(pair) => pair.public_key().as_ref(),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, public key sha256 {})", self.kind, self.spki_sha256())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_fit_curves() {
        assert_eq!(fit(&[1, 2, 3], 5), [0, 0, 1, 2, 3]);
        assert_eq!(fit(&[1, 2, 3], 2), [1, 2]);
    }

    #[test]
    fn every_digest_signs_on_every_curve() {
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521] {
            let key = PrivateKey::generate(kind).unwrap();
            for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
                let scheme = Scheme::Ecdsa(hash);
                let signature = key.sign(scheme, b"data").unwrap();
                assert_eq!(key.public.verifies(scheme, b"data", &signature), Ok(true), "{kind} {scheme}");
                assert_eq!(key.public.verifies(scheme, b"Data", &signature), Ok(false), "{kind} {scheme}");
            }
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.starts_with("PrivateKey(ECDSA-P256, public key sha256 "), "{shown}");
        assert!(!shown.contains(&hex(&key.secret)));
    }
}
