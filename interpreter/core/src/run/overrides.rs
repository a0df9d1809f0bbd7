//! What a person says about the run when it goes on: this was settled, or taken back, by hand, that is to be asked about again.

use super::{hosts::LOCAL, session::Session, walk::inside_item};
use crate::backup::inside;
use keybook_api::{Event, Fault, UnitId, event::SkipReason};

impl Session {
    /// The records of what is said. An error before anything is done. `forward`: the run goes on, and is not taken back.
    pub(super) fn overrides(&self, forward: bool) -> Result<Vec<Event>, Fault> {
        let mut events = self.settled_by_hand()?;
        if forward {
            self.check_through(&events)?;
        }
        for unit in &self.options.taken_back {
            self.check_undo_failed(unit)?;
            let text = format!("{} says that `{unit}` is taken back by hand", self.person.name());
            events.push(Event::RunNote { text });
        }
        for unit in &self.options.again {
            self.check_left_out(unit)?;
            let text = format!("{} asks for `{unit}` again, which was left out", self.person.name());
            events.push(Event::RunNote { text });
        }
        Ok(events)
    }

    /// Is a unit that somebody skipped to be begun again?
    pub(super) fn is_asked_again(&self, unit: &UnitId) -> bool {
        let name = unit.to_string();
        self.options.again.contains(&name) && self.check_left_out(&name).is_ok()
    }

    /// Did somebody take a unit back by hand, which this rollback could not take back?
    pub(super) fn is_taken_back_by_hand(&self, unit: &UnitId) -> bool {
        self.options.taken_back.contains(&unit.to_string())
    }

    /// By hand is taken back only what was tried first: nobody passes over what the rollback can do itself.
    fn check_undo_failed(&self, name: &str) -> Result<(), Fault> {
        let failed: Vec<String> = self.log.state(|state| {
            let units = state.units.iter().filter(|(_, known)| known.undo_failed);
            units.map(|(unit, _)| unit.to_string()).collect()
        });
        if failed.iter().any(|unit| unit == name) {
            return Ok(());
        }
        let hint = match failed.is_empty() {
            true => "no unit of this run was tried and could not be taken back".to_owned(),
            false => format!("those that could not be taken back: {}", failed.join(", ")),
        };
        let attempted = format!("take `{name}` as taken back by hand");
        Err(Fault::usage(attempted, "no rollback tried it and failed").now("nothing was changed").hint(hint))
    }

    /// A step with steps owes from its beginning on: what it would change after this would be owed by nobody.
    fn check_through(&self, settled: &[Event]) -> Result<(), Fault> {
        for event in settled {
            let Event::ObligationSettled { what, host, .. } = event else { continue };
            let under_way = self.log.state(|state| {
                let owes = |unit: &UnitId| {
                    let step = self.runbook.step_at(&unit.step);
                    step.and_then(|step| step.owes.as_ref()).is_some_and(|owes| owes.what.value == *what)
                };
                let mut units = state.units.iter();
                let open = units.find(|(unit, known)| {
                    unit.host == *host && owes(unit) && known.may_have_changed() && !known.state.settled()
                });
                open.map(|(unit, _)| unit.to_string())
            });
            if let Some(unit) = under_way {
                let attempted = format!("take `{what}@{host}` as settled");
                return Err(Fault::usage(attempted, format!("`{unit}` owes it and is not through"))
                    .now("nothing was changed")
                    .hint(
                        "resume without it first: what that unit still changes has to be settled as well",
                    ));
            }
        }
        Ok(())
    }

    /// Only a person's no can be taken back by a person, and only where the run still comes by.
    fn check_left_out(&self, name: &str) -> Result<(), Fault> {
        let left_out: Vec<String> = self.log.state(|state| {
            let units = state.units.iter().filter(|(_, known)| known.skipped_for(SkipReason::Operator));
            units.map(|(unit, _)| unit.to_string()).collect()
        });
        if left_out.iter().any(|unit| unit == name) {
            return self.check_within_reach(name);
        }
        let hint = match left_out.is_empty() {
            true => "nobody left anything out in this run".to_owned(),
            false => format!("left out: {}", left_out.join(", ")),
        };
        Err(Fault::usage(format!("begin `{name}` again"), "nobody left it out")
            .now("nothing was changed")
            .hint(hint))
    }

    /// Steps inside one that is through are not begun any more.
    fn check_within_reach(&self, name: &str) -> Result<(), Fault> {
        let Some(unit) = UnitId::parse(name) else { return Ok(()) };
        let around = self.log.state(|state| {
            let mut around = state.units.iter().filter(|(other, known)| {
                let item = match (&other.item, &unit.item) {
                    (None, _) => true,
                    (Some(outer), Some(own)) => outer == own || inside_item(own, outer),
                    (Some(_), None) => false,
                };
                let there = other.host == unit.host || other.host == LOCAL;
                known.state.settled()
                    && item
                    && there
                    && other.step != unit.step
                    && inside(&unit.step, &other.step)
            });
            around.next().map(|(other, _)| other.to_string())
        });
        let Some(around) = around else { return Ok(()) };
        Err(Fault::usage(
            format!("begin `{name}` again"),
            format!("it is inside `{around}`, which is through"),
        )
        .now("nothing was changed")
        .hint("do it by hand where it is needed, or roll the run back"))
    }

    /// What a person says was settled by hand; an error names what is owed instead.
    fn settled_by_hand(&self) -> Result<Vec<Event>, Fault> {
        let by = Some(self.person.name());
        let owed = self.log.state(|state| {
            let items = state.owed.iter().flat_map(|((what, host), items)| {
                items.keys().map(move |item| (what.clone(), host.clone(), item.clone()))
            });
            state.owed_names().into_iter().zip(items).collect::<Vec<_>>()
        });
        let names = || match owed.is_empty() {
            true => "it owes nothing".to_owned(),
            false => {
                let names: Vec<&str> = owed.iter().map(|(name, _)| name.as_str()).collect();
                format!("owed: {}", names.join(", "))
            }
        };
        let find = |settled: &String| {
            let found = owed.iter().find(|(name, _)| name == settled);
            let (what, host, item) = found.map(|(_, debt)| debt.clone()).ok_or_else(|| {
                Fault::usage(format!("take `{settled}` as settled"), "the run does not owe that")
                    .now("nothing was changed")
                    .hint(names())
            })?;
            Ok(Event::ObligationSettled { what, host, item, by: by.clone() })
        };
        self.options.settled.iter().map(find).collect()
    }
}
