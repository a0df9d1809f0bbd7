//! Where in the text an edit has to be made.

use super::{EditError, Step, model};
use crate::{
    Problems, parse,
    text::Text,
    tree::{Item, Kind, Raw},
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

/// A child on the way, or the edit that the way ends with.
enum Next<'r> {
    Child(&'r Raw, Embed),
    End(Op<'r>),
}

/// Finds the place of a set. The path fits the document: the model was set first.
pub(super) fn set<'r>(text: &Text, root: &'r Raw, path: &[Step], value: &Value) -> Result<Op<'r>, EditError> {
    let (mut node, mut embed) = (root, Embed::Root);
    for depth in 0..path.len() {
        match next(text, node, embed, path, depth, value)? {
            Next::Child(child, inside) => (node, embed) = (child, inside),
            Next::End(op) => return Ok(op),
        }
    }
    if let Kind::Alias { .. } = node.kind {
        return Err(aliased(path, path.len().saturating_sub(1)));
    }
    Ok(Op::Replace { node, embed, value: value.clone() })
}

fn next<'r>(
    text: &Text,
    node: &'r Raw,
    embed: Embed,
    path: &[Step],
    depth: usize,
    value: &Value,
) -> Result<Next<'r>, EditError> {
    match (&node.kind, path.get(depth)) {
        (Kind::Alias { .. }, _) => Err(aliased(path, depth)),
        // The model allows this only for null.
        (Kind::Scalar(_), _) => {
            Ok(Next::End(Op::Replace { node, embed, value: model::grow(path, depth, value)? }))
        }
        (Kind::Map { entries, flow }, Some(Step::Key(key))) => {
            let Some(entry) = entries.iter().find(|entry| key_text(&entry.key) == Some(key)) else {
                let value = model::grow(path, depth + 1, value)?;
                return Ok(Next::End(Op::Append { container: node, embed, key: Some(key.clone()), value }));
            };
            let slot = entry.slot;
            let block = || Embed::Entry { slot, column: column(text, entry.key.start) };
            Ok(Next::Child(&entry.value, if *flow { Embed::Flow { json: is_json(node) } } else { block() }))
        }
        (Kind::Map { .. }, _) => Err(model::fail(path, depth, "expected a list")),
        (Kind::List { items, flow }, _) => {
            let Some(item) = found(text, items, path, depth)?.and_then(|at| items.get(at)) else {
                let value = model::item(path, depth, value)?;
                return Ok(Next::End(Op::Append { container: node, embed, key: None, value }));
            };
            let block = || Embed::Item { slot: item.slot, column: column(text, node.start) };
            let inside = if *flow { Embed::Flow { json: is_json(node) } } else { block() };
            let whole = match path.get(depth) {
                Some(Step::Prefix(_)) => true,
                Some(Step::Match { .. }) => depth + 1 == path.len(),
                _ => false,
            };
            if !whole {
                return Ok(Next::Child(&item.value, inside));
            }
            let value = model::item(path, depth, value)?;
            Ok(Next::End(Op::Replace { node: &item.value, embed: inside, value }))
        }
    }
}

/// The item of a list that a step means.
fn found(text: &Text, items: &[Item], path: &[Step], depth: usize) -> Result<Option<usize>, EditError> {
    let values: Vec<Value> = items.iter().map(|item| value_of(text, &item.value)).collect();
    let Some(step) = path.get(depth) else { return Ok(None) };
    model::find(&values, step, path, depth)
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
        (Kind::List { items, .. }, _) => found(text, items, path, depth)?,
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
    let double =
        |raw: &Raw| matches!(&raw.kind, Kind::Scalar(scalar) if scalar.style == crate::scalar::Style::Double);
    match &raw.kind {
        Kind::Map { entries, .. } => !entries.is_empty() && entries.iter().all(|entry| double(&entry.key)),
        Kind::List { items, .. } => items.iter().any(|item| double(&item.value)),
        _ => false,
    }
}
