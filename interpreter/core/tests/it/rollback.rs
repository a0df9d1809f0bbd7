//! Taking a run back.

use crate::support::{Bench, How, Node, World};
use keybook_api::{
    Event, Owner,
    event::{Answer, RunStatus},
};
use keybook_core::backup::Original;

fn ways(bench: &Bench) -> Vec<String> {
    let show = |event| match event {
        Event::UnitUndone { how } => how,
        other => panic!("{other:?}"),
    };
    bench.events("unit.undone").into_iter().map(show).collect()
}

const FAILS: &str = "  - { id: fails, hosts: \"master[0]\", t.flaky: { name: fails, fails: 9 }, undo: { t.note: { text: x } } }\n";

#[tokio::test(start_paused = true)]
async fn content_mode_and_owner_come_back_and_created_files_go() {
    let bench = Bench::new(&format!(
        "steps:
  - {{ id: file, hosts: \"master[0]\", t.put: {{ path: /srv/f, content: new, mode: \"0600\" }} }}
  - {{ id: again, hosts: \"master[0]\", t.put: {{ path: /srv/f, content: newer }} }}
  - {{ id: made, hosts: \"master[0]\", t.put: {{ path: /srv/made, content: made }} }}
{FAILS}"
    ));
    bench.world.put_node("a", "/srv", Node::dir(0o700));
    let original = Node { owner: Owner { uid: 7, gid: 9 }, ..Node::file("old", 0o640, 7) };
    bench.world.put_node("a", "/srv/f", original);
    let before = bench.world.files_of("a");
    assert_eq!(bench.start().await.exit, 1);
    assert_eq!(bench.world.text("a", "/srv/f").unwrap(), "newer");
    let outcome = bench.roll_back().await;
    // What the failing action wrote was named in no plan: it stays, and nobody claims otherwise.
    let mut after = bench.world.files_of("a");
    assert_eq!(after.remove("/etc/tries-fails").unwrap().content, b"1");
    assert_eq!(after, before);
    assert_eq!((outcome.exit, outcome.status), (5, RunStatus::RolledBack), "{}", outcome.reason);
    let Event::RollbackVerified { compared, differing } = bench.events("rollback.verified").remove(0) else {
        panic!()
    };
    assert_eq!((compared, differing.len()), (2, 0));
    assert_eq!(bench.world.locked_by("a"), None);
}

#[tokio::test(start_paused = true)]
async fn created_directories_go_after_what_is_in_them() {
    let bench = Bench::new(&format!(
        "steps:
  - {{ id: pair, hosts: \"master[0]\", t.pair: {{ first: /srv/d/f, second: /srv/g, content: x }} }}
{FAILS}"
    ));
    bench.world.put_node("a", "/srv", Node::dir(0o700));
    bench.world.put_node("a", "/srv/d", Node::dir(0o700));
    assert_eq!(bench.start().await.exit, 1);
    assert_eq!(bench.roll_back().await.exit, 5);
    assert!(bench.world.text("a", "/srv/d/f").is_none() && bench.world.text("a", "/srv/d").is_some());
}

#[tokio::test(start_paused = true)]
async fn undo_comes_in_reverse_order_of_completion() {
    let bench = Bench::new(&format!(
        "steps:
  - {{ id: one, hosts: \"master[0]\", t.move: {{ from: /etc/x, to: /etc/y }} }}
  - {{ id: two, hosts: \"master[0]\", t.move: {{ from: /etc/y, to: /etc/z }} }}
  - {{ id: own, hosts: \"master[0]\", t.run: {{ script: effect own }}, undo: {{ t.run: {{ script: effect undone }} }} }}
{FAILS}"
    ));
    bench.world.put("a", "/etc/x", "moved");
    assert_eq!(bench.start().await.exit, 1);
    assert_eq!(bench.roll_back().await.exit, 5);
    assert_eq!(bench.world.text("a", "/etc/x").unwrap(), "moved");
    assert_eq!(bench.world.effects("a", "undone"), 1);
    let ends: Vec<String> = bench.ends().into_iter().filter(|end| end.starts_with("undone")).collect();
    assert_eq!(ends, ["undone fails@a", "undone own@a", "undone two@a", "undone one@a"]);
    assert_eq!(ways(&bench), ["undo", "undo", "undo", "undo"]);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_that_had_an_effect_is_undone() {
    // The second attempt finds the file moved already: its own plan alone would leave it there.
    let bench = Bench::new(
        "steps:
  - { id: one, hosts: \"master[0]\", t.move: { from: /etc/x, to: /etc/y }, expect: \"result == 1\" }
",
    );
    bench.world.put("a", "/etc/x", "moved");
    assert_eq!(bench.start().await.exit, 1);
    assert_eq!(bench.resume().await.exit, 1);
    assert_eq!(bench.roll_back().await.exit, 5);
    assert_eq!(bench.world.text("a", "/etc/x").unwrap(), "moved");
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_attempt_wrote_comes_back_although_the_next_left_it_out() {
    let mut bench = Bench::new(
        "steps:
  - { id: f, hosts: \"master[0]\", when: inputs.want, t.put: { path: /etc/f, content: new }, expect: inputs.fine }
  - { id: checked, hosts: \"master[0]\", facts: { g: { t.read: { path: /etc/g } } }, check: facts.g == \"new\", t.put: { path: /etc/g, content: new }, expect: inputs.fine }
",
    );
    let inputs =
        |want: bool, fine: bool| keybook_api::value::map([("want", want.into()), ("fine", fine.into())]);
    for path in ["/etc/f", "/etc/g"] {
        bench.world.put("a", path, "old");
    }
    bench.inputs = inputs(true, false);
    assert_eq!(bench.start().await.exit, 1);
    bench.inputs = inputs(false, false);
    assert_eq!(bench.resume().await.exit, 1);
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let skipped: Vec<String> = bench.ends().into_iter().filter(|end| end.starts_with("skipped")).collect();
    assert_eq!(skipped, ["skipped f@a", "skipped f@a", "skipped checked@a"]);
    assert_eq!(bench.roll_back().await.exit, 5);
    for path in ["/etc/f", "/etc/g"] {
        assert_eq!(bench.world.text("a", path).unwrap(), "old");
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_is_taken_back_inside_what_was_kept() {
    for step in [
        // Kept by the command's own step, by an earlier one, and by the step around it.
        "  - { id: run, hosts: \"master[0]\", backup: [/srv], t.run: { script: \"put /srv/f by command\" } }\n",
        "  - { id: keep, hosts: \"master[0]\", backup: [/srv], t.read: { path: /srv/f } }\n  - { id: run, hosts: \"master[0]\", t.run: { script: \"put /srv/f by command\" } }\n",
        "  - id: outer\n    hosts: master[0]\n    backup: [/srv, /etc/new]\n    steps:\n      - { id: run, t.run: { script: \"put /srv/f by command\\nput /etc/new made\" } }\n",
    ] {
        for failing in ["", "\\nexit 3"] {
            let step = step.replace("by command\"", &format!("by command{failing}\""));
            let bench = Bench::new(&format!("steps:\n{step}{FAILS}"));
            bench.world.put_node("a", "/srv", Node::dir(0o700));
            bench.world.put_node("a", "/srv/f", Node::file("old", 0o604, 4));
            let before = bench.world.files_of("a");
            assert_eq!(bench.start().await.exit, 1);
            assert_ne!(bench.world.text("a", "/srv/f").unwrap(), "old");
            let outcome = bench.roll_back().await;
            assert_eq!(outcome.exit, 5, "{step}: {}", outcome.reason);
            let mut after = bench.world.files_of("a");
            after.remove("/etc/tries-fails");
            assert_eq!(after, before, "{step}");
            assert!(bench.person.conflicts.lock().unwrap().is_empty());
        }
    }
}

const CONFLICT: &str = "steps:
  - { id: f, hosts: master, t.put: { path: /etc/f, content: new } }
";

#[tokio::test(start_paused = true)]
async fn a_file_that_somebody_else_changed_is_left_to_a_person() {
    for (answer, exit, left) in [(None, 6, "theirs"), (Some(false), 6, "theirs"), (Some(true), 5, "old")] {
        let bench = Bench::new(CONFLICT);
        for host in ["a", "b", "c"] {
            bench.world.put(host, "/etc/f", "old");
        }
        assert_eq!(bench.start().await.exit, 0);
        bench.world.put("b", "/etc/f", "theirs");
        *bench.person.overwrite.lock().unwrap() = answer;
        let outcome = bench.roll_back().await;
        assert_eq!(outcome.exit, exit, "{}", outcome.reason);
        assert_eq!(bench.world.text("b", "/etc/f").unwrap(), left);
        assert_eq!(bench.world.text("c", "/etc/f").unwrap(), "old");
        let conflict = bench.person.conflicts.lock().unwrap()[0].clone();
        assert_eq!((conflict.host.as_str(), conflict.detail.as_str()), ("b", "its content is another"));
        let sums = [&conflict.now, &conflict.wrote].map(|one| one.as_ref().unwrap().sha256.clone());
        assert_ne!(sums[0], sums[1]);
        assert!(matches!(conflict.original, Original::Present { copy: Some(_), .. }), "{conflict:?}");
        if exit == 6 {
            assert_eq!(outcome.status, RunStatus::RollbackIncomplete);
            let hints = outcome.fault.unwrap().hints;
            assert!(
                hints.iter().any(|hint| hint.contains(": one more unit that changed something stands")),
                "{hints:?}"
            );
            assert!(bench.world.locked_by("a").is_some());
            // Gone on with, once a person has decided.
            *bench.person.overwrite.lock().unwrap() = Some(true);
            let outcome = bench.roll_back().await;
            assert_eq!(outcome.exit, 5, "{}", outcome.reason);
            assert_eq!(["a", "b", "c"].map(|host| bench.world.text(host, "/etc/f").unwrap()), ["old"; 3]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_created_file_that_somebody_changed_or_removed_is_noticed() {
    let bench = Bench::new(CONFLICT).masters(&["a", "b"]);
    assert_eq!(bench.start().await.exit, 0);
    bench.world.put("a", "/etc/f", "theirs");
    bench.world.on("b", |host| host.files.remove("/etc/f"));
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 6);
    assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "theirs");
    let conflicts = bench.person.conflicts.lock().unwrap();
    assert_eq!(conflicts.len(), 1, "what is gone already is as it was");
    assert!(matches!(conflicts[0].original, Original::Absent), "{conflicts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_point_of_no_return_ends_the_way_back() {
    let bench = Bench::new(&format!(
        "steps:
  - {{ id: before, hosts: \"master[0]\", t.put: {{ path: /etc/before, content: new }} }}
  - {{ id: point, hosts: \"master[0]\", irreversible: \"the old CA is destroyed\", gate: {{ ask: ok }}, t.run: {{ script: effect point }} }}
  - {{ id: after, hosts: \"master[0]\", t.put: {{ path: /etc/after, content: new }} }}
{FAILS}"
    ));
    assert_eq!(bench.start().await.exit, 1);
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, outcome.status), (6, RunStatus::RollbackIncomplete));
    assert!(
        outcome.reason.contains("it is a point of no return: the old CA is destroyed"),
        "{}",
        outcome.reason
    );
    assert_eq!(bench.world.text("a", "/etc/after"), None);
    assert_eq!(bench.world.text("a", "/etc/before").as_deref(), Some("new"));
}

#[tokio::test(start_paused = true)]
async fn finally_runs_however_the_rollback_ends() {
    let yaml = "steps:
  - { id: f, hosts: \"master[0]\", t.put: { path: /etc/f, content: new } }
  - { id: g, hosts: \"master[0]\", gate: { ask: ok }, t.note: { text: x } }
finally:
  - { id: clean, hosts: \"master[0]\", t.put: { path: /etc/clean, content: \"${run.id}\" } }
";
    let bench = Bench::new(yaml);
    bench.person.will_answer([Some(Answer::RollBack)]);
    bench.world.trouble("a", "remove", "/etc/f", How::Fails("it is busy"));
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 6, "{}", outcome.reason);
    assert_eq!(bench.events("finally.started").len(), 1);
    assert!(bench.ends().contains(&"undo_failed f@a".to_owned()));
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert!(bench.world.text("a", "/etc/clean").is_some(), "what `finally` did is not taken back");
}

/// Where the rollback cannot do it, a person does, and says so; what can be compared is compared all the same.
#[tokio::test(start_paused = true)]
async fn what_was_taken_back_by_hand_is_passed_over_and_compared() {
    let mut bench = Bench::new(
        "steps:
  - { id: before, hosts: \"master[0]\", t.put: { path: /etc/before, content: new } }
  - { id: f, hosts: \"master[0]\", owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - { id: told, hosts: \"master[0]\", t.run: { script: effect told }, undo: { t.flaky: { name: told, fails: 9 } } }
  - { id: bounce, hosts: \"master[0]\", settles: restart, t.run: { script: effect bounce } }
",
    );
    assert_eq!(bench.start().await.exit, 0);
    bench.options.taken_back = vec!["told@a".to_owned()];
    let refused = bench.try_roll_back().await.unwrap_err();
    assert_eq!(refused.cause, "no rollback tried it and failed");
    bench.options.taken_back.clear();
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 6, "{}", outcome.reason);
    assert!(bench.ends().contains(&"undo_failed told@a".to_owned()), "{:?}", bench.ends());
    bench.options.taken_back = vec!["f@a".to_owned()];
    let refused = bench.try_roll_back().await.unwrap_err();
    assert_eq!(refused.hints, ["those that could not be taken back: told@a"]);

    bench.options.taken_back = vec!["told@a".to_owned()];
    bench.world.trouble("a", "remove", "/etc/f", How::Fails("it is busy"));
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 6, "the next one fails: {}", outcome.reason);
    // A person says so of the file as well, and it is not so.
    bench.options.taken_back = vec!["told@a".to_owned(), "f@a".to_owned()];
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 6, "{}", outcome.reason);
    assert!(
        outcome.reason.contains("/etc/f: the run created it, and it is still there"),
        "{}",
        outcome.reason
    );
    assert_eq!(bench.world.text("a", "/etc/f").as_deref(), Some("new"));
    bench.world.on("a", |host| host.files.remove("/etc/f"));
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, outcome.owed.len()), (5, 0), "{}", outcome.reason);
    assert_eq!(ways(&bench), ["nothing", "by hand", "by hand", "restore"]);
    let settled = bench.events("obligation.settled").len();
    assert_eq!(settled, 2, "what was taken back by hand is settled as what was restored is");
}

/// Of a script's calls only those are passed over that cannot be taken back now either.
#[tokio::test(start_paused = true)]
async fn by_hand_of_a_script_passes_over_no_call_that_can_be_taken_back() {
    let mut bench = Bench::new(
        "steps:
  - id: both
    hosts: \"master[0]\"
    script: |
      act(\"t.move\", #{ from: \"/etc/one\", to: \"/etc/first\" });
      act(\"t.move\", #{ from: \"/etc/two\", to: \"/etc/second\" });
",
    );
    bench.world.put("a", "/etc/one", "1");
    bench.world.put("a", "/etc/two", "2");
    assert_eq!(bench.start().await.exit, 0);
    let fails = || bench.world.trouble("a", "rename", "/etc/second", How::Fails("it is busy"));
    fails();
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 6, "{}", outcome.reason);
    let hints = outcome.fault.unwrap().hints;
    assert!(hints.contains(&"of this unit these stand as well: t.move".to_owned()), "{hints:?}");
    assert_eq!(bench.world.text("a", "/etc/one"), None);
    fails();
    bench.options.taken_back = vec!["both@a".to_owned()];
    let outcome = bench.roll_back().await;
    assert_eq!(bench.world.text("a", "/etc/one").as_deref(), Some("1"), "this one could be taken back");
    assert!(bench.world.text("a", "/etc/second").is_some(), "and this one somebody answers for");
    let notes = bench.events("run.note");
    let answers_for =
        |event: &Event| matches!(event, Event::RunNote { text } if text.contains("answers for it"));
    assert!(notes.iter().any(answers_for), "{notes:?}");
    // What this action moves it does not name, so that nothing can be compared.
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
}

/// Where the last change cannot be taken back, nothing is begun; where it is met on the way, the hosts are free again.
#[tokio::test(start_paused = true)]
async fn a_point_of_no_return_leaves_no_lock() {
    let steps = "steps:
  - { id: before, hosts: \"master[0]\", t.put: { path: /etc/before, content: new } }
  - { id: point, hosts: \"master[0]\", irreversible: \"the old CA is destroyed\", gate: { ask: ok }, t.run: { script: effect point } }
";
    let bench = Bench::new(steps);
    assert_eq!(bench.start().await.exit, 0);
    let records = bench.records().len();
    let refused = bench.try_roll_back().await.unwrap_err();
    assert!(refused.cause.contains("it is a point of no return"), "{refused}");
    assert_eq!((bench.records().len(), bench.world.locked_by("a")), (records, None), "nothing was begun");

    let bench = Bench::new(&format!(
        "{steps}  - {{ id: after, hosts: \"master[0]\", t.put: {{ path: /etc/after, content: new }} }}\n{FAILS}"
    ));
    assert_eq!(bench.start().await.exit, 1);
    assert!(bench.world.locked_by("a").is_some());
    assert_eq!(bench.roll_back().await.exit, 6);
    assert_eq!((bench.world.text("a", "/etc/after"), bench.world.locked_by("a")), (None, None));
    assert!(bench.try_roll_back().await.unwrap_err().cause.contains("it is a point of no return"));
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_host_leaves_the_rollback_to_be_gone_on_with() {
    let bench = Bench::new(CONFLICT).masters(&["a", "b"]);
    assert_eq!(bench.start().await.exit, 0);
    bench.world.trouble("a", "connect", "", How::LostBefore);
    assert_eq!(bench.roll_back().await.exit, 6);
    assert_eq!(bench.roll_back().await.exit, 5);
    assert_eq!(["a", "b"].map(|host| bench.world.text(host, "/etc/f")), [None, None]);
}

#[tokio::test(start_paused = true)]
async fn a_run_killed_before_its_locks_were_recorded_gives_them_back() {
    let mut bench = Bench::new(CONFLICT).masters(&["a", "b"]);
    let held = |shot: &crate::support::tape::Shot| {
        let world = World::from_hosts(&shot.hosts);
        world.locked_by("a").is_some() && !String::from_utf8_lossy(&shot.journal).contains("lock.taken")
    };
    let shot = bench.shots().await.into_iter().find(held).unwrap();
    let again = bench.killed_at(&shot);
    assert_eq!(again.roll_back().await.exit, 5);
    assert_eq!(again.world.locked_by("a"), None);
}

/// A rollback is killed at every instant, and gone on with.
#[tokio::test(start_paused = true)]
async fn a_rollback_killed_at_any_instant_is_gone_on_with() {
    let mut bench = Bench::new(
        "steps:
  - { id: f, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - { id: move, hosts: \"master[0]\", t.move: { from: /etc/x, to: /etc/y } }
  - { id: bounce, hosts: master, settles: restart, t.run: { script: effect bounce } }
finally:
  - { id: clean, hosts: \"master[0]\", t.run: { script: effect clean } }
",
    )
    .masters(&["a", "b"]);
    bench.world.put("a", "/etc/f", "old");
    bench.world.put("a", "/etc/x", "moved");
    let before = ["a", "b"].map(|host| bench.world.files_of(host));
    assert_eq!(bench.start().await.exit, 0);
    let tape = bench.tape();
    assert_eq!(bench.roll_back().await.exit, 5);
    let shots = tape.shots();
    assert!(shots.len() > 20, "{}", shots.len());
    for shot in &shots[..shots.len() - 1] {
        let again = bench.killed_at(shot);
        let outcome = again.roll_back().await;
        let at = format!("after {}: {}", shot.after, outcome.reason);
        assert_eq!((outcome.exit, outcome.owed.len()), (5, 0), "{at}");
        assert_eq!(["a", "b"].map(|host| again.world.files_of(host)), before, "{at}");
        for host in ["a", "b"] {
            assert!(again.world.effects(host, "bounce") >= 2, "{host}: {at}");
            assert_eq!(again.world.locked_by(host), None, "{at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_without_a_way_back_is_not_called_rolled_back() {
    let bench = Bench::new("steps:\n  - { id: s, hosts: \"master[0]\", t.run: { script: effect s } }\n");
    assert_eq!(bench.start().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 6);
    assert!(
        outcome.reason.contains("s@a: `t.run` has no way back; what it changed stands"),
        "{}",
        outcome.reason
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_that_failed_or_was_lost_without_a_way_back_is_not_called_rolled_back() {
    for (step, exit) in [("t.flaky: { name: s, fails: 9 }", 1), ("t.judged: { name: lost }", 9)] {
        let bench = Bench::new(&format!("steps:\n  - {{ id: s, hosts: \"master[0]\", {step} }}\n"));
        bench.world.trouble("a", "exec", "effect lost", How::LostAfter);
        assert_eq!(bench.start().await.exit, exit);
        let outcome = bench.roll_back().await;
        assert_eq!(outcome.exit, 6, "{step}");
        assert!(outcome.reason.contains("s@a: `t."), "{}", outcome.reason);
    }
}

#[tokio::test(start_paused = true)]
async fn a_point_of_no_return_that_was_not_passed_does_not_end_the_way_back() {
    let bench = Bench::new(
        "steps:
  - { id: before, hosts: \"master[0]\", t.put: { path: /etc/before, content: new } }
  - { id: point, hosts: \"master[0]\", irreversible: \"it is gone\", gate: { ask: ok }, t.judged: { name: point } }
",
    );
    bench.world.put("a", "/verdict", "not-begun");
    bench.world.trouble("a", "exec", "effect point", How::LostBefore);
    assert_eq!(bench.start().await.exit, 4);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/before"), None);
}

#[tokio::test(start_paused = true)]
async fn a_point_of_no_return_passed_by_an_earlier_attempt_counts() {
    let mut bench = Bench::new(
        "steps:
  - { id: point, hosts: \"master[0]\", irreversible: \"it is gone\", gate: { ask: ok }, t.move: { from: /etc/x, to: /etc/y }, expect: inputs.fine }
",
    );
    bench.world.put("a", "/etc/x", "moved");
    bench.inputs = keybook_api::value::map([("fine", false.into())]);
    assert_eq!(bench.start().await.exit, 1);
    bench.inputs = keybook_api::value::map([("fine", true.into())]);
    assert_eq!(bench.resume().await.exit, 0);
    let refused = bench.try_roll_back().await.unwrap_err();
    assert!(refused.cause.contains("it is a point of no return"), "{refused}");
    assert_eq!(refused.now_true.as_deref(), Some("nothing was changed"));
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_was_lost_or_killed_is_tried_again() {
    let yaml = "steps:
  - { id: own, hosts: \"master[0]\", t.run: { script: effect own }, undo: { t.run: { script: effect undone } } }
";
    let bench = Bench::new(yaml);
    assert_eq!(bench.start().await.exit, 0);
    bench.world.trouble("a", "exec", "effect undone", How::LostAfter);
    assert_eq!(bench.roll_back().await.exit, 6);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(bench.world.effects("a", "undone"), 2);

    let mut bench = Bench::new(yaml);
    assert_eq!(bench.start().await.exit, 0);
    let tape = bench.tape();
    assert_eq!(bench.roll_back().await.exit, 5);
    let shots = tape.shots();
    for shot in &shots[..shots.len() - 1] {
        let again = bench.killed_at(shot);
        let outcome = again.roll_back().await;
        assert_eq!(outcome.exit, 5, "after {}: {}", shot.after, outcome.reason);
        assert!(again.world.effects("a", "undone") >= 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_command_makes_in_a_kept_folder_goes_and_what_others_make_there_is_told() {
    for failing in ["", "\\nexit 3"] {
        let bench = Bench::new(&format!(
            "steps:
  - {{ id: run, hosts: \"master[0]\", backup: [/srv], t.run: {{ script: \"put /srv/d/f made\\nput /srv/made made{failing}\" }} }}
{FAILS}"
        ));
        bench.world.put_node("a", "/srv", Node::dir(0o700));
        bench.world.put_node("a", "/srv/d", Node::dir(0o700));
        let before = bench.world.files_of("a");
        assert_eq!(bench.start().await.exit, 1);
        bench.world.put("a", "/srv/later", "theirs");
        let outcome = bench.roll_back().await;
        assert_eq!(outcome.exit, 6);
        assert!(
            outcome.reason.contains("a:/srv/later: it was not there when its folder was kept"),
            "{}",
            outcome.reason
        );
        bench.world.on("a", |host| host.files.remove("/srv/later"));
        assert_eq!(bench.roll_back().await.exit, 5);
        let mut after = bench.world.files_of("a");
        after.remove("/etc/tries-fails");
        assert_eq!(after, before);
        assert!(bench.person.conflicts.lock().unwrap().is_empty());
    }
}
