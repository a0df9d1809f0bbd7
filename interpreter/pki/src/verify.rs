//! Path validation (RFC 5280 section 6), with the answers of `openssl verify -partial_chain` and of Go.
//!
//! rustls-webpki judges TLS peers of today: it refuses leafs of version 1, CAs as leafs and SHA-1, and does not
//! look at a root's dates, at keyCertSign or at key identifiers. Old clusters hold such certificates and their
//! daemons accept them, and an expired root is what a rotation is about. So the path is built here; only name
//! constraints, where a CA has them, are left to webpki, which then must accept the path, too.

mod failure;
mod names;

use crate::{
    Certificate,
    usage::{self, ANY, CLIENT_AUTH, SERVER_AUTH},
};
pub use failure::VerifyFailure;

/// What a certificate shall be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Serving TLS: `openssl verify -purpose sslserver`.
    Server,
    /// Connecting with TLS: `openssl verify -purpose sslclient`.
    Client,
    /// Anything.
    Any,
}

/// Paths longer than this are not followed.
const MAX_DEPTH: usize = 8;
/// Signatures checked for one answer at most, so that a hostile bundle cannot take hours.
const MAX_SIGNATURES: usize = 100;

/// Verifies that `leaf` chains to one of `roots`, all of it valid at `at` (seconds since 1970 UTC) and for the
/// usage. Every certificate of `roots` is trusted as it is, also an intermediate CA or the leaf itself, as Go
/// and `openssl verify -partial_chain` do; dates of roots count. The leaf's names are not looked at: see
/// [`crate::covers`]. An extended key usage of "any" is good for everything, as in Go.
pub fn verify(
    leaf: &Certificate,
    intermediates: &[Certificate],
    roots: &[Certificate],
    at: i64,
    usage: Usage,
) -> Result<(), VerifyFailure> {
    let mut path = vec![leaf];
    if !roots.contains(leaf) {
        let furthest = (0, VerifyFailure::unknown_issuer(leaf));
        let mut search = Search { intermediates, roots, at, usage, signatures: 0, furthest };
        if !search.extend(&mut path) {
            return Err(search.furthest.1);
        }
    }
    check_critical(leaf)?;
    check_dates(leaf, at)?;
    check_leaf_usage(leaf, usage)?;
    names::check(&path, at)
}

struct Search<'a> {
    intermediates: &'a [Certificate],
    roots: &'a [Certificate],
    at: i64,
    usage: Usage,
    signatures: usize,
    /// Of the failures on the way the one that came furthest, with the length of its path.
    furthest: (usize, VerifyFailure),
}

impl<'a> Search<'a> {
    /// Appends issuers to the path until a root is reached; false when none can be.
    fn extend(&mut self, path: &mut Vec<&'a Certificate>) -> bool {
        let Some(&subject) = path.last() else {
            return false;
        };
        if path.len() > MAX_DEPTH {
            self.failed(path.len(), VerifyFailure::TooLong);
            return false;
        }
        self.failed(path.len(), VerifyFailure::unknown_issuer(subject));
        let (roots, intermediates) = (self.roots, self.intermediates);
        let trusted = roots.iter().map(|issuer| (issuer, true));
        for (issuer, is_root) in trusted.chain(intermediates.iter().map(|issuer| (issuer, false))) {
            if issuer.subject.der != subject.issuer.der || path.contains(&issuer) {
                continue;
            }
            if let Err(failure) = self.check_issuer(subject, issuer, is_root, path) {
                self.failed(path.len(), failure);
                continue;
            }
            path.push(issuer);
            if is_root || self.extend(path) {
                return true;
            }
            path.pop();
        }
        false
    }

    fn failed(&mut self, length: usize, failure: VerifyFailure) {
        let (furthest, known) = &self.furthest;
        if (length, failure.rank()) > (*furthest, known.rank()) {
            self.furthest = (length, failure);
        }
    }

    fn check_issuer(
        &mut self,
        subject: &Certificate,
        issuer: &Certificate,
        is_root: bool,
        path: &[&Certificate],
    ) -> Result<(), VerifyFailure> {
        if !key_id_fits(subject, issuer) {
            return Err(VerifyFailure::OtherKeyId { issuer: issuer.subject().to_owned() });
        }
        self.signatures += 1;
        if self.signatures > MAX_SIGNATURES {
            return Err(VerifyFailure::TooLong);
        }
        match subject.signed_by(issuer) {
            Ok(true) => {}
            Ok(false) => return Err(VerifyFailure::wrong_signature(subject)),
            Err(error) => return Err(VerifyFailure::Unsupported(error.to_string())),
        }
        check_critical(issuer)?;
        check_is_ca(issuer, is_root)?;
        check_path_len(issuer, path)?;
        check_dates(issuer, self.at)?;
        check_extended_usage(issuer, self.usage)
    }
}

/// A key identifier or serial number that is named must be the issuer's (as X509_check_akid of OpenSSL).
fn key_id_fits(subject: &Certificate, issuer: &Certificate) -> bool {
    let Some(aki) = subject.aki() else {
        return true;
    };
    let differs =
        |named: Option<&[u8]>, has: Option<&[u8]>| matches!((named, has), (Some(a), Some(b)) if a != b);
    !differs(aki.key_id.as_deref(), issuer.extensions.ski.as_deref())
        && !differs(aki.serial.as_deref(), Some(issuer.serial_octets()))
        && !differs(aki.issuer.as_deref(), Some(&issuer.issuer.der))
}

fn check_is_ca(issuer: &Certificate, is_root: bool) -> Result<(), VerifyFailure> {
    // Version 1 has no extensions that could say so; a root of that version is trusted by decision.
    let is_ca = issuer.is_ca() || (is_root && issuer.version == 1);
    let may_sign = issuer.usages().key.is_none_or(|bits| bits & usage::CERT_SIGN != 0);
    if is_ca && may_sign {
        return Ok(());
    }
    Err(VerifyFailure::NotACa { issuer: issuer.subject().to_owned() })
}

/// Self-issued certificates do not count (RFC 5280 section 4.2.1.9).
fn check_path_len(issuer: &Certificate, path: &[&Certificate]) -> Result<(), VerifyFailure> {
    let below = path.iter().skip(1).filter(|ca| ca.subject.der != ca.issuer.der).count();
    match issuer.path_len() {
        Some(most) if below > most as usize => {
            Err(VerifyFailure::PathLength { issuer: issuer.subject().to_owned(), most })
        }
        _ => Ok(()),
    }
}

fn check_dates(certificate: &Certificate, at: i64) -> Result<(), VerifyFailure> {
    let subject = certificate.subject().to_owned();
    if at < certificate.not_before() {
        return Err(VerifyFailure::NotYetValid { subject, not_before: certificate.not_before() });
    }
    if at > certificate.not_after() {
        return Err(VerifyFailure::Expired { subject, not_after: certificate.not_after() });
    }
    Ok(())
}

fn check_critical(certificate: &Certificate) -> Result<(), VerifyFailure> {
    match certificate.extensions.unknown_critical.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(VerifyFailure::Unsupported(format!(
            "the critical extension {first} of `{}` is not known",
            certificate.subject()
        ))),
    }
}

/// An extended key usage must allow the usage, in the leaf and in every CA above it.
fn check_extended_usage(certificate: &Certificate, usage: Usage) -> Result<(), VerifyFailure> {
    let needed = match usage {
        Usage::Server => SERVER_AUTH,
        Usage::Client => CLIENT_AUTH,
        Usage::Any => return Ok(()),
    };
    match &certificate.usages().extended {
        Some(list) if !list.contains(&needed) && !list.contains(&ANY) => {
            Err(VerifyFailure::wrong_usage(certificate, usage))
        }
        _ => Ok(()),
    }
}

/// Key usages as OpenSSL's purposes want them.
fn check_leaf_usage(leaf: &Certificate, usage: Usage) -> Result<(), VerifyFailure> {
    check_extended_usage(leaf, usage)?;
    let needed = match usage {
        Usage::Server => usage::DIGITAL_SIGNATURE | usage::KEY_ENCIPHERMENT | usage::KEY_AGREEMENT,
        Usage::Client => usage::DIGITAL_SIGNATURE | usage::KEY_AGREEMENT,
        Usage::Any => return Ok(()),
    };
    match leaf.usages().key {
        Some(bits) if bits & needed == 0 => Err(VerifyFailure::wrong_usage(leaf, usage)),
        _ => Ok(()),
    }
}
