//! The schema of a step.

use super::{described, named, object, one_or_more, one_or_more_texts, steps, text, words};
use keybook_api::Registry;
use serde_json::{Value, json};

/// Rhai, where a value is computed.
pub(super) fn expression() -> Value {
    json!({ "type": ["string", "boolean", "integer"], "description": "An expression in Rhai." })
}

/// The keys of a step. It does exactly one thing: an action, `steps`, `script` or `use`.
pub(super) fn step(registry: &Registry) -> Value {
    let mut keys = what_it_does();
    for part in [where_and_when(), around_the_effect(), way_back(), for_the_run()] {
        if let (Some(keys), Value::Object(part)) = (keys.as_object_mut(), part) {
            keys.extend(part);
        }
    }
    let mut works: Vec<&str> = vec!["steps", "script", "use"];
    works.extend(registry.names());
    if let Some(keys) = keys.as_object_mut() {
        for name in registry.names() {
            keys.insert(name.to_owned(), json!({ "$ref": format!("#/$defs/{name}") }));
        }
    }
    let exactly_one: Vec<Value> = works.iter().map(|work| json!({ "required": [work] })).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": keys, "oneOf": exactly_one })
}

fn rhai(description: &str) -> Value {
    json!({ "$ref": "#/$defs/expression", "description": description })
}

fn count(least: u32, description: &str) -> Value {
    json!({ "type": "integer", "minimum": least, "description": description })
}

fn yes(description: &str) -> Value {
    json!({ "type": "boolean", "default": false, "description": description })
}

fn what_it_does() -> Value {
    let id = "Unique among its neighbours; a step with an action may leave it out, and is named by its action then.";
    json!({
        "id": { "type": "string", "pattern": "^[a-z][a-z0-9_-]*$", "description": id },
        "title": text("What it does, one line, as the operator reads it."),
        "why": text("Why it is done."),
        "steps": steps("Steps of its own. They run on its hosts: with `order: serial` one host goes through all of them before the next begins."),
        "script": text("Rhai that calls actions: act(\"family.verb\", #{ … })."),
        "use": text("A library: lib/NAME.yaml beside runbook.yaml."),
        "with": { "type": "object", "description": "The inputs of the library that `use` names." },
    })
}

fn where_and_when() -> Value {
    let hosts = "Groups, or parts of them: `web`, `web[0]`, `web[1:]`, `[web, manager]`. Without it: the hosts of the step around it, else this machine.";
    let batch = "With `parallel`: so many hosts at once; 0 is all of them.";
    let failures = "With `parallel`: no further host begins when more than so many failed.";
    let mut batch = count(0, batch);
    batch["default"] = 0.into();
    let mut failures = count(0, failures);
    failures["default"] = 0.into();
    json!({
        "hosts": one_or_more_texts(hosts),
        "when": rhai("Left out when it is false."),
        "for_each": rhai("A list: done once for each `item`. It is settled when the step begins; an empty one is an error. An item that is a map is named by its field `id`, else `name`, any other by itself (JSON); no two may have one name."),
        "order": { "enum": ["serial", "parallel"], "default": "serial", "description": "One host after the other, or several at once." },
        "batch": batch,
        "max_failures": failures,
    })
}

fn around_the_effect() -> Value {
    let retry = object(
        &["times"],
        json!({
            "times": count(1, "Tries in all."),
            "delay": { "type": "string", "default": "1s", "description": "The pause between two tries." },
            "until": described(demand(), "Tries again until this is true of `result`."),
        }),
    );
    let show = json!({
        "type": "array",
        "items": { "enum": ["diff", "facts", "trust"] },
        "description": "What is shown with it: what would change, the facts, the trust matrix.",
    });
    let gate = object(&["ask"], json!({ "ask": text("The question; a template."), "show": show }));
    json!({
        "facts": named("Actions that only read; their results are `facts.NAME`, and shown on request.", json!({ "$ref": "#/$defs/call" })),
        "check": rhai("Is it already done? It is left out then, and what it settles counts as settled."),
        "gate": described(gate, "A person must say yes before the effect, on each host."),
        "expect": one_or_more("Did it work? The unit fails when one is not true; it sees `result`.", &demand()),
        "register": { "type": "string", "pattern": "^[a-z][a-z0-9_]*$", "description": "The name of its result for later steps: the value of the same host, or the only one; `by_host.NAME[\"host\"]` of any. With `for_each` a map by the item's name; but for an item of the same name, in a later loop, that item's own result." },
        "retry": described(retry, "Trying again. Not with a `script`."),
        "timeout": text("How long one try may take, such as `30s`; of a script, the whole. No limit when absent."),
        "secret": yes("Neither arguments nor output nor result are shown or journaled."),
    })
}

/// An expression that must be true of the result, bare or with its own words.
fn demand() -> Value {
    let worded = object(
        &["that", "else"],
        json!({
            "that": rhai("What must be true."),
            "else": text("What is said when it is false; a template. Without it the expression is told, with the values that it looks at."),
        }),
    );
    json!({ "anyOf": [{ "$ref": "#/$defs/expression" }, worded] })
}

fn way_back() -> Value {
    let owes = object(
        &["what"],
        json!({
            "what": text("The obligation's name, such as `reload`."),
            "on": text("Only hosts of this group owe it; every host of the step when absent."),
        }),
    );
    json!({
        "backup": one_or_more_texts("Paths whose originals are kept on the host before the effect, and restored by a rollback. Files that an action names as touched are kept without it."),
        "undo": { "$ref": "#/$defs/call", "description": "The action that takes it back, where neither its action's own undo nor restoring files is the way. It sees `facts` and `result`." },
        "irreversible": text("Why it cannot be taken back. Such a step needs a gate of its own."),
        "atomic": yes("A stop waits until the host is through with the step."),
        "owes": described(owes, "What a host owes after it, such as a reload. A run cannot end well while something is owed; a rollback that restores its files owes it again."),
        "settles": text("The obligation that it pays."),
        "breaks": one_or_more_texts("Servers and clients of `trust` whose edges may be broken after it."),
    })
}

fn for_the_run() -> Value {
    json!({
        "phase": text("One of the runbook's `phases`. Also of a step inside another one."),
        "tags": words("Words for people and tools that read the runbook. They change nothing."),
    })
}
