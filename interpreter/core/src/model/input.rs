//! Inputs: what the operator gives a runbook.

use indexmap::IndexMap;
use keybook_api::{Fault, Map, Secret, Span, Value, args::plain_path, duration};
use keybook_source::suggest;
use regex::Regex;
use std::time::Duration;

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
    /// The name of a host of the inventory.
    Host,
    /// A list of texts, comma-separated on the command line.
    List,
    /// A secret: from a file, the environment or a prompt, never from the command line itself.
    Secret,
}

impl InputKind {
    /// What its values are: several types are texts of a form.
    pub fn value_type(&self) -> &'static str {
        match self {
            Self::Text | Self::Enum(_) | Self::Path | Self::Duration | Self::Host => "string",
            Self::Int => "int",
            Self::Bool => "bool",
            Self::List => "list",
            Self::Secret => "secret",
        }
    }
}

/// The words for the types, as runbooks write them.
pub const TYPES: [&str; 9] = ["string", "int", "bool", "enum", "path", "duration", "host", "list", "secret"];

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
    /// Smallest value of an int; shortest duration in milliseconds.
    pub min: Option<i64>,
    /// Largest value of an int; longest duration in milliseconds.
    pub max: Option<i64>,
    /// What the whole of a string must match.
    pub pattern: Option<Pattern>,
    /// Where it stands.
    pub span: Span,
}

/// A regular expression for whole texts (syntax of the `regex` crate: no look-around, no back references).
#[derive(Clone, Debug)]
pub struct Pattern {
    written: String,
    whole: Regex,
}

impl Pattern {
    /// Compiles it. The error says what is wrong with it.
    pub fn new(written: &str) -> Result<Self, String> {
        // By itself first: `a)|(b` would become something else between the brackets.
        let whole = Regex::new(written).and_then(|_| Regex::new(&format!("\\A(?:{written})\\z")));
        let whole = whole.map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        })?;
        Ok(Self { written: written.to_owned(), whole })
    }
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
            InputKind::Host => "host",
            InputKind::List => "list",
            InputKind::Secret => "secret",
        }
    }

    /// Its value is a secret.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, InputKind::Secret)
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

    /// A value that a scenario gives: a text for a secret is one from here on. Scenarios are read by anybody, so what they
    /// give is made up, and counts in the sandbox only.
    pub fn made_up(&self, value: Value) -> Value {
        match value {
            Value::Text(text) if self.is_secret() => Value::Secret(Secret::new(text)),
            other => other,
        }
    }

    /// Checks a value. The error says what was expected. Whether a host exists, [`Input::unknown_host`] says.
    pub fn check(&self, value: Value) -> Result<Value, String> {
        let expected = |what: &str| Err(format!("expected {what}, got {}", value.type_name()));
        match (&self.kind, &value) {
            (InputKind::Bool, Value::Bool(_))
            | (InputKind::Host, Value::Text(_))
            | (InputKind::Secret, Value::Secret(_)) => {}
            (InputKind::Text, Value::Text(text)) => self.check_pattern(text)?,
            (InputKind::Int, Value::Int(number)) => self.check_range(*number, &|end| end.to_string())?,
            (InputKind::Enum(words), Value::Text(text)) if words.contains(text) => {}
            (InputKind::Enum(words), _) => return Err(format!("`{value}` is none of {}", words.join(", "))),
            (InputKind::Path, Value::Text(text)) => plain_path(text)?,
            (InputKind::Duration, Value::Text(text)) => {
                let millis = duration::parse(text)?.as_millis();
                self.check_range(i64::try_from(millis).unwrap_or(i64::MAX), &in_milliseconds)?;
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

    fn check_pattern(&self, text: &str) -> Result<(), String> {
        let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.whole.is_match(text)) else {
            return Ok(());
        };
        let help = if self.help.is_empty() { String::new() } else { format!(" ({})", self.help) };
        Err(format!("`{text}` does not match the pattern `{}`{help}", pattern.written))
    }

    fn check_range(&self, number: i64, shown: &dyn Fn(i64) -> String) -> Result<(), String> {
        if self.min.is_none_or(|min| number >= min) && self.max.is_none_or(|max| number <= max) {
            return Ok(());
        }
        let bound = |end: Option<i64>| end.map_or_else(String::new, shown);
        Err(format!("{} is outside {}..{}", shown(number), bound(self.min), bound(self.max)))
    }

    /// What to say of a value that is no host there is, and advice. `None` when it is one, or no host at all is asked
    /// for.
    pub fn unknown_host<'h>(
        &self,
        value: &Value,
        hosts: impl IntoIterator<Item = &'h str> + Clone,
    ) -> Option<(String, Option<String>)> {
        let (InputKind::Host, Value::Text(name)) = (&self.kind, value) else { return None };
        if hosts.clone().into_iter().any(|host| host == name) {
            return None;
        }
        Some((format!("there is no host `{name}` in the inventory"), suggest(name, hosts)))
    }
}

fn in_milliseconds(millis: i64) -> String {
    duration::format(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// Does every input that is a host name one of these?
///
/// # Errors
/// A usage fault for the first that does not.
pub fn check_hosts<'h>(
    inputs: &IndexMap<String, Input>,
    values: &Map,
    hosts: impl IntoIterator<Item = &'h str> + Clone,
) -> Result<(), Fault> {
    for (name, input) in inputs {
        let unknown = values.get(name).and_then(|value| input.unknown_host(value, hosts.clone()));
        let Some((why, advice)) = unknown else { continue };
        let fault =
            Fault::usage(format!("read the input `{name}`"), why).at(&input.span).now("nothing was changed");
        return Err(match advice {
            Some(advice) => fault.hint(advice),
            None => fault.hint(format!("{}: the name of a host, as the inventory has it", input.help)),
        });
    }
    Ok(())
}
