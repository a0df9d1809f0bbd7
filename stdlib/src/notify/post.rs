//! The request itself, by ureq and rustls.

use super::order::{Order, SHOWN};
use keybook_api::{Cancel, Fault, FaultKind};
use keybook_pki::Certificate;
use rustls::CertificateError;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::time::Instant;
use ureq::{
    Agent, Error, Proxy,
    http::Request,
    tls::{RootCerts, TlsConfig},
};

/// Tries in all.
const TRIES: u32 = 3;
/// The pause after the first try; it doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// The most that an answer's header fields may be.
const MOST_HEADERS: usize = 16 * 1024;

/// What became of it.
pub struct Sent {
    pub tries: u32,
    pub status: Option<u16>,
    /// Why nobody was told; `None` when somebody was.
    pub why: Option<String>,
}

/// Posts, with a few tries in the order's time. A stop of the run ends it.
pub async fn post(order: &Order, cancel: &Cancel) -> Result<Sent, Fault> {
    let until = Instant::now() + order.timeout;
    let mut tries = 0;
    loop {
        tries += 1;
        let left = until.saturating_duration_since(Instant::now());
        let once = tokio::select! {
            once = once(order, left) => once,
            () = cancel.cancelled() =>
                return Err(Fault::new(FaultKind::Stopped, format!("post to {SHOWN}"), "the run was stopped")),
        };
        let pause = PAUSE * 2_u32.pow(tries - 1);
        let again = once.again && tries < TRIES && Instant::now() + pause < until;
        if once.why.is_none() || !again {
            return Ok(Sent { tries, status: once.status, why: once.why });
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled() => {}
        }
    }
}

/// What became of one try.
#[derive(Default)]
struct Once {
    status: Option<u16>,
    why: Option<String>,
    /// It may go better another time.
    again: bool,
}

impl Once {
    fn failed(why: impl Into<String>, again: bool) -> Self {
        Self { why: Some(why.into()), again, ..Self::default() }
    }
}

async fn once(order: &Order, left: Duration) -> Once {
    let agent = match agent(order, left) {
        Ok(agent) => agent,
        Err(why) => return Once::failed(why, false),
    };
    let mut request = Request::post(&order.url);
    for (name, value) in &order.headers {
        request = request.header(name, value);
    }
    let Ok(request) = request.body(order.body.to_vec()) else {
        return Once::failed("it cannot be sent", false);
    };
    // The client bounds itself by the same time; this is for what it waits for without a bound.
    let limit = left + Duration::from_secs(1);
    let work = tokio::task::spawn_blocking(move || send(&agent, request));
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(once)) => once,
        Ok(Err(_)) => Once::failed("the client failed", false),
        Err(_) => Once::failed("no answer in time", false),
    }
}

fn agent(order: &Order, left: Duration) -> Result<Agent, String> {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_response_header_size(MOST_HEADERS)
        .timeout_global(Some(left))
        .proxy(if order.is_local() { None } else { Proxy::try_from_env() });
    if order.url.scheme_str() == Some("https") {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().root_certs(roots(order.ca.as_deref())?);
        config = config.tls_config(tls.unversioned_rustls_crypto_provider(provider).build());
    }
    Ok(config.build().new_agent())
}

/// The CAs of a file, or those that this machine trusts; never none.
fn roots(ca: Option<&Path>) -> Result<RootCerts, String> {
    let certificates: Vec<Vec<u8>> = match ca {
        Some(path) => {
            let file = std::fs::read(path).map_err(|error| format!("read {}: {error}", path.display()))?;
            let all = Certificate::load_all_pem(&file)
                .map_err(|error| format!("read {}: {error}", path.display()))?;
            all.iter().map(|certificate| certificate.der().to_vec()).collect()
        }
        None => {
            let found = rustls_native_certs::load_native_certs().certs;
            found.iter().map(|certificate| certificate.to_vec()).collect()
        }
    };
    if certificates.is_empty() {
        return Err("this machine trusts no CA; name one in `ca`".to_owned());
    }
    let owned = |der: &Vec<u8>| ureq::tls::Certificate::from_der(der).to_owned();
    Ok(RootCerts::Specific(Arc::new(certificates.iter().map(owned).collect())))
}

/// The answer's text is not read: it may repeat what was sent.
fn send(agent: &Agent, request: Request<Vec<u8>>) -> Once {
    let response = match agent.run(request) {
        Ok(response) => response,
        Err(error) => {
            let (why, again) = cause(&error);
            return Once::failed(why, again);
        }
    };
    let status = response.status();
    let failed = |why: &str| Some(format!("{why} (HTTP {})", status.as_u16()));
    let code = status.as_u16();
    let why = match () {
        () if status.is_success() => None,
        () if status.is_redirection() => failed("it was sent elsewhere, and a redirect is not followed"),
        () => failed("it was refused"),
    };
    let again = matches!(code, 408 | 425 | 429) || status.is_server_error();
    Once { status: Some(code), why, again }
}

const UNKNOWN_HOST: &str = "the host's name cannot be resolved";

/// In words that hold nothing of the request.
fn cause(error: &Error) -> (String, bool) {
    let (why, again) = match error {
        Error::Timeout(_) => ("no answer in time", false),
        Error::HostNotFound => (UNKNOWN_HOST, true),
        Error::ConnectionFailed => ("no connection", true),
        Error::Protocol(_) => ("the answer is no HTTP answer", false),
        Error::InvalidProxyUrl | Error::ConnectProxyFailed(_) => ("the proxy cannot be used", false),
        Error::Rustls(error) => (tls(error), false),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => (tls(error), false),
            // The standard library has no kind of its own for this.
            None if error.to_string().starts_with("failed to lookup address") => (UNKNOWN_HOST, true),
            None => return (error.kind().to_string(), true),
        },
        _ => ("it cannot be sent", false),
    };
    (why.to_owned(), again)
}

fn tls(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is from no CA that is trusted here"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the server's certificate has expired",
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is for another name",
        rustls::Error::InvalidCertificate(_) => "the server's certificate cannot be verified",
        _ => "the TLS handshake failed",
    }
}
