//! The table of steps and units.

use crate::{
    fault::write_fault,
    page::{Page, Tone},
    summary::{Gate, RunSummary, Skip, StepSummary, UnitStatus, UnitSummary},
    text, time,
};
use keybook_api::{
    UnitId,
    event::{Answer, SkipReason, Via},
};

/// Steps that are deeper inside others stand below each other.
pub(crate) const DEEPEST: usize = 6;

pub(super) fn write(page: &mut Page, run: &RunSummary) {
    page.heading("Steps");
    for (index, step) in run.steps.iter().enumerate() {
        write_step(page, index + 1, step, &" ".repeat(2 * depth(run, step).min(DEEPEST)));
    }
}

/// How many steps are around this one.
pub(crate) fn depth(run: &RunSummary, step: &StepSummary) -> usize {
    let outer = step.path.match_indices('/').filter_map(|(at, _)| step.path.get(..at));
    outer.filter(|outer| run.steps.iter().any(|known| known.path == *outer)).count()
}

/// What was left out: by a person one by one, by the runbook counted.
pub(super) fn write_skipped(page: &mut Page, run: &RunSummary) {
    let lines = skipped(run);
    if lines.is_empty() {
        return;
    }
    page.heading("Skipped");
    for (by_operator, line) in lines {
        page.hang("  - ", &line, if by_operator { Tone::Warn } else { Tone::Dim });
    }
}

/// The lines of what was left out; true for those that a person left out.
pub(crate) fn skipped(run: &RunSummary) -> Vec<(bool, String)> {
    let units = run.steps.iter().flat_map(|step| step.units.iter().map(move |unit| (step, unit)));
    let skipped: Vec<_> = units
        .filter(|(_, unit)| unit.status == UnitStatus::Skipped)
        .filter_map(|(step, unit)| Some((step, unit, unit.skip.as_ref()?)))
        .collect();
    let by_operator = skipped.iter().filter(|(.., skip)| skip.reason == SkipReason::Operator);
    let alone = by_operator.map(|(step, unit, skip)| {
        let id = UnitId { step: step.path.clone(), host: unit.host.clone(), item: unit.item.clone() };
        (true, format!("{id}: {}", skip_line(skip)))
    });
    let reasons = [SkipReason::When, SkipReason::AlreadyDone, SkipReason::NothingToChange].into_iter();
    let counted = reasons.filter_map(|reason| {
        let count = skipped.iter().filter(|(.., skip)| skip.reason == reason).count();
        let line = || format!("{}: {}", text::count(count, "unit", "units"), skip_words(reason));
        (count > 0).then(|| (false, line()))
    });
    alone.chain(counted).collect()
}

fn skip_line(skip: &Skip) -> String {
    let words = skip_words(skip.reason);
    if skip.detail.is_empty() { words.to_owned() } else { format!("{words}: {}", skip.detail) }
}

fn write_step(page: &mut Page, number: usize, step: &StepSummary, indent: &str) {
    let mut title = step.title.clone();
    if !step.action.is_empty() {
        title.push_str(&format!("  [{}]", step.action));
    }
    if step.irreversible {
        title.push_str("  IRREVERSIBLE");
    }
    page.hang(&format!("{number:>3} {indent}"), &title, Tone::Strong);
    let below = format!("    {indent}");
    if !step.why.is_empty() {
        page.hang(&below, &step.why, Tone::Dim);
    }
    if step.units.is_empty() && !step.action.is_empty() {
        let hosts =
            if step.hosts.is_empty() { String::new() } else { format!(" on {}", step.hosts.join(", ")) };
        page.hang(&below, &format!("not begun{hosts}"), Tone::Dim);
    }
    for unit in &step.units {
        write_unit(page, unit, &below, step.action.is_empty());
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

/// `parent`: the unit of a step with steps, which does nothing itself.
fn write_unit(page: &mut Page, unit: &UnitSummary, indent: &str, parent: bool) {
    let name = format!("{indent}{}", unit_name(unit));
    let detail = &format!("{indent}  ");
    let names = (page.width() / 2).saturating_sub(8).max(12);
    let status = tone(unit.status);
    page.cells(
        &[(&name, names, Tone::Plain), (unit.status.words(), 13, status)],
        &outcome(unit),
        Tone::Plain,
    );
    for gate in &unit.gates {
        page.hang(&format!("{detail}gate: "), &gate.question, Tone::Plain);
        page.hang(&format!("{detail}      "), &answer_line(gate), Tone::Plain);
    }
    if let Some(skip) = &unit.skip {
        page.hang(detail, &skip_line(skip), Tone::Dim);
    }
    for change in &unit.plan_changes {
        page.hang(&format!("{detail}changed after the plan: "), change, Tone::Warn);
    }
    for backup in &unit.backups {
        let entries = text::count(backup.count, "entry", "entries");
        page.hang(
            &format!("{detail}backup: "),
            &format!("{entries} on {}:{}", backup.host, backup.store),
            Tone::Dim,
        );
    }
    for note in &unit.notes {
        page.hang(&format!("{detail}note: "), note, Tone::Plain);
    }
    write_troubles(page, unit, detail);
    write_undone(page, unit, detail, parent);
}

fn write_troubles(page: &mut Page, unit: &UnitSummary, detail: &str) {
    for fault in &unit.faults {
        let nothing = if fault.before_effect { ", nothing was changed" } else { "" };
        let text = format!("attempt {} failed at {} UTC{nothing}", fault.attempt, time::clock(&fault.at));
        page.hang(detail, &text, Tone::Warn);
        write_fault(page, detail, &fault.fault);
    }
    if matches!(unit.status, UnitStatus::Failed | UnitStatus::Unknown | UnitStatus::UnderWay) {
        for line in unit.output.iter().rev().take(5).rev() {
            page.cells(&[("", detail.len(), Tone::Dim), ("| ", 2, Tone::Dim)], &line.line, Tone::Dim);
        }
    }
    for found in &unit.reconciled {
        let text = format!("{} (decided by {}): {}", found.verdict, found.by, found.reason);
        page.hang(&format!("{detail}interrupted, then found: "), &text, Tone::Plain);
    }
}

fn write_undone(page: &mut Page, unit: &UnitSummary, detail: &str, parent: bool) {
    let Some(undone) = &unit.undone else { return };
    if undone.how == "nothing" {
        page.hang(detail, nothing_undone(unit.changed == Some(true) && !parent), Tone::Dim);
    } else {
        let paths = undone.paths.join(", ");
        page.hang(&format!("{detail}taken back by: "), &format!("{} {paths}", undone.how), Tone::Plain);
    }
    if let Some(fault) = &undone.fault {
        write_fault(page, detail, fault);
    }
}

/// Why nothing is done to take a unit back: it changed nothing itself, or what it changed cannot be put back (a restart
/// is carried out again by the rollback instead).
pub(crate) fn nothing_undone(changed: bool) -> &'static str {
    if changed { "has no way back of its own" } else { "nothing to take back" }
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
