//! `keybook show`

use super::resume;
use crate::{
    args::{Format, ShowArgs},
    error::CliError,
    lang,
    output::Output,
    runs::RunDir,
};
use keybook_api::{Fault, FaultKind, event::RunStatus};
use keybook_core::journal::reader::Journal;
use keybook_report::{RunSummary, html, human, jsonl};

/// Reads a run's journal and sums it up.
pub fn summary_of(run: &RunDir) -> Result<RunSummary, Fault> {
    sum_up(run, &run.read()?)
}

fn sum_up(run: &RunDir, journal: &Journal) -> Result<RunSummary, Fault> {
    let summary = RunSummary::from_records(journal.records.iter()).ok_or_else(|| {
        Fault::failed(format!("read run {}", run.id), "its journal has no `run.opened` record")
            .now("the run never began")
    })?;
    let mut summary = summary.with_head(&journal.head);
    // The journal cannot tell these two apart; the process that works on a run holds its lock.
    if summary.status == RunStatus::Running {
        let words = if is_worked_on(run) { "running" } else { "killed" };
        words.clone_into(&mut summary.status_text);
    }
    Ok(summary)
}

fn is_worked_on(run: &RunDir) -> bool {
    matches!(run.claim(), Err(fault) if fault.kind == FaultKind::Locked)
}

/// The same with the titles of the runbook and its steps in another language, from the run's own copy of the runbook.
fn summary_in(run: &RunDir, language: Option<&str>) -> Result<RunSummary, CliError> {
    let Some(language) = language else { return Ok(summary_of(run)?) };
    let mut journal = run.read()?;
    let mut loaded = resume::pinned(&resume::opened(run, &journal)?)?;
    lang::choose(&mut loaded, Some(language))?;
    lang::retitle(&mut journal.records, &loaded.runbook);
    Ok(sum_up(run, &journal)?)
}

/// Reports what a run did.
pub fn show(args: &ShowArgs, output: &Output) -> Result<i32, CliError> {
    let run = RunDir::named_or_latest(args.run.as_deref())?;
    let summary = || summary_in(&run, args.lang.as_deref());
    let json_failed = |error: serde_json::Error| Fault::failed("write the report", error);
    let text = match output.format {
        Format::Human => {
            let color = output.color_out && args.output.is_none();
            human::render(&summary()?, color, output.width)
        }
        Format::Json => summary()?.to_json().map_err(json_failed)?,
        Format::Html => html::render(&summary()?),
        Format::Jsonl | Format::Sarif | Format::Prometheus if args.lang.is_some() => {
            let why = "--format jsonl prints the journal's records, and those stay as they were written";
            return Err(Fault::usage("use --lang", why).into());
        }
        Format::Jsonl | Format::Sarif | Format::Prometheus => {
            let lines: Result<Vec<String>, _> = run.read()?.records.iter().map(jsonl::line).collect();
            lines.map_err(json_failed)?.join("\n")
        }
    };
    match &args.output {
        None => output.result(&text),
        Some(file) => {
            std::fs::write(file, text)
                .map_err(|error| Fault::failed(format!("write {}", file.display()), error))?;
            output.tell(&format!("{} is written", file.display()));
        }
    }
    Ok(0)
}
