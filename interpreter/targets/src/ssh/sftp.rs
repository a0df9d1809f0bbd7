//! Uploading a file's content over SFTP.
//!
//! The server's own subsystem is started by the login shell, whose start-up files may print and so break the
//! protocol from its first byte. So its program is started like any other shell of ours, with a line that tells
//! where the protocol begins, under sudo where that is asked for; the subsystem is for hosts that have the
//! protocol inside sshd only. A host with neither gets the content through a shell's standard input.

use super::link::{Link, Session};
use super::{Reply, reply};
use crate::posix::{Upload, boot, nonce};
use keybook_api::{Fault, FaultKind, Secret};
use russh::{Channel, ChannelMsg, client::Msg};
use russh_sftp::client::{Config, SftpSession};
use russh_sftp::protocol::{FileAttributes, OpenFlags};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// How long a server may take to begin.
const START: Duration = Duration::from_secs(10);
/// How long it may take to answer one request, in seconds.
const REQUEST_SECONDS: u64 = 30;
/// Bytes handed over at once.
const CHUNK: usize = 256 << 10;
/// More than any start-up file prints.
const NOISE: usize = 1 << 20;
/// Where distributions keep the program.
const PROGRAMS: &str = "/usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server \
    /usr/libexec/sftp-server /usr/libexec/ssh/sftp-server /usr/lib/sftp-server /usr/lib/misc/sftp-server";

/// How a host's SFTP is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Its program, started by us.
    Program,
    /// sshd's subsystem.
    Subsystem,
    /// It has none.
    Nowhere,
}

/// SFTP on one host.
#[derive(Default)]
pub(super) struct Sftp {
    way: OnceLock<Way>,
}

impl Sftp {
    /// Creates the file, with mode 0600, and fills it. `Unavailable` when the host has no SFTP for us.
    pub async fn upload(
        &self,
        link: &Link,
        sudo: bool,
        place: &str,
        content: &Secret,
        limit: Duration,
    ) -> Result<Upload, Fault> {
        let ways = match self.way.get() {
            Some(way) => vec![*way],
            // sshd's own runs as the login, which is no use with sudo.
            None if sudo => vec![Way::Program],
            None => vec![Way::Program, Way::Subsystem],
        };
        for way in ways.into_iter().filter(|way| *way != Way::Nowhere) {
            let session = link.session(false).await?;
            let connection = session.connection.clone();
            let Session { channel, permit: _permit, .. } = session;
            let lost = || Fault::unreachable(format!("upload {place}"), connection.reason()).on(link.name());
            let Some(sftp) = begin(channel, way, sudo).await? else {
                if connection.handle.is_closed() {
                    return Err(lost());
                }
                continue;
            };
            let _ = self.way.set(way);
            // The library goes on waiting for answers when nobody is left to give them.
            let sent = tokio::select! {
                sent = timeout(limit, send(&sftp, place, content)) => sent,
                () = connection.gone() => return Err(lost()),
            };
            let _ = sftp.close().await;
            let cause = match sent {
                Ok(Ok(())) => return Ok(Upload::Done),
                _ if connection.handle.is_closed() => return Err(lost()),
                Ok(Err(cause)) => Fault::failed(format!("upload {place}"), cause),
                Err(_) => {
                    let cause = format!("it took longer than {limit:?}");
                    Fault::new(FaultKind::TimedOut, format!("upload {place}"), cause)
                }
            };
            return Err(cause.on(link.name()));
        }
        let _ = self.way.set(Way::Nowhere);
        Ok(Upload::Unavailable)
    }
}

/// Starts the protocol; nothing when the host does not speak it this way.
async fn begin(mut channel: Channel<Msg>, way: Way, sudo: bool) -> Result<Option<SftpSession>, Fault> {
    let ready = match way {
        Way::Program => program(&mut channel, sudo).await?,
        Way::Subsystem => {
            channel.request_subsystem(true, "sftp").await.is_ok()
                && matches!(reply(&mut channel).await, Reply::Yes)
        }
        Way::Nowhere => false,
    };
    if !ready {
        let _ = channel.close().await;
        return Ok(None);
    }
    let config = Config { request_timeout_secs: REQUEST_SECONDS, ..Config::default() };
    let starting = timeout(START, SftpSession::new_with_config(channel.into_stream(), config));
    Ok(starting.await.ok().and_then(Result::ok))
}

async fn program(channel: &mut Channel<Msg>, sudo: bool) -> Result<bool, Fault> {
    let nonce = nonce()?;
    let script = format!(
        "{{\nfor kb_program in {PROGRAMS}; do\n[ -x \"$kb_program\" ] || continue\n\
         printf '\\036%s\\n' {nonce}\nexec \"$kb_program\"\ndone\n}}\n"
    );
    let started = channel.exec(true, boot(script.len(), sudo)).await.is_ok()
        && matches!(reply(channel).await, Reply::Yes)
        && channel.data(script.as_bytes()).await.is_ok();
    let mark = format!("\u{1e}{nonce}\n").into_bytes();
    Ok(started && timeout(START, says(channel, &mark)).await.unwrap_or(false))
}

/// Listens for a line of ours. The program speaks only when spoken to, so nothing follows it.
async fn says(channel: &mut Channel<Msg>, mark: &[u8]) -> bool {
    let mut seen = Vec::new();
    while !seen.ends_with(mark) {
        match channel.wait().await {
            Some(ChannelMsg::Data { data }) if seen.len() < NOISE => seen.extend_from_slice(&data),
            None | Some(ChannelMsg::Data { .. } | ChannelMsg::Close | ChannelMsg::Eof) => return false,
            Some(_) => {}
        }
    }
    true
}

async fn send(sftp: &SftpSession, place: &str, content: &Secret) -> Result<(), String> {
    let flags = OpenFlags::CREATE | OpenFlags::EXCLUDE | OpenFlags::WRITE;
    let attributes = FileAttributes { permissions: Some(0o600), ..FileAttributes::empty() };
    let text = |e: &dyn std::fmt::Display| format!("SFTP: {e}");
    let mut file =
        sftp.open_with_flags_and_attributes(place, flags, attributes).await.map_err(|e| text(&e))?;
    for chunk in content.expose().chunks(CHUNK) {
        file.write_all(chunk).await.map_err(|e| text(&e))?;
    }
    // Waits for every write's answer, and has the server sync where it can.
    file.flush().await.map_err(|e| text(&e))?;
    file.shutdown().await.map_err(|e| text(&e))
}
