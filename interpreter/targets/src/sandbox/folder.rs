//! The folder of one sandbox host, and how anything is put on the disk there: whole or not at all.

use serde::{Serialize, de::DeserializeOwned};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// One host's folder.
#[derive(Clone, Debug)]
pub(crate) struct HostFolder {
    /// What the host shows as its files.
    pub root: PathBuf,
    /// What it does not show.
    pub state: PathBuf,
}

impl HostFolder {
    pub fn new(sandbox: &Path, host: &str) -> Self {
        let folder = sandbox.join(host);
        Self { root: folder.join("root"), state: folder.join("state") }
    }

    /// Makes both parts where they are missing; the state is for the owner alone.
    pub fn make(&self) -> io::Result<()> {
        fs::create_dir_all(&self.root)?;
        make_private(&self.state)
    }

    /// Reads a record; its default when there is none yet.
    pub fn load<T: DeserializeOwned + Default>(&self, name: &str) -> io::Result<T> {
        match fs::read(self.state.join(name)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
            Err(error) => Err(error),
        }
    }

    /// Replaces a record.
    pub fn save(&self, name: &str, record: &impl Serialize) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(record).map_err(io::Error::other)?;
        replace(&self.state.join(name), &bytes, 0o600)
    }

    /// Adds one line to a log.
    pub fn append(&self, name: &str, record: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(record).map_err(io::Error::other)?;
        line.push(b'\n');
        let mut log = OpenOptions::new().append(true).create(true).mode(0o600).open(self.state.join(name))?;
        log.write_all(&line)?;
        log.sync_data()
    }
}

/// A directory for the owner alone, with its parents; fine when it exists.
pub(crate) fn make_private(place: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(place)
}

/// Puts a file in its place at once, synced. A link there is replaced, not followed.
pub(crate) fn replace(place: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = parent(place)?;
    let mut file = tempfile::Builder::new().prefix(".keybook-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(place).map_err(|error| error.error)?;
    sync(folder)
}

/// Creates a file that must not exist, synced.
pub(crate) fn create_new(place: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = parent(place)?;
    let mut file = tempfile::Builder::new().prefix(".keybook-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(place).map_err(|error| error.error)?;
    sync(folder)
}

/// Brings a directory's entries onto the disk.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn parent(place: &Path) -> io::Result<&Path> {
    place.parent().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place without a folder"))
}
