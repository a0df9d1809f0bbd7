//! Steps that change something and say nowhere how it would be taken back.

use super::{Call, Runbook, Step, Work};
use keybook_api::{ActionSpec, Diagnostic, Effect, Registry, Value, WayBack};
use std::collections::HashSet;

/// A `no-way-back` for each step whose action has none of its own, unless it, or a step around it, has `undo`,
/// `backup` or `irreversible`, or `settles` something: that step is carried out again in a rollback. `finally` is left
/// out: it is no part of what a rollback takes back, and runs at its end, too.
pub fn no_way_back(runbook: &Runbook, registry: &Registry) -> Vec<Diagnostic> {
    let mut told = HashSet::new();
    let mut found = Vec::new();
    for (path, step) in runbook.walk().into_iter().filter(|(path, _)| !path.starts_with("finally/")) {
        let inside = path.rsplit_once('/').is_some_and(|(around, _)| told.contains(around));
        if inside || says_how(step) {
            told.insert(path);
        } else if let Work::Action(call) = &step.work {
            found.extend(registry.get(&call.action).and_then(|action| problem(action.spec(), call)));
        }
    }
    found
}

fn says_how(step: &Step) -> bool {
    step.undo.is_some() || !step.backup.is_empty() || step.irreversible.is_some() || step.settles.is_some()
}

fn problem(spec: &ActionSpec, call: &Call) -> Option<Diagnostic> {
    let mut help = "add `undo: { … }`, or `backup: […]` for the files that it changes, or `irreversible: why` and a gate".to_owned();
    match spec.way_back {
        WayBack::None if spec.effect == Effect::Changes => {}
        WayBack::NoneIf(arg) if spec.effect == Effect::Changes => {
            let given = call.args.0.get(arg).and_then(super::Dynamic::fixed);
            if given == Some(Value::Bool(false)) {
                return None;
            }
            help.push_str(&format!("; or `{arg}: false` when there is nothing to take back"));
        }
        _ => return None,
    }
    let message = format!("`{}` cannot be taken back by itself, and nothing says how it is", spec.name);
    let problem = Diagnostic::error("no-way-back", message, call.span.clone());
    Some(problem.label("a rollback would leave what this did").help(help))
}
