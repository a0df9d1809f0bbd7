//! What can be said of hooks.rhai before a run: the hooks that it has, and the actions that they call.

use super::{
    Files, Input, Runbook,
    decode::{called, misfit, no_such_key, stray_key},
};
use crate::run::hooks::HOOKS;
use keybook_api::{Diagnostic, Effect, Registry, returns::Holds};
use keybook_script::{ActCall, GivenText, HookFn, Hooks, NameUse};
use keybook_source::suggest;

/// Everything that is wrong with it by itself.
pub fn review(hooks: &Hooks, files: &Files, registry: &Registry) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = hooks.functions().iter().filter_map(wrong_params).collect();
    found.extend(hooks.functions().iter().filter_map(|function| never_called(function, files)));
    found.extend(hooks.functions().iter().flat_map(unknown_keys));
    found.extend(hooks.acts().flat_map(|call| misfit(registry, call)));
    found.extend(hooks.acts().filter_map(|call| stray_key(registry, call)));
    let reached = HOOKS.iter().flat_map(|(hook, _)| hooks.acts_reached_from(hook));
    found.extend(reached.filter_map(|call| changes(call, registry)));
    found.sort_by_key(|problem| (problem.span.line, problem.span.column));
    found
}

/// What each parameter of a hook holds; `None` of a function that is none.
fn given_to(function: &HookFn) -> Option<&'static [Holds]> {
    HOOKS.iter().find(|(name, _)| *name == function.name).map(|(_, given)| *given)
}

/// A hook with another number of parameters than it is called with.
fn wrong_params(function: &HookFn) -> Option<Diagnostic> {
    let (name, params) = (&function.name, given_to(function)?.len());
    (function.params.len() != params).then(|| {
        let message = format!("the hook `{name}` has {params} parameters, not {}", function.params.len());
        Diagnostic::error("hook-params", message, function.span.clone())
    })
}

/// Keys that a hook reads from what it is given, and that are not there. What its parameters are called, it says itself.
fn unknown_keys(function: &HookFn) -> Vec<Diagnostic> {
    let Some(given) = given_to(function).filter(|given| given.len() == function.params.len()) else {
        return Vec::new();
    };
    let problem = |used: &NameUse| {
        let place = function.params.iter().position(|param| *param == used.name)?;
        no_such_key(used, *given.get(place)?, 0)
    };
    function.reads.iter().filter_map(problem).collect()
}

/// A function that is named nearly as a hook, and that nothing in the runbook's files names again.
fn never_called(function: &HookFn, files: &Files) -> Option<Diagnostic> {
    let name = function.name.as_str();
    let meant = suggest(name, HOOKS.iter().map(|(hook, _)| *hook))?;
    let word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let named = |text: &String| text.split(|letter| !word(letter)).filter(|found| *found == name).count();
    if HOOKS.iter().any(|(hook, _)| *hook == name) || files.sources().values().map(named).sum::<usize>() > 1 {
        return None;
    }
    let message = format!("nothing calls `{name}`: it is no hook");
    Some(Diagnostic::warning("unknown-hook", message, function.span.clone()).help(meant))
}

/// A call, in a hook or in what it calls, that it may not make.
fn changes(call: &ActCall, registry: &Registry) -> Option<Diagnostic> {
    let name = called(call);
    let refused = !matches!(registry.get(name)?.spec().effect, Effect::Reads | Effect::Tells);
    refused.then(|| {
        let message = format!("`{name}` is not read-only, so a hook cannot call it");
        Diagnostic::error("hook-changes", message, call.span.clone())
            .help("what changes something belongs in a step, where it has a gate, a backup and a way back")
    })
}

/// Secret inputs that hooks ask for and the runbook does not have.
pub fn wrong_secrets(hooks: Option<&Hooks>, runbook: &Runbook) -> Vec<Diagnostic> {
    let wrong = |GivenText { text: name, span }: &GivenText| {
        let input = runbook.inputs.get(name);
        if input.is_some_and(Input::is_secret) {
            return None;
        }
        let message = format!("the runbook has no secret input `{name}`");
        let mut problem = Diagnostic::error("unknown-input", message, span.clone());
        problem.help = match input {
            Some(_) => Some(format!("the input is no secret: hooks have it as `run.inputs.{name}`")),
            None => suggest(name, runbook.inputs.keys().map(String::as_str)),
        };
        Some(problem)
    };
    hooks.into_iter().flat_map(Hooks::secrets).filter_map(wrong).collect()
}
