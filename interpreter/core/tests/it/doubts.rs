//! Effects whose outcome nobody recorded.

use crate::support::{Bench, How, Trouble};
use keybook_api::{Event, event::RunStatus};
use keybook_core::{
    journal::reader,
    run::{engine, machine::UnitState, person::Verdict},
};
use std::path::PathBuf;

const JUDGED: &str = "steps:
  - { id: s, hosts: \"master[0]\", t.judged: { name: s } }
  - { id: next, hosts: \"master[0]\", t.run: { script: effect next } }
";

fn verdicts(bench: &Bench) -> Vec<(String, String, String)> {
    let show = |event| match event {
        Event::UnitReconciled { verdict, reason, by, .. } => (verdict, by, reason),
        other => panic!("{other:?}"),
    };
    bench.events("unit.reconciled").into_iter().map(show).collect()
}

#[tokio::test(start_paused = true)]
async fn a_host_lost_in_mid_effect_is_asked_right_away() {
    for (verdict, exit, next) in [("done", 0, 1), ("not-done", 4, 0), ("unknown", 9, 0), ("fault", 9, 0)] {
        let bench = Bench::new(JUDGED);
        bench.world.put("a", "/verdict", verdict);
        bench.world.trouble("a", "exec", "effect s", How::LostAfter);
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, exit, "{verdict}: {}", outcome.reason);
        assert_eq!((bench.world.effects("a", "s"), bench.world.effects("a", "next")), (1, next));
        let Event::UnitFailed { fault, before_effect, .. } = bench.events("unit.failed").remove(0) else {
            panic!()
        };
        assert_eq!((fault.kind.as_str(), before_effect), ("unreachable", false));
        let said = if verdict == "fault" { "unknown" } else { verdict };
        assert_eq!(verdicts(&bench)[0].0, said);
        let told_so = outcome
            .fault
            .is_some_and(|fault| fault.now_true.is_some_and(|now| now.contains("it did not happen")));
        assert_eq!(told_so, verdict == "not-done", "{verdict}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_comes_back_soon_is_asked_then() {
    let bench = Bench::new(JUDGED);
    bench.world.put("a", "/verdict", "done");
    bench.world.trouble("a", "exec", "effect s", How::LostAfter);
    let lost =
        |call| Trouble { host: "a", call, about: "/verdict", how: How::LostBefore, after: 0, times: 2 };
    bench.world.add_trouble(lost("stat"));
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_stays_away_leaves_the_outcome_unknown() {
    let bench = Bench::new(JUDGED);
    bench.world.trouble("a", "exec", "effect s", How::LostAfter);
    let away =
        Trouble { host: "a", call: "stat", about: "/verdict", how: How::LostBefore, after: 0, times: 99 };
    bench.world.add_trouble(away);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.status), (9, RunStatus::Unknown), "{}", outcome.reason);
    // Still away: the resume cannot go on.
    assert_eq!(bench.resume().await.exit, 4);
    bench.world.clear_troubles();
    bench.world.put("a", "/verdict", "done");
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.world.effects("a", "s"), 1);
}

#[tokio::test(start_paused = true)]
async fn on_resume_a_person_decides_what_nobody_can_tell() {
    for (verdict, times) in [(Some(Verdict::Done), 1), (Some(Verdict::NotDone), 2), (None, 1)] {
        let bench = Bench::new(JUDGED);
        bench.world.trouble("a", "exec", "effect s", How::LostAfter);
        assert_eq!(bench.start().await.exit, 9);
        assert!(bench.person.doubts.lock().unwrap().is_empty(), "in the run itself nobody is asked");
        *bench.person.on_doubt.lock().unwrap() = Some(Box::new(move |_| verdict));
        let outcome = bench.resume().await;
        assert_eq!(outcome.exit, if verdict.is_some() { 0 } else { 9 }, "{}", outcome.reason);
        assert_eq!(bench.world.effects("a", "s"), times);
        let doubt = bench.person.doubts.lock().unwrap()[0].clone();
        assert_eq!((doubt.unit.to_string().as_str(), doubt.reason.as_str()), ("s@a", "nothing tells"));
        assert_eq!(doubt.lines, ["t.judged {\"name\":\"s\"}"]);
        if verdict.is_some() {
            assert_eq!(verdicts(&bench).last().unwrap().1, "ann@desk");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_happened_must_also_have_worked() {
    let bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", t.judged: { name: s }, expect: result == \"applied\" }
",
    );
    bench.world.put("a", "/verdict", "done");
    bench.world.trouble("a", "exec", "effect s", How::LostAfter);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 9);
    assert!(verdicts(&bench)[0].2.contains("it happened, but `result == \"applied\"` is false"));
}

#[tokio::test(start_paused = true)]
async fn what_is_repeated_until_it_is_so_is_repeated_after_a_loss() {
    let bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", t.judged: { name: s }, retry: { times: 3, delay: 1s, until: result == \"applied\" } }
",
    );
    bench.world.put("a", "/verdict", "done");
    bench.world.trouble("a", "exec", "effect s", How::LostAfter);
    assert_eq!(bench.start().await.exit, 4);
    assert_eq!(verdicts(&bench)[0].0, "not-done");
    assert_eq!(bench.resume().await.exit, 0);
}

#[tokio::test(start_paused = true)]
async fn other_arguments_than_before_are_no_ground_to_tell_by() {
    let mut bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", t.judged: { name: \"${inputs.name}\" } }
",
    );
    bench.inputs = keybook_api::value::map([("name", "s".into())]);
    bench.world.trouble("a", "exec", "effect s", How::LostAfter);
    assert_eq!(bench.start().await.exit, 9);
    bench.inputs = keybook_api::value::map([("name", "t".into())]);
    bench.world.put("a", "/verdict", "done");
    assert_eq!(bench.resume().await.exit, 9);
    assert!(verdicts(&bench).last().unwrap().2.contains("its arguments are other ones"));
}

#[tokio::test(start_paused = true)]
async fn what_only_reads_is_in_no_doubt_after_a_crash() {
    let mut bench =
        Bench::new("steps:\n  - { id: s, hosts: \"master[0]\", t.read: { path: /etc/f }, register: f }\n");
    bench.world.put("a", "/etc/f", "x");
    let shot = bench.shots().await.into_iter().find(|shot| shot.after.contains("unit.intent")).unwrap();
    let again = bench.killed_at(&shot);
    let outcome = again.resume().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert!(again.person.doubts.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn finally_comes_first_after_a_kill_and_only_then() {
    let mut bench = Bench::new(
        "steps:
  - { id: one, hosts: \"master[0]\", t.run: { script: effect one } }
  - { id: two, hosts: \"master[0]\", t.run: { script: effect two } }
finally:
  - { id: clean, hosts: \"master[0]\", t.run: { script: effect clean } }
",
    );
    let shot = bench.shots().await.into_iter().find(|shot| shot.after.contains("unit.done one@a")).unwrap();
    let again = bench.killed_at(&shot);
    // A resume that does not get far leaves `finally` due.
    again.world.trouble("a", "connect", "", How::LostBefore);
    assert_eq!(again.resume().await.exit, 4);
    assert_eq!(again.resume().await.exit, 0);
    let wanted = ["done one@a", "done finally-1/clean@a", "done two@a", "done finally-2/clean@a"];
    assert_eq!(again.ends(), wanted);
}

#[tokio::test(start_paused = true)]
async fn a_loss_before_any_effect_is_no_doubt() {
    let bench = Bench::new(
        "steps:\n  - { id: s, hosts: \"master[0]\", backup: [/etc/f], t.put: { path: /etc/f, content: x } }\n",
    );
    bench.world.put("a", "/etc/f", "old");
    bench.world.trouble("a", "copy", "", How::LostBefore);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 4);
    let unit = keybook_api::UnitId::parse("s@a").unwrap();
    assert_eq!(outcome.state.unit_state(&unit), UnitState::FailedClean);
    assert_eq!(bench.resume().await.exit, 0);
}

/// A journal whose file can be kept from growing at any moment, as on a full disk.
fn journal_in_memory(bench: &Bench) -> (std::os::fd::OwnedFd, PathBuf) {
    let flags = rustix::fs::MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("journal", flags).unwrap();
    rustix::io::write(&file, &std::fs::read(bench.journal()).unwrap()).unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    (file, path.into())
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_cannot_be_written_stops_the_run() {
    let gated = JUDGED.replace("t.judged", "gate: { ask: ok }, retry: { times: 3, delay: 1s }, t.judged");
    for (in_effect, effects) in [(false, 0), (true, 1)] {
        let bench = Bench::new(&gated);
        bench.person.will_answer([None]);
        assert_eq!(bench.start().await.exit, 3);
        let (file, path) = journal_in_memory(&bench);
        let read = reader::read(&path).unwrap();
        let seal = move || rustix::fs::fcntl_add_seals(&file, rustix::fs::SealFlags::GROW).unwrap();
        if in_effect {
            bench.world.hook(move |hosts| {
                if hosts["a"].effects.contains_key("s") {
                    seal();
                }
            });
        } else {
            *bench.person.on_gate.lock().unwrap() = Some(Box::new(move |_| seal()));
        }
        let fault = engine::resume(bench.setup(), &path, &read, Vec::new()).await.unwrap_err();
        assert!(fault.attempted.starts_with("write the journal"), "{fault}");
        assert_eq!((bench.world.effects("a", "s"), bench.world.effects("a", "next")), (effects, 0));
    }
}
