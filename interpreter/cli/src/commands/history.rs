//! `keybook history`

use super::show::summary_of;
use crate::{args::Format, error::CliError, output::Output, runs::RunDir};
use keybook_api::Fault;
use keybook_report::history::{self, HistoryRow, Unreadable};

/// Lists the runs on this machine, the oldest first. A run whose journal cannot be read is named, not hidden.
pub fn history(output: &Output) -> Result<i32, CliError> {
    let (mut rows, mut unreadable): (Vec<HistoryRow>, Vec<Unreadable>) = (Vec::new(), Vec::new());
    for run in RunDir::all()? {
        match summary_of(&run) {
            Ok(summary) => rows.push(HistoryRow::from(&summary)),
            Err(fault) => {
                unreadable.push(Unreadable { run: run.id.clone(), problem: fault.to_string() });
                output.fault(&fault);
            }
        }
    }
    match output.format {
        Format::Json => {
            let json = history::to_json(&rows, &unreadable);
            output.result(&json.map_err(|error| Fault::failed("write the list", error))?);
        }
        _ => output.result(&history::render(&rows, &unreadable, output.color_out, output.width)),
    }
    Ok(i32::from(!unreadable.is_empty()))
}
