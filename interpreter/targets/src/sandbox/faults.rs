//! What a scenario makes go wrong. How often a rule has fitted is kept on the disk, so that it goes wrong once,
//! also when the program was killed meanwhile.

use super::daemons;
use super::scenario::{FaultHow, FaultOn, FaultRule};
use super::world::{Sandbox, trouble};
use indexmap::IndexMap;
use keybook_api::Fault;
use std::io;

const COUNTS: &str = "faults.json";

/// What is to be said of something in the place of its result, once it is done.
#[must_use]
pub(crate) struct Answer(Option<Fault>);

impl Answer {
    /// The result, unless its way back is cut off.
    pub fn bring<T>(self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.and_then(|value| self.0.map_or(Ok(value), Err))
    }
}

/// Counts a command; `Err` when it is to go wrong before it begins.
pub(crate) fn command(sandbox: &Sandbox, host: &str, line: &str) -> Result<Answer, Fault> {
    let how = hit(sandbox, host, |rule| matches!(&rule.on, FaultOn::Command(glob) if glob.fits(line)))?;
    let met = Met {
        host,
        attempted: "run a command".to_owned(),
        not_done: "the command did not begin",
        not_known: "whether the command began is not known",
    };
    met.answer(how)
}

/// Counts a change of a file; `Err` when it is to go wrong before it is made. `doing` says what is done to it.
pub(crate) fn change(sandbox: &Sandbox, host: &str, doing: &str, path: &str) -> Result<Answer, Fault> {
    let how = hit(sandbox, host, |rule| matches!(&rule.on, FaultOn::Path(glob) if glob.fits(path)))?;
    let met = Met {
        host,
        attempted: format!("{doing} {path}"),
        not_done: "what was there before is still in place",
        not_known: "it is as it was, or wholly as it was to become",
    };
    met.answer(how)
}

/// What meets a fault, and what is to be said of it then.
struct Met<'m> {
    host: &'m str,
    attempted: String,
    not_done: &'static str,
    not_known: &'static str,
}

impl Met<'_> {
    fn answer(&self, how: Option<FaultHow>) -> Result<Answer, Fault> {
        match how {
            None => Ok(Answer(None)),
            Some(FaultHow::Disconnect) => Err(self.lost(BREAKS)),
            Some(FaultHow::DisconnectAfter) => Ok(Answer(Some(self.lost(BREAKS)))),
            Some(FaultHow::Reboot) => Err(self.lost(REBOOTS)),
            Some(FaultHow::Fail) => Err(self.failed("the scenario makes it fail")),
            Some(FaultHow::DiskFull) => Err(self
                .failed("the disk is full: no space left on device")
                .hint("make room on that file system")),
        }
    }

    fn lost(&self, why: &str) -> Fault {
        Fault::unreachable(&self.attempted, format!("the connection is lost: {why}"))
            .on(self.host)
            .now(self.not_known)
    }

    fn failed(&self, why: &str) -> Fault {
        Fault::failed(&self.attempted, why).on(self.host).now(self.not_done)
    }
}

const BREAKS: &str = "the scenario breaks it";
const REBOOTS: &str = "the scenario makes the host boot anew";

/// How often a rule fitted on the host where it fitted most; from its `nth` on it has struck. The caller holds the
/// sandbox's lock.
pub(crate) fn met(sandbox: &Sandbox, number: usize, rule: &FaultRule) -> io::Result<u64> {
    let mut most = 0;
    for host in &rule.hosts {
        let counts: IndexMap<String, u64> = sandbox.host(host).load(COUNTS)?;
        most = most.max(counts.get(&number.to_string()).copied().unwrap_or_default());
    }
    Ok(most)
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
        if how == Some(FaultHow::Reboot) {
            sandbox.settle(host)?;
            daemons::end_all(&folder)?;
        }
        Ok(how)
    };
    count().map_err(|error| trouble(host, &error))
}
