//! The lines of a run under way.

use crate::data::{self, Journal};
use keybook_api::{Event, Record, event::RunStatus};
use keybook_report::{LiveText, live};

fn lines(records: &[Record], verbosity: u8) -> String {
    let mut live = LiveText::new(verbosity, false, 80);
    let mut out = Vec::new();
    records.iter().for_each(|record| live.write(record, &mut out).unwrap());
    String::from_utf8(out).unwrap()
}

#[test]
fn quiet_keeps_failures_gates_and_the_end() {
    insta::assert_snapshot!(lines(&data::failure(), live::QUIET));
}

#[test]
fn normal_tells_what_happens() {
    insta::assert_snapshot!(lines(&data::success(1, true), live::NORMAL));
}

#[test]
fn everything_is_there_to_be_asked_for() {
    insta::assert_snapshot!(lines(&data::success(1, false), live::ALL));
}

#[test]
fn a_rollback_is_told() {
    insta::assert_snapshot!(lines(&data::rolled_back(&["node-1:/srv/x: missing"]), live::NORMAL));
}

#[test]
fn each_level_adds_lines() {
    let counts: Vec<_> = (live::QUIET..=live::ALL)
        .map(|level| lines(&data::success(2, false), level).lines().count())
        .collect();
    assert!(counts.is_sorted_by(|less, more| less < more), "{counts:?}");
}

#[test]
fn a_learned_run_prefixes_later_lines() {
    let records = data::success(1, true);
    let mut live = LiveText::new(live::QUIET, false, 80);
    live.learn(&records[0]);
    let last = live.text(records.last().unwrap());
    assert!(last.contains(" [SANDBOX] done (exit 0)"), "{last}");
}

#[test]
fn what_needs_no_taking_back_is_told_only_when_asked_for() {
    let mut journal = Journal::open(1, false);
    journal.look(1);
    let id = "look@node-1";
    journal.unit(id, Event::UnitUndoIntent { how: "nothing".into(), paths: Vec::new() });
    journal.unit(id, Event::UnitUndone { how: "nothing".into() });
    assert!(!lines(&journal.records, live::NORMAL).contains("take"));
    let told = lines(&journal.records, live::VERBOSE);
    assert_eq!(told.matches("nothing to take back").count(), 1, "{told}");
    assert!(!told.contains("is being taken back"), "{told}");
}

#[test]
fn the_reason_of_an_end_is_not_said_again_after_the_fault() {
    let mut journal = Journal::open(1, false);
    let fault = data::fault();
    let reason = keybook_api::Fault::from(&fault).to_string();
    let failed =
        Event::UnitFailed { fault, before_effect: false, only_trust: false, wrote: Vec::new(), took_ms: 1 };
    journal.unit("install@node-1", failed);
    journal.end(RunStatus::Failed, 1, &reason, &[]);
    let told = lines(&journal.records, live::NORMAL);
    assert!(told.ends_with(" failed (exit 1)\n"), "{told}");
    assert_eq!(told.matches("the disk is full").count(), 1, "{told}");
}
