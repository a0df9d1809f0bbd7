//! What a person says about the run when it goes on: this was settled by hand, that is to be asked about again.

use super::session::Session;
use keybook_api::{Event, Fault, UnitId, event::SkipReason};

impl Session {
    /// The records of what is said. An error before anything is done.
    pub(super) fn overrides(&self) -> Result<Vec<Event>, Fault> {
        let mut events = self.settled_by_hand()?;
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

    /// Only a person's no can be taken back by a person.
    fn check_left_out(&self, name: &str) -> Result<(), Fault> {
        let left_out: Vec<String> = self.log.state(|state| {
            let units = state.units.iter().filter(|(_, known)| known.skipped_for(SkipReason::Operator));
            units.map(|(unit, _)| unit.to_string()).collect()
        });
        if left_out.iter().any(|unit| unit == name) {
            return Ok(());
        }
        let hint = match left_out.is_empty() {
            true => "nobody left anything out in this run".to_owned(),
            false => format!("left out: {}", left_out.join(", ")),
        };
        Err(Fault::usage(format!("begin `{name}` again"), "nobody left it out")
            .now("nothing was changed")
            .hint(hint))
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
