//! Steps, units, gates and faults.

use super::markup::Html;
use crate::{
    card::{diff_lines, verdict},
    human::{self, answer_words, skip_words, via_words},
    page::Tone,
    summary::{RunSummary, StepSummary, UnitSummary},
    text, time,
};
use keybook_api::{Diff, StreamName, event::FaultInfo};

pub(super) fn write(html: &mut Html, run: &RunSummary) {
    let longest =
        run.steps.iter().flat_map(|step| &step.units).filter_map(|unit| unit.took_ms).max().unwrap_or(0);
    html.section("steps", "What was done", |html| {
        for (index, step) in run.steps.iter().enumerate() {
            let indent = format!("margin-left:{}rem", human::depth(run, step).min(human::DEEPEST));
            html.element("div", &[("style", &indent)], |html| write_step(html, index + 1, step, longest));
        }
    });
}

fn write_step(html: &mut Html, number: usize, step: &StepSummary, longest: u64) {
    html.element("h3", &[], |html| {
        html.text(&format!("{number}. {} ", step.title));
        if !step.action.is_empty() {
            html.leaf("code", &[], &step.action);
        }
        if step.irreversible {
            html.raw(" ");
            html.badge(Tone::Bad, "irreversible");
        }
    });
    if !step.why.is_empty() {
        html.leaf("p", &[("class", "quiet")], &step.why);
    }
    if step.units.is_empty() {
        // A step with children has units only when it has a gate or the like of its own.
        if !step.action.is_empty() {
            html.leaf("p", &[("class", "quiet")], "Not begun.");
        }
        return;
    }
    let columns = ["Host", "State", "Began (UTC)", "Took", "What happened"];
    html.table(&format!("Units of step {number}"), &columns, |html| {
        for unit in &step.units {
            html.element("tr", &[], |html| write_unit(html, unit, step.action.is_empty(), longest));
        }
    });
}

/// `parent`: the unit of a step with steps, which does nothing itself.
fn write_unit(html: &mut Html, unit: &UnitSummary, parent: bool, longest: u64) {
    html.row_head(&human::unit_name(unit));
    html.element("td", &[("class", "state")], |html| {
        html.badge(human::unit_tone(unit.status), unit.status.words());
    });
    html.when(unit.started.as_deref().unwrap_or_default());
    html.element("td", &[("class", "took")], |html| {
        if let Some(ms) = unit.took_ms {
            html.text(&time::took(ms));
            let share = ms.saturating_mul(100) / longest.max(1);
            let style = format!("width:{share}%");
            html.element("span", &[("class", "bar"), ("style", &style), ("aria-hidden", "true")], |_| ());
        }
    });
    html.element("td", &[], |html| {
        html.element("ul", &[], |html| happenings(html, unit, parent));
        details(html, unit);
        unit.faults.iter().for_each(|fault| write_fault(html, &fault.fault, Some(fault.attempt)));
        if let Some(fault) = unit.undone.as_ref().and_then(|undone| undone.fault.as_ref()) {
            write_fault(html, fault, None);
        }
    });
}

fn happenings(html: &mut Html, unit: &UnitSummary, parent: bool) {
    let mut item = |text: &str| html.leaf("li", &[], text);
    match unit.changed {
        Some(true) => item("Changed something."),
        Some(false) => item("Changed nothing."),
        None => {}
    }
    if let Some(skip) = &unit.skip {
        let detail = if skip.detail.is_empty() { String::new() } else { format!(": {}", skip.detail) };
        item(&format!("Left out, {}{detail}", skip_words(skip.reason)));
    }
    for gate in &unit.gates {
        match gate.answer {
            Some(answer) => item(&format!("Gate answered {} by {}.", answer_words(answer), gate.by)),
            None => item("Gate not answered."),
        }
    }
    if unit.attempts > 1 {
        item(&format!("Attempt {}.", unit.attempts));
    }
    for retry in &unit.retries {
        item(&format!("Try {} of {} failed: {}", retry.attempt, retry.of, retry.cause));
    }
    for change in &unit.plan_changes {
        item(&format!("Changed between plan and answer: {change}"));
    }
    for backup in &unit.backups {
        let entries = text::count(backup.count, "entry", "entries");
        item(&format!("Backup of {entries} on {} in {}", backup.host, backup.store));
    }
    for note in &unit.notes {
        item(&format!("Note: {note}"));
    }
    for found in &unit.reconciled {
        item(&format!(
            "Interrupted, then found {} (decided by {}): {}",
            found.verdict, found.by, found.reason
        ));
    }
    if let Some(undone) = unit.undone.as_ref().filter(|undone| undone.how == "nothing") {
        let words = human::nothing_undone(unit.changed == Some(true) && !parent);
        let at = undone.at.as_deref().map(|at| format!(" ({} UTC)", time::stamp(at))).unwrap_or_default();
        item(&format!("Rollback: {words}{at}."));
    } else if let Some(undone) = &unit.undone {
        let at = undone.at.as_deref().map(|at| format!(" at {} UTC", time::stamp(at))).unwrap_or_default();
        item(&format!("Taken back by {}{at}: {}", undone.how, undone.paths.join(", ")));
    }
}

/// What is long is folded, without a script; on paper it is open.
fn details(html: &mut Html, unit: &UnitSummary) {
    if !unit.lines.is_empty() || !unit.diffs.is_empty() {
        html.element("details", &[], |html| {
            let words = unit.change.as_ref().map_or_else(String::new, |change| verdict(change).0);
            html.leaf("summary", &[], &format!("Plan: {}", words.trim_end_matches(':')));
            if !unit.lines.is_empty() {
                html.element("pre", &[], |html| html.lines(&unit.lines.join("\n")));
            }
            unit.diffs.iter().for_each(|diff| write_diff(html, diff));
        });
    }
    if !unit.output.is_empty() {
        html.element("details", &[], |html| {
            let kept = unit.output.len();
            html.leaf(
                "summary",
                &[],
                &format!(
                    "Output: last {kept} of {}",
                    text::count(usize::try_from(unit.output_lines).unwrap_or(kept), "line", "lines")
                ),
            );
            html.element("pre", &[], |html| {
                for line in &unit.output {
                    html.raw(if line.stream == StreamName::Stderr { "! " } else { "  " });
                    html.text(&line.line);
                    html.raw("\n");
                }
            });
        });
    }
    if !unit.wrote.is_empty() {
        html.element("details", &[], |html| {
            html.leaf(
                "summary",
                &[],
                &text::count(unit.wrote.len(), "path as it was left", "paths as they were left"),
            );
            html.element("pre", &[], |html| {
                for touched in &unit.wrote {
                    html.text(&touched_line(touched));
                    html.raw("\n");
                }
            });
        });
    }
}

fn touched_line(touched: &keybook_api::event::Touched) -> String {
    match &touched.before {
        None => format!("{}: nothing there", touched.path),
        Some(entry) => {
            let (mode, owner) = (entry.stat.mode & 0o7777, entry.stat.owner);
            format!(
                "{}: mode {mode:04o}, owner {}:{}, sha256 {}",
                touched.path, owner.uid, owner.gid, entry.sha256
            )
        }
    }
}

fn write_diff(html: &mut Html, diff: &Diff) {
    html.element("p", &[], |html| html.leaf("code", &[], &diff.path));
    html.element("pre", &[], |html| {
        if diff.described {
            for (name, side) in [("before: ", &diff.before), ("\nafter: ", &diff.after)] {
                html.raw(name);
                html.lines(side.as_deref().unwrap_or("nothing"));
            }
            return;
        }
        for (lead, line, tone) in diff_lines(diff) {
            let class = match tone {
                Tone::Good => "plus",
                Tone::Bad => "minus",
                Tone::Dim => "hunk",
                _ => "",
            };
            html.element("span", &[("class", class)], |html| {
                html.raw(lead);
                html.exact(&line);
            });
            html.raw("\n");
        }
    });
}

/// A fault in full.
pub(super) fn write_fault(html: &mut Html, fault: &FaultInfo, attempt: Option<u32>) {
    html.element("div", &[("class", "box bad")], |html| {
        html.element("p", &[], |html| {
            html.element("strong", &[], |html| {
                if let Some(attempt) = attempt {
                    html.text(&format!("Attempt {attempt}: "));
                }
                html.text(&format!("{}: ", fault.kind));
                html.lines(&fault.attempted);
            });
            if let Some(host) = &fault.host {
                html.text(&format!(" on {host}"));
            }
        });
        let mut line = |name: &'static str, data: &str| {
            html.element("p", &[], |html| {
                html.raw(name);
                html.lines(data);
            });
        };
        line("Why: ", &fault.cause);
        if let Some(span) = &fault.at {
            line("Where: ", &span.to_string());
        }
        if let Some(truth) = &fault.now_true {
            line("True now: ", truth);
        }
        if !fault.hints.is_empty() {
            html.raw("<p>What can be done:</p>");
            html.element("ul", &[], |html| {
                fault.hints.iter().for_each(|hint| html.element("li", &[], |html| html.lines(hint)));
            });
        }
    });
}

/// Every gate of the run in one table.
pub(super) fn write_gates(html: &mut Html, run: &RunSummary) {
    let gates: Vec<_> = run
        .steps
        .iter()
        .flat_map(|step| step.units.iter().map(move |unit| (step, unit)))
        .flat_map(|(step, unit)| unit.gates.iter().map(move |gate| (step, unit, gate)))
        .collect();
    if gates.is_empty() {
        return;
    }
    html.section("gates", "Gates and who answered them", |html| {
        let columns = ["Question", "Unit", "Answer", "By", "Asked (UTC)", "Waited"];
        html.table("Gates", &columns, |html| {
            for (step, unit, gate) in gates {
                html.element("tr", &[], |html| {
                    html.row_head(&gate.question);
                    html.cell(&format!("{} on {}", step.title, human::unit_name(unit)));
                    html.element("td", &[], |html| answer(html, gate));
                    let via = gate.via.map(via_words).unwrap_or_default();
                    html.cell(&format!("{} {via}", gate.by));
                    html.when(&gate.asked_at);
                    let waited = gate.answered_at.as_ref().map(|at| time::millis_between(&gate.asked_at, at));
                    html.cell(&waited.map_or_else(|| "no answer yet".to_owned(), time::took));
                });
            }
        });
    });
}

fn answer(html: &mut Html, gate: &crate::summary::Gate) {
    match gate.answer {
        Some(answer) => html.badge(Tone::Plain, answer_words(answer)),
        None => html.badge(Tone::Warn, "none"),
    }
    if gate.irreversible {
        html.raw(" ");
        html.badge(Tone::Bad, "irreversible");
    }
    if !gate.why.is_empty() {
        html.raw("<br>");
        html.text(&gate.why);
    }
}
