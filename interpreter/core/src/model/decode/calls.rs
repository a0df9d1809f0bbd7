//! What a step does: its action with arguments, and the name of its result.

use super::{Decoder, NAMES};
use crate::model::{Args, Call, Library, Work};
use indexmap::IndexMap;
use keybook_api::{Diagnostic, Located, Value};
use keybook_source::{Key, MapReader, Node, NodeValue, advice, read, suggest};

/// The nodes that say what a step does.
pub(super) struct WorkNodes<'n> {
    pub step: &'n Node,
    pub children: Option<&'n Node>,
    pub uses: Option<&'n Node>,
    pub with: Option<&'n (Key, Node)>,
    pub actions: &'n [(&'n Key, &'n Node)],
}

impl Decoder<'_> {
    /// Exactly one of an action, `steps` and `use`.
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
        match (nodes.children, nodes.uses, nodes.actions) {
            (Some(list), None, []) => Some((Work::Steps(self.steps(list, inside, phases)), None)),
            (None, Some(name), []) => {
                let (library, steps) = self.library(name, nodes.with, inside, phases)?;
                Some((Work::Steps(steps), Some(library)))
            }
            (None, None, [(key, value)]) => Some((Work::Action(self.call(key, value, &["facts"])?), None)),
            (None, None, []) => {
                self.problems.push(
                    Diagnostic::error("missing-action", "this step does nothing", nodes.step.span.clone())
                        .help("give it an action such as `file.put:`, `steps:`, or `use:`"),
                );
                None
            }
            (children, uses, actions) => {
                let second = actions.last().map(|(key, _)| &key.span);
                let second = second.or(uses.map(|node| &node.span)).or(children.map(|node| &node.span));
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
            let mut problem = Diagnostic::error(
                "unknown-action",
                format!("there is no action `{}`", key.name),
                key.span.clone(),
            );
            problem.help = suggest(&key.name, self.registry.names());
            self.problems.push(problem);
            return None;
        };
        let spec = action.spec();
        let mut args = IndexMap::new();
        let entries: Vec<(&Key, &Node)> = match &node.value {
            NodeValue::Null => Vec::new(),
            _ => MapReader::new(node, &format!("`{}`", key.name), &mut self.problems)?.rest(),
        };
        let mut unknown = Vec::new();
        for (name, value) in &entries {
            let Some(arg) = spec.args.iter().find(|arg| arg.name == name.name) else {
                let message = format!("`{}` has no argument `{}`", spec.name, name.name);
                let mut problem = Diagnostic::error("unknown-argument", message, name.span.clone());
                problem.help = advice(&name.name, spec.args.iter().map(|arg| arg.name));
                self.problems.push(problem);
                unknown.push(name.name.as_str());
                continue;
            };
            let Some(dynamic) = self.dynamic(value, more) else { continue };
            if let Some(fixed) = dynamic.fixed()
                && !matches!(fixed, Value::Null)
                && let Err(why) = keybook_api::action::fits(arg.kind, &fixed)
            {
                let message = format!("the argument `{}`: {why}", arg.name);
                self.problems.push(Diagnostic::error("wrong-type", message, value.span.clone()));
            }
            args.insert(name.name.clone(), dynamic);
        }
        // An argument that is only misspelt is not missed as well.
        let given = |wanted: &str| {
            entries.iter().any(|(name, _)| name.name == wanted)
                || unknown.iter().any(|name| suggest(name, [wanted]).is_some())
        };
        for arg in spec.args.iter().filter(|arg| arg.required && !given(arg.name)) {
            let message = format!("`{}` needs the argument `{}`", spec.name, arg.name);
            self.problems
                .push(Diagnostic::error("missing-argument", message, key.span.clone()).label(arg.doc));
        }
        Some(Call { action: key.name.clone(), args: Args(args), span: key.span.clone() })
    }

    pub(super) fn register(&mut self, node: &Node) -> Option<Located<String>> {
        let name = read::string(node, &mut self.problems)?;
        let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let reserved = NAMES.iter().chain(&["facts", "result"]).any(|taken| *taken == name);
        if !fits || reserved || !self.registered.insert(name.clone()) {
            let message = if !fits {
                format!("`{name}` is no name for a result: lower-case letters, digits and `_`")
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
        Some(Located::new(name, node.span.clone()))
    }
}
