//! The hooks of hooks.rhai.

use crate::support::{Bench, bench::secret};
use keybook_api::{
    Event, Value,
    event::{Answer, RunStatus},
    returns::Holds,
    value::map,
};
use keybook_core::run::hooks::HOOKS;
use std::time::Duration;

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
fn after_step(unit, result) { let name = "t.put"; act(name, #{ path: "/etc/f", content: "x" }); }
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

const TELLING: &str = r#"
fn on_failure(unit, fault) { note(`told ${act("t.tell", #{ text: `failed ${unit.id} in ${unit.run.id}` }).told}`); }
fn after_run(run, outcome) { act("t.tell", #{ text: outcome.status }); }
"#;

#[tokio::test(start_paused = true)]
async fn hooks_tell_people_from_this_machine() {
    let bench =
        bench(TELLING, "  - { id: one, hosts: \"master[0]\", t.note: { text: x }, expect: \"false\" }\n");
    assert_eq!(bench.start().await.exit, 1);
    let told = bench.world.text("local", "/told").unwrap();
    assert_eq!(told, format!("failed one@a in {}\nfailed\n", crate::support::bench::RUN));
    assert_eq!(bench.world.text("a", "/told"), None);
    assert!(notes(&bench).contains(&"one@a: told true".to_owned()), "{:#?}", notes(&bench));
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_fails_before_its_effect_has_failed_too() {
    let hooks = "fn on_failure(unit, fault) { note(`failed: ${fault.cause}`); }";
    let bench =
        bench(hooks, "  - { id: one, hosts: \"master[0]\", when: \"[1][3] == 1\", t.note: { text: x } }\n");
    assert_eq!(bench.start().await.exit, 1);
    let told = notes(&bench);
    assert_eq!(told, ["one@a: failed: the list has 1 items, there is no item 3"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_is_a_note_and_fails_nothing() {
    let hooks = r#"
fn before_run(run) { note(act("t.tell", #{ text: "lost" }).told); }
fn before_step(unit) { act("t.tell", #{ text: "lost" }); }
"#;
    let steps = "  - { id: one, hosts: \"master[0]\", t.tell: { text: lost }, register: told }
  - { id: two, hosts: \"master[0]\", when: \"!told.told && told.why.contains(`nobody listens`)\", t.tell: { text: here }, expect: result.told }
  - { id: three, hosts: \"master[0]\", t.tell: { text: lost }, expect: result.told }
";
    let bench = bench(hooks, steps);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1, "{}", outcome.reason);
    assert_eq!(bench.ends(), ["done one@a", "done two@a", "failed three@a"], "a step may ask for it");
    assert_eq!(bench.world.text("a", "/told").as_deref(), Some("here\n"));
    let told = notes(&bench);
    assert_eq!(told[..2], ["could not tell: nobody listens", "false"], "{told:#?}");
    let of_one: Vec<&String> =
        told.iter().filter(|note| note.starts_with("one@a: could not tell: nobody")).collect();
    assert_eq!(of_one.len(), 2, "the hook's and the step's: {told:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_tells_nobody() {
    let mut bench = bench(
        "fn before_run(run) { act(\"t.tell\", #{ text: \"begun\" }); }",
        "  - { id: one, hosts: \"master[0]\", t.tell: { text: here } }\n",
    );
    bench.options.sandbox = true;
    assert_eq!(bench.start().await.exit, 0);
    for host in ["a", "local"] {
        assert_eq!(bench.world.text(host, "/told"), None);
    }
    let would = "could not tell anybody: a sandbox sends nothing; a real run would: tell";
    let told = notes(&bench);
    assert_eq!(told[0], format!("{would} begun"), "{told:#?}");
    assert!(told.iter().any(|note| note.starts_with(&format!("one@a: {would} here"))), "{told:#?}");
}

/// With a secret input `token`, one that was not given, and one that is open.
fn with_secrets(hooks: &str, steps: &str) -> Bench {
    let mut bench = bench(hooks, steps);
    bench.inputs = map([("token", secret("hunter22")), ("spare", Value::Null), ("open", "to all".into())]);
    bench.yaml.push_str(
        "inputs: { token: { type: secret }, spare: { type: secret, optional: true }, open: { type: string } }\n",
    );
    bench
}

const ONE: &str = "  - { id: one, hosts: \"master[0]\", t.note: { text: [\"${inputs.token}\", seen] } }\n";

#[tokio::test(start_paused = true)]
async fn what_hooks_are_given_holds_no_secret() {
    let hooks = r#"
fn before_run(run) { act("t.tell", #{ text: run }); }
fn before_step(unit) { act("t.tell", #{ text: unit }); }
fn after_step(unit, result) { act("t.tell", #{ text: [unit, result] }); }
fn on_failure(unit, fault) { act("t.tell", #{ text: [unit, fault] }); }
fn after_run(run, outcome) { note(`${run.inputs}`); }
"#;
    let failing =
        "  - { id: two, hosts: \"master[0]\", t.leak: { secret: \"${inputs.token}\", fail: true } }\n";
    let bench = with_secrets(hooks, &format!("{ONE}{failing}"));
    assert_eq!(bench.start().await.exit, 1);
    let told = bench.world.text("local", "/told").unwrap();
    assert_eq!(told.lines().count(), 5, "{told}");
    assert!(told.contains("[null,\"seen\"]"), "its result without the secret: {told}");
    assert_eq!(told.matches("\"inputs\":{\"open\":\"to all\"}").count(), 5, "{told}");
    // Of a fault what the journal tells.
    assert_eq!(told.matches("[secret]").count(), 2, "{told}");
    assert!(notes(&bench).contains(&"#{\"open\": \"to all\"}".to_owned()), "{:#?}", notes(&bench));
}

#[tokio::test(start_paused = true)]
async fn hooks_ask_for_a_secret_input_and_cannot_show_it() {
    let hooks = r#"
fn before_run(run) { note(act("t.tell", #{ text: "lost", to: secret("token") }).told); }
fn before_step(unit) { note(`${type_of(secret("token"))} ${type_of(secret("spare"))}`); }
fn after_step(unit, result) { note(secret("token")); }
fn after_run(run, outcome) { let name = "op" + "en"; secret(name); }
"#;
    let bench = with_secrets(hooks, ONE);
    assert_eq!(bench.start().await.exit, 0);
    let told = notes(&bench);
    for said in
        ["nobody listens at [secret]", "secret ()", "a secret cannot become text", "it is `run.inputs.open`"]
    {
        assert!(told.iter().any(|note| note.contains(said)), "{said}: {told:#?}");
    }
    assert!(!std::fs::read_to_string(bench.journal()).unwrap().contains("hunter22"));
}

const WAITING: &str = "fn on_waiting(run, unit, question) { note(`${run.runbook}: ${question}`); }";
const GATED: &str = "  - { id: one, hosts: \"master[0]\", gate: { ask: \"Do ${host.name}?\" }, t.run: { script: effect one } }\n";

/// The gate's events and notes in their order.
fn at_the_gate(bench: &Bench) -> Vec<String> {
    let names = ["gate.asked", "gate.answered", "unit.note"];
    bench.trail("one@a").into_iter().filter(|name| names.contains(&name.as_str())).collect()
}

#[tokio::test(start_paused = true)]
async fn somebody_is_told_before_an_unattended_run_waits() {
    let mut bench = bench(WAITING, GATED);
    bench.options.unattended = true;
    *bench.person.delay.lock().unwrap() = Duration::from_secs(3600);
    bench.person.will_answer([Some(Answer::Run)]);
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(at_the_gate(&bench), ["gate.asked", "unit.note", "gate.answered"]);
    assert!(notes(&bench).contains(&"one@a: test: Do a?".to_owned()), "{:#?}", notes(&bench));
}

#[tokio::test(start_paused = true)]
async fn somebody_is_told_once_for_each_stop_at_a_gate() {
    for unattended in [true, false] {
        let mut bench = bench(WAITING, GATED);
        bench.options.unattended = unattended;
        bench.person.will_answer([None, None, Some(Answer::Run)]);
        for round in 1..=2 {
            assert_eq!(
                if round == 1 { bench.start().await } else { bench.resume().await }.status,
                RunStatus::Waiting
            );
            let told = at_the_gate(&bench).into_iter().filter(|name| name == "unit.note").count();
            assert_eq!(told, round, "unattended: {unattended}");
        }
        assert_eq!(bench.resume().await.exit, 0);
        assert_eq!(at_the_gate(&bench).last().unwrap(), "gate.answered");
    }
    let mut answered = bench(WAITING, GATED);
    answered.options.unattended = true;
    answered.answers = "  one@a: run\n".into();
    assert_eq!(answered.start().await.exit, 0);
    assert_eq!(at_the_gate(&answered), ["gate.asked", "gate.answered"], "nobody has to be told");
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_after_a_stop_too() {
    let bench = bench(TELLING, GATED);
    let cancel = bench.cancel.clone();
    *bench.person.on_gate.lock().unwrap() = Some(Box::new(move |_| cancel.cancel()));
    bench.person.will_answer([None]);
    assert_eq!(bench.start().await.status, RunStatus::Stopped);
    assert_eq!(bench.world.text("local", "/told").as_deref(), Some("stopped\n"));
}

/// A stop brings what is atomic through, and `finally` after it, whatever hooks there are.
#[tokio::test(start_paused = true)]
async fn a_stop_ends_no_hook() {
    let bench = Bench::new(
        "steps:
  - id: pair
    hosts: \"master[0]\"
    atomic: true
    steps:
      - { id: key, retry: { times: 2, delay: 1m }, t.flaky: { name: key, fails: 1 }, undo: { t.note: { text: x } } }
      - { id: cert, t.put: { path: /etc/cert, content: new } }
  - { id: later, hosts: \"master[0]\", t.put: { path: /etc/later, content: new } }
finally:
  - { id: clean, hosts: \"master[0]\", t.run: { script: effect clean } }
",
    );
    let hooks = "fn before_step(unit) { let seen = 0; for n in 0..3 { if n > 1 { seen += n; } } note(`before ${unit.step} ${seen}`); }
fn after_step(unit, result) { for n in 0..3 { if n > 1 { note(`after ${unit.step}`); } } }
";
    std::fs::write(bench.dir.path().join("hooks.rhai"), hooks).unwrap();
    let cancel = bench.cancel.clone();
    let (outcome, ()) = tokio::join!(bench.start(), async move {
        tokio::time::sleep(Duration::from_secs(30)).await;
        cancel.cancel();
    });
    assert_eq!((outcome.exit, outcome.status), (8, RunStatus::Stopped), "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/cert").as_deref(), Some("new"));
    assert_eq!(bench.world.text("a", "/etc/later"), None);
    assert_eq!(bench.world.effects("a", "clean"), 1);
    let told = notes(&bench);
    assert!(told.contains(&"pair/cert@a: after pair/cert".to_owned()), "{told:?}");
    assert!(told.contains(&"finally-1/clean@a: before finally-1/clean 2".to_owned()), "{told:?}");
}

/// A hook that notes what each of its parameters holds.
fn noting((hook, given): &(&str, &[Holds])) -> String {
    let params: Vec<String> = (0..given.len()).map(|place| format!("p{place}")).collect();
    let notes = params.iter().map(|param| format!("note(`{hook} {param} ` + {param}.to_json()); "));
    format!("fn {hook}({}) {{ {}}}\n", params.join(", "), notes.collect::<String>())
}

fn same_keys(holds: Holds, value: &serde_json::Value, at: &str) {
    let Holds::Map(keys) = holds else { return };
    let mut there: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let mut said: Vec<&str> = keys.iter().map(|key| key.name).collect();
    there.sort_unstable();
    said.sort_unstable();
    assert_eq!(there, said, "{at}");
    keys.iter().for_each(|key| same_keys(key.holds, &value[key.name], &format!("{at}.{}", key.name)));
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_hooks_is_what_they_are_given() {
    let hooks: String = HOOKS.iter().map(noting).collect();
    let failing = "  - { id: two, hosts: \"master[0]\", t.note: { text: x }, expect: \"result == `y`\" }\n";
    let mut bench = bench(&hooks, &format!("{GATED}{failing}"));
    bench.options.unattended = true;
    *bench.person.delay.lock().unwrap() = Duration::from_secs(3600);
    bench.person.will_answer([Some(Answer::Run)]);
    assert_eq!(bench.start().await.exit, 1);
    let told = notes(&bench);
    for (hook, given) in HOOKS {
        for (place, holds) in given.iter().enumerate().filter(|(_, holds)| matches!(holds, Holds::Map(_))) {
            let begins = format!("{hook} p{place} ");
            let json = told.iter().find_map(|note| Some(note.split_once(&begins)?.1));
            let json = json.unwrap_or_else(|| panic!("{begins}: {told:#?}"));
            same_keys(*holds, &serde_json::from_str(json).unwrap(), &begins);
        }
    }
}
