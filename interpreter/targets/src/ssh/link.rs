//! The one connection to a host: made when needed, made again when lost, shared by a few channels at a time.

use super::connect::{CHANNEL_LIMIT, Connection, Refusal, connect};
use super::host_key::{HostKeyPolicy, Verdict, Verifier};
use super::known_hosts::{self, KnownHosts};
use super::settings::{Resolved, SshSettings};
use futures::future::BoxFuture;
use keybook_api::Fault;
use russh::Channel;
use russh::client::Msg;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

/// Channels at once. sshd allows ten sessions (MaxSessions), and counts ones that are still closing.
const CHANNELS: usize = 4;
/// How long a server that refuses channels is asked again: the command has not begun.
const CROWDED: Duration = Duration::from_secs(20);

/// A channel and what it holds while it lives.
pub(crate) struct Session {
    pub channel: Channel<Msg>,
    pub connection: Arc<Connection>,
    pub permit: OwnedSemaphorePermit,
}

/// The way to one host.
pub(crate) struct Link {
    host: Arc<Resolved>,
    settings: Arc<SshSettings>,
    policy: Arc<dyn HostKeyPolicy>,
    via: Option<Arc<Link>>,
    current: Mutex<Option<Arc<Connection>>>,
    /// The key that the host showed first; it must not change while we know it.
    first_key: OnceLock<String>,
    ordinary: Arc<Semaphore>,
    urgent: Arc<Semaphore>,
}

impl Link {
    pub fn new(
        host: Arc<Resolved>,
        settings: Arc<SshSettings>,
        policy: Arc<dyn HostKeyPolicy>,
        via: Option<Arc<Link>>,
    ) -> Self {
        Self {
            host,
            settings,
            policy,
            via,
            current: Mutex::new(None),
            first_key: OnceLock::new(),
            ordinary: Arc::new(Semaphore::new(CHANNELS)),
            urgent: Arc::new(Semaphore::new(1)),
        }
    }

    /// The host's inventory name.
    pub fn name(&self) -> &str {
        &self.host.name
    }

    /// The connection, made anew when there is none that lives. Boxed, because a jump host's is one too.
    pub fn connection(&self) -> BoxFuture<'_, Result<Arc<Connection>, Fault>> {
        Box::pin(async move {
            let mut current = self.current.lock().await;
            if let Some(connection) = current.as_ref().filter(|connection| !connection.handle.is_closed()) {
                return Ok(connection.clone());
            }
            *current = None;
            let connection = Arc::new(self.connect().await?);
            self.same_host(&connection)?;
            *current = Some(connection.clone());
            Ok(connection)
        })
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let mut asked = false;
        loop {
            let via = match &self.via {
                Some(link) => Some(link.connection().await.map_err(|fault| self.through(link, fault))?),
                None => None,
            };
            let verifier = self.verifier()?;
            match connect(&self.host, &self.settings, &verifier, via).await {
                Ok(connection) => return Ok(connection),
                Err(Refusal::Fault(fault)) => return Err(fault),
                Err(Refusal::Unknown(verdict)) => {
                    if asked || !self.accepted(&verifier, &verdict).await? {
                        let attempted = format!("connect to {}:{}", self.host.host, self.host.port);
                        return Err(verifier.fault(&verdict, &attempted).on(&self.host.name));
                    }
                    // Then the file names it, and the next handshake is checked against the file.
                    asked = true;
                }
            }
        }
    }

    fn through(&self, link: &Link, fault: Fault) -> Fault {
        let cause = format!("its jump host {} cannot be used: {fault}", link.host.name);
        let mut own =
            Fault::new(fault.kind, format!("connect to {}:{}", self.host.host, self.host.port), cause)
                .on(&self.host.name)
                .now("nothing was run on the host");
        own.hints = fault.hints;
        own
    }

    fn verifier(&self) -> Result<Verifier, Fault> {
        let files = self.host.known_hosts.clone();
        let known = KnownHosts::load(&files).map_err(|(file, e)| {
            Fault::usage(format!("read {}", file.display()), e)
                .on(&self.host.name)
                .hint("without known_hosts, nobody can tell whether a host is the right one")
        })?;
        Ok(Verifier { known, host: self.host.host.clone(), port: self.host.port, files })
    }

    async fn accepted(&self, verifier: &Verifier, verdict: &Verdict) -> Result<bool, Fault> {
        let (Verdict::Unknown { key }, Some(file)) = (verdict, verifier.files.first()) else {
            return Ok(false);
        };
        let name = known_hosts::entry_name(&verifier.host, verifier.port);
        if !self.policy.unknown_host(&name, &known_hosts::fingerprint(key)).await {
            return Ok(false);
        }
        let line = known_hosts::line_for(&verifier.host, verifier.port, key);
        known_hosts::append(file, &line)
            .map_err(|e| Fault::failed(format!("add {name} to {}", file.display()), e).on(&self.host.name))?;
        Ok(true)
    }

    fn same_host(&self, connection: &Connection) -> Result<(), Fault> {
        let first = self.first_key.get_or_init(|| connection.host_key.clone());
        if *first == connection.host_key || self.host.replaceable {
            return Ok(());
        }
        let cause = format!("it shows another host key than before: {}, not {first}", connection.host_key);
        Err(Fault::unreachable("connect again", cause)
            .on(&self.host.name)
            .now("nothing was run on it since")
            .hint("find out whether the host was replaced while the run was under way"))
    }

    /// Opens a session channel, over a new connection when the old one is lost: nothing was begun yet.
    pub async fn session(&self, urgent: bool) -> Result<Session, Fault> {
        let places = if urgent { &self.urgent } else { &self.ordinary };
        let closed = |cause: &dyn std::fmt::Display| {
            Fault::unreachable("start a command", cause).on(&self.host.name).now("nothing was begun")
        };
        let permit = places.clone().acquire_owned().await.map_err(|e| closed(&e))?;
        let deadline = Instant::now() + CROWDED;
        let mut lost = 0;
        loop {
            let connection = self.connection().await?;
            match timeout(CHANNEL_LIMIT, connection.handle.channel_open_session()).await {
                Ok(Ok(channel)) => return Ok(Session { channel, connection, permit }),
                Ok(Err(russh::Error::ChannelOpenFailure(why))) if Instant::now() > deadline => {
                    return Err(closed(&format!("the server opens no session: {why:?}"))
                        .hint("raise MaxSessions in the host's sshd_config"));
                }
                Ok(Err(russh::Error::ChannelOpenFailure(_))) => sleep(Duration::from_millis(50)).await,
                Ok(Err(_)) | Err(_) => {
                    lost += 1;
                    connection.cut();
                    self.forget(&connection).await;
                    if lost > 2 {
                        return Err(closed(&connection.reason()));
                    }
                }
            }
        }
    }

    /// Gives a connection up, unless it was replaced already.
    async fn forget(&self, connection: &Arc<Connection>) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|now| Arc::ptr_eq(now, connection)) {
            *current = None;
        }
    }

    /// Drops the connection.
    pub async fn close(&self) {
        if let Some(connection) = self.current.lock().await.take() {
            let bye = connection.handle.disconnect(russh::Disconnect::ByApplication, "", "");
            let _ = timeout(Duration::from_secs(1), bye).await;
            connection.cut();
        }
    }
}
