//! The calls of a script. Each that changes something is intended, kept, carried out and recorded like a unit of its
//! own; what the journal has already is not done again.

use super::{
    effect::touched,
    first,
    machine::{UnitState, loses},
    script::{Refusal, Serves},
    session::Session,
    state::{CallOutcome, CallRecord, Intent},
    stop::redact,
    unit::Attempt,
};
use async_trait::async_trait;
use indexmap::IndexMap;
use keybook_api::{
    Action, Applied, Args, Cancel, Effect, Event, Fault, FaultKind, Map, Plan, Reconcile, Target, Value,
    action::{check_args, seal_args},
    event::{FaultInfo, Touched},
    value::REDACTED,
};
use serde_json::Value as Json;
use std::{collections::BTreeMap, sync::Arc};

/// The most calls of one attempt. A script that makes more goes round in circles.
const MOST_CALLS: u32 = 10_000;

/// How many numbers of receipts each call has for itself, its undos included.
const CALL_RECEIPTS: u32 = 100_000;

/// What an operator can do about a script that cannot be gone on with.
pub(super) const FROM_ITS_START: &str =
    "roll back, or resume: the script then begins from its start, with what it reads now";

/// A call as a script asks for it, checked.
pub(super) struct Asked {
    /// The action's name.
    pub name: String,
    host: Option<String>,
    args: Args,
    /// Keyed digest of the arguments.
    pub digest: String,
    action: Arc<dyn Action>,
}

impl Asked {
    /// Its action only reads.
    pub fn reads(&self) -> bool {
        self.action.spec().effect == Effect::Reads
    }

    fn changes(&self) -> bool {
        self.action.spec().effect == Effect::Changes
    }

    /// After this fault nobody knows how things stand, so a script cannot go on by catching it.
    fn is_cut_by(&self, fault: &Fault) -> bool {
        match self.changes() {
            true => loses(fault.kind.word()),
            false => matches!(fault.kind, FaultKind::Unreachable | FaultKind::Stopped),
        }
    }

    fn shown(&self) -> String {
        let host = self.host.as_ref().map(|host| format!("@{host}")).unwrap_or_default();
        format!("{}{host} {}", self.name, Value::Map(self.args.0.clone()).to_json())
    }
}

/// Carries calls out for an attempt, and keeps track of what was found.
pub(super) struct Caller<'a, 's> {
    attempt: &'a Attempt<'s>,
    target: Arc<dyn Target>,
    cancel: Cancel,
    /// How many calls were made.
    made: u32,
}

impl<'a, 's> Caller<'a, 's> {
    /// Calls on the unit's host; `cancel` ends the action that is under way.
    pub fn new(attempt: &'a Attempt<'s>, target: Arc<dyn Target>, cancel: Cancel) -> Self {
        Self { attempt, target, cancel, made: 0 }
    }

    /// Counts the call, finds its action and checks the arguments.
    pub fn asked(&mut self, asked: &str, args: Map) -> Result<Asked, Refusal> {
        self.made += 1;
        if self.made > MOST_CALLS {
            let attempted = format!("run the script of {}", self.attempt.unit);
            let why = format!("it makes more than {MOST_CALLS} calls");
            return Err(Refusal::Ends(Fault::failed(attempted, why)));
        }
        self.checked(asked, args).map_err(Refusal::Failed)
    }

    fn checked(&self, asked: &str, args: Map) -> Result<Asked, Fault> {
        let session = self.attempt.session;
        let (name, host) = match asked.split_once('@') {
            Some((name, host)) => (name, Some(host.to_owned())),
            None => (asked, None),
        };
        let attempted = || format!("use `{asked}` in the script of {}", self.attempt.unit);
        let action = session.registry.get(name).cloned();
        let action = action.ok_or_else(|| Fault::usage(attempted(), "there is no such action"))?;
        if host.is_some() && action.spec().effect != Effect::Reads {
            let why = "it does not only read, and such a call works on the unit's own host only";
            return Err(Fault::usage(attempted(), why).now("this call did nothing").hint(
                "write it without `@`, or make a step of it, with `hosts`, a gate, a backup and a way back there",
            ));
        }
        check_args(action.spec(), &args)?;
        let args = Value::Map(seal_args(action.spec(), args));
        Session::learn(&session.redactor, &args);
        let digest = session.digest(&args);
        let args = Args(args.as_map().cloned().unwrap_or_default());
        Ok(Asked { name: name.to_owned(), host, digest, args, action })
    }

    /// A call that only reads.
    pub async fn read(&self, asked: &Asked) -> Result<Value, Fault> {
        let session = self.attempt.session;
        let target = match &asked.host {
            Some(host) => session.hosts.get(host).await?,
            None => Arc::clone(&self.target),
        };
        let ctx = session.ctx(target, &self.attempt.unit, self.attempt.number, false, self.cancel.clone());
        let applied = asked.action.apply(&ctx, &asked.args).await?;
        Session::learn(&session.redactor, &applied.value);
        Ok(applied.value)
    }

    /// What a call would do.
    pub async fn describe(&self, asked: &Asked) -> Result<Plan, Fault> {
        let (session, attempt) = (self.attempt.session, self.attempt);
        let ctx =
            session.ctx(Arc::clone(&self.target), &attempt.unit, attempt.number, false, self.cancel.clone());
        asked.action.describe(&ctx, &asked.args).await
    }

    /// Does it. The receipts of its commands begin with this number.
    async fn apply(&self, asked: &Asked, plan: &Plan, receipts: u32) -> Result<Applied, Fault> {
        let attempt = self.attempt;
        let target = Arc::clone(&self.target);
        let mut ctx = attempt.session.ctx(target, &attempt.unit, attempt.number, true, self.cancel.clone());
        ctx.first_receipt = receipts;
        ctx.planned = plan.memo.clone();
        let outcome = attempt.perform(&*asked.action, &ctx, &asked.args).await;
        attempt.forgive(&*asked.action, outcome)
    }

    /// A failed call as the journal, and so the script, is told of it.
    pub fn refusal(&self, asked: &Asked, fault: Fault) -> Refusal {
        let host = asked.host.as_ref().unwrap_or(&self.attempt.unit.host);
        let fault = if host == super::hosts::LOCAL { fault } else { fault.on(host) };
        if asked.is_cut_by(&fault) {
            return Refusal::Ends(fault);
        }
        let told = redact(self.attempt.concealed(fault), &self.attempt.session.redactor);
        // As it comes back from the journal, so that the script finds the same when it is run again.
        Refusal::Failed(Fault::from(&FaultInfo::from(&told)))
    }
}

/// Serves the calls of one attempt: from the journal as far as that goes, then on the hosts.
pub(super) struct Calls<'a, 's> {
    caller: Caller<'a, 's>,
    /// The ordinal of the next call.
    next: u32,
    /// How many calls the journal had when the script was begun.
    known: u32,
    /// The plan that was approved, until the first change.
    approved: Option<Plan>,
    /// The arguments of calls in the journal, when only they are wanted.
    recalled: Option<BTreeMap<u32, Args>>,
}

impl<'a, 's> Calls<'a, 's> {
    /// Repeats what the journal has, then goes on. `approved` is the plan that somebody said yes to.
    pub fn new(
        attempt: &'a Attempt<'s>,
        target: Arc<dyn Target>,
        cancel: Cancel,
        approved: Option<Plan>,
    ) -> Self {
        let known = attempt.session.log.state(|state| {
            let calls = state.unit(&attempt.unit).map(|known| known.calls.as_slice()).unwrap_or_default();
            calls.iter().filter(|call| call.attempt == attempt.number).count()
        });
        let known = u32::try_from(known).unwrap_or(u32::MAX);
        Self { caller: Caller::new(attempt, target, cancel), next: 0, known, approved, recalled: None }
    }

    /// Repeats what the journal has and ends there, to learn the arguments.
    pub fn recalling(attempt: &'a Attempt<'s>, target: Arc<dyn Target>, cancel: Cancel) -> Self {
        Self { recalled: Some(BTreeMap::new()), ..Self::new(attempt, target, cancel, None) }
    }

    /// The arguments of a call that was repeated.
    pub fn recalled(&self, ordinal: u32) -> Option<Args> {
        self.recalled.as_ref()?.get(&ordinal).cloned()
    }

    /// The script must not end before all that it once called was called again.
    pub fn all_repeated(&self) -> Result<(), Fault> {
        if self.next >= self.known {
            return Ok(());
        }
        Err(self.not_deterministic(self.next, "it ends before this call"))
    }

    fn recorded(&self, ordinal: u32) -> Option<CallRecord> {
        let attempt = self.caller.attempt;
        attempt.session.log.state(|state| state.unit(&attempt.unit)?.call(attempt.number, ordinal).cloned())
    }

    fn intent(&self, ordinal: u32) -> Option<Intent> {
        let attempt = self.caller.attempt;
        attempt.session.log.state(|state| {
            let mut latest = state.unit(&attempt.unit)?.intents.iter().rev();
            let of_call = |intent: &&Intent| intent.attempt == attempt.number && intent.call == Some(ordinal);
            latest.find(of_call).cloned()
        })
    }

    /// The result that the journal has, when this is the call that it has.
    async fn repeat(&mut self, record: CallRecord, asked: &Asked, ordinal: u32) -> Result<Value, Refusal> {
        if (record.action.as_str(), &record.host, record.args_digest.as_str())
            != (asked.name.as_str(), &asked.host, asked.digest.as_str())
        {
            let same_text = (record.action.as_str(), &record.host) == (asked.name.as_str(), &asked.host)
                && asked.args.0.values().any(Value::has_secret);
            let secret = if same_text { ", perhaps with another secret" } else { "" };
            let came = format!("it calls `{}`{secret}", self.shown(asked));
            return Err(Refusal::Ends(self.not_deterministic(ordinal, &came)));
        }
        match record.outcome {
            CallOutcome::Done { result, withheld: None, .. } => Ok(Value::from_json(&result)),
            CallOutcome::Done { result, withheld: Some(digest), .. } => {
                self.find_result(asked, ordinal, &result, &digest).await.map_err(Refusal::Ends)
            }
            CallOutcome::Failed(info) => Err(Refusal::Failed(Fault::from(&info))),
            CallOutcome::Open if self.recalled.is_some() => Err(Refusal::Enough),
            CallOutcome::Open => Err(Refusal::Ends(Fault::new(
                FaultKind::Unknown,
                format!("go on with the script of {}", self.caller.attempt.unit),
                format!("its call {} was under way, and what became of it is not known", ordinal + 1),
            ))),
        }
    }

    /// The result of a call that is done, where a secret kept a part of it out of the journal: that part is read again,
    /// or found by the action, and must be what it was. While arguments are recalled it need not: they are compared
    /// themselves. What is told or waited for is not told or waited for again.
    async fn find_result(
        &self,
        asked: &Asked,
        ordinal: u32,
        kept: &Json,
        digest: &str,
    ) -> Result<Value, Fault> {
        let attempt = self.caller.attempt;
        let found = match asked.action.spec().effect {
            Effect::Reads => self.caller.read(asked).await?,
            Effect::Changes => self.look_again(asked, ordinal).await?,
            Effect::Run | Effect::Tells => return Ok(without_secrets(kept)),
        };
        let whole = attempt.filled(kept, found);
        if self.recalled.is_some() || attempt.session.digest(&whole) == digest {
            return Ok(whole);
        }
        Err(match asked.reads() {
            true => self.not_deterministic(ordinal, "its result holds another secret than it held then"),
            false => self.not_found(asked, ordinal),
        })
    }

    /// What the action finds of a change that is done; null when it finds nothing.
    async fn look_again(&self, asked: &Asked, ordinal: u32) -> Result<Value, Fault> {
        let intent = self.intent(ordinal);
        let attempt = self.caller.attempt;
        let target = Arc::clone(&self.caller.target);
        let mut ctx =
            attempt.session.ctx(target, &attempt.unit, attempt.number, false, self.caller.cancel.clone());
        ctx.first_receipt = intent.as_ref().map_or(0, |intent| intent.receipts);
        let Ok(noted) = intent.as_ref().map_or(Ok(&Value::Null), Intent::noted) else {
            return Ok(Value::Null);
        };
        Ok(match asked.action.reconcile(&ctx, &asked.args, noted).await? {
            Reconcile::Done(value) => {
                Session::learn(&attempt.session.redactor, &value);
                value
            }
            Reconcile::NotDone | Reconcile::NotBegun | Reconcile::Unknown(_) => Value::Null,
        })
    }

    fn not_found(&self, asked: &Asked, ordinal: u32) -> Fault {
        Fault::failed(
            format!("go on with the script of {}", self.caller.attempt.unit),
            format!(
                "call {} (`{}`) is done, but its result held a secret and cannot be found again",
                ordinal + 1,
                asked.name
            ),
        )
        .now("that call was not repeated")
        .hint(FROM_ITS_START)
    }

    fn not_deterministic(&self, ordinal: u32, came: &str) -> Fault {
        let attempt = self.caller.attempt;
        let number = ordinal + 1;
        let was = match self.recorded(ordinal) {
            None => format!("it had no call {number}"),
            Some(call) if attempt.step.secret => format!("its call {number} was `{}`", call.action),
            Some(CallRecord { action, host, args, .. }) => {
                let host = host.map(|host| format!("@{host}")).unwrap_or_default();
                format!("its call {number} was `{action}{host} {args}`")
            }
        };
        Fault::failed(
            format!("run the script of {} again", attempt.unit),
            format!("the script is not deterministic: {was}, and now {came}"),
        )
        .now("what it called before was not repeated, and nothing else was called")
        .hint("what a script calls must follow from inputs, facts and the results of its calls alone")
        .hint(FROM_ITS_START)
    }

    fn shown(&self, asked: &Asked) -> String {
        let attempt = self.caller.attempt;
        if attempt.step.secret { asked.name.clone() } else { attempt.session.redactor.text(&asked.shown()) }
    }

    /// Remembers the arguments of a call that was begun like this, also when nothing came of it.
    fn recall(&mut self, asked: &Asked, ordinal: u32) {
        let begun = self.intent(ordinal).is_some_and(|intent| intent.args_digest == asked.digest);
        if let Some(recalled) = self.recalled.as_mut().filter(|_| begun) {
            recalled.insert(ordinal, asked.args.clone());
        }
    }

    /// A call that the journal does not have.
    async fn carry_out(&mut self, asked: &Asked, ordinal: u32) -> Result<Value, Refusal> {
        if asked.reads() {
            let outcome = self.caller.read(asked).await;
            return match outcome {
                Ok(value) => self.done(asked, ordinal, value, false, Vec::new()).await,
                Err(fault) => Err(self.failed(asked, ordinal, fault, true, Vec::new())),
            };
        }
        let plan = match self.caller.describe(asked).await {
            Ok(plan) => plan,
            Err(fault) => return Err(self.failed(asked, ordinal, fault, true, Vec::new())),
        };
        self.still_approved(asked, &plan)?;
        let receipts = match self.intend(asked, ordinal, &plan).await {
            Ok(receipts) => receipts,
            Err(fault) => return Err(self.failed(asked, ordinal, fault, true, Vec::new())),
        };
        match self.caller.apply(asked, &plan, receipts).await {
            Ok(applied) => self.applied(asked, ordinal, &plan, applied).await,
            Err(fault) if asked.is_cut_by(&fault) => Err(self.caller.refusal(asked, fault)),
            Err(fault) => {
                let attempt = self.caller.attempt;
                let (unit, target) = (&attempt.unit, &self.caller.target);
                let never = asked.changes()
                    && attempt.session.never_began(unit, &*asked.action, &asked.args, target, &fault).await;
                let wrote = self.written(asked, &plan).await.unwrap_or_default();
                Err(self.failed(asked, ordinal, fault, never, wrote))
            }
        }
    }

    /// A yes counts for the first change that was shown.
    fn still_approved(&mut self, asked: &Asked, plan: &Plan) -> Result<(), Refusal> {
        let Some(approved) = self.approved.take() else { return Ok(()) };
        let attempt = self.caller.attempt;
        let now = attempt.shown(first::planned(asked, plan.clone()));
        let Some(difference) = first::difference(&approved, &now) else { return Ok(()) };
        let attempted = format!("carry out {}", attempt.unit);
        let why = format!("its script does something else first than what was approved: {difference}");
        Err(Refusal::Ends(
            Fault::failed(attempted, why)
                .now("nothing was changed")
                .hint("resume: it is planned and asked again"),
        ))
    }

    /// Intent and originals of a call, all on disk before its effect. What changes nothing on a host needs neither.
    async fn intend(&self, asked: &Asked, ordinal: u32, plan: &Plan) -> Result<u32, Fault> {
        let attempt = self.caller.attempt;
        let (records, last) = attempt
            .session
            .log
            .state(|state| (state.unit(&attempt.unit).map_or(0, |known| known.call_records), state.last));
        let receipts = records.saturating_add(1).saturating_mul(CALL_RECEIPTS);
        if !asked.changes() {
            return Ok(receipts);
        }
        let touches = touched(&self.caller.target, &plan.touches).await?;
        let (args, withheld) = attempt.journaled_args(&asked.args);
        attempt
            .write_synced(Event::CallIntent {
                ordinal,
                action: asked.name.clone(),
                args,
                args_digest: asked.digest.clone(),
                withheld,
                memo: plan.memo.to_json(),
                touches: touches.clone(),
                receipts,
            })
            .await?;
        // A number of its own keeps the copies of each call apart.
        let store = attempt.store(Some(last));
        attempt.keep(&self.caller.target, attempt.worth_keeping(&touches), &store).await?;
        Ok(receipts)
    }

    async fn written(&self, asked: &Asked, plan: &Plan) -> Result<Vec<Touched>, Fault> {
        if !asked.changes() {
            return Ok(Vec::new());
        }
        let attempt = self.caller.attempt;
        let wide = plan.touches.is_empty() || !attempt.step.backup.is_empty();
        attempt.session.written(&self.caller.target, &attempt.unit.host, &plan.touches, wide).await
    }

    /// The effect happened. Where what it left cannot be recorded, the script ends.
    async fn applied(
        &self,
        asked: &Asked,
        ordinal: u32,
        plan: &Plan,
        applied: Applied,
    ) -> Result<Value, Refusal> {
        self.caller.attempt.take_over(&applied).await.map_err(Refusal::Ends)?;
        let wrote = self.written(asked, plan).await.map_err(|fault| {
            let unread = Fault { kind: FaultKind::Unknown, ..fault };
            Refusal::Ends(unread.now("the action ended well, but what it left could not be read"))
        })?;
        self.done(asked, ordinal, applied.value, applied.changed, wrote).await
    }

    async fn done(
        &self,
        asked: &Asked,
        ordinal: u32,
        value: Value,
        changed: bool,
        wrote: Vec<Touched>,
    ) -> Result<Value, Refusal> {
        let attempt = self.caller.attempt;
        let (result, withheld) = attempt.journaled(&value);
        let event = Event::CallDone {
            ordinal,
            action: asked.name.clone(),
            host: asked.host.clone(),
            args: self.unintended_args(asked, ordinal),
            args_digest: asked.digest.clone(),
            result,
            withheld,
            changed,
            wrote,
        };
        match attempt.write_synced(event).await {
            Ok(()) => Ok(value),
            Err(journal) => Err(Refusal::Ends(journal)),
        }
    }

    /// Records a failed call, unless it ends the script: then nothing of it is settled.
    fn failed(
        &self,
        asked: &Asked,
        ordinal: u32,
        fault: Fault,
        before_effect: bool,
        wrote: Vec<Touched>,
    ) -> Refusal {
        let fault = match self.caller.refusal(asked, fault) {
            Refusal::Failed(fault) => fault,
            other => return other,
        };
        let event = Event::CallFailed {
            ordinal,
            action: asked.name.clone(),
            host: asked.host.clone(),
            args: self.unintended_args(asked, ordinal),
            args_digest: asked.digest.clone(),
            fault: (&fault).into(),
            before_effect,
            wrote,
        };
        match self.caller.attempt.write(event) {
            Ok(()) => Refusal::Failed(fault),
            Err(journal) => Refusal::Ends(journal),
        }
    }

    /// The arguments, for people; those of a call with an intent stand there.
    fn unintended_args(&self, asked: &Asked, ordinal: u32) -> IndexMap<String, Json> {
        match self.recorded(ordinal) {
            Some(_) => IndexMap::new(),
            None => self.caller.attempt.journaled_args(&asked.args).0,
        }
    }
}

#[async_trait]
impl Serves for Calls<'_, '_> {
    async fn call(&mut self, name: &str, args: Map) -> Result<Value, Refusal> {
        let asked = self.caller.asked(name, args)?;
        let ordinal = self.next;
        self.next += 1;
        self.recall(&asked, ordinal);
        match self.recorded(ordinal) {
            Some(record) => self.repeat(record, &asked, ordinal).await,
            None if self.recalled.is_some() => Err(Refusal::Enough),
            None if self.caller.attempt.state() == UnitState::Applied => {
                let came = self.shown(&asked);
                Err(Refusal::Ends(self.not_deterministic(ordinal, &format!("it calls `{came}`"))))
            }
            None => self.carry_out(&asked, ordinal).await,
        }
    }

    /// What was told before it was interrupted is not told again.
    fn note(&mut self, text: &str) {
        let attempt = self.caller.attempt;
        if self.next < self.known || self.recalled.is_some() || attempt.step.secret {
            return;
        }
        // A journal that cannot be written is found at the next durable record.
        let _ = attempt.write(Event::UnitNote { text: text.to_owned() });
    }
}

/// What the journal keeps of a value, null where a secret was.
pub(super) fn without_secrets(kept: &Json) -> Value {
    match kept {
        Json::String(text) if text.contains(REDACTED) => Value::Null,
        Json::Array(list) => Value::List(list.iter().map(without_secrets).collect()),
        Json::Object(map) => {
            Value::Map(map.iter().map(|(key, item)| (key.clone(), without_secrets(item))).collect())
        }
        plain => Value::from_json(plain),
    }
}
