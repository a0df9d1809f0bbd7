//! The JSON Schema (draft 2020-12) of scenarios, for editors. What it cannot say `keybook validate` says.

use serde_json::{Value, json};

/// An object with these keys and no others.
fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "additionalProperties": false, "properties": properties })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn one_or_more() -> Value {
    json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
}

fn each(of: Value) -> Value {
    json!({ "type": "array", "items": of })
}

/// The schema of a scenario. One that extends another may leave out what that has.
pub fn schema() -> Value {
    let words = json!({ "type": "array", "items": { "type": "string" } });
    let keys = json!({
        "keybook": { "const": 1, "description": "The language version." },
        "scenario": text("Its name."),
        "title": text("What it shows."),
        "extends": text("Another scenario beside it, whose keys hold where this one has none."),
        "cluster": text("The cluster's name."),
        "hosts": { "type": "object", "additionalProperties": host() },
        "groups": { "type": "object", "additionalProperties": words },
        "inputs": { "type": "object", "description": "Values of the runbook's inputs." },
        "tools": words,
        "certificates": { "type": "object", "additionalProperties": certificate() },
        "files": each(file()),
        "daemons": each(daemon()),
        "commands": each(command()),
        "faults": each(fault()),
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:keybook:1:scenario",
        "title": "A Keybook scenario",
        "type": "object",
        "required": ["keybook", "scenario"],
        "anyOf": [{ "required": ["extends"] }, { "required": ["cluster", "hosts"] }],
        "additionalProperties": false,
        "properties": keys,
    })
}

fn host() -> Value {
    let mut keys = json!({ "address": text("An address; the name when absent.") });
    if let Some(keys) = keys.as_object_mut() {
        for key in super::decode::REACHING {
            keys.insert(key.to_owned(), json!({ "description": "Means nothing in a sandbox." }));
        }
    }
    object(&[], keys)
}

fn certificate() -> Value {
    let kinds = ["rsa-2048", "rsa-3072", "rsa-4096", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521"];
    object(
        &["subject"],
        json!({
            "ca": { "type": "boolean" },
            "issuer": text("Another certificate of the scenario."),
            "subject": { "type": "object", "additionalProperties": one_or_more() },
            "sans": one_or_more(),
            "usages": { "anyOf": [one_or_more(), { "type": "null" }] },
            "key": { "enum": kinds },
            "valid": object(&["from", "to"], json!({ "from": text("Such as `-1d`."), "to": text("Such as `20d`.") })),
            "path_len": { "type": "integer", "minimum": 0, "maximum": 16 },
        }),
    )
}

fn file() -> Value {
    let kinds = ["certificate", "key", "text", "link", "directory"];
    let exactly_one: Vec<Value> = kinds.iter().map(|kind| json!({ "required": [kind] })).collect();
    let mut schema = object(
        &["hosts", "path"],
        json!({
            "hosts": one_or_more(),
            "path": { "type": "string", "pattern": "^/" },
            "certificate": one_or_more(),
            "key": { "type": "string" },
            "text": { "type": "string" },
            "link": { "type": "string" },
            "directory": { "const": true },
            "form": { "enum": ["pkcs1", "pkcs8", "sec1"] },
            "mode": { "type": "string", "pattern": "^[0-7]{1,4}$" },
            "owner": { "type": "string", "pattern": "^[0-9]+:[0-9]+$" },
        }),
    );
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("oneOf".to_owned(), exactly_one.into());
    }
    schema
}

fn daemon() -> Value {
    let path = json!({ "type": "string", "pattern": "^/" });
    object(
        &["hosts", "name", "while"],
        json!({
            "hosts": one_or_more(),
            "name": { "type": "string" },
            "while": path,
            "port": { "type": "integer", "minimum": 1, "maximum": 65535 },
            "certificate": path,
            "key": path,
            "client_ca": path,
            "reads": { "type": "object", "additionalProperties": path },
            "start_delay": { "type": "string" },
        }),
    )
}

fn command() -> Value {
    object(
        &["match", "answer"],
        json!({
            "match": text("A pattern of the command line, with `*`."),
            "hosts": one_or_more(),
            "takes": text("How long it takes, such as `1s`."),
            "answer": text("Rhai: what the command prints, and does to the host's state."),
        }),
    )
}

fn fault() -> Value {
    let mut schema = object(
        &["hosts", "kind"],
        json!({
            "hosts": one_or_more(),
            "command": { "type": "string" },
            "path": { "type": "string" },
            "nth": { "type": "integer", "minimum": 1 },
            "kind": { "enum": ["fail", "disconnect", "disk-full"] },
        }),
    );
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("oneOf".to_owned(), json!([{ "required": ["command"] }, { "required": ["path"] }]));
    }
    schema
}
