//! The hosts of a run: who they are, which groups they form, and their connections.

use super::log::Log;
use crate::model::Inventory;
use async_trait::async_trait;
use indexmap::IndexMap;
use keybook_api::{Connector, Event, Fault, HostAccess, HostSpec, Identity, Map, Target, Value};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The name of this machine, for steps without hosts.
pub const LOCAL: &str = "local";

/// A host's connection, made by whoever needs it first.
type Connection = Arc<tokio::sync::OnceCell<Arc<dyn Target>>>;

/// Hosts, groups and connections.
pub struct Hosts {
    inventory: Mutex<Inventory>,
    connector: Arc<dyn Connector>,
    open: tokio::sync::Mutex<HashMap<String, Connection>>,
    log: Arc<Log>,
    /// Only these hosts, when `--limit` is given.
    limit: Vec<String>,
}

impl Hosts {
    /// Hosts of an inventory.
    pub fn new(
        inventory: Inventory,
        connector: Arc<dyn Connector>,
        log: Arc<Log>,
        limit: Vec<String>,
    ) -> Self {
        Self { inventory: Mutex::new(inventory), connector, open: tokio::sync::Mutex::default(), log, limit }
    }

    /// What reaches the hosts.
    pub fn connector(&self) -> &dyn Connector {
        &*self.connector
    }

    fn inventory(&self) -> MutexGuard<'_, Inventory> {
        self.inventory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The inventory's `cluster:`.
    pub fn cluster(&self) -> String {
        self.inventory().cluster.clone()
    }

    /// Host names by group, those outside `--limit` left out.
    pub fn groups(&self) -> IndexMap<String, Vec<String>> {
        let mut groups = self.every_group();
        if !self.limit.is_empty() {
            groups.values_mut().for_each(|hosts| hosts.retain(|host| self.limit.contains(host)));
        }
        groups
    }

    /// Host names by group, `--limit` or not.
    pub fn every_group(&self) -> IndexMap<String, Vec<String>> {
        self.inventory().groups.clone()
    }

    /// Adds a host to a group (and to the run, when it is new).
    pub fn add(&self, group: &str, spec: HostSpec) {
        let mut inventory = self.inventory();
        let members = inventory.groups.entry(group.to_owned()).or_default();
        if !members.contains(&spec.name) {
            members.push(spec.name.clone());
        }
        inventory.hosts.insert(spec.name.clone(), spec);
    }

    /// Adds what a `host.added` event says.
    pub fn add_from(&self, event: &Event) {
        let Event::HostAdded { group, host, address, port, user, key, via, sudo, replaceable } = event else {
            return;
        };
        let via = via.as_deref().and_then(|name| self.spec(name)).map(Arc::new);
        self.add(
            group,
            HostSpec {
                address: address.clone(),
                port: *port,
                user: user.clone(),
                key: key.as_ref().map(PathBuf::from),
                via,
                sudo: *sudo,
                replaceable: *replaceable,
                ..HostSpec::named(host)
            },
        );
    }

    /// `host` in expressions: name, address, groups.
    pub fn as_value(&self, name: &str) -> Value {
        let inventory = self.inventory();
        let address = inventory.hosts.get(name).map_or(name, |spec| spec.address.as_str());
        Value::Map(keybook_api::value::map([
            ("name", name.into()),
            ("address", address.into()),
            ("groups", inventory.groups_of(name).into()),
        ]))
    }

    /// `hosts` in expressions: every host by name.
    pub fn all_as_value(&self) -> Value {
        let names: Vec<String> = self.inventory().hosts.keys().cloned().collect();
        Value::Map(names.into_iter().map(|name| (name.clone(), self.as_value(&name))).collect::<Map>())
    }

    /// Connects to a host, or gives the connection that is there. The first contact is journaled; a host that
    /// is somebody else than before is a fault.
    pub async fn get(&self, name: &str) -> Result<Arc<dyn Target>, Fault> {
        let cell = self.open.lock().await.entry(name.to_owned()).or_default().clone();
        let target = cell.get_or_try_init(|| self.connect(name)).await?;
        Ok(target.clone())
    }

    async fn connect(&self, name: &str) -> Result<Arc<dyn Target>, Fault> {
        let spec = self.spec(name).ok_or_else(|| {
            Fault::usage(format!("reach {name}"), "it is no host of this run").hint("add it to the inventory")
        })?;
        let target = self.connector.connect(&spec).await.map_err(|fault| fault.on(name))?;
        match self.log.state(|state| state.identities.get(name).cloned()) {
            None => {
                let identity = target.identity().clone();
                self.log.run(Event::HostIdentified { host: name.to_owned(), identity })?;
            }
            Some(known) if spec.replaceable || same(&known, target.identity()) => {}
            Some(known) => {
                target.close().await;
                return Err(changed_identity(name, &known, target.identity()));
            }
        }
        Ok(target)
    }

    /// Drops every connection.
    pub async fn close(&self) {
        for cell in self.open.lock().await.values() {
            if let Some(target) = cell.get() {
                target.close().await;
            }
        }
    }
}

/// Same host key and same machine id, where both are known.
fn same(known: &Identity, now: &Identity) -> bool {
    let agree = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
    agree(&known.host_key, &now.host_key) && agree(&known.machine_id, &now.machine_id)
}

fn changed_identity(name: &str, known: &Identity, now: &Identity) -> Fault {
    let show = |identity: &Identity| {
        format!("host key {} and machine id {}", identity.host_key, identity.machine_id)
    };
    Fault::failed(
        format!("go on with {name}"),
        format!("it is another machine than before: it had {}, now it has {}", show(known), show(now)),
    )
    .on(name)
    .now("nothing was done on it since")
    .hint("find out why the machine changed; a reinstalled node has lost this run's backups and receipts")
}

#[async_trait]
impl HostAccess for Hosts {
    async fn target(&self, name: &str) -> Result<Arc<dyn Target>, Fault> {
        self.get(name).await
    }

    fn group(&self, name: &str) -> Option<Vec<String>> {
        self.groups().shift_remove(name)
    }

    fn spec(&self, name: &str) -> Option<HostSpec> {
        let found = self.inventory().hosts.get(name).cloned();
        found.or_else(|| (name == LOCAL).then(|| HostSpec { local: true, ..HostSpec::named(LOCAL) }))
    }
}
