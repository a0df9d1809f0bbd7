//! From DER to [`Certificate`]. x509-parser finds the structure; names, alternative names and key identifiers
//! are read TLV by TLV, so that their exact encoding is at hand.

use super::{AuthorityKeyId, Certificate, Extensions};
use crate::{
    algorithm::{self, KeyKind, PublicKey, Scheme, algorithm_name},
    error::{PkiError, Place},
    name::Name,
    san::San,
    tlv,
    usage::Usages,
};
use der::asn1::ObjectIdentifier;
use x509_parser::{
    asn1_rs::Oid,
    extensions::{ParsedExtension, X509Extension},
    prelude::{FromDer, X509Certificate},
    x509::SubjectPublicKeyInfo,
};

pub(super) fn certificate(der: &[u8], place: Place) -> Result<Certificate, PkiError> {
    tlv::check_extent(der, place)?;
    let (_, parsed) = X509Certificate::from_der(der).map_err(|error| match error {
        x509_parser::nom::Err::Error(why) | x509_parser::nom::Err::Failure(why) => place.damaged(why),
        x509_parser::nom::Err::Incomplete(_) => place.damaged("it ends inside one of its parts"),
    })?;
    if parsed.tbs_certificate.signature != parsed.signature_algorithm {
        return Err(place.damaged("it names two different signature algorithms"));
    }
    let subject =
        Name::read(parsed.subject.as_raw()).map_err(|_| place.damaged("its subject cannot be read"))?;
    let issuer =
        Name::read(parsed.issuer.as_raw()).map_err(|_| place.damaged("its issuer cannot be read"))?;
    Ok(Certificate {
        der: der.to_vec(),
        tbs: parsed.tbs_certificate.as_ref().to_vec(),
        version: parsed.version.0 + 1,
        serial: parsed.raw_serial().iter().copied().skip_while(|octet| *octet == 0).collect(),
        subject,
        issuer,
        not_before: parsed.validity.not_before.timestamp(),
        not_after: parsed.validity.not_after.timestamp(),
        public_key: public_key(&parsed.subject_pki, place)?,
        scheme: Scheme::from_oid(oid(&parsed.signature_algorithm.algorithm, place)?),
        signature: parsed.signature_value.data.to_vec(),
        extensions: extensions(parsed.extensions(), place)?,
    })
}

pub(crate) fn oid(oid: &Oid<'_>, place: Place) -> Result<ObjectIdentifier, PkiError> {
    ObjectIdentifier::from_bytes(oid.as_bytes())
        .map_err(|_| place.damaged("it has an object identifier that cannot be read"))
}

pub(crate) fn public_key(spki: &SubjectPublicKeyInfo<'_>, place: Place) -> Result<PublicKey, PkiError> {
    let bits = spki.subject_public_key.data.to_vec();
    let algorithm = oid(&spki.algorithm.algorithm, place)?;
    let (kind, name) = if algorithm == algorithm::RSA {
        let size = rsa_bits(&bits).ok_or_else(|| place.damaged("its RSA public key cannot be read"))?;
        (Some(KeyKind::Rsa(size)), None)
    } else if algorithm == algorithm::EC {
        let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        match curve.map(|curve| oid(&curve, place)).transpose()? {
            Some(curve) => (KeyKind::from_curve(curve), Some(format!("ECDSA on curve {curve}"))),
            None => (None, Some(String::from("ECDSA on explicit parameters"))),
        }
    } else {
        (None, Some(algorithm_name(algorithm)))
    };
    let name = kind.map(|kind| kind.to_string()).or(name).unwrap_or_default();
    Ok(PublicKey { spki: spki.raw.to_vec(), bits, kind, name })
}

/// The modulus' size from an RSAPublicKey (RFC 8017 appendix A.1.1).
pub(crate) fn rsa_bits(key: &[u8]) -> Option<u32> {
    let [modulus, _exponent] = tlv::children(key).ok()?[..] else {
        return None;
    };
    let octets: Vec<u8> =
        tlv::content(modulus).ok()?.iter().copied().skip_while(|octet| *octet == 0).collect();
    let first = octets.first()?;
    Some(u32::try_from(octets.len()).ok()?.checked_mul(8)? - first.leading_zeros())
}

/// Critical extensions whose meaning is applied, or that cannot make a path invalid unless policies are asked for.
const KNOWN_CRITICAL: [&str; 9] = [
    "2.5.29.14", // subjectKeyIdentifier
    "2.5.29.15", // keyUsage
    "2.5.29.17", // subjectAltName
    "2.5.29.19", // basicConstraints
    "2.5.29.30", // nameConstraints
    "2.5.29.31", // cRLDistributionPoints
    "2.5.29.32", // certificatePolicies
    "2.5.29.35", // authorityKeyIdentifier
    "2.5.29.37", // extKeyUsage
];

fn extensions(list: &[X509Extension<'_>], place: Place) -> Result<Extensions, PkiError> {
    let mut found = Extensions::default();
    let mut seen = Vec::new();
    for extension in list {
        let id = oid(&extension.oid, place)?.to_string();
        if seen.contains(&id) {
            return Err(place.damaged(format!("it has the extension {id} twice")));
        }
        read_extension(&mut found, &id, extension)
            .ok_or_else(|| place.damaged(format!("its extension {id} cannot be read")))?;
        if extension.critical && !KNOWN_CRITICAL.contains(&id.as_str()) {
            found.unknown_critical.push(id.clone());
        }
        seen.push(id);
    }
    Ok(found)
}

fn read_extension(found: &mut Extensions, id: &str, extension: &X509Extension<'_>) -> Option<()> {
    let value = extension.value;
    match id {
        "2.5.29.14" => found.ski = Some(tlv::content(value).ok()?.to_vec()),
        "2.5.29.15" => match extension.parsed_extension() {
            ParsedExtension::KeyUsage(usage) => found.usages.key = Some(usage.flags),
            _ => return None,
        },
        "2.5.29.17" => found.sans = San::read_all(value).ok()?,
        "2.5.29.19" => match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => {
                found.is_ca = Some(constraints.ca);
                found.path_len = constraints.path_len_constraint;
            }
            _ => return None,
        },
        "2.5.29.30" => found.has_name_constraints = true,
        "2.5.29.35" => found.aki = Some(authority_key_id(value)?),
        "2.5.29.37" => found.usages.extended = Some(Usages::read_extended(value).ok()?),
        _ => {}
    }
    Some(())
}

fn authority_key_id(value: &[u8]) -> Option<AuthorityKeyId> {
    const KEY_ID: u8 = tlv::context(0);
    const ISSUER: u8 = tlv::context_constructed(1);
    const SERIAL: u8 = tlv::context(2);
    const DIRECTORY_NAME: u8 = tlv::context_constructed(4);
    let mut aki = AuthorityKeyId::default();
    for part in tlv::children(value).ok()? {
        match tlv::tag(part) {
            KEY_ID => aki.key_id = Some(tlv::content(part).ok()?.to_vec()),
            ISSUER => {
                let names = tlv::children(part).ok()?;
                let name = names.into_iter().find(|name| tlv::tag(name) == DIRECTORY_NAME);
                aki.issuer = name.map(tlv::content).transpose().ok()?.map(<[u8]>::to_vec);
            }
            SERIAL => {
                let octets = tlv::content(part).ok()?;
                aki.serial = Some(octets.iter().copied().skip_while(|octet| *octet == 0).collect());
            }
            _ => {}
        }
    }
    Some(aki)
}
