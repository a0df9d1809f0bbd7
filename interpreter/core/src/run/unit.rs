//! One attempt of one unit, in its order: when, facts, check, plan, gate, re-read, intent, backup, apply,
//! expect, outcome.

use super::{
    first,
    machine::UnitState,
    rollback::settle::Settling,
    scope::{ToCome, kept_within},
    session::Session,
    stop::Stop,
};
use crate::{
    journal::format::sha256_hex,
    model::{Call, Step, Work},
};
use indexmap::IndexMap;
use keybook_api::{
    Args, Cancel, Change, Effect, Event, Fault, FaultKind, Map, Plan, Span, Target, UnitId, Value,
    event::{FaultInfo, SkipReason, Touched},
};
use keybook_script::Expr;
use std::{sync::Arc, time::Instant};

/// How often a plan that changes between question and answer is asked about again.
const SETTLE_TRIES: u32 = 5;

/// One unit on its way through an attempt.
pub(super) struct Attempt<'s> {
    pub session: &'s Arc<Session>,
    pub step: &'s Step,
    pub unit: UnitId,
    pub number: u32,
    /// Cancelled by a stop; inside `atomic` never.
    pub cancel: Cancel,
    /// `--step`: ask before a change even without a gate.
    pub ask_each: bool,
    pub scope: Map,
    /// In a rollback, around a settling step: what a yes is to, and nothing else is shown.
    pub settling: Option<Settling>,
}

/// What is left to do after the preparations.
pub(super) enum Prepared {
    /// The unit was left out.
    LeftOut,
    /// It is to be applied.
    Go(Box<Ready>),
}

/// A unit that passed its gate.
pub(super) struct Ready {
    pub target: Arc<dyn Target>,
    pub args: Args,
    pub plan: Plan,
    /// Somebody said yes to the plan.
    pub approved: bool,
}

impl<'s> Attempt<'s> {
    /// Begins the next attempt of a unit.
    pub fn new(
        session: &'s Arc<Session>,
        step: &'s Step,
        unit: UnitId,
        item: &Value,
        cancel: Cancel,
    ) -> Self {
        Self::foreseen(session, step, unit, item, cancel, &ToCome::default())
    }

    /// The same in a plan, after steps that are to come.
    pub fn foreseen(
        session: &'s Arc<Session>,
        step: &'s Step,
        unit: UnitId,
        item: &Value,
        cancel: Cancel,
        to_come: &ToCome,
    ) -> Self {
        let number = session.log.state(|state| state.unit(&unit).map_or(0, |known| known.attempt)) + 1;
        let scope = session.scope_after(to_come, &unit, item);
        Self {
            session,
            step,
            unit,
            number,
            cancel,
            ask_each: session.options.ask_each,
            scope,
            settling: None,
        }
    }

    /// Goes on with an attempt that is in the journal already.
    pub fn resumed(
        session: &'s Arc<Session>,
        step: &'s Step,
        unit: UnitId,
        item: &Value,
        cancel: Cancel,
    ) -> Self {
        let mut attempt = Self::new(session, step, unit, item, cancel);
        attempt.number -= 1;
        let facts =
            session.log.state(|state| state.unit(&attempt.unit).map(|known| kept_within(&known.facts)));
        attempt.scope.insert("facts".to_owned(), facts.unwrap_or_default());
        attempt
    }

    /// Writes a record of this attempt.
    pub fn write(&self, event: Event) -> Result<(), Fault> {
        self.session.log.unit(&self.unit, self.number, event)
    }

    /// Writes a record of this attempt, which is on the disk when this returns.
    pub(super) async fn write_synced(&self, event: Event) -> Result<(), Fault> {
        self.session.log.unit_synced(&self.unit, self.number, event).await
    }

    /// Carries the unit out, or goes on with its script. Ok when it is done or was left out.
    pub async fn carry_out(mut self) -> Result<(), Stop> {
        let begun = Instant::now();
        if let Work::Script(script) = &self.step.work
            && self.state().in_flight()
        {
            return self.carry_on(script).await;
        }
        match self.prepare_or_fail(begun).await? {
            Prepared::LeftOut => Ok(()),
            Prepared::Go(ready) => self.effect(*ready, begun).await,
        }
    }

    /// Everything before the intent; a fault is recorded. A gate that nobody answered is no failure.
    pub async fn prepare_or_fail(&mut self, begun: Instant) -> Result<Prepared, Stop> {
        match self.prepare().await {
            Err(Stop::Fault(fault)) if fault.kind != FaultKind::Waiting => Err(self.fail(fault, true, begun)),
            other => other,
        }
    }

    /// Records a failure and makes the stop of it.
    pub fn fail(&self, fault: Fault, before_effect: bool, begun: Instant) -> Stop {
        self.record_failure(fault, (before_effect, false), Vec::new(), begun)
    }

    /// Records a failure after the effect, with the state of what the unit may have changed.
    pub fn fail_having_written(&self, fault: Fault, wrote: Vec<Touched>, begun: Instant) -> Stop {
        self.record_failure(fault, (false, false), wrote, begun)
    }

    /// Records that the trust which the unit left is wrong, or could not be judged; the unit itself worked.
    pub fn fail_only_trust(&self, fault: Fault, wrote: Vec<Touched>, begun: Instant) -> Stop {
        // Where the host was lost meanwhile, it is looked for like after any other loss.
        let only_trust = !super::machine::loses(fault.kind.word());
        self.record_failure(fault, (false, only_trust), wrote, begun)
    }

    fn record_failure(
        &self,
        fault: Fault,
        (before_effect, only_trust): (bool, bool),
        wrote: Vec<Touched>,
        begun: Instant,
    ) -> Stop {
        let fault = if self.unit.host == super::hosts::LOCAL { fault } else { fault.on(&self.unit.host) };
        let fault = self.concealed(fault).at(&self.step.span);
        let (told, took_ms) = (FaultInfo::from(&fault), millis(begun));
        let event = Event::UnitFailed { fault: told, before_effect, only_trust, wrote, took_ms };
        match self.write(event) {
            Ok(()) => Stop::Fault(fault),
            Err(journal) => Stop::Fault(journal),
        }
    }

    /// A fault of a secret step may quote what its command printed, so only its kind and place are told.
    pub(super) fn concealed(&self, fault: Fault) -> Fault {
        if !self.step.secret {
            return fault;
        }
        let cause = format!("{} (the step is secret, so no more is told)", fault.kind.word());
        let told = Fault::new(fault.kind, format!("carry out {}", self.unit), cause);
        Fault { host: fault.host, at: fault.at, ..told }
    }

    async fn prepare(&mut self) -> Result<Prepared, Stop> {
        if let Some(when) = &self.step.when
            && !self.truth(when, "when")?
        {
            return self.leave_out(SkipReason::When, "its condition is false").await;
        }
        self.session.before_step(self.step, &self.unit, self.number).await?;
        let target = self.session.hosts.get(&self.unit.host).await?;
        let facts = self.facts(&target).await?;
        self.scope.insert("facts".to_owned(), Value::Map(facts));
        if let Some(check) = &self.step.check
            && !self.settles_again()
            && self.truth(check, "check")?
        {
            return self.leave_out(SkipReason::AlreadyDone, "its check says that it is so already").await;
        }
        let args = match &self.step.work {
            Work::Steps(_) => return self.prepare_parent(target).await,
            Work::Action(call) => self.args(call)?,
            Work::Script(_) => Args::default(),
        };
        self.settle_plan(target, args).await
    }

    /// A rollback has put back what was there before the daemon read it: a check that was written for the way forward says
    /// nothing about that.
    pub(super) fn settles_again(&self) -> bool {
        self.step.settles_within() && self.unit.step.starts_with("rollback/")
    }

    /// A step with steps: its gate shows what the steps inside would do now.
    async fn prepare_parent(&mut self, target: Arc<dyn Target>) -> Result<Prepared, Stop> {
        self.library_fits()?;
        let go = |target, plan| {
            Ok(Prepared::Go(Box::new(Ready { target, args: Args::default(), plan, approved: false })))
        };
        if self.step.gate.is_none() {
            let (plan, _) = self.plan_work(&target, &Args::default()).await?;
            self.write(planned(&plan))?;
            return go(target, plan);
        }
        let mut changed: Option<String> = None;
        for _ in 0..SETTLE_TRIES {
            let plan = self.plan_inside().await;
            self.write(planned(&plan))?;
            if let Some(skip) = self.ask(&plan, changed.take()).await? {
                return self.leave_out(SkipReason::Operator, &skip).await;
            }
            let again = self.plan_inside().await;
            let Some(difference) = difference(&plan, &again) else { return go(target, again) };
            self.write(Event::UnitPlanChanged { detail: difference.clone() })?;
            changed = Some(difference);
        }
        Err(self.unsettled().into())
    }

    /// Can the library that this step uses be given what it asks for?
    pub(super) fn library_fits(&self) -> Result<(), Stop> {
        let Some(library) = &self.step.library else { return Ok(()) };
        library.inputs(&self.session.script, &self.scope)?;
        Ok(())
    }

    /// Plan, gate, re-read: until the plan that was approved is the plan that is true.
    async fn settle_plan(&mut self, target: Arc<dyn Target>, args: Args) -> Result<Prepared, Stop> {
        let mut changed: Option<String> = None;
        for _ in 0..SETTLE_TRIES {
            let (plan, effect) = self.plan_work(&target, &args).await?;
            self.write(planned(&plan))?;
            let changing = effect == Effect::Changes && plan.change != Change::Wont;
            let gated = self.step.gate.is_some() || (self.ask_each && changing);
            if plan.change == Change::Wont && effect == Effect::Changes && self.may_leave_out() {
                let detail = plan.lines.join("; ");
                return self.leave_out(SkipReason::NothingToChange, &detail).await;
            }
            if !gated || (plan.change == Change::Wont && effect == Effect::Changes) {
                return Ok(Prepared::Go(Box::new(Ready { target, args, plan, approved: false })));
            }
            if let Some(skip) = self.ask(&plan, changed.take()).await? {
                return self.leave_out(SkipReason::Operator, &skip).await;
            }
            let (again, _) = self.plan_work(&target, &args).await?;
            let Some(difference) = self.difference(&plan, &again) else {
                return Ok(Prepared::Go(Box::new(Ready { target, args, plan: again, approved: true })));
            };
            self.write(Event::UnitPlanChanged { detail: difference.clone() })?;
            changed = Some(difference);
        }
        Err(self.unsettled().into())
    }

    /// What the step would do now, and what that may do to the world.
    pub(super) async fn plan_work(
        &self,
        target: &Arc<dyn Target>,
        args: &Args,
    ) -> Result<(Plan, Effect), Stop> {
        Ok(match &self.step.work {
            Work::Action(call) => (self.describe(call, target, args).await?, self.effect_of(call)?),
            Work::Steps(children) => {
                (Plan::will(children.iter().map(|child| child.title.clone())), Effect::Run)
            }
            Work::Script(script) => match self.plan_script(script, target).await?.0 {
                // Carried out all the same, as what only reads is: for its notes, and its result.
                plan if plan.change == Change::Wont => (plan, Effect::Reads),
                plan => (plan, Effect::Changes),
            },
        })
    }

    fn difference(&self, approved: &Plan, now: &Plan) -> Option<String> {
        match &self.step.work {
            Work::Script(_) => first::difference(approved, now),
            Work::Action(_) | Work::Steps(_) => difference(approved, now),
        }
    }

    fn unsettled(&self) -> Fault {
        Fault::failed(format!("settle the plan of {}", self.unit), "it changed each time it was approved")
            .now("nothing was changed")
            .hint("find out who else works on this host")
    }

    /// A unit whose result nobody needs is left out when there is nothing to change.
    fn may_leave_out(&self) -> bool {
        self.step.register.is_none() && self.step.expect.is_empty()
    }

    async fn leave_out(&self, reason: SkipReason, detail: &str) -> Result<Prepared, Stop> {
        if matches!(reason, SkipReason::AlreadyDone | SkipReason::NothingToChange) {
            self.trust_again().await?;
        }
        self.write(Event::UnitSkipped { reason, detail: detail.to_owned() })?;
        self.settle()?;
        Ok(Prepared::LeftOut)
    }

    pub(super) async fn facts(&self, target: &Arc<dyn Target>) -> Result<Map, Stop> {
        let facts = self.read_facts(target).await?;
        let (mut kept, mut withheld) = (IndexMap::new(), IndexMap::new());
        for (name, value) in &facts {
            let (json, digest) = self.journaled(value);
            kept.insert(name.clone(), json);
            withheld.extend(digest.map(|digest| (name.clone(), digest)));
        }
        self.write(Event::UnitFacts { facts: kept, withheld })?;
        Ok(facts)
    }

    pub(super) async fn read_facts(&self, target: &Arc<dyn Target>) -> Result<Map, Stop> {
        let mut facts = Map::new();
        for (name, call) in &self.step.facts {
            facts.insert(name.clone(), self.read_fact(call, target).await?);
        }
        Ok(facts)
    }

    pub(super) async fn read_fact(&self, call: &Call, target: &Arc<dyn Target>) -> Result<Value, Stop> {
        let args = self.args(call)?;
        let action = self.action(call)?;
        let ctx = self.session.ctx(Arc::clone(target), &self.unit, self.number, false, self.cancel.clone());
        let applied = action.apply(&ctx, &args).await.map_err(|fault| fault.at(&call.span))?;
        Session::learn(&self.session.redactor, &applied.value);
        Ok(applied.value)
    }

    pub(super) async fn describe(
        &self,
        call: &Call,
        target: &Arc<dyn Target>,
        args: &Args,
    ) -> Result<Plan, Stop> {
        let ctx = self.session.ctx(Arc::clone(target), &self.unit, self.number, false, self.cancel.clone());
        let mut plan = self.action(call)?.describe(&ctx, args).await.map_err(|fault| fault.at(&call.span))?;
        let args = Value::Map(args.0.clone());
        if args.has_secret() {
            // The plan does not show them, but a yes counts for the same ones only.
            plan.basis.push_str(&self.session.digest(&args));
        }
        Ok(self.shown(plan))
    }

    /// A plan as it may be told of.
    pub(super) fn shown(&self, plan: Plan) -> Plan {
        if !self.step.secret {
            return plan;
        }
        Plan { lines: vec!["(not shown: the step is secret)".to_owned()], diffs: Vec::new(), ..plan }
    }

    /// The rendered and checked arguments of a call.
    pub fn args(&self, call: &Call) -> Result<Args, Stop> {
        Ok(self.session.args(call, self.action(call)?.spec(), &self.scope)?)
    }

    /// The action of a call.
    pub fn action(&self, call: &Call) -> Result<Arc<dyn keybook_api::Action>, Stop> {
        Ok(self.action_named(&call.action, &call.span)?)
    }

    /// The action of a name; `at` is where it is asked for.
    pub fn action_named(&self, name: &str, at: &Span) -> Result<Arc<dyn keybook_api::Action>, Fault> {
        let found = self.session.registry.get(name).cloned();
        found.ok_or_else(|| Fault::usage(format!("use `{name}`"), "there is no such action").at(at))
    }

    pub fn effect_of(&self, call: &Call) -> Result<Effect, Stop> {
        Ok(self.action(call)?.spec().effect)
    }

    /// An expression that must be true or false.
    pub fn truth(&self, expr: &Expr, what: &str) -> Result<bool, Stop> {
        let value =
            self.session.script.eval(expr, &self.scope).map_err(|error| {
                Fault::failed(format!("evaluate `{what}`"), &error.message).at(&error.span)
            })?;
        value.as_bool().ok_or_else(|| {
            let cause = format!("expected true or false, got {}", value.type_name());
            Stop::Fault(Fault::failed(format!("evaluate `{what}`"), cause).at(&expr.text().whole()))
        })
    }

    /// Where the unit stands now.
    pub fn state(&self) -> UnitState {
        self.session.log.state(|state| state.unit_state(&self.unit))
    }
}

/// Whole milliseconds since then.
pub fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn planned(plan: &Plan) -> Event {
    Event::UnitPlanned {
        change: plan.change.clone(),
        lines: plan.lines.clone(),
        diffs: plan.diffs.clone(),
        basis: sha256_hex(plan.basis.as_bytes()),
    }
}

/// What is different between two plans; `None` when they are the same.
pub(super) fn difference(approved: &Plan, now: &Plan) -> Option<String> {
    if approved.change != now.change {
        return Some("whether it changes anything".to_owned());
    }
    let of = |plan: &Plan, path: &str| plan.diffs.iter().find(|diff| diff.path == path).cloned();
    for diff in approved.diffs.iter().chain(&now.diffs) {
        if of(approved, &diff.path) != of(now, &diff.path) {
            return Some(format!("{} changed meanwhile", diff.path));
        }
    }
    if approved.lines != now.lines {
        return Some("what it does".to_owned());
    }
    (approved.basis != now.basis).then(|| "what it reads was changed meanwhile".to_owned())
}

/// A stop that a fault of kind `Waiting` means: nobody answered. The settling steps of a rollback have other names each time: their own
/// answers them all.
pub fn unanswered(unit: &UnitId, question: &str) -> Fault {
    let own = UnitId { step: crate::model::canonical(&unit.step), ..unit.clone() };
    let hint = match unit.step.starts_with("rollback/") {
        true => format!("answer it in the answers file under `{own}`, then roll back again"),
        false => {
            format!("answer it in the answers file under `{unit}`, or with `keybook approve`, then resume")
        }
    };
    Fault::new(FaultKind::Waiting, format!("pass the gate of {unit}"), format!("nobody answered: {question}"))
        .now("the unit was not begun")
        .hint(hint)
}
