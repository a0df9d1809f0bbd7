//! From a file to a [`PrivateKey`]. The encoding is told by the DER's shape, not by the PEM label, since files
//! with the wrong label are common and Go reads them, too.

use super::{KeyForm, Pair, PrivateKey, ecdsa, public_key};
use crate::{
    algorithm::{self, KeyKind, algorithm_name},
    error::{PkiError, Place},
    pem, tlv,
};
use aws_lc_rs::{
    encoding::{AsBigEndian, EcPrivateKeyBin},
    signature::{EcdsaKeyPair, RsaKeyPair},
};
use keybook_api::Secret;
use pkcs8::EncryptedPrivateKeyInfoRef;
use zeroize::Zeroizing;

const GIVE: &str = "give its passphrase";
const CONVERT: &str = "this kind of encryption cannot be read here (`openssl pkey` decrypts it)";

pub(super) fn private_key(file: &[u8], passphrase: Option<&Secret>) -> Result<PrivateKey, PkiError> {
    if pem::is_der(file) || matches!(file, [tlv::SEQUENCE, _, tlv::INTEGER, ..]) {
        return read(file, passphrase, Place::key(None));
    }
    let blocks = pem::blocks(pem::text(file)?)?;
    let keys: Vec<_> = blocks.iter().filter(|block| block.label.ends_with("PRIVATE KEY")).collect();
    let block = match keys[..] {
        [] => {
            let found = blocks.iter().map(|block| block.label.to_owned()).collect();
            return Err(PkiError::NoPrivateKey { found });
        }
        [one] => one,
        _ => return Err(PkiError::Several { what: "private keys", count: keys.len() }),
    };
    if block.headers.iter().any(|header| header.starts_with("Proc-Type") && header.contains("ENCRYPTED")) {
        return Err(PkiError::Encrypted { hint: CONVERT });
    }
    match block.label {
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => {
            read(&block.decode()?, passphrase, Place::key(Some(block.line)))
        }
        other => Err(PkiError::Unsupported(format!("a key in the encoding `{other}`"))),
    }
}

/// A key from DER without PEM around it.
pub(super) fn from_der(der: &[u8], passphrase: Option<&Secret>) -> Result<PrivateKey, PkiError> {
    read(der, passphrase, Place::key(None))
}

fn read(der: &[u8], passphrase: Option<&Secret>, place: Place) -> Result<PrivateKey, PkiError> {
    tlv::check_extent(der, place)?;
    let parts = tlv::children(der).map_err(|_| place.damaged("its structure cannot be read"))?;
    let tags: Vec<u8> = parts.iter().map(|part| tlv::tag(part)).take(3).collect();
    match (&tags[..], &parts[..]) {
        ([tlv::INTEGER, tlv::SEQUENCE, tlv::OCTET_STRING], [_, algorithm, key, ..]) => {
            pkcs8(algorithm, key, place)
        }
        ([tlv::INTEGER, tlv::INTEGER, tlv::INTEGER], [_, modulus, ..]) => {
            rsa(der, modulus, KeyForm::Pkcs1, place)
        }
        ([tlv::INTEGER, tlv::OCTET_STRING, ..], [_, _, rest @ ..]) => {
            ec(der, sec1_curve(rest, place)?, KeyForm::Sec1, place)
        }
        ([tlv::SEQUENCE, tlv::OCTET_STRING], _) => encrypted(der, passphrase),
        ([tlv::SEQUENCE, tlv::SEQUENCE, tlv::BIT_STRING], _) => {
            Err(PkiError::NoPrivateKey { found: vec![String::from("a certificate in DER")] })
        }
        _ => Err(place.damaged("it is neither PKCS#1 nor PKCS#8 nor SEC1")),
    }
}

fn encrypted(der: &[u8], passphrase: Option<&Secret>) -> Result<PrivateKey, PkiError> {
    let passphrase = passphrase.ok_or(PkiError::Encrypted { hint: GIVE })?;
    let info =
        EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| PkiError::Encrypted { hint: CONVERT })?;
    let plain = info.decrypt(passphrase.expose()).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }) => {
            PkiError::Encrypted { hint: CONVERT }
        }
        _ => PkiError::WrongPassphrase,
    })?;
    // A wrong passphrase can leave valid padding by chance; what comes out then is no key.
    read(plain.as_bytes(), None, Place::key(None)).map_err(|error| match error {
        PkiError::Unsupported(_) => error,
        _ => PkiError::WrongPassphrase,
    })
}

fn pkcs8(algorithm: &[u8], key: &[u8], place: Place) -> Result<PrivateKey, PkiError> {
    let damaged = |_| place.damaged("its PKCS#8 structure cannot be read");
    let algorithm = tlv::children(algorithm).map_err(damaged)?;
    let inner = tlv::content(key).map_err(damaged)?;
    let (Some(name), parameters) = (algorithm.first(), algorithm.get(1)) else {
        return Err(place.damaged("its PKCS#8 structure names no algorithm"));
    };
    match tlv::read_oid(name).map_err(damaged)? {
        algorithm::RSA => match tlv::children(inner).map_err(damaged)?[..] {
            [_, modulus, ..] => rsa(inner, modulus, KeyForm::Pkcs8, place),
            _ => Err(place.damaged("its RSA structure cannot be read")),
        },
        algorithm::EC => {
            let curve = curve(parameters.copied().unwrap_or_default())?;
            ec(inner, curve, KeyForm::Pkcs8, place)
        }
        other => Err(PkiError::Unsupported(format!("a private key of the kind {}", algorithm_name(other)))),
    }
}

fn sec1_curve(rest: &[&[u8]], place: Place) -> Result<KeyKind, PkiError> {
    let parameters = rest
        .iter()
        .find(|part| tlv::tag(part) == tlv::context_constructed(0))
        .ok_or_else(|| place.damaged("it does not name its curve"))?;
    curve(tlv::content(parameters).map_err(|_| place.damaged("its curve cannot be read"))?)
}

fn curve(parameters: &[u8]) -> Result<KeyKind, PkiError> {
    let oid = tlv::read_oid(parameters)
        .map_err(|_| PkiError::Unsupported(String::from("an ECDSA key on explicit parameters")))?;
    KeyKind::from_curve(oid).ok_or_else(|| PkiError::Unsupported(format!("an ECDSA key on the curve {oid}")))
}

fn rsa(der: &[u8], modulus: &[u8], form: KeyForm, place: Place) -> Result<PrivateKey, PkiError> {
    let damaged = || place.damaged("its numbers do not make an RSA key");
    let octets = tlv::content(modulus).map_err(|_| damaged())?;
    let digits = octets.iter().skip_while(|octet| **octet == 0).count();
    if !(256..=1024).contains(&digits) && digits > 0 {
        let what = format!("an RSA key of {} bits (2048 to 8192 are)", digits * 8);
        return Err(PkiError::Unsupported(what));
    }
    let pair = RsaKeyPair::from_der(der).map_err(|_| damaged())?;
    let pair = Pair::Rsa(pair);
    let bits = crate::certificate::rsa_bits(pair.public_bits()).ok_or_else(damaged)?;
    let kind = KeyKind::Rsa(bits);
    let public = public_key(kind, pair.public_bits());
    Ok(PrivateKey { pair, secret: Zeroizing::new(der.to_vec()), public, kind, form })
}

fn ec(sec1: &[u8], kind: KeyKind, form: KeyForm, place: Place) -> Result<PrivateKey, PkiError> {
    let damaged = || place.damaged(format!("its numbers do not make a key of the kind {kind}"));
    let pair = EcdsaKeyPair::from_private_key_der(ecdsa(kind), sec1).map_err(|_| damaged())?;
    let value: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(|_| damaged())?;
    let secret = Zeroizing::new(value.as_ref().to_vec());
    drop(value);
    let pair = Pair::Ecdsa(pair);
    let public = public_key(kind, pair.public_bits());
    Ok(PrivateKey { pair, secret, public, kind, form })
}
