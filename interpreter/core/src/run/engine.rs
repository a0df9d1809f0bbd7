//! Begins, resumes and takes back runs: the three ways into the machine.

use super::{
    clean::Cleaner,
    hosts::Hosts,
    log::{Log, Watcher},
    machine::RunState,
    person::Person,
    session::{Options, Session},
    state::State,
    stop::{Stop, exit_code},
    walk::Place,
};
use crate::{
    journal::{reader::Journal, writer::Writer},
    model::{Answers, Inventory, Loaded},
};
use indexmap::IndexMap;
use keybook_api::{
    Cancel, Connector, Event, Fault, FaultKind, Map, Redactor, Registry, RunId, TrustJudge,
    event::{HostInfo, Pinned, RunStatus, RunbookRef},
};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};

/// Everything a run is made from.
pub struct Setup {
    /// Its id.
    pub id: RunId,
    /// The runbook.
    pub loaded: Loaded,
    /// The hosts.
    pub inventory: Inventory,
    /// Where the inventory came from, for the journal.
    pub inventory_file: String,
    /// The inputs, defaults filled in.
    pub inputs: Map,
    /// The actions.
    pub registry: Registry,
    /// Reaches hosts.
    pub connector: Arc<dyn Connector>,
    /// Judges trust.
    pub trust: Arc<dyn TrustJudge>,
    /// Answers questions.
    pub person: Arc<dyn Person>,
    /// Answers given beforehand.
    pub answers: Answers,
    /// How it is carried out.
    pub options: Options,
    /// `--limit`.
    pub limit: Vec<String>,
    /// Watches the records.
    pub watchers: Vec<Arc<dyn Watcher>>,
    /// Knows the secrets.
    pub redactor: Arc<Redactor>,
    /// The first Ctrl-C.
    pub cancel: Cancel,
    /// This program's version.
    pub version: String,
    /// Salt of the run's keyed hashes, hexadecimal: the same for as long as the run can be resumed.
    pub salt: String,
}

/// How it ended.
#[derive(Debug)]
pub struct Outcome {
    /// How.
    pub status: RunStatus,
    /// The process's exit code.
    pub exit: i32,
    /// What went wrong, where something did.
    pub fault: Option<Fault>,
    /// Why, for people.
    pub reason: String,
    /// The journal's head.
    pub head: String,
    /// Obligations owed, `what@host`.
    pub owed: Vec<String>,
    /// Moves of the tables that were taken.
    pub state: State,
}

/// Begins a run: its journal must not exist yet.
pub async fn start(setup: Setup, journal: &Path) -> Result<Outcome, Fault> {
    let writer = Writer::create(journal, &setup.id)?;
    let opened = opened(&setup);
    let holder = setup.person.name();
    let cluster = setup.inventory.cluster.clone();
    let session = session(setup, writer, State::default())?;
    session.log.run(opened)?;
    note_all(&session, session.hosts.connector().notes_at_start())?;
    let begun = both_in_turn(begin(&session, &cluster, &holder).await, session.before_run()).await;
    let outcome = match both_in_turn(begun, session.trust_before()).await {
        Ok(()) => forward(&session, &cluster).await,
        Err(stop) => at_rest(stop),
    };
    close(session, outcome).await
}

/// Goes on with a run. `accepted` are the differences that the operator agreed to.
pub async fn resume(
    mut setup: Setup,
    path: &Path,
    journal: &Journal,
    accepted: Vec<String>,
) -> Result<Outcome, Fault> {
    let (state, writer) = reopen(path, journal)?;
    check_resumable(&state, &setup.id)?;
    let interrupted = state.interrupted;
    let cluster = setup.inventory.cluster.clone();
    let (holder, unattended) = (setup.person.name(), setup.options.unattended);
    let mut pinned = (!accepted.is_empty()).then(|| Box::new(pinned(&setup)));
    let mut notes = Vec::new();
    if setup.options.until.is_none()
        && let Some(phase) = &state.until
    {
        // What was to stop at a phase does not go beyond it because it failed before.
        notes.push(format!(
            "it stops after the phase {phase}, as was asked for before; --until names another"
        ));
        setup.options.until = Some(phase.clone());
    }
    let session = session(setup, writer, state)?;
    if let Some(pinned) = &mut pinned {
        let found = session.weigh_changes()?;
        notes.extend(found.notes);
        pinned.items = found.items;
    }
    let overrides = session.overrides(true)?;
    let until = session.options.until.clone();
    session.log.run(Event::RunResumed { operator: holder.clone(), unattended, accepted, pinned, until })?;
    let notes = notes.into_iter().map(|text| Event::RunNote { text });
    for event in notes.chain(overrides) {
        session.log.run(event)?;
    }
    let back = come_back(&session, &cluster, &holder, interrupted).await;
    let back = both_in_turn(back, session.before_run()).await;
    let outcome = match both_in_turn(back, session.trust_before()).await {
        Ok(()) => forward(&session, &cluster).await,
        Err(stop) => at_rest(stop),
    };
    close(session, outcome).await
}

/// Takes a run back. `accepted`: how its runbook differs from that of the run, where the operator accepted it.
pub async fn roll_back(
    setup: Setup,
    path: &Path,
    journal: &Journal,
    reason: &str,
    accepted: Vec<String>,
) -> Result<Outcome, Fault> {
    let (state, writer) = reopen(path, journal)?;
    if state.run == RunState::RolledBack {
        return Err(Fault::usage(format!("roll back run {}", setup.id), "it is rolled back already")
            .now("nothing was changed"));
    }
    let interrupted = state.interrupted || !state.started && state.status == RunStatus::Running;
    let begun = matches!(state.run, RunState::RollingBack | RunState::Incomplete);
    let rests = !begun && state.run != RunState::Done;
    let cluster = setup.inventory.cluster.clone();
    let pinned = (!accepted.is_empty()).then(|| Box::new(pinned(&setup)));
    let session = session(setup, writer, state)?;
    if let Some(fault) = session.refuses_at_once(begun) {
        let now_true = Some("nothing was changed".to_owned());
        let fault = Fault { kind: FaultKind::Usage, now_true, ..fault };
        return Err(if rests {
            fault.hint("the run itself can be gone on with: `keybook resume`")
        } else {
            fault
        });
    }
    let started =
        Event::RollbackStarted { by: session.person.name(), reason: reason.to_owned(), accepted, pinned };
    let mut begin = vec![started];
    begin.extend(session.overrides(false)?);
    let outcome = backward(&session, &cluster, begin, interrupted).await;
    close(session, outcome).await
}

fn reopen(path: &Path, journal: &Journal) -> Result<(State, Writer), Fault> {
    let state = State::replay(&journal.records).map_err(|why| {
        Fault::failed(format!("replay the journal {}", path.display()), why).now("nothing was changed")
    })?;
    Ok((state, Writer::append_to(path, journal)?))
}

fn check_resumable(state: &State, id: &RunId) -> Result<(), Fault> {
    let refuse = |why: &str, hint: String| {
        Err(Fault::usage(format!("resume run {id}"), why).now("nothing was changed").hint(hint))
    };
    match state.run {
        RunState::Done => refuse("it is done", format!("`keybook show {id}` shows it")),
        RunState::RolledBack => refuse("it was rolled back", "begin a new run".to_owned()),
        RunState::RollingBack | RunState::Incomplete => {
            refuse("it is being rolled back", format!("go on with `keybook rollback {id}`"))
        }
        RunState::Opened | RunState::Running | RunState::Resting => Ok(()),
    }
}

/// A session that only looks: for plans.
pub fn look(setup: Setup, journal: &Path) -> Result<Arc<Session>, Fault> {
    let writer = Writer::create(journal, &setup.id)?;
    session(setup, writer, State::default())
}

fn session(setup: Setup, writer: Writer, state: State) -> Result<Arc<Session>, Fault> {
    let added = state.added.clone();
    let plain = setup.loaded.sources.into_values().collect();
    let cleaner = Cleaner { redactor: Arc::clone(&setup.redactor), plain };
    let log = Arc::new(Log::new(writer, state, setup.watchers, cleaner));
    let hosts = Hosts::new(setup.inventory, setup.connector, Arc::clone(&log), setup.limit);
    added.iter().for_each(|event| hosts.add_from(event));
    Session::learn(&setup.redactor, &keybook_api::Value::Map(setup.inputs.clone()));
    let registers = Session::registers_of(&setup.loaded.runbook);
    Ok(Arc::new(Session {
        id: setup.id,
        runbook: Arc::new(setup.loaded.runbook),
        script: setup.loaded.script,
        inputs: setup.inputs,
        registry: setup.registry,
        hosts: Arc::new(hosts),
        trust: setup.trust,
        log,
        person: setup.person,
        answers: setup.answers,
        options: setup.options,
        cancel: setup.cancel,
        redactor: setup.redactor,
        salt: setup.salt,
        registers,
        live: Mutex::default(),
        live_items: Mutex::default(),
        foreseen: Mutex::default(),
    }))
}

/// Preflight and lock.
async fn begin(session: &Arc<Session>, cluster: &str, holder: &str) -> Result<(), Stop> {
    session.check_groups()?;
    session.preflight(true).await?;
    session.lock(cluster, holder).await
}

/// Before steps go on: hosts, lock, `finally` after a kill, and what was under way.
async fn come_back(
    session: &Arc<Session>,
    cluster: &str,
    holder: &str,
    interrupted: bool,
) -> Result<(), Stop> {
    session.check_groups()?;
    session.preflight(true).await?;
    session.lock(cluster, holder).await?;
    session.reconcile_all(true).await?;
    session.pay()?;
    if interrupted { finally(session).await } else { Ok(()) }
}

async fn forward(session: &Arc<Session>, cluster: &str) -> (RunStatus, Option<Stop>) {
    let walked = session.walk(&session.runbook.steps, &Place::default()).await;
    let refused = session.shared_with_what_stands().filter(|_| matches!(walked, Err(Stop::RollBack(_))));
    if let (Err(Stop::RollBack(by)), None) = (&walked, &refused) {
        return backward(session, cluster, vec![at_a_gate(by)], false).await;
    }
    // What cannot be taken back rests, so that it can be gone on with.
    let walked = refused.map_or(walked, |fault| Err(fault.into()));
    let ended = finally(session).await;
    let mut outcome = both(walked, ended).and_then(|()| check_owed(session));
    if outcome.is_ok() {
        outcome = session.trust_at_end(false).await;
    }
    if outcome.is_ok() {
        outcome = session.unlock(cluster).await;
    }
    match outcome {
        Ok(()) => (RunStatus::Done, None),
        Err(Stop::RollBack(by)) => backward(session, cluster, vec![at_a_gate(&by)], false).await,
        Err(stop) => at_rest(stop),
    }
}

/// The rollback that somebody asks for in the place of an answer.
fn at_a_gate(by: &str) -> Event {
    let (by, reason) = (by.to_owned(), "asked for at a gate".to_owned());
    Event::RollbackStarted { by, reason, accepted: Vec::new(), pinned: None }
}

async fn backward(
    session: &Arc<Session>,
    cluster: &str,
    begin: Vec<Event>,
    interrupted: bool,
) -> (RunStatus, Option<Stop>) {
    let outcome = take_back(session, cluster, begin, interrupted).await;
    match outcome {
        Ok(()) => (RunStatus::RolledBack, None),
        Err(stop @ Stop::Fault(_)) if stop.status() == RunStatus::Unknown => (RunStatus::Unknown, Some(stop)),
        Err(stop) => (RunStatus::RollbackIncomplete, Some(stop)),
    }
}

async fn take_back(
    session: &Arc<Session>,
    cluster: &str,
    begin: Vec<Event>,
    interrupted: bool,
) -> Result<(), Stop> {
    for event in begin {
        session.log.run(event)?;
    }
    if session.log.state(|state| state.units.is_empty()) {
        // No step was begun. A process that was killed before it recorded the locks may have left some.
        let unrecorded = interrupted && !session.log.state(|state| state.started);
        let locked = if unrecorded { session.hosts_to_lock() } else { session.locked() };
        return session.unlock_hosts(locked, cluster).await;
    }
    session.lock(cluster, &session.person.name()).await?;
    if interrupted {
        session.reconcile_all(false).await?;
        match finally(session).await {
            // What it could not bring about with the new files may come with the old ones: it is tried again after
            // they are back.
            Err(Stop::Fault(fault)) if matches!(fault.kind, FaultKind::Failed | FaultKind::TimedOut) => {}
            other => other?,
        }
    }
    let (back, last) = (session.take_back().await, finally(session).await);
    match back {
        // There is no way on: nobody will come back to this run, and the hosts are not kept from others.
        Ok(Some(point)) => return both(Err(point), both(last, session.unlock(cluster).await)),
        Ok(None) => last?,
        Err(stop) => return both(Err(stop), last),
    }
    session.trust_at_end(true).await?;
    session.unlock(cluster).await
}

/// The second only when the first went well.
async fn both_in_turn(
    first: Result<(), Stop>,
    second: impl Future<Output = Result<(), Stop>>,
) -> Result<(), Stop> {
    first?;
    second.await
}

/// The worse of two outcomes.
fn both(first: Result<(), Stop>, second: Result<(), Stop>) -> Result<(), Stop> {
    match (first, second) {
        (Err(first), Err(second)) => Err(first.worse(second)),
        (Err(stop), Ok(())) | (Ok(()), Err(stop)) => Err(stop),
        (Ok(()), Ok(())) => Ok(()),
    }
}

fn at_rest(stop: Stop) -> (RunStatus, Option<Stop>) {
    (stop.status(), Some(stop))
}

/// The `finally` steps, each round under a name of its own. A stop waits for them.
async fn finally(session: &Arc<Session>) -> Result<(), Stop> {
    if session.runbook.finally.is_empty() || !session.log.state(|state| state.started) {
        return Ok(());
    }
    session.log.run(Event::FinallyStarted {})?;
    let round = session.log.state(|state| state.finally_rounds);
    let place = Place { prefix: format!("finally-{round}"), atomic: true, ..Place::default() };
    session.walk(&session.runbook.finally, &place).await
}

fn check_owed(session: &Arc<Session>) -> Result<(), Stop> {
    session.pay()?;
    let owed = owed(session);
    if owed.is_empty() {
        return Ok(());
    }
    Err(Fault::failed("end the run", format!("this is still owed: {}", owed.join(", ")))
        .now("every step is done, but not every host was restarted")
        .hint(
            "resume and say yes to what settles it; or do it by hand, and resume with `--settled WHAT@HOST`",
        )
        .into())
}

fn owed(session: &Arc<Session>) -> Vec<String> {
    session.log.state(State::owed_names)
}

fn note_all(session: &Session, notes: Vec<String>) -> Result<(), Fault> {
    notes.into_iter().try_for_each(|text| session.log.run(Event::RunNote { text }))
}

/// Writes the last record and lets go of the hosts.
async fn close(session: Arc<Session>, outcome: (RunStatus, Option<Stop>)) -> Result<Outcome, Fault> {
    let (status, stop) = outcome;
    let stop = stop.map(|stop| stop.redacted(&session.redactor));
    let fault = match &stop {
        Some(Stop::Fault(fault)) => Some(fault.clone()),
        _ => None,
    };
    let begun = session.log.state(|state| state.units.values().any(|unit| !unit.intents.is_empty()));
    let exit = match &fault {
        Some(fault) if fault.kind == FaultKind::Locked => 7,
        // 2 says that nothing was begun.
        Some(fault) if fault.kind == FaultKind::Usage && status == RunStatus::Failed && !begun => 2,
        _ => exit_code(status),
    };
    let reason = stop.as_ref().map(Stop::reason).unwrap_or_default();
    session.after_run(status, &reason).await;
    let owed = owed(&session);
    let noted = match status {
        // A run that rests may still come to what it did not meet yet.
        RunStatus::Done | RunStatus::RolledBack => {
            note_all(&session, session.hosts.connector().notes_at_end())
        }
        _ => Ok(()),
    };
    let ended = Event::RunEnded { status, exit, reason: reason.clone(), owed: owed.clone() };
    let written = noted.and_then(|()| session.log.run(ended));
    session.hosts.close().await;
    written?;
    Ok(Outcome {
        status,
        exit,
        fault,
        reason,
        head: session.log.head(),
        owed,
        state: session.log.state(State::clone),
    })
}

/// What the run goes on with.
fn pinned(setup: &Setup) -> Pinned {
    Pinned {
        digest: setup.loaded.digest.clone(),
        inputs: super::drift::journaled_inputs(&setup.inputs, &setup.salt),
        inventory_digest: setup.inventory.digest(),
        items: IndexMap::new(),
    }
}

fn opened(setup: &Setup) -> Event {
    let runbook = &setup.loaded.runbook;
    let steps = runbook.walk().into_iter().map(|(path, step)| runbook.info(&path, step));
    let hosts = setup.inventory.hosts.iter().map(|(name, spec)| HostInfo {
        name: name.clone(),
        address: spec.address.clone(),
        groups: setup.inventory.groups_of(name),
        replaceable: spec.replaceable,
    });
    Event::RunOpened {
        keybook: setup.version.clone(),
        runbook: RunbookRef {
            name: runbook.name.value.clone(),
            version: runbook.version.clone(),
            title: runbook.title.clone(),
            folder: setup.loaded.folder.display().to_string(),
            digest: setup.loaded.digest.clone(),
        },
        inputs: super::drift::journaled_inputs(&setup.inputs, &setup.salt),
        cluster: setup.inventory.cluster.clone(),
        inventory_digest: setup.inventory.digest(),
        inventory: setup.inventory_file.clone(),
        hosts: hosts.collect(),
        steps: steps.collect(),
        operator: setup.person.name(),
        unattended: setup.options.unattended,
        sandbox: setup.options.sandbox,
        limit: setup.limit.clone(),
        until: setup.options.until.clone(),
    }
}
