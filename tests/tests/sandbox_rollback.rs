//! Rollbacks in the sandbox when the new files broke the master that was restarted: that is what they are for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::Event;
use keybook_tests::cli::Ended;
use keybook_tests::sandbox::{Bench, FIRST, MASTERS, assert_same};
use serde_json::Value as Json;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// Steps that give one master a pair that etcd's clients take and its servers cannot use, as a wrong profile of the
/// signer would. Nothing shows it before etcd is started with it.
const CLIENT_ONLY: &str = r#"  - id: client-only
    phase: distribute
    hosts: master[0]
    x509.issue_leaf:
      ca: "${run.staging}/etcd-ca.pem"
      ca_key: "${inputs.gencerts}/etcd-ca-key.pem"
      like: "${inputs.srv}/etcd.pem"
      usages: [signing, key encipherment, client auth]
      out_cert: "${run.staging}/client.pem"
      out_key: "${run.staging}/client-key.pem"
  - id: spoil
    phase: distribute
    hosts: master[NUMBER]
    atomic: true
    steps:
      - { id: key, file.copy: { from_host: "${groups.master[0]}", from: "${run.staging}/client-key.pem", to: "${inputs.srv}/etcd-key.pem" } }
      - { id: cert, file.copy: { from_host: "${groups.master[0]}", from: "${run.staging}/client.pem", to: "${inputs.srv}/etcd.pem" } }
"#;

/// Changes the bench's copy of the runbook.
fn change(bench: &Bench, from: &str, to: &str) {
    let file = bench.path("tos-etcd-ca/runbook.yaml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "the runbook has no `{from}`");
    fs::write(&file, text.replace(from, to)).unwrap();
}

/// The certificate with which the etcd of a master that runs was started.
fn serves(bench: &Bench, host: &str) -> Vec<u8> {
    let state = bench.run_folder().join("sandbox").join(host).join("state");
    let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let daemons: Json = serde_json::from_slice(&read(&state.join("daemons.json"))).unwrap();
    let etcd = &daemons["tos-etcd"];
    assert_eq!(etcd["running"], true, "{host}: {etcd}");
    read(&state.join("daemons/tos-etcd").join(etcd["id"].as_str().unwrap()).join("certificate"))
}

/// Masters whose restart was done by a rollback, in order.
fn restarted_again(bench: &Bench) -> Vec<String> {
    let done = bench.keybook.units(|event| matches!(event, Event::UnitDone { .. }));
    let again = done
        .iter()
        .filter(|unit| unit.starts_with("rollback/"))
        .filter_map(|unit| unit.split_once("/bounce@"));
    again.map(|(_, host)| host.to_owned()).collect()
}

/// A run with so many masters breaks the one of this number when it restarts it; the rollback makes all of them healthy.
fn is_taken_back(masters: usize, broken: usize) {
    let bench = Bench::new();
    let names = &MASTERS[..masters];
    bench.scenario("quick", masters, "");
    change(
        &bench,
        "  - id: bounce\n",
        &format!("{}  - id: bounce\n", CLIENT_ONLY.replace("NUMBER", &broken.to_string())),
    );
    change(&bench, "times: 90, delay: 2s", "times: 2, delay: 10ms");
    change(&bench, "times: 15\n          delay: 2s", "times: 2\n          delay: 10ms");
    bench.run("quick", &["--until", "issue"]).with(0);
    let before = bench.trees();
    let old = fs::read(bench.on_host(FIRST, "/srv/kubernetes/etcd.pem")).unwrap();
    bench.resume().with(1).says(&format!("reach what `until` asks for in bounce/healthy@{}", names[broken]));
    assert_ne!(serves(&bench, names[broken]), old, "it runs with what breaks it");

    bench.roll_back().with(5).says("status rolled back");
    assert_same(&before, &bench.trees());
    for host in names {
        assert!(serves(&bench, host) == old, "{host} does not run with the old certificate");
    }
    // The broken one first; those that run with the new files next, the latest first; then those that never did.
    let wanted = names[..=broken].iter().rev().chain(&names[broken + 1..]);
    assert_eq!(restarted_again(&bench), wanted.map(|host| (*host).to_owned()).collect::<Vec<_>>());
}

#[test]
fn sandbox_rollback_of_the_only_master_that_broke() {
    is_taken_back(1, 0);
}

#[test]
fn sandbox_rollback_of_the_second_of_two_masters_that_broke() {
    is_taken_back(2, 1);
}

#[test]
fn sandbox_rollback_of_the_first_of_three_masters_that_broke() {
    is_taken_back(3, 0);
}

#[test]
fn sandbox_rollback_of_the_second_of_three_masters_that_broke() {
    is_taken_back(3, 1);
}

/// The way back of `file.remove` are the originals that are kept of whatever it removes.
#[test]
fn rollback_brings_back_what_was_removed() {
    let bench = Bench::new();
    let steps = "  - { id: file, hosts: node, file.remove: { path: /srv/file } }
  - { id: link, hosts: node, file.remove: { path: /srv/link } }
  - { id: folder, hosts: node, file.remove: { path: /srv/empty } }
  - { id: stop, hosts: node, gate: { ask: Go on? }, note.write: { text: on } }
";
    let runbook = bench.small_runbook(steps);
    bench.small_scenario(
        "files:
  - { hosts: node, path: /srv/file, text: content, mode: \"0640\" }
  - { hosts: node, path: /srv/link, link: /nowhere }
  - { hosts: node, path: /srv/empty, directory: true, mode: \"0750\" }
",
    );
    bench.keybook.call(["run", &runbook, "--sandbox", "--unattended"]).with(3);
    let at = |name: &str| bench.on_host("n1", name);
    for name in ["/srv/file", "/srv/link", "/srv/empty"] {
        assert!(fs::symlink_metadata(at(name)).is_err(), "{name} is removed");
    }
    let yes = bench.write("yes.yaml", "keybook: 1\nanswers: { rollback: run }\n");
    bench.on_run("rollback", &["--unattended", "--answers", &yes]).with(5);
    assert_eq!(fs::read_to_string(at("/srv/file")).unwrap(), "content");
    assert_eq!(fs::read_link(at("/srv/link")).unwrap(), Path::new("/nowhere"));
    let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("/srv/file"), mode("/srv/empty")), (0o640, 0o750));
    assert_eq!(fs::read_dir(at("/srv/empty")).unwrap().count(), 0);
}

/// An undo that its scenario does not answer: the scenario is mended, or the unit is taken back by hand.
#[test]
fn sandbox_rollback_goes_on_with_a_mended_scenario_or_by_hand() {
    let bench = Bench::new();
    let runbook = bench.small_runbook(
        "  - { id: tell, hosts: node, sh.run: { script: mail on }, undo: { sh.run: { script: mail off } } }\n",
    );
    let answers = |line: &str| format!("commands: [{{ match: \"{line}\", answer: \"\\\"\\\"\" }}]\n");
    bench.small_scenario(&answers("mail on"));
    bench.keybook.call(["run", &runbook, "--sandbox", "--unattended"]).with(0);
    let yes = bench.write("yes.yaml", "keybook: 1\nanswers: { rollback: run }\n");
    let back =
        |more: &[&str]| bench.on_run("rollback", &[&["--unattended", "--answers", &yes], more].concat());
    let early = back(&["--taken-back", "tell@n1"]).with(2);
    early.says("no rollback tried it and failed");
    let stuck = back(&[]).with(6).says("goes on with it by --accept-changes").says("--taken-back tell@n1");
    let scenario = bench.text("small/scenarios/default.yaml");
    assert!(
        stuck.stderr.replace("\n", "").replace(' ', "").contains(&scenario),
        "the scenario that can be mended"
    );

    let twin = bench.twin("by-hand");
    let by_hand = ["--unattended", "--answers", &yes, "--taken-back", "tell@n1"];
    let ended = twin.on_run("rollback", &by_hand).with(5).says("taken back (by hand)");
    ended.says("says that `tell@n1` is taken back by hand");

    bench.small_scenario(&answers("mail o*"));
    back(&[]).with(6);
    back(&["--accept-changes"]).with(5);
}

/// Rolls the latest run back unattended.
fn agreed_rollback(bench: &Bench) -> Ended {
    let answers = bench.write("back.yaml", "keybook: 1\nanswers: { rollback: run }\n");
    bench.keybook.call(["rollback", &bench.keybook.latest(), "--unattended", "--answers", &answers])
}

/// What an earlier rollback put back on a host and could not settle is settled before any other host is touched.
#[test]
fn rollback_that_goes_on_settles_first_what_is_still_owed() {
    let bench = Bench::new();
    let runbook = bench.small_runbook(
        "  - id: server
    hosts: node
    atomic: true
    steps:
      - { id: put, file.put: { path: /etc/a.conf, content: \"new\\n\" }, owes: { what: restart } }
      - { id: restart, settles: restart, sh.run: { script: systemctl restart a } }
",
    );
    let scenario = "keybook: 1\nscenario: default\ncluster: sandbox\nhosts: { n1: {}, n2: {}, n3: {} }\n\
         groups: { node: [n1, n2, n3] }\ntools: [systemctl]\nfiles: [{ hosts: node, path: /etc/a.conf, text: \"old\\n\" }]\n\
         commands: [{ match: systemctl restart a, answer: '\"\"' }]\n\
         faults: [{ hosts: n3, command: systemctl restart a, kind: fail, nth: 2 }]\n";
    bench.write("small/scenarios/default.yaml", scenario);
    bench.keybook.call(["run", &runbook, "--sandbox", "--unattended"]).with(0);
    let again = || {
        let done = bench.keybook.units(|event| matches!(event, Event::UnitDone { .. }));
        let again = done.iter().filter(|unit| unit.starts_with("rollback/"));
        again.filter_map(|unit| Some(unit.rsplit_once('@')?.1.to_owned())).collect::<Vec<_>>()
    };
    let roll_back = || agreed_rollback(&bench);
    roll_back().with(6).says("restart@n3");
    assert_eq!(again(), [] as [&str; 0]);
    roll_back().with(5).says("status rolled back");
    assert_eq!(again(), ["n3", "n2", "n1"]);
}

/// A `backup` that names nothing that is there keeps nothing: the run says so, and so does the rollback.
#[test]
fn rollback_does_not_vouch_for_what_was_never_kept() {
    let bench = Bench::new();
    let runbook = bench.small_runbook(
        "  - { id: typo, hosts: node, backup: /etc/rotatoin.log, sh.run: { script: rotate } }
  - { id: right, hosts: node, backup: /etc/rotation.log, sh.run: { script: rotate } }
  - { id: makes, hosts: node, backup: /etc/new, file.put: { path: /etc/new, content: x } }
",
    );
    bench.small_scenario(
        "files: [{ hosts: node, path: /etc/rotation.log, text: old }]\ncommands: [{ match: rotate, answer: '\"\"' }]\n",
    );
    bench
        .keybook
        .call(["run", &runbook, "--sandbox", "--unattended"])
        .with(0)
        .says("typo: note: none of the paths of `backup` is there");
    let back = agreed_rollback(&bench).with(6);
    let told = keybook_tests::cli::flat(&back.stderr);
    assert!(told.contains("typo@n1: nothing was kept for it"), "{told}");
    assert!(!told.contains("right@n1: ") && !told.contains("makes@n1: "), "{told}");
}
