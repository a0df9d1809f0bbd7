//! What is settled about a host before connecting to it.

use super::config::{Reader, expand};
use super::known_hosts::SSH_PORT;
use keybook_api::{Fault, HostSpec, Secret};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Names that ssh(1) tries when none is configured.
const DEFAULT_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];
/// How many hosts may be jumped through one after the other.
const JUMPS: usize = 8;

/// The operator's surroundings, and how patient connections are.
#[derive(Clone, Debug)]
pub struct SshSettings {
    /// The operator's home, where `.ssh/config`, `.ssh/known_hosts` and the default keys are.
    pub home: PathBuf,
    /// The operator's own login name, used where nothing names one.
    pub login: String,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// The known_hosts file of the whole machine.
    pub system_known_hosts: PathBuf,
    /// How often a silent connection is asked whether it lives; default 5 s.
    pub keepalive: Duration,
    /// How many of these questions may go unanswered before the connection counts as lost; default 3.
    pub keepalive_max: usize,
}

impl SshSettings {
    /// Reads HOME, USER or LOGNAME, and SSH_AUTH_SOCK.
    pub fn from_env() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            home: variable("HOME").unwrap_or_else(|| "/".into()).into(),
            login: variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "root".into()),
            agent: variable("SSH_AUTH_SOCK").map(PathBuf::from),
            system_known_hosts: "/etc/ssh/ssh_known_hosts".into(),
            keepalive: Duration::from_secs(5),
            keepalive_max: 3,
        }
    }
}

/// Everything needed to connect to one host: its inventory settings, completed from ~/.ssh/config.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub name: String,
    pub host: String,
    pub port: u16,
    pub user: String,
    /// The key that the inventory names.
    pub key: Option<PathBuf>,
    pub passphrase: Option<Secret>,
    pub password: Option<Secret>,
    /// Keys of ~/.ssh/config, or else the default ones that exist.
    pub other_keys: Vec<PathBuf>,
    /// Only the keys named here, not whatever the agent holds.
    pub identities_only: bool,
    pub known_hosts: Vec<PathBuf>,
    pub via: Option<Arc<Resolved>>,
    pub connect_timeout: Duration,
    pub replaceable: bool,
}

impl Resolved {
    /// Completes an inventory's settings. What the inventory says goes before ~/.ssh/config.
    pub fn new(spec: &HostSpec, settings: &SshSettings) -> Result<Self, Fault> {
        Self::at_depth(spec, settings, 0)
    }

    fn at_depth(spec: &HostSpec, settings: &SshSettings, depth: usize) -> Result<Self, Fault> {
        let attempted = "read how to connect";
        if depth > JUMPS {
            return Err(
                Fault::usage(attempted, "the jump hosts lead through each other without end").on(&spec.name)
            );
        }
        let home = settings.home.as_path();
        let config = Reader { home }
            .look_up(&spec.address)
            .map_err(|why| Fault::usage(attempted, why).on(&spec.name))?;
        let host = config.host_name.map_or_else(
            || spec.address.clone(),
            |name| name.replace("%h", &spec.address).replace("%%", "%"),
        );
        let user = spec.user.clone().or(config.user).unwrap_or_else(|| settings.login.clone());
        let via = match (&spec.via, config.proxy_jump.as_deref()) {
            (Some(via), _) => Some(Self::at_depth(via, settings, depth + 1)?),
            (None, None | Some("none")) => None,
            (None, Some(jumps)) => {
                let jump = jump_spec(jumps, spec).ok_or_else(|| {
                    Fault::usage(attempted, format!("ProxyJump `{jumps}` cannot be read")).on(&spec.name)
                })?;
                Some(Self::at_depth(&jump, settings, depth + 1)?)
            }
        };
        let configured: Vec<PathBuf> = config
            .identity_files
            .iter()
            .filter(|file| *file != "none")
            .map(|file| expand(file, home, &host, &user, &settings.login))
            .collect();
        let defaults = || DEFAULT_KEYS.map(|name| home.join(".ssh").join(name)).into_iter();
        let other_keys = if config.identity_files.is_empty() { defaults().collect() } else { configured };
        let known_hosts = if spec.known_hosts.is_empty() {
            vec![home.join(".ssh/known_hosts"), settings.system_known_hosts.clone()]
        } else {
            spec.known_hosts.clone()
        };
        Ok(Self {
            name: spec.name.clone(),
            port: spec.port.or(config.port).unwrap_or(SSH_PORT),
            user,
            host,
            key: spec.key.as_ref().map(|key| match key.strip_prefix("~") {
                Ok(rest) => home.join(rest),
                Err(_) => key.clone(),
            }),
            passphrase: spec.passphrase.clone(),
            password: spec.password.clone(),
            other_keys: other_keys.into_iter().filter(|key| key.exists()).collect(),
            identities_only: config.identities_only.unwrap_or(false),
            known_hosts,
            via: via.map(Arc::new),
            connect_timeout: spec.connect_timeout,
            replaceable: spec.replaceable,
        })
    }

    /// What tells this login from every other one, jumps included.
    pub fn route(&self) -> String {
        let via = self.via.as_ref().map(|via| via.route()).unwrap_or_default();
        format!("{via} {} {:?} {}", self.name, self.key, self.transport())
    }

    /// How the host was reached, for its identity.
    pub fn transport(&self) -> String {
        format!("ssh {}@{}:{}", self.user, self.host, self.port)
    }
}

/// `[user@]host[:port],…`: the last is the one next to the host, reached through those before it.
fn jump_spec(jumps: &str, spec: &HostSpec) -> Option<HostSpec> {
    let (before, last) = match jumps.rsplit_once(',') {
        Some((before, last)) => (Some(before), last),
        None => (None, jumps),
    };
    let last = last.trim().strip_prefix("ssh://").unwrap_or(last.trim());
    let (user, place) = match last.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, last),
    };
    let (address, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => match place.rsplit_once(':') {
            Some((address, port)) if !address.contains(':') => (address, Some(port)),
            _ => (place, None),
        },
    };
    if address.is_empty() {
        return None;
    }
    let via = match before {
        Some(before) => Some(Arc::new(jump_spec(before, spec)?)),
        None => None,
    };
    Some(HostSpec {
        user,
        port: port.map(str::parse).transpose().ok()?,
        known_hosts: spec.known_hosts.clone(),
        connect_timeout: spec.connect_timeout,
        via,
        ..HostSpec::named(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(config: &str) -> (tempfile::TempDir, SshSettings) {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        std::fs::write(home.path().join(".ssh/config"), config).unwrap();
        let settings =
            SshSettings { home: home.path().into(), login: "me".into(), ..SshSettings::from_env() };
        (home, settings)
    }

    #[test]
    fn the_inventory_goes_before_the_file() {
        let (_home, settings) = settings("Host a\nHostName a.example\nPort 2222\nUser file\n");
        let spec = HostSpec { user: Some("inventory".into()), ..HostSpec::named("a") };
        let resolved = Resolved::new(&spec, &settings).unwrap();
        assert_eq!(resolved.transport(), "ssh inventory@a.example:2222");
        let other = Resolved::new(&HostSpec::named("b"), &settings).unwrap();
        assert_eq!(other.transport(), "ssh me@b:22");
    }

    #[test]
    fn jumps_come_in_their_order() {
        let (_home, settings) = settings("Host a\nProxyJump x@one:2201,[::1]:2202\nHost one\nUser other\n");
        let resolved = Resolved::new(&HostSpec::named("a"), &settings).unwrap();
        let last = resolved.via.unwrap();
        assert_eq!(last.transport(), "ssh me@::1:2202");
        assert_eq!(last.via.as_ref().unwrap().transport(), "ssh x@one:2201");
    }

    #[test]
    fn a_circle_of_jumps_is_refused() {
        let (_home, settings) = settings("Host *\nProxyJump b\n");
        assert!(Resolved::new(&HostSpec::named("a"), &settings).is_err());
    }
}
