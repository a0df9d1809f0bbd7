//! What the journal says of one unit: its intents, and the calls of its script.

use super::{
    machine::{self, UnitState},
    scope,
};
use crate::model::SCRIPT;
use indexmap::IndexMap;
use keybook_api::{
    Event, Value,
    event::{FaultInfo, SkipReason, Touched},
};
use serde_json::Value as Json;

/// What is known of one unit.
#[derive(Clone, Debug)]
pub struct UnitRecord {
    /// Where it stands.
    pub state: UnitState,
    /// Its latest attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// Facts of the latest attempt.
    pub facts: Json,
    /// Digests of those facts that are not whole, because of a secret.
    pub facts_withheld: IndexMap<String, String>,
    /// Its latest plan, as it is in the journal.
    pub plan: Json,
    /// The result, once applied or done.
    pub result: Json,
    /// Whether the latest finished attempt changed anything.
    pub changed: bool,
    /// Every intent whose effect may have happened, the latest last: of the unit, and of calls of its script.
    pub intents: Vec<Intent>,
    /// The calls of its script, of every attempt.
    pub calls: Vec<CallRecord>,
    /// How many records of calls there are: numbers the receipts of the next one.
    pub call_records: u32,
    /// Paths as the unit left them, as far as it changed them.
    pub wrote: Vec<Touched>,
    /// True when `wrote` is all that the latest attempt did; false while that is not known.
    pub recorded: bool,
    /// How often taking it back began.
    pub undos: u32,
    /// Taking it back was tried and failed.
    pub undo_failed: bool,
    /// An attempt failed, and it was certain that nothing of its effect began.
    pub not_begun: bool,
    /// Why it was left out last.
    pub left_out: Option<SkipReason>,
    /// Why it failed last.
    pub failure: Option<FaultInfo>,
    /// It worked, and only the trust that it left was wrong.
    pub only_trust: bool,
    /// Journal number of the latest change of state; orders the rollback.
    pub seq: u64,
}

/// A recorded intent.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The action; [`SCRIPT`] for a script, empty for a step with children.
    pub action: String,
    /// Arguments, secrets redacted.
    pub args: Json,
    /// Digest of the arguments.
    pub args_digest: String,
    /// The arguments are not whole, because of a secret (only told of calls).
    pub withheld: bool,
    /// The plan's memo; unknown where a secret was.
    memo: Value,
    /// Paths with what was there before.
    pub touches: Vec<Touched>,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The facts of that attempt.
    pub facts: Json,
    /// The call of a script that it belongs to, by its place in the attempt; none for the unit's own.
    pub call: Option<u32>,
    /// The first number of its receipts.
    pub receipts: u32,
    /// It was found that its effect did not happen, or only a part that is done again from the start.
    pub not_done: bool,
    /// It is certain that nothing of its effect began: so its action found.
    pub not_begun: bool,
    /// How often it was tried, from 1.
    pub tries: u32,
    /// Its attempt ended well and changed nothing.
    pub unchanged: bool,
}

/// A call of a script, as the journal has it.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// The attempt, from 1.
    pub attempt: u32,
    /// Its place among the attempt's calls, from 0.
    pub ordinal: u32,
    /// The action.
    pub action: String,
    /// The host it was asked for, where that is named.
    pub host: Option<String>,
    /// Arguments, secrets redacted.
    pub args: Json,
    /// Digest of the arguments.
    pub args_digest: String,
    /// What came of it.
    pub outcome: CallOutcome,
    /// Paths that it left changed, as far as that is known.
    pub wrote: Vec<String>,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub enum CallOutcome {
    /// Nobody recorded it.
    Open,
    /// It ended well.
    Done {
        /// With this result.
        result: Json,
        /// The digest of the result, when a secret keeps a part of it out.
        withheld: Option<String>,
        /// And changed something.
        changed: bool,
    },
    /// It failed.
    Failed(FaultInfo),
}

impl Intent {
    /// Its effect happened, or may have.
    pub fn may_have_changed(&self) -> bool {
        !self.not_done && !self.unchanged
    }

    /// Its effect happened, or a part of it, or may have: it cannot be called untouched.
    pub fn may_have_begun(&self) -> bool {
        !self.not_begun && !self.unchanged
    }

    /// Only `not-begun` is certain. "Not done" is also said of a part that is harmlessly done again, and by a person of what
    /// began and did not work.
    fn found_not_done(&mut self, verdict: &str) {
        self.not_done = true;
        self.not_begun = verdict == "not-begun";
    }

    /// What the action noted before its effect, for finding out what came of it and for taking it back.
    ///
    /// # Errors
    /// A secret was part of it, so it is not whole: to go by the rest would be to take back something else, or nothing.
    pub fn noted(&self) -> Result<&Value, String> {
        self.memo.unknown().map_or(Ok(&self.memo), |(keys, why)| {
            let part = if keys.is_empty() { String::new() } else { format!(" (`{}`)", keys.join(".")) };
            Err(format!("what {} noted before its change{part} is not whole: {why}", self.action))
        })
    }
}

impl UnitRecord {
    pub(super) fn new() -> Self {
        Self {
            state: UnitState::Pending,
            attempt: 0,
            facts: Json::Null,
            facts_withheld: IndexMap::new(),
            plan: Json::Null,
            result: Json::Null,
            changed: false,
            intents: Vec::new(),
            calls: Vec::new(),
            call_records: 0,
            wrote: Vec::new(),
            recorded: true,
            undos: 0,
            undo_failed: false,
            not_begun: false,
            left_out: None,
            failure: None,
            only_trust: false,
            seq: 0,
        }
    }

    /// The latest intent.
    pub fn intent(&self) -> Option<&Intent> {
        self.intents.last()
    }

    /// The call of an attempt with this ordinal.
    pub fn call(&self, attempt: u32, ordinal: u32) -> Option<&CallRecord> {
        self.calls.iter().find(|call| call.is(attempt, ordinal))
    }

    /// The intent of the call that is under way, or may be.
    pub fn open_call(&self) -> Option<&Intent> {
        let intent = self.intent()?;
        let call = self.call(intent.attempt, intent.call?)?;
        matches!(call.outcome, CallOutcome::Open).then_some(intent)
    }

    /// Did an attempt of its script begin a call that changes something?
    pub fn called(&self, attempt: u32) -> bool {
        self.intents.iter().any(|intent| intent.attempt == attempt && intent.call.is_some())
    }

    /// A rollback has to look at it.
    pub fn may_have_changed(&self) -> bool {
        !self.intents.is_empty() && self.state != UnitState::TakenBack
    }

    /// Is what it is for so: done by it, or found to be so already?
    pub fn is_so(&self) -> bool {
        self.state == UnitState::Done || self.skipped_for(SkipReason::AlreadyDone)
    }

    /// Is it left out, for this reason?
    pub fn skipped_for(&self, reason: SkipReason) -> bool {
        self.state == UnitState::Skipped && self.left_out == Some(reason)
    }

    pub(super) fn keep(&mut self, event: &Event, attempt: u32) {
        if let Event::UnitSkipped { reason, .. } = event {
            self.left_out = Some(*reason);
        }
        match event {
            Event::UnitFacts { facts, withheld } => {
                self.facts = object(facts);
                self.only_trust = false;
                self.facts_withheld.clone_from(withheld);
            }
            Event::UnitIntent { action, args, args_digest, memo, touches } => {
                // What changes something in a script are its calls, each with an intent of its own.
                let script = action == SCRIPT;
                let own = self.begun(attempt, (action, args, args_digest), memo, touches);
                self.intents.push(Intent { unchanged: script, ..own });
                self.failure = None;
                self.recorded = script;
            }
            Event::UnitApplied { result, changed } => {
                self.result = result.clone();
                self.changed = *changed;
            }
            Event::UnitDone { result, changed, wrote, .. } => {
                self.result = result.clone();
                self.changed = *changed;
                self.recorded = true;
                self.only_trust = false;
                let own = self.intents.iter_mut().filter(|intent| {
                    intent.attempt == attempt && intent.call.is_none() && intent.action != SCRIPT
                });
                own.for_each(|intent| intent.unchanged = !changed);
                self.left(wrote);
            }
            Event::UnitReconciled { verdict, result, wrote, .. } if verdict == "done" => {
                self.result = result.clone();
                self.recorded = true;
                self.left(wrote);
                self.changed = true;
            }
            Event::UnitReconciled { verdict, .. } if matches!(verdict.as_str(), "not-done" | "not-begun") => {
                let own = self.intents.iter_mut().filter(|intent| intent.attempt == attempt);
                own.for_each(|intent| intent.found_not_done(verdict));
            }
            Event::UnitRetried { .. } => {
                let own = self.intents.last_mut().filter(|intent| intent.attempt == attempt);
                own.into_iter().for_each(|intent| intent.tries += 1);
            }
            Event::UnitPlanned { .. } => {
                // The record was written as JSON already, so this cannot fail; no plan equals none.
                self.plan = serde_json::to_value(event).unwrap_or_default();
            }
            Event::UnitUndoIntent { .. } => self.undos += 1,
            Event::UnitUndoFailed { .. } => self.undo_failed = true,
            Event::UnitFailed { fault, before_effect, only_trust, wrote, .. } => {
                self.failure = Some(fault.clone());
                self.only_trust = *only_trust;
                self.recorded = !machine::loses(&fault.kind);
                self.left(wrote);
                if *before_effect {
                    self.not_begun |= self.intents.iter().any(|intent| intent.attempt == attempt);
                    self.intents.retain(|intent| intent.attempt != attempt);
                }
            }
            _ => self.keep_call(event, attempt),
        }
    }

    fn keep_call(&mut self, event: &Event, attempt: u32) {
        match event {
            Event::CallIntent { .. } => self.begin_call(event, attempt),
            Event::CallDone {
                ordinal,
                action,
                host,
                args,
                args_digest,
                result,
                withheld,
                changed,
                wrote,
            } => {
                let outcome = CallOutcome::Done {
                    result: result.clone(),
                    withheld: withheld.clone(),
                    changed: *changed,
                };
                let call = CallRecord::new(attempt, *ordinal, action, args, args_digest);
                self.end_call(CallRecord { host: host.clone(), outcome, ..call }, wrote, !changed);
            }
            Event::CallFailed { ordinal, action, host, args, args_digest, fault, before_effect, wrote } => {
                let outcome = CallOutcome::Failed(fault.clone());
                let call = CallRecord::new(attempt, *ordinal, action, args, args_digest);
                self.intents_of(attempt, *ordinal).for_each(|intent| intent.not_begun = *before_effect);
                self.end_call(CallRecord { host: host.clone(), outcome, ..call }, wrote, *before_effect);
            }
            Event::CallReconciled { ordinal, verdict, result, withheld, wrote, .. } if verdict == "done" => {
                let outcome =
                    CallOutcome::Done { result: result.clone(), withheld: withheld.clone(), changed: true };
                let known = self.call(attempt, *ordinal).cloned();
                known.into_iter().for_each(|call| {
                    self.end_call(CallRecord { outcome: outcome.clone(), ..call }, wrote, false);
                });
            }
            Event::CallReconciled { ordinal, verdict, .. } => {
                self.call_records += 1;
                self.calls.retain(|call| !call.is(attempt, *ordinal));
                self.intents_of(attempt, *ordinal).for_each(|intent| intent.found_not_done(verdict));
            }
            _ => {}
        }
    }

    fn begin_call(&mut self, event: &Event, attempt: u32) {
        let Event::CallIntent { ordinal, action, args, args_digest, withheld, memo, touches, receipts } =
            event
        else {
            return;
        };
        self.put_call(CallRecord::new(attempt, *ordinal, action, args, args_digest));
        self.call_records += 1;
        self.recorded = false;
        let own = self.begun(attempt, (action, args, args_digest), memo, touches);
        let (call, receipts, withheld) = (Some(*ordinal), *receipts, *withheld);
        self.intents.push(Intent { call, receipts, withheld, ..own });
    }

    fn begun(
        &self,
        attempt: u32,
        (action, args, args_digest): (&str, &IndexMap<String, Json>, &str),
        memo: &Json,
        touches: &[Touched],
    ) -> Intent {
        Intent {
            action: action.to_owned(),
            args: object(args),
            args_digest: args_digest.to_owned(),
            withheld: false,
            memo: scope::kept_within(memo),
            touches: touches.to_vec(),
            attempt,
            facts: self.facts.clone(),
            call: None,
            receipts: 0,
            not_done: false,
            not_begun: false,
            tries: 1,
            unchanged: false,
        }
    }

    /// The end of a call whose intent is known has no arguments: they stay.
    fn put_call(&mut self, call: CallRecord) {
        match self.calls.iter_mut().find(|known| known.is(call.attempt, call.ordinal)) {
            Some(known) => (known.outcome, known.wrote) = (call.outcome, call.wrote),
            None => self.calls.push(call),
        }
    }

    fn end_call(&mut self, call: CallRecord, wrote: &[Touched], unchanged: bool) {
        self.call_records += 1;
        self.recorded = true;
        self.intents_of(call.attempt, call.ordinal).for_each(|intent| intent.unchanged = unchanged);
        let wrote_now = wrote.iter().map(|touch| touch.path.clone()).collect();
        self.put_call(CallRecord { wrote: wrote_now, ..call });
        self.left(wrote);
    }

    /// The intents of a call: more than one where it was begun again after nothing of it had happened.
    fn intents_of(&mut self, attempt: u32, ordinal: u32) -> impl Iterator<Item = &mut Intent> {
        let wanted = move |intent: &&mut Intent| {
            intent.attempt == attempt && intent.call == Some(ordinal) && !intent.not_done
        };
        self.intents.iter_mut().filter(wanted)
    }

    fn left(&mut self, wrote: &[Touched]) {
        self.wrote.retain(|known| wrote.iter().all(|touch| touch.path != known.path));
        self.wrote.extend(wrote.iter().cloned());
    }
}

impl CallRecord {
    fn new(
        attempt: u32,
        ordinal: u32,
        action: &str,
        args: &IndexMap<String, Json>,
        args_digest: &str,
    ) -> Self {
        Self {
            attempt,
            ordinal,
            action: action.to_owned(),
            host: None,
            args: object(args),
            args_digest: args_digest.to_owned(),
            outcome: CallOutcome::Open,
            wrote: Vec::new(),
        }
    }

    fn is(&self, attempt: u32, ordinal: u32) -> bool {
        self.attempt == attempt && self.ordinal == ordinal
    }
}

fn object(map: &IndexMap<String, Json>) -> Json {
    Json::Object(map.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
}
