//! `keybook validate`

use crate::{
    args::{Format, ValidateArgs},
    check::Findings,
    error::CliError,
    output::Output,
};
use keybook_report::findings;

/// Reads each path and reports every problem in all of them. The exit code is 2 when there is an error.
pub fn validate(args: &ValidateArgs, output: &Output) -> Result<i32, CliError> {
    let mut found = Findings::default();
    for path in &args.paths {
        found.path(path)?;
    }
    match output.format {
        Format::Json => output.result(&findings::json(&found.problems, &found.valid)),
        Format::Sarif => output.result(&findings::sarif(&found.problems, env!("CARGO_PKG_VERSION"))),
        Format::Human | Format::Html | Format::Jsonl | Format::Prometheus => {
            output.problems_if_any(&found.problems, &found.sources);
            for (name, what) in &found.valid {
                output.result(&format!("{name}: {what} is valid"));
            }
        }
    }
    Ok(if found.errors() > 0 { 2 } else { 0 })
}
