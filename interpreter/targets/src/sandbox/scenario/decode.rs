//! The keys at a scenario's top: hosts, groups, inputs, tools; the rest is in [`super::parts`].

use super::Scenario;
use super::names;
use super::parts::Parts;
use super::places::Choices;
use indexmap::IndexMap;
use keybook_api::{Diagnostic, HostSpec, Map, Severity};
use keybook_script::ScriptHost;
use keybook_source::{Key, MapReader, Node, Problems, read, suggest};
use std::collections::HashMap;

/// The keys of an inventory's host that say how to reach it: there is nothing to reach in a sandbox.
pub(super) const REACHING: [&str; 9] =
    ["user", "via", "password", "passphrase", "key", "known_hosts", "port", "connect_timeout", "sudo"];
/// The host that stands for this machine.
const LOCAL: &str = "local";

/// Decodes a scenario.
pub(super) fn scenario(
    file: &str,
    root: &Node,
    sources: HashMap<String, String>,
    engine: ScriptHost,
) -> Result<Scenario, Vec<Diagnostic>> {
    let mut problems = Problems::default();
    let decoded = decode(file, root, engine, &mut problems);
    read::warn_surprises(root, &mut problems);
    let (errors, warnings): (Vec<_>, Vec<_>) =
        problems.into_vec().into_iter().partition(|problem| problem.severity == Severity::Error);
    match decoded {
        Some(scenario) if errors.is_empty() => Ok(Scenario { warnings, sources, ..scenario }),
        _ => Err(errors.into_iter().chain(warnings).collect()),
    }
}

fn decode(file: &str, root: &Node, engine: ScriptHost, problems: &mut Problems) -> Option<Scenario> {
    let mut map = MapReader::new(root, "a scenario", problems)?;
    let version = map.required("keybook", problems);
    let name = map.required("scenario", problems);
    let title = map.optional("title");
    let cluster = map.required("cluster", problems);
    let hosts = map.required("hosts", problems);
    let groups = map.optional("groups");
    let inputs = map.optional("inputs");
    let tools = map.optional("tools");
    let [certificates, files, daemons, commands, faults] =
        ["certificates", "files", "daemons", "commands", "faults"].map(|key| map.optional(key));
    map.finish(problems);
    version.map(|node| read::language(node, problems));
    let name = name.and_then(|node| read::identifier(node, "name of a scenario", problems));
    let title = title.and_then(|node| read::string(node, problems)).unwrap_or_default();
    let cluster = cluster.and_then(|node| read::identifier(node, "name of a cluster", problems));
    let hosts = hosts.map(|node| read_hosts(node, problems)).unwrap_or_default();
    let groups = groups.map(|node| read_groups(node, &hosts, problems)).unwrap_or_default();
    let inputs = inputs.map(|node| read_inputs(node, problems)).unwrap_or_default();
    let tools = tools.and_then(|node| read::strings(node, problems)).unwrap_or_default();
    let parts = Parts::new(Choices { hosts: &hosts, groups: &groups }, &engine);
    let certificates = certificates.map(|node| parts.certificates(node, problems)).unwrap_or_default();
    let files = files.map(|node| parts.files(node, &certificates, problems)).unwrap_or_default();
    let daemons = daemons.map(|node| parts.daemons(node, problems)).unwrap_or_default();
    let span = commands.map_or_else(|| root.span.clone(), |node| node.span.clone());
    let commands = commands.map(|node| parts.commands(node, problems)).unwrap_or_default();
    names::daemons_asked_for(&commands, &hosts, &daemons, problems);
    let faults = faults.map(|node| parts.faults(node, problems)).unwrap_or_default();
    Some(Scenario {
        name: name?,
        title,
        file: file.into(),
        span,
        cluster: cluster?,
        inputs,
        tools: tools.iter().map(|tool| tool.as_str().to_owned()).collect(),
        warnings: Vec::new(),
        sources: HashMap::new(),
        certificates,
        files,
        daemons,
        commands,
        faults,
        hosts,
        groups,
        engine,
    })
}

/// The entries of a map, each with its key.
pub(super) fn entries<'n>(node: &'n Node, what: &str, problems: &mut Problems) -> Vec<(&'n Key, &'n Node)> {
    MapReader::new(node, what, problems).map(|mut map| map.rest()).unwrap_or_default()
}

fn read_hosts(node: &Node, problems: &mut Problems) -> IndexMap<String, HostSpec> {
    let mut hosts: IndexMap<String, HostSpec> = IndexMap::new();
    for (key, value) in entries(node, "`hosts`", problems) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !key.name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !key.name.chars().all(fits)
            || key.name == LOCAL
        {
            let message = format!("`{}` cannot be the name of a sandbox host", key.name);
            let problem = Diagnostic::error("bad-name", message, key.span.clone());
            problems.push(
                problem.help("use letters, digits, `-`, `_` and `.`, beginning with a letter or digit"),
            );
        }
        let Some(mut map) = MapReader::new(value, "a host", problems) else { continue };
        let at = map.optional("address");
        let address = at.and_then(|node| read::string(node, problems));
        for key in REACHING {
            map.optional(key);
        }
        map.finish(problems);
        let mut spec = HostSpec::named(&key.name);
        spec.address = address.unwrap_or(spec.address);
        if let Some(other) = hosts.values().find(|other| other.address == spec.address) {
            let message = format!("`{}` has the same address", other.name);
            let at = at.map_or(&key.span, |node| &node.span);
            problems.push(Diagnostic::error("duplicate-address", message, at.clone()));
        }
        hosts.insert(key.name.clone(), spec);
    }
    if hosts.is_empty() {
        problems.push(Diagnostic::error("no-hosts", "a scenario needs at least one host", node.span.clone()));
    }
    hosts
}

fn read_groups(
    node: &Node,
    hosts: &IndexMap<String, HostSpec>,
    problems: &mut Problems,
) -> IndexMap<String, Vec<String>> {
    let mut groups = IndexMap::new();
    for (key, value) in entries(node, "`groups`", problems) {
        let mut members: Vec<String> = Vec::new();
        for item in read::list(value, problems).unwrap_or_default() {
            let Some(name) = read::string(item, problems) else { continue };
            if members.contains(&name) {
                let message = format!("`{name}` stands twice in the group");
                problems.push(Diagnostic::error("duplicate-host", message, item.span.clone()));
            } else if hosts.contains_key(&name) {
                members.push(name);
            } else {
                let message = format!("there is no host `{name}`");
                let mut problem = Diagnostic::error("unknown-host", message, item.span.clone());
                problem.help = suggest(&name, hosts.keys().map(String::as_str));
                problems.push(problem);
            }
        }
        groups.insert(key.name.clone(), members);
    }
    groups
}

fn read_inputs(node: &Node, problems: &mut Problems) -> Map {
    let all = entries(node, "`inputs`", problems);
    all.into_iter().map(|(key, value)| (key.name.clone(), value.to_value())).collect()
}
