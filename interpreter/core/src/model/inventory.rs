//! The inventory: which hosts there are, how they are reached, which group each belongs to.

use crate::journal::format::sha256_hex;
use indexmap::IndexMap;
use keybook_api::{Diagnostic, HostSpec};
use keybook_source::{Key, MapReader, Node, Problems, read, suggest};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Hosts and groups.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// The cluster's name: one run at a time may hold it.
    pub cluster: String,
    /// Hosts by name, in order.
    pub hosts: IndexMap<String, HostSpec>,
    /// Host names by group, in order.
    pub groups: IndexMap<String, Vec<String>>,
    /// Which secret input is the password of a host's login, and which the passphrase of its key.
    pub secrets: IndexMap<String, HostSecrets>,
    /// The jump host of a host, by name.
    pub jumps: IndexMap<String, String>,
}

/// Names of secret inputs that a host's settings refer to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostSecrets {
    /// The input that is the login's password.
    pub password: Option<String>,
    /// The input that is the key's passphrase.
    pub passphrase: Option<String>,
}

impl Inventory {
    /// Decodes an inventory; look at `problems` as well.
    pub fn decode(root: &Node, problems: &mut Problems) -> Option<Self> {
        let mut map = MapReader::new(root, "an inventory", problems)?;
        let version = map.required("keybook", problems);
        let cluster = map.required("cluster", problems);
        let hosts = map.required("hosts", problems);
        let groups = map.optional("groups");
        map.finish(problems);
        version.map(|node| read::language(node, problems));
        let mut inventory =
            Self { cluster: read::identifier(cluster?, "name of a cluster", problems)?, ..Self::default() };
        inventory.read_hosts(hosts?, problems);
        if let Some(node) = groups {
            inventory.read_groups(node, problems);
        }
        read::warn_surprises(root, problems);
        Some(inventory)
    }

    /// SHA-256 of what the inventory means: cluster, hosts with addresses and logins, groups.
    pub fn digest(&self) -> String {
        let mut text = format!("cluster {}\n", self.cluster);
        for line in self.lines() {
            text.push_str(&line);
            text.push('\n');
        }
        sha256_hex(text.as_bytes())
    }

    /// One line a host and group, for comparing two inventories.
    pub fn lines(&self) -> Vec<String> {
        let host = |(name, spec): (&String, &HostSpec)| {
            let user = spec.user.as_deref().unwrap_or("-");
            let port = spec.port.map_or_else(|| "-".to_owned(), |port| port.to_string());
            let via = spec.via.as_ref().map_or("-", |via| via.name.as_str());
            let key = spec.key.as_ref().map_or_else(|| "-".to_owned(), |path| path.display().to_string());
            let known: Vec<String> = spec.known_hosts.iter().map(|path| path.display().to_string()).collect();
            format!(
                "host {name} {} {port} {user} via {via} sudo {} local {} key {key} known_hosts {}",
                spec.address,
                spec.sudo,
                spec.local,
                known.join(",")
            )
        };
        let group = |(name, members): (&String, &Vec<String>)| format!("group {name} {}", members.join(" "));
        self.hosts.iter().map(host).chain(self.groups.iter().map(group)).collect()
    }

    /// The groups of a host.
    pub fn groups_of(&self, host: &str) -> Vec<String> {
        let member = |(_, members): &(&String, &Vec<String>)| members.iter().any(|name| name == host);
        self.groups.iter().filter(member).map(|(name, _)| name.clone()).collect()
    }

    fn read_hosts(&mut self, node: &Node, problems: &mut Problems) {
        let mut jumps: Vec<(String, String, &Node)> = Vec::new();
        for (key, value) in entries(node, "`hosts`", problems) {
            let Some((spec, via, secrets)) = read_host(&key.name, value, problems) else { continue };
            if let Some(via) = via {
                let at = value.get("via").unwrap_or(value);
                jumps.push((key.name.clone(), via, at));
            }
            self.secrets.insert(key.name.clone(), secrets);
            self.hosts.insert(key.name.clone(), spec);
        }
        let jumping: Vec<String> = jumps.iter().map(|(host, ..)| host.clone()).collect();
        for (host, via, node) in jumps {
            match self.hosts.get(&via) {
                Some(_) if via != host && !jumping.contains(&via) => {
                    self.jumps.insert(host, via);
                }
                Some(_) => problems.push(
                    Diagnostic::error(
                        "via",
                        format!("`{via}` cannot be the jump host of `{host}`"),
                        node.span.clone(),
                    )
                    .help("a jump host is another host that is reached directly"),
                ),
                None => {
                    let mut problem = Diagnostic::error(
                        "via",
                        format!("there is no host `{via}` to jump through"),
                        node.span.clone(),
                    );
                    problem.help = suggest(&via, self.hosts.keys().map(String::as_str));
                    problems.push(problem);
                }
            }
        }
        self.link_jumps();
    }

    /// Gives each host the settings of its jump host as they are now; to be called again after they changed.
    pub fn link_jumps(&mut self) {
        for (host, via) in &self.jumps {
            let jump = self.hosts.get(via).cloned().map(Arc::new);
            if let Some(spec) = self.hosts.get_mut(host) {
                spec.via = jump;
            }
        }
    }

    fn read_groups(&mut self, node: &Node, problems: &mut Problems) {
        for (key, value) in entries(node, "`groups`", problems) {
            let mut members = Vec::new();
            for item in read::list(value, problems).unwrap_or_default() {
                let Some(name) = read::string(item, problems) else { continue };
                if !self.hosts.contains_key(&name) {
                    let mut problem = Diagnostic::error(
                        "unknown-host",
                        format!("there is no host `{name}`"),
                        item.span.clone(),
                    );
                    problem.help = suggest(&name, self.hosts.keys().map(String::as_str));
                    problems.push(problem);
                } else if members.contains(&name) {
                    problems.push(Diagnostic::error(
                        "duplicate-host",
                        format!("`{name}` stands twice in the group"),
                        item.span.clone(),
                    ));
                } else {
                    members.push(name);
                }
            }
            self.groups.insert(key.name.clone(), members);
        }
    }
}

fn entries<'n>(node: &'n Node, what: &str, problems: &mut Problems) -> Vec<(&'n Key, &'n Node)> {
    MapReader::new(node, what, problems).map(|mut map| map.rest()).unwrap_or_default()
}

fn read_host(
    name: &str,
    node: &Node,
    problems: &mut Problems,
) -> Option<(HostSpec, Option<String>, HostSecrets)> {
    let mut spec = HostSpec::named(name);
    let mut map = MapReader::new(node, "a host", problems)?;
    let texts = ["address", "user", "via", "password", "passphrase", "key"].map(|key| map.optional(key));
    let known_hosts = map.optional("known_hosts");
    let flags = ["sudo", "local"].map(|key| map.optional(key));
    let port = map.optional("port");
    let timeout = map.optional("connect_timeout");
    map.finish(problems);
    let [address, user, via, password, passphrase, key] =
        texts.map(|node| node.and_then(|n| read::string(n, problems)));
    let known_hosts = known_hosts.map(|n| super::decode::strings(n, problems)).unwrap_or_default();
    let [sudo, local] = flags.map(|node| node.and_then(|n| read::bool(n, problems)).unwrap_or(false));
    if let Some(address) = address {
        spec.address = address;
    }
    spec.user = user;
    spec.port = port.and_then(|n| read::int(n, 1..=65535, problems)).and_then(|n| u16::try_from(n).ok());
    spec.key = key.map(PathBuf::from);
    spec.known_hosts = known_hosts.into_iter().map(PathBuf::from).collect();
    spec.sudo = sudo;
    spec.local = local;
    spec.connect_timeout =
        timeout.and_then(|n| read::duration(n, problems)).unwrap_or(Duration::from_secs(20));
    Some((spec, via, HostSecrets { password, passphrase }))
}
