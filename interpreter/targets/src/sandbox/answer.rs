//! Commands: the scenario's answer instead of running them.

use super::receipts::{self, Begun};
use super::scenario::CommandAnswer;
use super::words::{Words, shortened};
use super::world::{Sandbox, trouble};
use super::{faults, natives};
use keybook_api::target::LineSink;
use keybook_api::{Command, Exit, Fault, FaultKind, Map, Secret, StreamName, Value, value::map};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a shell reports for a process that TERM ended.
const ENDED: i32 = 128 + 15;
const LOG: &str = "commands.log";

/// What an answer gives.
#[derive(Debug, Default, PartialEq)]
struct Answered {
    stdout: String,
    stderr: String,
    status: i32,
}

/// One line of `state/commands.log`.
#[derive(Serialize)]
struct Logged<'a> {
    /// RFC 3339, UTC.
    at: String,
    line: &'a str,
    argv: &'a [String],
    run: Option<&'a str>,
    unit: Option<String>,
    attempt: Option<u32>,
    ordinal: Option<u32>,
    status: i32,
}

/// Answers a command, in the order of a real one: its receipt begins, it takes its time, it has its effects, its
/// receipt is completed.
///
/// # Errors
/// No answer, an answer that fails; `Stopped` and `TimedOut` while it takes its time.
pub(crate) async fn exec(
    sandbox: &Arc<Sandbox>,
    host: &str,
    command: Command,
    lines: LineSink<'_>,
) -> Result<Exit, Fault> {
    let clock = Instant::now();
    if command.cancel.is_cancelled() {
        return Err(
            interrupted(FaultKind::Stopped, "it was cancelled".into(), host).now("the command did not begin")
        );
    }
    let words = Words::of(&command);
    let way_back = faults::command(sandbox, host, &words.line)?;
    way_back.bring(carry_out(sandbox, host, command, words, clock, lines).await)
}

async fn carry_out(
    sandbox: &Arc<Sandbox>,
    host: &str,
    command: Command,
    words: Words,
    clock: Instant,
    lines: LineSink<'_>,
) -> Result<Exit, Fault> {
    let takes = find(sandbox, host, &words.line)?.takes;
    let begun = match &command.receipt {
        Some(id) => Some(receipts::begin(sandbox, host, id)?),
        None => None,
    };
    if let Err(fault) = wait(&command, takes, host).await {
        end(begun, ENDED)?;
        return Err(fault.now(format!("the command was ended (status {ENDED})")));
    }
    let answered = in_background({
        let (sandbox, host, command) = (sandbox.clone(), host.to_owned(), command.clone());
        move || answer(&sandbox, &host, &command, &words)
    })
    .await?;
    end(begun, answered.status)?;
    answered.stdout.lines().for_each(|line| lines(StreamName::Stdout, line));
    answered.stderr.lines().for_each(|line| lines(StreamName::Stderr, line));
    let (stdout, cut_out) = kept(answered.stdout.into_bytes(), command.keep_output);
    let (stderr, cut_err) = kept(answered.stderr.into_bytes(), command.keep_output);
    Ok(Exit { status: answered.status, stdout, stderr, truncated: cut_out || cut_err, took: clock.elapsed() })
}

/// Runs what blocks on a thread for that.
pub(crate) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Fault::new(FaultKind::Unknown, "work in the sandbox", error)),
    }
}

fn end(begun: Option<Begun<'_>>, status: i32) -> Result<(), Fault> {
    begun.map_or(Ok(()), |begun| begun.end(status))
}

fn find<'s>(sandbox: &'s Sandbox, host: &str, line: &str) -> Result<&'s CommandAnswer, Fault> {
    let scenario = sandbox.scenario();
    let here = |answer: &&CommandAnswer| {
        answer.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|name| name == host))
    };
    scenario.commands.iter().filter(here).find(|answer| answer.pattern.fits(line)).ok_or_else(|| {
        Fault::failed(
            "run a command in the sandbox",
            format!("the scenario has no answer for `{}`", shortened(line)),
        )
        .on(host)
        .at(&scenario.span)
        .now("nothing was run")
        .hint(format!(
            "add an entry under `commands` in {}, with a `match` that fits this line; a run that rests goes on with it by \
             --accept-changes",
            scenario.file
        ))
    })
}

fn interrupted(kind: FaultKind, cause: String, host: &str) -> Fault {
    Fault::new(kind, "run a command", cause).on(host)
}

async fn wait(command: &Command, takes: Duration, host: &str) -> Result<(), Fault> {
    if takes.is_zero() {
        return Ok(());
    }
    let limit = command.timeout.unwrap_or(Duration::MAX);
    tokio::select! {
        () = tokio::time::sleep(takes.min(limit)) => {}
        () = command.cancel.cancelled() => {
            return Err(interrupted(FaultKind::Stopped, "it was cancelled".into(), host));
        }
    }
    if takes > limit {
        return Err(interrupted(FaultKind::TimedOut, format!("it took longer than {limit:?}"), host));
    }
    Ok(())
}

/// Runs the answer's script, with everything of the sandbox up to date and nobody else changing it.
fn answer(sandbox: &Arc<Sandbox>, host: &str, command: &Command, words: &Words) -> Result<Answered, Fault> {
    let trouble = |error| trouble(host, &error);
    let found = find(sandbox, host, &words.line)?;
    let _lock = sandbox.lock().map_err(trouble)?;
    sandbox.settle_all().map_err(trouble)?;
    let scope = scope(sandbox, host, command, words);
    let natives = natives::natives(sandbox, host);
    let failed = |why: &str| {
        Fault::failed(format!("answer `{}` in the sandbox", shortened(&words.line)), why)
            .on(host)
            .hint("what it did before it failed is done; mend the answer; a run that rests goes on with it by --accept-changes")
    };
    let engine = &sandbox.scenario().engine;
    let value = engine.run_with(&found.script, &scope, &natives, &command.cancel).map_err(|error| {
        if command.cancel.is_cancelled() {
            return interrupted(FaultKind::Stopped, "it was cancelled".into(), host)
                .now("the answer was cut off; what it did before is done");
        }
        failed(&error.message).at(&error.span)
    })?;
    let answered = read(&value).map_err(|why| failed(&why).at(&found.script.text().whole()))?;
    let id = command.receipt.as_ref();
    let logged = Logged {
        at: jiff::Timestamp::now().to_string(),
        line: &words.line,
        argv: &words.argv,
        run: id.map(|id| id.run.as_str()),
        unit: id.map(|id| id.unit.to_string()),
        attempt: id.map(|id| id.attempt),
        ordinal: id.map(|id| id.ordinal),
        status: answered.status,
    };
    sandbox.host(host).append(LOG, &logged).map_err(trouble)?;
    Ok(answered)
}

/// The variables of an answer.
fn scope(sandbox: &Sandbox, host: &str, command: &Command, words: &Words) -> Map {
    let mut scope = Sandbox::variables(sandbox.scenario(), host);
    let stdin = command.stdin.as_ref().map(Secret::expose).unwrap_or_default();
    let env = command.env.iter().chain(&words.env).map(|(name, value)| (name.clone(), value.as_str().into()));
    scope.extend(map([
        ("argv", words.argv.clone().into()),
        ("args", command.args.clone().into()),
        ("line", words.line.as_str().into()),
        ("script", command.script.as_str().into()),
        ("env", Value::Map(env.collect())),
        ("stdin_text", String::from_utf8_lossy(stdin).into_owned().into()),
    ]));
    scope
}

/// What the script's value means.
fn read(value: &Value) -> Result<Answered, String> {
    let map = match value {
        Value::Null => return Ok(Answered::default()),
        Value::Text(text) => return Ok(Answered { stdout: text.clone(), ..Answered::default() }),
        Value::Map(map) => map,
        other => return Err(format!("an answer is a text or a map, this is a {}", other.type_name())),
    };
    let mut answered = Answered::default();
    for (key, value) in map {
        match (key.as_str(), value) {
            ("stdout", Value::Text(text)) => answered.stdout.clone_from(text),
            ("stderr", Value::Text(text)) => answered.stderr.clone_from(text),
            ("status", Value::Int(status @ 0..=255)) => {
                answered.status = i32::try_from(*status).unwrap_or(255)
            }
            ("stdout" | "stderr", other) => {
                return Err(format!("`{key}` must be a string, this is a {}", other.type_name()));
            }
            ("status", _) => return Err("`status` must be a whole number from 0 to 255".to_owned()),
            _ => {
                return Err(format!(
                    "an answer has no key `{key}`; known keys: `stdout`, `stderr`, `status`"
                ));
            }
        }
    }
    Ok(answered)
}

/// The first and the last half of what may be kept.
fn kept(bytes: Vec<u8>, limit: usize) -> (Vec<u8>, bool) {
    if bytes.len() <= limit {
        return (bytes, false);
    }
    let head = limit - limit / 2;
    let tail = bytes.len() - limit / 2;
    let parts = [bytes.get(..head), bytes.get(tail..)];
    (parts.into_iter().flatten().flatten().copied().collect(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_texts_or_maps() {
        let text = |text: &str| Answered { stdout: text.into(), ..Answered::default() };
        assert_eq!(read(&Value::Null).unwrap(), text(""));
        assert_eq!(read(&"x".into()).unwrap(), text("x"));
        let all = map([("stdout", "o".into()), ("stderr", "e".into()), ("status", Value::Int(3))]);
        let expected = Answered { stdout: "o".into(), stderr: "e".into(), status: 3 };
        assert_eq!(read(&all.into()).unwrap(), expected);
        for (wrong, why) in [
            (map([("out", "x".into())]), "no key `out`"),
            (map([("status", Value::Int(256))]), "0 to 255"),
            (map([("stdout", Value::Int(1))]), "must be a string"),
        ] {
            let error = read(&wrong.into()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(read(&Value::Int(1)).unwrap_err().contains("this is a int"));
    }

    #[test]
    fn both_ends_of_long_output_are_kept() {
        assert_eq!(kept(b"abcdef".to_vec(), 6), (b"abcdef".to_vec(), false));
        assert_eq!(kept(b"abcdef".to_vec(), 5), (b"abcef".to_vec(), true));
        assert_eq!(kept(b"abcdef".to_vec(), 0), (Vec::new(), true));
    }
}
