//! Reissuing a CA: the same certificate with new dates, signed again by its own key.

use crate::{
    Certificate, PrivateKey, dates,
    error::{PkiError, Place},
    tlv,
};

/// A reissued CA.
#[derive(Clone, Debug)]
pub struct Reissued {
    /// The new certificate.
    pub certificate: Certificate,
    /// The signature algorithms before and after, where the old one could not be kept.
    pub signature_changed: Option<(String, String)>,
}

/// Reissues a self-signed CA with its own key. Every byte of the certificate stays (version, serial number,
/// subject, issuer, public key, all extensions in order with their criticality, also what Keybook does not know),
/// except notAfter, notBefore when `not_before` is given, and the signature; so everything that the old one
/// verified goes on verifying. Dates are seconds since 1970 UTC.
///
/// The signature algorithm stays, too, unless it uses SHA-1: then it is SHA-256 with the key's kind, in both of
/// the certificate's places, and the result says so. A CA signed with RSA-PSS or anything else that is neither
/// RSA PKCS#1 v1.5 nor ECDSA is an error, since its own signature cannot be checked.
///
/// Refuses a certificate that is not a CA or not signed by its own key, a key that is not the certificate's, a
/// notAfter that is not later than the old one, and dates that are not in order. Whether notAfter lies in the
/// future is for the caller to check.
pub fn reissue(
    ca: &Certificate,
    key: &PrivateKey,
    not_after: i64,
    not_before: Option<i64>,
) -> Result<Reissued, PkiError> {
    check(ca, key, not_after, not_before)?;
    let damaged = |_| Place::certificate(None).damaged("its parts cannot be taken apart");
    let mut parts = tlv::children(&ca.tbs).map_err(damaged)?;
    // RFC 5280 section 4.1: only the version, and that only in v1, may be missing before these.
    let first = usize::from(parts.first().is_some_and(|part| tlv::tag(part) == tlv::context_constructed(0)));
    let (algorithm_at, validity_at) = (first + 1, first + 3);
    let (Some(old_algorithm), Some(old_validity)) =
        (parts.get(algorithm_at).copied(), parts.get(validity_at).copied())
    else {
        return Err(damaged(der::ErrorKind::Failed.into()));
    };
    let scheme = ca.scheme.usable_by(key.kind());
    let algorithm = if scheme == ca.scheme { old_algorithm.to_vec() } else { scheme.identifier() };
    let validity = validity(old_validity, not_after, not_before)?;
    if let Some(part) = parts.get_mut(algorithm_at) {
        *part = &algorithm;
    }
    if let Some(part) = parts.get_mut(validity_at) {
        *part = &validity;
    }
    let certificate = signed(&tlv::sequence(&parts), key, scheme, &algorithm)?;
    let signature_changed = (scheme != ca.scheme).then(|| (ca.signature(), certificate.signature()));
    Ok(Reissued { certificate, signature_changed })
}

/// Signs a TBSCertificate and reads the certificate back, so that nothing leaves here that cannot be read.
pub(crate) fn signed(
    tbs: &[u8],
    key: &PrivateKey,
    scheme: crate::algorithm::Scheme,
    algorithm: &[u8],
) -> Result<Certificate, PkiError> {
    let signature = key.sign(scheme, tbs)?;
    Certificate::from_der(&tlv::sequence(&[tbs, algorithm, &tlv::bit_string(&signature)]))
}

fn check(
    ca: &Certificate,
    key: &PrivateKey,
    not_after: i64,
    not_before: Option<i64>,
) -> Result<(), PkiError> {
    let refuse =
        |why: String| Err(PkiError::Refused(format!("`{}` cannot be reissued: {why}", ca.subject())));
    if !key.matches(ca) {
        return refuse(String::from("the private key does not belong to it"));
    }
    if !ca.is_ca() {
        return refuse(String::from("it is not a CA"));
    }
    if ca.subject_der() != ca.issuer_der() || !ca.signed_by(ca)? {
        return refuse(format!("it is not self-signed; `{}` must issue it", ca.issuer()));
    }
    if not_after <= ca.not_after() {
        let (new, old) = (dates::rfc3339(not_after), dates::rfc3339(ca.not_after()));
        return refuse(format!("the new end {new} is not later than the present one, {old}"));
    }
    let begin = not_before.unwrap_or(ca.not_before());
    if begin >= not_after {
        return refuse(format!("it would begin at {} but end before", dates::rfc3339(begin)));
    }
    Ok(())
}

fn validity(old: &[u8], not_after: i64, not_before: Option<i64>) -> Result<Vec<u8>, PkiError> {
    let begin = match (not_before, tlv::children(old).ok().as_deref()) {
        (Some(begin), _) => dates::to_der(begin)?,
        (None, Some([begin, _])) => begin.to_vec(),
        (None, _) => return Err(Place::certificate(None).damaged("its dates cannot be taken apart")),
    };
    Ok(tlv::sequence(&[&begin, &dates::to_der(not_after)?]))
}
