//! Names that expressions read from maps: inputs, groups, facts, results, what a host and the run have. Rhai would find out only while running that
//! there is no such key.

use super::{Decoder, InputNames};
use crate::model::{Dynamic, Input, InputKind};
use indexmap::IndexMap;
use keybook_api::{Diagnostic, Span, host::OF_HOST, returns::Holds};
use keybook_script::{Expr, NameUse};
use keybook_source::{Node, advice, suggest};

/// What `run` has in every expression.
const OF_RUN: &[&str] = &["id", "state_dir", "staging", "sandbox", "rollback"];

impl Decoder<'_> {
    /// Checks one use of a variable in an expression.
    pub(super) fn known_name(&mut self, used: &NameUse) {
        self.reads.push(used.clone());
        let (Some(key), Some(at)) = (used.path.first(), used.path_spans.first()) else {
            self.inputs.all_used |= used.name == "inputs";
            return;
        };
        if used.name == "inputs" {
            self.inputs.used.insert(key.clone());
        }
        if used.sure == 0 {
            return;
        }
        let missing = |what: &str, known: Vec<&str>| {
            (!known.contains(&key.as_str())).then(|| {
                let mut problem =
                    Diagnostic::error("unknown-name", format!("there is no {what} `{key}`"), at.clone());
                problem.help = suggest(key, known);
                problem
            })
        };
        let fixed = |name: &str, known: &[&str]| {
            (!known.contains(&key.as_str())).then(|| {
                let message = format!("`{name}` has no `{key}`");
                let mut problem = Diagnostic::error("unknown-name", message, at.clone());
                problem.help = advice(key, known.iter().copied());
                problem
            })
        };
        let problem = match used.name.as_str() {
            "inputs" => {
                let problem = missing("input", self.inputs.declared.keys().map(String::as_str).collect());
                let inside = |library: &String| {
                    format!(
                        "the library `{library}` sees its own inputs only: declare it there, and give it by `with`"
                    )
                };
                problem.map(|problem| Diagnostic {
                    help: problem.help.or_else(|| self.using.last().map(inside)),
                    ..problem
                })
            }
            "groups" => missing("group", self.groups.iter().map(String::as_str).collect()),
            "facts" => missing("fact of this step", self.facts.keys().map(String::as_str).collect()),
            "host" => fixed("host", &OF_HOST),
            "run" => fixed("run", OF_RUN),
            "by_host" => missing("registered result", self.registered.keys().map(String::as_str).collect()),
            _ => None,
        };
        let problem = problem.or_else(|| self.key_of_a_result(used));
        problem.into_iter().for_each(|problem| self.problems.push(problem));
    }

    /// A key that a result does not have.
    fn key_of_a_result(&self, used: &NameUse) -> Option<Diagnostic> {
        let (holds, first) = match used.name.as_str() {
            "result" => (self.result, 0),
            "facts" => (*self.facts.get(used.path.first()?)?, 1),
            name => (*self.registered.get(name)?, 0),
        };
        no_such_key(used, holds, first)
    }

    /// Inputs that nothing reads. What an inventory may name, a secret, is not one of them.
    pub(super) fn unused_inputs(&mut self) {
        let InputNames { declared, used, all_used, .. } = std::mem::take(&mut self.inputs);
        if all_used || self.problems.errors() {
            return;
        }
        for (name, span) in declared.iter().filter(|(name, _)| !used.contains(*name)) {
            let Some(span) = span else { continue };
            let message = format!("nothing reads the input `{name}`");
            self.problems.push(Diagnostic::warning("unused-input", message, span.clone()));
        }
    }

    /// Libraries that no step uses.
    pub(super) fn unused_libraries(&mut self) {
        if self.problems.errors() {
            return;
        }
        for (name, root) in self.libraries.iter().filter(|(name, _)| !self.used_libraries.contains(*name)) {
            let message = format!("no step uses the library `{name}`");
            let at = root.get("library").unwrap_or(root).span.clone();
            self.problems.push(Diagnostic::warning("unused-library", message, at));
        }
    }
}

/// A key that is read from a value that does not have it; the value is what stands behind the first keys of the path.
pub(in crate::model) fn no_such_key(used: &NameUse, holds: Holds, first: usize) -> Option<Diagnostic> {
    let (place, known) = holds.stray(used.path.get(first..)?)?;
    let place = first + place;
    if place >= used.sure {
        return None;
    }
    let (key, at) = (used.path.get(place)?, used.path_spans.get(place)?);
    let keys = used.path.iter().take(place).map(|key| format!(".{key}"));
    let message = format!("`{}{}` has no `{key}`", used.name, keys.collect::<String>());
    let mut problem = Diagnostic::error("unknown-name", message, at.clone());
    problem.help = advice(key, known);
    Some(problem)
}

impl InputNames {
    /// The type of the input that a template is, when it is nothing else.
    pub(super) fn kind_of(&self, given: &Dynamic) -> Option<&InputKind> {
        let Dynamic::Template(template, _) = given else { return None };
        self.kind_of_expr(template.exprs().next().filter(|_| template.is_one_expr())?)
    }

    /// The type of the input that an expression is, when it is nothing else.
    pub(super) fn kind_of_expr(&self, expr: &Expr) -> Option<&InputKind> {
        self.kinds.get(expr.text().as_str().trim().strip_prefix("inputs.")?)
    }
}

/// Names of inputs, and where those stand that something should read. An inventory may name a secret one. One that
/// could not be read is there all the same.
pub(super) fn names_of(
    inputs: &IndexMap<String, Input>,
    written: Option<&Node>,
) -> IndexMap<String, Option<Span>> {
    let place = |input: &Input| (input.kind != InputKind::Secret).then(|| input.span.clone());
    let place = |name: &String| inputs.get(name).and_then(place);
    keys_of(written).map(|name| (name.clone(), place(&name))).collect()
}

/// Types of inputs, by name.
pub(super) fn kinds_of(inputs: &IndexMap<String, Input>) -> IndexMap<String, InputKind> {
    inputs.iter().map(|(name, input)| (name.clone(), input.kind.clone())).collect()
}

/// The keys of a map, also of those values that could not be read.
pub(super) fn keys_of(written: Option<&Node>) -> impl Iterator<Item = String> {
    let entries = written.and_then(Node::entries).unwrap_or_default();
    entries.iter().map(|(key, _)| key.name.clone())
}
