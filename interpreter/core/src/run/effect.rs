//! The part of an attempt that may change the world: intent, backup, apply, expect, outcome.

use super::{
    hosts::LOCAL,
    machine::UnitState,
    session::{Session, sleep},
    state::Intent,
    stop::Stop,
    unit::{Attempt, Ready, millis},
    walk::related,
};
use crate::{
    backup,
    model::{Call, Demand, Work},
};
use indexmap::IndexMap;
use keybook_api::{
    Applied, Args, Cancel, Effect, Event, Fault, FaultKind, Target, TreeEntry, UnitId, Value, WayBack,
    event::Touched,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long an action may take to come back after it was told that its time ran out.
const GRACE: Duration = Duration::from_secs(20);

impl<'a> Attempt<'a> {
    /// Everything from the intent on.
    pub(super) async fn effect(mut self, ready: Ready, begun: Instant) -> Result<(), Stop> {
        let kept = self.intend(&ready).await;
        if let Err(fault) = kept {
            return Err(self.fail_safely(fault, begun));
        }
        let call = match &self.step.work {
            Work::Action(call) => call,
            Work::Script(script) => return self.run_script(script, ready, begun).await,
            // The children are carried out by the walk, which then finishes this unit.
            Work::Steps(_) => return Ok(()),
        };
        let effect = self.effect_of(call)?;
        let outcome = self.apply_with_retries(call, &ready).await;
        let outcome = match outcome {
            Ok(applied) => self.check_expectations(applied),
            Err(fault) => Err(fault),
        };
        match outcome {
            Ok(applied) => self.finish(&ready, applied, begun).await,
            // A call that only reads, or only waits, has no effect to be in doubt about.
            Err(fault) if effect != Effect::Changes && self.state() != UnitState::Applied => {
                Err(self.fail(fault, true, begun))
            }
            Err(fault) if self.never_began(call, &ready, &fault).await => Err(self.fail(fault, true, begun)),
            Err(fault) => Err(self.fail_after_effect(&ready, fault, begun).await),
        }
    }

    /// Is it certain that nothing began of the effect that cannot be taken back?
    async fn never_began(&self, call: &Call, ready: &Ready, fault: &Fault) -> bool {
        let Ok(action) = self.action(call) else { return false };
        matches!(self.state(), UnitState::Intended | UnitState::Kept)
            && self.session.never_began(&self.unit, &*action, &ready.args, &ready.target, fault).await
    }

    /// Records a failure with what is on the host now. What cannot be read is left out.
    pub(super) async fn fail_after_effect(&self, ready: &Ready, fault: Fault, begun: Instant) -> Stop {
        let wrote = self.written(&ready.target, &ready.plan.touches).await.unwrap_or_default();
        self.fail_having_written(fault, wrote, begun)
    }

    /// The state of what this unit may have changed; of a script what its calls left.
    pub(super) async fn written(
        &self,
        target: &Arc<dyn Target>,
        touches: &[String],
    ) -> Result<Vec<Touched>, Fault> {
        if let Work::Script(_) = self.step.work {
            let known = |known: &super::state::UnitRecord| known.wrote.clone();
            return Ok(self.session.log.state(|state| state.unit(&self.unit).map(known).unwrap_or_default()));
        }
        let changes = self.reach() == Effect::Changes;
        let wide = changes && (touches.is_empty() || !self.step.backup.is_empty());
        self.session.written(target, &self.unit.host, touches, wide).await
    }

    /// What the unit may do; a step with steps and an own backup counts as one that changes.
    fn reach(&self) -> Effect {
        match &self.step.work {
            Work::Steps(_) if self.step.backup.is_empty() => Effect::Run,
            Work::Steps(_) | Work::Script(_) => Effect::Changes,
            Work::Action(call) => self.effect_of(call).unwrap_or(Effect::Changes),
        }
    }

    fn fail_safely(&self, fault: Fault, begun: Instant) -> Stop {
        let begun_effect = !matches!(
            self.state(),
            UnitState::Planned | UnitState::Approved | UnitState::Intended | UnitState::Kept
        );
        self.fail(fault, !begun_effect, begun)
    }

    /// Obligations, intent, backup: all on disk before the effect.
    async fn intend(&self, ready: &Ready) -> Result<(), Fault> {
        let touches = touched(&ready.target, &ready.plan.touches).await?;
        if let Some(owes) = &self.step.owes
            && self.owes_here(owes.on.as_ref().map(|group| group.value.as_str()))
        {
            let keybook_api::UnitId { host, item, .. } = self.unit.clone();
            self.session.log.run(Event::ObligationRaised { what: owes.what.value.clone(), host, item })?;
        }
        self.write_synced(Event::UnitIntent {
            action: self.step.action().to_owned(),
            args: self.journaled_args(&ready.args).0,
            args_digest: self.session.digest(&Value::Map(ready.args.0.clone())),
            memo: ready.plan.memo.to_json(),
            touches: touches.clone(),
        })
        .await?;
        self.keep(&ready.target, self.backup_paths(&touches)?, &self.store(None)).await?;
        if self.keeps_nothing() {
            let text = "none of the paths of `backup` is there, so nothing is kept: a rollback can only remove what the step makes of them";
            self.write(Event::UnitNote { text: text.to_owned() })?;
        }
        Ok(())
    }

    /// Is `backup` the step's only way back, and was nothing there of what it names? False where its paths cannot be told.
    pub(super) fn keeps_nothing(&self) -> bool {
        let Work::Action(call) = &self.step.work else { return false };
        let only = self.action(call).is_ok_and(|action| {
            let spec = action.spec();
            spec.effect == Effect::Changes && matches!(spec.way_back, WayBack::None | WayBack::NoneIf(_))
        });
        if !only || self.step.undo.is_some() {
            return false;
        }
        let Ok(paths) = self.backup_paths(&[]) else { return false };
        let of_it = |path: &str| paths.iter().any(|root| backup::inside(path, root));
        let of_none = |state: &super::state::State| {
            let there = |(path, original): (&str, &backup::Original)| {
                matches!(original, backup::Original::Present { .. }) && of_it(path)
            };
            // What an earlier step made was there as well.
            let mut others =
                state.units.iter().filter(|(id, _)| id.host == self.unit.host && **id != self.unit);
            let made = |wrote: &Touched| wrote.before.is_some() && of_it(&wrote.path);
            !state.originals.on(&self.unit.host).any(there)
                && !others.any(|(_, known)| known.wrote.iter().any(made))
        };
        !paths.is_empty() && self.session.log.state(of_none)
    }

    /// Arguments as the journal keeps them, and whether a secret keeps a part of them out.
    pub(super) fn journaled_args(&self, args: &Args) -> (IndexMap<String, serde_json::Value>, bool) {
        if self.step.secret {
            return (IndexMap::new(), !args.0.is_empty());
        }
        let kept: Vec<_> = args.0.iter().map(|(name, value)| (name, self.journaled(value))).collect();
        let withheld = kept.iter().any(|(_, (_, withheld))| withheld.is_some());
        (kept.into_iter().map(|(name, (json, _))| (name.clone(), json)).collect(), withheld)
    }

    /// Where the copies of this attempt's originals are. Copies that were cut off are left alone: a number keeps
    /// those of a later try, or of another call, apart.
    pub(super) fn store(&self, number: Option<u64>) -> String {
        let number = number.map(|number| format!(".{number}")).unwrap_or_default();
        format!("{}/backup/{}{number}", self.session.state_dir(), self.receipt_name())
    }

    /// Copies the originals that are not kept yet.
    pub(super) async fn keep(
        &self,
        target: &Arc<dyn Target>,
        wanted: Vec<String>,
        store: &str,
    ) -> Result<(), Fault> {
        let known = self.session.log.state(|state| state.backups.clone());
        if let Some(taken) = backup::take(target, &self.unit.host, store, &wanted, &known).await? {
            self.write(taken)?;
        }
        Ok(())
    }

    /// The process was killed between the intent of a step with steps and its backup: the originals are kept
    /// before any step inside goes on.
    pub(super) async fn keep_again(&self, begun: Instant) -> Result<(), Stop> {
        if self.state() != UnitState::Intended || self.step.backup.is_empty() {
            return Ok(());
        }
        let (touches, last) = self.session.log.state(|state| {
            let intent = state.unit(&self.unit).and_then(|known| known.intent());
            (intent.map(|intent| intent.touches.clone()).unwrap_or_default(), state.last)
        });
        let wanted = self.backup_paths(&touches);
        let kept = match (self.session.hosts.get(&self.unit.host).await, wanted) {
            (Ok(target), Ok(wanted)) => self.keep(&target, wanted, &self.store(Some(last))).await,
            (Err(fault), _) | (_, Err(fault)) => Err(fault),
        };
        kept.map_err(|fault| self.fail_safely(fault, begun))
    }

    fn receipt_name(&self) -> String {
        keybook_api::ReceiptId {
            run: self.session.id.clone(),
            unit: self.unit.clone(),
            attempt: self.number,
            ordinal: 0,
        }
        .file_name()
    }

    fn owes_here(&self, group: Option<&str>) -> bool {
        group.is_none_or(|group| {
            self.session.hosts.groups().get(group).is_some_and(|g| g.contains(&self.unit.host))
        })
    }

    /// The declared paths, then every touched path that exists.
    fn backup_paths(&self, touches: &[Touched]) -> Result<Vec<String>, Fault> {
        let mut paths = Vec::new();
        for declared in &self.step.backup {
            let value = declared.render(&self.session.script, &self.scope)?;
            let checked = Args([("backup".to_owned(), value)].into_iter().collect());
            paths.push(checked.path("backup").map_err(|fault| fault.at(&self.step.span))?.to_owned());
        }
        let touched = self.worth_keeping(touches);
        let more: Vec<String> = touched.into_iter().filter(|path| !paths.contains(path)).collect();
        paths.extend(more);
        Ok(paths)
    }

    /// The touched paths that exist. What the run made for itself needs no copy: it is removed on rollback.
    pub(super) fn worth_keeping(&self, touches: &[Touched]) -> Vec<String> {
        let own = format!("{}/", self.session.state_dir());
        let there = touches.iter().filter(|touch| touch.before.is_some() && !touch.path.starts_with(&own));
        there.map(|touch| touch.path.clone()).collect()
    }

    async fn apply_with_retries(&mut self, call: &Call, ready: &Ready) -> Result<Applied, Fault> {
        let tries = self.step.retry.as_ref().map_or(1, |retry| retry.times);
        let delay = self.step.retry.as_ref().map_or(Duration::ZERO, |retry| retry.delay);
        let mut ordinal = 0;
        for attempt in 1..=tries {
            let outcome = self.apply_once(call, ready, &mut ordinal).await;
            let cause = match outcome {
                Ok(applied) => match self.unmet(&applied)? {
                    None => return Ok(applied),
                    Some(until) => self.not_yet(until, attempt, tries),
                },
                // Nobody knows what happened: that is not tried again.
                Err(fault) if self.in_doubt(call, &fault) || fault.kind == FaultKind::Stopped => {
                    return Err(fault);
                }
                Err(fault) => fault,
            };
            if attempt == tries {
                return Err(cause);
            }
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            let told = self.concealed(cause).to_string();
            self.write(Event::UnitRetried { cause: told, attempt, of: tries, delay_ms })?;
            if !sleep(delay, &self.cancel).await {
                return Err(Fault::new(
                    FaultKind::Stopped,
                    format!("try {} again", self.unit),
                    "the run was stopped",
                ));
            }
        }
        Err(Fault::failed(format!("carry out {}", self.unit), "no try is allowed"))
    }

    fn in_doubt(&self, call: &Call, fault: &Fault) -> bool {
        let doubtful =
            matches!(fault.kind, FaultKind::Unreachable | FaultKind::TimedOut | FaultKind::Unknown);
        doubtful && self.effect_of(call).is_ok_and(|effect| effect == Effect::Changes)
    }

    async fn apply_once(&self, call: &Call, ready: &Ready, ordinal: &mut u32) -> Result<Applied, Fault> {
        let cancel = self.cancel.child_token();
        let mut ctx =
            self.session.ctx(Arc::clone(&ready.target), &self.unit, self.number, true, cancel.clone());
        *ctx.ordinal.get_mut() = *ordinal;
        ctx.planned = ready.plan.memo.clone();
        let action = match self.action(call) {
            Ok(action) => action,
            Err(Stop::Fault(fault)) => return Err(fault),
            Err(other) => return Err(Fault::failed("find the action", other.reason())),
        };
        let work = self.perform(&*action, &ctx, &ready.args);
        let outcome = match self.step.timeout {
            None => work.await,
            Some(limit) => bounded(work, limit, &cancel).await,
        };
        let outcome = self.forgive(&*action, outcome);
        *ordinal = ctx.ordinal.load(std::sync::atomic::Ordering::SeqCst);
        let applied = outcome.map_err(|fault| fault.at(&call.span))?;
        self.take_over(&applied).await?;
        self.write(Event::UnitApplied {
            result: self.journaled(&applied.value).0,
            changed: applied.changed,
        })?;
        Ok(applied)
    }

    /// What is known from now on: secrets in the result, and hosts that were found.
    pub(super) async fn take_over(&self, applied: &Applied) -> Result<(), Fault> {
        Session::learn(&self.session.redactor, &applied.value);
        self.add_hosts(applied).await
    }

    /// A value as the journal keeps it, and its digest where a secret keeps a part of it out. A secret step's stays in
    /// this process.
    pub(super) fn journaled(&self, value: &Value) -> (serde_json::Value, Option<String>) {
        let digest = || self.session.digest(value);
        if self.step.secret {
            return (serde_json::Value::Null, (*value != Value::Null).then(digest));
        }
        let json = value.to_json();
        let withheld = value.has_secret() || self.session.redactor.json(&json) != json;
        (json, withheld.then(digest))
    }

    /// Hosts found while running are looked at and locked like the others before any step works on them.
    async fn add_hosts(&self, applied: &Applied) -> Result<(), Fault> {
        for (group, spec) in &applied.add_hosts {
            let added = Event::HostAdded {
                group: group.clone(),
                host: spec.name.clone(),
                address: spec.address.clone(),
                port: spec.port,
                user: spec.user.clone(),
                key: spec.key.as_ref().map(|path| path.display().to_string()),
                via: spec.via.as_ref().map(|via| via.name.clone()),
                sudo: spec.sudo,
                replaceable: spec.replaceable,
            };
            self.session.log.run(added)?;
            self.session.hosts.add(group, spec.clone());
            self.session.take_in(&spec.name).await?;
            self.session.trust_of_added(&spec.name).await?;
        }
        Ok(())
    }

    fn not_yet(&self, until: &Demand, attempt: u32, tries: u32) -> Fault {
        Fault::failed(
            format!("reach what `until` asks for in {}", self.unit),
            format!("it is not so after {attempt} of {tries} tries: {}", self.unmet_demand(until)),
        )
        .at(&until.that.text().whole())
    }

    /// What `until` asks for, while it is not so.
    fn unmet(&mut self, applied: &Applied) -> Result<Option<&'a Demand>, Fault> {
        self.scope.insert("result".to_owned(), applied.value.clone());
        let Some(until) = self.step.retry.as_ref().and_then(|retry| retry.until.as_ref()) else {
            return Ok(None);
        };
        let met = self.truth(&until.that, "until").map_err(into_fault)?;
        Ok((!met).then_some(until))
    }

    pub(super) fn check_expectations(&mut self, applied: Applied) -> Result<Applied, Fault> {
        self.scope.insert("result".to_owned(), applied.value.clone());
        for expect in &self.step.expect {
            if !self.truth(&expect.that, "expect").map_err(into_fault)? {
                return Err(Fault::failed(
                    format!("find what `{}` expects", self.unit),
                    self.unmet_demand(expect),
                )
                .at(&expect.that.text().whole())
                .hint("the result is in `keybook show --format jsonl`; mend the cause, then resume, or roll back"));
            }
        }
        Ok(applied)
    }

    pub(super) async fn finish(&self, ready: &Ready, applied: Applied, begun: Instant) -> Result<(), Stop> {
        let wrote = match self.written(&ready.target, &ready.plan.touches).await {
            Ok(wrote) => wrote,
            // The effect happened: it must be looked for again, not done again.
            Err(fault) => {
                let fault = Fault { kind: FaultKind::Unknown, ..fault }
                    .now("the action ended well, but what it left could not be read");
                return Err(self.fail(fault, false, begun));
            }
        };
        let named_all = self.named_all(ready);
        if let Err(fault) = self.trust_after(&wrote, named_all).await {
            return Err(self.fail_only_trust(fault, wrote, begun));
        }
        self.keep_live(&applied.value);
        self.write_synced(Event::UnitDone {
            result: self.journaled(&applied.value).0,
            changed: applied.changed,
            wrote,
            took_ms: millis(begun),
        })
        .await?;
        self.settle()?;
        Ok(())
    }

    /// A result that the journal does not have whole stays in this process.
    pub(super) fn keep_live(&self, value: &Value) {
        if self.step.secret || self.journaled(value).1.is_some() {
            let mut live = self.session.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            live.insert(self.unit.clone(), value.clone());
        }
    }

    /// Are the paths that it changed known beforehand? Of a script: those of each call.
    fn named_all(&self, ready: &Ready) -> bool {
        let Work::Script(_) = self.step.work else { return !ready.plan.touches.is_empty() };
        self.session.log.state(|state| {
            let intents = state.unit(&self.unit).map(|known| known.intents.as_slice()).unwrap_or_default();
            let mut changed = intents.iter().filter(|intent| intent.may_have_changed());
            changed.all(|intent| !intent.touches.is_empty())
        })
    }

    /// What is owed may be paid now.
    pub(super) fn settle(&self) -> Result<(), Fault> {
        self.session.pay_after(&self.unit)
    }

    /// Ends a step with steps whose children are all through.
    pub(super) async fn finish_parent(&self, begun: Instant) -> Result<(), Stop> {
        let wrote = if self.reach() == Effect::Changes {
            let target = self.session.hosts.get(&self.unit.host).await?;
            self.written(&target, &[]).await?
        } else {
            Vec::new()
        };
        let changed = self.steps_inside_changed();
        if self.state() != UnitState::Applied {
            self.write(Event::UnitApplied { result: serde_json::Value::Null, changed })?;
        }
        if let Err(fault) = self.trust_after(&wrote, false).await {
            return Err(self.fail_only_trust(fault, wrote, begun));
        }
        self.write_synced(Event::UnitDone {
            result: serde_json::Value::Null,
            changed,
            wrote,
            took_ms: millis(begun),
        })
        .await?;
        self.settle()?;
        Ok(())
    }

    /// Did a step inside this one change anything, or may it have, in whichever attempt?
    pub(super) fn steps_inside_changed(&self) -> bool {
        self.of_steps_inside(Intent::may_have_changed)
    }

    /// Is this so of an intent of a step inside this one that can change something, or did one change something? Those inside
    /// a step without hosts choose their own.
    pub(super) fn of_steps_inside(&self, so: impl Fn(&Intent) -> bool) -> bool {
        self.session.log.state(|state| {
            state.units.iter().filter(|(id, _)| is_inside(id, &self.unit)).any(|(id, unit)| {
                let may_have = self.session.can_change(&id.step);
                unit.changed || may_have && unit.intents.iter().any(&so)
            })
        })
    }
}

/// Does a unit stand inside another one, on its host and of its item? One without hosts is for all of them.
pub(super) fn is_inside(id: &UnitId, outer: &UnitId) -> bool {
    let items = outer.item.as_deref().zip(id.item.as_deref());
    crate::backup::inside(&id.step, &outer.step)
        && id.step != outer.step
        && (id.host == outer.host || outer.host == LOCAL)
        && items.is_none_or(|(own, other)| related(own, other))
}

pub(super) fn into_fault(stop: Stop) -> Fault {
    match stop {
        Stop::Fault(fault) => fault,
        other => Fault::failed("evaluate an expression", other.reason()),
    }
}

/// Ends an action whose time ran out, and waits for it to come back.
pub(super) async fn bounded<T>(
    work: impl Future<Output = Result<T, Fault>>,
    limit: Duration,
    cancel: &Cancel,
) -> Result<T, Fault> {
    tokio::pin!(work);
    let late = || {
        Fault::new(
            FaultKind::TimedOut,
            "finish in time",
            format!("it took longer than {}", keybook_api::duration::format(limit)),
        )
    };
    tokio::select! {
        outcome = &mut work => return outcome,
        () = tokio::time::sleep(limit) => cancel.cancel(),
    }
    match tokio::time::timeout(GRACE, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(fault)) if fault.kind == FaultKind::Stopped => {
            Err(late().now("what was running on the host was ended"))
        }
        Ok(Err(fault)) => Err(fault),
        Err(_) => Err(late().now("it did not react to being ended")),
    }
}

/// What is at each of the paths now.
pub(super) async fn touched(target: &Arc<dyn Target>, paths: &[String]) -> Result<Vec<Touched>, Fault> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let tree: Vec<TreeEntry> = target.tree(paths).await?;
    Ok(paths
        .iter()
        .map(|path| Touched {
            path: path.clone(),
            before: tree.iter().find(|entry| entry.path == *path).cloned(),
        })
        .collect())
}
