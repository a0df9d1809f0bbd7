//! What YAML's scanner refuses, at its place and with advice. The scanner says what it met, not what the author did: the
//! advice goes by the line as well.

use crate::{MAX_DEPTH, text::Text};
use keybook_api::{Diagnostic, Span};

/// The white space that a line, counted from 1, begins with.
fn indent<'t>(text: &'t Text, line: usize) -> &'t str {
    let line = text.src.lines().nth(line.saturating_sub(1)).unwrap_or("");
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The first `\` in a line, counted from 1, or one after it, that no YAML escape begins with.
fn wrong_escape(text: &Text, line: usize) -> Option<Span> {
    let start = text.line_at(line)?;
    let mut letters = text.from(start).char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            let (_, escaped) = letters.next()?;
            if !"0abt\tnvfre \"/\\N_LPxuU\r\n".contains(escaped) {
                return Some(text.span(start + at, start + at + 1 + escaped.len_utf8()));
            }
        }
    }
    None
}

/// The part of a line before a place, as the scanner gives it.
fn before<'t>(text: &Text<'t>, line: usize, column: usize) -> &'t str {
    let rest = text.line_at(line).map_or("", |start| text.from(start));
    rest.char_indices().nth(column).map_or(rest, |(end, _)| rest.get(..end).unwrap_or(rest))
}

/// Advice for a `:` that cannot stand where it does: the line has a key before it, or begins in a wrong column.
fn second_colon(before: &str) -> &'static str {
    if before.contains(": ") {
        "put a text that has `: ` in it in quotes"
    } else {
        "this line is indented differently from its neighbours: begin it in the same column as the lines that it goes with"
    }
}

/// Advice for what stands behind a quoted text: a quote inside `${…}` closed it, or a text on a line before is open.
fn closed_early(before: &str) -> &'static str {
    let template = before.rfind("${").and_then(|at| before.get(at..)).filter(|inside| !inside.contains('}'));
    match template.map(|inside| inside.trim_end().chars().next_back()) {
        Some(Some('"')) => {
            "the `\"` inside `${…}` closed the text: put the whole text in '…', or write backticks inside"
        }
        Some(Some('\'')) => "the `'` inside `${…}` closed the text: write it twice (`''`)",
        _ if before.split(['"', '\'']).next().is_some_and(|plain| plain.contains(['[', '{'])) => {
            "a `,` or a closing quote is missing before this place"
        }
        _ => "a closing quote is missing before this place",
    }
}

/// Advice for what stands in a list or map where a comma should be.
fn no_comma(from: &str) -> &'static str {
    match from.chars().next() {
        Some('[' | '{') => {
            "a `,` or a closing bracket is missing; inside { } and [ ], a text with brackets stands in quotes"
        }
        _ => "a `,` or a closing bracket is missing",
    }
}

/// What the scanner refuses, as a diagnostic with advice.
pub(crate) fn syntax_error(text: &Text, error: &saphyr_parser::ScanError) -> Diagnostic {
    let (line, column) = (error.marker().line(), error.marker().col());
    let span = text.scanner_span(line, column);
    let info = error.info();
    let span = match info {
        _ if info.contains("unknown escape") => wrong_escape(text, line).unwrap_or(span),
        _ => span,
    };
    // The scanner may notice a tab at the end of the line before.
    let tabbed = [line, line + 1].into_iter().find(|line| indent(text, *line).contains('\t'));
    if tabbed == Some(line) || info.contains("tab") {
        let span = tabbed.filter(|at| *at != line).map_or(span, |at| text.scanner_span(at, 0));
        return Diagnostic::error("yaml-tab", "a tab is used for indentation", span)
            .help("YAML is indented with spaces only");
    }
    if info.contains("recursion limit") {
        return Diagnostic::error("too-deep", format!("lists and maps nest deeper than {MAX_DEPTH}"), span)
            .help("flatten the document");
    }
    let problem = Diagnostic::error("yaml-syntax", format!("this is not YAML: {info}"), span);
    let before = before(text, line, column);
    let rest = text.line_at(line).and_then(|start| text.from(start).get(before.len()..)).unwrap_or("");
    let help = [
        ("trailing content after", closed_early(before)),
        ("illegal placement of ':'", "a closing bracket or quote is missing on a line before"),
        ("expected '-' indicator", "begin this line in the same column as the lines that it goes with"),
        ("expected <document start>", "begin this line in the same column as the lines that it goes with"),
        ("unknown anchor", "define the anchor (`&name`) before its alias (`*name`)"),
        ("mapping values are not allowed", second_colon(before)),
        ("unexpected end of stream", "the closing quote is missing"),
        ("simple key expect", "a `:` is missing on this line or the one before"),
        ("unexpected character", "put a text that begins with such a character in quotes"),
        ("unknown escape", "use single quotes, or write `\\\\` for a backslash"),
        ("did not find expected ','", no_comma(rest)),
        ("invalid indentation in quoted", "the quote that opens here is not closed"),
    ];
    match help.iter().find(|(part, _)| info.contains(part)) {
        Some((_, advice)) => problem.help(*advice),
        None => problem,
    }
}
