//! What a plan and a gate cannot know they say, and show nothing less for it.

use crate::support::Bench;
use keybook_api::Change;
use keybook_core::run::{dry::Planned, engine};

async fn planned(bench: &Bench) -> Vec<Planned> {
    engine::look(bench.setup(), &bench.journal()).unwrap().dry_run().await.unwrap()
}

fn why(plan: &Planned) -> &str {
    let Change::CannotKnow(why) = &plan.plan.change else { panic!("{plan:#?}") };
    why
}

/// A result that is to come, read by `by_host` in every place where it can be.
const READS: [&str; 6] = [
    "when: 'by_host.made.values().some(|made| made != ())', t.put: { path: /etc/g, content: x }",
    "when: by_host.made.len() > 0, t.put: { path: /etc/g, content: x }",
    "check: by_host.made.len() == 0, t.put: { path: /etc/g, content: x }",
    "for_each: '[by_host.made.len()]', t.put: { path: /etc/g, content: x }",
    "t.put: { path: /etc/g, content: \"n${by_host.made.len()}\" }",
    "use: swap, with: { name: \"n${by_host.made.len()}\" }",
];

fn with_library(bench: &Bench) {
    let swap = "keybook: 1
library: swap
inputs: { name: { type: string } }
steps:
  - { id: put, t.put: { path: \"/etc/${inputs.name}\", content: x } }
";
    std::fs::create_dir_all(bench.dir.path().join("lib")).unwrap();
    std::fs::write(bench.dir.path().join("lib/swap.yaml"), swap).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_step_to_come_will_give_is_neither_false_nor_empty() {
    for read in READS {
        let bench = Bench::new(&format!(
            "steps:
  - {{ id: make, hosts: \"master[0]\", register: made, t.put: {{ path: /etc/f, content: new }} }}
  - {{ id: read, hosts: \"master[0]\", {read} }}
"
        ));
        with_library(&bench);
        let plans = planned(&bench).await;
        let told = why(plans.last().unwrap());
        assert!(told.contains("`by_host.made` cannot be had: the step `make` comes first"), "{read}: {told}");
        assert_eq!((&plans.last().unwrap().left_out, &plans.last().unwrap().stops), (&None, &None), "{read}");
    }
}

/// Wrong arguments stay wrong, whatever comes before them: the plan says that the run would stop there.
#[tokio::test(start_paused = true)]
async fn arguments_that_are_wrong_stop_the_run_in_the_plan_already() {
    let mut bench = Bench::new(
        "inputs: { at: { type: string } }
steps:
  - { id: make, hosts: \"master[0]\", t.put: { path: /etc/f, content: new } }
  - { id: wrong, hosts: \"master[0]\", t.put: { path: \"${inputs.at}\", content: x } }
",
    );
    bench.inputs = keybook_api::value::map([("at", "not absolute".into())]);
    let plans = planned(&bench).await;
    let stops = plans.last().unwrap().stops.as_deref().unwrap_or_default();
    assert!(stops.contains("the argument `path`"), "{plans:#?}");
}

/// A step that will be left out gives nothing, and what a plan read it knows.
#[tokio::test(start_paused = true)]
async fn what_is_left_out_and_what_was_read_is_known() {
    let bench = Bench::new(
        "steps:
  - { id: make, hosts: \"master[0]\", when: 1 == 2, register: made, t.put: { path: /etc/f, content: new } }
  - { id: look, hosts: \"master[0:2]\", register: seen, t.read: { path: /etc/g } }
  - { id: left, hosts: \"master[0]\", when: by_host.made.len() > 0, t.put: { path: /etc/h, content: x } }
  - { id: done, hosts: \"master[0]\", when: by_host.seen.len() == 2, t.put: { path: /etc/h, content: x } }
",
    );
    ["a", "b"].iter().for_each(|host| bench.world.put(host, "/etc/g", "x"));
    let plans = planned(&bench).await;
    let [.., left, done] = plans.as_slice() else { panic!("{plans:#?}") };
    assert_eq!(left.left_out.as_deref(), Some("its condition is false"));
    assert_eq!(done.plan.change, Change::Will);
}

/// Some hosts' results are known, and more are to come.
#[tokio::test(start_paused = true)]
async fn results_that_are_known_in_part_are_not_known() {
    let bench = Bench::new(
        "steps:
  - { id: make, hosts: \"master[0]\", register: made, t.put: { path: /etc/f, content: new } }
  - id: look
    hosts: \"master[0:2]\"
    when: 'host.name == \"a\" || made == \"x\"'
    register: seen
    t.read: { path: /etc/g }
  - { id: read, hosts: \"master[0:2]\", when: by_host.seen.len() == 2, t.put: { path: /etc/h, content: x } }
  - { id: copy, hosts: \"master[0:2]\", t.put: { path: /etc/h, content: \"${seen}\" } }
",
    );
    ["a", "b"].iter().for_each(|host| bench.world.put(host, "/etc/g", "x"));
    let plans = planned(&bench).await;
    let of = |unit: &str| plans.iter().find(|plan| plan.unit.to_string() == unit).unwrap();
    assert!(why(of("read@a")).contains("the step `look` comes first"));
    assert_eq!(of("copy@a").plan.change, Change::Will);
    assert!(why(of("copy@b")).contains("seen"), "the result of another host is not that of this one");
}

fn lines(bench: &Bench) -> Vec<Vec<String>> {
    bench.person.cards.lock().unwrap().iter().map(|card| card.plan.lines.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_gate_shows_what_it_cannot_know() {
    for read in READS.iter().filter(|read| !read.starts_with("check")) {
        let bench = Bench::new(&format!(
            "steps:
  - id: all
    hosts: \"master[0:2]\"
    gate: {{ ask: ok }}
    steps:
      - {{ id: make, register: made, t.put: {{ path: /etc/f, content: new }} }}
      - {{ id: read, title: Read it, {read} }}
"
        ));
        with_library(&bench);
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, 0, "{read}: {}", outcome.reason);
        // On the second host as well, although the first one has its result by then.
        for shown in lines(&bench) {
            let told = shown.iter().any(|line| {
                line.contains("cannot be known yet") && line.contains("the step `all/make` comes first")
            });
            assert!(told, "{read}: {shown:?}");
        }
        assert_eq!(lines(&bench).len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn lines_that_cannot_be_known_say_where() {
    let bench = Bench::new(
        "steps:
  - id: all
    gate: { ask: ok }
    steps:
      - { id: make, hosts: \"master[0:2]\", register: made, t.put: { path: /etc/f, content: new } }
      - { id: put, title: Put it, hosts: \"master[0:2]\", t.put: { path: /etc/g, content: \"${made}\" } }
      - { id: each, title: Each, hosts: manager, for_each: '[\"x\", \"y\"]', t.put: { path: \"/etc/${item}\", content: \"${made}\" } }
      - { id: same, title: So already, hosts: \"master[0]\", t.put: { path: /etc/same, content: x } }
",
    );
    bench.world.put("a", "/etc/same", "x");
    assert_eq!(bench.start().await.exit, 1, "`made` of two hosts is none of m's");
    let shown = lines(&bench).remove(0);
    for (at, begins) in [
        "a: Put it (the exact",
        "b: Put it (the exact",
        "m, x: Each (the exact",
        "m, y: Each (the exact",
        "a: So already (after that)",
    ]
    .iter()
    .enumerate()
    {
        assert!(shown[at + 2].starts_with(begins), "{begins}: {shown:#?}");
    }
}

/// A gate believes a check as the run will.
#[tokio::test(start_paused = true)]
async fn a_gate_around_shows_no_change_that_a_check_leaves_out() {
    let bench = Bench::new(
        "steps:
  - id: all
    hosts: \"master[0]\"
    gate: { ask: ok }
    steps:
      - { id: put, title: Put it, facts: { now: { t.read: { path: /etc/g } } }, check: 'facts.now == \"so\"', t.put: { path: /etc/f, content: new } }
      - { id: inner, title: Inner, facts: { now: { t.read: { path: /etc/g } } }, check: 'facts.now == \"so\"', steps: [ { id: put, t.put: { path: /etc/f, content: new } } ] }
      - { id: other, title: Other, t.put: { path: /etc/h, content: new } }
      - { id: late, title: Late, facts: { now: { t.read: { path: /etc/g } } }, check: 'facts.now == \"so\"', t.put: { path: /etc/i, content: new } }
",
    );
    bench.world.put("a", "/etc/g", "so");
    assert_eq!(bench.start().await.exit, 0);
    let shown = lines(&bench).remove(0);
    assert!(!shown.iter().any(|line| line.contains("/etc/f")), "{shown:#?}");
    assert!(
        shown.iter().any(|line| line.starts_with("Late (whether it is carried out cannot be known yet")),
        "{shown:#?}"
    );
}

/// Hosts that a step before it will add are shown as such, and what depends on them cannot be known.
#[tokio::test(start_paused = true)]
async fn hosts_that_are_to_come_are_neither_missing_nor_forgotten() {
    let inner = "
      - { id: find, hosts: \"master[0]\", t.add: { group: added, name: n1 } }
      - { id: put, title: Put it, hosts: [master, added], t.put: { path: /etc/f, content: new } }
      - { id: only, title: Only there, hosts: added, t.put: { path: /etc/g, content: new } }
      - { id: maybe, title: Maybe, hosts: \"master[0]\", when: '!groups.added.is_empty()', t.put: { path: /etc/h, content: new } }
";
    let bench = Bench::new(&format!("steps:\n  - id: all\n    gate: {{ ask: ok }}\n    steps:{inner}"))
        .masters(&["a"]);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.world.text("n1", "/etc/f").as_deref(), Some("new"));
    let shown = lines(&bench).remove(0);
    for begins in
        ["Put it (the exact plan", "Only there (the exact plan", "a: Maybe (whether it is carried out"]
    {
        let told = |line: &String| line.starts_with(begins) && line.contains("cannot be known yet");
        assert!(shown.iter().any(told), "{begins}: {shown:#?}");
    }
    assert!(shown.iter().any(|line| line == "a: write /etc/f"), "{shown:#?}");

    let bench = Bench::new(&format!("steps:\n  - id: all\n    steps:{inner}")).masters(&["a"]);
    let plans = planned(&bench).await;
    let of = |unit: &str| {
        plans.iter().find(|plan| plan.unit.to_string() == unit).unwrap_or_else(|| panic!("{unit}"))
    };
    assert_eq!(of("all/put@a").plan.change, Change::Will);
    for unit in ["all/put@master+added", "all/only@added", "all/maybe@a"] {
        assert!(why(of(unit)).contains("`all/find`"), "{}", why(of(unit)));
    }
}

/// A step whose plan cannot be known may change what a later check looks at.
#[tokio::test(start_paused = true)]
async fn a_check_behind_what_cannot_be_known_is_not_believed() {
    let bench = Bench::new(
        "steps:
  - id: all
    hosts: \"master[0]\"
    gate: { ask: ok }
    steps:
      - { id: look, register: seen, t.read: { path: /etc/g } }
      - { id: make, title: Make, t.put: { path: /etc/f, content: \"${seen}\" } }
      - { id: late, title: Late, facts: { now: { t.read: { path: /etc/f } } }, check: 'facts.now == \"old\"', t.put: { path: /etc/i, content: new } }
",
    );
    bench.world.put("a", "/etc/g", "new");
    bench.world.put("a", "/etc/f", "old");
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(bench.world.text("a", "/etc/i").as_deref(), Some("new"));
    let shown = lines(&bench).remove(0);
    assert!(shown.iter().any(|line| line.starts_with("Late (whether it is carried out")), "{shown:#?}");
}
