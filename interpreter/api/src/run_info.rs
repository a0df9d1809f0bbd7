//! What the journal says of a run's runbook, steps and hosts.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A runbook as a run pinned it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunbookRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its title.
    pub title: String,
    /// The folder it was read from.
    pub folder: String,
    /// SHA-256 over runbook.yaml and hooks.rhai.
    pub digest: String,
}

/// What a run goes on with after its operator accepted differences, in the place of what it began with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pinned {
    /// SHA-256 over runbook.yaml and hooks.rhai.
    pub digest: String,
    /// Inputs; a secret is `{"keyed_hash": …}`.
    pub inputs: IndexMap<String, Json>,
    /// SHA-256 of the inventory's meaning.
    pub inventory_digest: String,
    /// The items of loops that began (`STEP@HOST#`, with the item around it), in the place of those pinned before: where
    /// nothing was done with an item, it is what it is now.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub items: IndexMap<String, Vec<Json>>,
}

/// A step as reports show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepInfo {
    /// Its path of ids.
    pub path: String,
    /// Its title; its id when it has none.
    pub title: String,
    /// Why it is done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The action it calls; `script` for a script, empty for a step with children.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// Cannot be taken back.
    #[serde(default)]
    pub irreversible: bool,
}

/// A host as a run found it in its inventory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostInfo {
    /// Inventory name.
    pub name: String,
    /// Address.
    pub address: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// May be replaced by the runbook, so its identity may change.
    #[serde(default)]
    pub replaceable: bool,
}
