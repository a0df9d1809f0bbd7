//! The reference pages about what authors write: the keys of every file, from the JSON Schemas that the program prints, and the
//! functions of a scenario's answers. With `UPDATE_BOOK=1` they are written, otherwise compared.
#![allow(clippy::unwrap_used, clippy::panic)]

use keybook_tests::{book, sandbox::Bench};
use serde_json::Value as Json;
use std::{collections::VecDeque, fmt::Write};

const FILES: [(&str, &str); 6] = [
    ("runbook", "runbook.yaml"),
    ("library", "lib/NAME.yaml"),
    ("translation", "i18n/LANG.yaml"),
    ("inventory", "Inventory"),
    ("scenario", "scenarios/NAME.yaml"),
    ("answers", "Answers"),
];

/// Tables of keys, one after the other, each object once.
struct Tables<'s> {
    of: &'s str,
    schema: &'s Json,
    actions: &'s [&'s str],
    waiting: VecDeque<(String, &'s Json)>,
    known: Vec<(String, Json)>,
    text: String,
}

impl<'s> Tables<'s> {
    /// What a value may be. An object with keys of its own gets a table under this name.
    fn kind(&mut self, name: &str, value: &'s Json) -> String {
        if let Some(to) = value["$ref"].as_str() {
            let to = to.rsplit('/').next().unwrap();
            return match to {
                "expression" => "expression".to_owned(),
                "call" => "an [action](actions.md) with its arguments".to_owned(),
                other => self.link(other, &self.schema["$defs"][other]),
            };
        }
        if let Some(constant) = value.get("const") {
            return format!("`{constant}`");
        }
        if let Some(words) = value["enum"].as_array() {
            return words
                .iter()
                .map(|word| format!("`{}`", word.as_str().unwrap()))
                .collect::<Vec<_>>()
                .join(", ");
        }
        if let Some(forms) = value["anyOf"].as_array() {
            let [one, many] = forms.as_slice() else {
                return forms.iter().map(|form| self.kind(name, form)).collect::<Vec<_>>().join(", or ");
            };
            let first = self.kind(name, one);
            return match &many["items"] == one {
                true => format!("{first}, or a list of such"),
                false => format!("{first}, or {}", self.kind(name, many)),
            };
        }
        if value.get("properties").is_some() || value.get("oneOf").is_some() {
            return self.link(name, value);
        }
        match &value["type"] {
            Json::Array(types) => types.iter().map(|of| plain(of, value)).collect::<Vec<_>>().join(" or "),
            Json::String(of) if of == "array" => format!("list of {}", self.kind(name, &value["items"])),
            Json::String(of) if of == "object" => match value.get("additionalProperties") {
                Some(each) if each.is_object() => {
                    format!("map of {}", self.kind(&format!("{name}.NAME"), each))
                }
                _ => "map".to_owned(),
            },
            Json::Null => "any value".to_owned(),
            of => plain(of, value),
        }
    }

    fn link(&mut self, name: &str, value: &'s Json) -> String {
        let same = |(_, keys): &&(String, Json)| {
            keys["properties"] == value["properties"] && keys["oneOf"] == value["oneOf"]
        };
        let name = match self.known.iter().find(same) {
            Some((name, _)) => name.clone(),
            None => {
                let taken = self.known.iter().any(|(known, _)| known == name);
                let name = if taken { format!("{} {name}", self.of) } else { name.to_owned() };
                self.known.push((name.clone(), value.clone()));
                self.waiting.push_back((name.clone(), value));
                name
            }
        };
        let anchor: String = name.to_lowercase().replace(' ', "-");
        let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, '_' | '-');
        format!("[{name}](#{})", anchor.chars().filter(kept).collect::<String>())
    }

    fn table(&mut self, name: &str, object: &'s Json) {
        self.text.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        let forms: Vec<&Json> = match object["oneOf"].as_array() {
            Some(forms) if object.get("properties").is_none() => forms.iter().collect(),
            _ => vec![object],
        };
        for form in &forms {
            for (key, value) in form["properties"].as_object().unwrap() {
                if !self.actions.contains(&key.as_str()) {
                    let needed = forms.len() == 1
                        && form["required"].as_array().into_iter().flatten().any(|of| of == key);
                    self.row(name, key, value, needed);
                }
            }
        }
        if name == "step" {
            self.text.push_str("| `family.verb` | map of its arguments | | An [action](actions.md). |\n");
        }
        match forms.len() {
            1 if name == "step" => {
                self.text.push_str("\nA step has exactly one of an action, `steps`, `script` and `use`.\n");
            }
            1 => {}
            _ => self.text.push_str("\nExactly one of these keys.\n"),
        }
    }

    fn row(&mut self, of: &str, key: &str, value: &'s Json, needed: bool) {
        let name = if self.schema["properties"].get(key) == Some(value) {
            key.to_owned()
        } else {
            format!("{of}.{key}")
        };
        let kind = self.kind(&name, value);
        let default = match (needed, value.get("default")) {
            (true, _) => "required".to_owned(),
            (false, Some(Json::String(text))) => format!("`{text}`"),
            (false, Some(other)) => format!("`{other}`"),
            (false, None) => String::new(),
        };
        let meaning = value["description"].as_str().unwrap_or_default();
        assert!(!meaning.is_empty(), "`{key}` of {of} has no description");
        let [kind, meaning] = [kind.as_str(), meaning].map(|text| text.replace('|', "\\|"));
        writeln!(self.text, "| `{key}` | {kind} | {default} | {meaning} |").unwrap();
    }
}

fn plain(of: &Json, value: &Json) -> String {
    match (of.as_str().unwrap(), value["pattern"].as_str()) {
        ("string", Some("^/")) => "absolute path",
        ("string", _) => "text",
        ("integer", _) => "whole number",
        ("boolean", _) => "`true` or `false`",
        ("null", _) => "null",
        (other, _) => panic!("what is {other}?"),
    }
    .to_owned()
}

#[test]
fn language() {
    let bench = Bench::new();
    let registry = keybook_stdlib::registry();
    let actions: Vec<&str> = registry.names().collect();
    let mut text = String::from(
        "# Files and their keys\n\nMade from the JSON Schemas that `keybook schema` prints. Keys are strict: one that is not here is an \
         error. An *expression* is [Rhai](https://rhai.rs/book/); text may hold `${…}` with an expression wherever a template makes \
         sense: in arguments, questions and places.\n",
    );
    let mut known = Vec::new();
    for (of, file) in FILES {
        let schema: Json = serde_json::from_str(&bench.keybook.call(["schema", of]).with(0).stdout).unwrap();
        let mut tables = Tables {
            of,
            schema: &schema,
            actions: &actions,
            waiting: VecDeque::new(),
            known,
            text: String::new(),
        };
        write!(tables.text, "\n## {file}\n\n").unwrap();
        tables.table("", &schema);
        while let Some((name, object)) = tables.waiting.pop_front() {
            write!(tables.text, "\n### {name}\n\n").unwrap();
            tables.table(&name, object);
        }
        text.push_str(&tables.text);
        known = tables.known;
    }
    book::check("language.md", &text);
}

#[test]
fn scenario_functions() {
    let mut text = String::from(
        "# Functions in a scenario's answers\n\nCallable in the `answer` of a scenario's `commands`, besides [those of \
         expressions](functions.md). Where a host may be named, the host on which the command runs is meant without it.\n",
    );
    for function in keybook_targets::sandbox::natives::all() {
        let (name, params) = (function.name, function.params.join(", "));
        write!(text, "\n## {name}({params})\n\n").unwrap();
        if function.on_host {
            let params: Vec<&str> = std::iter::once("host").chain(function.params.iter().copied()).collect();
            write!(text, "Also `{name}({})`. ", params.join(", ")).unwrap();
        }
        writeln!(text, "{}", function.doc).unwrap();
    }
    book::check("scenario-functions.md", &text);
}
