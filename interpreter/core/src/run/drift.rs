//! What changed between a run and its resume.

use crate::{journal::format::hex, model::Inventory};
use hmac::{Hmac, KeyInit, Mac};
use indexmap::IndexMap;
use keybook_api::{Map, Value};
use serde_json::{Value as Json, json};
use sha2::Sha256;

/// Inputs as the journal keeps them: a secret only as a keyed hash, so that it can be compared on resume.
pub fn journaled_inputs(inputs: &Map, salt: &str) -> IndexMap<String, Json> {
    inputs
        .iter()
        .map(|(name, value)| {
            let json = match value {
                Value::Secret(secret) => json!({ "keyed_hash": secret.keyed_hash(salt) }),
                other => other.to_json(),
            };
            (name.clone(), json)
        })
        .collect()
}

/// HMAC-SHA256 of a value under the run's salt, hexadecimal: the same for equal values only. Secrets count by their
/// bytes, the order of keys does not.
pub fn keyed_digest(value: &Value, salt: &str) -> String {
    // HMAC takes a key of any length, so this cannot fail; an empty result would match nothing.
    Hmac::<Sha256>::new_from_slice(salt.as_bytes()).map_or_else(
        |_| String::new(),
        |mut mac| {
            feed(&mut mac, value);
            hex(&mac.finalize().into_bytes())
        },
    )
}

/// The value in a form that no other value has: JSON, but a secret is its length and its bytes.
fn feed(mac: &mut Hmac<Sha256>, value: &Value) {
    match value {
        Value::Secret(secret) => {
            mac.update(format!("secret {} ", secret.expose().len()).as_bytes());
            mac.update(secret.expose());
        }
        Value::List(list) => {
            mac.update(b"[");
            list.iter().for_each(|item| feed(mac, item));
            mac.update(b"]");
        }
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            mac.update(b"{");
            for (key, item) in entries {
                mac.update(Json::from(key.as_str()).to_string().as_bytes());
                mac.update(b":");
                feed(mac, item);
            }
            mac.update(b"}");
        }
        plain => mac.update(plain.to_json().to_string().as_bytes()),
    }
    mac.update(b",");
}

/// Inputs whose value differs from the journaled ones, as `name: was …, is …` (secrets only by name).
pub fn input_differences(journaled: &IndexMap<String, Json>, inputs: &Map, salt: &str) -> Vec<String> {
    let now = journaled_inputs(inputs, salt);
    let mut found = Vec::new();
    for (name, value) in &now {
        let before = journaled.get(name).unwrap_or(&Json::Null);
        if before != value {
            let secret = |json: &Json| json.get("keyed_hash").is_some();
            found.push(match (secret(before), secret(value)) {
                (true, true) => format!("the secret input {name} has another value than the run began with"),
                (true, false) if value.is_null() => {
                    format!("the run began with the secret input {name}, and it is not given now")
                }
                (true, false) => format!("the input {name} was a secret, is {value}"),
                (false, true) if before.is_null() => {
                    format!("the run began without the secret input {name}, and it is given now")
                }
                (false, true) => format!("the input {name} was {before}, is a secret now"),
                (false, false) => format!("the input {name} was {before}, is {value}"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use keybook_api::{Secret, value::map};

    fn digest(value: Value) -> String {
        keyed_digest(&value, "00ff")
    }

    fn secret(text: &str) -> Value {
        Value::Secret(Secret::new(text))
    }

    #[test]
    fn a_digest_counts_secrets_and_not_the_order_of_keys() {
        let of = |text: &str| digest(Value::Map(map([("a", secret(text)), ("b", Value::Int(1))])));
        assert_eq!(of("one"), digest(Value::Map(map([("b", Value::Int(1)), ("a", secret("one"))]))));
        assert_ne!(of("one"), of("two"));
        assert_ne!(
            of("one"),
            keyed_digest(&Value::Map(map([("a", secret("one")), ("b", Value::Int(1))])), "01")
        );
    }

    #[test]
    fn secrets_that_differ_are_told_in_words() {
        let differences = |before: Value, now: Value| {
            let before = journaled_inputs(&map([("pw", before)]), "00ff");
            input_differences(&before, &map([("pw", now)]), "00ff").join("; ")
        };
        for (before, now, wanted) in [
            (secret("one"), secret("one"), ""),
            (secret("one"), secret("two"), "the secret input pw has another value than the run began with"),
            (secret("one"), Value::Null, "the run began with the secret input pw, and it is not given now"),
            (Value::Null, secret("one"), "the run began without the secret input pw, and it is given now"),
            (secret("one"), "two".into(), "the input pw was a secret, is \"two\""),
            ("one".into(), secret("two"), "the input pw was \"one\", is a secret now"),
            ("one".into(), "two".into(), "the input pw was \"one\", is \"two\""),
        ] {
            assert_eq!(differences(before, now), wanted);
        }
    }

    #[test]
    fn no_two_values_have_one_digest() {
        let values = [
            Value::Null,
            "null".into(),
            secret("one"),
            "one".into(),
            "[secret]".into(),
            Value::List(vec![secret("a"), secret("b")]),
            Value::List(vec![secret("a,secret 1 b")]),
            Value::List(vec![Value::List(vec![secret("a")]), secret("b")]),
            Value::List(vec![Value::Int(12)]),
            Value::List(vec![Value::Int(1), Value::Int(2)]),
            Value::Map(map([("a", "b".into())])),
        ];
        let digests: std::collections::BTreeSet<_> = values.clone().into_iter().map(digest).collect();
        assert_eq!(digests.len(), values.len());
    }
}
