//! Values of expressions that are known before a run and cannot be right: the run would meet them where they stand.

use super::Decoder;
use crate::model::{Dynamic, InputKind};
use keybook_api::{ArgKind, ArgSpec, Diagnostic, Span, Value, action::fits};
use keybook_script::Expr;
use keybook_source::{Node, suggest};

fn wrong_value(message: String, at: &Span) -> Diagnostic {
    Diagnostic::error("wrong-value", message, at.clone())
}

impl Decoder<'_> {
    /// An expression that must be true or false.
    pub(super) fn condition(&mut self, node: &Node, more: &[&str]) -> Option<Expr> {
        let expr = self.expr(node, more)?;
        self.must_be("bool", "true or false", &expr);
        Some(expr)
    }

    /// An expression that must be a list.
    pub(super) fn list_expr(&mut self, node: &Node, more: &[&str]) -> Option<Expr> {
        let expr = self.expr(node, more)?;
        self.must_be("list", "a list", &expr);
        Some(expr)
    }

    fn must_be(&mut self, wanted: &str, shown: &str, expr: &Expr) {
        let input = self.inputs.kind_of_expr(expr).map(InputKind::value_type);
        if let Some(got) = expr.type_written().or(input).filter(|got| *got != wanted) {
            self.problems.push(wrong_value(format!("expected {shown}, got {got}"), &expr.text().whole()));
        }
    }

    /// A word that an input never is.
    pub(super) fn never_equal(&mut self, expr: &Expr) {
        for comparison in expr.comparisons() {
            let [variable, name] = comparison.path.as_slice() else { continue };
            let Some(kind) = self.inputs.kinds.get(name).filter(|_| variable == "inputs") else { continue };
            let word = &comparison.word.text;
            match kind {
                InputKind::Enum(words) if !words.contains(word) => {
                    let message = format!("`inputs.{name}` is never `{word}`");
                    let all: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                    let help = suggest(word, words.iter().map(String::as_str))
                        .unwrap_or_else(|| format!("it is one of {}", all.join(", ")));
                    self.problems.push(wrong_value(message, &comparison.word.span).help(help));
                }
                InputKind::Int | InputKind::Bool | InputKind::List => {
                    let message = format!(
                        "`inputs.{name}` cannot be compared with a string: it is of the type {}",
                        kind.value_type()
                    );
                    self.problems.push(wrong_value(message, &comparison.word.span));
                }
                _ => {}
            }
        }
    }

    /// An input that is given to an argument of another type.
    pub(super) fn other_type(&self, arg: &ArgSpec, given: &Dynamic, at: &Span) -> Option<Diagnostic> {
        let example = match self.inputs.kind_of(given)? {
            InputKind::Int => Value::Int(1),
            InputKind::Bool => Value::Bool(true),
            InputKind::List => Value::List(Vec::new()),
            // A text may be a duration, a mode, a word.
            _ if matches!(arg.kind, ArgKind::Int | ArgKind::Bool | ArgKind::List | ArgKind::Map) => {
                Value::from("")
            }
            _ => return None,
        };
        let why = fits(arg.kind, &example).err()?;
        Some(wrong_value(format!("the argument `{}`: {why}", arg.name), at))
    }

    /// What a file reads before its step that registers it is not just unknown.
    pub(super) fn read_too_early(&mut self, file: &str) {
        for problem in self.problems.of_file(file).filter(|problem| problem.code == "unknown-variable") {
            let early = |name: &&String| problem.message == format!("there is no variable `{name}` here");
            if let Some(name) = self.registered.keys().find(early) {
                problem.help = Some(format!("a step registers `{name}`, but not before this place"));
            }
        }
    }
}

/// What exists, but not where it is read.
pub(super) fn elsewhere(problem: Diagnostic) -> Diagnostic {
    match problem.message.as_str() {
        "there is no variable `facts` here" => {
            problem.help("a step's facts are asked for after its `when` and `for_each`: read them from `check` on, or register the result of a step before")
        }
        "there is no variable `result` here" => {
            problem.help("only `expect`, `until` and `undo` read a step's own `result`; give it a name by `register` for the steps after it")
        }
        _ => problem,
    }
}
