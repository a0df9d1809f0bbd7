//! `keybook trust`

use super::looking::Looking;
use crate::{
    args::{Format, PlanArgs},
    error::CliError,
    output::Output,
};
use keybook_api::{Fault, TrustVerdict};
use keybook_report::trust;

/// Judges every edge of the runbook's `trust:` as it is now. Changes nothing, and makes no run.
pub async fn trust(args: PlanArgs, output: &Output) -> Result<i32, CliError> {
    let looking = Looking::begin(args.runbook, args.sources, args.language, output)?;
    let session = &looking.session;
    session.check_groups()?;
    if session.runbook.trust.is_empty() {
        let why = format!("`{}` declares none", session.runbook.name.value);
        return Err(Fault::usage("judge trust", why)
            .hint("`trust:` at the top of a runbook declares who connects to whom")
            .into());
    }
    let edges = session.trust_now().await;
    session.hosts.close().await;
    let edges = edges?;
    match output.format {
        Format::Json => {
            let text = trust::to_json(&edges, looking.sandbox);
            output.result(&text.map_err(|error| Fault::failed("write the edges", error))?);
        }
        _ => output.result(&trust::table(&edges, looking.sandbox, output.color_out, output.width)),
    }
    let any = |verdict| edges.iter().any(|edge| edge.verdict == verdict);
    Ok(match (any(TrustVerdict::Unknown), any(TrustVerdict::Broken)) {
        _ if edges.is_empty() => 1,
        (_, true) => 1,
        (true, false) => 9,
        (false, false) => 0,
    })
}
