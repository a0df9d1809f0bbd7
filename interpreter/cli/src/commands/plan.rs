//! `keybook plan`

use super::looking::Looking;
use crate::{
    args::{Format, PlanArgs},
    error::CliError,
    output::Output,
};
use keybook_api::{Change, Fault};
use keybook_core::run::dry::Planned;
use keybook_report::{render_diff, text};
use serde_json::json;

/// Shows what a run would do. Neither hosts nor the state directory are changed.
pub async fn plan(args: PlanArgs, output: &Output) -> Result<i32, CliError> {
    let looking = Looking::begin(args.runbook, args.sources, args.language, output)?;
    let session = &looking.session;
    session.check_groups()?;
    let looked = session.preflight(false).await;
    let planned = match &looked {
        Ok(_) => session.dry_run().await,
        Err(stop) => Err(stop.clone()),
    };
    session.hosts.close().await;
    let planned = planned.map_err(|stop| match stop {
        keybook_core::run::stop::Stop::Fault(fault) => CliError::Fault(fault),
        other => CliError::Fault(Fault::failed("make the plan", other.reason())),
    })?;
    show(&planned, looking.sandbox, output);
    Ok(i32::from(planned.iter().any(|unit| unit.stops.is_some())))
}

fn show(planned: &[Planned], sandbox: bool, output: &Output) {
    if output.format != Format::Human {
        let units: Vec<_> = planned.iter().map(as_json).collect();
        let plan = json!({ "v": 1, "sandbox": sandbox, "units": units });
        output.result(&plan.to_string());
        return;
    }
    if sandbox {
        output.result("[SANDBOX] no real host is looked at\n");
    }
    for unit in planned {
        output.result(&as_text(unit, output));
    }
    let count = |wanted: &str| planned.iter().filter(|unit| verdict(unit).0 == wanted).count();
    let sum = format!(
        "{} will change, {} will not, {} only look, {} left out, {} cannot be known before; nothing was changed.",
        count("will change"),
        count("will not change"),
        count(LOOKS),
        count("left out"),
        count("cannot know")
    );
    output.result(&format!("\n{}", text::wrap(&sum, output.width).join("\n")));
}

/// The verdict on what changes nothing by its nature.
const LOOKS: &str = "only looks";

/// The verdict's word, and its reason.
fn verdict(unit: &Planned) -> (&'static str, String) {
    if let Some(why) = &unit.stops {
        return ("would stop here", why.clone());
    }
    if let Some(why) = &unit.left_out {
        return ("left out", why.clone());
    }
    if unit.only_looks() {
        return (LOOKS, String::new());
    }
    match &unit.plan.change {
        Change::Will => ("will change", String::new()),
        Change::Wont => ("will not change", String::new()),
        Change::CannotKnow(why) => ("cannot know", why.clone()),
    }
}

fn as_text(unit: &Planned, output: &Output) -> String {
    let (word, why) = verdict(unit);
    let indent = |line: &str| format!("                 {line}");
    let room = output.width.saturating_sub(17).max(30);
    let head = text::wrap(&format!("{}  {}", unit.unit, text::clean(&unit.step.title)), room);
    let mut lines: Vec<String> = head.iter().map(|line| indent(line)).collect();
    if let Some(first) = lines.first_mut() {
        first.replace_range(..word.len(), word);
    }
    let mut add =
        |content: &str| lines.extend(text::wrap(&text::clean(content), room).iter().map(|line| indent(line)));
    if !why.is_empty() {
        add(&format!("because {why}"));
    }
    for line in &unit.plan.lines {
        add(line);
    }
    if let Some(question) = &unit.gate {
        add(&format!("gate: {question}"));
    }
    for diff in &unit.plan.diffs {
        lines.push(render_diff(diff, output.color_out, output.width));
    }
    lines.join("\n")
}

fn as_json(unit: &Planned) -> serde_json::Value {
    let (word, why) = verdict(unit);
    // The word for programs is older than the one for people.
    let word = if word == LOOKS { "will-not-change".to_owned() } else { word.replace(' ', "-") };
    json!({
        "unit": unit.unit.to_string(),
        "step": unit.step,
        "verdict": word,
        "only_looks": unit.only_looks(),
        "reason": why,
        "lines": unit.plan.lines,
        "diffs": unit.plan.diffs,
        "gate": unit.gate,
    })
}
