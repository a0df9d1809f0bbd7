//! The text reports as they look.

use crate::{data, summary::summary};
use keybook_api::{Change, Span, event::RunStatus};
use keybook_report::{Card, HistoryRow, fault::render_fault, history, human, render_card};

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
    insta::assert_snapshot!(history::render(&rows, false, 80));
    insta::assert_snapshot!(history::render(&[], false, 80));
}
