//! Changes that somebody accepted when a run was resumed: what could not be done any more is refused.

use crate::support::Bench;
use keybook_api::{Event, Fault, event::Answer};
use keybook_core::{
    journal::reader,
    run::engine::{self, Outcome},
};

/// Fails once at its last step, when the steps before it are through on their hosts and items.
const STEPS: &str = "steps:
  - { id: put, hosts: \"master[0]\", t.put: { path: /etc/f, content: new } }
  - id: each
    hosts: \"master[0]\"
    for_each: '[\"imap\"]'
    steps:
      - { id: bounce, for_each: '[\"x\"]', t.run: { script: \"effect ${item}\" } }
  - { id: fails, hosts: \"master[0]\", t.flaky: { name: f, fails: 1 }, undo: { t.note: { text: x } } }
";

async fn accept(bench: &Bench) -> Result<Outcome, Fault> {
    let journal = reader::read(&bench.journal()).unwrap();
    engine::resume(bench.setup(), &bench.journal(), &journal, vec!["the runbook".to_owned()]).await
}

async fn begun(steps: &str) -> Bench {
    let bench = Bench::new(steps);
    assert_eq!(bench.start().await.exit, 1);
    bench
}

#[tokio::test(start_paused = true)]
async fn hosts_and_items_that_would_be_left_out_are_refused() {
    for (was, is, step, added) in [
        ("put, hosts: \"master[0]\"", "put, hosts: master", "`put`", "began without the hosts b, c"),
        (
            "id: each\n    hosts: \"master[0]\"",
            "id: each\n    hosts: master",
            "`each`",
            "began without the hosts b, c",
        ),
        ("'[\"imap\"]'", "'[\"imap\", \"smtp\"]'", "`each`", "on a without the item smtp"),
        ("'[\"x\"]'", "'[\"x\", item]'", "`each/bounce`", "on a without the item imap#imap"),
    ] {
        let mut bench = begun(STEPS).await;
        bench.yaml = bench.yaml.replace(was, is);
        let before = bench.records().len();
        let fault = accept(&bench).await.unwrap_err();
        assert!(fault.cause.contains(step) && fault.cause.contains(added), "{is}: {fault}");
        assert_eq!(fault.now_true.as_deref(), Some("nothing was changed"));
        assert!(fault.hints.iter().any(|hint| hint.contains("a run of its own")), "{fault}");
        assert_eq!(bench.records().len(), before, "nothing is recorded, so the run can be resumed as it was");
        bench.yaml = bench.yaml.replace(is, was);
        assert_eq!(accept(&bench).await.unwrap().exit, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_that_the_inventory_has_more_are_refused_for_steps_that_began() {
    let mut bench = begun(&STEPS.replace("put, hosts: \"master[0]\"", "put, hosts: master")).await;
    bench.groups.get_mut("master").unwrap().push("n1".into());
    let fault = accept(&bench).await.unwrap_err();
    assert!(fault.cause.contains("`put`") && fault.cause.contains("the host n1"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_away_is_told_and_gone_on_with() {
    let two = STEPS.replace("'[\"imap\"]'", "'[\"imap\", \"smtp\"]'");
    let mut bench = begun(&two.replace("put, hosts: \"master[0]\"", "put, hosts: \"master[0:2]\"")).await;
    bench.yaml = Bench::new(STEPS).yaml;
    let outcome = accept(&bench).await.unwrap();
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let told =
        |note: &Event| matches!(note, Event::RunNote { text } if text.contains("b") || text.contains("smtp"));
    let notes = bench.events("run.note");
    assert_eq!(notes.iter().filter(|note| told(note)).count(), 2, "{notes:?}");
}

/// What is found while running may be more than when the loop began, without any change of the runbook.
#[tokio::test(start_paused = true)]
async fn items_and_hosts_that_the_run_itself_found_later_are_not_refused() {
    let bench = begun(
        "steps:
  - id: all
    hosts: \"master[0:2]\"
    steps:
      - { id: look, t.run: { script: \"effect look\" }, register: seen }
      - { id: each, for_each: by_host.seen.keys(), t.run: { script: \"effect x\" } }
  - { id: add, t.add: { group: added, name: n1 } }
  - { id: there, hosts: added, t.run: { script: \"effect there\" } }
  - { id: add2, t.add: { group: added, name: m } }
  - { id: fails, hosts: \"master[0]\", t.flaky: { name: f, fails: 1 }, undo: { t.note: { text: x } } }
",
    )
    .await;
    let outcome = accept(&bench).await.unwrap();
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let notes = bench.events("run.note");
    let told = |note: &Event| matches!(note, Event::RunNote { text } if text.contains("`all/each`"));
    assert_eq!(notes.iter().filter(|note| told(note)).count(), 1, "{notes:?}");
}

/// What the notes of a run say.
fn notes(bench: &Bench) -> String {
    let notes = bench.events("run.note").into_iter().map(|note| match note {
        Event::RunNote { text } => text,
        other => panic!("{other:?}"),
    });
    notes.collect::<Vec<_>>().join("\n")
}

/// A refusal that leaves the run as it was.
async fn refused(bench: &Bench) -> Fault {
    let before = bench.records().len();
    let fault = accept(bench).await.unwrap_err();
    assert_eq!(fault.now_true.as_deref(), Some("nothing was changed"));
    assert_eq!(bench.records().len(), before, "nothing is recorded, so the run can be resumed as it was");
    fault
}

/// Stops at the second item, with which nothing is done yet.
const ITEMS: &str = "steps:
  - id: put
    hosts: \"master[0]\"
    for_each: '[#{ id: \"one\", path: \"/etc/1\" }, #{ id: \"two\", path: \"/etc/wrong\" }]'
    gate: { ask: \"Write ${item.path}?\" }
    t.put: { path: \"${item.path}\", content: new }
";

async fn begun_items() -> Bench {
    let bench = Bench::new(ITEMS);
    bench.person.will_answer([Some(Answer::Run), None]);
    assert_eq!(bench.start().await.exit, 3);
    bench
}

#[tokio::test(start_paused = true)]
async fn an_item_with_which_nothing_was_done_is_taken_as_it_is_now() {
    let mut bench = begun_items().await;
    bench.yaml = bench.yaml.replace("/etc/wrong", "/etc/2");
    assert_eq!(accept(&bench).await.unwrap().exit, 0);
    assert_eq!(bench.world.text("a", "/etc/2").as_deref(), Some("new"));
    assert_eq!(bench.world.text("a", "/etc/wrong"), None);
    assert!(notes(&bench).contains("`put` takes the item two on a as it is now"), "{}", notes(&bench));
    // What the resume pinned holds for later ones, and for a rollback.
    assert_eq!(bench.roll_back().await.exit, 5);
    assert_eq!(bench.world.text("a", "/etc/2"), None);
}

#[tokio::test(start_paused = true)]
async fn an_item_with_which_something_was_done_is_not_taken_as_it_is_now() {
    let mut bench = begun_items().await;
    bench.yaml = bench.yaml.replace("/etc/1", "/etc/other");
    let fault = refused(&bench).await;
    assert!(fault.cause.contains("`put` began on a with another item one"), "{fault}");
    assert!(fault.cause.contains("runbook.yaml:"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn an_item_of_which_other_items_were_made_is_not_taken_as_it_is_now() {
    let mut bench = begun(
        "steps:
  - id: each
    hosts: \"master[0]\"
    for_each: '[#{ id: \"one\", names: [\"x\"] }]'
    steps:
      - { id: inner, for_each: item.names, t.flaky: { name: f, fails: 1 }, undo: { t.note: { text: x } } }
",
    )
    .await;
    bench.yaml = bench.yaml.replace("[\"x\"]", "[\"y\"]");
    let fault = refused(&bench).await;
    assert!(fault.cause.contains("`each` began on a with another item one"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_was_begun_and_is_not_there_any_more_is_refused() {
    let mut bench = begun(STEPS).await;
    bench.yaml = bench.yaml.replace("id: put", "id: put2").replace("id: bounce", "id: bounce2");
    let fault = refused(&bench).await;
    for lost in ["`put` was begun on a,", "`each/bounce` was begun on a,"] {
        assert!(fault.cause.contains(lost), "{fault}");
    }
    bench.yaml = bench.yaml.replace("id: put2", "id: put").replace("id: bounce2", "id: bounce");
    assert_eq!(accept(&bench).await.unwrap().exit, 0);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_only_waited_may_go() {
    let mut bench = begun_items().await;
    bench.yaml = Bench::new(
        "steps:\n  - { id: other, hosts: \"master[0]\", t.put: { path: /etc/o, content: new } }\n",
    )
    .yaml;
    assert!(refused(&bench).await.cause.contains("`put` was begun on a,"));
    let mut bench = Bench::new(ITEMS);
    bench.person.will_answer([None]);
    assert_eq!(bench.start().await.exit, 3);
    bench.yaml = Bench::new(
        "steps:\n  - { id: other, hosts: \"master[0]\", t.put: { path: /etc/o, content: new } }\n",
    )
    .yaml;
    assert_eq!(accept(&bench).await.unwrap().exit, 0);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_comes_into_one_that_is_done_is_refused() {
    let mut bench = begun(STEPS).await;
    let more = "    steps:\n      - { id: more, t.run: { script: \"effect more\" } }\n";
    bench.yaml = bench.yaml.replacen("    steps:\n", more, 1);
    let fault = refused(&bench).await;
    let says = "`each@a#imap` is done, without the step `more` that is inside it now (";
    assert!(fault.cause.contains(says), "{fault}");
}

/// Two steps that are left out, one of them inside a step that is done, and one that fails once.
const CONDITIONS: &str = "steps:
  - { id: seen, hosts: \"master[0]\", t.run: { script: \"effect seen\" }, register: seen }
  - { id: out, hosts: \"master[0]\", when: 'inputs.more == \"yes\" && by_host.seen.len() == 1', t.put: { path: /etc/f, content: new } }
  - id: around
    hosts: \"master[0]\"
    steps:
      - { id: inside, when: 'inputs.inner == \"yes\"', t.run: { script: \"effect inside\" } }
  - id: both
    hosts: \"master[0:2]\"
    steps:
      - { id: end, t.run: { script: \"effect end\" }, register: end }
      - { id: late, when: by_host.end.len() == 2, t.run: { script: \"effect late\" } }
  - { id: fails, hosts: \"master[0]\", t.flaky: { name: f, fails: 2 }, undo: { t.note: { text: x } } }
";

async fn left_out() -> Bench {
    let mut bench = Bench::new(CONDITIONS);
    for name in ["more", "inner"] {
        bench.inputs.insert(name.into(), "no".into());
    }
    assert_eq!(bench.start().await.exit, 1);
    bench
}

#[tokio::test(start_paused = true)]
async fn what_a_changed_condition_left_out_is_carried_out() {
    let mut bench = left_out().await;
    bench.inputs.insert("more".into(), "yes".into());
    assert_eq!(accept(&bench).await.unwrap().exit, 1);
    assert_eq!(bench.world.text("a", "/etc/f").as_deref(), Some("new"));
    let told = notes(&bench);
    assert!(told.contains("`out@a` was left out by its condition, which holds now"), "{told}");
    assert!(told.contains("`both/late@a` stays left out"), "its own run brought that about: {told}");
    assert_eq!(bench.resume().await.exit, 0);
    assert_eq!(bench.world.effects("a", "late"), 0);
    assert_eq!(bench.world.effects("b", "late"), 1);
}

/// A process that is killed right after the changes were accepted.
#[tokio::test(start_paused = true)]
async fn what_a_changed_condition_left_out_is_carried_out_by_a_later_resume_too() {
    let mut bench = left_out().await;
    bench.inputs.insert("more".into(), "yes".into());
    let tape = bench.tape();
    assert_eq!(accept(&bench).await.unwrap().exit, 1);
    let accepted = |shot: &&crate::support::tape::Shot| {
        let text = String::from_utf8_lossy(&shot.journal).into_owned();
        text.lines().last().is_some_and(|line| line.contains("run.resumed"))
    };
    let shots = tape.shots();
    let again = bench.killed_at(shots.iter().find(accepted).unwrap());
    assert_eq!(again.resume().await.exit, 1);
    assert_eq!(again.world.text("a", "/etc/f").as_deref(), Some("new"));
}

#[tokio::test(start_paused = true)]
async fn what_a_changed_condition_left_out_inside_a_step_that_is_done_is_refused() {
    let mut bench = left_out().await;
    bench.inputs.insert("inner".into(), "yes".into());
    let fault = refused(&bench).await;
    let says = "`around/inside@a` was left out by its condition, which holds now, and `around@a` around it is through (";
    assert!(fault.cause.contains(says), "{fault}");
}

/// Nobody saw it at the gate of the step around it.
#[tokio::test(start_paused = true)]
async fn what_a_changed_condition_left_out_behind_a_gate_is_refused() {
    let yaml = CONDITIONS.replace("id: around", "id: around\n    gate: { ask: \"Go?\" }").replace(
        "  - id: both",
        "      - { id: breaks, t.flaky: { name: g, fails: 1 }, undo: { t.note: { text: x } } }\n  - id: both",
    );
    let mut bench = Bench::new(&yaml);
    for name in ["more", "inner"] {
        bench.inputs.insert(name.into(), "no".into());
    }
    assert_eq!(bench.start().await.exit, 1);
    bench.inputs.insert("inner".into(), "yes".into());
    let fault = refused(&bench).await;
    assert!(fault.cause.contains("the gate of `around@a` around it did not show it"), "{fault}");
}

/// Nothing would settle what it owes once more.
#[tokio::test(start_paused = true)]
async fn what_a_changed_condition_left_out_and_owes_what_was_settled_is_refused() {
    let mut bench = Bench::new(
        "steps:
  - { id: one, hosts: \"master[0]\", owes: { what: x }, t.put: { path: /etc/1, content: new } }
  - { id: two, hosts: \"master[0]\", when: 'inputs.more == \"yes\"', owes: { what: x }, t.put: { path: /etc/2, content: new } }
  - { id: pay, hosts: \"master[0]\", settles: x, t.run: { script: \"effect pay\" } }
  - { id: fails, hosts: \"master[0]\", t.flaky: { name: f, fails: 1 }, undo: { t.note: { text: x } } }
",
    );
    bench.inputs.insert("more".into(), "no".into());
    assert_eq!(bench.start().await.exit, 1);
    bench.inputs.insert("more".into(), "yes".into());
    let fault = refused(&bench).await;
    assert!(fault.cause.contains("`two@a` was left out by its condition, which holds now"), "{fault}");
    assert!(fault.cause.contains("`pay@a`, which settles the `x` that it owes, is done"), "{fault}");
}

/// As in the runbook of the TOS etcd CA: that nodes are missing in a group is found late, after the step for them.
#[tokio::test(start_paused = true)]
async fn a_group_that_had_no_hosts_gets_its_step_when_it_has_some() {
    let mut bench = begun(
        "steps:
  - { id: tos, hosts: \"master[0]\", t.run: { script: \"effect tos\" }, register: tos }
  - id: extra
    when: 'tos != () && \"added\" in groups'
    steps:
      - { id: put, hosts: added, t.put: { path: /etc/f, content: new } }
  - id: bounce
    hosts: \"master[0]\"
    steps:
      - { id: fails, t.flaky: { name: f, fails: 1 }, undo: { t.note: { text: x } } }
",
    )
    .await;
    assert!(bench.ends().contains(&"skipped extra@local".to_owned()), "{:?}", bench.ends());
    bench.groups.insert("added".into(), vec!["n1".into()]);
    assert_eq!(accept(&bench).await.unwrap().exit, 0);
    assert_eq!(bench.world.text("n1", "/etc/f").as_deref(), Some("new"));
}
