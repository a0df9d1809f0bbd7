//! Obligations in a rollback: what is restored is settled again.

use crate::support::{Bench, How, Node};
use keybook_api::event::{Answer, RunStatus};

const OWING: &str = "steps:
  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - { id: bounce, hosts: master, settles: restart, gate: { ask: \"Restart ${host.name}?\" }, t.run: { script: effect bounce } }
  - { id: last, hosts: \"master[0]\", t.note: { text: x } }
";

#[tokio::test(start_paused = true)]
async fn restored_files_are_settled_again_with_their_gates() {
    let bench = Bench::new(OWING).masters(&["a", "b"]);
    bench.world.put("a", "/etc/f", "old");
    bench.world.put("b", "/etc/f", "new");
    assert_eq!(bench.start().await.exit, 0);
    // On b nothing was changed, so nothing is owed there; the restart itself is no effect to take back.
    assert_eq!(["a", "b"].map(|host| bench.world.effects(host, "bounce")), [1, 1]);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(["a", "b"].map(|host| bench.world.effects(host, "bounce")), [2, 1]);
    let asked = bench.person.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked[2].starts_with("rollback/install.") && asked[2].ends_with("/bounce@a"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_a_later_step_restored_is_owed_all_the_same() {
    for later in ["t.put: { path: /srv/f, content: newer }", "t.judged: { name: lost }"] {
        let bench = Bench::new(&format!(
            "steps:
  - {{ id: install, hosts: \"master[0]\", owes: {{ what: restart }}, t.put: {{ path: /srv/f, content: new }} }}
  - {{ id: bounce, hosts: \"master[0]\", settles: restart, t.run: {{ script: effect bounce }} }}
  - {{ id: later, hosts: \"master[0]\", {later} }}
"
        ));
        bench.world.put_node("a", "/srv", Node::dir(0o700));
        bench.world.put("a", "/srv/f", "old");
        bench.world.trouble("a", "exec", "effect lost", How::LostAfter);
        let outcome = bench.start().await;
        assert!([0, 9].contains(&outcome.exit), "{}", outcome.reason);
        assert_eq!(bench.roll_back().await.exit, 5);
        assert_eq!(bench.world.text("a", "/srv/f").unwrap(), "old");
        assert_eq!(bench.world.effects("a", "bounce"), 2, "{later}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_settling_that_is_stopped_is_gone_on_with() {
    let bench = Bench::new(OWING).masters(&["a", "b"]);
    assert_eq!(bench.start().await.exit, 0);
    bench.person.will_answer([Some(Answer::Run), None]);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, outcome.owed), (6, vec!["restart@a".to_owned()]));
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, outcome.owed.len()), (5, 0), "{}", outcome.reason);
    assert_eq!(["a", "b"].map(|host| bench.world.effects(host, "bounce")), [2, 2]);
}

/// Hosts whose settling was asked about in rollbacks, in order.
fn settled_again(bench: &Bench) -> Vec<String> {
    let asked = bench.person.asked().into_iter().filter(|unit| unit.starts_with("rollback/"));
    asked.map(|unit| unit.rsplit_once('@').unwrap().1.to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_host_that_was_settled_last_is_settled_first() {
    let bench = Bench::new(OWING);
    assert_eq!(bench.start().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(settled_again(&bench), ["c", "b", "a"]);
}

/// As a restart: what looks before it changes nothing, and one that is broken lets no other be restarted.
const BREAKING: &str = "steps:
  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - id: bounce
    hosts: master
    settles: restart
    gate: { ask: \"Restart ${host.name}?\" }
    steps:
      - { id: look, t.read: { path: /etc/g } }
      - { id: effect, t.run: { script: effect bounce } }
";

#[tokio::test(start_paused = true)]
async fn the_host_that_broke_is_settled_before_those_that_were_and_those_that_were_not() {
    let bench = Bench::new(BREAKING);
    for host in ["a", "b", "c"] {
        bench.world.put(host, "/etc/g", "");
    }
    bench.world.trouble("b", "exec", "effect bounce", How::Fails("it does not start"));
    assert_eq!(bench.start().await.exit, 1);
    assert_eq!(bench.world.effects("a", "bounce"), 1);
    // A rollback that gets no further than the look keeps the order, however often it is tried.
    bench.world.trouble("b", "read", "/etc/g", How::Fails("another is broken"));
    assert_eq!(bench.roll_back().await.exit, 6);
    assert_eq!(settled_again(&bench), ["b"]);
    bench.world.trouble("a", "exec", "effect bounce", How::Fails("it does not start"));
    assert_eq!(bench.roll_back().await.exit, 6);
    assert_eq!(settled_again(&bench), ["b", "b", "a"]);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(settled_again(&bench), ["b", "b", "a", "a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_skipped_settling_leaves_the_rollback_incomplete() {
    let bench = Bench::new(OWING).masters(&["a"]);
    assert_eq!(bench.start().await.exit, 0);
    bench.person.will_answer([Some(Answer::Skip), Some(Answer::Skip)]);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, outcome.owed), (6, vec!["restart@a".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_step_counts_for_its_settling_again() {
    let mut bench = Bench::new(OWING).masters(&["a"]);
    *bench.person.otherwise.lock().unwrap() = None;
    bench.answers = "  bounce@a: run\n".into();
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.roll_back().await.exit, 5);
    assert_eq!(bench.world.effects("a", "bounce"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_settling_step_inside_another_runs_on_the_hosts_of_that_one() {
    let bench = Bench::new(
        "steps:
  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - id: all
    hosts: master
    steps:
      - { id: bounce, settles: restart, gate: { ask: ok }, t.run: { script: effect bounce } }
",
    )
    .masters(&["a", "b"]);
    assert_eq!(bench.start().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(["a", "b", "local"].map(|host| bench.world.effects(host, "bounce")), [2, 2, 0]);
    assert_eq!(settled_again(&bench), ["b", "a"]);
}

/// Its path is that of the step inside the other one: answers for it count, and what is registered beside it is seen.
#[tokio::test(start_paused = true)]
async fn a_settling_step_inside_another_is_that_step() {
    let mut bench = Bench::new(
        "steps:
  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - id: all
    hosts: master
    steps:
      - { id: look, register: seen, t.read: { path: /etc/g } }
      - { id: bounce, settles: restart, gate: { ask: ok }, t.run: { script: \"effect bounce ${seen}\" } }
",
    )
    .masters(&["a"]);
    bench.world.put("a", "/etc/g", "here");
    *bench.person.otherwise.lock().unwrap() = None;
    bench.answers = "  all/bounce@a: run\n".into();
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    // The connection breaks in mid-settling: what became of it is found out by the step's own action.
    bench.world.trouble("a", "exec", "effect bounce here", How::LostBefore);
    assert_eq!(bench.roll_back().await.exit, 6);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(bench.world.effects("a", "bounce here"), 2);
}

/// What a step that is taken back had made is no value for a settling any more, however it is asked for (a name that is
/// written out is refused beforehand).
#[tokio::test(start_paused = true)]
async fn a_settling_does_not_see_the_results_of_what_was_taken_back() {
    let bench = Bench::new(
        "steps:
  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - { id: make, hosts: master, register: made, t.put: { path: /etc/g, content: new } }
  - { id: bounce, hosts: master, settles: restart, t.run: { script: 'effect bounce ${by_host[\"made\"][host.name]}' } }
",
    )
    .masters(&["a"]);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 6);
    assert!(outcome.reason.contains("the map has no key `a`"), "{}", outcome.reason);
}

#[tokio::test(start_paused = true)]
async fn several_debts_of_one_step_are_each_paid() {
    // Two debts of two children, host by host: the settling of one is not taken for that of another.
    let bench = Bench::new(
        "steps:
  - id: outer
    hosts: master
    steps:
      - { id: one, owes: { what: x }, t.put: { path: /etc/one, content: new } }
      - { id: two, owes: { what: y }, t.put: { path: /etc/two, content: new } }
  - { id: pay-x, hosts: master, settles: x, t.run: { script: effect x } }
  - { id: pay-y, hosts: master, settles: y, t.run: { script: effect y } }
",
    )
    .masters(&["a", "b"]);
    assert_eq!(bench.start().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, outcome.owed.len()), (5, 0), "{}", outcome.reason);
    for host in ["a", "b"] {
        assert_eq!((bench.world.effects(host, "x"), bench.world.effects(host, "y")), (2, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_outcomes_in_a_settling_are_told_as_such() {
    let bench = Bench::new(
        "steps:
  - { id: f, hosts: \"master[0]\", owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - { id: bounce, hosts: \"master[0]\", settles: restart, t.judged: { name: bounce } }
",
    );
    assert_eq!(bench.start().await.exit, 0);
    bench.world.trouble("a", "exec", "effect bounce", How::LostAfter);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, outcome.status), (9, RunStatus::Unknown), "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
}

/// Services in a loop, each changed and restarted by steps of a library.
const LOOP: &str = "steps:
  - id: each
    hosts: master
    for_each: '[\"imap\", \"smtp\"]'
    use: swap
    with: { daemon: \"${item}\" }
";

const SWAP: &str = "keybook: 1
library: swap
inputs:
  daemon: { type: string }
steps:
  - { id: install, owes: { what: restart }, t.put: { path: \"/etc/${inputs.daemon}\", content: new } }
  - id: again
    settles: restart
    steps:
      - { id: bounce, t.run: { script: \"effect ${inputs.daemon} ${item}\" } }
";

fn with_library(bench: &Bench) {
    std::fs::create_dir_all(bench.dir.path().join("lib")).unwrap();
    std::fs::write(bench.dir.path().join("lib/swap.yaml"), SWAP).unwrap();
}

fn services() -> Bench {
    let bench = Bench::new(LOOP).masters(&["a", "b"]);
    with_library(&bench);
    for (host, service) in [("a", "imap"), ("a", "smtp"), ("b", "imap"), ("b", "smtp")] {
        bench.world.put(host, &format!("/etc/{service}"), "old");
    }
    bench
}

fn restarts(bench: &Bench) -> [u32; 4] {
    let count = |host, what| bench.world.effects(host, what);
    [count("a", "imap imap"), count("a", "smtp smtp"), count("b", "imap imap"), count("b", "smtp smtp")]
}

#[tokio::test(start_paused = true)]
async fn a_settling_in_a_loop_is_for_the_item_that_owes() {
    let bench = services();
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, restarts(&bench)), (0, [1; 4]), "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, restarts(&bench)), (5, [2; 4]), "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/smtp").unwrap(), "old");
}

#[tokio::test(start_paused = true)]
async fn a_settling_in_a_loop_that_never_came_to_an_item_is_for_it_all_the_same() {
    let bench = services();
    bench.world.trouble("b", "exec", "effect imap", How::Fails("it does not start"));
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, restarts(&bench)), (1, [1, 1, 0, 0]), "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, restarts(&bench)), (5, [2, 2, 1, 0]), "{}", outcome.reason);
}

#[tokio::test(start_paused = true)]
async fn a_settling_in_a_loop_killed_at_any_instant_is_gone_on_with() {
    let mut bench = services();
    assert_eq!(bench.start().await.exit, 0);
    let tape = bench.tape();
    assert_eq!(bench.roll_back().await.exit, 5);
    let shots = tape.shots();
    assert!(shots.len() > 40, "{}", shots.len());
    for shot in &shots[..shots.len() - 1] {
        let again = bench.killed_at(shot);
        with_library(&again);
        let outcome = again.roll_back().await;
        let at = format!("after {}: {}", shot.after, outcome.reason);
        assert_eq!((outcome.exit, outcome.owed.len()), (5, 0), "{at}");
        assert!(restarts(&again).iter().all(|count| *count >= 2), "{:?}: {at}", restarts(&again));
        assert_eq!(again.world.text("b", "/etc/imap").unwrap(), "old", "{at}");
    }
}

/// What is owed by a step that is in no loop is settled for every item of the loop, as it was in the run.
#[tokio::test(start_paused = true)]
async fn what_is_owed_outside_a_loop_is_settled_for_all_its_items() {
    let bench = Bench::new(
        "steps:
  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - id: each
    hosts: master
    for_each: '[\"imap\", \"smtp\"]'
    steps:
      - { id: bounce, settles: restart, t.run: { script: \"effect ${item}\" } }
",
    )
    .masters(&["a"]);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(["imap", "smtp"].map(|what| bench.world.effects("a", what)), [2, 2]);
}

const TWO: &str = "  - { id: install, hosts: master, for_each: '[\"imap\", \"smtp\"]', owes: { what: restart }, t.put: { path: \"/etc/${item}\", content: new } }
";

/// One item is not paid for by another one of its loop.
#[tokio::test(start_paused = true)]
async fn an_item_pays_for_itself_only() {
    let bench = Bench::new(&format!(
        "steps:
{TWO}  - {{ id: bounce, hosts: master, for_each: '[\"imap\", \"smtp\"]', settles: restart, gate: {{ ask: ok }}, t.run: {{ script: \"effect ${{item}}\" }} }}
"
    ))
    .masters(&["a"]);
    // What is so already owes nothing.
    bench.world.put("a", "/etc/imap", "new");
    bench.person.will_answer([Some(Answer::Run), Some(Answer::Skip)]);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.owed), (1, vec!["restart@a#smtp".to_owned()]), "{}", outcome.reason);
}

/// Two steps settle the same, each for a group: both are carried out, each for its hosts.
#[tokio::test(start_paused = true)]
async fn every_step_that_settles_does_so_for_its_own_hosts() {
    let bench = Bench::new(
        "steps:
  - { id: install, hosts: [master, manager], owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - { id: first, hosts: master, settles: restart, t.run: { script: effect first } }
  - { id: second, hosts: manager, settles: restart, t.run: { script: effect second } }
",
    )
    .masters(&["a"]);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!([bench.world.effects("a", "first"), bench.world.effects("a", "second")], [2, 0]);
    assert_eq!([bench.world.effects("m", "first"), bench.world.effects("m", "second")], [0, 2]);
}

/// A way that the run did not take is not taken by its rollback.
#[tokio::test(start_paused = true)]
async fn what_the_run_left_out_settles_nothing() {
    for (outer, inner) in [("when: '1 == 2', ", ""), ("", "when: '1 == 2', ")] {
        let bench = Bench::new(&format!(
            "steps:
  - {{ id: install, hosts: master, owes: {{ what: restart }}, t.put: {{ path: /etc/f, content: new }} }}
  - id: one
    hosts: master
    {}
    steps:
      - {{ id: bounce, settles: restart, {inner}t.run: {{ script: effect one }} }}
  - id: other
    hosts: master
    steps:
      - {{ id: bounce, settles: restart, t.run: {{ script: effect other }} }}
",
            outer.trim_end_matches(", ")
        ))
        .masters(&["a"]);
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, 0, "{}", outcome.reason);
        let outcome = bench.roll_back().await;
        assert_eq!(outcome.exit, 5, "{}", outcome.reason);
        assert_eq!([bench.world.effects("a", "one"), bench.world.effects("a", "other")], [0, 2]);
    }
}

/// A loop around steps with hosts of their own is one on this machine.
#[tokio::test(start_paused = true)]
async fn a_settling_with_hosts_in_a_loop_without_is_for_the_item_that_owes() {
    let bench = Bench::new(
        "steps:
  - id: each
    for_each: '[\"imap\", \"smtp\"]'
    steps:
      - { id: install, hosts: master, owes: { what: restart }, t.put: { path: \"/etc/${item}\", content: new } }
      - { id: bounce, hosts: master, settles: restart, t.run: { script: \"effect ${item}\" } }
",
    )
    .masters(&["a", "b"]);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    for host in ["a", "b"] {
        assert_eq!(["imap", "smtp"].map(|what| bench.world.effects(host, what)), [2, 2], "{host}");
    }
}

/// Names of items may be beginnings of each other.
#[tokio::test(start_paused = true)]
async fn items_are_told_apart_by_their_whole_names() {
    let put = "keybook: 1
library: put
inputs: { dir: { type: string } }
steps:
  - { id: put, owes: { what: restart }, t.put: { path: \"/etc/${inputs.dir.len()}\", content: new } }
  - { id: bounce, settles: restart, t.run: { script: \"effect ${inputs.dir.len()}\" } }
";
    let bench = Bench::new(
        "steps:
  - { id: each, hosts: master, for_each: '[\"/etc/f/long\", \"/etc/f\", \"/etc/f/longer\"]', use: put, with: { dir: \"${item}\" } }
",
    )
    .masters(&["a"]);
    std::fs::create_dir_all(bench.dir.path().join("lib")).unwrap();
    std::fs::write(bench.dir.path().join("lib/put.yaml"), put).unwrap();
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    for path in ["/etc/11", "/etc/6", "/etc/13"] {
        assert_eq!(bench.world.text("a", path).as_deref(), Some("new"), "{path}");
    }
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(["11", "6", "13"].map(|length| bench.world.effects("a", length)), [2, 2, 2]);
}
