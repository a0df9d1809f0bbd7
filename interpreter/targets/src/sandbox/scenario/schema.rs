//! The JSON Schema (draft 2020-12) of scenarios, for editors. What it cannot say `keybook validate` says.

use serde_json::{Value, json};

/// An object with these keys and no others.
fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "additionalProperties": false, "properties": properties })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn one_or_more(description: &str) -> Value {
    let either = [json!({ "type": "string" }), json!({ "type": "array", "items": { "type": "string" } })];
    json!({ "anyOf": either, "description": description })
}

fn words(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": description })
}

fn path(description: &str) -> Value {
    json!({ "type": "string", "pattern": "^/", "description": description })
}

fn hosts() -> Value {
    one_or_more("Groups (`web`, `web[0]`, `web[1:]`) or hosts.")
}

fn each(of: Value, description: &str) -> Value {
    json!({ "type": "array", "items": of, "description": description })
}

fn named(of: Value, description: &str) -> Value {
    json!({ "type": "object", "additionalProperties": of, "description": description })
}

/// The schema of a scenario. One that extends another may leave out what that has.
pub fn schema() -> Value {
    let group = json!({ "type": "array", "items": { "type": "string" } });
    let keys = json!({
        "keybook": { "const": 1, "description": "The language version." },
        "scenario": text("Its name, for people; `--sandbox` takes the name of its file."),
        "title": text("What it shows, one line."),
        "extends": text("Another scenario beside it, such as `default.yaml`, whose keys hold where this one has none."),
        "cluster": text("The cluster's name."),
        "hosts": named(host(), "The hosts, by name, with the keys of an inventory."),
        "groups": named(group, "Names of hosts by group, in order."),
        "inputs": { "type": "object", "description": "Values in the place of the defaults of the runbook's inputs, for the sandbox only. A text for a secret input is made up: never a real one." },
        "tools": words("Programs that preflight finds on the hosts; no others are there."),
        "certificates": named(certificate(), "Certificates, by name, made with new keys for every sandbox."),
        "files": each(file(), "Files, in this order; directories above them are made, with mode 0755."),
        "daemons": each(daemon(), "Programs that run while a file is there, and hold what they read when they started."),
        "commands": each(command(), "What commands answer: the first entry that fits. A command without one is an error."),
        "faults": each(fault(), "What goes wrong, once each."),
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
    let mut usages = one_or_more(
        "`server` and `client` (either with `signing` and `key encipherment`; both by default), and cfssl's words. Null: the extension is left out.",
    );
    if let Some(either) = usages.get_mut("anyOf").and_then(Value::as_array_mut) {
        either.push(json!({ "type": "null" }));
    }
    let valid = object(
        &["from", "to"],
        json!({ "from": text("Signed duration from now, such as `-1d`."), "to": text("Signed duration from now, such as `20d`.") }),
    );
    let mut keys = json!({
        "ca": { "type": "boolean", "default": false, "description": "It is a self-signed CA. Every other certificate has an `issuer`." },
        "issuer": text("Another certificate of the scenario, which signs it."),
        "subject": { "type": "object", "additionalProperties": one_or_more(""), "description": "The subject's attributes, such as CN and O." },
        "sans": one_or_more("Names: `DNS:…`, `IP:…` or bare. An item that is one `${…}` may give a list."),
        "usages": usages,
        "key": { "enum": kinds, "default": "rsa-2048", "description": "The kind of its key." },
        "path_len": { "type": "integer", "minimum": 0, "maximum": 16, "description": "Of a CA: how many CAs may follow below it." },
    });
    if let Some(keys) = keys.as_object_mut() {
        let mut valid = valid;
        valid["description"] = "When it is valid; from `-1d` to `3650d` when absent.".into();
        keys.insert("valid".to_owned(), valid);
    }
    object(&["subject"], keys)
}

fn file() -> Value {
    let kinds = ["certificate", "key", "text", "link", "directory"];
    let exactly_one: Vec<Value> = kinds.iter().map(|kind| json!({ "required": [kind] })).collect();
    let form = "Of a key: its form; pkcs1 for RSA and sec1 for ECDSA when absent.";
    let owner = "`uid:gid`; counts only where Keybook runs as root.";
    let mut schema = object(
        &["hosts", "path"],
        json!({
            "hosts": hosts(),
            "path": path("Where it is."),
            "certificate": one_or_more("A certificate of the scenario as PEM, or several in one file."),
            "key": text("The private key of a certificate of the scenario."),
            "text": text("Text; a template over `host`, `hosts`, `groups` and `cluster`."),
            "link": text("A symbolic link to this."),
            "directory": { "const": true, "description": "A directory." },
            "form": { "enum": ["pkcs1", "pkcs8", "sec1"], "description": form },
            "mode": { "type": "string", "pattern": "^[0-7]{1,4}$", "description": "Its mode; 0644 when absent, 0600 of keys, 0755 of directories." },
            "owner": { "type": "string", "pattern": "^[0-9]+:[0-9]+$", "description": owner },
        }),
    );
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("oneOf".to_owned(), exactly_one.into());
    }
    schema
}

fn daemon() -> Value {
    let port = "It can be connected to at this port: plainly, or by TLS when it has a certificate and a key.";
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string", "pattern": "^/" }, "description": "Further files that it reads when it starts, by names of your own." });
    object(
        &["hosts", "name", "while"],
        json!({
            "hosts": hosts(),
            "name": text("Its name, for `daemon(…)` in answers."),
            "while": path("It runs while this file is there, and is restarted when its content changes, as static pods are."),
            "port": { "type": "integer", "minimum": 1, "maximum": 65535, "description": port },
            "certificate": path("The PEM file with its certificate."),
            "key": path("The file with its key. A daemon whose key does not fit does not run."),
            "client_ca": path("Clients must show a certificate that this verifies."),
            "reads": texts,
            "start_delay": { "type": "string", "default": "0s", "description": "How long it takes to start." },
        }),
    )
}

fn command() -> Value {
    object(
        &["match", "answer"],
        json!({
            "match": text("A pattern of the whole command line: `*` is any text, `?` any letter."),
            "hosts": one_or_more("Only on these; on all when absent."),
            "takes": { "type": "string", "default": "0s", "description": "How long it runs before it answers." },
            "answer": text("Rhai: gives what the command prints, or a map with `stdout`, `stderr` and `status`, and may change the host."),
        }),
    )
}

fn fault() -> Value {
    let kind = "It does nothing and ends with an error; the connection breaks before it (`disconnect`), or when it is done, so that nobody \
                hears of it (`disconnect-after`); the host boots, so that the connection breaks before it and every daemon starts anew \
                (`reboot`); or (files only) the disk is full.";
    let mut schema = object(
        &["hosts", "kind"],
        json!({
            "hosts": hosts(),
            "command": text("A pattern of a command line."),
            "path": text("A pattern of the path of what is written, made, moved here or removed."),
            "nth": { "type": "integer", "minimum": 1, "default": 1, "description": "Which of the commands or changes that fit." },
            "kind": { "enum": ["fail", "disconnect", "disconnect-after", "reboot", "disk-full"], "description": kind },
        }),
    );
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("oneOf".to_owned(), json!([{ "required": ["command"] }, { "required": ["path"] }]));
    }
    schema
}
