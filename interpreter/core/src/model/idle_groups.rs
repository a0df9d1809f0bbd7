//! Groups of hosts on which nothing is done.

use super::{HostChoice, Runbook, Work};
use keybook_api::Diagnostic;
use keybook_script::NameUse;
use std::collections::BTreeSet;

/// An `idle-group` for each declared group that no step is for, no expression reads and no edge of trust has, where some action has no
/// hosts: it runs on the operator's own machine, and may have been meant for that group. Nothing where an expression hands on all groups.
pub fn idle_groups(runbook: &Runbook) -> Vec<Diagnostic> {
    if !runbook
        .walk()
        .iter()
        .any(|(path, step)| matches!(step.work, Work::Action(_)) && is_local(runbook, path))
    {
        return Vec::new();
    }
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let picks = |choice: &HostChoice| choice.picks.iter().map(|pick| pick.group.clone()).collect::<Vec<_>>();
    let mut picked: BTreeSet<String> = BTreeSet::new();
    for (_, step) in runbook.walk() {
        picked.extend(step.hosts.iter().flat_map(picks));
        picked.extend(step.owes.iter().filter_map(|owes| owes.on.as_ref()).map(|on| on.value.clone()));
        // Whoever asks a host for its groups may mean any of them.
        let of_a_host = |read: &NameUse| {
            matches!(read.name.as_str(), "host" | "hosts") && read.path.iter().any(|key| key == "groups")
        };
        if step.reads.iter().any(of_a_host) {
            return Vec::new();
        }
        for read in step.reads.iter().filter(|read| read.name == "groups") {
            match read.path.first() {
                Some(group) => used.insert(group),
                None => return Vec::new(),
            };
        }
    }
    picked.extend(runbook.trust.servers.values().flat_map(|server| picks(&server.on)));
    picked.extend(runbook.trust.clients.values().flat_map(|client| picks(&client.on)));
    let unused =
        runbook.hosts.iter().filter(|(name, _)| !picked.contains(*name) && !used.contains(name.as_str()));
    let problem = |name: &String, at: &keybook_api::Span| {
        Diagnostic::warning("idle-group", format!("no step is for the group `{name}`"), at.clone())
            .help(format!("a step without `hosts` runs on the operator's own machine; is one of them meant for it? `hosts: {name}`"))
    };
    unused.map(|(name, need)| problem(name, &need.span)).collect()
}

/// Has neither the step at a path nor one around it hosts?
fn is_local(runbook: &Runbook, path: &str) -> bool {
    runbook.steps_to(path).all(|(_, step)| step.hosts.is_none())
}
