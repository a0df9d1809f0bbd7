//! Unattended runs in the sandbox from beginning to end, plans, and what programs read of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Event, event::RunStatus};
use keybook_tests::{
    cli::{Ended, flat},
    sandbox::{Bench, FIRST, MASTERS, QUICK_CERTIFICATES, arg, assert_same, openssl, signal, tree},
};
use serde_json::Value as Json;
use std::{fs, path::Path};

/// What openssl finds in the folders of these masters after a run that is done.
fn check_renewed(bench: &Bench, masters: &[&str]) {
    let file = |host: &str, name: &str| bench.on_host(host, &format!("/srv/kubernetes/{name}"));
    let (ca, leaf) = (file(FIRST, "etcd-ca.pem"), file(FIRST, "etcd.pem"));
    let old_ca = bench.on_host(FIRST, "/root/gencerts/etcd-ca.pem");
    let days = |days: u64| (days * 86400).to_string();
    openssl(&["x509", "-in", arg(&ca), "-noout", "-checkend", &days(36490)]).unwrap();
    openssl(&["x509", "-in", arg(&leaf), "-noout", "-checkend", &days(3640)]).unwrap();
    let key_of = |cert: &Path| openssl(&["x509", "-in", arg(cert), "-noout", "-pubkey"]).unwrap();
    assert_eq!(key_of(&ca), key_of(&old_ca), "the CA keeps its key");
    let subject = |cert: &Path| {
        openssl(&["x509", "-in", arg(cert), "-noout", "-subject", "-serial", "-startdate"]).unwrap()
    };
    assert_eq!(subject(&ca), subject(&old_ca), "the CA keeps subject, serial and beginning");
    for roots in [&ca, &old_ca] {
        openssl(&["verify", "-CAfile", arg(roots), arg(&leaf)]).unwrap();
    }
    let names = openssl(&["x509", "-in", arg(&leaf), "-noout", "-ext", "subjectAltName"]).unwrap();
    for master in masters {
        assert!(names.contains(&format!("DNS:{master}")), "{names}");
        for name in ["etcd-ca.pem", "etcd.pem", "etcd-key.pem"] {
            assert_eq!(
                fs::read(file(master, name)).unwrap(),
                fs::read(file(FIRST, name)).unwrap(),
                "{master} {name}"
            );
        }
        let key = openssl(&["pkey", "-in", arg(&file(master, "etcd-key.pem")), "-pubout"]).unwrap();
        assert_eq!(key, key_of(&file(master, "etcd.pem")), "{master}: key and certificate belong together");
    }
}

/// Every line that a person reads of a sandbox's run says so, or goes on with one that does.
fn check_says_sandbox(ended: &Ended) {
    let mut lines = ended.stderr.lines();
    assert!(lines.next().unwrap().starts_with("run "), "{}", ended.stderr);
    for line in lines {
        let continued = line.starts_with("                   ");
        assert!(continued || line.get(8..).is_some_and(|rest| rest.starts_with(" [SANDBOX] ")), "{line}");
    }
    assert!(ended.stdout.contains("SANDBOX: no real host was touched"), "{}", ended.stdout);
}

#[test]
fn sandbox_run_ends_with_every_master_renewed() {
    let bench = Bench::new();
    let ended = bench.run("quick-three", &[]).with(0);
    check_says_sandbox(&ended);
    check_renewed(&bench, &MASTERS[..3]);
    for verb in ["show", "status"] {
        bench.on_run(verb, &[]).with(0).says("SANDBOX: no real host was touched");
    }
    bench.keybook.call(["history"]).with(0).says("sandbox");
    assert!(
        fs::read_to_string(bench.on_host(MASTERS[2], "/srv/kubernetes/known_tokens.csv"))
            .unwrap()
            .starts_with("sandbox-token")
    );
    let lock = bench.on_host(FIRST, "/var/lib/keybook/lock-sandbox.json");
    assert!(!lock.exists(), "the lock was given back");
}

/// The scenario that the README names, as it ships: RSA keys, a second of waiting.
#[test]
fn sandbox_run_as_shipped_with_its_own_answers() {
    let bench = Bench::new();
    let answers = "runbooks/tos-etcd-ca/scenarios/answers.yaml";
    let args = ["run", "runbooks/tos-etcd-ca", "--sandbox", "--unattended", "--answers", answers];
    let ended = bench.keybook.call(args).with(0);
    check_says_sandbox(&ended);
    check_renewed(&bench, &MASTERS[..3]);
}

#[test]
fn sandbox_run_with_one_master_says_that_it_is_an_outage() {
    let bench = Bench::new();
    let ended = bench.run("quick-one", &[]).with(0);
    check_renewed(&bench, &MASTERS[..1]);
    assert!(
        flat(&ended.stderr).contains("With fewer than three masters the cluster is down meanwhile."),
        "{}",
        ended.stderr
    );
}

#[test]
fn sandbox_run_with_five_masters() {
    let bench = Bench::new();
    bench.run("five-masters", &["-e", "settle=10ms"]).with(0);
    check_renewed(&bench, &MASTERS);
}

/// The second master has a certificate of its own, as nodes that were added later do: its names are in the new one too.
#[test]
fn sandbox_run_keeps_the_names_of_every_masters_certificate() {
    let bench = Bench::new();
    let certificates = format!(
        "{QUICK_CERTIFICATES}  own:
    issuer: ca
    subject: {{ CN: etcd }}
    key: ecdsa-p256
    sans: [\"{}\", \"IP:172.22.25.11\", \"IP:10.77.0.11\"]
",
        MASTERS[1]
    );
    bench.scenario("own-leaf", 3, &certificates);
    let base = bench.path("tos-etcd-ca/scenarios/three-masters.yaml");
    let text = fs::read_to_string(&base).unwrap();
    let pair = |hosts: &str, name: &str| {
        format!(
            "  - {{ hosts: {hosts}, path: /srv/kubernetes/etcd.pem, certificate: {name} }}
  - {{ hosts: {hosts}, path: /srv/kubernetes/etcd-key.pem, key: {name} }}\n"
        )
    };
    let shared = pair("[master, manager]", "etcd");
    assert!(text.contains(&shared));
    let own = [pair("\"master[1]\"", "own"), pair("[\"master[0]\", \"master[2]\"]", "etcd")].concat();
    fs::write(&base, text.replace(&shared, &own)).unwrap();

    bench.run("own-leaf", &["--until", "check"]).with(0);
    let names = |host: &str| {
        let leaf = bench.on_host(host, "/srv/kubernetes/etcd.pem");
        openssl(&["x509", "-in", arg(&leaf), "-noout", "-ext", "subjectAltName"]).unwrap()
    };
    let extra = "IP Address:10.77.0.11";
    assert_eq!([FIRST, MASTERS[1]].map(|host| names(host).contains(extra)), [false, true]);
    bench.resume().with(0);
    check_renewed(&bench, &MASTERS[..3]);
    let new = names(FIRST);
    for name in [extra, "IP Address:10.10.10.1", "IP Address:172.22.25.11"] {
        assert_eq!(new.matches(name).count(), 1, "{name}: {new}");
    }
}

/// Ctrl-C between the key and the certificate of a master: it gets both before the run rests.
#[test]
fn sandbox_run_interrupted_in_mid_installation_leaves_a_pair() {
    let bench = Bench::new();
    let file = bench.path("tos-etcd-ca/runbook.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let cert = "      - id: cert\n        title: Replace etcd.pem\n";
    assert!(text.contains(cert));
    let pause = "      - { id: pause, wait.for: { duration: 3s } }\n";
    fs::write(&file, text.replace(cert, &format!("{pause}{cert}"))).unwrap();
    let mut child = bench.start(&bench.unattended("quick-three", &[]));
    let paused = format!("install/pause@{}", MASTERS[1]);
    bench.wait_for("the pause", |record| {
        matches!(record.event, Event::UnitIntent { .. })
            && record.unit.as_ref().is_some_and(|unit| unit.to_string() == paused)
    });
    signal(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(8), "{}", bench.printed());

    let on = |host: &str, name: &str| bench.on_host(host, &format!("/srv/kubernetes/{name}"));
    for host in &MASTERS[..3] {
        let key = openssl(&["pkey", "-in", arg(&on(host, "etcd-key.pem")), "-pubout"]).unwrap();
        let cert = openssl(&["x509", "-in", arg(&on(host, "etcd.pem")), "-noout", "-pubkey"]).unwrap();
        assert_eq!(key, cert, "{host}: key and certificate belong together");
    }
    let read = |host: &str| fs::read(on(host, "etcd.pem")).unwrap();
    assert_eq!(read(FIRST), read(MASTERS[1]), "the master that was under way got all of it");
    assert_ne!(read(FIRST), read(MASTERS[2]), "the next was not begun");
    bench.resume().with(0);
    check_renewed(&bench, &MASTERS[..3]);
}

#[test]
fn sandbox_plan_changes_nothing_and_has_three_answers() {
    let bench = Bench::new();
    let state = bench.path("state");
    let before = tree(&bench.path("."));
    let ended = bench.keybook.call(["plan", &bench.runbook(), "--sandbox", "quick-three"]).with(0);
    assert_same(&before, &tree(&bench.path(".")));
    assert!(tree(&state).is_empty(), "no run was kept");
    assert!(ended.stdout.starts_with("[SANDBOX] no real host is looked at"), "{}", ended.stdout);
    let ended = ended
        .says(&format!("will change reissue-ca@{FIRST} Reissue the CA with the same key"))
        .says(&format!("only looks ca-dates@{FIRST} Read the etcd CA on every node"))
        .says(&format!("cannot know install/ca@{FIRST} Replace etcd-ca.pem because"))
        .says(&format!("gate: Replace the etcd certificates on {FIRST}?"))
        .says("left out,")
        .says("cannot be known before; nothing was changed.");
    assert!(!ended.stdout.contains("PRIVATE KEY"));

    let ended =
        bench.keybook.call(["plan", &bench.runbook(), "--sandbox", "quick-one", "--format", "json"]).with(0);
    let plan: Json = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&plan["v"], &plan["sandbox"]), (&Json::from(1), &Json::from(true)));
    let verdicts: Vec<&str> =
        plan["units"].as_array().unwrap().iter().map(|unit| unit["verdict"].as_str().unwrap()).collect();
    for verdict in ["will-change", "will-not-change", "cannot-know"] {
        assert!(verdicts.contains(&verdict), "{verdicts:?}");
    }
}

/// A run that rests keeps its hosts: looking at it in any way changes neither them nor the journal.
#[test]
fn sandbox_run_is_not_changed_by_looking_at_it() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "issue"]).with(0);
    let before = tree(&bench.path("."));
    for verb in ["status", "show", "verify"] {
        bench.on_run(verb, &[]).with(0);
    }
    bench.keybook.call(["history"]).with(0);
    bench.keybook.call(["plan", &bench.runbook(), "--sandbox", "quick-one"]).with(0);
    assert_same(&before, &tree(&bench.path(".")));
}

#[test]
fn sandbox_run_until_a_phase_is_done_and_goes_on_later() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "issue"]).with(0).says("the phase issue is reached");
    let begun = bench.keybook.units(|event| matches!(event, Event::UnitIntent { .. }));
    assert!(
        begun.contains(&format!("staged@{FIRST}")) && !begun.iter().any(|unit| unit.starts_with("install")),
        "{begun:?}"
    );
    bench.on_run("status", &[]).with(0).says("phase reached");
    bench.resume().with(0);
    check_renewed(&bench, &MASTERS[..1]);
    bench.run("quick-one", &["--until", "party"]).with(2).says(
        "could not use --until why there is no phase `party`; there are: check, issue, distribute, restart, manager, confirm",
    );
}

#[test]
fn sandbox_run_as_json_lines_prints_records_and_nothing_else() {
    let bench = Bench::new();
    let ended = bench.run("quick-one", &["--format", "jsonl"]).with(0);
    let records: Vec<Json> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for (number, record) in records.iter().enumerate() {
        assert_eq!((&record["v"], &record["seq"]), (&Json::from(1), &Json::from(number)), "{record}");
    }
    assert_eq!(records[0]["event"]["type"], "run.opened");
    assert_eq!(records[0]["event"]["sandbox"], true);
    assert_eq!(records.last().unwrap()["event"]["type"], "run.ended");
    let journal: Vec<Json> = fs::read_to_string(bench.journal())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records, journal, "what is printed is what is kept");
    let shown = bench.on_run("show", &["--format", "jsonl"]).with(0);
    assert_eq!(shown.stdout, ended.stdout);
}

#[test]
fn sandbox_run_as_json_is_one_document() {
    let bench = Bench::new();
    let ended = bench.run("quick-one", &["--format", "json"]).with(0);
    let summary: Json = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&summary["v"], &summary["status"], &summary["sandbox"]),
        (&1.into(), &"done".into(), &true.into()),
        "{summary}"
    );
    let shown: Json =
        serde_json::from_str(&bench.on_run("show", &["--format", "json"]).with(0).stdout).unwrap();
    assert_eq!(shown, summary);
}

#[test]
fn sandbox_run_stops_at_a_gate_that_nobody_answered() {
    let bench = Bench::new();
    let partly = bench.write("partly.yaml", format!("keybook: 1\nanswers: {{ install@{FIRST}: run }}\n"));
    let args = ["run", &bench.runbook(), "--sandbox", "quick-three", "--unattended", "--answers", &partly];
    bench.keybook.call(args).with(3).says(&format!(
        "waiting for a person: could not pass the gate of install@{} why nobody answered: Replace the etcd certificates \
         on {}? now the unit was not begun",
        MASTERS[1], MASTERS[1]
    ));
    let old = fs::read(bench.on_host(FIRST, "/root/gencerts/etcd-ca.pem")).unwrap();
    let ca = |host: &str| fs::read(bench.on_host(host, "/srv/kubernetes/etcd-ca.pem")).unwrap();
    assert_ne!(ca(FIRST), old, "the answered host was changed");
    assert_eq!((ca(MASTERS[1]), ca(MASTERS[2])), (old.clone(), old), "the others were not");
    bench.on_run("status", &[]).with(3);
    bench.resume().with(0);
    check_renewed(&bench, &MASTERS[..3]);
}

#[test]
fn sandbox_run_without_a_terminal_is_refused_unless_it_is_unattended() {
    let bench = Bench::new();
    let ended = bench.keybook.call(["run", &bench.runbook(), "--sandbox", "quick-one"]).with(2);
    ended.says(
        "wrong input: could not guide a run why there is no terminal to ask at now nothing was changed",
    );
    assert!(
        !bench.run_folder().join("journal.jsonl").exists() && !bench.run_folder().join("sandbox").exists()
    );
    bench.keybook.call(["history"]).with(0);
}

#[test]
fn sandbox_run_is_taken_back_byte_for_byte() {
    let bench = Bench::new();
    bench.run("quick-three", &["--until", "issue"]).with(0);
    let before = bench.trees();
    bench.resume().with(0);
    assert_ne!(before, bench.trees());
    bench.roll_back().with(5).says("status rolled back");
    assert_same(&before, &bench.trees());
    let settled = bench.keybook.units(|event| matches!(event, Event::UnitDone { .. }));
    for master in &MASTERS[..3] {
        let restarted = settled
            .iter()
            .any(|unit| unit.starts_with("rollback/") && unit.ends_with(&format!("bounce@{master}")));
        assert!(restarted, "{master} runs the old files: {settled:?}");
    }
    bench.roll_back().with(2).says("it is rolled back already");
    bench.resume().with(2).says("it was rolled back");
    let ended = bench.keybook.records().pop().unwrap().event;
    assert!(matches!(ended, Event::RunEnded { status: RunStatus::RolledBack, exit: 5, .. }), "{ended:?}");
}

/// Its steps are known to no other copy: it alone can take back what it did, also when its folder is gone.
#[test]
fn sandbox_resume_with_an_accepted_runbook_is_taken_back_by_it() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "check"]).with(0);
    let before = bench.trees();
    let own = bench.path("tos-etcd-ca/runbook.yaml");
    let text = fs::read_to_string(&own).unwrap();
    fs::write(&own, text.replace("id: bounce\n", "id: restart\n")).unwrap();
    let words = bench.path("tos-etcd-ca/i18n/zh.yaml");
    fs::write(&words, fs::read_to_string(&words).unwrap().replace("\n  bounce", "\n  restart")).unwrap();
    let answers =
        format!("keybook: 1\nanswers: {{ install@{FIRST}: run, restart@{FIRST}: run, rollback: run }}\n");
    let answers = bench.write("restart.yaml", answers);
    bench.on_run("resume", &["--unattended", "--answers", &answers]).with(2).says("--accept-changes");
    assert_same(&before, &bench.trees());
    bench.on_run("resume", &["--unattended", "--answers", &answers, "--accept-changes"]).with(0);
    let done = bench.keybook.units(|event| matches!(event, Event::UnitDone { .. }));
    assert!(done.contains(&format!("restart@{FIRST}")), "{done:?}");
    fs::remove_dir_all(bench.path("tos-etcd-ca")).unwrap();
    bench.on_run("rollback", &["--unattended", "--answers", &answers]).with(5);
    assert_same(&before, &bench.trees());
}

#[test]
fn sandbox_rollback_needs_a_yes_of_its_own() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "distribute"]).with(0);
    let before = bench.trees();
    let silent = bench.answers_none();
    bench.on_run("rollback", &["--unattended", "--answers", &silent]).with(3).says("nobody said yes");
    bench.on_run("rollback", &[]).with(2).says("there is no terminal to ask at");
    assert_same(&before, &bench.trees());
}

#[test]
fn sandbox_scenario_that_is_mended_is_gone_on_with_once_that_is_accepted() {
    let bench = Bench::new();
    let runbook = bench.small_runbook("  - { id: ask, hosts: node, sh.read: { script: mail version } }\n");
    bench.small_scenario("commands: [{ match: mail vresion, answer: \"\\\"2\\\"\" }]\n");
    bench
        .keybook
        .call(["run", &runbook, "--sandbox", "--unattended"])
        .with(1)
        .says("goes on with it by --accept-changes");
    bench.on_run("resume", &["--unattended"]).with(1);
    bench.small_scenario("commands: [{ match: mail version, answer: \"\\\"2\\\"\" }]\n");
    let refused = bench.on_run("resume", &["--unattended"]).with(2);
    refused.says("default.yaml changed since the run began").says("--accept-changes");
    bench.on_run("resume", &["--unattended", "--accept-changes"]).with(0);
    // What was accepted is what it was made from, from now on.
    bench.small_scenario("");
    let yes = bench.write("yes.yaml", "keybook: 1\nanswers: { rollback: run }\n");
    bench.on_run("rollback", &["--unattended", "--answers", &yes]).with(5);
}
