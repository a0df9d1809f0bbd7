//! Issuing certificates with the profile that cfssl gives them.

use crate::{
    Certificate, PrivateKey,
    algorithm::{PublicKey, Scheme},
    dates,
    error::PkiError,
    name::Name,
    reissue::signed,
    san::San,
    tlv,
    usage::{self, Usages},
};
use aws_lc_rs::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use der::asn1::ObjectIdentifier;

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The DER of a Name, such as [`Certificate::subject_der`] of the certificate that is replaced.
    Der(Vec<u8>),
    /// Attributes in order, such as `("OU", "etcd")`; a repeated attribute stays repeated. Keys are RFC 4514's
    /// short names or dotted OIDs.
    Attributes(Vec<(String, String)>),
}

impl Subject {
    /// The DER of the name. Errors: an attribute that is not known, a value that it may not have.
    pub fn to_der(&self) -> Result<Vec<u8>, PkiError> {
        match self {
            Self::Attributes(attributes) => Name::from_attributes(attributes),
            Self::Der(der) => match Name::read(der) {
                Ok(_) => Ok(der.clone()),
                Err(_) => Err(PkiError::Refused(String::from("the subject is not the DER of a name"))),
            },
        }
    }
}

/// What a leaf certificate shall say.
#[derive(Clone, Debug)]
pub struct LeafRequest {
    /// Whom it is for. May be empty when there are alternative names.
    pub subject: Subject,
    /// Its alternative names, in order; the extension is left out when there are none.
    pub sans: Vec<San>,
    /// What it may be used for.
    pub usages: Usages,
    /// When it begins to be valid, seconds since 1970 UTC.
    pub not_before: i64,
    /// The last second it is valid, seconds since 1970 UTC. As with cfssl it may lie after the CA's own end.
    pub not_after: i64,
}

/// What a new self-signed CA shall say.
#[derive(Clone, Debug)]
pub struct CaRequest {
    /// Whom it is for. Must not be empty.
    pub subject: Subject,
    /// How many intermediate CAs may follow below it; any number when absent.
    pub path_len: Option<u32>,
    /// When it begins to be valid, seconds since 1970 UTC.
    pub not_before: i64,
    /// The last second it is valid, seconds since 1970 UTC.
    pub not_after: i64,
}

const EMPTY_NAME: [u8; 2] = [tlv::SEQUENCE, 0];

/// Issues a leaf certificate for `key`, signed by the CA. Version 3, a random serial number of 159 bits,
/// keyUsage (critical), extKeyUsage, basicConstraints CA:FALSE (critical), subjectKeyIdentifier (SHA-1 of the
/// public key's bits), authorityKeyIdentifier (the CA's key identifier, when it has one) and subjectAltName
/// (critical only when the subject is empty), in cfssl's order. The digest is cfssl's choice for the CA's key.
///
/// Refuses a key that is not the CA's, a CA that is none, dates that are not in order, and a request without
/// subject and alternative names.
pub fn issue_leaf(
    request: &LeafRequest,
    ca: &Certificate,
    ca_key: &PrivateKey,
    key: &PrivateKey,
) -> Result<Certificate, PkiError> {
    if !ca_key.matches(ca) {
        let why = format!("the private key does not belong to the CA `{}`", ca.subject());
        return Err(PkiError::Refused(why));
    }
    if !ca.is_ca() {
        return Err(PkiError::Refused(format!(
            "`{}` is not a CA and cannot issue certificates",
            ca.subject()
        )));
    }
    let subject = request.subject.to_der()?;
    if subject == EMPTY_NAME && request.sans.is_empty() {
        let why = String::from("the certificate would have neither a subject nor alternative names");
        return Err(PkiError::Refused(why));
    }
    let mut extensions = usage_extensions(&request.usages);
    extensions.push(extension(BASIC_CONSTRAINTS, true, &tlv::sequence(&[])));
    extensions.push(key_id_extension(key.public()));
    if let Some(id) = &ca.extensions.ski {
        let id = tlv::wrap(tlv::context(0), &[id]);
        extensions.push(extension(AUTHORITY_KEY_ID, false, &tlv::sequence(&[&id])));
    }
    if !request.sans.is_empty() {
        let critical = subject == EMPTY_NAME;
        extensions.push(extension(SUBJECT_ALT_NAME, critical, &San::write_all(&request.sans)));
    }
    let tbs = Tbs { issuer: ca.subject_der(), subject: &subject, public: key.public(), extensions };
    tbs.sign(ca_key, request.not_before, request.not_after)
}

/// Issues a self-signed CA: keyUsage cert sign and crl sign (critical), basicConstraints CA:TRUE (critical),
/// subjectKeyIdentifier, as `cfssl gencert -initca`. Refuses an empty subject and dates that are not in order.
pub fn issue_ca(request: &CaRequest, key: &PrivateKey) -> Result<Certificate, PkiError> {
    let subject = request.subject.to_der()?;
    if subject == EMPTY_NAME {
        return Err(PkiError::Refused(String::from("the CA would have no subject")));
    }
    let path_len = request.path_len.map_or_else(Vec::new, |length| tlv::unsigned(&length.to_be_bytes()));
    let constraints = tlv::sequence(&[&tlv::wrap(tlv::BOOLEAN, &[&[0xff]]), &path_len]);
    let extensions = vec![
        extension(KEY_USAGE, true, &Usages::key_der(usage::CERT_SIGN | usage::CRL_SIGN)),
        extension(BASIC_CONSTRAINTS, true, &constraints),
        key_id_extension(key.public()),
    ];
    let tbs = Tbs { issuer: &subject, subject: &subject, public: key.public(), extensions };
    tbs.sign(key, request.not_before, request.not_after)
}

const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

struct Tbs<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    public: &'a PublicKey,
    extensions: Vec<Vec<u8>>,
}

impl Tbs<'_> {
    fn sign(self, key: &PrivateKey, not_before: i64, not_after: i64) -> Result<Certificate, PkiError> {
        if not_before >= not_after {
            let (begin, end) = (dates::rfc3339(not_before), dates::rfc3339(not_after));
            return Err(PkiError::Refused(format!(
                "the certificate would begin at {begin} but end at {end}"
            )));
        }
        let scheme = Scheme::default_for(key.kind());
        let algorithm = scheme.identifier();
        let version = tlv::wrap(tlv::context_constructed(0), &[&tlv::unsigned(&[2])]);
        let validity = tlv::sequence(&[&dates::to_der(not_before)?, &dates::to_der(not_after)?]);
        let extensions = tlv::sequence(&[&self.extensions.concat()]);
        let extensions = tlv::wrap(tlv::context_constructed(3), &[&extensions]);
        let tbs = tlv::sequence(&[
            &version,
            &tlv::unsigned(&random_serial()?),
            &algorithm,
            self.issuer,
            &validity,
            self.subject,
            &self.public.spki,
            &extensions,
        ]);
        signed(&tbs, key, scheme, &algorithm)
    }
}

/// 159 random bits: as many as 20 octets of a positive INTEGER hold (RFC 5280 section 4.1.2.2).
pub(crate) fn random_serial() -> Result<[u8; 20], PkiError> {
    let mut serial = [0; 20];
    SystemRandom::new()
        .fill(&mut serial)
        .map_err(|_| PkiError::Refused(String::from("the system gives no random numbers")))?;
    serial[0] &= 0x7f;
    Ok(serial)
}

fn extension(oid: ObjectIdentifier, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { tlv::wrap(tlv::BOOLEAN, &[&[0xff]]) } else { Vec::new() };
    tlv::sequence(&[&tlv::oid(oid), &critical, &tlv::wrap(tlv::OCTET_STRING, &[value])])
}

fn usage_extensions(usages: &Usages) -> Vec<Vec<u8>> {
    let key = usages.key.map(|bits| extension(KEY_USAGE, true, &Usages::key_der(bits)));
    let extended = usages
        .extended
        .as_ref()
        .map(|oids| extension(EXTENDED_KEY_USAGE, false, &Usages::extended_der(oids)));
    key.into_iter().chain(extended).collect()
}

/// The identifier is SHA-1 of the public key's BIT STRING (RFC 5280 section 4.2.1.2, method 1).
pub(crate) fn key_id_extension(public: &PublicKey) -> Vec<u8> {
    let id = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &public.bits);
    extension(SUBJECT_KEY_ID, false, &tlv::wrap(tlv::OCTET_STRING, &[id.as_ref()]))
}
