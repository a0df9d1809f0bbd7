//! Splices in block style, where indentation carries the structure.

use super::{
    EditError,
    emit::{self, Emitted, Manner},
    line_end,
    locate::{self, Embed, column},
    splice,
};
use crate::{
    scalar::Style,
    text::Text,
    tree::{Kind, Raw},
};
use keybook_api::{Map, Value};

/// Replaces a value that stands behind a `:` or `-`, or is the document.
pub(super) fn replace(
    text: &Text,
    node: &Raw,
    embed: Embed,
    value: &Value,
    manner: Manner,
) -> Result<String, EditError> {
    let manner = Manner { quotes: style_of(node), ..manner };
    let mut new = emit::block(value, manner);
    let (slot, columns) = match embed {
        Embed::Root => return Ok(replace_root(text, node, &new)),
        Embed::Flow { .. } => return Err(EditError::new("a value in brackets has no block style")),
        Embed::Entry { slot, column } => {
            let list = matches!(value, Value::List(_));
            (slot, column + if list { manner.list_indent } else { manner.indent })
        }
        Embed::Item { slot, column } => {
            if !new.literal && !new.lines.is_empty() {
                new.head = new.lines.remove(0);
            }
            (slot, column + 2)
        }
    };
    let Some(slot) = slot else {
        return Err(EditError::new("keys with `?` are not supported by edits"));
    };
    Ok(fill(text, node, slot, columns, new))
}

/// How a text is written where a value is replaced: as the old one was.
fn style_of(node: &Raw) -> Style {
    match &node.kind {
        Kind::Scalar(scalar) if !scalar.style.is_block() => scalar.style,
        _ => Style::Plain,
    }
}

fn is_block_collection(node: &Raw) -> bool {
    matches!(node.kind, Kind::List { flow: false, .. } | Kind::Map { flow: false, .. })
}

/// Puts new text behind `slot` in place of the old value.
fn fill(text: &Text, node: &Raw, slot: usize, columns: usize, new: Emitted) -> String {
    let same_line = !text.part(slot, node.start).contains('\n');
    let absent = node.start == node.end;
    if new.lines.is_empty() && !absent && (same_line || !is_block_collection(node)) {
        return replace_inline(text, node, &new.head);
    }
    let end = line_end(text);
    let head = if new.head.is_empty() { String::new() } else { format!(" {}", new.head) };
    let below: String =
        new.lines.iter().map(|line| format!("{end}{}", emit::indented(line, columns))).collect();
    let before = text.part(0, slot);
    if absent {
        let stop = text.line_end(slot);
        return format!("{before}{head}{}{below}{}", text.part(slot, stop), text.from(stop));
    }
    let after = text.from(text.line_end(node.end));
    if same_line {
        let properties = text.part(slot, node.start).trim_end();
        return format!("{before}{properties}{head}{}{below}{after}", comment_of(text, node));
    }
    // The old value stands on lines of its own; comments between the slot and them stay.
    let above = text.part(slot, text.line_start(node.start)).trim_end_matches(['\n', '\r']);
    format!("{before}{head}{above}{below}{after}")
}

/// Replaces a value by text on one line; a block scalar's header keeps its comment.
fn replace_inline(text: &Text, node: &Raw, head: &str) -> String {
    let comment = if is_block_scalar(node) { comment_of(text, node) } else { "" };
    splice(text, node.start, node.end, &format!("{head}{comment}"))
}

fn is_block_scalar(node: &Raw) -> bool {
    matches!(&node.kind, Kind::Scalar(scalar) if scalar.style.is_block())
}

/// What follows a value on its last line; for block scalars what follows the header's indicators.
fn comment_of<'a>(text: &Text<'a>, node: &Raw) -> &'a str {
    if !is_block_scalar(node) {
        return text.part(node.end, text.line_end(node.end));
    }
    let header = text.part(node.start, text.line_end(node.start));
    header.get(header.find([' ', '\t']).unwrap_or(header.len())..).unwrap_or("")
}

/// Replaces the whole document's value.
fn replace_root(text: &Text, node: &Raw, new: &Emitted) -> String {
    let end = line_end(text);
    let body = std::iter::once(new.head.clone()).filter(|head| !head.is_empty());
    let indent = usize::from(new.literal) * 2;
    let lines: Vec<String> = body.chain(new.lines.iter().map(|line| emit::indented(line, indent))).collect();
    let joined = lines.join(end);
    if node.start < node.end {
        return splice(text, node.start, node.end, &joined);
    }
    let before = text.src;
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { end };
    format!("{before}{gap}{joined}{end}")
}

/// Appends an entry or item behind the last one, indented as the first.
pub(super) fn append(
    text: &Text,
    container: &Raw,
    key: Option<&str>,
    value: &Value,
    manner: Manner,
) -> String {
    let quotes = match &container.kind {
        Kind::List { items, .. } => items.last().map_or(Style::Plain, |item| style_of(&item.value)),
        _ => Style::Plain,
    };
    let manner = Manner { quotes, ..manner };
    let new = match key {
        Some(key) => Value::Map(Map::from_iter([(key.to_owned(), value.clone())])),
        None => Value::List(vec![value.clone()]),
    };
    let columns = column(text, container.start);
    let end = line_end(text);
    let lines = emit::block(&new, manner).lines;
    let below: String = lines.iter().map(|line| format!("{end}{}", emit::indented(line, columns))).collect();
    let at = text.line_end(container.end);
    splice(text, at, at, &below)
}

/// Removes an entry or item and its lines. There are others.
pub(super) fn remove(text: &Text, container: &Raw, at: usize) -> String {
    let bounds = |at: usize| match &container.kind {
        Kind::List { items, .. } => items.get(at).map(|item| {
            let slot = item.slot.unwrap_or(item.value.start);
            (slot.saturating_sub(1), item.value.end.max(slot))
        }),
        Kind::Map { entries, .. } => entries
            .get(at)
            .map(|entry| (entry.key.start, entry.value.end.max(entry.slot.unwrap_or(entry.key.end)))),
        _ => None,
    };
    let Some((start, end)) = bounds(at) else { return text.src.to_owned() };
    if text.part(text.line_start(start), start).trim().is_empty() {
        return splice(text, text.line_start(start), text.next_line(end), "");
    }
    // It stands behind a `-` of an outer list: the next one moves up, unless a comment stands between.
    let next = bounds(at + 1).map_or(end, |(next, _)| next);
    let between = text.part(text.next_line(end), next);
    if between.trim().is_empty() {
        splice(text, start, next, "")
    } else {
        let from = text.part(0, start).trim_end_matches([' ', '\t']).len();
        splice(text, from, text.line_end(end), "")
    }
}

/// How the document is indented: its first nested map and its first list under a key.
pub(super) fn manner(text: &Text, root: &Raw) -> Manner {
    let mut found = (None, None);
    look(text, root, &mut found);
    let indent = found.0.unwrap_or(2);
    Manner { indent, list_indent: found.1.unwrap_or(indent), literals: true, quotes: Style::Plain }
}

fn look(text: &Text, raw: &Raw, found: &mut (Option<usize>, Option<usize>)) {
    match &raw.kind {
        Kind::Map { entries, flow: false } => {
            for entry in entries {
                let under = || column(text, entry.value.start).saturating_sub(column(text, entry.key.start));
                match &entry.value.kind {
                    Kind::Map { flow: false, .. } if found.0.is_none() => found.0 = Some(under().max(1)),
                    Kind::List { flow: false, .. } if found.1.is_none() => found.1 = Some(under()),
                    _ => {}
                }
                look(text, &entry.value, found);
            }
        }
        Kind::List { items, flow: false } => items.iter().for_each(|item| look(text, &item.value, found)),
        _ => {}
    }
}

/// True for a list or map in brackets.
pub(super) fn is_flow(node: &Raw) -> bool {
    matches!(node.kind, Kind::List { flow: true, .. } | Kind::Map { flow: true, .. })
}

/// True for a list or map without anything in it.
pub(super) fn is_empty(node: &Raw) -> bool {
    match &node.kind {
        Kind::List { items, .. } => items.is_empty(),
        Kind::Map { entries, .. } => entries.is_empty(),
        _ => false,
    }
}

/// How many things a list or map has.
pub(super) fn count(node: &Raw) -> usize {
    match &node.kind {
        Kind::List { items, .. } => items.len(),
        Kind::Map { entries, .. } => entries.len(),
        _ => 0,
    }
}

/// The empty value of a container's kind.
pub(super) fn emptied(node: &Raw) -> Value {
    match &node.kind {
        Kind::List { .. } => Value::List(Vec::new()),
        _ => Value::Map(Map::new()),
    }
}

/// The value of a container with one thing more, for containers that are written anew.
pub(super) fn with(text: &Text, node: &Raw, key: Option<&str>, value: &Value) -> Value {
    match (locate::value_of(text, node), key) {
        (Value::Map(mut map), Some(key)) => {
            map.insert(key.to_owned(), value.clone());
            Value::Map(map)
        }
        (Value::List(mut list), _) => {
            list.push(value.clone());
            Value::List(list)
        }
        (other, _) => other,
    }
}
