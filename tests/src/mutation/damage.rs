//! Values of another type, and words, durations, modes and truth values that are none.

use super::{
    Dice, Mutation,
    roles::{Role, Wants, wants},
    spots::{Makers, Spot},
};
use keybook_api::ArgKind;
use keybook_source::NodeValue;

/// Every damaged value.
pub fn mutations(makers: &Makers, dice: &mut Dice) -> Vec<Mutation> {
    let simple = makers.spots.iter().filter(|spot| spot.simple(makers.text));
    simple
        .flat_map(|spot| [typed(makers, spot, dice), argument(makers, spot), item(makers, spot)])
        .flatten()
        .collect()
}

/// A value of a key that the language fixes.
fn typed(makers: &Makers, spot: &Spot, dice: &mut Dice) -> Option<Mutation> {
    let span = &spot.value.span;
    if let (Role::Strict("input"), "default") = (&spot.around, spot.name()) {
        return default(makers, spot);
    }
    if let Some(damaged) = scenario_word(makers, spot) {
        return Some(damaged);
    }
    Some(match wants(&spot.around, spot.name())? {
        Wants::Text => makers.replace("list for a text", span, "[1, 2]", "wrong-type"),
        Wants::Int => makers.replace("text for a number", span, "many", "wrong-type"),
        Wants::Bool => {
            let word = ["yes", "ture", "off", "1"][dice.below(4)];
            makers.replace("word for true or false", span, word, "wrong-type")
        }
        Wants::Duration => {
            let (word, code) =
                [("30 sec", "bad-duration"), ("30", "wrong-type"), ("1x", "bad-duration")][dice.below(3)];
            makers.replace("damaged duration", span, word, code)
        }
        Wants::Map => makers.replace("text for a map", span, "odd", "wrong-type"),
        Wants::Expr if matches!(spot.value.value, NodeValue::List(_)) => return None,
        Wants::Expr => makers.replace("map for an expression", span, "{ odd: 1 }", "wrong-type"),
        Wants::Word if matches!(spot.value.value, NodeValue::Map(_)) => return None,
        Wants::Word => {
            let known = |word: &str| (makers.known)(word);
            let wrong = dice.misspell(makers.text.part(span), &known)?;
            makers.replace("word changed", span, &wrong, "unknown-word")
        }
    })
}

/// The default of an input, by its type.
fn default(makers: &Makers, spot: &Spot) -> Option<Mutation> {
    let kind = spot.parent.get("type")?.as_text()?;
    let wrong = match kind.as_str() {
        "int" => "many",
        "duration" => "30 sec",
        "path" => "not/from/the/root",
        "bool" => "yes",
        _ => "7",
    };
    Some(makers.replace("default of another type", &spot.value.span, wrong, "wrong-type"))
}

/// The small words of a scenario.
fn scenario_word(makers: &Makers, spot: &Spot) -> Option<Mutation> {
    let (kind, new, code) = match (&spot.around, spot.name()) {
        (Role::Strict("file"), "mode") => ("damaged mode", "\"0888\"", "bad-mode"),
        (Role::Strict("file"), "owner") => ("damaged owner", "root", "bad-owner"),
        (Role::Strict("file"), "path") => ("damaged path", "srv/x", "bad-path"),
        (Role::Strict("valid"), _) => ("damaged date", "soon", "bad-date"),
        (Role::Root(_), "keybook") => ("another language version", "7", "language-version"),
        _ => return None,
    };
    Some(makers.replace(kind, &spot.value.span, new, code))
}

/// The value of an action's argument, by its kind.
fn argument(makers: &Makers, spot: &Spot) -> Option<Mutation> {
    let (key, Role::Args(action)) = (spot.key.as_ref()?, &spot.around) else { return None };
    let spec = makers.registry.get(action)?.spec();
    let arg = spec.args.iter().find(|arg| arg.name == key.name)?;
    let (kind, wrong) = match arg.kind {
        ArgKind::Text | ArgKind::Path => ("argument of another type", "7"),
        ArgKind::Int => ("argument of another type", "many"),
        ArgKind::Bool => ("argument of another type", "yes"),
        ArgKind::Duration => ("damaged duration", "30 sec"),
        ArgKind::Mode => ("damaged mode", "\"0888\""),
        ArgKind::Texts | ArgKind::List => ("argument of another type", "{ odd: 1 }"),
        ArgKind::Map => ("argument of another type", "odd"),
        ArgKind::Enum(_) => ("word changed", "odd"),
        ArgKind::Secret | ArgKind::TextOrSecret | ArgKind::Any => return None,
    };
    Some(makers.replace(kind, &spot.value.span, wrong, "wrong-type"))
}

/// An item of the steps: not a map.
fn item(makers: &Makers, spot: &Spot) -> Option<Mutation> {
    let Role::List(_) = &spot.around else { return None };
    Some(makers.replace("text for a map", &spot.value.span, "odd", "wrong-type"))
}
