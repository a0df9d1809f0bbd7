//! The units of a run, against the steps that there are now.

use super::{
    super::{hosts::LOCAL, machine::UnitState, session::Session, state::State, walk::inside_item},
    Accepted,
};
use crate::{
    backup::inside,
    model::{Step, canonical},
};
use indexmap::{IndexMap, IndexSet};
use keybook_api::{UnitId, event::SkipReason};
use keybook_script::NameUse;

/// What became of a condition that left a unit out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// It leaves the unit out still.
    Stands,
    /// It was changed, or what is given to it was: it does not any more.
    Changed,
    /// It would not any more; the run itself may have brought that about.
    Open,
}

impl Session {
    pub(super) fn weigh_units(&self, found: &mut Accepted) {
        let units = self.log.state(|state| {
            let own = |id: &&UnitId| canonical(&id.step) == id.step && !inside(&id.step, "finally");
            state.units.keys().filter(own).cloned().collect::<Vec<_>>()
        });
        let mut lost: IndexMap<&str, IndexSet<&str>> = IndexMap::new();
        for unit in &units {
            if let Some(step) = self.runbook.step_at(&unit.step) {
                self.weigh_steps_inside(unit, step, found);
                self.weigh_condition(unit, step, found);
            } else if let Some(path) = self.lost_of(unit) {
                lost.entry(path).or_default().insert(&unit.host);
            }
        }
        found.refused.extend(lost.into_iter().map(|(path, hosts)| {
            format!(
                "`{path}` was begun on {}, and the runbook has no step of this path any more, by which a rollback could take it back",
                hosts.into_iter().collect::<Vec<_>>().join(", ")
            )
        }));
    }

    /// The outermost step around a unit that the runbook does not have any more, where a rollback would need it.
    fn lost_of<'u>(&self, unit: &'u UnitId) -> Option<&'u str> {
        let begun = self.log.state(|state| state.unit(unit).is_some_and(|known| known.may_have_changed()));
        let mut paths = keybook_api::ids::steps_to(&unit.step);
        if begun { paths.find(|path| self.runbook.step_at(path).is_none()) } else { None }
    }

    /// Steps inside one that is done are not begun any more.
    fn weigh_steps_inside(&self, unit: &UnitId, step: &Step, found: &mut Accepted) {
        for child in step.children() {
            let path = format!("{}/{}", unit.step, child.id.value);
            let left_out = self.log.state(|state| {
                let there = |id: &UnitId| id.step == path && is_around(unit, id);
                state.unit_state(unit) == UnitState::Done && !state.units.keys().any(there)
            });
            if left_out {
                let what =
                    format!("`{unit}` is done, without the step `{}` that is inside it now", child.id.value);
                found.refuse(what, &child.span);
            }
        }
    }

    fn weigh_condition(&self, unit: &UnitId, step: &Step, found: &mut Accepted) {
        let at = step.when.as_ref().map_or_else(|| step.span.clone(), |when| when.text().whole());
        match self.condition(unit, step) {
            Condition::Stands => {}
            Condition::Open => found.notes.push(format!(
                "`{unit}` stays left out, although its condition would not leave it out by now"
            )),
            Condition::Changed => match self.closed_around(unit).or_else(|| self.settled_already(unit)) {
                Some(why) => {
                    let what = format!("`{unit}` was left out by its condition, which holds now, and {why}");
                    found.refuse(what, &at);
                }
                None => found.notes.push(format!(
                    "`{unit}` was left out by its condition, which holds now: it is carried out"
                )),
            },
        }
    }

    /// Why nothing inside the steps around a unit is begun any more.
    fn closed_around(&self, unit: &UnitId) -> Option<String> {
        self.log.state(|state| {
            state.units.iter().find_map(|(id, known)| {
                if id.step == unit.step || !inside(&unit.step, &id.step) || !is_around(id, unit) {
                    return None;
                }
                let step = self.runbook.step_at(&id.step)?;
                if known.state.settled() {
                    return Some(format!("`{id}` around it is through"));
                }
                (step.gate.is_some() && known.state.in_flight())
                    .then(|| format!("the gate of `{id}` around it did not show it"))
            })
        })
    }

    /// What a unit, or one inside it, would owe, where what settles that was done before: nothing would do it again.
    fn settled_already(&self, unit: &UnitId) -> Option<String> {
        let steps = self.runbook.walk();
        let mut owed = steps
            .iter()
            .filter(|(path, _)| inside(path, &unit.step))
            .filter_map(|(_, step)| step.owes.as_ref());
        owed.find_map(|owes| {
            let what = &owes.what.value;
            let settling = self.steps_that_settle(what);
            let done = self.log.state(|state| {
                let mut done = state.units.iter().filter(|(_, known)| known.state == UnitState::Done);
                done.find_map(|(id, _)| settling.contains(&id.step).then(|| id.to_string()))
            })?;
            Some(format!("`{done}`, which settles the `{what}` that it owes, is done"))
        })
    }

    /// Was a unit left out by a condition that somebody changed since, and accepted, so that it is to be carried out?
    pub(in super::super) fn left_out_before_changes(&self, unit: &UnitId, step: &Step) -> bool {
        let revised = self.log.state(|state| state.unit(unit).is_some_and(|known| known.seq < state.revised));
        revised && canonical(&unit.step) == unit.step && self.condition(unit, step) == Condition::Changed
    }

    fn condition(&self, unit: &UnitId, step: &Step) -> Condition {
        let skipped = self.log.state(|state| {
            state.unit(unit).filter(|known| known.skipped_for(SkipReason::When)).map(|known| known.seq)
        });
        let (Some(skipped), false) = (skipped, inside(&unit.step, "finally")) else {
            return Condition::Stands;
        };
        let Some(when) = &step.when else { return Condition::Changed };
        let (item, _) = self.item_around(unit, &unit.step);
        match self.script.eval(when, &self.scope(unit, &item)).map(|value| value.as_bool()) {
            Ok(Some(false)) => Condition::Stands,
            Ok(Some(true)) if self.could_be_read(unit, keybook_script::names_used(when), skipped) => {
                Condition::Changed
            }
            _ => Condition::Open,
        }
    }

    /// Was all that these expressions of a unit's step read there, as it is now, when this record was written?
    fn could_be_read(&self, unit: &UnitId, reads: &[NameUse], record: u64) -> bool {
        let library = self.runbook.library_around(&unit.step).map_or("", |(path, _)| path);
        self.log.state(|state| {
            self.reads_only(&unit.step, reads, &|used| match used.name.as_str() {
                "inputs" | "host" | "run" | "item" => true,
                // Hosts that the run itself added may have come later.
                "hosts" | "groups" => state.added.is_empty(),
                "by_host" => {
                    used.path.first().is_some_and(|name| self.is_older(state, name, library, record))
                }
                name => self.is_older(state, name, library, record),
            })
        })
    }

    /// Is every result of this name older than a record?
    fn is_older(&self, state: &State, name: &str, library: &str, record: u64) -> bool {
        let mut named =
            self.registers.iter().filter(|one| one.name == name && library.starts_with(&one.library));
        named.all(|one| state.units.iter().all(|(id, known)| id.step != one.path || known.seq < record))
    }
}

/// Is a unit the same place as this one, or inside it: on its host, and in its item? A step without hosts is on this machine,
/// and what is inside it may have hosts of its own.
fn is_around(around: &UnitId, unit: &UnitId) -> bool {
    let host = around.host == unit.host || around.host == LOCAL;
    let item = match (around.item.as_deref(), unit.item.as_deref()) {
        (None, _) => true,
        (Some(around), Some(item)) => item == around || inside_item(item, around),
        (Some(_), None) => false,
    };
    host && item
}
