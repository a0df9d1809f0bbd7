//! Rhai errors → messages at a place of the source file.

use crate::{convert::type_word, library, session};
use keybook_api::{Diagnostic, SourceText, Span};
use rhai::{EvalAltResult, ParseError, ParseErrorType, Position};
use std::fmt;

/// Why an evaluation failed, and where in the YAML or Rhai file.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptError {
    /// What went wrong, one line, without full stop.
    pub message: String,
    /// The place.
    pub span: Span,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.span)
    }
}

impl std::error::Error for ScriptError {}

/// The span of the word, number or operator that begins at a Rhai position; the whole text without a position.
pub(crate) fn span_of(text: &SourceText, position: Position) -> Span {
    let (Some(line), Some(column)) = (position.line(), position.position()) else {
        return text.whole();
    };
    // Every use of a variable asks for its place, so this walks over bytes where it can.
    let whole = text.as_str();
    let above = whole.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    let (head, below) = whole.split_at(above);
    let content = below.split('\n').next().unwrap_or_default();
    let before = content.char_indices().nth(column.saturating_sub(1)).map_or(content.len(), |(at, _)| at);
    let (left, rest) = below.split_at(before);
    let offset = head.chars().count() + left.chars().count();
    let word = rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').count();
    let operator = rest.chars().take_while(|letter| "=!<>&|+-*/%".contains(*letter)).count();
    text.span(offset, word.max(operator).max(1))
}

/// A syntax error as a diagnostic. `names` are the variables that are known.
pub(crate) fn parse_diagnostic(error: &ParseError, text: &SourceText, names: &[&str]) -> Diagnostic {
    let span = span_of(text, error.position());
    match error.err_type() {
        ParseErrorType::VariableUndefined(name) => {
            let problem =
                Diagnostic::error("unknown-variable", format!("there is no variable `{name}` here"), span);
            let meant = || keybook_source::suggest(name, names.iter().copied());
            let advice = misread(text, error.position(), name).or_else(meant);
            problem.help(advice.unwrap_or_else(|| known(names)))
        }
        ParseErrorType::ModuleUndefined(name) => Diagnostic::error(
            "script-module",
            format!("there is no module `{name}`; modules cannot be loaded"),
            span,
        ),
        ParseErrorType::UnexpectedEOF => {
            Diagnostic::error("script-syntax", "the expression is incomplete", span)
        }
        other => {
            let problem = Diagnostic::error("script-syntax", sentence(&other.to_string()), span);
            match advice(other, text, error.position()) {
                Some(advice) => problem.help(advice),
                None => problem,
            }
        }
    }
}

fn known(names: &[&str]) -> String {
    match names {
        [] => "a function knows its parameters and its own variables".to_owned(),
        names => format!(
            "known here: {}",
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// The line of a place, before it and from it on.
fn line_at(text: &SourceText, position: Position) -> Option<(&str, &str)> {
    let line = text.as_str().split('\n').nth(position.line()?.saturating_sub(1))?;
    let at = line.char_indices().nth(position.position()?.saturating_sub(1));
    Some(line.split_at(at.map_or(line.len(), |(at, _)| at)))
}

/// What is no variable at all: the key of a map, or a part of a name.
fn misread(text: &SourceText, position: Position, name: &str) -> Option<String> {
    let (before, rest) = line_at(text, position)?;
    let behind = rest.strip_prefix(name)?.trim_start();
    if behind.starts_with(':') && !behind.starts_with("::") && before.trim_end().ends_with(['{', ',']) {
        return Some("a map begins with `#{`".to_owned());
    }
    let (head, first) = before.strip_suffix('-')?.rsplit_once('.')?;
    let word = |text: &str| text.chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_').count();
    let (root, part) = (head.get(head.len() - word(head)..)?, word(first));
    (part == first.len() && !first.is_empty())
        .then(|| format!("`-` subtracts; a name that has one is read as `{root}[\"{first}-{name}\"]`"))
}

/// What to write instead of the usual mistakes.
fn advice(error: &ParseErrorType, text: &SourceText, position: Position) -> Option<&'static str> {
    const STATEMENTS: [&str; 12] =
        ["let", "const", "while", "loop", "for", "do", "until", "return", "throw", "try", "fn", "import"];
    let (_, rest) = line_at(text, position)?;
    let mut above = text.as_str().split('\n').take(position.line()?.saturating_sub(1));
    let word: String = rest.chars().take_while(|letter| letter.is_alphanumeric()).collect();
    if word == "fn" && above.any(|line| line.contains('{')) {
        return Some("a `}` is missing before this function");
    }
    if matches!(error, ParseErrorType::MissingToken(token, _) if token == ";") {
        return Some("a `;` is missing at the end of what stands before this place, or a `}`");
    }
    if STATEMENTS.contains(&word.as_str()) {
        return Some("only an expression can stand here; put statements into a function of hooks.rhai");
    }
    if rest.starts_with('=') && !rest.starts_with("==") {
        return Some("`==` compares");
    }
    if rest.starts_with('$') {
        return Some("an expression stands as it is, without `${` and `}`");
    }
    if rest.starts_with('\'') {
        return Some("texts stand in double quotes or backticks");
    }
    match word.as_str() {
        "and" => Some("write `&&`"),
        "or" => Some("write `||`"),
        "not" => Some("write `!`"),
        "null" | "None" | "nil" => Some("write `()` for null"),
        _ => None,
    }
}

/// Rhai's messages begin with a capital letter; ours do not.
pub(crate) fn sentence(message: &str) -> String {
    let mut letters = message.trim_end_matches('.').chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// Which text a function was defined in.
pub(crate) trait Sources {
    /// The text that defines a function, where it is not the main one.
    fn of_function(&self, name: &str) -> Option<&SourceText>;
}

/// True when a map lacks a key: the error that an explaining engine says more about.
pub(crate) fn is_missing_key(error: &EvalAltResult) -> bool {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => is_missing_key(inner),
        other => matches!(other, EvalAltResult::ErrorPropertyNotFound(..)),
    }
}

/// A run-time error with its place.
pub(crate) fn script_error(error: &EvalAltResult, main: &SourceText, sources: &dyn Sources) -> ScriptError {
    let mut text = main;
    let mut at = error;
    let mut outer = Position::NONE;
    while let EvalAltResult::ErrorInFunctionCall(name, source, inner, position) = at {
        if !position.is_none() {
            outer = *position;
        }
        // Nobody but us can look into a library: the place is that of its call.
        if library::is_source(source) {
            let message = format!("`{name}`: {}", message(innermost(inner)));
            return ScriptError { message, span: span_of(text, outer) };
        }
        if let Some(own) = sources.of_function(name) {
            text = own;
            outer = Position::NONE;
        }
        at = inner;
    }
    let position = match at.position() {
        position if position.is_none() => outer,
        position => position,
    };
    ScriptError { message: message(at), span: span_of(text, position) }
}

/// The error itself, without the calls that it came through.
fn innermost(mut error: &EvalAltResult) -> &EvalAltResult {
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) = error {
        error = inner;
    }
    error
}

fn message(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorRuntime(value, _) => match crate::convert::from_dynamic(value) {
            Ok(value) => value.to_string(),
            Err(why) => why,
        },
        EvalAltResult::ErrorTerminated(token, _) => match token.clone().into_string().as_deref() {
            Ok(session::OUT_OF_TIME) => "the script took longer than allowed".to_owned(),
            Ok(session::CANCELLED) => "the run was stopped".to_owned(),
            _ => "the script was ended".to_owned(),
        },
        EvalAltResult::ErrorTooManyOperations(_) => "the script does more operations than allowed".to_owned(),
        EvalAltResult::ErrorStackOverflow(_) => "functions call each other deeper than allowed".to_owned(),
        EvalAltResult::ErrorDataTooLarge(what, _) => format!("larger than allowed: {}", sentence(what)),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => not_found(signature),
        EvalAltResult::ErrorVariableNotFound(name, _) => format!("the variable `{name}` has no value here"),
        EvalAltResult::ErrorPropertyNotFound(name, _) => crate::engine::missing_key(name),
        EvalAltResult::ErrorDotExpr(what, _) => dot(what),
        EvalAltResult::ErrorMismatchDataType(expected, got, _) => {
            format!("expected {}, got {}", type_word(expected), type_word(got))
        }
        EvalAltResult::ErrorIndexingType(what, _) => indexing(what),
        EvalAltResult::ErrorArrayBounds(length, index, _) => {
            format!("the list has {length} items, there is no item {index}")
        }
        EvalAltResult::ErrorStringBounds(length, index, _) => {
            format!("the text has {length} characters, there is none at {index}")
        }
        EvalAltResult::ErrorArithmetic(what, _) => sentence(what),
        EvalAltResult::ErrorModuleNotFound(..) => "modules cannot be loaded".to_owned(),
        other => {
            let mut bare = other.to_string();
            if let Some(at) = bare.rfind(" (line ") {
                bare.truncate(at);
            }
            sentence(&bare)
        }
    }
}

/// `Function not found: name (types)` in Keybook's words.
fn not_found(signature: &str) -> String {
    let (name, types) = signature.split_once(" (").unwrap_or((signature, ""));
    let types: Vec<&str> =
        types.trim_end_matches(')').split(',').map(type_word).filter(|t| !t.is_empty()).collect();
    let list = types.join(" and ");
    let operator = !name.starts_with(|letter: char| letter.is_alphabetic() || letter == '_');
    match (operator, types.is_empty()) {
        (true, _) => format!("`{name}` does not work with {list}"),
        (false, true) => format!("there is no function `{name}` without arguments"),
        (false, false) => format!("there is no function `{name}` for {list}"),
    }
}

/// Property access on something that is no map.
fn dot(what: &str) -> String {
    let property = what.split('\'').nth(1).unwrap_or("");
    let on = what.rsplit('\'').nth(1).map(type_word).unwrap_or("");
    if property.is_empty() || on == property {
        return sentence(what);
    }
    format!("a {on} has no `{property}`")
}

fn indexing(what: &str) -> String {
    let on = what.split(['[', ' ']).next().map(type_word).unwrap_or("");
    match on {
        "" => sentence(what),
        "unknown" => "what is read here cannot be known yet".to_owned(),
        on => format!("a {on} has no items"),
    }
}
