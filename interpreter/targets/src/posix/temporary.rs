//! Names of the temporary files that writes make beside their targets.

use super::payload;
use keybook_api::Fault;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The writes under way in this process. What else bears such a name was left by a write that was cut short, and
/// the next write of the same file removes it (scripts/target.sh).
static UNDER_WAY: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The part of a temporary file's name that no other has. Dropping it says that the file is no longer needed.
pub(super) struct Temporary(String);

impl Temporary {
    pub fn new() -> Result<Self, Fault> {
        let nonce = payload::nonce()?;
        under_way().insert(nonce.clone());
        Ok(Self(nonce))
    }

    pub fn nonce(&self) -> &str {
        &self.0
    }

    /// The other ones in use, as the scripts take them.
    pub fn others(&self) -> String {
        let others: Vec<String> = under_way().iter().filter(|nonce| **nonce != self.0).cloned().collect();
        others.join(" ")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        under_way().remove(&self.0);
    }
}

fn under_way() -> MutexGuard<'static, BTreeSet<String>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}
