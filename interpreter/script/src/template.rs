//! Texts with `${…}` in them.

use crate::{Expr, NameUse};
use keybook_api::{Diagnostic, SourceText};
use std::ops::Range;

/// A compiled text with `${…}`; cheap to clone. [`crate::ScriptHost::render`] fills it in.
#[derive(Clone, Debug)]
pub struct Template {
    pub(crate) parts: Vec<Part>,
    pub(crate) source: SourceText,
}

#[derive(Clone, Debug)]
pub(crate) enum Part {
    Text(String),
    Expr(Expr),
}

impl Template {
    /// True when there is no `${…}` in it, so that it always gives the same text.
    pub fn is_constant(&self) -> bool {
        !self.parts.iter().any(|part| matches!(part, Part::Expr(_)))
    }

    /// The text as written.
    pub fn source(&self) -> &SourceText {
        &self.source
    }

    /// The text with the same in the place of every expression.
    pub fn with_each(&self, placeholder: &str) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Expr(_) => placeholder.to_owned(),
        };
        self.parts.iter().map(text).collect()
    }

    /// Is it one `${…}` and nothing else, so that it keeps the type of its value?
    pub fn is_one_expr(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Expr(_)])
    }

    /// Does it begin with an expression?
    pub fn begins_with_expr(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Expr(_)))
    }

    /// The expressions in it, in order.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expr(expr) => Some(expr),
            Part::Text(_) => None,
        })
    }

    /// The variables that its expressions read.
    pub fn names_used(&self) -> impl Iterator<Item = &NameUse> {
        self.exprs().flat_map(Expr::names)
    }
}

/// A piece of a template before its expressions are compiled.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    /// Byte range of the expression, without `${` and `}`.
    Expr(Range<usize>),
}

/// Splits a template. `$${` is a literal `${`.
pub(crate) fn split(source: &SourceText) -> Result<Vec<Piece>, Box<Diagnostic>> {
    let text = source.as_str();
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("$${") {
            plain.push_str("${");
            at += 3;
        } else if rest.starts_with("${") {
            let range = expr_at(source, at)?;
            let end = range.end;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Expr(range));
            at = end + 1;
        } else {
            let length = rest
                .char_indices()
                .skip(1)
                .find(|(_, letter)| *letter == '$')
                .map_or(rest.len(), |(at, _)| at);
            plain.push_str(rest.get(..length).unwrap_or(""));
            at += length;
        }
    }
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// The range of the expression of the `${` at a byte offset.
fn expr_at(source: &SourceText, at: usize) -> Result<Range<usize>, Box<Diagnostic>> {
    let text = source.as_str();
    let start = at + 2;
    let problem = |message, length| {
        let offset = text.get(..at).unwrap_or("").chars().count();
        Diagnostic::error("template-syntax", message, source.span(offset, length))
    };
    let Some(length) = end_of_expr(text.get(start..).unwrap_or("")) else {
        let open = problem("this `${` is not closed", 2);
        return Err(Box::new(open.help("add `}`, or write `$${` for a literal `${`")));
    };
    let range = start..start + length;
    if text.get(range.clone()).is_none_or(|inner| inner.trim().is_empty()) {
        return Err(Box::new(problem("there is nothing in `${}`", 3)));
    }
    Ok(range)
}

/// What surrounds a place inside an expression.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Braces,
    /// A text in `"` or `'`.
    Quotes(char),
    /// A text in backticks, which may have `${…}` of its own.
    Backticks,
}

/// The length of the expression up to its closing brace: braces nest, and those in texts and comments do not count.
fn end_of_expr(text: &str) -> Option<usize> {
    let mut inside = vec![Inside::Braces];
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let next = letters.peek().map(|(_, next)| *next);
        match (inside.last().copied()?, letter) {
            (Inside::Quotes(_), '\\') => {
                letters.next();
            }
            (Inside::Quotes(quote), _) if letter == quote => {
                inside.pop();
            }
            (Inside::Quotes(_), _) => {}
            (Inside::Backticks, '`') if next == Some('`') => {
                letters.next();
            }
            (Inside::Backticks, '`') => {
                inside.pop();
            }
            (Inside::Backticks, '$') if next == Some('{') => {
                letters.next();
                inside.push(Inside::Braces);
            }
            (Inside::Backticks, _) => {}
            (Inside::Braces, '"' | '\'') => inside.push(Inside::Quotes(letter)),
            (Inside::Braces, '`') => inside.push(Inside::Backticks),
            (Inside::Braces, '{') => inside.push(Inside::Braces),
            (Inside::Braces, '}') => {
                inside.pop();
                if inside.is_empty() {
                    return Some(at);
                }
            }
            (Inside::Braces, '/') if next == Some('/') => {
                while letters.next_if(|(_, letter)| *letter != '\n').is_some() {}
            }
            (Inside::Braces, '/') if next == Some('*') => skip_comment(text, at, &mut letters),
            (Inside::Braces, _) => {}
        }
    }
    None
}

fn skip_comment(text: &str, at: usize, letters: &mut std::iter::Peekable<std::str::CharIndices>) {
    let end =
        text.get(at + 2..).and_then(|rest| rest.find("*/")).map_or(text.len(), |found| at + 2 + found + 2);
    while letters.next_if(|(place, _)| *place < end).is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let source = SourceText::verbatim(text, "f", 1, 1);
        split(&source)
            .unwrap()
            .into_iter()
            .map(|piece| match piece {
                Piece::Text(text) => format!("T:{text}"),
                Piece::Expr(range) => format!("E:{}", &text[range]),
            })
            .collect()
    }

    #[test]
    fn braces_in_texts_and_comments_do_not_close() {
        for (text, expected) in [
            ("", vec!["T:"]),
            ("plain $x {y}", vec!["T:plain $x {y}"]),
            ("a ${b} c", vec!["T:a ", "E:b", "T: c"]),
            ("${#{a: 1}.a}", vec!["E:#{a: 1}.a"]),
            ("${\"}\\\"}\"}x", vec!["E:\"}\\\"}\"", "T:x"]),
            ("${`}${1 + {2}}`}", vec!["E:`}${1 + {2}}`"]),
            ("${1 /* } */}", vec!["E:1 /* } */"]),
            ("$${x} ${y}", vec!["T:${x} ", "E:y"]),
            ("$$ü${y}", vec!["T:$$ü", "E:y"]),
        ] {
            assert_eq!(pieces(text), expected, "{text}");
        }
    }

    #[test]
    fn open_and_empty_ones_are_reported_at_their_place() {
        for (text, place, message) in [
            ("ab ${x", "f:1:4", "not closed"),
            ("ü ${ }", "f:1:3", "nothing"),
            ("${1 // }\n", "f:1:1", "not closed"),
            ("a\n${\"}", "f:2:1", "not closed"),
        ] {
            let problem = split(&SourceText::verbatim(text, "f", 1, 1)).unwrap_err();
            assert_eq!(problem.span.to_string(), place, "{text}");
            assert!(problem.message.contains(message), "{text}: {}", problem.message);
        }
    }
}
