//! A run on a real cluster that rests three times, each for another reason, and is finished.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use keybook_api::Event;
use keybook_tests::{
    cli::{Keybook, flat},
    lab::{Lab, TOS, answers},
    proof::{Before, Trio},
    pty::Terminal,
};

const PROMPT: &str = "[r]un, [s]kip, [d]etails, roll [b]ack, [q] stop here";

/// Whether each master's CA file is still the first one.
fn old_ca(lab: &Lab) -> Vec<bool> {
    let old = Trio::first(lab).ca_text();
    lab.masters.iter().map(|name| Trio::of(lab, name).ca_text() == old).collect()
}

#[test]
fn lab_stop_resume_in_mid_distribution() {
    let lab = Lab::up(106, &["--nodes", "3"]);
    let keybook = Keybook::new(lab.scratch());
    let before = Before::of(&lab);
    let client = lab.client();
    let start = lab.renewal(TOS);
    let start: Vec<&str> = start.iter().map(String::as_str).collect();
    let at_terminal = |args: &[&str]| {
        let mut command = keybook.command(args);
        command.env("TERM", "xterm");
        Terminal::start(command)
    };

    // At the second node's gate the operator stops.
    let mut terminal = at_terminal(&start);
    terminal.prompted(PROMPT);
    terminal.answer("run");
    terminal.prompted(PROMPT);
    terminal.answer("stop here");
    rests_stopped(terminal, &["restart-etcd@jiujiu-tdh-10"]);
    let run = keybook.latest();
    assert_eq!(old_ca(&lab), [false, true, true], "the first node has the new files, the others wait");
    keybook.call(["status", &run]).with(8).says("Still owed - restart-etcd@jiujiu-tdh-10 How to go on");

    // Meanwhile nobody else may begin.
    keybook
        .call([&start[..], &["--unattended"]].concat())
        .with(7)
        .says(&format!("could not lock the cluster tos-lab-106 on jiujiu-tdh-10 why run {run} of operator@"))
        .says("now nothing was changed on any host");

    // Unattended it goes on as far as the answers reach.
    let partly = answers(lab.scratch(), &["install@*: run"]);
    let partly = partly.to_str().unwrap();
    keybook
        .call(["resume", &run, "--unattended", "--answers", partly])
        .with(3)
        .says("waiting for a person: could not pass the gate of bounce@jiujiu-tdh-10")
        .says("why nobody answered: Restart etcd and the API server on jiujiu-tdh-10?")
        .says("now the unit was not begun");
    assert_eq!(old_ca(&lab), [false, false, false]);
    assert!(lab.masters.iter().all(|name| lab.starts(name, "tos-etcd-tos") == 1), "nothing is restarted yet");

    // Ctrl-C in an atomic step: the host is finished first.
    let mut terminal = at_terminal(&["resume", &run]);
    terminal.prompted(PROMPT);
    terminal.answer("run");
    let stopping =
        |event: &Event| matches!(event, Event::UnitIntent { action, .. } if action == "static_pod.stop");
    lab.until("the first restart begins", || !keybook.units_of(&run, stopping).is_empty());
    terminal.interrupt();
    rests_stopped(terminal, &["restart-etcd@jiujiu-tdh-11", "restart-etcd@jiujiu-tdh-12"]);
    let starts: Vec<usize> = lab.masters.iter().map(|name| lab.starts(name, "tos-etcd-tos")).collect();
    assert_eq!(starts, [2, 1, 1]);

    let all = answers(lab.scratch(), &["bounce@*: run"]);
    keybook.call(["resume", &run, "--unattended", "--answers", all.to_str().unwrap()]).with(0);
    client.lost_nothing();
    before.renewed(&lab);
    let starts: Vec<usize> = lab.masters.iter().map(|name| lab.starts(name, "tos-etcd-tos")).collect();
    assert_eq!(starts, [2, 2, 2], "no node was restarted twice");
    keybook.call(["verify", &run]).with(0);
    keybook.call(["resume", &run, "--unattended"]).with(2);
}

/// The program ends with exit code 8 and says what is still owed, and how to go on.
#[track_caller]
fn rests_stopped(terminal: Terminal, owed: &[&str]) {
    let (code, screen) = terminal.end();
    let all = flat(&screen.join("\n"));
    assert_eq!(code, 8, "{}", screen.join("\n"));
    assert!(all.contains("stopped by the operator (exit 8)"), "{all}");
    let owed = format!("Still owed - {} How to go on keybook resume", owed.join(" - "));
    assert!(all.contains(&owed), "{all}");
}
