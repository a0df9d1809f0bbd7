//! One connection: the stream, the handshake, whose host key it is, the login.

use super::algorithms::preferred;
use super::auth;
use super::forward::Forward;
use super::host_key::{Verdict, Verifier};
use super::settings::{Resolved, SshSettings};
use super::watched::Watched;
use keybook_api::{Fault, FaultKind};
use russh::client::{self, DisconnectReason, Handle, Handler};
use russh::keys::PublicKeyOrCertificate;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A connection that is logged in.
pub(crate) struct Connection {
    pub handle: Handle<Client>,
    /// `SHA256:…` of the host's key.
    pub host_key: String,
    shared: Arc<Shared>,
    cut: CancellationToken,
    /// The connection that this one goes through lives as long.
    _via: Option<Arc<Connection>>,
}

impl Connection {
    /// Why it was lost.
    pub fn reason(&self) -> String {
        lock(&self.shared.lost).clone().unwrap_or_else(|| "the other side closed it".to_owned())
    }

    /// Waits until it is lost or closed. What waits for an answer on it waits for this as well.
    pub async fn gone(&self) {
        self.shared.gone.cancelled().await;
    }

    /// Ends it at once.
    pub fn cut(&self) {
        self.cut.cancel();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

/// What the library's own task leaves for us.
#[derive(Default)]
struct Shared {
    verdict: Mutex<Option<Verdict>>,
    lost: Mutex<Option<String>>,
    gone: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers the SSH library's questions.
pub(crate) struct Client {
    verifier: Verifier,
    shared: Arc<Shared>,
    /// The library drops this with its task, however that ends.
    _gone: DropGuard,
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let verdict = self.verifier.judge(presented);
        let known = matches!(verdict, Verdict::Known { .. });
        *lock(&self.shared.verdict) = Some(verdict);
        Ok(known)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        let (text, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                (format!("the server said: {}", info.message), Ok(()))
            }
            DisconnectReason::Error(russh::Error::KeepaliveTimeout) => {
                ("the host no longer answers".to_owned(), Err(russh::Error::KeepaliveTimeout))
            }
            DisconnectReason::Error(e) => (e.to_string(), Err(e)),
        };
        *lock(&self.shared.lost) = Some(text);
        result
    }
}

/// Why there is no connection.
pub(crate) enum Refusal {
    /// The host is not known; the operator may be asked.
    Unknown(Box<Verdict>),
    /// Anything else.
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Connects, checks the host's key and logs in, within the host's `connect_timeout`.
pub(crate) async fn connect(
    host: &Arc<Resolved>,
    settings: &Arc<SshSettings>,
    verifier: &Verifier,
    via: Option<Arc<Connection>>,
) -> Result<Connection, Refusal> {
    let deadline = Instant::now() + host.connect_timeout;
    let cut = CancellationToken::new();
    let guard = cut.clone().drop_guard();
    let patience = settings.keepalive.saturating_mul(u32::try_from(settings.keepalive_max).unwrap_or(3) + 1);
    let late = |step: &str| {
        let cause = format!("{step} took longer than {:?}", host.connect_timeout);
        Fault::unreachable(attempted(host), cause).on(&host.name).now("nothing was run on the host")
    };
    let (handle, shared) = match &via {
        Some(connection) => {
            let opening = tunnel(connection, host);
            let stream = timeout_at(deadline, opening)
                .await
                .map_err(|_| late("reaching it through the jump host"))??;
            let stream = Watched::new(stream, patience, cut.clone());
            timeout_at(deadline, handshake(stream, host, settings, verifier)).await
        }
        None => {
            let stream = Watched::new(tcp(host, deadline).await?, patience, cut.clone());
            timeout_at(deadline, handshake(stream, host, settings, verifier)).await
        }
    }
    .map_err(|_| late("the SSH handshake"))??;
    // The library may panic on what a hostile server sends; it must not take more than this connection along.
    let (login_host, login_settings) = (host.clone(), settings.clone());
    let login = tokio::spawn(async move {
        let mut handle = handle;
        auth::log_in(&login_host, &login_settings, &mut handle).await.map(|()| handle)
    });
    let abort = login.abort_handle();
    let handle = timeout_at(deadline, login).await.map_err(|_| {
        abort.abort();
        late("logging in")
    })?;
    let handle = handle.map_err(|e| contained(host, &e))??;
    let host_key = match &*lock(&shared.verdict) {
        Some(Verdict::Known { fingerprint }) => fingerprint.clone(),
        _ => String::new(),
    };
    Ok(Connection { handle, host_key, shared, cut: guard.disarm(), _via: via })
}

fn attempted(host: &Resolved) -> String {
    format!("connect to {}:{}", host.host, host.port)
}

fn contained(host: &Resolved, error: &tokio::task::JoinError) -> Fault {
    Fault::unreachable(attempted(host), format!("the SSH library gave up on what the server sent: {error}"))
        .on(&host.name)
}

/// Tries each address of the name in turn.
async fn tcp(host: &Resolved, deadline: Instant) -> Result<TcpStream, Fault> {
    let fault = |cause: String| {
        Fault::unreachable(attempted(host), cause).on(&host.name).now("nothing was run on the host")
    };
    let late = || fault(format!("no answer within {:?}", host.connect_timeout));
    let addresses: Vec<_> = timeout_at(deadline, lookup_host((host.host.as_str(), host.port)))
        .await
        .map_err(|_| late())?
        .map_err(|e| fault(format!("the name `{}` cannot be resolved: {e}", host.host)))?
        .collect();
    let mut last = fault(format!("the name `{}` has no address", host.host));
    for (index, address) in addresses.iter().enumerate() {
        // One dead address must not use up the time of the others.
        let left = deadline.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - index).unwrap_or(1).max(1);
        last = match timeout(left / others, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(e)) if e.kind() == ErrorKind::ConnectionRefused => {
                fault(format!("{address} refused the connection: nothing listens there"))
                    .hint("check that sshd runs on the host, and the port")
            }
            Ok(Err(e)) => fault(format!("{address}: {e}")),
            Err(_) => late().hint("check the address, and whether a firewall is in between"),
        };
    }
    Err(last)
}

/// Asks the jump host for a connection; it resolves the name.
async fn tunnel(via: &Arc<Connection>, host: &Resolved) -> Result<Forward, Fault> {
    Forward::open(via.clone(), &host.host, host.port).await.map_err(|cause| {
        Fault::unreachable(attempted(host), format!("the jump host could not reach it: {cause}"))
            .on(&host.name)
            .now("nothing was run on the host")
    })
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    host: &Arc<Resolved>,
    settings: &SshSettings,
    verifier: &Verifier,
) -> Result<(Handle<Client>, Arc<Shared>), Refusal> {
    let config = Arc::new(client::Config {
        keepalive_interval: Some(settings.keepalive),
        keepalive_max: settings.keepalive_max,
        nodelay: true,
        preferred: preferred(&verifier.known_types(), verifier.has_authority()),
        ..client::Config::default()
    });
    let shared = Arc::new(Shared::default());
    let gone = shared.gone.clone().drop_guard();
    let handler = Client { verifier: verifier.clone(), shared: shared.clone(), _gone: gone };
    let running = tokio::spawn(client::connect_stream(config, stream, handler));
    match running.await.map_err(|e| contained(host, &e))? {
        Ok(handle) => Ok((handle, shared)),
        Err(error) => {
            let verdict = lock(&shared.verdict).take();
            Err(match verdict {
                Some(verdict @ Verdict::Unknown { .. }) => Refusal::Unknown(Box::new(verdict)),
                Some(Verdict::Known { .. }) | None => Refusal::Fault(broken(host, &error)),
                Some(verdict) => Refusal::Fault(verifier.fault(&verdict, &attempted(host)).on(&host.name)),
            })
        }
    }
}

fn broken(host: &Resolved, error: &russh::Error) -> Fault {
    let cause = match error {
        russh::Error::NoCommonAlgo { kind, ours, theirs } => format!(
            "no common algorithm ({kind:?}): the server has {}, we have {}",
            theirs.join(", "),
            ours.join(", ")
        ),
        russh::Error::Version => "what answers there is not an SSH server".to_owned(),
        russh::Error::HUP | russh::Error::Disconnect => {
            "the server closed the connection during the handshake".to_owned()
        }
        other => format!("the handshake failed: {other}"),
    };
    Fault::new(FaultKind::Unreachable, attempted(host), cause)
        .on(&host.name)
        .now("nothing was run on the host")
}

/// Never longer than this for a channel on a connection that lives.
pub(crate) const CHANNEL_LIMIT: Duration = Duration::from_secs(30);
