//! What pays an obligation on the way forward: every unit of every step that settles it, on the host that owes.

use super::{
    hosts::LOCAL,
    loops::{self, Loop},
    machine::UnitState,
    session::Session,
    state::State,
    walk::related,
};
use crate::model::{Step, canonical};
use keybook_api::{Event, Fault, UnitId, event::SkipReason};

/// A unit that settles, or units of which nothing is known yet, on one host.
struct Settling {
    /// The path of its step.
    step: String,
    /// Its item; of units that are not known yet, the item around them.
    item: Option<String>,
    standing: Standing,
}

/// Where a settling unit stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Done, or found to be so already; the journal number of that record.
    Done(u64),
    /// Its condition, or that of a step around it, leaves it out, or there is nothing for it to change.
    LeftOut,
    /// Not yet, or a person refused it.
    Open,
}

/// The steps from the outermost to a settling one, and what binds them so far.
struct Walk<'s> {
    state: &'s State,
    /// The path of the settling step.
    at: &'s str,
    host: &'s str,
    found: Vec<Settling>,
}

impl Session {
    /// Records each obligation that is paid by now: all units that settle it are through, and one of them was done since it
    /// was raised. To be asked whenever a unit is through, so that a process that was killed before the record is no
    /// matter. A rollback pays by itself ([`Session::settle_debt`]).
    pub(super) fn pay(&self) -> Result<(), Fault> {
        let paid = self.log.state(|state| {
            let mut paid = Vec::new();
            for ((what, host), items) in &state.owed {
                let settling = self.settling(state, what, host);
                let covered =
                    items.iter().filter(|(item, raised)| covers(&settling, item.as_deref(), **raised));
                paid.extend(covered.map(|(item, _)| (what.clone(), host.clone(), item.clone())));
            }
            paid
        });
        for (what, host, item) in paid {
            self.log.run(Event::ObligationSettled { what, host, item, by: None })?;
        }
        Ok(())
    }

    /// The same after a unit, when it is one of the run itself: `finally` pays nothing.
    pub(super) fn pay_after(&self, unit: &UnitId) -> Result<(), Fault> {
        if canonical(&unit.step) == unit.step { self.pay() } else { Ok(()) }
    }

    /// Every unit that settles something on a host, as far as they are known.
    fn settling(&self, state: &State, what: &str, host: &str) -> Vec<Settling> {
        let mut found = Vec::new();
        for at in self.steps_that_settle(what) {
            let around: Vec<(&str, &Step)> = self.runbook.steps_to(&at).collect();
            let mut walk = Walk { state, at: &at, host, found };
            self.walk_settling(&mut walk, &around, None, None);
            found = walk.found;
        }
        found
    }

    /// The items for which the settling step at a path has to be carried out again, that its host owes nothing any more.
    pub(super) fn items_to_settle(&self, at: &str, what: &str, host: &str) -> Vec<Option<String>> {
        self.log.state(|state| {
            let owed = state.owed.get(&(what.to_owned(), host.to_owned()));
            let items: Vec<Option<&str>> = match owed {
                Some(items) => items.keys().map(Option::as_deref).collect(),
                None => vec![None],
            };
            let settling = self.settling(state, what, host);
            let paying = items.iter().flat_map(|owing| paying(&settling, *owing));
            paying.filter(|one| one.step == at).map(|one| one.item.clone()).collect()
        })
    }

    /// The paths of the steps that settle something, in their order. `finally` settles nothing.
    pub(super) fn steps_that_settle(&self, what: &str) -> Vec<String> {
        let all = self.runbook.walk().into_iter();
        let settles = |step: &Step| step.settles.as_ref().is_some_and(|settles| settles.value == what);
        all.filter(|(path, step)| settles(step) && !path.starts_with("finally/"))
            .map(|(path, _)| path)
            .collect()
    }

    fn walk_settling(
        &self,
        walk: &mut Walk<'_>,
        around: &[(&str, &Step)],
        bound: Option<&str>,
        outer: Option<&str>,
    ) {
        let Some(((path, step), inside)) = around.split_first() else { return };
        let (at, item) = (walk.at.to_owned(), outer.map(str::to_owned));
        let unknown = || Settling { step: at, item, standing: Standing::Open };
        let bound = match (bound, &step.hosts) {
            (None, Some(choice)) => {
                let pinned = walk.state.pins.get(*path).map(|(hosts, _)| hosts.clone());
                match pinned.map_or_else(|| choice.resolve(&self.hosts.groups()), Ok) {
                    Ok(hosts) if hosts.iter().any(|host| host == walk.host) => Some(walk.host),
                    Ok(_) => return,
                    Err(_) => return walk.found.push(unknown()),
                }
            }
            (bound, _) => bound,
        };
        let on = bound.unwrap_or(LOCAL);
        if inside.is_empty() && on != walk.host {
            return;
        }
        let items = match &step.for_each {
            None => vec![outer.map(str::to_owned)],
            Some(_) => match walk.items(path, on, outer) {
                Some(items) => items,
                None => return walk.found.push(unknown()),
            },
        };
        for item in items {
            let unit = UnitId { step: (*path).to_owned(), host: on.to_owned(), item };
            if inside.is_empty() || walk.skipped(&unit) {
                let standing = walk.standing(&unit, inside.is_empty());
                walk.found.push(Settling { step: walk.at.to_owned(), item: unit.item, standing });
            } else {
                self.walk_settling(walk, inside, bound, unit.item.as_deref());
            }
        }
    }
}

impl Walk<'_> {
    /// The names of the items of a loop; `None` while it did not begin.
    fn items(&self, path: &str, on: &str, outer: Option<&str>) -> Option<Vec<Option<String>>> {
        let key = loops::key(path, on, &loops::outer(outer));
        let (_, items) = self.state.pins.get(&key)?;
        Some(Loop::read(&key, items.as_ref()?)?.named().map(|(_, name)| Some(name)).collect())
    }

    /// `own`: it is the settling step's, and not that of a step around it, whose check says nothing about what is inside.
    fn standing(&self, unit: &UnitId, own: bool) -> Standing {
        let Some(known) = self.state.unit(unit) else { return Standing::Open };
        match known.state {
            _ if own && known.is_so() => Standing::Done(known.seq),
            UnitState::Skipped if !known.skipped_for(SkipReason::Operator) => Standing::LeftOut,
            _ => Standing::Open,
        }
    }

    /// Then nothing inside is carried out.
    fn skipped(&self, unit: &UnitId) -> bool {
        self.state.unit_state(unit) == UnitState::Skipped
    }
}

/// The units that pay what an item (or no loop) owes: of each settling step those of that item, and all of a step whose loops
/// do not have it.
fn paying<'s>(settling: &'s [Settling], owing: Option<&str>) -> Vec<&'s Settling> {
    let own = |one: &Settling| matches!((one.item.as_deref(), owing), (Some(item), Some(owing)) if related(item, owing));
    let has = |step: &str| settling.iter().any(|one| one.step == step && own(one));
    settling.iter().filter(|one| own(one) || !has(&one.step)).collect()
}

/// Is it paid? None of the units that pay it is still to come, and one was done since it was raised. What was done before that
/// settled something else under the same name, as the phases of a runbook do.
fn covers(settling: &[Settling], owing: Option<&str>, raised: u64) -> bool {
    let paying = paying(settling, owing);
    let since = |one: &&Settling| matches!(one.standing, Standing::Done(done) if done > raised);
    paying.iter().all(|one| one.standing != Standing::Open) && paying.iter().any(since)
}
