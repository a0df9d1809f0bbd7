//! Where in the text an edit has to be made.

use super::{EditError, Step, model};
use crate::{
    Problems, parse,
    text::Text,
    tree::{Kind, Raw},
};
use keybook_api::Value;

/// What surrounds a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Embed {
    /// Nothing: it is the document.
    Root,
    /// A block map's entry: behind its `:`, and the column of its key (from 0).
    Entry { slot: Option<usize>, column: usize },
    /// A block list's item: behind its `-`, and the column of the `-` (from 0).
    Item { slot: Option<usize>, column: usize },
    /// Brackets; `json` when their keys or texts are in double quotes.
    Flow { json: bool },
}

/// An edit at its place.
#[derive(Debug)]
pub(super) enum Op<'r> {
    Replace { node: &'r Raw, embed: Embed, value: Value },
    Append { container: &'r Raw, embed: Embed, key: Option<String>, value: Value },
    Remove { container: &'r Raw, embed: Embed, at: usize },
}

/// Finds the place of a set. The path fits the document: the model was set first.
pub(super) fn set<'r>(text: &Text, root: &'r Raw, path: &[Step], value: &Value) -> Result<Op<'r>, EditError> {
    let (mut node, mut embed) = (root, Embed::Root);
    for (depth, step) in path.iter().enumerate() {
        match &node.kind {
            Kind::Alias { .. } => return Err(aliased(path, depth)),
            // The model allows this only for null.
            Kind::Scalar(_) => return Ok(Op::Replace { node, embed, value: model::grow(path, depth, value)? }),
            Kind::Map { entries, flow } => {
                let Step::Key(key) = step else { return Err(model::fail(path, depth, "expected a list")) };
                let Some(entry) = entries.iter().find(|entry| key_text(&entry.key) == Some(key)) else {
                    let value = model::grow(path, depth + 1, value)?;
                    return Ok(Op::Append { container: node, embed, key: Some(key.clone()), value });
                };
                embed = if *flow {
                    Embed::Flow { json: is_json(node) }
                } else {
                    Embed::Entry { slot: entry.slot, column: column(text, entry.key.start) }
                };
                node = &entry.value;
            }
            Kind::List { items, flow } => {
                let values: Vec<Value> = items.iter().map(|item| value_of(text, &item.value)).collect();
                let found = model::find(&values, step, path, depth)?.and_then(|at| items.get(at));
                let Some(item) = found else {
                    let value = model::item(path, depth, value)?;
                    return Ok(Op::Append { container: node, embed, key: None, value });
                };
                embed = if *flow {
                    Embed::Flow { json: is_json(node) }
                } else {
                    Embed::Item { slot: item.slot, column: column(text, node.start) }
                };
                node = &item.value;
                let own = match step {
                    Step::Prefix(prefix) => Some(model::prefixed(prefix, value)?),
                    Step::Match { key, value: name } if depth + 1 == path.len() => {
                        Some(model::matched(key, name, path, depth, value)?)
                    }
                    _ => None,
                };
                if let Some(value) = own {
                    return Ok(Op::Replace { node, embed, value });
                }
            }
        }
    }
    if let Kind::Alias { .. } = node.kind {
        return Err(aliased(path, path.len().saturating_sub(1)));
    }
    Ok(Op::Replace { node, embed, value: value.clone() })
}

/// Finds the place of a removal, which the model has made already.
pub(super) fn remove<'r>(text: &Text, root: &'r Raw, path: &[Step]) -> Result<Op<'r>, EditError> {
    let Some((last, parents)) = path.split_last() else { return Err(EditError::new("the path is empty")) };
    let depth = parents.len();
    let (container, embed) = match set(text, root, parents, &Value::Null)? {
        Op::Replace { node, embed, .. } => (node, embed),
        _ => return Err(model::fail(path, depth, "there is nothing to remove")),
    };
    let at = match (&container.kind, last) {
        (Kind::Alias { .. }, _) => return Err(aliased(path, depth)),
        (Kind::Map { entries, .. }, Step::Key(key)) => {
            entries.iter().position(|entry| key_text(&entry.key) == Some(key))
        }
        (Kind::List { items, .. }, step) => {
            let values: Vec<Value> = items.iter().map(|item| value_of(text, &item.value)).collect();
            model::find(&values, step, path, depth)?
        }
        _ => None,
    };
    let at = at.ok_or_else(|| model::fail(path, depth, "there is nothing to remove"))?;
    Ok(Op::Remove { container, embed, at })
}

fn aliased(path: &[Step], depth: usize) -> EditError {
    model::fail(path, depth, "this is an alias (`*name`); edit the value at its anchor (`&name`)")
}

pub(super) fn key_text(key: &Raw) -> Option<&String> {
    match &key.kind {
        Kind::Scalar(scalar) => Some(&scalar.text),
        Kind::Alias { target: Some(target) } => key_text(target),
        _ => None,
    }
}

pub(super) fn value_of(text: &Text, raw: &Raw) -> Value {
    parse::convert(text, raw, &mut Problems::default()).to_value()
}

/// Columns before a place, from 0.
pub(super) fn column(text: &Text, at: usize) -> usize {
    (text.place(at).1 as usize).saturating_sub(1)
}

/// Brackets whose keys (or first text) stand in double quotes, as JSON's do.
pub(super) fn is_json(raw: &Raw) -> bool {
    let double = |raw: &Raw| matches!(&raw.kind, Kind::Scalar(scalar) if scalar.style == crate::scalar::Style::Double);
    match &raw.kind {
        Kind::Map { entries, .. } => !entries.is_empty() && entries.iter().all(|entry| double(&entry.key)),
        Kind::List { items, .. } => items.iter().any(|item| double(&item.value)),
        _ => false,
    }
}
