//! The text reports as they look.

use crate::{
    data::{self, Journal},
    summary::summary,
};
use keybook_api::{
    Change, Event, Span,
    event::{RunStatus, SkipReason},
};
use keybook_report::{Card, HistoryRow, fault::render_fault, history, human, render_card};
use serde_json::json;

#[test]
fn a_run_that_worked() {
    insta::assert_snapshot!(human::render(
        &summary(&data::success(2, true)).with_head("4e".repeat(32)),
        false,
        80
    ));
}

#[test]
fn a_run_that_failed_twice() {
    insta::assert_snapshot!(human::render(&summary(&data::failure()), false, 80));
}

#[test]
fn a_run_that_was_killed() {
    insta::assert_snapshot!(human::render(&summary(&data::killed()), false, 80));
}

#[test]
fn a_run_that_was_rolled_back() {
    insta::assert_snapshot!(human::render(&summary(&data::rolled_back(&[])), false, 80));
}

#[test]
fn a_rollback_that_left_something() {
    let differing = ["node-1:/srv/kubernetes/etcd.pem: mode 0644 instead of 0600"];
    let text = human::render(&summary(&data::rolled_back(&differing)), false, 80);
    assert!(text.contains("1 of 14 compared paths differ"), "{text}");
    assert!(text.contains("mode 0644 instead of 0600"), "{text}");
}

#[test]
fn colour_adds_nothing_but_colour() {
    let run = summary(&data::failure());
    let plain = human::render(&run, false, 80);
    let coloured = human::render(&run, true, 80);
    assert!(coloured.contains('\u{1b}'), "colour is forced on");
    assert!(!plain.contains('\u{1b}'), "colour is forced off");
    assert_eq!(console::strip_ansi_codes(&coloured), plain);
}

#[test]
fn every_state_says_how_to_go_on() {
    use RunStatus::*;
    for status in [
        Running,
        Done,
        PhaseReached,
        Failed,
        Waiting,
        Unreachable,
        Stopped,
        Unknown,
        RolledBack,
        RollbackIncomplete,
    ] {
        let mut run = summary(&data::success(1, false));
        run.status = status;
        let text = human::render(&run, false, 80);
        let (_, advice) = text.split_once("How to go on\n").unwrap();
        assert_eq!(advice.contains("keybook rollback"), status != RolledBack, "{advice}");
        let resumable = !matches!(status, Done | RolledBack | RollbackIncomplete);
        assert_eq!(advice.contains("keybook resume"), resumable, "{advice}");
    }
}

#[test]
fn a_fault_in_full() {
    insta::assert_snapshot!(render_fault(&data::fault(), false, 60));
}

#[test]
fn a_card() {
    let steps = data::steps();
    let hosts = ["node-1".to_owned()];
    let diffs = data::diffs();
    let lines = [
        "write 3 files below /srv/kubernetes".to_owned(),
        format!("cp --preserve=all {}", "/very-long".repeat(9)),
    ];
    let at = Span::new("runbooks/tos-etcd-ca/runbook.yaml", 42, 7, 8);
    let card = Card {
        step: &steps[2],
        position: Some((3, 6)),
        hosts: &hosts,
        item: Some("etcd.pem"),
        at: Some(&at),
        change: &Change::Will,
        lines: &lines,
        diffs: &diffs,
        trust: &[],
        sandbox: true,
    };
    insta::assert_snapshot!(render_card(&card, false, 60));
    let unknown = Change::CannotKnow("the file is made by an earlier step".into());
    let card = Card {
        step: &steps[5],
        diffs: &[],
        lines: &[],
        change: &unknown,
        position: None,
        item: None,
        ..card
    };
    insta::assert_snapshot!(render_card(&card, false, 60));
}

#[test]
fn the_history() {
    let rows: Vec<_> = [data::success(3, true), data::failure(), data::killed(), data::rolled_back(&["x"])]
        .iter()
        .map(|records| HistoryRow::from(&summary(records)))
        .collect();
    insta::assert_snapshot!(history::render(&rows, &[], false, 80));
    insta::assert_snapshot!(history::render(&[], &[], false, 80));
}

/// What is said when a run comes to rest.
fn ending(journal: &Journal) -> String {
    human::ending(&summary(&journal.records), false, 80)
}

#[test]
fn what_was_skipped_is_listed_at_the_end() {
    let mut journal = Journal::open(3, false);
    let skipped = |reason, detail: &str| Event::UnitSkipped { reason, detail: detail.into() };
    journal.unit("install@node-2", skipped(SkipReason::Operator, "out for repair"));
    journal.unit("install@node-1", skipped(SkipReason::AlreadyDone, "its check says so"));
    journal.unit("install@node-3", skipped(SkipReason::AlreadyDone, "its check says so"));
    journal.end(RunStatus::Done, 0, "", &[]);
    let (_, list) =
        ending(&journal).split_once("Skipped\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(
        list.starts_with(
            "  - install@node-2: left out by the operator: out for repair\n  - 2 units: already so\n\n"
        ),
        "{list}"
    );
    let mut journal = Journal::open(1, false);
    journal.end(RunStatus::Done, 0, "", &[]);
    assert!(!ending(&journal).contains("Skipped"));
}

#[test]
fn a_run_that_waits_says_for_which_unit() {
    let mut journal = Journal::open(2, false);
    journal.gate("install@node-1", 5);
    journal.unit("install@node-2", Event::GateAsked { question: "Go?".into(), irreversible: false });
    journal.end(RunStatus::Waiting, 3, "nobody answered", &[]);
    let text = ending(&journal);
    let commands: Vec<&str> = text.lines().filter(|line| line.contains("keybook approve")).collect();
    assert_eq!(
        commands,
        ["  keybook approve 20230110-101532-9f3a install@node-2  answer the open gate from"],
        "{text}"
    );
    assert!(!text.contains("UNIT"), "{text}");

    let long = r#"site/server/pair/install@mail-node-2.example.org#{"daemon":"imap","host":"mail-1"}"#;
    journal.unit(long, Event::GateAsked { question: "Go?".into(), irreversible: false });
    journal.end(RunStatus::Waiting, 3, "nobody answered", &[]);
    let text = ending(&journal);
    let whole = text.replace(" \\\n   ", "");
    assert!(whole.contains("keybook approve 20230110-101532-9f3a 'site/server"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn steps_inside_stand_below_their_step() {
    let text = human::render(&summary(&data::success(2, true)), false, 80);
    assert!(text.contains("\n  4 Restart etcd node by node\n"), "{text}");
    assert!(text.contains("\n  5   Stop the static pods  [static_pod.stop]\n      node-1 "), "{text}");
}

#[test]
fn a_path_is_not_broken_where_it_fits_in_a_line() {
    let path = format!("/var/lib/keybook/20230110-101532-9f3a/staging/{}.pem", "n".repeat(20));
    let mut journal = Journal::open(1, false);
    journal.intent("install@node-1", 1, "file.put", &[&path]);
    journal
        .unit("install@node-1", Event::UnitUndoIntent { how: "restore".into(), paths: vec![path.clone()] });
    journal.unit("install@node-1", Event::UnitUndone { how: "restore".into() });
    let text = human::render(&summary(&journal.records), false, 80);
    assert!(text.contains(&format!("taken back by:\n        restore\n        {path}\n")), "{text}");
}

#[test]
fn what_changed_nothing_has_nothing_to_take_back() {
    let mut journal = Journal::open(1, false);
    journal.look(1);
    for id in ["look@node-1", "bounce/stop@node-1", "bounce@node-1"] {
        if id.starts_with("bounce") {
            journal.done(id, 1, 5, json!(null));
        }
        journal.unit(id, Event::UnitUndoIntent { how: "nothing".into(), paths: Vec::new() });
        journal.unit(id, Event::UnitUndone { how: "nothing".into() });
    }
    let text = human::render(&summary(&journal.records), false, 80);
    assert!(!text.contains("taken back by"), "{text}");
    assert_eq!(text.matches("nothing to take back").count(), 2, "{text}");
    assert_eq!(text.matches("has no way back of its own").count(), 1, "{text}");
}
