//! `keybook validate`

use crate::{args::ValidateArgs, assemble, error::CliError, output::Output};

/// Reads each runbook and reports every problem.
pub fn validate(args: &ValidateArgs, output: &Output) -> Result<i32, CliError> {
    let mut code = 0;
    for folder in &args.paths {
        let shown = folder.display().to_string();
        match assemble::load(folder, &shown) {
            Ok(loaded) => {
                output.problems_if_any(&loaded.warnings, &loaded.sources);
                output.result(&format!(
                    "{shown}: {} {} is valid",
                    loaded.runbook.name.value, loaded.runbook.version
                ));
            }
            Err(error) => code = error.report(output),
        }
    }
    Ok(code)
}
