//! The model that all reports are made from.

use crate::data::{self, Journal, certificate};
use keybook_api::{
    Change, Event, Record,
    event::{RunStatus, Touched},
};
use keybook_report::{
    HistoryRow, RunSummary, jsonl,
    summary::{Mode, UnitStatus},
};
use serde_json::{Value as Json, json};

pub fn summary(records: &[Record]) -> RunSummary {
    RunSummary::from_records(records.iter()).unwrap()
}

fn unit<'a>(run: &'a RunSummary, id: &str) -> &'a keybook_report::summary::UnitSummary {
    let id = data::unit(id);
    let step = run.steps.iter().find(|step| step.path == id.step).unwrap();
    step.units.iter().find(|unit| unit.host == id.host && unit.item == id.item).unwrap()
}

#[test]
fn a_run_is_told_by_its_records() {
    let run = summary(&data::success(3, true));
    assert_eq!((run.status, run.exit, run.sandbox), (RunStatus::Done, Some(0), true));
    assert_eq!(run.owed, Vec::<String>::new());
    let install = unit(&run, "install@node-2");
    assert_eq!(
        (install.status, install.changed, install.took_ms),
        (UnitStatus::Done, Some(true), Some(1_830))
    );
    let gate = &install.gates[0];
    assert_eq!((gate.by.as_str(), gate.answered_at.is_some()), ("anna@bastion", true));
    assert_eq!(install.backups[0].count, 2);
    // Gates: 21 s + 10.5 s + 7 s + 9 s with nothing else under way.
    assert_eq!(run.times.waiting_ms, 47_500);
    assert_eq!(run.times.total_ms, run.times.working_ms + run.times.waiting_ms + run.times.resting_ms);
}

#[test]
fn the_json_form_is_pinned() {
    let run = summary(&data::failure()).with_head("ee".repeat(32));
    insta::assert_snapshot!(run.to_json().unwrap());
}

#[test]
fn certificates_are_paired_by_host_and_place() {
    let run = summary(&data::success(2, false));
    let shown: Vec<_> = run
        .certificates
        .iter()
        .map(|one| (one.host.as_str(), one.place.as_str(), one.created, one.changed(), one.taken_back))
        .collect();
    assert_eq!(
        shown,
        [
            ("node-1", "/srv/kubernetes/etcd-ca.pem", false, true, false),
            ("node-1", "/srv/kubernetes/etcd.pem", false, true, false),
            ("node-2", "/srv/kubernetes/etcd-ca.pem", false, true, false),
            ("node-2", "/srv/kubernetes/etcd.pem", false, true, false),
            ("node-1", "/var/lib/keybook/r/staging/etcd-ca-new.pem", true, false, false),
        ]
    );
    assert!(run.certificates[0].first.seen < run.certificates[0].last.seen);
}

#[test]
fn a_bundle_is_not_one_certificate_that_changed() {
    let mut journal = Journal::open(1, false);
    let ca = |print| certificate("/etc/ca.pem", "CN=ca", "2020-01-01", "2030-01-01", print);
    journal.done("look@node-1", 1, 5, json!({"bundle": [ca("a1a1a1a1"), ca("b2b2b2b2")]}));
    journal.done("look@node-1", 1, 5, json!({"bundle": [ca("a1a1a1a1"), ca("b2b2b2b2")]}));
    let run = summary(&journal.records);
    let places: Vec<_> = run.certificates.iter().map(|one| (one.place.as_str(), one.changed())).collect();
    assert_eq!(places, [("/etc/ca.pem", false), ("/etc/ca.pem (no. 2)", false)]);
}

#[test]
fn served_certificates_are_keyed_by_endpoint_and_bad_ones_left_out() {
    let mut journal = Journal::open(1, false);
    let mut served = certificate("x", "CN=etcd", "2020-01-01", "2030-01-01", "a1a1a1a1");
    served.as_object_mut().unwrap().remove("path");
    let nowhere = served.clone();
    served["endpoint"] = json!("node-1:4001");
    let mut undated = served.clone();
    undated["endpoint"] = json!("node-1:2380");
    for key in ["not_after", "not_after_unix"] {
        undated.as_object_mut().unwrap().remove(key);
    }
    let mut written = served.clone();
    written["endpoint"] = json!("node-1:6443");
    written.as_object_mut().unwrap().remove("not_after_unix");
    journal.done("look@node-1", 1, 5, json!({"deep": {"er": [[served, nowhere, undated, written]]}}));
    let run = summary(&journal.records);
    let places: Vec<_> = run.certificates.iter().map(|one| one.place.as_str()).collect();
    assert_eq!(places, ["node-1:4001", "node-1:6443"]);
    assert_eq!(run.certificates[1].last.not_after_unix, 1_893_456_000);
}

#[test]
fn every_prefix_of_a_journal_is_told() {
    for records in [data::success(2, false), data::failure(), data::rolled_back(&[])] {
        for length in 1..=records.len() {
            let run = summary(&records[..length]);
            assert_eq!(run.records, length as u64);
            assert_eq!(run.ended.is_none(), run.status == RunStatus::Running, "after {length}");
            assert_eq!(
                run.times.total_ms,
                run.times.working_ms + run.times.waiting_ms + run.times.resting_ms
            );
            keybook_report::human::render(&run, false, 80);
            keybook_report::html::render(&run);
        }
    }
    assert_eq!(RunSummary::from_records([].iter()), None);
    assert_eq!(RunSummary::from_records(data::killed()[1..].iter()), None);
}

#[test]
fn a_killed_run_says_so() {
    let run = summary(&data::killed());
    assert_eq!((run.status_text.as_str(), run.exit, run.ended.as_deref()), ("running or killed", None, None));
    assert_eq!(unit(&run, "install@node-2").status, UnitStatus::UnderWay);
    assert_eq!(run.owed, ["restart-etcd@node-1"]);
}

#[test]
fn attempts_start_afresh_and_faults_stay() {
    let run = summary(&data::failure());
    let install = unit(&run, "install@node-2");
    assert_eq!((install.attempts, install.status), (2, UnitStatus::Failed));
    let faults: Vec<_> = install.faults.iter().map(|one| (one.attempt, one.before_effect)).collect();
    assert_eq!(faults, [(1, false), (2, true)]);
    assert_eq!(install.output_lines, 0);
    assert_eq!(run.operators, ["anna@bastion", "ci@runner"]);
    assert_eq!((run.mode, run.resumes[0].accepted.len()), (Mode::Unattended, 1));
    assert_eq!(run.times.resting_ms, 3_600_000);
}

#[test]
fn a_rollback_takes_certificates_back() {
    let run = summary(&data::rolled_back(&[]));
    assert_eq!(run.rollback.as_ref().unwrap().compared, Some(14));
    assert_eq!(unit(&run, "install@node-1").status, UnitStatus::Undone);
    assert_eq!(unit(&run, "install@node-2").status, UnitStatus::NotDone);
    let back: Vec<_> = run.certificates.iter().map(|one| (one.host.as_str(), one.taken_back)).collect();
    assert_eq!(
        back,
        [("node-1", true), ("node-1", true), ("node-2", false), ("node-2", false), ("node-1", true)]
    );
}

#[test]
fn a_unit_that_cannot_be_taken_back_is_shown_first() {
    let mut journal = Journal { records: data::killed(), ..Journal::open(1, false) };
    journal.add(Event::RollbackStarted {
        by: "anna".into(),
        reason: String::new(),
        accepted: Vec::new(),
        pinned: None,
    });
    let id = "install@node-1";
    journal.unit(id, Event::UnitUndoIntent { how: "restore".into(), paths: vec!["/srv/kubernetes".into()] });
    assert_eq!(unit(&summary(&journal.records), id).status, UnitStatus::Undoing);
    journal.unit(id, Event::UnitUndoFailed { fault: data::fault() });
    let run = summary(&journal.records);
    assert_eq!(unit(&run, id).status, UnitStatus::UndoFailed);
    assert!(run.certificates.iter().all(|one| !one.taken_back));
    let page = keybook_report::html::render(&run);
    let attention = page.find("id=\"attention\"").unwrap();
    assert!(page[attention..page.find("id=\"certificates\"").unwrap()].contains("the disk is full"));
    assert!(keybook_report::human::render(&run, false, 80).contains("undo failed"));
}

#[test]
fn work_after_an_end_reopens_the_run() {
    let mut journal = Journal { records: data::failure(), ..Journal::open(1, false) };
    journal.add(Event::LockTaken { hosts: Vec::new() });
    assert_eq!(summary(&journal.records).status, RunStatus::Unreachable);
    journal.add(Event::RollbackStarted {
        by: "anna".into(),
        reason: String::new(),
        accepted: Vec::new(),
        pinned: None,
    });
    let run = summary(&journal.records);
    assert_eq!((run.status, run.exit, run.reason.as_str()), (RunStatus::Running, None, ""));
}

#[test]
fn the_stream_is_the_journal() {
    for record in data::failure() {
        let mut out = Vec::new();
        jsonl::write(&record, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}

#[test]
fn history_counts_hosts_and_time() {
    let row = HistoryRow::from(&summary(&data::success(5, true)));
    assert_eq!((row.hosts, row.sandbox, row.status), (5, true, RunStatus::Done));
    let json: serde_json::Value =
        serde_json::from_str(&keybook_report::history::to_json(&[row], &[]).unwrap()).unwrap();
    assert_eq!(json["v"], 1);
    assert_eq!(json["runs"][0]["status"], "done");
}

#[test]
fn faults_survive_the_journal() {
    use keybook_api::FaultKind::*;
    for kind in [Failed, Usage, Waiting, Unreachable, Locked, Stopped, TimedOut, Unknown] {
        let before = keybook_api::Fault { kind, ..keybook_api::Fault::from(&data::fault()) };
        assert_eq!(keybook_api::Fault::from(&keybook_api::event::FaultInfo::from(&before)), before);
        assert_eq!(keybook_api::FaultKind::of_word(kind.word()), kind);
    }
    assert_eq!(TimedOut.word(), "timed-out");
    assert_eq!(keybook_api::FaultKind::of_word("from-the-future"), Failed);
}

#[test]
fn a_file_that_was_overwritten_and_not_read_since_is_not_called_unchanged() {
    let mut journal = Journal::open(1, false);
    let ca = certificate("/etc/ca.pem", "CN=ca", "2020-01-01", "2030-01-01", "a1a1a1a1");
    journal.done("look@node-1", 1, 5, ca.clone());
    journal.intent("put@node-1", 1, "file.copy", &["/etc/ca.pem"]);
    let run = summary(&journal.records);
    assert!(run.certificates[0].touched_since);
    assert!(keybook_report::human::render(&run, false, 80).contains("not read since"));
    journal.done("look-again@node-1", 1, 5, ca);
    assert!(!summary(&journal.records).certificates[0].touched_since);
}

#[test]
fn after_a_rollback_nothing_is_shown_as_if_it_stood() {
    let mut journal = Journal::open(1, false);
    let made = certificate("/staging/new.pem", "CN=new", "2023-01-10", "2033-01-01", "c1c1c1c1");
    journal.intent("make@node-1", 1, "x509.issue", &["/staging/new.pem"]).done(
        "make@node-1",
        1,
        5,
        made.clone(),
    );
    let served = |print: &str| {
        let mut seen = certificate("", "CN=new", "2023-01-10", "2033-01-01", print);
        seen.as_object_mut().unwrap().remove("path");
        seen["endpoint"] = json!("192.0.2.11:993");
        seen
    };
    journal.done("served@node-1", 1, 5, served("c1c1c1c1"));
    let by = || "anna@bastion".to_owned();
    journal.add(Event::RollbackStarted { by: by(), reason: by(), accepted: Vec::new(), pinned: None });
    let paths = vec!["/staging/new.pem".to_owned()];
    journal.unit("make@node-1", Event::UnitUndoIntent { how: "restore".into(), paths });
    journal.unit("make@node-1", Event::UnitUndone { how: "restore".into() });
    let told = keybook_report::human::ending(&summary(&journal.records), false, 80);
    assert!(told.contains("then removed by the rollback") && !told.contains("put back"), "{told}");
    assert_eq!(told.matches("seen before the rollback; not read since").count(), 1, "{told}");
    let page = keybook_report::html::render(&summary(&journal.records));
    assert!(page.contains("removed by the rollback") && page.contains("seen before the rollback"));

    journal.done("rollback/1/served@node-1", 1, 5, served("b0b0b0b0"));
    assert!(!summary(&journal.records).certificates[1].touched_since);
}

/// How many units the end of a run says changed something.
fn changed(journal: &Journal) -> String {
    let told = keybook_report::human::ending(&summary(&journal.records), false, 80);
    told.lines()
        .find(|line| line.contains("units "))
        .unwrap()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn touched(path: &str, there: bool) -> Touched {
    let before = there.then(|| data::entry(path));
    Touched { path: path.to_owned(), before }
}

fn failed(wrote: Vec<Touched>) -> Event {
    Event::UnitFailed { fault: data::fault(), before_effect: false, only_trust: false, wrote, took_ms: 1 }
}

#[test]
fn what_failed_and_changed_something_is_counted() {
    for (there, count) in [(false, 0), (true, 1)] {
        let mut journal = Journal::open(1, false);
        journal.intent("put@node-1", 1, "file.put", &["/etc/f"]);
        journal.unit("put@node-1", failed(vec![touched("/etc/f", there)]));
        // A later attempt finds it as it is to be.
        assert_eq!(changed(&journal), format!("units 1 unit, {count} of them changed something"));
        journal.push(
            Some("put@node-1"),
            2,
            Event::UnitDone { result: json!(null), changed: false, wrote: Vec::new(), took_ms: 1 },
        );
        assert_eq!(changed(&journal), format!("units 1 unit, {count} of them changed something"));
    }
}

#[test]
fn a_script_that_failed_has_changed_what_its_calls_changed() {
    let call = |changed| Event::CallDone {
        ordinal: 0,
        action: "file.put".into(),
        host: None,
        args: Default::default(),
        args_digest: String::new(),
        result: json!(null),
        withheld: None,
        changed,
        wrote: Vec::new(),
    };
    let intent = Event::CallIntent {
        ordinal: 1,
        action: "file.put".into(),
        args: Default::default(),
        args_digest: String::new(),
        withheld: false,
        memo: json!(null),
        touches: vec![touched("/etc/f", false)],
        receipts: 1,
    };
    let call_failed = |there| Event::CallFailed {
        ordinal: 1,
        action: "file.put".into(),
        host: None,
        args: Default::default(),
        args_digest: String::new(),
        fault: data::fault(),
        before_effect: false,
        wrote: vec![touched("/etc/f", there)],
    };
    for (events, count) in [
        (vec![call(false)], 0),
        (vec![call(true)], 1),
        (vec![call(false), intent.clone(), call_failed(false)], 0),
        (vec![call(false), intent.clone(), call_failed(true)], 1),
    ] {
        let mut journal = Journal::open(1, false);
        journal.intent("s@node-1", 1, "script", &[]);
        for event in events.into_iter().chain([failed(Vec::new())]) {
            journal.unit("s@node-1", event);
        }
        assert_eq!(changed(&journal), format!("units 1 unit, {count} of them changed something"));
    }
}

/// What was first seen after the run's change is not how it was before: not with one sighting, nor after a rollback.
#[test]
fn what_was_not_seen_before_the_change_is_not_told_as_before() {
    let (old, new) = ("a1a1a1a1", "b2b2b2b2");
    let served = |print: &str| {
        let mut served = certificate("x", "CN=etcd", "2020-01-01", "2030-01-01", print);
        served.as_object_mut().unwrap().remove("path");
        served["endpoint"] = json!("node-1:2379");
        served
    };
    let file = |print: &str| certificate("/srv/k/etcd.pem", "CN=etcd", "2020-01-01", "2030-01-01", print);
    let rollback = || Event::RollbackStarted {
        by: "anna".into(),
        reason: String::new(),
        accepted: Vec::new(),
        pinned: None,
    };
    let reads = |journal: &mut Journal, id: &str, result: Json| {
        let intent = data::intent(&[], true);
        journal.unit(id, intent);
        journal.unit(id, Event::UnitApplied { result, changed: false });
    };
    // A read before the change tells how it was.
    let mut journal = Journal::open(1, false);
    reads(&mut journal, "look@node-1", json!([served(old), file(old)]));
    journal.unit("install@node-1", data::intent(&["/srv/k/etcd.pem"], true));
    reads(&mut journal, "check@node-1", json!([served(new), file(new)]));
    let run = summary(&journal.records);
    assert!(run.certificates.iter().all(|one| one.changed() && !one.unseen_before));
    assert_eq!(keybook_report::human::render(&run, false, 80).matches("before ").count(), 2);
    // What was written in the run's own folder is no change of what is served.
    let mut journal = Journal::open(1, false);
    let staged = format!("/var/lib/keybook/{}/staging/new.pem", journal.records[0].run);
    journal.unit("install@node-1", data::intent(&[&staged], false));
    reads(&mut journal, "check@node-1", served(old));
    assert!(!summary(&journal.records).certificates[0].unseen_before);

    // Named paths; and a command that names none.
    for touches in [&["/srv/k/etcd.pem"][..], &[]] {
        let mut journal = Journal::open(1, false);
        journal.unit("install@node-1", data::intent(touches, true));
        journal.unit("install@node-1", Event::UnitApplied { result: Json::Null, changed: true });
        reads(&mut journal, "check@node-1", served(new));
        reads(&mut journal, "again@node-1", served(new));
        let run = summary(&journal.records);
        assert!(run.certificates[0].unseen_before);
        let told = keybook_report::human::render(&run, false, 80);
        assert!(!told.contains("unchanged") && told.contains("not seen before the run's change"), "{told}");
        assert!(!keybook_report::html::render(&run).contains("unchanged, last seen"));

        journal.add(rollback());
        reads(&mut journal, "finally-1/check@node-1", served(old));
        let run = summary(&journal.records);
        let [one] = &run.certificates[..] else { panic!("{:?}", run.certificates) };
        assert!(one.changed() && one.unseen_before && !one.touched_since);
        let told = keybook_report::human::render(&run, false, 80);
        let part = &told[told.find("node-1:2379").unwrap()..];
        let at = |words: &str| part.find(words).unwrap_or_else(|| panic!("{words}: {part}"));
        assert!(at("first ") < at(new) && at(new) < at("last ") && at("last ") < at(old), "{part}");
        assert!(!part.contains("    before ") && !part.contains("    after "), "{part}");
        let page = keybook_report::html::render(&run);
        assert!(page.contains("not seen; first seen") && page.contains("last: until"), "{page}");
    }
    // A file that was there, and was first read after it was replaced.
    let mut journal = Journal::open(1, false);
    journal.unit("install@node-1", data::intent(&["/srv/k/etcd.pem"], true));
    journal.unit("install@node-1", Event::UnitApplied { result: file(new), changed: true });
    let one = summary(&journal.records).certificates.remove(0);
    assert!(one.unseen_before && !one.created && !one.changed() && !one.taken_back);
    // Once it is put back it is another one than was seen.
    journal.add(rollback());
    let paths = vec!["/srv/k/etcd.pem".to_owned()];
    journal.unit("install@node-1", Event::UnitUndoIntent { how: "restore".into(), paths });
    journal.unit("install@node-1", Event::UnitUndone { how: "restore".into() });
    assert!(summary(&journal.records).certificates.remove(0).taken_back);
}

/// A command that a kill interrupted counts as a change, whatever is found of it; but where it never began.
#[test]
fn what_was_found_after_a_kill_may_have_changed_what_is_served() {
    let mut served = certificate("x", "CN=etcd", "2020-01-01", "2030-01-01", "b2b2b2b2");
    served.as_object_mut().unwrap().remove("path");
    served["endpoint"] = json!("node-1:2379");
    let staged = |journal: &Journal| format!("/var/lib/keybook/{}/staging/new.pem", journal.records[0].run);
    let unseen = |verdict: &str, call: bool, own: bool| {
        let mut journal = Journal::open(1, false);
        let touches = [staged(&journal)];
        let touches: Vec<&str> = touches.iter().map(String::as_str).filter(|_| own).collect();
        journal.unit("install@node-1", data::intent(&touches, true));
        let (verdict, reason, by) = (verdict.into(), "found on the host".into(), "action".into());
        let (result, wrote) = (Json::Null, Vec::new());
        let found = match call {
            true => Event::CallReconciled { ordinal: 0, verdict, reason, by, result, withheld: None, wrote },
            false => Event::UnitReconciled { verdict, reason, by, result, wrote },
        };
        journal.unit("install@node-1", found);
        for look in ["check@node-1", "again@node-1"] {
            journal.unit(look, data::intent(&[], true));
            journal.unit(look, Event::UnitApplied { result: served.clone(), changed: false });
        }
        summary(&journal.records).certificates.remove(0).unseen_before
    };
    for call in [false, true] {
        for verdict in ["done", "unknown", "not-done"] {
            assert!(unseen(verdict, call, false), "{verdict}");
            assert!(!unseen(verdict, call, true), "{verdict} in the run's own folder");
        }
        assert!(!unseen("not-begun", call, false));
    }
    // A look that was killed changed nothing.
    let mut journal = Journal::open(1, false);
    let (change, lines, diffs, basis) = (Change::Wont, Vec::new(), Vec::new(), String::new());
    journal.unit("look@node-1", Event::UnitPlanned { change, lines, diffs, basis });
    journal.unit("look@node-1", data::intent(&[], true));
    let (verdict, reason, by) = ("not-done".into(), "found on the host".into(), "action".into());
    let (result, wrote) = (Json::Null, Vec::new());
    journal.unit("look@node-1", Event::UnitReconciled { verdict, reason, by, result, wrote });
    journal.unit("look@node-1", data::intent(&[], true));
    journal.unit("look@node-1", Event::UnitApplied { result: served, changed: false });
    assert!(!summary(&journal.records).certificates[0].unseen_before);
}

/// An attempt that was killed and never looked at again may have changed something, too.
#[test]
fn a_killed_attempt_may_have_changed_what_is_served() {
    let mut served = certificate("x", "CN=etcd", "2020-01-01", "2030-01-01", "b2b2b2b2");
    served.as_object_mut().unwrap().remove("path");
    served["endpoint"] = json!("node-1:2379");
    let mut journal = Journal::open(1, false);
    journal.unit("install@node-1", data::intent(&[], true));
    journal.add(Event::FinallyStarted {});
    journal.unit("finally-1/check@node-1", data::intent(&[], true));
    journal.unit("finally-1/check@node-1", Event::UnitApplied { result: served, changed: false });
    assert!(summary(&journal.records).certificates[0].unseen_before);
}
