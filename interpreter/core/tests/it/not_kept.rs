//! What was secret is not in the journal: after a resume nothing takes another way because of that.

use crate::support::{Bench, bench::secret};
use keybook_api::value::map;

const PASSWORD: &str = "hunter2hunter2";

const LOOK: &str = "steps:
  - { id: look, hosts: \"master[0]\", register: key, t.secret: { path: /etc/pw, beside: /etc/beside } }
  - { id: fails, hosts: \"master[0]\", t.flaky: { name: f, fails: 1 }, undo: { t.note: { text: x } } }
  - { id: put, hosts: \"master[0]\", PUT }
";

/// The outcome after a failure and a resume, and what /etc/put is.
async fn resumed(put: &str) -> (i32, String, Option<String>) {
    let bench = Bench::new(&LOOK.replace("PUT", put));
    bench.world.put("a", "/etc/pw", "hush");
    bench.world.put("a", "/etc/beside", "in the open");
    assert_eq!(bench.start().await.exit, 1);
    let outcome = bench.resume().await;
    (outcome.exit, outcome.reason, bench.world.text("a", "/etc/put"))
}

#[tokio::test(start_paused = true)]
async fn a_map_that_held_a_secret_has_the_same_keys_after_a_resume() {
    for put in [
        "when: '\"secret\" in key', t.put: { path: /etc/put, content: new }",
        "when: key.len() == 2, t.put: { path: /etc/put, content: new }",
        "when: 'by_host.key.values().all(|key| key.keys().len() == 2)', t.put: { path: /etc/put, content: new }",
    ] {
        assert_eq!(resumed(put).await, (0, String::new(), Some("new".into())), "{put}");
    }
    let beside = "t.put: { path: /etc/put, content: \"${by_host.key[host.name].beside}\" }";
    assert_eq!(resumed(beside).await, (0, String::new(), Some("in the open".into())));
}

#[tokio::test(start_paused = true)]
async fn what_needs_the_secret_or_the_whole_map_fails_and_says_why() {
    for put in [
        "t.put: { path: /etc/put, content: \"${key.secret}\" }",
        "when: key.secret == key.beside, t.put: { path: /etc/put, content: new }",
        "t.note: { text: \"${key}\" }",
        "t.note: { text: { all: \"${by_host.key}\" } }",
    ] {
        let (exit, reason, wrote) = resumed(put).await;
        assert_eq!((exit, wrote), (1, None), "{put}: {reason}");
        assert!(reason.contains("secret` cannot be had: it was secret"), "{put}: {reason}");
    }
}

/// What stands as text in one process is the same in its next step, and has no value after a resume.
#[tokio::test(start_paused = true)]
async fn text_with_a_secret_inside_serves_the_process_that_read_it() {
    let mut bench = Bench::new(
        "steps:
  - { id: look, hosts: \"master[0]\", register: conf, t.read: { path: /etc/conf } }
  - { id: write, hosts: \"master[0]\", t.put: { path: /etc/copy, content: \"${conf}\" } }
",
    );
    bench.inputs = map([("pw", secret(PASSWORD))]);
    let conf = format!("url=db://{PASSWORD}@db");
    bench.world.put("a", "/etc/conf", &conf);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/copy"), Some(conf));
    assert!(!std::fs::read_to_string(bench.journal()).unwrap().contains(PASSWORD));
}

#[tokio::test(start_paused = true)]
async fn an_item_is_not_named_by_a_secret() {
    for items in ["[\"${inputs.pw}-db\"]", "[inputs.secret]", "[#{ user: \"db\", password: inputs.secret }]"]
    {
        let mut bench = Bench::new(&format!(
            "steps:
  - {{ id: each, hosts: \"master[0]\", for_each: '{}', t.run: {{ script: effect x }} }}
",
            items.replace("${inputs.pw}", PASSWORD)
        ));
        bench.inputs = map([("secret", secret(PASSWORD))]);
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, 1, "{items}");
        assert!(outcome.reason.contains("name of one of them holds a secret"), "{}", outcome.reason);
        assert_eq!(bench.world.effects("a", "x"), 0);
        let told = format!("{outcome:?}{}", std::fs::read_to_string(bench.journal()).unwrap());
        assert!(!told.contains(PASSWORD), "{told}");
    }
}

const NAMED: &str = "keybook: 1
library: named
inputs:
  id: { type: string }
  password: { type: secret, optional: true }
steps:
  - { id: open, t.put: { path: \"/etc/open-${inputs.id}\", content: x } }
  - { id: fails, t.flaky: { name: f, fails: FAILS }, undo: { t.note: { text: x } } }
  - { id: again, t.put: { path: \"/etc/again-${inputs.id}\", content: x } }
  - { id: shut, t.put: { path: \"/etc/shut-${inputs.id}\", content: \"${inputs.password}\" } }
";

fn in_a_loop(fails: u32) -> Bench {
    let mut bench = Bench::new(
        "steps:
  - id: each
    hosts: \"master[0]\"
    for_each: '[#{ id: \"db\", password: inputs.secret }]'
    use: named
    with: { id: \"${item.id}\", password: \"${item.password}\" }
",
    );
    std::fs::create_dir_all(bench.dir.path().join("lib")).unwrap();
    let library = NAMED.replace("FAILS", &fails.to_string());
    std::fs::write(bench.dir.path().join("lib/named.yaml"), library).unwrap();
    bench.inputs = map([("secret", secret(PASSWORD))]);
    bench
}

#[tokio::test(start_paused = true)]
async fn a_library_in_a_loop_gets_the_item_with_its_secret() {
    let bench = in_a_loop(0);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/shut-db").unwrap(), PASSWORD);
    assert!(!std::fs::read_to_string(bench.journal()).unwrap().contains(PASSWORD));
}

#[tokio::test(start_paused = true)]
async fn a_library_in_a_loop_says_which_input_it_has_no_more_after_a_resume() {
    let bench = in_a_loop(1);
    assert_eq!(bench.start().await.exit, 1);
    let outcome = bench.resume().await;
    assert_eq!(outcome.exit, 1);
    assert!(bench.world.text("a", "/etc/again-db").is_some(), "{}", outcome.reason);
    assert!(bench.world.text("a", "/etc/shut-db").is_none());
    for part in ["`inputs.password` cannot be had", "`item.password` cannot be had: it was secret"] {
        assert!(outcome.reason.contains(part), "{part}: {}", outcome.reason);
    }
}

/// What an action noted for the way back is not whole: nothing is done by the rest of it, and nobody is told that it was.
#[tokio::test(start_paused = true)]
async fn a_note_for_the_way_back_that_held_a_secret_is_not_gone_by() {
    let steps = |fails: &str| {
        format!(
            "steps:
  - {{ id: move, hosts: \"master[0]\", t.move: {{ from: /etc/x, to: /etc/y, label: \"of ${{inputs.pw}}\" }} }}
{fails}"
        )
    };
    let mut bench = Bench::new(&steps(""));
    bench.inputs = map([("pw", secret(PASSWORD))]);
    bench.world.put("a", "/etc/x", "moved");
    assert_eq!(bench.start().await.exit, 0);
    let outcome = bench.roll_back().await;
    assert_eq!(outcome.exit, 6, "{}", outcome.reason);
    let why = "what t.move noted before its change (`label`) is not whole: it was secret";
    assert!(outcome.reason.contains(why), "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/y").unwrap(), "moved");
}

/// A password that is a word of the runbook's, too, keeps no file from being brought back.
#[tokio::test(start_paused = true)]
async fn a_secret_that_is_a_word_of_a_path_keeps_nothing_from_being_taken_back() {
    for lost in [false, true] {
        let mut bench = Bench::new(
            "steps:
  - { id: put, hosts: \"master[0]\", t.put: { path: /srv/kubernetes/a.conf, content: new } }
",
        );
        bench.inputs = map([("pw", secret("kubernetes"))]);
        bench.world.put_node("a", "/srv/kubernetes", crate::support::Node::dir(0o755));
        bench.world.put("a", "/srv/kubernetes/a.conf", "old");
        if lost {
            bench.world.trouble("a", "write", "a.conf", crate::support::How::LostAfter);
        }
        assert_eq!(bench.start().await.exit, 0);
        assert_eq!(bench.world.text("a", "/srv/kubernetes/a.conf").unwrap(), "new");
        let outcome = bench.roll_back().await;
        assert_eq!(outcome.exit, 5, "{}", outcome.reason);
        assert_eq!(bench.world.text("a", "/srv/kubernetes/a.conf").unwrap(), "old");
    }
}
