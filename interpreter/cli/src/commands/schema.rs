//! `keybook schema`

use crate::{
    args::{FileKind, SchemaArgs},
    assemble,
    error::CliError,
    output::Output,
};
use keybook_core::model::schema::{File, schema as of};
use keybook_targets::sandbox::scenario_schema;

/// Prints the JSON Schema of one kind of file.
pub fn schema(args: &SchemaArgs, output: &Output) -> Result<i32, CliError> {
    let registry = assemble::registry();
    let schema = match args.of {
        FileKind::Runbook => of(File::Runbook, &registry),
        FileKind::Library => of(File::Library, &registry),
        FileKind::Inventory => of(File::Inventory, &registry),
        FileKind::Answers => of(File::Answers, &registry),
        FileKind::Translation => of(File::Translation, &registry),
        FileKind::Scenario => scenario_schema(),
    };
    output.result(&format!("{schema:#}"));
    Ok(0)
}
