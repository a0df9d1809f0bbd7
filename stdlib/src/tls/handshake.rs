//! A TLS handshake that keeps the server's chain, whatever becomes of the handshake.

use keybook_api::Stream;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_rustls::TlsConnector;

/// A client certificate with its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

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
}

/// Shakes hands. Nothing about the certificate is judged here. The error is that of a client identity that
/// cannot be used.
pub async fn handshake(
    stream: Box<dyn Stream>,
    name: ServerName<'static>,
    identity: Option<Identity>,
    timeout: Duration,
) -> Result<Seen, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let recorder = Arc::new(Recorder { provider: provider.clone(), kept: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(recorder.clone());
    let mut config = match identity {
        Some((chain, key)) => config.with_client_auth_cert(chain, key)?,
        None => config.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let (protocol, error) = match tokio::time::timeout(timeout, connecting).await {
        Err(_) => (None, Some("no answer in time".to_owned())),
        Ok(Err(error)) => (None, Some(error.to_string())),
        Ok(Ok(stream)) => (stream.get_ref().1.protocol_version(), None),
    };
    let kept = recorder.kept.lock().unwrap_or_else(PoisonError::into_inner);
    let protocol =
        protocol.or(kept.protocol).and_then(|version| version.as_str()).map(|name| name.replace('_', "."));
    Ok(Seen { chain: kept.chain.clone(), proved: kept.proved, protocol, error })
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
