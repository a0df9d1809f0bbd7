//! Splices inside brackets: JSON, and YAML's flow lists and maps.

use super::{EditError, emit, locate};
use crate::{
    scalar::Style,
    text::Text,
    tree::{Kind, Raw},
};
use keybook_api::Value;

/// How text in brackets is written.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// With the quotes of JSON.
    pub quoted: bool,
    /// The whole document is JSON, so new lists and maps may span lines where their siblings do.
    pub document: bool,
}

/// The children of a bracketed list or map: where each begins and ends.
fn children(container: &Raw) -> Vec<(usize, usize)> {
    match &container.kind {
        Kind::List { items, .. } => items.iter().map(|item| (item.value.start, item.value.end)).collect(),
        Kind::Map { entries, .. } => entries
            .iter()
            .map(|entry| (entry.key.start, entry.value.end.max(entry.slot.unwrap_or(entry.key.end))))
            .collect(),
        _ => Vec::new(),
    }
}

/// Writes a value for brackets. `at` is on the line whose indentation it continues when it spans lines.
fn written(text: &Text, value: &Value, layout: Layout, spread: bool, at: usize) -> Result<String, EditError> {
    if !layout.quoted {
        return Ok(emit::flow(value, Style::Plain));
    }
    let pad = leading(text, at);
    let unit = if pad.starts_with('\t') { "\t".to_owned() } else { " ".repeat(unit(text)) };
    let pretty = (spread && layout.document).then_some(unit.as_str());
    let out = emit::json(value, pretty).map_err(|error| EditError::new(error.to_string()))?;
    Ok(out.replace('\n', &format!("{}{pad}", super::line_end(text))))
}

/// The white space at the begin of a line.
fn leading<'a>(text: &Text<'a>, at: usize) -> &'a str {
    let line = text.from(text.line_start(at));
    line.get(..line.len() - line.trim_start_matches([' ', '\t']).len()).unwrap_or("")
}

/// The document's indentation: that of its first indented line, else 2.
fn unit(text: &Text) -> usize {
    text.src
        .lines()
        .map(|line| line.len() - line.trim_start_matches(' ').len())
        .find(|width| *width > 0)
        .unwrap_or(2)
}

/// True when the children stand on lines of their own.
fn is_spread(text: &Text, container: &Raw) -> bool {
    children(container).first().is_some_and(|(start, _)| text.part(container.start, *start).contains('\n'))
}

pub(super) fn replace(text: &Text, node: &Raw, value: &Value, layout: Layout) -> Result<String, EditError> {
    let spread = text.src.contains('\n');
    let style = match &node.kind {
        Kind::Scalar(scalar) => scalar.style,
        _ => Style::Plain,
    };
    let new = match value {
        Value::Text(content) if !layout.quoted => emit::text(content, style, true),
        other => written(text, other, layout, spread, node.start)?,
    };
    // An absent value (`{a}`) has no colon either.
    let new = match text.part(node.start.saturating_sub(1), node.start) {
        ":" => format!(" {new}"),
        _ if node.start == node.end => format!(": {new}"),
        _ => new,
    };
    Ok(super::splice(text, node.start, node.end, &new))
}

pub(super) fn append(
    text: &Text,
    container: &Raw,
    key: Option<&str>,
    value: &Value,
    layout: Layout,
) -> Result<String, EditError> {
    let layout = Layout { quoted: layout.quoted || locate::is_json(container), ..layout };
    let spread = is_spread(text, container);
    let all = children(container);
    let near = all.last().map_or(container.start, |(start, _)| *start);
    let body = written(text, value, layout, spread, near)?;
    let entry = match key {
        Some(key) if layout.quoted => format!("{}: {body}", emit::text(key, Style::Double, true)),
        Some(key) => format!("{}: {body}", emit::text(key, Style::Plain, true)),
        None => body,
    };
    let Some((_, end)) = all.last() else {
        return Ok(super::splice(text, container.start + 1, container.end.saturating_sub(1), &entry));
    };
    let gap =
        if spread { format!(",{}{}", super::line_end(text), leading(text, near)) } else { ", ".to_owned() };
    Ok(super::splice(text, *end, *end, &format!("{gap}{entry}")))
}

pub(super) fn remove(text: &Text, container: &Raw, at: usize) -> String {
    let all = children(container);
    let here = all.get(at).copied().unwrap_or((container.end, container.end));
    let before = at.checked_sub(1).and_then(|at| all.get(at));
    match (all.get(at + 1), before) {
        (Some((next, _)), _) => super::splice(text, here.0, *next, ""),
        (None, Some((_, end))) => remove_last(text, *end, here, container.end),
        (None, None) => super::splice(text, container.start + 1, container.end.saturating_sub(1), ""),
    }
}

/// Removes the last of several: also the comma behind the one before, but not a comment there.
fn remove_last(text: &Text, before: usize, (start, end): (usize, usize), close: usize) -> String {
    let trailing_comma = text.part(end, close).trim_start().starts_with(',');
    let gap = text.part(before, start);
    let comma = before + gap.find(',').unwrap_or(0);
    let own_line = text.part(text.line_start(start), start).trim().is_empty();
    let own_end = text.part(end, text.line_end(end)).trim_matches([',', ' ', '\t']).is_empty();
    let (from, to) =
        if own_line && own_end { (text.line_start(start), text.next_line(end)) } else { (comma + 1, end) };
    if trailing_comma && !own_line {
        return super::splice(text, before, end, "");
    }
    if trailing_comma {
        return super::splice(text, from, to, "");
    }
    format!("{}{}{}", text.part(0, comma), text.part(comma + 1, from), text.from(to))
}
