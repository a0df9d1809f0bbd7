//! Runs one shell script on a machine to its end, and ends it when asked to.

use super::output::Capture;
use super::payload::{self, Payload};
use super::progress::{End, Progress};
use super::shell::{Output, RawShell, Started};
use super::{Place, receipts};
use futures::FutureExt;
use keybook_api::target::LineSink;
use keybook_api::{Cancel, Fault, FaultKind, Receipt, ReceiptId, Secret};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// How long a shell may take to begin a command that is to be ended at once.
const BEGIN: Duration = Duration::from_secs(5);
/// How long ending a command may take: 5 s after TERM, 2 s after KILL, and the way there and back.
const KILL: Duration = Duration::from_secs(20);

/// One script to run.
#[derive(Clone)]
pub(crate) struct Job<'a> {
    /// What it is for, as faults say it.
    pub attempted: String,
    /// What [`payload::script`] or [`payload::command`] made.
    pub body: String,
    pub stdin: Option<&'a Secret>,
    pub timeout: Option<Duration>,
    pub cancel: Option<&'a Cancel>,
    pub receipt: Option<&'a ReceiptId>,
    pub stdout: Capture,
    pub stderr: Capture,
    pub lines: Option<LineSink<'a>>,
    /// Takes a place besides the ones that ordinary commands wait for.
    pub urgent: bool,
    /// It is a script of ours that has neither input nor receipt and leaves nothing to tidy up, wherever it is cut off
    /// (so no trap of its own): the shell that reads it can run it, without another one that watches over it.
    pub bare: bool,
}

impl Job<'_> {
    /// A script of ours: little output, no lines, bounded in time.
    pub fn ours(attempted: impl Into<String>, body: String, limit: Duration) -> Self {
        Self {
            attempted: attempted.into(),
            body,
            stdin: None,
            timeout: Some(limit),
            cancel: None,
            receipt: None,
            stdout: Capture::beginning(1 << 20),
            stderr: Capture::both_ends(16 << 10),
            lines: None,
            urgent: false,
            bare: false,
        }
    }

    /// A script of ours that changes nothing.
    pub fn looking(attempted: impl Into<String>, body: String, limit: Duration) -> Self {
        Self { bare: true, ..Self::ours(attempted, body, limit) }
    }
}

/// How a script ended.
pub(crate) struct Outcome {
    pub status: i32,
    pub stdout: Capture,
    pub stderr: Capture,
    pub took: Duration,
}

/// Why a script is being ended.
#[derive(Clone, Copy)]
pub(crate) enum Why {
    Cancelled,
    TimedOut(Duration),
}

impl Why {
    fn fault(self, attempted: &str) -> Fault {
        match self {
            Self::Cancelled => Fault::new(FaultKind::Stopped, attempted, "it was cancelled"),
            Self::TimedOut(limit) => {
                Fault::new(FaultKind::TimedOut, attempted, format!("it took longer than {limit:?}"))
            }
        }
    }
}

/// Runs the script to its end.
///
/// # Errors
/// `Unreachable` when the connection is lost, `TimedOut` and `Stopped` when it was ended, `Unknown` when
/// nobody recorded how it ended, `Failed` when it was not begun.
pub(crate) async fn run<S: RawShell + ?Sized>(at: Place<'_, S>, job: Job<'_>) -> Result<Outcome, Fault> {
    if job.bare && at.bare.load(Ordering::Relaxed) {
        if let Some(outcome) = attempt(at, job.clone()).await? {
            return Ok(outcome);
        }
        // sudo without a terminal of its own, and some SSH servers, start shells in groups that others share.
        at.bare.store(false, Ordering::Relaxed);
    }
    let attempted = job.attempted.clone();
    attempt(at, Job { bare: false, ..job }).await?.ok_or_else(|| {
        Fault::failed(attempted, "the host's shell gets no process group of its own")
            .on(at.shell.host())
            .now("the command did not begin")
    })
}

/// Starts the shell that gets the text.
async fn start<S: RawShell + ?Sized>(
    at: Place<'_, S>,
    texts: Option<&Payload>,
    urgent: bool,
) -> Result<Started, Fault> {
    match texts {
        Some(texts) => at.shell.start(&payload::boot(texts.wrapper.len(), at.sudo), urgent).await,
        None if at.sudo || urgent => at.shell.start(payload::bare(at.sudo), urgent).await,
        None => at.shell.start_bare().await,
    }
}

/// Runs the script, in a bare shell or a watched one. `None` when a bare one cannot be ended, so that nothing was run.
async fn attempt<S: RawShell + ?Sized>(at: Place<'_, S>, job: Job<'_>) -> Result<Option<Outcome>, Fault> {
    let clock = Instant::now();
    let attempted = job.attempted.clone();
    let nonce = payload::nonce()?;
    let run = job.receipt.map(|id| &id.run);
    let vetted = run.is_some_and(|run| at.vetted.get() == Some(run));
    let texts = (!job.bare).then(|| Payload::new(at.root, &nonce, job.receipt, &job.body, vetted));
    let interrupt = interrupt(job.timeout, job.cancel);
    tokio::pin!(interrupt);
    let started = tokio::select! {
        started = start(at, texts.as_ref(), job.urgent) => started?,
        why = &mut interrupt => {
            return Err(why.fault(&attempted).now("the command did not begin").on(at.shell.host()));
        }
    };
    let Started { stdin, mut output } = started;
    let text = texts.map_or_else(|| payload::bare_text(&nonce, &job.body), |texts| texts.text());
    // Fused, because it may be through when the command is to be ended.
    let mut feed = feed(stdin, text.as_bytes(), job.stdin).fuse().boxed();
    let receipt = job.receipt;
    let mut progress = Progress::new(at.shell.host(), &nonce, job);
    let end = tokio::select! {
        end = converse(feed.as_mut(), progress.drive(&mut output)) => Ok(end),
        why = &mut interrupt => Err(why),
    };
    let end = match end {
        Ok(end) => end,
        Err(why) => {
            return stop(at, progress, receipt, &mut output, feed.as_mut(), (why, clock)).await.map(Some);
        }
    };
    if progress.lacks_group() {
        return Ok(None);
    }
    if let Some(run) = run.filter(|_| progress.process().is_some()) {
        let _ = at.vetted.set(run.clone());
    }
    if let Some(id) = receipt.filter(|_| progress.needs_receipt(&end)) {
        match Box::pin(receipts::look_up(at, id)).await {
            Ok(receipt) => progress.settle(receipt),
            Err(cause) if progress.process().is_none() => {
                return Err(Fault::new(FaultKind::Unknown, &attempted, cause)
                    .on(at.shell.host())
                    .now("its shell is gone; whether the command began is not known"));
            }
            Err(_) => {}
        }
    }
    progress.outcome(end, clock.elapsed()).map(Some)
}

/// Feeds while listening: a command may answer before it has read everything, or never read at all.
async fn converse(
    feed: Pin<&mut (impl Future<Output = ()> + ?Sized)>,
    drive: impl Future<Output = End>,
) -> End {
    tokio::pin!(drive);
    tokio::select! {
        end = &mut drive => return end,
        () = feed => {}
    }
    drive.await
}

/// Writes our texts and the command's input. A reader that stops reading is no fault: the command may.
async fn feed(mut stdin: Box<dyn AsyncWrite + Send + Unpin>, text: &[u8], input: Option<&Secret>) {
    if stdin.write_all(text).await.is_err() {
        return;
    }
    if let Some(input) = input
        && stdin.write_all(input.expose()).await.is_err()
    {
        return;
    }
    let _ = stdin.shutdown().await;
}

/// Resolves when the command is to be ended.
async fn interrupt(limit: Option<Duration>, cancel: Option<&Cancel>) -> Why {
    let cancelled = async {
        match cancel {
            Some(cancel) => cancel.cancelled().await,
            None => std::future::pending().await,
        }
    };
    let over = async {
        match limit {
            Some(limit) => {
                tokio::time::sleep(limit).await;
                limit
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = cancelled => Why::Cancelled,
        limit = over => Why::TimedOut(limit),
    }
}

/// Ends the command's process group over a second shell, still draining the first one's output.
async fn stop<S: RawShell + ?Sized>(
    at: Place<'_, S>,
    mut progress: Progress<'_>,
    receipt: Option<&ReceiptId>,
    output: &mut mpsc::Receiver<Output>,
    mut feed: Pin<&mut (dyn Future<Output = ()> + Send)>,
    (why, clock): (Why, Instant),
) -> Result<Outcome, Fault> {
    if progress.process().is_none() {
        let begun = progress.until_begun(output);
        let _ = timeout(BEGIN, async {
            tokio::pin!(begun);
            tokio::select! {
                () = &mut begun => return,
                () = feed.as_mut() => {}
            }
            begun.await;
        })
        .await;
    }
    let fault = why.fault(progress.attempted()).on(at.shell.host());
    let Some((pid, since)) = progress.process() else {
        return Err(fault.now(unheard(at, receipt).await));
    };
    let kill = timeout(KILL, Box::pin(receipts::kill(at, pid, &since)));
    let (killed, _) = tokio::join!(kill, timeout(KILL, progress.drive(output)));
    match (killed, progress.status()) {
        // It had come to its own end when we reached for it.
        (Ok(Ok(receipts::Killed::NotRunning)), Some(_)) => progress.outcome(End::Done, clock.elapsed()),
        (_, Some(status)) => Err(fault.now(format!("the command was ended (status {status})"))),
        (Ok(Ok(receipts::Killed::Stuck)), None) => {
            Err(fault.now(format!("the command could not be ended: process group {pid} still runs")))
        }
        (Ok(Ok(_)), None) => Err(fault.now("the command was ended")),
        (Ok(Err(cause)), None) => Err(fault.now(format!("the command may still run: {cause}"))),
        (Err(_), None) => Err(fault.now("the command may still run: ending it took too long as well")),
    }
}

/// What became of a command that is to be ended and was never heard of. With a receipt it is ended all the same,
/// or kept from beginning.
async fn unheard<S: RawShell + ?Sized>(at: Place<'_, S>, receipt: Option<&ReceiptId>) -> String {
    let ended = match receipt {
        Some(id) => timeout(KILL, Box::pin(receipts::end(at, id))).await.ok().and_then(Result::ok),
        None => None,
    };
    match ended {
        Some(Receipt::Absent) => "the command did not begin".to_owned(),
        Some(Receipt::Ended(status)) => format!("the command was ended (status {status})"),
        Some(Receipt::Cut) => "the command was ended".to_owned(),
        Some(Receipt::Running) | None => {
            "the shell had not said that the command began; whether it will is not known".to_owned()
        }
    }
}
