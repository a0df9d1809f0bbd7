//! Copies of what a run is made from, so that it can be resumed and rolled back whatever happens to the originals.

use crate::assemble::Hosts;
use keybook_api::Fault;
use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Copies runbook and hosts into `place`, whose folder `hosts.d` exists.
pub fn whole(place: &Path, book: &Path, hosts: &Hosts) -> Result<(), Fault> {
    runbook(place, book)?;
    inventory(place, hosts)
}

/// Copies a runbook's files.
fn runbook(place: &Path, book: &Path) -> Result<(), Fault> {
    copy(&book.join("runbook.yaml"), &place.join("runbook.yaml"))?;
    if book.join("hooks.rhai").exists() {
        copy(&book.join("hooks.rhai"), &place.join("hooks.rhai"))?;
    }
    Ok(())
}

/// Copies the files that say which hosts there are. Relative places inside are relative to where they came from.
fn inventory(place: &Path, hosts: &Hosts) -> Result<(), Fault> {
    for file in hosts.files() {
        copy(&file, &place.join("hosts.d").join(file_name(&file)))?;
    }
    let file = hosts.file();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder =
        fs::canonicalize(folder).map_err(|error| Fault::failed(format!("find {}", file.display()), error))?;
    fs::write(place.join("hosts"), format!("{}\n{}\n", file_name(file), folder.display()))
        .map_err(|error| Fault::failed("keep the place of the inventory", error))
}

/// What a resume goes on with: the runbook of a folder, and another inventory or the hosts of the pin before.
pub fn again(place: &Path, book: &Path, hosts: Option<&Hosts>, before: &Path) -> Result<(), Fault> {
    let failed = |error| Fault::failed(format!("make {}", place.display()), error).now("nothing was changed");
    if place.exists() {
        // Left by a resume that was killed before its record.
        fs::remove_dir_all(place).map_err(failed)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(place.join("hosts.d")).map_err(failed)?;
    runbook(place, book)?;
    let Some(hosts) = hosts else {
        copy(&before.join("hosts"), &place.join("hosts"))?;
        let files = fs::read_dir(before.join("hosts.d")).map_err(failed)?;
        let files: Vec<PathBuf> = files.flatten().map(|entry| entry.path()).collect();
        return files.iter().try_for_each(|file| copy(file, &place.join("hosts.d").join(file_name(file))));
    };
    inventory(place, hosts)
}

fn copy(from: &Path, to: &Path) -> Result<(), Fault> {
    fs::copy(from, to).map(|_| ()).map_err(|error| {
        Fault::failed(format!("keep a copy of {}", from.display()), error).now("nothing was started")
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
