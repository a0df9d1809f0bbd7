//! The calls of a script are taken back one by one, the latest first, each by its action's undo or by its files.

use crate::run::scope::kept;
use crate::{
    model::{Step, Work},
    run::{
        session::Session,
        state::{CallOutcome, Intent, UnitRecord},
        stop::Stop,
        unit::Attempt,
    },
};
use keybook_api::{Action, Cancel, Fault, Target, UnitId, Value, WayBack};
use keybook_script::Script;
use std::sync::Arc;

impl Session {
    /// How a script is taken back, and the paths concerned.
    pub(super) fn way_back_of_calls(&self, unit: &UnitId) -> (&'static str, Vec<String>) {
        let known = self.log.state(|state| state.unit(unit).cloned());
        let Some(known) = known.filter(|known| known.intents.iter().any(|intent| intent.call.is_some()))
        else {
            return ("nothing", Vec::new());
        };
        let touched = known.intents.iter().flat_map(|intent| &intent.touches);
        let mut paths: Vec<String> = touched.chain(&known.wrote).map(|touch| touch.path.clone()).collect();
        paths.sort();
        paths.dedup();
        ("calls", paths)
    }

    /// The actions of calls that changed something, or may have, and that nothing takes back.
    pub(super) fn calls_without_way_back(&self, unit: &UnitId) -> Vec<String> {
        let Some(known) = self.log.state(|state| state.unit(unit).cloned()) else { return Vec::new() };
        let calls = known.intents.iter().filter(|intent| intent.call.is_some() && intent.may_have_changed());
        let without = calls.filter(|intent| {
            let action = self.registry.get(&intent.action);
            action.is_none_or(|action| action.spec().way_back != WayBack::Undo)
                && paths_of(&known, intent).is_empty()
        });
        without.map(|intent| intent.action.clone()).collect()
    }

    /// Takes the calls of all attempts back.
    pub(super) async fn take_back_calls(
        self: &Arc<Self>,
        step: &Step,
        unit: &UnitId,
        owes: Option<&str>,
    ) -> Result<(), Stop> {
        let Work::Script(script) = &step.work else { return Ok(()) };
        let Some(known) = self.log.state(|state| state.unit(unit).cloned()) else { return Ok(()) };
        let target = self.hosts.get(&unit.host).await?;
        self.remove_unrecorded(&target, unit).await?;
        let calls: Vec<&Intent> = known.intents.iter().filter(|intent| intent.call.is_some()).collect();
        for (before, intent) in calls.iter().enumerate().rev() {
            let attempt = || Attempt::resumed(self, step, unit.clone(), &self.item_of(unit), Cancel::new());
            let action = attempt().action_named(&intent.action, &step.span)?;
            if action.spec().way_back != WayBack::Undo {
                self.restore_paths(&target, unit, &paths_of(&known, intent), owes).await?;
                continue;
            }
            self.owe(unit, owes)?;
            match self.undo_call(attempt(), script, &*action, intent, &known, &target).await {
                Err(Stop::Fault(fault)) if self.passes_over(unit, &intent.action, &fault)? => {}
                Err(Stop::Fault(fault)) => {
                    return Err(with_the_calls(fault, calls.get(..before).unwrap_or_default()).into());
                }
                outcome => outcome?,
            }
        }
        // What nobody recorded may be anywhere in what was kept.
        let rest = if known.recorded { paths_written(&known) } else { self.kept_roots(&unit.host) };
        self.restore_paths(&target, unit, &rest, owes).await
    }

    async fn undo_call(
        self: &Arc<Self>,
        attempt: Attempt<'_>,
        script: &Script,
        action: &dyn Action,
        intent: &Intent,
        known: &UnitRecord,
        target: &Arc<dyn Target>,
    ) -> Result<(), Stop> {
        self.end_undos(&attempt, std::slice::from_ref(intent)).await?;
        let result = match intent.call.and_then(|ordinal| known.call(intent.attempt, ordinal)) {
            Some(call) => match &call.outcome {
                CallOutcome::Done { result, .. } => kept(result).unwrap_or_default(),
                CallOutcome::Open | CallOutcome::Failed(_) => Value::Null,
            },
            None => Value::Null,
        };
        let (unit, span) = (attempt.unit.clone(), attempt.step.span.clone());
        let args = attempt.call_args(script, intent).await?;
        let noted = intent.noted().map_err(|why| super::not_whole(&unit, why).at(&span))?;
        let ctx = self.undo_ctx(target, &unit, intent.attempt, intent.receipts, known.undos);
        action.undo(&ctx, &args, noted, &result).await.map_err(|fault| fault.at(&span))?;
        Ok(())
    }
}

/// Says which calls before this one stand as well.
fn with_the_calls(fault: Fault, before: &[&Intent]) -> Fault {
    let changed: Vec<&str> = before
        .iter()
        .filter(|intent| intent.may_have_changed())
        .map(|intent| intent.action.as_str())
        .collect();
    match changed.is_empty() {
        true => fault,
        false => fault.hint(format!("of this unit these stand as well: {}", changed.join(", "))),
    }
}

/// The paths that a call touched or left changed.
fn paths_of(known: &UnitRecord, intent: &Intent) -> Vec<String> {
    let mut paths: Vec<String> = intent.touches.iter().map(|touch| touch.path.clone()).collect();
    let call = intent.call.and_then(|ordinal| known.call(intent.attempt, ordinal));
    paths.extend(call.iter().flat_map(|call| call.wrote.iter().cloned()));
    paths
}

fn paths_written(known: &UnitRecord) -> Vec<String> {
    known.wrote.iter().map(|touch| touch.path.clone()).collect()
}
