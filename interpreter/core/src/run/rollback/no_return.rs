//! Points of no return. A rollback goes past one only where it is certain that nothing of it began.

use super::{
    compare,
    settle::{Debt, Debts},
};
use crate::{
    model::{Step, Work, canonical},
    run::{effect::is_inside, machine::UnitState, session::Session, state::Intent, unit::Attempt},
};
use keybook_api::{Cancel, Event, Fault, UnitId, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl Session {
    /// Why nothing at all can be taken back: what may have changed something last cannot be. A rollback that
    /// has begun may have debts to settle, or hosts to unlock.
    pub(in crate::run) fn refuses_at_once(self: &Arc<Self>, begun: bool) -> Option<Fault> {
        if begun && !(self.locked().is_empty() && self.owed_by_the_undone().is_empty()) {
            return None;
        }
        for unit in self.to_take_back() {
            let point = self.check_reversible(&unit).err();
            let state = self.log.state(|state| state.unit_state(&unit));
            // The rollback looks for one under way first; whatever it finds, nothing of it is taken back.
            let under_way = point.is_some() && state.in_flight() && state != UnitState::Unknown;
            if self.intent_may_have_begun(&unit) && !under_way {
                return point.or_else(|| self.shared_with_what_stands());
            }
        }
        None
    }

    /// Why a rollback must not begin that would end at a point of no return: what comes after the point changed a path that came
    /// to be as it is before it. Only what was there before the run is kept of each path, and putting that back would take back
    /// what is to stand.
    pub(in crate::run) fn shared_with_what_stands(self: &Arc<Self>) -> Option<Fault> {
        let all = self.to_take_back();
        let (at, point) =
            all.iter().enumerate().find_map(|(at, unit)| Some((at, self.check_reversible(unit).err()?)))?;
        let (after, standing) = all.split_at_checked(at)?;
        let shared = after.iter().find_map(|unit| {
            let step = self.runbook.step_at(&unit.step)?;
            let (how, mut roots) = self.way_back(step, unit);
            // A script's rollback puts back all that was kept where its end was not recorded.
            if how == "calls" && self.log.state(|state| state.unit(unit).is_some_and(|known| !known.recorded))
            {
                roots.extend(self.kept_roots(&unit.host));
            }
            let paths = if how == "undo" { Vec::new() } else { self.paths_below(&unit.host, &roots) };
            let changed = |path: &String| {
                let by = standing.iter().find(|other| self.changed_path(other, &unit.host, path));
                let by = by.map(ToString::to_string);
                // An action changed what it did not name, or another path that leads there.
                let by = by.or_else(|| self.differed(after, unit, path).then(|| "something".to_owned()))?;
                Some((unit, path.clone(), by))
            };
            paths.iter().find_map(changed)
        });
        let (unit, path, by) = shared?;
        let why = format!(
            "a rollback would end at a point of no return ({}), and {by} changed {path} before it: only what was there before the run is kept",
            point.attempted.strip_prefix("take back ").unwrap_or(&point.attempted)
        );
        let fault = Fault::failed(format!("take back {unit}"), why).on(&unit.host);
        Some(
            fault
                .now("nothing more was taken back")
                .hint("go on with `keybook resume`, or by hand; the originals are in the run's backup folder on the host"),
        )
    }

    /// Was a path of a unit's host another one than before the run when the first of these units (the latest comes first) touched it?
    fn differed(&self, units: &[UnitId], unit: &UnitId, path: &str) -> bool {
        self.log.state(|state| {
            let Some(original) = state.originals.get(&unit.host, path) else { return false };
            let of_host = units.iter().rev().filter(|other| other.host == unit.host);
            let intents = of_host.filter_map(|other| state.unit(other)).flat_map(|known| &known.intents);
            let first = intents.flat_map(|intent| &intent.touches).find(|touch| touch.path == path);
            first.is_some_and(|touch| compare(original, touch.before.as_ref()).is_some())
        })
    }

    /// Did a unit change a path of a host, or may it have?
    fn changed_path(&self, unit: &UnitId, host: &str, path: &str) -> bool {
        self.log.state(|state| {
            let Some(known) = state.unit(unit).filter(|_| unit.host == host) else { return false };
            let touches = known.intents.iter().filter(|intent| intent.may_have_changed());
            let touched = touches.flat_map(|intent| &intent.touches).any(|touch| touch.path == path);
            touched || known.wrote.iter().any(|touch| touch.path == path)
        })
    }

    /// A unit that is, or stands inside, a point of no return that may have begun.
    pub(super) fn check_reversible(self: &Arc<Self>, unit: &UnitId) -> Result<(), Fault> {
        for (path, step) in self.runbook.steps_to(&unit.step) {
            let Some(why) = &step.irreversible else { continue };
            let Some(point) = self.around(path, unit).into_iter().find(|id| self.may_have_begun(step, id))
            else {
                continue;
            };
            return Err(Fault::failed(
                format!("take back {point}"),
                format!("it is a point of no return: {why}"),
            )
            .on(&unit.host)
            .at(&step.span)
            .now("everything after it was taken back; it and what came before stand")
            .hint("it cannot be taken back from here; go on by hand: `keybook show` lists what stands"));
        }
        Ok(())
    }

    /// The units of the step at a path that this unit is, or stands inside.
    fn around(&self, path: &str, unit: &UnitId) -> Vec<UnitId> {
        if path == unit.step {
            return vec![unit.clone()];
        }
        self.log.state(|state| {
            let outer = state.units.keys().filter(|id| id.step == path && is_inside(unit, id));
            outer.cloned().collect()
        })
    }

    /// The rollback ends at a point of no return: what the files that were put back owe is settled first.
    pub(super) async fn stop_at(self: &Arc<Self>, point: Fault, mut debts: Debts) -> Fault {
        let mut settled = self.settle_debt(&mut debts).await;
        for ((what, host), step) in self.owed_by_the_undone() {
            if settled.is_err() {
                break;
            }
            debts.open = Some(Debt { step, what, hosts: BTreeSet::from([host]) });
            settled = self.settle_debt(&mut debts).await;
        }
        match settled {
            Ok(()) => point,
            Err(stop) => {
                let why = stop.reason();
                point.hint(format!("what the files that were put back owe could not be settled: {why}"))
            }
        }
    }

    /// What is owed by units that were taken back, and by which step.
    pub(super) fn owed_by_the_undone(&self) -> BTreeMap<(String, String), String> {
        let undone: Vec<UnitId> = self.log.state(|state| {
            let undone = state.units.iter().filter(|(_, known)| known.state == UnitState::TakenBack);
            undone.map(|(id, _)| id.clone()).collect()
        });
        let debts = undone.into_iter().filter_map(|unit| {
            let (step, what) = self.owing_step(&unit)?;
            let debt = (what, unit.host);
            self.log.state(|state| state.owed.contains_key(&debt)).then_some((debt, step))
        });
        debts.collect()
    }

    /// May any effect of a unit have begun, or of a step inside it, in whichever attempt?
    fn may_have_begun(self: &Arc<Self>, step: &Step, unit: &UnitId) -> bool {
        if let Work::Steps(_) = step.work {
            let attempt = Attempt::resumed(self, step, unit.clone(), &Value::Null, Cancel::new());
            return attempt.of_steps_inside(Intent::may_have_begun);
        }
        self.can_change(&unit.step) && self.intent_may_have_begun(unit)
    }

    fn intent_may_have_begun(&self, unit: &UnitId) -> bool {
        self.log.state(|state| {
            state.unit(unit).is_some_and(|known| known.intents.iter().any(Intent::may_have_begun))
        })
    }

    /// Tells of the points of no return that the run came to, and that this rollback went past.
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
