//! Readers for scalars and lists: each reports a wrong type at the value's own place and returns `None`.

use crate::{
    LANGUAGE, Node, NodeValue, Problems,
    map_reader::with_article,
    suggest,
    surprise::{old_bool, surprises},
};
use keybook_api::{Diagnostic, SourceText, Span};
use std::{ops::RangeInclusive, time::Duration};

/// The longest name that [`identifier`] takes.
pub const MAX_IDENTIFIER: usize = 64;

fn wrong(node: &Node, expected: &str) -> Diagnostic {
    Diagnostic::error(
        "wrong-type",
        format!("expected {expected}, this is {}", with_article(node.type_name())),
        node.span.clone(),
    )
}

/// Text, with its places. Numbers, truth values and null are not taken for text; the advice is to quote them.
pub fn text<'n>(node: &'n Node, problems: &mut Problems) -> Option<&'n SourceText> {
    if let Some(text) = node.as_text() {
        return Some(text);
    }
    let problem = wrong(node, "text");
    problems.push(match &node.plain {
        Some(written) => problem.help(format!("put it in quotes: \"{}\"", written.as_str())),
        None => problem,
    });
    None
}

/// Text without its places.
pub fn string(node: &Node, problems: &mut Problems) -> Option<String> {
    text(node, problems).map(|text| text.as_str().to_owned())
}

/// The letters of an expression: text of any style, or an unquoted truth value or number (`when: true`).
pub fn expression<'n>(node: &'n Node, problems: &mut Problems) -> Option<&'n SourceText> {
    let written = if node.is_null() { None } else { node.as_written() };
    if written.is_none() {
        problems.push(wrong(node, "an expression"));
    }
    written
}

/// `true` or `false`.
pub fn bool(node: &Node, problems: &mut Problems) -> Option<bool> {
    if let NodeValue::Bool(truth) = node.value {
        return Some(truth);
    }
    let problem = wrong(node, "true or false");
    let meant = node.as_text().and_then(|text| {
        let lower = text.as_str().to_ascii_lowercase();
        old_bool(&lower).or(lower.parse().ok())
    });
    problems.push(match meant {
        Some(truth) => problem.help(format!("write {truth}")),
        None => problem,
    });
    None
}

/// The value of `keybook`: the language version that a file is written in. `None` when it is another one.
pub fn language(node: &Node, problems: &mut Problems) -> Option<()> {
    let problem = match node.value {
        NodeValue::Int(LANGUAGE) => return Some(()),
        NodeValue::Int(other) => {
            let message = format!("this file is written in language version {other}");
            Diagnostic::error("language-version", message, node.span.clone())
                .label(format!("this program reads version {LANGUAGE}"))
        }
        _ => {
            let message = format!("expected a language version, this is {}", with_article(node.type_name()));
            Diagnostic::error("language-version", message, node.span.clone())
                .help(format!("write `keybook: {LANGUAGE}`"))
        }
    };
    problems.push(problem);
    None
}

/// A whole number within bounds.
pub fn int(node: &Node, range: RangeInclusive<i64>, problems: &mut Problems) -> Option<i64> {
    let NodeValue::Int(number) = node.value else {
        let problem = wrong(node, "a whole number");
        let meant = node.as_text().and_then(|text| text.as_str().replace('_', "").parse::<i64>().ok());
        problems.push(match meant {
            Some(number) => problem.help(format!("write {number}, without quotes")),
            None => problem,
        });
        return None;
    };
    if range.contains(&number) {
        return Some(number);
    }
    let message = if *range.end() == i64::MAX {
        format!("{number} is too small; the least is {}", range.start())
    } else {
        format!("{number} is out of range; write {} to {}", range.start(), range.end())
    };
    problems.push(Diagnostic::error("out-of-range", message, node.span.clone()));
    None
}

/// A duration such as `30s` or `1h30m` (see [`keybook_api::duration::parse`]).
pub fn duration(node: &Node, problems: &mut Problems) -> Option<Duration> {
    if let NodeValue::Int(number) = node.value {
        problems.push(
            wrong(node, "a duration")
                .help(format!("add the unit: {number}s, {number}m, {number}h or {number}ms")),
        );
        return None;
    }
    let Some(written) = node.as_text() else {
        problems.push(wrong(node, "a duration such as 30s"));
        return None;
    };
    match keybook_api::duration::parse(written.as_str()) {
        Ok(duration) => Some(duration),
        Err(why) => {
            problems.push(Diagnostic::error("bad-duration", why, node.span.clone()));
            None
        }
    }
}

/// The items of a list.
pub fn list<'n>(node: &'n Node, problems: &mut Problems) -> Option<Vec<&'n Node>> {
    let items = node.items();
    if items.is_none() {
        problems.push(wrong(node, "a list").help("write `- ` before each item, or [a, b]"));
    }
    items.map(|items| items.iter().collect())
}

/// A list of texts; a single text counts as a list of one. `None` when any item is no text.
pub fn strings<'n>(node: &'n Node, problems: &mut Problems) -> Option<Vec<&'n SourceText>> {
    if let Some(single) = node.as_text() {
        return Some(vec![single]);
    }
    let Some(items) = node.items() else {
        problems.push(wrong(node, "text or a list of texts"));
        return None;
    };
    let texts: Vec<_> = items.iter().filter_map(|item| text(item, problems)).collect();
    (texts.len() == items.len()).then_some(texts)
}

/// One of some words. `what` names them in messages, such as `order`.
pub fn enum_word<'w>(node: &Node, words: &[&'w str], what: &str, problems: &mut Problems) -> Option<&'w str> {
    let all = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let Some(written) = node.as_written().map(SourceText::as_str) else {
        problems.push(wrong(node, &format!("one of {all}")));
        return None;
    };
    let found = words.iter().find(|word| **word == written).copied();
    if found.is_none() {
        let problem =
            Diagnostic::error("unknown-word", format!("`{written}` is no {what}"), node.span.clone());
        let advice = suggest(written, words.iter().copied()).unwrap_or_else(|| format!("one of {all}"));
        problems.push(problem.help(advice));
    }
    found
}

/// A name: a lower-case letter or digit, then lower-case letters, digits, `-` and `_`; at most 64.
/// `what` names it in messages, such as `step id`.
pub fn identifier(node: &Node, what: &str, problems: &mut Problems) -> Option<String> {
    let written = text(node, problems)?;
    if check_identifier(written.as_str(), what, &node.span, problems) {
        return Some(written.as_str().to_owned());
    }
    None
}

/// Checks a name as [`identifier`] does; for keys of maps. False when it was reported.
pub fn check_identifier(name: &str, what: &str, span: &Span, problems: &mut Problems) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = name.starts_with(letter)
        && name.len() <= MAX_IDENTIFIER
        && name.chars().all(|c| letter(c) || matches!(c, '-' | '_'));
    if fits {
        return true;
    }
    let problem = Diagnostic::error("bad-name", format!("`{name}` is no {what}"), span.clone());
    let mut better: String = name
        .to_lowercase()
        .chars()
        .map(|c| if letter(c) || matches!(c, '-' | '_') { c } else { '-' })
        .collect();
    better.truncate(MAX_IDENTIFIER);
    let better = better.trim_matches(['-', '_']);
    let rule = "lower-case letters, digits, `-` and `_`, at most 64, beginning with a letter or digit";
    problems.push(if better.is_empty() {
        problem.help(format!("use {rule}"))
    } else {
        problem.help(format!("use {rule}; for example `{better}`"))
    });
    false
}

/// Adds the [`surprises`] of a document that was read: not those of values that something is wrong with anyway.
pub fn warn_surprises(root: &Node, problems: &mut Problems) {
    let known: Vec<Span> = problems.as_slice().iter().map(|problem| problem.span.clone()).collect();
    problems.extend(surprises(root).into_iter().filter(|found| !known.contains(&found.span)));
}
