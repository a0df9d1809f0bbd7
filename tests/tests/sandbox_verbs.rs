//! What can be asked of a run, and said to it, from elsewhere: show, status, history, verify, approve, unlock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Event, event::Via};
use keybook_tests::sandbox::{Bench, FIRST, arg, assert_same, openssl};
use serde_json::Value as Json;
use std::{fs, os::unix::fs::PermissionsExt};

#[test]
fn sandbox_show_tells_what_was_done_where_when_and_by_whom() {
    let bench = Bench::new();
    bench.run("quick-one", &[]).with(0);
    let id = bench.keybook.latest();
    let human = bench.on_run("show", &[]).with(0);
    for part in [
        format!("Run {id}: Renew the TOS etcd CA, keeping its key").as_str(),
        "SANDBOX: no real host was touched",
        "status done (exit 0)",
        "by operator@",
        "mode unattended",
        &format!("{FIRST} /srv/kubernetes/etcd-ca.pem before"),
        &format!("Replace the etcd certificates on {FIRST}?"),
        "answers.yaml:",
    ] {
        bench.on_run("show", &[]).says(part);
    }
    assert!(!human.stdout.contains('\u{1b}'), "no colour where there is no terminal");

    let json: Json =
        serde_json::from_str(&bench.on_run("show", &["--format", "json"]).with(0).stdout).unwrap();
    assert_eq!((&json["v"], &json["run"], &json["exit"]), (&1.into(), &id.clone().into(), &0.into()));

    let page = bench.text("report.html");
    bench.on_run("show", &["--format", "html", "-o", &page]).with(0);
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") || html.starts_with("<!doctype html>"), "{}", &html[..80]);
    // Addresses may stand in the text (those of the cluster do), but nothing is fetched.
    for reference in ["=\"http", "='http", "href=\"//", "src=", "@import", "<link", "<iframe"] {
        let found = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "").contains(reference);
        assert!(!found, "the page refers to something else: {reference}");
    }
    // A pattern of the page's own drawing is the only thing that may be referred to.
    let elsewhere: Vec<_> = html.split("url(").skip(1).filter(|rest| !rest.starts_with('#')).collect();
    assert!(elsewhere.is_empty(), "the page refers to something else: {:.80}", elsewhere[0]);
    for part in [&id, FIRST, "/srv/kubernetes/etcd-ca.pem", "SANDBOX", "<svg"] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("PRIVATE KEY") && !human.stdout.contains("PRIVATE KEY"));
}

#[test]
fn sandbox_history_and_status_know_every_run() {
    let bench = Bench::new();
    bench.keybook.call(["history"]).with(0);
    bench.keybook.call(["status"]).with(2).says("there is no run on this machine yet");
    bench.run("quick-one", &["--until", "check"]).with(0);
    let first = bench.keybook.latest();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    bench.run("first-write-fails", &[]).with(1);
    let second = bench.keybook.latest();
    let list = bench.keybook.call(["history", "--format", "json"]).with(0);
    let list: Json = serde_json::from_str(&list.stdout).unwrap();
    assert!(list.to_string().find(&first).unwrap() < list.to_string().find(&second).unwrap(), "{list}");
    bench.keybook.call(["status"]).with(1).says(&second);
    bench.keybook.call(["status", &first]).with(0).says("phase reached");
    bench.keybook.call(["status", "2"]).with(2).says("could not find the run `2` why 2 runs begin so");
    bench.keybook.call(["status", "20000101"]).with(2).says("there is no such run on this machine");
}

#[test]
fn sandbox_operator_is_the_login_where_no_variable_names_one() {
    let bench = Bench::new();
    let mut command = bench.keybook.command(bench.unattended("quick-one", &["--until", "check"]));
    command.env("USER", "").env_remove("SUDO_USER").env_remove("LOGNAME");
    assert!(command.output().unwrap().status.success());
    let login = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
    let login = String::from_utf8(login).unwrap();
    bench.on_run("show", &[]).with(0).says(&format!("by {}@", login.trim()));
}

#[test]
fn sandbox_verify_proves_what_a_kept_head_proves() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "check"]).with(0);
    let ended = bench.on_run("verify", &[]).with(0).says("The chain proves that it is consistent.");
    let head = ended.stdout.split_whitespace().skip_while(|word| *word != "head").nth(1).unwrap().to_owned();
    assert_eq!(head.len(), 64, "{head}");
    bench.on_run("verify", &["--head", &head]).with(0).says("nothing was rewritten");
    bench.resume().with(0);
    bench.on_run("verify", &["--head", &head]).with(0).says("Up to the head you kept nothing was rewritten;");
    let json = bench.on_run("verify", &["--head", &head, "--format", "json"]).with(0);
    let json: Json = serde_json::from_str(&json.stdout).unwrap();
    assert!(json["since_kept"].as_u64() > Some(0) && json["records"].as_u64() > json["since_kept"].as_u64());
    assert_eq!((&json["torn_bytes"], &json["v"]), (&0.into(), &1.into()));
    let other = "0".repeat(64);
    bench.on_run("verify", &["--head", &other]).with(1).says("is the hash of no line of this journal");
}

#[test]
fn sandbox_approve_answers_the_gate_that_waits_and_no_other() {
    let bench = Bench::new();
    let args = ["run", &bench.runbook(), "--sandbox", "quick-one", "--unattended"];
    let install = format!("install@{FIRST}");
    let bounce = format!("bounce@{FIRST}");
    let ended = bench.keybook.call(args).with(3);
    let approve = format!("keybook approve {} {install}", bench.keybook.latest());
    ended.says(&approve);
    bench
        .on_run("status", &[])
        .with(3)
        .says(&approve)
        .says(&format!("It waits at the gate of {install}: Replace the etcd"));
    bench
        .on_run("approve", &[&bounce])
        .with(2)
        .says(&format!("no gate of it waits now nothing was changed what you can do: - waiting: {install}"));
    bench.on_run("approve", &["install"]).with(2).says("this is no unit; write step@host or step@host#item");
    bench.on_run("approve", &[&install, "--answer", "skip"]).with(2).says("a skip needs a reason");
    bench.on_run("resume", &["--unattended"]).with(3);
    bench
        .on_run("approve", &[&install])
        .with(0)
        .says("answered for this plan:")
        .says("replace /srv/kubernetes/etcd-ca.pem");
    bench.on_run("resume", &["--unattended"]).with(3).says(&format!("could not pass the gate of {bounce}"));
    bench.on_run("approve", &[&bounce]).with(0);
    bench.on_run("resume", &["--unattended"]).with(0);
    let answers: Vec<(Via, String)> = bench
        .keybook
        .records()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::GateAnswered { via, by, .. } => Some((via, by)),
            _ => None,
        })
        .collect();
    assert!(
        answers.len() == 2
            && answers.iter().all(|(via, by)| *via == Via::Inbox && by.starts_with("operator@")),
        "{answers:?}"
    );
}

#[test]
fn sandbox_approve_is_read_by_a_run_that_waits() {
    let bench = Bench::new();
    let args = [
        "run",
        &bench.runbook(),
        "--sandbox",
        "quick-one",
        "--unattended",
        "--wait",
        "5m",
        "--until",
        "distribute",
    ];
    let mut child = bench.start(&args.map(str::to_owned));
    bench.wait_for("the gate", |record| matches!(record.event, Event::GateAsked { .. }));
    bench.on_run("status", &[]).says("status running");
    bench.on_run("approve", &[&format!("install@{FIRST}")]).with(0);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", bench.printed());
}

/// Whether its process is there tells a run that goes on from one that was killed.
#[test]
fn sandbox_status_of_a_killed_run_says_so() {
    let bench = Bench::new();
    let mut child = bench.start(&bench.unattended("quick-one", &[]));
    bench.wait_for("a unit", |record| matches!(record.event, Event::UnitDone { .. }));
    child.kill().unwrap();
    child.wait().unwrap();
    bench.on_run("status", &[]).with(1).says("status killed").says("keybook resume");
    bench.resume().with(0);
}

/// An answer is for the plan that was shown: another plan is asked about again.
#[test]
fn sandbox_approve_does_not_count_for_another_plan() {
    let bench = Bench::new();
    let args = ["run", &bench.runbook(), "--sandbox", "quick-one", "--unattended"];
    bench.keybook.call(args).with(3);
    let install = format!("install@{FIRST}");
    bench.on_run("approve", &[&install]).with(0);
    // Somebody else replaces the certificate meanwhile.
    let (leaf, ca) = (
        bench.on_host(FIRST, "/srv/kubernetes/etcd.pem"),
        bench.on_host(FIRST, "/srv/kubernetes/etcd-ca.pem"),
    );
    fs::copy(&ca, &leaf).unwrap();
    let before = bench.trees();
    bench.on_run("resume", &["--unattended"]).with(3).says(&format!("could not pass the gate of {install}"));
    assert_same(&before, &bench.trees());
}

#[test]
fn sandbox_second_run_on_a_locked_cluster_begins_nothing() {
    let bench = Bench::new();
    let steps = "  - { id: ask, hosts: node, gate: { ask: Go on? }, undo: { note.write: { text: back } }, sh.run: { script: \"touch /var/lib/keybook/done\" } }\n";
    let (runbook, inventory) = (bench.small_runbook(steps), bench.this_machine());
    let run = ["run", &runbook, "-i", &inventory, "--unattended"];
    bench.on_this_machine("", &run).with(3);
    let holder = bench.keybook.latest();
    let record = fs::read_to_string(bench.path("varlib/lock-here.json")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let refused = bench.on_this_machine("", &run).with(7);
    refused
        .says(&format!("locked: could not lock the cluster here on here why run {holder} of operator@"))
        .says("now nothing was changed on any host")
        .says(&format!("`keybook resume {holder}` or `keybook rollback {holder}`"));
    assert!(bench.keybook.units(|_| true).is_empty(), "no unit was begun");
    assert_eq!(fs::read_to_string(bench.path("varlib/lock-here.json")).unwrap(), record);

    let unlock = |run: &str, more: &[&str]| {
        bench.on_this_machine("", &[&["unlock", "-i", &inventory, "--run", run], more].concat())
    };
    unlock(&holder, &[]).with(2).says("there is no terminal to ask at");
    unlock("20000101-000000-0000", &["--yes"])
        .with(2)
        .says("no host holds a lock of run 20000101-000000-0000");
    assert_eq!(fs::read_to_string(bench.path("varlib/lock-here.json")).unwrap(), record);
    unlock(&holder, &["--yes"]).with(0).says("here: removed the lock of operator@");
    assert!(!bench.path("varlib/lock-here.json").exists());
    bench.on_this_machine("", &run).with(3);
}

/// A run's folder is the operator's alone, and has no key in it but those of the sandbox's hosts.
#[test]
fn sandbox_run_keeps_keys_out_of_its_own_files() {
    let bench = Bench::new();
    bench.run("quick-one", &[]).with(0);
    let run = bench.run_folder();
    assert_eq!(fs::metadata(&run).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(bench.journal()).unwrap().permissions().mode() & 0o777, 0o600);
    let journal = fs::read_to_string(bench.journal()).unwrap();
    let key = bench.on_host(FIRST, "/srv/kubernetes/etcd-key.pem");
    let text = fs::read_to_string(&key).unwrap();
    let body: Vec<&str> = text.lines().filter(|line| line.len() > 20 && !line.contains('-')).collect();
    assert!(!body.is_empty());
    for line in body {
        assert!(!journal.contains(line), "a line of the key is in the journal");
    }
    openssl(&["pkey", "-in", arg(&key), "-noout"]).unwrap();
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
}
