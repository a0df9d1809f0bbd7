//! Obligations that restored files raise, paid again by the step that settles them.

use crate::{
    backup::inside,
    model::{HostChoice, Step, canonical},
    run::{
        hosts::LOCAL,
        machine::UnitState,
        session::Session,
        state::{Intent, State},
        stop::Stop,
        unit::{Attempt, Prepared},
        walk::{Place, related},
    },
};
use futures::future::BoxFuture;
use keybook_api::{Cancel, Event, Fault, UnitId, Value, event::SkipReason};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
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

/// What a rollback has to settle, and what it has settled, or tried to: a refusal is not asked about again by itself.
#[derive(Default)]
pub(super) struct Debts {
    /// Of the step that is being taken back.
    pub open: Option<Debt>,
    tried: BTreeSet<(String, String)>,
}

/// What a settling step is carried out for.
#[derive(Clone)]
pub(in crate::run) struct Settling {
    /// The path of the settling step.
    at: String,
    host: String,
    /// The items that are to be settled; `None`: all of them.
    items: Vec<Option<String>>,
}

impl Settling {
    /// Is the step at a path around the settling one, it, or inside it?
    pub fn concerns(&self, path: &str) -> bool {
        self.is_around(path) || inside(&canonical(path), &self.at)
    }

    /// Is the step at a path around the settling one?
    pub fn is_outside(&self, path: &str) -> bool {
        self.is_around(path) && canonical(path) != self.at
    }

    /// Is the step at a path the settling one, or around it?
    pub fn is_around(&self, path: &str) -> bool {
        inside(&self.at, &canonical(path))
    }

    /// Is a step that is the settling one, or around it, carried out on this host?
    pub fn is_on(&self, step: &Step, path: &str, host: &str) -> bool {
        host == self.host || step.hosts.is_none() && canonical(path) != self.at
    }

    /// Of the items of a step's loop those that are to be settled, or have something inside that is; the latest first.
    pub fn of(&self, step: &Step, mut items: Vec<Place>) -> Vec<Place> {
        let named = |place: &Place, item: &Option<String>| match (item, &place.item_name) {
            (Some(item), Some(name)) => related(item, name),
            _ => true,
        };
        if step.for_each.is_some() {
            items.retain(|place| self.items.iter().any(|item| named(place, item)));
        }
        items.reverse();
        items
    }
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

    /// What an earlier attempt at this rollback put back and did not settle comes first, before anything else is touched: a
    /// host that does not run its old files yet must not be followed by the next one. What the step owes that was being
    /// taken back stays open, as it was then.
    pub(super) async fn debts_left(self: &Arc<Self>) -> Result<Debts, Stop> {
        let mut debts = Debts::default();
        let owed = self.owed_by_the_undone();
        let latest = self.log.state(|state| {
            let undone = state.units.iter().filter(|(_, known)| known.state == UnitState::TakenBack);
            undone.max_by_key(|(_, known)| known.seq).map(|(id, _)| id.clone())
        });
        let last_step = latest.and_then(|unit| self.owing_step(&unit)).map(|(path, _)| path);
        let mut open: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for ((what, host), step) in owed {
            open.entry((step, what)).or_default().insert(host);
        }
        let (own, others): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|((step, _), _)| Some(step) == last_step.as_ref());
        for ((step, what), hosts) in others {
            debts.open = Some(Debt { step, what, hosts });
            self.settle_debt(&mut debts).await?;
        }
        debts.open = own.into_iter().next().map(|((step, what), hosts)| Debt { step, what, hosts });
        Ok(debts)
    }

    /// Carries out every step that settles what is owed, host by host, for the items that owe it.
    pub(super) async fn settle_debt(self: &Arc<Self>, debts: &mut Debts) -> Result<(), Stop> {
        let Some(debt) = debts.open.take() else { return Ok(()) };
        debts.tried.extend(debt.hosts.iter().map(|host| (debt.what.clone(), host.clone())));
        let attempted = || format!("settle {}", debt.what);
        let settling = self.steps_that_settle(&debt.what);
        if settling.is_empty() {
            return Err(Fault::failed(attempted(), "no step of the runbook settles it").into());
        }
        let mut settled = BTreeSet::new();
        for at in &settling {
            for host in self.settling_hosts(at, &debt.hosts) {
                if settled.insert(host.clone()) {
                    self.settle_host(&debt, &settling, &host).await?;
                }
            }
        }
        let missed: Vec<String> = debt.hosts.difference(&settled).cloned().collect();
        match missed.is_empty() {
            true => Ok(()),
            false => {
                let why =
                    format!("{} must be settled, and no step that settles it is for it", missed.join(", "));
                Err(Fault::failed(attempted(), why).into())
            }
        }
    }

    /// All settling steps on one host; then it has paid, unless one of them was refused, or none was carried out.
    async fn settle_host(self: &Arc<Self>, debt: &Debt, settling: &[String], host: &str) -> Result<(), Stop> {
        // A number of its own, so that a settling is never taken for an earlier one that was interrupted.
        let number = self.log.state(|state| state.last);
        let prefix = format!("rollback/{}.{number}", debt.step.replace('/', "."));
        for at in settling {
            let steps: Vec<&Step> = self.runbook.steps_to(at).map(|(_, step)| step).collect();
            let items = self.items_to_settle(at, &debt.what, host);
            let there = Settling { at: at.clone(), host: host.to_owned(), items };
            self.settle_inside(&steps, &there, Place { prefix: prefix.clone(), ..Place::default() }).await?;
        }
        if !self.was_settled(settling, host, &format!("{prefix}/")) {
            return Ok(());
        }
        let key = (debt.what.clone(), host.to_owned());
        let items: Vec<Option<String>> = self.log.state(|state| {
            state.owed.get(&key).into_iter().flat_map(|items| items.keys().cloned()).collect()
        });
        for item in items {
            self.log.run(Event::ObligationSettled {
                what: key.0.clone(),
                host: key.1.clone(),
                item,
                by: None,
            })?;
        }
        Ok(())
    }

    fn was_settled(&self, settling: &[String], host: &str, prefix: &str) -> bool {
        self.log.state(|state| {
            let of_round = state.units.iter().filter(|(id, _)| id.step.starts_with(prefix));
            let units: Vec<_> = of_round.map(|(id, known)| (canonical(&id.step), id, known)).collect();
            let around = |path: &str| settling.iter().any(|at| inside(at, path));
            let refused =
                units.iter().any(|(path, _, known)| around(path) && known.skipped_for(SkipReason::Operator));
            let done = units
                .iter()
                .any(|(path, id, known)| id.host == host && settling.contains(path) && known.is_so());
            done && !refused
        })
    }

    /// Of the hosts that owe those for which a settling step is: the hosts of the step, or of the one around it.
    fn settling_hosts(&self, at: &str, owing: &BTreeSet<String>) -> Vec<String> {
        let mut hosts = match self.runbook.steps_to(at).find_map(|(_, step)| step.hosts.as_ref()) {
            Some(choice) => choice.resolve(&self.hosts.groups()).unwrap_or_default(),
            None => vec![LOCAL.to_owned()],
        };
        hosts.retain(|host| owing.contains(host));
        self.latest_first(at, hosts)
    }

    /// Does a step without a host around it choose this one?
    fn chooses(&self, step: &Step, host: &str) -> bool {
        let chosen = |choice: &HostChoice| choice.resolve(&self.hosts.groups()).unwrap_or_default();
        step.hosts.as_ref().is_none_or(|choice| chosen(choice).iter().any(|one| one == host))
    }

    /// A settling step, the last of `steps`, inside the others: of the loops for the items that owe, the latest first. What
    /// a condition left out in the run is left out here; the gates of the steps around are asked.
    fn settle_inside<'s>(
        self: &'s Arc<Self>,
        steps: &'s [&'s Step],
        settling: &'s Settling,
        place: Place,
    ) -> BoxFuture<'s, Result<(), Stop>> {
        Box::pin(async move {
            let Some((step, inner)) = steps.split_first() else { return Ok(()) };
            let path = place.path(step);
            if place.host.is_none() && !self.chooses(step, &settling.host) {
                return Ok(());
            }
            let place = if step.hosts.is_some() { place.on(step, &settling.host) } else { place };
            let on = place.host.clone().unwrap_or_else(|| LOCAL.to_owned());
            if inner.is_empty() && on != settling.host {
                return Ok(());
            }
            let places = self.items(step, &path, &on, &place)?;
            for there in settling.of(step, places) {
                if inner.is_empty() {
                    self.unit(step, &path, &on, &there).await?;
                } else {
                    self.settle_around(step, &on, there, inner, settling, &path).await?;
                }
            }
            Ok(())
        })
    }

    /// A step around a settling one, on a host and for an item. One with a gate is a unit of its own, so that it is asked.
    async fn settle_around<'s>(
        self: &'s Arc<Self>,
        step: &'s Step,
        on: &str,
        there: Place,
        inner: &'s [&'s Step],
        settling: &'s Settling,
        path: &str,
    ) -> Result<(), Stop> {
        let unit = UnitId { step: path.to_owned(), host: on.to_owned(), item: there.item_name.clone() };
        if self.was_left_out(step, &unit, &there.item) {
            return Ok(());
        }
        let begun = Instant::now();
        let item = there.item.clone();
        if step.gate.is_some() {
            let mut attempt = Attempt::new(self, step, unit.clone(), &item, self.cancel.clone());
            attempt.settling = Some(settling.clone());
            match attempt.prepare_or_fail(begun).await? {
                Prepared::LeftOut => return Ok(()),
                Prepared::Go(ready) => attempt.effect(*ready, begun).await?,
            };
        }
        self.settle_inside(inner, settling, Place { prefix: path.to_owned(), ..there }).await?;
        if step.gate.is_some() {
            Attempt::resumed(self, step, unit, &item, self.cancel.clone()).finish_parent(begun).await?;
        }
        Ok(())
    }

    /// Was a step around a settling one left out in the run, or would it be left out now?
    pub(in crate::run) fn was_left_out(self: &Arc<Self>, step: &Step, unit: &UnitId, item: &Value) -> bool {
        let before = UnitId { step: canonical(&unit.step), ..unit.clone() };
        let skipped = self
            .log
            .state(|state| state.unit(&before).is_some_and(|known| known.skipped_for(SkipReason::When)));
        let attempt = Attempt::new(self, step, unit.clone(), item, Cancel::new());
        let says_no = |when| matches!(attempt.truth(when, "when"), Ok(false));
        skipped || step.when.as_ref().is_some_and(says_no)
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
            .now("the files are as they were before the run; the hosts that owe may still run what the run had put there")
            .hint("roll back again and say yes to what settles it; or do it by hand, where it is needed, and roll back with `--settled WHAT@HOST`")
            .into())
    }

    /// What is still owed when an earlier rollback stopped between restoring and settling.
    pub(super) async fn settle_leftovers(self: &Arc<Self>, mut debts: Debts) -> Result<(), Stop> {
        let mut owed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (what, host) in self.log.state(|state| state.owed.keys().cloned().collect::<Vec<_>>()) {
            if !debts.tried.contains(&(what.clone(), host.clone())) {
                owed.entry(what).or_default().insert(host);
            }
        }
        for (what, hosts) in owed {
            debts.open = Some(Debt { step: "owed".to_owned(), what, hosts });
            self.settle_debt(&mut debts).await?;
        }
        Ok(())
    }

    /// Does the step at a path, or one around it, settle an obligation?
    pub(in crate::run) fn settles(&self, path: &str) -> bool {
        self.runbook.steps_to(path).any(|(_, step)| step.settles.is_some())
    }
}
