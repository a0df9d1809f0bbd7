//! Unquoted words that other YAML readers, or people, read differently.

use crate::{Node, NodeValue};
use keybook_api::Diagnostic;

/// Warnings (`yaml-surprise`) for unquoted values that probably mean something else than they say: YAML 1.1
/// truth values (`yes`, `on`), octal numbers (`0644`), numbers with an exponent that look like names (`1e3`),
/// base-60 numbers (`12:30`), underscores in numbers. Each says what it is here and how to write what was meant.
/// Keys are text in any case and are not looked at.
pub fn surprises(node: &Node) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    collect(node, &mut found);
    found
}

fn collect(node: &Node, found: &mut Vec<Diagnostic>) {
    match &node.value {
        NodeValue::List(items) => items.iter().for_each(|item| collect(item, found)),
        NodeValue::Map(entries) => entries.iter().for_each(|(_, value)| collect(value, found)),
        _ => {
            if let Some((message, help)) = node.plain.as_ref().and_then(|text| surprise(text.as_str(), node))
            {
                found.push(Diagnostic::warning("yaml-surprise", message, node.span.clone()).help(help));
            }
        }
    }
}

/// What is surprising about an unquoted scalar, and what to write instead.
pub(crate) fn surprise(text: &str, node: &Node) -> Option<(String, String)> {
    let lower = text.to_ascii_lowercase();
    match &node.value {
        NodeValue::Text(_) => surprising_text(text, &lower),
        NodeValue::Float(_) if lower.contains('e') && !lower.contains('.') => Some((
            format!("`{text}` is a number here"),
            format!("write \"{text}\" if text is meant, or the number with a point"),
        )),
        NodeValue::Int(number) if lower.trim_start_matches(['+', '-']).starts_with("0o") => Some((
            format!("`{text}` is the number {number} here"),
            format!("write {number}, or \"{text}\" if a file mode is meant"),
        )),
        _ => None,
    }
}

fn surprising_text(text: &str, lower: &str) -> Option<(String, String)> {
    if let Some(truth) = old_bool(lower) {
        return Some((
            format!("`{text}` is text here, not {truth}"),
            format!("write {truth}, or \"{text}\" if text is meant"),
        ));
    }
    let number = |which: &str| format!("`{text}` is text here; other readers take it for a number{which}");
    let digits = text.trim_start_matches(['+', '-']);
    if digits.len() > 1 && digits.starts_with('0') && all_digits(digits) {
        return Some((number(", often octal"), format!("write \"{text}\"")));
    }
    let sixties = digits.contains(':') && digits.split(':').all(|part| all_digits(part) && part.len() <= 2);
    if sixties {
        return Some((number(" of base 60"), format!("write \"{text}\"")));
    }
    let bare = text.replace('_', "");
    if bare.len() < text.len() && all_digits(&bare) {
        return Some((number(""), format!("write {bare}, or \"{text}\" if text is meant")));
    }
    None
}

/// What YAML 1.1 takes a word for.
pub(crate) fn old_bool(lower: &str) -> Option<bool> {
    match lower {
        "yes" | "on" | "y" => Some(true),
        "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
