//! Inputs: what the operator gives a runbook.

use keybook_api::{Secret, Span, Value, duration};

/// The type of an input.
#[derive(Clone, Debug, PartialEq)]
pub enum InputKind {
    /// Text.
    Text,
    /// A whole number.
    Int,
    /// true or false.
    Bool,
    /// One of these words.
    Enum(Vec<String>),
    /// An absolute path on the hosts.
    Path,
    /// A duration.
    Duration,
    /// A list of texts, comma-separated on the command line.
    List,
    /// A secret: from a file, the environment or a prompt, never from the command line itself.
    Secret,
}

/// One input.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its type.
    pub kind: InputKind,
    /// What holds when it is not given.
    pub default: Option<Value>,
    /// May be absent (then it is null).
    pub optional: bool,
    /// What it is for.
    pub help: String,
    /// Smallest value of an int.
    pub min: Option<i64>,
    /// Largest value of an int.
    pub max: Option<i64>,
    /// Where it stands.
    pub span: Span,
}

impl Input {
    /// The type's name in the language.
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            InputKind::Text => "string",
            InputKind::Int => "int",
            InputKind::Bool => "bool",
            InputKind::Enum(_) => "enum",
            InputKind::Path => "path",
            InputKind::Duration => "duration",
            InputKind::List => "list",
            InputKind::Secret => "secret",
        }
    }

    /// A value from text given by the operator. The error says what was expected.
    pub fn from_text(&self, text: &str) -> Result<Value, String> {
        match &self.kind {
            InputKind::Int => {
                let number = text.parse().map_err(|_| format!("`{text}` is not a whole number"))?;
                self.check(Value::Int(number))
            }
            InputKind::Bool => match text {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(format!("`{text}` is neither true nor false")),
            },
            InputKind::List => {
                let items: Vec<String> = text
                    .split(',')
                    .map(|item| item.trim().to_owned())
                    .filter(|item| !item.is_empty())
                    .collect();
                self.check(items.into())
            }
            InputKind::Secret => Ok(Value::Secret(Secret::new(text))),
            _ => self.check(text.into()),
        }
    }

    /// Checks a value. The error says what was expected.
    pub fn check(&self, value: Value) -> Result<Value, String> {
        let expected = |what: &str| Err(format!("expected {what}, got {}", value.type_name()));
        match (&self.kind, &value) {
            (InputKind::Text, Value::Text(_))
            | (InputKind::Bool, Value::Bool(_))
            | (InputKind::Secret, Value::Secret(_)) => {}
            (InputKind::Int, Value::Int(number)) => {
                if self.min.is_some_and(|min| *number < min) || self.max.is_some_and(|max| *number > max) {
                    let bound = |end: Option<i64>| end.map_or_else(String::new, |end| end.to_string());
                    return Err(format!("{number} is outside {}..{}", bound(self.min), bound(self.max)));
                }
            }
            (InputKind::Enum(words), Value::Text(text)) if words.contains(text) => {}
            (InputKind::Enum(words), _) => return Err(format!("`{value}` is none of {}", words.join(", "))),
            (InputKind::Path, Value::Text(text)) => {
                if !text.starts_with('/') || text.split('/').any(|part| part == "..") {
                    return Err(format!("`{text}` is not an absolute path without `..`"));
                }
            }
            (InputKind::Duration, Value::Text(text)) => {
                duration::parse(text)?;
            }
            (InputKind::List, Value::List(list))
                if list.iter().all(|item| matches!(item, Value::Text(_))) => {}
            (InputKind::List, Value::List(list)) => {
                let other = list.iter().find(|item| !matches!(item, Value::Text(_)));
                let other = other.map_or("nothing", Value::type_name);
                return Err(format!("expected a list of strings, got {other} in it"));
            }
            _ => return expected(self.type_name()),
        }
        Ok(value)
    }
}
