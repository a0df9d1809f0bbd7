//! Hosts behind SSH.

mod algorithms;
mod auth;
mod config;
mod connect;
mod forward;
mod host_key;
mod keys;
mod known_hosts;
mod link;
mod settings;
mod sftp;
mod watched;

pub use host_key::{HostKeyPolicy, RefuseUnknown};
pub use known_hosts::KnownHosts;
pub use settings::SshSettings;

pub(crate) use link::Link;
pub(crate) use settings::Resolved;

use crate::posix::{Output, RawShell, Started, Upload};
use async_trait::async_trait;
use forward::Forward;
use keybook_api::{Fault, FaultKind, Secret, Stream};
use link::Session;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client::Msg};
use sftp::Sftp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// How long output is waited for after the shell has exited without the wrapper's last word.
const STRAY: Duration = Duration::from_secs(5);
/// How long the server may take to close a channel whose shell has exited and whose output we have.
const HELD: Duration = Duration::from_millis(100);
/// How long the server may take to answer a request on an open channel.
const REPLY: Duration = Duration::from_secs(30);
/// How often a request that got no answer is made again over a new connection.
const ATTEMPTS: usize = 2;

/// Starts shells on a host behind SSH.
pub(crate) struct SshShell {
    link: Arc<Link>,
    sudo: bool,
    sftp: Sftp,
}

impl SshShell {
    pub fn new(link: Arc<Link>, sudo: bool) -> Self {
        Self { link, sudo, sftp: Sftp::default() }
    }

    /// `SHA256:…` of the host's key.
    pub async fn host_key(&self) -> Result<String, Fault> {
        Ok(self.link.connection().await?.host_key.clone())
    }
}

/// What the server says to a request.
enum Reply {
    Yes,
    No,
    Lost,
}

async fn reply(channel: &mut Channel<Msg>) -> Reply {
    let answer = async {
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => return Reply::Yes,
                Some(ChannelMsg::Failure) => return Reply::No,
                None | Some(ChannelMsg::Close) => return Reply::Lost,
                Some(_) => {}
            }
        }
    };
    timeout(REPLY, answer).await.unwrap_or(Reply::Lost)
}

#[async_trait]
impl RawShell for SshShell {
    fn host(&self) -> &str {
        self.link.name()
    }

    async fn start(&self, boot: &str, urgent: bool) -> Result<Started, Fault> {
        let fault = |cause: String| {
            Fault::unreachable("start a shell", cause).on(self.host()).now("nothing was begun")
        };
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let mut session = self.link.session(urgent).await?;
            let sent = session.channel.exec(true, boot).await;
            let answer = if sent.is_ok() { reply(&mut session.channel).await } else { Reply::Lost };
            match answer {
                Reply::Yes => return Ok(listen(session)),
                Reply::No => {
                    return Err(fault("the server refuses to run commands for this login".into()));
                }
                // What to run was not sent yet, so nothing can have begun.
                Reply::Lost => last = session.connection.reason(),
            }
        }
        Err(fault(format!("the connection is lost: {last}")))
    }

    fn uploads(&self) -> bool {
        true
    }

    async fn upload(&self, place: &str, content: &Secret, limit: Duration) -> Result<Upload, Fault> {
        self.sftp.upload(&self.link, self.sudo, place, content, limit).await
    }

    async fn open(&self, host: &str, port: u16, limit: Duration) -> Result<Box<dyn Stream>, Fault> {
        let attempted = format!("connect to {host}:{port}");
        let connection = self.link.connection().await?;
        match timeout(limit, Forward::open(connection, host, port)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(cause)) => Err(Fault::unreachable(attempted, cause).on(self.host())),
            Err(_) => {
                let cause = format!("no answer within {limit:?}");
                Err(Fault::new(FaultKind::TimedOut, attempted, cause).on(self.host()))
            }
        }
    }

    async fn close(&self) {
        self.link.close().await;
    }
}

fn listen(session: Session) -> Started {
    let Session { channel, connection, permit } = session;
    let (read, write) = channel.split();
    let stdin = Box::new(write.make_writer());
    let (sender, output) = mpsc::channel(16);
    tokio::spawn(async move {
        let last = pump(read, write, &sender).await;
        let _ = sender.try_send(last.unwrap_or_else(|| Output::Lost(connection.reason())));
        drop(permit);
    });
    Started { stdin, output }
}

/// Passes output on until the shell is gone. Once nobody listens any more, the server has a moment to close its
/// side: the place on the connection is free only then. Gives the last word, if there is one.
async fn pump(
    mut read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    sender: &mpsc::Sender<Output>,
) -> Option<Output> {
    let mut exited = false;
    let mut limit: Option<Instant> = None;
    loop {
        let late = async {
            match limit {
                Some(limit) => sleep_until(limit).await,
                None => std::future::pending().await,
            }
        };
        let listening = !sender.is_closed();
        let message = tokio::select! {
            message = read.wait() => message,
            () = sender.closed(), if listening => {
                limit = Some(Instant::now() + if exited { HELD } else { STRAY });
                continue;
            }
            () = late => break,
        };
        let output = match message {
            Some(ChannelMsg::Data { data }) => Output::Stdout(data.to_vec()),
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => Output::Stderr(data.to_vec()),
            Some(ChannelMsg::ExitStatus { .. } | ChannelMsg::ExitSignal { .. }) => {
                exited = true;
                limit = Some(Instant::now() + if listening { STRAY } else { HELD });
                continue;
            }
            Some(ChannelMsg::Close) => return Some(Output::Exited).filter(|_| exited),
            None => return None,
            Some(_) => continue,
        };
        let _ = sender.send(output).await;
    }
    // A child in the background holds the streams. To close first is a last resort: the library then forgets to
    // forget the channel.
    let _ = write.close().await;
    Some(Output::Exited).filter(|_| exited)
}
