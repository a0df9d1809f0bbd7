//! What a machine must offer for the POSIX layer to work on it.

use async_trait::async_trait;
use keybook_api::{Fault, Secret, Stream};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;

/// What a started shell sends.
#[derive(Debug)]
pub enum Output {
    /// Bytes of standard output.
    Stdout(Vec<u8>),
    /// Bytes of standard error.
    Stderr(Vec<u8>),
    /// The shell's process has exited; nothing follows.
    Exited,
    /// The connection to it is lost, for this reason; nothing follows.
    Lost(String),
}

/// A shell that was started. Dropping it gives the shell up without ending it.
pub struct Started {
    /// Its standard input; shut down for end of file.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its output, until `Exited` or `Lost`.
    pub output: mpsc::Receiver<Output>,
}

/// Whether an upload took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    /// The content is in the file and synced.
    Done,
    /// There is no way to upload; the content must go through a shell's standard input.
    Unavailable,
}

/// Starts `/bin/sh` on one machine. Everything else of a POSIX target is built on it.
#[async_trait]
pub trait RawShell: Send + Sync {
    /// The inventory name of the host, for faults.
    fn host(&self) -> &str;

    /// Starts `/bin/sh -c` with a script of ours, which reads what to do from its standard input.
    /// `urgent` asks for a place besides the ones that ordinary commands wait for: it ends other commands.
    ///
    /// # Errors
    /// Any fault means that nothing was run.
    async fn start(&self, boot: &str, urgent: bool) -> Result<Started, Fault>;

    /// Starts a `/bin/sh` without arguments: its script is its standard input.
    ///
    /// # Errors
    /// Any fault means that nothing was run.
    async fn start_bare(&self) -> Result<Started, Fault> {
        self.start(super::payload::bare(false), false).await
    }

    /// True when [`RawShell::upload`] is worth trying.
    fn uploads(&self) -> bool {
        false
    }

    /// Creates `place` (which must not exist) with mode 0600 and writes the content, synced.
    ///
    /// # Errors
    /// The content is not there, or only in part; the caller removes what is left.
    async fn upload(&self, _place: &str, _content: &Secret, _limit: Duration) -> Result<Upload, Fault> {
        Ok(Upload::Unavailable)
    }

    /// Opens a TCP connection as seen from the machine.
    ///
    /// # Errors
    /// `Unreachable` when it is refused, `TimedOut` when it takes too long.
    async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Stream>, Fault>;

    /// Drops the connection. Safe to call twice.
    async fn close(&self);
}
