//! How a host is reached, and who it turned out to be.

use crate::{Fault, Secret, Target};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// What `host`, and each of `hosts`, has in expressions.
pub const OF_HOST: [&str; 3] = ["name", "address", "groups"];

/// One host of the inventory.
#[derive(Clone, Debug)]
pub struct HostSpec {
    /// Its inventory name; unique.
    pub name: String,
    /// Address or DNS name; the inventory name when not given.
    pub address: String,
    /// SSH port; 22 when not given (or what ~/.ssh/config says).
    pub port: Option<u16>,
    /// Login; what ~/.ssh/config says, else the operator's own name.
    pub user: Option<String>,
    /// A private key file to offer, besides the agent's keys.
    pub key: Option<PathBuf>,
    /// Passphrase of that key file.
    pub passphrase: Option<Secret>,
    /// Password of the login (also answers keyboard-interactive prompts).
    pub password: Option<Secret>,
    /// known_hosts files to check instead of ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts.
    pub known_hosts: Vec<PathBuf>,
    /// The host to jump through, by inventory name already resolved to its own settings.
    pub via: Option<Arc<HostSpec>>,
    /// Run everything through `sudo -n`.
    pub sudo: bool,
    /// This machine itself, without SSH.
    pub local: bool,
    /// How long connecting may take; default 20 s.
    pub connect_timeout: Duration,
    /// The runbook may replace this host, so a changed identity is no drift.
    pub replaceable: bool,
}

impl HostSpec {
    /// A host with everything at its default.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            address: name.clone(),
            name,
            port: None,
            user: None,
            key: None,
            passphrase: None,
            password: None,
            known_hosts: Vec::new(),
            via: None,
            sudo: false,
            local: false,
            connect_timeout: Duration::from_secs(20),
            replaceable: false,
        }
    }
}

/// Who a host is: compared on resume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Identity {
    /// How it was reached, such as `ssh root@10.0.0.1:22`, `local` or `sandbox`.
    pub transport: String,
    /// `SHA256:…` of its SSH host key; empty without SSH.
    pub host_key: String,
    /// /etc/machine-id; empty where there is none.
    pub machine_id: String,
    /// What it calls itself.
    pub hostname: String,
    /// Its clock minus ours, in milliseconds, as far as the round trip lets us tell.
    pub clock_offset_ms: i64,
}

/// Makes targets from host settings. Implemented for SSH, this machine and the sandbox.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Connects and identifies the host. Called once a host and run, and again after a connection was lost
    /// (implementations also reconnect by themselves before a command that has not begun).
    async fn connect(&self, host: &HostSpec) -> Result<Arc<dyn Target>, Fault>;

    /// What is to be told of the hosts when a run begins. Only a sandbox, which makes them, knows anything.
    fn notes_at_start(&self) -> Vec<String> {
        Vec::new()
    }

    /// What is to be told of the hosts when a run is done, or taken back.
    fn notes_at_end(&self) -> Vec<String> {
        Vec::new()
    }
}
