//! What a run's records add up to. The live run and a resumed one use the same sum.

use super::machine::{self, RunSignal, RunState, UnitSignal, UnitState};
use crate::backup::Originals;
use indexmap::{IndexMap, IndexSet};
use keybook_api::{
    Event, Identity, Record, UnitId, Value,
    event::{RunStatus, Touched},
};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// What is known of one unit.
#[derive(Clone, Debug)]
pub struct UnitRecord {
    /// Where it stands.
    pub state: UnitState,
    /// Its latest attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// Facts of the latest attempt.
    pub facts: Json,
    /// The result, once applied or done.
    pub result: Json,
    /// Whether the latest finished attempt changed anything.
    pub changed: bool,
    /// The latest intent.
    pub intent: Option<Intent>,
    /// Touched paths as the unit left them.
    pub wrote: Vec<Touched>,
    /// Why it failed last.
    pub failure: Option<keybook_api::event::FaultInfo>,
    /// Journal number of the latest change of state; orders the rollback.
    pub seq: u64,
}

/// A recorded intent.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The action; empty for a step with children.
    pub action: String,
    /// Arguments, secrets redacted.
    pub args: Json,
    /// Digest of the arguments.
    pub args_digest: String,
    /// The plan's memo.
    pub memo: Value,
    /// Paths with what was there before.
    pub touches: Vec<Touched>,
}

/// One backup on a host.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The host.
    pub host: String,
    /// Folder of the copies.
    pub store: String,
    /// What was asked for.
    pub paths: Vec<String>,
    /// What was there.
    pub entries: Vec<keybook_api::TreeEntry>,
}

/// The sum of a run's records.
#[derive(Clone, Debug)]
pub struct State {
    /// Where the run stands.
    pub run: RunState,
    /// How it last ended.
    pub status: RunStatus,
    /// Units in the order of their first record.
    pub units: IndexMap<UnitId, UnitRecord>,
    /// Hosts and items of steps, once settled.
    pub pins: IndexMap<String, (Vec<String>, Option<Vec<Json>>)>,
    /// Who each host was when first reached.
    pub identities: IndexMap<String, Identity>,
    /// `host.added` events.
    pub added: Vec<Event>,
    /// Obligations owed: what and host.
    pub owed: IndexSet<(String, String)>,
    /// Backups in order.
    pub backups: Vec<Kept>,
    /// What was there before, by host and path.
    pub originals: Originals,
    /// How often `finally` began.
    pub finally_rounds: u32,
    /// True while the last `finally` was not followed by an end of the run.
    pub interrupted: bool,
    /// Hosts that hold our lock.
    pub locked: IndexSet<String>,
    /// Why rollback was asked for, once it was.
    pub rollback_reason: String,
    /// Moves of the tables that were taken (tests check that every one is).
    pub taken: BTreeSet<(UnitState, UnitSignal)>,
    /// The same for the run's table.
    pub taken_run: BTreeSet<(RunState, RunSignal)>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            run: RunState::Opened,
            status: RunStatus::Running,
            units: IndexMap::new(),
            pins: IndexMap::new(),
            identities: IndexMap::new(),
            added: Vec::new(),
            owed: IndexSet::new(),
            backups: Vec::new(),
            originals: Originals::default(),
            finally_rounds: 0,
            interrupted: false,
            locked: IndexSet::new(),
            rollback_reason: String::new(),
            taken: BTreeSet::new(),
            taken_run: BTreeSet::new(),
        }
    }
}

impl State {
    /// Sums records up. The error names the record that cannot follow the ones before.
    pub fn replay<'r>(records: impl IntoIterator<Item = &'r Record>) -> Result<Self, String> {
        let mut state = Self::default();
        for record in records {
            state.apply(record)?;
        }
        state.interrupted = matches!(state.run, RunState::Running | RunState::RollingBack | RunState::Opened)
            && state.status == RunStatus::Running;
        Ok(state)
    }

    /// Adds one record.
    pub fn apply(&mut self, record: &Record) -> Result<(), String> {
        self.move_run(record)?;
        if let Some(id) = &record.unit {
            self.move_unit(id, record)?;
        }
        self.note(record);
        Ok(())
    }

    /// What is known of a unit.
    pub fn unit(&self, id: &UnitId) -> Option<&UnitRecord> {
        self.units.get(id)
    }

    /// Where a unit stands.
    pub fn unit_state(&self, id: &UnitId) -> UnitState {
        self.units.get(id).map_or(UnitState::Pending, |unit| unit.state)
    }

    fn move_run(&mut self, record: &Record) -> Result<(), String> {
        let Some(signal) = machine::run_signal(&record.event) else { return Ok(()) };
        let next = machine::run_next(self.run, signal).ok_or_else(|| {
            format!("record {}: {signal:?} cannot happen to a run that is {:?}", record.seq, self.run)
        })?;
        self.taken_run.insert((self.run, signal));
        self.run = next;
        if let Event::RunEnded { status, .. } = &record.event {
            self.status = *status;
        } else {
            self.status = RunStatus::Running;
        }
        Ok(())
    }

    fn move_unit(&mut self, id: &UnitId, record: &Record) -> Result<(), String> {
        let unit = self.units.entry(id.clone()).or_insert_with(UnitRecord::new);
        if let Some(attempt) = record.attempt {
            unit.attempt = unit.attempt.max(attempt);
        }
        if let Some(signal) = machine::unit_signal(&record.event) {
            self.taken.insert((unit.state, signal));
            unit.state = machine::unit_next(unit.state, signal).ok_or_else(|| {
                format!(
                    "record {}: {signal:?} cannot happen to unit {id} that is {:?}",
                    record.seq, unit.state
                )
            })?;
            unit.seq = record.seq;
        }
        unit.keep(&record.event);
        Ok(())
    }

    fn note(&mut self, record: &Record) {
        match &record.event {
            Event::StepPinned { step, hosts, items } => {
                self.pins.insert(step.clone(), (hosts.clone(), items.clone()));
            }
            Event::HostIdentified { host, identity } => {
                self.identities.entry(host.clone()).or_insert_with(|| identity.clone());
            }
            Event::HostAdded { .. } => self.added.push(record.event.clone()),
            Event::ObligationRaised { what, host } => {
                self.owed.insert((what.clone(), host.clone()));
            }
            Event::ObligationSettled { what, host } => {
                self.owed.shift_remove(&(what.clone(), host.clone()));
            }
            Event::BackupTaken { host, store, paths, entries } => {
                let kept = Kept {
                    host: host.clone(),
                    store: store.clone(),
                    paths: paths.clone(),
                    entries: entries.clone(),
                };
                self.originals.kept(&kept);
                self.backups.push(kept);
            }
            Event::UnitIntent { touches, .. } => {
                if let Some(unit) = &record.unit {
                    self.originals.touched(&unit.host, touches);
                }
            }
            Event::FinallyStarted {} => self.finally_rounds += 1,
            Event::LockTaken { hosts } => self.locked.extend(hosts.iter().cloned()),
            Event::LockReleased { hosts } => self.locked.retain(|host| !hosts.contains(host)),
            Event::RollbackStarted { reason, .. } => self.rollback_reason = reason.clone(),
            _ => {}
        }
    }
}

impl UnitRecord {
    fn new() -> Self {
        Self {
            state: UnitState::Pending,
            attempt: 0,
            facts: Json::Null,
            result: Json::Null,
            changed: false,
            intent: None,
            wrote: Vec::new(),
            failure: None,
            seq: 0,
        }
    }

    fn keep(&mut self, event: &Event) {
        match event {
            Event::UnitFacts { facts } => {
                self.facts = Json::Object(facts.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
            }
            Event::UnitIntent { action, args, args_digest, memo, touches } => {
                self.intent = Some(Intent {
                    action: action.clone(),
                    args: Json::Object(args.iter().map(|(k, v)| (k.clone(), v.clone())).collect()),
                    args_digest: args_digest.clone(),
                    memo: Value::from_json(memo),
                    touches: touches.clone(),
                });
                self.failure = None;
            }
            Event::UnitApplied { result, changed } => {
                self.result = result.clone();
                self.changed = *changed;
            }
            Event::UnitDone { result, changed, wrote, .. } => {
                self.result = result.clone();
                self.changed = *changed;
                self.wrote = wrote.clone();
            }
            Event::UnitReconciled { verdict, result, wrote, .. } if verdict == "done" => {
                self.result = result.clone();
                self.wrote = wrote.clone();
                self.changed = true;
            }
            Event::UnitFailed { fault, .. } => self.failure = Some(fault.clone()),
            _ => {}
        }
    }
}
