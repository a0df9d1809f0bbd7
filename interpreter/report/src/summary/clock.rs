//! Where a run's time goes: working, waiting for a person, at rest.

use super::Times;
use crate::time;
use keybook_api::{Event, Record, UnitId};
use std::collections::HashSet;

/// Adds up the stretches between records; each stretch belongs to what was going on when it began.
#[derive(Default)]
pub(super) struct Clock {
    last: Option<String>,
    at_rest: bool,
    asked: HashSet<UnitId>,
    working: HashSet<UnitId>,
    times: Times,
}

impl Clock {
    pub(super) fn add(&mut self, record: &Record) {
        if let Some(last) = &self.last {
            let ms = time::millis_between(last, &record.time);
            // A kill leaves no record: the stretch before a resume is rest, whatever was under way.
            let resumed = matches!(record.event, Event::RunResumed { .. });
            self.times.total_ms += ms;
            if self.at_rest || resumed {
                self.times.resting_ms += ms;
            } else if !self.asked.is_empty() && self.working.is_empty() {
                self.times.waiting_ms += ms;
            } else {
                self.times.working_ms += ms;
            }
        }
        self.last = Some(record.time.clone());
        self.turn(record);
    }

    fn turn(&mut self, record: &Record) {
        // The lock may be given back after the end.
        self.at_rest &= matches!(record.event, Event::LockReleased { .. });
        match (&record.event, &record.unit) {
            (Event::RunEnded { .. } | Event::RunResumed { .. }, _) => {
                self.asked.clear();
                self.working.clear();
                self.at_rest = matches!(record.event, Event::RunEnded { .. });
            }
            (Event::GateAsked { .. }, Some(unit)) => {
                self.asked.insert(unit.clone());
            }
            (Event::GateAnswered { .. }, Some(unit)) => {
                self.asked.remove(unit);
            }
            // A step with children has an empty action: its gate-less frame is no work.
            (Event::UnitIntent { action, .. }, Some(unit)) if !action.is_empty() => {
                self.working.insert(unit.clone());
            }
            (Event::UnitUndoIntent { .. }, Some(unit)) => {
                self.working.insert(unit.clone());
            }
            (
                Event::UnitDone { .. }
                | Event::UnitFailed { .. }
                | Event::UnitSkipped { .. }
                | Event::UnitReconciled { .. }
                | Event::UnitUndone { .. }
                | Event::UnitUndoFailed { .. },
                Some(unit),
            ) => {
                self.working.remove(unit);
            }
            _ => {}
        }
    }

    pub(super) fn times(&self) -> Times {
        self.times
    }
}
