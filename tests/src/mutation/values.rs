//! Values that expressions never have: keys that a result does not have, words that an input never is.

use super::{
    Dice, Mutation,
    roles::Role,
    scripts::{Code, codes, words},
    spots::{Makers, Spot},
};
use keybook_api::returns::Holds;
use keybook_source::Node;

/// Every mistake of this kind.
pub fn mutations(makers: &Makers, dice: &mut Dice) -> Vec<Mutation> {
    let mut all = Vec::new();
    for spot in makers.spots {
        let holds = result_of(makers, spot);
        for code in codes(makers, spot) {
            all.extend(holds.into_iter().flat_map(|holds| stray_keys(makers, &code, holds, dice)));
            all.extend(other_words(makers, &code, dice));
        }
    }
    all
}

/// What `result` holds in the `expect` of a step.
fn result_of(makers: &Makers, spot: &Spot) -> Option<Holds> {
    if spot.around != Role::Strict("step") || spot.name() != "expect" {
        return None;
    }
    let entries = spot.parent.entries()?;
    let (key, args) = entries.iter().find(|(key, _)| key.name.contains('.'))?;
    Some(makers.registry.get(&key.name)?.spec().returns.of_call(|arg| args.get(arg).is_some()))
}

/// `result.KEY`, misspelt.
fn stray_keys(makers: &Makers, code: &Code, holds: Holds, dice: &mut Dice) -> Vec<Mutation> {
    let Holds::Map(keys) = holds else { return Vec::new() };
    let mut all = Vec::new();
    for word in words(code.text) {
        let read = code.text[..word.at].ends_with("result.") && keys.iter().any(|key| key.name == word.text);
        let wrong = read.then(|| dice.misspell(word.text, makers.known)).flatten();
        all.extend(wrong.map(|wrong| {
            let span = code.span(word.at, word.text.len());
            makers.replace("unknown key of a result", &span, &wrong, "unknown-name")
        }));
    }
    all
}

/// `inputs.NAME == "word"`, where the input is one of some words, with another word.
fn other_words(makers: &Makers, code: &Code, dice: &mut Dice) -> Vec<Mutation> {
    let mut all = Vec::new();
    for (at, operator) in ["== \"", "!= \""].iter().flat_map(|sign| code.text.match_indices(sign)) {
        let from = at + operator.len();
        let name = code.text[..at].trim_end().rsplit([' ', '(', '!']).next().unwrap_or_default();
        let word = code.text[from..].split('"').next().unwrap_or_default();
        if !name.strip_prefix("inputs.").is_some_and(|name| is_enum(makers, name)) {
            continue;
        }
        all.extend(dice.misspell(word, makers.known).map(|wrong| {
            let span = code.span(from - 1, word.len() + 2);
            makers.replace("word that an input never is", &span, &format!("\"{wrong}\""), "wrong-value")
        }));
    }
    all
}

fn is_enum(makers: &Makers, input: &str) -> bool {
    let kind = |spot: &&Spot| spot.path == ["inputs", input] && spot.name() == "type";
    let text = |node: &Node| node.as_text().is_some_and(|text| text.as_str() == "enum");
    makers.spots.iter().find(kind).is_some_and(|spot| text(&spot.value))
}
