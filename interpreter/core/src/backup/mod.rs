//! Originals on the host: `/var/lib/keybook/<run>/backup/<unit>/<number>`, 0700. The first original of a path
//! in a run is the one that counts and is never overwritten.

use crate::run::state::Kept;
use indexmap::{IndexMap, IndexSet};
use keybook_api::{Event, Fault, Target, TreeEntry, event::Touched};
use std::sync::Arc;

/// Copies what is not kept yet into `store` and checks the copies; `None` when everything is kept already.
pub async fn take(
    target: &Arc<dyn Target>,
    host: &str,
    store: &str,
    wanted: &[String],
    known: &[Kept],
) -> Result<Option<Event>, Fault> {
    // By entry: what came into a kept directory later is not kept yet.
    let covered = |path: &str| {
        let on_host = known.iter().filter(|kept| kept.host == host);
        on_host.flat_map(|kept| &kept.entries).any(|entry| entry.path == path)
    };
    let paths: Vec<String> = wanted.iter().filter(|path| !covered(path)).cloned().collect();
    if paths.is_empty() {
        return Ok(None);
    }
    let entries = target.tree(&paths).await?;
    // A link to a directory brings that directory along, under its own path.
    let mut paths = paths;
    for entry in &entries {
        if !paths.iter().any(|root| inside(&entry.path, root)) {
            paths.push(entry.path.clone());
        }
    }
    target.make_dir(store, 0o700).await?;
    for (number, path) in paths.iter().enumerate() {
        if entries.iter().any(|entry| entry.path == *path) {
            let copy = format!("{store}/{number}");
            if target.stat(&copy).await?.is_some() {
                return Err(Fault::failed(format!("keep {path}"), format!("{copy} exists already")).on(host));
            }
            target.copy(path, &copy).await?;
            check_copy(target, path, &copy, &entries).await?;
        }
    }
    Ok(Some(Event::BackupTaken { host: host.to_owned(), store: store.to_owned(), paths, entries }))
}

/// Is `path` the root itself or below it?
pub fn inside(path: &str, root: &str) -> bool {
    path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/') || root == "/")
}

/// A copy counts only when it is what the original is: compared by content, owner, mode and link.
async fn check_copy(
    target: &Arc<dyn Target>,
    path: &str,
    copy: &str,
    entries: &[TreeEntry],
) -> Result<(), Fault> {
    let copied = target.tree(&[copy.to_owned()]).await?;
    let originals: Vec<&TreeEntry> = entries.iter().filter(|entry| inside(&entry.path, path)).collect();
    for original in &originals {
        let at = format!("{copy}{}", &original.path[path.len()..]);
        let same = copied.iter().any(|entry| entry.path == at && difference(original, entry).is_none());
        if !same {
            return Err(Fault::failed(
                format!("keep {path}"),
                format!("the copy of {} is not like it", original.path),
            )
            .now("nothing was changed yet")
            .hint("something else changes these files; find out what, then resume"));
        }
    }
    Ok(())
}

/// How two entries differ, apart from path and times; `None` when they are the same.
pub fn difference(wanted: &TreeEntry, found: &TreeEntry) -> Option<String> {
    let mut how = Vec::new();
    if wanted.stat.kind != found.stat.kind {
        how.push(format!("it is a {:?}, not a {:?}", found.stat.kind, wanted.stat.kind).to_lowercase());
    }
    if wanted.sha256 != found.sha256 {
        how.push("its content is another".to_owned());
    }
    if wanted.stat.mode != found.stat.mode {
        how.push(format!("its mode is {:04o}, not {:04o}", found.stat.mode, wanted.stat.mode));
    }
    if wanted.stat.owner != found.stat.owner {
        let show = |entry: &TreeEntry| format!("{}:{}", entry.stat.owner.uid, entry.stat.owner.gid);
        how.push(format!("its owner is {}, not {}", show(found), show(wanted)));
    }
    if wanted.stat.link != found.stat.link {
        how.push("it points elsewhere".to_owned());
    }
    if wanted.selinux != found.selinux {
        how.push("its SELinux context is another".to_owned());
    }
    if wanted.acl != found.acl {
        how.push("its ACL is another".to_owned());
    }
    (!how.is_empty()).then(|| how.join(", "))
}

/// What was at a path before the run first touched it.
#[derive(Clone, Debug, PartialEq)]
pub enum Original {
    /// Nothing: the run created it.
    Absent,
    /// This; and where its copy is, when it has one.
    Present {
        /// What it was.
        entry: TreeEntry,
        /// The copy on the same host.
        copy: Option<String>,
    },
}

/// What was at each path before the run first touched or kept it, by host and path.
#[derive(Clone, Debug, Default)]
pub struct Originals(IndexMap<(String, String), Original>);

impl Originals {
    /// An intent names what it will touch.
    pub fn touched(&mut self, host: &str, touches: &[Touched]) {
        for touch in touches {
            let first = match &touch.before {
                None => Original::Absent,
                Some(entry) => Original::Present { entry: entry.clone(), copy: None },
            };
            self.0.entry((host.to_owned(), touch.path.clone())).or_insert(first);
        }
    }

    /// Copies were made. A path that was asked for and is not there will be the run's own.
    pub fn kept(&mut self, kept: &Kept) {
        let there = |path: &str| kept.entries.iter().any(|entry| entry.path == path);
        for path in kept.paths.iter().filter(|path| !there(path)) {
            self.0.entry((kept.host.clone(), path.clone())).or_insert(Original::Absent);
        }
        for entry in &kept.entries {
            let Some((number, root)) =
                kept.paths.iter().enumerate().find(|(_, root)| inside(&entry.path, root))
            else {
                continue;
            };
            let copy = Some(format!("{}/{number}{}", kept.store, &entry.path[root.len()..]));
            let fresh = Original::Present { entry: entry.clone(), copy };
            let known =
                self.0.entry((kept.host.clone(), entry.path.clone())).or_insert_with(|| fresh.clone());
            // A path without a copy was announced by an attempt that went no further.
            if matches!(known, Original::Present { copy: None, .. }) {
                *known = fresh;
            }
        }
    }

    /// What a unit left where nothing was known before is the run's own.
    pub fn created(&mut self, host: &str, wrote: &[Touched]) {
        for touch in wrote.iter().filter(|touch| touch.before.is_some()) {
            self.0.entry((host.to_owned(), touch.path.clone())).or_insert(Original::Absent);
        }
    }

    /// What was at a path first; `None` when the run never touched it.
    pub fn get(&self, host: &str, path: &str) -> Option<&Original> {
        self.0.get(&(host.to_owned(), path.to_owned()))
    }

    /// The paths of a host with what was there.
    pub fn on<'o>(&'o self, host: &'o str) -> impl Iterator<Item = (&'o str, &'o Original)> {
        self.0
            .iter()
            .filter(move |((at, _), _)| at == host)
            .map(|((_, path), original)| (path.as_str(), original))
    }

    /// The hosts concerned, each once.
    pub fn hosts(&self) -> IndexSet<String> {
        self.0.keys().map(|(host, _)| host.clone()).collect()
    }
}
