//! What Keybook can do on a host.

use crate::{Fault, Identity, ReceiptId, Secret};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

pub use tokio_util::sync::CancellationToken as Cancel;

/// A two-way byte stream to a port, through the host.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Which stream a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Receives lines of output while a command runs.
pub type LineSink<'a> = &'a (dyn Fn(StreamName, &str) + Send + Sync);

/// A command for /bin/sh on the host.
#[derive(Clone, Debug)]
pub struct Command {
    /// The shell script, run by `/bin/sh -c` with `args` as `$1` and so on.
    pub script: String,
    /// Positional arguments; never parsed by the shell.
    pub args: Vec<String>,
    /// Environment variables to add. Not secret: they may show in the process list.
    pub env: Vec<(String, String)>,
    /// What the command reads; empty input when absent.
    pub stdin: Option<Secret>,
    /// Ends the command (TERM, then KILL after 5 s) after this time; none when absent.
    pub timeout: Option<Duration>,
    /// Leave a receipt under this name: written before the command begins, completed with its exit status.
    pub receipt: Option<ReceiptId>,
    /// Bytes kept of each output stream, first half from its beginning and second half from its end; default 1 MiB.
    pub keep_output: usize,
    /// Ends the command when cancelled.
    pub cancel: Cancel,
}

impl Command {
    /// A shell script without arguments, receipt or time-out.
    pub fn shell(script: impl Into<String>) -> Self {
        Self {
            script: script.into(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: None,
            timeout: None,
            receipt: None,
            keep_output: 1 << 20,
            cancel: Cancel::new(),
        }
    }

    /// A program with arguments, none of which the shell interprets.
    pub fn argv<T: Into<String>>(argv: impl IntoIterator<Item = T>) -> Self {
        Self { args: argv.into_iter().map(Into::into).collect(), ..Self::shell("exec \"$@\"") }
    }

    /// Adds positional arguments.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the input.
    #[must_use]
    pub fn stdin(mut self, stdin: Secret) -> Self {
        self.stdin = Some(stdin);
        self
    }

    /// Sets the time-out.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets what cancels it.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Names the receipt to leave.
    #[must_use]
    pub fn receipt(mut self, receipt: ReceiptId) -> Self {
        self.receipt = Some(receipt);
        self
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// The exit status; 128 + the signal's number when a signal ended it.
    pub status: i32,
    /// What is kept of standard output.
    pub stdout: Vec<u8>,
    /// What is kept of standard error.
    pub stderr: Vec<u8>,
    /// True when output was left out of either stream.
    pub truncated: bool,
    /// How long it took.
    pub took: Duration,
}

impl Exit {
    /// True for status 0.
    pub fn ok(&self) -> bool {
        self.status == 0
    }

    /// Standard output as text; what is not UTF-8 is replaced.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text; what is not UTF-8 is replaced.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// What a receipt says about a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The command never began, and never will: who asks closes the door to a start that is still on its way.
    Absent,
    /// It began and still runs.
    Running,
    /// It began; how it ended was not recorded (it was killed, or the host went down).
    Cut,
    /// It ended with this status.
    Ended(i32),
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

/// Numeric owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What is known of one path, links not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, as in chmod (07777).
    pub mode: u32,
    /// Who owns it.
    pub owner: Owner,
    /// Size in bytes.
    pub size: u64,
    /// Modification time, seconds since 1970.
    pub modified: i64,
    /// Where a link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// What is at the end of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path with symbolic links of the last part followed.
    pub path: String,
    /// The regular file there and its bytes; `None` when there is nothing.
    pub file: Option<(Stat, Secret)>,
}

/// A path that a unit is about to change, and whether anything is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Touched {
    /// The path.
    pub path: String,
    /// What is there now; `None` when the unit will create it.
    pub before: Option<TreeEntry>,
}

/// One entry of a tree, with everything a restore must bring back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// Absolute path on the host.
    pub path: String,
    /// Kind, mode, owner, size, link.
    pub stat: Stat,
    /// SHA-256 of a regular file's bytes, in hexadecimal; empty for the rest.
    pub sha256: String,
    /// SELinux context; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selinux: String,
    /// POSIX ACL as getfacl prints it, when it says more than the mode; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub acl: String,
}

/// How to write a file.
#[derive(Clone, Debug)]
pub struct Write {
    /// The whole new content.
    pub content: Secret,
    /// Permission bits; an existing file's own when absent, 0600 for a new file.
    pub mode: Option<u32>,
    /// Owner; an existing file's own when absent, the login's (root's with sudo) for a new file.
    pub owner: Option<Owner>,
    /// Refuse when the path exists.
    pub create_new: bool,
}

impl Write {
    /// Content that keeps an existing file's owner and mode.
    pub fn keep(content: Secret) -> Self {
        Self { content, mode: None, owner: None, create_new: false }
    }
}

/// What a host has, for the preflight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The user id that commands run as.
    pub uid: u32,
    /// Free space in MiB where `/var/lib/keybook` is or will be.
    pub free_mib: u64,
    /// Each program asked for, with its place; `None` when it is not there.
    pub tools: Vec<(String, Option<String>)>,
}

impl Survey {
    /// Reads what [`SURVEY`] prints; `None` when it makes no sense.
    pub fn read(answer: &str, tools: &[String]) -> Option<Self> {
        let mut lines = answer.lines().map(str::trim);
        let uid = lines.next()?.parse().ok()?;
        let free_mib = lines.next()?.parse().ok()?;
        let mut place = || lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
        Some(Self { uid, free_mib, tools: tools.iter().map(|tool| (tool.clone(), place())).collect() })
    }

    /// What to say of an answer that makes no sense.
    pub fn unreadable(host: &str, out: &str, err: &str) -> Fault {
        let answer = format!("its answer makes no sense: {} {}", out.trim(), err.trim());
        Fault::failed("look at what the host has", answer)
            .on(host)
            .hint("the host needs a POSIX shell, id, df and awk")
    }
}

/// How long a host may take to say what it has.
pub const SURVEY_LIMIT: Duration = Duration::from_secs(30);

/// A script for /bin/sh, with the programs to look for as arguments. One round trip: user id, free space, where each
/// program is.
pub const SURVEY: &str = r#"
d=/var/lib/keybook
while [ ! -d "$d" ]; do d=${d%/*}; [ -n "$d" ] || d=/; done
id -u
df -Pm "$d" | awk 'NR == 2 { print $4 }'
for tool in "$@"; do command -v "$tool" || echo; done
"#;

/// How many symbolic links are followed in a row; as Linux does (path_resolution(7)).
pub const MAX_LINKS: usize = 40;

/// Follows symbolic links of the path's last part. The second value is what is there, never a link.
///
/// # Errors
/// Those of [`Target::stat`], and more links in a row than [`MAX_LINKS`].
pub async fn follow<T: Target + ?Sized>(target: &T, path: &str) -> Result<(String, Option<Stat>), Fault> {
    let mut real = path.to_owned();
    for _ in 0..MAX_LINKS {
        let stat = target.stat(&real).await?;
        match stat.as_ref().and_then(|stat| stat.link.clone()) {
            Some(link) if link.starts_with('/') => real = link,
            // Joined without tidying `..` away: the directory may itself be reached through a link.
            Some(link) => {
                let dir = real.rsplit_once('/').map_or("", |(dir, _)| dir);
                real = format!("{}/{link}", dir.trim_end_matches('/'));
            }
            None => return Ok((real, stat)),
        }
    }
    Err(Fault::failed(format!("read {path}"), "too many symbolic links in a row").on(target.name()))
}

/// A connected host. All paths are absolute. Every fault names the host.
///
/// File writes are atomic: a temporary file whose name begins with a dot, in the same directory, synced, then
/// renamed over the target; a symbolic link is followed, so that the link stays and its target is replaced.
#[async_trait]
pub trait Target: Send + Sync {
    /// The inventory name.
    fn name(&self) -> &str;

    /// True when this host is a folder of a sandbox.
    fn is_sandbox(&self) -> bool {
        false
    }

    /// Who the host is; settled when connecting.
    fn identity(&self) -> &Identity;

    /// Runs a command to its end. A non-zero status is not a fault. `lines` sees each line as it comes.
    /// Faults: `Unreachable` (lost; what happened is not known), `TimedOut` and `Stopped` (the remote
    /// process was ended).
    async fn exec(&self, command: Command, lines: LineSink<'_>) -> Result<Exit, Fault>;

    /// Looks up a receipt.
    async fn receipt(&self, id: &ReceiptId) -> Result<Receipt, Fault>;

    /// Ends the command behind a receipt when it still runs; returns what the receipt says then.
    async fn end(&self, id: &ReceiptId) -> Result<Receipt, Fault>;

    /// What a path is, links not followed; `None` when there is nothing.
    async fn stat(&self, path: &str) -> Result<Option<Stat>, Fault>;

    /// Reads a whole file, links followed; a file of more than `limit` bytes is a fault.
    async fn read(&self, path: &str, limit: u64) -> Result<Secret, Fault>;

    /// The regular file at a path, links followed, with its bytes. Anything else that is there is a fault, as is a
    /// file of more than `limit` bytes.
    async fn look(&self, path: &str, limit: u64) -> Result<Found, Fault> {
        let (real, stat) = follow(self, path).await?;
        let Some(stat) = stat else {
            return Ok(Found { path: real, file: None });
        };
        if stat.kind != FileKind::File {
            return Err(Fault::failed(format!("read {path}"), "it is not a regular file").on(self.name()));
        }
        let content = self.read(path, limit).await?;
        Ok(Found { path: real, file: Some((stat, content)) })
    }

    /// Replaces or creates a file atomically.
    async fn write(&self, path: &str, write: Write) -> Result<(), Fault>;

    /// The names in a directory, sorted, without `.` and `..`.
    async fn list(&self, path: &str) -> Result<Vec<String>, Fault>;

    /// Makes a directory and its parents; the mode applies to the ones made. Fine when it exists.
    async fn make_dir(&self, path: &str, mode: u32) -> Result<(), Fault>;

    /// Removes a file or link, or an empty directory. Fine when there is nothing.
    async fn remove(&self, path: &str) -> Result<(), Fault>;

    /// Renames within one file system; refuses to replace anything.
    async fn rename(&self, from: &str, to: &str) -> Result<(), Fault>;

    /// Everything at and below the paths, parents before children, sorted; paths that do not exist give nothing.
    async fn tree(&self, paths: &[String]) -> Result<Vec<TreeEntry>, Fault>;

    /// Copies one file, link or whole directory to a place where nothing is yet, keeping content, owner, mode,
    /// times, links, SELinux context and ACL. Parents of `to` must exist.
    async fn copy(&self, from: &str, to: &str) -> Result<(), Fault>;

    /// Puts a preserved copy of one file or link in the place of `to`, atomically, with all its attributes;
    /// for a directory: makes it when missing and sets its attributes, without its content.
    async fn replace(&self, from: &str, to: &str) -> Result<(), Fault>;

    /// Looks at what the host has. Changes nothing.
    async fn survey(&self, tools: &[String]) -> Result<Survey, Fault> {
        let command = Command::shell(SURVEY).args(tools.to_vec()).timeout(SURVEY_LIMIT);
        let exit = self.exec(command, &|_, _| {}).await?;
        Survey::read(&exit.out(), tools)
            .ok_or_else(|| Survey::unreadable(self.name(), &exit.out(), &exit.err()))
    }

    /// Opens a TCP connection as seen from the host.
    async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Stream>, Fault>;

    /// Drops the connection. Safe to call twice.
    async fn close(&self);
}
