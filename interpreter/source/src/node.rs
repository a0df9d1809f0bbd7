//! The located tree.

use keybook_api::{Map, SourceText, Span, Value};

/// One value of a document and where it was written. Where it came through an alias, it stands where the anchor
/// stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it stands: a scalar without its quotes' line breaks, a list or map from its first item on.
    pub span: Span,
    /// What it is.
    pub value: NodeValue,
    /// The letters as written, when it is an unquoted scalar (`true`, `0644`, `some text`).
    pub plain: Option<SourceText>,
}

/// What a node can be.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeValue {
    /// Nothing: `null`, `~` or no value at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction or exponent.
    Float(f64),
    /// Text.
    Text(SourceText),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its text.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl Node {
    /// A node without written letters of its own.
    pub fn new(span: Span, value: NodeValue) -> Self {
        Self { span, value, plain: None }
    }

    /// The value of a key; `None` when there is no such key or this is no map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(name, _)| name.name == key).map(|(_, node)| node)
    }

    /// The name of its type, as messages use it; the same words as [`Value::type_name`].
    pub fn type_name(&self) -> &'static str {
        match &self.value {
            NodeValue::Null => "null",
            NodeValue::Bool(_) => "bool",
            NodeValue::Int(_) => "int",
            NodeValue::Float(_) => "float",
            NodeValue::Text(_) => "string",
            NodeValue::List(_) => "list",
            NodeValue::Map(_) => "map",
        }
    }

    /// The value without its places.
    pub fn to_value(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(truth) => Value::Bool(*truth),
            NodeValue::Int(number) => Value::Int(*number),
            NodeValue::Float(number) => Value::Float(*number),
            NodeValue::Text(text) => Value::Text(text.as_str().to_owned()),
            NodeValue::List(items) => Value::List(items.iter().map(Node::to_value).collect()),
            NodeValue::Map(entries) => Value::Map(
                entries.iter().map(|(key, node)| (key.name.clone(), node.to_value())).collect::<Map>(),
            ),
        }
    }

    /// The text, when it is text.
    pub fn as_text(&self) -> Option<&SourceText> {
        match &self.value {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The letters of any scalar as written, when they can be located: text of every style, and unquoted
    /// numbers and truth values (an expression may be just `true`).
    pub fn as_written(&self) -> Option<&SourceText> {
        self.as_text().or(self.plain.as_ref())
    }

    /// The items, when it is a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            NodeValue::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, when it is a map.
    pub fn entries(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            NodeValue::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// True for `null`, `~` and an absent value.
    pub fn is_null(&self) -> bool {
        matches!(self.value, NodeValue::Null)
    }
}
