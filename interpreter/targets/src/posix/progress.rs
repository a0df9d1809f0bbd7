//! What is known of a script while it runs, from what its wrapper says.

use super::exec::{Job, Outcome};
use super::marker::{Demarcator, Mark, Piece};
use super::output::{Capture, Lines};
use super::shell::Output;
use keybook_api::target::LineSink;
use keybook_api::{Fault, FaultKind, Receipt, StreamName};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long the last output is waited for once the command has ended: a child in the background may hold
/// the stream open for ever.
const STRAY: Duration = Duration::from_millis(200);
/// Bytes of what came before the command that are kept for messages.
const NOISE: usize = 4096;

/// How listening to a script ended.
pub(crate) enum End {
    /// The wrapper said how the command ended, or why it was not run.
    Done,
    /// The shell is gone without a word of the wrapper.
    Exited,
    /// The connection is lost.
    Lost(String),
}

/// One of the two streams.
struct Side {
    name: StreamName,
    demarcator: Demarcator,
    capture: Capture,
    lines: Lines,
    ended: bool,
}

/// Everything known of a running script.
pub(crate) struct Progress<'a> {
    host: &'a str,
    attempted: String,
    sink: Option<LineSink<'a>>,
    out: Side,
    err: Side,
    noise: Capture,
    process: Option<(u32, String)>,
    ending: Option<Mark>,
}

impl<'a> Progress<'a> {
    pub fn new(host: &'a str, nonce: &str, job: Job<'a>) -> Self {
        let side = |name, capture| Side {
            name,
            demarcator: Demarcator::new(nonce),
            capture,
            lines: Lines::default(),
            ended: false,
        };
        Self {
            host,
            attempted: job.attempted,
            sink: job.lines,
            out: side(StreamName::Stdout, job.stdout),
            err: side(StreamName::Stderr, job.stderr),
            noise: Capture::both_ends(NOISE),
            process: None,
            ending: None,
        }
    }

    /// What the script is for.
    pub fn attempted(&self) -> &str {
        &self.attempted
    }

    /// The command's process group and when it started, once it has begun.
    pub fn process(&self) -> Option<(u32, String)> {
        self.process.clone()
    }

    /// The command's exit status, once it has ended.
    pub fn status(&self) -> Option<i32> {
        match (&self.process, &self.ending) {
            (Some(_), Some(Mark::End { status, .. })) => Some(*status),
            _ => None,
        }
    }

    /// True when nothing was run because the shell shares its process group with others.
    pub fn lacks_group(&self) -> bool {
        self.ending == Some(Mark::NoGroup)
    }

    /// True when the shell is gone and only a receipt can tell what became of the command.
    pub fn needs_receipt(&self, end: &End) -> bool {
        matches!(end, End::Exited) && self.ending.is_none()
    }

    /// Takes over what the receipt says; the last output may be missing.
    pub fn settle(&mut self, receipt: Receipt) {
        if receipt != Receipt::Absent {
            self.process.get_or_insert_default();
        }
        if let Receipt::Ended(status) = receipt {
            self.ending = Some(Mark::End { status, recorded: true });
            self.out.capture.lose();
            self.err.capture.lose();
        }
    }

    /// Listens until the command has begun, or can no longer begin.
    pub async fn until_begun(&mut self, output: &mut mpsc::Receiver<Output>) {
        while self.process.is_none() && self.listen(output).await.is_none() {}
    }

    /// Listens to the end. May be dropped and called again.
    pub async fn drive(&mut self, output: &mut mpsc::Receiver<Output>) -> End {
        let end = loop {
            let heard = if self.out.ended || self.err.ended {
                timeout(STRAY, self.listen(output)).await.unwrap_or(Some(End::Done))
            } else {
                self.listen(output).await
            };
            if let Some(end) = heard {
                break end;
            }
        };
        self.flush();
        end
    }

    async fn listen(&mut self, output: &mut mpsc::Receiver<Output>) -> Option<End> {
        if self.out.ended && self.err.ended {
            return Some(End::Done);
        }
        match output.recv().await {
            Some(Output::Stdout(bytes)) => self.take(StreamName::Stdout, &bytes),
            Some(Output::Stderr(bytes)) => self.take(StreamName::Stderr, &bytes),
            Some(Output::Exited) => return Some(End::Exited),
            Some(Output::Lost(reason)) => return Some(End::Lost(reason)),
            None => return Some(End::Lost("it was dropped".into())),
        }
        None
    }

    fn take(&mut self, name: StreamName, bytes: &[u8]) {
        let pieces = self.side(name).demarcator.feed(bytes);
        pieces.into_iter().for_each(|piece| self.piece(name, piece));
    }

    fn side(&mut self, name: StreamName) -> &mut Side {
        match name {
            StreamName::Stdout => &mut self.out,
            StreamName::Stderr => &mut self.err,
        }
    }

    fn piece(&mut self, name: StreamName, piece: Piece) {
        match piece {
            Piece::Noise(bytes) => self.noise.push(&bytes),
            Piece::Data(bytes) => {
                let sink = self.sink;
                let side = self.side(name);
                // What comes after the end is a background child's.
                if !side.ended {
                    side.capture.push(&bytes);
                    if let Some(sink) = sink {
                        side.lines.push(&bytes, &mut |line| sink(name, line));
                    }
                }
            }
            Piece::Mark(Mark::Begin { pid, started }) => self.process = Some((pid, started)),
            Piece::Mark(mark) => {
                self.side(name).ended = true;
                self.ending = Some(mark);
            }
        }
    }

    fn flush(&mut self) {
        for name in [StreamName::Stdout, StreamName::Stderr] {
            if let Some(piece) = self.side(name).demarcator.finish() {
                self.piece(name, piece);
            }
        }
        if let Some(sink) = self.sink {
            for side in [&mut self.out, &mut self.err] {
                let name = side.name;
                side.lines.flush(&mut |line| sink(name, line));
            }
        }
    }

    /// What it all comes to.
    pub fn outcome(self, end: End, took: Duration) -> Result<Outcome, Fault> {
        match (&self.ending, &self.process, end) {
            (Some(Mark::End { status, recorded: true }), Some(_), _) => {
                Ok(Outcome { status: *status, stdout: self.out.capture, stderr: self.err.capture, took })
            }
            (Some(Mark::End { status, .. }), Some(_), _) => Err(self
                .fault(FaultKind::Unknown, "its receipt on the host could not be completed")
                .now(format!("the command ended with status {status}"))
                .hint("make room where the host keeps /var/lib/keybook")),
            (Some(Mark::Twice), ..) => Err(self
                .fault(FaultKind::Unknown, "its receipt on the host says that it began before")
                .now("it was not run a second time")),
            (Some(Mark::Never), ..) => Err(self
                .fault(FaultKind::Failed, "its receipt on the host was given up: it took too long to begin")
                .now("the command did not begin")),
            (Some(_), ..) | (None, None, End::Done | End::Exited) => Err(self.never_began()),
            (None, Some(_), End::Done | End::Exited) => Err(self
                .fault(FaultKind::Unknown, "its shell on the host ended without saying how the command ended")
                .now("the command began; what became of it is not known")),
            (None, begun, End::Lost(reason)) => {
                let now = match begun {
                    Some((pid, _)) => {
                        format!("the command began as process {pid}; what became of it is not known")
                    }
                    None => "whether the command began is not known".to_owned(),
                };
                Err(self.fault(FaultKind::Unreachable, format!("the connection is lost: {reason}")).now(now))
            }
        }
    }

    fn never_began(&self) -> Fault {
        let said = format!("{}{}", self.noise.text(), self.err.capture.text());
        let said = said.trim();
        let cause = if said.is_empty() { "the host's shell ended at once, without a message" } else { said };
        let fault = self.fault(FaultKind::Failed, cause).now("the command did not begin");
        if said.contains("sudo:") && said.contains("password") {
            fault
                .hint("let this login use sudo without a password: `LOGIN ALL=(ALL:ALL) NOPASSWD: ALL` in /etc/sudoers.d")
                .hint("or log in as root, without sudo")
        } else if said.contains("must have a tty") {
            fault.hint("remove `requiretty` for this login from the host's sudoers")
        } else {
            fault
        }
    }

    fn fault(&self, kind: FaultKind, cause: impl std::fmt::Display) -> Fault {
        Fault::new(kind, &self.attempted, cause).on(self.host)
    }
}
