//! Steps that settle something and could not do so again in a rollback.

use super::{Dynamic, Runbook, Step, Work};
use crate::backup::inside;
use keybook_api::{Diagnostic, Effect, Registry, Span, Value, WayBack};
use keybook_script::NameUse;
use std::collections::HashSet;

/// The steps before `finally` in their order, those inside others after them, each with its path.
struct Steps<'r> {
    all: Vec<(String, &'r Step)>,
    /// The paths of those that use a library.
    libraries: HashSet<&'r str>,
}

/// A `reads-taken-back` for each use of a result, in what settles an obligation, of a step that is taken back before that is
/// settled again: its files are then the old ones, and there is no such result any more.
pub fn reads_taken_back(runbook: &Runbook, registry: &Registry) -> Vec<Diagnostic> {
    let mut all = runbook.walk();
    all.retain(|(path, _)| !path.starts_with("finally/"));
    let libraries = all.iter().filter(|(_, step)| step.library.is_some()).map(|(path, _)| path.clone());
    let libraries: HashSet<String> = libraries.collect();
    let steps = Steps { all, libraries: libraries.iter().map(String::as_str).collect() };
    let mut found = Vec::new();
    for (at, (path, step)) in steps.all.iter().enumerate() {
        let Some(settles) = &step.settles else { continue };
        let owes = |(_, step): &(String, &Step)| {
            step.owes.as_ref().is_some_and(|owes| owes.what.value == settles.value)
        };
        let Some(first) = steps.all.iter().position(owes).filter(|first| *first < at) else { continue };
        for (reader, used) in steps.reads_in(path) {
            let taken_back = steps.all.get(first..at).unwrap_or_default().iter().find(|(from, step)| {
                let name = step.register.as_ref().map(|name| name.value.as_str());
                name == result_of(used).map(|(name, _)| name)
                    && name.is_some()
                    && steps.library_around(from) == steps.library_around(reader)
                    && changes(step, registry)
            });
            found.extend(taken_back.map(|(_, from)| problem(used, from, &settles.value)));
        }
    }
    found
}

impl<'r> Steps<'r> {
    /// What is read when the step at a path is carried out: by it, by the steps inside, and by the steps around it that
    /// use a library, for its inputs. Each with the path where it is read.
    fn reads_in(&self, path: &str) -> Vec<(&str, &'r NameUse)> {
        let mut reads = Vec::new();
        for (at, step) in &self.all {
            if inside(at, path) {
                reads.extend(step.reads.iter().map(|used| (at.as_str(), used)));
            } else if let Some(library) = step.library.as_ref().filter(|_| inside(path, at)) {
                let given = library.with.0.values().flat_map(Dynamic::names_used);
                reads.extend(given.map(|used| (at.as_str(), used)));
            }
        }
        reads
    }

    /// The innermost step around a path that uses a library: results are seen only inside it.
    fn library_around(&self, path: &str) -> Option<&str> {
        let around = path.match_indices('/').rev().filter_map(|(end, _)| path.get(..end));
        around.into_iter().find_map(|path| self.libraries.get(path).copied())
    }
}

/// The result that a use of a name reads, and where.
fn result_of(used: &NameUse) -> Option<(&str, &Span)> {
    match used.name.as_str() {
        "by_host" => Some((used.path.first()?.as_str(), used.path_spans.first()?)),
        name => Some((name, &used.span)),
    }
}

/// Has it, or may it have, an effect that a rollback takes back?
fn changes(step: &Step, registry: &Registry) -> bool {
    match &step.work {
        Work::Action(call) => registry.get(&call.action).is_some_and(|action| {
            let spec = action.spec();
            let harmless =
                |arg: &str| call.args.0.get(arg).and_then(Dynamic::fixed) == Some(Value::Bool(false));
            spec.effect == Effect::Changes && !matches!(spec.way_back, WayBack::NoneIf(arg) if harmless(arg))
        }),
        Work::Script(script) => script.acts().iter().any(|call| {
            registry.get(&call.action).is_some_and(|action| action.spec().effect == Effect::Changes)
        }),
        Work::Steps(_) => false,
    }
}

fn problem(used: &NameUse, from: &Step, what: &str) -> Diagnostic {
    let (name, at) = result_of(used).unwrap_or((&used.name, &used.span));
    let message = format!("`{name}` is gone when a rollback settles `{what}` again");
    let label = format!("the result of the step `{}`, which is taken back before", from.id.value);
    Diagnostic::error("reads-taken-back", message, at.clone())
        .label(label)
        .help("read what is needed in the settling step itself, with `facts`")
}
