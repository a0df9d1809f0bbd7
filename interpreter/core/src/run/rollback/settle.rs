//! Obligations that restored files raise, paid again by the step that settles them.

use crate::{
    model::{Step, canonical},
    run::{
        session::Session,
        state::{Intent, State},
        stop::Stop,
        walk::{Place, related},
    },
};
use futures::future::BoxFuture;
use keybook_api::{Event, Fault, UnitId, Value};
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

    pub(super) async fn settle_debt(self: &Arc<Self>, debt: Option<Debt>) -> Result<(), Stop> {
        let Some(debt) = debt else { return Ok(()) };
        let settling = self
            .runbook
            .walk()
            .into_iter()
            .find(|(_, step)| step.settles.as_ref().is_some_and(|settles| settles.value == debt.what));
        let Some((at, step)) = settling else {
            return Err(
                Fault::failed(format!("settle {}", debt.what), "no step of the runbook settles it").into()
            );
        };
        // A number of its own, so that a settling is never taken for an earlier one that was interrupted.
        let number = self.log.state(|state| state.last);
        let round = format!("rollback/{}.{number}", debt.step.replace('/', "."));
        let place =
            Place { prefix: round, only: Some(debt.hosts.iter().cloned().collect()), ..Place::default() };
        if let Some(choice) = &step.hosts {
            let place = place.inside(&at);
            let mut hosts = choice.resolve(&self.hosts.groups()).unwrap_or_default();
            hosts.retain(|host| debt.hosts.contains(host));
            // None is a fault, which the step itself tells.
            if !hosts.is_empty() {
                let (step, hosts) =
                    (format!("{}/{}", place.prefix, step.id.value), self.latest_first(&at, hosts));
                self.log.run(Event::StepPinned { step, hosts, items: None })?;
            }
            return self.step(step, &place).await;
        }
        // A settling step inside another runs on the hosts of that one, and in the loops around it.
        let ends = at.match_indices('/').map(|(end, _)| at.get(..end).unwrap_or_default());
        let around: Vec<&Step> = ends.filter_map(|path| self.runbook.step_at(path)).collect();
        for host in self.latest_first(&at, debt.hosts.iter().cloned().collect()) {
            let there = Place { host: Some(host), ..place.clone() };
            self.settle_inside(&around, step, there, &debt.what).await?;
        }
        Ok(())
    }

    /// A settling step inside others, on one host: of the loops around it, for the items that owe, the latest first.
    fn settle_inside<'s>(
        self: &'s Arc<Self>,
        around: &'s [&'s Step],
        settling: &'s Step,
        place: Place,
        what: &'s str,
    ) -> BoxFuture<'s, Result<(), Stop>> {
        Box::pin(async move {
            let Some((outer, inner)) = around.split_first() else { return self.step(settling, &place).await };
            let (path, host) = (place.path(outer), place.host.clone().unwrap_or_default());
            let items = match self.items(outer, &path, &host, &place)? {
                None => vec![(place.item.clone(), place.item_name.clone())],
                Some(items) => self.owing_items(what, &host, items),
            };
            for (item, item_name) in items.into_iter().rev() {
                let inside = Place { prefix: path.clone(), item, item_name, ..place.clone() };
                self.settle_inside(inner, settling, inside, what).await?;
            }
            Ok(())
        })
    }

    /// Of a loop's items those in which the host owes something. All of them when that cannot be told: when what owes
    /// is in no loop, or in another one.
    fn owing_items(
        &self,
        what: &str,
        host: &str,
        items: Vec<(Value, String)>,
    ) -> Vec<(Value, Option<String>)> {
        let debt = (what.to_owned(), host.to_owned());
        let owed = self.log.state(|state| state.owed.get(&debt).cloned()).unwrap_or_default();
        let owing = |name: &str| owed.keys().flatten().any(|item| related(item, name));
        let told = items.iter().any(|(_, name)| owing(name));
        let kept = items.into_iter().filter(|(_, name)| !told || owing(name));
        kept.map(|(item, name)| (item, Some(name))).collect()
    }

    /// Hosts in the reverse of the order in which a settling step last had an effect on them, those without any at
    /// the end. Where the new files broke a daemon when it was restarted, the run went no further: that host comes
    /// first, before the checks on any other could miss it.
    fn latest_first(&self, settling: &str, mut hosts: Vec<String>) -> Vec<String> {
        let inside = |path: &str| {
            path.strip_prefix(settling).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let latest: BTreeMap<String, usize> = self.log.state(|state| {
            let effects = state.units.iter().enumerate().filter(|(_, (id, unit))| {
                let had_one = |intent: &Intent| !intent.action.is_empty() && intent.may_have_changed();
                inside(&canonical(&id.step)) && unit.intents.iter().any(had_one)
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
        let around = path.match_indices('/').map(|(at, _)| &path[..at]).chain([path]);
        around.filter_map(|path| self.runbook.step_at(path)).any(|step| step.settles.is_some())
    }
}
