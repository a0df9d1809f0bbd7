//! Values as YAML and JSON text.

use crate::{
    Node, NodeValue,
    resolve::{self, Plain},
    scalar::Style,
    surprise,
};
use keybook_api::{SourceText, Span, Value};

/// How new text is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Columns by which a nested map is indented.
    pub indent: usize,
    /// Columns by which a list under a key is indented; 0 is common in Kubernetes manifests.
    pub list_indent: usize,
    /// Texts of several lines are written as literal blocks, else in double quotes.
    pub literals: bool,
    /// How single-line texts are quoted where they may be written in several ways.
    pub quotes: Style,
}

/// Text that stands behind a `:` or `-`.
#[derive(Debug)]
pub(super) struct Emitted {
    /// What stands on the same line; empty for none.
    pub head: String,
    /// The lines below, indented relative to where the block's lines begin.
    pub lines: Vec<String>,
    /// The lines are content of a literal block, not lines of a list or map.
    pub literal: bool,
}

/// A value in block style. For maps and lists the head is empty and the lines begin at column 0.
pub(super) fn block(value: &Value, manner: Manner) -> Emitted {
    let inline = |head: String| Emitted { head, lines: Vec::new(), literal: false };
    match value {
        Value::Map(map) if !map.is_empty() => {
            let mut lines = Vec::new();
            for (key, item) in map {
                let key = text(key, Style::Plain, false);
                let under = if matches!(item, Value::List(_)) { manner.list_indent } else { manner.indent };
                nest(&mut lines, &format!("{key}:"), under, block(item, manner));
            }
            Emitted { head: String::new(), lines, literal: false }
        }
        Value::List(list) if !list.is_empty() => {
            let mut lines = Vec::new();
            for item in list {
                let mut below = block(item, manner);
                if !below.literal && !below.lines.is_empty() {
                    below.head = below.lines.remove(0);
                }
                nest(&mut lines, "-", 2, below);
            }
            Emitted { head: String::new(), lines, literal: false }
        }
        Value::Text(content) if manner.literals && fits_literal(content) => {
            let head = if content.ends_with('\n') { "|" } else { "|-" };
            let lines = content.trim_end_matches('\n').split('\n').map(str::to_owned).collect();
            Emitted { head: head.to_owned(), lines, literal: true }
        }
        Value::Text(content) => inline(text(content, manner.quotes, false)),
        other => inline(flow(other, manner.quotes)),
    }
}

fn nest(lines: &mut Vec<String>, indicator: &str, under: usize, value: Emitted) {
    let gap = if value.head.is_empty() { "" } else { " " };
    lines.push(format!("{indicator}{gap}{}", value.head));
    // The content of a literal must be indented in any case.
    let under = if value.literal { under.max(1) } else { under };
    lines.extend(value.lines.into_iter().map(|line| indented(&line, under)));
}

/// A line behind some columns; empty lines stay empty.
pub(super) fn indented(line: &str, columns: usize) -> String {
    if line.is_empty() { String::new() } else { format!("{}{line}", " ".repeat(columns)) }
}

/// A literal block can hold the text without an indentation indicator or escapes.
fn fits_literal(content: &str) -> bool {
    let body = content.strip_suffix('\n').unwrap_or(content);
    let printable = |letter: char| letter == '\n' || letter == '\t' || !unprintable(letter);
    content.contains('\n')
        && !body.is_empty()
        && !body.starts_with([' ', '\n', '\t'])
        && !body.ends_with('\n')
        && content.chars().all(printable)
        && content.split('\n').all(|line| line.is_empty() || !line.trim().is_empty())
}

/// Characters that YAML wants escaped, or that readers take for line ends.
fn unprintable(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A value on one line of YAML.
pub(super) fn flow(value: &Value, quotes: Style) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => float(*number),
        Value::Text(content) => text(content, quotes, true),
        Value::List(list) => {
            format!("[{}]", list.iter().map(|item| flow(item, quotes)).collect::<Vec<_>>().join(", "))
        }
        Value::Map(map) => {
            let entry = |(key, item): (&String, &Value)| {
                format!("{}: {}", text(key, Style::Plain, true), flow(item, quotes))
            };
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        // Refused before anything is written; shown nowhere.
        Value::Secret(_) | Value::Unknown(_) => keybook_api::value::REDACTED.to_owned(),
    }
}

fn float(number: f64) -> String {
    match number {
        number if number.is_nan() => ".nan".to_owned(),
        f64::INFINITY => ".inf".to_owned(),
        f64::NEG_INFINITY => "-.inf".to_owned(),
        number => format!("{number:?}"),
    }
}

/// Text of one line, quoted where needed or wished. In flow (brackets) more has to be quoted.
pub(super) fn text(content: &str, quotes: Style, flow: bool) -> String {
    let escapes = content.chars().any(unprintable);
    match quotes {
        _ if escapes => double(content),
        Style::Double => double(content),
        Style::Single => single(content),
        _ if fits_plain(content, flow) => content.to_owned(),
        _ if content.contains('\'') => double(content),
        _ if content.contains(['"', '\\']) => single(content),
        _ => double(content),
    }
}

fn single(content: &str) -> String {
    format!("'{}'", content.replace('\'', "''"))
}

fn double(content: &str) -> String {
    let mut out = String::with_capacity(content.len() + 2);
    out.push('"');
    for letter in content.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            letter if unprintable(letter) => {
                let code = u32::from(letter);
                out.push_str(&if code < 0x100 { format!("\\x{code:02x}") } else { format!("\\u{code:04x}") });
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// The text means itself without quotes, for this reader and for those of YAML 1.1.
fn fits_plain(content: &str, flow: bool) -> bool {
    let mut letters = content.chars();
    let starts_well = match letters.next() {
        None => false,
        Some('-' | '?' | ':') => {
            letters.next().is_some_and(|next| !next.is_whitespace() && !",[]{}".contains(next))
        }
        Some(first) => !",[]{}#&*!|>'\"%@`=<~".contains(first) && !first.is_whitespace(),
    };
    let ends_well =
        !content.ends_with([' ', '\t', ':']) && !content.starts_with("---") && !content.starts_with("...");
    let inside_well =
        !content.contains(": ") && !content.contains(" #") && !content.contains(['\t', '\u{a0}']);
    let flow_well = !flow || !content.contains([',', '[', ']', '{', '}']) && !content.contains(":");
    starts_well && ends_well && inside_well && flow_well && means_text(content)
}

fn means_text(content: &str) -> bool {
    if !matches!(resolve::plain(content), Plain::Text) {
        return false;
    }
    let located = SourceText::elsewhere(content, "");
    let span = Span::new("", 1, 1, 1);
    let node = Node { span, value: NodeValue::Text(located.clone()), plain: Some(located) };
    surprise::surprise(content, &node).is_none()
}

/// A value as JSON: on one line, or over several lines with an indentation.
pub(super) fn json(value: &Value, pretty: Option<&str>) -> Result<String, serde_json::Error> {
    let json = value.to_json();
    let Some(unit) = pretty.filter(|_| json.is_array() || json.is_object()) else {
        return compact(&json);
    };
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(unit.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    serde::Serialize::serialize(&json, &mut serializer)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// One line with a space behind `:` and `,`, as people write it.
fn compact(json: &serde_json::Value) -> Result<String, serde_json::Error> {
    use serde_json::Value as Json;
    Ok(match json {
        Json::Array(list) => {
            let items: Vec<String> = list.iter().map(compact).collect::<Result<_, _>>()?;
            format!("[{}]", items.join(", "))
        }
        Json::Object(map) => {
            let mut items = Vec::with_capacity(map.len());
            for (key, item) in map {
                items.push(format!("{}: {}", serde_json::to_string(key)?, compact(item)?));
            }
            format!("{{{}}}", items.join(", "))
        }
        other => serde_json::to_string(other)?,
    })
}
