//! What is said when a run rests or ends.

use crate::{args::Format, error::CliError, output::Output, runs::RunDir};
use keybook_api::{Event, Fault, Record, event::RunStatus};
use keybook_core::run::engine::Outcome;
use keybook_report::{RunSummary, human};

/// Says how the run ended; the number is the exit code. `before` is how many records the journal had when this process
/// began.
pub fn report(run: &RunDir, before: usize, outcome: Outcome, output: &Output) -> Result<i32, CliError> {
    let journal = run.read();
    let new = journal.as_ref().ok().and_then(|journal| journal.records.get(before..)).unwrap_or_default();
    if let Some(fault) = &outcome.fault
        && (output.format == Format::Jsonl || !was_told(new, fault))
    {
        output.fault(fault);
    }
    let journal = journal?;
    let summary =
        RunSummary::from_records(journal.records.iter()).map(|summary| summary.with_head(&journal.head));
    match (output.format, summary) {
        (Format::Json, Some(summary)) => {
            let json = summary.to_json().map_err(|error| Fault::failed("write the summary", error))?;
            output.result(&json);
        }
        (Format::Human, Some(summary)) if output.verbosity > 0 || outcome.status != RunStatus::Done => {
            output.result(&human::ending(&summary, output.color_out, output.width));
        }
        _ => {}
    }
    Ok(outcome.exit)
}

/// Was the fault shown in full already, with the unit that it is of?
fn was_told(records: &[Record], fault: &Fault) -> bool {
    let told = keybook_api::event::FaultInfo::from(fault);
    records.iter().any(|record| match &record.event {
        Event::UnitFailed { fault, .. } | Event::UnitUndoFailed { fault } => *fault == told,
        _ => false,
    })
}
