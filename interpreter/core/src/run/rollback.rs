//! Takes a run back: undo and restore in reverse order of completion, up to a point of no return, then the
//! obligations that the restored files raise, then every byte, owner and mode is compared.

use super::{
    effect::touched,
    machine::UnitState,
    person::Conflict,
    session::Session,
    stop::Stop,
    unit::{Attempt, info},
    walk::Place,
};
use crate::{
    backup::{Original, difference},
    model::{Call, Step, Work, canonical},
};
use keybook_api::{Cancel, Effect, Event, Fault, Target, UnitId, Value, event::Touched};
use std::{collections::BTreeSet, sync::Arc};

/// A step whose files were restored, and the hosts that now owe its obligation again.
struct Debt {
    step: String,
    what: String,
    hosts: BTreeSet<String>,
}

impl Session {
    /// Takes back everything that the run did, as far as it can be. The error says what could not be.
    pub async fn take_back(self: &Arc<Self>) -> Result<(), Stop> {
        self.end_commands().await?;
        self.reconcile_all(false).await?;
        let mut debt: Option<Debt> = None;
        for unit in self.to_take_back() {
            let Some(step) = self.runbook.step_at(&unit.step) else {
                return Err(Fault::failed(
                    format!("take back {unit}"),
                    "the runbook has no such step any more",
                )
                .into());
            };
            let owing = self.owing_step(&unit);
            if debt.as_ref().is_some_and(|debt| owing.as_ref().is_none_or(|(path, _)| *path != debt.step)) {
                self.settle_debt(debt.take()).await?;
            }
            self.check_reversible(step, &unit)?;
            let restored = self.take_back_unit(step, &unit).await?;
            if let (true, Some((path, what))) = (restored, owing)
                && self.owes_on(&path, &unit.host)
            {
                let raised = Event::ObligationRaised { what: what.clone(), host: unit.host.clone() };
                self.log.run(raised)?;
                let entry = debt.get_or_insert_with(|| Debt { step: path, what, hosts: BTreeSet::new() });
                entry.hosts.insert(unit.host.clone());
            }
        }
        self.settle_debt(debt).await?;
        self.settle_leftovers().await?;
        self.verify_originals().await
    }

    /// Units that may have changed something, the latest first. What a rollback's own settling did is not
    /// taken back, nor is `finally`.
    fn to_take_back(&self) -> Vec<UnitId> {
        self.log.state(|state| {
            let mut units: Vec<(u64, UnitId)> = state
                .units
                .iter()
                .filter(|(id, unit)| unit.state.may_have_changed() && canonical(&id.step) == id.step)
                .map(|(id, unit)| (unit.seq, id.clone()))
                .collect();
            units.sort_by_key(|(seq, _)| std::cmp::Reverse(*seq));
            units.into_iter().map(|(_, id)| id).collect()
        })
    }

    fn check_reversible(&self, step: &Step, unit: &UnitId) -> Result<(), Fault> {
        let Some(why) = &step.irreversible else { return Ok(()) };
        if self.log.state(|state| {
            state.unit(unit).is_some_and(|known| !known.changed && known.state == UnitState::Done)
        }) {
            return Ok(());
        }
        Err(Fault::failed(format!("take back {unit}"), format!("it is a point of no return: {why}"))
            .on(&unit.host)
            .at(&step.span)
            .now("everything after it was taken back; it and what came before stand")
            .hint("go on from here by hand; `keybook show` lists what stands"))
    }

    /// Ends what an interrupted run left running.
    async fn end_commands(self: &Arc<Self>) -> Result<(), Stop> {
        let flying: Vec<(UnitId, u32)> = self.log.state(|state| {
            let flying = state.units.iter().filter(|(_, unit)| unit.state.in_flight());
            flying.map(|(id, unit)| (id.clone(), unit.attempt)).collect()
        });
        for (unit, attempt) in flying {
            let target = self.hosts.get(&unit.host).await?;
            for ordinal in 0..4 {
                let receipt =
                    keybook_api::ReceiptId { run: self.id.clone(), unit: unit.clone(), attempt, ordinal };
                target.end(&receipt).await?;
            }
        }
        Ok(())
    }

    /// Takes one unit back; true when files were restored.
    async fn take_back_unit(self: &Arc<Self>, step: &Step, unit: &UnitId) -> Result<bool, Stop> {
        let attempt = Attempt::resumed(self, step, unit.clone(), &self.item_of(unit), Cancel::new());
        let (how, paths) = self.way_back(step, unit);
        attempt.write(Event::UnitUndoIntent { how: how.to_owned(), paths: paths.clone() })?;
        let outcome = match how {
            "undo" => self.undo(step, attempt).await.map(|()| false),
            "restore" => self.restore(unit, &paths).await,
            _ => Ok(false),
        };
        let attempt = Attempt::resumed(self, step, unit.clone(), &Value::Null, Cancel::new());
        match outcome {
            Ok(restored) => {
                attempt.write(Event::UnitUndone { how: how.to_owned() })?;
                Ok(restored)
            }
            Err(Stop::Fault(fault)) => {
                let fault = fault.on(&unit.host).at(&step.span);
                attempt.write(Event::UnitUndoFailed { fault: info(&fault) })?;
                Err(fault.into())
            }
            Err(other) => Err(other),
        }
    }

    /// How a unit is taken back: the step's own undo, the action's, or its files.
    fn way_back(&self, step: &Step, unit: &UnitId) -> (&'static str, Vec<String>) {
        if step.undo.is_some() {
            return ("undo", Vec::new());
        }
        let Work::Action(call) = &step.work else { return ("nothing", Vec::new()) };
        let Some(action) = self.registry.get(&call.action) else { return ("nothing", Vec::new()) };
        if action.spec().undo {
            return ("undo", Vec::new());
        }
        let touches = self.log.state(|state| {
            let known = state.unit(unit).and_then(|known| known.intent.as_ref());
            known.map(|intent| intent.touches.iter().map(|touch| touch.path.clone()).collect::<Vec<_>>())
        });
        let mut paths = touches.unwrap_or_default();
        if action.spec().effect == Effect::Changes && paths.is_empty() {
            // A command may have changed anything inside what the step kept.
            paths = self.log.state(|state| {
                let kept = state
                    .backups
                    .iter()
                    .filter(|kept| kept.host == unit.host && kept.store.contains(&unit_folder(unit)));
                kept.flat_map(|kept| kept.paths.clone()).collect()
            });
        }
        if paths.is_empty() { ("nothing", paths) } else { ("restore", paths) }
    }

    async fn undo(self: &Arc<Self>, step: &Step, mut attempt: Attempt<'_>) -> Result<(), Stop> {
        let target = self.hosts.get(&attempt.unit.host).await?;
        let (result, memo) = self.log.state(|state| {
            let known = state.unit(&attempt.unit);
            let memo = known.and_then(|unit| unit.intent.as_ref().map(|intent| intent.memo.clone()));
            (known.map_or(Value::Null, |unit| Value::from_json(&unit.result)), memo.unwrap_or_default())
        });
        attempt.scope.insert("result".to_owned(), result.clone());
        let ctx = self.ctx(Arc::clone(&target), &attempt.unit, attempt.number, true, Cancel::new());
        // Receipts of the undo stand apart from those of the effect.
        ctx.ordinal.store(1000, std::sync::atomic::Ordering::SeqCst);
        let call: &Call = match (&step.undo, &step.work) {
            (Some(undo), _) => {
                let args = attempt.args(undo)?;
                attempt.action(undo)?.apply(&ctx, &args).await.map_err(|fault| fault.at(&undo.span))?;
                return Ok(());
            }
            (None, Work::Action(call)) => call,
            (None, Work::Steps(_)) => return Ok(()),
        };
        let args = attempt.args(call)?;
        attempt
            .action(call)?
            .undo(&ctx, &args, &memo, &result)
            .await
            .map_err(|fault| fault.at(&call.span))?;
        Ok(())
    }

    /// Puts originals back; true when anything had to be.
    async fn restore(self: &Arc<Self>, unit: &UnitId, paths: &[String]) -> Result<bool, Stop> {
        let target = self.hosts.get(&unit.host).await?;
        let mut restored = false;
        // Files before the directories that hold them, where directories were created.
        for path in paths.iter().rev() {
            for inner in self.paths_below(&unit.host, path) {
                restored |= self.restore_path(&target, unit, &inner).await?;
            }
        }
        Ok(restored)
    }

    fn paths_below(&self, host: &str, root: &str) -> Vec<String> {
        self.log.state(|state| {
            let inside = state.originals.on(host).filter(|(path, _)| crate::backup::inside(path, root));
            let mut paths: Vec<String> = inside.map(|(path, _)| path.to_owned()).collect();
            paths.sort();
            paths
        })
    }

    async fn restore_path(&self, target: &Arc<dyn Target>, unit: &UnitId, path: &str) -> Result<bool, Stop> {
        let original = self.log.state(|state| state.originals.get(&unit.host, path).cloned());
        let Some(original) = original else { return Ok(false) };
        let now =
            touched(target, &[path.to_owned()]).await?.into_iter().next().and_then(|touch| touch.before);
        let same = match (&original, &now) {
            (Original::Absent, None) => true,
            (Original::Present { entry, .. }, Some(now)) => difference(entry, now).is_none(),
            _ => false,
        };
        if same {
            return Ok(false);
        }
        self.check_ours(unit, path, now.as_ref()).await?;
        match original {
            Original::Absent => target.remove(path).await?,
            Original::Present { copy: Some(copy), .. } => target.replace(&copy, path).await?,
            Original::Present { copy: None, .. } => {
                return Err(Fault::failed(format!("restore {path}"), "no copy of it was kept")
                    .on(&unit.host)
                    .into());
            }
        }
        Ok(true)
    }

    /// A file that is no longer what the run wrote is not overwritten without a person.
    async fn check_ours(
        &self,
        unit: &UnitId,
        path: &str,
        now: Option<&keybook_api::TreeEntry>,
    ) -> Result<(), Stop> {
        let wrote = self.last_written(&unit.host, path);
        let detail = match (&wrote, now) {
            (Some(Touched { before: Some(wrote), .. }), Some(now)) => match difference(wrote, now) {
                None => return Ok(()),
                Some(how) => how,
            },
            (Some(Touched { before: None, .. }), None) => return Ok(()),
            (Some(_), None) => "it is gone".to_owned(),
            (Some(_), Some(_)) => "it is there again".to_owned(),
            (None, _) => {
                "it changed while the unit was under way, and nobody recorded what was written".to_owned()
            }
        };
        let conflict = Conflict { host: unit.host.clone(), path: path.to_owned(), detail: detail.clone() };
        if self.person.conflict(&conflict).await == Some(true) {
            return Ok(());
        }
        Err(Fault::failed(
            format!("restore {path}"),
            format!("it is no longer what this run wrote: {detail}"),
        )
        .on(&unit.host)
        .now("it was left as it is")
        .hint("compare it with the original in the run's backup folder, then roll back at a terminal")
        .into())
    }

    /// What the run last left at a path, as far as it is known.
    fn last_written(&self, host: &str, path: &str) -> Option<Touched> {
        self.log.state(|state| {
            let mut found: Option<(u64, Touched)> = None;
            for (id, unit) in &state.units {
                let wrote = unit.wrote.iter().find(|touch| id.host == host && touch.path == path);
                if let Some(wrote) = wrote
                    && found.as_ref().is_none_or(|(seq, _)| *seq < unit.seq)
                {
                    found = Some((unit.seq, wrote.clone()));
                }
            }
            found.map(|(_, touch)| touch)
        })
    }

    /// The unit's step, or the one around it, that owes something: its path and what.
    fn owing_step(&self, unit: &UnitId) -> Option<(String, String)> {
        let mut path = canonical(&unit.step);
        loop {
            if let Some(owes) = self.runbook.step_at(&path).and_then(|step| step.owes.as_ref()) {
                return Some((path, owes.what.value.clone()));
            }
            path = path.rsplit_once('/')?.0.to_owned();
        }
    }

    fn owes_on(&self, path: &str, host: &str) -> bool {
        let group =
            self.runbook.step_at(path).and_then(|step| step.owes.as_ref()).and_then(|owes| owes.on.as_ref());
        group.is_none_or(|group| {
            self.hosts.groups().get(&group.value).is_some_and(|g| g.iter().any(|h| h == host))
        })
    }

    async fn settle_debt(self: &Arc<Self>, debt: Option<Debt>) -> Result<(), Stop> {
        let Some(debt) = debt else { return Ok(()) };
        let settling = self
            .runbook
            .walk()
            .into_iter()
            .find(|(_, step)| step.settles.as_ref().is_some_and(|settles| settles.value == debt.what));
        let Some((_, step)) = settling else {
            return Err(
                Fault::failed(format!("settle {}", debt.what), "no step of the runbook settles it").into()
            );
        };
        let round = debt.step.replace('/', ".");
        let place = Place {
            prefix: format!("rollback/{round}"),
            only: Some(debt.hosts.into_iter().collect()),
            ..Place::default()
        };
        self.step(step, &place).await
    }

    /// What is still owed when an earlier rollback stopped between restoring and settling.
    async fn settle_leftovers(self: &Arc<Self>) -> Result<(), Stop> {
        let owed = self.log.state(|state| state.owed.clone());
        let mut names: Vec<String> = owed.iter().map(|(what, _)| what.clone()).collect();
        names.dedup();
        for what in names {
            let hosts = owed.iter().filter(|(name, _)| *name == what).map(|(_, host)| host.clone()).collect();
            self.settle_debt(Some(Debt {
                step: format!("owed-{}", self.log.state(|s| s.finally_rounds)),
                what,
                hosts,
            }))
            .await?;
        }
        Ok(())
    }

    /// Compares every path that the run touched or kept with what was there first.
    async fn verify_originals(self: &Arc<Self>) -> Result<(), Stop> {
        let hosts = self.log.state(|state| state.originals.hosts());
        let (mut compared, mut differing) = (0, Vec::new());
        for host in hosts {
            let target = self.hosts.get(&host).await?;
            let known: Vec<(String, Original)> = self.log.state(|state| {
                state
                    .originals
                    .on(&host)
                    .map(|(path, original)| (path.to_owned(), original.clone()))
                    .collect()
            });
            let paths: Vec<String> = known.iter().map(|(path, _)| path.clone()).collect();
            let now = touched(&target, &paths).await?;
            for ((path, original), found) in known.iter().zip(now) {
                compared += 1;
                if let Some(how) = compare(original, found.before.as_ref()) {
                    differing.push(format!("{host}:{path}: {how}"));
                }
            }
        }
        let all = differing.clone();
        self.log.run(Event::RollbackVerified { compared, differing })?;
        if all.is_empty() {
            return Ok(());
        }
        Err(Fault::failed(
            "bring everything back",
            format!("{} of {compared} paths differ: {}", all.len(), all.join("; ")),
        )
        .now("the rest is as it was before the run")
        .into())
    }
}

/// The folder name of a unit's backups, without its attempt.
fn unit_folder(unit: &UnitId) -> String {
    let id = keybook_api::RunId::new("r").map(|run| keybook_api::ReceiptId {
        run,
        unit: unit.clone(),
        attempt: 0,
        ordinal: 0,
    });
    id.map_or_else(String::new, |id| id.file_name().trim_end_matches("0.0").to_owned())
}

fn compare(original: &Original, now: Option<&keybook_api::TreeEntry>) -> Option<String> {
    match (original, now) {
        (Original::Absent, None) => None,
        (Original::Absent, Some(_)) => Some("the run created it, and it is still there".to_owned()),
        (Original::Present { .. }, None) => Some("it is missing".to_owned()),
        (Original::Present { entry, .. }, Some(now)) => difference(entry, now),
    }
}
