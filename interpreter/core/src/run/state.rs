//! What a run's records add up to. The live run and a resumed one use the same sum.

pub use super::record::{CallOutcome, CallRecord, Intent, UnitRecord};

use super::loops::Loop;
use super::machine::{self, RunSignal, RunState, UnitSignal, UnitState};
use crate::{backup::Originals, model::canonical};
use indexmap::{IndexMap, IndexSet};
use keybook_api::{Event, Identity, Record, TrustEdge, TrustVerdict, UnitId, event::RunStatus};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// One backup on a host.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The host.
    pub host: String,
    /// Folder of the copies.
    pub store: String,
    /// What was asked for.
    pub paths: Vec<String>,
    /// Those of them that the step's `backup` names; the rest its action named.
    pub declared: Vec<String>,
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
    /// The phase after which it was to stop, until it did.
    pub until: Option<String>,
    /// Units in the order of their first record.
    pub units: IndexMap<UnitId, UnitRecord>,
    /// Hosts and items of steps, once settled.
    pub pins: IndexMap<String, (Vec<String>, Option<Vec<Json>>)>,
    /// Who each host was when first reached.
    pub identities: IndexMap<String, Identity>,
    /// `host.added` events.
    pub added: Vec<Event>,
    /// Obligations owed, by what and host: each item in which it is owed (none for a step in no loop), and the journal
    /// number of the record that raised it last.
    pub owed: IndexMap<(String, String), BTreeMap<Option<String>, u64>>,
    /// Backups in order.
    pub backups: Vec<Kept>,
    /// What was there before, by host and path.
    pub originals: Originals,
    /// How often `finally` began.
    pub finally_rounds: u32,
    /// Those of them that began in a rollback, from 1.
    pub finally_back: BTreeSet<u32>,
    /// True while steps may have begun that no `finally` followed, because the process was killed.
    pub interrupted: bool,
    /// `finally` began since the run was begun, resumed or taken back.
    finally_seen: bool,
    /// The locks were taken once: steps may have begun.
    pub started: bool,
    /// Hosts that hold our lock.
    pub locked: IndexSet<String>,
    /// Why rollback was asked for, once it was.
    pub rollback_reason: String,
    /// What is known of trust.
    pub trust: TrustKnown,
    /// Journal number of the record with which somebody last agreed to another runbook, inputs or inventory; 0 for
    /// never.
    pub revised: u64,
    /// Journal number of the latest record.
    pub last: u64,
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
            until: None,
            units: IndexMap::new(),
            pins: IndexMap::new(),
            identities: IndexMap::new(),
            added: Vec::new(),
            owed: IndexMap::new(),
            backups: Vec::new(),
            originals: Originals::default(),
            finally_rounds: 0,
            finally_back: BTreeSet::new(),
            interrupted: false,
            finally_seen: false,
            started: false,
            locked: IndexSet::new(),
            rollback_reason: String::new(),
            trust: TrustKnown::default(),
            revised: 0,
            last: 0,
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
        Ok(state)
    }

    /// Adds one record.
    pub fn apply(&mut self, record: &Record) -> Result<(), String> {
        self.move_run(record)?;
        if let Some(id) = &record.unit {
            self.move_unit(id, record)?;
        }
        self.note(record);
        self.last = record.seq;
        Ok(())
    }

    /// Can this event follow? Asked before it is written, so that a journal never holds a record that cannot.
    pub fn admits(&self, unit: Option<&UnitId>, event: &Event) -> Result<(), String> {
        if let Some(signal) = machine::run_signal(event)
            && machine::run_next(self.run, signal).is_none()
        {
            return Err(format!("{signal:?} cannot happen to a run that is {:?}", self.run));
        }
        if let (Some(id), Some(signal)) = (unit, machine::unit_signal(event))
            && machine::unit_next(self.unit_state(id), signal).is_none()
        {
            return Err(format!("{signal:?} cannot happen to unit {id} that is {:?}", self.unit_state(id)));
        }
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
        unit.keep(&record.event, record.attempt.unwrap_or_default());
        Ok(())
    }

    /// Loops whose items are pinned.
    pub fn loops(&self) -> impl Iterator<Item = Loop<'_>> {
        self.pins.iter().filter_map(|(key, (_, items))| Loop::read(key, items.as_ref()?))
    }

    /// What is owed, as `what@host` or `what@host#item`.
    pub fn owed_names(&self) -> Vec<String> {
        let name = |what: &String, host: &String, item: &Option<String>| {
            UnitId { step: what.clone(), host: host.clone(), item: item.clone() }.to_string()
        };
        let all = self.owed.iter();
        all.flat_map(|((what, host), items)| items.keys().map(move |item| name(what, host, item))).collect()
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
            Event::ObligationRaised { what, host, item } => {
                let items = self.owed.entry((what.clone(), host.clone())).or_default();
                items.insert(item.clone(), record.seq);
            }
            Event::ObligationSettled { what, host, item, .. } => {
                let debt = (what.clone(), host.clone());
                let left = self.owed.get_mut(&debt).is_some_and(|items| {
                    items.remove(item);
                    !items.is_empty()
                });
                if !left {
                    self.owed.shift_remove(&debt);
                }
            }
            Event::BackupTaken { host, store, paths, entries } => {
                let intent = record.unit.as_ref().and_then(|unit| self.unit(unit)?.intent());
                let touched = |path: &&String| {
                    intent.is_some_and(|intent| intent.touches.iter().any(|touch| touch.path == **path))
                };
                let kept = Kept {
                    host: host.clone(),
                    store: store.clone(),
                    declared: paths.iter().filter(|path| !touched(path)).cloned().collect(),
                    paths: paths.clone(),
                    entries: entries.clone(),
                };
                // What `finally` and a rollback's settling keep is for people: it is not what was there first.
                if record.unit.as_ref().is_some_and(|unit| canonical(&unit.step) == unit.step) {
                    self.originals.kept(&kept);
                    self.backups.push(kept);
                }
            }
            Event::UnitIntent { touches, .. } | Event::CallIntent { touches, .. } => {
                // What `finally` and a rollback's settling do is not taken back.
                if let Some(unit) = &record.unit
                    && canonical(&unit.step) == unit.step
                {
                    self.originals.touched(&unit.host, touches);
                }
            }
            Event::UnitDone { wrote, .. }
            | Event::CallDone { wrote, .. }
            | Event::CallFailed { wrote, .. }
            | Event::CallReconciled { wrote, .. }
            | Event::UnitFailed { wrote, .. }
            | Event::UnitReconciled { wrote, .. } => {
                if let Some(unit) = &record.unit
                    && canonical(&unit.step) == unit.step
                {
                    self.originals.created(&unit.host, wrote);
                }
            }
            Event::TrustChecked { first, edges } => self.trust.learn(*first, edges),
            Event::FinallyStarted {} => {
                self.finally_rounds += 1;
                if self.run == RunState::RollingBack {
                    self.finally_back.insert(self.finally_rounds);
                }
                self.finally_seen = true;
            }
            Event::LockTaken { hosts } => {
                self.locked.extend(hosts.iter().cloned());
                self.started = true;
                self.interrupted = true;
            }
            Event::RunResumed { accepted, pinned, until, .. } => {
                self.finally_seen = false;
                self.until.clone_from(until);
                for (key, items) in pinned.iter().flat_map(|pinned| &pinned.items) {
                    if let Some((_, pinned)) = self.pins.get_mut(key) {
                        *pinned = Some(items.clone());
                    }
                }
                if !accepted.is_empty() {
                    self.revised = record.seq;
                }
            }
            Event::RunOpened { until, .. } => self.until.clone_from(until),
            Event::RunEnded { status, .. } => {
                self.interrupted &= !self.finally_seen;
                if *status == RunStatus::PhaseReached {
                    self.until = None;
                }
            }
            Event::LockReleased { hosts } => self.locked.retain(|host| !hosts.contains(host)),
            Event::RollbackStarted { reason, .. } => {
                self.rollback_reason = reason.clone();
                self.finally_seen = false;
            }
            _ => {}
        }
    }
}

/// What is known of the edges of the trust matrix.
#[derive(Clone, Debug, Default)]
pub struct TrustKnown {
    /// They were judged before the first step; there may have been none.
    judged: bool,
    /// As they were before the first step, or when their host was added.
    first: Vec<TrustEdge>,
    /// As they were when they last held.
    held: Vec<TrustEdge>,
    /// As they were judged last.
    pub last: Vec<TrustEdge>,
}

impl TrustKnown {
    /// Was trust judged before the first step?
    pub fn judged(&self) -> bool {
        self.judged
    }

    /// The edge before any step could touch it; `None` for one that was not known then.
    pub fn first(&self, edge: &TrustEdge) -> Option<&TrustEdge> {
        find(&self.first, edge)
    }

    /// Was this edge broken before any step could touch it?
    pub fn was_broken(&self, edge: &TrustEdge) -> bool {
        self.first(edge).is_some_and(|first| first.verdict == TrustVerdict::Broken)
    }

    /// Is this edge broken only because time passed: did its certificates verify until a moment that was known
    /// when it held?
    pub fn ran_out(&self, edge: &TrustEdge) -> bool {
        edge.verdict == TrustVerdict::Broken
            && edge.until.is_some()
            && find(&self.held, edge).is_some_and(|held| held.until == edge.until)
    }

    fn learn(&mut self, first: bool, edges: &[TrustEdge]) {
        self.judged |= first;
        for edge in edges {
            if first && self.first(edge).is_none() {
                self.first.push(edge.clone());
            }
            if edge.verdict == TrustVerdict::Holds {
                put(&mut self.held, edge);
            }
            put(&mut self.last, edge);
        }
    }
}

fn find<'e>(edges: &'e [TrustEdge], edge: &TrustEdge) -> Option<&'e TrustEdge> {
    edges.iter().find(|known| known.key() == edge.key())
}

fn put(edges: &mut Vec<TrustEdge>, edge: &TrustEdge) {
    match edges.iter_mut().find(|known| known.key() == edge.key()) {
        Some(known) => *known = edge.clone(),
        None => edges.push(edge.clone()),
    }
}
