//! The processes of a sandbox host. They exist only as records on the disk: each time somebody looks, a daemon
//! whose file has appeared is started, one whose file is gone is stopped. What it serves is a copy of the files
//! that it read when it started.

use super::folder::{self, HostFolder};
use super::paths;
use super::scenario::DaemonSpec;
use indexmap::IndexMap;
use keybook_api::Secret;
use keybook_pki::{Certificate, PrivateKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::PathBuf;

const RECORDS: &str = "daemons.json";
/// More than any file that a daemon reads.
const LARGEST: usize = 4 << 20;

/// What is on record of one daemon.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub running: bool,
    /// Of its last start, as long as a container's id: 64 hexadecimal digits.
    pub id: String,
    pub starts: u64,
    /// Milliseconds since 1970.
    pub started: i64,
    /// SHA-256 of the file that it runs for.
    pub manifest: String,
    /// Since when the file is there, milliseconds since 1970.
    pub appeared: Option<i64>,
    /// Why it does not run although its file is there.
    pub error: Option<String>,
}

/// All daemons of a host by name.
pub(crate) type Records = IndexMap<String, Record>;

/// Starts and stops what is to be started and stopped. The caller holds the sandbox's lock.
pub(crate) fn settle<'d>(
    host: &HostFolder,
    daemons: impl Iterator<Item = &'d DaemonSpec>,
    now_ms: i64,
) -> io::Result<Records> {
    let mut records: Records = host.load(RECORDS)?;
    let mut changed: Vec<String> = Vec::new();
    for daemon in daemons {
        let record = records.entry(daemon.name.clone()).or_default();
        if settle_one(host, daemon, record, now_ms)? {
            changed.push(daemon.name.clone());
        }
    }
    if !changed.is_empty() {
        host.save(RECORDS, &records)?;
        for (name, record) in records.iter().filter(|(name, _)| changed.contains(name)) {
            forget_others(host, name, &record.id)?;
        }
    }
    Ok(records)
}

/// Ends all daemons, as a machine that boots does; who looks next starts those whose file is there. The caller holds the
/// sandbox's lock.
pub(crate) fn end_all(host: &HostFolder) -> io::Result<()> {
    let mut records: Records = host.load(RECORDS)?;
    for record in records.values_mut() {
        *record = Record { running: false, appeared: None, error: None, ..record.clone() };
    }
    host.save(RECORDS, &records)
}

/// True when the record has changed.
fn settle_one(host: &HostFolder, daemon: &DaemonSpec, record: &mut Record, now_ms: i64) -> io::Result<bool> {
    let Some(content) = paths::read(&host.root, &daemon.while_file)? else {
        let was = record.running || record.appeared.is_some();
        *record = Record { running: false, appeared: None, error: None, ..record.clone() };
        return Ok(was);
    };
    let manifest = hex(&Sha256::digest(&content));
    if record.running && record.manifest == manifest {
        return Ok(false);
    }
    let mut changed = false;
    if record.appeared.is_none() || record.manifest != manifest {
        *record = Record { running: false, appeared: Some(now_ms), manifest, error: None, ..record.clone() };
        changed = true;
    }
    let delay = i64::try_from(daemon.start_delay.as_millis()).unwrap_or(i64::MAX);
    if now_ms < record.appeared.unwrap_or(now_ms).saturating_add(delay) {
        return Ok(changed);
    }
    let error = start(host, daemon, record, now_ms)?.err();
    changed |= record.running || record.error != error;
    record.error = error;
    Ok(changed)
}

/// Reads the files and, when they are good, starts it.
fn start(
    host: &HostFolder,
    daemon: &DaemonSpec,
    record: &mut Record,
    now_ms: i64,
) -> io::Result<Result<(), String>> {
    let mut read: Vec<(&str, Secret)> = Vec::new();
    for (name, path) in &daemon.reads {
        match paths::read(&host.root, path)? {
            Some(bytes) if bytes.len() <= LARGEST => read.push((name, Secret::new(bytes))),
            Some(_) => return Ok(Err(format!("open {path}: it is too large"))),
            None => return Ok(Err(format!("open {path}: no such file or directory"))),
        }
    }
    let of = |name: &str| read.iter().find(|(known, _)| *known == name).map(|(_, bytes)| bytes);
    if let Err(why) = check(of("certificate"), of("key"), of("client_ca")) {
        return Ok(Err(why));
    }
    let id = new_id()?;
    let loaded = loaded_folder(host, &daemon.name, &id);
    folder::make_private(&loaded)?;
    for (name, bytes) in &read {
        folder::replace(&loaded.join(name), bytes.expose(), 0o600)?;
    }
    *record = Record {
        running: true,
        id,
        starts: record.starts.saturating_add(1),
        started: now_ms,
        ..record.clone()
    };
    Ok(Ok(()))
}

/// What a TLS server checks when it starts.
fn check(
    certificate: Option<&Secret>,
    key: Option<&Secret>,
    client_ca: Option<&Secret>,
) -> Result<(), String> {
    if let (Some(certificate), Some(key)) = (certificate, key) {
        let chain =
            Certificate::load_all_pem(certificate.expose()).map_err(|e| format!("certificate: {e}"))?;
        let key = PrivateKey::load(key, None).map_err(|e| format!("key: {e}"))?;
        if !chain.first().is_some_and(|leaf| key.matches(leaf)) {
            return Err("tls: private key does not match public key".to_owned());
        }
    }
    if let Some(client_ca) = client_ca {
        Certificate::load_all_pem(client_ca.expose()).map_err(|e| format!("client_ca: {e}"))?;
    }
    Ok(())
}

/// A file as the daemon read it at its last start; `None` when it reads no such file.
pub(crate) fn loaded(
    host: &HostFolder,
    name: &str,
    record: &Record,
    what: &str,
) -> io::Result<Option<Secret>> {
    match fs::read(loaded_folder(host, name, &record.id).join(what)) {
        Ok(bytes) => Ok(Some(Secret::new(bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn loaded_folder(host: &HostFolder, name: &str, id: &str) -> PathBuf {
    host.state.join("daemons").join(name).join(id)
}

/// Removes what earlier starts read, keys among it.
fn forget_others(host: &HostFolder, name: &str, id: &str) -> io::Result<()> {
    let folder = host.state.join("daemons").join(name);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str() != Some(id) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn new_id() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(hex(&bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
