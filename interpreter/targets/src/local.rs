//! This machine itself.

use crate::posix::{Output, RawShell, Started};
use async_trait::async_trait;
use keybook_api::{Fault, FaultKind, Stream};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;
/// How long output is waited for after the shell has exited without the wrapper's last word.
const STRAY: Duration = Duration::from_secs(5);

/// Starts shells on this machine.
#[derive(Clone, Debug)]
pub struct LocalShell {
    host: String,
}

impl LocalShell {
    /// For the host of this inventory name.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into() }
    }

    fn spawn(&self, args: &[&str]) -> Result<Started, Fault> {
        let child = Command::new("/bin/sh")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is for Keybook, which ends its commands in order.
            .process_group(0)
            .spawn()
            .map_err(|e| Fault::failed("start /bin/sh", e).on(&self.host).now("nothing was run"))?;
        started(child).ok_or_else(|| Fault::failed("start /bin/sh", "its streams are missing").on(&self.host))
    }
}

#[async_trait]
impl RawShell for LocalShell {
    fn host(&self) -> &str {
        &self.host
    }

    async fn start(&self, boot: &str, _urgent: bool) -> Result<Started, Fault> {
        self.spawn(&["-c", boot])
    }

    async fn start_bare(&self) -> Result<Started, Fault> {
        self.spawn(&[])
    }

    async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Stream>, Fault> {
        let attempted = format!("connect to {host}:{port}");
        match tokio::time::timeout(timeout, TcpStream::connect((host, port))).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(e)) => Err(Fault::unreachable(attempted, e).on(&self.host)),
            Err(_) => {
                let cause = format!("no answer within {timeout:?}");
                Err(Fault::new(FaultKind::TimedOut, attempted, cause).on(&self.host))
            }
        }
    }

    async fn close(&self) {}
}

fn started(mut child: Child) -> Option<Started> {
    let stdin = child.stdin.take()?;
    let (stdout, stderr) = (child.stdout.take()?, child.stderr.take()?);
    let (sender, output) = mpsc::channel(16);
    let out = tokio::spawn(pump(stdout, sender.clone(), Output::Stdout));
    let err = tokio::spawn(pump(stderr, sender.clone(), Output::Stderr));
    tokio::spawn(async move {
        // The streams may stay open for ever, held by a child in the background: what counts is the wrapper.
        let _ = child.wait().await;
        let _ = tokio::time::timeout(STRAY, async { tokio::join!(out, err) }).await;
        let _ = sender.send(Output::Exited).await;
    });
    Some(Started { stdin: Box::new(stdin), output })
}

async fn pump(
    mut stream: impl AsyncRead + Unpin,
    sender: mpsc::Sender<Output>,
    name: impl Fn(Vec<u8>) -> Output,
) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = tokio::select! {
            read = stream.read(&mut chunk) => read,
            () = sender.closed() => return,
        };
        let Ok(count @ 1..) = read else { return };
        let bytes = chunk.get(..count).unwrap_or_default().to_vec();
        if sender.send(name(bytes)).await.is_err() {
            return;
        }
    }
}
