//! Makes the hosts of a sandbox: their folders, certificates and files.

use super::daemons::hex;
use super::folder::{self, HostFolder};
use super::issue;
use super::paths;
use super::scenario::{Content, FileSpec, Scenario};
use super::world::Sandbox;
use keybook_api::{Fault, FileKind, Map};
use keybook_pki::bundle;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

/// Makes everything in a folder that is there already, and empty.
///
/// # Errors
/// What cannot be made, at its place in the scenario.
pub(crate) fn make(scenario: &Scenario, folder: &Path) -> Result<(), Fault> {
    let issued = issue::all(scenario, jiff::Timestamp::now().as_second())?;
    for host in scenario.hosts.keys() {
        let place = HostFolder::new(folder, host);
        skeleton(scenario, host, &place)
            .map_err(|error| Fault::failed(format!("make the sandbox host {host}"), error))?;
        let variables = Sandbox::variables(scenario, host);
        for file in scenario.files.iter().filter(|file| file.hosts.contains(host)) {
            file_of(scenario, &place, file, &issued, &variables)
                .map_err(|fault| fault.on(host).at(&file.span))?;
        }
    }
    Ok(())
}

/// What every host has: who it is, whom it knows, a place for state.
pub(crate) fn skeleton(scenario: &Scenario, host: &str, place: &HostFolder) -> io::Result<()> {
    place.make()?;
    for (directory, mode) in [("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("var/lib", 0o755)] {
        let directory = place.root.join(directory);
        fs::create_dir_all(&directory)?;
        fs::set_permissions(&directory, Permissions::from_mode(mode))?;
    }
    let mut id = [0_u8; 16];
    getrandom::fill(&mut id).map_err(io::Error::other)?;
    let known = scenario.hosts.iter().map(|(name, spec)| format!("{} {name}\n", spec.address));
    let hosts = format!("127.0.0.1 localhost\n{}", known.collect::<String>());
    for (name, text) in
        [("machine-id", format!("{}\n", hex(&id))), ("hostname", format!("{host}\n")), ("hosts", hosts)]
    {
        folder::replace(&place.root.join("etc").join(name), text.as_bytes(), 0o644)?;
    }
    Ok(())
}

fn file_of(
    scenario: &Scenario,
    place: &HostFolder,
    file: &FileSpec,
    issued: &issue::All,
    variables: &Map,
) -> Result<(), Fault> {
    let failed =
        |why: String| Fault::failed(format!("make {}", file.path), why).now("there is no sandbox yet");
    let io_failed = |error: io::Error| failed(error.to_string());
    let at = prepare(place, file).map_err(io_failed)?;
    match &file.content {
        Content::Directory => fs::create_dir_all(&at),
        Content::Link(to) => symlink(to, &at),
        Content::Certificates(names) => {
            let all: Vec<_> =
                names.iter().filter_map(|name| issued.get(name)).map(|one| one.certificate.clone()).collect();
            folder::replace(&at, bundle(&all).as_bytes(), file.mode)
        }
        Content::Key(name, form) => {
            let issued = issued.get(name).ok_or_else(|| failed(format!("there is no key `{name}`")))?;
            let pem = issued.key.to_pem(*form).map_err(|error| failed(error.to_string()))?;
            folder::replace(&at, pem.expose(), file.mode)
        }
        Content::Text(template) => {
            let text = scenario
                .engine
                .render(template, variables)
                .map_err(|error| failed(error.message).at(&error.span))?;
            folder::replace(&at, text.to_string().as_bytes(), file.mode)
        }
    }
    .map_err(io_failed)?;
    attributes(&at, file).map_err(io_failed)
}

/// Makes the directories above; the file itself must not be there yet, but a directory may.
fn prepare(place: &HostFolder, file: &FileSpec) -> io::Result<PathBuf> {
    let (above, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let above = if above.is_empty() { place.root.clone() } else { paths::real(&place.root, above)? };
    make_dirs(&above)?;
    let at = above.join(name);
    match at.symlink_metadata() {
        Ok(meta) if meta.is_dir() && file.content.kind() == FileKind::Directory => Ok(at),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "the scenario makes it twice")),
        Err(_) => Ok(at),
    }
}

/// Makes directories with mode 0755, whatever the umask.
fn make_dirs(place: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = place.ancestors().take_while(|above| !above.exists()).collect();
    fs::create_dir_all(place)?;
    missing.into_iter().try_for_each(|made| fs::set_permissions(made, Permissions::from_mode(0o755)))
}

/// Mode and owner; a link has no mode of its own. Only root can give files away.
fn attributes(at: &Path, file: &FileSpec) -> io::Result<()> {
    let is_link = file.content.kind() == FileKind::Symlink;
    if let Some(owner) = file.owner.filter(|_| rustix::process::geteuid().is_root() && !is_link) {
        chown(at, Some(owner.uid), Some(owner.gid))?;
    }
    if !is_link {
        fs::set_permissions(at, Permissions::from_mode(file.mode))?;
    }
    Ok(())
}
