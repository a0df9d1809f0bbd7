//! The lines of a run under way.

use crate::data;
use keybook_api::Record;
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
