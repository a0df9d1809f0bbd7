//! What a run is doing, line by line, for a stream that nobody answers on: logs of pipelines, or a terminal
//! beside a prompt.

use crate::{
    card,
    fault::write_fault,
    human,
    page::{Page, Tone},
    summary::UnitStatus,
    text, time, trust as words,
};
use indexmap::IndexMap;
use keybook_api::{
    Change, Event, Fault, Record, StreamName, UnitId,
    event::{RunStatus, SkipReason},
    ids::canonical,
};
use std::{
    collections::HashSet,
    io::{self, Write},
};

/// Only failures, gates and the end.
pub const QUIET: u8 = 0;
/// Also what ended and what is left out, and trust.
pub const NORMAL: u8 = 1;
/// Also what begins, output, backups, hosts, locks and obligations.
pub const VERBOSE: u8 = 2;
/// Also facts, plans and each edge of trust.
pub const ALL: u8 = 3;

/// Turns records into lines. Give it every record of the run from the first on, also those of a run that is
/// resumed, so that it knows the steps' titles; [`LiveText::learn`] takes a record in without a line.
#[derive(Debug)]
pub struct LiveText {
    verbosity: u8,
    color: bool,
    width: usize,
    sandbox: bool,
    titles: IndexMap<String, String>,
    /// Steps with steps, which do nothing themselves.
    parents: HashSet<String>,
    /// Units that changed something.
    changed: HashSet<UnitId>,
    /// Faults that were shown in full, in short.
    told: HashSet<String>,
}

impl LiveText {
    /// `verbosity` from [`QUIET`] to [`ALL`]; `width` in columns (at least [`crate::text::NARROWEST`]).
    pub fn new(verbosity: u8, color: bool, width: usize) -> Self {
        Self {
            verbosity,
            color,
            width,
            sandbox: false,
            titles: IndexMap::new(),
            parents: HashSet::new(),
            changed: HashSet::new(),
            told: HashSet::new(),
        }
    }

    /// Remembers what later lines need.
    pub fn learn(&mut self, record: &Record) {
        if let Event::RunOpened { sandbox, steps, .. } = &record.event {
            self.sandbox = *sandbox;
            self.titles = steps.iter().map(|step| (step.path.clone(), step.title.clone())).collect();
            let parents = steps.iter().filter(|step| step.action.is_empty());
            self.parents = parents.map(|step| step.path.clone()).collect();
        }
        if let (Some(unit), Event::UnitDone { changed: true, .. } | Event::CallDone { changed: true, .. }) =
            (&record.unit, &record.event)
        {
            self.changed.insert(unit.clone());
        }
    }

    /// The record's lines, each ending with a line feed; empty when this verbosity leaves the record out.
    pub fn text(&mut self, record: &Record) -> String {
        self.learn(record);
        let mut page = Page::new(self.width, self.color);
        if let Some((level, tone, text)) = self.entry(record)
            && level <= self.verbosity
        {
            let sandbox = if self.sandbox { "[SANDBOX] " } else { "" };
            page.hang(&format!("{} {sandbox}", time::clock(&record.time)), &text, tone);
            self.add_details(&mut page, record);
            if let Event::UnitFailed { fault, .. } | Event::UnitUndoFailed { fault } = &record.event {
                self.told.insert(Fault::from(fault).to_string());
            }
        }
        page.finish()
    }

    /// Writes the record's lines in one piece.
    pub fn write(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.text(record).as_bytes())
    }

    /// From which verbosity on, in which tone, which text.
    fn entry(&self, record: &Record) -> Option<(u8, Tone, String)> {
        match &record.unit {
            Some(unit) if undoes_nothing(&record.event) => {
                let changed = self.changed.contains(unit) && !self.parents.contains(&unit.step);
                let text = format!("{}: {}", self.unit_name(unit), human::nothing_undone(changed));
                Some((VERBOSE, Tone::Dim, text))
            }
            Some(_) if matches!(&record.event, Event::UnitUndoIntent { how, .. } if how == NOTHING) => None,
            Some(unit) => {
                let (level, tone, text) = unit_entry(&record.event).or_else(|| run_entry(&record.event))?;
                Some((level, tone, format!("{}: {text}", self.unit_name(unit))))
            }
            None => self.ended(&record.event).or_else(|| run_entry(&record.event)),
        }
    }

    /// The end of a run. A reason that was shown in full is not repeated.
    fn ended(&self, event: &Event) -> Entry {
        let Event::RunEnded { status, exit, reason, .. } = event else { return None };
        let reason = if self.told.contains(reason) { "" } else { reason };
        Some((QUIET, human::tone(*status), ended(*status, *exit, reason)))
    }

    /// `node-1: Install the new files [etcd.pem]`.
    fn unit_name(&self, unit: &UnitId) -> String {
        let known = self.titles.get(&unit.step).or_else(|| self.titles.get(&canonical(&unit.step)));
        let title = known.unwrap_or(&unit.step);
        match &unit.item {
            Some(item) => format!("{}: {title} [{item}]", unit.host),
            None => format!("{}: {title}", unit.host),
        }
    }

    fn add_details(&self, page: &mut Page, record: &Record) {
        match &record.event {
            Event::UnitFailed { fault, .. } | Event::UnitUndoFailed { fault } => {
                write_fault(page, "  ", fault)
            }
            Event::UnitPlanned { lines, diffs, .. } => {
                lines.iter().for_each(|line| page.hang("    ", line, Tone::Plain));
                diffs.iter().for_each(|diff| card::write_diff(page, diff));
            }
            Event::UnitFacts { facts, .. } => {
                for (name, fact) in facts {
                    page.hang(&format!("    {name}: "), &fact.to_string(), Tone::Dim);
                }
            }
            Event::TrustChecked { edges, .. } => {
                let shown = edges.iter().filter(|edge| words::is_telling(edge) || self.verbosity >= ALL);
                shown.for_each(|edge| page.hang("    ", &words::edge(edge), Tone::Plain));
            }
            Event::RollbackVerified { differing, .. } => {
                differing.iter().for_each(|path| page.hang("    - ", path, Tone::Bad));
            }
            Event::RunEnded { owed, .. } => {
                owed.iter().for_each(|owed| page.hang("    still owed: ", owed, Tone::Warn));
            }
            _ => {}
        }
    }
}

/// How a unit is taken back for which there is nothing to do.
const NOTHING: &str = "nothing";

fn undoes_nothing(event: &Event) -> bool {
    matches!(event, Event::UnitUndone { how } if how == NOTHING)
}

type Entry = Option<(u8, Tone, String)>;

fn unit_entry(event: &Event) -> Entry {
    let (level, tone, text) = match event {
        Event::UnitFacts { facts, .. } => (ALL, Tone::Dim, text::count(facts.len(), "fact", "facts")),
        Event::UnitSkipped { reason, detail } => (NORMAL, Tone::Dim, skipped(*reason, detail)),
        Event::UnitPlanned { change, .. } => (ALL, Tone::Plain, planned(change)),
        Event::UnitPlanChanged { detail } => {
            (NORMAL, Tone::Warn, format!("changed after the plan: {detail}"))
        }
        Event::GateAsked { question, irreversible } => {
            let last = if *irreversible { " (IRREVERSIBLE)" } else { "" };
            (QUIET, Tone::Strong, format!("gate{last}: {question}"))
        }
        Event::GateAnswered { answer, by, via, why } => {
            let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
            let answer = human::answer_words(*answer);
            (QUIET, Tone::Strong, format!("answered {answer} by {by} {}{why}", human::via_words(*via)))
        }
        Event::UnitIntent { action, .. } if action.is_empty() => return None,
        Event::UnitIntent { action, .. } => (VERBOSE, Tone::Plain, format!("begins ({action})")),
        Event::BackupTaken { store, entries, .. } => {
            let entries = text::count(entries.len(), "entry", "entries");
            (VERBOSE, Tone::Dim, format!("backup of {entries} in {store}"))
        }
        Event::UnitOutput { stream, line } => {
            let lead = if *stream == StreamName::Stderr { "! " } else { "| " };
            (VERBOSE, Tone::Dim, format!("{lead}{line}"))
        }
        Event::UnitNote { text } => (NORMAL, Tone::Plain, format!("note: {text}")),
        Event::UnitRetried { cause, attempt, of, delay_ms } => {
            let delay = time::took(*delay_ms);
            (NORMAL, Tone::Warn, format!("try {attempt} of {of} failed, again in {delay}: {cause}"))
        }
        other => return outcome_entry(other),
    };
    Some((level, tone, text))
}

fn outcome_entry(event: &Event) -> Entry {
    let (level, tone, text) = match event {
        Event::UnitDone { changed, took_ms, .. } => {
            let changed = if *changed { "changed" } else { "no change" };
            (NORMAL, Tone::Good, format!("done, {changed}, {}", time::took(*took_ms)))
        }
        Event::UnitFailed { before_effect: true, .. } => {
            (QUIET, Tone::Bad, "failed before anything was changed".to_owned())
        }
        Event::UnitFailed { took_ms, .. } => {
            (QUIET, Tone::Bad, format!("failed after {}", time::took(*took_ms)))
        }
        Event::UnitReconciled { verdict, reason, by, .. } => {
            let tone = if verdict == "unknown" { Tone::Bad } else { Tone::Plain };
            let level = if verdict == "unknown" { QUIET } else { NORMAL };
            (level, tone, format!("was interrupted, found {verdict} (decided by {by}): {reason}"))
        }
        Event::UnitUndoIntent { how, .. } => (VERBOSE, Tone::Plain, format!("is being taken back ({how})")),
        Event::UnitUndone { how } => (NORMAL, Tone::Good, format!("{} ({how})", UnitStatus::Undone.words())),
        Event::UnitUndoFailed { .. } => (QUIET, Tone::Bad, "could not be taken back".to_owned()),
        other => return call_entry(other),
    };
    Some((level, tone, text))
}

/// What a script calls. A call that failed need not fail its script.
fn call_entry(event: &Event) -> Entry {
    let on = |host: &Option<String>| host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
    let (level, tone, text) = match event {
        Event::CallIntent { action, .. } => (VERBOSE, Tone::Plain, format!("calls {action}")),
        Event::CallDone { action, host, changed, .. } => {
            let changed = if *changed { "changed" } else { "no change" };
            (VERBOSE, Tone::Dim, format!("call of {action}{} done, {changed}", on(host)))
        }
        Event::CallFailed { action, host, fault, .. } => {
            (VERBOSE, Tone::Warn, format!("call of {action}{} failed: {}", on(host), fault.cause))
        }
        Event::CallReconciled { verdict, reason, by, .. } => {
            let text = format!("a call was interrupted, found {verdict} (decided by {by}): {reason}");
            (NORMAL, Tone::Plain, text)
        }
        _ => return None,
    };
    Some((level, tone, text))
}

fn skipped(reason: SkipReason, detail: &str) -> String {
    let words = human::skip_words(reason);
    if detail.is_empty() { format!("skipped, {words}") } else { format!("skipped, {words}: {detail}") }
}

fn planned(change: &Change) -> String {
    match change {
        Change::Will => "plan: will change".to_owned(),
        Change::Wont => "plan: will not change anything".to_owned(),
        Change::CannotKnow(reason) => format!("plan: cannot know beforehand: {reason}"),
    }
}

/// ` [item]`, in a loop.
fn of_item(item: &Option<String>) -> String {
    item.as_ref().map(|item| format!(" [{item}]")).unwrap_or_default()
}

fn run_entry(event: &Event) -> Entry {
    let (level, tone, text) = match event {
        Event::RunOpened { runbook, cluster, operator, hosts, .. } => {
            let hosts = text::count(hosts.len(), "host", "hosts");
            let text = format!("{} {} on {cluster}, {hosts}, by {operator}", runbook.name, runbook.version);
            (NORMAL, Tone::Strong, text)
        }
        Event::RunResumed { operator, accepted, .. } => {
            let accepted = if accepted.is_empty() {
                String::new()
            } else {
                format!("; accepted: {}", accepted.join("; "))
            };
            (NORMAL, Tone::Strong, format!("resumed by {operator}{accepted}"))
        }
        Event::FinallyStarted {} => (NORMAL, Tone::Plain, "the closing steps begin".to_owned()),
        Event::RollbackStarted { by, reason, .. } => {
            (QUIET, Tone::Strong, format!("rollback, asked by {by}: {reason}"))
        }
        Event::RollbackVerified { compared, differing } if differing.is_empty() => {
            (NORMAL, Tone::Good, format!("rollback verified: {compared} paths equal their originals"))
        }
        Event::RollbackVerified { compared, differing } => {
            let text =
                format!("rollback: {} of {compared} paths differ from their originals", differing.len());
            (QUIET, Tone::Bad, text)
        }
        other => return host_entry(other),
    };
    Some((level, tone, text))
}

fn host_entry(event: &Event) -> Entry {
    let (level, tone, text) = match event {
        Event::HostIdentified { host, identity } => {
            (VERBOSE, Tone::Dim, format!("{host}: reached ({}, {})", identity.transport, identity.hostname))
        }
        Event::HostAdded { group, host, address, .. } => {
            (NORMAL, Tone::Plain, format!("{host}: added to {group} ({address})"))
        }
        Event::PreflightChecked { host, check, ok: true, detail } => {
            (VERBOSE, Tone::Dim, format!("{host}: preflight: {check}: {detail}"))
        }
        Event::PreflightChecked { host, check, ok: false, detail } => {
            (QUIET, Tone::Bad, format!("{host}: preflight failed: {check}: {detail}"))
        }
        Event::RunNote { text } => (NORMAL, Tone::Plain, format!("note: {text}")),
        Event::LockTaken { hosts } => (VERBOSE, Tone::Dim, format!("lock taken on {}", hosts.join(", "))),
        Event::LockReleased { hosts } => {
            (VERBOSE, Tone::Dim, format!("lock released on {}", hosts.join(", ")))
        }
        Event::StepPinned { step, hosts, items } => {
            let items = items
                .as_ref()
                .map_or_else(String::new, |items| format!(", {}", text::count(items.len(), "item", "items")));
            (ALL, Tone::Dim, format!("{step}: for {}{items}", hosts.join(", ")))
        }
        Event::ObligationRaised { what, host, item } => {
            (VERBOSE, Tone::Plain, format!("{host} owes {what}{}", of_item(item)))
        }
        Event::ObligationSettled { what, host, item, by: None } => {
            (VERBOSE, Tone::Plain, format!("{host} paid {what}{}", of_item(item)))
        }
        Event::ObligationSettled { what, host, item, by: Some(by) } => (
            NORMAL,
            Tone::Warn,
            format!("{by} says that {what}{} was settled by hand on {host}", of_item(item)),
        ),
        Event::TrustChecked { edges, .. } => {
            let holds = words::telling(edges).next().is_none();
            let (level, tone) = if holds { (NORMAL, Tone::Plain) } else { (QUIET, Tone::Bad) };
            (level, tone, format!("trust: {}", words::summary(edges)))
        }
        _ => return None,
    };
    Some((level, tone, text))
}

fn ended(status: RunStatus, exit: i32, reason: &str) -> String {
    let words = crate::next::words(status);
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!("{words} (exit {exit}){reason}")
}
