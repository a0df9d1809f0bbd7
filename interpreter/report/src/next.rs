//! How to go on from each state of a run.

use crate::summary::RunSummary;
use keybook_api::event::RunStatus;

/// The state in words.
pub(crate) fn words(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running or killed",
        RunStatus::Done => "done",
        RunStatus::PhaseReached => "phase reached",
        RunStatus::Failed => "failed",
        RunStatus::Waiting => "waiting for a person",
        RunStatus::Unreachable => "host unreachable",
        RunStatus::Stopped => "stopped by the operator",
        RunStatus::Unknown => "outcome unknown",
        RunStatus::RolledBack => "rolled back",
        RunStatus::RollbackIncomplete => "rollback incomplete",
    }
}

/// What the operator can do: a command (may be empty) and what it does.
pub(crate) fn steps(summary: &RunSummary) -> Vec<(String, String)> {
    let run = &summary.run;
    let row = |command: &str, what: &str| {
        let command = if command.is_empty() { String::new() } else { format!("keybook {command} {run}") };
        (command, what.to_owned())
    };
    let mut rows = rows(summary, &row);
    let goes_on = !matches!(
        summary.status,
        RunStatus::Done | RunStatus::RolledBack | RunStatus::RollbackIncomplete | RunStatus::Running
    );
    if goes_on {
        let resume = |unit: &str| format!("keybook resume {run} --again {}", quoted(unit));
        rows.extend(
            summary.left_out().map(|unit| (resume(&unit), "ask again about what was skipped".to_owned())),
        );
    }
    rows
}

fn rows(summary: &RunSummary, row: &dyn Fn(&str, &str) -> (String, String)) -> Vec<(String, String)> {
    let run = &summary.run;
    let rollback = row("rollback", "take back what was done");
    match summary.status {
        RunStatus::Running => vec![
            row("", "Only when no keybook process works on this run any more:"),
            row("resume", "find out what became of the unit under way, and go on"),
            rollback,
        ],
        RunStatus::Done => vec![rollback],
        RunStatus::PhaseReached => vec![row("resume", "go on with the next phase"), rollback],
        RunStatus::Failed => {
            vec![row("resume", "try again from the failed unit, once its cause is gone"), rollback]
        }
        RunStatus::Waiting => {
            let approve = |unit: &str| format!("keybook approve {run} {}", quoted(unit));
            let gates = summary.open_gates.iter();
            let mut rows: Vec<_> = gates
                .map(|gate| (approve(&gate.unit), "answer the open gate from here, then resume".to_owned()))
                .collect();
            rows.extend([row("resume", "go on and be asked at the terminal"), rollback]);
            rows
        }
        RunStatus::Unreachable => vec![row("resume", "go on, once the host can be reached"), rollback],
        RunStatus::Stopped => vec![row("resume", "go on where it stopped"), rollback],
        RunStatus::Unknown => vec![
            row("", "Look at the host: did the unit's effect happen?"),
            row("resume", "say what you found, and go on"),
            rollback,
        ],
        RunStatus::RolledBack => vec![row("", "Nothing is left to do; a new run starts from the beginning.")],
        RunStatus::RollbackIncomplete => {
            let mut rows = vec![
                row("", "Look at what could not be taken back, and mend its cause:"),
                row("rollback", "take back the rest"),
                (
                    format!("keybook rollback {run} --accept-changes"),
                    "the same with the runbook as it is in its folder now, when its way back was wrong and is mended".to_owned(),
                ),
            ];
            rows.extend(summary.undo_failed().map(|unit| {
                let command = format!("keybook rollback {run} --taken-back {}", quoted(&unit));
                (command, "the same, when you took that unit back by hand".to_owned())
            }));
            rows
        }
    }
}

/// A word as a shell takes it (POSIX.1-2017, Shell Command Language 2.2): in quotes where it has other than plain
/// letters.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "@/._-#:=,+".contains(letter);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_unit_is_one_word_of_a_shell() {
        assert_eq!(quoted("server/pair@mail-1#imap"), "server/pair@mail-1#imap");
        assert_eq!(quoted("issue@signer-1#{\"a\":\"b c\"}"), "'issue@signer-1#{\"a\":\"b c\"}'");
        assert_eq!(quoted("a@b#it's"), "'a@b#it'\\''s'");
    }
}
