//! What is said when a run rests or ends.

use crate::{args::Format, error::CliError, output::Output, runs::RunDir};
use keybook_api::event::RunStatus;
use keybook_core::run::engine::Outcome;
use keybook_report::{RunSummary, human};

/// Says how the run ended; the number is the exit code.
pub fn report(run: &RunDir, outcome: Outcome, output: &Output) -> Result<i32, CliError> {
    if let Some(fault) = &outcome.fault {
        output.fault(fault);
    }
    let journal = run.read()?;
    let summary =
        RunSummary::from_records(journal.records.iter()).map(|summary| summary.with_head(&journal.head));
    match (output.format, summary) {
        (Format::Json, Some(summary)) => {
            let json =
                summary.to_json().map_err(|error| keybook_api::Fault::failed("write the summary", error))?;
            output.result(&json);
        }
        (Format::Human, Some(summary)) if output.verbosity > 0 || outcome.status != RunStatus::Done => {
            output.result(&human::ending(&summary, output.color_out, output.width));
        }
        _ => {}
    }
    Ok(outcome.exit)
}
