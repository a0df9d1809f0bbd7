//! A sandbox: its scenario, its folder, and the one lock over its state.

use super::daemons::{self, Records};
use super::folder::{self, HostFolder};
use super::provision;
use super::scenario::Scenario;
use keybook_api::{Fault, Value, value::map};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const MARKER: &str = ".sandbox.json";
const LOCK: &str = ".lock";
const FORMAT: u32 = 1;

/// Says that a folder is a whole sandbox, and which.
#[derive(Serialize, Deserialize)]
struct Marker {
    format: u32,
    scenario: String,
}

/// A sandbox on the disk.
#[derive(Debug)]
pub struct Sandbox {
    scenario: Scenario,
    folder: PathBuf,
    /// Commands that this program is answering, by the place of their receipts.
    pub(super) answering: Mutex<HashSet<PathBuf>>,
}

impl Sandbox {
    /// Makes the sandbox in `folder`, which must not exist; its parent must. The folder appears at once, whole.
    /// Makes keys, so it takes up to seconds: not for async threads.
    ///
    /// # Errors
    /// The folder exists, cannot be written, or something in the scenario cannot be made.
    pub fn create(scenario: Scenario, folder: impl Into<PathBuf>) -> Result<Self, Fault> {
        let folder = absolute(folder.into())?;
        let attempted = format!("make the sandbox {}", folder.display());
        let failed = |error: io::Error| Fault::failed(&attempted, error).now("there is no sandbox yet");
        if folder.symlink_metadata().is_ok() {
            return Err(Fault::failed(&attempted, "the folder exists already").now("nothing was made"));
        }
        let parent = folder.parent().unwrap_or(Path::new("/"));
        let making = tempfile::Builder::new().prefix(".sandbox-").tempdir_in(parent).map_err(failed)?;
        provision::make(&scenario, making.path())?;
        let marker = Marker { format: FORMAT, scenario: scenario.name.clone() };
        let marker = serde_json::to_vec(&marker).map_err(|error| failed(io::Error::other(error)))?;
        folder::replace(&making.path().join(MARKER), &marker, 0o600).map_err(failed)?;
        std::fs::rename(making.path(), &folder).map_err(failed)?;
        // It is no temporary folder any more.
        let _ = making.keep();
        folder::sync(parent).map_err(failed)?;
        Ok(Self { scenario, folder, answering: Mutex::default() })
    }

    /// Goes on with a sandbox that [`Sandbox::create`] made. Its hosts are as they were left.
    ///
    /// # Errors
    /// The folder is no sandbox of this scenario, or of another version of Keybook.
    pub fn open(scenario: Scenario, folder: impl Into<PathBuf>) -> Result<Self, Fault> {
        let folder = absolute(folder.into())?;
        let attempted = format!("open the sandbox {}", folder.display());
        let bytes = std::fs::read(folder.join(MARKER)).map_err(|error| {
            Fault::failed(&attempted, format!("the folder is no sandbox: {error}")).now("nothing was changed")
        })?;
        let marker: Marker = serde_json::from_slice(&bytes)
            .map_err(|error| Fault::failed(&attempted, format!("{MARKER} cannot be read: {error}")))?;
        if marker.format != FORMAT {
            let why = format!("it has format {}, this program knows {FORMAT}", marker.format);
            return Err(Fault::failed(&attempted, why).hint("use the version of Keybook that made it"));
        }
        if marker.scenario != scenario.name {
            let why =
                format!("it was made from the scenario `{}`, not from `{}`", marker.scenario, scenario.name);
            return Err(Fault::usage(&attempted, why));
        }
        if let Some(host) = scenario.hosts.keys().find(|host| !folder.join(host).join("root").is_dir()) {
            return Err(Fault::failed(&attempted, format!("the host `{host}` of the scenario is not in it"))
                .hint("the scenario has changed since; make a new sandbox"));
        }
        Ok(Self { scenario, folder, answering: Mutex::default() })
    }

    /// What it was made from.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder that a host shows as its `/`.
    pub fn root_of(&self, host: &str) -> PathBuf {
        self.host(host).root
    }

    pub(crate) fn host(&self, name: &str) -> HostFolder {
        HostFolder::new(&self.folder, name)
    }

    /// Whoever reads or changes state holds this; it is let go when dropped, or when the process dies.
    pub(crate) fn lock(&self) -> io::Result<File> {
        let file = File::create(self.folder.join(LOCK))?;
        file.lock()?;
        Ok(file)
    }

    /// Brings a host's daemons up to date. The caller holds the lock.
    pub(crate) fn settle(&self, host: &str) -> io::Result<Records> {
        let now = jiff::Timestamp::now().as_millisecond();
        daemons::settle(&self.host(host), self.scenario.daemons_of(host), now)
    }

    /// Brings all daemons up to date. The caller holds the lock.
    pub(crate) fn settle_all(&self) -> io::Result<()> {
        self.scenario.hosts.keys().try_for_each(|host| self.settle(host).map(drop))
    }

    /// `host` in templates and answers.
    pub(crate) fn host_value(scenario: &Scenario, name: &str) -> Value {
        let address = scenario.hosts.get(name).map_or(name, |spec| spec.address.as_str());
        Value::Map(map([
            ("name", name.into()),
            ("address", address.into()),
            ("groups", scenario.groups_of(name).into()),
        ]))
    }

    /// `host`, `hosts`, `groups` and `cluster`.
    pub(crate) fn variables(scenario: &Scenario, name: &str) -> keybook_api::Map {
        let hosts = scenario.hosts.keys().map(|host| (host.clone(), Self::host_value(scenario, host)));
        let groups = scenario.groups.iter().map(|(group, members)| (group.clone(), members.clone().into()));
        map([
            ("host", Self::host_value(scenario, name)),
            ("hosts", Value::Map(hosts.collect())),
            ("groups", Value::Map(groups.collect())),
            ("cluster", scenario.cluster.as_str().into()),
        ])
    }
}

fn absolute(folder: PathBuf) -> Result<PathBuf, Fault> {
    std::path::absolute(&folder)
        .map_err(|error| Fault::failed(format!("find the folder {}", folder.display()), error))
}

/// What an error of the sandbox's own files means.
pub(crate) fn trouble(host: &str, error: &io::Error) -> Fault {
    Fault::failed("keep the sandbox's state", error)
        .on(host)
        .hint("the sandbox's folder must be writable and have room")
}
