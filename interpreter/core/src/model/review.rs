//! What can be said only of a whole runbook: obligations that nobody pays, or that nobody owes; changes that nobody
//! can take back.

use super::{Runbook, Step, taken_back::reads_taken_back, way_back::no_way_back};
use keybook_api::{Diagnostic, Registry, Span};
use keybook_source::suggest;

/// A step with its path and the groups of its hosts, taken from the step around it when it names none.
struct Placed<'r> {
    step: &'r Step,
    groups: Vec<String>,
}

/// Everything that is wrong with a runbook as a whole.
pub fn review(runbook: &Runbook, registry: &Registry) -> Vec<Diagnostic> {
    let steps = placed(runbook);
    let mut found = no_way_back(runbook, registry);
    found.extend(reads_taken_back(runbook, registry));
    for (at, owing) in steps.iter().enumerate() {
        if let Some(owes) = &owing.step.owes {
            let groups = owes.on.as_ref().map_or_else(|| owing.groups.clone(), |on| vec![on.value.clone()]);
            found.extend(unpaid(&owes.what.value, &owes.what.span, &groups, &steps, at));
        }
        if let Some(settles) = &owing.step.settles {
            found.extend(not_owed(&settles.value, &settles.span, &steps));
        }
    }
    found
}

/// The steps in their order, those inside others after them; `finally` is left out: it settles nothing.
fn placed(runbook: &Runbook) -> Vec<Placed<'_>> {
    let mut placed: Vec<(String, Placed<'_>)> = Vec::new();
    for (path, step) in runbook.walk().into_iter().filter(|(path, _)| !path.starts_with("finally/")) {
        let own = step
            .hosts
            .as_ref()
            .map(|choice| choice.picks.iter().map(|pick| pick.group.clone()).collect::<Vec<String>>());
        let around = path.rsplit_once('/').and_then(|(around, _)| placed.iter().find(|(at, _)| at == around));
        let groups = own.or_else(|| around.map(|(_, around)| around.groups.clone())).unwrap_or_default();
        placed.push((path, Placed { step, groups }));
    }
    placed.into_iter().map(|(_, placed)| placed).collect()
}

fn unpaid(
    what: &str,
    at: &Span,
    groups: &[String],
    steps: &[Placed<'_>],
    owing: usize,
) -> Option<Diagnostic> {
    let settling =
        |placed: &&Placed<'_>| placed.step.settles.as_ref().is_some_and(|settles| settles.value == what);
    let all: Vec<&Placed<'_>> = steps.iter().filter(settling).collect();
    let later: Vec<&Placed<'_>> = steps.iter().skip(owing).filter(settling).collect();
    if all.is_empty() {
        let known = steps.iter().filter_map(|placed| placed.step.settles.as_ref());
        let mut problem = Diagnostic::error("never-settled", format!("no step settles `{what}`"), at.clone())
            .label("the run could not end well while this is owed");
        problem.help = suggest(what, known.map(|settles| settles.value.as_str()))
            .or_else(|| Some(format!("add `settles: {what}` to the step that pays it, such as a restart")));
        return Some(problem);
    }
    if later.is_empty() {
        let problem = Diagnostic::error(
            "settled-too-early",
            format!("`{what}` is settled before this step owes it"),
            at.clone(),
        );
        return Some(problem.help("move the step that settles it behind this one"));
    }
    let missing = groups.iter().find(|group| !later.iter().any(|placed| placed.groups.contains(group)))?;
    let message = format!("no step settles `{what}` on the hosts of `{missing}`");
    Some(
        Diagnostic::error("settled-elsewhere", message, at.clone())
            .help("give the settling step these hosts as well, or say `on: GROUP` here"),
    )
}

fn not_owed(what: &str, at: &Span, steps: &[Placed<'_>]) -> Option<Diagnostic> {
    let mut owed = steps.iter().filter_map(|placed| placed.step.owes.as_ref());
    if owed.any(|owes| owes.what.value == what) {
        return None;
    }
    let known = steps.iter().filter_map(|placed| placed.step.owes.as_ref());
    let mut problem = Diagnostic::error("nothing-owed", format!("no step owes `{what}`"), at.clone());
    problem.help = suggest(what, known.map(|owes| owes.what.value.as_str())).or_else(|| {
        Some(format!("add `owes: {{ what: {what} }}` to the step that makes this one necessary"))
    });
    Some(problem)
}
