//! Copies of what a run is made from, so that it can be resumed and rolled back whatever happens to the originals.
//! They are made of what was read, so that a run and its copies cannot differ, and are on the disk before it begins.

use crate::assemble::{self, Hosts};
use keybook_api::Fault;
use keybook_core::{journal::writer::sync_parent, model::Loaded};
use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Keeps runbook and hosts in `place`, whose folder `hosts.d` exists. Relative places in the hosts' files are
/// relative to where they came from.
pub fn whole(place: &Path, loaded: &Loaded, hosts: &Hosts) -> Result<(), Fault> {
    write(place, loaded, hosts, &folder_of(hosts)?)
}

/// Keeps the language in which a run's texts are shown.
pub fn language(place: &Path, language: &str) -> Result<(), Fault> {
    keep(place, language)?;
    sync_parent(place).map_err(|error| failed(place, error))
}

/// Keeps what a resume goes on with; relative places in the hosts' files are relative to `folder`.
pub fn again(place: &Path, loaded: &Loaded, hosts: &Hosts, folder: &Path) -> Result<(), Fault> {
    let failed = |error| Fault::failed(format!("make {}", place.display()), error).now("nothing was changed");
    if place.exists() {
        // Left by a resume that was killed before its record.
        fs::remove_dir_all(place).map_err(failed)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(place.join("hosts.d")).map_err(failed)?;
    write(place, loaded, hosts, folder)
}

/// The folder of the file that says which hosts there are.
pub fn folder_of(hosts: &Hosts) -> Result<PathBuf, Fault> {
    let file = hosts.file();
    fs::canonicalize(assemble::folder_of(file))
        .map_err(|error| Fault::failed(format!("find {}", file.display()), error))
}

fn write(place: &Path, loaded: &Loaded, hosts: &Hosts, folder: &Path) -> Result<(), Fault> {
    let host_files = place.join("hosts.d");
    for (file, text) in loaded.files() {
        let copy = place.join(file);
        if let Some(folder) = copy.parent() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| failed(folder, error))?;
        }
        keep(&copy, text)?;
        sync_parent(&copy).map_err(|error| failed(&copy, error))?;
    }
    for (file, text) in hosts.files() {
        keep(&host_files.join(file_name(&file)), text)?;
    }
    let origin = format!("{}\n{}\n", file_name(hosts.file()), folder.display());
    let origin_file = place.join("hosts");
    keep(&origin_file, &origin)?;
    // Names of files are on the disk when their folders are.
    for named in [host_files.join("any"), origin_file, place.to_owned()] {
        sync_parent(&named).map_err(|error| failed(&named, error))?;
    }
    Ok(())
}

/// Writes a file that is on the disk when this returns.
fn keep(path: &Path, text: &str) -> Result<(), Fault> {
    let open = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let kept = open.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    kept.map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: std::io::Error) -> Fault {
    Fault::failed(format!("keep {} for a resume", path.display()), error).now("nothing was changed")
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
