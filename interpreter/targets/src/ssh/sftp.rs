//! Uploading a file's content over SFTP: the server's subsystem, or with sudo its program.

use super::link::Session;
use super::{Reply, reply};
use crate::posix::{Upload, boot, nonce};
use keybook_api::{Fault, Secret};
use russh::{Channel, ChannelMsg, client::Msg};
use russh_sftp::client::{Config, SftpSession};
use russh_sftp::protocol::{FileAttributes, OpenFlags};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// How long a server may take to begin, and to answer one request.
const REQUEST_SECONDS: u64 = 20;
/// Bytes handed over at once.
const CHUNK: usize = 256 << 10;
/// More than any start-up file prints.
const NOISE: usize = 1 << 20;
/// Where distributions keep the program.
const SERVERS: &str = "/usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server \
    /usr/libexec/sftp-server /usr/libexec/ssh/sftp-server /usr/lib/sftp-server /usr/lib/misc/sftp-server";

/// Creates the file and fills it. `Unavailable` when the host has no SFTP for us.
pub(super) async fn upload(
    session: Session,
    host: &str,
    sudo: bool,
    place: &str,
    content: &Secret,
    limit: Duration,
) -> Result<Upload, Fault> {
    let Session { mut channel, connection, permit: _permit } = session;
    let attempted = format!("upload {place}");
    let ready = if sudo { by_sudo(&mut channel).await? } else { by_subsystem(&mut channel).await };
    if !ready {
        let _ = channel.close().await;
        return Ok(Upload::Unavailable);
    }
    let config = Config { request_timeout_secs: REQUEST_SECONDS, ..Config::default() };
    // Start-up files that print break the protocol from its first byte; then there is no SFTP for us.
    let starting = timeout(
        Duration::from_secs(REQUEST_SECONDS),
        SftpSession::new_with_config(channel.into_stream(), config),
    );
    let sftp = match starting.await {
        Ok(Ok(sftp)) => sftp,
        Ok(Err(_)) | Err(_) if !connection.handle.is_closed() => return Ok(Upload::Unavailable),
        _ => return Err(Fault::unreachable(attempted, connection.reason()).on(host)),
    };
    let sent = timeout(limit, send(&sftp, place, content)).await;
    let _ = sftp.close().await;
    match sent {
        Ok(Ok(())) => Ok(Upload::Done),
        _ if connection.handle.is_closed() => {
            Err(Fault::unreachable(attempted, connection.reason()).on(host))
        }
        Ok(Err(cause)) => Err(Fault::failed(attempted, cause).on(host)),
        Err(_) => Err(Fault::failed(attempted, format!("it took longer than {limit:?}")).on(host)),
    }
}

async fn by_subsystem(channel: &mut Channel<Msg>) -> bool {
    channel.request_subsystem(true, "sftp").await.is_ok() && matches!(reply(channel).await, Reply::Yes)
}

/// Starts the program under sudo; a line of ours tells where its protocol begins.
async fn by_sudo(channel: &mut Channel<Msg>) -> Result<bool, Fault> {
    let nonce = nonce()?;
    let script = format!(
        "{{\nfor kb_server in {SERVERS}; do\n[ -x \"$kb_server\" ] || continue\nprintf '\\036%s\\n' {nonce}\n\
         exec \"$kb_server\"\ndone\n}}\n"
    );
    let started = channel.exec(true, boot(script.len(), true)).await.is_ok()
        && matches!(reply(channel).await, Reply::Yes)
        && channel.data(script.as_bytes()).await.is_ok();
    if !started {
        return Ok(false);
    }
    let mark = format!("\u{1e}{nonce}\n").into_bytes();
    let found = async {
        let mut seen = Vec::new();
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => seen.extend_from_slice(&data),
                ChannelMsg::Close | ChannelMsg::Eof => return false,
                _ => {}
            }
            if seen.ends_with(&mark) {
                return true;
            }
            if seen.len() > NOISE {
                return false;
            }
        }
        false
    };
    Ok(timeout(Duration::from_secs(REQUEST_SECONDS), found).await.unwrap_or(false))
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
