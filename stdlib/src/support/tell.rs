//! Small helpers for faults, plans and texts.

use keybook_api::{Action, ArgKind, Args, Change, Ctx, Fault, FaultKind, Plan};
use std::fmt::Display;

/// A plain failure that names the host.
pub fn failed(ctx: &Ctx, attempted: impl Into<String>, cause: impl Display) -> Fault {
    Fault::failed(attempted, cause).on(ctx.target.name())
}

/// The fault for work that the operator stopped.
pub fn stopped(ctx: &Ctx, attempted: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Stopped, attempted, "the run was stopped").on(ctx.target.name())
}

/// The plan of an action that only reads.
pub fn reads(line: impl Into<String>) -> Plan {
    Plan::wont(line)
}

/// How the causes of faults about missing files and directories begin.
const MISSING: &str = "there is no ";

/// The cause of a fault about a missing file or directory.
pub fn missing(what: impl Display) -> String {
    format!("{MISSING}{what}")
}

/// A plan, or what to do about a fault while describing. A missing file or directory is one that an earlier step
/// may still make: while planning, that gives a plan that cannot know; in a real run, where every earlier step is
/// done, it is a fault like all others.
pub fn planned(
    ctx: &Ctx,
    action: &dyn Action,
    args: &Args,
    plan: Result<Plan, Fault>,
) -> Result<Plan, Fault> {
    let fault = match plan {
        Err(fault)
            if !ctx.may_change && fault.kind == FaultKind::Failed && fault.cause.starts_with(MISSING) =>
        {
            fault
        }
        other => return other,
    };
    let host = fault.host.as_deref().unwrap_or(ctx.target.name());
    let reason = format!("{} (on {host}); an earlier step may change that", fault.cause);
    let line = format!("{}, once that is known", action.spec().summary.trim_end_matches('.'));
    // Where it works is known already.
    let places = action.spec().args.iter().filter(|arg| arg.kind == ArgKind::Path);
    let places = places.filter_map(|arg| Some(format!("{}: {}", arg.name, args.0.get(arg.name)?.as_str()?)));
    let lines = [line].into_iter().chain(places);
    Ok(Plan { change: Change::CannotKnow(reason), ..Plan::will(lines) })
}

/// A word as a POSIX shell would need it, for showing commands.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A command line for showing.
pub fn command_line<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    words.into_iter().map(|word| quoted(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// The last lines of a command's output, for a fault's cause; `fallback` when it printed nothing.
pub fn tail(text: &str, fallback: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(5);
    match lines.get(from..) {
        Some(last) if !last.is_empty() => last.join("\n"),
        _ => fallback.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_a_shell_needs_them() {
        assert_eq!(
            command_line(["etcdctl", "--key=/a/b", "a b", "it's", ""]),
            r"etcdctl --key=/a/b 'a b' 'it'\''s' ''"
        );
    }

    #[test]
    fn a_tail_is_the_last_lines() {
        assert_eq!(tail("1\n2\n\n3\n4\n5\n6\n", "nothing"), "2\n3\n4\n5\n6");
        assert_eq!(tail("  \n", "nothing"), "nothing");
    }
}
