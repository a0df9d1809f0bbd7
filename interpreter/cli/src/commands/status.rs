//! `keybook status`

use super::show::summary_of;
use crate::{
    args::{Format, RunName},
    error::CliError,
    output::Output,
    runs::RunDir,
};
use keybook_api::{Event, Fault, FaultKind, Record, UnitId, event::RunStatus};
use keybook_core::run::stop::exit_code;
use keybook_report::{human, text};

/// The gate that was asked last and not answered: its unit and the question.
fn open_gate(records: &[Record]) -> Option<(UnitId, String)> {
    let mut open = None;
    for record in records {
        match (&record.event, &record.unit) {
            (Event::GateAsked { question, .. }, Some(unit)) => open = Some((unit.clone(), question.clone())),
            (Event::GateAnswered { .. } | Event::RollbackStarted { .. }, _) => open = None,
            _ => {}
        }
    }
    open
}

/// Says how a run stands; the exit code is the run's (1 while it runs or was killed).
pub fn status(args: &RunName, output: &Output) -> Result<i32, CliError> {
    let run = RunDir::named_or_latest(args.run.as_deref())?;
    let summary = summary_of(&run)?;
    if output.format == Format::Json {
        let json = summary.to_json().map_err(|error| Fault::failed("write the summary", error))?;
        output.result(&json);
    } else {
        output.result(&human::ending(&summary, output.color_out, output.width));
    }
    if let Some((unit, question)) = open_gate(&run.read()?.records) {
        output.tell(&format!(
            "It waits at the gate of {unit}: {}\n`keybook approve {} {unit}` answers it.",
            text::clean(&question),
            run.id
        ));
    }
    if summary.status == RunStatus::Running
        && matches!(run.claim(), Err(fault) if fault.kind == FaultKind::Locked)
    {
        output.say("A keybook process is working on it now.");
    }
    Ok(summary.exit.unwrap_or_else(|| exit_code(summary.status)))
}
