//! What became of units that were under way when the run was interrupted.

use super::{
    machine::{UnitState, loses},
    person::{Doubt, Verdict},
    session::{Session, sleep},
    state::Intent,
    stop::Stop,
    unit::Attempt,
};
use crate::model::{Call, Work, canonical};
use keybook_api::{
    Action, Args, Cancel, Ctx, Effect, Event, Fault, FaultKind, Reconcile, Target, UnitId, Value,
};
use keybook_script::Script;
use std::{sync::Arc, time::Duration};

/// How often, and how long apart, a host that was just lost is looked for.
const SOON: (u32, Duration) = (3, Duration::from_secs(2));

impl Session {
    /// Decides for every unit in flight. Those that nobody can decide stay unknown; with `ask`, a person is
    /// asked about them first.
    pub async fn reconcile_all(self: &Arc<Self>, ask: bool) -> Result<(), Stop> {
        let flying: Vec<UnitId> = self.log.state(|state| {
            state.units.iter().filter(|(_, unit)| unit.state.in_flight()).map(|(id, _)| id.clone()).collect()
        });
        for unit in flying {
            self.reconcile_one(&unit, ask).await?;
        }
        Ok(())
    }

    /// Right after a host was lost: perhaps it is back already.
    pub(super) async fn reconcile_soon(self: &Arc<Self>, unit: &UnitId) -> Result<(), Stop> {
        for _ in 0..SOON.0 {
            match self.reconcile_one(unit, false).await {
                Err(Stop::Fault(fault)) if lost(&fault) => {}
                outcome => return outcome,
            }
            if !sleep(SOON.1, &self.cancel).await {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn reconcile_one(self: &Arc<Self>, unit: &UnitId, ask: bool) -> Result<(), Stop> {
        let Some(step) = self.runbook.step_at(&unit.step) else {
            return Err(
                Fault::usage(format!("reconcile {unit}"), "the runbook has no such step any more").into()
            );
        };
        let Some(known) = self.log.state(|state| state.unit(unit).cloned()) else { return Ok(()) };
        let Some(intent) = known.intent() else { return Ok(()) };
        let resumed = || Attempt::resumed(self, step, unit.clone(), &self.item_of(unit), Cancel::new());
        let target = self.hosts.get(&unit.host).await?;
        let (call, verdict) = match &step.work {
            // Its steps are units of their own.
            Work::Steps(_) => return Ok(()),
            Work::Action(call) => {
                let found = found(self.look_for(resumed(), call, intent, &target).await)?;
                (None, self.confirm(resumed(), found)?)
            }
            Work::Script(_) if intent.call.is_none() => (None, Reconcile::NotDone),
            Work::Script(script) if known.open_call().is_some() => {
                let found = found(self.look_for_call(resumed(), script, intent, &target).await)?;
                (intent.call, found)
            }
            // After its last call something else was lost.
            Work::Script(_) if known.state == UnitState::Unknown => {
                (None, self.confirm(resumed(), Reconcile::Done(Value::from_json(&known.result)))?)
            }
            // Between two calls: it is gone on with.
            Work::Script(_) => return Ok(()),
        };
        self.settle_doubt(&resumed(), (intent, call), verdict, &target, ask).await
    }

    /// Records what became of a unit, or of a call of its script.
    async fn settle_doubt(
        self: &Arc<Self>,
        attempt: &Attempt<'_>,
        (intent, call): (&Intent, Option<u32>),
        verdict: Reconcile,
        target: &Arc<dyn Target>,
        ask: bool,
    ) -> Result<(), Stop> {
        let (reason, by) = ("found on the host".to_owned(), "action".to_owned());
        let (verdict, reason, by, value) = match verdict {
            Reconcile::Done(value) => ("done", reason, by, value),
            Reconcile::NotDone => ("not-done", reason, by, Value::Null),
            Reconcile::NotBegun => ("not-begun", reason, by, Value::Null),
            Reconcile::Unknown(reason) => self.ask_about(&attempt.unit, intent, &reason, ask).await,
        };
        let verdict = verdict.to_owned();
        let done = verdict == "done";
        let (result, withheld) = attempt.journaled(&value);
        let paths: Vec<String> = intent.touches.iter().map(|touch| touch.path.clone()).collect();
        if let Some(ordinal) = call.filter(|_| verdict != "unknown") {
            let wide = paths.is_empty() || !attempt.step.backup.is_empty();
            let wrote = match done {
                true => self.written(target, &attempt.unit.host, &paths, wide).await?,
                false => Vec::new(),
            };
            let event = Event::CallReconciled { ordinal, verdict, reason, by, result, withheld, wrote };
            return Ok(attempt.write(event)?);
        }
        let wrote = if done { attempt.written(target, &paths).await? } else { Vec::new() };
        attempt.write(Event::UnitReconciled { verdict, reason, by, result, wrote })?;
        if done {
            attempt.keep_live(&value);
            attempt.settle()?;
        }
        Ok(())
    }

    /// What the action finds. A call that only reads has no effect to be in doubt about.
    async fn look_for(
        self: &Arc<Self>,
        mut attempt: Attempt<'_>,
        call: &Call,
        intent: &Intent,
        target: &Arc<dyn Target>,
    ) -> Result<Reconcile, Stop> {
        if attempt.effect_of(call)? == Effect::Reads {
            return Ok(Reconcile::NotDone);
        }
        attempt.recover_facts(target, false).await?;
        let args = attempt.args(call)?;
        if self.digest(&Value::Map(args.0.clone())) != intent.args_digest {
            let why = "its arguments are other ones than those it was begun with";
            return Ok(Reconcile::Unknown(why.to_owned()));
        }
        let noted = match intent.noted() {
            Ok(noted) => noted,
            Err(why) => return Ok(Reconcile::Unknown(why)),
        };
        let ctx = self.ctx_of(&attempt.unit, intent, target);
        let found = attempt.action(call)?.reconcile(&ctx, &args, noted).await;
        Ok(found.map_err(|fault| fault.at(&call.span))?)
    }

    /// What the action of a script's call finds.
    async fn look_for_call(
        self: &Arc<Self>,
        attempt: Attempt<'_>,
        script: &Script,
        intent: &Intent,
        target: &Arc<dyn Target>,
    ) -> Result<Reconcile, Stop> {
        let action = attempt.action_named(&intent.action, &attempt.step.span)?;
        let unit = attempt.unit.clone();
        let args = attempt.call_args(script, intent).await?;
        let noted = match intent.noted() {
            Ok(noted) => noted,
            Err(why) => return Ok(Reconcile::Unknown(why)),
        };
        let ctx = self.ctx_of(&unit, intent, target);
        Ok(action.reconcile(&ctx, &args, noted).await?)
    }

    /// An attempt at what cannot be taken back failed: is it certain that nothing of its effect began? Nobody else is asked:
    /// what can be taken back is taken back, however far it came.
    pub(super) async fn never_began(
        self: &Arc<Self>,
        unit: &UnitId,
        action: &dyn Action,
        args: &Args,
        target: &Arc<dyn Target>,
        fault: &Fault,
    ) -> bool {
        let point = self.runbook.steps_to(&unit.step).any(|(_, step)| step.irreversible.is_some());
        // Where the host was lost, it is looked for like after any other loss.
        if !point || loses(fault.kind.word()) {
            return false;
        }
        let Some(intent) = self.log.state(|state| state.unit(unit)?.intent().cloned()) else { return false };
        let Ok(noted) = intent.noted() else { return false };
        let ctx = self.ctx_of(unit, &intent, target);
        matches!(action.reconcile(&ctx, args, noted).await, Ok(Reconcile::NotBegun))
    }

    /// For looking at what an intent came to.
    fn ctx_of(self: &Arc<Self>, unit: &UnitId, intent: &Intent, target: &Arc<dyn Target>) -> Ctx {
        let mut ctx = self.ctx(Arc::clone(target), unit, intent.attempt, false, Cancel::new());
        ctx.first_receipt = intent.receipts;
        ctx.tries = intent.tries;
        ctx
    }

    /// An effect that happened must also have worked; one that is repeated until it has is repeated once more.
    fn confirm(&self, mut attempt: Attempt<'_>, verdict: Reconcile) -> Result<Reconcile, Stop> {
        let Reconcile::Done(value) = verdict else { return Ok(verdict) };
        attempt.scope.insert("result".to_owned(), value.clone());
        if let Some(until) = attempt.step.retry.as_ref().and_then(|retry| retry.until.as_ref())
            && !attempt.truth(&until.that, "until").unwrap_or(false)
        {
            return Ok(Reconcile::NotDone);
        }
        for expect in &attempt.step.expect {
            let source = expect.that.text().as_str().trim().to_owned();
            match attempt.truth(&expect.that, "expect") {
                Ok(true) => {}
                Ok(false) => {
                    let why = attempt.unmet_demand(expect);
                    return Ok(Reconcile::Unknown(format!("it happened, but {why}")));
                }
                Err(stop) => {
                    let why = stop.reason();
                    return Ok(Reconcile::Unknown(format!(
                        "it happened, but `{source}` cannot be checked: {why}"
                    )));
                }
            }
        }
        Ok(Reconcile::Done(value))
    }

    async fn ask_about(
        &self,
        unit: &UnitId,
        intent: &Intent,
        reason: &str,
        ask: bool,
    ) -> (&'static str, String, String, Value) {
        let step = self.runbook.step_at(&unit.step);
        let doubt = Doubt {
            unit: unit.clone(),
            title: step.map_or_else(String::new, |step| step.title.clone()),
            lines: vec![format!("{} {}", intent.action, intent.args)],
            reason: self.redactor.text(reason),
        };
        let verdict = if ask { self.person.doubt(&doubt).await } else { None };
        let by = self.person.name();
        match verdict {
            Some(Verdict::Done) => ("done", reason.to_owned(), by, Value::Null),
            Some(Verdict::NotDone) => ("not-done", reason.to_owned(), by, Value::Null),
            None => ("unknown", reason.to_owned(), "action".to_owned(), Value::Null),
        }
    }

    /// The item of a unit, from the list that was pinned.
    pub(super) fn item_of(&self, unit: &UnitId) -> Value {
        let Some(name) = &unit.item else { return Value::Null };
        let step = canonical(&unit.step);
        let found = self.log.state(|state| {
            let mut around = state.loops().filter(|one| one.is_around(&step, &unit.host));
            around.find_map(|one| {
                let (item, _) = one.named().find(|(_, known)| known == name)?;
                Some((one.key(), item))
            })
        });
        found.map_or(Value::Null, |(key, item)| self.live_item(&key, name).unwrap_or(item))
    }
}

/// A look that failed tells nothing; one at a lost host may succeed later.
fn found(looked: Result<Reconcile, Stop>) -> Result<Reconcile, Stop> {
    match looked {
        Err(Stop::Fault(fault)) if !lost(&fault) => {
            Ok(Reconcile::Unknown(format!("it cannot be looked for: {fault}")))
        }
        other => other,
    }
}

/// The host cannot be asked now; perhaps later.
fn lost(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Unreachable | FaultKind::TimedOut)
}
