//! `keybook approve`

use crate::{
    args::{ApproveArgs, Reply},
    error::CliError,
    output::Output,
    people::inbox::{self, Letter},
    runs::{RunDir, operator},
};
use keybook_api::{Event, Fault, UnitId, event::Answer};
use keybook_core::run::{machine::UnitState, state::State};
use keybook_report::text;

/// Answers a gate that waits. The answer counts for the plan that is waiting, and for no other.
pub fn approve(args: &ApproveArgs, output: &Output) -> Result<i32, CliError> {
    let run = RunDir::find(&args.run)?;
    let attempted = format!("answer the gate of {}", args.unit);
    let unit = UnitId::parse(&args.unit)
        .ok_or_else(|| Fault::usage(&attempted, "this is no unit; write step@host or step@host#item"))?;
    let journal = run.read()?;
    let state = State::replay(&journal.records).map_err(|why| Fault::failed(&attempted, why))?;
    if state.unit_state(&unit) != UnitState::Asked {
        let waiting: Vec<String> = state
            .units
            .iter()
            .filter(|(_, known)| known.state == UnitState::Asked)
            .map(|(id, _)| id.to_string())
            .collect();
        let fault = Fault::usage(attempted, "no gate of it waits").now("nothing was changed");
        return Err(if waiting.is_empty() {
            fault
        } else {
            fault.hint(format!("waiting: {}", waiting.join(", ")))
        }
        .into());
    }
    let answer = match args.answer {
        Reply::Run => Answer::Run,
        Reply::Skip => Answer::Skip,
        Reply::Stop => Answer::Stop,
        Reply::RollBack => Answer::RollBack,
    };
    if answer == Answer::Skip && args.why.trim().is_empty() {
        return Err(Fault::usage(attempted, "a skip needs a reason").hint("--why \"…\"").into());
    }
    let planned = journal.records.iter().rev().find_map(|record| match &record.event {
        Event::UnitPlanned { change, lines, diffs, basis } if record.unit.as_ref() == Some(&unit) => {
            Some((inbox::digest(change, lines, diffs, basis), lines.clone()))
        }
        _ => None,
    });
    let Some((plan, lines)) = planned else {
        return Err(Fault::failed(attempted, "its plan is not in the journal").into());
    };
    let letter = Letter { unit, answer, by: operator(), why: args.why.clone(), plan };
    inbox::send(&run.path.join("inbox"), &letter)?;
    output.result(&format!(
        "answered for this plan:\n  {}\nAn unattended run that waits (--wait) reads it at once; otherwise: keybook resume {}",
        lines.iter().map(|line| text::clean(line)).collect::<Vec<_>>().join("\n  "),
        run.id
    ));
    Ok(0)
}
