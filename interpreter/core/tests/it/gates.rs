//! Gates fail closed.

use crate::support::Bench;
use keybook_api::{
    Event, Secret, Value,
    event::{Answer, RunStatus},
};

const GATED: &str = "steps:
  - { id: s, hosts: master, gate: { ask: \"Do ${host.name}?\" }, t.put: { path: /etc/f, content: new } }
";

fn bench(yaml: &str) -> Bench {
    let bench = Bench::new(yaml).masters(&["a", "b"]);
    for host in ["a", "b"] {
        bench.world.put(host, "/etc/f", "old");
    }
    bench
}

fn both(bench: &Bench) -> [String; 2] {
    ["a", "b"].map(|host| bench.world.text(host, "/etc/f").unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_host_is_asked_and_may_be_skipped() {
    let bench = bench(GATED);
    bench.person.will_answer([Some(Answer::Skip), Some(Answer::Run)]);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0);
    assert_eq!(both(&bench), ["old", "new"]);
    assert_eq!(bench.person.asked(), ["s@a", "s@b"]);
    let Event::UnitSkipped { detail, .. } = bench.events("unit.skipped").remove(0) else { panic!() };
    assert_eq!(detail, "done by hand");
}

#[tokio::test(start_paused = true)]
async fn no_answer_stops_before_anything_is_touched_and_can_be_answered_later() {
    let bench = bench(GATED);
    bench.person.will_answer([None]);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.status), (3, RunStatus::Waiting));
    assert!(outcome.fault.unwrap().hints[0].contains("`s@a`"));
    assert_eq!(both(&bench), ["old", "old"]);
    assert_eq!(bench.world.locked_by("a").as_deref(), Some(crate::support::bench::RUN));
    assert!(bench.events("unit.failed").is_empty());
    assert_eq!(bench.resume().await.exit, 0);
    assert_eq!(both(&bench), ["new", "new"]);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_could_read_is_not_asked() {
    let bench = bench(
        "steps:\n  - { id: s, hosts: master, gate: { ask: \"Use ${inputs.pw}?\" }, t.put: { path: /etc/f, content: new } }\n",
    );
    let inputs = keybook_api::value::map([("pw", Value::Secret(Secret::new("hunter2")))]);
    let bench = Bench { inputs, ..bench };
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    assert!(outcome.reason.contains("it holds a secret, so nobody could read it"), "{}", outcome.reason);
    assert!(bench.person.asked().is_empty());
    assert_eq!(both(&bench), ["old", "old"]);
}

#[tokio::test(start_paused = true)]
async fn stop_rests_and_resume_asks_again() {
    let bench = bench(GATED);
    bench.person.will_answer([Some(Answer::Run), Some(Answer::Stop)]);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.status), (8, RunStatus::Stopped));
    assert_eq!(both(&bench), ["new", "old"]);
    assert_eq!(bench.resume().await.exit, 0);
    assert_eq!(bench.person.asked(), ["s@a", "s@b", "s@b"]);
}

#[tokio::test(start_paused = true)]
async fn roll_back_at_a_gate_takes_everything_back() {
    let bench = bench(GATED);
    bench.person.will_answer([Some(Answer::Run), Some(Answer::RollBack)]);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.status), (5, RunStatus::RolledBack), "{}", outcome.reason);
    assert_eq!(both(&bench), ["old", "old"]);
    assert_eq!(bench.world.locked_by("a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_changes_before_the_answer_is_asked_about_again() {
    let bench = bench(GATED).masters(&["a"]);
    let world = std::sync::Arc::clone(&bench.world);
    let mut times = 0;
    *bench.person.on_gate.lock().unwrap() = Some(Box::new(move |_| {
        times += 1;
        if times == 1 {
            world.put("a", "/etc/f", "somebody else");
        }
    }));
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.person.asked(), ["s@a", "s@a"]);
    let cards = bench.person.cards.lock().unwrap();
    assert_eq!(cards[0].changed, None);
    assert!(cards[1].changed.as_ref().unwrap().contains("/etc/f"));
    assert_eq!(cards[1].plan.diffs[0].before.as_deref(), Some("somebody else"));
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_never_stands_still_is_given_up() {
    let bench = bench(GATED).masters(&["a"]);
    let world = std::sync::Arc::clone(&bench.world);
    let mut times = 0;
    *bench.person.on_gate.lock().unwrap() = Some(Box::new(move |_| {
        times += 1;
        world.put("a", "/etc/f", &times.to_string());
    }));
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    assert!(outcome.reason.contains("it changed each time it was approved"), "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "5");
}

#[tokio::test(start_paused = true)]
async fn what_became_needless_while_asking_is_left_out() {
    let bench = bench(GATED).masters(&["a"]);
    let world = std::sync::Arc::clone(&bench.world);
    *bench.person.on_gate.lock().unwrap() = Some(Box::new(move |_| world.put("a", "/etc/f", "new")));
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.ends(), ["skipped s@a"]);
}

#[tokio::test(start_paused = true)]
async fn the_gate_of_a_step_with_steps_is_asked_again_when_a_file_inside_changes() {
    let bench = bench(
        "steps:
  - id: all
    hosts: master[0]
    gate: { ask: \"All?\", show: [diff] }
    steps:
      - { id: f, t.put: { path: /etc/f, content: new } }
",
    );
    let world = std::sync::Arc::clone(&bench.world);
    let mut times = 0;
    *bench.person.on_gate.lock().unwrap() = Some(Box::new(move |_| {
        times += 1;
        if times == 1 {
            world.put("a", "/etc/f", "somebody else");
        }
    }));
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.person.asked(), ["all@a", "all@a"]);
}

#[tokio::test(start_paused = true)]
async fn answers_given_beforehand_count_by_unit_and_wildcard() {
    let mut bench = bench(GATED);
    bench.answers = "  s@a: run\n  s@*: { skip: \"not this one\" }\n".into();
    *bench.person.otherwise.lock().unwrap() = None;
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(both(&bench), ["new", "old"]);
    assert!(bench.person.asked().is_empty());
    let Event::GateAnswered { by, via, .. } = bench.events("gate.answered").remove(0) else { panic!() };
    assert_eq!((by.as_str(), via), ("answers:3:8", keybook_api::event::Via::Answers));
}

#[tokio::test(start_paused = true)]
async fn a_wildcard_never_opens_the_gate_of_what_cannot_be_taken_back() {
    let yaml = GATED.replace("hosts: master,", "hosts: master, irreversible: \"the old CA is gone\",");
    let mut bench = bench(&yaml);
    bench.answers = "  s@*: run\n".into();
    *bench.person.otherwise.lock().unwrap() = None;
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 3);
    assert_eq!(both(&bench), ["old", "old"]);
    bench.answers = "  s@a: run\n  s@b: run\n".into();
    assert_eq!(bench.resume().await.exit, 0);
}

#[tokio::test(start_paused = true)]
async fn step_by_step_asks_before_every_change_and_only_then() {
    let mut bench = bench(
        "steps:
  - { id: look, hosts: \"master[0]\", t.read: { path: /etc/f } }
  - { id: same, hosts: \"master[0]\", t.put: { path: /etc/f, content: old } }
  - { id: change, hosts: \"master[0]\", t.put: { path: /etc/f, content: new } }
  - { id: say, hosts: \"master[0]\", t.note: { text: hello } }
",
    );
    bench.options.ask_each = true;
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.person.asked(), ["change@a"]);
}

/// Somebody who skipped a unit may want it after all; nothing else is begun again.
#[tokio::test(start_paused = true)]
async fn a_unit_that_was_skipped_is_asked_about_again_when_somebody_wants_it() {
    let mut bench = Bench::new(
        "steps:
  - id: install
    hosts: master
    gate: { ask: ok }
    steps: [ { id: put, t.put: { path: /etc/f, content: new } } ]
  - { id: none, hosts: \"master[0]\", when: 1 == 2, t.note: { text: x } }
  - { id: same, hosts: master, expect: 'result == \"new\"', t.read: { path: /etc/f } }
",
    )
    .masters(&["a", "b"]);
    bench.world.put("a", "/etc/f", "old");
    bench.person.will_answer([Some(Answer::Skip), Some(Answer::Run)]);
    assert_eq!(bench.start().await.exit, 1);
    for wrong in ["install@b", "none@a", "nothing@a"] {
        bench.options.again = vec![wrong.to_owned()];
        let refused = bench.try_resume().await.unwrap_err();
        assert_eq!(
            (refused.cause.as_str(), &refused.hints),
            ("nobody left it out", &vec!["left out: install@a".to_owned()])
        );
    }
    bench.options.again = vec!["install@a".to_owned()];
    bench.person.will_answer([Some(Answer::Run)]);
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.person.asked(), ["install@a", "install@b", "install@a"]);
    assert_eq!(bench.world.text("a", "/etc/f").as_deref(), Some("new"));
    bench.options.again.clear();
    assert_eq!(bench.roll_back().await.exit, 5);
    assert_eq!(bench.world.text("a", "/etc/f").as_deref(), Some("old"));
}

/// A run does not come by again inside a step that is through.
#[tokio::test(start_paused = true)]
async fn a_skipped_unit_inside_what_is_through_is_out_of_reach() {
    let mut bench = Bench::new(
        "steps:
  - id: all
    hosts: master
    steps:
      - { id: put, gate: { ask: ok }, t.put: { path: /etc/f, content: new } }
  - { id: fails, hosts: master, t.flaky: { name: f, fails: 1 }, undo: { t.note: { text: x } } }
",
    )
    .masters(&["a"]);
    bench.person.will_answer([Some(Answer::Skip)]);
    assert_eq!(bench.start().await.exit, 1);
    bench.options.again = vec!["all/put@a".to_owned()];
    let refused = bench.try_resume().await.unwrap_err();
    assert_eq!(refused.cause, "it is inside `all@a`, which is through");
}
