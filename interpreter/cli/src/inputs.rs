//! Inputs: from -e, files, the environment (secrets), the scenario, defaults, and the prompt.

use indexmap::IndexMap;
use keybook_api::{Fault, Map, Redactor, Secret, Value};
use keybook_core::model::{InputKind, Runbook};
use keybook_source::{NodeValue, Problems};
use std::path::Path;

use crate::error::CliError;

/// Where values come from, the strongest first.
pub struct Given<'g> {
    /// `-e` arguments.
    pub args: &'g [String],
    /// Values of an earlier part of the run, or of the scenario.
    pub known: &'g Map,
    /// May a person be asked?
    pub ask: bool,
}

/// Every input of the runbook with its value.
pub fn collect(runbook: &Runbook, given: &Given<'_>) -> Result<Map, CliError> {
    let mut texts: IndexMap<String, Value> = IndexMap::new();
    for arg in given.args {
        read_arg(runbook, arg, &mut texts)?;
    }
    for name in texts.keys() {
        if !runbook.inputs.contains_key(name) {
            return Err(unknown(runbook, name).into());
        }
    }
    let mut inputs = Map::new();
    for (name, input) in &runbook.inputs {
        let value = texts
            .shift_remove(name)
            .or_else(|| given.known.get(name).cloned())
            .or_else(|| from_environment(name, &input.kind))
            .or_else(|| input.default.clone());
        let value = match value {
            Some(value) => value,
            None if given.ask && !input.optional => ask(name, input)?,
            None if input.optional => Value::Null,
            None => {
                return Err(Fault::usage(format!("read the input `{name}`"), "it is not given")
                    .at(&input.span)
                    .now("nothing was changed")
                    .hint(how_to_give(name, &input.kind, &input.help))
                    .into());
            }
        };
        let value = match value {
            Value::Null => Value::Null,
            value => input.check(value).map_err(|why| {
                Fault::usage(format!("read the input `{name}`"), why)
                    .at(&input.span)
                    .now("nothing was changed")
            })?,
        };
        inputs.insert(name.clone(), value);
    }
    keep_apart(runbook, &inputs)?;
    Ok(inputs)
}

/// No input that the journal keeps holds a secret: it would be hidden there, and a resume would go on with another value.
fn keep_apart(runbook: &Runbook, inputs: &Map) -> Result<(), Fault> {
    let plain = || inputs.iter().filter(|(_, value)| !value.has_secret());
    let shows = |redactor: &Redactor, value: &Value| redactor.json(&value.to_json()) != value.to_json();
    let refused = |name: &str, why: String| {
        let fault = Fault::usage(format!("read the input `{name}`"), why).now("nothing was changed");
        match runbook.inputs.get(name) {
            Some(input) => fault.at(&input.span),
            None => fault,
        }
    };
    for (name, value) in plain() {
        if shows(&Redactor::default(), value) {
            let why = "it holds a private key, and the journal keeps this input in the open".to_owned();
            return Err(refused(name, why).hint(format!(
                "have the runbook's author make `{name}` secret, or give the place of a file"
            )));
        }
    }
    for (secret, value) in inputs {
        let Value::Secret(value) = value else { continue };
        let redactor = Redactor::default();
        redactor.add(value);
        if let Some((name, _)) = plain().find(|(_, value)| shows(&redactor, value)) {
            let why = format!(
                "the secret input `{secret}` is part of its value, and the journal keeps this one in the open"
            );
            return Err(refused(name, why).hint(format!(
                "give `{secret}` a value that is no ordinary word, or have the runbook's author make `{name}` secret"
            )));
        }
    }
    Ok(())
}

fn how_to_give(name: &str, kind: &InputKind, help: &str) -> String {
    match kind {
        InputKind::Secret => format!("{help}: set {} or give a file with -e {name}=@FILE", variable(name)),
        _ => format!("{help}: -e {name}=…"),
    }
}

fn unknown(runbook: &Runbook, name: &str) -> Fault {
    let fault = Fault::usage(format!("read the input `{name}`"), "the runbook has no such input")
        .now("nothing was changed");
    match keybook_source::suggest(name, runbook.inputs.keys().map(String::as_str)) {
        Some(advice) => fault.hint(advice),
        None => fault,
    }
}

/// `key=value`, `key=@file` (the file's content) or `@file` (a YAML map of inputs, with `keybook: 1` or without).
fn read_arg(runbook: &Runbook, arg: &str, values: &mut IndexMap<String, Value>) -> Result<(), CliError> {
    if let Some(file) = arg.strip_prefix('@') {
        return read_file(runbook, Path::new(file), values);
    }
    let Some((name, text)) = arg.split_once('=') else {
        return Err(Fault::usage(format!("read `-e {arg}`"), "it is neither KEY=VALUE nor @FILE").into());
    };
    let input = runbook.inputs.get(name).ok_or_else(|| unknown(runbook, name))?;
    let secret = matches!(input.kind, InputKind::Secret);
    let wrong =
        |why: String| Fault::usage(format!("read the input `{name}`"), why).now("nothing was changed");
    let value = match text.strip_prefix('@') {
        Some(file) => {
            let content = std::fs::read(file).map_err(|error| wrong(format!("{file}: {error}")))?;
            if secret {
                secret_line(content)
            } else {
                let content =
                    String::from_utf8(content).map_err(|_| wrong(format!("{file} is not UTF-8")))?;
                input.from_text(content.trim_end_matches(['\n', '\r'])).map_err(wrong)?
            }
        }
        None if secret => {
            return Err(wrong(
                "a secret is not given on the command line, where others can see it".to_owned(),
            )
            .hint(how_to_give(name, &input.kind, &input.help))
            .into());
        }
        None => input.from_text(text).map_err(wrong)?,
    };
    values.insert(name.to_owned(), value);
    Ok(())
}

fn read_file(runbook: &Runbook, file: &Path, values: &mut IndexMap<String, Value>) -> Result<(), CliError> {
    let (root, sources) = crate::assemble::read_yaml(file)?;
    let mut problems = Problems::default();
    let entries =
        keybook_source::MapReader::new(&root, "a file of inputs", &mut problems).map(|mut map| map.rest());
    for (key, node) in entries.unwrap_or_default() {
        if key.name == "keybook" && !runbook.inputs.contains_key("keybook") {
            keybook_source::read::language(node, &mut problems);
            continue;
        }
        let secret = runbook.inputs.get(&key.name).is_some_and(|input| input.kind == InputKind::Secret);
        let value = match (&node.value, secret) {
            (NodeValue::Text(text), true) => Value::Secret(Secret::new(text.as_str())),
            _ => node.to_value(),
        };
        values.insert(key.name.clone(), value);
    }
    if problems.errors() {
        return Err(CliError::Invalid { problems: problems.into_vec(), sources });
    }
    Ok(())
}

/// A secret from a file: all of it but the line end that editors add.
fn secret_line(mut content: Vec<u8>) -> Value {
    while content.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        content.pop();
    }
    Value::Secret(Secret::new(content))
}

/// Secrets that an inventory names, where there is no runbook that declares them: from `name=@FILE`, the
/// environment, or the prompt.
pub fn secrets<'n>(
    names: impl Iterator<Item = &'n String>,
    args: &[String],
    ask: bool,
) -> Result<Map, CliError> {
    let mut found = Map::new();
    for arg in args {
        let Some((name, file)) = arg.split_once("=@") else {
            return Err(Fault::usage(format!("read `-e {arg}`"), "it is no NAME=@FILE").into());
        };
        let content = std::fs::read(file)
            .map_err(|error| Fault::usage(format!("read the secret `{name}` from {file}"), error))?;
        found.insert(name.to_owned(), secret_line(content));
    }
    for name in names {
        if found.contains_key(name) {
            continue;
        }
        let value = match from_environment(name, &InputKind::Secret) {
            Some(value) => value,
            None if ask => ask_secret(name, name)?,
            None => {
                return Err(Fault::usage(format!("read the secret `{name}`"), "it is not given")
                    .now("nothing was changed")
                    .hint(how_to_give(name, &InputKind::Secret, "the inventory names it"))
                    .into());
            }
        };
        found.insert(name.clone(), value);
    }
    Ok(found)
}

fn ask_secret(name: &str, prompt: &str) -> Result<Value, CliError> {
    let text = dialoguer::Password::new().with_prompt(prompt).interact().map_err(|error| {
        Fault::usage(format!("ask for the secret `{name}`"), error).hint(how_to_give(
            name,
            &InputKind::Secret,
            name,
        ))
    })?;
    Ok(Value::Secret(Secret::new(text)))
}

/// The variable of a secret input: `KEYBOOK_INPUT_<NAME>`.
pub fn variable(name: &str) -> String {
    format!("KEYBOOK_INPUT_{}", name.to_uppercase().replace('-', "_"))
}

fn from_environment(name: &str, kind: &InputKind) -> Option<Value> {
    if *kind != InputKind::Secret {
        return None;
    }
    let value = std::env::var_os(variable(name))?;
    Some(Value::Secret(Secret::new(value.into_encoded_bytes())))
}

fn ask(name: &str, input: &keybook_core::model::Input) -> Result<Value, CliError> {
    let prompt = if input.help.is_empty() { name.to_owned() } else { format!("{name} ({})", input.help) };
    let none = |error: dialoguer::Error| {
        Fault::usage(format!("ask for the input `{name}`"), error).hint(how_to_give(
            name,
            &input.kind,
            &input.help,
        ))
    };
    if input.kind == InputKind::Secret {
        return ask_secret(name, &prompt);
    }
    let text: String = dialoguer::Input::new().with_prompt(prompt).interact_text().map_err(none)?;
    input.from_text(&text).map_err(|why| Fault::usage(format!("read the input `{name}`"), why).into())
}
