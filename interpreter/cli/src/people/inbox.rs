//! `keybook approve`: answers from elsewhere, as files in the run's inbox. An answer counts for one unit and for
//! the very plan that was waiting when it was given; it is used once.

use keybook_api::{
    Change, Diff, Fault, Plan, UnitId,
    event::{Answer, Via},
};
use keybook_core::{journal::format::sha256_hex, run::person::Reply};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// One answer in the inbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    /// The unit.
    pub unit: UnitId,
    /// The answer.
    pub answer: Answer,
    /// Who gave it.
    pub by: String,
    /// Why, for a skip.
    pub why: String,
    /// Digest of the plan it is for.
    pub plan: String,
}

/// A digest of what a plan shows, and of what it is based on (`basis` is itself a digest).
pub fn digest(change: &Change, lines: &[String], diffs: &[Diff], basis: &str) -> String {
    let shown = serde_json::json!({ "change": change, "lines": lines, "diffs": diffs, "basis": basis });
    sha256_hex(shown.to_string().as_bytes())
}

/// Puts a letter into the inbox.
pub fn send(inbox: &Path, letter: &Letter) -> Result<(), Fault> {
    let failed = |error: &dyn std::fmt::Display| {
        Fault::failed("put the answer into the run's inbox", error.to_string())
    };
    let text = serde_json::to_string(letter).map_err(|error| failed(&error))?;
    let name = format!("{}.json", sha256_hex(format!("{}{}", letter.unit, letter.plan).as_bytes()));
    let draft = inbox.join(format!(".{name}"));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(|error| failed(&error))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed(&error))?;
    fs::rename(&draft, inbox.join(name)).map_err(|error| failed(&error))
}

/// The answer for a unit and its plan, if there is one. It is taken out.
pub fn take(inbox: &Path, unit: &UnitId, plan: &Plan) -> Option<Reply> {
    let wanted = digest(&plan.change, &plan.lines, &plan.diffs, &sha256_hex(plan.basis.as_bytes()));
    for path in letters(inbox) {
        let Some(letter) = read(&path) else { continue };
        if letter.unit == *unit && letter.plan == wanted && fs::remove_file(&path).is_ok() {
            return Some(Reply { answer: letter.answer, by: letter.by, via: Via::Inbox, why: letter.why });
        }
    }
    None
}

/// Removes every answer for a unit.
pub fn discard(inbox: &Path, unit: &UnitId) {
    for path in letters(inbox) {
        if read(&path).is_some_and(|letter| letter.unit == *unit) {
            // One that cannot be removed still counts only for its own plan.
            let _ = fs::remove_file(path);
        }
    }
}

fn letters(inbox: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(inbox).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect()
}

fn read(path: &Path) -> Option<Letter> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}
