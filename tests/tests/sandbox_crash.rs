//! SIGKILL at every unit boundary: the killed run resumes to its end, and a copy of it is taken back.
//!
//! A run is watched through its journal and killed as soon as the record is there. Where the program was faster than the
//! kill, the run is tried again; its journal says where it was really killed, and that is what is judged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use keybook_api::{Event, ReceiptId, Record, RunId, UnitId};
use keybook_tests::{
    sandbox::{Bench, FIRST, MASTERS, Tree, assert_same},
    sandbox_proof::{renewed, taken_back},
    tables::row,
};
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Seek, SeekFrom},
    path::Path,
    process::Child,
    time::Duration,
};

/// Is this a place to kill at? Whatever may have happened since the last such record happened in one piece.
fn is_boundary(event: &Event) -> bool {
    matches!(
        event,
        Event::RunOpened { .. }
            | Event::LockTaken { .. }
            | Event::LockReleased { .. }
            | Event::GateAsked { .. }
            | Event::GateAnswered { .. }
            | Event::ObligationRaised { .. }
            | Event::ObligationSettled { .. }
            | Event::UnitIntent { .. }
            | Event::BackupTaken { .. }
            | Event::UnitApplied { .. }
            | Event::UnitDone { .. }
            | Event::UnitSkipped { .. }
            | Event::FinallyStarted {}
    )
}

/// How a run that was to be killed ended.
enum Ended {
    /// It was killed when so many records that were wanted were there.
    Killed { seen: usize, original: Option<Tree> },
    /// It came to its end with this exit code.
    ByItself(Option<i32>),
}

/// What was read of a journal that grows.
#[derive(Default)]
struct Tail {
    bytes: usize,
    lines: usize,
    wanted: usize,
}

impl Tail {
    /// How many of its records after the first `skip` are wanted, now.
    fn count(&mut self, run: &Path, skip: usize, wanted: &dyn Fn(&Record) -> bool) -> usize {
        let Ok(mut file) = fs::File::open(run.join("journal.jsonl")) else { return 0 };
        let mut text = String::new();
        file.seek(SeekFrom::Start(self.bytes as u64)).and_then(|_| file.read_to_string(&mut text)).unwrap();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            self.bytes += line.len();
            self.lines += 1;
            let counts = self.lines > skip && wanted(&serde_json::from_str(line).expect("a record"));
            self.wanted += usize::from(counts);
        }
        self.wanted
    }
}

/// Kills the program as soon as the journal has `stop` wanted records after the first `skip` records.
fn kill_at(
    bench: &Bench,
    mut child: Child,
    skip: usize,
    stop: usize,
    wanted: &dyn Fn(&Record) -> bool,
) -> Ended {
    let (mut original, mut tail) = (None, Tail::default());
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Ended::ByItself(status.code());
        }
        std::thread::sleep(Duration::from_micros(100));
        let Some(run) = bench.keybook.runs().pop() else { continue };
        // The hosts appear at once, long before anything on them changes.
        if original.is_none() && run.join("sandbox").is_dir() {
            original = Some(bench.trees());
        }
        if tail.count(&run, skip, wanted) >= stop {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // A shell that was working on a file goes on to the end of its short script.
    std::thread::sleep(Duration::from_millis(150));
    Ended::Killed { seen: tail.count(&bench.run_folder(), skip, wanted), original }
}

/// A run that was killed, and its hosts as they were before it.
struct Killed {
    bench: Bench,
    original: Tree,
    at: String,
    /// Pods may have been stopped, so that they are started once more than in a run that was not killed.
    in_restart: bool,
}

/// A run killed at the boundary of this number; `None` when there are fewer.
fn killed(scenario: &str, number: usize, wanted: &dyn Fn(&Record) -> bool) -> Option<Killed> {
    const TRIES: usize = 3;
    for tried in 1..=TRIES {
        let bench = Bench::new();
        let child = bench.start(&bench.unattended(scenario, &[]));
        match kill_at(&bench, child, 0, number, wanted) {
            Ended::ByItself(code) => {
                assert_eq!(code, Some(0), "{}", bench.printed());
                return None;
            }
            Ended::Killed { seen, .. } if seen > number && tried < TRIES => {}
            Ended::Killed { original, .. } => {
                let records = bench.keybook.records();
                let last = records.last().unwrap();
                let of = last.unit.as_ref().map(|unit| format!(" of {unit}")).unwrap_or_default();
                let at = format!("record {}{of}: {:?}", last.seq, last.event);
                let in_restart = restarting(&records);
                return Some(Killed {
                    bench,
                    original: original.expect("the hosts were seen"),
                    at,
                    in_restart,
                });
            }
        }
    }
    None
}

/// Has the restart of some host begun, and not come to its end?
fn restarting(records: &[Record]) -> bool {
    let mut open = BTreeSet::new();
    for record in records {
        let Some(unit) = &record.unit else { continue };
        match (&*unit.step, &record.event) {
            ("bounce", Event::GateAnswered { .. } | Event::UnitIntent { .. }) => {
                open.insert(unit.host.clone())
            }
            ("bounce", Event::UnitDone { .. }) => open.remove(&unit.host),
            _ => false,
        };
    }
    !open.is_empty()
}

impl Killed {
    fn resumes(&self, masters: &[&str]) {
        let twin = self.bench.twin("resumed");
        let ended = twin.resume();
        // Killed behind its last record: it is done, and says so.
        let wanted = if self.is_over() { 2 } else { 0 };
        assert_eq!(ended.code, Some(wanted), "killed at {}\n{}\n{}", self.at, ended.stdout, ended.stderr);
        renewed(&twin, &self.original, masters, &format!("killed at {}", self.at));
        check_once(&twin, masters, self.in_restart, &self.at);
    }

    fn is_over(&self) -> bool {
        let records = self.bench.keybook.records();
        records.last().is_some_and(|record| matches!(record.event, Event::RunEnded { exit: 0, .. }))
    }

    fn is_taken_back(&self) {
        let twin = self.bench.twin("back");
        taken_back(&twin, &self.original, &format!("killed at {}", self.at));
        for host in fs::read_dir(twin.run_folder().join("sandbox")).unwrap().flatten() {
            let lock = host.path().join("root/var/lib/keybook/lock-sandbox.json");
            assert!(!lock.exists(), "killed at {}: {} is still there", self.at, lock.display());
        }
    }
}

/// No command was carried out twice, no unit took effect twice, and no daemon was restarted more often than it had to.
fn check_once(bench: &Bench, masters: &[&str], in_restart: bool, at: &str) {
    let mut took_effect: BTreeMap<String, usize> = BTreeMap::new();
    for record in bench.keybook.records() {
        let Some(unit) = record.unit else { continue };
        let effect = match &record.event {
            Event::UnitDone { changed, .. } => *changed,
            Event::UnitReconciled { verdict, .. } => verdict == "done",
            _ => false,
        };
        *took_effect.entry(unit.to_string()).or_default() += usize::from(effect);
    }
    let twice: Vec<_> = took_effect.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "killed at {at}: {twice:?}");
    for step in ["reissue-ca", "issue-leaf", "install/ca", "install/key", "install/cert"] {
        assert_eq!(took_effect[&format!("{step}@{FIRST}")], 1, "killed at {at}: {step}");
    }
    for host in masters {
        let state = bench.run_folder().join("sandbox").join(host).join("state");
        check_commands(&state, at);
        let daemons: Json = serde_json::from_slice(&fs::read(state.join("daemons.json")).unwrap()).unwrap();
        for name in ["tos-etcd", "tos-apiserver"] {
            let starts = daemons[name]["starts"].as_u64().unwrap();
            let most = if in_restart { 3 } else { 2 };
            assert!(
                (2..=most).contains(&starts),
                "killed at {at}: {name} on {host} was started {starts} times"
            );
        }
    }
}

/// Every command that leaves a receipt was answered at most once, and there is no answer without its receipt.
fn check_commands(state: &Path, at: &str) {
    let log = fs::read_to_string(state.join("commands.log")).unwrap();
    let receipts = state.parent().unwrap().join("root/var/lib/keybook");
    let mut known = BTreeSet::new();
    for line in log.lines() {
        let command: Json = serde_json::from_str(line).unwrap();
        if command["unit"].is_null() {
            continue;
        }
        let id = format!("{} {} {}", command["unit"], command["attempt"], command["ordinal"]);
        assert!(known.insert(id.clone()), "killed at {at}: {id} was carried out twice");
        let text = |key: &str| command[key].as_str().unwrap();
        let number = |key: &str| u32::try_from(command[key].as_u64().unwrap()).unwrap();
        let receipt = ReceiptId {
            run: RunId::new(text("run")).unwrap(),
            unit: UnitId::parse(text("unit")).unwrap(),
            attempt: number("attempt"),
            ordinal: number("ordinal"),
        };
        let kept = receipts.join(text("run")).join("receipts").join(receipt.file_name() + ".begun");
        assert!(kept.is_file(), "killed at {at}: {id} left no receipt {}", kept.display());
    }
}

/// All boundaries of a run with one master, spread over these tests.
fn boundaries(part: usize) {
    let kills = kill_at_each(part, PARTS, &|record| is_boundary(&record.event));
    assert!(kills > 2, "a run has more boundaries");
}

/// Kills a run after every so many of the wanted records, from this one on, until there are no more.
/// Gives how often it was killed.
fn kill_at_each(part: usize, parts: usize, wanted: &dyn Fn(&Record) -> bool) -> usize {
    let mut number = part + 1;
    while let Some(killed) = killed("quick-one", number, wanted) {
        killed.resumes(&MASTERS[..1]);
        killed.is_taken_back();
        number += parts;
    }
    assert!(number > parts, "there are fewer such records than tests");
    (number - 1) / parts
}

const PARTS: usize = 24;

macro_rules! parts {
    ($($name:ident = $part:literal),* $(,)?) => {
        $(#[test]
        fn $name() {
            boundaries($part);
        })*
    };
}

parts! {
    sandbox_crash_part_00 = 0, sandbox_crash_part_01 = 1, sandbox_crash_part_02 = 2, sandbox_crash_part_03 = 3,
    sandbox_crash_part_04 = 4, sandbox_crash_part_05 = 5, sandbox_crash_part_06 = 6, sandbox_crash_part_07 = 7,
    sandbox_crash_part_08 = 8, sandbox_crash_part_09 = 9, sandbox_crash_part_10 = 10, sandbox_crash_part_11 = 11,
    sandbox_crash_part_12 = 12, sandbox_crash_part_13 = 13, sandbox_crash_part_14 = 14, sandbox_crash_part_15 = 15,
    sandbox_crash_part_16 = 16, sandbox_crash_part_17 = 17, sandbox_crash_part_18 = 18, sandbox_crash_part_19 = 19,
    sandbox_crash_part_20 = 20, sandbox_crash_part_21 = 21, sandbox_crash_part_22 = 22, sandbox_crash_part_23 = 23,
}

/// After every record, whatever it says.
fn every_record(part: usize) {
    let kills = kill_at_each(part, RECORD_PARTS, &|_| true).to_string();
    let outcome = "each resumed, to the end with exit 0, every effect once; each taken back, exit 5, files byte-, mode- and \
                   owner-identical";
    row(
        "crash",
        &format!("sandbox-{part:02}"),
        &["after every record of the journal, sandbox of one master", &kills, outcome],
    );
}

const RECORD_PARTS: usize = 12;

macro_rules! record_parts {
    ($($name:ident = $part:literal),* $(,)?) => {
        $(#[test]
        fn $name() {
            every_record($part);
        })*
    };
}

record_parts! {
    full_crash_after_every_record_00 = 0, full_crash_after_every_record_01 = 1, full_crash_after_every_record_02 = 2,
    full_crash_after_every_record_03 = 3, full_crash_after_every_record_04 = 4, full_crash_after_every_record_05 = 5,
    full_crash_after_every_record_06 = 6, full_crash_after_every_record_07 = 7, full_crash_after_every_record_08 = 8,
    full_crash_after_every_record_09 = 9, full_crash_after_every_record_10 = 10, full_crash_after_every_record_11 = 11,
}

/// With several masters: the effects on the one in the middle, when one before it is through and one after it is not.
fn on_the_second(step: &str) {
    let wanted = |record: &Record| {
        let unit = record.unit.as_ref();
        let here = unit.is_some_and(|unit| unit.host == MASTERS[1] && unit.step.starts_with(step));
        here && matches!(record.event, Event::UnitIntent { .. } | Event::BackupTaken { .. })
    };
    let mut number = 1;
    while let Some(killed) = killed("quick-three", number, &wanted) {
        killed.resumes(&MASTERS[..3]);
        killed.is_taken_back();
        number += 1;
    }
    assert!(number > 3, "{step} has more effects than {number}");
}

#[test]
fn sandbox_crash_while_the_second_of_three_masters_gets_its_files() {
    on_the_second("install");
}

#[test]
fn sandbox_crash_while_the_second_of_three_masters_is_restarted() {
    on_the_second("bounce");
}

/// Every process of a run is killed at its next unit; each resume gets one further, and the run comes to its end.
#[test]
fn sandbox_crash_again_and_again_still_ends() {
    let wanted = |record: &Record| matches!(record.event, Event::UnitDone { .. });
    let bench = Bench::new();
    let mut child = bench.start(&bench.unattended("quick-one", &[]));
    let (mut skip, mut before, mut kills) = (0, None, 0);
    let code = loop {
        match kill_at(&bench, child, skip, 1, &wanted) {
            Ended::ByItself(code) => break code,
            Ended::Killed { original, .. } => before = before.or(original),
        }
        kills += 1;
        assert!(kills < 100, "it does not get further");
        skip = bench.keybook.records().len();
        let args = ["resume", &bench.keybook.latest(), "--unattended", "--answers", &bench.answers()];
        child = bench.start(&args.map(str::to_owned));
    };
    assert_eq!(code, Some(0), "{}", bench.printed());
    assert!(kills > 15, "only {kills} kills");
    renewed(&bench, &before.unwrap(), &MASTERS[..1], "killed at every unit");
    bench.on_run("verify", &[]).with(0);
}

/// The same for the way back: each rollback is killed one effect later than the one before it, counted from its own
/// beginning.
#[test]
fn sandbox_crash_of_a_rollback_again_and_again_still_restores() {
    let wanted = |record: &Record| {
        let settling = record.unit.as_ref().is_some_and(|unit| unit.step.starts_with("rollback/"));
        match &record.event {
            Event::UnitUndoIntent { how, .. } | Event::UnitUndone { how } => how != "nothing",
            Event::UnitIntent { .. } | Event::UnitDone { .. } => settling,
            _ => false,
        }
    };
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "issue"]).with(0);
    let before = bench.trees();
    bench.resume().with(0);
    let mut kills = 0;
    let code = loop {
        let skip = bench.keybook.records().len();
        let args = ["rollback", &bench.keybook.latest(), "--unattended", "--answers", &bench.answers()];
        let child = bench.start(&args.map(str::to_owned));
        match kill_at(&bench, child, skip, kills + 1, &wanted) {
            Ended::ByItself(code) => break code,
            Ended::Killed { .. } => kills += 1,
        }
        assert!(kills < 100, "it does not get further");
    };
    assert_eq!(code, Some(5), "{}", bench.printed());
    assert!(kills > 5, "only {kills} kills");
    assert_same(&before, &bench.trees());
    bench.on_run("verify", &[]).with(0);
}
