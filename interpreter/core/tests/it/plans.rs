//! What is foreseen of steps inside others: in a plan, and behind a gate around them.

use crate::support::Bench;
use keybook_api::Change;
use keybook_core::run::{dry::Planned, engine};

const SWAP: &str = "keybook: 1
library: swap
inputs:
  name: { type: string }
steps:
  - id: pair
    steps:
      - { id: put, t.put: { path: \"/etc/${inputs.name}\", content: new } }
  - { id: note, t.note: { text: \"${inputs.name}\" } }
";

fn with_library(bench: &Bench) {
    std::fs::create_dir_all(bench.dir.path().join("lib")).unwrap();
    std::fs::write(bench.dir.path().join("lib/swap.yaml"), SWAP).unwrap();
}

async fn planned(bench: &Bench) -> Vec<Planned> {
    engine::look(bench.setup(), &bench.journal()).unwrap().dry_run().await.unwrap()
}

const LOOP: &str = "steps:
  - id: each
    hosts: \"master[0]\"
    for_each: '[\"x\", \"y\"]'
    gate: { ask: ok, show: [diff] }
    steps:
      - { id: inner, use: swap, with: { name: \"${item}\" } }
";

#[tokio::test(start_paused = true)]
async fn a_plan_follows_the_items_of_loops_and_libraries() {
    let bench = Bench::new(LOOP);
    with_library(&bench);
    bench.world.put("a", "/etc/x", "new");
    let plans = planned(&bench).await;
    let puts: Vec<_> = plans.iter().filter(|plan| plan.unit.step == "each/inner/pair/put").collect();
    let [x, y] = puts.as_slice() else { panic!("{puts:#?}") };
    assert_eq!([x.unit.item.as_deref(), y.unit.item.as_deref()], [Some("x"), Some("y")]);
    assert_eq!([&x.plan.change, &y.plan.change], [&Change::Wont, &Change::Will]);
    assert_eq!(y.plan.diffs[0].path, "/etc/y");
}

#[tokio::test(start_paused = true)]
async fn items_that_an_earlier_step_will_find_cannot_be_known() {
    let bench = Bench::new(
        "steps:
  - { id: make, hosts: \"master[0]\", register: made, t.put: { path: /etc/f, content: new } }
  - { id: each, hosts: \"master[0]\", for_each: '[made]', t.note: { text: \"${item}\" } }
",
    );
    let plans = planned(&bench).await;
    let Change::CannotKnow(why) = &plans.last().unwrap().plan.change else { panic!("{plans:#?}") };
    assert!(why.starts_with("the items of its loop are not known yet: ") && why.contains("made"), "{why}");
}

/// The paths whose changes each gate showed.
fn shown(bench: &Bench) -> Vec<Vec<String>> {
    let cards = bench.person.cards.lock().unwrap();
    cards.iter().map(|card| card.plan.diffs.iter().map(|diff| diff.path.clone()).collect()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_gate_around_steps_shows_what_all_of_them_would_do() {
    let bench = Bench::new(LOOP);
    with_library(&bench);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(shown(&bench), [["/etc/x"], ["/etc/y"]]);

    // Loops inside the gated step as well.
    let bench = Bench::new(
        "steps:
  - id: all
    hosts: \"master[0]\"
    gate: { ask: ok, show: [diff] }
    steps:
      - { id: each, for_each: '[\"x\", \"y\"]', use: swap, with: { name: \"${item}\" } }
",
    );
    with_library(&bench);
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(shown(&bench), [["/etc/x", "/etc/y"]]);
}

/// Steps inside a step without hosts are planned on their own.
#[tokio::test(start_paused = true)]
async fn a_gate_without_hosts_shows_what_happens_on_which() {
    let bench = Bench::new(
        "steps:
  - id: all
    gate: { ask: ok, show: [diff] }
    steps:
      - { id: put, hosts: master, when: 'host.name != \"c\"', t.put: { path: \"/etc/${host.name}\", content: new } }
",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(shown(&bench), [["a: /etc/a", "b: /etc/b"]]);
}
