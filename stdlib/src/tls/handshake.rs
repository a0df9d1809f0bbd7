//! A TLS handshake that keeps the server's chain, whatever becomes of the handshake.

use keybook_api::{Secret, Stream};
use keybook_pki::{Certificate, KeyForm, PkiError, PrivateKey};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        ResolvesClientCert, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_rustls::TlsConnector;

/// A client certificate with its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// An identity from a chain, the client's own certificate first, and the content of the file with its key.
pub fn identity(chain: &[Certificate], key: &Secret) -> Result<Identity, PkiError> {
    let pem = PrivateKey::load(key, None)?.to_pem(KeyForm::Pkcs8)?;
    let key = PrivateKeyDer::from_pem_slice(pem.expose())
        .map_err(|_| PkiError::Refused("it cannot be used for TLS".to_owned()))?;
    Ok((chain.iter().map(|one| CertificateDer::from(one.der().to_vec())).collect(), key))
}

/// What a handshake showed.
#[derive(Debug)]
pub struct Seen {
    /// The chain in DER, the server's own certificate first; empty when it sent none.
    pub chain: Vec<Vec<u8>>,
    /// True when the server proved that it has the certificate's key.
    pub proved: bool,
    /// `TLSv1.2` or `TLSv1.3`; `None` when that was not settled.
    pub protocol: Option<String>,
    /// Why the handshake did not come to its end.
    pub error: Option<String>,
    /// True when the server asked for a client certificate.
    pub asked: bool,
    /// True when the server refused the client's certificate, or that there was none.
    pub refused: bool,
}

/// The versions offered to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// TLS 1.2 and 1.3.
    Both,
    /// TLS 1.2 only: in it a server judges the client's certificate before the handshake ends (RFC 5246 section 7.3).
    Tls12,
}

/// Shakes hands. Nothing about the certificate is judged here. The error is that of a client identity that
/// cannot be used.
pub async fn handshake(
    stream: Box<dyn Stream>,
    name: ServerName<'static>,
    identity: Option<Identity>,
    versions: Versions,
    timeout: Duration,
) -> Result<Seen, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let recorder = Arc::new(Recorder { provider: provider.clone(), kept: Mutex::default() });
    let anonymous = identity.is_none();
    let resolver = Arc::new(Resolver::new(identity, &provider)?);
    let offered: &[&rustls::SupportedProtocolVersion] = match versions {
        Versions::Both => rustls::DEFAULT_VERSIONS,
        Versions::Tls12 => &[&rustls::version::TLS12],
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(offered)?
        .dangerous()
        .with_custom_certificate_verifier(recorder.clone())
        .with_client_cert_resolver(resolver.clone());
    config.resumption = Resumption::disabled();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let connected = tokio::time::timeout(timeout, connecting).await;
    let asked = resolver.asked.load(Ordering::SeqCst);
    let (protocol, error, refused) = match connected {
        Err(_) => (None, Some("no answer in time".to_owned()), false),
        Ok(Err(error)) => (None, Some(error.to_string()), is_refusal(&error, asked && anonymous)),
        Ok(Ok(stream)) => (stream.get_ref().1.protocol_version(), None, false),
    };
    let kept = recorder.kept.lock().unwrap_or_else(PoisonError::into_inner);
    let protocol =
        protocol.or(kept.protocol).and_then(|version| version.as_str()).map(|name| name.replace('_', "."));
    Ok(Seen { chain: kept.chain.clone(), proved: kept.proved, protocol, error, asked, refused })
}

/// Did the server say that the client's certificate will not do? The alerts of RFC 5246 section 7.2.2 and RFC 8446
/// section 6.2 that servers send for it. Where it was asked for and none shown, a TLS 1.2 server may just call it a
/// failure of the handshake (RFC 5246 section 7.4.6).
fn is_refusal(error: &std::io::Error, none_shown: bool) -> bool {
    let alert = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    if none_shown && matches!(alert, Some(Error::AlertReceived(AlertDescription::HandshakeFailure))) {
        return true;
    }
    matches!(
        alert,
        Some(Error::AlertReceived(
            AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::DecryptError
                | AlertDescription::CertificateRequired
        ))
    )
}

/// Hands out the client's certificate and remembers that it was asked for.
#[derive(Debug)]
struct Resolver {
    own: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Resolver {
    fn new(identity: Option<Identity>, provider: &CryptoProvider) -> Result<Self, Error> {
        let own = match identity {
            Some((chain, key)) => {
                let certified = CertifiedKey::from_der(chain, key, provider)?;
                Some(Arc::new(certified))
            }
            None => None,
        };
        Ok(Self { own, asked: AtomicBool::new(false) })
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::SeqCst);
        self.own.clone().filter(|own| own.key.choose_scheme(schemes).is_some())
    }

    fn has_certs(&self) -> bool {
        self.own.is_some()
    }
}

#[derive(Debug, Default)]
struct Kept {
    chain: Vec<Vec<u8>>,
    proved: bool,
    protocol: Option<rustls::ProtocolVersion>,
}

/// Accepts every chain and keeps it; the proof of the key is verified as always.
#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    kept: Mutex<Kept>,
}

impl Recorder {
    fn keep<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn proof(
        &self,
        version: rustls::ProtocolVersion,
        verified: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.keep(|kept| {
            kept.protocol = Some(version);
            kept.proved = verified.is_ok();
        });
        verified
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).map(|der| der.to_vec());
        self.keep(|kept| kept.chain = chain.collect());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.proof(rustls::ProtocolVersion::TLSv1_2, verify_tls12_signature(message, cert, dss, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.proof(rustls::ProtocolVersion::TLSv1_3, verify_tls13_signature(message, cert, dss, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
