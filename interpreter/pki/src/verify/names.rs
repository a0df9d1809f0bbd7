//! Name constraints, judged by rustls-webpki.

use super::VerifyFailure;
use crate::Certificate;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter,
    anchor_from_trusted_cert,
};

/// Usages were judged before.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

/// Where a CA of the path (leaf first, root last) has name constraints, webpki must accept the path, too.
pub(super) fn check(path: &[&Certificate], at: i64) -> Result<(), VerifyFailure> {
    if !path.iter().skip(1).any(|ca| ca.extensions.has_name_constraints) {
        return Ok(());
    }
    let ders: Vec<CertificateDer<'_>> = path.iter().map(|one| CertificateDer::from(one.der())).collect();
    let [leaf, between @ .., root] = &ders[..] else {
        return Ok(());
    };
    let judge = || {
        let anchor = anchor_from_trusted_cert(root)?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(at.max(0).unsigned_abs()));
        EndEntityCert::try_from(leaf)?
            .verify_for_usage(ALL_VERIFICATION_ALGS, &[anchor], between, time, AnyUsage, None, None)
            .map(|_| ())
    };
    judge().map_err(|why: Error| VerifyFailure::NameConstraints { why: format!("{why:?}") })
}
