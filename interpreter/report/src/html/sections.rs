//! The smaller sections of the report.

use super::markup::Html;
use crate::{
    human, next,
    page::Tone,
    summary::{RunSummary, UnitStatus},
    time, trust as words,
};
use keybook_api::event::RunStatus;
use serde_json::Value as Json;

/// What a reader must not miss: faults, what is owed, how to go on. A run that is simply done has none.
pub(super) fn attention(html: &mut Html, run: &RunSummary) {
    if run.status == RunStatus::Done && run.owed.is_empty() {
        return;
    }
    html.section("attention", "Where it stands", |html| {
        for unit in run.steps.iter().flat_map(|step| &step.units) {
            let fault = match unit.status {
                UnitStatus::Failed | UnitStatus::Unknown => unit.faults.last().map(|one| &one.fault),
                UnitStatus::UndoFailed => unit.undone.as_ref().and_then(|undone| undone.fault.as_ref()),
                _ => None,
            };
            if let Some(fault) = fault {
                super::steps::write_fault(html, fault, None);
            }
        }
        if !run.owed.is_empty() {
            html.element("div", &[("class", "box warn")], |html| {
                html.raw("<p>Still owed:</p>");
                html.element("ul", &[], |html| run.owed.iter().for_each(|owed| html.leaf("li", &[], owed)));
            });
        }
        html.raw("<p>How to go on:</p>");
        html.element("ul", &[], |html| {
            for (command, what) in next::steps(run) {
                html.element("li", &[], |html| {
                    if !command.is_empty() {
                        html.leaf("code", &[], &command);
                        html.raw(" ");
                    }
                    html.text(&what);
                });
            }
        });
    });
}

pub(super) fn rollback(html: &mut Html, run: &RunSummary) {
    let Some(rollback) = &run.rollback else { return };
    html.section("rollback", "Rollback", |html| {
        let asked =
            format!("Asked by {} at {} UTC: {}", rollback.by, time::stamp(&rollback.at), rollback.reason);
        html.leaf("p", &[], &asked);
        match rollback.compared {
            None => html.leaf("p", &[], "Not verified yet."),
            Some(compared) => {
                let text = format!(
                    "{compared} paths were compared with their originals; {} differ.",
                    rollback.differing.len()
                );
                html.leaf("p", &[], &text);
            }
        }
        if !rollback.differing.is_empty() {
            html.element("div", &[("class", "box bad")], |html| {
                html.element("ul", &[], |html| {
                    rollback.differing.iter().for_each(|path| html.leaf("li", &[], path));
                });
            });
        }
    });
}

/// What was left out: by a person one by one, by the runbook counted.
pub(super) fn skipped(html: &mut Html, run: &RunSummary) {
    let lines = human::skipped(run);
    if lines.is_empty() {
        return;
    }
    html.section("skipped", "Skipped", |html| {
        html.element("ul", &[], |html| lines.iter().for_each(|(_, line)| html.leaf("li", &[], line)));
    });
}

pub(super) fn trust(html: &mut Html, run: &RunSummary) {
    let Some(last) = run.trust.last() else { return };
    html.section("trust", "Trust", |html| {
        let after = last.unit.as_ref().map(|unit| format!(" after {unit}")).unwrap_or_default();
        let checks = crate::text::count(run.trust.len(), "check", "checks");
        html.leaf("p", &[], &format!("{checks}; the last at {} UTC{after}:", time::stamp(&last.at)));
        html.leaf("p", &[], &words::summary(&last.edges));
        html.element("ul", &[], |html| {
            last.edges.iter().for_each(|edge| html.leaf("li", &[], &words::edge(edge)));
        });
    });
}

pub(super) fn resumes(html: &mut Html, run: &RunSummary) {
    if run.resumes.is_empty() {
        return;
    }
    html.section("resumes", "Resumed", |html| {
        html.table("Resumes", &["When (UTC)", "By", "Mode", "Differences accepted"], |html| {
            for resume in &run.resumes {
                html.element("tr", &[], |html| {
                    html.row_head(&time::stamp(&resume.at));
                    html.cell(&resume.operator);
                    html.cell(human::mode(resume.mode));
                    let accepted = resume.accepted.join("; ");
                    html.cell(if accepted.is_empty() { "none" } else { &accepted });
                });
            }
        });
    });
}

pub(super) fn hosts(html: &mut Html, run: &RunSummary) {
    html.section("hosts", "Hosts", |html| {
        let columns = ["Host", "Address", "Groups", "Reached by", "Host key", "Calls itself", "Clock"];
        html.table("Hosts", &columns, |html| {
            for host in &run.hosts {
                html.element("tr", &[], |html| {
                    html.row_head(&host.name);
                    html.cell(&host.address);
                    html.cell(&host.groups.join(", "));
                    let Some(identity) = &host.identity else {
                        html.leaf("td", &[("colspan", "4")], "not reached");
                        return;
                    };
                    html.cell(&identity.transport);
                    html.leaf("td", &[("class", "mono")], &identity.host_key);
                    html.cell(&identity.hostname);
                    html.cell(&format!("{} ms off", identity.clock_offset_ms));
                });
            }
        });
    });
}

pub(super) fn preflight(html: &mut Html, run: &RunSummary) {
    if run.preflight.is_empty() {
        return;
    }
    html.section("preflight", "Preflight", |html| {
        html.table("Preflight checks", &["Host", "Check", "Finding", "Detail"], |html| {
            for finding in &run.preflight {
                html.element("tr", &[], |html| {
                    html.row_head(&finding.host);
                    html.cell(&finding.check);
                    html.element("td", &[], |html| {
                        let (tone, words) =
                            if finding.ok { (Tone::Good, "holds") } else { (Tone::Bad, "does not hold") };
                        html.badge(tone, words);
                    });
                    html.cell(&finding.detail);
                });
            }
        });
    });
}

pub(super) fn inputs(html: &mut Html, run: &RunSummary) {
    if run.inputs.is_empty() {
        return;
    }
    html.section("inputs", "Inputs", |html| {
        html.table("Inputs", &["Name", "Value"], |html| {
            for (name, value) in &run.inputs {
                html.element("tr", &[], |html| {
                    html.row_head(name);
                    html.cell(&input_text(value));
                });
            }
        });
    });
}

/// A secret's keyed hash says nothing to a reader.
fn input_text(value: &Json) -> String {
    match value {
        Json::Object(map) if map.contains_key("keyed_hash") => "[secret]".to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
