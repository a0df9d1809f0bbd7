//! Trust: declared, judged before, after every unit that touches it, at the end and after a rollback.

use crate::support::{Bench, bench::HEAD};
use keybook_api::{Event, HowKnown, TrustVerdict, event::RunStatus};

const TRUST: &str = "
trust:
  bundles:
    ca: { file: /etc/ca }
  servers:
    api: { on: master, port: 6443, cert: /etc/cert }
  clients:
    kubelet: { on: manager, uses: [api], trusts: ca, started: { t.read: { path: /etc/started } } }
";

/// Every master serves `old`, the manager trusts `old`.
pub(super) fn bench(steps: &str) -> Bench {
    let bench = Bench::new(&format!("{TRUST}steps:\n{steps}"));
    ["a", "b", "c"].iter().for_each(|host| bench.world.put(host, "/etc/cert", "old"));
    bench.world.put("m", "/etc/ca", "old");
    bench.world.put("m", "/etc/started", "1234");
    bench.world.put("m", "/etc/other", "x");
    bench
}

/// Each check: its unit, and `client>server:verdict` of its edges.
fn checks(bench: &Bench) -> Vec<(String, Vec<String>)> {
    let check = |record: keybook_api::Record| match record.event {
        Event::TrustChecked { edges, .. } => {
            let unit = record.unit.map_or_else(String::new, |unit| unit.to_string());
            let one = |edge: &keybook_api::TrustEdge| {
                assert_eq!(edge.known, HowKnown::Inferred, "`started` was asked");
                format!("{}>{}:{:?}", edge.client, edge.server, edge.verdict)
            };
            Some((unit, edges.iter().map(one).collect()))
        }
        _ => None,
    };
    bench.records().into_iter().filter_map(check).collect()
}

#[tokio::test(start_paused = true)]
async fn trust_is_judged_before_after_what_touches_it_and_at_the_end() {
    let bench = bench(
        "  - { id: other, hosts: manager, t.put: { path: /etc/other, content: y } }
  - { id: look, hosts: manager, t.read: { path: /etc/ca } }
  - { id: same, hosts: manager, backup: /etc, t.run: { script: effect x } }
",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let all: Vec<String> = ["a", "b", "c"].map(|host| format!("kubelet@m>api@{host}:Holds")).to_vec();
    let expected =
        [("", all.clone()), ("same@m", all.clone()), ("", all)].map(|(unit, edges)| (unit.to_owned(), edges));
    assert_eq!(checks(&bench), expected, "a file of no edge is not asked about, a command may change any");
}

#[tokio::test(start_paused = true)]
async fn what_breaks_trust_fails_the_unit_and_is_rolled_back() {
    let bench = bench("  - { id: swap, hosts: master, t.put: { path: /etc/cert, content: new } }\n");
    let outcome = bench.start().await;
    assert_eq!((outcome.status, outcome.exit), (RunStatus::Failed, 1));
    let fault = outcome.fault.unwrap();
    assert_eq!(fault.attempted, "keep trust whole in swap@a");
    assert_eq!(
        fault.cause, "kubelet@m verifies api@a no longer: Some(\"new\") at a:6443, Some(\"old\")",
        "the address is the host's own"
    );
    assert_eq!(bench.world.text("b", "/etc/cert").unwrap(), "old", "nothing after it was begun");
    assert_eq!(
        checks(&bench).last().unwrap(),
        &("swap@a".to_owned(), vec!["kubelet@m>api@a:Broken".to_owned()]),
        "only the edges of this host"
    );
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/cert").unwrap(), "old");
    assert_eq!(checks(&bench).last().unwrap().1.len(), 3, "judged once more after the rollback");
}

#[tokio::test(start_paused = true)]
async fn a_step_may_break_what_a_later_one_mends() {
    let swap = "  - { id: swap, hosts: master, breaks: BREAKS, t.put: { path: /etc/cert, content: new } }\n";
    let mend = "  - { id: mend, hosts: manager, breaks: api, t.put: { path: /etc/ca, content: new } }\n";
    for name in ["api", "[kubelet]"] {
        let both = bench(&format!("{}{mend}", swap.replace("BREAKS", name)));
        let outcome = both.start().await;
        assert_eq!(outcome.exit, 0, "{}", outcome.reason);
        assert!(outcome.state.trust.last.iter().all(|edge| edge.verdict == TrustVerdict::Holds));
    }
    let outer = "  - id: outer
    hosts: master
    breaks: kubelet
    steps:
      - { id: swap, t.put: { path: /etc/cert, content: new } }
";
    assert_eq!(
        bench(&format!("{outer}{mend}")).start().await.exit,
        0,
        "a step inside may what the outer may"
    );

    let unmended = bench(&swap.replace("BREAKS", "api"));
    let outcome = unmended.start().await;
    assert_eq!((outcome.status, outcome.exit), (RunStatus::Failed, 1), "the run may not end so");
    let fault = outcome.fault.unwrap();
    assert_eq!(fault.attempted, "end the run");
    assert!(fault.cause.contains("kubelet@m verifies api@c no longer"), "{}", fault.cause);
}

/// A key without its certificate, say, is no state in which a run rests.
#[tokio::test(start_paused = true)]
async fn inside_an_atomic_step_only_its_end_counts() {
    let pair = "  - id: pair
    hosts: manager
    atomic: true
    steps:
      - { id: away, t.put: { path: /etc/ca, content: half } }
      - { id: back, t.put: { path: /etc/ca, content: END } }
";
    let whole = bench(&pair.replace("END", "old"));
    let outcome = whole.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let units: Vec<String> = checks(&whole).into_iter().map(|(unit, _)| unit).collect();
    assert_eq!(units, ["", "pair@m", ""]);
    let half = bench(&pair.replace("END", "half!"));
    let outcome = half.start().await;
    assert_eq!(outcome.fault.unwrap().attempted, "keep trust whole in pair@m");
}

#[tokio::test(start_paused = true)]
async fn what_was_broken_before_is_nobodys_fault() {
    let bench = bench("  - { id: same, hosts: manager, backup: /etc, t.run: { script: effect x } }\n");
    bench.world.put("b", "/etc/cert", "strange");
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert!(checks(&bench)[0].1.contains(&"kubelet@m>api@b:Broken".to_owned()));
}

/// The first judgement counts for the whole run, also when it goes on in another process.
#[tokio::test(start_paused = true)]
async fn a_resumed_run_knows_what_held_at_first() {
    let bench = bench("  - { id: swap, hosts: \"master[0]\", t.put: { path: /etc/cert, content: new } }\n");
    assert_eq!(bench.start().await.exit, 1);
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 1, "there is nothing to write any more, and it is still broken");
    assert_eq!(outcome.fault.unwrap().attempted, "keep trust whole in swap@a");
    assert_eq!(checks(&bench).iter().filter(|(unit, _)| unit.is_empty()).count(), 1);
    bench.world.put("m", "/etc/ca", "new");
    bench.world.put("b", "/etc/cert", "new");
    bench.world.put("c", "/etc/cert", "new");
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 0, "mended by hand: {}", outcome.reason);
}

#[tokio::test(start_paused = true)]
async fn a_gate_shows_what_is_known_of_trust() {
    let bench = bench(
        "  - { id: ask, hosts: manager, gate: { ask: \"Sure?\", show: [trust] }, t.put: { path: /etc/other, content: y } }\n",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.person.cards.lock().unwrap()[0].trust.len(), 3);
}

fn problems(yaml: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("runbook.yaml"), yaml).unwrap();
    let script = keybook_script::ScriptHost::new(keybook_script::Limits::default(), &[]);
    let loaded = keybook_core::model::load(dir.path(), "book", &crate::support::actions::registry(), &script);
    let Err(keybook_core::model::load::LoadError::Invalid { problems, .. }) = loaded else {
        panic!("no problem")
    };
    let show = |problem: &keybook_api::Diagnostic| {
        let help = problem.help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
        format!("{} {}:{} {}{help}", problem.code, problem.span.line, problem.span.column, problem.message)
    };
    problems.iter().map(show).collect()
}

#[test]
fn what_is_wrong_in_trust_is_said_at_its_place() {
    let yaml = format!(
        "{HEAD}{}",
        "trust:
  bundles:
    ca: { file: /etc/ca }
    both: { file: /etc/ca, kubeconfig: /etc/k }
  servers:
    api: { on: mastre, port: 66666, cert: /etc/cert, clients: cb }
    web: { on: master, port: 1, cert: /etc/cert, reads: each-time, started: { t.read: { path: /x } } }
  clients:
    kubelet: { on: manager, uses: [apy], trusts: ca, started: { t.put: { path: /x, content: new } } }
    api: { on: manager, uses: [api], trusts: ca, reads: always }
steps:
  - { id: s, hosts: master, breaks: kubelt, t.note: { text: x } }
"
    );
    assert_eq!(
        problems(&yaml),
        [
            "bundle 12:11 a bundle is a `file`, a `kubeconfig`, or `named_in` a file `after` some text",
            "unknown-group 14:16 no group `mastre` is declared under `hosts` | did you mean `master`?",
            "out-of-range 14:30 66666 is out of range; write 1 to 65535",
            "unknown-bundle 14:63 there is no bundle `cb` | did you mean `ca`?",
            "reads 15:77 `started` says nothing of a process that reads its files each time",
            "unknown-server 17:36 `apy` is none of the servers | did you mean `api`?",
            "fact-changes 17:65 `t.put` is not read-only, so it cannot tell when something started",
            "duplicate-id 18:5 `api` is a server already | give the client a name of its own, such as `api-client`",
            "unknown-word 18:57 `always` is no moment at which files are read | one of `each-time`, `at-start`",
            "unknown-server 20:37 `kubelt` is neither a server nor a client of `trust` | did you mean `kubelet`?",
        ]
    );
}

/// What is inside it is on hosts of its own, so that all of them are judged when it is through.
#[tokio::test(start_paused = true)]
async fn an_atomic_step_without_hosts_is_judged_at_its_end() {
    let bench = bench(
        "  - id: pair
    atomic: true
    steps:
      - { id: away, hosts: manager, t.put: { path: /etc/ca, content: half } }
  - { id: later, hosts: master, t.put: { path: /etc/later, content: x } }
",
    );
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    let fault = outcome.fault.unwrap();
    assert_eq!(fault.attempted, "keep trust whole in pair@local");
    assert_eq!(checks(&bench).last().unwrap().0, "pair@local");
    assert_eq!(checks(&bench).last().unwrap().1.len(), 3, "the edges of every host");
    assert_eq!(bench.world.text("a", "/etc/later"), None);
    // Mended by hand: it is judged once more, and not carried out again.
    bench.world.put("m", "/etc/ca", "old");
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.world.text("m", "/etc/ca").unwrap(), "old");
}

#[tokio::test(start_paused = true)]
async fn an_atomic_step_without_hosts_that_changed_nothing_is_not_judged() {
    let bench = bench(
        "  - id: pair
    atomic: true
    steps:
      - { id: look, hosts: manager, t.read: { path: /etc/ca } }
",
    );
    assert_eq!(bench.start().await.exit, 0);
    let units: Vec<String> = checks(&bench).into_iter().map(|(unit, _)| unit).collect();
    assert_eq!(units, ["", ""], "before the first step and at the end");
}
