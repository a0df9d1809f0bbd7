//! Nodes of a real cluster that cannot be reached: at the start, and all of a sudden.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use keybook_api::Event;
use keybook_tests::{
    cli::{Ended, Keybook},
    lab::{Lab, TOS, answers},
    proof::Before,
};
use std::{
    ffi::OsStr,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

const LAST: &str = "jiujiu-tdh-12";

/// What a child of ours printed, and its exit code.
fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

struct Scene {
    lab: Lab,
    keybook: Keybook,
    answers: String,
}

impl Scene {
    fn command<S: AsRef<OsStr>>(&self, verb: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.keybook.command(verb);
        command.args(["--unattended", "--answers", &self.answers]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self) -> Command {
        self.command(self.lab.renewal(TOS))
    }

    /// Whether each thing that the latest run's preflight looked at was as it should be, on one host.
    fn preflight(&self, name: &str) -> Vec<bool> {
        let records = self.keybook.records();
        let found = |event: &Event| match event {
            Event::PreflightChecked { host, ok, .. } if host == name => Some(*ok),
            _ => None,
        };
        records.iter().filter_map(|record| found(&record.event)).collect()
    }

    /// Runs it, and cuts a node off as soon as a unit is under way.
    fn cut(&self, command: &mut Command, node: &str, unit: &str) -> Ended {
        let runs = self.keybook.runs().len();
        let fresh = command.get_args().next().is_some_and(|verb| verb == "run");
        let mut child = command.spawn().unwrap();
        let intents = || self.keybook.units(|event| matches!(event, Event::UnitIntent { .. }));
        let under_way =
            || (!fresh || self.keybook.runs().len() > runs) && intents().iter().any(|begun| begun == unit);
        while !under_way() {
            if child.try_wait().unwrap().is_some() {
                panic!("it ended before {unit}: {:#?}", ended(child));
            }
            sleep(Duration::from_millis(10));
        }
        self.lab.node(node, &["lab-sshd", "cut"]);
        ended(child)
    }
}

#[test]
fn lab_faults_unreachable_nodes() {
    let lab = Lab::up(111, &["--nodes", "3"]);
    let keybook = Keybook::new(lab.scratch());
    let before = Before::of(&lab);
    let client = lab.client();
    let answers = answers(lab.scratch(), &["install@*: run", "bounce@*: run"]);
    let scene = Scene { answers: answers.to_str().unwrap().to_owned(), lab, keybook };
    let lab = &scene.lab;

    // At the start: the others are looked at all the same, and nothing is changed on any.
    lab.node(LAST, &["lab-sshd", "stop"]);
    ended(scene.start().spawn().unwrap())
        .with(4)
        .says("unreachable: could not pass the preflight")
        .says(&format!("why {LAST}: reach: could not connect to 127.66.111.12:22 on {LAST}"))
        .says("nothing listens there")
        .says("now no step was begun");
    for name in &lab.masters {
        let found = scene.preflight(name);
        assert_eq!(found.len() > 1, name != LAST, "{name}: {found:?}");
        assert!(found.iter().all(|ok| *ok == (name != LAST)), "{name}: {found:?}");
        let traces = lab.node(name, &["sh", "-c", "find /var/lib/keybook 2>/dev/null || true"]);
        assert_eq!(traces, "", "{name} has traces of a run that did not begin");
    }
    before.untouched(lab);
    lab.start_sshd(LAST);

    // In mid-distribution, before the node's turn has come.
    scene
        .cut(&mut scene.start(), LAST, "install/ca@jiujiu-tdh-11")
        .with(4)
        .says("status host unreachable (exit 4)")
        .says(&format!("127.66.111.12:22 on {LAST}"))
        .says("nothing listens there")
        .says("Still owed - restart-etcd@jiujiu-tdh-10 - restart-etcd@jiujiu-tdh-11");
    let run = scene.keybook.latest();
    ended(scene.command(["resume", &run]).spawn().unwrap())
        .with(4)
        .says(&format!("why {LAST}: reach: could not connect to 127.66.111.12:22"))
        .says("now no step was begun");
    lab.start_sshd(LAST);

    // In the middle of a restart: whether the pods were stopped cannot be found out, which is worse than unreachable.
    scene
        .cut(&mut scene.command(["resume", &run]), "jiujiu-tdh-11", "bounce/stop@jiujiu-tdh-11")
        .with(9)
        .says("Stop tos-etcd and tos-apiserver: failed after")
        .says("unreachable: could not")
        .says("outcome unknown: nobody can tell whether this happened: go on past bounce/stop@jiujiu-tdh-11")
        .says("now it was not done again")
        .says("Still owed - restart-etcd@jiujiu-tdh-11 - restart-etcd@jiujiu-tdh-12");
    lab.start_sshd("jiujiu-tdh-11");
    ended(scene.command(["resume", &run]).spawn().unwrap()).with(0).says("status done (exit 0)");
    client.lost_nothing();
    before.renewed(lab);
    scene.keybook.call(["verify", &run]).with(0);
}
