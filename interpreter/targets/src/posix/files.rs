//! Operations on one file or directory.

use super::exec::{Job, Outcome};
use super::output::Capture;
use super::shell::RawShell;
use super::temporary::Temporary;
use super::{FILE_LIMIT, PosixTarget, TREE_LIMIT, payload, scripts};
use keybook_api::target::Found;
use keybook_api::{Fault, FileKind, Owner, Secret, Stat};
use std::time::Duration;
use zeroize::Zeroizing;

/// Exit statuses of our scripts (scripts/prelude.sh).
pub(super) const ABSENT: i32 = 10;

/// More than a path and what is known of it take.
const HEAD: usize = 64 << 10;

/// Beyond this, a shell's arithmetic overflows.
const READ_LIMIT: u64 = i64::MAX as u64 - 1;

impl<S: RawShell> PosixTarget<S> {
    /// Runs one of our scripts; the caller judges its status.
    pub(super) async fn script(
        &self,
        attempted: &str,
        script: &str,
        args: &[&str],
        change: impl FnOnce(Job<'static>) -> Job<'static>,
    ) -> Result<Outcome, Fault> {
        let body = payload::script(&self.root, &[script], args)
            .map_err(|_| Fault::usage(attempted, "the path contains a NUL byte").on(self.shell.host()))?;
        self.run(change(Job::ours(attempted, body, FILE_LIMIT))).await
    }

    /// What a script's failure means.
    pub(super) fn failure(&self, attempted: &str, outcome: &Outcome) -> Fault {
        let said = outcome.stderr.text();
        let said = said.trim();
        let cause = match said {
            "" => format!("the host's tools ended with status {}", outcome.status),
            said => said.to_owned(),
        };
        Fault::failed(attempted, cause).on(self.shell.host())
    }

    /// For scripts that are done or not done wherever they are cut off.
    async fn plain(&self, attempted: String, script: &str, args: &[&str]) -> Result<Outcome, Fault> {
        let outcome = self.script(&attempted, script, args, bare).await?;
        if outcome.status == 0 { Ok(outcome) } else { Err(self.failure(&attempted, &outcome)) }
    }

    /// A path as the scripts take it: absolute, without a slash at the end.
    pub(super) fn path<'p>(&self, attempted: &str, path: &'p str) -> Result<&'p str, Fault> {
        if !path.starts_with('/') {
            return Err(
                Fault::usage(attempted, format!("`{path}` is not an absolute path")).on(self.shell.host())
            );
        }
        match path.trim_end_matches('/') {
            "" => Ok("/"),
            trimmed => Ok(trimmed),
        }
    }

    pub(super) fn unreadable(&self, attempted: &str, what: &str) -> Fault {
        Fault::failed(attempted, format!("the host's answer cannot be read: {what}")).on(self.shell.host())
    }
}

/// The job of a script that needs nobody to watch over it.
pub(super) fn bare(job: Job<'_>) -> Job<'_> {
    Job { bare: true, ..job }
}

pub(super) async fn stat<S: RawShell>(target: &PosixTarget<S>, path: &str) -> Result<Option<Stat>, Fault> {
    let attempted = format!("look at {path}");
    let path = target.path(&attempted, path)?;
    let outcome = target.script(&attempted, scripts::STAT, &[path], bare).await?;
    match outcome.status {
        0 => {
            let bytes = outcome.stdout.into_bytes();
            let mut fields = bytes.split(|b| *b == 0);
            let stat = parse_stat(&mut fields).ok_or_else(|| target.unreadable(&attempted, "stat"))?;
            Ok(Some(stat))
        }
        ABSENT => Ok(None),
        _ => Err(target.failure(&attempted, &outcome)),
    }
}

/// Reads find's `%y %m %U %G %s %T@ %l`.
pub(super) fn parse_stat<'b>(fields: &mut impl Iterator<Item = &'b [u8]>) -> Option<Stat> {
    let mut text = || fields.next().and_then(|field| std::str::from_utf8(field).ok());
    let kind = match text()? {
        "f" => FileKind::File,
        "d" => FileKind::Directory,
        "l" => FileKind::Symlink,
        _ => FileKind::Other,
    };
    Some(Stat {
        kind,
        mode: u32::from_str_radix(text()?, 8).ok()?,
        owner: Owner { uid: text()?.parse().ok()?, gid: text()?.parse().ok()? },
        size: text()?.parse().ok()?,
        modified: text()?.split('.').next()?.parse().ok()?,
        link: Some(text()?.to_owned()).filter(|_| kind == FileKind::Symlink),
    })
}

pub(super) async fn read<S: RawShell>(
    target: &PosixTarget<S>,
    path: &str,
    limit: u64,
) -> Result<Secret, Fault> {
    let attempted = format!("read {path}");
    let limit = limit.min(READ_LIMIT);
    let bytes = Secret::new(content(target, &attempted, scripts::READ, path, limit).await?);
    bounded(target, &attempted, bytes, limit)
}

/// Runs a script that prints a file of at most `limit` bytes, and up to [`HEAD`] bytes before them.
async fn content<S: RawShell>(
    target: &PosixTarget<S>,
    attempted: &str,
    script: &str,
    path: &str,
    limit: u64,
) -> Result<Vec<u8>, Fault> {
    let path = target.path(attempted, path)?;
    let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1 + HEAD);
    let time: Duration = FILE_LIMIT + super::upload::per_mebibyte(limit.min(16 << 30));
    let outcome = target
        .script(attempted, script, &[path, &limit.to_string()], |job| Job {
            stdout: Capture::beginning(room),
            timeout: Some(time),
            ..bare(job)
        })
        .await?;
    if outcome.status == 0 {
        Ok(outcome.stdout.into_bytes())
    } else {
        Err(target.failure(attempted, &outcome))
    }
}

/// The file may have grown while it was read.
fn bounded<S: RawShell>(
    target: &PosixTarget<S>,
    attempted: &str,
    bytes: Secret,
    limit: u64,
) -> Result<Secret, Fault> {
    if bytes.expose().len() as u64 > limit {
        return Err(Fault::failed(attempted, format!("it is larger than the {limit} bytes allowed"))
            .on(target.shell.host()));
    }
    Ok(bytes)
}

pub(super) async fn look<S: RawShell>(
    target: &PosixTarget<S>,
    path: &str,
    limit: u64,
) -> Result<Found, Fault> {
    let attempted = format!("read {path}");
    let limit = limit.min(READ_LIMIT);
    let answer = Zeroizing::new(content(target, &attempted, scripts::LOOK, path, limit).await?);
    let mut parts = answer.splitn(3, |b| *b == 0);
    let (path, facts, bytes) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let path = String::from_utf8(path.to_vec()).map_err(|_| not_utf8(target, &attempted, path))?;
    // Without a file, nothing follows the path's end.
    let (Some(facts), Some(bytes)) = (facts, bytes) else {
        return Ok(Found { path, file: None });
    };
    // What is no link leads nowhere.
    let mut facts = facts.split(|b| *b == b' ').chain([&b""[..]]);
    let stat = parse_stat(&mut facts).ok_or_else(|| target.unreadable(&attempted, "stat"))?;
    let content = bounded(target, &attempted, Secret::new(bytes), limit)?;
    Ok(Found { path, file: Some((stat, content)) })
}

pub(super) async fn list<S: RawShell>(target: &PosixTarget<S>, path: &str) -> Result<Vec<String>, Fault> {
    let attempted = format!("list {path}");
    let path = target.path(&attempted, path)?;
    let outcome = target
        .script(&attempted, scripts::LIST, &[path], |job| Job {
            stdout: Capture::beginning(64 << 20),
            ..bare(job)
        })
        .await?;
    if outcome.status != 0 {
        return Err(target.failure(&attempted, &outcome));
    }
    if outcome.stdout.truncated() {
        return Err(target.unreadable(&attempted, "there are too many names"));
    }
    let bytes = outcome.stdout.into_bytes();
    let mut names = bytes
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8(name.to_vec()).map_err(|_| name))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|name| not_utf8(target, &attempted, name))?;
    names.sort();
    Ok(names)
}

pub(super) fn not_utf8<S: RawShell>(target: &PosixTarget<S>, attempted: &str, name: &[u8]) -> Fault {
    Fault::failed(attempted, format!("the name `{}` is not UTF-8", String::from_utf8_lossy(name)))
        .on(target.shell.host())
        .hint("rename it; Keybook handles names in UTF-8 only")
}

pub(super) async fn make_dir<S: RawShell>(
    target: &PosixTarget<S>,
    path: &str,
    mode: u32,
) -> Result<(), Fault> {
    let attempted = format!("make the directory {path}");
    let path = target.path(&attempted, path)?;
    let script = format!("{}{}", scripts::STATE, scripts::MAKE_DIR);
    target.plain(attempted, &script, &[path, &format!("{mode:o}")]).await.map(drop)
}

pub(super) async fn remove<S: RawShell>(target: &PosixTarget<S>, path: &str) -> Result<(), Fault> {
    let attempted = format!("remove {path}");
    let path = target.path(&attempted, path)?;
    target.plain(attempted, scripts::REMOVE, &[path]).await.map(drop)
}

pub(super) async fn rename<S: RawShell>(target: &PosixTarget<S>, from: &str, to: &str) -> Result<(), Fault> {
    let attempted = format!("rename {from} to {to}");
    let (from, to) = (target.path(&attempted, from)?, target.path(&attempted, to)?);
    target.plain(attempted, scripts::RENAME, &[from, to]).await.map(drop)
}

pub(super) async fn copy<S: RawShell>(target: &PosixTarget<S>, from: &str, to: &str) -> Result<(), Fault> {
    let attempted = format!("copy {from} to {to}");
    placed(target, attempted, scripts::COPY, from, to).await
}

pub(super) async fn replace<S: RawShell>(target: &PosixTarget<S>, from: &str, to: &str) -> Result<(), Fault> {
    let attempted = format!("put {from} in the place of {to}");
    let script = format!("{}{}", scripts::TARGET, scripts::REPLACE);
    placed(target, attempted, &script, from, to).await
}

async fn placed<S: RawShell>(
    target: &PosixTarget<S>,
    attempted: String,
    script: &str,
    from: &str,
    to: &str,
) -> Result<(), Fault> {
    let (from, to) = (target.path(&attempted, from)?, target.path(&attempted, to)?);
    let temporary = Temporary::new()?;
    let outcome = target
        .script(&attempted, script, &[from, to, temporary.nonce(), &temporary.others()], |job| Job {
            timeout: Some(TREE_LIMIT),
            ..job
        })
        .await?;
    if outcome.status == 0 {
        return Ok(());
    }
    Err(target.failure(&attempted, &outcome).now(format!("{to} is as it was")))
}
