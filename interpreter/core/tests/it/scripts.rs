//! Steps with a script.

use crate::support::{Bench, How, bench::secret};
use keybook_api::{Change, Event, event::RunStatus, value::map};
use keybook_core::run::{dry::Planned, engine};

/// One step with this script on the first master; its keys besides the script come first.
fn bench(keys: &str, script: &str) -> Bench {
    let lines: String = script.trim().lines().map(|line| format!("      {}\n", line.trim())).collect();
    let bench = Bench::new(&format!("steps:\n  - id: s\n    hosts: master[0]\n{keys}    script: |\n{lines}"));
    bench.world.put("a", "/etc/f", "old");
    bench.world.put("b", "/etc/f", "of b");
    bench
}

fn failure(bench: &Bench) -> (String, bool, String) {
    let Event::UnitFailed { fault, before_effect, .. } = bench.events("unit.failed").remove(0) else {
        panic!()
    };
    (fault.cause, before_effect, fault.at.map(|at| at.to_string()).unwrap_or_default())
}

fn notes(bench: &Bench) -> Vec<String> {
    let text = |event| match event {
        Event::UnitNote { text } => text,
        other => panic!("{other:?}"),
    };
    bench.events("unit.note").into_iter().map(text).collect()
}

const WHOLE: &str = r#"
let seen = act("t.read", #{ path: "/etc/f" });
if seen == facts.f { act("t.put", #{ path: "/etc/f", content: inputs.text }); }
let n = act("t.count", #{ path: "/etc/n" });
note(`counted ${n} on ${host.name}`);
twice(n) + act("t.read@b", #{ path: "/etc/f" }).len
"#;

#[tokio::test(start_paused = true)]
async fn a_script_calls_actions_and_its_last_value_is_the_result() {
    let keys = "    facts: { f: { t.read: { path: /etc/f } } }\n    expect: result == 6\n    register: sum\n";
    let mut bench = bench(keys, WHOLE);
    bench.yaml.push_str(
        "  - { id: next, hosts: \"master[0]\", t.put: { path: /etc/sum, content: \"is ${sum}\" } }\n",
    );
    bench.inputs = map([("text", "new".into())]);
    std::fs::write(bench.dir.path().join("hooks.rhai"), "fn twice(n) { n * 2 }").unwrap();
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    for (path, content) in [("/etc/f", "new"), ("/etc/n", "1"), ("/etc/sum", "is 6")] {
        assert_eq!(bench.world.text("a", path).unwrap(), content);
    }
    let expected = [
        "unit.facts",
        "unit.planned",
        "unit.intent",
        "call.done",
        "call.intent",
        "backup.taken",
        "call.done",
        "call.intent",
        "call.done",
        "unit.note",
        "call.done",
        "unit.applied",
        "unit.done",
    ];
    assert_eq!(bench.trail("s@a"), expected);
    assert_eq!(notes(&bench), ["counted 1 on a"]);
    let Event::UnitDone { changed, wrote, .. } = bench.events("unit.done").remove(0) else { panic!() };
    let wrote: Vec<&str> = wrote.iter().map(|touch| touch.path.as_str()).collect();
    assert!(changed);
    assert_eq!(wrote, ["/etc/f", "/etc/n"]);
}

#[tokio::test(start_paused = true)]
async fn a_script_that_only_reads_is_carried_out_and_changes_nothing() {
    let bench = bench("    register: seen\n", "note(\"looking\");\nact(\"t.read\", #{ path: \"/etc/f\" })");
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(notes(&bench), ["looking"], "told once, not while planning");
    let Event::UnitPlanned { change, .. } = bench.events("unit.planned").remove(0) else { panic!() };
    let Event::UnitDone { changed, result, .. } = bench.events("unit.done").remove(0) else { panic!() };
    assert_eq!((change, changed, result.as_str()), (Change::Wont, false, Some("old")));
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_may_be_caught_and_fails_the_same_way_again() {
    let script = r#"
let why = "";
try { act("t.put", #{ path: "/none/f", content: "x" }); } catch (error) { why = error; }
act("t.put", #{ path: "/etc/f", content: why });
"#;
    let caught = bench("", script);
    let outcome = caught.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let told = caught.world.text("a", "/etc/f").unwrap();
    assert_eq!(told, "could not write /none/f on a: there is no such directory");
    let Event::CallFailed { ordinal, before_effect, .. } = caught.events("call.failed").remove(0) else {
        panic!()
    };
    assert_eq!((ordinal, before_effect), (0, false));

    // Not caught: the unit fails with the action's own fault, at the call's place in the file.
    let script =
        "act(\"t.count\", #{ path: \"/etc/n\" });\nact(\"t.put\", #{ path: \"/none/f\", content: \"x\" });";
    let failed = bench("", script);
    let outcome = failed.start().await;
    assert_eq!((outcome.exit, outcome.status), (1, RunStatus::Failed));
    let expected = ("there is no such directory".to_owned(), false, "book/runbook.yaml:14:7".to_owned());
    assert_eq!(failure(&failed), expected);
    assert_eq!(outcome.fault.unwrap().host.as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn a_failed_script_begins_afresh_when_it_is_resumed() {
    let script = r#"
act("t.run", #{ script: "effect once" });
act("t.put", #{ path: "/etc/f", content: "try" });
if act("t.count", #{ path: "/etc/n" }) < 2 { throw "not yet"; }
"#;
    let bench = bench("", script);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    assert_eq!(failure(&bench), ("not yet".to_owned(), false, "book/runbook.yaml:15:52".to_owned()));
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.world.effects("a", "once"), 2, "a new attempt calls everything anew");
    // What both attempts did is taken back.
    let outcome = bench.roll_back().await;
    assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "old");
    assert_eq!(bench.world.text("a", "/etc/n"), None);
    assert_eq!(outcome.exit, 6, "{}", outcome.reason);
    assert!(outcome.reason.contains("s@a: `t.run` has no way back"), "{}", outcome.reason);
}

#[tokio::test(start_paused = true)]
async fn what_changes_something_is_called_on_the_own_host_only() {
    for name in ["t.put@b", "t.put@a", "t.nothing"] {
        let bench =
            bench("", &format!("let name = \"{name}\";\nact(name, #{{ path: \"/etc/f\", content: \"x\" }})"));
        let outcome = bench.start().await;
        // Found while planning: nothing was begun.
        assert_eq!(outcome.exit, 2, "{}", outcome.reason);
        let why = if name == "t.nothing" {
            "there is no such action"
        } else {
            "it does not only read, and such a call works on the unit's own host only"
        };
        assert_eq!(failure(&bench), (why.to_owned(), true, "book/runbook.yaml:14:7".to_owned()));
        assert_eq!(bench.world.text("b", "/etc/f").unwrap(), "of b");
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_that_goes_round_in_circles_is_ended() {
    for round in ["act(name)", "act(\"t.read\", #{ path: \"/etc/f\" })"] {
        let bench =
            bench("", &format!("let name = \"t.nothing\";\nloop {{ try {{ {round}; }} catch {{ }} }}"));
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, 1, "{}", outcome.reason);
        assert_eq!(failure(&bench).0, "it makes more than 10000 calls");
    }
}

#[tokio::test]
async fn the_time_of_a_script_counts_for_its_plan_too() {
    let bench = bench("    timeout: 20ms\n", "loop { act(\"t.read\", #{ path: \"/etc/f\" }); }");
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1, "{}", outcome.reason);
    assert_eq!((failure(&bench).0.as_str(), failure(&bench).1), ("it took longer than 20ms", true));
}

#[tokio::test(start_paused = true)]
async fn arguments_are_checked_at_the_call() {
    let bench = bench("", "let args = #{ path: 3 };\nact(\"t.put\", args)");
    assert_eq!(bench.start().await.exit, 2);
    assert_eq!(failure(&bench).0, "the argument `path`: expected a path, got int");
}

/// The plan of a dry run, by unit.
async fn plan(bench: &Bench) -> Vec<Planned> {
    let journal = bench.dir.path().join("plan.jsonl");
    let session = engine::look(bench.setup(), &journal).unwrap();
    session.dry_run().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_plan_follows_a_script_up_to_its_first_change() {
    let script = r#"
let seen = act("t.read", #{ path: "/etc/f" });
act("t.put", #{ path: "/etc/f", content: seen + " and new" });
act("t.run", #{ script: "effect never" });
"#;
    let bench = bench("", script);
    let before = bench.world.hosts();
    let planned = plan(&bench).await.remove(0);
    let why = "what its script does after `t.put` may depend on the result";
    assert_eq!(planned.plan.change, Change::CannotKnow(why.to_owned()));
    assert_eq!(planned.plan.lines, ["write /etc/f"]);
    assert_eq!(planned.plan.diffs[0].after.as_deref(), Some("old and new"));
    assert_eq!(bench.world.hosts(), before, "a plan changes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_plan_runs_a_script_that_only_reads_to_its_end() {
    let mut reads = bench("    register: seen\n", "act(\"t.read\", #{ path: \"/etc/f\" })");
    reads.yaml.push_str(
        "  - { id: shown, hosts: \"master[0]\", t.put: { path: /etc/g, content: \"${seen}\" } }
  - { id: changed, hosts: \"master[0]\", register: put, t.count: { path: /etc/n } }
  - id: later
    hosts: master[0]
    script: |
      put + act(\"t.read\", #{ path: \"/etc/f\" })
",
    );
    let planned = plan(&reads).await;
    assert_eq!(planned[0].plan.change, Change::Wont);
    assert_eq!(planned[1].plan.diffs[0].after.as_deref(), Some("old"));
    let why = "its script reads `put`, which is not known yet".to_owned();
    assert_eq!(planned[3].plan.change, Change::CannotKnow(why));

    let stops = bench("", "if act(\"t.read\", #{ path: \"/etc/f\" }) != \"new\" { throw \"it is old\"; }");
    let planned = plan(&stops).await.remove(0);
    let told = planned.stops.unwrap();
    assert!(told.contains("it is old (book/runbook.yaml:13:"), "{told}");
}

const GATED: &str = "    gate: { ask: ok, show: [diff] }\n";

#[tokio::test(start_paused = true)]
async fn a_gate_shows_the_first_change_and_asks_again_when_it_is_another() {
    let script = "let seen = act(\"t.read\", #{ path: \"/etc/f\" });\nact(\"t.put\", #{ path: \"/etc/g\", content: seen });";
    let bench = bench(GATED, script);
    let world = std::sync::Arc::clone(&bench.world);
    let mut asked = 0;
    *bench.person.on_gate.lock().unwrap() = Some(Box::new(move |_| {
        asked += 1;
        if asked == 1 {
            world.put("a", "/etc/f", "theirs");
        }
    }));
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let cards = bench.person.cards.lock().unwrap();
    let shown: Vec<_> = cards.iter().map(|card| card.plan.diffs[0].after.clone().unwrap()).collect();
    assert_eq!(shown, ["old", "theirs"]);
    assert_eq!(cards[1].changed.as_deref(), Some("it calls `t.put` with other arguments"));
    assert_eq!(bench.world.text("a", "/etc/g").unwrap(), "theirs");
}

#[tokio::test(start_paused = true)]
async fn a_yes_does_not_count_for_another_first_change() {
    // What is read changes after the last look before the effect: with the intent.
    let script = "let seen = act(\"t.read\", #{ path: \"/etc/f\" });\nif seen == \"theirs\" { act(\"t.put\", #{ path: \"/etc/f\", content: \"x\" }); }\nseen";
    for gate in [GATED, ""] {
        let mut bench = bench(gate, script);
        let world = std::sync::Arc::clone(&bench.world);
        bench.watchers.push(std::sync::Arc::new(AfterIntent(move || world.put("a", "/etc/f", "theirs"))));
        let outcome = bench.start().await;
        if gate.is_empty() {
            assert_eq!(outcome.exit, 0, "{}", outcome.reason);
            assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "x");
        } else {
            assert_eq!(outcome.exit, 1, "{}", outcome.reason);
            let why = "its script does something else first than what was approved: it calls `t.put`, and before it changed nothing";
            assert_eq!(failure(&bench).0, why);
            assert!(failure(&bench).1, "nothing was changed");
            assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "theirs");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_yes_counts_for_a_first_change_whatever_else_is_read() {
    // It is read again after the question, and again with the intent, and is another number each time.
    let script = "note(act(\"t.read\", #{ path: \"/etc/n\" }));\nact(\"t.put\", #{ path: \"/etc/f\", content: \"x\" });";
    let mut bench = bench(GATED, script);
    bench.world.put("a", "/etc/n", "0");
    let (world, again) = (std::sync::Arc::clone(&bench.world), std::sync::Arc::clone(&bench.world));
    *bench.person.on_gate.lock().unwrap() = Some(Box::new(move |_| world.put("a", "/etc/n", "1")));
    bench.watchers.push(std::sync::Arc::new(AfterIntent(move || again.put("a", "/etc/n", "2"))));
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.person.asked(), ["s@a"], "once");
    assert_eq!(
        (notes(&bench), bench.world.text("a", "/etc/f").unwrap()),
        (vec!["2".to_owned()], "x".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_as_it_was_approved_is_named() {
    let put = "act(\"t.put\", #{ path: \"/etc/f\", content: \"x\" });";
    let other =
        "if act(\"t.read\", #{ path: \"/etc/n\" }) == \"1\" { act(\"t.count\", #{ path: \"/etc/c\" }); }";
    let nothing = format!("if act(\"t.read\", #{{ path: \"/etc/n\" }}) == \"0\" {{ {put} }}");
    let with = "act(\"t.put\", #{ path: \"/etc/f\", content: act(\"t.read\", #{ path: \"/etc/n\" }) });";
    for (script, moved, told) in [
        (format!("{other}\n{put}"), "/etc/n", Some("it calls `t.count`, and before it called `t.put`")),
        (with.to_owned(), "/etc/n", Some("it calls `t.put` with other arguments")),
        (put.to_owned(), "/etc/f", Some("/etc/f changed meanwhile")),
        // What was approved is not done, and nothing else.
        (nothing, "/etc/n", None),
    ] {
        let mut bench = bench(GATED, &script);
        bench.world.put("a", "/etc/n", "0");
        let world = std::sync::Arc::clone(&bench.world);
        bench.watchers.push(std::sync::Arc::new(AfterIntent(move || world.put("a", moved, "1"))));
        let outcome = bench.start().await;
        match told {
            Some(told) => {
                assert_eq!(outcome.exit, 1, "{}", outcome.reason);
                let why = "its script does something else first than what was approved";
                assert_eq!((failure(&bench).0, failure(&bench).1), (format!("{why}: {told}"), true));
            }
            None => assert_eq!(outcome.exit, 0, "{}", outcome.reason),
        }
        assert_eq!(bench.world.text("a", "/etc/c"), None);
        let left = if moved == "/etc/f" { "1" } else { "old" };
        assert_eq!(bench.world.text("a", "/etc/f").unwrap(), left);
    }
}

struct AfterIntent<F>(F);

impl<F: Fn() + Send + Sync> keybook_core::run::log::Watcher for AfterIntent<F> {
    fn record(&self, record: &keybook_api::Record) {
        if matches!(record.event, Event::UnitIntent { .. }) {
            (self.0)();
        }
    }
}

#[tokio::test]
async fn a_stop_ends_the_call_that_is_under_way_and_the_script() {
    let script = "act(\"t.run\", #{ script: \"effect one\" });\ntry { act(\"t.run\", #{ script: \"block\" }); } catch { }\nact(\"t.run\", #{ script: \"effect two\" });";
    let bench = bench("", script);
    let (cancel, world) = (bench.cancel.clone(), std::sync::Arc::clone(&bench.world));
    let stopper = tokio::spawn(async move {
        while world.on("a", |host| host.receipts.len()) < 2 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    });
    let outcome = bench.start().await;
    stopper.await.unwrap();
    // The command began, and nobody recorded how it ended.
    assert_eq!((outcome.exit, outcome.status), (9, RunStatus::Unknown), "{}", outcome.reason);
    assert_eq!((bench.world.effects("a", "one"), bench.world.effects("a", "two")), (1, 0));
}

#[tokio::test]
async fn a_stop_between_two_calls_leaves_the_script_to_be_gone_on_with() {
    let script = "act(\"t.run\", #{ script: \"effect one\" });\nact(\"t.note\", #{ text: \"wait\" });\nact(\"t.run\", #{ script: \"effect two\" });";
    for key in ["", "    timeout: 20ms\n"] {
        let mut bench = bench(key, script);
        let (cancel, world) = (bench.cancel.clone(), std::sync::Arc::clone(&bench.world));
        let stopper = tokio::spawn(async move {
            while world.effects("a", "one") == 0 {
                tokio::task::yield_now().await;
            }
            cancel.cancel();
        });
        if !key.is_empty() {
            stopper.abort();
        }
        let outcome = bench.start().await;
        let (exit, status) = if key.is_empty() { (8, RunStatus::Stopped) } else { (1, RunStatus::Failed) };
        assert_eq!((outcome.exit, outcome.status), (exit, status), "{}", outcome.reason);
        assert_eq!(bench.events("unit.failed"), []);
        assert!(notes(&bench).last().unwrap().starts_with("the script rests between two calls"));
        // What was waited for comes; nothing is done twice.
        bench.yaml = bench.yaml.replace("text: \"wait\"", "text: \"waited\"").replace(key, "");
        bench.cancel = keybook_api::Cancel::new();
        let outcome = bench.resume().await;
        assert_eq!(outcome.exit, 0, "{}", outcome.reason);
        assert_eq!((bench.world.effects("a", "one"), bench.world.effects("a", "two")), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_lost_in_a_call_is_asked_and_the_script_goes_on_by_itself() {
    let script = "act(\"t.judged\", #{ name: \"one\" });\nact(\"t.judged\", #{ name: \"two\" });\nact(\"t.read\", #{ path: \"/etc/f\" })";
    for (verdict, exit, two) in [("done", 0, 1), ("not-done", 4, 0), ("unknown", 9, 0)] {
        let bench = bench("    register: r\n", script);
        bench.world.put("a", "/verdict", verdict);
        bench.world.trouble("a", "exec", "effect one", How::LostAfter);
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, exit, "{verdict}: {}", outcome.reason);
        assert_eq!((bench.world.effects("a", "one"), bench.world.effects("a", "two")), (1, two));
        if exit == 0 {
            continue;
        }
        bench.world.put("a", "/verdict", "not-done");
        let outcome = bench.resume().await;
        assert_eq!(outcome.exit, 0, "{verdict}: {}", outcome.reason);
        assert_eq!(
            (bench.world.effects("a", "one"), bench.world.effects("a", "two")),
            (2, 1),
            "found not done"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_lost_while_reading_leaves_nothing_in_doubt() {
    let script = "act(\"t.run\", #{ script: \"effect one\" });\ntry { act(\"t.read@b\", #{ path: \"/etc/f\" }); } catch { }\nact(\"t.run\", #{ script: \"effect two\" });";
    let bench = bench("", script);
    bench.world.trouble("b", "read", "/etc/f", How::LostBefore);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.status), (4, RunStatus::Unreachable), "{}", outcome.reason);
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!((bench.world.effects("a", "one"), bench.world.effects("a", "two")), (1, 1));
}

/// Trust cannot be judged the second time: its host is lost.
#[derive(Default)]
struct LostOnce(std::sync::atomic::AtomicU32);

#[async_trait::async_trait]
impl keybook_api::TrustJudge for LostOnce {
    async fn judge(
        &self,
        hosts: std::sync::Arc<dyn keybook_api::HostAccess>,
        matrix: &keybook_api::TrustMatrix,
        only: Option<&[String]>,
        now: i64,
        cancel: &keybook_api::Cancel,
    ) -> Result<Vec<keybook_api::TrustEdge>, keybook_api::Fault> {
        if self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            return Err(keybook_api::Fault::unreachable("judge trust", "the connection was lost"));
        }
        crate::support::judge::WordForWord.judge(hosts, matrix, only, now, cancel).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_lost_after_the_last_call_leaves_the_script_done() {
    let mut bench = bench("    register: n\n", "act(\"t.count\", #{ path: \"/etc/cert\" })");
    let trust = "trust:
  bundles: { ca: { file: /etc/f } }
  servers: { api: { on: manager, port: 1, cert: /etc/f } }
  clients: { here: { on: \"master[0]\", uses: [api], trusts: ca, cert: /etc/cert } }
";
    bench.yaml = bench.yaml.replace("steps:\n", &format!("{trust}steps:\n"));
    bench.world.put("m", "/etc/f", "old");
    let setup =
        keybook_core::run::engine::Setup { trust: std::sync::Arc::new(LostOnce::default()), ..bench.setup() };
    let outcome = engine::start(setup, &bench.journal()).await.unwrap();
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/cert").unwrap(), "1");
    let Event::UnitReconciled { verdict, result, .. } = bench.events("unit.reconciled").remove(0) else {
        panic!()
    };
    assert_eq!((verdict.as_str(), result), ("done", 1.into()));
}

#[tokio::test(start_paused = true)]
async fn a_secret_script_tells_neither_its_calls_nor_its_result() {
    let script = "note(\"quiet-please\");\nact(\"t.run\", #{ script: \"say quiet-please\" });\nif inputs.fail { act(\"t.leak\", #{ secret: inputs.pw, fail: true }); }\nact(\"t.read\", #{ path: \"/etc/f\" })";
    for fail in [false, true] {
        let mut bench = bench("    secret: true\n    register: told\n    gate: { ask: ok }\n", script);
        bench.yaml.push_str(
            "  - { id: t, hosts: \"master[0]\", t.note: { text: x }, expect: told == \"quiet-please\" }\n",
        );
        bench.world.put("a", "/etc/f", "quiet-please");
        bench.inputs = map([("pw", secret("hunter2")), ("fail", fail.into())]);
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, i32::from(fail), "{}", outcome.reason);
        let journal = std::fs::read_to_string(bench.journal()).unwrap();
        let shown = format!("{outcome:?} {:?} {journal}", bench.person.cards.lock().unwrap());
        // The runbook's own text, in the condition of the next step, is told; nothing else.
        assert!(!shown.replace("told == \\\"quiet-please", "").contains("quiet-please"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_obligation_of_a_script_is_owed_before_its_first_call_and_paid_after_its_last() {
    let mut bench =
        bench("    owes: { what: reload }\n", "act(\"t.put\", #{ path: \"/none/f\", content: \"x\" })");
    bench.yaml.push_str(
        "  - id: pay\n    hosts: master[0]\n    settles: reload\n    script: |\n      act(\"t.run\", #{ script: \"effect reload\" });\n",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.owed, ["reload@a"]);
    bench.world.put_node("a", "/none", crate::support::Node::dir(0o755));
    let outcome = bench.resume().await;
    assert_eq!((outcome.exit, outcome.owed), (0, Vec::new()), "{}", outcome.reason);
    // Taken back, the file is owed again, and the settling script is carried out again.
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(bench.world.effects("a", "reload"), 2);
}
