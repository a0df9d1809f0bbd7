//! Rollbacks on real clusters: every file is as before, and etcd serves the old certificate as another process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use keybook_api::Event;
use keybook_tests::{
    cli::{Keybook, root},
    lab::{Lab, TOS, answers},
    proof::{Before, Trio, served},
    pty::Terminal,
    sandbox::{GATE, GATE_BACK, copy},
};
use std::fs;

/// Ids of the containers of every master.
fn containers(lab: &Lab) -> Vec<String> {
    lab.masters.iter().flat_map(|name| lab.containers(name).into_values()).collect()
}

#[test]
fn lab_rollback_after_the_last_restart() {
    let lab = Lab::up(107, &["--nodes", "3"]);
    let keybook = Keybook::new(lab.scratch());
    let before = Before::of(&lab);
    let client = lab.client();
    let answers = answers(lab.scratch(), &["install@*: run", "bounce@*: run", "rollback: run"]);
    let answers = answers.to_str().unwrap();
    keybook
        .call(lab.renewal(TOS).iter().map(String::as_str).chain(["--unattended", "--answers", answers]))
        .with(0);
    before.renewed(&lab);
    let renewed = containers(&lab);

    let run = keybook.latest();
    keybook
        .call(["rollback", &run, "--unattended"])
        .with(3)
        .says("nobody said yes")
        .says("the answers file needs `rollback: run`");
    keybook
        .call(["rollback", &run, "--unattended", "--answers", answers])
        .with(5)
        .says("paths equal their originals")
        .says("status rolled back (exit 5)")
        .says("Nothing is left to do");
    client.lost_nothing();
    before.restored(&lab);
    before.all_restarted(&lab);
    let now = containers(&lab);
    assert!(now.iter().all(|id| !renewed.contains(id)), "a process of the renewal still runs");
    for name in &lab.masters {
        assert_eq!(lab.starts(name, "tos-etcd-tos"), 3, "{name}: the lab's, the renewal's, the rollback's");
    }
    keybook.call(["verify", &run]).with(0);
    // The way is free for another run.
    let inventory = lab.inventory();
    keybook.call(["plan", TOS, "-i", inventory.to_str().unwrap(), "-e", "database=none"]).with(0);
}

#[test]
fn lab_rollback_from_the_last_gate() {
    let lab = Lab::up(108, &["--nodes", "3"]);
    let keybook = Keybook::new(lab.scratch());
    let before = Before::of(&lab);
    let client = lab.client();
    let mut command = keybook.command(lab.renewal(TOS));
    command.env("TERM", "xterm");
    let mut terminal = Terminal::start(command);
    for _ in 0..5 {
        terminal.prompted(GATE);
        terminal.answer("run");
    }
    // Two nodes run the new files, the third has them but still runs with the old ones in memory.
    let card = terminal.prompted(GATE);
    assert!(card.contains("Restart etcd and the API server on jiujiu-tdh-12?"), "{card}");
    let (old, new) = (Trio::first(&lab), Trio::of(&lab, &lab.masters[0]));
    assert_eq!(served(&lab.address(&lab.masters[0]), &new, &old), new.fingerprint());
    terminal.answer("roll back");
    terminal.prompted("[y]es, [n]o");
    terminal.answer("yes");
    // The restarts of the rollback ask as well: the node that was restarted last comes first, then the one before it,
    // then the one that still runs with the old ones.
    for name in [1, 0, 2].map(|number| &lab.masters[number]) {
        let card = terminal.prompted(GATE_BACK);
        assert!(card.contains(&format!("Restart etcd and the API server on {name}?")), "{card}");
        terminal.answer("run");
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 5, "{}", screen.join("\n"));
    client.lost_nothing();
    before.restored(&lab);
    before.all_restarted(&lab);
}

/// A step that gives the second master another CA file: the same CA, good for servers only. Clients there verify every
/// etcd with it, but the etcd that is started with it takes no client. Nothing shows it before the restart, because etcd
/// reads its certificate again for every handshake, but its CA only when it starts.
const SERVERS_ONLY: &str = r#"  - id: spoil
    phase: distribute
    hosts: master[1]
    file.copy: { from_host: "${groups.master[0]}", from: /root/servers-only.pem, to: "${inputs.srv}/etcd-ca.pem" }
"#;

/// The runbook with that step before the restarts, and with less patience.
fn spoiling_runbook(lab: &Lab) -> String {
    let folder = lab.scratch().join("spoiling");
    copy(&root().join("runbooks/tos-etcd-ca"), &folder);
    let file = folder.join("runbook.yaml");
    let mut text = fs::read_to_string(&file).unwrap();
    let bounce = "  - id: bounce\n";
    for (from, to) in [(bounce, format!("{SERVERS_ONLY}{bounce}")), ("times: 90,", "times: 8,".to_owned())] {
        assert!(text.contains(from), "the runbook has no `{from}`");
        text = text.replace(from, &to);
    }
    fs::write(&file, text).unwrap();
    folder.to_str().unwrap().to_owned()
}

/// Makes the CA file for servers only, on the master that has the CA's key.
fn make_servers_only(lab: &Lab) {
    let script = "cd /root && printf '%s\\n' basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign,cRLSign \
        subjectKeyIdentifier=hash extendedKeyUsage=serverAuth >servers-only.cnf &&
        openssl x509 -in gencerts/etcd-ca.pem -signkey gencerts/etcd-ca-key.pem -clrext -extfile servers-only.cnf \
        -days 3650 -out servers-only.pem";
    lab.node(&lab.masters[0], &["sh", "-c", script]);
}

/// What a rollback is for: the second master does not come up with its new files.
#[test]
fn lab_rollback_of_a_master_that_the_new_files_broke() {
    let lab = Lab::up(117, &["--nodes", "3"]);
    let keybook = Keybook::new(lab.scratch());
    let before = Before::of(&lab);
    let client = lab.client();
    make_servers_only(&lab);
    let answers = answers(lab.scratch(), &["install@*: run", "bounce@*: run", "rollback: run"]);
    let answers = answers.to_str().unwrap();
    let runbook = spoiling_runbook(&lab);
    let broken = &lab.masters[1];
    keybook
        .call(lab.renewal(&runbook).iter().map(String::as_str).chain(["--unattended", "--answers", answers]))
        .with(1)
        .says(&format!("reach what `until` asks for in bounce/healthy@{broken}"));
    let starts = || lab.masters.iter().map(|name| lab.starts(name, "tos-etcd-tos")).collect::<Vec<_>>();
    assert_eq!(starts(), [2, 2, 1]);

    let run = keybook.latest();
    keybook
        .call(["rollback", &run, "--unattended", "--answers", answers])
        .with(5)
        .says("paths equal their originals")
        .says("status rolled back (exit 5)");
    client.lost_nothing();
    before.restored(&lab);
    before.all_restarted(&lab);
    assert_eq!(starts(), [3, 3, 2]);
    let settled = keybook.units(|event| matches!(event, Event::UnitDone { .. }));
    let settled = settled.iter().filter_map(|unit| unit.strip_prefix("rollback/")?.split_once("/bounce@"));
    let settled: Vec<&str> = settled.map(|(_, host)| host).collect();
    assert_eq!(settled, [1, 0, 2].map(|number| lab.masters[number].as_str()), "the broken one comes first");
}
