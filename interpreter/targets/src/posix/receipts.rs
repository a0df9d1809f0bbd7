//! Receipts of commands, and ending the commands behind them.

use super::exec::{Job, run};
use super::shell::RawShell;
use super::{FILE_LIMIT, Place, payload, scripts};
use keybook_api::{Fault, FaultKind, Receipt, ReceiptId};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the wrapper may take to record the end of a command that we ended.
const AFTERMATH: Duration = Duration::from_secs(3);

/// What became of a process group that was to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Killed {
    /// It did not run any more.
    NotRunning,
    /// TERM or KILL ended it.
    Ended,
    /// It runs on after KILL: it hangs in the kernel.
    Stuck,
}

/// What a receipt says, with the process while it runs.
struct Found {
    receipt: Receipt,
    process: Option<(u32, String)>,
}

/// Looks up a receipt. `Absent` is fenced: a command that has not begun by then never will.
pub(crate) async fn look_up<S: RawShell + ?Sized>(
    at: Place<'_, S>,
    id: &ReceiptId,
) -> Result<Receipt, Fault> {
    Ok(find(at, id).await?.receipt)
}

/// Ends the command behind a receipt; says what the receipt says then.
pub(crate) async fn end<S: RawShell + ?Sized>(at: Place<'_, S>, id: &ReceiptId) -> Result<Receipt, Fault> {
    let found = find(at, id).await?;
    let Some((pid, since)) = found.process else { return Ok(found.receipt) };
    let killed = kill(at, pid, &since).await?;
    let patience = Instant::now() + AFTERMATH;
    loop {
        let receipt = find(at, id).await?.receipt;
        if receipt != Receipt::Running || Instant::now() > patience {
            return match (receipt, killed) {
                (Receipt::Running, Killed::Stuck) => {
                    Err(Fault::failed("end a command", format!("process group {pid} runs on after KILL"))
                        .on(at.shell.host())
                        .now("the command still runs"))
                }
                _ => Ok(receipt),
            };
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Ends a process group: TERM, up to 5 s, KILL.
pub(crate) async fn kill<S: RawShell + ?Sized>(
    at: Place<'_, S>,
    pid: u32,
    since: &str,
) -> Result<Killed, Fault> {
    let pid = pid.to_string();
    let parts = [scripts::STATE, scripts::END];
    let body = payload::script(at.root, &parts, &[&pid, since])?;
    let job = Job { urgent: true, ..Job::ours(format!("end process group {pid}"), body, FILE_LIMIT) };
    let outcome = run(at, job).await?;
    match outcome.stdout.text().trim() {
        "none" => Ok(Killed::NotRunning),
        "ended" | "killed" => Ok(Killed::Ended),
        "stuck" => Ok(Killed::Stuck),
        other => Err(unreadable(at.shell.host(), "end a command", other, &outcome.stderr.text())),
    }
}

async fn find<S: RawShell + ?Sized>(at: Place<'_, S>, id: &ReceiptId) -> Result<Found, Fault> {
    let parts = [scripts::STATE, scripts::RECEIPT];
    let body = payload::script(at.root, &parts, &[id.run.as_str(), &id.file_name()])?;
    let job =
        Job { urgent: true, ..Job::ours(format!("look up the receipt of {}", id.unit), body, FILE_LIMIT) };
    let outcome = run(at, job).await?;
    let text = outcome.stdout.text();
    let mut words = text.split_whitespace();
    let found = |receipt| Found { receipt, process: None };
    match (words.next(), words.next(), words.next()) {
        (Some("absent"), ..) => Ok(found(Receipt::Absent)),
        (Some("cut"), ..) => Ok(found(Receipt::Cut)),
        (Some("running"), Some(pid), Some(since)) if pid.parse::<u32>().is_ok() => Ok(Found {
            process: pid.parse().ok().map(|pid| (pid, since.to_owned())),
            ..found(Receipt::Running)
        }),
        (Some("ended"), Some(status), _) if status.parse::<i32>().is_ok() => {
            Ok(found(Receipt::Ended(status.parse().unwrap_or_default())))
        }
        _ => Err(unreadable(at.shell.host(), "read a receipt", &text, &outcome.stderr.text())),
    }
}

fn unreadable(host: &str, attempted: &str, out: &str, err: &str) -> Fault {
    let cause =
        if err.trim().is_empty() { format!("the host answered {out:?}") } else { err.trim().to_owned() };
    Fault::new(FaultKind::Failed, attempted, cause).on(host)
}
