//! Takes a run back: undo and restore in reverse order of completion, up to a point of no return, then the
//! obligations that the restored files raise, then every byte, owner and mode is compared.

use super::{
    effect::touched, person::Conflict, scope::kept, session::Session, state::Intent, stop::Stop,
    unit::Attempt, written::last_written,
};
use crate::{
    backup::{Original, difference},
    model::{Call, Step, Work, canonical},
};
use keybook_api::{
    Cancel, Ctx, Effect, Event, Fault, Receipt, Target, UnitId, Value, WayBack, event::Touched,
};
use std::{collections::BTreeSet, sync::Arc};

/// Numbers of receipts that each undo of a unit has for itself; those below are of its effect.
const UNDO_RECEIPTS: u32 = 1000;

mod by_hand;
mod calls;
mod no_return;
pub(in crate::run) mod settle;

use by_hand::BY_HAND;
use settle::{Debt, Debts};

impl Session {
    /// Takes back everything that the run did, as far as it can be: the point of no return that it ended at, if there is one.
    /// The error says what could not be taken back.
    pub async fn take_back(self: &Arc<Self>) -> Result<Option<Stop>, Stop> {
        self.end_commands().await?;
        self.reconcile_all(false).await?;
        if let Some(fault) = self.shared_with_what_stands() {
            return Ok(Some(fault.into()));
        }
        let mut debts = self.debts_left().await?;
        for unit in self.to_take_back() {
            if let Err(point) = self.check_reversible(&unit) {
                let point = self.stop_at(point, debts).await;
                return Ok(Some(self.with_the_rest(point.into(), &unit)));
            }
            if let Err(stop) = self.take_back_next(&unit, &mut debts).await {
                return Err(self.with_the_rest(stop, &unit));
            }
        }
        self.tell_points_gone_past()?;
        self.settle_debt(&mut debts).await?;
        self.settle_leftovers(debts).await?;
        self.verify_originals().await?;
        self.check_paid()?;
        Ok(None)
    }

    /// One unit, and before it what the step after it owes.
    async fn take_back_next(self: &Arc<Self>, unit: &UnitId, debts: &mut Debts) -> Result<(), Stop> {
        let Some(step) = self.runbook.step_at(&unit.step) else {
            let why = "the runbook has no such step any more";
            return Err(Fault::failed(format!("take back {unit}"), why).into());
        };
        let owing = self.owing_step(unit);
        let of_another = |debt: &Debt| owing.as_ref().is_none_or(|(path, _)| *path != debt.step);
        if debts.open.as_ref().is_some_and(of_another) {
            self.settle_debt(debts).await?;
        }
        let owing = owing.filter(|(path, _)| self.owes_on(path, &unit.host));
        self.take_back_unit(step, unit, owing.as_ref().map(|(_, what)| what.as_str())).await?;
        if let Some((path, what)) = owing
            && self.log.state(|state| state.owed.contains_key(&(what.clone(), unit.host.clone())))
        {
            let entry = debts.open.get_or_insert_with(|| Debt { step: path, what, hosts: BTreeSet::new() });
            entry.hosts.insert(unit.host.clone());
        }
        Ok(())
    }

    /// Nothing before a unit that cannot be taken back is touched, because what is restored there may need it: says how
    /// much that is.
    fn with_the_rest(&self, stop: Stop, at: &UnitId) -> Stop {
        let changed = |unit: &&UnitId| {
            self.log.state(|state| {
                state.unit(unit).is_some_and(|known| known.intents.iter().any(Intent::may_have_changed))
            })
        };
        let rest = self.to_take_back().iter().filter(|unit| *unit != at).filter(changed).count();
        match stop {
            Stop::Fault(fault) if rest > 0 => {
                let stand = match rest {
                    1 => "one more unit that changed something stands".to_owned(),
                    many => format!("{many} more units that changed something stand"),
                };
                let hint = format!("the rollback stopped here: {stand} as the run left it, until it goes on");
                Stop::Fault(fault.hint(hint))
            }
            other => other,
        }
    }

    /// Units that may have changed something, the latest first. What a rollback's own settling did is not
    /// taken back, nor is `finally`.
    fn to_take_back(&self) -> Vec<UnitId> {
        self.log.state(|state| {
            let mut units: Vec<(u64, UnitId)> = state
                .units
                .iter()
                .filter(|(id, unit)| unit.may_have_changed() && canonical(&id.step) == id.step)
                .map(|(id, unit)| (unit.seq, id.clone()))
                .collect();
            units.sort_by_key(|(seq, _)| std::cmp::Reverse(*seq));
            units.into_iter().map(|(_, id)| id).collect()
        })
    }

    /// Ends what an interrupted run left running.
    async fn end_commands(self: &Arc<Self>) -> Result<(), Stop> {
        let flying: Vec<(UnitId, Intent)> = self.log.state(|state| {
            let flying = state.units.iter().filter(|(_, unit)| unit.state.in_flight());
            let latest = flying.filter_map(|(id, unit)| Some((id.clone(), unit.intent()?.clone())));
            latest.filter(|(_, intent)| !intent.action.is_empty()).collect()
        });
        for (unit, intent) in flying {
            self.end_from(&unit, intent.attempt, intent.receipts).await?;
        }
        Ok(())
    }

    /// What earlier undos that failed or were killed left running is ended before anything is tried again: of these intents,
    /// and of the attempt itself, under whose number a step's own `undo` runs.
    async fn end_undos(self: &Arc<Self>, attempt: &Attempt<'_>, begun: &[Intent]) -> Result<(), Stop> {
        let unit = &attempt.unit;
        let undos = self.log.state(|state| state.unit(unit).map_or(0, |known| known.undos));
        let began = begun.iter().map(|intent| (intent.attempt, intent.receipts));
        let began: BTreeSet<(u32, u32)> = began.chain([(attempt.number, 0)]).collect();
        for earlier in 1..undos {
            for (number, receipts) in &began {
                self.end_from(unit, *number, receipts.saturating_add(earlier * UNDO_RECEIPTS)).await?;
            }
        }
        Ok(())
    }

    /// Ends the commands of an attempt from a receipt's number on.
    async fn end_from(&self, unit: &UnitId, attempt: u32, first: u32) -> Result<(), Stop> {
        let target = self.hosts.get(&unit.host).await?;
        // A command that never began leaves a gap; so many in a row mean that there are no more.
        let (mut ordinal, mut absent) = (first, 0);
        while absent < 4 && ordinal < first + UNDO_RECEIPTS {
            let receipt =
                keybook_api::ReceiptId { run: self.id.clone(), unit: unit.clone(), attempt, ordinal };
            let found = target.end(&receipt).await?;
            absent = if found == Receipt::Absent { absent + 1 } else { 0 };
            ordinal += 1;
        }
        Ok(())
    }

    /// Takes one unit back. What it changed raises its obligation again, before anything is restored.
    async fn take_back_unit(
        self: &Arc<Self>,
        step: &Step,
        unit: &UnitId,
        owes: Option<&str>,
    ) -> Result<(), Stop> {
        let attempt = Attempt::resumed(self, step, unit.clone(), &self.item_of(unit), Cancel::new());
        let (how, paths) = match self.way_back(step, unit) {
            ("undo" | "restore", paths) if self.is_taken_back_by_hand(unit) => (BY_HAND, paths),
            // Of a script's calls only those are passed over that cannot be taken back now either.
            way => way,
        };
        attempt.write(Event::UnitUndoIntent { how: how.to_owned(), paths: paths.clone() })?;
        let outcome = match how {
            "undo" => {
                self.owe(unit, owes)?;
                self.undo(step, attempt).await
            }
            "restore" => self.restore(unit, &paths, owes).await,
            "calls" => self.take_back_calls(step, unit, owes).await,
            BY_HAND => self.by_hand(&attempt, &paths, owes).await,
            _ => Ok(()),
        };
        let attempt = Attempt::resumed(self, step, unit.clone(), &Value::Null, Cancel::new());
        match outcome {
            Ok(()) => Ok(attempt.write(Event::UnitUndone { how: how.to_owned() })?),
            Err(Stop::Fault(fault)) => {
                let fault = fault.on(&unit.host).at(&step.span);
                attempt.write(Event::UnitUndoFailed { fault: (&fault).into() })?;
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
        let changes = match &step.work {
            Work::Script(_) => return self.way_back_of_calls(unit),
            Work::Steps(_) => !step.backup.is_empty(),
            Work::Action(call) => {
                let Some(action) = self.registry.get(&call.action) else { return ("nothing", Vec::new()) };
                if action.spec().way_back == WayBack::Undo {
                    return ("undo", Vec::new());
                }
                action.spec().effect == Effect::Changes
            }
        };
        let (mut paths, recorded) = self.log.state(|state| {
            let Some(known) = state.unit(unit) else { return (Vec::new(), true) };
            let touches = known.intents.iter().flat_map(|intent| &intent.touches);
            let mut paths: Vec<String> =
                touches.chain(&known.wrote).map(|touch| touch.path.clone()).collect();
            paths.sort();
            paths.dedup();
            let begun = known.intents.iter().any(|intent| !intent.not_done);
            (paths, !begun || known.recorded)
        });
        if changes && paths.is_empty() && !recorded {
            // Nobody recorded what it did: it may have changed anything that was kept.
            paths = self.kept_roots(&unit.host);
        }
        if paths.is_empty() { ("nothing", paths) } else { ("restore", paths) }
    }

    async fn undo(self: &Arc<Self>, step: &Step, mut attempt: Attempt<'_>) -> Result<(), Stop> {
        let target = self.hosts.get(&attempt.unit.host).await?;
        let (result, begun, undos) = self.log.state(|state| {
            let Some(known) = state.unit(&attempt.unit) else { return (None, Vec::new(), 0) };
            // An action's own undo also clears away a part of an effect; the step's `undo` takes back a whole one.
            let begun = known.intents.iter().filter(|intent| step.undo.is_none() || !intent.not_done);
            (kept(&known.result), begun.cloned().collect::<Vec<Intent>>(), known.undos)
        });
        if begun.is_empty() {
            return Ok(());
        }
        self.end_undos(&attempt, &begun).await?;
        // What was secret in it is not kept: an `undo` that needs it fails, rather than to write what stands for it.
        attempt.scope.extend(result.clone().map(|result| ("result".to_owned(), result)));
        let facts = self.log.state(|state| state.unit(&attempt.unit).and_then(|known| kept(&known.facts)));
        attempt.scope.insert("facts".to_owned(), facts.unwrap_or_default());
        let call: &Call = match (&step.undo, &step.work) {
            (Some(undo), _) => {
                let args = attempt.args(undo)?;
                let ctx = self.undo_ctx(&target, &attempt.unit, attempt.number, 0, undos);
                attempt.action(undo)?.apply(&ctx, &args).await.map_err(|fault| fault.at(&undo.span))?;
                return Ok(());
            }
            (None, Work::Action(call)) => call,
            (None, Work::Steps(_) | Work::Script(_)) => return Ok(()),
        };
        let args = attempt.args(call)?;
        // Each attempt that may have had an effect knows only what itself found and changed.
        for intent in begun.iter().rev() {
            let noted = intent.noted().map_err(|why| not_whole(&attempt.unit, why).at(&call.span))?;
            let ctx = self.undo_ctx(&target, &attempt.unit, intent.attempt, 0, undos);
            let undone =
                attempt.action(call)?.undo(&ctx, &args, noted, &result.clone().unwrap_or_default()).await;
            undone.map_err(|fault| fault.at(&call.span))?;
        }
        Ok(())
    }

    /// What an undo works with. Receipts of each undo stand apart from those of the effect (from `receipts` on) and
    /// of the undos before: a command whose receipt exists is never run again.
    fn undo_ctx(
        self: &Arc<Self>,
        target: &Arc<dyn Target>,
        unit: &UnitId,
        attempt: u32,
        receipts: u32,
        undos: u32,
    ) -> Ctx {
        let mut ctx = self.ctx(Arc::clone(target), unit, attempt, true, Cancel::new());
        ctx.first_receipt = receipts;
        *ctx.ordinal.get_mut() = undos.max(1) * UNDO_RECEIPTS;
        ctx
    }

    /// Puts originals back.
    async fn restore(
        self: &Arc<Self>,
        unit: &UnitId,
        paths: &[String],
        owes: Option<&str>,
    ) -> Result<(), Stop> {
        let target = self.hosts.get(&unit.host).await?;
        self.remove_unrecorded(&target, unit).await?;
        self.restore_paths(&target, unit, paths, owes).await
    }

    async fn restore_paths(
        &self,
        target: &Arc<dyn Target>,
        unit: &UnitId,
        paths: &[String],
        owes: Option<&str>,
    ) -> Result<(), Stop> {
        for path in self.paths_below(&unit.host, paths) {
            self.restore_path(target, unit, &path, owes).await?;
        }
        Ok(())
    }

    /// A unit whose end nobody recorded may have made files where `backup` keeps a folder. A person decides
    /// whether they go; what is left is told by the comparison at the end.
    async fn remove_unrecorded(&self, target: &Arc<dyn Target>, unit: &UnitId) -> Result<(), Stop> {
        if self.log.state(|state| state.unit(unit).is_none_or(|known| known.recorded)) {
            return Ok(());
        }
        let touched: Vec<String> = self.log.state(|state| {
            let intents = state.unit(unit).map(|known| known.intents.clone()).unwrap_or_default();
            intents.iter().flat_map(|intent| intent.touches.iter().map(|touch| touch.path.clone())).collect()
        });
        for entry in self.unknown_in_kept(target, &unit.host).await? {
            // What a write that was cut off left beside its file is nobody else's, and may be a key.
            if touched.iter().any(|path| is_left_by_write(&entry.path, path)) {
                target.remove(&entry.path).await?;
                continue;
            }
            let detail =
                "it was not there when its folder was kept, and nobody recorded who made it".to_owned();
            let conflict = Conflict {
                host: unit.host.clone(),
                path: entry.path.clone(),
                detail,
                now: Some(entry.clone()),
                wrote: None,
                original: Original::Absent,
            };
            if self.person.conflict(&conflict).await == Some(true) {
                target.remove(&entry.path).await?;
            }
        }
        Ok(())
    }

    /// An obligation is raised again, unless it is owed already.
    fn owe(&self, unit: &UnitId, owes: Option<&str>) -> Result<(), Fault> {
        let Some(what) = owes else { return Ok(()) };
        let debt = (what.to_owned(), unit.host.clone());
        if self.log.state(|state| state.owed.get(&debt).is_some_and(|items| items.contains_key(&unit.item))) {
            return Ok(());
        }
        self.log.run(Event::ObligationRaised { what: debt.0, host: debt.1, item: unit.item.clone() })
    }

    /// Did this unit itself change the path, as far as that was recorded?
    fn changed_by(&self, unit: &UnitId, path: &str, original: &Original) -> bool {
        self.log.state(|state| {
            let wrote =
                state.unit(unit).and_then(|known| known.wrote.iter().find(|touch| touch.path == path));
            wrote.is_some_and(|touch| compare(original, touch.before.as_ref()).is_some())
        })
    }

    fn paths_below(&self, host: &str, roots: &[String]) -> Vec<String> {
        self.log.state(|state| {
            let below = |path: &str| roots.iter().any(|root| crate::backup::inside(path, root));
            let inside = state.originals.on(host).filter(|(path, _)| below(path));
            let mut paths: Vec<(bool, &str)> =
                inside.map(|(path, original)| (*original != Original::Absent, path)).collect();
            // What the run created first, the inner before the outer; then the rest, the outer before the inner.
            paths.sort_by(|a, b| a.0.cmp(&b.0).then(if a.0 { a.1.cmp(b.1) } else { b.1.cmp(a.1) }));
            paths.into_iter().map(|(_, path)| path.to_owned()).collect()
        })
    }

    async fn restore_path(
        &self,
        target: &Arc<dyn Target>,
        unit: &UnitId,
        path: &str,
        owes: Option<&str>,
    ) -> Result<(), Stop> {
        let original = self.log.state(|state| state.originals.get(&unit.host, path).cloned());
        let Some(original) = original else { return Ok(()) };
        let now =
            touched(target, &[path.to_owned()]).await?.into_iter().next().and_then(|touch| touch.before);
        let same = compare(&original, now.as_ref()).is_none();
        // Restored already (by a later unit's restore, or before a crash), but the daemons may not know.
        if !same || self.changed_by(unit, path, &original) {
            self.owe(unit, owes)?;
        }
        if same {
            return Ok(());
        }
        // What is new in the run's own folder is the run's, also when it was killed before it recorded it.
        let own = original == Original::Absent && path.starts_with(&format!("{}/", self.state_dir()));
        if !own {
            self.check_ours(unit, path, &original, now.as_ref()).await?;
        }
        match original {
            Original::Absent => target.remove(path).await?,
            Original::Present { copy: Some(copy), .. } => target.replace(&copy, path).await?,
            Original::Present { copy: None, .. } => {
                return Err(Fault::failed(format!("restore {path}"), "no copy of it was kept")
                    .on(&unit.host)
                    .into());
            }
        }
        Ok(())
    }

    /// A file that is no longer what the run wrote is not overwritten without a person.
    async fn check_ours(
        &self,
        unit: &UnitId,
        path: &str,
        original: &Original,
        now: Option<&keybook_api::TreeEntry>,
    ) -> Result<(), Stop> {
        let wrote = self.log.state(|state| last_written(state, &unit.host, path));
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
        let conflict = Conflict {
            host: unit.host.clone(),
            path: path.to_owned(),
            detail: detail.clone(),
            now: now.cloned(),
            wrote: wrote.and_then(|touch| touch.before),
            original: original.clone(),
        };
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
            let changes = |name: &String| {
                self.registry.get(name).is_some_and(|action| action.spec().effect == Effect::Changes)
            };
            let lost = without.into_iter().filter(changes);
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

    /// Which of these paths of a host differ from what was there first, each with how.
    async fn differing(
        &self,
        host: &str,
        target: &Arc<dyn Target>,
        paths: &[String],
    ) -> Result<Vec<(String, String)>, Stop> {
        let now = touched(target, paths).await?;
        Ok(self.log.state(|state| {
            let how = |now: &Touched| {
                let original = state.originals.get(host, &now.path)?;
                Some((now.path.clone(), compare(original, now.before.as_ref())?))
            };
            now.iter().filter_map(how).collect()
        }))
    }

    /// Compares every path that the run touched or kept with what was there first.
    async fn verify_originals(self: &Arc<Self>) -> Result<(), Stop> {
        let hosts = self.log.state(|state| state.originals.hosts());
        let (mut compared, mut differing) = (0, Vec::new());
        for host in hosts {
            let target = self.hosts.get(&host).await?;
            let known: Vec<String> =
                self.log.state(|state| state.originals.on(&host).map(|(path, _)| path.to_owned()).collect());
            compared += known.len() as u64;
            let other = self.differing(&host, &target, &known).await?;
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
}

/// What an action needs to know to take its change back is not in the journal.
fn not_whole(unit: &UnitId, why: String) -> Fault {
    Fault::failed(format!("take back {unit}"), why)
        .on(&unit.host)
        .now("this was not taken back")
        .hint("take it back by hand, and roll back with --taken-back")
}

/// Is a path the temporary file of a write to another one (`.keybook-`, 16 digits of the name's SHA-256, 32 random ones)?
fn is_left_by_write(path: &str, written: &str) -> bool {
    let (Some((folder, name)), Some((own, file))) = (path.rsplit_once('/'), written.rsplit_once('/')) else {
        return false;
    };
    let hash = crate::journal::format::sha256_hex(file.as_bytes());
    let stem = format!(".keybook-{}-", hash.get(..16).unwrap_or(&hash));
    let hex =
        |tail: &str| tail.len() == 32 && tail.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    folder == own && name.strip_prefix(&stem).is_some_and(hex)
}

fn compare(original: &Original, now: Option<&keybook_api::TreeEntry>) -> Option<String> {
    match (original, now) {
        (Original::Absent, None) => None,
        (Original::Absent, Some(_)) => Some("the run created it, and it is still there".to_owned()),
        (Original::Present { .. }, None) => Some("it is missing".to_owned()),
        (Original::Present { entry, .. }, Some(now)) => difference(entry, now),
    }
}

#[cfg(test)]
mod tests {
    use super::is_left_by_write;

    #[test]
    fn only_what_a_write_of_that_file_left_is_its() {
        let left = "/srv/.keybook-816c7d6dd8b13e3c-790170f540aa6226fd11efdb0e81e60c";
        assert!(is_left_by_write(left, "/srv/etcd-key.pem"));
        for (path, written) in [
            (left, "/srv/etcd.pem"),
            (left, "/etc/etcd-key.pem"),
            ("/srv/.keybook-816c7d6dd8b13e3c-790170f540aa6226fd11efdb0e81e60", "/srv/etcd-key.pem"),
            ("/srv/.keybook-816c7d6dd8b13e3c-790170f540aa6226fd11efdb0e81e6XY", "/srv/etcd-key.pem"),
            ("/srv/etcd-key.pem", "/srv/etcd-key.pem"),
        ] {
            assert!(!is_left_by_write(path, written), "{path} {written}");
        }
    }
}
