//! Faults as people read them.

use crate::page::{Page, Tone};
use keybook_api::{FaultKind, event::FaultInfo};

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
    let (words, tone) = headline(FaultKind::of_word(&fault.kind));
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
