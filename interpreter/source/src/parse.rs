//! Raw tree → located nodes, with the checks that YAML itself does not make.

use crate::{
    Key, Node, NodeValue, Problems,
    resolve::{self, Plain},
    scalar::{self, Style},
    text::Text,
    tree::{self, Entry, Kind, Raw, Scalar},
};
use keybook_api::{Diagnostic, Span};
use std::collections::HashMap;

/// Reads one YAML document. `file` is the name that places carry; an empty document is null.
///
/// # Errors
/// Every problem found: a syntax error, a second document, a file above [`crate::MAX_BYTES`], nesting or alias
/// expansion above the limits, duplicate keys, keys that are not text, `<<`, tags, whole numbers beyond 64 bits.
pub fn parse(file: &str, text: &str) -> Result<Node, Vec<Diagnostic>> {
    let text = Text::new(file, text.strip_prefix('\u{feff}').unwrap_or(text));
    let raw = match tree::build(&text) {
        Ok(raw) => raw.unwrap_or_else(|| Raw::empty(0)),
        Err(problem) => return Err(vec![*problem]),
    };
    let mut problems = Problems::default();
    let node = convert(&text, &raw, &mut problems);
    if problems.errors() { Err(problems.into_vec()) } else { Ok(node) }
}

/// The bytes of a file as text, for [`parse`].
///
/// # Errors
/// `too-large` above [`crate::MAX_BYTES`]; `not-utf8` at the line and column of the first wrong byte.
pub fn decode<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, Box<Diagnostic>> {
    if bytes.len() > crate::MAX_BYTES {
        let message = format!("the file has {} bytes; at most {} are read", bytes.len(), crate::MAX_BYTES);
        return Err(Box::new(Diagnostic::error("too-large", message, Span::new(file, 1, 1, 1))));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).and_then(|part| std::str::from_utf8(part).ok());
        let (line, column) = Text::new(file, valid.unwrap_or("")).place(error.valid_up_to());
        Box::new(
            Diagnostic::error("not-utf8", "the file is not UTF-8 text", Span::new(file, line, column, 1))
                .help("save it as UTF-8"),
        )
    })
}

/// Converts one value; what cannot be converted is reported and becomes null.
pub(crate) fn convert(text: &Text, raw: &Raw, problems: &mut Problems) -> Node {
    let span = text.span(raw.start, raw.end);
    match &raw.kind {
        Kind::Alias { target } => match target {
            Some(target) => convert(text, target, &mut Problems::default()),
            None => Node::new(span, NodeValue::Null),
        },
        Kind::Scalar(scalar) => convert_scalar(text, raw, scalar, span, problems),
        Kind::List { items, .. } => {
            check_tag(text, raw, "seq", problems);
            let items = items.iter().map(|item| convert(text, &item.value, problems)).collect();
            Node::new(span, NodeValue::List(items))
        }
        Kind::Map { entries, .. } => {
            check_tag(text, raw, "map", problems);
            Node::new(span, NodeValue::Map(convert_map(text, entries, problems)))
        }
    }
}

fn convert_map(text: &Text, entries: &[Entry], problems: &mut Problems) -> Vec<(Key, Node)> {
    let mut known: HashMap<String, u32> = HashMap::new();
    let mut converted = Vec::with_capacity(entries.len());
    for entry in entries {
        let node = convert(text, &entry.value, problems);
        let Some(key) = convert_key(text, &entry.key, problems) else { continue };
        if let Some(line) = known.get(&key.name) {
            let message = format!("the key `{}` stands here twice", key.name);
            problems.push(
                Diagnostic::error("duplicate-key", message, key.span)
                    .label(format!("first on line {line}"))
                    .help(if key.name == "id" {
                        "remove one of the two, or begin another step here with `- `"
                    } else {
                        "remove one of the two"
                    }),
            );
            continue;
        }
        known.insert(key.name.clone(), key.span.line);
        converted.push((key, node));
    }
    converted
}

fn convert_key(text: &Text, raw: &Raw, problems: &mut Problems) -> Option<Key> {
    let node = convert(text, raw, problems);
    let span = text.span(raw.start, raw.end.max(raw.start + 1));
    match &node.value {
        NodeValue::Text(name) if name.as_str() == "<<" && node.plain.is_some() => {
            problems.push(
                Diagnostic::error("yaml-merge", "merge keys (`<<`) are not supported", span)
                    .help("write the keys out, or use an alias for the whole value"),
            );
            None
        }
        NodeValue::Text(name) => Some(Key { name: name.as_str().to_owned(), span }),
        _ => {
            let written = text.part(raw.start, raw.end);
            let problem = Diagnostic::error(
                "key-not-text",
                format!("a key must be text, this is {}", crate::map_reader::with_article(node.type_name())),
                span,
            );
            problems.push(match node.plain {
                Some(_) => problem.help(format!("put it in quotes: \"{written}\"")),
                None => problem,
            });
            None
        }
    }
}

fn convert_scalar(text: &Text, raw: &Raw, scalar: &Scalar, span: Span, problems: &mut Problems) -> Node {
    let located = scalar::locate(text, raw, scalar);
    let as_text = |plain: bool| Node {
        span: span.clone(),
        value: NodeValue::Text(located.clone()),
        plain: plain.then(|| located.clone()),
    };
    let plain = scalar.style == Style::Plain;
    if !plain {
        check_tag(text, raw, "str", problems);
        return as_text(false);
    }
    if raw.tag.as_deref() == Some("str") {
        return as_text(false);
    }
    let value = match resolve::plain(&scalar.text) {
        Plain::Text => {
            check_tag(text, raw, "str", problems);
            return as_text(true);
        }
        Plain::Value(value) => value,
        Plain::TooLarge => {
            problems.push(
                Diagnostic::error("number-too-large", "the number does not fit into 64 bits", span.clone())
                    .help(format!("if it is text, put it in quotes: \"{}\"", scalar.text)),
            );
            NodeValue::Null
        }
    };
    let node = Node { span: span.clone(), value, plain: (!scalar.text.is_empty()).then_some(located) };
    check_tag(text, raw, node.type_name(), problems);
    node
}

/// Tags are allowed where they say what the value is anyway (and `!!str` everywhere).
fn check_tag(text: &Text, raw: &Raw, is: &str, problems: &mut Problems) {
    let Some(tag) = &raw.tag else { return };
    if tag != is {
        let shown = if tag.starts_with('!') { tag.clone() } else { format!("!!{tag}") };
        problems.push(
            Diagnostic::error(
                "yaml-tag",
                format!("the tag `{shown}` is not supported here"),
                tag_span(text, raw),
            )
            .help(if shown.contains('.') {
                "put an expression that begins with `!` in quotes"
            } else {
                "remove it"
            }),
        );
    }
}

/// Where the tag before a value stands; an anchor may stand between them.
fn tag_span(text: &Text, raw: &Raw) -> Span {
    let mut before = text.part(0, raw.start).trim_end();
    for _ in 0..2 {
        let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        if let Some(at) = word.find('!') {
            let start = before.len() - word.len() + at;
            return text.span(start, before.len());
        }
        before = before.strip_suffix(word).unwrap_or_default().trim_end();
    }
    text.span(raw.start, raw.end)
}
