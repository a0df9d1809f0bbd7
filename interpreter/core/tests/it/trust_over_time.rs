//! Trust that time, a lost server or a new host changes, and what a resumed or taken-back run makes of it.

use super::trust::bench;
use crate::support::{Bench, tape::Shot};
use keybook_api::{Event, TrustVerdict, event::RunStatus};

/// A step that may have changed anything, whose gate is the moment at which a test changes the world.
const ACT: &str = "  - { id: act, hosts: \"master[0]\", backup: /etc/cert, gate: { ask: now }, t.run: { script: effect x } }\n";

/// At the gate this appears on a host.
fn at_the_gate(bench: &Bench, host: &'static str, path: &'static str, content: &'static str) {
    let world = std::sync::Arc::clone(&bench.world);
    *bench.person.on_gate.lock().unwrap() = Some(Box::new(move |_| world.put(host, path, content)));
}

fn notes(bench: &Bench) -> Vec<String> {
    let text = |event| match event {
        Event::RunNote { text } => text,
        other => panic!("{other:?}"),
    };
    bench.events("run.note").into_iter().map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn a_command_that_worked_is_not_carried_out_again_because_trust_broke() {
    let bench = bench(ACT);
    at_the_gate(&bench, "a", "/etc/cert", "strange");
    let outcome = bench.start().await;
    assert_eq!(outcome.fault.unwrap().attempted, "keep trust whole in act@a");
    let Event::UnitFailed { only_trust: true, before_effect: false, .. } =
        bench.events("unit.failed").remove(0)
    else {
        panic!()
    };
    let asked = bench.person.asked().len();
    let outcome = bench.resume().await;
    assert_eq!(outcome.fault.unwrap().attempted, "keep trust whole in act@a", "it is still broken");
    bench.world.put("a", "/etc/cert", "old");
    let outcome = bench.resume().await;
    assert_eq!((outcome.status, outcome.exit), (RunStatus::Done, 0), "{}", outcome.reason);
    assert_eq!(bench.world.effects("a", "x"), 1, "it was carried out once");
    assert_eq!(bench.person.asked().len(), asked, "and nobody was asked again");
    assert_eq!(bench.ends(), ["failed act@a", "done act@a"]);
}

/// The same for a step with steps.
#[tokio::test(start_paused = true)]
async fn a_step_with_steps_that_worked_is_not_entered_again_because_trust_broke() {
    let bench = bench(
        "  - id: pair
    hosts: master[0]
    atomic: true
    gate: { ask: now }
    steps:
      - { id: act, t.run: { script: effect x } }
",
    );
    at_the_gate(&bench, "a", "/etc/cert", "strange");
    assert_eq!(bench.start().await.fault.unwrap().attempted, "keep trust whole in pair@a");
    bench.world.put("a", "/etc/cert", "old");
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!((bench.world.effects("a", "x"), bench.person.asked().len()), (1, 1));
}

/// Whoever changes the runbook means it to be carried out as it is now.
#[tokio::test(start_paused = true)]
async fn a_step_that_was_changed_is_carried_out_as_it_is_now() {
    let mut bench =
        bench("  - { id: swap, hosts: \"master[0]\", t.put: { path: /etc/cert, content: new } }\n");
    assert_eq!(bench.start().await.exit, 1);
    bench.yaml = bench.yaml.replace("content: new", "content: old");
    let journal = keybook_core::journal::reader::read(&bench.journal()).unwrap();
    let accepted = vec!["the runbook".to_owned()];
    let resumed =
        keybook_core::run::engine::resume(bench.setup(), &bench.journal(), &journal, accepted).await.unwrap();
    assert_eq!(resumed.exit, 0, "{}", resumed.reason);
    assert_eq!(bench.world.text("a", "/etc/cert").unwrap(), "old");
}

#[tokio::test(start_paused = true)]
async fn what_only_time_broke_is_told_and_blamed_on_no_step() {
    let steps =
        format!("{ACT}  - {{ id: same, hosts: \"master[0]\", t.put: {{ path: /etc/other, content: y }} }}\n");
    let ended = bench(&steps);
    at_the_gate(&ended, "a", "/etc/ended", "x");
    let outcome = ended.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let known = outcome.state.trust.last.iter().filter(|edge| edge.verdict == TrustVerdict::Broken).count();
    assert_eq!(known, 1);
    let notes = notes(&ended);
    assert_eq!(notes.len(), 1, "told once: {notes:?}");
    assert!(notes[0].starts_with("kubelet@m verifies api@a no longer: "), "{notes:?}");
    assert!(notes[0].ends_with("no step is blamed: time alone broke it"), "{notes:?}");

    // What is renewed in its file, and not in the server that goes on with the old one, is not well at the end.
    let stale = bench(&steps);
    let world = std::sync::Arc::clone(&stale.world);
    *stale.person.on_gate.lock().unwrap() = Some(Box::new(move |_| {
        world.put("a", "/etc/ended", "x");
        world.put("a", "/etc/stale", "x");
    }));
    let outcome = stale.start().await;
    assert_eq!(outcome.fault.unwrap().attempted, "end the run");
    assert_eq!(stale.ends(), ["done act@a", "done same@a"]);

    // What a step put there itself and what ended with it is the step's.
    let put = bench(
        "  - { id: ca, hosts: manager, breaks: api, t.put: { path: /etc/ca, content: newer } }
  - { id: swap, hosts: \"master[0]\", breaks: api, gate: { ask: now }, t.put: { path: /etc/cert, content: newer } }\n",
    );
    at_the_gate(&put, "a", "/etc/ended", "x");
    let outcome = put.start().await;
    assert_eq!(outcome.fault.unwrap().attempted, "end the run");
}

#[tokio::test(start_paused = true)]
async fn what_ran_out_meanwhile_keeps_no_run_from_being_taken_back() {
    let steps = format!(
        "{ACT}  - {{ id: fails, hosts: manager, t.flaky: {{ name: f, fails: 9 }}, undo: {{ t.note: {{ text: x }} }} }}\n"
    );
    for (extra, exit) in [("/etc/ended", 5), ("/etc/strange", 5), ("/etc/down", 6)] {
        let bench =
            bench(&steps.replace(
                "t.run: { script: effect x }",
                "t.put: { path: /etc/cert, content: new }, breaks: api",
            ));
        assert_eq!(bench.start().await.exit, 1);
        bench.world.put("a", extra, "x");
        let outcome = bench.roll_back().await;
        assert_eq!(outcome.exit, exit, "{extra}: {}", outcome.reason);
        assert_eq!(bench.world.locked_by("a").is_some(), exit == 6);
        if extra == "/etc/down" {
            let fault = outcome.fault.unwrap();
            assert_eq!(fault.attempted, "roll back wholly");
            assert!(fault.cause.starts_with("api@a no longer answers kubelet@m: "), "{}", fault.cause);
            bench.world.on("a", |host| host.files.remove("/etc/down"));
            assert_eq!(bench.roll_back().await.exit, 5, "once it is back");
        }
    }
    // Somebody else broke it, or a server runs with something else than the files that are back.
    for (stale, exit) in [(false, 5), (true, 6)] {
        let bench = bench(
            &steps
                .replace("t.run: { script: effect x }", "t.put: { path: /etc/other, content: new }")
                .replace("backup: /etc/cert, ", ""),
        );
        assert_eq!(bench.start().await.exit, 1);
        // Not a file of the run's.
        bench.world.put("m", "/etc/ca", "strange");
        if stale {
            bench.world.put("a", "/etc/stale", "x");
        }
        let outcome = bench.roll_back().await;
        assert_eq!(outcome.exit, exit, "{stale}: {}", outcome.reason);
        let forgiven = "kubelet@m verifies api@a no longer: ";
        assert_eq!(notes(&bench).iter().any(|note| note.starts_with(forgiven)), !stale);
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_sees_any_more_or_does_not_answer_fails_the_end_and_no_step() {
    let down = bench(ACT);
    at_the_gate(&down, "a", "/etc/down", "x");
    let outcome = down.start().await;
    let fault = outcome.fault.unwrap();
    assert_eq!(fault.attempted, "end the run");
    assert!(fault.cause.starts_with("api@a no longer answers kubelet@m: "), "{}", fault.cause);
    assert_eq!(down.ends(), ["done act@a"]);
    down.world.on("a", |host| host.files.remove("/etc/down"));
    assert_eq!(down.resume().await.exit, 0);

    let gone = bench(ACT);
    let world = std::sync::Arc::clone(&gone.world);
    *gone.person.on_gate.lock().unwrap() =
        Some(Box::new(move |_| world.on("m", |host| drop(host.files.remove("/etc/ca")))));
    let fault = gone.start().await.fault.unwrap();
    assert_eq!(fault.attempted, "end the run");
    assert!(
        fault.cause.contains("nobody can tell any more whether kubelet@m verifies api@a: "),
        "{}",
        fault.cause
    );

    // What did not answer, or was not seen, before the first step is nobody's fault.
    let before = bench(ACT);
    before.world.put("b", "/etc/down", "x");
    before.world.on("c", |host| host.files.remove("/etc/cert"));
    assert_eq!(before.start().await.exit, 0);
}

const ADDED: &str = "
trust:
  bundles:
    ca: { file: /etc/ca }
  servers:
    api: { on: added, port: 1, cert: /etc/cert, reads: each-time }
  clients:
    kubelet: { on: manager, uses: [api], trusts: ca, reads: each-time }
steps:
";

fn added(steps: &str) -> Bench {
    let bench = Bench::new(&format!("{ADDED}{steps}"));
    bench.world.put("m", "/etc/ca", "old");
    bench.world.put("n1", "/etc/cert", "old");
    bench
}

/// A group without hosts gives no edges until it has some; those of a new host are judged when it is added.
#[tokio::test(start_paused = true)]
async fn a_host_that_is_added_is_judged_before_any_step_works_on_it() {
    let add = "  - { id: add, hosts: manager, t.add: { group: added, name: n1 } }
  - { id: swap, hosts: manager, t.put: { path: /etc/ca, content: new } }\n";
    let whole = added(add);
    let outcome = whole.start().await;
    let fault = outcome.fault.unwrap();
    assert_eq!(fault.attempted, "keep trust whole in swap@m", "{}", fault.cause);
    let first = |event: &Event| matches!(event, Event::TrustChecked { first: true, .. });
    let sizes: Vec<(bool, usize)> = whole
        .events("trust.checked")
        .iter()
        .map(|event| match event {
            Event::TrustChecked { edges, .. } => (first(event), edges.len()),
            _ => panic!(),
        })
        .collect();
    assert_eq!(sizes, [(true, 0), (true, 1), (false, 1)]);
    // One that was broken when it came is nobody's fault.
    let broken = added(add);
    broken.world.put("n1", "/etc/cert", "strange");
    assert_eq!(broken.start().await.exit, 0);
}

/// An edge that was judged neither before the first step nor when its host came counts when it is broken.
#[tokio::test(start_paused = true)]
async fn an_edge_that_is_first_seen_broken_is_not_forgiven() {
    let mut bench = added("  - { id: look, hosts: manager, t.run: { script: effect x } }\n");
    bench.world.put("n1", "/etc/cert", "strange");
    let tape = bench.tape();
    assert_eq!(bench.start().await.exit, 0, "there is no edge");
    // Killed after the judgement; then somebody adds the host to the inventory.
    let shots: Vec<Shot> = tape.shots();
    let shot = shots.iter().find(|shot| shot.after.contains("trust.checked")).unwrap();
    let mut again = bench.killed_at(shot);
    again.groups.insert("added".into(), vec!["n1".into()]);
    let outcome = again.resume().await;
    assert_eq!(outcome.fault.unwrap().attempted, "keep trust whole in look@m");
}

/// When a process started may be printed by a command; why nobody can tell is told; and a host that hangs while
/// it is asked holds nobody up.
#[tokio::test(start_paused = true)]
async fn when_a_process_started_is_read_from_what_a_command_prints() {
    for (content, reason) in [
        ("1234\n", "Some(\"old\") at a:6443, Some(\"old\")"),
        ("soon", "`t.printed` does not tell when it started: `soon` is no second since 1970"),
        ("hang", "`t.printed` does not tell when it started: it took longer than 15s"),
    ] {
        let mut bench = bench("  - { id: x, hosts: manager, t.note: { text: x } }\n");
        bench.yaml =
            bench.yaml.replace("t.read: { path: /etc/started }", "t.printed: { path: /etc/started }");
        bench.world.put("m", "/etc/started", content);
        let begun = tokio::time::Instant::now();
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, 0, "{}", outcome.reason);
        assert_eq!(outcome.state.trust.last[0].reason, reason);
        assert!(begun.elapsed().as_secs() < 60, "asked on all hosts at once: {:?}", begun.elapsed());
    }
}
