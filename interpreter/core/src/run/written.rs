//! What a unit left behind, so that a rollback can tell the run's own files from somebody else's.

use super::{
    effect::touched,
    session::{STATE_ROOT, Session},
    state::State,
};
use crate::backup::{Original, difference, inside};
use keybook_api::{Fault, Target, TreeEntry, event::Touched};
use std::sync::Arc;

impl Session {
    /// The touched paths as they are now. With `wide`, also every path kept on this host that is no longer as the
    /// run last knew it: an action that does not name its paths, such as a command, may have changed any of them.
    pub(super) async fn written(
        &self,
        target: &Arc<dyn Target>,
        host: &str,
        touches: &[String],
        wide: bool,
    ) -> Result<Vec<Touched>, Fault> {
        let mut wrote = touched(target, touches).await?;
        let roots: Vec<String> = if wide { self.kept_roots(host) } else { Vec::new() };
        if roots.is_empty() {
            return Ok(wrote);
        }
        let now = target.tree(&roots).await?;
        let known: Vec<(String, Option<TreeEntry>)> = self.log.state(|state| {
            let kept =
                state.originals.on(host).filter(|(path, _)| roots.iter().any(|root| inside(path, root)));
            kept.map(|(path, original)| (path.to_owned(), last_known(state, host, path, original))).collect()
        });
        for (path, known) in known {
            let found = now.iter().find(|entry| entry.path == path);
            let same = match (&known, found) {
                (None, None) => true,
                (Some(known), Some(found)) => difference(known, found).is_none(),
                _ => false,
            };
            if !same && wrote.iter().all(|touch| touch.path != path) {
                wrote.push(Touched { path, before: found.cloned() });
            }
        }
        let made = self.unknown_of(host, &now).into_iter();
        wrote.extend(made.map(|entry| Touched { path: entry.path.clone(), before: Some(entry) }));
        Ok(wrote)
    }

    /// What is in the folders that `backup` names and was not there when they were kept, the inner before the
    /// outer. What came into a folder that only an action named is not looked for.
    pub(super) async fn unknown_in_kept(
        &self,
        target: &Arc<dyn Target>,
        host: &str,
    ) -> Result<Vec<TreeEntry>, Fault> {
        let roots = self.declared_roots(host);
        if roots.is_empty() {
            return Ok(Vec::new());
        }
        let mut unknown = self.unknown_of(host, &target.tree(&roots).await?);
        unknown.sort_by(|a, b| b.path.cmp(&a.path));
        Ok(unknown)
    }

    fn unknown_of(&self, host: &str, now: &[TreeEntry]) -> Vec<TreeEntry> {
        let roots = self.declared_roots(host);
        let looked_at = |path: &str| roots.iter().any(|root| inside(path, root)) && !inside(path, STATE_ROOT);
        self.log.state(|state| {
            let unknown = now
                .iter()
                .filter(|entry| looked_at(&entry.path) && state.originals.get(host, &entry.path).is_none());
            unknown.cloned().collect()
        })
    }

    fn declared_roots(&self, host: &str) -> Vec<String> {
        self.log.state(|state| {
            let kept = state.backups.iter().filter(|kept| kept.host == host);
            kept.flat_map(|kept| kept.declared.clone()).collect()
        })
    }

    /// Everything that was kept on a host, as it was asked for.
    pub(super) fn kept_roots(&self, host: &str) -> Vec<String> {
        self.log.state(|state| {
            let kept = state.backups.iter().filter(|kept| kept.host == host);
            let mut roots: Vec<String> = kept.flat_map(|kept| kept.paths.clone()).collect();
            roots.sort();
            roots.dedup();
            roots
        })
    }
}

fn last_known(state: &State, host: &str, path: &str, original: &Original) -> Option<TreeEntry> {
    match (last_written(state, host, path), original) {
        (Some(touch), _) => touch.before,
        (None, Original::Present { entry, .. }) => Some(entry.clone()),
        (None, Original::Absent) => None,
    }
}

/// What the run last left at a path, as far as it is known.
pub(super) fn last_written(state: &State, host: &str, path: &str) -> Option<Touched> {
    let on_host = state.units.iter().filter(|(id, _)| id.host == host);
    let wrote = on_host.flat_map(|(_, unit)| unit.wrote.iter().map(move |touch| (unit.seq, touch)));
    let of_path = wrote.filter(|(_, touch)| touch.path == path);
    of_path.max_by_key(|(seq, _)| *seq).map(|(_, touch)| touch.clone())
}
