//! What a person is told about a file that is no longer what the run left.

use keybook_api::{TreeEntry, target::FileKind};
use keybook_core::{backup::Original, run::person::Conflict};
use keybook_report::{text, time};

/// What is the matter, and what a yes does.
pub fn told(conflict: &Conflict) -> String {
    let (host, path) = (&conflict.host, text::clean(&conflict.path));
    let what = text::clean(&conflict.detail);
    let does = match (&conflict.original, &conflict.now) {
        (Original::Absent, _) => {
            "Before the run nothing was there. What is there now is removed, and no copy is kept."
        }
        (_, None) => "Restoring puts the original back.",
        (_, Some(_)) => "Restoring the original overwrites what is there now, and no copy of that is kept.",
    };
    format!("\n{host}:{path} is no longer what this run wrote: {what}.\n{does}")
}

/// What is asked.
pub fn question(conflict: &Conflict) -> &'static str {
    match (&conflict.original, &conflict.now) {
        (Original::Absent, _) => "Remove it?",
        (_, None) => "Put the original back?",
        (_, Some(_)) => "Overwrite it with the original?",
    }
}

/// What there is now, what the run wrote, what was there before, and how to compare them. Contents are not shown: they
/// may be secret.
pub fn details(conflict: &Conflict) -> Vec<(&'static str, String)> {
    let before = match &conflict.original {
        Original::Absent => "nothing".to_owned(),
        Original::Present { entry, .. } => described(entry),
    };
    let wrote = conflict.wrote.as_ref().map_or_else(|| "not recorded, or nothing".to_owned(), described);
    let mut details = vec![
        ("now", conflict.now.as_ref().map_or_else(|| "nothing".to_owned(), described)),
        ("run", wrote),
        ("before", before),
    ];
    if let (Some(_), Original::Present { copy: Some(copy), .. }) = (&conflict.now, &conflict.original) {
        details.push(("copy", copy.clone()));
        details.push((
            "compare",
            format!("on {} with diff; keep what you need before you answer", conflict.host),
        ));
    }
    details
}

fn described(entry: &TreeEntry) -> String {
    let stat = &entry.stat;
    let kind = match stat.kind {
        FileKind::File => {
            format!("{} bytes, sha256 {}", stat.size, entry.sha256.get(..16).unwrap_or("unknown"))
        }
        FileKind::Directory => "a folder".to_owned(),
        FileKind::Symlink => format!("a link to {}", stat.link.as_deref().unwrap_or("somewhere")),
        FileKind::Other => "neither file, folder nor link".to_owned(),
    };
    let owner = format!("{}:{}", stat.owner.uid, stat.owner.gid);
    let at = jiff::Timestamp::from_second(stat.modified).map_or_else(|_| String::new(), |at| at.to_string());
    format!("{kind}, mode {:04o}, owner {owner}, written {} UTC", stat.mode & 0o7777, time::stamp(&at))
}
