//! Changes that somebody accepted when a run was resumed: what could not be done any more is refused.

use crate::support::Bench;
use keybook_api::{Event, Fault};
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
