//! Changes one value of a YAML or JSON text and keeps every other byte: comments, quoting, order, line endings.
//!
//! The place is found in the parsed tree and the text spliced there. Then the result is parsed again, by both YAML
//! readers, and compared with what was meant; an edit that would come out differently is refused.

mod block;
mod emit;
mod flow;
mod locate;
mod model;
mod path;

pub use path::{Step, format_path, parse_path};

use crate::{
    Problems, json, parse,
    text::Text,
    tree::{self, Raw},
};
use keybook_api::{Diagnostic, Value};
use locate::{Embed, Op};
use std::fmt;

/// Why an edit was not made. The text is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditError {
    /// One line, without full stop.
    pub message: String,
}

impl EditError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EditError {}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Yaml,
    Json,
}

/// Sets the value at a path of a YAML document and returns the new text. What is missing on the way is created; a
/// new key or item comes last, in the style of its siblings. A value that is there already changes no byte.
///
/// # Errors
/// A text that cannot be read, a path that does not fit it or fits several items, a value that holds a secret, an
/// alias on the way, or a place that cannot be edited without changing something else.
pub fn set_yaml(text: &str, path: &[Step], value: &Value) -> Result<String, EditError> {
    set(Format::Yaml, text, path, value)
}

/// Removes the value at a path of a YAML document, with its key or `-` and its lines. What is not there is no error.
///
/// # Errors
/// As for [`set_yaml`].
pub fn remove_yaml(text: &str, path: &[Step]) -> Result<String, EditError> {
    remove(Format::Yaml, text, path)
}

/// The value at a path of a YAML document; `None` when there is nothing. For [`Step::Prefix`] it is the whole text.
///
/// # Errors
/// As for [`set_yaml`].
pub fn get_yaml(text: &str, path: &[Step]) -> Result<Option<Value>, EditError> {
    get(Format::Yaml, text, path)
}

/// Sets the value at a path of a JSON document, as [`set_yaml`] does.
///
/// # Errors
/// As for [`set_yaml`].
pub fn set_json(text: &str, path: &[Step], value: &Value) -> Result<String, EditError> {
    set(Format::Json, text, path, value)
}

/// Removes the value at a path of a JSON document, as [`remove_yaml`] does.
///
/// # Errors
/// As for [`set_yaml`].
pub fn remove_json(text: &str, path: &[Step]) -> Result<String, EditError> {
    remove(Format::Json, text, path)
}

/// The value at a path of a JSON document; `None` when there is nothing.
///
/// # Errors
/// As for [`set_yaml`].
pub fn get_json(text: &str, path: &[Step]) -> Result<Option<Value>, EditError> {
    get(Format::Json, text, path)
}

fn get(format: Format, source: &str, path: &[Step]) -> Result<Option<Value>, EditError> {
    let (_, value) = read(format, &Text::new("", without_bom(source).1))?;
    model::get(&value, path).map(|found| found.cloned())
}

fn set(format: Format, source: &str, path: &[Step], value: &Value) -> Result<String, EditError> {
    if value.has_secret() {
        return Err(EditError::new("a secret cannot be written by an edit"));
    }
    let (bom, body) = without_bom(source);
    let text = Text::new("", body);
    let (root, before) = read(format, &text)?;
    let mut after = before.clone();
    model::set(&mut after, path, value)?;
    if model::same(&before, &after) {
        return Ok(source.to_owned());
    }
    let op = locate::set(&text, &root, path, value)?;
    finish(format, &text, &root, &op, &after).map(|edited| format!("{bom}{edited}"))
}

fn remove(format: Format, source: &str, path: &[Step]) -> Result<String, EditError> {
    let (bom, body) = without_bom(source);
    let text = Text::new("", body);
    let (root, mut after) = read(format, &text)?;
    if !model::remove(&mut after, path, 0)? {
        return Ok(source.to_owned());
    }
    let op = locate::remove(&text, &root, path)?;
    finish(format, &text, &root, &op, &after).map(|edited| format!("{bom}{edited}"))
}

fn without_bom(source: &str) -> (&str, &str) {
    match source.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", source),
    }
}

/// Makes the edit and checks it; literal blocks are tried first, then quoted text.
fn finish(format: Format, text: &Text, root: &Raw, op: &Op, meant: &Value) -> Result<String, EditError> {
    for literals in [true, false] {
        let manner = emit::Manner { literals, ..block::manner(text, root) };
        let edited = apply(format, text, op, manner)?;
        if comes_out_as(format, &edited, meant) {
            return Ok(edited);
        }
    }
    Err(EditError::new("this place cannot be edited without changing something else; edit the file by hand"))
}

fn apply(format: Format, text: &Text, op: &Op, manner: emit::Manner) -> Result<String, EditError> {
    let json = format == Format::Json;
    let layout = |embed: &Embed| flow::Layout {
        quoted: json || matches!(embed, Embed::Flow { json: true }),
        document: json,
    };
    match op {
        Op::Replace { node, embed, value } if json || matches!(embed, Embed::Flow { .. }) => {
            flow::replace(text, node, value, layout(embed))
        }
        Op::Replace { node, embed, value } => block::replace(text, node, *embed, value, manner),
        Op::Append { container, embed, key, value } => {
            let in_flow = json || matches!(embed, Embed::Flow { .. });
            if !in_flow && block::is_flow(container) && block::is_empty(container) {
                let value = block::with(text, container, key.as_deref(), value);
                return block::replace(text, container, *embed, &value, manner);
            }
            if block::is_flow(container) {
                return flow::append(text, container, key.as_deref(), value, layout(embed));
            }
            Ok(block::append(text, container, key.as_deref(), value, manner))
        }
        Op::Remove { container, at, .. } if block::is_flow(container) => {
            Ok(flow::remove(text, container, *at))
        }
        Op::Remove { container, embed, .. } if block::count(container) == 1 => {
            block::replace(text, container, *embed, &block::emptied(container), manner)
        }
        Op::Remove { container, at, .. } => Ok(block::remove(text, container, *at)),
    }
}

fn read(format: Format, text: &Text) -> Result<(Raw, Value), EditError> {
    let root = match format {
        Format::Json => json::build(text).map_err(EditError::new)?,
        Format::Yaml => tree::build(text)
            .map_err(|problem| describe(&problem))?
            .unwrap_or_else(|| Raw::empty(text.src.len())),
    };
    let mut problems = Problems::default();
    let value = parse::convert(text, &root, &mut problems).to_value();
    match problems.as_slice().first() {
        Some(problem) => Err(describe(problem)),
        None => Ok((root, value)),
    }
}

fn describe(problem: &Diagnostic) -> EditError {
    EditError::new(format!(
        "{} (line {}, column {})",
        problem.message, problem.span.line, problem.span.column
    ))
}

/// Both readers of the format see what was meant.
fn comes_out_as(format: Format, edited: &str, meant: &Value) -> bool {
    let ours = read(format, &Text::new("", edited));
    let other = match format {
        Format::Json => serde_json::from_str::<serde_json::Value>(edited).ok(),
        // Infinity and NaN have no JSON form, so they are compared as null here and exactly by our own reader.
        Format::Yaml => serde_yaml::from_str::<serde_json::Value>(edited).ok(),
    };
    let agrees = other
        .is_some_and(|other| model::same(&Value::from_json(&other), &Value::from_json(&meant.to_json())));
    ours.is_ok_and(|(_, value)| model::same(&value, meant)) && agrees
}

/// The text with a byte range replaced.
fn splice(text: &Text, start: usize, end: usize, new: &str) -> String {
    format!("{}{new}{}", text.part(0, start), text.from(end.max(start)))
}

/// How the text ends its lines.
fn line_end(text: &Text) -> &'static str {
    if text.src.contains("\r\n") { "\r\n" } else { "\n" }
}
