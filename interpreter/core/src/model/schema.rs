//! JSON Schemas (draft 2020-12) of the language's files, made from the registered actions: for editors that complete and
//! underline while one writes. What a schema cannot say (names that must exist, expressions) `keybook validate` says.

use keybook_api::{ActionSpec, ArgKind, ArgSpec, Registry};
use serde_json::{Map, Value, json};

mod trust;

/// The dialect of every schema.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Any text with a template in it.
const TEMPLATE: &str = "\\$\\{";

/// The kinds of files that this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// runbook.yaml
    Runbook,
    /// lib/NAME.yaml
    Library,
    /// An inventory.
    Inventory,
    /// An answers file.
    Answers,
    /// i18n/LANG.yaml
    Translation,
}

/// The schema of a kind of file.
pub fn schema(file: File, registry: &Registry) -> Value {
    match file {
        File::Runbook => runbook(registry),
        File::Library => library(registry),
        File::Inventory => inventory(),
        File::Answers => answers(),
        File::Translation => translation(),
    }
}

/// An object with these keys and no others.
fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "additionalProperties": false, "properties": properties })
}

fn document(name: &str, title: &str, body: Value) -> Value {
    let mut document = json!({ "$schema": DIALECT, "$id": format!("urn:keybook:1:{name}"), "title": title });
    if let (Some(document), Value::Object(body)) = (document.as_object_mut(), body) {
        document.extend(body);
    }
    document
}

fn version() -> Value {
    json!({ "const": 1, "description": "The language version." })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn named(of: Value) -> Value {
    json!({ "type": "object", "propertyNames": { "pattern": "^[a-z][a-z0-9_-]*$" }, "additionalProperties": of })
}

fn one_or_more(of: &Value) -> Value {
    json!({ "anyOf": [of, { "type": "array", "items": of }] })
}

fn runbook(registry: &Registry) -> Value {
    let keys = json!({
        "keybook": version(),
        "name": text("Lower-case letters, digits and `-`."),
        "version": text("The runbook's own version."),
        "title": text("What it does, one line."),
        "lang": language("The language of its texts; `en` when absent."),
        "requires": object(&[], json!({
            "keybook": text("The oldest program that can run it, such as `>=0.1`."),
            "actions": { "type": "array", "items": { "enum": families(registry) } },
        })),
        "inputs": named(json!({ "$ref": "#/$defs/input" })),
        "hosts": named(json!({ "$ref": "#/$defs/group" })),
        "phases": { "type": "array", "items": { "type": "string" } },
        "trust": trust::keys(),
        "steps": steps(),
        "finally": steps(),
    });
    let required = ["keybook", "name", "version", "title", "steps"];
    with_defs(document("runbook", "A Keybook runbook", object(&required, keys)), registry)
}

fn library(registry: &Registry) -> Value {
    let keys = json!({
        "keybook": version(),
        "library": text("Its name: that of its file."),
        "title": text("What its steps do."),
        "inputs": named(json!({ "$ref": "#/$defs/input" })),
        "steps": steps(),
    });
    let body = object(&["keybook", "library", "steps"], keys);
    with_defs(document("library", "A Keybook step library", body), registry)
}

fn with_defs(mut document: Value, registry: &Registry) -> Value {
    let mut defs = Map::new();
    defs.insert("input".to_owned(), input());
    defs.insert("group".to_owned(), group());
    defs.insert("step".to_owned(), step(registry));
    defs.insert("call".to_owned(), call(registry));
    for action in registry.iter() {
        defs.insert(action.spec().name.to_owned(), arguments(action.spec()));
    }
    if let Some(document) = document.as_object_mut() {
        document.insert("$defs".to_owned(), Value::Object(defs));
    }
    document
}

fn families(registry: &Registry) -> Vec<&'static str> {
    let mut families: Vec<&str> = registry.names().filter_map(|name| name.split('.').next()).collect();
    families.dedup();
    families
}

fn steps() -> Value {
    json!({ "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/step" } })
}

fn input() -> Value {
    let bound = |which: &str| json!({ "type": ["integer", "string"], "description": format!("The {which} value of an int or a duration.") });
    object(
        &["type"],
        json!({
            "type": { "enum": super::input::TYPES },
            "values": { "type": "array", "items": { "type": "string" }, "description": "The words of an enum." },
            "default": { "description": "What holds when it is not given." },
            "optional": { "type": "boolean", "description": "May be absent; it is null then." },
            "help": text("What it is for."),
            "min": bound("smallest"),
            "max": bound("largest"),
            "pattern": text("A regular expression that the whole of a string must match."),
        }),
    )
}

fn group() -> Value {
    let count = json!({ "type": "integer", "minimum": 0 });
    object(
        &[],
        json!({
            "min": count,
            "max": count,
            "exactly": count,
            "help": text("Which hosts they are."),
            "tools": { "type": "array", "items": { "type": "string" }, "description": "Programs that must be there." },
            "free_mib": { "type": "integer", "minimum": 0, "description": "Free space needed, in MiB." },
            "replaceable": { "type": "boolean", "description": "The runbook replaces these hosts." },
        }),
    )
}

/// The keys of a step besides what it does; see the chapter on writing a runbook.
fn step(registry: &Registry) -> Value {
    let expression = json!({ "type": ["string", "boolean", "integer"] });
    let mut keys = json!({
        "id": { "type": "string", "pattern": "^[a-z][a-z0-9_-]*$" },
        "title": text("What it does, one line."),
        "why": text("Why it is done."),
        "hosts": one_or_more(&json!({ "type": "string" })),
        "when": expression,
        "for_each": expression,
        "order": { "enum": ["serial", "parallel"] },
        "batch": { "type": "integer", "minimum": 0 },
        "max_failures": { "type": "integer", "minimum": 0 },
        "facts": named(json!({ "$ref": "#/$defs/call" })),
        "check": expression,
        "expect": one_or_more(&expression),
        "register": { "type": "string", "pattern": "^[a-z][a-z0-9_]*$" },
        "retry": object(&["times"], json!({
            "times": { "type": "integer", "minimum": 1 },
            "delay": { "type": "string" },
            "until": expression,
        })),
        "timeout": text("How long one try may take, such as `30s`."),
        "gate": object(&["ask"], json!({
            "ask": text("The question."),
            "show": { "type": "array", "items": { "enum": ["diff", "facts", "trust"] } },
        })),
        "backup": one_or_more(&json!({ "type": "string" })),
        "undo": { "$ref": "#/$defs/call" },
        "irreversible": text("Why it cannot be taken back."),
        "atomic": { "type": "boolean" },
        "owes": object(&["what"], json!({ "what": { "type": "string" }, "on": { "type": "string" } })),
        "settles": text("The obligation that it pays."),
        "breaks": one_or_more(&json!({ "type": "string" })),
        "phase": { "type": "string" },
        "tags": { "type": "array", "items": { "type": "string" } },
        "secret": { "type": "boolean" },
        "with": { "type": "object", "description": "What a library is given." },
    });
    let mut works: Vec<&str> = vec!["steps", "script", "use"];
    works.extend(registry.names());
    if let Some(keys) = keys.as_object_mut() {
        keys.insert("steps".to_owned(), steps());
        keys.insert("script".to_owned(), text("Rhai that calls actions: act(\"family.verb\", #{ … })."));
        keys.insert("use".to_owned(), text("A library: lib/NAME.yaml beside runbook.yaml."));
        for name in registry.names() {
            keys.insert(name.to_owned(), json!({ "$ref": format!("#/$defs/{name}") }));
        }
    }
    let exactly_one: Vec<Value> = works.iter().map(|work| json!({ "required": [work] })).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": keys, "oneOf": exactly_one })
}

/// One action with its arguments, as facts and `undo` have it.
fn call(registry: &Registry) -> Value {
    let keys: Map<String, Value> = registry
        .names()
        .map(|name| (name.to_owned(), json!({ "$ref": format!("#/$defs/{name}") })))
        .collect();
    json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false,
        "properties": keys,
    })
}

fn arguments(spec: &ActionSpec) -> Value {
    let keys: Map<String, Value> = spec.args.iter().map(|arg| (arg.name.to_owned(), argument(arg))).collect();
    let required: Vec<&str> = spec.args.iter().filter(|arg| arg.required).map(|arg| arg.name).collect();
    let mut schema = object(&required, Value::Object(keys));
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), spec.summary.into());
        if required.is_empty() {
            schema.insert("type".to_owned(), json!(["object", "null"]));
        }
    }
    schema
}

/// A value of an argument, or text with a template that becomes one.
fn argument(arg: &ArgSpec) -> Value {
    let or_template = |schema: Value| json!({ "anyOf": [schema, { "type": "string", "pattern": TEMPLATE }] });
    let mut schema = match arg.kind {
        ArgKind::Text | ArgKind::Duration | ArgKind::Secret => json!({ "type": "string" }),
        ArgKind::Path => json!({ "type": "string", "pattern": format!("^/|{TEMPLATE}") }),
        ArgKind::Mode => json!({ "type": "string", "pattern": format!("^[0-7]{{1,4}}$|{TEMPLATE}") }),
        ArgKind::Int => or_template(json!({ "type": "integer" })),
        ArgKind::Bool => or_template(json!({ "type": "boolean" })),
        ArgKind::Texts => one_or_more(&json!({ "type": "string" })),
        ArgKind::List => or_template(json!({ "type": "array" })),
        ArgKind::Map => or_template(json!({ "type": "object" })),
        ArgKind::Enum(words) => or_template(json!({ "enum": words })),
        ArgKind::Any => json!({}),
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), arg.doc.into());
        if !arg.default.is_empty() {
            schema.insert("$comment".to_owned(), format!("default: {}", arg.default).into());
        }
    }
    schema
}

fn inventory() -> Value {
    let host = object(
        &[],
        json!({
            "address": text("Name or address; the host's own name when absent."),
            "user": text("The login."),
            "port": { "type": "integer", "minimum": 1, "maximum": 65535 },
            "key": one_or_more(&json!({ "type": "string" })),
            "known_hosts": one_or_more(&json!({ "type": "string" })),
            "via": text("Another host to jump through."),
            "password": text("The secret input that is the login's password."),
            "passphrase": text("The secret input that is the key's passphrase."),
            "sudo": { "type": "boolean" },
            "local": { "type": "boolean", "description": "This machine." },
            "connect_timeout": text("Such as `20s`."),
        }),
    );
    let keys = json!({
        "keybook": version(),
        "cluster": text("The cluster's name: one run at a time holds it."),
        "hosts": { "type": "object", "additionalProperties": host },
        "groups": { "type": "object", "additionalProperties": { "type": "array", "items": { "type": "string" } } },
    });
    document("inventory", "A Keybook inventory", object(&["keybook", "cluster", "hosts"], keys))
}

fn language(description: &str) -> Value {
    json!({ "type": "string", "pattern": "^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", "description": description })
}

fn translation() -> Value {
    let step = object(
        &[],
        json!({
            "title": text("What the step does."),
            "why": text("Why it is done."),
            "ask": text("The question of its gate."),
            "irreversible": text("Why it cannot be taken back."),
        }),
    );
    let path = "^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*$";
    let steps =
        json!({ "type": "object", "propertyNames": { "pattern": path }, "additionalProperties": step });
    let keys = json!({
        "keybook": version(),
        "lang": language("The language, as in the file's name."),
        "title": text("What the runbook does, one line."),
        "inputs": named(text("What the input is for.")),
        "hosts": named(text("Which hosts they are.")),
        "steps": steps,
        "libraries": named(steps.clone()),
    });
    document(
        "translation",
        "A Keybook runbook's texts in another language",
        object(&["keybook", "lang"], keys),
    )
}

fn answers() -> Value {
    let answer = json!({ "anyOf": [
        { "enum": ["run", "stop", "roll-back"] },
        object(&["skip"], json!({ "skip": text("Why it is skipped.") })),
    ] });
    let keys = json!({
        "keybook": version(),
        "answers": {
            "type": "object",
            "propertyNames": { "pattern": "^rollback$|@" },
            "additionalProperties": answer,
        },
    });
    document("answers", "Answers for an unattended Keybook run", object(&["keybook", "answers"], keys))
}
