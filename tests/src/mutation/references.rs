//! Misspelt names where something is referred to.

use super::{
    Dice, FileKind, Mutation, Place,
    roles::Role,
    spots::{Makers, Spot},
};
use keybook_api::Span;
use keybook_source::{Node, NodeValue};

/// Every misspelt reference.
pub fn mutations(makers: &Makers, kind: FileKind, dice: &mut Dice) -> Vec<Mutation> {
    let mut all = Vec::new();
    for spot in makers.spots {
        if let Some(code) = names(spot) {
            for node in texts(&spot.value) {
                all.extend(value(makers, node, code, dice));
            }
        }
        if kind == FileKind::Answers && spot.around == Role::Names("answer") {
            all.extend(unit(makers, spot, dice));
        }
        if kind == FileKind::Translation {
            all.extend(translated(makers, spot, dice));
        }
    }
    all
}

/// What is reported when the value of this key names nothing that is there.
fn names(spot: &Spot) -> Option<&'static str> {
    Some(match (&spot.around, spot.name()) {
        (Role::Strict("step"), "phase") => "unknown-phase",
        (Role::Strict("step"), "hosts") | (Role::Strict("owes" | "server" | "client"), "on") => {
            "unknown-group"
        }
        (Role::Strict("step"), "use") => "unknown-library",
        (Role::Strict("step"), "settles") => "nothing-owed",
        (Role::Strict("step"), "breaks") | (Role::Strict("client"), "uses") => "unknown-server",
        (Role::Strict("owes"), "what") => "never-settled",
        (Role::Strict("client"), "trusts") | (Role::Strict("server"), "clients") => "unknown-bundle",
        (Role::Strict("requires"), "actions") => "unknown-action",
        (Role::Strict("file" | "daemon" | "command" | "fault"), "hosts") | (Role::Names("members"), _) => {
            "unknown-host"
        }
        (Role::Strict("certificate"), "issuer") | (Role::Strict("file"), "certificate" | "key") => {
            "unknown-certificate"
        }
        (Role::Root(FileKind::Scenario), "extends") => "not-readable",
        _ => return None,
    })
}

/// A text, or the items of a list.
fn texts(value: &Node) -> Vec<&Node> {
    match &value.value {
        NodeValue::List(items) => items.iter().collect(),
        _ => vec![value],
    }
}

fn value(makers: &Makers, node: &Node, code: &'static str, dice: &mut Dice) -> Option<Mutation> {
    let written = makers.text.part(&node.span);
    let bare = written.trim_matches(['"', '\'']);
    // `master[0]`: the group, not the number.
    let name = bare.split(['[', '.']).next()?;
    let at = written.find(name)?;
    let wrong = dice.misspell(name, makers.known)?;
    let wrong = format!("{}{wrong}{}", &written[..at], &written[at + name.len()..]);
    // The library's own use of the texts in quotes: the span is that of the letters inside.
    let mutation = makers.replace("name misspelt", &node.span, &wrong, code);
    let quoted = written.len() != bare.len() && code == "unknown-host" && bare != name;
    if !quoted {
        return Some(mutation);
    }
    let length = u32::try_from(wrong.len() - 2).ok()?;
    Some(Mutation { place: Place::Exact(node.span.line, node.span.column + 1, length), ..mutation })
}

/// The step of a unit: the report points at it, not at the host.
fn unit(makers: &Makers, spot: &Spot, dice: &mut Dice) -> Option<Mutation> {
    let key = spot.key.as_ref()?;
    let (step, _) = key.name.split_once('@')?;
    let wrong = dice.misspell(step, makers.known)?;
    let length = u32::try_from(step.chars().count()).ok()?;
    let span = Span { length, ..key.span.clone() };
    Some(makers.replace("name misspelt", &span, &wrong, "unknown-step"))
}

/// The name of an input, a group, a library or a step that is translated.
fn translated(makers: &Makers, spot: &Spot, dice: &mut Dice) -> Option<Mutation> {
    let key = spot.key.as_ref()?;
    let section = spot.path.first().map_or("", String::as_str);
    let code = match (&spot.around, section) {
        (Role::Names("text"), "inputs") => "unknown-input",
        (Role::Names("text"), "hosts") => "unknown-group",
        (Role::Names("step texts"), _) => "unknown-library",
        (Role::Names("step text"), _) => "unknown-step",
        _ => return None,
    };
    let wrong = dice.misspell(&key.name, makers.known)?;
    Some(makers.replace("name misspelt", &key.span, &wrong, code))
}
