//! Scripts and the secrets that are not in the journal: gone on with, a script gets the same ones or is stopped.

use crate::support::{Bench, bench::secret, tape::Shot};
use keybook_api::{
    Event,
    event::RunStatus,
    value::{REDACTED, map},
};

/// The first master runs this script. Its key stands in a file.
fn bench(keys: &str, script: &str) -> Bench {
    let lines: String = script.trim().lines().map(|line| format!("      {}\n", line.trim())).collect();
    let yaml = format!("steps:\n  - id: s\n    hosts: master[0]\n{keys}    script: |\n{lines}");
    let bench = Bench::new(&yaml).masters(&["a"]);
    bench.world.put("a", "/etc/key", "the-old-key");
    bench
}

/// The state right after the calls of a script that are done were so many.
async fn killed_after(done: &mut Bench, calls: usize) -> (Bench, Vec<Shot>) {
    let shots = done.shots().await;
    let mut ended = shots.iter().filter(|shot| shot.after.contains("call.done s@a"));
    let again = done.killed_at(ended.nth(calls - 1).unwrap());
    (again, shots)
}

const SWAP: &str = r#"
let old = act("t.secret", #{ path: "/etc/key" });
act("t.put", #{ path: "/etc/key", content: "the-new-key" });
act("t.put", #{ path: "/etc/old", content: old });
"#;

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_read_again_must_be_the_same() {
    let mut done = bench("", SWAP);
    let before = done.world.files();
    let (again, _) = killed_after(&mut done, 1).await;
    assert_eq!(again.resume().await.exit, 0);
    assert_eq!(again.world.text("a", "/etc/old").unwrap(), "the-old-key");

    let (again, _) = killed_after(&mut bench("", SWAP), 2).await;
    let outcome = again.resume().await;
    assert_eq!((outcome.exit, outcome.status), (1, RunStatus::Failed), "{}", outcome.reason);
    let fault = outcome.fault.unwrap();
    assert_eq!(
        fault.cause,
        "the script is not deterministic: its call 1 was `t.secret {\"path\":\"/etc/key\"}`, and now its result holds another secret than it held then"
    );
    assert_eq!(
        fault.now_true.unwrap(),
        "what it called before was not repeated, and nothing else was called"
    );
    assert!(fault.hints[1].contains("with what it reads now"), "{:?}", fault.hints);
    assert_eq!(again.world.text("a", "/etc/old"), None);
    let outcome = again.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(again.world.files(), before);
    let journal = std::fs::read_to_string(again.journal()).unwrap();
    assert!(!journal.contains("the-old-key"), "{journal}");
}

#[tokio::test(start_paused = true)]
async fn a_secret_fact_that_is_read_again_must_be_the_same() {
    let keys = "    facts: { f: { t.secret: { path: /etc/key } } }\n";
    let script = "act(\"t.count\", #{ path: \"/etc/n\" });\nact(\"t.put\", #{ path: \"/etc/old\", content: facts.f });";
    let (same, _) = killed_after(&mut bench(keys, script), 1).await;
    assert_eq!(same.resume().await.exit, 0);
    assert_eq!(same.world.text("a", "/etc/old").unwrap(), "the-old-key");
    for calls in ["", "act(\"t.put\", #{ path: \"/etc/first\", content: facts.f });\n"] {
        let script = format!("{calls}{script}");
        let (other, _) = killed_after(&mut bench(keys, &script), if calls.is_empty() { 1 } else { 2 }).await;
        other.world.put("a", "/etc/key", "the-other-key");
        let outcome = other.resume().await;
        assert_eq!((outcome.exit, outcome.status), (1, RunStatus::Failed), "{}", outcome.reason);
        let why = "its fact `f` holds another secret than it held when the script was begun";
        assert_eq!(outcome.fault.unwrap().cause, why);
        assert_eq!(other.world.text("a", "/etc/old"), None);
        // It begins from its start, with what it reads now.
        assert_eq!(other.resume().await.exit, 0);
        assert_eq!(other.world.text("a", "/etc/old").unwrap(), "the-other-key");
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_secret_the_journal_counts() {
    let script = r#"
let read = act("t.secret", #{ path: "/etc/key", beside: "/etc/size" });
act("t.count", #{ path: "/etc/n" });
act("t.put", #{ path: "/etc/one", content: read.secret });
act("t.put", #{ path: "/etc/two", content: read.beside });
"#;
    let mut done = bench("", script);
    done.world.put("a", "/etc/size", "three");
    let (again, _) = killed_after(&mut done, 2).await;
    again.world.put("a", "/etc/size", "nine");
    let outcome = again.resume().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let [one, two] = ["/etc/one", "/etc/two"].map(|path| again.world.text("a", path).unwrap());
    assert_eq!((one.as_str(), two.as_str()), ("the-old-key", "three"));
}

#[tokio::test(start_paused = true)]
async fn a_call_with_another_secret_is_another_call() {
    let script = "act(\"t.keyed\", #{ path: \"/etc/one\", key: inputs.key });\nact(\"t.count\", #{ path: \"/etc/n\" });";
    let mut done = bench("", script);
    done.inputs = map([("key", secret("opensesame"))]);
    let (mut again, _) = killed_after(&mut done, 1).await;
    again.inputs = map([("key", secret("another-key"))]);
    let outcome = again.resume().await;
    assert_eq!(outcome.exit, 1, "{}", outcome.reason);
    let cause = outcome.fault.unwrap().cause;
    assert!(cause.ends_with("/etc/one\"}`, perhaps with another secret"), "{cause}");
    assert_eq!(again.world.text("a", "/etc/n"), None);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_a_script_replaces_does_not_keep_its_call_from_being_found() {
    // While the second call is decided the first reading is gone already, and is not needed for it.
    let script = r#"
act("t.secret", #{ path: "/etc/key" });
act("t.put", #{ path: "/etc/key", content: inputs.key });
"#;
    let mut done = bench("", script);
    done.inputs = map([("key", secret("opensesame"))]);
    let (again, shots) = killed_after(&mut done, 2).await;
    drop(again);
    let written = |shot: &&Shot| shot.hosts["a"].files["/etc/key"].content == b"opensesame";
    let again = done.killed_at(shots.iter().find(written).unwrap());
    let outcome = again.resume().await;
    let Event::CallReconciled { verdict, .. } = again.events("call.reconciled").remove(0) else { panic!() };
    assert_eq!(verdict, "done");
    assert!(outcome.reason.contains("holds another secret"), "{}", outcome.reason);
    assert_eq!(again.roll_back().await.exit, 5);
    assert_eq!(again.world.text("a", "/etc/key").unwrap(), "the-old-key");
}

/// What it tells and notes holds a secret, or all is secret; then something that only the script knows the key of.
const TELLING: &str = r#"
act("t.tell", #{ text: inputs.key });
act("t.note", #{ text: [inputs.key, "open"] });
act("t.keyed", #{ path: "/etc/one", key: inputs.key });
act("t.put", #{ path: "/etc/two", content: "x" });
"#;

#[tokio::test(start_paused = true)]
async fn what_was_told_is_not_told_again() {
    for keys in ["", "    secret: true\n"] {
        let mut done = bench(keys, TELLING);
        done.inputs = map([("key", secret("opensesame"))]);
        let (_, shots) = killed_after(&mut done, 3).await;
        for shot in shots.iter().filter(|shot| shot.after.contains("s@a")) {
            for back in [false, true] {
                let again = done.killed_at(shot);
                let told = again.world.text("a", "/told");
                let noted = again.events("unit.note").len();
                // Before its first change it begins afresh.
                let begun = !again.events("call.intent").is_empty();
                if !back && begun && again.events("unit.done").is_empty() {
                    let outcome = again.resume().await;
                    assert_eq!(outcome.exit, 0, "after {}: {}", shot.after, outcome.reason);
                } else if back {
                    let outcome = again.roll_back().await;
                    assert_eq!(outcome.exit, 5, "after {}: {}", shot.after, outcome.reason);
                    assert_eq!(again.world.text("a", "/etc/one"), None, "after {}", shot.after);
                } else {
                    continue;
                }
                assert_eq!(again.world.text("a", "/told"), told, "after {} (back: {back})", shot.after);
                assert_eq!(again.events("unit.note").len(), noted, "after {} (back: {back})", shot.after);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_what_was_told_a_script_gets_what_the_journal_kept() {
    let script = r#"
let said = act("t.note", #{ text: [inputs.key, "open"] });
act("t.count", #{ path: "/etc/n" });
act("t.put", #{ path: "/etc/two", content: `${said}` });
"#;
    let mut done = bench("", &script.replace("`${said}`", "`${said[1]}${type_of(said[0])}`"));
    done.inputs = map([("key", secret("opensesame"))]);
    let (again, _) = killed_after(&mut done, 2).await;
    assert_eq!(done.world.text("a", "/etc/two").unwrap(), "opensecret");
    assert_eq!(again.resume().await.exit, 0);
    assert_eq!(again.world.text("a", "/etc/two").unwrap(), "open()", "null, and no text that stands for it");
    assert!(std::fs::read_to_string(again.journal()).unwrap().contains(REDACTED));
}
