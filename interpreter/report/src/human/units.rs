//! The table of steps and units.

use crate::{
    fault::write_fault,
    page::{Page, Tone},
    summary::{Gate, RunSummary, StepSummary, UnitStatus, UnitSummary},
    text, time,
};
use keybook_api::event::{Answer, SkipReason, Via};

/// What is below a unit begins here.
const DETAIL: &str = "      ";

pub(super) fn write(page: &mut Page, run: &RunSummary) {
    page.heading("Steps");
    for (index, step) in run.steps.iter().enumerate() {
        write_step(page, index + 1, step);
    }
}

fn write_step(page: &mut Page, number: usize, step: &StepSummary) {
    let mut title = step.title.clone();
    if !step.action.is_empty() {
        title.push_str(&format!("  [{}]", step.action));
    }
    if step.irreversible {
        title.push_str("  IRREVERSIBLE");
    }
    page.hang(&format!("{number:>3} "), &title, Tone::Strong);
    if !step.why.is_empty() {
        page.hang("    ", &step.why, Tone::Dim);
    }
    if step.units.is_empty() && !step.action.is_empty() {
        let hosts =
            if step.hosts.is_empty() { String::new() } else { format!(" on {}", step.hosts.join(", ")) };
        page.hang("    ", &format!("not begun{hosts}"), Tone::Dim);
    }
    for unit in &step.units {
        write_unit(page, unit);
    }
}

/// Good, bad, or neither.
pub(crate) fn tone(status: UnitStatus) -> Tone {
    match status {
        UnitStatus::Done => Tone::Good,
        UnitStatus::Skipped | UnitStatus::Planned => Tone::Dim,
        UnitStatus::Asked | UnitStatus::Held | UnitStatus::UnderWay => Tone::Warn,
        UnitStatus::NotDone | UnitStatus::Undoing | UnitStatus::Undone => Tone::Warn,
        UnitStatus::Failed | UnitStatus::Unknown | UnitStatus::UndoFailed => Tone::Bad,
    }
}

/// `node-1` or `node-1 [etcd.pem]`.
pub(crate) fn unit_name(unit: &UnitSummary) -> String {
    match &unit.item {
        Some(item) => format!("{} [{item}]", unit.host),
        None => unit.host.clone(),
    }
}

/// Changed, how long, how often.
pub(crate) fn outcome(unit: &UnitSummary) -> String {
    let mut parts = Vec::new();
    match unit.changed {
        Some(true) => parts.push("changed".to_owned()),
        Some(false) => parts.push("no change".to_owned()),
        None => {}
    }
    if let Some(ms) = unit.took_ms {
        parts.push(time::took(ms));
    }
    if unit.attempts > 1 {
        parts.push(format!("attempt {}", unit.attempts));
    }
    if !unit.retries.is_empty() {
        parts.push(text::count(unit.retries.len(), "retry", "retries"));
    }
    parts.join(", ")
}

fn write_unit(page: &mut Page, unit: &UnitSummary) {
    let name = format!("    {}", unit_name(unit));
    let names = (page.width() / 2).saturating_sub(8).max(12);
    let status = tone(unit.status);
    page.cells(
        &[(&name, names, Tone::Plain), (unit.status.words(), 13, status)],
        &outcome(unit),
        Tone::Plain,
    );
    for gate in &unit.gates {
        page.hang(&format!("{DETAIL}gate: "), &gate.question, Tone::Plain);
        page.hang(&format!("{DETAIL}      "), &answer_line(gate), Tone::Plain);
    }
    if let Some(skip) = &unit.skip {
        let detail = if skip.detail.is_empty() { String::new() } else { format!(": {}", skip.detail) };
        page.hang(DETAIL, &format!("{}{detail}", skip_words(skip.reason)), Tone::Dim);
    }
    for change in &unit.plan_changes {
        page.hang(&format!("{DETAIL}changed after the plan: "), change, Tone::Warn);
    }
    for backup in &unit.backups {
        let entries = text::count(backup.count, "entry", "entries");
        page.hang(
            &format!("{DETAIL}backup: "),
            &format!("{entries} on {}:{}", backup.host, backup.store),
            Tone::Dim,
        );
    }
    for note in &unit.notes {
        page.hang(&format!("{DETAIL}note: "), note, Tone::Plain);
    }
    write_troubles(page, unit);
}

fn write_troubles(page: &mut Page, unit: &UnitSummary) {
    for fault in &unit.faults {
        let nothing = if fault.before_effect { ", nothing was changed" } else { "" };
        let text = format!("attempt {} failed at {} UTC{nothing}", fault.attempt, time::clock(&fault.at));
        page.hang(DETAIL, &text, Tone::Warn);
        write_fault(page, DETAIL, &fault.fault);
    }
    if matches!(unit.status, UnitStatus::Failed | UnitStatus::Unknown | UnitStatus::UnderWay) {
        for line in unit.output.iter().rev().take(5).rev() {
            page.cells(&[("", DETAIL.len(), Tone::Dim), ("| ", 2, Tone::Dim)], &line.line, Tone::Dim);
        }
    }
    for found in &unit.reconciled {
        let text = format!("{} (decided by {}): {}", found.verdict, found.by, found.reason);
        page.hang(&format!("{DETAIL}interrupted, then found: "), &text, Tone::Plain);
    }
    if let Some(undone) = &unit.undone {
        let paths = undone.paths.join(", ");
        page.hang(&format!("{DETAIL}taken back by: "), &format!("{} {paths}", undone.how), Tone::Plain);
        if let Some(fault) = &undone.fault {
            write_fault(page, DETAIL, fault);
        }
    }
}

pub(crate) fn skip_words(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::When => "its condition did not hold",
        SkipReason::AlreadyDone => "already so",
        SkipReason::Operator => "left out by the operator",
        SkipReason::NothingToChange => "nothing to change",
    }
}

pub(crate) fn answer_words(answer: Answer) -> &'static str {
    match answer {
        Answer::Run => "run",
        Answer::Skip => "skip",
        Answer::Stop => "stop",
        Answer::RollBack => "roll back",
    }
}

pub(crate) fn via_words(via: Via) -> &'static str {
    match via {
        Via::Terminal => "at the terminal",
        Via::Answers => "in the answers file",
        Via::Inbox => "by keybook approve",
    }
}

/// Who answered, how, and after how long.
pub(crate) fn answer_line(gate: &Gate) -> String {
    let (Some(answer), Some(at)) = (gate.answer, &gate.answered_at) else {
        return format!("asked at {} UTC, not answered", time::stamp(&gate.asked_at));
    };
    let via = gate.via.map(via_words).unwrap_or_default();
    let waited = time::took(time::millis_between(&gate.asked_at, at));
    let why = if gate.why.is_empty() { String::new() } else { format!(" ({})", gate.why) };
    format!("answered {} by {} {via}, after {waited}{why}", answer_words(answer), gate.by)
}
