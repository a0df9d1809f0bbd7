//! What a rollback ends with: is everything as it was, and did anything change what nothing takes back?

use super::super::{session::Session, state::Intent, stop::Stop, unit::Attempt};
use crate::model::{Dynamic, Step, Work, canonical};
use keybook_api::{ActionSpec, Cancel, Effect, Event, Fault, UnitId, Value, WayBack};
use std::sync::Arc;

impl Session {
    /// Compares every path that the run touched or kept with what was there first.
    pub(super) async fn verify_originals(self: &Arc<Self>) -> Result<(), Stop> {
        let hosts = self.log.state(|state| state.originals.hosts());
        let (mut compared, mut differing) = (0, Vec::new());
        for host in hosts {
            let target = self.hosts.get(&host).await?;
            let known: Vec<String> =
                self.log.state(|state| state.originals.on(&host).map(|(path, _)| path.to_owned()).collect());
            compared += known.len() as u64;
            let other = self.differing(&host, &target, &known, None).await?;
            differing.extend(other.into_iter().map(|(path, how)| format!("{host}:{path}: {how}")));
            for entry in self.unknown_in_kept(&target, &host).await? {
                let how = "it was not there when its folder was kept";
                differing.push(format!("{host}:{}: {how}", entry.path));
            }
        }
        differing.extend(self.without_way_back());
        let all = differing.clone();
        self.log.run(Event::RollbackVerified { compared, differing })?;
        if all.is_empty() {
            return Ok(());
        }
        Err(Fault::failed(
            "bring everything back",
            format!("{compared} paths were compared; not as before: {}", all.join("; ")),
        )
        .now("the rest is as it was before the run")
        .into())
    }

    /// Units that changed something, or may have, which nothing takes back: a command without `undo` and without
    /// a backup.
    fn without_way_back(self: &Arc<Self>) -> Vec<String> {
        let changed: Vec<UnitId> = self.log.state(|state| {
            let own = state.units.iter().filter(|(id, unit)| {
                canonical(&id.step) == id.step && unit.intents.iter().any(Intent::may_have_changed)
            });
            own.map(|(id, _)| id.clone()).collect()
        });
        let lost = |unit: &UnitId| -> Vec<String> {
            let Some(step) = self.runbook.step_at(&unit.step) else { return Vec::new() };
            // What settles an obligation (a restart) leaves nothing to take back: it was carried out again.
            if step.undo.is_some() || self.settles(&unit.step) {
                return Vec::new();
            }
            if !step.backup.is_empty() {
                return self.kept_nothing(step, unit).into_iter().collect();
            }
            let without = match &step.work {
                Work::Action(call) if self.way_back(step, unit).0 == "nothing" => vec![call.action.clone()],
                Work::Script(_) => self.calls_without_way_back(unit),
                Work::Action(_) | Work::Steps(_) => Vec::new(),
            };
            let lost = without.into_iter().filter(|name| {
                self.registry.get(name).is_some_and(|action| lasts(action.spec(), &step.work))
            });
            lost.map(|name| format!("{unit}: `{name}` has no way back; what it changed stands")).collect()
        };
        changed.iter().flat_map(lost).collect()
    }

    /// A step whose `backup` is its only way back, when nothing of what it names was there before or after.
    fn kept_nothing(self: &Arc<Self>, step: &Step, unit: &UnitId) -> Option<String> {
        let Work::Action(call) = &step.work else { return None };
        if self.way_back(step, unit).0 != "nothing" {
            return None;
        }
        let attempt = Attempt::resumed(self, step, unit.clone(), &self.item_of(unit), Cancel::new());
        attempt.keeps_nothing().then(|| {
            let why = "none of the paths of `backup` was there, before or after";
            format!("{unit}: nothing was kept for it ({why}); what `{}` changed stands", call.action)
        })
    }
}

/// Does something that the action changes last, so that there is something to take back? A restart leaves nothing, and neither
/// does what its step says to change nothing.
fn lasts(spec: &ActionSpec, work: &Work) -> bool {
    let said_not = |arg: &str| match work {
        Work::Action(call) => call.args.0.get(arg).and_then(Dynamic::fixed) == Some(Value::Bool(false)),
        Work::Script(_) | Work::Steps(_) => false,
    };
    spec.effect == Effect::Changes
        && match spec.way_back {
            WayBack::Nothing => false,
            WayBack::NoneIf(arg) => !said_not(arg),
            WayBack::Undo | WayBack::Files | WayBack::None => true,
        }
}
