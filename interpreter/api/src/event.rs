//! What happens in a run. The journal is a file of these records; reports, resume and replay read nothing else.
//! This is format version 1: fields may be added, never renamed or given another meaning.

pub use crate::{
    fault::FaultInfo,
    run_info::{HostInfo, Pinned, RunbookRef, StepInfo},
    target::Touched,
};

use crate::{Change, Diff, Identity, RunId, StreamName, TreeEntry, TrustEdge, UnitId};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The version of the record format written by this program.
pub const FORMAT: u32 = 1;

/// One line of the journal and of `--format jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Format version.
    pub v: u32,
    /// Place in the journal, from 0 without gaps.
    pub seq: u64,
    /// When it was written: RFC 3339, UTC, milliseconds.
    pub time: String,
    /// The run.
    pub run: RunId,
    /// The unit it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitId>,
    /// That unit's attempt, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What happened.
    pub event: Event,
    /// SHA-256 (hexadecimal) of the line before, without its line feed; 64 zeros in the first line.
    pub prev: String,
}

/// Who answers a gate, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// At the prompt.
    Terminal,
    /// From the answers file.
    Answers,
    /// By `keybook approve` from elsewhere.
    Inbox,
}

/// An answer to a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Run it.
    Run,
    /// Leave this unit out.
    Skip,
    /// Stop here; the run can be resumed.
    Stop,
    /// Take back what was done.
    RollBack,
}

/// Why a unit was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// `when` was false.
    When,
    /// `check` was true: it is already so.
    AlreadyDone,
    /// The operator skipped it.
    Operator,
    /// The action found nothing to change.
    NothingToChange,
}

/// How a run ended, or why it rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// It is (or was, when killed) under way.
    Running,
    /// All steps done, nothing owed.
    Done,
    /// `--until` was reached; resumable.
    PhaseReached,
    /// A unit failed; resumable.
    Failed,
    /// A person must answer; resumable.
    Waiting,
    /// A host could not be reached; resumable.
    Unreachable,
    /// The operator stopped it; resumable.
    Stopped,
    /// A unit's outcome is unknown; a person must decide.
    Unknown,
    /// Everything was taken back and verified.
    RolledBack,
    /// Not everything could be taken back.
    RollbackIncomplete,
}

/// What happened. The name in `type` is the stable name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Event {
    /// The first record: everything the run pinned.
    #[serde(rename = "run.opened")]
    RunOpened {
        /// The program's version.
        keybook: String,
        /// The runbook.
        runbook: RunbookRef,
        /// Inputs; a secret is `{"keyed_hash": …}`.
        inputs: IndexMap<String, Json>,
        /// The inventory's `cluster:`.
        cluster: String,
        /// SHA-256 of the inventory's meaning (hosts, addresses, groups).
        inventory_digest: String,
        /// Where the inventory was read from; the scenario file for a sandbox.
        inventory: String,
        /// Its hosts.
        hosts: Vec<HostInfo>,
        /// Steps in order, `finally` included.
        steps: Vec<StepInfo>,
        /// `user@machine`.
        operator: String,
        /// Unattended or guided.
        unattended: bool,
        /// The hosts are folders of a sandbox.
        sandbox: bool,
        /// `--limit`, when given: only these hosts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        limit: Vec<String>,
        /// `--until`, when given: the phase after which it stops.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
    /// The run goes on after it stopped or was killed.
    #[serde(rename = "run.resumed")]
    RunResumed {
        /// Who resumed it.
        operator: String,
        /// Unattended or guided.
        unattended: bool,
        /// Differences the operator accepted.
        accepted: Vec<String>,
        /// What the run goes on with from here, when differences were accepted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pinned: Option<Box<Pinned>>,
        /// The phase after which it stops, as asked for now or before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
    /// A host was reached.
    #[serde(rename = "host.identified")]
    HostIdentified {
        /// Inventory name.
        host: String,
        /// Who it is.
        identity: Identity,
    },
    /// A step added a host to the run.
    #[serde(rename = "host.added")]
    HostAdded {
        /// The group.
        group: String,
        /// Inventory name.
        host: String,
        /// Address.
        address: String,
        /// Port, when not the default.
        port: Option<u16>,
        /// Login.
        user: Option<String>,
        /// Key file on this machine.
        key: Option<String>,
        /// The host to jump through.
        via: Option<String>,
        /// Commands go through sudo.
        sudo: bool,
        /// The host may be replaced.
        replaceable: bool,
    },
    /// One finding of the preflight.
    #[serde(rename = "preflight.checked")]
    PreflightChecked {
        /// The host.
        host: String,
        /// What was checked.
        check: String,
        /// Whether it holds.
        ok: bool,
        /// What was found.
        detail: String,
    },
    /// The lock record is on these hosts.
    #[serde(rename = "lock.taken")]
    LockTaken {
        /// Hosts that hold the record.
        hosts: Vec<String>,
    },
    /// The lock record is gone again.
    #[serde(rename = "lock.released")]
    LockReleased {
        /// Hosts it was removed from.
        hosts: Vec<String>,
    },
    /// Hosts and items of a step are settled for this run.
    #[serde(rename = "step.pinned")]
    StepPinned {
        /// The step's path.
        step: String,
        /// Its hosts, in order.
        hosts: Vec<String>,
        /// Its `for_each` items, when it has one.
        items: Option<Vec<Json>>,
    },
    /// The facts of this attempt.
    #[serde(rename = "unit.facts")]
    UnitFacts {
        /// By name.
        facts: IndexMap<String, Json>,
        /// Keyed hashes of the facts that are not whole here, because of a secret, by name: a fact that is read again on
        /// resume must be the same.
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        withheld: IndexMap<String, String>,
    },
    /// The unit was left out.
    #[serde(rename = "unit.skipped")]
    UnitSkipped {
        /// Why.
        reason: SkipReason,
        /// The operator's reason, or what the action found.
        detail: String,
    },
    /// What the unit will do.
    #[serde(rename = "unit.planned")]
    UnitPlanned {
        /// Will it change something?
        change: Change,
        /// What it does.
        lines: Vec<String>,
        /// Files it changes.
        diffs: Vec<Diff>,
        /// SHA-256 of what it was based on, such as the digests of the files that it read: an approval counts only
        /// for the same.
        #[serde(default)]
        basis: String,
    },
    /// Something changed between plan and gate answer; the gate is asked again.
    #[serde(rename = "unit.plan_changed")]
    UnitPlanChanged {
        /// What changed.
        detail: String,
    },
    /// A gate is shown.
    #[serde(rename = "gate.asked")]
    GateAsked {
        /// The question.
        question: String,
        /// The unit cannot be taken back.
        irreversible: bool,
    },
    /// A gate was answered.
    #[serde(rename = "gate.answered")]
    GateAnswered {
        /// The answer.
        answer: Answer,
        /// Who gave it.
        by: String,
        /// How.
        via: Via,
        /// The reason given, for a skip.
        why: String,
    },
    /// The effect may happen from here on.
    #[serde(rename = "unit.intent")]
    UnitIntent {
        /// The action; `script` for a script, empty for a step with children.
        action: String,
        /// Its arguments, secrets redacted.
        args: IndexMap<String, Json>,
        /// Keyed hash of the arguments, secrets included.
        args_digest: String,
        /// What reconcile and undo need.
        memo: Json,
        /// Paths it will change.
        touches: Vec<Touched>,
    },
    /// A script calls an action that changes something: the effect may happen from here on.
    #[serde(rename = "call.intent")]
    CallIntent {
        /// The call's place among those of the attempt, from 0.
        ordinal: u32,
        /// The action.
        action: String,
        /// Its arguments, secrets redacted.
        args: IndexMap<String, Json>,
        /// Keyed hash of the arguments, secrets included.
        args_digest: String,
        /// The arguments are not whole here, because of a secret.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        withheld: bool,
        /// What reconcile and undo need.
        memo: Json,
        /// Paths it will change.
        touches: Vec<Touched>,
        /// The first number of its commands' receipts.
        receipts: u32,
    },
    /// A call of a script ended well. When the script is run again on resume, it gets this result.
    #[serde(rename = "call.done")]
    CallDone {
        /// The call's place among those of the attempt, from 0.
        ordinal: u32,
        /// The action.
        action: String,
        /// The host it was asked for, where that is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// Its arguments, secrets redacted, unless they stand in its intent.
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        args: IndexMap<String, Json>,
        /// Keyed hash of the arguments, secrets included.
        args_digest: String,
        /// Its result.
        result: Json,
        /// Keyed hash of the result, where it is not whole here because of a secret: what is read again on resume must be
        /// the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        withheld: Option<String>,
        /// Whether anything changed.
        changed: bool,
        /// The state of the touched paths now.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        wrote: Vec<Touched>,
    },
    /// A call of a script failed; the script may go on all the same. When it is run again, the call fails again.
    #[serde(rename = "call.failed")]
    CallFailed {
        /// The call's place among those of the attempt, from 0.
        ordinal: u32,
        /// The action.
        action: String,
        /// The host it was asked for, where that is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// Its arguments, secrets redacted, unless they stand in its intent.
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        args: IndexMap<String, Json>,
        /// Keyed hash of the arguments, secrets included.
        args_digest: String,
        /// Why.
        fault: FaultInfo,
        /// True when nothing was changed yet.
        before_effect: bool,
        /// The state of the paths that it touched or changed, as far as it could be read after the failure.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        wrote: Vec<Touched>,
    },
    /// What became of a call that was under way when its script was interrupted. Where nobody can tell, the unit is
    /// `unit.reconciled` as unknown instead.
    #[serde(rename = "call.reconciled")]
    CallReconciled {
        /// The call's place among those of the attempt, from 0.
        ordinal: u32,
        /// `done`, `not-done`, or `not-begun` where it is certain that nothing of it happened.
        verdict: String,
        /// How that is known.
        reason: String,
        /// Who decided: `action` or a person.
        by: String,
        /// The result, when done.
        result: Json,
        /// Keyed hash of the result, where it is not whole here because of a secret: what is read again on resume must be
        /// the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        withheld: Option<String>,
        /// The state of the touched paths now, when done.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        wrote: Vec<Touched>,
    },
    /// Originals are safe on the host.
    #[serde(rename = "backup.taken")]
    BackupTaken {
        /// The host.
        host: String,
        /// Where the copies are.
        store: String,
        /// What was asked to be kept.
        paths: Vec<String>,
        /// What was there.
        entries: Vec<TreeEntry>,
    },
    /// A line of output.
    #[serde(rename = "unit.output")]
    UnitOutput {
        /// Which stream.
        stream: StreamName,
        /// The line, secrets redacted, cut at 4096 characters.
        line: String,
    },
    /// Something for the operator that is about the whole run (from a hook).
    #[serde(rename = "run.note")]
    RunNote {
        /// The text.
        text: String,
    },
    /// Something for the operator.
    #[serde(rename = "unit.note")]
    UnitNote {
        /// The text.
        text: String,
    },
    /// The action finished; `expect` and trust come next.
    #[serde(rename = "unit.applied")]
    UnitApplied {
        /// Its result.
        result: Json,
        /// Whether anything changed.
        changed: bool,
    },
    /// It did not work; it will be tried again.
    #[serde(rename = "unit.retried")]
    UnitRetried {
        /// Why.
        cause: String,
        /// Which try failed, from 1.
        attempt: u32,
        /// How many tries there are.
        of: u32,
        /// Milliseconds until the next.
        delay_ms: u64,
    },
    /// It worked.
    #[serde(rename = "unit.done")]
    UnitDone {
        /// Its result.
        result: Json,
        /// Whether anything changed.
        changed: bool,
        /// The state of the touched paths now.
        wrote: Vec<Touched>,
        /// Milliseconds from intent to here.
        took_ms: u64,
    },
    /// It did not work; what it did of its effect is not taken back by this.
    #[serde(rename = "unit.failed")]
    UnitFailed {
        /// Why.
        fault: FaultInfo,
        /// True when nothing was changed yet.
        before_effect: bool,
        /// True when it worked, and only the trust that it left is wrong: resumed, it is not carried out again.
        only_trust: bool,
        /// The state of the paths that it touched or changed, as far as it could be read after the failure.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        wrote: Vec<Touched>,
        /// Milliseconds from intent to here.
        took_ms: u64,
    },
    /// What became of an interrupted attempt.
    #[serde(rename = "unit.reconciled")]
    UnitReconciled {
        /// `done`, `not-done`, `not-begun` (it is certain that nothing of it happened) or `unknown`.
        verdict: String,
        /// How that is known, or why not.
        reason: String,
        /// Who decided: `action` or a person.
        by: String,
        /// The result, when done.
        result: Json,
        /// The state of the touched paths now, when done.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        wrote: Vec<Touched>,
    },
    /// A restart (or the like) is owed.
    #[serde(rename = "obligation.raised")]
    ObligationRaised {
        /// Its name.
        what: String,
        /// The host that owes it.
        host: String,
        /// The item in which it owes it, of a step in a loop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
    },
    /// It was paid.
    #[serde(rename = "obligation.settled")]
    ObligationSettled {
        /// Its name.
        what: String,
        /// The host that owed it.
        host: String,
        /// The item in which it owed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
        /// Who says that it was done by hand (`--settled`); absent when a step did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Trust was judged: with a unit, the edges of its host after its effect; without one, every edge, before the
    /// first step, at the end and after a rollback, and those of a host that was added.
    #[serde(rename = "trust.checked")]
    TrustChecked {
        /// True before any step could touch these edges: what is judged later is compared with it.
        first: bool,
        /// The edges and what is known of each.
        edges: Vec<TrustEdge>,
    },
    /// `finally` begins.
    #[serde(rename = "finally.started")]
    FinallyStarted {},
    /// Taking back begins.
    #[serde(rename = "rollback.started")]
    RollbackStarted {
        /// Who asked.
        by: String,
        /// Why.
        reason: String,
        /// Differences of the runbook that the operator accepted.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        accepted: Vec<String>,
        /// What the rollback goes on with, when differences were accepted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pinned: Option<Box<Pinned>>,
    },
    /// One unit is about to be taken back.
    #[serde(rename = "unit.undo_intent")]
    UnitUndoIntent {
        /// `undo`, `restore`, `calls` (each call of a script in its own way), `by hand` (somebody says so) or `nothing`.
        how: String,
        /// The paths concerned.
        paths: Vec<String>,
    },
    /// One unit was taken back.
    #[serde(rename = "unit.undone")]
    UnitUndone {
        /// `undo`, `restore`, `calls` (each call of a script in its own way), `by hand` (somebody says so) or `nothing`.
        how: String,
    },
    /// One unit could not be taken back.
    #[serde(rename = "unit.undo_failed")]
    UnitUndoFailed {
        /// Why.
        fault: FaultInfo,
    },
    /// Files were compared with their originals.
    #[serde(rename = "rollback.verified")]
    RollbackVerified {
        /// How many paths were compared.
        compared: u64,
        /// Those that differ, `host:path: how`.
        differing: Vec<String>,
    },
    /// The run rests or ended.
    #[serde(rename = "run.ended")]
    RunEnded {
        /// How.
        status: RunStatus,
        /// The process's exit code.
        exit: i32,
        /// Why, for people.
        reason: String,
        /// Obligations still owed, `what@host`.
        owed: Vec<String>,
    },
}
