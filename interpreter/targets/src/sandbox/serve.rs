//! Connections to daemons: a real TLS server on a stream in memory, with what the daemon read at its start.

use super::daemons;
use super::scenario::Scenario;
use super::world::{Sandbox, trouble};
use keybook_api::{Fault, Secret, Stream};
use keybook_pki::{Certificate, KeyForm, PrivateKey, Usage, verify};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;

/// As much as a socket's buffers hold.
const BUFFER: usize = 64 << 10;

/// The host that an address means, as seen from one of them.
pub(crate) fn host_of<'s>(scenario: &'s Scenario, own: &'s str, address: &str) -> Option<&'s str> {
    let address = address.trim_start_matches('[').trim_end_matches(']');
    if matches!(address, "localhost" | "::1") || address.starts_with("127.") {
        return Some(own);
    }
    scenario.host_at(address)
}

/// What a connection meets.
enum Server {
    Plain,
    Tls(Arc<ServerConfig>),
}

/// Connects. Reads and settles state: blocking, to be called on a thread for that, inside the runtime.
///
/// # Errors
/// `Unreachable` when no such host is in the sandbox, or nothing runs on the port.
pub(crate) fn connect(
    sandbox: &Sandbox,
    own: &str,
    address: &str,
    port: u16,
) -> Result<Box<dyn Stream>, Fault> {
    let attempted = format!("connect to {address}:{port}");
    let host = host_of(sandbox.scenario(), own, address).ok_or_else(|| {
        Fault::unreachable(&attempted, format!("no host of the sandbox has the name or address {address}"))
            .on(own)
    })?;
    let server = server(sandbox, host, port)
        .and_then(|found| found.ok_or_else(|| Fault::unreachable(&attempted, "connection refused")))
        .map_err(|fault| fault.on(own))?;
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    tokio::spawn(serve(server, theirs));
    Ok(Box::new(ours))
}

fn server(sandbox: &Sandbox, host: &str, port: u16) -> Result<Option<Server>, Fault> {
    let trouble = |error| trouble(host, &error);
    let _lock = sandbox.lock().map_err(trouble)?;
    let records = sandbox.settle(host).map_err(trouble)?;
    let Some(spec) = sandbox.scenario().daemons_of(host).find(|spec| spec.port == Some(port)) else {
        return Ok(None);
    };
    let Some(record) = records.get(&spec.name).filter(|record| record.running) else { return Ok(None) };
    let place = sandbox.host(host);
    let loaded = |what: &str| daemons::loaded(&place, &spec.name, record, what).map_err(trouble);
    let (certificate, key, client_ca) = (loaded("certificate")?, loaded("key")?, loaded("client_ca")?);
    let (Some(certificate), Some(key)) = (certificate, key) else { return Ok(Some(Server::Plain)) };
    let config = config(&certificate, &key, client_ca.as_ref())
        .map_err(|why| Fault::failed(format!("serve TLS as {}", spec.name), why).on(host))?;
    Ok(Some(Server::Tls(Arc::new(config))))
}

fn config(certificate: &Secret, key: &Secret, client_ca: Option<&Secret>) -> Result<ServerConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let read = |file: &Secret| Certificate::load_all_pem(file.expose()).map_err(|error| error.to_string());
    let chain = read(certificate)?.iter().map(|one| CertificateDer::from(one.der().to_vec())).collect();
    let pkcs8 = PrivateKey::load(key, None).and_then(|key| key.to_pem(KeyForm::Pkcs8));
    let pkcs8 = pkcs8.map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(pkcs8.expose()).map_err(|error| error.to_string())?;
    let key = provider.key_provider.load_private_key(key).map_err(|error| error.to_string())?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => builder.with_client_cert_verifier(Arc::new(Clients { roots: read(file)?, provider })),
    };
    Ok(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)))))
}

/// Takes what comes until the client ends; a daemon of a sandbox has nothing to say.
async fn serve(server: Server, stream: DuplexStream) {
    match server {
        Server::Plain => drain(stream).await,
        Server::Tls(config) => {
            // A failed handshake has been told to the client as an alert.
            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                drain(stream).await;
            }
        }
    }
}

async fn drain(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut chunk = [0; 4096];
    while stream.read(&mut chunk).await.is_ok_and(|count| count > 0) {}
    let _ = stream.shutdown().await;
}

/// Judges clients as the daemons of old clusters do (see [`keybook_pki::verify`]): webpki refuses some of their
/// certificates.
#[derive(Debug)]
struct Clients {
    roots: Vec<Certificate>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let read = |der: &CertificateDer<'_>| {
            Certificate::from_der(der).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
        };
        let leaf = read(end_entity)?;
        let between = intermediates.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        match verify(&leaf, &between, &self.roots, now, Usage::Client) {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(_) => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
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
