//! Runs in the sandbox with a person at a terminal of 80 columns.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{
    Event,
    event::{Answer, SkipReason, Via},
};
use keybook_tests::{
    cli::flat,
    pty::Terminal,
    sandbox::{Bench, FIRST, GATE, GATE_BACK, MASTERS, assert_same},
};
use std::{fs, os::unix::fs::PermissionsExt};

fn answered(bench: &Bench) -> Vec<(String, Answer, Via)> {
    let records = bench.keybook.records();
    let answers = records.into_iter().filter_map(|record| match record.event {
        Event::GateAnswered { answer, via, .. } => Some((record.unit?.to_string(), answer, via)),
        _ => None,
    });
    answers.collect()
}

#[test]
fn sandbox_guided_run_to_the_end_with_a_look_at_the_details() {
    let bench = Bench::new();
    let mut terminal = bench.guided("quick-three", &[]);
    for master in &MASTERS[..3] {
        let shown = flat(&terminal.prompted(GATE));
        assert!(shown.contains("SANDBOX") && shown.contains("Put the new files in place"), "{shown}");
        assert!(
            shown.contains("Every node gets the same three files; etcd reads them when it is restarted."),
            "{shown}"
        );
        assert!(shown.contains(&format!("Replace the etcd certificates on {master}?")), "{shown}");
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
        terminal.answer("details");
        let shown = flat(&terminal.prompted(GATE));
        assert!(
            shown.contains(&format!("unit install@{master}")) && shown.contains("runbook.yaml:"),
            "{shown}"
        );
        terminal.answer("r");
    }
    for master in &MASTERS[..3] {
        let shown = flat(&terminal.prompted(GATE));
        assert!(shown.contains(&format!("Restart etcd and the API server on {master}?")), "{shown}");
        terminal.answer("run");
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen:#?}");
    let screen = flat(&screen.join("\n"));
    assert!(
        screen.contains("SANDBOX: no real host was touched") && screen.contains("mode guided"),
        "{screen}"
    );
    let answers = answered(&bench);
    assert_eq!(answers.len(), 6);
    assert!(
        answers.iter().all(|(_, answer, via)| (*answer, *via) == (Answer::Run, Via::Terminal)),
        "{answers:?}"
    );
}

/// Nobody can have meant it for a question that did not stand there yet.
#[test]
fn sandbox_guided_what_was_typed_ahead_answers_no_gate() {
    let bench = Bench::new();
    let mut terminal = bench.guided("quick-one", &[]);
    terminal.answer("run");
    assert!(terminal.prompted(GATE).contains("Replace the etcd certificates"));
    terminal.answer("stop here");
    let (code, screen) = terminal.end();
    assert_eq!(code, 8, "{screen:#?}");
    let answers: Vec<Answer> = answered(&bench).into_iter().map(|(_, answer, _)| answer).collect();
    assert_eq!(answers, [Answer::Stop]);
}

/// Whoever sees the question may answer it, also before the prompt below it is printed.
#[test]
fn sandbox_guided_what_is_typed_at_the_sight_of_a_question_is_heard() {
    let bench = Bench::new();
    // More than a terminal holds: the program is still printing it when it is answered.
    let question = format!("Shall it begin? {}", "More is said of it. ".repeat(8000));
    let runbook = bench.small_runbook(&format!(
        "  - {{ id: put, hosts: node, gate: {{ ask: \"{question}\" }}, file.put: {{ path: /etc/f, content: new }} }}\n"
    ));
    bench.small_scenario("");
    let mut terminal = Terminal::start(bench.keybook.command(["run", &runbook, "--sandbox"]));
    terminal.shown("Shall it begin?");
    terminal.answer_at_once("run");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{:#?}", screen.last());
    assert_eq!(fs::read_to_string(bench.on_host("n1", "/etc/f")).unwrap(), "new");
}

#[test]
fn sandbox_guided_stop_is_resumed() {
    let bench = Bench::new();
    let mut terminal = bench.guided("quick-one", &[]);
    terminal.prompted(GATE);
    let before = bench.trees();
    terminal.answer("maybe");
    let shown = terminal.prompted(GATE);
    assert!(shown.contains("Answer with one of: run, skip, details, roll back, stop here."), "{shown}");
    terminal.answer("stop here");
    let (code, screen) = terminal.end();
    assert_eq!(code, 8, "{screen:#?}");
    assert_same(&before, &bench.trees());
    assert!(
        flat(&screen.join("\n")).contains(&format!("keybook resume {}", bench.keybook.latest())),
        "{screen:#?}"
    );
    assert!(
        bench.on_host(FIRST, "/var/lib/keybook/lock-sandbox.json").exists(),
        "the lock stays while the run rests"
    );

    let mut terminal = bench.guided_on("resume", &[]);
    for question in ["Replace the etcd certificates", "Restart etcd and the API server"] {
        assert!(terminal.prompted(GATE).contains(question));
        terminal.answer("r");
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen:#?}");
}

#[test]
fn sandbox_guided_skip_needs_a_reason_and_leaves_its_debt() {
    let bench = Bench::new();
    let mut terminal = bench.guided("quick-one", &[]);
    terminal.prompted(GATE);
    let before = bench.trees();
    terminal.answer("r");
    terminal.prompted(GATE);
    terminal.answer("s");
    terminal.prompted("Why skip it? It is left out until you ask for it again");
    terminal.answer("restarted by hand");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen:#?}");
    let skipped = bench.keybook.records().into_iter().find_map(|record| match record.event {
        Event::UnitSkipped { reason: SkipReason::Operator, detail } => {
            Some((record.unit.unwrap().to_string(), detail))
        }
        _ => None,
    });
    assert_eq!(skipped, Some((format!("bounce@{FIRST}"), "restarted by hand".to_owned())));
    // It was not: the daemon still serves the old certificate, and the step after finds that out.
    let screen = flat(&screen.join("\n"));
    assert!(screen.contains(&format!("find what `served@{FIRST}` expects")), "{screen}");
    bench.on_run("show", &[]).with(0).says("restarted by hand");
    let skipped = format!("Skipped - bounce@{FIRST}: left out by the operator: restarted by hand");
    assert!(screen.contains(&skipped), "{screen}");
    bench.on_run("status", &[]).with(1).says(&skipped);
    assert_eq!(
        screen.matches(&format!("error: could not find what `served@{FIRST}`")).count(),
        1,
        "{screen}"
    );

    let mut terminal = bench.guided_on("rollback", &[]);
    terminal.prompted("Roll back? Type yes");
    terminal.answer("yse");
    assert!(terminal.prompted("Roll back? Type yes").contains("Answer with one of: yes, no."));
    terminal.answer("yes");
    // The daemons have to run the old files too, so the restart is asked about again.
    assert!(terminal.prompted(GATE_BACK).contains("The run is being taken back"));
    terminal.answer("r");
    let (code, screen) = terminal.end();
    assert_eq!(code, 5, "{screen:#?}");
    assert_same(&before, &bench.trees());
}

#[test]
fn sandbox_guided_roll_back_at_a_gate_brings_every_byte_back() {
    let bench = Bench::new();
    let mut terminal = bench.guided("quick-three", &[]);
    terminal.prompted(GATE);
    let before = bench.trees();
    for _ in 0..4 {
        terminal.answer("r");
        terminal.prompted(GATE);
    }
    assert_ne!(before, bench.trees());
    terminal.answer("b");
    terminal.prompted("Take back everything this run did? [y]es, [n]o");
    terminal.answer("n");
    terminal.prompted(GATE);
    terminal.answer("roll back");
    terminal.prompted("Take back everything this run did? [y]es, [n]o");
    terminal.answer("y");
    for _ in 0..3 {
        assert!(terminal.prompted(GATE_BACK).contains("Restart etcd and the API server"));
        terminal.answer("r");
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 5, "{screen:#?}");
    assert_same(&before, &bench.trees());
    bench.on_run("status", &[]).with(5);
}

#[test]
fn sandbox_guided_rollback_is_only_begun_by_the_whole_word() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "distribute"]).with(0);
    let before = bench.trees();
    let mut terminal = bench.guided_on("rollback", &[]);
    terminal.prompted("Roll back? Type yes");
    for typed in ["y", "Yes", "ja"] {
        terminal.answer(typed);
        if typed != "ja" {
            let shown = terminal.prompted("Roll back? Type yes");
            assert!(shown.contains("Answer with one of: yes, no."), "{shown}");
        }
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 3, "{screen:#?}");
    assert!(flat(&screen.join("\n")).contains("nobody said yes"), "{screen:#?}");
    assert_same(&before, &bench.trees());
}

#[test]
fn sandbox_guided_step_asks_before_everything_that_changes_something() {
    let bench = Bench::new();
    let mut terminal = bench.guided("quick-one", &["--step", "--until", "distribute"]);
    let mut asked = Vec::new();
    for title in [
        "Keep a snapshot of etcd",
        "Reissue the CA with the same key",
        "Issue a new etcd certificate with the names of the old one",
        // Its steps are not asked about: it is atomic, and a host shall not be left half-way.
        "Put the new files in place",
    ] {
        let shown = flat(&terminal.prompted(GATE));
        assert!(shown.contains(title), "{title}: {shown}");
        asked.push(shown);
        terminal.answer("r");
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen:#?}");
    assert!(
        asked[1].contains(&format!("Carry out \"Reissue the CA with the same key\" on {FIRST}?")),
        "{}",
        asked[1]
    );
}

/// Neither a key that ends an input elsewhere, nor a person who only presses Enter, nor a lost terminal means yes.
#[test]
fn sandbox_guided_silence_is_no_yes() {
    let bench = Bench::new();
    let mut terminal = bench.guided("quick-one", &[]);
    terminal.prompted(GATE);
    let before = bench.trees();
    terminal.press(4);
    terminal.prompted(GATE);
    terminal.press_until_the_end(b'\r');
    let (code, screen) = terminal.end();
    assert_eq!(code, 3, "{screen:#?}");
    assert!(
        flat(&screen.join("\n")).contains(&format!("could not pass the gate of install@{FIRST}")),
        "{screen:#?}"
    );

    let mut terminal = bench.guided_on("resume", &[]);
    terminal.prompted(GATE);
    drop(terminal);
    assert_same(&before, &bench.trees());
    bench.resume().with(0);
}

/// Rows no wider than the terminal are checked at every end; here also that no colour comes where none is wanted.
#[test]
fn sandbox_guided_without_colour_prints_none() {
    let bench = Bench::new();
    let mut terminal = bench.guided("quick-one", &["--no-color"]);
    terminal.prompted(GATE);
    terminal.answer("q");
    assert!(!terminal.coloured(), "{}", terminal.news());
    assert_eq!(terminal.end().0, 8);
    let mode = fs::metadata(bench.run_folder()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
