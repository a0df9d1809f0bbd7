//! Files that somebody else changes: between plan and apply, and before a restore.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::Event;
use keybook_tests::{
    cli::flat,
    sandbox::{Bench, FIRST, GATE, GATE_BACK, assert_same, differences},
};
use std::fs;

const LEAF: &str = "/srv/kubernetes/etcd.pem";

#[test]
fn bad_input_file_changed_while_the_gate_waits_is_asked_about_again() {
    let bench = Bench::new();
    let mut terminal = bench.guided("quick-one", &["--until", "distribute"]);
    terminal.prompted(GATE);
    let leaf = bench.on_host(FIRST, LEAF);
    let original = bench.trees();
    let own = fs::read(bench.on_host(FIRST, "/root/gencerts/etcd-ca.pem")).unwrap();
    fs::write(&leaf, &own).unwrap();
    let before = bench.trees();
    terminal.answer("r");
    let shown = flat(&terminal.prompted(GATE));
    assert!(
        shown.contains("The plan is no longer what you saw: /srv/kubernetes/etcd.pem changed meanwhile."),
        "{shown}"
    );
    assert_same(&before, &bench.trees());
    terminal.answer("r");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen:#?}");
    let changed = bench
        .keybook
        .records()
        .into_iter()
        .filter(|record| matches!(record.event, Event::UnitPlanChanged { .. }));
    assert_eq!(changed.count(), 1);
    // What is brought back is the first original of the run, which it kept before the change of somebody else.
    bench.roll_back().with(5);
    assert_same(&original, &bench.trees());
}

/// Between the stop at the gate and the resume: the new plan is shown to whoever answers, and an answer for the old
/// plan is worth nothing (`sandbox_approve_does_not_count_for_another_plan`).
#[test]
fn bad_input_file_that_became_no_certificate_while_the_run_rested_is_seen() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "issue"]).with(0);
    fs::write(bench.on_host(FIRST, LEAF), "oops\n").unwrap();
    let partly = bench.answers_none();
    bench.on_run("resume", &["--unattended", "--answers", &partly]).with(3);
    let diffs: Vec<_> = bench
        .keybook
        .records()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::UnitPlanned { diffs, .. }
                if record.unit.as_ref().is_some_and(|unit| unit.step == "install") =>
            {
                Some(diffs)
            }
            _ => None,
        })
        .collect();
    let before = diffs.last().unwrap().iter().find(|diff| diff.path == LEAF).unwrap().before.clone().unwrap();
    assert!(before.contains("oops") || before.contains("5 bytes"), "{before}");
}

#[test]
fn bad_input_file_changed_before_a_restore_is_left_alone_and_named() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "issue"]).with(0);
    let before = bench.trees();
    let answers = bench.answers();
    bench.on_run("resume", &["--unattended", "--answers", &answers, "--until", "distribute"]).with(0);
    let leaf = bench.on_host(FIRST, LEAF);
    fs::write(&leaf, "somebody else was here\n").unwrap();
    let refused = bench.roll_back().with(6);
    refused
        .says(&format!("could not restore {LEAF} on {FIRST} why it is no longer what this run wrote:"))
        .says("now it was left as it is");
    assert_eq!(fs::read_to_string(&leaf).unwrap(), "somebody else was here\n");
    bench.on_run("status", &[]).with(6);

    let question = "Overwrite it with the original? [y]es, [n]o, [d]etails";
    let mut terminal = bench.guided_on("rollback", &[]);
    terminal.prompted("Roll back? Type yes");
    terminal.answer("yes");
    let shown = flat(&terminal.prompted(question));
    assert!(shown.contains(&format!("{FIRST}:{LEAF} is no longer what this run wrote:")), "{shown}");
    assert!(shown.contains("overwrites what is there now, and no copy of that is kept."), "{shown}");
    terminal.answer("d");
    let shown = flat(&terminal.prompted(question));
    assert!(shown.contains("now 23 bytes, sha256 "), "{shown}");
    assert!(shown.contains("before ") && shown.contains(&format!("on {FIRST} with diff")), "{shown}");
    terminal.answer("n");
    assert_eq!(terminal.end().0, 6);
    assert_eq!(fs::read_to_string(&leaf).unwrap(), "somebody else was here\n");

    let mut terminal = bench.guided_on("rollback", &[]);
    terminal.prompted("Roll back? Type yes");
    terminal.answer("yes");
    terminal.prompted(question);
    terminal.answer("y");
    // The files are the old ones again, so the daemons are restarted with them.
    terminal.prompted(GATE_BACK);
    terminal.answer("r");
    let (code, screen) = terminal.end();
    assert_eq!(code, 5, "{screen:#?}");
    assert_same(&before, &bench.trees());
}

/// A file that somebody put into a folder that was kept stays, and is named: the folder is not as it was.
#[test]
fn bad_input_new_files_of_somebody_else_survive_a_rollback() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "issue"]).with(0);
    let before = bench.trees();
    bench.resume().with(0);
    let notes = bench.on_host(FIRST, "/srv/kubernetes/notes.txt");
    fs::write(&notes, "keep me\n").unwrap();
    let named = format!(
        "not as before: {FIRST}:/srv/kubernetes/notes.txt: it was not there when its folder was kept"
    );
    bench.roll_back().with(6).says(&named);
    let left = differences(&before, &bench.trees());
    assert_eq!(left.len(), 1, "{left:#?}");
    assert!(left[0].starts_with(&format!("+ {FIRST}:/srv/kubernetes/notes.txt")), "{left:#?}");
    fs::remove_file(notes).unwrap();
    bench.roll_back().with(5);
    assert_same(&before, &bench.trees());
}
