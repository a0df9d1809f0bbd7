//! Originals on the host: `/var/lib/keybook/<run>/backup/<unit>/<number>`, 0700. Each unit keeps what is there before it
//! changes it, unless a copy just like it is kept already, and no copy is ever overwritten. A unit is taken back to what was
//! there before it; the first original of a path is what a whole rollback ends with.

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
    let there = target.tree(wanted).await?;
    let covered = |entry: &TreeEntry| {
        let on_host = known.iter().filter(|kept| kept.host == host);
        let mut copies = on_host.flat_map(|kept| &kept.entries).filter(|copy| copy.path == entry.path);
        copies.any(|copy| difference(copy, entry).is_none())
    };
    // By entry: what came into a kept directory later, or changed there, is not kept yet.
    let lacks = |root: &&String| {
        let mut below = there.iter().filter(|entry| inside(&entry.path, root)).peekable();
        below.peek().is_none() || below.any(|entry| !covered(entry))
    };
    let paths: Vec<String> = wanted.iter().filter(lacks).cloned().collect();
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

/// What was at a path before the run, or one of its units, touched it.
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

impl Original {
    fn of(entry: Option<&TreeEntry>) -> Self {
        entry.map_or(Self::Absent, |entry| Self::Present { entry: entry.clone(), copy: None })
    }

    /// Is the same there, apart from times and from where its copy is?
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) => true,
            (Self::Present { entry, .. }, Self::Present { entry: other, .. }) => {
                difference(entry, other).is_none()
            }
            _ => false,
        }
    }

    fn copy(&self) -> Option<&String> {
        match self {
            Self::Present { copy, .. } => copy.as_ref(),
            Self::Absent => None,
        }
    }

    fn set_copy(&mut self, found: Option<&String>) {
        if let Self::Present { copy: copy @ None, .. } = self {
            *copy = found.cloned();
        }
    }
}

/// What was found at a path, and when.
#[derive(Clone, Debug)]
struct Layer {
    /// Journal number of the intent before which it was found.
    found: u64,
    original: Original,
}

/// What was at each path each time that a unit was about to change it, by host and path; the first first. What was there
/// unchanged since the last time is not told again.
#[derive(Clone, Debug, Default)]
pub struct Originals(IndexMap<(String, String), Vec<Layer>>);

impl Originals {
    /// An intent names what it will touch; `at` is its journal number.
    pub fn touched(&mut self, host: &str, touches: &[Touched], at: u64) {
        for touch in touches {
            self.find(host, &touch.path, at, Original::of(touch.before.as_ref()));
        }
    }

    /// Copies were made for an intent. A path that was asked for and is not there will be the run's own.
    pub fn kept(&mut self, kept: &Kept, at: u64) {
        let there = |path: &str| kept.entries.iter().any(|entry| entry.path == path);
        for path in kept.paths.iter().filter(|path| !there(path)) {
            self.find(&kept.host, path, at, Original::Absent);
        }
        for entry in &kept.entries {
            let Some((number, root)) =
                kept.paths.iter().enumerate().find(|(_, root)| inside(&entry.path, root))
            else {
                continue;
            };
            let copy = Some(format!("{}/{number}{}", kept.store, &entry.path[root.len()..]));
            self.find(&kept.host, &entry.path, at, Original::Present { entry: entry.clone(), copy });
        }
    }

    /// What a unit left where nothing was known before is the run's own.
    pub fn created(&mut self, host: &str, wrote: &[Touched]) {
        for touch in wrote.iter().filter(|touch| touch.before.is_some()) {
            let layers = self.0.entry((host.to_owned(), touch.path.clone())).or_default();
            if layers.is_empty() {
                layers.push(Layer { found: 0, original: Original::Absent });
            }
        }
    }

    fn find(&mut self, host: &str, path: &str, at: u64, mut original: Original) {
        let layers = self.0.entry((host.to_owned(), path.to_owned())).or_default();
        // A copy serves wherever the same was found, also where an attempt that announced it went no further.
        for layer in layers.iter_mut() {
            if layer.original.is_like(&original) {
                layer.original.set_copy(original.copy());
                original.set_copy(layer.original.copy());
            }
        }
        if layers.last().is_none_or(|last| !last.original.is_like(&original)) {
            layers.push(Layer { found: at, original });
        }
    }

    /// What was at a path before the run; `None` when the run never touched it.
    pub fn get(&self, host: &str, path: &str) -> Option<&Original> {
        self.layers(host, path).first().map(|layer| &layer.original)
    }

    /// What was at a path before a unit that began at `began` (the journal number of its first intent); `None` when the
    /// run never touched it.
    pub fn before(&self, host: &str, path: &str, began: u64) -> Option<&Original> {
        let layers = self.layers(host, path);
        let earlier = layers.iter().rev().find(|layer| layer.found <= began);
        earlier.or(layers.first()).map(|layer| &layer.original)
    }

    fn layers(&self, host: &str, path: &str) -> &[Layer] {
        self.0.get(&(host.to_owned(), path.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// The paths of a host with what was there before the run.
    pub fn on<'o>(&'o self, host: &'o str) -> impl Iterator<Item = (&'o str, &'o Original)> {
        let on_host = self.0.iter().filter(move |((at, _), _)| at == host);
        on_host.filter_map(|((_, path), layers)| Some((path.as_str(), &layers.first()?.original)))
    }

    /// The hosts concerned, each once.
    pub fn hosts(&self) -> IndexSet<String> {
        self.0.keys().map(|(host, _)| host.clone()).collect()
    }
}
