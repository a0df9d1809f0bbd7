//! `keybook verify`

use crate::{args::VerifyArgs, error::CliError, output::Output, runs::RunDir};
use keybook_api::Fault;
use keybook_core::run::state::State;

/// Checks a journal: every line, the chain, and that each record can follow the ones before.
pub fn verify(args: &VerifyArgs, output: &Output) -> Result<i32, CliError> {
    let run = RunDir::named_or_latest(args.run.as_deref())?;
    let journal = run.read()?;
    State::replay(&journal.records).map_err(|why| Fault::failed(format!("verify run {}", run.id), why))?;
    if let Some(head) = &args.head
        && *head != journal.head
    {
        return Err(Fault::failed(
            format!("verify run {}", run.id),
            format!("its head is {}, not {head}: the journal was rewritten, or went on since", journal.head),
        )
        .into());
    }
    let torn = if journal.torn_bytes > 0 {
        "\nThe last line was cut off in mid-write; a resume cuts it away."
    } else {
        ""
    };
    let proof = match args.head {
        Some(_) => "It is the journal whose head you kept: nothing was rewritten.",
        None => {
            "The chain proves that it is consistent. That nothing was rewritten only a head kept elsewhere proves: --head."
        }
    };
    output.result(&format!("{} records, head {}{torn}\n{proof}", journal.records.len(), journal.head));
    Ok(0)
}
