//! Where runs are kept on this machine: $XDG_STATE_HOME/keybook/runs/<id>/, mode 0700.

use keybook_api::{Fault, RunId};
use keybook_core::journal::reader::{self, Journal};
use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// `$XDG_STATE_HOME/keybook/runs`, or below `~/.local/state`.
pub fn root() -> Result<PathBuf, Fault> {
    let attempted = "find the state directory";
    if let Some(state) = std::env::var_os("XDG_STATE_HOME").filter(|value| !value.is_empty()) {
        let state = PathBuf::from(state);
        if !state.is_absolute() {
            return Err(
                Fault::usage(attempted, "XDG_STATE_HOME is not an absolute path").now("nothing was changed")
            );
        }
        return Ok(state.join("keybook/runs"));
    }
    let home = std::env::var_os("HOME").filter(|value| !value.is_empty());
    let home = home.ok_or_else(|| {
        Fault::usage(attempted, "neither XDG_STATE_HOME nor HOME is set").now("nothing was changed")
    })?;
    Ok(PathBuf::from(home).join(".local/state/keybook/runs"))
}

/// One run's folder.
#[derive(Clone, Debug)]
pub struct RunDir {
    /// The run.
    pub id: RunId,
    /// The folder.
    pub path: PathBuf,
}

impl RunDir {
    /// Makes the folder of a new run.
    pub fn create() -> Result<Self, Fault> {
        let root = root()?;
        let id = new_id(&Self::all()?)?;
        let path = root.join(id.as_str());
        let failed = |error: std::io::Error| {
            Fault::failed(format!("make the run's folder {}", path.display()), error)
                .now("nothing was changed")
                .hint("make the state directory writable, or set XDG_STATE_HOME to one that is")
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(failed)?;
        check_owner(&root)?;
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        for name in ["pinned", "pinned/hosts.d", "inbox"] {
            fs::DirBuilder::new().mode(0o700).create(path.join(name)).map_err(failed)?;
        }
        Ok(Self { id, path })
    }

    /// Finds a run by its id, or by a beginning of it that fits one run only.
    pub fn find(name: &str) -> Result<Self, Fault> {
        let fitting: Vec<Self> =
            Self::all()?.into_iter().filter(|run| run.id.as_str().starts_with(name)).collect();
        if let Some(exact) = fitting.iter().find(|run| run.id.as_str() == name) {
            return Ok(exact.clone());
        }
        match fitting.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Fault::usage(format!("find the run `{name}`"), "there is no such run on this machine")
                .hint("`keybook history` lists the runs")),
            many => {
                Err(Fault::usage(format!("find the run `{name}`"), format!("{} runs begin so", many.len()))
                    .hint("`keybook history` lists the runs"))
            }
        }
    }

    /// A run by name, or the latest.
    pub fn named_or_latest(name: Option<&str>) -> Result<Self, Fault> {
        match name {
            Some(name) => Self::find(name),
            None => Self::all()?
                .pop()
                .ok_or_else(|| Fault::usage("find the latest run", "there is no run on this machine yet")),
        }
    }

    /// All runs, the oldest first.
    pub fn all() -> Result<Vec<Self>, Fault> {
        let root = root()?;
        if !root.exists() {
            return Ok(Vec::new());
        }
        check_owner(&root)?;
        let entries =
            fs::read_dir(&root).map_err(|error| Fault::failed(format!("read {}", root.display()), error))?;
        let mut runs: Vec<Self> = entries
            .flatten()
            .filter(|entry| entry.path().join("journal.jsonl").exists())
            .filter_map(|entry| {
                Some(Self { id: RunId::new(entry.file_name().to_str()?)?, path: entry.path() })
            })
            .collect();
        runs.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(runs)
    }

    /// The journal's file.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// Reads and checks the journal.
    pub fn read(&self) -> Result<Journal, Fault> {
        reader::read(&self.journal())
    }

    /// A pinned copy's place.
    pub fn pinned(&self, name: &str) -> PathBuf {
        self.path.join("pinned").join(name)
    }

    /// Makes sure that this process alone writes to the run. The guard holds it.
    pub fn claim(&self) -> Result<File, Fault> {
        let path = self.path.join("run.lock");
        let attempted = format!("take hold of run {}", self.id);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| Fault::failed(&attempted, error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Fault::new(
                keybook_api::FaultKind::Locked,
                attempted,
                "another keybook process is working on it",
            )
            .now("nothing was changed")
            .hint("wait for it, or stop it with Ctrl-C at its terminal")),
            Err(TryLockError::Error(error)) => Err(Fault::failed(attempted, error)),
        }
    }
}

/// A state directory of somebody else, or one that others can write to, is not used.
fn check_owner(root: &Path) -> Result<(), Fault> {
    let attempted = format!("use the state directory {}", root.display());
    let meta = fs::metadata(root).map_err(|error| Fault::failed(&attempted, error))?;
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() != own {
        return Err(Fault::usage(
            attempted,
            format!("it belongs to uid {}, this program runs as uid {own}", meta.uid()),
        )
        .now("nothing was changed")
        .hint("set XDG_STATE_HOME to a directory of your own"));
    }
    if meta.permissions().mode() & 0o022 != 0 {
        return Err(Fault::usage(attempted, "others can write to it")
            .now("nothing was changed")
            .hint(format!("chmod 700 {}", root.display())));
    }
    Ok(())
}

/// The time in UTC and four random hexadecimal digits. Ids sort by age: where a run began within the same second,
/// the digits of the new one are drawn from above its own, so that "the latest run" is the one begun last.
fn new_id(known: &[RunDir]) -> Result<RunId, Fault> {
    loop {
        let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S-").to_string();
        let of_this_second = known.iter().filter_map(|run| run.id.as_str().strip_prefix(&time));
        let used = of_this_second.filter_map(|digits| u16::from_str_radix(digits, 16).ok()).max();
        let mut random = [0u8; 2];
        getrandom::fill(&mut random).map_err(|error| Fault::failed("draw random numbers", error))?;
        if let Some(digits) = above(used, u16::from_be_bytes(random)) {
            let unusable = || Fault::failed("name the run", "the clock gives no usable date");
            return RunId::new(format!("{time}{digits:04x}")).ok_or_else(unusable);
        }
        // The highest digits are taken: the next second has room.
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Spreads a random number over what is above the digits that are used. None: nothing is.
fn above(used: Option<u16>, random: u16) -> Option<u16> {
    let Some(used) = used else { return Some(random) };
    let room = u16::MAX - used;
    (room > 0).then(|| used + 1 + random % room)
}

/// `user@machine`.
pub fn operator() -> String {
    let set = |variable| std::env::var(variable).ok().filter(|name| !name.is_empty());
    let user = set("SUDO_USER").or_else(|| set("USER")).or_else(|| set("LOGNAME"));
    // Services and containers often have no such variables.
    let login = || nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    let user = user.or_else(login);
    let user = user.unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()));
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{user}@{machine}")
}

#[cfg(test)]
mod tests {
    use super::above;

    #[test]
    fn digits_of_a_later_run_of_the_same_second_are_higher() {
        assert_eq!(above(None, 7), Some(7));
        for used in [0, 1, 0x8f55, 0xfffe] {
            for random in [0, 1, 0x7fff, 0xffff] {
                assert!(above(Some(used), random).unwrap() > used, "{used:x} {random:x}");
            }
        }
        assert_eq!(above(Some(0xffff), 0), None);
    }
}
