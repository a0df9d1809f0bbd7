//! Certificate requests (PKCS #10, RFC 2986).

use crate::{
    PrivateKey, Subject,
    algorithm::Scheme,
    certificate::{oid, public_key},
    error::{PkiError, Place},
    hex,
    name::Name,
    pem,
    san::San,
    sha256, tlv,
};
use der::asn1::ObjectIdentifier;
use x509_parser::{
    cri_attributes::ParsedCriAttribute,
    prelude::{FromDer, X509CertificationRequest},
};

const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
const PLACE: Place = Place { what: "certificate request", line: None };

/// A certificate request whose signature was made by its own key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    der: Vec<u8>,
    subject: String,
    sans: Vec<San>,
    spki_sha256: String,
}

impl CertificateRequest {
    /// Makes a request: version 1, the subject, the key's public half, the alternative names as an
    /// extensionRequest attribute (RFC 2985 section 5.4.2) when there are any. The digest is cfssl's choice for
    /// the key. Refuses a request with neither a subject nor alternative names.
    pub fn new(subject: &Subject, sans: &[San], key: &PrivateKey) -> Result<Self, PkiError> {
        let subject = subject.to_der()?;
        if subject == tlv::sequence(&[]) && sans.is_empty() {
            let why = "the request would have neither a subject nor alternative names";
            return Err(PkiError::Refused(String::from(why)));
        }
        let attributes = if sans.is_empty() { Vec::new() } else { requested(sans) };
        let info = tlv::sequence(&[
            &tlv::unsigned(&[0]),
            &subject,
            &key.public().spki,
            &tlv::wrap(tlv::context_constructed(0), &[&attributes]),
        ]);
        let scheme = Scheme::default_for(key.kind());
        let signature = tlv::bit_string(&key.sign(scheme, &info)?);
        // Read back, so that nothing leaves here that cannot be read.
        Self::from_der(&tlv::sequence(&[&info, &scheme.identifier(), &signature]))
    }

    /// The only request of a PEM file; text around it and blocks of other kinds are ignored. Errors: no request,
    /// several, damage, a signature that its key did not make.
    pub fn one_pem(file: &[u8]) -> Result<Self, PkiError> {
        if pem::is_der(file) {
            return Err(PkiError::DerGiven);
        }
        let blocks = pem::blocks(pem::text(file)?)?;
        let requests: Vec<_> = blocks.iter().filter(|block| LABELS.contains(&block.label)).collect();
        match requests.as_slice() {
            [one] => Self::from_der(&one.decode()?),
            [] => Err(PkiError::Refused(String::from("the file holds no certificate request"))),
            several => Err(PkiError::Several { what: "certificate requests", count: several.len() }),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        tlv::check_extent(der, PLACE)?;
        let (_, parsed) =
            X509CertificationRequest::from_der(der).map_err(|_| PLACE.damaged("it cannot be taken apart"))?;
        let info = &parsed.certification_request_info;
        let public = public_key(&info.subject_pki, PLACE)?;
        let scheme = Scheme::from_oid(oid(&parsed.signature_algorithm.algorithm, PLACE)?);
        if !public.verifies(scheme, info.raw, &parsed.signature_value.data)? {
            return Err(PLACE.damaged("its own key did not make its signature"));
        }
        let subject =
            Name::read(info.subject.as_raw()).map_err(|_| PLACE.damaged("its subject cannot be read"))?;
        let mut sans = Vec::new();
        for attribute in info.attributes() {
            let ParsedCriAttribute::ExtensionRequest(request) = attribute.parsed_attribute() else {
                continue;
            };
            for extension in &request.extensions {
                if extension.oid.as_bytes() == SUBJECT_ALT_NAME.as_bytes() {
                    let names = San::read_all(extension.value);
                    sans.extend(names.map_err(|_| PLACE.damaged("its alternative names cannot be read"))?);
                }
            }
        }
        let spki_sha256 = hex(&sha256(&public.spki));
        Ok(Self { der: der.to_vec(), subject: subject.text, sans, spki_sha256 })
    }

    /// PEM text with a final newline.
    pub fn to_pem(&self) -> String {
        String::from_utf8_lossy(&pem::encode("CERTIFICATE REQUEST", &self.der)).into_owned()
    }

    /// The subject as RFC 4514 text.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The alternative names it asks for, in order.
    pub fn sans(&self) -> &[San] {
        &self.sans
    }

    /// SHA-256 of the public key, as [`PrivateKey::spki_sha256`].
    pub fn spki_sha256(&self) -> &str {
        &self.spki_sha256
    }
}

fn requested(sans: &[San]) -> Vec<u8> {
    let value = tlv::wrap(tlv::OCTET_STRING, &[&San::write_all(sans)]);
    let extension = tlv::sequence(&[&tlv::oid(SUBJECT_ALT_NAME), &value]);
    let extensions = tlv::wrap(tlv::SET, &[&tlv::sequence(&[&extension])]);
    tlv::sequence(&[&tlv::oid(EXTENSION_REQUEST), &extensions])
}
