//! The first change of a script: what its plan shows, and what a yes counts for. What the script reads before counts by
//! what it comes to only, since a reading may move all the time.

use super::{calls::Asked, unit};
use keybook_api::{Change, Plan, Value};

/// The plan of a script that begins to change something with this call.
pub(super) fn planned(asked: &Asked, mut plan: Plan) -> Plan {
    let named: Vec<&String> = plan.diffs.iter().map(|diff| &diff.path).collect();
    let touched = plan.touches.iter().filter(|path| !named.contains(path));
    let lines: Vec<String> = touched.map(|path| format!("touches {path}")).collect();
    plan.lines.extend(lines);
    let name = &asked.name;
    plan.change = Change::CannotKnow(format!("what its script does after `{name}` may depend on the result"));
    plan.basis = format!("{name}\n{}\n{}", asked.digest, plan.basis);
    Plan { touches: Vec::new(), memo: Value::Null, ..plan }
}

/// What is different between the first changes of two plans; `None` when they are the same.
pub(super) fn difference(approved: &Plan, now: &Plan) -> Option<String> {
    match (call(approved), call(now)) {
        (None, None) => None,
        (None, Some((now, _))) => Some(format!("it calls `{now}`, and before it changed nothing")),
        (Some((before, _)), None) => Some(format!("it does not call `{before}` any more")),
        (Some((before, _)), Some((now, _))) if before != now => {
            Some(format!("it calls `{now}`, and before it called `{before}`"))
        }
        (Some((name, before)), Some((_, now))) if before != now => {
            Some(format!("it calls `{name}` with other arguments"))
        }
        _ => unit::difference(approved, now),
    }
}

/// Name and digest of the arguments of the call that a plan begins with; `None` where it changes nothing.
fn call(plan: &Plan) -> Option<(&str, &str)> {
    let (name, rest) = plan.basis.split_once('\n')?;
    Some((name, rest.split_once('\n')?.0))
}
