//! Everything that a run asks of its host goes wrong once, in turn: the run says so and stops, a resume finishes it, a
//! rollback of it restores the host. Then the same for what a rollback asks. What comes out is a table in the book.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Event, Record};
use keybook_tests::{
    sandbox::{Bench, FIRST, MASTERS, QUICK_CERTIFICATES, Tree},
    sandbox_proof::{renewed, restored, taken_back},
    tables::row,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Child,
    time::Duration,
};

/// One kind of fault.
#[derive(Clone, Copy)]
struct Kind {
    /// What goes wrong: a `command`, or a change of a `path`.
    of: &'static str,
    /// How, in a scenario's words.
    how: &'static str,
    /// How, in the table's words.
    name: &'static str,
}

/// More than there ever are.
const NEVER: u64 = 1_000_000;

impl Kind {
    /// A user, and a cluster of one master on which the n-th command or change goes wrong.
    fn bench(self, nth: u64) -> Bench {
        let bench = Bench::new();
        let fault = format!("{{ hosts: master, {}: \"*\", nth: {nth}, kind: {} }}", self.of, self.how);
        bench.scenario("faulty", 1, &format!("faults: [{fault}]\n{QUICK_CERTIFICATES}"));
        bench
    }

    /// How many there are in a run, and in it with its rollback.
    fn counts(self) -> (u64, u64) {
        let bench = self.bench(NEVER);
        bench.run("faulty", &[]).with(0);
        let run = count(&bench);
        bench.roll_back().with(5);
        (run, count(&bench))
    }
}

/// How many commands or changes there were on the host so far.
fn count(bench: &Bench) -> u64 {
    let file = bench.run_folder().join("sandbox").join(FIRST).join("state/faults.json");
    let counts: BTreeMap<String, u64> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    counts["0"]
}

/// Carries a run out; gives its host as it was before, and its exit code.
fn watched(bench: &Bench) -> (Tree, i32) {
    watched_child(bench, bench.start(&bench.unattended("faulty", &[])))
}

fn watched_child(bench: &Bench, mut child: Child) -> (Tree, i32) {
    // The hosts appear at once, long before anything on them changes.
    let original = loop {
        if bench.keybook.runs().pop().is_some_and(|run| run.join("sandbox").is_dir()) {
            break bench.trees();
        }
        assert!(child.try_wait().unwrap().is_none(), "{}", bench.printed());
        std::thread::sleep(Duration::from_micros(200));
    };
    (original, child.wait().unwrap().code().expect("no signal ended it"))
}

/// Where the latest process of a run stopped, and what it said.
fn stopped(bench: &Bench) -> (String, String) {
    let records = bench.keybook.records();
    let begins = |record: &Record| matches!(record.event, Event::RunOpened { .. } | Event::RunResumed { .. });
    let latest = &records[records.iter().rposition(begins).unwrap_or_default()..];
    let failed = latest.iter().find_map(|record| match &record.event {
        Event::UnitFailed { fault, .. } => {
            let said = format!("could not {}: {}", fault.attempted, fault.cause);
            Some((record.unit.as_ref()?.step.to_string(), said))
        }
        _ => None,
    });
    failed.unwrap_or_else(|| {
        let none = latest.iter().all(|record| record.unit.is_none());
        let reason = latest.iter().rev().find_map(|record| match &record.event {
            Event::RunEnded { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        let place = if none { "(before its first step)" } else { "(between steps)" };
        (place.to_owned(), reason.unwrap_or_default())
    })
}

/// What came out at one step.
#[derive(Default)]
struct Seen {
    faults: usize,
    said: String,
    exits: BTreeSet<i32>,
    /// Exit codes of the resume.
    resumed: BTreeSet<i32>,
    /// Exit codes of the rollback.
    back: BTreeSet<i32>,
}

impl Seen {
    /// A copy of a run that ended so goes on to its end, and the run itself is taken back.
    fn comes_through(&mut self, bench: &Bench, original: &Tree, exit: i32, at: &str) {
        let twin = bench.twin("resumed");
        if exit != 0 {
            let ended = twin.resume();
            assert_eq!(ended.code, Some(0), "{at}\n{}\n{}", ended.stdout, ended.stderr);
            self.resumed.extend(ended.code);
        }
        renewed(&twin, original, &MASTERS[..1], at);
        taken_back(bench, original, at);
        self.back.insert(5);
    }
}

/// By step, in the order of their first fault.
#[derive(Default)]
struct Outcomes(Vec<(String, Seen)>);

impl Outcomes {
    /// `good` is the exit code of a run that goes to its end all the same.
    fn of(&mut self, bench: &Bench, exit: i32, good: i32) -> &mut Seen {
        let (place, said) = if exit == good {
            ("(a look that is repeated, or not needed)".to_owned(), "it goes on".to_owned())
        } else {
            stopped(bench)
        };
        let seen = self.at(place, &said.replace(&bench.keybook.latest(), "RUN"));
        seen.exits.insert(exit);
        seen
    }

    /// What came out at a place, once more.
    fn at(&mut self, place: String, said: &str) -> &mut Seen {
        let known = self.0.iter().position(|(known, _)| *known == place);
        let index = known.unwrap_or_else(|| {
            self.0.push((place, Seen { said: said.to_owned(), ..Seen::default() }));
            self.0.len() - 1
        });
        let seen = &mut self.0[index].1;
        seen.faults += 1;
        seen
    }

    fn print(&self, during: &str, kind: Kind) {
        for (number, (place, seen)) in self.0.iter().enumerate() {
            let [exits, resumed, back] = [&seen.exits, &seen.resumed, &seen.back].map(|codes| {
                let texts: Vec<_> = codes.iter().map(ToString::to_string).collect();
                texts.join(", ")
            });
            let key = format!("{during}-{}-{}-{number:02}", kind.of, kind.how);
            let faults = seen.faults.to_string();
            row("faults", &key, &[during, kind.name, place, &faults, &seen.said, &exits, &resumed, &back]);
        }
    }
}

/// Everything that a run asks, in turn.
fn in_runs(kind: Kind) {
    let (run, _) = kind.counts();
    let mut outcomes = Outcomes::default();
    for nth in 1..=run {
        let at = format!("{} {nth} of {run}: {}", kind.of, kind.name);
        let bench = kind.bench(nth);
        let (original, exit) = watched(&bench);
        outcomes.of(&bench, exit, 0).comes_through(&bench, &original, exit, &at);
    }
    assert!(run > 20, "a run asks more than {run} things of its host");
    assert!(outcomes.0.len() > 3, "{} is noticed at more steps than that", kind.name);
    outcomes.print("run", kind);
}

/// Everything that the rollback of a whole run asks, in turn.
fn in_rollbacks(kind: Kind) {
    let (run, all) = kind.counts();
    let mut outcomes = Outcomes::default();
    for nth in run + 1..=all {
        let at = format!("{} {nth}, in a rollback: {}", kind.of, kind.name);
        let bench = kind.bench(nth);
        let (original, exit) = watched(&bench);
        assert_eq!(exit, 0, "{at}: {}", bench.printed());
        let exit = bench.roll_back().code.expect("no signal ended it");
        let seen = outcomes.of(&bench, exit, 5);
        if exit != 5 {
            taken_back(&bench, &original, &at);
            seen.back.insert(5);
        }
        restored(&bench, &original, &at);
    }
    assert!(all - run > 10, "a rollback asks more than {} things of its host", all - run);
    assert!(outcomes.0.len() > 1, "{} is noticed in a rollback", kind.name);
    outcomes.print("rollback", kind);
}

/// Where in the journal of a run its intents end, and what came of them begins, in bytes.
fn edges_of_effects(bench: &Bench) -> Vec<(u64, &'static str)> {
    let (mut at, mut edges) = (0, Vec::new());
    for line in fs::read_to_string(bench.journal()).unwrap().split_inclusive('\n') {
        let record: Record = serde_json::from_str(line).unwrap();
        let middle = at + line.len() as u64 / 2;
        match record.event {
            Event::UnitIntent { .. } | Event::CallIntent { .. } => edges.push((middle, BEFORE)),
            Event::UnitApplied { .. } | Event::CallDone { .. } => edges.push((middle, AFTER)),
            _ => {}
        }
        at += line.len() as u64;
    }
    edges
}

const BEFORE: &str = "disk full for the journal, before an effect";
const AFTER: &str = "disk full for the journal, after an effect";

/// The journal cannot take an intent: nothing is done. It cannot take what came of it: a resume finds that out.
#[test]
fn full_fault_journal_full() {
    let fresh = || {
        let bench = Bench::on_disk();
        bench.scenario("faulty", 1, QUICK_CERTIFICATES);
        bench
    };
    let whole = fresh();
    whole.run("faulty", &[]).with(0);
    let edges = edges_of_effects(&whole);
    assert!(edges.len() > 20, "{edges:?}");
    let mut outcomes = BTreeMap::from([(BEFORE, Outcomes::default()), (AFTER, Outcomes::default())]);
    for (bytes, name) in edges {
        let at = format!("{name}, at {bytes} bytes");
        let bench = fresh();
        let child = bench.start_bounded(&bench.unattended("faulty", &[]), bytes);
        let (original, exit) = watched_child(&bench, child);
        assert_eq!(exit, 1, "{at}: {}", bench.printed());
        let said = bench.printed();
        assert!(said.contains("could not write the journal"), "{at}: {said}");
        let seen = outcomes
            .get_mut(name)
            .unwrap()
            .at(last_unit(&bench), "could not write the journal: File too large");
        seen.exits.insert(exit);
        seen.comes_through(&bench, &original, exit, &at);
    }
    for (name, outcomes) in outcomes {
        let how = if name == BEFORE { "before" } else { "after" };
        outcomes.print("run", Kind { of: "journal", how, name });
    }
}

/// The step of the last record that belongs to one.
fn last_unit(bench: &Bench) -> String {
    let records = bench.keybook.records();
    let last = records.iter().rev().find_map(|record| record.unit.as_ref());
    last.map_or("(before its first step)".to_owned(), |unit| unit.step.to_string())
}

macro_rules! faults {
    ($($run:ident $rollback:ident: $of:literal $how:literal $name:literal;)+) => {
        $(#[test]
        fn $run() {
            in_runs(Kind { of: $of, how: $how, name: $name });
        }

        #[test]
        fn $rollback() {
            in_rollbacks(Kind { of: $of, how: $how, name: $name });
        })+
    };
}

faults! {
    full_fault_command_fails full_fault_command_fails_in_rollback: "command" "fail" "a command does not begin";
    full_fault_command_cut full_fault_command_cut_in_rollback: "command" "disconnect" "connection cut before a command";
    full_fault_command_unheard full_fault_command_unheard_in_rollback:
        "command" "disconnect-after" "connection cut in mid-command, which goes on";
    full_fault_command_reboot full_fault_command_reboot_in_rollback: "command" "reboot" "host reboots at a command";
    full_fault_change_fails full_fault_change_fails_in_rollback: "path" "fail" "a change of a file fails";
    full_fault_change_cut full_fault_change_cut_in_rollback: "path" "disconnect" "connection cut before a change of a file";
    full_fault_change_unheard full_fault_change_unheard_in_rollback:
        "path" "disconnect-after" "connection cut when a file was changed";
    full_fault_change_reboot full_fault_change_reboot_in_rollback: "path" "reboot" "host reboots at a change of a file";
    full_fault_change_disk_full full_fault_change_disk_full_in_rollback: "path" "disk-full" "disk full on the host";
}
