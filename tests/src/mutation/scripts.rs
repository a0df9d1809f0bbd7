//! Damaged expressions, templates and scripts.

use super::{
    Dice, FileKind, Mutation, Place,
    roles::{Role, Wants, wants},
    spots::{Makers, Spot, Text},
};
use keybook_api::Span;
use keybook_source::NodeValue;

/// An expression on one line: the line and the columns of its first letter and behind its last.
pub(super) struct Code<'t> {
    line: u32,
    from: u32,
    pub(super) text: &'t str,
}

impl Code<'_> {
    pub(super) fn span(&self, at: usize, length: usize) -> Span {
        let before = self.text[..at].chars().count();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Span::new("", self.line, self.from + number(before), number(length))
    }

    fn inside(&self) -> Place {
        let length = u32::try_from(self.text.chars().count()).unwrap_or(u32::MAX);
        Place::Inside(self.line, self.from, self.from + length)
    }
}

/// A word of an expression.
pub(super) struct Word<'t> {
    pub(super) at: usize,
    pub(super) text: &'t str,
}

/// The words of an expression that stand outside texts and comments.
pub(super) fn words(code: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut quote: Option<char> = None;
    let mut start: Option<usize> = None;
    for (at, letter) in code.char_indices().chain([(code.len(), ' ')]) {
        let part = letter.is_ascii_alphanumeric() || letter == '_';
        if quote.is_none() && part && start.is_none() {
            start = Some(at);
        } else if !part && let Some(from) = start.take() {
            words.push(Word { at: from, text: &code[from..at] });
        }
        match quote {
            Some(open) if open == letter => quote = None,
            None if matches!(letter, '"' | '`' | '\'') => quote = Some(letter),
            _ => {}
        }
    }
    words.retain(|word| word.text.starts_with(|first: char| first.is_ascii_lowercase()));
    words
}

/// Functions that the language provides, and words of it.
const RESERVED: [&str; 24] = [
    "if",
    "else",
    "let",
    "fn",
    "for",
    "in",
    "while",
    "loop",
    "return",
    "true",
    "false",
    "switch",
    "call",
    "curry",
    "type_of",
    "print",
    "debug",
    "is_def_var",
    "is_def_fn",
    "is_shared",
    "this",
    "const",
    "break",
    "continue",
];

impl Word<'_> {
    fn before<'c>(&self, code: &'c str) -> &'c str {
        &code[..self.at]
    }

    fn behind<'c>(&self, code: &'c str) -> &'c str {
        &code[self.at + self.text.len()..]
    }

    /// A call of a function or method that must exist.
    fn is_call(&self, code: &str) -> bool {
        self.behind(code).starts_with('(')
            && !RESERVED.contains(&self.text)
            && !self.before(code).ends_with("fn ")
    }

    /// A variable whose key is read.
    fn is_variable(&self, code: &str) -> bool {
        const ROOTS: [&str; 8] = ["inputs", "host", "hosts", "groups", "run", "by_host", "result", "facts"];
        ROOTS.contains(&self.text)
            && !self.before(code).ends_with('.')
            && self.behind(code).starts_with(['.', '['])
    }

    /// An input, group, fact or result, by its name.
    fn is_name(&self, code: &str) -> bool {
        let before = self.before(code);
        ["inputs.", "groups.", "by_host.", "facts."].iter().any(|root| {
            before
                .strip_suffix(root)
                .is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric() || c == '.' || c == '_'))
        })
    }
}

/// Every damaged expression and template that stands on one line.
pub fn in_expressions(makers: &Makers, dice: &mut Dice) -> Vec<Mutation> {
    let mut all = Vec::new();
    for spot in makers.spots {
        for code in codes(makers, spot) {
            all.extend(unbalanced(makers, &code));
            all.extend(damaged_words(makers, &code, dice));
        }
    }
    all
}

/// The expressions of a value: it is one, or has `${…}` in it.
pub(super) fn codes<'m>(makers: &'m Makers, spot: &Spot) -> Vec<Code<'m>> {
    let NodeValue::Text(_) = &spot.value.value else { return Vec::new() };
    // An escape in a text makes columns that are not those of the decoded letters.
    let raw = makers.text.part(&spot.value.span);
    if !spot.simple(makers.text) || raw.contains('\\') || raw.contains("''") {
        return Vec::new();
    }
    // A plain text may end with a quote of its own.
    let within = |quote| raw.strip_prefix(quote)?.strip_suffix(quote);
    let quoted = within('"').or_else(|| within('\''));
    let quotes = u32::from(quoted.is_some());
    let inner = quoted.unwrap_or(raw);
    let (line, from) = (spot.value.span.line, spot.value.span.column + quotes);
    let expr = wants(&spot.around, spot.name()) == Some(Wants::Expr) || spot.is_expect();
    if expr {
        return vec![Code { line, from, text: inner }];
    }
    if !spot.is_template() {
        return Vec::new();
    }
    let mut codes = Vec::new();
    for (at, _) in inner.match_indices("${") {
        let Some(text) = inner[at + 2..].split('}').next().filter(|text| !text.contains('{')) else {
            continue;
        };
        // A template inside a text of an expression.
        if inner[..at].matches('`').count() % 2 == 1 {
            continue;
        }
        let before = u32::try_from(inner[..at + 2].chars().count()).unwrap_or(u32::MAX);
        codes.push(Code { line, from: from + before, text });
    }
    codes
}

impl Spot {
    /// An item of a list of expectations.
    fn is_expect(&self) -> bool {
        self.key.is_none() && self.path.last().is_some_and(|last| last == "expect")
    }

    /// Text whose `${…}` is evaluated.
    fn is_template(&self) -> bool {
        let inside = |part: &str| self.path.iter().any(|name| name == part);
        let args = self.path.iter().any(|name| name.contains('.')) || inside("with");
        match (&self.around, self.name()) {
            (Role::Strict("gate" | "step text"), "ask") | (Role::Strict("file"), "text") => true,
            (Role::Strict("server" | "client" | "bundle"), key) => {
                !matches!(key, "on" | "uses" | "trusts" | "clients" | "reads")
            }
            _ => args || inside("backup") || inside("sans"),
        }
    }
}

/// An opening or closing parenthesis too few.
fn unbalanced(makers: &Makers, code: &Code) -> Vec<Mutation> {
    let mut all = Vec::new();
    let quoted = |at: usize| code.text[..at].matches(['"', '`']).count() % 2 == 1;
    let last = code.text.rfind(')').filter(|at| !quoted(*at));
    if let Some(at) = last {
        let text = makers.text.with(&code.span(at, 1), "");
        all.push(makers.with("closing parenthesis gone", text, "script-syntax", code.inside()));
    }
    let text = makers.text.insert(code.line, code.from, "(");
    let place = match code.inside() {
        Place::Inside(line, from, to) => Place::Inside(line, from, to + 1),
        other => other,
    };
    all.push(makers.with("opening parenthesis too many", text, "script-syntax", place));
    all
}

fn damaged_words(makers: &Makers, code: &Code, dice: &mut Dice) -> Vec<Mutation> {
    let mut all = Vec::new();
    for word in words(code.text) {
        let span = code.span(word.at, word.text.len());
        let mut misspelt = |kind, code| {
            let wrong = dice.misspell(word.text, makers.known)?;
            Some(makers.replace(kind, &span, &wrong, code))
        };
        if word.is_call(code.text) {
            all.extend(misspelt("unknown function", "unknown-function"));
            all.push(too_many(&makers.text.file, makers.text, &span, word.behind(code.text)));
        } else if word.is_variable(code.text) {
            all.extend(misspelt("unknown variable", "unknown-variable"));
        } else if word.is_name(code.text) {
            all.extend(misspelt("unknown name", "unknown-name"));
        }
    }
    all
}

/// A call with nine arguments more.
fn too_many(file: &str, text: &Text, name: &Span, behind: &str) -> Mutation {
    let first = behind.strip_prefix('(').unwrap_or(behind);
    let comma = if first.trim_start().starts_with(')') { "" } else { ", " };
    let text =
        text.insert(name.line, name.column + name.length + 1, &format!("1, 2, 3, 4, 5, 6, 7, 8, 9{comma}"));
    let place = Place::of(name);
    Mutation { kind: "too many arguments", file: file.to_owned(), text, code: "wrong-arguments", place }
}

/// Misspelt and overfull calls in the lines of scripts: hooks, and the answers of scenarios.
pub fn in_code(text: &Text, kind: FileKind, known: &dyn Fn(&str) -> bool, dice: &mut Dice) -> Vec<Mutation> {
    let mut all = Vec::new();
    let lines: Vec<u32> = match kind {
        FileKind::Hooks => (1..=line_count(text)).collect(),
        FileKind::Scenario => answer_lines(text),
        _ => return all,
    };
    for number in lines {
        let line = text.line(number);
        let code = Code { line: number, from: 1, text: line.split("//").next().unwrap_or_default() };
        for word in words(code.text).iter().filter(|word| word.is_call(code.text)) {
            let span = code.span(word.at, word.text.len());
            all.push(too_many(&text.file, text, &span, word.behind(code.text)));
            let Some(wrong) = dice.misspell(word.text, known) else { continue };
            let length = u32::try_from(wrong.len()).unwrap_or(u32::MAX);
            all.push(Mutation {
                kind: "unknown function",
                file: text.file.clone(),
                text: text.with(&span, &wrong),
                code: "unknown-function",
                place: Place::Exact(number, span.column, length),
            });
        }
    }
    all
}

fn line_count(text: &Text) -> u32 {
    u32::try_from(text.text.lines().count()).unwrap_or(u32::MAX)
}

/// The lines of the answers that are written as blocks.
fn answer_lines(text: &Text) -> Vec<u32> {
    let mut inside: Option<usize> = None;
    let mut found = Vec::new();
    for number in 1..=line_count(text) {
        let line = text.line(number);
        let indent = line.len() - line.trim_start().len();
        match inside {
            Some(outer) if line.trim().is_empty() || indent > outer => found.push(number),
            _ => inside = line.trim_end().ends_with("answer: |").then_some(indent),
        }
    }
    found
}

/// What is wrong only in hooks.rhai: statements outside functions, and hooks with another number of parameters.
pub fn in_hooks(text: &Text) -> Vec<Mutation> {
    let made = |kind, code, text: String, file: &str, place| Mutation {
        kind,
        file: file.to_owned(),
        text,
        code,
        place,
    };
    let mut all = vec![made(
        "statement in hooks",
        "hooks-statement",
        format!("let x = 1;\n{}", text.text),
        &text.file,
        Place::Exact(1, 1, 3),
    )];
    for (number, line) in (1..).zip(text.text.lines()) {
        let Some((name, _)) = line.strip_prefix("fn ").and_then(|rest| rest.split_once('(')) else {
            continue;
        };
        let hooks = ["before_run", "after_run", "before_step", "after_step", "on_failure", "on_waiting"];
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
        if hooks.contains(&name) {
            let column = 4 + length + 1;
            let wrong = text.insert(number, column, "more, ");
            all.push(made(
                "parameter too many",
                "hook-params",
                wrong,
                &text.file,
                Place::Exact(number, 4, length),
            ));
        }
    }
    all
}
