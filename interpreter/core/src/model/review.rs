//! What can be said only of a whole runbook: obligations that nobody pays, or that nobody owes; changes that nobody
//! can take back.

use super::{
    Runbook, Step,
    idle_groups::idle_groups,
    phases, questions,
    taken_back::{changes, reads_taken_back},
    way_back::{no_way_back, undo_reads},
};
use keybook_api::{Diagnostic, Registry, Span};
use keybook_source::suggest;

/// A step with its path and the groups of its hosts, taken from the step around it when it names none.
struct Placed<'r> {
    step: &'r Step,
    groups: Vec<String>,
    /// The path of the step around it.
    around: String,
    /// It, or a step around it, has a `when`: it may be one of several ways.
    conditional: bool,
}

/// Everything that is wrong with a runbook as a whole.
pub fn review(runbook: &Runbook, registry: &Registry) -> Vec<Diagnostic> {
    let steps = placed(runbook);
    let mut found = no_way_back(runbook, registry);
    found.extend(undo_reads(runbook, registry));
    found.extend(idle_groups(runbook));
    found.extend(reads_taken_back(runbook, registry));
    found.extend(in_finally(runbook));
    found.extend(phases::in_order(runbook));
    found.extend(questions::secrets(runbook, registry));
    found.extend(changed_after_settling(runbook, registry));
    for (at, owing) in steps.iter().enumerate() {
        if let Some(owes) = &owing.step.owes {
            found.extend(owed_nowhere(&owes.what.span, owing));
            let groups = owes.on.as_ref().map_or_else(|| owing.groups.clone(), |on| vec![on.value.clone()]);
            let (what, place) = (&owes.what.value, &owes.what.span);
            let unpaid = unpaid(what, place, &groups, &steps, at);
            found.extend(unpaid.or_else(|| settled_before(owing, what, place, &steps)));
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
        let conditional = step.when.is_some() || around.is_some_and(|(_, around)| around.conditional);
        let outer = path.rsplit_once('/').map_or_else(String::new, |(around, _)| around.to_owned());
        placed.push((path, Placed { step, groups, around: outer, conditional }));
    }
    placed.into_iter().map(|(_, placed)| placed).collect()
}

/// Obligations of steps in `finally`, which runs at the end of a run and of its rollback alike: nothing would settle or
/// owe them.
fn in_finally(runbook: &Runbook) -> Vec<Diagnostic> {
    let last = runbook.walk().into_iter().filter(|(path, _)| path.starts_with("finally/"));
    let keys = last.flat_map(|(_, step)| {
        let owes = step.owes.as_ref().map(|owes| ("owes", &owes.what.span));
        owes.into_iter().chain(step.settles.as_ref().map(|settles| ("settles", &settles.span)))
    });
    let problem = |(key, at): (&str, &Span)| {
        Diagnostic::error("obligation-in-finally", format!("`{key}` does not go with `finally`"), at.clone())
            .label("its steps run at the end of the run, and at the end of its rollback")
            .help("let a step of the run itself owe or settle it")
    };
    keys.map(problem).collect()
}

/// A step without hosts owes on this machine, which is not where the steps inside change something.
fn owed_nowhere(at: &Span, owing: &Placed<'_>) -> Option<Diagnostic> {
    fn with_hosts(steps: &[Step]) -> Option<&Step> {
        steps
            .iter()
            .find_map(|step| if step.hosts.is_some() { Some(step) } else { with_hosts(step.children()) })
    }
    let inside = with_hosts(owing.step.children()).filter(|_| owing.groups.is_empty())?;
    let message = format!("this step has no hosts, and `{}` inside it has", inside.id.value);
    Some(
        Diagnostic::error("owed-nowhere", message, at.clone())
            .label("it would be owed by this machine")
            .help("let the step inside owe it, or give this step the hosts"),
    )
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

/// A settling before the change is no part of what pays for it. Side by side, on the same hosts and under no condition that may be
/// a slip: a daemon that the earlier one restarts would go on with the old file.
fn settled_before(owing: &Placed<'_>, what: &str, at: &Span, steps: &[Placed<'_>]) -> Option<Diagnostic> {
    let beside = |one: &&Placed<'_>| {
        let picks = |placed: &Placed<'_>| placed.step.hosts.as_ref().map(|choice| choice.picks.clone());
        one.around == owing.around && picks(one) == picks(owing) && !one.conditional
    };
    let earlier = steps.iter().take_while(|one| !std::ptr::eq(one.step, owing.step));
    let settles = |one: &&Placed<'_>| one.step.settles.as_ref().is_some_and(|settles| settles.value == what);
    let settling = &earlier.filter(settles).find(beside)?.step.id.value;
    let message = format!("`{what}` is settled by `{settling}` as well, before this step owes it");
    Some(
        Diagnostic::warning("settled-before-and-after", message, at.clone())
            .label("only the steps behind this one pay for it")
            .help("where both steps have to be carried out, move this one in front of both; else give what it owes a name of its own"),
    )
}

/// A step with steps owes from its beginning on: what changes inside it after the settling would never be read.
fn changed_after_settling(runbook: &Runbook, registry: &Registry) -> Vec<Diagnostic> {
    let all = runbook.walk();
    let inside =
        |path: &str, around: &str| path.strip_prefix(around).is_some_and(|rest| rest.starts_with('/'));
    let mut found = Vec::new();
    for (around, owes) in all.iter().filter_map(|(path, step)| Some((path, step.owes.as_ref()?))) {
        let what = &owes.what.value;
        let settles = |step: &Step| step.settles.as_ref().is_some_and(|settles| settles.value == *what);
        let mut within = all.iter().filter(|(path, _)| inside(path, around));
        let Some((settling, _)) = within.find(|(_, step)| settles(step)) else { continue };
        let later = within.filter(|(path, _)| !inside(path, settling));
        let changing = later.filter(|(_, step)| changes(step, registry)).find(|(path, _)| {
            let paid = all.iter().any(|(at, step)| settles(step) && (at == path || inside(path, at)));
            let owes_itself = all.iter().any(|(at, step)| {
                step.owes.is_some() && inside(at, around) && (at == path || inside(path, at))
            });
            !paid && !owes_itself
        });
        let Some((_, step)) = changing else { continue };
        let message = format!("`{}` changes something after `{what}` was settled", step.id.value);
        found.push(
            Diagnostic::error("changed-after-settling", message, step.id.span.clone())
                .label(format!("the step around it owes `{what}`, which was paid before this"))
                .help("move the step that settles it behind this one, or let this step, or one around it, owe something of its own"),
        );
    }
    found
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
