//! Secrets reach neither the journal nor what is told, whatever an action does with them.

use crate::support::{Bench, bench::secret};
use keybook_api::{
    Event,
    event::{Answer, RunStatus},
    value::map,
};

const PASSWORD: &str = "hunter2-very-secret";

fn journal(bench: &Bench) -> String {
    std::fs::read_to_string(bench.journal()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_secret_input_is_nowhere_in_the_journal_or_the_outcome() {
    for fail in ["false", "true"] {
        let mut bench = Bench::new(&format!(
            "steps:
  - {{ id: s, hosts: \"master[0]\", gate: {{ ask: \"With it?\" }}, t.leak: {{ secret: \"${{inputs.pw}}\", fail: {fail} }}, register: told, retry: {{ times: 2, delay: 1s }} }}
  - {{ id: f, hosts: \"master[0]\", t.put: {{ path: /etc/pw, content: \"pw=${{inputs.pw}}\" }} }}
"
        ));
        bench.inputs = map([("pw", secret(PASSWORD))]);
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, i32::from(fail == "true"), "{}", outcome.reason);
        let text = journal(&bench);
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("password=[secret]"));
        let shown = format!("{outcome:?} {:?}", bench.person.cards.lock().unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
        if fail == "false" {
            assert_eq!(bench.world.text("a", "/etc/pw").unwrap(), format!("pw={PASSWORD}"));
        } else {
            assert_eq!(outcome.fault.unwrap().hints[0], "[secret]");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_result_serves_this_process_and_is_not_journaled() {
    let mut bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", t.note: { text: \"${inputs.pw}\" }, register: pw }
  - { id: f, hosts: \"master[0]\", t.put: { path: /etc/pw, content: \"${pw}\" } }
",
    );
    bench.inputs = map([("pw", secret(PASSWORD))]);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/pw").unwrap(), PASSWORD);
    assert!(!journal(&bench).contains("hunter2"));
}

/// The journal has no secrets: after a resume nothing stands in the place of one.
#[tokio::test(start_paused = true)]
async fn a_secret_result_has_no_value_after_a_resume() {
    for secret in ["t.secret: { path: /etc/pw }", "secret: true, t.read: { path: /etc/pw }"] {
        let bench = Bench::new(&format!(
            "steps:
  - {{ id: look, hosts: \"master[0]\", register: pw, {secret} }}
  - {{ id: fails, hosts: \"master[0]\", t.flaky: {{ name: f, fails: 1 }}, undo: {{ t.note: {{ text: x }} }} }}
  - {{ id: write, hosts: \"master[0]\", t.put: {{ path: /etc/copy, content: \"${{pw}}\" }} }}
"
        ));
        bench.world.put("a", "/etc/pw", "hush");
        assert_eq!(bench.start().await.exit, 1);
        let outcome = bench.resume().await;
        assert_eq!(outcome.exit, 1);
        assert!(outcome.reason.contains("the variable `pw` has no value here"), "{}", outcome.reason);
        assert_eq!(bench.world.text("a", "/etc/copy"), None);
    }
}

/// Nor in the place of a part of a text, also in what takes a step back.
#[tokio::test(start_paused = true)]
async fn text_with_a_secret_inside_has_no_value_after_a_resume() {
    let mut bench = Bench::new(
        "steps:
  - { id: look, hosts: \"master[0]\", register: conf, t.read: { path: /etc/conf } }
  - { id: fails, hosts: \"master[0]\", t.flaky: { name: f, fails: 1 }, undo: { t.note: { text: x } } }
  - { id: write, hosts: \"master[0]\", t.put: { path: /etc/copy, content: \"${conf}\" } }
",
    );
    bench.inputs = map([("pw", secret(PASSWORD))]);
    bench.world.put("a", "/etc/conf", &format!("url=db://{PASSWORD}@db"));
    assert_eq!(bench.start().await.exit, 1);
    let outcome = bench.resume().await;
    assert!(outcome.reason.contains("the variable `conf` has no value here"), "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/copy"), None);

    let mut bench = Bench::new(
        "steps:
  - id: write
    hosts: master[0]
    facts: { old: { t.read: { path: /etc/conf } } }
    t.run: { script: effect write }
    undo: { t.put: { path: /etc/conf, content: \"${facts.old}\" } }
",
    );
    bench.inputs = map([("pw", secret(PASSWORD))]);
    let conf = format!("url=db://{PASSWORD}@db");
    bench.world.put("a", "/etc/conf", &conf);
    assert_eq!(bench.start().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 6, "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/conf").unwrap(), conf);
}

#[tokio::test(start_paused = true)]
async fn a_secret_step_shows_neither_arguments_nor_output_nor_result() {
    let bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", secret: true, gate: { ask: ok }, t.run: { script: \"say quiet-please\" }, register: said }
  - { id: t, hosts: \"master[0]\", t.note: { text: done }, expect: said.stdout == \"quiet-please\" }
",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let text = journal(&bench);
    assert!(!text.contains("say quiet-please") && !text.contains("\"stdout\":\"quiet-please\""), "{text}");
    assert!(bench.events("unit.output").is_empty());
    assert!(!format!("{:?}", bench.person.cards.lock().unwrap()).contains("quiet-please"));
}

#[tokio::test(start_paused = true)]
async fn a_secret_step_that_fails_tells_neither_its_facts_nor_its_result() {
    let bench = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", secret: true, facts: { f: { t.read: { path: /etc/f } } }, gate: { ask: ok, show: [facts] }, t.run: { script: \"say quiet-please\" }, expect: facts.f == result.stdout + '!' }
",
    );
    bench.world.put("a", "/etc/f", "quiet-please");
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1, "{}", outcome.reason);
    let shown = format!("{outcome:?} {:?} {}", bench.person.cards.lock().unwrap(), journal(&bench));
    assert!(!shown.contains("quiet-please"), "{shown}");
    assert!(outcome.reason.contains("the step is secret"), "{}", outcome.reason);
}

#[tokio::test(start_paused = true)]
async fn output_is_cut_and_journaled_line_by_line() {
    let bench = Bench::new(&format!(
        "steps:\n  - {{ id: s, hosts: \"master[0]\", t.run: {{ script: \"say {}\" }} }}\n",
        "x".repeat(5000)
    ));
    assert_eq!(bench.start().await.exit, 0);
    let keybook_api::Event::UnitOutput { line, .. } = bench.events("unit.output").remove(0) else { panic!() };
    assert_eq!(line.len(), 4096);
}

#[tokio::test(start_paused = true)]
async fn text_that_is_given_as_a_secret_is_one() {
    let script = r#"      act("t.leak", #{ secret: "in-a-script" });"#;
    let hooks = "fn after_run(run, outcome) { act(\"t.tell\", #{ text: \"lost\", to: \"https://in-a-hook/token\" }); }";
    let bench = Bench::new(&format!(
        "steps:
  - {{ id: s, hosts: \"master[0]\", gate: {{ ask: ok }}, t.leak: {{ secret: in-the-runbook }}, register: told }}
  - id: t
    hosts: master[0]
    script: |
{script}
"
    ));
    std::fs::write(bench.dir.path().join("hooks.rhai"), hooks).unwrap();
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let shown = format!("{outcome:?} {:?} {}", bench.person.cards.lock().unwrap(), journal(&bench));
    for text in ["in-the-runbook", "in-a-script", "in-a-hook"] {
        assert!(!shown.contains(text), "{text}: {shown}");
    }
    assert!(shown.contains("nobody listens at [secret]") && shown.contains("password=[secret]"), "{shown}");
}

/// The digests of the arguments of a run that was begun with this secret, and of what its plan was based on.
async fn digests(key: &str, salt: &str) -> (String, String) {
    let mut bench = Bench::new(
        "steps:\n  - { id: s, hosts: \"master[0]\", t.keyed: { path: /etc/one, key: \"${inputs.key}\" } }\n",
    );
    bench.inputs = map([("key", secret(key))]);
    let setup = keybook_core::run::engine::Setup { salt: salt.into(), ..bench.setup() };
    assert_eq!(keybook_core::run::engine::start(setup, &bench.journal()).await.unwrap().exit, 0);
    let Event::UnitPlanned { basis, .. } = bench.events("unit.planned").remove(0) else { panic!() };
    let Event::UnitIntent { args_digest, .. } = bench.events("unit.intent").remove(0) else { panic!() };
    (args_digest, basis)
}

#[tokio::test(start_paused = true)]
async fn digests_count_secrets_and_only_the_run_can_make_them() {
    let one = digests("opensesame", "00ff").await;
    assert_eq!(one, digests("opensesame", "00ff").await);
    for other in [digests("another-key", "00ff").await, digests("opensesame", "01ff").await] {
        assert_ne!(one.0, other.0);
        assert_ne!(one.1, other.1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_was_begun_with_another_secret_is_in_doubt() {
    let mut done = Bench::new(
        "steps:\n  - { id: s, hosts: \"master[0]\", t.put: { path: /etc/f, content: \"${inputs.key}\" } }\n",
    )
    .masters(&["a"]);
    done.inputs = map([("key", secret("opensesame"))]);
    let shots = done.shots().await;
    let written = shots.iter().find(|shot| shot.hosts["a"].files.contains_key("/etc/f")).unwrap();
    assert_eq!(done.killed_at(written).resume().await.exit, 0);
    let mut other = done.killed_at(written);
    other.inputs = map([("key", secret("another-key"))]);
    let outcome = other.resume().await;
    assert_eq!((outcome.exit, outcome.status), (9, RunStatus::Unknown), "{}", outcome.reason);
    let Event::UnitReconciled { reason, .. } = other.events("unit.reconciled").remove(0) else { panic!() };
    assert_eq!(reason, "its arguments are other ones than those it was begun with");
}

#[tokio::test(start_paused = true)]
async fn a_unit_whose_secret_is_a_fact_is_found_done() {
    // The effect replaces what the fact of `r` was read from, which does not go into it.
    let mut done = Bench::new(
        "steps:
  - { id: s, hosts: \"master[0]\", facts: { f: { t.secret: { path: /etc/pw } } }, t.keyed: { path: /etc/one, key: \"${facts.f}\" } }
  - { id: r, hosts: \"master[0]\", facts: { f: { t.secret: { path: /etc/pw } } }, t.put: { path: /etc/pw, content: new } }
",
    )
    .masters(&["a"]);
    done.world.put("a", "/etc/pw", "hunter2-very-secret");
    let shots = done.shots().await;
    let wanted = done.world.files();
    for shot in &shots[..shots.len() - 1] {
        let again = done.killed_at(shot);
        let outcome = again.resume().await;
        assert_eq!(outcome.exit, 0, "after {}: {}", shot.after, outcome.reason);
        assert_eq!(again.world.files(), wanted, "after {}", shot.after);
    }
}

#[tokio::test(start_paused = true)]
async fn a_yes_counts_for_the_same_secret_only() {
    let mut bench = Bench::new(
        "steps:\n  - { id: s, hosts: \"master[0]\", gate: { ask: ok }, t.keyed: { path: /etc/one, key: \"${inputs.key}\" } }\n",
    );
    bench.person.will_answer([None, None, Some(Answer::Run)]);
    for key in ["opensesame", "opensesame", "another-key"] {
        bench.inputs = map([("key", secret(key))]);
        let _ = if bench.journal().exists() { bench.resume().await } else { bench.start().await };
    }
    let cards = bench.person.cards.lock().unwrap();
    let basis: Vec<&str> = cards.iter().map(|card| card.plan.basis.as_str()).collect();
    assert_eq!((basis.len(), basis[0] == basis[1], basis[1] == basis[2]), (3, true, false));
}

/// Two secrets are not equal because the journal has the same word for both.
#[tokio::test(start_paused = true)]
async fn an_expectation_of_secret_facts_is_not_judged_by_what_stands_for_them() {
    let mut bench = Bench::new(
        "steps:
  - id: s
    hosts: \"master[0]\"
    facts: { f: { t.secret: { path: /etc/one } }, g: { t.secret: { path: /etc/two } } }
    expect: 'facts.f == facts.g'
    t.put: { path: /etc/f, content: new }
",
    )
    .masters(&["a"]);
    bench.world.put("a", "/etc/one", "hunter1-very-secret");
    bench.world.put("a", "/etc/two", "hunter2-very-secret");
    let tape = bench.tape();
    assert_eq!(bench.start().await.exit, 1);
    let shots = tape.shots();
    for shot in &shots[..shots.len() - 1] {
        let again = bench.killed_at(shot);
        let outcome = again.resume().await;
        assert!([1, 9].contains(&outcome.exit), "after {}: {} {}", shot.after, outcome.exit, outcome.reason);
    }
}
