//! The text report of a run: plain lines that read well on a bare terminal, with colour only as an addition.

pub(crate) mod certificates;
pub(crate) mod units;

pub(crate) use units::{
    DEEPEST, answer_words, depth, nothing_undone, skip_words, skipped, tone as unit_tone, unit_name,
    via_words,
};

use crate::{
    next,
    page::{Page, Tone},
    summary::{Mode, RunSummary},
    text, time, trust as words,
};
use keybook_api::event::RunStatus;

/// What stands on every report of a sandbox run.
pub const SANDBOX: &str = "SANDBOX: no real host was touched";

/// The same before anything happened.
pub const SANDBOX_AHEAD: &str = "SANDBOX: no real host is touched";

/// The whole report; no line is wider than `width` columns (at least [`crate::text::NARROWEST`]).
pub fn render(run: &RunSummary, color: bool, width: usize) -> String {
    let mut page = Page::new(width, color);
    header(&mut page, run);
    hosts(&mut page, run);
    preflight(&mut page, run);
    units::write(&mut page, run);
    certificates::write(&mut page, run);
    trust(&mut page, run);
    resumes(&mut page, run);
    rollback(&mut page, run);
    owed(&mut page, run);
    notes(&mut page, run);
    go_on(&mut page, run);
    page.finish()
}

/// How a run ended, in short: what is said when it comes to rest.
pub fn ending(run: &RunSummary, color: bool, width: usize) -> String {
    let mut page = Page::new(width, color);
    header(&mut page, run);
    let units = || run.steps.iter().flat_map(|step| &step.units);
    let changed = units().filter(|unit| unit.changed == Some(true)).count();
    let all =
        format!("{}, {changed} of them changed something", text::count(units().count(), "unit", "units"));
    field(&mut page, "units", &all, Tone::Plain);
    units::write_skipped(&mut page, run);
    certificates::write(&mut page, run);
    owed(&mut page, run);
    notes(&mut page, run);
    go_on(&mut page, run);
    page.finish()
}

/// Good, bad, or neither.
pub(crate) fn tone(status: RunStatus) -> Tone {
    match status {
        RunStatus::Done | RunStatus::PhaseReached => Tone::Good,
        RunStatus::Running | RunStatus::Waiting | RunStatus::Stopped | RunStatus::RolledBack => Tone::Warn,
        RunStatus::Failed | RunStatus::Unreachable | RunStatus::Unknown | RunStatus::RollbackIncomplete => {
            Tone::Bad
        }
    }
}

fn header(page: &mut Page, run: &RunSummary) {
    page.hang("", &format!("Run {}: {}", run.run, run.runbook.title), Tone::Strong);
    if run.sandbox {
        page.hang("", SANDBOX, Tone::Warn);
    }
    page.blank();
    let status = match run.exit {
        Some(exit) => format!("{} (exit {exit})", run.status_text),
        None => run.status_text.clone(),
    };
    field(page, "status", &status, tone(run.status));
    if !run.reason.is_empty() {
        field(page, "reason", &run.reason, Tone::Plain);
    }
    field(page, "runbook", &format!("{} {}", run.runbook.name, run.runbook.version), Tone::Plain);
    field(page, "cluster", &run.cluster, Tone::Plain);
    field(page, "by", &run.operators.join(", "), Tone::Plain);
    field(page, "mode", mode(run.mode), Tone::Plain);
    if !run.limit.is_empty() {
        field(page, "limit", &run.limit.join(", "), Tone::Plain);
    }
    field(page, "began", &format!("{} UTC", time::stamp(&run.started)), Tone::Plain);
    match &run.ended {
        Some(ended) => field(page, "ended", &format!("{} UTC", time::stamp(ended)), Tone::Plain),
        None => {
            field(
                page,
                "last seen",
                &format!("{} UTC (no end is recorded)", time::stamp(&run.last)),
                Tone::Warn,
            );
        }
    }
    field(page, "took", &where_time_went(run), Tone::Plain);
    if let Some(head) = &run.head {
        field(page, "head", head, Tone::Plain);
    }
}

fn field(page: &mut Page, name: &str, value: &str, tone: Tone) {
    page.hang(&format!("  {name:<11}"), value, tone);
}

pub(crate) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Guided => "guided",
        Mode::Unattended => "unattended",
    }
}

/// `4 min: working 3 min, waiting for people 1 min`.
pub(crate) fn where_time_went(run: &RunSummary) -> String {
    let times = run.times;
    let mut text = format!("{}: working {}", time::took(times.total_ms), time::took(times.working_ms));
    if times.waiting_ms > 0 {
        text.push_str(&format!(", waiting for people {}", time::took(times.waiting_ms)));
    }
    if times.resting_ms > 0 {
        text.push_str(&format!(", at rest {}", time::took(times.resting_ms)));
    }
    text
}

fn hosts(page: &mut Page, run: &RunSummary) {
    if run.hosts.is_empty() {
        return;
    }
    page.heading("Hosts");
    for host in &run.hosts {
        let reached = match &host.identity {
            Some(identity) => identity.transport.clone(),
            None => format!("{}, not reached", host.address),
        };
        page.hang(
            &format!("  {:<10} ", text::cut(&text::clean(&host.name), 30)),
            &format!("{reached}  [{}]", host.groups.join(", ")),
            Tone::Plain,
        );
    }
}

fn preflight(page: &mut Page, run: &RunSummary) {
    if run.preflight.is_empty() {
        return;
    }
    page.heading("Preflight");
    let failed: Vec<_> = run.preflight.iter().filter(|one| !one.ok).collect();
    let all = text::count(run.preflight.len(), "check", "checks");
    if failed.is_empty() {
        page.hang("  ", &format!("{all}, all hold"), Tone::Good);
    } else {
        page.hang("  ", &format!("{all}, of which {} do not hold:", failed.len()), Tone::Bad);
    }
    for finding in failed {
        let text = format!("{}: {}: {}", finding.host, finding.check, finding.detail);
        page.hang("  - ", &text, Tone::Bad);
    }
}

fn trust(page: &mut Page, run: &RunSummary) {
    let Some(last) = run.trust.last() else { return };
    page.heading("Trust");
    let checks = text::count(run.trust.len(), "check", "checks");
    let after = last.unit.as_ref().map(|unit| format!(" after {unit}")).unwrap_or_default();
    page.hang("  ", &format!("{checks}; the last at {} UTC{after}:", time::stamp(&last.at)), Tone::Plain);
    page.hang("  ", &words::summary(&last.edges), Tone::Plain);
    for edge in words::telling(&last.edges) {
        page.hang("  - ", &words::edge(edge), Tone::Bad);
    }
}

fn resumes(page: &mut Page, run: &RunSummary) {
    if run.resumes.is_empty() {
        return;
    }
    page.heading("Resumed");
    for resume in &run.resumes {
        let text = format!("{} UTC by {}, {}", time::stamp(&resume.at), resume.operator, mode(resume.mode));
        page.hang("  ", &text, Tone::Plain);
        for difference in &resume.accepted {
            page.hang("    accepted: ", difference, Tone::Warn);
        }
    }
}

fn rollback(page: &mut Page, run: &RunSummary) {
    let Some(rollback) = &run.rollback else { return };
    page.heading("Rollback");
    field(page, "asked by", &format!("{} at {} UTC", rollback.by, time::stamp(&rollback.at)), Tone::Plain);
    field(page, "reason", &rollback.reason, Tone::Plain);
    match rollback.compared {
        None => field(page, "verified", "not yet", Tone::Warn),
        Some(compared) if rollback.differing.is_empty() => {
            let paths = text::count(usize::try_from(compared).unwrap_or(usize::MAX), "path", "paths");
            field(page, "verified", &format!("{paths} compared with the originals, all equal"), Tone::Good);
        }
        Some(compared) => {
            let text = format!(
                "{} of {compared} compared paths differ from the originals:",
                rollback.differing.len()
            );
            field(page, "verified", &text, Tone::Bad);
        }
    }
    for path in &rollback.differing {
        page.hang("    - ", path, Tone::Bad);
    }
}

fn notes(page: &mut Page, run: &RunSummary) {
    if run.notes.is_empty() {
        return;
    }
    page.heading("Notes");
    for note in &run.notes {
        page.hang("  - ", note, Tone::Plain);
    }
}

fn owed(page: &mut Page, run: &RunSummary) {
    if run.owed.is_empty() {
        return;
    }
    page.heading("Still owed");
    for owed in &run.owed {
        page.hang("  - ", owed, Tone::Warn);
    }
}

fn go_on(page: &mut Page, run: &RunSummary) {
    page.heading("How to go on");
    for (command, what) in next::steps(run) {
        if command.is_empty() {
            page.hang("  ", &what, Tone::Plain);
        } else {
            page.command(&command, &what);
        }
    }
}
