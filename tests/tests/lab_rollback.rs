//! Rollbacks on real clusters: every file is as before, and etcd serves the old certificate as another process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use keybook_tests::{
    cli::Keybook,
    lab::{Lab, answers},
    proof::{Before, Trio, served},
    pty::Terminal,
};

const PROMPT: &str = "[r]un, [s]kip, [d]etails, roll [b]ack, [q] stop here";

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
    let (inventory, answers) = (lab.inventory(), answers.to_str().unwrap());
    let inventory = inventory.to_str().unwrap();
    keybook
        .call([
            "run",
            "runbooks/tos-etcd-ca",
            "-i",
            inventory,
            "--unattended",
            "--answers",
            answers,
            "-e",
            "settle=1s",
        ])
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
    keybook.call(["plan", "runbooks/tos-etcd-ca", "-i", inventory]).with(0);
}

#[test]
fn lab_rollback_from_the_last_gate() {
    let lab = Lab::up(108, &["--nodes", "3"]);
    let keybook = Keybook::new(lab.scratch());
    let before = Before::of(&lab);
    let client = lab.client();
    let inventory = lab.inventory();
    let mut command = keybook.command([
        "run",
        "runbooks/tos-etcd-ca",
        "-i",
        inventory.to_str().unwrap(),
        "-e",
        "settle=1s",
    ]);
    command.env("TERM", "xterm");
    let mut terminal = Terminal::start(command);
    for _ in 0..5 {
        terminal.prompted(PROMPT);
        terminal.answer("run");
    }
    // Two nodes run the new files, the third has them but still runs with the old ones in memory.
    let card = terminal.prompted(PROMPT);
    assert!(card.contains("Restart etcd and the API server on jiujiu-tdh-12?"), "{card}");
    let (old, new) = (Trio::first(&lab), Trio::of(&lab, &lab.masters[0]));
    assert_eq!(served(&lab.address(&lab.masters[0]), &new, &old), new.fingerprint());
    terminal.answer("roll back");
    terminal.prompted("[y]es, [n]o");
    terminal.answer("yes");
    // The restarts of the rollback ask as well.
    for name in &lab.masters {
        let card = terminal.prompted(PROMPT);
        assert!(card.contains(&format!("Restart etcd and the API server on {name}?")), "{card}");
        terminal.answer("run");
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 5, "{}", screen.join("\n"));
    client.lost_nothing();
    before.restored(&lab);
    before.all_restarted(&lab);
}
