//! What a gate shows in a rollback is what a yes to it does.

use crate::support::Bench;

/// The cards of the rollback of a run that went through: what was asked, and the lines that were shown.
async fn asked_in_rollback(bench: &Bench) -> Vec<(String, Vec<String>)> {
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let before = bench.person.cards.lock().unwrap().len();
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    let cards = bench.person.cards.lock().unwrap();
    cards.iter().skip(before).map(|card| (card.question.clone(), card.plan.lines.clone())).collect()
}

fn card(question: &str, lines: &[&str]) -> (String, Vec<String>) {
    (question.to_owned(), lines.iter().map(|line| (*line).to_owned()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_gate_around_a_loop_shows_the_items_that_are_settled() {
    let bench = Bench::new(
        "steps:
  - id: outer
    hosts: master
    gate: { ask: '${if run.rollback { \"Back\" } else { \"Go\" }} on ${host.name}?' }
    steps:
      - id: each
        for_each: '[\"x\", \"y\"]'
        steps:
          - { id: key, owes: { what: restart }, t.put: { path: \"/etc/${item}.key\", content: new } }
          - { id: cert, owes: { what: restart }, t.put: { path: \"/etc/${item}.pem\", content: new } }
          - { id: bounce, settles: restart, t.run: { script: \"effect bounce ${item}\" } }
",
    )
    .masters(&["a"]);
    let asked = asked_in_rollback(&bench).await;
    let settled: Vec<_> = asked.iter().flat_map(|(_, lines)| lines.clone()).collect();
    assert!(asked.iter().all(|(question, lines)| question == "Back on a?" && lines.len() == 1), "{asked:?}");
    assert_eq!(settled, ["effect bounce y", "effect bounce y", "effect bounce x", "effect bounce x"]);
}

#[tokio::test(start_paused = true)]
async fn a_gate_around_several_hosts_shows_the_one_that_is_settled() {
    let bench = Bench::new(
        "steps:
  - { id: install, hosts: master, owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - id: outer
    gate: { ask: \"Restart?\" }
    steps:
      - id: all
        hosts: master
        steps:
          - { id: look, t.note: { text: look } }
          - { id: bounce, settles: restart, t.run: { script: effect bounce } }
",
    )
    .masters(&["a", "b"]);
    let asked = asked_in_rollback(&bench).await;
    assert_eq!(asked, [card("Restart?", &["b: effect bounce"]), card("Restart?", &["a: effect bounce"])]);
}
