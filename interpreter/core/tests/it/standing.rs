//! A rollback that would end at a point of no return does not begin where a path was changed on both sides of it: only what was
//! there before the run is kept, so what is to stand would be taken back too.

use crate::support::{Bench, How, Node};
use keybook_api::event::Answer;

const POINT: &str = "  - { id: point, hosts: \"master[0]\", irreversible: gone, gate: { ask: ok }, t.run: { script: effect point } }\n";

fn put(id: &str, path: &str, content: &str) -> String {
    format!("  - {{ id: {id}, hosts: \"master[0]\", t.put: {{ path: {path}, content: {content} }} }}\n")
}

fn bench(after: &str) -> Bench {
    let bench = Bench::new(&format!("steps:\n{}{POINT}{after}", put("one", "/srv/f", "one")));
    bench.world.put_node("a", "/srv", Node::dir(0o700));
    bench.world.put_node("a", "/srv/f", Node::file("old", 0o640, 7));
    bench.world.put_node("a", "/srv/g", Node::file("old", 0o640, 7));
    bench
}

#[tokio::test(start_paused = true)]
async fn a_path_changed_on_both_sides_is_not_put_back() {
    let inside = "  - id: around\n    hosts: \"master[0]\"\n    backup: /srv\n    steps:\n      - { id: in, t.run: { script: \"effect in\\nexit 3\" } }\n";
    let cases = [
        (put("two", "/srv/f", "two"), 0, "two@a"),
        (format!("{}{}", put("two", "/srv/f", "two"), put("more", "/srv/g", "x")), 0, "two@a"),
        // Nobody recorded what it did, and it keeps a folder in which the file is.
        (inside.to_owned(), 1, "around@a"),
    ];
    for (after, exit, unit) in cases {
        let bench = bench(&after);
        assert_eq!(bench.start().await.exit, exit, "{after}");
        let files = bench.world.files_of("a");
        let records = bench.records().len();
        let refused = bench.try_roll_back().await.unwrap_err();
        assert_eq!(refused.attempted, format!("take back {unit}"));
        let why = "(point@a), and one@a changed /srv/f before it";
        assert!(refused.cause.contains(why), "{refused}");
        assert_eq!(refused.now_true.as_deref(), Some("nothing was changed"));
        assert_eq!(bench.world.files_of("a"), files);
        assert_eq!(bench.records().len(), records, "nothing was begun, so the run can still be resumed");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_only_after_the_point_is_put_back() {
    let bench = bench(&put("two", "/srv/g", "two"));
    assert_eq!(bench.start().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 6, "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/srv/f").unwrap(), "one");
    assert_eq!(bench.world.text("a", "/srv/g").unwrap(), "old");
}

/// What connects to nothing by name: a script that was cut off, whose rollback puts back all that was kept.
#[tokio::test(start_paused = true)]
async fn a_script_whose_end_nobody_recorded_counts() {
    let script =
        "  - id: s\n    hosts: \"master[0]\"\n    script: |\n      act(\"t.judged\", #{ name: \"lost\" });\n";
    let bench = bench(script);
    bench.world.put("a", "/verdict", "unknown");
    bench.world.trouble("a", "exec", "effect lost", How::LostAfter);
    assert_ne!(bench.start().await.exit, 0);
    let outcome = bench.try_roll_back().await;
    let reason = match outcome {
        Err(fault) => fault.to_string(),
        Ok(outcome) => outcome.reason,
    };
    assert!(reason.contains("one@a changed /srv/f before it"), "{reason}");
    assert_eq!(bench.world.text("a", "/srv/f").unwrap(), "one");
}

/// Asked for at a gate, it is refused, and the run rests: it can be gone on with.
#[tokio::test(start_paused = true)]
async fn a_rollback_asked_for_at_a_gate_leaves_the_run_at_rest() {
    let two = put("two", "/srv/f", "two");
    let last =
        "  - { id: last, hosts: \"master[0]\", gate: { ask: on }, t.put: { path: /srv/g, content: x } }\n";
    let bench = bench(&format!("{two}{last}"));
    bench.person.will_answer([Some(Answer::Run), Some(Answer::RollBack)]);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1, "{}", outcome.reason);
    assert!(outcome.reason.contains("one@a changed /srv/f before it"), "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/srv/f").unwrap(), "two");
    bench.person.will_answer([Some(Answer::Run)]);
    assert_eq!(bench.resume().await.exit, 0);
}
