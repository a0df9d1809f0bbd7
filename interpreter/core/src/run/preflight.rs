//! Before the first step: is everything there that the run needs? All hosts are looked at, at once, so that one
//! dead host neither hangs nor hides the others.

use super::{hosts::LOCAL, session::STATE_ROOT, session::Session, stop::Stop};
use futures::future::join_all;
use indexmap::IndexMap;
use keybook_api::{Event, Fault, FaultKind};
use std::sync::Arc;

/// A clock that differs more than this is refused: certificates would be valid here and not there.
const WORST_CLOCK_MS: i64 = 60_000;

/// One finding.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The host.
    pub host: String,
    /// What was checked.
    pub check: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.host, self.check, self.detail)
    }
}

/// What a host must have.
#[derive(Clone, Debug, Default)]
struct Needs {
    tools: Vec<String>,
    free_mib: u64,
}

impl Session {
    /// The hosts that any step may work on, in the inventory's order of groups.
    pub fn all_hosts(&self) -> Vec<String> {
        self.needed(self.hosts.groups())
    }

    /// Those, and the ones that `--limit` leaves out: another run must not work on them meanwhile either.
    pub fn hosts_to_lock(&self) -> Vec<String> {
        self.needed(self.hosts.every_group())
    }

    fn needed(&self, groups: IndexMap<String, Vec<String>>) -> Vec<String> {
        let mut hosts: Vec<String> = Vec::new();
        for name in self.runbook.hosts.keys() {
            for host in groups.get(name).into_iter().flatten() {
                if !hosts.contains(host) {
                    hosts.push(host.clone());
                }
            }
        }
        hosts
    }

    /// Does the inventory have the groups that the runbook needs, in the right number?
    pub fn check_groups(&self) -> Result<(), Fault> {
        let groups = self.hosts.groups();
        for (name, need) in &self.runbook.hosts {
            let count = groups.get(name).map_or(0, Vec::len);
            let most = need.max.unwrap_or(usize::MAX);
            if count < need.min || count > most {
                let wanted = need.counts();
                let fault = Fault::usage(
                    format!("use the group `{name}`"),
                    format!("it has {count} hosts; the runbook needs {wanted} ({})", need.help),
                )
                .at(&need.span)
                .now("nothing was changed");
                let hint = self.meant_otherwise(name).unwrap_or_else(|| {
                    "name the hosts under `groups` in the inventory; check --limit".to_owned()
                });
                return Err(fault.hint(hint));
            }
        }
        Ok(())
    }

    /// The inventory does not have this group, and has others of which the runbook knows nothing.
    fn meant_otherwise(&self, name: &str) -> Option<String> {
        let groups = self.hosts.every_group();
        if groups.contains_key(name) {
            return None;
        }
        let strange: Vec<String> = groups
            .keys()
            .filter(|group| !self.runbook.hosts.contains_key(*group))
            .map(|group| format!("`{group}`"))
            .collect();
        (!strange.is_empty()).then(|| {
            let strange = strange.join(", ");
            format!("the inventory has no group `{name}`, but {strange}, which the runbook does not know: is the name another one?")
        })
    }

    /// Looks at every host. `record` writes each finding to the journal.
    pub async fn preflight(self: &Arc<Self>, record: bool) -> Result<Vec<Finding>, Stop> {
        let hosts = self.all_hosts();
        let looked = join_all(hosts.iter().map(|host| self.look_at(host))).await;
        let (mut findings, mut worst): (Vec<Finding>, Option<Stop>) = (Vec::new(), None);
        for (host, outcome) in hosts.iter().zip(looked) {
            match outcome {
                Ok(found) => findings.extend(found),
                Err(fault) => {
                    let detail = fault.to_string();
                    findings.push(Finding { host: host.clone(), check: "reach", ok: false, detail });
                    let stop = Stop::Fault(fault);
                    worst = Some(worst.map_or(stop.clone(), |known| known.worse(stop)));
                }
            }
        }
        if record {
            self.record(&findings)?;
        }
        let bad: Vec<String> = findings.iter().filter(|found| !found.ok).map(ToString::to_string).collect();
        if bad.is_empty() {
            return Ok(findings);
        }
        let kind = match worst {
            Some(Stop::Fault(fault)) => fault.kind,
            _ => FaultKind::Failed,
        };
        Err(Fault::new(kind, "pass the preflight", bad.join("\n"))
            .now("no step was begun")
            .hint("mend what is named, then run again (or resume)")
            .into())
    }

    /// Writes findings to the journal.
    pub(super) fn record(&self, findings: &[Finding]) -> Result<(), Fault> {
        findings.iter().try_for_each(|found| {
            self.log.run(Event::PreflightChecked {
                host: found.host.clone(),
                check: found.check.to_owned(),
                ok: found.ok,
                detail: found.detail.clone(),
            })
        })
    }

    fn needs_of(&self, host: &str) -> Needs {
        let groups: IndexMap<String, Vec<String>> = self.hosts.groups();
        let mut needs = Needs::default();
        for (name, need) in &self.runbook.hosts {
            if groups.get(name).is_some_and(|members| members.iter().any(|member| member == host)) {
                needs.tools.extend(
                    need.tools.iter().filter(|tool| !needs.tools.contains(tool)).cloned().collect::<Vec<_>>(),
                );
                needs.free_mib = needs.free_mib.max(need.free_mib);
            }
        }
        needs
    }

    pub(super) async fn look_at(&self, host: &str) -> Result<Vec<Finding>, Fault> {
        let target = self.hosts.get(host).await?;
        let finding = |check, ok, detail| Finding { host: host.to_owned(), check, ok, detail };
        let identity = target.identity();
        let mut findings = vec![finding("reach", true, identity.transport.clone())];
        let offset = identity.clock_offset_ms;
        let detail = format!("{:+.1} s against this machine", offset as f64 / 1000.0);
        findings.push(finding("clock", offset.abs() <= WORST_CLOCK_MS, detail));
        if host == LOCAL {
            return Ok(findings);
        }
        let needs = self.needs_of(host);
        let answer = target.survey(&needs.tools).await?;
        findings.push(finding("user", answer.uid == 0, format!("commands run as uid {}", answer.uid)));
        let enough = answer.free_mib >= needs.free_mib;
        let detail = format!("{} MiB free for {STATE_ROOT}, {} needed", answer.free_mib, needs.free_mib);
        findings.push(finding("disk space", enough, detail));
        for (tool, at) in answer.tools {
            let detail =
                at.as_ref().map_or_else(|| format!("`{tool}` is not there"), |at| format!("{tool}: {at}"));
            findings.push(finding("tool", at.is_some(), detail));
        }
        Ok(findings)
    }
}
