//! `keybook rollback`

use super::{finish, resume};
use crate::{
    args::RollbackArgs,
    assemble::{self, Parts},
    error::CliError,
    lang,
    output::Output,
    people::prompt::Question,
    runs::RunDir,
};
use keybook_api::{Fault, FaultKind, Record, event::Answer};
use keybook_core::{
    model::{Runbook, answers::ROLLBACK},
    run::{engine, machine::RunState, state::State},
};
use std::io::ErrorKind;

/// How often something else than yes or no may be typed before it counts as no.
const PATIENCE: u32 = 3;

/// How many of the units that are taken back are named.
const LISTED: usize = 20;

/// Takes a run back.
pub async fn rollback(args: RollbackArgs, output: &Output) -> Result<i32, CliError> {
    let run = RunDir::find(&args.run)?;
    let _claim = run.claim()?;
    let journal = run.read()?;
    check_not_rolled_back(&run, &journal.records)?;
    let opened = resume::opened(&run, &journal)?;
    let mut loaded = resume::pinned(&opened)?;
    let mut differences = Vec::new();
    if args.accept_changes {
        (loaded, differences) = resume::current_runbook(&opened, loaded, true, output)?;
    }
    lang::again(&run, &mut loaded, args.language.lang.as_deref())?;
    // A sandbox's way back may need answers that its scenario did not have.
    let (hosts, other, of_hosts) = match args.accept_changes && opened.sandbox {
        true => resume::current_hosts(&opened, None)?,
        false => (resume::pinned_hosts(&opened)?, false, Vec::new()),
    };
    differences.extend(of_hosts);
    let known = resume::known_inputs(&opened, &hosts, &loaded.runbook);
    let guided = !args.answering.unattended;
    let inputs = assemble::collect_inputs(&loaded, &args.inputs, &known, guided)?;
    resume::check_secrets(&opened, &inputs)?;
    if !differences.is_empty() {
        resume::pin_accepted(&run, &opened, &loaded, &hosts, other)?;
    }
    let (limit, salt, sandbox) = (opened.limit, opened.salt, opened.sandbox);
    let parts = Parts { run: run.clone(), loaded, hosts, inputs, limit, salt };
    let (mut setup, company) = resume::go_on(parts, &journal, &args.answering, output)?;
    (setup.options.settled, setup.options.taken_back) = (args.settled, args.taken_back);
    let allowed = if guided {
        confirm(&run, &journal.records, &setup.loaded.runbook, sandbox, output)?
    } else {
        given(&setup.answers)
    };
    if !allowed {
        company.screen.finish();
        return Err(Fault::new(FaultKind::Waiting, format!("roll back run {}", run.id), "nobody said yes")
            .now("nothing was changed")
            .hint("at a terminal, answer with yes; unattended, the answers file needs `rollback: run`")
            .into());
    }
    let outcome = engine::roll_back(setup, &run.journal(), &journal, &args.reason, differences).await;
    company.screen.finish();
    finish::report(&run, journal.records.len(), outcome?, output)
}

/// Before anything is asked.
fn check_not_rolled_back(run: &RunDir, records: &[Record]) -> Result<(), Fault> {
    let state = State::replay(records).map_err(|why| Fault::failed("replay the journal", why))?;
    match state.run {
        RunState::RolledBack => {
            Err(Fault::usage(format!("roll back run {}", run.id), "it is rolled back already")
                .now("nothing was changed"))
        }
        _ => Ok(()),
    }
}

fn given(answers: &keybook_core::model::Answers) -> bool {
    answers.get(ROLLBACK, false).is_some_and(|given| given.answer == Answer::Run)
}

fn confirm(
    run: &RunDir,
    records: &[Record],
    runbook: &Runbook,
    sandbox: bool,
    output: &Output,
) -> Result<bool, Fault> {
    let state = State::replay(records).map_err(|why| Fault::failed("replay the journal", why))?;
    let changed: Vec<String> = state
        .units
        .iter()
        .rev()
        .filter(|(_, known)| known.may_have_changed() && known.changed)
        .map(|(unit, _)| match runbook.steps_to(&unit.step).any(|(_, step)| step.irreversible.is_some()) {
            true => {
                format!("{unit}: a point of no return; the rollback ends here unless nothing of it began")
            }
            false => unit.to_string(),
        })
        .collect();
    let sandbox = if sandbox { "[SANDBOX] " } else { "" };
    let question = Question::begin();
    output.tell(&format!(
        "{sandbox}Run {} changed something in {} units. They are taken back, the latest first:",
        run.id,
        changed.len()
    ));
    changed.iter().take(LISTED).for_each(|unit| output.say(&format!("  {unit}")));
    if let Some(more) = changed.len().checked_sub(LISTED).filter(|more| *more > 0) {
        output.say(&format!("  and {more} more (`keybook show {}`)", run.id));
    }
    for _ in 0..PATIENCE {
        let typed = question.ask("Roll back? Type yes");
        match typed.as_deref().map(str::trim) {
            Err(dialoguer::Error::IO(error)) if error.kind() == ErrorKind::Interrupted => {
                let stopped =
                    Fault::new(FaultKind::Stopped, format!("roll back run {}", run.id), "it was stopped");
                return Err(stopped.now("nothing was changed"));
            }
            Ok("yes") => return Ok(true),
            Ok("no") | Err(_) => return Ok(false),
            Ok(_) => output.say("Answer with one of: yes, no."),
        }
    }
    Ok(false)
}
