//! Receipts of answered commands: the same files, at the same place, as the POSIX layer's wrapper leaves, so that
//! they say what happened after this program was killed.

use super::folder;
use super::paths;
use super::world::{Sandbox, trouble};
use keybook_api::{Fault, Receipt, ReceiptId};
use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

/// What takes the place of a beginning once somebody was told that the command never began.
const NEVER: &str = "never\n";

/// A receipt that has begun. Dropping it says that the command is no longer under way.
pub(crate) struct Begun<'s> {
    sandbox: &'s Sandbox,
    host: String,
    base: PathBuf,
}

/// Writes that a command begins.
///
/// # Errors
/// It began before, or the receipt cannot be written; the command must not run then.
pub(crate) fn begin<'s>(sandbox: &'s Sandbox, host: &str, id: &ReceiptId) -> Result<Begun<'s>, Fault> {
    let refused =
        |cause: String| Fault::failed("run a command", cause).on(host).now("the command did not begin");
    let base = base(sandbox, host, id).map_err(|error| trouble(host, &error))?;
    let directory = base.parent().map(PathBuf::from).unwrap_or_default();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    let line =
        made.and_then(|()| process_line()).map_err(|error| refused(format!("its receipt: {error}")))?;
    // Registered first: who finds the file must not take the command for one that was cut off.
    answering(sandbox).insert(base.clone());
    let begun = Begun { sandbox, host: host.to_owned(), base };
    match folder::create_new(&begun.file("begun"), line.as_bytes()) {
        Ok(()) => Ok(begun),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && never(&begun.file("begun")) => {
            Err(refused("its receipt on the host was given up: it took too long to begin".to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Fault::failed("run a command", "its receipt on the host says that it began before")
                .on(host)
                .now("it was not run a second time"))
        }
        Err(error) => Err(refused(format!("its receipt: {error}"))),
    }
}

impl Begun<'_> {
    fn file(&self, what: &str) -> PathBuf {
        file(&self.base, what)
    }

    /// Writes how the command ended.
    ///
    /// # Errors
    /// The receipt cannot be completed; the command has ended all the same.
    pub fn end(self, status: i32) -> Result<(), Fault> {
        folder::replace(&self.file("ended"), format!("{status}\n").as_bytes(), 0o600).map_err(|error| {
            Fault::failed("run a command", format!("its receipt on the host could not be completed: {error}"))
                .on(&self.host)
                .now(format!("the command ended with status {status}"))
        })
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        answering(self.sandbox).remove(&self.base);
    }
}

/// Looks up a receipt. `Absent` is fenced: a command that has not begun by then never will.
///
/// # Errors
/// It cannot be read.
pub(crate) fn look_up(sandbox: &Sandbox, host: &str, id: &ReceiptId) -> Result<Receipt, Fault> {
    let read = || -> io::Result<Receipt> {
        let base = base(sandbox, host, id)?;
        claim(&base)?;
        let begun = fs::read_to_string(file(&base, "begun"))?;
        if begun == NEVER {
            return Ok(Receipt::Absent);
        }
        // Whether it runs is asked before how it ended, so that an end in between is not missed.
        let runs = answering(sandbox).contains(&base) || runs_elsewhere(&begun);
        match fs::read_to_string(file(&base, "ended")) {
            Ok(status) => status.trim().parse().map(Receipt::Ended).map_err(io::Error::other),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Err(_) if runs => Ok(Receipt::Running),
            Err(_) => Ok(Receipt::Cut),
        }
    };
    read().map_err(|error| Fault::failed(format!("look up the receipt of {}", id.unit), error).on(host))
}

/// Takes the name of a beginning, unless it is taken.
fn claim(base: &Path) -> io::Result<()> {
    let begun = file(base, "begun");
    if fs::symlink_metadata(&begun).is_ok() {
        return Ok(());
    }
    folder::make_private(base.parent().unwrap_or(base))?;
    match folder::create_new(&begun, NEVER.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        claimed => claimed,
    }
}

fn never(begun: &Path) -> bool {
    fs::read_to_string(begun).is_ok_and(|text| text == NEVER)
}

fn answering(sandbox: &Sandbox) -> MutexGuard<'_, HashSet<PathBuf>> {
    sandbox.answering.lock().unwrap_or_else(PoisonError::into_inner)
}

fn base(sandbox: &Sandbox, host: &str, id: &ReceiptId) -> io::Result<PathBuf> {
    let directory = format!("/var/lib/keybook/{}/receipts", id.run);
    Ok(paths::real(&sandbox.host(host).root, &directory)?.join(id.file_name()))
}

fn file(base: &Path, what: &str) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    PathBuf::from(name)
}

/// As the wrapper writes it: process, since when, boot; the wrapper's own, since when; a mark. Here this program is
/// all of them.
fn process_line() -> io::Result<String> {
    let pid = std::process::id();
    let since = started(pid).ok_or_else(|| io::Error::other("/proc does not show this process"))?;
    Ok(format!("{pid} {since} {} {pid} {since} sandbox\n", boot()?))
}

/// Another process of this program answers it at this moment.
fn runs_elsewhere(begun: &str) -> bool {
    let mut words = begun.split_whitespace();
    let (Some(pid), Some(since), Some(boot_then)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let Ok(pid) = pid.parse::<u32>() else { return false };
    pid != std::process::id()
        && boot().is_ok_and(|now| now == boot_then)
        && started(pid).is_some_and(|now| now == since)
}

fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Since when a process runs (proc(5), field 22); `None` for a zombie or none.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split_whitespace();
    if matches!(fields.next(), Some("Z" | "X") | None) {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}
