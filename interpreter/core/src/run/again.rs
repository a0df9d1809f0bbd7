//! A gate that was answered for a process which is gone: does the answer still count?

use super::{
    hosts::LOCAL,
    machine::UnitState,
    unit::{Attempt, planned},
};
use keybook_api::UnitId;

impl Attempt<'_> {
    /// A step with steps is entered again on resume. Its gate is asked again as long as none of the steps inside
    /// is done: always when none was begun, else when they would now do something else than what was approved.
    pub(super) async fn must_be_asked_again(&self) -> bool {
        if self.step.gate.is_none() || !matches!(self.state(), UnitState::Intended | UnitState::Kept) {
            return false;
        }
        let (done, begun, approved) = self.session.log.state(|state| {
            let inside: Vec<_> = state.units.iter().filter(|(id, _)| self.contains(id)).collect();
            (
                inside.iter().any(|(_, known)| known.state == UnitState::Done),
                inside.iter().any(|(_, known)| !known.intents.is_empty()),
                state.unit(&self.unit).map(|known| known.plan.clone()).unwrap_or_default(),
            )
        });
        if done || self.all_left_out() {
            return false;
        }
        if !begun {
            return true;
        }
        let now = serde_json::to_value(planned(&self.plan_inside().await)).unwrap_or_default();
        self.session.redactor.json(&now) != approved
    }

    fn contains(&self, id: &UnitId) -> bool {
        let within =
            |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        let item = match (&self.unit.item, &id.item) {
            (None, _) => true,
            (Some(own), Some(item)) => item == own || within(item, own),
            (Some(_), None) => false,
        };
        // The steps inside a step without hosts may have their own.
        let host = self.unit.host == LOCAL || id.host == self.unit.host;
        item && host && within(&id.step, &self.unit.step)
    }

    fn all_left_out(&self) -> bool {
        self.step.children().iter().all(|child| {
            let unit = UnitId { step: format!("{}/{}", self.unit.step, child.id.value), ..self.unit.clone() };
            self.session.log.state(|state| state.unit_state(&unit).settled())
        })
    }
}
