//! Steps that change something and say nowhere how it would be taken back.

use super::{Dynamic, Runbook, Step, Work};
use keybook_api::{ActionSpec, Diagnostic, Effect, Registry, Span, Value, WayBack};
use keybook_script::ActCall;
use std::collections::HashSet;

/// A `no-way-back` for each step whose action, or a call that its script writes out, has none of its own, unless it,
/// or a step around it, has `undo`, `backup` or `irreversible`, or `settles` something: that step is carried out again
/// in a rollback. `finally` is left out: it is no part of what a rollback takes back, and runs at its end, too.
pub fn no_way_back(runbook: &Runbook, registry: &Registry) -> Vec<Diagnostic> {
    let mut told = HashSet::new();
    let mut found = Vec::new();
    for (path, step) in runbook.walk().into_iter().filter(|(path, _)| !path.starts_with("finally/")) {
        let inside = path.rsplit_once('/').is_some_and(|(around, _)| told.contains(around));
        if inside || says_how(step) {
            told.insert(path);
            continue;
        }
        match &step.work {
            Work::Action(call) => {
                let given = |arg: &str| call.args.0.get(arg).and_then(Dynamic::fixed);
                let spec = registry.get(&call.action).map(|action| action.spec());
                found.extend(spec.and_then(|spec| problem(spec, &given, &call.span)));
            }
            Work::Script(script) => {
                found.extend(script.acts().iter().filter_map(|call| of_call(registry, call)));
            }
            Work::Steps(_) => {}
        }
    }
    found
}

/// An `undo-reads` for each `undo` that only looks: nothing would be taken back, and the rollback would say that it was.
pub fn undo_reads(runbook: &Runbook, registry: &Registry) -> Vec<Diagnostic> {
    let undo = runbook.walk().into_iter().filter_map(|(_, step)| step.undo.as_ref());
    let reads = undo.filter(|call| {
        registry.get(&call.action).is_some_and(|action| action.spec().effect == Effect::Reads)
    });
    let problem = |call: &super::Call| {
        let message = format!("`{}` only looks, so it takes nothing back", call.action);
        Diagnostic::error("undo-reads", message, call.span.clone())
            .label("a rollback would call this step taken back")
            .help("name an action that changes the host back; where there is nothing to take back, `undo: { note.write: … }` says why")
    };
    reads.map(problem).collect()
}

fn of_call(registry: &Registry, call: &ActCall) -> Option<Diagnostic> {
    let args = call.args.as_deref().unwrap_or_default();
    let given = |arg: &str| args.iter().find(|(key, _)| key == arg)?.1.value.clone();
    problem(registry.get(&call.action)?.spec(), &given, &call.span)
}

fn says_how(step: &Step) -> bool {
    step.undo.is_some() || !step.backup.is_empty() || step.irreversible.is_some() || step.settles.is_some()
}

fn problem(spec: &ActionSpec, given: &dyn Fn(&str) -> Option<Value>, at: &Span) -> Option<Diagnostic> {
    let mut help = "add `undo: { … }`, or `backup: […]` for the files that it changes, or `settles: …` when it pays what a \
        step before it owes, or `irreversible: why` and a gate"
        .to_owned();
    match spec.way_back {
        WayBack::None if spec.effect == Effect::Changes => {}
        WayBack::NoneIf(arg) if spec.effect == Effect::Changes => {
            if given(arg) == Some(Value::Bool(false)) {
                return None;
            }
            help.push_str(&format!("; or `{arg}: false` when there is nothing to take back"));
        }
        _ => return None,
    }
    let message = format!("`{}` cannot be taken back by itself, and nothing says how it is", spec.name);
    let problem = Diagnostic::error("no-way-back", message, at.clone());
    Some(problem.label("a rollback would leave what this did").help(help))
}
