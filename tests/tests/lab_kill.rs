//! SIGKILL at seeded instants of runs on a real cluster: resume finishes, rollback restores, nothing happens twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use keybook_api::Event;
use keybook_tests::{
    cli::Keybook,
    kill::{Draw, Fate, killed},
    lab::{Lab, TOS, answers},
    proof::Before,
};
use std::{collections::BTreeMap, ffi::OsStr, fs, process::Command};

/// How often each series kills.
const KILLS: usize = 8;

/// After how many records more each process of a round is killed (drawn from these bounds): the first round goes through
/// checks, keys and distribution, the second through the restarts, which begin after about 300 records.
const ROUNDS: [[(u64, u64); 4]; 2] =
    [[(25, 200), (60, 130), (40, 110), (25, 90)], [(298, 325), (28, 60), (28, 60), (28, 60)]];

/// The same for runs that are rolled back; their rollbacks are killed as well.
const UNTIL_ROLLBACK: [(u64, u64); 4] = [(313, 393), (185, 235), (393, 520), (240, 310)];

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
        match killed(&self.keybook, command, records, pause) {
            Fate::Killed(at) => {
                self.kills += 1;
                eprintln!("kill {} of {KILLS}: after {records} records and {pause} ms, at {at}", self.kills);
                None
            }
            Fate::Ended(code) => {
                eprintln!("ended with {code} before {records} more records");
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

    /// What the run has put in place so far: path, digest, inode and time of modification, by host.
    fn effects(&self) -> BTreeMap<String, (String, String)> {
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
        client.lost_nothing();
        before.renewed(&series.lab);
        let now = series.effects();
        for (path, version) in &seen {
            assert_eq!(now.get(path), Some(version), "{path} was written twice");
        }
        series.once(&run);
        series.keybook.call(["verify", &run]).with(0);
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
        client.lost_nothing();
        before.restored(&series.lab);
        let left = series.effects();
        assert!(left.is_empty(), "{left:?} is left over");
        series.once(&run);
        series.keybook.call(["verify", &run]).with(0);
    }
}
