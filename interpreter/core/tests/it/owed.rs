//! Which steps pay what is owed, on the way forward and in a rollback: every step that settles it, for every item of the
//! loops around, unless its condition leaves it out.

use crate::support::{Bench, How};
use keybook_api::{
    Event,
    event::Answer::{Run, Skip},
};

/// A bench whose only master is `a`.
fn one_master(steps: &str) -> Bench {
    Bench::new(&format!("steps:\n{steps}")).masters(&["a"])
}

fn effects<const N: usize>(bench: &Bench, names: [&str; N]) -> [u32; N] {
    names.map(|name| bench.world.effects("a", name))
}

const NESTED: &str = "  - id: each
    hosts: master
    for_each: '[\"imap\", \"smtp\"]'
    steps:
      - { id: install, owes: { what: restart }, t.put: { path: \"/etc/${item}\", content: new } }
      - id: inner
        for_each: '[`${item}x`, `${item}y`]'
        steps:
          - { id: bounce, settles: restart, gate: { ask: ok }, t.run: { script: \"effect ${item}\" } }
";

const WORKERS: [&str; 4] = ["imapx", "imapy", "smtpx", "smtpy"];

#[tokio::test(start_paused = true)]
async fn an_item_is_paid_for_by_all_items_inside_it() {
    let bench = one_master(NESTED);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, effects(&bench, WORKERS)), (0, [1; 4]), "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, effects(&bench, WORKERS)), (5, [2; 4]), "{}", outcome.reason);
}

#[tokio::test(start_paused = true)]
async fn an_item_inside_that_was_refused_keeps_the_outer_one_owed() {
    let bench = one_master(NESTED);
    bench.person.will_answer([Some(Run), Some(Skip), Some(Run), Some(Run)]);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.owed), (1, vec!["restart@a#imap".to_owned()]), "{}", outcome.reason);
    // A settling that fails half-way in a rollback is not taken for a whole one by the next.
    bench.world.trouble("a", "exec", "effect imapy", How::Fails("it does not start"));
    assert_eq!(bench.roll_back().await.exit, 6);
    bench.world.clear_troubles();
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert!(effects(&bench, ["imapx", "imapy"]).iter().zip([2, 1]).all(|(count, least)| *count >= least));
}

#[tokio::test(start_paused = true)]
async fn loops_that_did_not_begin_are_not_through() {
    let bench = one_master(
        "  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - id: each
    hosts: master
    for_each: '[\"imap\", \"smtp\"]'
    steps:
      - { id: bounce, for_each: '[\"x\", \"y\"]', settles: restart, gate: { ask: ok }, t.run: { script: \"effect ${item}\" } }
",
    );
    bench.person.will_answer([Some(Run), Some(Run), Some(Skip), Some(Skip)]);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.owed), (1, vec!["restart@a".to_owned()]), "{}", outcome.reason);
}

/// Steps that settle the same are parts of one settling: each is carried out, forward and back.
#[tokio::test(start_paused = true)]
async fn two_steps_that_settle_the_same_are_both_carried_out() {
    let steps =
        "  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - { id: one, hosts: master, settles: restart, t.run: { script: effect one } }
  - { id: two, hosts: master, settles: restart, gate: { ask: ok }, t.run: { script: effect two } }
";
    let bench = one_master(steps);
    assert_eq!(bench.start().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, effects(&bench, ["one", "two"])), (5, [2, 2]), "{}", outcome.reason);

    let bench = one_master(steps);
    bench.person.will_answer([Some(Skip)]);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.owed), (1, vec!["restart@a".to_owned()]), "{}", outcome.reason);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_its_condition_leaves_out_holds_nothing_up() {
    let around = "    when: 'item == \"imap\"'
    steps:
      - { id: bounce, settles: restart, t.run: { script: \"effect ${item}\" } }
";
    let own = "    when: 'item == \"imap\"'
    settles: restart
    t.run: { script: \"effect ${item}\" }
";
    for settling in [around, own] {
        let bench = one_master(&format!(
            "  - {{ id: install, hosts: master, owes: {{ what: restart }}, t.put: {{ path: /etc/f, content: new }} }}
  - id: each
    hosts: master
    for_each: '[\"imap\", \"smtp\"]'
{settling}"
        ));
        let outcome = bench.start().await;
        assert_eq!((outcome.exit, outcome.owed.len()), (0, 0), "{}", outcome.reason);
        let outcome = bench.roll_back().await;
        assert_eq!((outcome.exit, outcome.owed.len()), (5, 0), "{}", outcome.reason);
        assert_eq!(effects(&bench, ["imap", "smtp"]), [2, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_leaves_everything_out_pays_nothing() {
    let bench = one_master(
        "  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - { id: bounce, hosts: master, when: 1 == 2, settles: restart, t.run: { script: effect bounce } }
",
    );
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.owed), (1, vec!["restart@a".to_owned()]), "{}", outcome.reason);
}

/// What a person refused in the run is asked about again before a rollback does it.
#[tokio::test(start_paused = true)]
async fn gates_around_a_settling_step_are_asked_in_a_rollback() {
    let bench = one_master(
        "  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - id: hard
    hosts: master
    gate: { ask: \"Reboot?\" }
    steps:
      - { id: reboot, settles: restart, t.run: { script: effect reboot } }
  - { id: soft, hosts: master, settles: restart, t.run: { script: effect soft } }
",
    );
    bench.person.will_answer([Some(Skip), Some(Skip)]);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.owed), (1, vec!["restart@a".to_owned()]), "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    let asked = bench.person.asked();
    assert_eq!(outcome.exit, 6, "{asked:?} {:?} {}", effects(&bench, ["reboot", "soft"]), outcome.reason);
    assert!(asked.len() == 2 && asked[1].ends_with("/hard@a"), "{asked:?}");
    assert_eq!(effects(&bench, ["reboot", "soft"]), [0, 2]);
    // The gate is open for another answer.
    bench.person.will_answer([Some(Run)]);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, effects(&bench, ["reboot"])), (5, [1]), "{}", outcome.reason);
}

#[tokio::test(start_paused = true)]
async fn a_settling_on_this_machine_is_settled_again() {
    let bench = Bench::new(
        "steps:
  - { id: first, t.run: { script: effect first } , undo: { t.run: { script: effect unfirst } } }
  - { id: install, owes: { what: restart }, t.run: { script: effect install }, undo: { t.run: { script: effect uninstall } } }
  - { id: bounce, settles: restart, t.run: { script: effect bounce } }
",
    );
    assert_eq!(bench.start().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    let count = |name| bench.world.effects("local", name);
    assert_eq!(["bounce", "uninstall", "unfirst"].map(count), [2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn only_items_that_owe_are_settled_again() {
    let bench = one_master(
        "  - { id: install, hosts: master, for_each: '[\"imap\", \"smtp\"]', owes: { what: restart }, t.put: { path: \"/etc/${item}\", content: new } }
  - { id: bounce, hosts: master, for_each: '[\"imap\", \"smtp\"]', settles: restart, t.run: { script: \"effect ${item}\" } }
",
    );
    // What is so already owes nothing.
    bench.world.put("a", "/etc/imap", "new");
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, effects(&bench, ["imap", "smtp"])), (0, [1, 1]), "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, effects(&bench, ["imap", "smtp"])), (5, [1, 2]), "{}", outcome.reason);
}

/// A run killed at any instant ends with every worker of every item restarted, once, forward and back.
#[tokio::test(start_paused = true)]
async fn nested_loops_killed_at_any_instant_are_gone_on_with() {
    let mut bench = one_master(NESTED);
    let tape = bench.tape();
    assert_eq!(bench.start().await.exit, 0);
    let (shots, mut unknown) = (tape.shots(), 0);
    for shot in &shots[..shots.len() - 1] {
        let again = bench.killed_at(shot);
        let outcome = again.resume().await;
        let at = format!("after {}: {}", shot.after, outcome.reason);
        if outcome.exit == 9 {
            // Killed in mid-command: nobody can tell whether it happened.
            unknown += 1;
            continue;
        }
        assert_eq!((outcome.exit, outcome.owed.len()), (0, 0), "{at}");
        assert_eq!(effects(&again, WORKERS), [1; 4], "{at}");
        let outcome = again.roll_back().await;
        assert_eq!((outcome.exit, effects(&again, WORKERS)), (5, [2; 4]), "{at}: {}", outcome.reason);
    }
    assert!(unknown * 5 < shots.len(), "{unknown} of {}", shots.len());
}

/// A debt that no item of the settling loop stands for is paid by all of them, whatever else is owed.
#[tokio::test(start_paused = true)]
async fn a_debt_of_another_loop_is_paid_by_all_items_whatever_else_is_owed() {
    let bounce = "  - { id: bounce, hosts: master, for_each: '[\"smtp\", \"imap\"]', settles: restart, t.run: { script: \"effect ${item}\" } }\n";
    let of_a_loop = "  - { id: certs, hosts: master, for_each: '[\"imap\", \"ca\"]', owes: { what: restart }, t.put: { path: \"/etc/${item}\", content: new } }\n";
    let of_two_steps = "  - { id: certs, hosts: master, for_each: '[\"imap\"]', owes: { what: restart }, t.put: { path: \"/etc/${item}\", content: new } }
  - { id: shared, hosts: master, owes: { what: restart }, t.put: { path: /etc/ca, content: new } }\n";
    for owing in [of_a_loop, of_two_steps] {
        let bench = one_master(&format!("{owing}{bounce}"));
        let outcome = bench.start().await;
        assert_eq!((outcome.exit, effects(&bench, ["smtp", "imap"])), (0, [1, 1]), "{}", outcome.reason);
        let outcome = bench.roll_back().await;
        assert_eq!(outcome.exit, 5, "{}", outcome.reason);
        assert!(effects(&bench, ["smtp", "imap"]).iter().all(|count| *count >= 2), "{owing}");
    }
}

/// Two settling steps, one for a loop that has the item and one for another: each pays its part.
#[tokio::test(start_paused = true)]
async fn each_settling_step_pays_for_itself() {
    let bench = one_master(
        "  - { id: certs, hosts: master, for_each: '[\"imap\"]', owes: { what: restart }, t.put: { path: \"/etc/${item}\", content: new } }
  - { id: one, hosts: master, for_each: '[\"imap\", \"smtp\"]', settles: restart, t.run: { script: \"effect ${item}\" } }
  - { id: two, hosts: master, for_each: '[\"proxy\"]', settles: restart, gate: { ask: ok }, t.run: { script: \"effect ${item}\" } }
",
    );
    bench.person.will_answer([Some(Skip)]);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.owed), (1, vec!["restart@a#imap".to_owned()]), "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(effects(&bench, ["imap", "smtp", "proxy"]), [2, 1, 1]);
}

/// What the check of a restart was written for is the way forward.
#[tokio::test(start_paused = true)]
async fn the_check_of_a_settling_step_is_not_believed_in_a_rollback() {
    let bench = one_master(
        "  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - { id: first, hosts: master, t.put: { path: /etc/log, content: restarted } }
  - { id: bounce, hosts: master, settles: restart, facts: { log: { t.read: { path: /etc/old } } }, check: 'facts.log == \"restarted\"', t.run: { script: effect bounce } }
",
    );
    bench.world.put("a", "/etc/old", "");
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, effects(&bench, ["bounce"])), (0, [1]), "{}", outcome.reason);
    bench.world.put("a", "/etc/old", "restarted");
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, effects(&bench, ["bounce"])), (5, [2]), "{}", outcome.reason);
}

/// The gate of a step around a settling one shows in a rollback what the rollback will do.
#[tokio::test(start_paused = true)]
async fn a_gate_in_a_rollback_shows_only_what_is_settled() {
    let bench = one_master(
        "  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - id: hard
    hosts: master
    gate: { ask: \"Reboot?\" }
    steps:
      - { id: before, t.put: { path: /etc/before, content: new } }
      - { id: reboot, settles: restart, t.run: { script: effect reboot } }
      - { id: after, t.put: { path: /etc/after, content: new } }
",
    );
    assert_eq!(bench.start().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(effects(&bench, ["reboot"]), [2]);
    let cards = bench.person.cards.lock().unwrap();
    let lines = &cards.last().unwrap().plan.lines;
    assert!(lines.len() == 1 && lines[0].contains("effect reboot"), "{lines:?}");
}

/// What no step will settle is settled by a person, who says so.
#[tokio::test(start_paused = true)]
async fn a_debt_that_no_step_pays_is_settled_by_hand() {
    let mut bench = one_master(
        "  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - id: around
    hosts: master
    when: 1 == 2
    steps:
      - { id: bounce, settles: restart, t.run: { script: effect bounce } }
",
    );
    let owed = vec!["restart@a".to_owned()];
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, &outcome.owed), (1, &owed), "{}", outcome.reason);
    bench.options.settled = vec!["restart@b".to_owned()];
    let refused = bench.try_resume().await.unwrap_err();
    assert_eq!(refused.cause, "the run does not owe that");
    assert_eq!(refused.hints, ["owed: restart@a"]);
    bench.options.settled = owed.clone();
    let outcome = bench.resume().await;
    assert_eq!((outcome.exit, outcome.owed.len()), (0, 0), "{}", outcome.reason);
    // The rollback raises it again.
    bench.options.settled.clear();
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, &outcome.owed), (6, &owed), "{}", outcome.reason);
    bench.options.settled = owed;
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, outcome.owed.len()), (5, 0), "{}", outcome.reason);
    let by: Vec<_> = bench.events("obligation.settled");
    assert!(
        by.iter()
            .all(|event| matches!(event, Event::ObligationSettled { by: Some(by), .. } if !by.is_empty()))
    );
    assert_eq!(by.len(), 2);
}

/// A step with steps owes from its beginning on: nobody can have settled what it is yet to change.
#[tokio::test(start_paused = true)]
async fn what_is_still_being_changed_is_not_settled_by_hand() {
    let mut bench = one_master(
        "  - id: all
    hosts: master
    owes: { what: restart }
    steps:
      - { id: one, t.put: { path: /etc/one, content: new } }
      - { id: ask, gate: { ask: ok }, t.note: { text: x } }
      - { id: two, t.put: { path: /etc/two, content: new } }
  - { id: bounce, hosts: master, settles: restart, gate: { ask: ok }, t.run: { script: effect bounce } }
",
    );
    bench.person.will_answer([None, Some(Run), Some(Skip)]);
    assert_eq!(bench.start().await.exit, 3);
    bench.options.settled = vec!["restart@a".to_owned()];
    let refused = bench.try_resume().await.unwrap_err();
    assert_eq!(refused.cause, "`all@a` owes it and is not through");
    bench.options.settled.clear();
    let outcome = bench.resume().await;
    assert_eq!((outcome.exit, outcome.owed), (1, vec!["restart@a".to_owned()]), "{}", outcome.reason);
    bench.options.settled = vec!["restart@a".to_owned()];
    assert_eq!(bench.resume().await.exit, 0);
}

/// One of two ways, each with a settling of its own; and a part with a debt of its own.
#[tokio::test(start_paused = true)]
async fn ways_that_exclude_each_other_may_settle_the_same() {
    let way = |id: &str, when: &str| {
        format!(
            "  - id: {id}
    hosts: master
    when: {when}
    steps:
      - {{ id: put, owes: {{ what: restart }}, t.put: {{ path: /etc/{id}, content: new }} }}
      - {{ id: bounce, settles: restart, t.run: {{ script: effect {id} }} }}
"
        )
    };
    let bench = one_master(&format!("{}{}", way("one", "1 == 2"), way("two", "1 == 1")));
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, effects(&bench, ["one", "two"])), (0, [0, 1]), "{}", outcome.reason);
    assert_eq!(bench.roll_back().await.exit, 5);

    let bench = one_master(
        "  - id: all
    hosts: master
    owes: { what: restart }
    steps:
      - { id: put, t.put: { path: /etc/put, content: new } }
      - { id: bounce, settles: restart, t.run: { script: effect bounce } }
      - id: more
        owes: { what: other }
        steps:
          - { id: put, t.put: { path: /etc/more, content: new } }
          - { id: settle, settles: other, t.run: { script: effect other } }
",
    );
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, effects(&bench, ["bounce", "other"])), (0, [1, 1]), "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, effects(&bench, ["bounce", "other"])), (5, [2, 2]), "{}", outcome.reason);
}

/// Phases, hosts in turn and libraries that are used twice settle under one name: what comes before a change pays nothing of it.
#[tokio::test(start_paused = true)]
async fn one_name_serves_for_settlings_one_after_the_other() {
    let bench = Bench::new(
        "steps:
  - { id: first, hosts: \"master[0]\", owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - { id: bounce-first, hosts: \"master[0]\", settles: restart, t.run: { script: effect bounce } }
  - { id: others, hosts: \"master[1:]\", owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - { id: bounce-others, hosts: \"master[1:]\", settles: restart, t.run: { script: effect bounce } }
  - { id: again, hosts: master, owes: { what: restart }, t.put: { path: /etc/g, content: new } }
  - { id: bounce-all, hosts: master, settles: restart, gate: { ask: ok }, t.run: { script: effect all } }
",
    )
    .masters(&["a", "b"]);
    bench.person.will_answer([Some(Run), Some(Skip)]);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.owed), (1, vec!["restart@b".to_owned()]), "{}", outcome.reason);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert!(["a", "b"].iter().all(|host| bench.world.effects(host, "bounce") >= 2));
}

/// Nor the check of a step around a settling one, with a gate or without.
#[tokio::test(start_paused = true)]
async fn the_check_around_a_settling_step_is_not_believed_in_a_rollback() {
    for gate in ["gate: { ask: ok }", "tags: [x]"] {
        let bench = one_master(&format!(
            "  - {{ id: install, hosts: master, owes: {{ what: restart }}, t.put: {{ path: /etc/f, content: new }} }}
  - id: outer
    hosts: master
    gate: {{ ask: ok }}
    steps:
      - id: around
        {gate}
        facts: {{ now: {{ t.read: {{ path: /etc/state }} }} }}
        check: 'facts.now == \"so\"'
        steps:
          - {{ id: one, settles: restart, t.run: {{ script: effect one }} }}
  - {{ id: two, hosts: master, settles: restart, t.run: {{ script: effect two }} }}
"
        ));
        bench.world.put("a", "/etc/state", "not");
        assert_eq!(bench.start().await.exit, 0);
        bench.world.put("a", "/etc/state", "so");
        let outcome = bench.roll_back().await;
        assert_eq!((outcome.exit, effects(&bench, ["one", "two"])), (5, [2, 2]), "{}", outcome.reason);
        let cards = bench.person.cards.lock().unwrap();
        let shown =
            cards.iter().filter(|card| card.plan.lines.iter().any(|line| line.contains("effect one")));
        assert!(shown.count() >= 2, "{gate}");
    }
}
