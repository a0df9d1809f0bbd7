//! Families of actions that a runbook uses and does not list under `requires.actions`.

use super::{Call, Runbook, Step, Work, decode::called, trust::Reads};
use keybook_api::{Diagnostic, Span};
use keybook_script::{ActCall, Hooks};
use std::collections::BTreeSet;

/// A warning for each family, where it is used first. A runbook that lists none promises nothing.
pub fn unlisted(runbook: &Runbook, hooks: Option<&Hooks>) -> Vec<Diagnostic> {
    let mut known: BTreeSet<&str> = runbook.requires.iter().map(|family| family.value.as_str()).collect();
    if known.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (action, at) in used(runbook, hooks) {
        let family = action.split('.').next().unwrap_or(action);
        if known.insert(family) {
            let message = format!("`requires` does not list the `{family}` actions");
            let problem = Diagnostic::warning("unlisted-actions", message, at.clone());
            found.push(problem.help(format!("add `{family}` to `actions` there")));
        }
    }
    found
}

/// Every action that is used, as far as it is written out, and where: those of trust, of steps, of hooks.
fn used<'r>(runbook: &'r Runbook, hooks: Option<&'r Hooks>) -> Vec<(&'r str, &'r Span)> {
    let servers = runbook.trust.servers.values().map(|server| &server.reads);
    let reads = servers.chain(runbook.trust.clients.values().map(|client| &client.reads));
    let started = reads.filter_map(|reads| match reads {
        Reads::Started(call) => Some(of_call(call)),
        Reads::EachTime | Reads::CannotTell => None,
    });
    let steps = runbook.walk().into_iter().flat_map(|(_, step)| of_step(step));
    started.chain(steps).chain(hooks.into_iter().flat_map(Hooks::acts).map(of_act)).collect()
}

fn of_step(step: &Step) -> Vec<(&str, &Span)> {
    let mut found: Vec<(&str, &Span)> = step.facts.values().chain(&step.undo).map(of_call).collect();
    match &step.work {
        Work::Action(call) => found.push(of_call(call)),
        Work::Script(script) => found.extend(script.acts().iter().map(of_act)),
        Work::Steps(_) => {}
    }
    found
}

fn of_call(call: &Call) -> (&str, &Span) {
    (&call.action, &call.span)
}

fn of_act(call: &ActCall) -> (&str, &Span) {
    (called(call), &call.span)
}
