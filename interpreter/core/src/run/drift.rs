//! What changed between a run and its resume.

use crate::{journal::format::hex, model::Inventory};
use hmac::{Hmac, KeyInit, Mac};
use indexmap::IndexMap;
use keybook_api::{Map, Secret, Value};
use serde_json::{Value as Json, json};
use sha2::Sha256;

/// Inputs as the journal keeps them: a secret only as a keyed hash, so that it can be compared on resume.
pub fn journaled_inputs(inputs: &Map, salt: &str) -> IndexMap<String, Json> {
    inputs
        .iter()
        .map(|(name, value)| {
            let json = match value {
                Value::Secret(secret) => json!({ "keyed_hash": keyed_hash(secret, salt) }),
                other => other.to_json(),
            };
            (name.clone(), json)
        })
        .collect()
}

/// HMAC-SHA256 of a secret under the run's salt, hexadecimal.
pub fn keyed_hash(secret: &Secret, salt: &str) -> String {
    // HMAC takes a key of any length, so this cannot fail; an empty result would match nothing.
    Hmac::<Sha256>::new_from_slice(salt.as_bytes()).map_or_else(
        |_| String::new(),
        |mut mac| {
            mac.update(secret.expose());
            hex(&mac.finalize().into_bytes())
        },
    )
}

/// Inputs whose value differs from the journaled ones, as `name: was …, is …` (secrets only by name).
pub fn input_differences(journaled: &IndexMap<String, Json>, inputs: &Map, salt: &str) -> Vec<String> {
    let now = journaled_inputs(inputs, salt);
    let mut found = Vec::new();
    for (name, value) in &now {
        let before = journaled.get(name).unwrap_or(&Json::Null);
        if before != value {
            let secret = matches!(inputs.get(name), Some(Value::Secret(_)));
            found.push(if secret {
                format!("the secret input {name} is another one")
            } else {
                format!("the input {name} was {before}, is {value}")
            });
        }
    }
    found
}

/// Lines that one inventory has and the other has not.
pub fn inventory_differences(before: &Inventory, now: &Inventory) -> Vec<String> {
    let (old, new) = (before.lines(), now.lines());
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("the inventory had: {line}"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("the inventory has: {line}"));
    gone.chain(come).collect()
}
