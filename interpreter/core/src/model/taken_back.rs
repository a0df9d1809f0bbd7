//! Steps that settle something and could not do so again in a rollback.

use super::{Dynamic, Runbook, Step, Work, withheld};
use crate::backup::inside;
use keybook_api::{Diagnostic, Effect, Registry, Span, Value, WayBack};
use keybook_script::NameUse;

/// The steps before `finally` in their order, those inside others after them, each with its path.
type Steps<'r> = [(String, &'r Step)];

/// A `reads-taken-back` for each use of a result, in what settles an obligation, of a step that is taken back before that is
/// settled again: its files are then the old ones, and there is no such result any more. A `reads-withheld` for each use of a
/// secret result of any step before: the rollback may be another process, which does not have it.
pub fn reads_taken_back(runbook: &Runbook, registry: &Registry) -> Vec<Diagnostic> {
    let mut steps = runbook.walk();
    steps.retain(|(path, _)| !path.starts_with("finally/"));
    let mut found = Vec::new();
    for (at, (path, step)) in steps.iter().enumerate() {
        let Some(settles) = &step.settles else { continue };
        let owes = |(_, step): &(String, &Step)| {
            step.owes.as_ref().is_some_and(|owes| owes.what.value == settles.value)
        };
        let Some(first) = steps.iter().position(owes).filter(|first| *first < at) else { continue };
        for (reader, used) in reads_in(&steps, path) {
            let Some((name, span)) = result_of(used) else { continue };
            let gives = |(from, step): &&(String, &Step)| {
                step.register.as_ref().is_some_and(|register| register.value == name)
                    && library(runbook, from) == library(runbook, reader)
            };
            let between = steps.get(first..at).unwrap_or_default();
            let mut taken_back = between.iter().filter(gives).filter(|(_, step)| changes(step, registry));
            // What the settling step itself reads before is read again.
            let mut withheld = steps
                .iter()
                .filter(gives)
                .filter(|(from, step)| !inside(from, path) && withheld::reads_secret(used, step, registry));
            found.extend(match taken_back.next() {
                Some((_, from)) => Some(problem(used, from, &settles.value)),
                None => withheld.next().map(|(_, from)| withheld::problem(name, span, from, &settles.value)),
            });
        }
    }
    found
}

/// The step around a path whose library it is in.
fn library<'p>(runbook: &Runbook, path: &'p str) -> Option<&'p str> {
    runbook.library_around(path).map(|(around, _)| around)
}

/// What is read when the step at a path is carried out: by it, by the steps inside, and by the steps around it that have a
/// gate, which is asked, or use a library, for its inputs. Each with the path where it is read.
fn reads_in<'s, 'r>(steps: &'s Steps<'r>, path: &str) -> Vec<(&'s str, &'r NameUse)> {
    let mut reads = Vec::new();
    for (at, step) in steps {
        if inside(at, path) || inside(path, at) && step.gate.is_some() {
            reads.extend(step.reads.iter().map(|used| (at.as_str(), used)));
        }
        if let Some(library) = step.library.as_ref().filter(|_| at != path && inside(path, at)) {
            let given = library.with.0.values().flat_map(Dynamic::names_used);
            reads.extend(given.map(|used| (at.as_str(), used)));
        }
    }
    reads
}

/// The result that a use of a name reads, and where.
fn result_of(used: &NameUse) -> Option<(&str, &Span)> {
    match used.name.as_str() {
        "by_host" => Some((used.path.first()?.as_str(), used.path_spans.first()?)),
        name => Some((name, &used.span)),
    }
}

/// Has it, or may it have, an effect that a rollback takes back?
pub(super) fn changes(step: &Step, registry: &Registry) -> bool {
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
