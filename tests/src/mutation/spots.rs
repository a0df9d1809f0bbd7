//! The places of a file where a mistake can be made.

use super::{FileKind, Mutation, Place, roles::Role};
use keybook_api::{Registry, Span};
use keybook_source::{Key, Node, NodeValue};

/// A file's text, with its lines.
pub struct Text {
    /// Its name, as in spans.
    pub file: String,
    /// The text.
    pub text: String,
    lines: Vec<usize>,
}

impl Text {
    /// Of a file.
    pub fn new(file: &str, text: &str) -> Self {
        let mut lines = vec![0];
        lines.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1));
        Self { file: file.to_owned(), text: text.to_owned(), lines }
    }

    /// The byte of a line and a column, both from 1.
    pub fn at(&self, line: u32, column: u32) -> usize {
        let start = self.lines[line as usize - 1];
        let before = self.text[start..].chars().take(column as usize - 1);
        start + before.map(char::len_utf8).sum::<usize>()
    }

    /// A line, counted from 1, without its end.
    pub fn line(&self, line: u32) -> &str {
        self.text.lines().nth(line as usize - 1).unwrap_or_default()
    }

    /// The letters of a span.
    pub fn part(&self, span: &Span) -> &str {
        &self.text[self.at(span.line, span.column)..self.at(span.line, span.column + span.length)]
    }

    /// The text with other letters in the place of a span.
    pub fn with(&self, span: &Span, new: &str) -> String {
        let (from, to) = (self.at(span.line, span.column), self.at(span.line, span.column + span.length));
        format!("{}{new}{}", &self.text[..from], &self.text[to..])
    }

    /// The text with letters put before a line and column.
    pub fn insert(&self, line: u32, column: u32, new: &str) -> String {
        let at = self.at(line, column);
        format!("{}{new}{}", &self.text[..at], &self.text[at..])
    }

    /// The text without some of its lines' first.
    pub fn without_line(&self, line: u32) -> String {
        let (from, to) = (self.at(line, 1), self.lines.get(line as usize).copied());
        format!("{}{}", &self.text[..from], &self.text[to.unwrap_or(self.text.len())..])
    }
}

/// A key with its value, or an item of a list.
#[derive(Clone, Debug)]
pub struct Spot {
    /// What the map or list around it is for.
    pub around: Role,
    /// The map or list.
    pub parent: Node,
    /// The key; `None` for an item of a list.
    pub key: Option<Key>,
    /// How many entries or items stand before it.
    pub place: usize,
    /// The value.
    pub value: Node,
    /// What the value is for.
    pub role: Role,
    /// Is the map or list around it in brackets?
    pub flow: bool,
    /// The keys and places that lead to the map or list around it.
    pub path: Vec<String>,
}

impl Spot {
    /// The key's name; empty for an item of a list.
    pub fn name(&self) -> &str {
        self.key.as_ref().map_or("", |key| &key.name)
    }

    /// Is the value written on one line, with all its letters as they are?
    pub fn simple(&self, text: &Text) -> bool {
        let raw = text.part(&self.value.span);
        match (&self.value.value, &self.value.plain) {
            (_, Some(plain)) => plain.as_str() == raw,
            (NodeValue::Text(_), None) => ['"', '\''].iter().any(|quote| between(raw, *quote, *quote)),
            (NodeValue::List(_), _) => between(raw, '[', ']'),
            (NodeValue::Map(_), _) => between(raw, '{', '}'),
            _ => false,
        }
    }
}

fn between(raw: &str, open: char, close: char) -> bool {
    raw.len() > 1 && raw.starts_with(open) && raw.ends_with(close)
}

/// What the makers of mutations see.
pub struct Makers<'m> {
    /// The file.
    pub text: &'m Text,
    /// Its places.
    pub spots: &'m [Spot],
    /// The actions there are.
    pub registry: &'m Registry,
    /// Words that mean something somewhere.
    pub known: &'m dyn Fn(&str) -> bool,
}

impl Makers<'_> {
    /// A mutation that puts other letters into a span; the report must point at them.
    pub fn replace(&self, kind: &'static str, span: &Span, new: &str, code: &'static str) -> Mutation {
        let length = u32::try_from(new.chars().count()).unwrap_or(u32::MAX);
        let place = Place::Exact(span.line, span.column, length.max(1));
        self.with(kind, self.text.with(span, new), code, place)
    }

    /// A mutation with its whole text.
    pub fn with(&self, kind: &'static str, text: String, code: &'static str, place: Place) -> Mutation {
        Mutation { kind, file: self.text.file.clone(), text, code, place }
    }

    /// The map or list at a path, in another text of the same file.
    pub fn node_at(&self, text: &str, path: &[String]) -> Option<Node> {
        let mut node = keybook_source::parse(&self.text.file, text).ok()?;
        for part in path {
            node = match &node.value {
                NodeValue::List(items) => items.get(part.parse::<usize>().ok()?)?.clone(),
                _ => node.get(part)?.clone(),
            };
        }
        Some(node)
    }
}

/// Every place of a file.
pub fn spots(text: &Text, kind: FileKind) -> Vec<Spot> {
    let root = keybook_source::parse(&text.file, &text.text).expect("shipped files are YAML");
    let mut spots = Vec::new();
    collect(text, &root, &Role::Root(kind), &[], &mut spots);
    spots
}

fn collect(text: &Text, node: &Node, role: &Role, path: &[String], spots: &mut Vec<Spot>) {
    let flow = matches!(text.part(&node.span).chars().next(), Some('{' | '['));
    let children: Vec<(Option<&Key>, &Node)> = match &node.value {
        NodeValue::Map(entries) => entries.iter().map(|(key, value)| (Some(key), value)).collect(),
        NodeValue::List(items) => items.iter().map(|item| (None, item)).collect(),
        _ => return,
    };
    for (place, (key, value)) in children.into_iter().enumerate() {
        let child = role.of(key.map_or("", |key| &key.name));
        spots.push(Spot {
            around: role.clone(),
            parent: node.clone(),
            key: key.cloned(),
            place,
            value: value.clone(),
            role: child.clone(),
            flow,
            path: path.to_vec(),
        });
        let mut deeper = path.to_vec();
        deeper.push(key.map_or_else(|| place.to_string(), |key| key.name.clone()));
        collect(text, value, &child, &deeper, spots);
    }
}
