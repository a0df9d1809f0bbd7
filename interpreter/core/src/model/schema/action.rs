//! The schemas of actions: their arguments, and one action with them.

use super::{TEMPLATE, object, one_or_more_texts};
use keybook_api::{ActionSpec, ArgKind, ArgSpec, Registry};
use serde_json::{Map, Value, json};

/// One action with its arguments, as facts and `undo` have it.
pub(super) fn call(registry: &Registry) -> Value {
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
        "description": "One action with its arguments.",
    })
}

/// The arguments of an action.
pub(super) fn arguments(spec: &ActionSpec) -> Value {
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
        ArgKind::Text | ArgKind::Duration | ArgKind::Secret | ArgKind::TextOrSecret => {
            json!({ "type": "string" })
        }
        ArgKind::Path => json!({ "type": "string", "pattern": format!("^/|{TEMPLATE}") }),
        ArgKind::Mode => json!({ "type": "string", "pattern": format!("^[0-7]{{1,4}}$|{TEMPLATE}") }),
        ArgKind::Int => or_template(json!({ "type": "integer" })),
        ArgKind::Bool => or_template(json!({ "type": "boolean" })),
        ArgKind::Texts => one_or_more_texts(""),
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
