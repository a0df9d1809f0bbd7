//! Makes targets from an inventory's hosts: folders of the sandbox.

use super::notes;
use super::provision;
use super::target::SandboxTarget;
use super::world::{Sandbox, trouble};
use async_trait::async_trait;
use keybook_api::{Connector, Fault, HostSpec, Target};
use std::sync::Arc;

/// Connects to a sandbox's hosts. A host that is this machine itself gets an empty folder.
#[derive(Clone, Debug)]
pub struct SandboxConnector {
    sandbox: Arc<Sandbox>,
}

impl SandboxConnector {
    /// For the hosts of a sandbox.
    pub fn new(sandbox: Sandbox) -> Self {
        Self { sandbox: Arc::new(sandbox) }
    }

    /// The sandbox.
    pub fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    fn local(&self, name: &str) -> Result<(), Fault> {
        let make = || {
            let _lock = self.sandbox.lock()?;
            let folder = self.sandbox.host(name);
            // Its state is made first and its identity last, so what was cut off is made again.
            if folder.root.join("etc/hosts").exists() {
                return Ok(());
            }
            provision::skeleton(self.sandbox.scenario(), name, &folder)
        };
        make().map_err(|error| trouble(name, &error))
    }
}

#[async_trait]
impl Connector for SandboxConnector {
    async fn connect(&self, host: &HostSpec) -> Result<Arc<dyn Target>, Fault> {
        let scenario = self.sandbox.scenario();
        // A host that was added while running may have another name for an address of the scenario.
        let known = scenario.host_at(&host.name).or_else(|| scenario.host_at(&host.address));
        let name = match known {
            Some(name) => name.to_owned(),
            None if host.local && !host.name.contains('/') && !host.name.starts_with('.') => {
                self.local(&host.name)?;
                host.name.clone()
            }
            None => {
                return Err(Fault::unreachable(
                    format!("connect to {}", host.name),
                    format!("the scenario has no host with this name or the address {}", host.address),
                )
                .on(&host.name)
                .hint(format!("add it under `hosts` in {}", scenario.file)));
            }
        };
        Ok(Arc::new(SandboxTarget::connect(self.sandbox.clone(), &name).await?))
    }

    fn notes_at_start(&self) -> Vec<String> {
        notes::of_the_start(&self.sandbox)
    }

    fn notes_at_end(&self) -> Vec<String> {
        notes::of_the_end(&self.sandbox)
    }
}
