//! One unit: its records in order, and every way it can be left out, repeated or fail.

use crate::support::{Bench, How};
use keybook_api::{Event, FaultKind, event::SkipReason, value::map};

fn skipped(bench: &Bench) -> Vec<(SkipReason, String)> {
    let skip = |event| match event {
        Event::UnitSkipped { reason, detail } => (reason, detail),
        other => panic!("{other:?}"),
    };
    bench.events("unit.skipped").into_iter().map(skip).collect()
}

#[tokio::test(start_paused = true)]
async fn the_records_of_a_unit_come_in_their_order() {
    let mut bench = Bench::new(
        "steps:
  - id: install
    hosts: master[0]
    when: inputs.really
    facts: { now: { t.read: { path: /etc/f } } }
    check: facts.now == \"new\"
    gate: { ask: \"Write ${host.name}?\", show: [diff, facts] }
    backup: [/etc/other]
    t.put: { path: /etc/f, content: \"new\" }
    expect: result != \"\"
",
    );
    bench.inputs = map([("really", true.into())]);
    bench.world.put("a", "/etc/f", "old");
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(
        bench.trail("install@a"),
        [
            "unit.facts",
            "unit.planned",
            "gate.asked",
            "gate.answered",
            "unit.intent",
            "backup.taken",
            "unit.applied",
            "unit.done"
        ]
    );
    assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "new");
    let card = bench.person.cards.lock().unwrap()[0].clone();
    assert_eq!(card.question, "Write a?");
    assert_eq!(card.facts.unwrap()["now"], "old");
    let intent = bench.events("unit.intent").remove(0);
    let Event::UnitIntent { touches, .. } = intent else { panic!() };
    assert_eq!(touches[0].path, "/etc/f");
    assert!(touches[0].before.is_some());
    let all = bench.trail("");
    assert_eq!(all.first().unwrap(), "run.opened");
    assert_eq!(all[all.len() - 2..], ["lock.released", "run.ended"]);
    assert_eq!(outcome.head, keybook_core::journal::reader::read(&bench.journal()).unwrap().head);
}

#[tokio::test(start_paused = true)]
async fn a_false_condition_leaves_out_before_anything_is_read() {
    let bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", when: \"1 > 2\", facts: { f: { t.read: { path: /nothing } } }, t.run: { script: effect s } }
",
    );
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.trail("s@a"), ["unit.skipped"]);
    assert_eq!(skipped(&bench)[0].0, SkipReason::When);
    assert_eq!(bench.world.effects("a", "s"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_true_check_leaves_out_what_is_done_already() {
    let bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", facts: { f: { t.read: { path: /etc/f } } }, check: facts.f == \"x\", t.run: { script: effect s } }
",
    );
    bench.world.put("a", "/etc/f", "x");
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.trail("s@a"), ["unit.facts", "unit.skipped"]);
    assert_eq!(skipped(&bench)[0].0, SkipReason::AlreadyDone);
}

#[tokio::test(start_paused = true)]
async fn nothing_to_change_is_left_out_without_a_gate() {
    let bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", gate: { ask: ok }, owes: { what: restart }, t.put: { path: /etc/f, content: x } }
  - { id: pay, hosts: \"master[0]\", when: \"false\", settles: restart, t.note: { text: x } }
",
    );
    bench.world.put("a", "/etc/f", "x");
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.owed.len()), (0, 0));
    assert_eq!(bench.trail("s@a"), ["unit.facts", "unit.planned", "unit.skipped"]);
    assert_eq!(skipped(&bench)[0], (SkipReason::NothingToChange, "/etc/f is so already".to_owned()));
    assert!(bench.person.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wanted_result_is_fetched_although_nothing_changes() {
    let bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", t.put: { path: /etc/f, content: x }, register: written }
  - { id: t, hosts: \"master[0]\", t.note: { text: \"${written}\" } }
",
    );
    bench.world.put("a", "/etc/f", "x");
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.ends(), ["done s@a", "done t@a"]);
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_as_often_as_allowed() {
    let yaml = |times: u32| {
        format!(
            "steps:
  - {{ id: s, hosts: \"master[0]\", t.flaky: {{ name: s, fails: 2 }}, retry: {{ times: {times}, delay: 5s }}, expect: result == 3 }}
"
        )
    };
    let bench = Bench::new(&yaml(3));
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.world.effects("a", "s"), 3);
    let Event::UnitRetried { cause, attempt, of, delay_ms } = bench.events("unit.retried").remove(1) else {
        panic!()
    };
    assert!(cause.contains("try 2 does not work"), "{cause}");
    assert_eq!((attempt, of, delay_ms), (2, 3, 5000));

    let bench = Bench::new(&yaml(2));
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    let fault = outcome.fault.unwrap();
    assert_eq!((fault.host.as_deref(), fault.cause.as_str()), (Some("a"), "try 2 does not work"));
    assert_eq!(fault.at.unwrap().file.as_ref(), "book/runbook.yaml");
    assert_eq!(bench.world.effects("a", "s"), 2);
}

#[tokio::test(start_paused = true)]
async fn until_repeats_a_call_whose_result_is_not_there_yet() {
    let bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", t.count: { path: /etc/n }, retry: { times: 5, delay: 1s, until: result == 3 } }
",
    );
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.world.text("a", "/etc/n").unwrap(), "3");
    assert_eq!(bench.events("unit.retried").len(), 2);

    let bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", t.count: { path: /etc/n }, retry: { times: 2, delay: 1s, until: result == 3 } }
",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    assert!(outcome.reason.contains("it is not so after 2 of 2 tries"), "{}", outcome.reason);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_ended() {
    let bench =
        Bench::new("steps:\n  - { id: s, hosts: \"master[0]\", timeout: 10s, t.run: { script: block } }\n");
    let outcome = bench.start().await;
    // The script's receipt says that it was cut: nobody knows how far it came.
    assert_eq!(outcome.exit, 9, "{}", outcome.reason);
    let failed = bench.events("unit.failed").remove(0);
    let Event::UnitFailed { fault, before_effect, .. } = failed else { panic!() };
    assert_eq!((fault.kind.as_str(), before_effect), ("timed-out", false));
    assert!(fault.cause.contains("longer than 10s"), "{fault:?}");

    // What only reads or waits is in no doubt.
    let bench = Bench::new("steps:\n  - { id: s, timeout: 10s, t.note: { text: wait } }\n");
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.fault.unwrap().kind), (1, FaultKind::TimedOut));
    let Event::UnitFailed { before_effect, .. } = bench.events("unit.failed").remove(0) else { panic!() };
    assert!(before_effect);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_react_to_its_end_is_left_behind() {
    let bench =
        Bench::new("steps:\n  - { id: s, hosts: \"master[0]\", timeout: 10s, t.run: { script: hang } }\n");
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 9);
    let Event::UnitFailed { fault, .. } = bench.events("unit.failed").remove(0) else { panic!() };
    assert_eq!(fault.now_true.as_deref(), Some("it did not react to being ended"));
}

/// In the runbook's words, or with the values that the expression looks at; of a secret step neither.
#[tokio::test(start_paused = true)]
async fn what_is_not_as_demanded_is_told() {
    for (keys, told) in [
        ("expect: { that: result == 2, else: \"${host.name} has ${result}\" }", "a has 1"),
        (
            "expect: result == 2 || facts.old == `x`",
            "`result == 2 || facts.old == `x`` is false: result is 1, facts.old is \"text\"",
        ),
        (
            "retry: { times: 2, until: { that: result > 9, else: \"only ${result}\" } }",
            "it is not so after 2 of 2 tries: only 2",
        ),
        (
            "secret: true, expect: { that: result == 2, else: \"it is ${result}\" }",
            "failed (the step is secret, so no more is told)",
        ),
        ("secret: true, expect: result == 2", "failed (the step is secret, so no more is told)"),
    ] {
        let step = format!(
            "steps:\n  - {{ id: s, hosts: \"master[0]\", facts: {{ old: {{ t.read: {{ path: /etc/old }} }} }}, t.count: {{ path: /etc/n }}, {keys} }}\n"
        );
        let bench = Bench::new(&step);
        bench.world.put("a", "/etc/old", "text");
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, 1, "{keys}");
        let cause = outcome.fault.unwrap().cause;
        assert_eq!(cause, told, "{keys}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_false_expectation_fails_after_the_effect_and_is_tried_anew_on_resume() {
    let bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", t.count: { path: /etc/n }, expect: [\"result > 0\", \"result == 2\"] }
",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    assert!(outcome.reason.contains("`result == 2` is false"), "{}", outcome.reason);
    let at = outcome.fault.unwrap().at.unwrap();
    assert_eq!((at.line, at.column), (10, 85));
    let Event::UnitFailed { before_effect, wrote, .. } = bench.events("unit.failed").remove(0) else {
        panic!()
    };
    assert!(!before_effect);
    assert_eq!(wrote[0].path, "/etc/n");
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let last = bench.records().into_iter().rfind(|record| record.unit.is_some()).unwrap();
    assert_eq!(last.attempt, Some(2));
}

#[tokio::test(start_paused = true)]
async fn results_are_found_by_host_by_item_and_as_the_only_one() {
    let bench = Bench::new(
        "steps:
  - { id: each, hosts: master, t.note: { text: \"on ${host.name}\" }, register: mine }
  - { id: own, hosts: master, t.note: { text: \"${mine}\" }, expect: result == \"on \" + host.name }
  - { id: one, hosts: \"master[1]\", t.note: { text: single }, register: only }
  - { id: other, hosts: manager, t.note: { text: \"${only}\" }, expect: \"result == `single` && by_host.mine.len() == 3\" }
  - { id: items, hosts: \"master[0]\", for_each: \"[`x`, `y`]\", t.note: { text: \"item ${item}\" }, register: looped }
  - { id: same, hosts: \"master[0]\", for_each: \"[`x`, `y`]\", t.note: { text: \"${looped}\" }, expect: result == \"item \" + item }
  - { id: all, hosts: \"master[0]\", t.note: { text: \"${looped.y}\" }, expect: result == \"item y\" }
",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
}

#[tokio::test(start_paused = true)]
async fn a_result_of_several_other_hosts_is_not_guessed() {
    let bench = Bench::new(
        "steps:
  - { id: each, hosts: master, t.note: { text: \"${host.name}\" }, register: mine }
  - { id: other, hosts: manager, t.note: { text: \"${mine}\" } }
",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    assert!(outcome.reason.contains("mine"), "{}", outcome.reason);
}

#[tokio::test(start_paused = true)]
async fn items_are_pinned_for_the_whole_run() {
    let mut bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", for_each: inputs.list, t.judged: { name: \"${item.name}\" }, expect: \"item.name != `y` || inputs.ok\" }
",
    );
    let list = |names: &[&str]| {
        let item = |name: &&str| keybook_api::Value::Map(map([("name", (*name).into())]));
        keybook_api::Value::List(names.iter().map(item).collect())
    };
    bench.inputs = map([("list", list(&["x", "y"])), ("ok", false.into())]);
    assert_eq!(bench.start().await.exit, 1);
    bench.inputs = map([("list", list(&["p", "q", "r"])), ("ok", true.into())]);
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.ends(), ["done s@a#x", "failed s@a#y", "done s@a#y"]);
    assert_eq!(bench.world.effects("a", "p"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_loop_over_nothing_or_over_two_of_one_name_fails() {
    for (list, why) in [
        ("[]", "there is none"),
        ("[#{ a: 1 }][0]", "expected a list, got map"),
        ("[`x`, `y`, `x`]", "two of them have the name `x`"),
    ] {
        let bench = Bench::new(&format!(
            "steps:\n  - {{ id: s, hosts: \"master[0]\", for_each: \"{list}\", t.run: {{ script: effect s }} }}\n"
        ));
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, 1);
        assert!(outcome.reason.contains(why), "{}", outcome.reason);
        assert_eq!(outcome.fault.unwrap().at.unwrap().line, 10);
        assert_eq!(bench.world.effects("a", "s"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_expression_that_fails_names_its_place() {
    let bench = Bench::new(
        "steps:
  - id: s
    hosts: master[0]
    t.note: { text: x }
    expect: result.nothing == 3
",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    let at = outcome.fault.unwrap().at.unwrap();
    assert_eq!((at.line, at.column), (13, 20));
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_not_like_its_original_stops_before_the_effect() {
    let bench = Bench::new(
        "steps:\n  - { id: s, hosts: \"master[0]\", backup: [/etc/f], t.put: { path: /etc/f, content: new } }\n",
    );
    bench.world.put("a", "/etc/f", "old");
    bench.world.trouble("a", "copy", "/etc/f", How::Fails("the disk is full"));
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    let Event::UnitFailed { before_effect, .. } = bench.events("unit.failed").remove(0) else { panic!() };
    assert!(before_effect);
    assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "old");
    assert_eq!(bench.resume().await.exit, 0);
    assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "new");
}

#[tokio::test(start_paused = true)]
async fn what_worked_is_looked_for_and_not_done_again_when_its_files_cannot_be_read_after_it() {
    let unread = |bench: &Bench| {
        bench.world.add_trouble(crate::support::Trouble {
            host: "a",
            call: "tree",
            about: "/etc/f",
            how: How::Fails("permission denied"),
            after: 1,
            times: 1,
        });
    };
    let bench =
        Bench::new("steps:\n  - { id: s, hosts: \"master[0]\", t.put: { path: /etc/f, content: x } }\n");
    unread(&bench);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert!(bench.trail("s@a").contains(&"unit.reconciled".to_owned()));

    let bench = Bench::new("steps:\n  - { id: s, hosts: \"master[0]\", t.count: { path: /etc/f } }\n");
    unread(&bench);
    assert_eq!(bench.start().await.exit, 9);
    assert_eq!(bench.resume().await.exit, 9);
    assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "1");
}
