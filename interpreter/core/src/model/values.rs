//! YAML values with `${…}` inside, compiled.

use indexmap::IndexMap;
use keybook_api::{Fault, Map, Span, Value};
use keybook_script::{NameUse, ScriptHost, Template};

/// A value that may hold templates.
#[derive(Clone, Debug)]
pub enum Dynamic {
    /// As written.
    Fixed(Value),
    /// Text with `${…}`, and where it stands.
    Template(Template, Span),
    /// A list.
    List(Vec<Dynamic>),
    /// A map.
    Map(IndexMap<String, Dynamic>),
}

impl Dynamic {
    /// The value in a scope.
    pub fn render(&self, host: &ScriptHost, scope: &Map) -> Result<Value, Fault> {
        Ok(match self {
            Self::Fixed(value) => value.clone(),
            Self::Template(template, span) => host.render(template, scope).map_err(|error| {
                Fault::failed("evaluate an expression", &error.message).at(&error.span).at(span)
            })?,
            Self::List(list) => {
                Value::List(list.iter().map(|item| item.render(host, scope)).collect::<Result<_, _>>()?)
            }
            Self::Map(map) => Value::Map(
                map.iter()
                    .map(|(key, item)| Ok((key.clone(), item.render(host, scope)?)))
                    .collect::<Result<_, Fault>>()?,
            ),
        })
    }

    /// The names that its templates use.
    pub fn names_used(&self) -> Vec<&NameUse> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Template(template, _) => template.names_used().collect(),
            Self::List(list) => list.iter().flat_map(Self::names_used).collect(),
            Self::Map(map) => map.values().flat_map(Self::names_used).collect(),
        }
    }

    /// The value as far as it is known beforehand, for a path: `…` stands for each expression in a text, with a directory before
    /// one at its beginning.
    pub fn shape(&self) -> Option<Value> {
        match self {
            Self::Template(template, _) => {
                let text = template.with_each("…");
                let begin = if template.begins_with_expr() { "/" } else { "" };
                Some(format!("{begin}{text}").into())
            }
            _ => self.fixed(),
        }
    }

    /// The value, when nothing in it depends on the run.
    pub fn fixed(&self) -> Option<Value> {
        match self {
            Self::Fixed(value) => Some(value.clone()),
            Self::Template(..) => None,
            Self::List(list) => list.iter().map(Self::fixed).collect::<Option<Vec<_>>>().map(Value::List),
            Self::Map(map) => map
                .iter()
                .map(|(key, item)| Some((key.clone(), item.fixed()?)))
                .collect::<Option<Map>>()
                .map(Value::Map),
        }
    }
}

/// The arguments of one action call.
#[derive(Clone, Debug, Default)]
pub struct Args(pub IndexMap<String, Dynamic>);

impl Args {
    /// The arguments in a scope.
    pub fn render(&self, host: &ScriptHost, scope: &Map) -> Result<Map, Fault> {
        self.0.iter().map(|(name, value)| Ok((name.clone(), value.render(host, scope)?))).collect()
    }
}
