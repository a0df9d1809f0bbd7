//! The program as a test calls it: with a home and a state directory of its own, and no other environment.

use keybook_api::{Event, Record};
use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The top of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the checkout")
}

/// The binary under test: `KEYBOOK_BIN`, or what `cargo build --bin keybook` made.
pub fn binary() -> PathBuf {
    let built = || {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        target.join("debug/keybook")
    };
    let binary = std::env::var_os("KEYBOOK_BIN").map_or_else(built, PathBuf::from);
    assert!(
        binary.is_file(),
        "{} is missing: cargo build --bin keybook, or set KEYBOOK_BIN",
        binary.display()
    );
    binary
}

/// A user of the program, on this machine.
pub struct Keybook {
    home: PathBuf,
    state: PathBuf,
}

/// How a call ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// Panics with all output unless this was the exit code.
    #[track_caller]
    pub fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "wrong exit code\n{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Panics with all output unless standard output or standard error says this (line breaks count as spaces).
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let all = flat(&format!("{}\n{}", self.stdout, self.stderr));
        assert!(all.contains(&flat(text)), "nothing says `{text}`\n{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// Text with every run of white space as one space: messages are wrapped for the terminal.
pub fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Keybook {
    /// A user whose home and state directory are in this folder.
    pub fn new(folder: &Path) -> Self {
        let (home, state) = (folder.join("home"), folder.join("state"));
        for made in [&home, &state] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(made).expect("a folder of the test");
        }
        Self { home, state }
    }

    /// The program with these arguments, not started.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .current_dir(root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("USER", "operator")
            .env("LANG", "C.UTF-8")
            .env("XDG_STATE_HOME", &self.state);
        command
    }

    /// Calls the program without a terminal and waits for its end.
    pub fn call<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ended {
        let output = self.command(args).stdin(Stdio::null()).output().expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the program prints UTF-8");
        Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Where a test may let the program's output go.
    pub fn log(&self) -> PathBuf {
        self.home.join("output.log")
    }

    /// Folders of all runs, the oldest first.
    pub fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.state.join("keybook/runs")) else { return Vec::new() };
        let mut runs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        runs.sort();
        runs
    }

    /// The id of the latest run.
    pub fn latest(&self) -> String {
        let runs = self.runs();
        let name = runs.last().and_then(|run| run.file_name()).expect("there is a run");
        name.to_str().expect("ids are ASCII").to_owned()
    }

    /// The records of the latest run's journal; a last line that was cut off is left out.
    pub fn records(&self) -> Vec<Record> {
        self.records_of(&self.latest())
    }

    /// The records of a run's journal.
    pub fn records_of(&self, run: &str) -> Vec<Record> {
        let journal = self.state.join("keybook/runs").join(run).join("journal.jsonl");
        let text = fs::read_to_string(journal).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).expect("a record of the journal")).collect()
    }

    /// Ids of units (`step@host`) of which a run's journal has such a record, once for each record.
    pub fn units_of(&self, run: &str, wanted: impl Fn(&Event) -> bool) -> Vec<String> {
        let records = self.records_of(run);
        let wanted = records.iter().filter(|record| wanted(&record.event));
        wanted.filter_map(|record| record.unit.as_ref()).map(ToString::to_string).collect()
    }

    /// The same of the latest run.
    pub fn units(&self, wanted: impl Fn(&Event) -> bool) -> Vec<String> {
        self.units_of(&self.latest(), wanted)
    }
}
