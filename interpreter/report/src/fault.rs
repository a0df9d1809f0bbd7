//! Faults as people read them, and as the journal keeps them.

use crate::page::{Page, Tone};
use keybook_api::{Fault, FaultKind, event::FaultInfo};

/// Every kind with its word, as journals and reports write it.
const WORDS: [(FaultKind, &str); 8] = [
    (FaultKind::Failed, "failed"),
    (FaultKind::Usage, "usage"),
    (FaultKind::Waiting, "waiting"),
    (FaultKind::Unreachable, "unreachable"),
    (FaultKind::Locked, "locked"),
    (FaultKind::Stopped, "stopped"),
    (FaultKind::TimedOut, "timed-out"),
    (FaultKind::Unknown, "unknown"),
];

/// The stable word of a kind.
pub fn kind_word(kind: FaultKind) -> &'static str {
    WORDS.iter().find(|(known, _)| *known == kind).map_or("failed", |(_, word)| word)
}

/// The kind of a word; a word that this version does not know (a newer journal's) counts as `failed`.
pub fn kind_of(word: &str) -> FaultKind {
    WORDS.iter().find(|(_, known)| *known == word).map_or(FaultKind::Failed, |(kind, _)| *kind)
}

/// A fault as the journal keeps it.
pub fn to_info(fault: &Fault) -> FaultInfo {
    FaultInfo {
        kind: kind_word(fault.kind).to_owned(),
        attempted: fault.attempted.clone(),
        cause: fault.cause.clone(),
        host: fault.host.clone(),
        at: fault.at.clone(),
        now_true: fault.now_true.clone(),
        hints: fault.hints.clone(),
    }
}

/// A fault as the journal kept it.
pub fn from_info(info: &FaultInfo) -> Fault {
    Fault {
        kind: kind_of(&info.kind),
        attempted: info.attempted.clone(),
        cause: info.cause.clone(),
        host: info.host.clone(),
        at: info.at.clone(),
        now_true: info.now_true.clone(),
        hints: info.hints.clone(),
    }
}

/// The first words of a fault's text. Only a failure is an `error`; waiting or stopping is none.
fn headline(kind: FaultKind) -> (&'static str, Tone) {
    match kind {
        FaultKind::Failed => ("error: could not ", Tone::Bad),
        FaultKind::Usage => ("wrong input: could not ", Tone::Bad),
        FaultKind::Waiting => ("waiting for a person: could not ", Tone::Warn),
        FaultKind::Unreachable => ("unreachable: could not ", Tone::Bad),
        FaultKind::Locked => ("locked: could not ", Tone::Bad),
        FaultKind::Stopped => ("stopped: did not ", Tone::Warn),
        FaultKind::TimedOut => ("timed out: could not ", Tone::Bad),
        FaultKind::Unknown => ("outcome unknown: nobody can tell whether this happened: ", Tone::Bad),
    }
}

/// Several lines: what was attempted, on which host, why it did not work, where it was asked for, what is true
/// now, what can be done. `width` in columns (at least [`crate::text::NARROWEST`]); ends with a line feed.
pub fn render_fault(fault: &FaultInfo, color: bool, width: usize) -> String {
    let mut page = Page::new(width, color);
    write_fault(&mut page, "", fault);
    page.finish()
}

/// Writes a fault's lines, each after `indent`.
pub(crate) fn write_fault(page: &mut Page, indent: &str, fault: &FaultInfo) {
    let (words, tone) = headline(kind_of(&fault.kind));
    let host = fault.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
    page.hang(indent, &format!("{words}{}{host}", fault.attempted), tone);
    let mut field = |name: &str, text: &str| page.hang(&format!("{indent}  {name:<6}"), text, Tone::Plain);
    field("why", &fault.cause);
    if let Some(span) = &fault.at {
        field("at", &span.to_string());
    }
    if let Some(truth) = &fault.now_true {
        field("now", truth);
    }
    if !fault.hints.is_empty() {
        page.hang(&format!("{indent}  "), "what you can do:", Tone::Plain);
        for hint in &fault.hints {
            page.hang(&format!("{indent}  - "), hint, Tone::Plain);
        }
    }
}
