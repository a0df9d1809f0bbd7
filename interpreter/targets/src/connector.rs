//! Makes targets from an inventory's hosts.

use crate::local::LocalShell;
use crate::posix::PosixTarget;
use crate::ssh::{HostKeyPolicy, Link, RefuseUnknown, Resolved, SshSettings, SshShell};
use async_trait::async_trait;
use keybook_api::{Connector, Fault, HostSpec, Target};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Connects to this machine and to hosts behind SSH, by what each host's settings say. Hosts behind the same
/// jump host share one connection to it.
pub struct SystemConnector {
    settings: Arc<SshSettings>,
    policy: Arc<dyn HostKeyPolicy>,
    jumps: Mutex<HashMap<String, Weak<Link>>>,
}

impl SystemConnector {
    /// With these surroundings; `policy` decides about hosts that known_hosts does not name.
    pub fn new(settings: SshSettings, policy: Arc<dyn HostKeyPolicy>) -> Self {
        Self { settings: Arc::new(settings), policy, jumps: Mutex::default() }
    }

    fn link(&self, host: Arc<Resolved>) -> Link {
        let via = host.via.clone().map(|via| self.jump(via));
        Link::new(host, self.settings.clone(), self.policy.clone(), via)
    }

    /// The link to a jump host: the one that is there, or a new one.
    fn jump(&self, host: Arc<Resolved>) -> Arc<Link> {
        let key = host.route();
        let there = |jumps: &HashMap<String, Weak<Link>>| jumps.get(&key).and_then(Weak::upgrade);
        if let Some(link) = there(&self.jumps.lock().unwrap_or_else(PoisonError::into_inner)) {
            return link;
        }
        // A jump host may have a jump host of its own, so the lock is free while its link is made.
        let new = Arc::new(self.link(host));
        let mut jumps = self.jumps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = there(&jumps) {
            return link;
        }
        jumps.retain(|_, link| link.strong_count() > 0);
        jumps.insert(key, Arc::downgrade(&new));
        new
    }
}

/// The operator's own surroundings; unknown hosts are refused.
impl Default for SystemConnector {
    fn default() -> Self {
        Self::new(SshSettings::from_env(), Arc::new(RefuseUnknown))
    }
}

#[async_trait]
impl Connector for SystemConnector {
    async fn connect(&self, host: &HostSpec) -> Result<Arc<dyn Target>, Fault> {
        let root = String::new();
        if host.local {
            let shell = LocalShell::new(&host.name);
            let target = PosixTarget::identify(shell, root, host.sudo, "local".into(), String::new()).await?;
            return Ok(Arc::new(target));
        }
        let resolved = Arc::new(Resolved::new(host, &self.settings)?);
        let transport = resolved.transport();
        let shell = SshShell::new(Arc::new(self.link(resolved)), host.sudo);
        let host_key = shell.host_key().await?;
        Ok(Arc::new(PosixTarget::identify(shell, root, host.sudo, transport, host_key).await?))
    }
}
