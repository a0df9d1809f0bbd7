//! A unit is taken back to what was there before it, not to what was there before the run.

use crate::support::{Bench, Node};
use keybook_api::event::RunStatus;

/// Each restart tells what it read.
fn restart(id: &str, what: &str) -> String {
    format!(
        "  - {{ id: {id}, hosts: \"master[0]\", settles: {what}, facts: {{ now: {{ t.read: {{ path: /srv/f }} }} }}, t.run: {{ script: \"effect saw-${{facts.now}}\" }} }}\n"
    )
}

fn put(id: &str, content: &str, owes: &str) -> String {
    format!(
        "  - {{ id: {id}, hosts: \"master[0]\", owes: {{ what: {owes} }}, t.put: {{ path: /srv/f, content: {content} }} }}\n"
    )
}

fn seen(bench: &Bench) -> [u64; 3] {
    ["saw-old", "saw-one", "saw-two"].map(|what| u64::from(bench.world.effects("a", what)))
}

fn bench(steps: &str) -> Bench {
    let bench = Bench::new(&format!("steps:\n{steps}"));
    bench.world.put_node("a", "/srv", Node::dir(0o700));
    bench.world.put_node("a", "/srv/f", Node::file("old", 0o640, 7));
    bench
}

#[tokio::test(start_paused = true)]
async fn what_settles_on_the_way_back_meets_each_state_again() {
    let steps = [
        put("one", "one", "first"),
        restart("bounce-1", "first"),
        put("two", "two", "second"),
        restart("bounce-2", "second"),
    ];
    let bench = bench(&steps.concat());
    let before = bench.world.files_of("a");
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(seen(&bench), [0, 1, 1]);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, outcome.status), (5, RunStatus::RolledBack), "{}", outcome.reason);
    // Two was taken back to one, and only then one to what was there first.
    assert_eq!(seen(&bench), [1, 2, 1]);
    assert_eq!(bench.world.files_of("a"), before);
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_point_of_no_return_stands() {
    let point = "  - { id: point, hosts: \"master[0]\", irreversible: gone, gate: { ask: ok }, t.run: { script: effect point } }\n";
    let last = "  - { id: made, hosts: \"master[0]\", t.put: { path: /srv/made, content: made } }\n";
    let steps = [
        put("one", "one", "first"),
        restart("bounce-1", "first"),
        point.into(),
        put("two", "two", "second"),
        restart("bounce-2", "second"),
        last.into(),
    ];
    let bench = bench(&steps.concat());
    assert_eq!(bench.start().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, outcome.status), (6, RunStatus::RollbackIncomplete), "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/srv/f").unwrap(), "one");
    assert_eq!(bench.world.text("a", "/srv/made"), None);
    assert_eq!(seen(&bench), [0, 2, 1]);
}

/// A file that one step made, another changed and a third removed.
#[tokio::test(start_paused = true)]
async fn what_the_run_made_comes_back_before_it_goes() {
    let step = |id: &str, content: &str| {
        format!(
            "  - {{ id: {id}, hosts: \"master[0]\", t.put: {{ path: /srv/made, content: {content} }} }}\n"
        )
    };
    let look = "  - { id: look, hosts: \"master[0]\", settles: x, facts: { now: { t.read: { path: /srv/made } } }, t.run: { script: \"effect made-${facts.now}\" } }\n";
    let owing = "  - { id: c, hosts: \"master[0]\", owes: { what: x }, t.put: { path: /srv/made, content: three } }\n";
    let bench = bench(&[step("a", "first"), step("b", "second"), owing.into(), look.into()].concat());
    let before = bench.world.files_of("a");
    assert_eq!(bench.start().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(bench.world.effects("a", "made-second"), 1);
    assert_eq!(bench.world.files_of("a"), before);
}

/// What somebody else put there meanwhile is not what the run comes back to: it may be what a daemon cannot start with.
#[tokio::test(start_paused = true)]
async fn what_somebody_else_put_there_meanwhile_does_not_come_back() {
    let keep =
        "  - { id: keep, hosts: \"master[0]\", backup: /srv, t.put: { path: /etc/other, content: x } }\n";
    let wait = "  - { id: wait, hosts: \"master[0]\", t.read: { path: /srv/f }, expect: inputs.fine }\n";
    let steps = [keep.into(), wait.into(), put("one", "one", "first"), restart("bounce-1", "first")];
    let mut bench = bench(&steps.concat());
    let before = bench.world.files_of("a");
    bench.inputs = keybook_api::value::map([("fine", false.into())]);
    assert_eq!(bench.start().await.exit, 1);
    bench.world.put_node("a", "/srv/f", Node::file("strange", 0o600, 8));
    bench.inputs = keybook_api::value::map([("fine", true.into())]);
    assert_eq!(bench.resume().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(seen(&bench), [1, 1, 0]);
    assert_eq!(bench.world.files_of("a"), before);
}
