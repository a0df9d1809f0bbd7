//! Names that templates and answers write out: hosts, groups, daemons. Only while running would it turn out that there
//! is none.

use super::places::Choices;
use super::{CommandAnswer, DaemonSpec};
use indexmap::IndexMap;
use keybook_api::{Diagnostic, HostSpec, Span, host::OF_HOST};
use keybook_script::{GivenText, NameUse};
use keybook_source::{Problems, advice, suggest};

/// A host, a group, or what a host has, read by its name.
pub(super) fn known(used: &NameUse, choices: &Choices, problems: &mut Problems) {
    let (Some(name), Some(at)) = (used.path.first(), used.path_spans.first()) else { return };
    if used.sure == 0 {
        return;
    }
    let known: Vec<&str> = match used.name.as_str() {
        "groups" => choices.groups.keys().map(String::as_str).collect(),
        "hosts" => choices.hosts.keys().map(String::as_str).collect(),
        "host" => {
            if !OF_HOST.contains(&name.as_str()) {
                let message = format!("`host` has no `{name}`");
                problems.push(unknown(message, at, advice(name, OF_HOST)));
            }
            return;
        }
        _ => return,
    };
    if !known.contains(&name.as_str()) {
        let message = format!("there is no {} `{name}`", used.name.trim_end_matches('s'));
        problems.push(unknown(message, at, suggest(name, known)));
    }
}

/// The daemons that answers ask for: `daemon("etcd")` of the host that answers, `daemon("m1", "etcd")` of another.
pub(super) fn daemons_asked_for(
    commands: &[CommandAnswer],
    hosts: &IndexMap<String, HostSpec>,
    daemons: &[DaemonSpec],
    problems: &mut Problems,
) {
    // An answer may have a function of this name of its own.
    for answer in commands.iter().filter(|answer| !answer.script.defines("daemon")) {
        for call in answer.script.texts_given("daemon") {
            let (on, name) = match call.as_slice() {
                [name] => (answer.hosts.clone(), name),
                [Some(host), _] if !hosts.contains_key(&host.text) => {
                    problems.push(not_there(host, "host", hosts.keys().map(String::as_str).collect()));
                    continue;
                }
                [host, name] => (host.as_ref().map(|host| vec![host.text.clone()]), name),
                _ => continue,
            };
            let there = |daemon: &&DaemonSpec| {
                on.as_ref().is_none_or(|on| on.iter().any(|host| daemon.hosts.contains(host)))
            };
            let known: Vec<&str> = daemons.iter().filter(there).map(|daemon| daemon.name.as_str()).collect();
            if let Some(name) = name.as_ref().filter(|name| !known.contains(&name.text.as_str())) {
                problems.push(not_there(name, "daemon", known));
            }
        }
    }
}

fn not_there(given: &GivenText, what: &str, known: Vec<&str>) -> Diagnostic {
    unknown(format!("there is no {what} `{}`", given.text), &given.span, advice(&given.text, known))
}

fn unknown(message: String, at: &Span, help: Option<String>) -> Diagnostic {
    Diagnostic { help, ..Diagnostic::error("unknown-name", message, at.clone()) }
}
