//! A host without isolation.

use super::{Answer, walk};
use async_trait::async_trait;
use keybook_api::{
    Command, Exit, Fault, FaultKind, FileKind, Identity, Owner, Receipt, ReceiptId, Secret, Stat, Stream,
    StreamName, Target, TreeEntry, Write, target::LineSink,
};
use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    process::Stdio,
    sync::Mutex,
    time::{Duration, Instant},
};
use tokio::io::AsyncWriteExt;

/// This machine without isolation: real files, real /bin/sh (unless a test answers), receipts in memory.
pub struct FakeTarget {
    identity: Identity,
    pub(super) answer: Mutex<Option<Answer>>,
    receipts: Mutex<HashMap<ReceiptId, Receipt>>,
}

impl FakeTarget {
    pub(super) fn named(name: &str) -> Self {
        let identity = Identity { hostname: name.to_owned(), ..Identity::default() };
        Self { identity, answer: Mutex::default(), receipts: Mutex::default() }
    }

    /// Sets what a receipt says.
    pub fn set_receipt(&self, id: ReceiptId, receipt: Receipt) {
        self.receipts.lock().unwrap().insert(id, receipt);
    }

    fn fault(&self, what: &str, path: &str, error: &io::Error) -> Fault {
        Fault::failed(format!("{what} {path}"), error).on(self.name())
    }

    async fn run(&self, command: &Command) -> Result<Exit, Fault> {
        let mut child = tokio::process::Command::new("/bin/sh")
            .args(["-c", &command.script, "sh"])
            .args(&command.args)
            .envs(command.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = command.stdin.clone().unwrap_or_default();
        tokio::spawn(async move {
            let _ = stdin.write_all(input.expose()).await;
        });
        let begun = Instant::now();
        let ended = |kind| Fault::new(kind, "run a command", "it was ended").on(self.name());
        let output = tokio::select! {
            output = child.wait_with_output() => output.unwrap(),
            () = tokio::time::sleep(command.timeout.unwrap_or(Duration::from_secs(60))) =>
                return Err(ended(FaultKind::TimedOut)),
            () = command.cancel.cancelled() => return Err(ended(FaultKind::Stopped)),
        };
        let status = output.status.code().unwrap_or(137);
        Ok(Exit {
            status,
            truncated: output.stdout.len() > command.keep_output,
            stdout: output.stdout,
            stderr: output.stderr,
            took: begun.elapsed(),
        })
    }
}

fn stat_of(path: &str, meta: &fs::Metadata) -> Stat {
    let kind = match meta.file_type() {
        kind if kind.is_file() => FileKind::File,
        kind if kind.is_dir() => FileKind::Directory,
        kind if kind.is_symlink() => FileKind::Symlink,
        _ => FileKind::Other,
    };
    let link = fs::read_link(path).ok().map(|to| to.to_str().unwrap().to_owned());
    let owner = Owner { uid: meta.uid(), gid: meta.gid() };
    Stat { kind, mode: meta.mode() & 0o7777, owner, size: meta.size(), modified: meta.mtime(), link }
}

#[async_trait]
impl Target for FakeTarget {
    fn name(&self) -> &str {
        &self.identity.hostname
    }
    fn identity(&self) -> &Identity {
        &self.identity
    }

    async fn exec(&self, command: Command, lines: LineSink<'_>) -> Result<Exit, Fault> {
        let answer = self.answer.lock().unwrap().as_ref().and_then(|answer| answer(&command));
        let exit = match answer {
            Some(end) => end?,
            None => self.run(&command).await?,
        };
        exit.out().lines().for_each(|line| lines(StreamName::Stdout, line));
        exit.err().lines().for_each(|line| lines(StreamName::Stderr, line));
        if let Some(id) = command.receipt {
            self.receipts.lock().unwrap().insert(id, Receipt::Ended(exit.status));
        }
        Ok(exit)
    }

    async fn receipt(&self, id: &ReceiptId) -> Result<Receipt, Fault> {
        Ok(self.receipts.lock().unwrap().get(id).copied().unwrap_or(Receipt::Absent))
    }
    async fn end(&self, id: &ReceiptId) -> Result<Receipt, Fault> {
        self.receipt(id).await
    }

    async fn stat(&self, path: &str) -> Result<Option<Stat>, Fault> {
        match fs::symlink_metadata(path) {
            Ok(meta) => Ok(Some(stat_of(path, &meta))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(self.fault("stat", path, &error)),
        }
    }

    async fn read(&self, path: &str, limit: u64) -> Result<Secret, Fault> {
        let bytes = fs::read(path).map_err(|error| self.fault("read", path, &error))?;
        if bytes.len() as u64 > limit {
            return Err(Fault::failed(format!("read {path}"), "it is too large").on(self.name()));
        }
        Ok(Secret::new(bytes))
    }

    async fn write(&self, path: &str, write: Write) -> Result<(), Fault> {
        let fault = |error| self.fault("write", path, &error);
        let old = fs::metadata(path).ok();
        if old.is_some() && write.create_new {
            return Err(fault(io::ErrorKind::AlreadyExists.into()));
        }
        let real =
            fs::canonicalize(path).map_or_else(|_| path.to_owned(), |real| real.to_str().unwrap().to_owned());
        let temp = format!("{real}.tmp");
        fs::write(&temp, write.content.expose()).map_err(fault)?;
        let mode = write.mode.or(old.as_ref().map(|old| old.mode() & 0o7777)).unwrap_or(0o600);
        fs::set_permissions(&temp, fs::Permissions::from_mode(mode)).map_err(fault)?;
        let kept = old.map(|old| Owner { uid: old.uid(), gid: old.gid() });
        if let Some(owner) = write.owner.or(kept) {
            chown(&temp, Some(owner.uid), Some(owner.gid)).map_err(fault)?;
        }
        fs::rename(&temp, &real).map_err(fault)
    }

    async fn list(&self, path: &str) -> Result<Vec<String>, Fault> {
        let entries = fs::read_dir(path).map_err(|error| self.fault("list", path, &error))?;
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect();
        names.sort();
        Ok(names)
    }

    async fn make_dir(&self, path: &str, mode: u32) -> Result<(), Fault> {
        let missing: Vec<_> =
            std::path::Path::new(path).ancestors().take_while(|dir| !dir.exists()).collect();
        fs::create_dir_all(path).map_err(|error| self.fault("make", path, &error))?;
        for dir in missing {
            fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
        }
        Ok(())
    }

    async fn remove(&self, path: &str) -> Result<(), Fault> {
        let gone = match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir(path),
            Ok(_) => fs::remove_file(path),
            Err(_) => Ok(()),
        };
        gone.map_err(|error| self.fault("remove", path, &error))
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        if fs::symlink_metadata(to).is_ok() {
            return Err(self.fault("move to", to, &io::ErrorKind::AlreadyExists.into()));
        }
        fs::rename(from, to).map_err(|error| self.fault("move", from, &error))
    }

    async fn tree(&self, paths: &[String]) -> Result<Vec<TreeEntry>, Fault> {
        let mut found = Vec::new();
        for path in paths {
            walk(path, &mut |path, meta| {
                let sha256 = if meta.is_file() {
                    crate::support::files::sha256(&fs::read(path).unwrap())
                } else {
                    String::new()
                };
                let (selinux, acl) = Default::default();
                found.push(TreeEntry {
                    path: path.to_owned(),
                    stat: stat_of(path, meta),
                    sha256,
                    selinux,
                    acl,
                });
            });
        }
        Ok(found)
    }

    async fn copy(&self, from: &str, to: &str) -> Result<(), Fault> {
        fs::copy(from, to).map(drop).map_err(|error| self.fault("copy", from, &error))
    }
    async fn replace(&self, from: &str, to: &str) -> Result<(), Fault> {
        fs::copy(from, to).map(drop).map_err(|error| self.fault("replace", to, &error))
    }

    async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Stream>, Fault> {
        let attempted = format!("connect to {host}:{port}");
        match tokio::time::timeout(timeout, tokio::net::TcpStream::connect((host, port))).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(Fault::unreachable(attempted, error).on(self.name())),
            Err(_) => Err(Fault::new(FaultKind::TimedOut, attempted, "no answer").on(self.name())),
        }
    }

    async fn close(&self) {}
}
