//! Is the server the one that the kubeconfig trusts? Judged as `x509.verify` and `tls.served` judge it, so that old
//! clusters' certificates are taken as their own components take them.

use super::config::Access;
use keybook_api::Sink;
use keybook_pki::{Certificate, Usage, VerifyFailure, covers, rfc3339, verify};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Why a server is not trusted, and what can be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// The reason.
    pub why: String,
    /// What can be done.
    pub hint: String,
}

/// Judges the certificate of one server.
pub struct Judge {
    provider: Arc<CryptoProvider>,
    roots: Vec<Certificate>,
    roots_from: String,
    name: String,
    accept_expired: bool,
    now: i64,
    sink: Arc<dyn Sink>,
    told: AtomicBool,
    refused: Mutex<Option<Refused>>,
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Judge of {}", self.name)
    }
}

impl Judge {
    /// A judge for the server that `access` leads to.
    pub fn new(access: &Access, now: i64, sink: Arc<dyn Sink>) -> Self {
        Self {
            provider: Arc::new(aws_lc_rs::default_provider()),
            roots: access.roots.clone(),
            roots_from: access.roots_from.clone(),
            name: access.name.clone(),
            accept_expired: access.accept_expired,
            now,
            sink,
            told: AtomicBool::new(false),
            refused: Mutex::default(),
        }
    }

    /// The settings of a client with this judge. The error is that of a client identity that cannot be used.
    pub fn client(self: &Arc<Self>, access: &Access) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
            .dangerous()
            .with_custom_certificate_verifier(self.clone());
        let mut config = match &access.identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// Why the last server was refused.
    pub fn refused(&self) -> Option<Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn judge(&self, leaf: &Certificate, intermediates: &[Certificate]) -> Result<(), Refused> {
        let chain = |at| verify(leaf, intermediates, &self.roots, at, Usage::Server);
        let ended = match chain(self.now) {
            Ok(()) => None,
            Err(VerifyFailure::Expired { subject, not_after }) if self.accept_expired => {
                // The last moment at which all of the chain held, if there was one.
                let all = [leaf].into_iter().chain(intermediates).chain(&self.roots);
                let mut ends: Vec<i64> =
                    all.map(Certificate::not_after).filter(|end| *end < self.now).collect();
                ends.sort_unstable();
                let held = ends.iter().rev().any(|end| chain(*end).is_ok());
                if !held {
                    return Err(self.no(leaf, &VerifyFailure::Expired { subject, not_after }));
                }
                Some((subject, not_after))
            }
            Err(failure) => return Err(self.no(leaf, &failure)),
        };
        if covers(leaf, &self.name) {
            if let Some((subject, not_after)) = ended {
                self.tell(&subject, not_after);
            }
            return Ok(());
        }
        let names: Vec<String> = leaf.sans().iter().map(ToString::to_string).collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        Err(Refused {
            why: format!("the server's certificate does not name {}; it names {names}", self.name),
            hint: "Ask the server by a name that its certificate has (`server`, or tls-server-name in the kubeconfig).".to_owned(),
        })
    }

    /// Once for all connections of an action.
    fn tell(&self, subject: &str, not_after: i64) {
        if !self.told.swap(true, Ordering::SeqCst) {
            self.sink.note(&format!(
                "{}: the certificate {subject} ended {}; it is accepted as `accept_expired` says, its chain and name are right",
                self.name,
                rfc3339(not_after)
            ));
        }
    }

    fn no(&self, leaf: &Certificate, failure: &VerifyFailure) -> Refused {
        let hint = match failure {
            VerifyFailure::Expired { .. } => {
                "With `accept_expired: true` a certificate that has ended is taken, when its chain and name are right.".to_owned()
            }
            _ => {
                let trusted: Vec<String> = self
                    .roots
                    .iter()
                    .map(|root| format!("{} (sha256 {})", root.subject(), root.sha256()))
                    .collect();
                let trusted = if trusted.is_empty() { "no CA".to_owned() } else { trusted.join(", ") };
                format!("{} trusts {trusted}; the server's certificate is issued by {}.", self.roots_from, leaf.issuer())
            }
        };
        Refused { why: format!("the server's certificate does not verify: {failure}"), hint }
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let unreadable = |error: keybook_pki::PkiError| Refused {
            why: format!("the server's certificate cannot be read: {error}"),
            hint: String::new(),
        };
        let judged = Certificate::from_der(end_entity).map_err(unreadable).and_then(|leaf| {
            // An intermediate that cannot be read is no help, and no harm.
            let others: Vec<_> =
                intermediates.iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
            self.judge(&leaf, &others)
        });
        match judged {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(refused) => {
                let error = Error::General(refused.why.clone());
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
                Err(error)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
