//! The hooks of hooks.rhai.

use crate::support::Bench;
use keybook_api::Event;

fn bench(hooks: &str, steps: &str) -> Bench {
    let bench = Bench::new(&format!("steps:\n{steps}"));
    std::fs::write(bench.dir.path().join("hooks.rhai"), hooks).unwrap();
    bench
}

/// Every note, with its unit.
fn notes(bench: &Bench) -> Vec<String> {
    let note = |record: keybook_api::Record| match record.event {
        Event::RunNote { text } => Some(text),
        Event::UnitNote { text } => Some(format!("{}: {text}", record.unit?)),
        _ => None,
    };
    bench.records().into_iter().filter_map(note).collect()
}

const ALL: &str = r#"
fn before_run(run) { note(`begin ${run.runbook} on ${run.groups.master}`); }
fn after_run(run, outcome) { note(`end ${outcome.status}`); }
fn before_step(unit) { note(`before ${unit.action} attempt ${unit.attempt}`); }
fn after_step(unit, result) { note(`after ${unit.id}: ${result}`); }
fn on_failure(unit, fault) { note(`failed ${unit.step}: ${fault.cause}`); }
"#;

#[tokio::test(start_paused = true)]
async fn every_hook_is_called_at_its_moment() {
    let bench = bench(
        ALL,
        "  - { id: one, hosts: \"master[0]\", t.note: { text: hello } }
  - { id: left, hosts: \"master[0]\", when: \"false\", t.note: { text: x } }
  - { id: two, hosts: \"master[0]\", t.note: { text: x }, expect: \"result == `y`\" }
",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1, "{}", outcome.reason);
    let told = notes(&bench);
    assert!(told[0].starts_with("begin test on [\"a\""), "{told:#?}");
    assert_eq!(told[1], "one@a: before t.note attempt 1");
    assert!(told.contains(&"one@a: after one@a: hello".to_owned()), "{told:#?}");
    assert!(
        told.iter().any(|note| note.starts_with("two@a: failed two: `result == `y`` is false")),
        "{told:#?}"
    );
    assert_eq!(told.last().unwrap(), "end failed");
    assert!(!told.iter().any(|note| note.starts_with("left@a")), "what is left out is not begun: {told:#?}");
}

#[tokio::test(start_paused = true)]
async fn hooks_look_at_hosts_and_change_nothing() {
    let hooks = r#"
fn before_step(unit) { note(act("t.read", #{ path: "/etc/f" })); note(act("t.read@b", #{ path: "/etc/f" })); }
fn after_step(unit, result) { act("t.put", #{ path: "/etc/f", content: "x" }); }
"#;
    let bench = bench(hooks, "  - { id: one, hosts: \"master[0]\", t.note: { text: hello } }\n");
    bench.world.put("a", "/etc/f", "of a");
    bench.world.put("b", "/etc/f", "of b");
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let told = notes(&bench);
    assert!(
        told.contains(&"one@a: of a".to_owned()) && told.contains(&"one@a: of b".to_owned()),
        "{told:#?}"
    );
    assert!(
        told.iter().any(|note| note.contains("`after_step` failed") && note.contains("not read-only")),
        "{told:#?}"
    );
    assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "of a");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_comes_before_can_stop_what_it_comes_before() {
    let steps = "  - { id: one, hosts: \"master[0]\", t.run: { script: effect one } }\n";
    let refused = bench("fn before_step(unit) { throw `not on ${unit.host}`; }", steps);
    let outcome = refused.start().await;
    assert_eq!(outcome.exit, 1, "{}", outcome.reason);
    assert!(
        outcome.reason.contains("not on a") && outcome.reason.contains("book/hooks.rhai:1"),
        "{}",
        outcome.reason
    );
    assert_eq!(refused.world.effects("a", "one"), 0);
    // It is called again on resume, and may say yes then.
    std::fs::write(refused.dir.path().join("hooks.rhai"), "fn before_step(unit) { }").unwrap();
    assert_eq!(refused.resume().await.exit, 0);
    assert_eq!(refused.world.effects("a", "one"), 1);

    let refused = bench("fn before_run(run) { throw \"not today\"; }", steps);
    let outcome = refused.start().await;
    assert_eq!(outcome.exit, 1, "{}", outcome.reason);
    assert!(refused.events("unit.facts").is_empty(), "no step was begun");
}
