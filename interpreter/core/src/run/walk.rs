//! Carries steps out in their order: hosts one after the other or several at once, items, children.

use super::{
    hosts::LOCAL,
    loops::{self, NESTED, item_name},
    machine::UnitState,
    scope::{ToCome, kept},
    session::Session,
    stop::Stop,
    unit::{Attempt, Prepared},
};
use crate::{
    backup::inside,
    model::{Order, Step, Work, canonical},
};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use keybook_api::{Cancel, Effect, Event, Fault, FaultKind, UnitId, Value, value::REDACTED};
use std::{sync::Arc, time::Instant};

/// Where in the tree a step is carried out.
#[derive(Clone, Default)]
pub struct Place {
    /// The path of the enclosing steps.
    pub prefix: String,
    /// The host of the enclosing step.
    pub host: Option<String>,
    /// The item of the enclosing step.
    pub item: Value,
    /// Its text, as units name it.
    pub item_name: Option<String>,
    /// A stop waits.
    pub atomic: bool,
}

/// The items of a loop on a host.
struct Items {
    /// The loop, as the journal names it.
    key: String,
    /// What the names of its items begin with: those of the loops around it.
    outer: String,
    values: Vec<Value>,
    /// They are in the journal.
    pinned: bool,
}

impl Items {
    fn named(self) -> Vec<(Value, String)> {
        let name = |value: &Value| format!("{}{}", self.outer, item_name(value));
        self.values.iter().map(|value| (value.clone(), name(value))).collect()
    }
}

impl Place {
    /// The path of a step here.
    pub(super) fn path(&self, step: &Step) -> String {
        if self.prefix.is_empty() {
            step.id.value.clone()
        } else {
            format!("{}/{}", self.prefix, step.id.value)
        }
    }

    /// The place of a step on one of its hosts: what is inside it stays there. A step without hosts binds nothing.
    pub(super) fn on(&self, step: &Step, host: &str) -> Self {
        let bound = self.host.is_some() || step.hosts.is_some();
        Self { host: bound.then(|| host.to_owned()), ..self.clone() }
    }

    /// The places of these items.
    fn each(&self, items: Items) -> Vec<Self> {
        let place = |(item, name)| Self { item, item_name: Some(name), ..self.clone() };
        items.named().into_iter().map(place).collect()
    }
}

impl Session {
    /// All steps of a list, one after the other.
    pub fn walk<'w>(
        self: &'w Arc<Self>,
        steps: &'w [Step],
        place: &'w Place,
    ) -> BoxFuture<'w, Result<(), Stop>> {
        Box::pin(async move {
            for step in steps {
                self.check_phase(step)?;
                self.step(step, place).await?;
            }
            Ok(())
        })
    }

    /// `--until`: does this step belong to a later phase?
    fn check_phase(&self, step: &Step) -> Result<(), Stop> {
        let (Some(until), Some(phase)) = (&self.options.until, &step.phase) else { return Ok(()) };
        let at = |name: &String| self.runbook.phases.iter().position(|phase| phase == name);
        if at(phase) > at(until) { Err(Stop::Phase(until.clone())) } else { Ok(()) }
    }

    /// One step on all its hosts.
    pub async fn step(self: &Arc<Self>, step: &Step, place: &Place) -> Result<(), Stop> {
        let path = place.path(step);
        if let Some(host) = &place.host {
            return self.on_host(step, &path, host, place).await;
        }
        let hosts = self.hosts_of(step, &path, place)?;
        match step.order {
            Order::Serial => {
                for host in &hosts {
                    self.on_host(step, &path, host, place).await?;
                }
                Ok(())
            }
            Order::Parallel { batch, max_failures } => {
                self.in_parallel(step, &path, &hosts, place, batch, max_failures).await
            }
        }
    }

    /// The hosts of a step, settled once a run.
    fn hosts_of(&self, step: &Step, path: &str, place: &Place) -> Result<Vec<String>, Stop> {
        if let Some((hosts, _)) = self.log.state(|state| state.pins.get(path).cloned()) {
            return Ok(hosts);
        }
        let hosts = self.choose_hosts(step, place).map_err(|why| {
            Fault::failed(format!("choose the hosts of {path}"), why)
                .at(step.hosts.as_ref().map_or(&step.span, |choice| &choice.span))
                .now("the step was not begun")
                .hint("an empty selection never passes: check the inventory's groups and --limit")
        })?;
        self.log.run(Event::StepPinned { step: path.to_owned(), hosts: hosts.clone(), items: None })?;
        Ok(hosts)
    }

    /// The host of the step around it, the hosts that the step chooses now, or this machine.
    pub(super) fn choose_hosts(&self, step: &Step, place: &Place) -> Result<Vec<String>, String> {
        match (&place.host, &step.hosts) {
            (Some(host), _) => Ok(vec![host.clone()]),
            (None, None) => Ok(vec![LOCAL.to_owned()]),
            (None, Some(choice)) => choice.resolve(&self.hosts.groups()),
        }
    }

    async fn in_parallel(
        self: &Arc<Self>,
        step: &Step,
        path: &str,
        hosts: &[String],
        place: &Place,
        batch: usize,
        max_failures: usize,
    ) -> Result<(), Stop> {
        let batch =
            [batch, self.options.parallel, hosts.len()].into_iter().find(|size| *size > 0).unwrap_or(1);
        let mut waiting = hosts.iter();
        let mut running = FuturesUnordered::new();
        let mut failures: Vec<Stop> = Vec::new();
        loop {
            let tolerated = failures.len() <= max_failures && failures.iter().all(Stop::is_failure);
            while tolerated && running.len() < batch {
                let Some(host) = waiting.next() else { break };
                running.push(self.on_host(step, path, host, place));
            }
            match running.next().await {
                None => break,
                Some(Ok(())) => {}
                Some(Err(stop)) => failures.push(stop),
            }
        }
        // Tolerated failures only decide how many hosts still begin: a step with a failed host is not done.
        failures.into_iter().reduce(Stop::worse).map_or(Ok(()), Err)
    }

    /// One step on one host: its items, one after the other.
    async fn on_host(
        self: &Arc<Self>,
        step: &Step,
        path: &str,
        host: &str,
        place: &Place,
    ) -> Result<(), Stop> {
        for there in self.items(step, path, host, place)? {
            self.unit(step, path, host, &there).await?;
        }
        Ok(())
    }

    /// A place for each item of `for_each` on this host, which are pinned in the journal; the place itself for a step
    /// without. What a rollback carries out again has the items that
    /// it had in the run.
    pub(super) fn items(
        &self,
        step: &Step,
        path: &str,
        host: &str,
        place: &Place,
    ) -> Result<Vec<Place>, Stop> {
        let found = self.find_items(step, path, host, place, &ToCome::default())?;
        let Some(found) = found else { return Ok(vec![place.clone()]) };
        if !found.pinned {
            let items = Some(found.values.iter().map(Value::to_json).collect());
            let hosts = vec![host.to_owned()];
            self.log.run(Event::StepPinned { step: found.key.clone(), hosts, items })?;
        }
        Ok(place.each(found))
    }

    /// The same for a loop that did not begin: as it would be now, and nothing is pinned.
    pub(super) fn foresee_items(
        &self,
        step: &Step,
        path: &str,
        host: &str,
        place: &Place,
        to_come: &ToCome,
    ) -> Result<Vec<Place>, Stop> {
        let found = self.find_items(step, path, host, place, to_come)?;
        let Some(found) = found else { return Ok(vec![place.clone()]) };
        let mut foreseen = self.foreseen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        foreseen.insert(found.key.clone(), found.values.iter().map(Value::to_json).collect());
        Ok(place.each(found))
    }

    fn find_items(
        &self,
        step: &Step,
        path: &str,
        host: &str,
        place: &Place,
        to_come: &ToCome,
    ) -> Result<Option<Items>, Stop> {
        let Some(for_each) = &step.for_each else { return Ok(None) };
        let outer = loops::outer(place.item_name.as_deref());
        let key = format!("{path}@{host}#{outer}");
        let in_run = loops::key(path, host, &outer);
        let before = path.starts_with("rollback/").then_some(&in_run);
        let pinned = self.log.state(|state| {
            let pins = |key: &String| state.pins.get(key).and_then(|(_, items)| items.clone());
            pins(&key).or_else(|| pins(before?))
        });
        let wrong = |why: String| {
            let fault = Fault::failed(format!("loop over the items of {path}"), why);
            fault.on(host).at(&for_each.text().whole())
        };
        if let Some(items) = pinned {
            let live = |item: Value| {
                self.live_item(&in_run, &format!("{outer}{}", item_name(&item))).unwrap_or(item)
            };
            let values = items.iter().map(|item| kept(item).map(live));
            let values = values.collect::<Option<Vec<Value>>>().ok_or_else(|| {
                wrong("one of them held a secret, which is not kept".to_owned()).hint(ITEM_NAMES)
            })?;
            return Ok(Some(Items { key, outer, values, pinned: true }));
        }
        let asking = UnitId { step: path.to_owned(), host: host.to_owned(), item: place.item_name.clone() };
        let scope = self.scope_after(to_come, &asking, &place.item);
        let value = self
            .script
            .eval(for_each, &scope)
            .map_err(|error| Fault::failed("evaluate `for_each`", &error.message).on(host).at(&error.span))?;
        let values = value.as_list().map(<[Value]>::to_vec);
        let values = values.ok_or_else(|| wrong(format!("expected a list, got {}", value.type_name())))?;
        if let Some((why, hint)) = self.wrong_items(&values) {
            let fault = wrong(why).now("the step was not begun");
            return Err(match hint {
                Some(hint) => fault.hint(hint),
                None => fault,
            }
            .into());
        }
        self.keep_items(&in_run, values.iter().map(|item| (item, format!("{outer}{}", item_name(item)))));
        Ok(Some(Items { key, outer, values, pinned: false }))
    }

    /// Why a loop cannot go over these items, and what to do.
    fn wrong_items(&self, values: &[Value]) -> Option<(String, Option<&'static str>)> {
        if values.is_empty() {
            return Some(("there is none".to_owned(), Some(EMPTY_LOOP)));
        }
        if values.iter().map(item_name).any(|name| self.holds_secret(&name)) {
            return Some(("the name of one of them holds a secret".to_owned(), Some(ITEM_NAMES)));
        }
        let name = named_twice(values)?;
        Some((format!("two of them have the name `{name}`, so one would be taken for the other"), None))
    }

    /// The journal does not have such a name as it is: nothing would be found by it again.
    fn holds_secret(&self, name: &str) -> bool {
        name.contains(REDACTED) || self.redactor.text(name) != name
    }

    /// A step on a host, for an item where it is in a loop.
    pub(super) async fn unit(
        self: &Arc<Self>,
        step: &Step,
        path: &str,
        host: &str,
        place: &Place,
    ) -> Result<(), Stop> {
        let unit = UnitId { step: path.to_owned(), host: host.to_owned(), item: place.item_name.clone() };
        let item = place.item.clone();
        let state = self.log.state(|state| state.unit_state(&unit));
        if state.settled() && !self.begins_again(&unit, step) {
            return Ok(());
        }
        let atomic = place.atomic || step.atomic;
        if !place.atomic && self.cancel.is_cancelled() {
            return Err(Stop::Operator(self.person.name()));
        }
        if state == UnitState::Failed && self.failed_only_trust(&unit) {
            let again = Attempt::resumed(self, step, unit.clone(), &item, Cancel::new());
            let outcome = again.judge_again().await;
            if outcome.is_ok() || !self.revised_since(&unit) {
                self.tell_hooks(step, &unit, &outcome).await;
                return outcome;
            }
        }
        // An atomic step with steps may still be stopped at its gate; what is inside may not.
        let unstoppable = match &step.work {
            Work::Steps(_) => place.atomic,
            Work::Action(_) | Work::Script(_) => atomic,
        };
        let cancel = if unstoppable { Cancel::new() } else { self.cancel.clone() };
        let told = unit.clone();
        let outcome = match &step.work {
            Work::Steps(children) => {
                let inside = Place { prefix: path.to_owned(), atomic, ..place.on(step, host) };
                self.parent(step, unit, item, cancel, children, &inside).await
            }
            Work::Action(_) | Work::Script(_) if in_doubt(step, state) => Err(doubtful(&unit).into()),
            Work::Script(_) if state.in_flight() => {
                self.leaf(Attempt::resumed(self, step, unit, &item, cancel), &item).await
            }
            Work::Action(_) | Work::Script(_) => {
                let mut attempt = Attempt::new(self, step, unit, &item, cancel);
                // Inside an atomic step and in `finally`, `--step` must not leave the host half-way.
                attempt.ask_each &= !place.atomic;
                self.leaf(attempt, &item).await
            }
        };
        self.tell_hooks(step, &told, &outcome).await;
        outcome
    }

    /// `after_step` for a unit that is done now, `on_failure` for one that failed itself.
    async fn tell_hooks(self: &Arc<Self>, step: &Step, unit: &UnitId, outcome: &Result<(), Stop>) {
        let (state, attempt, result) = self.log.state(|state| {
            let known = state.unit(unit);
            let result = known.map_or(Value::Null, |known| Value::from_json(&known.result));
            (state.unit_state(unit), known.map_or(0, |known| known.attempt), result)
        });
        match (state, outcome) {
            (UnitState::Done, Ok(())) => self.after_step(step, unit, attempt, &result).await,
            (UnitState::FailedClean | UnitState::Failed | UnitState::Unknown, Err(Stop::Fault(fault))) => {
                self.on_failure(step, unit, attempt, fault).await;
            }
            _ => {}
        }
    }

    /// Is a unit that was left out begun again all the same?
    fn begins_again(&self, unit: &UnitId, step: &Step) -> bool {
        self.skipped_in_debt(unit) || self.left_out_before_changes(unit, step) || self.is_asked_again(unit)
    }

    /// A unit that was left out although it, or a step around or inside it, settles what its host still owes: it is begun
    /// again, or nothing could ever pay (also after a kill between its leaving out and the record that its
    /// obligation is paid). Inside a settling step only until a later unit there may have changed something: what
    /// was started is not stopped again.
    fn skipped_in_debt(&self, unit: &UnitId) -> bool {
        let skipped = self
            .log
            .state(|state| state.unit(unit).filter(|own| own.state == UnitState::Skipped).map(|own| own.seq));
        let Some(skipped) = skipped else { return false };
        let path = canonical(&unit.step);
        let settling = self.runbook.walk().into_iter().filter_map(|(at, step)| {
            let what = &step.settles.as_ref()?.value;
            (inside(&path, &at) || inside(&at, &path)).then(|| (at, what.clone()))
        });
        self.log.state(|state| {
            let owed = |what: &str| {
                let on = |host: &String| *host == unit.host || unit.host == LOCAL;
                state.owed.keys().any(|(owed, host)| owed == what && on(host))
            };
            settling.filter(|(_, what)| owed(what)).any(|(path, _)| {
                let within = format!("{path}/");
                let mut later = state.units.iter().filter(|(id, known)| {
                    known.seq > skipped && id.host == unit.host && id.step.starts_with(&within)
                });
                !later.any(|(id, known)| {
                    (known.changed || !known.state.settled() && known.may_have_changed())
                        && self.can_change(&id.step)
                })
            })
        })
    }

    /// Has the step at a path an action that can change a host, or a script, which can?
    pub(super) fn can_change(&self, path: &str) -> bool {
        match self.runbook.step_at(path).map(|step| &step.work) {
            Some(Work::Script(_)) => true,
            Some(Work::Action(call)) => {
                self.registry.get(&call.action).is_some_and(|action| action.spec().effect == Effect::Changes)
            }
            Some(Work::Steps(_)) | None => false,
        }
    }

    /// A unit with an action or a script. When its host was lost, its outcome is looked for once more right away.
    async fn leaf(self: &Arc<Self>, attempt: Attempt<'_>, item: &Value) -> Result<(), Stop> {
        let (unit, step, cancel) = (attempt.unit.clone(), attempt.step, attempt.cancel.clone());
        let mut outcome = attempt.carry_out().await;
        while outcome.is_err() && self.log.state(|state| state.unit_state(&unit)) == UnitState::Unknown {
            self.reconcile_soon(&unit).await?;
            match self.log.state(|state| state.unit_state(&unit)) {
                UnitState::Done => return Ok(()),
                UnitState::Unknown => return Err(doubtful(&unit).into()),
                _ if self.script_goes_on(&unit, &outcome) => {
                    outcome =
                        Attempt::resumed(self, step, unit.clone(), item, cancel.clone()).carry_out().await;
                }
                _ => return self.with_what_was_found(&unit, outcome),
            }
        }
        outcome
    }

    /// A failure that said that nobody knows what became of it says what was found since.
    fn with_what_was_found(&self, unit: &UnitId, outcome: Result<(), Stop>) -> Result<(), Stop> {
        let not_done = self.log.state(|state| {
            let intent = state.unit(unit).and_then(|known| known.intent());
            intent.is_some_and(|intent| intent.not_done && intent.call.is_none())
        });
        outcome.map_err(|stop| match stop {
            Stop::Fault(fault) if not_done => {
                Stop::Fault(fault.now("it did not happen: that was found when the host was looked at again"))
            }
            other => other,
        })
    }

    /// The call of a script that was in doubt is done, and neither time nor a person ended the script.
    fn script_goes_on(&self, unit: &UnitId, outcome: &Result<(), Stop>) -> bool {
        let lost = |fault: &Fault| matches!(fault.kind, FaultKind::Unreachable | FaultKind::Unknown);
        let found = self.log.state(|state| {
            let known = state.unit(unit).filter(|known| known.state == UnitState::Kept);
            known
                .and_then(|known| known.intent())
                .is_some_and(|intent| intent.call.is_some() && !intent.not_done)
        });
        found && matches!(outcome, Err(Stop::Fault(fault)) if lost(fault))
    }

    async fn parent(
        self: &Arc<Self>,
        step: &Step,
        unit: UnitId,
        item: Value,
        cancel: Cancel,
        children: &[Step],
        inside: &Place,
    ) -> Result<(), Stop> {
        let begun = Instant::now();
        if self.log.state(|state| state.unit_state(&unit)).in_flight() {
            let attempt = Attempt::resumed(self, step, unit.clone(), &item, cancel.clone());
            if attempt.must_be_asked_again().await {
                attempt.write(Event::UnitReconciled {
                    verdict: "not-done".to_owned(),
                    reason: "no step inside is done, and its gate was answered for an earlier process"
                        .to_owned(),
                    by: "action".to_owned(),
                    result: serde_json::Value::Null,
                    wrote: Vec::new(),
                })?;
            } else {
                attempt.keep_again(begun).await?;
                self.walk(children, inside).await?;
                return Attempt::resumed(self, step, unit, &item, cancel).finish_parent(begun).await;
            }
        }
        let mut attempt = Attempt::new(self, step, unit.clone(), &item, cancel.clone());
        let ready = match attempt.prepare_or_fail(begun).await? {
            Prepared::LeftOut => return Ok(()),
            Prepared::Go(ready) => ready,
        };
        attempt.effect(*ready, begun).await?;
        self.walk(children, inside).await?;
        Attempt::resumed(self, step, unit, &item, cancel).finish_parent(begun).await
    }
}

/// Nobody knows what became of it. A script between two of its calls is only interrupted.
fn in_doubt(step: &Step, state: UnitState) -> bool {
    match &step.work {
        Work::Script(_) => matches!(state, UnitState::Calling | UnitState::Unknown),
        _ => state.in_flight(),
    }
}

/// Is an item one of a loop inside the loop of the other item, in that one?
pub(super) fn inside_item(item: &str, outer: &str) -> bool {
    item.strip_prefix(outer).is_some_and(|rest| rest.starts_with(NESTED))
}

/// Are they the same item, or is one inside the other?
pub(super) fn related(one: &str, other: &str) -> bool {
    one == other || inside_item(one, other) || inside_item(other, one)
}

/// What to do where a loop may have no items.
const EMPTY_LOOP: &str = "an empty selection never passes: where it is right, put the step into one with a `when` that asks for it";

/// What to do where a secret would name an item.
const ITEM_NAMES: &str = "name items by what is no secret (`id` or `name` of a map does), and read the secret as a fact of the step";

fn named_twice(items: &[Value]) -> Option<String> {
    let names: Vec<String> = items.iter().map(item_name).collect();
    names
        .iter()
        .enumerate()
        .find(|(at, name)| names.iter().skip(at + 1).any(|other| other == *name))
        .map(|(_, name)| name.clone())
}

fn doubtful(unit: &UnitId) -> Fault {
    Fault::new(
        FaultKind::Unknown,
        format!("go on past {unit}"),
        "it was under way when the run was interrupted, and nobody can tell whether it happened",
    )
    .now("it was not done again")
    .hint("look at the host, then `keybook resume` asks you what happened; or roll back")
}
