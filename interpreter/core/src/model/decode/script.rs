//! `script:`: Rhai that calls actions.

use super::{
    Decoder,
    calls::{missing_arguments, unknown_action, unknown_argument, wrong_type},
    no_such_key,
};
use keybook_api::{Diagnostic, Effect, Registry};
use keybook_script::{ActCall, Script};
use keybook_source::{Node, read};

impl Decoder<'_> {
    /// The script of a step. It sees what its arguments would see.
    pub(super) fn script(&mut self, node: &Node) -> Option<Script> {
        let text = read::text(node, &mut self.problems)?.clone();
        if text.as_str().trim().is_empty() {
            let problem = Diagnostic::error("empty", "the script does nothing", node.span.clone());
            self.problems.push(problem.help("call an action: act(\"family.verb\", #{ … })"));
            return None;
        }
        let registry = self.registry;
        let judge = |call: &ActCall| wrong_call(registry, call);
        match self.script.script_judged(&text, &self.names(&["facts"]), &judge) {
            Ok(script) => {
                script.names_used().iter().for_each(|used| self.known_name(used));
                self.problems.extend(script.acts().iter().filter_map(|call| stray_key(registry, call)));
                Some(script)
            }
            Err(found) => {
                found.into_iter().for_each(|problem| self.problems.push(problem));
                None
            }
        }
    }
}

/// What is wrong with a call of a script's step, as far as it is written out.
fn wrong_call(registry: &Registry, call: &ActCall) -> Vec<Diagnostic> {
    elsewhere(registry, call).into_iter().chain(misfit(registry, call)).collect()
}

/// A call on another host that does not only read.
fn elsewhere(registry: &Registry, call: &ActCall) -> Option<Diagnostic> {
    let (name, _) = call.action.split_once('@')?;
    let changes = registry.get(name)?.spec().effect != Effect::Reads;
    let message = format!("`{name}` does not only read, so it cannot be called on another host");
    changes.then(|| {
        Diagnostic::error("act-elsewhere", message, call.span.clone())
            .help("a step of its own, with `hosts`, has a gate, a backup and a way back there")
    })
}

/// The action that a call names, without the host.
pub(in crate::model) fn called(call: &ActCall) -> &str {
    call.action.split_once('@').map_or(call.action.as_str(), |(name, _)| name)
}

/// A key that is read from the result of a call and that the result does not have.
pub(in crate::model) fn stray_key(registry: &Registry, call: &ActCall) -> Option<Diagnostic> {
    let (read, args) = (call.read.as_ref()?, call.args.as_ref()?);
    let returns = registry.get(called(call))?.spec().returns;
    no_such_key(read, returns.of_call(|arg| args.iter().any(|(key, _)| key == arg)), 0)
}

/// What does not fit the action's own description: its name, its arguments.
pub(in crate::model) fn misfit(registry: &Registry, call: &ActCall) -> Vec<Diagnostic> {
    let name = called(call);
    let Some(action) = registry.get(name) else { return vec![unknown_action(registry, name, &call.span)] };
    let spec = action.spec();
    let mut found = Vec::new();
    let Some(args) = &call.args else { return found };
    for (key, arg) in args {
        match (spec.args.iter().find(|known| known.name == key), &arg.value) {
            (None, _) => found.push(unknown_argument(spec, key, &arg.span)),
            (Some(known), Some(value)) => found.extend(wrong_type(known, value, &arg.span)),
            (Some(_), None) => {}
        }
    }
    let given: Vec<&str> = args.iter().map(|(key, _)| key.as_str()).collect();
    found.extend(missing_arguments(spec, &given, &call.span));
    found
}
