//! Inputs: type, bounds, default.

use super::{Decoder, strings};
use crate::model::{
    Input, InputKind,
    input::{Pattern, TYPES},
};
use keybook_api::Diagnostic;
use keybook_source::{Key, MapReader, Node, Problems, read};

impl Decoder<'_> {
    pub(super) fn input(&mut self, node: &Node) -> Option<Input> {
        let problems = &mut self.problems;
        let mut map = MapReader::new(node, "an input", problems)?;
        let kind = map.required("type", problems);
        let [default, optional, help] = ["default", "optional", "help"].map(|key| map.optional(key));
        let [values, pattern, min, max] = ["values", "pattern", "min", "max"].map(|key| map.entry(key));
        map.finish(problems);
        let word = read::enum_word(kind?, &TYPES, "input type", problems)?;
        if word == "enum" && values.is_none() {
            let problem =
                Diagnostic::error("missing-key", "an enum needs the key `values`", node.span.clone());
            problems.push(problem.help("the words that it may be: `values: [one, two]`"));
            return None;
        }
        for (entry, types) in [
            (values, &["enum"][..]),
            (pattern, &["string"]),
            (min, &["int", "duration"]),
            (max, &["int", "duration"]),
        ] {
            goes_with(entry, word, types, problems);
        }
        let kind = match word {
            "int" => InputKind::Int,
            "bool" => InputKind::Bool,
            "enum" => InputKind::Enum(values.map(|(_, n)| strings(n, problems)).unwrap_or_default()),
            "path" => InputKind::Path,
            "duration" => InputKind::Duration,
            "host" => InputKind::Host,
            "list" => InputKind::List,
            "secret" => InputKind::Secret,
            _ => InputKind::Text,
        };
        let mut bound = |entry: Option<&(Key, Node)>| read_bound(&kind, &entry?.1, problems);
        let bounds = [bound(min), bound(max)];
        if let ([Some(least), Some(most)], Some((_, node))) = (bounds, max)
            && least > most
        {
            let problem =
                Diagnostic::error("empty-range", "no value fits: `max` is below `min`", node.span.clone());
            problems.push(problem);
        }
        let mut input = Input {
            kind,
            default: None,
            optional: optional.and_then(|n| read::bool(n, problems)).unwrap_or(false),
            help: help.and_then(|n| read::string(n, problems)).unwrap_or_default(),
            min: bounds[0],
            max: bounds[1],
            pattern: pattern.and_then(|(_, n)| read_pattern(n, problems)),
            span: node.span.clone(),
        };
        // Words that could not be read are wrong already; nobody can say whether the default is one of them.
        let unread = match (&input.kind, values) {
            (InputKind::Enum(words), Some((_, node))) => {
                node.items().is_some_and(|items| items.len() > words.len())
            }
            _ => false,
        };
        if let Some(node) = default.filter(|_| !unread) {
            match input.check(node.to_value()) {
                Ok(value) => input.default = Some(value),
                Err(why) => problems.push(Diagnostic::error("wrong-type", why, node.span.clone())),
            }
        }
        Some(input)
    }
}

/// A key that means something only for some types is not silently ignored beside another.
fn goes_with(entry: Option<&(Key, Node)>, word: &str, types: &[&str], problems: &mut Problems) {
    let Some((key, _)) = entry.filter(|_| !types.contains(&word)) else { return };
    let message = format!("`{}` means nothing for the type `{word}`", key.name);
    let types: Vec<String> = types.iter().map(|one| format!("`{one}`")).collect();
    let advice = format!("it goes with the type {}", types.join(" or "));
    problems.push(Diagnostic::error("wrong-input-key", message, key.span.clone()).help(advice));
}

/// A number; a duration in milliseconds.
fn read_bound(kind: &InputKind, node: &Node, problems: &mut Problems) -> Option<i64> {
    match kind {
        InputKind::Int => read::int(node, i64::MIN..=i64::MAX, problems),
        InputKind::Duration => {
            let millis = read::duration(node, problems)?.as_millis();
            Some(i64::try_from(millis).unwrap_or(i64::MAX))
        }
        _ => None,
    }
}

fn read_pattern(node: &Node, problems: &mut Problems) -> Option<Pattern> {
    let written = read::string(node, problems)?;
    Pattern::new(&written)
        .map_err(|why| {
            let message = format!("`{written}` is no regular expression: {why}");
            problems.push(Diagnostic::error("bad-pattern", message, node.span.clone()));
        })
        .ok()
}
