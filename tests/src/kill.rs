//! Killing the program at seeded instants, counted in records of its journal.

use crate::cli::Keybook;
use keybook_api::Record;
use std::{
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

/// Random numbers that a seed determines (SplitMix64, by Sebastiano Vigna).
pub struct Draw(u64);

impl Draw {
    /// From `KEYBOOK_SEED`, or always the same ones. The seed is printed, and `salt` tells tests apart.
    pub fn new(salt: u64) -> Self {
        let seed =
            std::env::var("KEYBOOK_SEED").map_or(2, |text| text.parse().expect("KEYBOOK_SEED is a number"));
        eprintln!("KEYBOOK_SEED={seed}");
        Self(seed ^ salt.rotate_left(32))
    }

    /// A number from `low` to `high - 1`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        low + (mixed ^ (mixed >> 31)) % (high - low)
    }
}

/// How a call ended that was to be killed.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was killed when the journal's last record was of this kind and unit.
    Killed(String),
    /// It came to its own end before, with this exit code.
    Ended(i32),
}

/// Starts the program and kills it some milliseconds after it has written this many records more than there were.
pub fn killed(keybook: &Keybook, command: Command, records: u64, pause: u64) -> Fate {
    let records = usize::try_from(records).expect("few records");
    killed_when(keybook, command, pause, |before, now| now.len() >= before + records)
}

/// Starts the program and kills it some milliseconds after its run's journal is so: it is given how many records there were
/// when the program started, and those of now.
pub fn killed_when(
    keybook: &Keybook,
    mut command: Command,
    pause: u64,
    wanted: impl Fn(usize, &[Record]) -> bool,
) -> Fate {
    let log = std::fs::File::create(keybook.log()).expect("the test's folder is writable");
    let same = log.try_clone().expect("a file can be shared");
    // A run of its own has its own journal.
    let runs = keybook.runs().len();
    let resumes = command.get_args().next().is_some_and(|verb| verb != "run");
    let before = if resumes { keybook.records().len() } else { 0 };
    let mut child =
        command.stdin(Stdio::null()).stdout(log).stderr(same).spawn().expect("the program starts");
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return Fate::Ended(status.code().unwrap_or(-1));
        }
        if (resumes || keybook.runs().len() > runs) && wanted(before, &keybook.records()) {
            break;
        }
        sleep(Duration::from_millis(3));
    }
    sleep(Duration::from_millis(pause));
    child.kill().expect("a child of ours");
    let status = child.wait().expect("a child of ours");
    if let Some(code) = status.code() {
        return Fate::Ended(code);
    }
    let records = keybook.records();
    let last = records.last().expect("there were records");
    let unit = last.unit.as_ref().map(ToString::to_string).unwrap_or_default();
    let event = serde_json::to_value(&last.event).expect("an event");
    Fate::Killed(format!("{} {} {unit}", last.seq, event["type"]))
}
