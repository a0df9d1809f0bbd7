//! `keybook show`

use crate::{
    args::{Format, ShowArgs},
    error::CliError,
    output::Output,
    runs::RunDir,
};
use keybook_api::Fault;
use keybook_report::{RunSummary, html, human, jsonl};

/// Reads a run's journal and sums it up.
pub fn summary_of(run: &RunDir) -> Result<RunSummary, Fault> {
    let journal = run.read()?;
    RunSummary::from_records(journal.records.iter())
        .map(|summary| summary.with_head(&journal.head))
        .ok_or_else(|| {
            Fault::failed(format!("read run {}", run.id), "its journal has no `run.opened` record")
                .now("the run never began")
        })
}

/// Reports what a run did.
pub fn show(args: &ShowArgs, output: &Output) -> Result<i32, CliError> {
    let run = RunDir::named_or_latest(args.run.as_deref())?;
    let json_failed = |error: serde_json::Error| Fault::failed("write the report", error);
    let text = match output.format {
        Format::Human => {
            let color = output.color_out && args.output.is_none();
            human::render(&summary_of(&run)?, color, output.width)
        }
        Format::Json => summary_of(&run)?.to_json().map_err(json_failed)?,
        Format::Html => html::render(&summary_of(&run)?),
        Format::Jsonl | Format::Sarif => {
            let lines: Result<Vec<String>, _> = run.read()?.records.iter().map(jsonl::line).collect();
            lines.map_err(json_failed)?.join("\n")
        }
    };
    match &args.output {
        None => output.result(&text),
        Some(file) => std::fs::write(file, text)
            .map_err(|error| Fault::failed(format!("write {}", file.display()), error))?,
    }
    Ok(0)
}
