//! `keybook status`

use super::show::summary_of;
use crate::{
    args::{Format, RunName},
    error::CliError,
    output::Output,
    runs::RunDir,
};
use keybook_api::{Fault, event::RunStatus};
use keybook_core::run::stop::exit_code;
use keybook_report::{human, text};

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
    for gate in &summary.open_gates {
        let (unit, question) = (text::clean(&gate.unit), text::clean(&gate.question));
        output.tell(&format!("It waits at the gate of {unit}: {question}"));
        // A run that rests has said so already.
        if summary.status == RunStatus::Running {
            output.tell(&format!("`keybook approve {} {unit}` answers it.", run.id));
        }
    }
    Ok(summary.exit.unwrap_or_else(|| exit_code(summary.status)))
}
