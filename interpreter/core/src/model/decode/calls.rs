//! What a step does: its action with arguments, and the name of its result.

use super::{Decoder, NAMES};
use crate::model::{Args, Call, Library, Work};
use indexmap::IndexMap;
use keybook_api::{ActionSpec, ArgKind, ArgSpec, Diagnostic, Located, Registry, Span, Value, returns::Holds};
use keybook_script::is_variable_name;
use keybook_source::{Key, MapReader, Node, NodeValue, advice, read, suggest};

/// The nodes that say what a step does.
pub(super) struct WorkNodes<'n> {
    pub step: &'n Node,
    pub children: Option<&'n Node>,
    pub uses: Option<&'n Node>,
    pub script: Option<&'n Node>,
    pub with: Option<&'n (Key, Node)>,
    pub actions: &'n [(&'n Key, &'n Node)],
}

impl Decoder<'_> {
    /// Exactly one of an action, `steps`, `script` and `use`.
    pub(super) fn work(
        &mut self,
        nodes: &WorkNodes<'_>,
        inside: bool,
        phases: &[String],
    ) -> Option<(Work, Option<Library>)> {
        if let (Some((key, _)), None) = (nodes.with, nodes.uses) {
            self.problems.push(
                Diagnostic::error("with-without-use", "`with` goes with `use`", key.span.clone())
                    .help("the arguments of an action stand under its name"),
            );
        }
        match (nodes.children, nodes.uses, nodes.script, nodes.actions) {
            (Some(list), None, None, []) => Some((Work::Steps(self.steps(list, inside, phases)), None)),
            (None, Some(name), None, []) => {
                let (library, steps) = self.library(name, nodes.with, inside, phases)?;
                Some((Work::Steps(steps), Some(library)))
            }
            (None, None, Some(text), []) => Some((Work::Script(self.script(text)?), None)),
            (None, None, None, [(key, value)]) => {
                Some((Work::Action(self.call(key, value, &["facts"])?), None))
            }
            (None, None, None, []) => {
                self.problems.push(
                    Diagnostic::error("missing-action", "this step does nothing", nodes.step.span.clone())
                        .help("give it an action such as `file.put:`, `steps:`, `script:` or `use:`"),
                );
                None
            }
            (children, uses, script, actions) => {
                let second = actions.last().map(|(key, _)| &key.span);
                let second = second.or(script.or(uses).or(children).map(|node| &node.span));
                let span = second.unwrap_or(&nodes.step.span).clone();
                self.problems.push(
                    Diagnostic::error("two-actions", "a step does exactly one thing", span)
                        .help("make two steps of it, or put both under `steps:`"),
                );
                None
            }
        }
    }

    pub(super) fn call(&mut self, key: &Key, node: &Node, more: &[&str]) -> Option<Call> {
        let Some(action) = self.registry.get(&key.name) else {
            self.problems.push(unknown_action(self.registry, &key.name, &key.span));
            return None;
        };
        let spec = action.spec();
        let mut args = IndexMap::new();
        let entries: Vec<(&Key, &Node)> = match &node.value {
            NodeValue::Null => Vec::new(),
            _ => MapReader::new(node, &format!("`{}`", key.name), &mut self.problems)?.rest(),
        };
        for (name, value) in &entries {
            let Some(arg) = spec.args.iter().find(|arg| arg.name == name.name) else {
                self.problems.push(unknown_argument(spec, &name.name, &name.span));
                continue;
            };
            let Some(dynamic) = self.dynamic(value, more) else { continue };
            let known = match arg.kind {
                ArgKind::Path => dynamic.shape(),
                _ => dynamic.fixed(),
            };
            let fixed = known.and_then(|known| wrong_type(arg, &known, &value.span));
            if let Some(problem) = fixed.or_else(|| self.other_type(arg, &dynamic, &value.span)) {
                self.problems.push(problem);
            }
            args.insert(name.name.clone(), dynamic);
        }
        let given: Vec<&str> = entries.iter().map(|(name, _)| name.name.as_str()).collect();
        for problem in missing_arguments(spec, &given, &key.span) {
            self.problems.push(problem);
        }
        Some(Call { action: key.name.clone(), args: Args(args), span: key.span.clone() })
    }

    /// What the result of a step holds, as far as its action says it.
    pub(super) fn result_of(&self, actions: &[(&Key, &Node)]) -> Holds {
        match actions {
            [(key, node)] => self.held(&key.name, |arg| node.get(arg).is_some()),
            _ => Holds::Anything,
        }
    }

    /// What the result of a call holds.
    pub(super) fn result_of_call(&self, call: &Call) -> Holds {
        self.held(&call.action, |arg| call.args.0.contains_key(arg))
    }

    fn held(&self, action: &str, written: impl Fn(&str) -> bool) -> Holds {
        self.registry.get(action).map_or(Holds::Anything, |action| action.spec().returns.of_call(written))
    }

    /// The name of a result, and what the result holds.
    pub(super) fn register(&mut self, node: &Node, result: Holds) -> Option<Located<String>> {
        let name = read::string(node, &mut self.problems)?;
        let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && is_variable_name(&name);
        let reserved = NAMES.iter().chain(&["facts", "result"]).any(|taken| *taken == name);
        let taken = self.registered.contains_key(&name);
        if !fits || reserved || taken {
            let message = if !fits {
                format!(
                    "`{name}` is no name for a result: lower-case letters, digits and `_`, and no word of Rhai's"
                )
            } else {
                format!("the name `{name}` is taken")
            };
            let mut problem = Diagnostic::error("register", message, node.span.clone());
            if fits {
                problem = problem.label(if reserved {
                    "every expression has something of this name"
                } else {
                    "a step before registers it"
                });
            }
            self.problems.push(problem);
            return None;
        }
        let holds = if self.looped { Holds::Anything } else { result };
        self.registered.insert(name.clone(), holds);
        Some(Located::new(name, node.span.clone()))
    }
}

/// There is no action of this name.
pub(super) fn unknown_action(registry: &Registry, name: &str, at: &Span) -> Diagnostic {
    let message = format!("there is no action `{name}`");
    let mut problem = Diagnostic::error("unknown-action", message, at.clone());
    problem.help = suggest(name, registry.names());
    problem
}

/// The action has no argument of this name.
pub(super) fn unknown_argument(spec: &ActionSpec, name: &str, at: &Span) -> Diagnostic {
    let message = format!("`{}` has no argument `{name}`", spec.name);
    let mut problem = Diagnostic::error("unknown-argument", message, at.clone());
    problem.help = advice(name, spec.args.iter().map(|arg| arg.name));
    problem
}

/// A value that is known beforehand and does not fit; null stands for an absent one.
pub(super) fn wrong_type(arg: &ArgSpec, value: &Value, at: &Span) -> Option<Diagnostic> {
    if matches!(value, Value::Null) {
        return None;
    }
    let why = keybook_api::action::fits(arg.kind, value).err()?;
    Some(Diagnostic::error("wrong-type", format!("the argument `{}`: {why}", arg.name), at.clone()))
}

/// Arguments that must be given and are not. One that is only misspelt is not missed as well.
pub(super) fn missing_arguments(spec: &ActionSpec, given: &[&str], at: &Span) -> Vec<Diagnostic> {
    let known = |name: &str| spec.args.iter().any(|arg| arg.name == name);
    let meant = |wanted: &str| {
        given.iter().any(|name| *name == wanted || !known(name) && suggest(name, [wanted]).is_some())
    };
    let missing = spec.args.iter().filter(|arg| arg.required && !meant(arg.name));
    missing
        .map(|arg| {
            let message = format!("`{}` needs the argument `{}`", spec.name, arg.name);
            Diagnostic::error("missing-argument", message, at.clone()).label(arg.doc)
        })
        .collect()
}
