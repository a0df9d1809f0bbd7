//! The order of phases.

use super::{Runbook, Step};
use keybook_api::Diagnostic;

/// A step whose phase is declared before that of a step in front of it: `--until` would stop before it is reached.
pub(super) fn in_order(runbook: &Runbook) -> Vec<Diagnostic> {
    let place = |phase: &str| runbook.phases.iter().position(|known| known == phase);
    let steps = runbook.walk();
    let with_phase = steps.iter().filter(|(path, _)| !path.starts_with("finally/"));
    let with_phase = with_phase.filter_map(|(_, step)| Some((*step, place(step.phase.as_deref()?)?)));
    let mut latest: Option<(&Step, usize)> = None;
    let mut found = Vec::new();
    for (step, at) in with_phase {
        match latest {
            Some((before, reached)) if reached > at => found.push(problem(step, before)),
            _ => latest = Some((step, at)),
        }
    }
    found
}

fn problem(step: &Step, before: &Step) -> Diagnostic {
    let phase = |step: &Step| step.phase.clone().unwrap_or_default();
    let (own, other) = (phase(step), phase(before));
    let message = format!("`{}` is of the phase `{own}` and comes after the phase `{other}`", step.id.value);
    Diagnostic::error("phase-order", message, step.id.span.clone())
        .label(format!("`--until {own}` would stop before `{}`, and never get here", before.id.value))
        .help("list `phases` in the order in which the steps reach them")
}
