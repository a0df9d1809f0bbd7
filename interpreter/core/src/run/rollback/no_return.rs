//! Points of no return. A rollback goes past one only where it is certain that nothing of it began.

use crate::{
    model::{Step, Work, canonical},
    run::{session::Session, state::Intent, unit::Attempt},
};
use keybook_api::{Cancel, Event, Fault, UnitId, Value};
use std::sync::Arc;

impl Session {
    /// The unit that may have changed something last, when it cannot be taken back: why not. Of one under way nothing is
    /// said: the rollback looks for it first.
    pub(in crate::run) fn point_of_no_return(self: &Arc<Self>) -> Option<Fault> {
        let unit = self.to_take_back().into_iter().next()?;
        if self.log.state(|state| state.unit_state(&unit).in_flight()) {
            return None;
        }
        let step = self.runbook.step_at(&unit.step)?;
        self.check_reversible(step, &unit).err()
    }

    pub(super) fn check_reversible(self: &Arc<Self>, step: &Step, unit: &UnitId) -> Result<(), Fault> {
        let Some(why) = &step.irreversible else { return Ok(()) };
        if !self.may_have_begun(step, unit) {
            return Ok(());
        }
        Err(Fault::failed(format!("take back {unit}"), format!("it is a point of no return: {why}"))
            .on(&unit.host)
            .at(&step.span)
            .now("everything after it was taken back; it and what came before stand")
            .hint("it cannot be taken back from here; go on by hand: `keybook show` lists what stands"))
    }

    /// May any effect of a unit have begun, or of a step inside it, in whichever attempt?
    fn may_have_begun(self: &Arc<Self>, step: &Step, unit: &UnitId) -> bool {
        if let Work::Steps(_) = step.work {
            let attempt = Attempt::resumed(self, step, unit.clone(), &Value::Null, Cancel::new());
            return attempt.of_steps_inside(Intent::may_have_begun);
        }
        self.log.state(|state| {
            state.unit(unit).is_some_and(|known| known.intents.iter().any(Intent::may_have_begun))
        })
    }

    /// Tells of the points of no return that the run came to, and that this rollback goes past.
    pub(super) fn tell_points_gone_past(self: &Arc<Self>) -> Result<(), Fault> {
        let tried: Vec<UnitId> = self.log.state(|state| {
            let own = state.units.iter().filter(|(id, _)| canonical(&id.step) == id.step);
            // Of a step with steps what is inside tells; one that ended well without a change is no news.
            let not_begun =
                |intent: &Intent| intent.not_begun || intent.action.is_empty() && !intent.unchanged;
            let tried = own.filter(|(_, known)| known.not_begun || known.intents.iter().any(not_begun));
            tried.map(|(id, _)| id.clone()).collect()
        });
        for unit in tried {
            let step = self.runbook.step_at(&unit.step).filter(|step| step.irreversible.is_some());
            if step.is_some_and(|step| !self.may_have_begun(step, &unit)) {
                let text = format!(
                    "{unit} is a point of no return, and nothing of it began: the rollback goes past it"
                );
                self.log.run(Event::RunNote { text })?;
            }
        }
        Ok(())
    }
}
