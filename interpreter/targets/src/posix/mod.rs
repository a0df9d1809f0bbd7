//! One implementation of a host for everything that has a POSIX shell with GNU tools: this machine, a host
//! behind SSH, a folder of a sandbox. What differs between them is in [`RawShell`].

mod exec;
mod files;
mod marker;
mod output;
mod payload;
mod progress;
mod receipts;
mod scripts;
mod shell;
mod temporary;
mod tree;
mod upload;

#[cfg(test)]
mod tests;

pub use shell::{Output, RawShell, Started, Upload};

pub(crate) use payload::{boot, nonce};

use exec::{Job, Outcome, run};
use output::Capture;

use async_trait::async_trait;
use keybook_api::target::{Found, LineSink, SURVEY, SURVEY_LIMIT};
use keybook_api::{
    Command, Exit, Fault, Identity, Receipt, ReceiptId, RunId, Secret, Stat, Stream, Survey, Target,
    TreeEntry, Write,
};
use std::sync::{OnceLock, atomic::AtomicBool};
use std::time::{Duration, SystemTime};

/// How long an operation on one file may take.
pub const FILE_LIMIT: Duration = Duration::from_secs(60);
/// How long an operation on a whole tree may take.
pub const TREE_LIMIT: Duration = Duration::from_secs(600);

/// Where scripts run: a shell, and what its scripts take for `/`.
pub(crate) struct Place<'a, S: ?Sized> {
    pub shell: &'a S,
    pub root: &'a str,
    pub sudo: bool,
    /// False once a bare shell turned out to have no process group of its own.
    pub bare: &'a AtomicBool,
    /// The run whose folders for receipts were found to be ours alone.
    pub vetted: &'a OnceLock<RunId>,
}

// Derived, they would ask the same of S.
impl<S: ?Sized> Clone for Place<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: ?Sized> Copy for Place<'_, S> {}

/// A host with a POSIX shell.
pub struct PosixTarget<S> {
    shell: S,
    root: String,
    sudo: bool,
    bare: AtomicBool,
    vetted: OnceLock<RunId>,
    identity: Identity,
}

impl<S: RawShell> PosixTarget<S> {
    /// Identifies the host (`transport` and `host_key` are the caller's). `root` is put before every path: empty
    /// for a real host, an absolute path without a final slash for a folder that stands for one.
    ///
    /// # Errors
    /// Those of running a first script on it.
    pub async fn identify(
        shell: S,
        root: String,
        sudo: bool,
        transport: String,
        host_key: String,
    ) -> Result<Self, Fault> {
        let mut target = Self::unidentified(shell, root, sudo);
        target.identity = Identity { transport, host_key, ..Identity::default() };
        let body = payload::script(&target.root, &[scripts::IDENTITY], &[])?;
        let before = SystemTime::now();
        let outcome = target.run(Job::looking("identify the host", body, FILE_LIMIT)).await?;
        let after = SystemTime::now();
        let text = outcome.stdout.text();
        let mut fields = text.split('\0');
        let clock = fields.next().and_then(|clock| clock.parse::<f64>().ok());
        let middle = (unix_ms(before) + unix_ms(after)) / 2.0;
        // The cast saturates; an offset beyond an i64 of milliseconds is nonsense anyway.
        target.identity.clock_offset_ms = clock.map_or(0, |clock| (clock * 1000.0 - middle).round() as i64);
        target.identity.hostname = fields.next().unwrap_or_default().to_owned();
        target.identity.machine_id = fields.next().unwrap_or_default().to_owned();
        Ok(target)
    }

    fn unidentified(shell: S, root: String, sudo: bool) -> Self {
        Self {
            shell,
            root,
            sudo,
            bare: AtomicBool::new(true),
            vetted: OnceLock::new(),
            identity: Identity::default(),
        }
    }

    /// The shell below.
    pub fn shell(&self) -> &S {
        &self.shell
    }

    fn place(&self) -> Place<'_, S> {
        Place {
            shell: &self.shell,
            root: &self.root,
            sudo: self.sudo,
            bare: &self.bare,
            vetted: &self.vetted,
        }
    }

    async fn run(&self, job: Job<'_>) -> Result<Outcome, Fault> {
        run(self.place(), job).await
    }
}

fn unix_ms(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

#[async_trait]
impl<S: RawShell> Target for PosixTarget<S> {
    fn name(&self) -> &str {
        self.shell.host()
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    async fn exec(&self, command: Command, lines: LineSink<'_>) -> Result<Exit, Fault> {
        let job = Job {
            attempted: "run a command".to_owned(),
            body: payload::command(&command).map_err(|fault| fault.on(self.name()))?,
            stdin: command.stdin.as_ref(),
            timeout: command.timeout,
            cancel: Some(&command.cancel),
            receipt: command.receipt.as_ref(),
            stdout: Capture::both_ends(command.keep_output),
            stderr: Capture::both_ends(command.keep_output),
            lines: Some(lines),
            urgent: false,
            bare: false,
        };
        let outcome = self.run(job).await?;
        Ok(Exit {
            status: outcome.status,
            truncated: outcome.stdout.truncated() || outcome.stderr.truncated(),
            stdout: outcome.stdout.into_bytes(),
            stderr: outcome.stderr.into_bytes(),
            took: outcome.took,
        })
    }

    async fn receipt(&self, id: &ReceiptId) -> Result<Receipt, Fault> {
        receipts::look_up(self.place(), id).await
    }

    async fn end(&self, id: &ReceiptId) -> Result<Receipt, Fault> {
        receipts::end(self.place(), id).await
    }

    async fn stat(&self, path: &str) -> Result<Option<Stat>, Fault> {
        files::stat(self, path).await
    }

    async fn read(&self, path: &str, limit: u64) -> Result<Secret, Fault> {
        files::read(self, path, limit).await
    }

    async fn look(&self, path: &str, limit: u64) -> Result<Found, Fault> {
        files::look(self, path, limit).await
    }

    async fn write(&self, path: &str, write: Write) -> Result<(), Fault> {
        upload::write(self, path, &write).await
    }

    async fn list(&self, path: &str) -> Result<Vec<String>, Fault> {
        files::list(self, path).await
    }

    async fn make_dir(&self, path: &str, mode: u32) -> Result<(), Fault> {
        files::make_dir(self, path, mode).await
    }

    async fn remove(&self, path: &str) -> Result<(), Fault> {
        files::remove(self, path).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        files::rename(self, from, to).await
    }

    async fn tree(&self, paths: &[String]) -> Result<Vec<TreeEntry>, Fault> {
        tree::tree(self, paths).await
    }

    async fn copy(&self, from: &str, to: &str) -> Result<(), Fault> {
        files::copy(self, from, to).await
    }

    async fn replace(&self, from: &str, to: &str) -> Result<(), Fault> {
        files::replace(self, from, to).await
    }

    async fn survey(&self, tools: &[String]) -> Result<Survey, Fault> {
        let args: Vec<&str> = tools.iter().map(String::as_str).collect();
        let body = payload::script(&self.root, &[SURVEY], &args)?;
        let outcome = self.run(Job::looking("look at what the host has", body, SURVEY_LIMIT)).await?;
        let (out, err) = (outcome.stdout.text(), outcome.stderr.text());
        Survey::read(&out, tools).ok_or_else(|| Survey::unreadable(self.name(), &out, &err))
    }

    async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Stream>, Fault> {
        self.shell.open(host, port, timeout).await
    }

    async fn close(&self) {
        self.shell.close().await;
    }
}
