//! A new CA beside an old one: the same subject and extensions, another key.

use crate::{
    Certificate, PrivateKey,
    algorithm::Scheme,
    dates,
    error::{PkiError, Place},
    issue::{key_id_extension, random_serial},
    reissue::signed,
    tlv,
};

const SUBJECT_KEY_ID: &str = "2.5.29.14";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";

/// Issues a self-signed CA for another key after the model of `ca`: subject and extensions are the model's, byte
/// for byte and in order, except subjectKeyIdentifier, which is the new key's and is added where the model has
/// none (without it two CAs of one subject cannot be told apart), and authorityKeyIdentifier, which named the
/// old key and is left out. `subject` replaces the model's where given, as the DER of a name. The serial number
/// is random, the digest cfssl's choice for the key. Dates are seconds since 1970 UTC.
///
/// Refuses a model that is no CA, the model's own key (that is a reissue), and dates that are not in order.
pub fn issue_ca_like(
    ca: &Certificate,
    subject: Option<&[u8]>,
    key: &PrivateKey,
    not_before: i64,
    not_after: i64,
) -> Result<Certificate, PkiError> {
    let refuse = |why: String| {
        Err(PkiError::Refused(format!("no CA can be made after the model of `{}`: {why}", ca.subject())))
    };
    if !ca.is_ca() {
        return refuse(String::from("it is not a CA"));
    }
    if key.matches(ca) {
        return refuse(String::from("the key is its own; a new CA needs a new key"));
    }
    if not_before >= not_after {
        let (begin, end) = (dates::rfc3339(not_before), dates::rfc3339(not_after));
        return refuse(format!("it would begin at {begin} but end at {end}"));
    }
    let scheme = Scheme::default_for(key.kind());
    let algorithm = scheme.identifier();
    let subject = subject.unwrap_or(ca.subject_der());
    let tbs = tlv::sequence(&[
        &tlv::wrap(tlv::context_constructed(0), &[&tlv::unsigned(&[2])]),
        &tlv::unsigned(&random_serial()?),
        &algorithm,
        subject,
        &tlv::sequence(&[&dates::to_der(not_before)?, &dates::to_der(not_after)?]),
        subject,
        &key.public().spki,
        &extensions(ca, key)?,
    ]);
    signed(&tbs, key, scheme, &algorithm)
}

/// The model's extensions with the key identifiers set right.
fn extensions(ca: &Certificate, key: &PrivateKey) -> Result<Vec<u8>, PkiError> {
    let damaged = |_| Place::certificate(None).damaged("its extensions cannot be taken apart");
    let parts = tlv::children(&ca.tbs).map_err(damaged)?;
    let list = parts.iter().find(|part| tlv::tag(part) == tlv::context_constructed(3));
    let own = key_id_extension(key.public());
    let (mut kept, mut has_id): (Vec<u8>, bool) = (Vec::new(), false);
    for extension in
        list.map_or(Ok(Vec::new()), |list| tlv::content(list).and_then(tlv::children)).map_err(damaged)?
    {
        let first = tlv::children(extension).map_err(damaged)?.first().copied().unwrap_or_default();
        match tlv::read_oid(first).map_err(damaged)?.to_string().as_str() {
            SUBJECT_KEY_ID => {
                has_id = true;
                kept.extend_from_slice(&own);
            }
            AUTHORITY_KEY_ID => {}
            _ => kept.extend_from_slice(extension),
        }
    }
    if !has_id {
        kept.extend_from_slice(&own);
    }
    Ok(tlv::wrap(tlv::context_constructed(3), &[&tlv::sequence(&[&kept])]))
}
