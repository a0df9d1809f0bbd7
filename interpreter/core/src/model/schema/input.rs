//! The schema of one input.

use super::{object, text};
use crate::model::input::TYPES;
use serde_json::{Value, json};

/// The keys of an input.
pub(super) fn input() -> Value {
    let bound = |which: &str| json!({ "type": ["integer", "string"], "description": format!("The {which} value of an int or a duration.") });
    object(
        &["type"],
        json!({
            "type": { "enum": TYPES, "description": "What its values are." },
            "values": { "type": "array", "items": { "type": "string" }, "description": "The words of an enum." },
            "default": { "description": "What holds when it is not given. A secret has none." },
            "optional": {
                "type": "boolean",
                "default": false,
                "description": "May be absent; it is null then. An input without it and without a default must be given.",
            },
            "help": text("What it is for: shown at the prompt, and when a value does not fit."),
            "min": bound("smallest"),
            "max": bound("largest"),
            "pattern": text("A regular expression that the whole of a string must match."),
        }),
    )
}
