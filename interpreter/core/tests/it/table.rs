//! Every move of the two tables happens in some run.

use crate::support::{Bench, How, tape::Shot};
use keybook_api::{event::Answer, value::map};
use keybook_core::run::{
    engine::Outcome,
    machine::{RUN_TABLE, RunSignal, RunState, UNIT_TABLE, UnitSignal, UnitState},
    person::Verdict,
    state::State,
};
use std::{collections::BTreeSet, sync::Arc};

#[derive(Default)]
struct Taken {
    unit: BTreeSet<(UnitState, UnitSignal)>,
    run: BTreeSet<(RunState, RunSignal)>,
}

impl Taken {
    fn add(&mut self, outcome: &Outcome) {
        self.unit.extend(&outcome.state.taken);
        self.run.extend(&outcome.state.taken_run);
    }

    /// Goes on with a run, unless it is done.
    async fn resume(&mut self, bench: &Bench) {
        if State::replay(&bench.records()).unwrap().run != RunState::Done {
            self.add(&bench.resume().await);
        }
    }
}

/// Everything that can happen to one unit: parents with and without a backup, gates, both kinds of reconciling.
const SMALL: &str = "steps:
  - id: outer
    hosts: master[0]
    backup: [/etc/f]
    steps:
      - { id: plain, t.judged: { name: plain } }
      - { id: kept, backup: [/etc/g], gate: { ask: ok }, t.judged: { name: kept }, expect: inputs.fine }
      - id: calls
        script: |
          act(\"t.read\", #{ path: \"/etc/f\" });
          act(\"t.put\", #{ path: \"/etc/h\", content: \"new\" });
          act(\"t.judged\", #{ name: \"called\" });
          act(\"t.read\", #{ path: \"/etc/f\" })
  - id: bare
    hosts: master[0]
    steps:
      - { id: inner, t.note: { text: x } }
finally:
  - { id: clean, hosts: \"master[0]\", t.note: { text: clean } }
";

fn small(fine: bool) -> Bench {
    let mut bench = Bench::new(SMALL).masters(&["a"]);
    bench.inputs = map([("fine", fine.into())]);
    bench.world.put("a", "/etc/f", "old");
    bench.world.put("a", "/etc/h", "old");
    bench
}

/// Kills a run at every instant, with every verdict about what was under way, and goes both ways.
async fn both_ways(bench: &Bench, shots: &[Shot], taken: &mut Taken) {
    for shot in shots.iter().filter(|shot| !shot.after.contains("run.ended")) {
        for verdict in ["done", "not-done", "unknown"] {
            for back in [false, true] {
                let again = bench.killed_at(shot);
                again.world.put("a", "/verdict", verdict);
                if !back {
                    taken.resume(&again).await;
                    // Once more, with a person who knows.
                    *again.person.on_doubt.lock().unwrap() = Some(Box::new(|_| Some(Verdict::NotDone)));
                    taken.resume(&again).await;
                }
                taken.add(&again.roll_back().await);
            }
        }
    }
}

/// An attempt with an effect fails; the next one is killed at every instant, and all is taken back.
async fn after_a_failure(taken: &mut Taken) {
    let mut bench = small(false);
    taken.add(&bench.start().await);
    let tape = bench.tape();
    taken.add(&bench.resume().await);
    both_ways(&bench, &tape.shots(), taken).await;
    // … and the plan of the next one cannot be made.
    let again = small(false);
    taken.add(&again.start().await);
    again.world.put("a", "/plan", "fault");
    taken.add(&again.resume().await);
    taken.add(&again.roll_back().await);
}

/// Failures and leavings-out at unusual moments; each line is one unit's step.
async fn odd_moments(taken: &mut Taken) {
    let one = |step: &str, inputs: &[(&str, bool)]| {
        let mut bench =
            Bench::new(&format!("steps:\n  - {{ id: s, hosts: \"master[0]\", {step} }}\n")).masters(&["a"]);
        bench.inputs = inputs.iter().map(|(name, truth)| ((*name).to_owned(), (*truth).into())).collect();
        bench
    };
    // When and facts, before and after a gate that nobody answered, and after a failure.
    for answer in [None, Some(Answer::Run), Some(Answer::Skip), Some(Answer::Stop)] {
        for (want, fact) in [(false, true), (true, false), (true, true)] {
            let step = "when: inputs.want, facts: { g: { t.read: { path: /etc/g } } }, gate: { ask: ok }, t.judged: { name: s }, expect: inputs.fine";
            let mut bench = one(step, &[("want", true), ("fine", false)]);
            bench.world.put("a", "/etc/g", "x");
            bench.person.will_answer([answer]);
            let tape = bench.tape();
            taken.add(&bench.start().await);
            let shots = tape.shots();
            let approved =
                shots.iter().find(|shot| shot.after.contains("gate.answered")).or(shots.last()).unwrap();
            for shot in [approved, shots.last().unwrap()] {
                let mut again = bench.killed_at(shot);
                again.inputs = map([("want", want.into()), ("fine", true.into())]);
                if !fact {
                    again.world.on("a", |host| host.files.remove("/etc/g"));
                }
                taken.resume(&again).await;
                taken.resume(&again).await;
                again.inputs = map([("want", false.into()), ("fine", true.into())]);
                taken.resume(&again).await;
            }
        }
    }
    // The condition itself is false, or cannot be evaluated; the check is true; nothing is to change.
    for step in [
        "when: \"1 > 2\", t.note: { text: x }",
        "when: inputs.none > 1, t.note: { text: x }",
        "check: \"1 < 2\", t.note: { text: x }",
    ] {
        taken.add(&one(step, &[]).start().await);
    }
    let bench = one("t.put: { path: /etc/f, content: x }", &[]);
    bench.world.put("a", "/etc/f", "x");
    taken.add(&bench.start().await);
    // The plan cannot be made, at once or after the gate; it changes; the question cannot be asked.
    let bench = one("t.judged: { name: s }", &[]);
    bench.world.put("a", "/plan", "fault");
    taken.add(&bench.start().await);
    bench.world.on("a", |host| host.files.remove("/plan"));
    taken.resume(&bench).await;
    // Left out, and its debt still owed: begun again, left out again, failing again.
    for again in [map([("want", false.into())]), map([("want", true.into())]), map([])] {
        let mut bench = Bench::new(
            "steps:
  - { id: f, hosts: \"master[0]\", owes: { what: restart }, t.put: { path: /etc/f, content: x } }
  - { id: pay, hosts: \"master[0]\", settles: restart, when: inputs.want && true, t.judged: { name: pay } }
",
        );
        bench.inputs = map([("want", false.into())]);
        taken.add(&bench.start().await);
        bench.inputs = again;
        taken.resume(&bench).await;
    }
    // It worked, and the trust that it left is right only later.
    let bench = Bench::new(
        "trust:
  bundles: { ca: { file: /etc/ca } }
  servers: { api: { on: master, port: 1, cert: /etc/cert } }
  clients: { own: { on: master, uses: [api], trusts: ca } }
steps:
  - { id: swap, hosts: master, t.put: { path: /etc/cert, content: new } }
",
    )
    .masters(&["a"]);
    ["/etc/ca", "/etc/cert"].iter().for_each(|path| bench.world.put("a", path, "old"));
    taken.add(&bench.start().await);
    bench.world.put("a", "/etc/ca", "new");
    taken.resume(&bench).await;
    // It fails after its effect, and then its check says that it is done.
    let mut bench = one(
        "check: inputs.fine, t.put: { path: /etc/f, content: x }, expect: inputs.fine",
        &[("fine", false)],
    );
    taken.add(&bench.start().await);
    bench.inputs = map([("fine", true.into())]);
    taken.resume(&bench).await;
    taken.add(&bench.roll_back().await);
    let bench = one("gate: { ask: ok }, t.judged: { name: s }", &[]);
    let world = Arc::clone(&bench.world);
    *bench.person.on_gate.lock().unwrap() = Some(Box::new(move |_| world.put("a", "/plan", "fault")));
    taken.add(&bench.start().await);
    let bench = one("gate: { ask: ok }, t.put: { path: /etc/f, content: x }", &[]);
    let world = Arc::clone(&bench.world);
    *bench.person.on_gate.lock().unwrap() = Some(Box::new(move |_| world.put("a", "/etc/f", "y")));
    taken.add(&bench.start().await);
    taken.add(&one("gate: { ask: \"${inputs.none}\" }, t.note: { text: x }", &[]).start().await);
    // Between intent and effect, and in the effect, with a backup and without.
    for (call, how) in [("copy", How::Fails("no")), ("exec", How::Fails("no")), ("exec", How::LostAfter)] {
        for kept in ["", "backup: [/etc/f], "] {
            let bench = one(&format!("{kept}retry: {{ times: 2, delay: 1s }}, t.judged: {{ name: s }}"), &[]);
            bench.world.put("a", "/etc/f", "old");
            bench.world.put("a", "/verdict", "unknown");
            bench.world.trouble("a", call, "", how.clone());
            taken.add(&bench.start().await);
            let never = one(&format!("{kept}t.judged: {{ name: s }}"), &[]);
            never.world.put("a", "/etc/f", "old");
            never.world.trouble("a", call, "", how.clone());
            taken.add(&never.start().await);
        }
    }
    let bench = one(r#"script: "act(\"t.judged\", #{ name: \"s\" })""#, &[]);
    bench.world.trouble("a", "exec", "", How::LostAfter);
    taken.add(&bench.start().await);
    let bench = one("backup: [/etc/f], timeout: 1s, t.note: { text: wait }", &[]);
    bench.world.put("a", "/etc/f", "old");
    taken.add(&bench.start().await);
    // The result is not there yet; the host is lost when the files are looked at after the effect.
    taken.add(
        &one("retry: { times: 2, delay: 1s, until: result == 2 }, t.count: { path: /etc/n }", &[])
            .start()
            .await,
    );
    let bench = one("t.put: { path: /etc/f, content: x }", &[]);
    bench.world.add_trouble(crate::support::Trouble {
        host: "a",
        call: "tree",
        about: "/etc/f",
        how: How::LostBefore,
        after: 1,
        times: 1,
    });
    taken.add(&bench.start().await);
}

/// The run's own moves at its beginning and end.
async fn ends(taken: &mut Taken) {
    let unreached = || {
        let bench = small(true);
        bench.world.trouble("a", "connect", "", How::LostBefore);
        bench
    };
    let bench = unreached();
    taken.add(&bench.start().await);
    taken.add(&bench.resume().await);
    let bench = unreached();
    taken.add(&bench.start().await);
    taken.add(&bench.roll_back().await);
    // A rollback that fails, and one that ends in doubt.
    let yaml = "steps:
  - { id: f, hosts: \"master[0]\", owes: { what: restart }, t.put: { path: /etc/f, content: new } }
  - { id: bounce, hosts: \"master[0]\", settles: restart, t.judged: { name: bounce } }
";
    for (call, how) in [("remove", How::Fails("no")), ("exec", How::LostAfter)] {
        let bench = Bench::new(yaml);
        taken.add(&bench.start().await);
        bench.world.trouble("a", call, "", how);
        taken.add(&bench.roll_back().await);
        taken.add(&bench.roll_back().await);
    }
}

#[tokio::test(start_paused = true)]
async fn every_move_of_the_tables_is_taken() {
    let mut taken = Taken::default();
    let mut bench = small(true);
    let tape = bench.tape();
    taken.add(&bench.start().await);
    let shots = tape.shots();
    both_ways(&bench, &shots, &mut taken).await;
    // A rollback is killed at every instant, too.
    let tape = bench.tape();
    taken.add(&bench.roll_back().await);
    both_ways_back(&bench, &tape.shots(), &mut taken).await;
    after_a_failure(&mut taken).await;
    odd_moments(&mut taken).await;
    ends(&mut taken).await;
    let missing: Vec<_> =
        UNIT_TABLE.iter().filter(|(from, signal, _)| !taken.unit.contains(&(*from, *signal))).collect();
    let missing_run: Vec<_> =
        RUN_TABLE.iter().filter(|(from, signal, _)| !taken.run.contains(&(*from, *signal))).collect();
    assert!(missing.is_empty() && missing_run.is_empty(), "{missing:#?} {missing_run:#?}");
}

async fn both_ways_back(bench: &Bench, shots: &[Shot], taken: &mut Taken) {
    for shot in shots.iter().filter(|shot| !shot.after.contains("run.ended")) {
        let again = bench.killed_at(shot);
        taken.add(&again.roll_back().await);
    }
}
