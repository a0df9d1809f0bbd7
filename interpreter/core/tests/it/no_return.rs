//! Points of no return: a rollback goes past one only where it is certain that nothing of it began.

use crate::support::{Bench, How, Trouble};
use keybook_api::{Event, event::RunStatus};
use keybook_core::run::person::Verdict;

const CANNOT: &str = "it is a point of no return";

/// A file, then a point of no return with this work.
fn steps(work: &str) -> String {
    format!(
        "steps:
  - {{ id: before, hosts: \"master[0]\", t.put: {{ path: /etc/before, content: new }} }}
  - {{ id: point, hosts: \"master[0]\", irreversible: \"it is gone\", gate: {{ ask: ok }}, {work} }}
"
    )
}

/// The same with a point that has these lines in it.
fn steps_inside(lines: &str) -> String {
    format!(
        "steps:
  - {{ id: before, hosts: \"master[0]\", t.put: {{ path: /etc/before, content: new }} }}
  - id: point
    hosts: \"master[0]\"
    irreversible: it is gone
    gate: {{ ask: ok }}
{lines}"
    )
}

fn notes(bench: &Bench) -> Vec<String> {
    let text = |event| match event {
        Event::RunNote { text } => text,
        other => panic!("{other:?}"),
    };
    bench.events("run.note").into_iter().map(text).collect()
}

/// The point was begun, or may have been: nothing is taken back, however it is asked for.
async fn stands(bench: &Bench, what: &str) {
    let cause = match bench.try_roll_back().await {
        Err(refused) => refused.cause,
        Ok(outcome) => {
            assert_eq!((outcome.exit, outcome.status), (6, RunStatus::RollbackIncomplete), "{what}");
            outcome.reason
        }
    };
    assert!(cause.contains(CANNOT), "{what}: {cause}");
    assert_eq!(bench.world.text("a", "/etc/before").as_deref(), Some("new"), "{what}");
}

/// It is certain that the point did not begin: the run is taken back wholly.
async fn passed(bench: &Bench, what: &str) {
    let outcome = bench.roll_back().await;
    assert_eq!((outcome.exit, outcome.status), (5, RunStatus::RolledBack), "{what}: {}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/before"), None, "{what}");
    let told = "point@a is a point of no return, and nothing of it began: the rollback goes past it";
    let tried = bench.records().iter().any(|record| {
        matches!(record.event, Event::UnitIntent { .. })
            && record.unit.as_ref().is_some_and(|unit| unit.step == "point")
    });
    assert_eq!(notes(bench), if tried { vec![told] } else { Vec::new() }, "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_point_whose_command_did_not_begin_is_gone_past() {
    let point = steps("t.run: { script: effect point }");
    let tried = steps("retry: { times: 2, delay: 1s }, t.run: { script: effect point }");
    for (yaml, how, exit) in [
        (&point, How::Fails("the wrapper never started"), 1),
        (&tried, How::Fails("the wrapper never started"), 1),
        (&point, How::LostBefore, 4),
    ] {
        let bench = Bench::new(yaml);
        let never = Trouble { host: "a", call: "exec", about: "effect point", how, after: 0, times: 2 };
        bench.world.add_trouble(never);
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, exit, "{}", outcome.reason);
        passed(&bench, yaml).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_point_that_may_have_begun_is_not_gone_past() {
    for (work, exit) in [
        // It failed after its command began.
        ("t.run: { script: \"effect point\\nexit 3\" }", 1),
        // Its action leaves nothing to tell by.
        ("t.burn: { name: point }", 1),
        // The first try began, the second one did not.
        ("retry: { times: 2, delay: 1s }, t.run: { script: \"effect point\\nexit 3\" }", 1),
    ] {
        let bench = Bench::new(&steps(work));
        let after = match work {
            _ if work.contains("t.burn") => Some(0),
            _ if work.contains("retry") => Some(1),
            _ => None,
        };
        if let Some(after) = after {
            let how = How::Fails("the wrapper never started");
            bench.world.add_trouble(Trouble {
                host: "a",
                call: "exec",
                about: "effect point",
                how,
                after,
                times: 1,
            });
        }
        assert_eq!(bench.start().await.exit, exit, "{work}");
        let records = bench.records().len();
        stands(&bench, work).await;
        assert_eq!(bench.records().len(), records, "{work}: nothing was begun, so it can still be resumed");
        assert!(notes(&bench).is_empty());
    }
}

/// "Not done" is also said of a part that is harmlessly done again; that part may be what cannot be taken back.
#[tokio::test(start_paused = true)]
async fn only_what_never_began_is_gone_past_after_a_loss() {
    for (verdict, how, certain) in [
        ("not-begun", How::LostBefore, true),
        ("not-done", How::LostAfter, false),
        ("unknown", How::LostAfter, false),
    ] {
        let bench = Bench::new(&steps("t.judged: { name: point }"));
        bench.world.put("a", "/verdict", verdict);
        bench.world.trouble("a", "exec", "effect point", how);
        assert_ne!(bench.start().await.exit, 0);
        if certain { passed(&bench, verdict).await } else { stands(&bench, verdict).await }
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_attempt_that_began_counts() {
    let bench = Bench::new(&steps("t.run: { script: \"effect point\\nexit 3\" }"));
    assert_eq!(bench.start().await.exit, 1);
    bench.world.trouble("a", "exec", "effect point", How::Fails("the wrapper never started"));
    assert_eq!(bench.resume().await.exit, 1);
    stands(&bench, "the second attempt did not begin").await;
}

/// It changed nothing, and ended well: that is no news.
#[tokio::test(start_paused = true)]
async fn a_point_that_changed_nothing_is_gone_past_without_a_word() {
    let bench = Bench::new(&steps("t.move: { from: /etc/x, to: /etc/y }, expect: \"true\""));
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!((bench.roll_back().await.exit, notes(&bench).len()), (5, 0));
}

/// "Not done" is also what a person says of what began and did not work, so that it is done again.
#[tokio::test(start_paused = true)]
async fn what_a_person_found_not_done_is_not_gone_past() {
    let work = "t.judged: { name: point }";
    let checked = "t.judged: { name: point }, expect: inputs.fine";
    for (work, verdict, how) in [
        (work, "unknown", How::LostBefore),
        (work, "unknown", How::LostAfter),
        (checked, "done", How::LostAfter),
    ] {
        let mut bench = Bench::new(&format!(
            "{}  - {{ id: last, hosts: \"master[0]\", gate: {{ ask: ok }}, t.note: {{ text: x }} }}\n",
            steps(work)
        ));
        bench.inputs = keybook_api::value::map([("fine", false.into())]);
        bench.world.put("a", "/verdict", verdict);
        bench.world.trouble("a", "exec", "effect point", how);
        assert_eq!(bench.start().await.exit, 9);
        *bench.person.on_doubt.lock().unwrap() = Some(Box::new(|_| Some(Verdict::NotDone)));
        bench.world.put("a", "/plan", "fault");
        assert_eq!(bench.resume().await.exit, 1);
        stands(&bench, work).await;
        assert!(notes(&bench).is_empty());
    }
}

/// What nobody could decide ends the way back as well, and nobody is kept from the hosts because of it.
#[tokio::test(start_paused = true)]
async fn a_point_whose_outcome_nobody_knows_leaves_no_lock() {
    let bench = Bench::new(&steps("t.judged: { name: point }"));
    bench.world.put("a", "/verdict", "unknown");
    bench.world.trouble("a", "exec", "effect point", How::LostAfter);
    assert_eq!(bench.start().await.exit, 9);
    // It can still be resumed, and a person be asked.
    let records = bench.records().len();
    stands(&bench, "unknown").await;
    assert_eq!(bench.records().len(), records);

    // Killed while it was under way, the rollback looks for it itself.
    let mut bench = Bench::new(&steps("t.judged: { name: point }"));
    bench.world.put("a", "/verdict", "unknown");
    let shots = bench.shots().await;
    let shot = shots.iter().rfind(|shot| shot.after.contains("unit.intent")).unwrap();
    let bench = bench.killed_at(shot);
    for _ in 0..2 {
        stands(&bench, "under way").await;
        assert_eq!(bench.world.locked_by("a"), None);
    }
}

/// What was put back before the point was met owes what it owes, also where the rollback was killed on its way there.
#[tokio::test(start_paused = true)]
async fn a_rollback_that_was_killed_before_a_point_settles_what_it_owes_and_leaves_no_lock() {
    let after = "  - { id: after, hosts: \"master[0]\", owes: { what: restart }, t.put: { path: /etc/after, content: new } }
  - { id: restart, hosts: \"master[0]\", settles: restart, t.run: { script: effect restart } }
";
    let mut bench = Bench::new(&format!("{}{after}", steps("t.run: { script: effect point }")));
    assert_eq!(bench.start().await.exit, 0);
    let tape = bench.tape();
    stands(&bench, "not killed").await;
    let shots = tape.shots();
    assert!(shots.len() > 10, "{}", shots.len());
    for shot in shots {
        let (again, what) = (bench.killed_at(&shot), format!("after {}", shot.after));
        stands(&again, &what).await;
        assert_eq!((again.world.text("a", "/etc/after"), again.world.locked_by("a")), (None, None), "{what}");
        assert!(again.world.effects("a", "restart") >= 2, "{what}");
    }
}

/// What stands inside a point that began is not touched, however far the point came.
#[tokio::test(start_paused = true)]
async fn nothing_inside_a_point_that_began_is_taken_back() {
    let yaml = steps_inside(
        "    backup: [/etc/inner]
    steps:
      - { id: inner, t.put: { path: /etc/inner, content: new } }
      - { id: one, t.run: { script: effect one } }
      - { id: two, t.put: { path: /etc/two, content: new } }
      - { id: three, t.run: { script: \"exit 3\" } }
",
    );
    let mut bench = Bench::new(&yaml);
    let tape = bench.tape();
    assert_eq!(bench.start().await.exit, 1);
    let begun = tape.shots().into_iter().filter(|shot| !shot.hosts["a"].receipts.is_empty());
    let killed: Vec<(Bench, String)> =
        begun.map(|shot| (bench.killed_at(&shot), format!("after {}", shot.after))).collect();
    assert!(killed.len() > 10, "{}", killed.len());
    for (again, what) in killed {
        let two = again.world.text("a", "/etc/two");
        stands(&again, &what).await;
        assert_eq!(again.world.text("a", "/etc/inner").as_deref(), Some("new"), "{what}");
        assert_eq!(again.world.text("a", "/etc/two"), two, "{what}");
    }
}

/// The step inside cannot be taken back because of the step around it.
#[tokio::test(start_paused = true)]
async fn a_point_with_steps_inside_is_gone_past_when_none_of_them_began() {
    let yaml = steps_inside(
        "    steps:
      - { id: look, t.read: { path: /etc/before } }
      - { id: one, t.run: { script: effect one } }
      - { id: two, t.run: { script: effect two } }
",
    );
    for (about, begun) in [("effect one", false), ("effect two", true)] {
        let bench = Bench::new(&yaml);
        bench.world.trouble("a", "exec", about, How::Fails("the wrapper never started"));
        assert_eq!(bench.start().await.exit, 1);
        if begun { stands(&bench, about).await } else { passed(&bench, about).await }
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_is_gone_past_when_none_of_its_calls_began() {
    let yaml = steps_inside(
        "    script: |
      act(\"t.run\", #{ script: \"effect one\" });
      act(\"t.run\", #{ script: \"effect two\" });
",
    );
    for how in [How::Fails("the wrapper never started"), How::LostBefore] {
        for (about, begun) in [("effect one", false), ("effect two", true)] {
            let bench = Bench::new(&yaml);
            bench.world.trouble("a", "exec", about, how.clone());
            assert_ne!(bench.start().await.exit, 0);
            if begun { stands(&bench, about).await } else { passed(&bench, about).await }
        }
    }
}

/// Killed at every instant: as long as nothing happened, everything comes back; once it may have, nothing does.
#[tokio::test(start_paused = true)]
async fn killed_at_any_instant_a_point_is_gone_past_only_before_it_began() {
    let mut bench = Bench::new(&steps("t.run: { script: effect point }"));
    let shots = bench.shots().await;
    let (mut before, mut after) = (0, 0);
    for shot in &shots {
        let again = bench.killed_at(shot);
        let begun = !shot.hosts["a"].receipts.is_empty();
        let at = format!("after {}", shot.after);
        if begun {
            after += 1;
            stands(&again, &at).await;
        } else {
            before += 1;
            passed(&again, &at).await;
        }
    }
    assert!(before > 10 && after > 2, "{before} {after}");
}

/// Whatever is found of the unit under way, nothing would be taken back: the run can still be resumed.
#[tokio::test(start_paused = true)]
async fn a_loss_behind_a_point_that_was_passed_leaves_the_run_as_it_is() {
    let bench = Bench::new(
        "steps:
  - { id: point, hosts: master, irreversible: \"it is gone\", gate: { ask: ok }, t.run: { script: effect point } }
",
    )
    .masters(&["a", "b"]);
    bench.world.trouble("b", "exec", "effect point", How::LostBefore);
    assert_eq!(bench.start().await.exit, 4);
    let refused = bench.try_roll_back().await.unwrap_err();
    assert!(refused.cause.contains(CANNOT), "{refused}");
    assert!(refused.hints.iter().any(|hint| hint.contains("keybook resume")), "{refused:?}");
    bench.world.clear_troubles();
    assert_eq!(bench.resume().await.exit, 0);
}
