//! `static_pod`: pods that the kubelet runs from files in a manifest directory.
//!
//! The kubelet reads every file in that directory whose name does not begin with a dot, whatever its extension;
//! so a manifest is parked outside it, and moved by rename only.

mod containers;
mod list;
mod manifests;
mod pods;
mod start;
mod stop;
#[cfg(test)]
mod tests;

use keybook_api::{ArgKind, ArgSpec, Args, Command, Ctx, Exit, Fault, Registry};
use std::time::Duration;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(list::List);
    all.add(stop::Stop);
    all.add(start::Start);
}

const DIR: ArgSpec = ArgSpec::required("dir", ArgKind::Path, "The kubelet's manifest directory.");
const PODS: ArgSpec =
    ArgSpec::required("pods", ArgKind::Texts, "Names of manifest files, with or without their extension.");
const PS: ArgSpec = ArgSpec::optional(
    "ps",
    ArgKind::Text,
    "docker ps --no-trunc",
    "A shell command that lists the running containers: the first word of each line is the id, the last the name \
     `k8s_<container>_<pod>_<namespace>_…`.",
);
const MATCH: ArgSpec = ArgSpec::optional(
    "match",
    ArgKind::Map,
    "the manifests' `metadata.name`",
    "For pods named otherwise: a map from a name in `pods` to what the pod's name is or begins with, up to a `-`.",
);
const TIMEOUT: ArgSpec = ArgSpec::optional("timeout", ArgKind::Duration, "2m", "How long to wait.");

/// How often the runtime is asked.
const BEAT: Duration = Duration::from_secs(1);

fn timeout(args: &Args) -> Result<Duration, Fault> {
    Ok(args.opt_duration("timeout")?.unwrap_or(Duration::from_secs(120)))
}

fn ps_command(args: &Args) -> Result<&str, Fault> {
    Ok(args.opt_text("ps")?.unwrap_or("docker ps --no-trunc"))
}

/// Runs the listing command. That it fails is a fault, never "no containers".
async fn ps(ctx: &Ctx, args: &Args) -> Result<Exit, Fault> {
    let script = ps_command(args)?;
    let command = Command::shell(script).timeout(Duration::from_secs(30)).cancel(&ctx.cancel);
    let exit = ctx.target.exec(command, &|_, _| {}).await?;
    let failed = |why: String| {
        crate::support::tell::failed(ctx, format!("list the containers by `{script}`"), why)
            .hint("See whether the container runtime is up on this host.")
    };
    if !exit.ok() {
        let why = crate::support::tell::tail(&exit.err(), "no output");
        return Err(failed(format!("it ended with status {}: {why}", exit.status)));
    }
    if exit.truncated {
        return Err(failed("it printed more than is kept (1 MiB)".to_owned()));
    }
    Ok(exit)
}
