//! Questions of gates that would show a secret: nobody could read what is asked.

use super::{Input, Runbook, Step, Translation, i18n::places, withheld};
use indexmap::IndexMap;
use keybook_api::{Diagnostic, Registry};
use keybook_script::{Expr, NameUse, Template, names_used};

/// A `secret-in-question` for each secret in the question of a gate.
pub(super) fn secrets(runbook: &Runbook, registry: &Registry) -> Vec<Diagnostic> {
    let steps = runbook.walk();
    let asked = steps.iter().filter_map(|(path, step)| Some((path, *step, &step.gate.as_ref()?.ask)));
    asked.flat_map(|(path, step, ask)| secrets_in(runbook, registry, path, step, ask)).collect()
}

/// The same for the questions of a translation.
pub(super) fn translated(
    translation: &Translation,
    runbook: &Runbook,
    registry: &Registry,
) -> Vec<Diagnostic> {
    let steps = runbook.walk();
    let mut found = Vec::new();
    for place in places(runbook) {
        let texts = match place.library {
            Some(library) => translation.libraries.get(library),
            None => Some(&translation.steps),
        };
        let Some(ask) = texts.and_then(|texts| texts.get(&place.path)?.ask.as_ref()) else { continue };
        let path = steps.iter().find(|(_, step)| std::ptr::eq(*step, place.step)).map(|(path, _)| path);
        found.extend(path.into_iter().flat_map(|path| secrets_in(runbook, registry, path, place.step, ask)));
    }
    found
}

fn secrets_in(
    runbook: &Runbook,
    registry: &Registry,
    path: &str,
    step: &Step,
    ask: &Template,
) -> Vec<Diagnostic> {
    let shown = ask.exprs().filter_map(shown_as_it_is);
    let secret = shown.filter(|used| is_secret(runbook, registry, path, step, used));
    secret.map(|used| problem(&used)).collect()
}

/// The variable that an expression is, with its keys, when it is nothing else: what is computed from a secret may be none. A key
/// may be in brackets, and all of it in parentheses.
fn shown_as_it_is(expr: &Expr) -> Option<NameUse> {
    let [used] = names_used(expr) else { return None };
    let dotted = expr.text().as_str().replace('[', ".");
    let dotted: String = dotted.chars().filter(|letter| !" \n\t()]\"'`".contains(*letter)).collect();
    let mut parts = dotted.split('.').map(str::to_owned);
    let name = parts.next().filter(|name| *name == used.name)?;
    let path: Vec<String> = parts.collect();
    let plain =
        |key: &String| key.chars().all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '-');
    path.iter().all(plain).then(|| NameUse { name, path, ..used.clone() })
}

fn is_secret(runbook: &Runbook, registry: &Registry, path: &str, step: &Step, used: &NameUse) -> bool {
    let library = runbook.library_around(path);
    let input = |inputs: &IndexMap<String, Input>| {
        used.path.first().and_then(|name| inputs.get(name)).is_some_and(Input::is_secret)
    };
    match used.name.as_str() {
        "inputs" => input(library.map_or(&runbook.inputs, |(_, library)| &library.inputs)),
        "facts" => {
            let call = used.path.first().and_then(|name| step.facts.get(name));
            call.is_some_and(|call| withheld::secret_key(call, used.path.get(1), registry))
        }
        name => {
            let name = if name == "by_host" { used.path.first().map(String::as_str) } else { Some(name) };
            let around = library.map(|(around, _)| around);
            let steps = runbook.walk();
            let mut giving = steps.iter().filter(|(from, step)| {
                step.register.as_ref().map(|register| register.value.as_str()) == name
                    && runbook.library_around(from).map(|(around, _)| around) == around
            });
            giving.any(|(_, from)| withheld::reads_secret(used, from, registry))
        }
    }
}

fn problem(used: &NameUse) -> Diagnostic {
    let keys: String = used.path.iter().map(|key| format!(".{key}")).collect();
    let message = format!("`{}{keys}` is a secret, which no question can show", used.name);
    Diagnostic::error("secret-in-question", message, used.span.clone())
        .label("the person who is asked could not read the question")
        .help("ask about what is no secret, such as a name or a fingerprint")
}
