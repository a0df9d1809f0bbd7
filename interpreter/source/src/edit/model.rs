//! What an edit means, on values without their text.

use super::{EditError, Step, format_path};
use keybook_api::{Map, Value};

/// Sets the value at a path.
pub(super) fn set(root: &mut Value, path: &[Step], value: &Value) -> Result<(), EditError> {
    set_at(root, path, 0, value)
}

fn set_at(node: &mut Value, path: &[Step], depth: usize, value: &Value) -> Result<(), EditError> {
    let Some(step) = path.get(depth) else {
        *node = value.clone();
        return Ok(());
    };
    if matches!(node, Value::Null) {
        *node = grow(path, depth, value)?;
        return Ok(());
    }
    match (step, node) {
        (Step::Key(key), Value::Map(map)) => match map.get_mut(key) {
            Some(child) => set_at(child, path, depth + 1, value),
            None => {
                map.insert(key.clone(), grow(path, depth + 1, value)?);
                Ok(())
            }
        },
        (Step::Key(_), other) => Err(mismatch(path, depth, "a map", other)),
        (step, Value::List(list)) => {
            let length = list.len();
            let at = find(list, step, path, depth)?.unwrap_or(length);
            match (list.get_mut(at), step) {
                (Some(item), Step::Prefix(prefix)) => *item = prefixed(prefix, value)?,
                (Some(item), Step::Match { key, value: text }) if path.len() == depth + 1 => {
                    *item = matched(key, text, path, depth, value)?;
                }
                (Some(item), _) => return set_at(item, path, depth + 1, value),
                (None, Step::Index(index)) if *index > length => {
                    let message = format!("the list has {length} items");
                    return Err(fail(path, depth, &message));
                }
                (None, _) => list.push(item(path, depth, value)?),
            }
            Ok(())
        }
        (_, other) => Err(mismatch(path, depth, "a list", other)),
    }
}

/// Removes the value at a path. False when there is none.
pub(super) fn remove(node: &mut Value, path: &[Step], depth: usize) -> Result<bool, EditError> {
    let Some(step) = path.get(depth) else {
        return Err(EditError::new("the path is empty"));
    };
    let last = depth + 1 == path.len();
    match (step, node) {
        (_, Value::Null) => Ok(false),
        (Step::Key(key), Value::Map(map)) => match map.get_mut(key) {
            None => Ok(false),
            Some(_) if last => Ok(map.shift_remove(key).is_some()),
            Some(child) => remove(child, path, depth + 1),
        },
        (Step::Key(_), other) => Err(mismatch(path, depth, "a map", other)),
        (step, Value::List(list)) => match find(list, step, path, depth)?.filter(|at| *at < list.len()) {
            None => Ok(false),
            Some(at) if last => {
                list.remove(at);
                Ok(true)
            }
            Some(at) => list.get_mut(at).map_or(Ok(false), |child| remove(child, path, depth + 1)),
        },
        (_, other) => Err(mismatch(path, depth, "a list", other)),
    }
}

/// The value at a path.
pub(super) fn get<'v>(root: &'v Value, path: &[Step]) -> Result<Option<&'v Value>, EditError> {
    let mut node = root;
    for (depth, step) in path.iter().enumerate() {
        let child = match (step, node) {
            (_, Value::Null) => None,
            (Step::Key(key), Value::Map(map)) => map.get(key),
            (Step::Key(_), other) => return Err(mismatch(path, depth, "a map", other)),
            (step, Value::List(list)) => find(list, step, path, depth)?.and_then(|at| list.get(at)),
            (_, other) => return Err(mismatch(path, depth, "a list", other)),
        };
        match child {
            Some(child) => node = child,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

/// The place of a list's item that a step means. More than one is an error.
pub(super) fn find(
    list: &[Value],
    step: &Step,
    path: &[Step],
    depth: usize,
) -> Result<Option<usize>, EditError> {
    let fits = |item: &Value| match step {
        Step::Match { key, value } => item.get(key).is_some_and(|found| found.to_string() == *value),
        Step::Prefix(prefix) => item.as_str().is_some_and(|text| text.starts_with(prefix.as_str())),
        Step::Key(_) | Step::Index(_) => false,
    };
    if let Step::Index(index) = step {
        return Ok(Some(*index));
    }
    let mut found = list.iter().enumerate().filter(|(_, item)| fits(item)).map(|(at, _)| at);
    let first = found.next();
    match found.count() {
        0 => Ok(first),
        more => Err(fail(path, depth, &format!("{} items of the list fit", more + 1))),
    }
}

/// What must be inserted where the rest of a path leads into nothing.
pub(super) fn grow(path: &[Step], depth: usize, value: &Value) -> Result<Value, EditError> {
    match path.get(depth) {
        None => Ok(value.clone()),
        Some(Step::Key(key)) => {
            Ok(Value::Map(Map::from_iter([(key.clone(), grow(path, depth + 1, value)?)])))
        }
        Some(Step::Index(index)) if *index > 0 => Err(fail(path, depth, "the list has 0 items")),
        Some(_) => Ok(Value::List(vec![item(path, depth, value)?])),
    }
}

/// The list item that a step creates.
pub(super) fn item(path: &[Step], depth: usize, value: &Value) -> Result<Value, EditError> {
    match path.get(depth) {
        Some(Step::Prefix(prefix)) => prefixed(prefix, value),
        Some(Step::Match { key, value: text }) => matched(key, text, path, depth, value),
        _ => grow(path, depth + 1, value),
    }
}

/// The text that a prefix step sets.
pub(super) fn prefixed(prefix: &str, value: &Value) -> Result<Value, EditError> {
    match value {
        Value::Text(text) if text.starts_with(prefix) => {
            Err(EditError::new(format!("give only what follows `{prefix}`")))
        }
        Value::Text(_) | Value::Int(_) | Value::Bool(_) | Value::Float(_) => {
            Ok(Value::Text(format!("{prefix}{value}")))
        }
        other => {
            Err(EditError::new(format!("what follows `{prefix}` must be text, not a {}", other.type_name())))
        }
    }
}

/// The map that a match step sets or creates.
pub(super) fn matched(
    key: &str,
    text: &str,
    path: &[Step],
    depth: usize,
    value: &Value,
) -> Result<Value, EditError> {
    let mut fresh = Value::Map(Map::from_iter([(key.to_owned(), Value::from(text))]));
    if depth + 1 < path.len() {
        set_at(&mut fresh, path, depth + 1, value)?;
        return Ok(fresh);
    }
    match (value, &mut fresh) {
        (Value::Map(given), Value::Map(fresh)) => {
            if given.get(key).is_some_and(|own| own.to_string() != text) {
                return Err(fail(path, depth, &format!("the new item has another `{key}`")));
            }
            fresh.extend(given.iter().map(|(name, item)| (name.clone(), item.clone())));
        }
        (other, _) => {
            return Err(fail(
                path,
                depth,
                &format!("the new item must be a map, not a {}", other.type_name()),
            ));
        }
    }
    Ok(fresh)
}

pub(super) fn fail(path: &[Step], depth: usize, why: &str) -> EditError {
    let upto = path.get(..=depth).unwrap_or(path);
    EditError::new(format!("at `{}`: {why}", format_path(upto)))
}

fn mismatch(path: &[Step], depth: usize, wanted: &str, got: &Value) -> EditError {
    fail(path, depth, &format!("expected {wanted}, found a {}", got.type_name()))
}

/// Equality by which a result is verified: as [`Value`]'s, but NaN equals itself.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a == b || a.is_nan() && b.is_nan(),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}
