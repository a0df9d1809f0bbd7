//! Real servers that cannot be reached, refuse, are not who they were, hang, or say too much.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::Event;
use keybook_tests::{
    cli::{Ended, flat},
    pty::Terminal,
    sandbox::Bench,
    sshd::{Sshd, free_port, keygen},
};
use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, time::Duration};

/// Writes an inventory of these hosts, all in one group.
fn inventory(bench: &Bench, hosts: &[(&str, String)]) -> String {
    let names: Vec<&str> = hosts.iter().map(|(name, _)| *name).collect();
    let lines: String = hosts.iter().map(|(name, host)| format!("  {name}: {host}\n")).collect();
    let text = format!("keybook: 1\ncluster: c\nhosts:\n{lines}groups: {{ node: [{}] }}\n", names.join(", "));
    bench.write("inventory.yaml", text)
}

/// A runbook that leaves a mark on each host.
fn marking(bench: &Bench) -> String {
    bench.small_runbook(
        "  - { id: mark, hosts: node, undo: { note.write: { text: back } }, sh.run: { script: \"echo x >> /var/lib/keybook/mark\" } }\n",
    )
}

/// The file of known hosts of a test, with these lines.
fn known(bench: &Bench, lines: &[String]) -> String {
    bench.write("known_hosts", lines.concat())
}

fn run(bench: &Bench, runbook: &str, inventory: &str) -> Ended {
    bench.keybook.call(["run", runbook, "-i", inventory, "--unattended"])
}

/// Nothing was done on this server: no step, no lock.
#[track_caller]
fn untouched(sshd: &Sshd) {
    let left: Vec<_> =
        fs::read_dir(sshd.path("varlib")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn bad_input_host_that_refuses_connections_does_not_hide_the_others() {
    let bench = Bench::new();
    let live = Sshd::start();
    let known = known(&bench, &[live.known_line(&live)]);
    let closed = free_port();
    let dead = format!("{{ address: 127.0.0.1, port: {closed}, user: root, known_hosts: [{known}] }}");
    let nameless = "{ address: no-such-host.invalid, user: root }".to_owned();
    let inventory =
        inventory(&bench, &[("dead", dead), ("live", live.host("user", &known)), ("nameless", nameless)]);
    let runbook = marking(&bench);
    run(&bench, &runbook, &inventory)
        .with(4)
        .says("unreachable: could not pass the preflight")
        .says(&format!("dead: reach: could not connect to 127.0.0.1:{closed}"))
        .says("refused the connection")
        .says("nameless: reach:")
        .says("cannot be resolved")
        .says("now no step was begun");
    untouched(&live);
    let looked = bench.keybook.records().iter().any(|record| {
        matches!(&record.event, Event::PreflightChecked { host, check, ok: true, .. } if host == "live" && check == "reach")
    });
    assert!(looked, "the live host was looked at as well");
    bench.keybook.call(["plan", &runbook, "-i", &inventory]).with(4).says("refused the connection");
}

#[test]
fn bad_input_host_that_says_nothing_is_given_up() {
    let bench = Bench::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let host = format!("{{ address: 127.0.0.1, port: {port}, user: root, connect_timeout: 1s }}");
    let inventory = inventory(&bench, &[("silent", host)]);
    run(&bench, &marking(&bench), &inventory).with(4).says("silent: reach:").says("took longer than 1s");
}

#[test]
fn bad_input_host_that_refuses_the_login() {
    let bench = Bench::new();
    let sshd = Sshd::start();
    let known = known(&bench, &[sshd.known_line(&sshd)]);
    let runbook = marking(&bench);
    let with = |key: &str| inventory(&bench, &[("node", sshd.host(key, &known))]);
    run(&bench, &runbook, &with("stranger")).with(4).says("node: reach:").says("refused");
    keygen(&sshd.path("locked"), "a passphrase");
    run(&bench, &runbook, &with("locked")).says("passphrase");
    fs::set_permissions(sshd.path("user"), fs::Permissions::from_mode(0o644)).unwrap();
    run(&bench, &runbook, &with("user")).says("others may read it (mode 0644), so it is not used");
    run(&bench, &runbook, &with("missing")).says("there is no such file");
    untouched(&sshd);
    fs::set_permissions(sshd.path("user"), fs::Permissions::from_mode(0o600)).unwrap();
    run(&bench, &runbook, &with("user")).with(0);
    assert_eq!(fs::read_to_string(sshd.path("varlib/mark")).unwrap(), "x\n");
}

#[test]
fn bad_input_host_with_another_key_than_before_is_never_asked_about() {
    let bench = Bench::new();
    let (sshd, other) = (Sshd::start(), Sshd::start());
    let known = known(&bench, &[sshd.known_line(&other)]);
    let inventory = inventory(&bench, &[("node", sshd.host("user", &known))]);
    let runbook = marking(&bench);
    run(&bench, &runbook, &inventory)
        .with(4)
        .says("HAS CHANGED")
        .says(&sshd.fingerprint())
        .says(&other.fingerprint())
        .says("known_hosts:1");
    let terminal = Terminal::start(bench.keybook.command(["run", &runbook, "-i", &inventory]));
    let (code, screen) = terminal.end();
    let screen = flat(&screen.join("\n"));
    assert!(
        code == 4 && screen.contains("HAS CHANGED") && !screen.contains("Accept this key?"),
        "{code}: {screen}"
    );
    untouched(&sshd);
}

#[test]
fn bad_input_host_with_an_unknown_key_is_refused_unless_a_person_accepts_it() {
    let bench = Bench::new();
    let sshd = Sshd::start();
    let known = known(&bench, &[]);
    let inventory = inventory(&bench, &[("node", sshd.host("user", &known))]);
    let runbook = marking(&bench);
    run(&bench, &runbook, &inventory).with(4).says("its host key is not known").says(&sshd.fingerprint());
    let guided = || Terminal::start(bench.keybook.command(["run", &runbook, "-i", &inventory]));
    let mut terminal = guided();
    let shown = flat(&terminal.prompted("Accept this key? Type yes"));
    assert!(shown.contains(&sshd.fingerprint()), "{shown}");
    terminal.answer("y");
    assert_eq!(terminal.end().0, 4);
    untouched(&sshd);
    assert_eq!(fs::read_to_string(bench.path("known_hosts")).unwrap(), "");
    let mut terminal = guided();
    terminal.prompted("Accept this key? Type yes");
    terminal.answer("yes");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen:#?}");
    run(&bench, &runbook, &inventory).with(0);
}

/// A command that hangs is ended when its time is up, on the host as well; the run can go on after it.
#[test]
fn bad_input_command_that_hangs_is_ended() {
    let bench = Bench::new();
    let sshd = Sshd::start();
    let known = known(&bench, &[sshd.known_line(&sshd)]);
    let inventory = inventory(&bench, &[("node", sshd.host("user", &known))]);
    let script = "echo $$ >> /var/lib/keybook/pids; [ -e /var/lib/keybook/go ] || exec sleep 600";
    let runbook = bench.small_runbook(&format!(
        "  - {{ id: hang, hosts: node, timeout: 2s, undo: {{ note.write: {{ text: back }} }}, sh.run: {{ script: \"{script}\" }} }}\n"
    ));
    let ended = run(&bench, &runbook, &inventory).says("it took longer than 2s");
    assert!([Some(1), Some(9)].contains(&ended.code), "{:?}", ended.code);
    let pid = fs::read_to_string(sshd.path("varlib/pids")).unwrap().trim().to_owned();
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert!(!command.contains("sleep"), "the command still runs: {command}");
}

/// A host that freezes in the middle of a command: the run neither hangs nor guesses. When the host is back, the receipt
/// tells what happened.
#[test]
fn bad_input_host_that_freezes_during_a_command() {
    let bench = Bench::new();
    let sshd = Sshd::start();
    let known = known(&bench, &[sshd.known_line(&sshd)]);
    let host = sshd.host("user", &known).replace(" }", ", connect_timeout: 2s }");
    let inventory = inventory(&bench, &[("node", host)]);
    let script = "echo x >> /var/lib/keybook/mark; while [ ! -e /var/lib/keybook/go ]; do sleep 0.1; done";
    let runbook = bench
        .small_runbook(&format!("  - {{ id: long, hosts: node, undo: {{ note.write: {{ text: back }} }}, sh.run: {{ script: \"{script}\" }} }}\n"));
    let mut child = bench.start(&["run", &runbook, "-i", &inventory, "--unattended"].map(str::to_owned));
    let patience = std::time::Instant::now() + Duration::from_secs(60);
    while !sshd.path("varlib/mark").exists() {
        assert!(std::time::Instant::now() < patience, "{}", bench.printed());
        std::thread::sleep(Duration::from_millis(10));
    }
    sshd.freeze(true);
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(9), "{}", bench.printed());
    let printed = flat(&bench.printed());
    for said in [
        "the connection is lost: the host no longer answers",
        "what became of it is not known",
        "it was not done again",
    ] {
        assert!(printed.contains(said), "{printed}");
    }
    fs::write(sshd.path("varlib/go"), "").unwrap();
    sshd.freeze(false);
    // The command comes to its end on its host, and is not run a second time.
    std::thread::sleep(Duration::from_secs(1));
    bench.resume_with(&bench.answers_none()).with(0);
    assert_eq!(fs::read_to_string(sshd.path("varlib/mark")).unwrap(), "x\n");
}

#[test]
fn bad_input_command_that_prints_megabytes_is_kept_in_bounds() {
    let bench = Bench::new();
    let sshd = Sshd::start();
    let known = known(&bench, &[sshd.known_line(&sshd)]);
    let inventory = inventory(&bench, &[("node", sshd.host("user", &known))]);
    let runbook = bench.small_runbook(
        "  - { id: long-line, hosts: node, undo: { note.write: { text: back } }, sh.run: { script: \"head -c 8000000 /dev/zero | tr '\\\\0' x\" } }\n  \
           - { id: binary, hosts: node, undo: { note.write: { text: back } }, sh.run: { script: \"head -c 3000000 /dev/urandom; head -c 3000000 /dev/urandom >&2\" } }\n  \
           - { id: after, hosts: node, undo: { note.write: { text: back } }, sh.run: { script: \"echo x >> /var/lib/keybook/mark\" } }\n",
    );
    run(&bench, &runbook, &inventory).with(0);
    assert_eq!(fs::read_to_string(sshd.path("varlib/mark")).unwrap(), "x\n");
    let longest = bench
        .keybook
        .records()
        .iter()
        .filter_map(|record| match &record.event {
            Event::UnitOutput { line, .. } => Some(line.chars().count()),
            _ => None,
        })
        .max();
    assert_eq!(longest, Some(4096), "a line is cut");
    bench.on_run("verify", &[]).with(0);
    let shown = bench.on_run("show", &[]).with(0).stdout;
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "control characters are escaped");
}

/// Between the run and its resume the address leads to another machine.
#[test]
fn bad_input_host_that_became_another_one_is_refused_on_resume() {
    let bench = Bench::new();
    let (sshd, other) = (Sshd::start(), Sshd::start());
    let known = known(&bench, &[sshd.known_line(&sshd), other.known_line(&other)]);
    let runbook = bench.small_runbook("  - { id: ask, hosts: node, gate: { ask: Go on? }, undo: { note.write: { text: back } }, sh.run: { script: \"echo x >> /var/lib/keybook/mark\" } }\n");
    let first = inventory(&bench, &[("node", sshd.host("user", &known))]);
    run(&bench, &runbook, &first).with(3);
    let second = inventory(&bench, &[("node", other.host("user", &known))]);
    let yes = bench.write("yes.yaml", "keybook: 1\nanswers: { ask@node: run }\n");
    // The run's own inventory was changed: that is seen without -i as well.
    bench.on_run("resume", &["--unattended", "--answers", &yes]).with(2).says("the inventory had:");
    let text = std::fs::read_to_string(&second).unwrap();
    let elsewhere = bench.write("elsewhere.yaml", text.replace("cluster: c\n", "cluster: d\n"));
    let to = ["--unattended", "--answers", &yes, "-i", &elsewhere, "--accept-changes"];
    bench.on_run("resume", &to).with(2).says("the run is of the cluster `c`, these hosts are of `d`");
    let moved = ["--unattended", "--answers", &yes, "-i", &second];
    bench.on_run("resume", &moved).with(2).says("the inventory had:").says("--accept-changes");
    let ended = bench.on_run("resume", &[&moved[..], &["--accept-changes"]].concat());
    assert_ne!(ended.code, Some(0));
    ended.says("another machine than before");
    untouched(&other);
}
