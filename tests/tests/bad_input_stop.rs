//! Ctrl-C at every prompt and in every unit, a second one, SIGTERM: the run rests as documented, nothing is half done, and
//! it goes on later.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Event, Record};
use keybook_tests::{
    cli::flat,
    pty::Terminal,
    sandbox::{Bench, FIRST, GATE, MASTERS, assert_same, signal},
};
use std::{collections::BTreeSet, process::Child, time::Duration};

/// Waits for a record after the first `skip`; false when the program ended before.
fn comes(bench: &Bench, child: &mut Child, skip: usize, wanted: &dyn Fn(&Record) -> bool) -> bool {
    loop {
        let records = if bench.keybook.runs().is_empty() { Vec::new() } else { bench.keybook.records() };
        if records.iter().skip(skip).any(wanted) {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts an unattended run with these inputs and waits until this unit has begun.
fn in_unit(bench: &Bench, scenario: &str, more: &[&str], unit: &str) -> Child {
    let mut child = bench.start(&bench.unattended(scenario, more));
    let begun = |record: &Record| {
        matches!(record.event, Event::UnitIntent { .. })
            && record.unit.as_ref().is_some_and(|known| known.to_string() == unit)
    };
    assert!(comes(bench, &mut child, 0, &begun), "{}", bench.printed());
    child
}

fn done(bench: &Bench) -> Vec<String> {
    bench.keybook.units(|event| matches!(event, Event::UnitDone { .. }))
}

#[test]
fn bad_input_interrupt_at_every_prompt_of_a_run() {
    let bench = Bench::new();
    let mut terminal = bench.guided("quick-one", &[]);
    let interrupted = |mut terminal: Terminal| {
        terminal.interrupt();
        let (code, screen) = terminal.end();
        assert_eq!(code, 8, "{screen:#?}");
        assert!(flat(&screen.join("\n")).contains("stopped"), "{screen:#?}");
    };
    terminal.prompted(GATE);
    let before = bench.trees();
    interrupted(terminal);
    for (answer, prompt) in [
        ("s", "Why skip it? It is left out until you ask for it again"),
        ("b", "Take back everything this run did? [y]es, [n]o"),
    ] {
        let mut terminal = bench.guided_on("resume", &[]);
        terminal.prompted(GATE);
        terminal.answer(answer);
        terminal.prompted(prompt);
        interrupted(terminal);
    }
    assert_same(&before, &bench.trees());
    let mut terminal = bench.guided_on("resume", &[]);
    terminal.prompted(GATE);
    terminal.answer("r");
    assert!(terminal.prompted(GATE).contains("Restart etcd"));
    interrupted(terminal);
    let mut terminal = bench.guided_on("rollback", &[]);
    terminal.prompted("Roll back? Type yes");
    let changed = bench.trees();
    terminal.interrupt();
    let (code, screen) = terminal.end();
    assert_eq!(code, 8, "{screen:#?}");
    assert_same(&changed, &bench.trees());
    bench.resume().with(0);
}

#[test]
fn bad_input_interrupt_at_the_word_for_what_cannot_be_taken_back() {
    let bench = Bench::new();
    let runbook = bench.small_runbook(
        "  - id: gone\n    hosts: node\n    irreversible: it is thrown away\n    gate: { ask: \"Throw it away?\" }\n    sh.run: { script: \"touch /var/lib/keybook/gone\" }\n",
    );
    let inventory = bench.this_machine();
    let at = |args: &[&str]| Terminal::start(bench.isolated("", args));
    let mut terminal = at(&["run", &runbook, "-i", &inventory]);
    terminal.prompted(GATE);
    terminal.answer("r");
    terminal.prompted("Type `here` to confirm");
    terminal.interrupt();
    assert_eq!(terminal.end().0, 8);
    let id = bench.keybook.latest();
    let mut terminal = at(&["resume", &id]);
    terminal.prompted(GATE);
    terminal.answer("r");
    terminal.prompted("Type `here` to confirm");
    terminal.answer("yes");
    let shown = terminal.prompted(GATE);
    assert!(shown.contains("That is not it; nothing was done."), "{shown}");
    assert!(!bench.path("varlib/gone").exists());
    terminal.answer("r");
    terminal.prompted("Type `here` to confirm");
    terminal.answer("here");
    assert_eq!(terminal.end().0, 0);
    assert!(bench.path("varlib/gone").exists());
}

#[test]
fn bad_input_interrupt_at_the_question_for_an_input() {
    let bench = Bench::new();
    bench.write(
        "small/runbook.yaml",
        "keybook: 1\nname: small\nversion: 0.1.0\nrequires: { keybook: \">=0.1\" }\ntitle: A small runbook\n\
         inputs: { token: { type: secret, help: \"a token\" }, name: { type: string, help: \"a name\" } }\n\
         hosts: { node: { min: 1, help: any host } }\nsteps:\n  - { id: a, hosts: node, sh.read: { script: id } }\n",
    );
    bench.small_scenario("");
    let mut terminal = Terminal::start(bench.keybook.command(["run", &bench.text("small"), "--sandbox"]));
    terminal.prompted("token (a token)");
    terminal.interrupt();
    assert_eq!(terminal.end().0, 130);
    assert!(bench.keybook.runs().is_empty(), "nothing was begun");
}

/// Every unit of a run is interrupted once; the run rests each time and comes to its end all the same.
#[test]
fn bad_input_interrupt_in_every_unit() {
    let bench = Bench::new();
    let mut interrupted: BTreeSet<String> = BTreeSet::new();
    let mut child = bench.start(&bench.unattended("quick-one", &[]));
    let mut skip = 0;
    let code = loop {
        let new = |record: &Record| {
            let unit = record.unit.as_ref().map(ToString::to_string);
            matches!(record.event, Event::UnitIntent { .. })
                && unit.is_some_and(|unit| !interrupted.contains(&unit))
        };
        if !comes(&bench, &mut child, skip, &new) {
            break child.wait().unwrap().code();
        }
        let records = bench.keybook.records();
        let unit =
            records.iter().skip(skip).find(|record| new(record)).unwrap().unit.as_ref().unwrap().to_string();
        interrupted.insert(unit.clone());
        // It may be through already, when the last unit was the last thing to do.
        if child.try_wait().unwrap().is_none() {
            signal(child.id(), "INT");
        }
        let code = child.wait().unwrap().code();
        if code == Some(0) {
            break code;
        }
        assert_eq!(code, Some(8), "interrupted in {unit}: {}", bench.printed());
        skip = bench.keybook.records().len();
        let args = ["resume", &bench.keybook.latest(), "--unattended", "--answers", &bench.answers()];
        child = bench.start(&args.map(str::to_owned));
    };
    assert_eq!(code, Some(0), "{}", bench.printed());
    assert!(interrupted.len() > 12, "only {interrupted:?}");
    let installed = done(&bench).iter().filter(|unit| **unit == format!("install/ca@{FIRST}")).count();
    assert_eq!(installed, 1);
    bench.on_run("verify", &[]).with(0);
}

/// Inside an atomic step the host is finished first, also when its pods are down at that moment; the next is not begun.
#[test]
fn bad_input_interrupt_in_a_restart_waits_for_the_host() {
    let bench = Bench::new();
    let settle = format!("bounce/settle@{}", MASTERS[1]);
    let mut child = in_unit(&bench, "quick-three", &["-e", "settle=3s"], &settle);
    signal(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(8), "{}", bench.printed());
    let done = done(&bench);
    for unit in ["bounce/start", "bounce/healthy", "bounce"] {
        assert!(done.contains(&format!("{unit}@{}", MASTERS[1])), "{unit}: {done:?}");
    }
    assert!(!bench.keybook.units(|_| true).contains(&format!("bounce@{}", MASTERS[2])));
    bench.resume().with(0);
}

#[test]
fn bad_input_second_interrupt_ends_the_program_at_once() {
    let bench = Bench::new();
    let settle = format!("bounce/settle@{FIRST}");
    let mut child = in_unit(&bench, "quick-one", &["-e", "settle=8s"], &settle);
    signal(child.id(), "INT");
    // The first one is waited for: the host is to be finished.
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "{}", bench.printed());
    signal(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130), "{}", bench.printed());
    assert!(
        !bench.on_host(FIRST, "/opt/kubernetes/manifests-multi/tos-etcd.manifest").exists(),
        "the pod is stopped"
    );
    bench.on_run("status", &[]).with(1).says("status killed");
    // The rollback brings the pods back first.
    bench.roll_back().with(5);
    assert!(bench.on_host(FIRST, "/opt/kubernetes/manifests-multi/tos-etcd.manifest").exists());
}

/// The terminal is lost in mid-restart: the host is finished, and the run rests.
#[test]
fn bad_input_hangup_stops_in_order() {
    let bench = Bench::new();
    let settle = format!("bounce/settle@{FIRST}");
    let mut child = in_unit(&bench, "quick-one", &["-e", "settle=2s"], &settle);
    signal(child.id(), "HUP");
    assert_eq!(child.wait().unwrap().code(), Some(8), "{}", bench.printed());
    assert!(bench.on_host(FIRST, "/opt/kubernetes/manifests-multi/tos-etcd.manifest").exists());
    bench.resume().with(0);
}

#[test]
fn bad_input_sigterm_ends_the_program_and_the_run_goes_on_later() {
    let bench = Bench::new();
    let copy = format!("install/key@{FIRST}");
    let mut child = in_unit(&bench, "quick-one", &[], &copy);
    signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143), "{}", bench.printed());
    std::thread::sleep(Duration::from_millis(200));
    bench.resume().with(0);
    // At a prompt as well; a signal from elsewhere leaves the prompt in its middle.
    for (name, code) in [("TERM", 143), ("INT", 8), ("HUP", 8)] {
        let bench = Bench::new();
        let mut terminal = bench.guided("quick-one", &[]);
        terminal.prompted(GATE);
        signal(terminal.pid(), name);
        assert_eq!(terminal.end().0, code, "{name}");
        bench.resume().with(0);
    }
}

/// Waiting and commands outside atomic steps are ended at once.
#[test]
fn bad_input_interrupt_ends_waiting_and_commands() {
    for (step, code, said) in [
        ("  - { id: long, hosts: node, wait.for: { duration: 1h } }\n", 8, "stopped"),
        // Nobody knows what the command had done by then.
        (
            "  - { id: long, hosts: node, undo: { note.write: { text: back } }, sh.run: { script: \"sleep 3617\" } }\n",
            9,
            "the command was ended (status 143)",
        ),
        ("  - { id: long, hosts: node, sh.read: { script: \"sleep 3617\" } }\n", 8, "stopped"),
        (
            "  - { id: long, hosts: node, sh.read: { script: \"false\" }, retry: { times: 100, delay: 1h } }\n",
            8,
            "stopped",
        ),
    ] {
        let bench = Bench::new();
        let (runbook, inventory) = (bench.small_runbook(step), bench.this_machine());
        let mut command = bench.isolated("", ["run", &runbook, "-i", &inventory, "--unattended"]);
        let mut child = command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let begun = |record: &Record| matches!(record.event, Event::UnitIntent { .. });
        assert!(comes(&bench, &mut child, 0, &begun));
        std::thread::sleep(Duration::from_millis(500));
        // unshare and sh have become the program.
        signal(child.id(), "INT");
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said), "{text}");
        let sleeping = std::process::Command::new("pgrep").args(["-f", "^sleep 3617$"]).output().unwrap();
        assert!(sleeping.stdout.is_empty(), "the command still runs");
    }
}
