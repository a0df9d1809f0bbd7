//! Hosts as maps in memory. They outlive every session, so a crash is: drop the session, connect again.

use keybook_api::{FileKind, Identity, Owner};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// One path.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub kind: FileKind,
    pub content: Vec<u8>,
    pub mode: u32,
    pub owner: Owner,
    pub modified: i64,
}

impl Node {
    pub fn file(content: &str, mode: u32, uid: u32) -> Self {
        let owner = Owner { uid, gid: uid };
        Self { kind: FileKind::File, content: content.into(), mode, owner, modified: 0 }
    }

    pub fn dir(mode: u32) -> Self {
        Self { kind: FileKind::Directory, ..Self::file("", mode, 0) }
    }
}

/// One host.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    pub files: BTreeMap<String, Node>,
    /// File name of a receipt → exit status, `None` while it is not known.
    pub receipts: BTreeMap<String, Option<i32>>,
    /// How often each named effect happened.
    pub effects: BTreeMap<String, u32>,
    pub identity: Identity,
    pub uid: u32,
    pub free_mib: u64,
    pub tools: Vec<String>,
}

impl Host {
    fn named(name: &str) -> Self {
        let identity = Identity {
            transport: "fake".into(),
            host_key: format!("SHA256:{name}"),
            machine_id: format!("id-{name}"),
            hostname: name.into(),
            clock_offset_ms: 0,
        };
        let files = ["/", "/etc", "/var", "/var/lib"].map(|path| (path.to_owned(), Node::dir(0o755)));
        Self {
            files: files.into(),
            receipts: BTreeMap::new(),
            effects: BTreeMap::new(),
            identity,
            uid: 0,
            free_mib: 10_000,
            tools: vec!["sh".into()],
        }
    }
}

/// How a call goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum How {
    /// The host is lost before anything happened.
    LostBefore,
    /// It happened, then the host was lost.
    LostAfter,
    /// It fails with this cause.
    Fails(&'static str),
}

/// A call that goes wrong.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub host: &'static str,
    /// The method: `exec`, `write`, `tree`, `connect`, …
    pub call: &'static str,
    /// A part of its path or script.
    pub about: &'static str,
    pub how: How,
    /// So many matching calls go well before.
    pub after: u32,
    /// So many go wrong then.
    pub times: u32,
}

pub type Hosts = BTreeMap<String, Host>;
type Hook = Arc<dyn Fn(&Hosts) + Send + Sync>;

/// All hosts.
#[derive(Default)]
pub struct World {
    hosts: Mutex<Hosts>,
    troubles: Mutex<Vec<Trouble>>,
    hook: Mutex<Option<Hook>>,
    /// What the connector tells, at the start and at the end.
    pub notes: Mutex<Vec<&'static str>>,
}

impl World {
    pub fn with(names: &[&str]) -> Arc<Self> {
        let world = Self::default();
        let all = names.iter().chain(&["local"]);
        *world.hosts.lock().unwrap() = all.map(|name| ((*name).to_owned(), Host::named(name))).collect();
        Arc::new(world)
    }

    pub fn from_hosts(hosts: &Hosts) -> Arc<Self> {
        Arc::new(Self { hosts: Mutex::new(hosts.clone()), ..Self::default() })
    }

    pub fn hosts(&self) -> Hosts {
        self.hosts.lock().unwrap().clone()
    }

    /// Looks at, or arranges, one host from outside; no hook is called.
    pub fn on<T>(&self, host: &str, with: impl FnOnce(&mut Host) -> T) -> T {
        with(self.hosts.lock().unwrap().get_mut(host).unwrap_or_else(|| panic!("no host {host}")))
    }

    /// Changes a host as a call of the run does, and tells the hook.
    pub fn change<T>(&self, host: &str, with: impl FnOnce(&mut Host) -> T) -> T {
        let result = self.on(host, with);
        let hook = self.hook.lock().unwrap().clone();
        if let Some(hook) = hook {
            hook(&self.hosts());
        }
        result
    }

    /// Called after every change that the run makes on a host.
    pub fn hook(&self, hook: impl Fn(&Hosts) + Send + Sync + 'static) {
        *self.hook.lock().unwrap() = Some(Arc::new(hook));
    }

    pub fn put(&self, host: &str, path: &str, content: &str) {
        self.put_node(host, path, Node::file(content, 0o644, 0));
    }

    pub fn put_node(&self, host: &str, path: &str, node: Node) {
        self.on(host, |host| host.files.insert(path.to_owned(), node));
    }

    /// The content of a file, when it is there.
    pub fn text(&self, host: &str, path: &str) -> Option<String> {
        self.on(host, |host| {
            host.files.get(path).map(|node| String::from_utf8_lossy(&node.content).into_owned())
        })
    }

    /// A host's files but Keybook's own, times aside.
    pub fn files_of(&self, host: &str) -> BTreeMap<String, Node> {
        let plain = |(path, node): (String, Node)| {
            let own = path.starts_with("/var/lib/keybook") || path == "/var/lib";
            (!own).then_some((path, Node { modified: 0, ..node }))
        };
        self.on(host, |host| host.files.clone()).into_iter().filter_map(plain).collect()
    }

    /// The same of every host.
    pub fn files(&self) -> BTreeMap<String, BTreeMap<String, Node>> {
        self.hosts().into_keys().map(|host| (host.clone(), self.files_of(&host))).collect()
    }

    pub fn effects(&self, host: &str, name: &str) -> u32 {
        self.on(host, |host| host.effects.get(name).copied().unwrap_or_default())
    }

    /// The holder of the lock record of cluster `c1`.
    pub fn locked_by(&self, host: &str) -> Option<String> {
        let text = self.text(host, "/var/lib/keybook/lock-c1.json")?;
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        json["run"].as_str().map(str::to_owned)
    }

    pub fn trouble(&self, host: &'static str, call: &'static str, about: &'static str, how: How) {
        self.add_trouble(Trouble { host, call, about, how, after: 0, times: 1 });
    }

    pub fn add_trouble(&self, trouble: Trouble) {
        self.troubles.lock().unwrap().push(trouble);
    }

    pub fn clear_troubles(&self) {
        self.troubles.lock().unwrap().clear();
    }

    /// What is to go wrong with this call.
    pub fn strike(&self, host: &str, call: &str, about: &str) -> Option<How> {
        let mut troubles = self.troubles.lock().unwrap();
        let fits = |trouble: &&mut Trouble| {
            trouble.host == host && trouble.call == call && about.contains(trouble.about)
        };
        let trouble = troubles.iter_mut().filter(|trouble| trouble.times > 0).find(fits)?;
        if trouble.after > 0 {
            trouble.after -= 1;
            return None;
        }
        trouble.times -= 1;
        Some(trouble.how.clone())
    }
}
