//! What a scenario makes go wrong. How often a rule has fitted is kept on the disk, so that it goes wrong once,
//! also when the program was killed meanwhile.

use super::scenario::{FaultHow, FaultOn, FaultRule};
use super::world::{Sandbox, trouble};
use indexmap::IndexMap;
use keybook_api::Fault;

const COUNTS: &str = "faults.json";

/// Counts a command; `Err` when it is to go wrong.
pub(crate) fn command(sandbox: &Sandbox, host: &str, line: &str) -> Result<(), Fault> {
    let how = hit(sandbox, host, |rule| matches!(&rule.on, FaultOn::Command(glob) if glob.fits(line)))?;
    let attempted = "run a command";
    match how {
        None => Ok(()),
        Some(FaultHow::Disconnect) => {
            Err(broken(attempted).on(host).now("whether the command began is not known"))
        }
        Some(_) => Err(Fault::failed(attempted, "the scenario makes it fail")
            .on(host)
            .now("the command did not begin")),
    }
}

/// Counts a file write; `Err` when it is to go wrong.
pub(crate) fn write(sandbox: &Sandbox, host: &str, path: &str) -> Result<(), Fault> {
    let how = hit(sandbox, host, |rule| matches!(&rule.on, FaultOn::Path(glob) if glob.fits(path)))?;
    let attempted = format!("write {path}");
    let untouched = "the old file is still in place";
    match how {
        None => Ok(()),
        Some(FaultHow::Disconnect) => {
            Err(broken(&attempted).on(host).now("the file is as it was, or the whole new one"))
        }
        Some(FaultHow::DiskFull) => {
            Err(Fault::failed(attempted, "the disk is full: no space left on device")
                .on(host)
                .now(untouched)
                .hint("make room on that file system"))
        }
        Some(FaultHow::Fail) => {
            Err(Fault::failed(attempted, "the scenario makes it fail").on(host).now(untouched))
        }
    }
}

fn broken(attempted: &str) -> Fault {
    Fault::unreachable(attempted, "the connection is lost: the scenario breaks it")
}

/// Counts for every rule that fits; how it goes wrong when one of them says so now.
fn hit(sandbox: &Sandbox, host: &str, fits: impl Fn(&FaultRule) -> bool) -> Result<Option<FaultHow>, Fault> {
    let rules = sandbox.scenario().faults.iter().enumerate();
    let fitting: Vec<_> =
        rules.filter(|(_, rule)| rule.hosts.iter().any(|name| name == host) && fits(rule)).collect();
    if fitting.is_empty() {
        return Ok(None);
    }
    let count = || {
        let _lock = sandbox.lock()?;
        let folder = sandbox.host(host);
        let mut counts: IndexMap<String, u64> = folder.load(COUNTS)?;
        let mut how = None;
        for (number, rule) in fitting {
            let count = counts.entry(number.to_string()).or_default();
            *count += 1;
            if *count == rule.nth {
                how = Some(rule.kind);
            }
        }
        folder.save(COUNTS, &counts)?;
        Ok(how)
    };
    count().map_err(|error| trouble(host, &error))
}
