//! SIGKILL at seeded instants of runs on a real cluster: resume finishes, rollback restores, nothing happens twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use keybook_api::{Event, Record, UnitId};
use keybook_tests::{
    cli::Keybook,
    kill::{Draw, Fate, killed, killed_when},
    lab::{Client, Lab, TOS, answers},
    proof::Before,
    tables::row,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    process::Command,
};

/// How often each series kills.
const KILLS: usize = 8;

/// After how many records more each process of a round is killed (drawn from these bounds): the first round goes through
/// checks, keys and distribution, the second through the restarts, which begin after about 300 records.
const ROUNDS: [[(u64, u64); 4]; 2] =
    [[(25, 200), (60, 130), (40, 110), (25, 90)], [(298, 325), (28, 60), (28, 60), (28, 60)]];

/// The same for runs that are rolled back; their rollbacks are killed as well.
const UNTIL_ROLLBACK: [(u64, u64); 4] = [(313, 393), (185, 235), (393, 520), (240, 310)];

/// Digest, and inode and time of modification, by host and path.
type Effects = BTreeMap<String, (String, String)>;

struct Series {
    lab: Lab,
    keybook: Keybook,
    answers: String,
    draw: Draw,
    kills: usize,
}

impl Series {
    fn new(index: u8) -> Self {
        let lab = Lab::up(index, &["--nodes", "3"]);
        let keybook = Keybook::new(lab.scratch());
        let answers = answers(lab.scratch(), &["install@*: run", "bounce@*: run", "rollback: run"]);
        let answers = answers.to_str().unwrap().to_owned();
        Self { lab, keybook, answers, draw: Draw::new(u64::from(index)), kills: 0 }
    }

    fn command<S: AsRef<OsStr>>(&self, verb: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.keybook.command(verb);
        command.args(["--unattended", "--answers", &self.answers]);
        command
    }

    fn start(&self) -> Command {
        self.command(self.lab.renewal(TOS))
    }

    /// Kills it after a drawn number of records, unless it ends before.
    fn kill(&mut self, command: Command, records: (u64, u64)) -> Option<i32> {
        let (records, pause) = (self.draw.between(records.0, records.1), self.draw.between(0, 800));
        let fate = killed(&self.keybook, command, records, pause);
        self.count(fate, &format!("after {records} records and {pause} ms"))
    }

    /// Kills it as soon as a step of the runbook itself is done or skipped that is not among these, by its name.
    fn kill_after_step(
        &mut self,
        command: Command,
        steps: &mut BTreeSet<String>,
        name: fn(&UnitId) -> String,
    ) -> Option<i32> {
        let ended = |record: &Record| {
            let unit = record.unit.as_ref().filter(|unit| !unit.step.contains('/'))?;
            matches!(record.event, Event::UnitDone { .. } | Event::UnitSkipped { .. }).then(|| name(unit))
        };
        let fate = killed_when(&self.keybook, command, 0, |_, records| {
            records.iter().filter_map(ended).any(|step| !steps.contains(&step))
        });
        let before = steps.len();
        steps.extend(self.keybook.records().iter().filter_map(ended));
        self.count(fate, &format!("after {} steps more", steps.len() - before))
    }

    fn count(&mut self, fate: Fate, when: &str) -> Option<i32> {
        match fate {
            Fate::Killed(at) => {
                self.kills += 1;
                eprintln!("kill {}: {when}, at {at}", self.kills);
                None
            }
            Fate::Ended(code) => {
                eprintln!("ended with {code}, not killed {when}");
                Some(code)
            }
        }
    }

    /// Lets it come to its end.
    #[track_caller]
    fn finish(&self, mut command: Command, code: i32) {
        let output = command.output().unwrap();
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
    }

    /// No unit's effect happened twice, neither by the journal nor by the nodes' own records of what they started.
    ///
    /// A stop of pods that was under way when the program died was not done: `finally` started the pods, and the stop
    /// was carried out as another attempt.
    #[track_caller]
    fn once(&self, run: &str) {
        let done = |event: &Event| match event {
            Event::UnitDone { changed, .. } => *changed,
            Event::UnitReconciled { verdict, .. } => verdict == "done",
            _ => false,
        };
        let mut units = self.keybook.units_of(run, done);
        units.sort();
        for pair in units.windows(2) {
            assert!(pair[0] != pair[1] || pair[0].starts_with("finally-"), "{} was done twice", pair[0]);
        }
        let begun = self.keybook.units_of(run, |event| matches!(event, Event::UnitIntent { .. }));
        for name in &self.lab.masters {
            let stops = begun.iter().filter(|unit| unit.ends_with(&format!("bounce/stop@{name}"))).count();
            for container in ["tos-etcd-tos", "tos-apiserver-tos"] {
                let starts = self.lab.starts(name, container);
                assert!(
                    starts <= 1 + stops,
                    "{container} on {name} was started {starts} times, stopped {stops} times"
                );
            }
        }
    }

    /// The run has renewed everything, what it had put in place before (`seen`) is still that, and nothing happened twice.
    #[track_caller]
    fn renewed(&self, run: &str, before: &Before, client: Client, seen: &Effects) {
        client.lost_nothing();
        before.renewed(&self.lab);
        let now = self.effects();
        for (path, version) in seen {
            assert_eq!(now.get(path), Some(version), "{path} was written twice");
        }
        self.once(run);
        self.keybook.call(["verify", run]).with(0);
    }

    /// The run has left nothing, and nothing happened twice.
    #[track_caller]
    fn taken_back(&self, run: &str, before: &Before, client: Client) {
        client.lost_nothing();
        before.restored(&self.lab);
        let left = self.effects();
        assert!(left.is_empty(), "{left:?} is left over");
        self.once(run);
        self.keybook.call(["verify", run]).with(0);
    }

    /// What the run has put in place so far: path, digest, inode and time of modification, by host.
    fn effects(&self) -> Effects {
        let first = ["etcd-ca.pem", "etcd.pem", "etcd-key.pem"].map(|file| {
            let file = self.lab.dir().join("client").join(file);
            keybook_tests::lab::run(Command::new("sha256sum").arg(file))[..64].to_owned()
        });
        let mut effects = BTreeMap::new();
        for name in &self.lab.names {
            for (path, version) in self.lab.versions(name, "/srv/kubernetes /var/lib/keybook/*/staging") {
                if !first.contains(&version.0) {
                    effects.insert(format!("{name}:{path}"), version);
                }
            }
        }
        effects
    }
}

#[test]
fn lab_kill_and_resume() {
    let mut series = Series::new(109);
    for (round, instants) in ROUNDS.iter().cycle().enumerate() {
        if series.kills >= KILLS {
            break;
        }
        if round > 0 {
            series.lab.reset();
        }
        let before = Before::of(&series.lab);
        let client = series.lab.client();
        let mut seen = BTreeMap::new();
        let mut ended = series.kill(series.start(), instants[0]);
        let run = series.keybook.latest();
        for instant in &instants[1..] {
            if ended.is_none() {
                seen.extend(series.effects());
                ended = series.kill(series.command(["resume", &run]), *instant);
            }
        }
        if ended.is_none() {
            seen.extend(series.effects());
            series.finish(series.command(["resume", &run]), 0);
        } else {
            assert_eq!(ended, Some(0), "{}", fs::read_to_string(series.keybook.log()).unwrap());
        }
        series.renewed(&run, &before, client, &seen);
    }
}

#[test]
fn lab_kill_and_roll_back() {
    let mut series = Series::new(110);
    for (round, instant) in UNTIL_ROLLBACK.iter().cycle().enumerate() {
        if series.kills >= KILLS {
            break;
        }
        if round > 0 {
            series.lab.reset();
        }
        let before = Before::of(&series.lab);
        let client = series.lab.client();
        let ended = series.kill(series.start(), *instant);
        assert!(ended.is_none_or(|code| code == 0), "{}", fs::read_to_string(series.keybook.log()).unwrap());
        let run = series.keybook.latest();
        let ended = series.kill(series.command(["rollback", &run]), (15, 130));
        match ended {
            None => series.finish(series.command(["rollback", &run]), 5),
            Some(code) => assert_eq!(code, 5, "{}", fs::read_to_string(series.keybook.log()).unwrap()),
        }
        series.taken_back(&run, &before, client);
    }
}

/// Each process of one run is killed at the end of a step on a host, and the next one goes on.
#[test]
fn full_lab_kill_after_every_step_and_resume() {
    let mut series = Series::new(135);
    let before = Before::of(&series.lab);
    let client = series.lab.client();
    let (mut steps, mut seen) = (BTreeSet::new(), BTreeMap::new());
    let mut ended = series.kill_after_step(series.start(), &mut steps, ToString::to_string);
    let run = series.keybook.latest();
    while ended.is_none() {
        assert!(series.kills < 200, "it does not get further");
        seen.extend(series.effects());
        ended = series.kill_after_step(series.command(["resume", &run]), &mut steps, ToString::to_string);
    }
    assert_eq!(ended, Some(0), "{}", fs::read_to_string(series.keybook.log()).unwrap());
    series.renewed(&run, &before, client, &seen);
    let kills = series.kills.to_string();
    assert!(series.kills > 20, "there are more steps than {kills}");
    let outcome = "each resumed, to the end with exit 0; every effect once, quorum and data kept";
    row("crash", "real-resume", &["after every step on every host, real cluster of three", &kills, outcome]);
}

/// A run is killed after each step, and taken back.
#[test]
fn full_lab_kill_after_every_step_and_roll_back() {
    let mut series = Series::new(136);
    let mut steps = BTreeSet::new();
    loop {
        let before = Before::of(&series.lab);
        let client = series.lab.client();
        let ended = series.kill_after_step(series.start(), &mut steps, |unit| unit.step.to_string());
        assert!(ended.is_none_or(|code| code == 0), "{}", fs::read_to_string(series.keybook.log()).unwrap());
        let run = series.keybook.latest();
        series.finish(series.command(["rollback", &run]), 5);
        series.taken_back(&run, &before, client);
        if ended.is_some() {
            break;
        }
        series.lab.reset();
    }
    let kills = series.kills.to_string();
    assert!(series.kills > 10, "there are more steps than {kills}");
    let outcome = "each taken back, exit 5: files byte-, mode- and owner-identical, etcd on the old ones, quorum and data kept";
    row("crash", "real-rollback", &["after every step, real cluster of three", &kills, outcome]);
}
