//! JSON Schemas (draft 2020-12) of the language's files, made from the registered actions: for editors that complete and
//! underline while one writes. What a schema cannot say (names that must exist, expressions) `keybook validate` says.

use keybook_api::Registry;
use serde_json::{Map, Value, json};

mod action;
mod input;
mod inventory;
mod step;
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
        File::Inventory => inventory::inventory(),
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

fn words(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": description })
}

fn named(description: &str, of: Value) -> Value {
    described(
        json!({ "type": "object", "propertyNames": { "pattern": "^[a-z][a-z0-9_-]*$" }, "additionalProperties": of }),
        description,
    )
}

fn one_or_more(description: &str, of: &Value) -> Value {
    json!({ "anyOf": [of, { "type": "array", "items": of }], "description": description })
}

fn one_or_more_texts(description: &str) -> Value {
    one_or_more(description, &json!({ "type": "string" }))
}

fn described(mut schema: Value, description: &str) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), description.into());
    }
    schema
}

fn runbook(registry: &Registry) -> Value {
    let keys = json!({
        "keybook": version(),
        "name": text("Its name: lower-case letters, digits, `-` and `_`; usually that of its folder."),
        "version": text("The runbook's own version, such as `1.0.0`. A run goes on with the version it began with."),
        "title": text("What it does, one line."),
        "lang": language("The language of its texts.", Some("en")),
        "requires": described(requires(registry), "What the program must have. Another one refuses the runbook before anything is done."),
        "inputs": named("What the operator gives, by name. Names of inputs are lower-case letters, digits, `_` and `-`.", json!({ "$ref": "#/$defs/input" })),
        "hosts": named("The groups of hosts that it needs, by name. The inventory, or the scenario, says which they are.", json!({ "$ref": "#/$defs/group" })),
        "phases": words("Parts of the run, in order: with `--until PHASE` a run stops before the first step of a later one."),
        "trust": described(trust::keys(), "The servers, clients and bundles whose trust is judged before the run and after its steps."),
        "steps": steps("What is done, in this order."),
        "finally": steps("Carried out at the end of the run, however it ended, and at the end of a rollback."),
    });
    let required = ["keybook", "name", "version", "title", "steps"];
    with_defs(document("runbook", "A Keybook runbook", object(&required, keys)), registry)
}

fn library(registry: &Registry) -> Value {
    let keys = json!({
        "keybook": version(),
        "library": text("Its name: that of its file."),
        "title": text("What its steps do."),
        "inputs": named("What the step with `use` gives under `with`. Its steps see these inputs and the results that they register, none of the runbook's; `host`, `hosts`, `groups`, `run`, `item` and the functions of hooks.rhai as everywhere.", json!({ "$ref": "#/$defs/input" })),
        "steps": steps("What stands in the place of the step with `use`."),
    });
    let body = object(&["keybook", "library", "steps"], keys);
    with_defs(document("library", "A Keybook step library", body), registry)
}

fn with_defs(mut document: Value, registry: &Registry) -> Value {
    let mut defs = Map::new();
    defs.insert("input".to_owned(), input::input());
    defs.insert("group".to_owned(), inventory::group());
    defs.insert("expression".to_owned(), step::expression());
    defs.insert("step".to_owned(), step::step(registry));
    defs.insert("call".to_owned(), action::call(registry));
    for action in registry.iter() {
        defs.insert(action.spec().name.to_owned(), action::arguments(action.spec()));
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

fn requires(registry: &Registry) -> Value {
    object(
        &[],
        json!({
            "keybook": text("The oldest program that can run it, such as `>=0.1`."),
            "actions": {
                "type": "array",
                "items": { "enum": families(registry) },
                "description": "The families of actions that it uses.",
            },
        }),
    )
}

fn steps(description: &str) -> Value {
    json!({ "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/step" }, "description": description })
}

fn language(description: &str, default: Option<&str>) -> Value {
    let mut schema = json!({
        "type": "string",
        "pattern": "^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
        "description": description,
    });
    if let (Some(schema), Some(default)) = (schema.as_object_mut(), default) {
        schema.insert("default".to_owned(), default.into());
    }
    schema
}

fn translation() -> Value {
    let step = object(
        &[],
        json!({
            "title": text("What the step does."),
            "why": text("Why it is done."),
            "ask": text("The question of its gate; a template, as the original is."),
            "irreversible": text("Why it cannot be taken back."),
        }),
    );
    let path = "^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*$";
    let steps = |description: &str| {
        json!({
            "type": "object",
            "propertyNames": { "pattern": path },
            "additionalProperties": step,
            "description": description,
        })
    };
    let of_libraries = "The steps of libraries, by the library's name and their paths in it.";
    let keys = json!({
        "keybook": version(),
        "lang": language("The language, as in the file's name.", None),
        "title": text("What the runbook does, one line."),
        "inputs": named("Help for inputs, by their names.", text("What the input is for.")),
        "hosts": named("Help for groups, by their names.", text("Which hosts they are.")),
        "steps": steps("Texts of steps, by their paths, such as `reload/each`; those of `finally` are `finally/ID`."),
        "libraries": named(of_libraries, steps("Texts of the library's steps, by their paths.")),
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
        object(&["skip"], json!({ "skip": text("Why it is skipped: it stays skipped for the rest of the run.") })),
    ] });
    let keys = json!({
        "keybook": version(),
        "answers": {
            "type": "object",
            "propertyNames": { "pattern": "^rollback$|@" },
            "additionalProperties": answer,
            "description": "By unit: `STEP@HOST`, `STEP@HOST#ITEM`, or `STEP@*` for every host (never for an irreversible step); \
    `rollback: run` says yes to a rollback.",
        },
    });
    document("answers", "Answers for an unattended Keybook run", object(&["keybook", "answers"], keys))
}
