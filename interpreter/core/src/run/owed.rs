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
            self.log.run(Event::ObligationSettled { what, host, item })?;
        }
        Ok(())
    }

    /// The same after a unit, when it is one of the run itself: `finally` pays nothing.
    pub(super) fn pay_after(&self, unit: &UnitId) -> Result<(), Fault> {
        if canonical(&unit.step) == unit.step { self.pay() } else { Ok(()) }
    }

    /// Every unit that settles something on a host, as far as they are known.
    fn settling(&self, state: &State, what: &str, host: &str) -> Vec<Settling> {
        let mut walk = Walk { state, host, found: Vec::new() };
        for at in self.steps_that_settle(what) {
            let around: Vec<(&str, &Step)> = self.runbook.steps_to(&at).collect();
            self.walk_settling(&mut walk, &around, None, None);
        }
        walk.found
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
        let unknown = || Settling { item: outer.map(str::to_owned), standing: Standing::Open };
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
                walk.found.push(Settling { item: unit.item, standing });
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

/// Do these units pay what an item (or no loop) owes? Units of another loop than the one that owes pay together.
fn covers(settling: &[Settling], owing: Option<&str>, raised: u64) -> bool {
    let fits = |one: &&Settling| match (one.item.as_deref(), owing) {
        (Some(item), Some(owing)) => related(item, owing),
        _ => true,
    };
    let same_loop = settling.iter().any(|one| one.item.is_some() && fits(&one));
    let own: Vec<&Settling> = settling.iter().filter(|one| !same_loop || fits(one)).collect();
    let since = |one: &&Settling| matches!(one.standing, Standing::Done(done) if done > raised);
    own.iter().all(|one| one.standing != Standing::Open) && own.iter().any(since)
}
