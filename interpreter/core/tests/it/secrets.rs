//! Secrets reach neither the journal nor what is told, whatever an action does with them.

use crate::support::{Bench, bench::secret};
use keybook_api::value::map;

const PASSWORD: &str = "hunter2-very-secret";

fn journal(bench: &Bench) -> String {
    std::fs::read_to_string(bench.journal()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_secret_input_is_nowhere_in_the_journal_or_the_outcome() {
    for fail in ["false", "true"] {
        let mut bench = Bench::new(&format!(
            "steps:
  - {{ id: s, hosts: \"master[0]\", gate: {{ ask: \"With ${{inputs.pw}}?\" }}, t.leak: {{ secret: \"${{inputs.pw}}\", fail: {fail} }}, register: told, retry: {{ times: 2, delay: 1s }} }}
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
