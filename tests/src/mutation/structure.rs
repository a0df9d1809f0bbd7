//! Mistakes of form: keys, indentation, what stands twice or not at all.

use super::{
    Dice, Mutation, Place,
    roles::{Role, required},
    spots::{Makers, Spot},
};
use keybook_api::Span;
use keybook_source::Node;
use std::collections::BTreeMap;

/// Every mistake of form.
pub fn mutations(makers: &Makers, dice: &mut Dice) -> Vec<Mutation> {
    let mut all = Vec::new();
    for spot in makers.spots {
        all.extend(key_renamed(makers, spot, dice));
        all.extend(key_twice(makers, spot));
        all.extend(key_gone(makers, spot));
        all.extend(argument_gone(makers, spot));
        all.extend(indented(makers, spot));
        all.extend(tab(makers, spot));
        all.extend(input_unused(makers, spot));
    }
    all.extend(ids_twice(makers));
    all
}

/// A key that the language fixes, or the name of an action or argument, with one letter changed or dropped.
fn key_renamed(makers: &Makers, spot: &Spot, dice: &mut Dice) -> Option<Mutation> {
    let key = spot.key.as_ref()?;
    let (kind, code) = match &spot.around {
        Role::Args(_) => ("argument renamed", "unknown-argument"),
        Role::Call => ("action renamed", "unknown-action"),
        Role::Strict("step") if key.name.contains('.') => ("action renamed", "unknown-action"),
        Role::Root(_) | Role::Strict(_) => ("key renamed", "unknown-key"),
        _ => return None,
    };
    let actions: Vec<&str> = makers.registry.names().collect();
    let known = |word: &str| (makers.known)(word) || actions.contains(&word) || word.starts_with('.');
    // A dot that is gone makes a key of another kind.
    let wrong =
        dice.misspell(&key.name, &known).filter(|word| word.contains('.') == key.name.contains('.'))?;
    Some(makers.replace(kind, &key.span, &wrong, code))
}

/// A line or entry that stands twice.
fn key_twice(makers: &Makers, spot: &Spot) -> Option<Mutation> {
    let key = spot.key.as_ref()?;
    let value = &spot.value.span;
    if !spot.simple(makers.text) || value.line != key.span.line {
        return None;
    }
    let entry = format!("{}: {}", makers.text.part(&key.span), makers.text.part(value));
    let length = key.span.length;
    let (text, place) = if spot.flow {
        let column = value.column + value.length;
        let text = makers.text.insert(value.line, column, &format!(", {entry}"));
        (text, Place::Exact(value.line, column + 2, length))
    } else {
        let indent = " ".repeat(key.span.column as usize - 1);
        let text = makers.text.insert(value.line + 1, 1, &format!("{indent}{entry}\n"));
        (text, Place::Exact(value.line + 1, key.span.column, length))
    };
    Some(makers.with("key twice", text, "duplicate-key", place))
}

/// The text without one entry of a map, when it stands on one line that is its own or in a map in brackets.
fn without(makers: &Makers, spot: &Spot) -> Option<String> {
    let (key, value) = (spot.key.as_ref()?, &spot.value.span);
    if !spot.simple(makers.text) || value.line != key.span.line {
        return None;
    }
    let line = key.span.line;
    if !spot.flow {
        let alone = makers.text.line(line).trim_start().starts_with(&key.name);
        return alone.then(|| makers.text.without_line(line));
    }
    let end = value.column + value.length;
    let behind: String = makers.text.line(line).chars().skip(end as usize - 1).collect();
    let more = u32::from(behind.starts_with(", ")) * 2;
    if more == 0 && spot.place > 0 {
        let before: String = makers.text.line(line).chars().take(key.span.column as usize - 1).collect();
        let comma = u32::try_from(before.len() - before.trim_end().len() + 1).unwrap_or(1);
        let column = key.span.column.checked_sub(comma)?;
        return Some(makers.text.with(&Span { column, length: end - column, ..key.span.clone() }, ""));
    }
    let length = end + more - key.span.column;
    Some(makers.text.with(&Span { length, ..key.span.clone() }, ""))
}

/// A required key that is not there: the report points at the first key of its map.
fn key_gone(makers: &Makers, spot: &Spot) -> Option<Mutation> {
    let key = spot.key.as_ref()?;
    if !required(&spot.around).contains(&key.name.as_str()) {
        return None;
    }
    // A scenario takes what it does not say from the one that it extends.
    if spot.path.is_empty() && spot.parent.get("extends").is_some() {
        return None;
    }
    let text = without(makers, spot)?;
    let left = makers.node_at(&text, &spot.path)?;
    let place = Place::of(left.entries()?.first().map_or(&left.span, |(first, _)| &first.span));
    Some(makers.with("required key gone", text, "missing-key", place))
}

/// A required argument that is not there: the report points at the action.
fn argument_gone(makers: &Makers, spot: &Spot) -> Option<Mutation> {
    let (key, Role::Args(action)) = (spot.key.as_ref()?, &spot.around) else { return None };
    let spec = makers.registry.get(action)?.spec();
    spec.args.iter().find(|arg| arg.required && arg.name == key.name)?;
    let text = without(makers, spot)?;
    let (_, outer) = spot.path.split_last()?;
    let around = makers.node_at(&text, outer)?;
    let (action, _) = around.entries()?.iter().find(|(name, _)| name.name == *action)?;
    Some(makers.with("required argument gone", text, "missing-argument", Place::of(&action.span)))
}

/// A line of a map in a block that begins one column too far to the right. Behind a text it goes on with the text, so
/// its `:` is wrong; behind a list or map in a block it fits nothing.
fn indented(makers: &Makers, spot: &Spot) -> Option<Mutation> {
    let key = spot.key.as_ref()?;
    let line = key.span.line;
    let alone = makers.text.line(line).trim_start().starts_with(&key.name);
    if spot.flow || spot.place == 0 || !alone || spot.value.span.line != line {
        return None;
    }
    let text = makers.text.insert(line, 1, " ");
    Some(makers.with("one column too far", text, "yaml-syntax", Place::Line(line)))
}

/// A tab in the place of a line's indentation.
fn tab(makers: &Makers, spot: &Spot) -> Option<Mutation> {
    let key = spot.key.as_ref()?;
    let line = makers.text.line(key.span.line);
    let indent = line.len() - line.trim_start().len();
    if spot.flow || spot.place == 0 || indent == 0 || !line.trim_start().starts_with(&key.name) {
        return None;
    }
    let indent = Span { column: 1, length: u32::try_from(indent).ok()?, ..key.span.clone() };
    let text = makers.text.with(&indent, "\t");
    Some(makers.with("indented by a tab", text, "yaml-tab", Place::Line(key.span.line)))
}

/// One more input, which nothing reads.
fn input_unused(makers: &Makers, spot: &Spot) -> Option<Mutation> {
    let key = spot.key.as_ref().filter(|_| spot.role == Role::Names("input") && !spot.flow)?;
    let first = spot.value.entries()?.first()?.0.span.clone();
    if first.line == key.span.line {
        return None;
    }
    let indent = " ".repeat(first.column as usize - 1);
    let input = format!("{indent}idle: {{ type: int, default: 1 }}\n");
    let text = makers.text.insert(first.line, 1, &input);
    Some(makers.with("unused input", text, "unused-input", Place::Exact(first.line, first.column, 4)))
}

/// The id of a step, once more at a step after it in the same list.
fn ids_twice(makers: &Makers) -> Vec<Mutation> {
    let mut lists: BTreeMap<&[String], Vec<&Node>> = BTreeMap::new();
    for spot in makers.spots.iter().filter(|spot| spot.around == Role::List("step")) {
        lists.entry(&spot.path).or_default().extend(spot.value.get("id"));
    }
    let twice = |ids: &Vec<&Node>| -> Vec<Mutation> {
        let pairs = ids.iter().zip(ids.iter().skip(1));
        pairs
            .map(|(first, second)| {
                let taken = makers.text.part(&first.span);
                makers.replace("id twice", &second.span, taken, "duplicate-id")
            })
            .collect()
    };
    lists.values().flat_map(twice).collect()
}
