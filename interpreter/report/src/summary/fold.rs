//! Walks the records once and gathers the summary.

use super::{
    FORMAT, Finding, HostSummary, Mode, OpenGate, Resume, Rollback, RunSummary, StepSummary, Times,
    TrustCheck, UnitSummary, certificates::Certificates, clock::Clock,
};
use crate::next;
use keybook_api::{
    Change, Event, Record, RunId, UnitId,
    event::{HostInfo, RunStatus, StepInfo, Touched},
    ids::canonical,
};
use std::collections::{HashMap, HashSet};

/// The summary under construction.
#[derive(Default)]
pub(super) struct Fold {
    summary: Option<RunSummary>,
    clock: Clock,
    certificates: Certificates,
    /// Where each unit is: step and unit index.
    units: HashMap<UnitId, (usize, usize)>,
    /// Units whose effect is under way.
    open: HashSet<UnitId>,
}

impl Fold {
    pub(super) fn add(&mut self, record: &Record) {
        if matches!(record.event, Event::RunOpened { .. }) {
            if self.summary.is_none() {
                self.summary = open(record);
            }
        } else if let Some(summary) = &mut self.summary {
            reopen(summary, record);
            add_to_run(summary, record);
            add_gate(summary, record);
        } else {
            return;
        }
        self.clock.add(record);
        self.add_certificates(record);
        if let Some(id) = &record.unit
            && let Some(unit) = self.unit(id)
        {
            unit.add(record);
        }
        if let Some(summary) = &mut self.summary {
            summary.last.clone_from(&record.time);
            summary.records += 1;
        }
    }

    /// The unit, made when this is its first event; a step that the first record does not list is added.
    fn unit(&mut self, id: &UnitId) -> Option<&mut UnitSummary> {
        let steps = &mut self.summary.as_mut()?.steps;
        let (step, unit) = *self.units.entry(id.clone()).or_insert_with(|| {
            let step = steps.iter().position(|step| step.path == id.step).unwrap_or_else(|| {
                // A round of `finally`, or a step that a rollback carries out again, has the title of its step.
                let plain = canonical(&id.step);
                let known = steps.iter().find(|step| step.path == plain).map(|step| step.title.clone());
                steps.push(bare_step(&id.step));
                let last = steps.len() - 1;
                if let (Some(step), Some(title)) = (steps.get_mut(last), known) {
                    step.title = title;
                }
                last
            });
            let units = steps.get_mut(step).map(|step| &mut step.units);
            let at = units.map_or(0, |units| {
                units.push(UnitSummary::new(id));
                units.len() - 1
            });
            (step, at)
        });
        steps.get_mut(step)?.units.get_mut(unit)
    }

    /// Does this change something that endpoints may serve? What a command changes is known only from its end, or from
    /// what is found of it after a kill: all but that it never began.
    fn may_change(&mut self, id: &UnitId, record: &Record) -> bool {
        match &record.event {
            Event::UnitIntent { touches, .. } | Event::CallIntent { touches, .. } => {
                outside(&record.run, touches)
            }
            Event::UnitApplied { changed: true, .. }
            | Event::CallDone { changed: true, .. }
            | Event::CallFailed { before_effect: false, .. }
            | Event::UnitFailed { before_effect: false, .. } => self.touches(id, &record.run),
            Event::UnitReconciled { verdict, .. } => verdict != "not-begun" && self.changes(id, &record.run),
            Event::CallReconciled { verdict, .. } => verdict != "not-begun" && self.touches(id, &record.run),
            _ => false,
        }
    }

    /// Does the unit name paths outside the run's own folder, or none, as a command does?
    fn touches(&mut self, id: &UnitId, run: &RunId) -> bool {
        self.unit(id).is_some_and(|unit| unit.touches.is_empty() || outside(run, &unit.touches))
    }

    /// The same of a unit that does more than read: what only reads is planned as changing nothing.
    fn changes(&mut self, id: &UnitId, run: &RunId) -> bool {
        self.unit(id).is_some_and(|unit| unit.change != Some(Change::Wont)) && self.touches(id, run)
    }

    /// Keeps what began and has not ended. What `finally` or a rollback finds so was killed, and nobody could say what
    /// became of it: it may have changed something.
    fn follow(&mut self, record: &Record) {
        match (&record.event, &record.unit) {
            (Event::FinallyStarted {} | Event::RollbackStarted { .. }, _) => {
                for id in std::mem::take(&mut self.open) {
                    if self.changes(&id, &record.run) {
                        self.certificates.change_begins();
                    }
                }
            }
            // A step of steps has no action; of a script its calls are followed.
            (Event::UnitIntent { action, .. }, Some(id)) if !matches!(action.as_str(), "" | "script") => {
                self.open.insert(id.clone());
            }
            (Event::CallIntent { .. }, Some(id)) => {
                self.open.insert(id.clone());
            }
            (
                Event::UnitDone { .. }
                | Event::UnitFailed { .. }
                | Event::UnitReconciled { .. }
                | Event::CallDone { .. }
                | Event::CallFailed { .. }
                | Event::CallReconciled { .. },
                Some(id),
            ) => {
                self.open.remove(id);
            }
            _ => {}
        }
    }

    fn add_certificates(&mut self, record: &Record) {
        self.follow(record);
        if matches!(record.event, Event::RollbackStarted { .. }) {
            self.certificates.rollback_begins();
        }
        let Some(id) = &record.unit else { return };
        if self.may_change(id, record) {
            self.certificates.change_begins();
        }
        let (host, at) = (id.host.as_str(), record.time.as_str());
        match &record.event {
            Event::UnitFacts { facts, .. } => {
                facts.values().for_each(|fact| self.certificates.look(host, at, fact));
            }
            Event::UnitApplied { result, .. }
            | Event::UnitReconciled { result, .. }
            | Event::CallReconciled { result, .. } => self.certificates.look(host, at, result),
            Event::CallDone { result, host: asked, .. } => {
                self.certificates.look(asked.as_deref().unwrap_or(host), at, result);
            }
            // It repeats the result of `unit.applied`: that is one sighting, not two.
            Event::UnitDone { result, .. } => self.certificates.look_again(host, at, result),
            Event::UnitIntent { touches, .. } | Event::CallIntent { touches, .. } => {
                for Touched { path, before } in touches {
                    self.certificates.will_touch(host, path);
                    if before.is_none() {
                        self.certificates.will_create(host, path);
                    }
                }
            }
            Event::UnitUndone { how } if how != "nothing" => {
                let paths = self.unit(id).and_then(|unit| unit.undone.clone()).map(|undone| undone.paths);
                paths.iter().flatten().for_each(|path| self.certificates.put_back(&id.host, path));
            }
            _ => {}
        }
    }

    pub(super) fn finish(self) -> Option<RunSummary> {
        let mut summary = self.summary?;
        summary.times = self.clock.times();
        // The steps of `finally` are listed round by round.
        let rounds = summary.steps.iter().any(|step| step.path.starts_with("finally-"));
        summary.steps.retain(|step| !rounds || !step.path.starts_with("finally/") || !step.units.is_empty());
        summary.certificates = self.certificates.finish();
        summary.status_text = next::words(summary.status).to_owned();
        Some(summary)
    }
}

/// Does one of these paths lie outside the run's own folder?
fn outside(run: &RunId, touches: &[Touched]) -> bool {
    let own = format!("/{run}/");
    touches.iter().any(|touch| !touch.path.contains(&own))
}

fn mode(unattended: bool) -> Mode {
    if unattended { Mode::Unattended } else { Mode::Guided }
}

fn open(record: &Record) -> Option<RunSummary> {
    let Event::RunOpened {
        keybook,
        runbook,
        inputs,
        cluster,
        inventory,
        hosts,
        steps,
        operator,
        unattended,
        sandbox,
        limit,
        ..
    } = &record.event
    else {
        return None;
    };
    Some(RunSummary {
        v: FORMAT,
        run: record.run.clone(),
        keybook: keybook.clone(),
        runbook: runbook.clone(),
        inputs: inputs.clone(),
        cluster: cluster.clone(),
        inventory: inventory.clone(),
        limit: limit.clone(),
        operators: vec![operator.clone()],
        mode: mode(*unattended),
        sandbox: *sandbox,
        started: record.time.clone(),
        ended: None,
        last: record.time.clone(),
        status: RunStatus::Running,
        status_text: String::new(),
        exit: None,
        reason: String::new(),
        owed: Vec::new(),
        open_gates: Vec::new(),
        notes: Vec::new(),
        times: Times::default(),
        head: None,
        records: 0,
        hosts: hosts.iter().map(host).collect(),
        preflight: Vec::new(),
        resumes: Vec::new(),
        steps: steps.iter().map(step).collect(),
        certificates: Vec::new(),
        trust: Vec::new(),
        rollback: None,
    })
}

fn host(info: &HostInfo) -> HostSummary {
    HostSummary {
        name: info.name.clone(),
        address: info.address.clone(),
        groups: info.groups.clone(),
        identity: None,
    }
}

fn step(info: &StepInfo) -> StepSummary {
    StepSummary {
        title: info.title.clone(),
        why: info.why.clone(),
        action: info.action.clone(),
        irreversible: info.irreversible,
        ..bare_step(&info.path)
    }
}

fn bare_step(path: &str) -> StepSummary {
    StepSummary {
        path: path.to_owned(),
        title: path.to_owned(),
        why: String::new(),
        action: String::new(),
        irreversible: false,
        hosts: Vec::new(),
        items: None,
        units: Vec::new(),
    }
}

/// After an end, work means that the run goes on. Connecting and locking come before that is decided.
fn reopen(summary: &mut RunSummary, record: &Record) {
    let goes_on = record.unit.is_some()
        || matches!(
            record.event,
            Event::RunResumed { .. } | Event::RollbackStarted { .. } | Event::FinallyStarted {}
        );
    if summary.ended.is_some() && goes_on {
        summary.status = RunStatus::Running;
        summary.reason.clear();
        (summary.ended, summary.exit) = (None, None);
    }
}

fn add_to_run(summary: &mut RunSummary, record: &Record) {
    let at = &record.time;
    match &record.event {
        Event::RunResumed { operator, unattended, accepted, .. } => {
            summary.mode = mode(*unattended);
            if !summary.operators.contains(operator) {
                summary.operators.push(operator.clone());
            }
            summary.resumes.push(Resume {
                at: at.clone(),
                operator: operator.clone(),
                mode: mode(*unattended),
                accepted: accepted.clone(),
            });
        }
        Event::RunEnded { status, exit, reason, owed } => {
            summary.status = *status;
            summary.exit = Some(*exit);
            summary.reason.clone_from(reason);
            summary.owed.clone_from(owed);
            summary.ended = Some(at.clone());
        }
        Event::StepPinned { step, hosts, items } => {
            if let Some(known) = summary.steps.iter_mut().find(|known| known.path == *step) {
                known.hosts.clone_from(hosts);
                known.items.clone_from(items);
            }
        }
        Event::ObligationRaised { what, host, item } => {
            let owed = owed(what, host, item);
            if !summary.owed.contains(&owed) {
                summary.owed.push(owed);
            }
        }
        Event::ObligationSettled { what, host, item, by } => {
            let owed = owed(what, host, item);
            if let Some(by) = by {
                summary.notes.push(format!("{by} says that {owed} was settled by hand"));
            }
            summary.owed.retain(|known| *known != owed);
        }
        Event::TrustChecked { edges, .. } => summary.trust.push(TrustCheck {
            at: at.clone(),
            unit: record.unit.as_ref().map(ToString::to_string),
            edges: edges.clone(),
        }),
        Event::RollbackStarted { .. } | Event::RollbackVerified { .. } => add_rollback(summary, record),
        _ => add_host_event(summary, record),
    }
}

/// A rollback leaves the gates of the way forward behind.
fn add_gate(summary: &mut RunSummary, record: &Record) {
    if matches!(record.event, Event::RollbackStarted { .. }) {
        summary.open_gates.clear();
    }
    let Some(unit) = record.unit.as_ref().map(ToString::to_string) else { return };
    match &record.event {
        Event::GateAsked { question, .. } => {
            summary.open_gates.retain(|gate| gate.unit != unit);
            summary.open_gates.push(OpenGate { unit, question: question.clone() });
        }
        Event::GateAnswered { .. } => summary.open_gates.retain(|gate| gate.unit != unit),
        _ => {}
    }
}

fn add_rollback(summary: &mut RunSummary, record: &Record) {
    match &record.event {
        Event::RollbackStarted { by, reason, .. } => {
            summary.rollback = Some(Rollback {
                at: record.time.clone(),
                by: by.clone(),
                reason: reason.clone(),
                compared: None,
                differing: Vec::new(),
            });
        }
        Event::RollbackVerified { compared, differing } => {
            if let Some(rollback) = &mut summary.rollback {
                rollback.compared = Some(*compared);
                rollback.differing.clone_from(differing);
            }
        }
        _ => {}
    }
}

fn add_host_event(summary: &mut RunSummary, record: &Record) {
    match &record.event {
        Event::HostIdentified { host, identity } => {
            if let Some(known) = summary.hosts.iter_mut().find(|known| known.name == *host) {
                known.identity = Some(identity.clone());
            }
        }
        Event::HostAdded { group, host, address, .. } => {
            match summary.hosts.iter_mut().find(|known| known.name == *host) {
                Some(known) if known.groups.contains(group) => {}
                Some(known) => known.groups.push(group.clone()),
                None => summary.hosts.push(HostSummary {
                    name: host.clone(),
                    address: address.clone(),
                    groups: vec![group.clone()],
                    identity: None,
                }),
            }
        }
        Event::RunNote { text } => summary.notes.push(text.clone()),
        Event::PreflightChecked { host, check, ok, detail } => {
            let finding = Finding {
                at: record.time.clone(),
                host: host.clone(),
                check: check.clone(),
                ok: *ok,
                detail: detail.clone(),
            };
            let known = summary.preflight.iter_mut().find(|one| one.host == *host && one.check == *check);
            match known {
                Some(known) => *known = finding,
                None => summary.preflight.push(finding),
            }
        }
        _ => {}
    }
}

/// `what@host`, or `what@host#item` in a loop.
fn owed(what: &str, host: &str, item: &Option<String>) -> String {
    UnitId { step: what.to_owned(), host: host.to_owned(), item: item.clone() }.to_string()
}
