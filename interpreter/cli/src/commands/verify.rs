//! `keybook verify`

use crate::{
    args::{Format, VerifyArgs},
    error::CliError,
    output::Output,
    runs::RunDir,
};
use keybook_api::Fault;
use keybook_core::{journal::reader::Journal, run::state::State};

/// How many records stood in the journal when its head was this one.
fn records_until(journal: &Journal, head: &str) -> Result<usize, Fault> {
    if journal.head == head {
        return Ok(journal.records.len());
    }
    // Each line names the one before it.
    let after = journal.records.iter().position(|record| record.seq > 0 && record.prev == head);
    after.ok_or_else(|| {
        Fault::failed("find the head that you kept", format!("{head} is the hash of no line of this journal"))
            .now(format!("its head is {}; it was rewritten, or the head is another run's", journal.head))
    })
}

/// `since_kept`: how many records were added since the head that was kept; null without one.
fn as_json(run: &RunDir, journal: &Journal, kept: Option<usize>) -> serde_json::Value {
    let all = journal.records.len();
    serde_json::json!({
        "v": 1,
        "run": run.id.as_str(),
        "records": all,
        "head": journal.head,
        "torn_bytes": journal.torn_bytes,
        "since_kept": kept.map(|kept| all - kept),
    })
}

/// Checks a journal: every line, the chain, and that each record can follow the ones before.
pub fn verify(args: &VerifyArgs, output: &Output) -> Result<i32, CliError> {
    let run = RunDir::named_or_latest(args.run.as_deref())?;
    let journal = run.read()?;
    State::replay(&journal.records).map_err(|why| Fault::failed(format!("verify run {}", run.id), why))?;
    let kept = args.head.as_ref().map(|head| records_until(&journal, head)).transpose()?;
    if output.format == Format::Json {
        output.result(&as_json(&run, &journal, kept).to_string());
        return Ok(0);
    }
    let torn = if journal.torn_bytes > 0 {
        "\nThe last line was cut off in mid-write; a resume cuts it away."
    } else {
        ""
    };
    let all = journal.records.len();
    let proof = match kept {
        Some(kept) if kept == all => {
            "It is the journal whose head you kept: nothing was rewritten.".to_owned()
        }
        Some(kept) => {
            format!("Up to the head you kept nothing was rewritten; {} records were added since.", all - kept)
        }
        None => {
            "The chain proves that it is consistent. That nothing was rewritten only a head kept elsewhere \
                 proves: --head."
                .to_owned()
        }
    };
    output.result(&format!("{} records, head {}{torn}\n{proof}", journal.records.len(), journal.head));
    Ok(0)
}
