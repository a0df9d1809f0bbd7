//! Obligations that restored files raise, paid again by the step that settles them.

use crate::{
    backup::inside,
    model::{HostChoice, Step, canonical},
    run::{
        hosts::LOCAL,
        session::Session,
        state::{Intent, State},
        stop::Stop,
        unit::Attempt,
        walk::{Place, related},
    },
};
use futures::future::BoxFuture;
use keybook_api::{Cancel, Event, Fault, UnitId, Value, event::SkipReason, ids::steps_to};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A step whose files were restored, and the hosts that now owe its obligation again.
pub(super) struct Debt {
    /// The path of the step that owes.
    pub step: String,
    /// What is owed.
    pub what: String,
    /// The hosts that owe it.
    pub hosts: BTreeSet<String>,
}

/// A step that settles what is owed, and the hosts that owe it.
struct Settling<'s> {
    at: &'s str,
    step: &'s Step,
    what: &'s str,
    hosts: &'s BTreeSet<String>,
}

impl Session {
    /// The unit's step, or the one around it, that owes something: its path and what.
    pub(super) fn owing_step(&self, unit: &UnitId) -> Option<(String, String)> {
        let mut path = canonical(&unit.step);
        loop {
            if let Some(owes) = self.runbook.step_at(&path).and_then(|step| step.owes.as_ref()) {
                return Some((path, owes.what.value.clone()));
            }
            path = path.rsplit_once('/')?.0.to_owned();
        }
    }

    pub(super) fn owes_on(&self, path: &str, host: &str) -> bool {
        let group =
            self.runbook.step_at(path).and_then(|step| step.owes.as_ref()).and_then(|owes| owes.on.as_ref());
        group.is_none_or(|group| {
            self.hosts.groups().get(&group.value).is_some_and(|g| g.iter().any(|h| h == host))
        })
    }

    /// Carries out the steps that settle what is owed, each for the hosts (and items) that still owe it.
    pub(super) async fn settle_debt(self: &Arc<Self>, debt: Option<Debt>) -> Result<(), Stop> {
        let Some(debt) = debt else { return Ok(()) };
        let settles = |step: &Step| step.settles.as_ref().is_some_and(|settles| settles.value == debt.what);
        let settling: Vec<String> =
            self.runbook.walk().into_iter().filter(|(_, step)| settles(step)).map(|(at, _)| at).collect();
        let attempted = || format!("settle {}", debt.what);
        if settling.is_empty() {
            return Err(Fault::failed(attempted(), "no step of the runbook settles it").into());
        }
        let mut reached = BTreeSet::new();
        for at in &settling {
            let steps: Vec<&Step> = steps_to(at).filter_map(|path| self.runbook.step_at(path)).collect();
            let Some((step, around)) = steps.split_last() else { continue };
            // A number of its own, so that a settling is never taken for an earlier one that was interrupted.
            let number = self.log.state(|state| state.last);
            let prefix = format!("rollback/{}.{number}", debt.step.replace('/', "."));
            let there = Settling { at, step, what: &debt.what, hosts: &debt.hosts };
            reached.extend(self.settling_hosts(&there, &steps));
            self.settle_inside(around, &there, Place { prefix, ..Place::default() }).await?;
        }
        let missed: Vec<String> = debt.hosts.difference(&reached).cloned().collect();
        match missed.is_empty() {
            true => Ok(()),
            false => {
                let why =
                    format!("{} must be settled, and no step that settles it is for it", missed.join(", "));
                Err(Fault::failed(attempted(), why).into())
            }
        }
    }

    /// The hosts that still owe, of those for which a settling step is: those of the step, or of the one around it.
    fn settling_hosts(&self, settling: &Settling<'_>, steps: &[&Step]) -> Vec<String> {
        match steps.iter().find_map(|step| step.hosts.as_ref()) {
            Some(choice) => self.owing_hosts(settling, choice),
            None => Vec::new(),
        }
    }

    fn owing_hosts(&self, settling: &Settling<'_>, choice: &HostChoice) -> Vec<String> {
        let mut hosts = choice.resolve(&self.hosts.groups()).unwrap_or_default();
        hosts.retain(|host| settling.hosts.contains(host));
        self.latest_first(settling.at, hosts)
    }

    /// A settling step inside others: on their hosts, and of the loops around it for the items that owe, the latest first.
    /// What was left out in the run is left out here.
    fn settle_inside<'s>(
        self: &'s Arc<Self>,
        around: &'s [&'s Step],
        settling: &'s Settling<'s>,
        place: Place,
    ) -> BoxFuture<'s, Result<(), Stop>> {
        Box::pin(async move {
            let Some((outer, inner)) = around.split_first() else {
                return self.settle_there(settling, place).await;
            };
            let path = place.path(outer);
            let hosts: Vec<Option<String>> = match (&place.host, &outer.hosts) {
                (None, Some(choice)) => self.owing_hosts(settling, choice).into_iter().map(Some).collect(),
                _ => vec![place.host.clone()],
            };
            for host in hosts {
                let there = Place { host, ..place.clone() };
                let on = there.host.clone().unwrap_or_else(|| LOCAL.to_owned());
                let places = self.items(outer, &path, &on, &there)?;
                for there in self.owing(outer, settling, places).into_iter().rev() {
                    let unit = UnitId { step: path.clone(), host: on.clone(), item: there.item_name.clone() };
                    if !self.was_left_out(outer, &unit, &there.item) {
                        let inside = Place { prefix: path.clone(), ..there };
                        self.settle_inside(inner, settling, inside).await?;
                    }
                }
            }
            Ok(())
        })
    }

    /// The settling step itself.
    async fn settle_there(self: &Arc<Self>, settling: &Settling<'_>, place: Place) -> Result<(), Stop> {
        let owes = |host: &String| {
            self.log.state(|state| state.owed.contains_key(&(settling.what.to_owned(), host.clone())))
        };
        if let Some(host) = &place.host {
            return if owes(host) { self.step(settling.step, &place).await } else { Ok(()) };
        }
        let Some(choice) = &settling.step.hosts else { return self.step(settling.step, &place).await };
        let hosts: Vec<String> = self.owing_hosts(settling, choice).into_iter().filter(owes).collect();
        if hosts.is_empty() {
            return Ok(());
        }
        let step = place.path(settling.step);
        self.log.run(Event::StepPinned { step, hosts: hosts.clone(), items: None })?;
        self.step(settling.step, &place).await
    }

    /// Was a step around a settling one left out in the run, or would it be left out now?
    fn was_left_out(self: &Arc<Self>, step: &Step, unit: &UnitId, item: &Value) -> bool {
        let before = UnitId { step: canonical(&unit.step), ..unit.clone() };
        let skipped = self
            .log
            .state(|state| state.unit(&before).is_some_and(|known| known.skipped_for(SkipReason::When)));
        let attempt = Attempt::new(self, step, unit.clone(), item, Cancel::new());
        let says_no = |when| matches!(attempt.truth(when, "when"), Ok(false));
        skipped || step.when.as_ref().is_some_and(says_no)
    }

    /// Of the items of a step's loop those in which the host (or any host, for a loop around them) owes something. All of
    /// them when that cannot be told: when what owes is in no loop, or in another one.
    fn owing(&self, step: &Step, settling: &Settling<'_>, items: Vec<Place>) -> Vec<Place> {
        if step.for_each.is_none() {
            return items;
        }
        let host = items.first().and_then(|place| place.host.clone());
        let here =
            |owing: &String| host.as_ref().map_or(settling.hosts.contains(owing), |host| host == owing);
        let owed: Vec<String> = self.log.state(|state| {
            let debts = state.owed.iter().filter(|((what, owing), _)| what == settling.what && here(owing));
            debts.flat_map(|(_, items)| items.keys().flatten().cloned()).collect()
        });
        let owing = |place: &Place| {
            place.item_name.as_ref().is_some_and(|name| owed.iter().any(|item| related(item, name)))
        };
        let told = items.iter().any(owing);
        items.into_iter().filter(|place| !told || owing(place)).collect()
    }

    /// Hosts in the reverse of the order in which a settling step last had an effect on them, those without any at
    /// the end. Where the new files broke a daemon when it was restarted, the run went no further: that host comes
    /// first, before the checks on any other could miss it.
    fn latest_first(&self, settling: &str, mut hosts: Vec<String>) -> Vec<String> {
        let latest: BTreeMap<String, usize> = self.log.state(|state| {
            let effects = state.units.iter().enumerate().filter(|(_, (id, unit))| {
                let had_one = |intent: &Intent| !intent.action.is_empty() && intent.may_have_changed();
                inside(&canonical(&id.step), settling) && unit.intents.iter().any(had_one)
            });
            effects.map(|(number, (id, _))| (id.host.clone(), number)).collect()
        });
        hosts.sort_by_key(|host| std::cmp::Reverse(latest.get(host).copied()));
        hosts
    }

    pub(super) fn check_paid(&self) -> Result<(), Stop> {
        let owed = self.log.state(State::owed_names);
        if owed.is_empty() {
            return Ok(());
        }
        Err(Fault::failed("roll back wholly", format!("this is still owed: {}", owed.join(", ")))
            .now("the files are as they were before the run, but not every host runs them")
            .hint("do it by hand, or mend the settling step's condition and roll back again")
            .into())
    }

    /// What is still owed when an earlier rollback stopped between restoring and settling.
    pub(super) async fn settle_leftovers(self: &Arc<Self>) -> Result<(), Stop> {
        let mut owed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (what, host) in self.log.state(|state| state.owed.keys().cloned().collect::<Vec<_>>()) {
            owed.entry(what).or_default().insert(host);
        }
        for (what, hosts) in owed {
            self.settle_debt(Some(Debt { step: "owed".to_owned(), what, hosts })).await?;
        }
        Ok(())
    }

    /// Does the step at a path, or one around it, settle an obligation?
    pub(super) fn settles(&self, path: &str) -> bool {
        steps_to(path).filter_map(|path| self.runbook.step_at(path)).any(|step| step.settles.is_some())
    }
}
