//! Replacing a file: a temporary one beside it gets the content, is synced, and takes its place at once.

use super::exec::{Job, Outcome};
use super::shell::{RawShell, Upload};
use super::temporary::Temporary;
use super::{FILE_LIMIT, PosixTarget, payload, scripts};
use keybook_api::{Fault, FaultKind, Write};
use std::time::Duration;

/// Time for the content itself, at a megabyte a second.
pub(super) fn per_mebibyte(bytes: u64) -> Duration {
    Duration::from_secs(bytes >> 20)
}

/// So many bytes fit into what a channel takes before its other side answers.
const LITTLE: usize = 16 << 10;

/// The arguments that finish.sh and write.sh share.
struct Finish {
    attempted: String,
    /// In use until the write is through.
    _temporary: Temporary,
    args: [String; 7],
    limit: Duration,
}

pub(super) async fn write<S: RawShell>(
    target: &PosixTarget<S>,
    path: &str,
    write: &Write,
) -> Result<(), Fault> {
    let attempted = format!("write {path}");
    let path = target.path(&attempted, path)?;
    let size = write.content.expose().len() as u64;
    let temporary = Temporary::new()?;
    let finish = Finish {
        args: [
            path.to_owned(),
            temporary.nonce().to_owned(),
            size.to_string(),
            write.mode.map(|mode| format!("{:o}", mode & 0o7777)).unwrap_or_default(),
            write.owner.map(|owner| format!("{}:{}", owner.uid, owner.gid)).unwrap_or_default(),
            u8::from(write.create_new).to_string(),
            temporary.others(),
        ],
        attempted,
        _temporary: temporary,
        limit: FILE_LIMIT + per_mebibyte(size),
    };
    let done = match upload(target, &finish, write).await {
        Ok(Upload::Done) => run(target, &finish, scripts::FINISH, None).await,
        Ok(Upload::Unavailable) => run(target, &finish, scripts::WRITE, Some(write)).await,
        Err(fault) => Err(fault.now(untouched(write))),
    };
    match done {
        Ok(outcome) if outcome.status == 0 => Ok(()),
        Ok(outcome) => Err(failed(target, &finish, &outcome, write)),
        Err(fault) => Err(fault.now("the file is as it was, or the whole new one")),
    }
}

/// Puts the content into the temporary file by way of the transport, where it has one.
async fn upload<S: RawShell>(
    target: &PosixTarget<S>,
    finish: &Finish,
    write: &Write,
) -> Result<Upload, Fault> {
    // A little goes with the script that puts it in its place: one way there and back, and no SFTP server to start.
    if !target.shell.uploads() || write.content.expose().len() <= LITTLE {
        return Ok(Upload::Unavailable);
    }
    let [path, nonce, .., create_new, others] = &finish.args;
    let prepare = format!("{}{}", scripts::TARGET, scripts::PREPARE);
    let outcome =
        target.script(&finish.attempted, &prepare, &[path, create_new, nonce, others], |job| job).await?;
    if outcome.status != 0 {
        return Err(failed(target, finish, &outcome, write));
    }
    let text = String::from_utf8(outcome.stdout.into_bytes())
        .map_err(|e| super::files::not_utf8(target, &finish.attempted, e.as_bytes()))?;
    let place = text.trim_end_matches('\0');
    match target.shell.upload(place, &write.content, finish.limit).await {
        Ok(upload) => Ok(upload),
        Err(fault) if fault.kind == FaultKind::Unreachable => {
            Err(fault.now(format!("{}; {place} may be left", untouched(write))))
        }
        Err(fault) => Err(discard(target, finish, place, fault, write).await),
    }
}

/// Removes a temporary file. SFTP has no word for a full disk, so the room left tells.
async fn discard<S: RawShell>(
    target: &PosixTarget<S>,
    finish: &Finish,
    place: &str,
    fault: Fault,
    write: &Write,
) -> Fault {
    let size = write.content.expose().len() as u64;
    let discarded = target.script(&finish.attempted, scripts::DISCARD, &[place], |job| job).await;
    let fault = Fault { attempted: finish.attempted.clone(), ..fault };
    match discarded {
        Ok(outcome) if outcome.status == 0 => {
            let left = outcome.stdout.text().trim_end_matches('\0').parse::<u64>().unwrap_or(u64::MAX);
            if left < size { full(target, finish, write) } else { fault.now(untouched(write)) }
        }
        _ => fault.now(format!("{}; {place} may be left", untouched(write))),
    }
}

async fn run<S: RawShell>(
    target: &PosixTarget<S>,
    finish: &Finish,
    script: &str,
    write: Option<&Write>,
) -> Result<Outcome, Fault> {
    let parts = [scripts::TARGET, script];
    let args: Vec<&str> = finish.args.iter().map(String::as_str).collect();
    let body = payload::script(&target.root, &parts, &args)?;
    let job = Job {
        stdin: write.map(|write| &write.content),
        ..Job::ours(finish.attempted.clone(), body, finish.limit)
    };
    target.run(job).await
}

fn failed<S: RawShell>(target: &PosixTarget<S>, finish: &Finish, outcome: &Outcome, write: &Write) -> Fault {
    if outcome.stderr.text().contains("No space left on device") {
        return full(target, finish, write);
    }
    target.failure(&finish.attempted, outcome).now(untouched(write))
}

fn full<S: RawShell>(target: &PosixTarget<S>, finish: &Finish, write: &Write) -> Fault {
    Fault::failed(&finish.attempted, "the disk is full: no space left on device")
        .on(target.shell.host())
        .now(untouched(write))
        .hint("make room on that file system")
}

fn untouched(write: &Write) -> &'static str {
    if write.create_new { "nothing was written" } else { "the old file is still in place" }
}
