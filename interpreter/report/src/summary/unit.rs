//! What each event means for its unit.

use super::{
    AttemptFault, Backup, Gate, OUTPUT_KEPT, OutputLine, Reconciled, Retry, Skip, Undone, UnitStatus,
    UnitSummary,
};
use keybook_api::{
    Event, Record, UnitId,
    event::{Answer, FaultInfo, Touched},
};

impl UnitSummary {
    pub(super) fn new(id: &UnitId) -> Self {
        Self {
            host: id.host.clone(),
            item: id.item.clone(),
            status: UnitStatus::Planned,
            attempts: 0,
            changed: None,
            started: None,
            ended: None,
            took_ms: None,
            skip: None,
            notes: Vec::new(),
            faults: Vec::new(),
            retries: Vec::new(),
            gates: Vec::new(),
            backups: Vec::new(),
            change: None,
            lines: Vec::new(),
            diffs: Vec::new(),
            plan_changes: Vec::new(),
            output: Vec::new(),
            output_lines: 0,
            wrote: Vec::new(),
            touches: Vec::new(),
            reconciled: Vec::new(),
            undone: None,
        }
    }

    /// Takes in one record of this unit.
    pub(super) fn add(&mut self, record: &Record) {
        self.begin_attempt(record.attempt.unwrap_or(1));
        let at = &record.time;
        match &record.event {
            Event::UnitSkipped { reason, detail } => {
                self.skip = Some(Skip { reason: *reason, detail: detail.clone() });
                self.end(UnitStatus::Skipped, at);
            }
            Event::UnitPlanned { change, lines, diffs, .. } => {
                self.change = Some(change.clone());
                self.lines.clone_from(lines);
                self.diffs.clone_from(diffs);
            }
            Event::UnitPlanChanged { detail } => self.plan_changes.push(detail.clone()),
            Event::GateAsked { .. } | Event::GateAnswered { .. } => self.add_gate(record),
            Event::UnitIntent { touches, .. } => {
                self.status = UnitStatus::UnderWay;
                self.started = Some(at.clone());
                self.ended = None;
                self.touches.clone_from(touches);
            }
            Event::BackupTaken { host, store, paths, entries } => self.backups.push(Backup {
                host: host.clone(),
                store: store.clone(),
                paths: paths.clone(),
                count: entries.len(),
            }),
            Event::UnitOutput { stream, line } => {
                self.output_lines += 1;
                self.output.push(OutputLine { stream: *stream, line: line.clone() });
                if self.output.len() > OUTPUT_KEPT {
                    self.output.remove(0);
                }
            }
            Event::UnitNote { text } => self.notes.push(text.clone()),
            Event::UnitRetried { cause, attempt, of, .. } => {
                self.retries.push(Retry { at: at.clone(), cause: cause.clone(), attempt: *attempt, of: *of });
            }
            _ => self.add_outcome(record),
        }
    }

    /// A new attempt starts afresh; what earlier ones left for the report stays.
    fn begin_attempt(&mut self, attempt: u32) {
        if attempt <= self.attempts {
            return;
        }
        self.attempts = attempt;
        self.status = UnitStatus::Planned;
        (self.started, self.ended, self.took_ms) = (None, None, None);
        // What an earlier attempt changed stays changed.
        self.changed = self.changed.filter(|changed| *changed);
        (self.skip, self.undone) = (None, None);
        self.output.clear();
        self.output_lines = 0;
    }

    fn add_gate(&mut self, record: &Record) {
        match &record.event {
            Event::GateAsked { question, irreversible } => {
                self.status = UnitStatus::Asked;
                self.gates.push(Gate {
                    question: question.clone(),
                    irreversible: *irreversible,
                    asked_at: record.time.clone(),
                    answer: None,
                    by: String::new(),
                    via: None,
                    why: String::new(),
                    answered_at: None,
                });
            }
            Event::GateAnswered { answer, by, via, why } => {
                self.status = match answer {
                    Answer::Run | Answer::Skip => UnitStatus::Planned,
                    Answer::Stop | Answer::RollBack => UnitStatus::Held,
                };
                if let Some(gate) = self.gates.last_mut() {
                    gate.answer = Some(*answer);
                    gate.by.clone_from(by);
                    gate.via = Some(*via);
                    gate.why.clone_from(why);
                    gate.answered_at = Some(record.time.clone());
                }
            }
            _ => {}
        }
    }

    fn add_outcome(&mut self, record: &Record) {
        let at = &record.time;
        match &record.event {
            Event::UnitApplied { changed, .. } => self.has_changed(*changed),
            Event::UnitDone { changed, wrote, took_ms, .. } => {
                self.has_changed(*changed);
                self.wrote.clone_from(wrote);
                self.took_ms = Some(*took_ms);
                self.end(UnitStatus::Done, at);
            }
            Event::UnitFailed { fault, before_effect, wrote, took_ms, .. } => {
                self.took_ms = Some(*took_ms);
                self.has_written(wrote);
                self.add_fault(fault, *before_effect, at);
            }
            Event::UnitReconciled { verdict, reason, by, wrote, .. } => {
                self.wrote.clone_from(wrote);
                self.found(at, verdict, reason, by);
                self.end(verdict_status(verdict), at);
            }
            // The script goes on.
            Event::CallReconciled { verdict, reason, by, .. } => {
                self.found(at, verdict, reason, by);
                self.status = UnitStatus::UnderWay;
                self.ended = None;
            }
            Event::CallIntent { touches, .. } => self.touches.extend(touches.iter().cloned()),
            Event::CallDone { changed: true, .. } => self.has_changed(true),
            Event::CallFailed { wrote, .. } => self.has_written(wrote),
            Event::UnitUndoIntent { .. } | Event::UnitUndone { .. } | Event::UnitUndoFailed { .. } => {
                self.add_undo(record);
            }
            _ => {}
        }
    }

    fn found(&mut self, at: &str, verdict: &str, reason: &str, by: &str) {
        self.reconciled.push(Reconciled {
            at: at.to_owned(),
            verdict: verdict.to_owned(),
            reason: reason.to_owned(),
            by: by.to_owned(),
        });
        if verdict == "done" && self.changed.is_none() {
            self.changed = Some(true);
        }
    }

    /// What was changed once stays changed, whatever is said later.
    fn has_changed(&mut self, changed: bool) {
        self.changed = Some(changed || self.changed == Some(true));
    }

    /// What failed may have changed something all the same: a path that is not as it was before.
    fn has_written(&mut self, wrote: &[Touched]) {
        let as_before =
            |now: &Touched| self.touches.iter().rev().find(|one| one.path == now.path) == Some(now);
        if wrote.iter().any(|now| !as_before(now)) {
            self.changed = Some(true);
        }
    }

    fn add_fault(&mut self, fault: &FaultInfo, before_effect: bool, at: &str) {
        self.faults.push(AttemptFault {
            attempt: self.attempts,
            at: at.to_owned(),
            before_effect,
            fault: fault.clone(),
        });
        let unknown = fault.kind == "unknown";
        self.end(if unknown { UnitStatus::Unknown } else { UnitStatus::Failed }, at);
    }

    fn add_undo(&mut self, record: &Record) {
        let at = Some(record.time.clone());
        let none = || Undone { how: String::new(), paths: Vec::new(), at: None, fault: None };
        match &record.event {
            Event::UnitUndoIntent { how, paths } => {
                self.status = UnitStatus::Undoing;
                self.undone = Some(Undone { how: how.clone(), paths: paths.clone(), ..none() });
            }
            Event::UnitUndone { how } => {
                self.status = UnitStatus::Undone;
                let undone = self.undone.get_or_insert_with(none);
                undone.how.clone_from(how);
                (undone.at, undone.fault) = (at, None);
            }
            Event::UnitUndoFailed { fault } => {
                self.status = UnitStatus::UndoFailed;
                let undone = self.undone.get_or_insert_with(none);
                (undone.at, undone.fault) = (at, Some(fault.clone()));
            }
            _ => {}
        }
    }

    fn end(&mut self, status: UnitStatus, at: &str) {
        self.status = status;
        self.ended = Some(at.to_owned());
    }
}

/// A verdict that this version does not know settles nothing.
fn verdict_status(verdict: &str) -> UnitStatus {
    match verdict {
        "done" => UnitStatus::Done,
        "not-done" | "not-begun" => UnitStatus::NotDone,
        _ => UnitStatus::Unknown,
    }
}
