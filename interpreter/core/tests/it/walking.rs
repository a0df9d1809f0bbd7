//! The order of steps, hosts and items; obligations; phases; `finally`; stopping.

use crate::support::{Bench, How};
use keybook_api::{
    Event,
    event::{Answer, RunStatus},
};

#[tokio::test(start_paused = true)]
async fn for_each_host_all_children_come_in_order() {
    let bench = Bench::new(
        "steps:
  - id: outer
    hosts: master[:2]
    for_each: \"[`x`, `y`]\"
    steps:
      - { id: one, t.note: { text: \"${item}\" } }
      - { id: two, for_each: \"[1, 2]\", t.note: { text: \"${item}\" } }
",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let mut wanted = Vec::new();
    for host in ["a", "b"] {
        for item in ["x", "y"] {
            wanted.push(format!("done outer/one@{host}#{item}"));
            wanted.push(format!("done outer/two@{host}#{item}#1"));
            wanted.push(format!("done outer/two@{host}#{item}#2"));
            wanted.push(format!("done outer@{host}#{item}"));
        }
    }
    assert_eq!(bench.ends(), wanted);
}

#[tokio::test(start_paused = true)]
async fn a_host_in_two_groups_runs_once_and_children_choose_hosts_of_their_own() {
    let mut bench = Bench::new(
        "steps:
  - { id: both, hosts: [manager, master], t.note: { text: x } }
  - id: local
    steps:
      - { id: there, hosts: manager, t.note: { text: x } }
      - { id: here, t.note: { text: x } }
",
    )
    .masters(&["a", "m"]);
    bench.groups.insert("manager".into(), vec!["m".into()]);
    assert_eq!(bench.start().await.exit, 0);
    let wanted =
        ["done both@m", "done both@a", "done local/there@m", "done local/here@local", "done local@local"];
    assert_eq!(bench.ends(), wanted);
}

#[tokio::test(start_paused = true)]
async fn a_step_with_steps_has_changed_what_its_steps_changed() {
    let bench = Bench::new(
        "steps:
  - id: idle
    hosts: master[0]
    steps: [{ id: one, t.note: { text: x } }]
  - id: busy
    hosts: master[0]
    for_each: \"[`x`, `y`]\"
    steps:
      - { id: note, t.note: { text: x } }
      - { id: run, when: \"item == `y`\", t.run: { script: effect s } }
  - id: around
    steps:
      - { id: there, hosts: \"master[0]\", t.run: { script: effect s } }
",
    );
    assert_eq!(bench.start().await.exit, 0);
    let changed: Vec<String> = bench
        .records()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::UnitDone { changed: true, .. } => Some(record.unit?.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(changed, ["busy/run@a#y", "busy@a#y", "around/there@a", "around@local"]);
}

#[tokio::test(start_paused = true)]
async fn serial_stops_at_the_first_failure() {
    let bench = Bench::new("steps:\n  - { id: s, hosts: master, t.run: { script: effect s } }\n");
    bench.world.trouble("b", "exec", "effect s", How::Fails("no"));
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    assert_eq!(bench.ends(), ["done s@a", "failed s@b"]);
    assert_eq!(bench.world.effects("c", "s"), 0);
    assert_eq!(bench.resume().await.exit, 0);
    assert_eq!(["a", "b", "c"].map(|host| bench.world.effects(host, "s")), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn parallel_goes_on_while_failures_are_tolerated_and_is_not_done_all_the_same() {
    let yaml = |batch: u32, failures: u32| {
        format!(
            "steps:
  - {{ id: s, hosts: master, order: parallel, batch: {batch}, max_failures: {failures}, t.run: {{ script: effect s }} }}
  - {{ id: next, hosts: master, t.run: {{ script: effect next }} }}
"
        )
    };
    for (batch, failures, reached) in [(1, 0, [0, 0, 0]), (1, 1, [0, 1, 1]), (2, 0, [0, 1, 0])] {
        let bench = Bench::new(&yaml(batch, failures));
        bench.world.trouble("a", "exec", "effect s", How::Fails("no"));
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, 1);
        assert_eq!(["a", "b", "c"].map(|host| bench.world.effects(host, "s")), reached, "{batch} {failures}");
        assert_eq!(bench.world.effects("b", "next"), 0);
        assert_eq!(bench.resume().await.exit, 0);
        assert_eq!(["a", "b", "c"].map(|host| bench.world.effects(host, "s")), [1, 1, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_a_batch_of_hosts_is_at_work_at_once() {
    let bench = Bench::new(
        "steps:\n  - { id: s, hosts: master, order: parallel, batch: 2, timeout: 5s, t.note: { text: wait } }\n",
    );
    assert_eq!(bench.start().await.exit, 1);
    let at_work = bench
        .records()
        .iter()
        .take_while(|record| crate::support::bench::name(record) != "unit.failed")
        .filter(|record| matches!(record.event, Event::UnitIntent { .. }))
        .count();
    assert_eq!(at_work, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_at_the_end_fails_the_run() {
    let owing = "  - { id: put, hosts: master, owes: { what: restart, on: master }, t.put: { path: /etc/f, content: x } }\n";
    let unpaid = "  - { id: pay, hosts: master, when: \"false\", settles: restart, t.note: { text: x } }\n";
    let bench = Bench::new(&format!("steps:\n{owing}{unpaid}")).masters(&["a"]);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.owed), (1, vec!["restart@a".to_owned()]));
    assert!(outcome.reason.contains("this is still owed: restart@a"), "{}", outcome.reason);

    let bench = Bench::new(&format!(
        "steps:\n{owing}  - {{ id: pay, hosts: master, settles: restart, t.run: {{ script: effect pay }} }}\n"
    ))
    .masters(&["a", "b"]);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.owed.len()), (0, 0), "{}", outcome.reason);
    assert_eq!(bench.events("obligation.settled").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_hosts_of_the_named_group_owe() {
    let bench = Bench::new(
        "steps:
  - { id: put, hosts: [master, manager], owes: { what: restart, on: master }, t.put: { path: /etc/f, content: x } }
  - { id: pay, hosts: master, settles: restart, t.run: { script: effect pay } }
",
    );
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.events("obligation.raised").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_skipped_settling_pays_nothing() {
    let bench = Bench::new(
        "steps:
  - { id: put, hosts: \"master[0]\", owes: { what: restart }, t.put: { path: /etc/f, content: x } }
  - { id: pay, hosts: \"master[0]\", settles: restart, gate: { ask: ok }, t.run: { script: effect pay } }
",
    );
    bench.person.will_answer([Some(Answer::Skip)]);
    assert_eq!(bench.start().await.exit, 1);
}

#[tokio::test(start_paused = true)]
async fn a_debt_raised_after_its_settling_is_still_owed_on_resume() {
    let bench = Bench::new(
        "steps:
  - { id: one, hosts: \"master[0]\", owes: { what: restart }, t.put: { path: /etc/f, content: x } }
  - { id: pay, hosts: \"master[0]\", settles: restart, t.run: { script: effect pay } }
  - { id: two, hosts: \"master[0]\", owes: { what: restart }, t.put: { path: /etc/g, content: x } }
  - { id: late, hosts: \"master[0]\", when: \"false\", settles: restart, t.note: { text: x } }
",
    );
    for outcome in [bench.start().await, bench.resume().await] {
        assert_eq!((outcome.exit, outcome.owed), (1, vec!["restart@a".to_owned()]));
    }
}

const FINALLY: &str = "steps:
  - { id: one, hosts: \"master[0]\", t.run: { script: effect one } }
  - { id: two, hosts: \"master[0]\", gate: { ask: ok }, t.run: { script: effect two } }
finally:
  - { id: clean, hosts: \"master[0]\", t.run: { script: effect clean } }
";

#[tokio::test(start_paused = true)]
async fn finally_runs_on_success_failure_and_stop() {
    let bench = Bench::new(FINALLY);
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.ends(), ["done one@a", "done two@a", "done finally-1/clean@a"]);

    let bench = Bench::new(FINALLY);
    bench.world.trouble("a", "exec", "effect one", How::Fails("no"));
    assert_eq!(bench.start().await.exit, 1);
    assert_eq!(bench.ends(), ["failed one@a", "done finally-1/clean@a"]);

    let bench = Bench::new(FINALLY);
    bench.person.will_answer([Some(Answer::Stop)]);
    assert_eq!(bench.start().await.exit, 8);
    assert_eq!(bench.ends(), ["done one@a", "done finally-1/clean@a"]);
    assert_eq!(bench.resume().await.exit, 0);
    assert_eq!(bench.world.effects("a", "clean"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failing_finally_fails_the_run() {
    let bench = Bench::new(FINALLY);
    bench.world.trouble("a", "exec", "effect clean", How::Fails("no"));
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    assert_eq!(bench.world.effects("a", "two"), 1);
    assert_eq!(bench.resume().await.exit, 0);
    assert_eq!(bench.world.effects("a", "two"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_on_this_machine_only_has_its_finally_too() {
    let bench = Bench::whole(
        "keybook: 1
name: test
version: 1.0.0
title: t
steps:
  - { id: one, t.run: { script: effect one } }
finally:
  - { id: clean, t.run: { script: effect clean } }
",
    );
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.world.effects("local", "clean"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_phase_can_be_the_end_for_now() {
    let mut bench = Bench::new(
        "phases: [check, change]
steps:
  - { id: one, phase: check, hosts: \"master[0]\", t.run: { script: effect one } }
  - { id: two, phase: change, hosts: \"master[0]\", t.run: { script: effect two } }
",
    );
    bench.options.until = Some("check".into());
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.status), (0, RunStatus::PhaseReached));
    assert_eq!(bench.ends(), ["done one@a"]);
    assert!(bench.world.locked_by("a").is_some());
    bench.options.until = None;
    assert_eq!(bench.resume().await.status, RunStatus::Done);
    assert_eq!(["one", "two"].map(|name| bench.world.effects("a", name)), [1, 1]);
}

/// What was to stop at a phase does not go beyond it because something failed before.
#[tokio::test(start_paused = true)]
async fn a_phase_that_was_not_reached_is_still_the_end_for_now() {
    let mut bench = Bench::new(
        "phases: [check, change]
steps:
  - { id: one, phase: check, hosts: \"master[0]\", t.flaky: { name: one, fails: 1 }, undo: { t.note: { text: x } } }
  - { id: two, phase: change, hosts: \"master[0]\", t.run: { script: effect two } }
",
    );
    bench.options.until = Some("check".into());
    assert_eq!(bench.start().await.exit, 1);
    bench.options.until = None;
    assert_eq!(bench.resume().await.status, RunStatus::PhaseReached);
    let notes = bench.events("run.note");
    let told = |event: &Event| matches!(event, Event::RunNote { text } if text.starts_with("it stops after the phase check"));
    assert!(notes.iter().any(told), "{notes:?}");
    assert_eq!(bench.world.effects("a", "two"), 0);
    assert_eq!(bench.resume().await.status, RunStatus::Done);
}

const ATOMIC: &str = "steps:
  - id: all
    hosts: master
    atomic: ATOMIC
    steps:
      - { id: ask, gate: { ask: ok }, t.run: { script: effect one } }
      - { id: two, t.run: { script: effect two } }
";

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_an_atomic_host_and_for_no_other() {
    for (atomic, two) in [("true", 1), ("false", 0)] {
        let bench = Bench::new(&ATOMIC.replace("ATOMIC", atomic));
        let cancel = bench.cancel.clone();
        *bench.person.on_gate.lock().unwrap() = Some(Box::new(move |_| cancel.cancel()));
        let outcome = bench.start().await;
        assert_eq!((outcome.exit, outcome.status), (8, RunStatus::Stopped), "{}", outcome.reason);
        assert_eq!(["a", "b"].map(|host| bench.world.effects(host, "two")), [two, 0], "atomic: {atomic}");
        let mut again = bench;
        again.cancel = keybook_api::Cancel::new();
        *again.person.on_gate.lock().unwrap() = None;
        let outcome = again.resume().await;
        assert_eq!(outcome.exit, 0, "{}", outcome.reason);
        assert_eq!(["a", "b", "c"].map(|host| again.world.effects(host, "two")), [1, 1, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_what_waits() {
    let bench = Bench::new("steps:\n  - { id: s, hosts: \"master[0]\", t.note: { text: wait } }\n");
    let cancel = bench.cancel.clone();
    let (outcome, ()) = tokio::join!(bench.start(), async move {
        tokio::time::sleep(std::time::Duration::from_secs(30)).await;
        cancel.cancel();
    });
    assert_eq!((outcome.exit, outcome.status), (8, RunStatus::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_mid_effect_looks_once_what_became_of_it() {
    for (verdict, exit) in [("done", 8), ("not-done", 8), ("unknown", 9)] {
        let bench = Bench::new(
            "steps:
  - { id: s, hosts: \"master[0]\", t.judged: { name: \"s\\nblock\" } }
  - { id: next, hosts: \"master[0]\", t.run: { script: effect next } }
",
        );
        bench.world.put("a", "/verdict", verdict);
        let cancel = bench.cancel.clone();
        let (outcome, ()) = tokio::join!(bench.start(), async move {
            tokio::time::sleep(std::time::Duration::from_secs(30)).await;
            cancel.cancel();
        });
        assert_eq!(outcome.exit, exit, "{verdict}: {}", outcome.reason);
        assert_eq!(bench.world.effects("a", "next"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_added_by_a_step_is_known_to_the_next_and_after_a_resume() {
    let bench = Bench::new(
        "steps:
  - { id: add, hosts: \"master[0]\", t.add: { group: added, name: n1 } }
  - { id: stop, hosts: \"master[0]\", gate: { ask: ok }, t.note: { text: x } }
  - { id: there, hosts: added, t.run: { script: effect there } }
",
    );
    bench.person.will_answer([Some(Answer::Stop)]);
    assert_eq!(bench.start().await.exit, 8);
    assert!(matches!(bench.events("host.added")[0], Event::HostAdded { ref host, .. } if host == "n1"));
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.world.effects("n1", "there"), 1);
    assert_eq!(bench.world.locked_by("n1"), None);
    let Event::LockTaken { hosts } = &bench.events("lock.taken")[1] else { panic!() };
    assert_eq!(hosts, &["n1"], "it was locked as soon as it was known");
    let checked = bench.events("preflight.checked").into_iter();
    assert!(
        checked.filter(|event| matches!(event, Event::PreflightChecked { host, .. } if host == "n1")).count()
            > 2
    );
}

/// Another run works on the host that was found: nothing is done there.
#[tokio::test(start_paused = true)]
async fn a_host_added_by_a_step_may_be_held_by_another_run() {
    let bench = Bench::new(
        "steps:
  - { id: add, hosts: \"master[0]\", t.add: { group: added, name: n1 } }
  - { id: there, hosts: added, t.run: { script: effect there } }
",
    );
    bench.world.put(
        "n1",
        "/var/lib/keybook/lock-c1.json",
        "{\"run\":\"other\",\"cluster\":\"c1\",\"holder\":\"somebody\",\"since\":\"2026-01-01T00:00:00Z\"}",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 7, "{}", outcome.reason);
    assert!(outcome.reason.contains("other"), "{}", outcome.reason);
    assert_eq!(bench.world.effects("n1", "there"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_empty_selection_fails_before_its_step() {
    let bench = Bench::new("steps:\n  - { id: s, hosts: added, t.run: { script: effect s } }\n");
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    assert!(
        outcome.reason.contains("no host of the group `added`") || outcome.reason.contains("no group"),
        "{}",
        outcome.reason
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_more_begins_after_a_decision_or_a_doubt_however_many_failures_are_tolerated() {
    let yaml = "steps:
  - { id: s, hosts: master, order: parallel, batch: 1, max_failures: 5, gate: { ask: ok }, t.judged: { name: s } }
";
    for (answer, exit) in [(Some(Answer::Stop), 8), (Some(Answer::RollBack), 5), (None, 3)] {
        let bench = Bench::new(yaml);
        bench.person.will_answer([answer]);
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, exit, "{}", outcome.reason);
        assert_eq!(bench.person.asked(), ["s@a"]);
    }
    let bench = Bench::new(yaml);
    bench.world.trouble("a", "exec", "effect s", How::LostAfter);
    assert_eq!(bench.start().await.exit, 9);
    assert_eq!(bench.person.asked(), ["s@a"]);
}

#[tokio::test(start_paused = true)]
async fn a_skipped_settling_is_begun_again_while_its_debt_is_owed() {
    for pay in [
        "{ id: pay, hosts: \"master[0]\", settles: restart, gate: { ask: ok }, t.run: { script: effect pay } }",
        "{ id: all, hosts: \"master[0]\", settles: restart, steps: [ { id: pay, gate: { ask: ok }, t.run: { script: effect pay } }, { id: health, t.read: { path: /etc/ok } } ] }",
    ] {
        let bench = Bench::new(&format!(
            "steps:
  - {{ id: put, hosts: \"master[0]\", owes: {{ what: restart }}, t.put: {{ path: /etc/f, content: x }} }}
  - {pay}
"
        ));
        bench.person.will_answer([Some(Answer::Skip)]);
        assert_eq!(bench.start().await.exit, 1);
        bench.world.put("a", "/etc/ok", "x");
        let outcome = bench.resume().await;
        assert_eq!((outcome.exit, outcome.owed.len()), (0, 0), "{pay}: {}", outcome.reason);
        assert_eq!(bench.world.effects("a", "pay"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_settling_started_is_not_stopped_again_on_resume() {
    let bench = Bench::new(
        "steps:
  - { id: put, hosts: \"master[0]\", owes: { what: restart }, t.put: { path: /etc/f, content: x } }
  - id: bounce
    hosts: master[0]
    settles: restart
    steps:
      - { id: stop, facts: { down: { t.read: { path: /etc/down } } }, check: facts.down == \"yes\", t.run: { script: effect stop } }
      - { id: start, t.run: { script: \"effect start\\nput /etc/down no\" } }
      - { id: health, t.read: { path: /etc/ok } }
",
    );
    bench.world.put("a", "/etc/down", "yes");
    assert_eq!(bench.start().await.exit, 1);
    bench.world.put("a", "/etc/ok", "x");
    let outcome = bench.resume().await;
    assert_eq!((outcome.exit, outcome.owed.len()), (0, 0), "{}", outcome.reason);
    assert_eq!(["stop", "start"].map(|name| bench.world.effects("a", name)), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_debt_is_paid_although_the_run_was_killed_right_after_its_settling_was_found_done() {
    let mut bench = Bench::new(
        "steps:
  - { id: put, hosts: \"master[0]\", owes: { what: restart }, t.put: { path: /etc/f, content: x } }
  - { id: pay, hosts: \"master[0]\", settles: restart, check: \"1 < 2\", t.run: { script: effect pay } }
",
    );
    let shot =
        bench.shots().await.into_iter().find(|shot| shot.after.contains("unit.skipped pay@a")).unwrap();
    let again = bench.killed_at(&shot);
    let outcome = again.resume().await;
    assert_eq!((outcome.exit, outcome.owed.len()), (0, 0), "{}", outcome.reason);
    assert_eq!(again.world.effects("a", "pay"), 0);
}
