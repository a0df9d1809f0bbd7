//! Guided runs at a terminal of 80 columns, on real clusters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use keybook_api::{
    Event,
    event::{Answer, SkipReason, Via},
};
use keybook_tests::{
    cli::{Keybook, flat},
    lab::{Lab, TOS},
    proof::{Before, Trio},
    pty::Terminal,
    sandbox::GATE,
};
use std::process::Command;

/// What the last restart's question adds.
const LAST_ONE: &str = " It is the last one: flannel's pods are restarted after it.";

fn guided(lab: &Lab, keybook: &Keybook) -> Command {
    keybook.command(lab.renewal(TOS))
}

/// Panics with the card unless it says all of this, in this order (line breaks count as spaces).
#[track_caller]
fn shows(card: &str, expected: &[&str]) {
    let flat = flat(card);
    let mut from = 0;
    for text in expected {
        let at = flat[from..]
            .find(text)
            .unwrap_or_else(|| panic!("`{text}` is not (or not there) on the card\n{card}"));
        from += at + text.len();
    }
}

/// The first 64 hexadecimal digits of openssl's fingerprint, as the program writes them.
fn digest(fingerprint: &str) -> String {
    fingerprint.split_once('=').unwrap().1.replace(':', "").to_lowercase()
}

fn install_card(lab: &Lab, card: &str, name: &str) {
    let old = digest(&Trio::first(lab).fingerprint());
    shows(
        card,
        &[
            "Step 24 of 34: Put the new files in place",
            "why Every node gets the same three files; etcd reads them when it is restarted.",
            &format!("host {name} plan will change:"),
            "staging/etcd-ca.pem (sha256 ",
            "replace /srv/kubernetes/etcd-ca.pem (1318 bytes, mode 0644, owner 0:0)",
            "staging/etcd-key.pem (sha256 ",
            "replace /srv/kubernetes/etcd-key.pem (",
            "bytes, mode 0600, owner 0:0)",
            "staging/etcd.pem (sha256 ",
            "replace /srv/kubernetes/etcd.pem (",
            "/srv/kubernetes/etcd-ca.pem (file is changed) before: certificate CN=kubernetes,",
            "after: certificate CN=kubernetes,",
            "/srv/kubernetes/etcd-key.pem (file is changed) before: key material, ",
            "after: key material, ",
            "/srv/kubernetes/etcd.pem (file is changed) before: certificate CN=etcd,",
            &format!("sha256 {old} after: certificate CN=etcd,"),
            &format!("Replace the etcd certificates on {name}? {GATE}"),
        ],
    );
    assert!(!card.contains("PRIVATE"), "{card}");
}

fn bounce_card(card: &str, name: &str, question: &str) {
    shows(
        card,
        &[
            "Step 27 of 34: Restart etcd and the API server, one node after the other",
            "why The daemons read their certificates when they start. The next node follows only when every member is \
             healthy again, so that etcd keeps its quorum.",
            &format!("host {name} plan will change:"),
            "mv /opt/kubernetes/manifests-multi/tos-etcd.manifest /opt/kubernetes",
            "mv /opt/kubernetes/manifests-multi/tos-apiserver.manifest /opt/kubernetes",
            "until `docker ps --no-trunc` lists no container of tos-etcd, tos-apiserver",
            "wait 1s",
            "Start tos-etcd and tos-apiserver (after that)",
            "ETCDCTL_API=3 etcdctl --endpoints=https://",
            "endpoint health",
            &format!("Restart etcd and the API server on {name}?{question} {GATE}"),
        ],
    );
}

/// Every gate was answered with run, at the terminal, and no unit was left out by the operator.
fn only_run(keybook: &Keybook, gates: usize) {
    let records = keybook.records();
    let answers: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::GateAnswered { answer, via, .. } => Some((*answer, *via)),
            _ => None,
        })
        .collect();
    assert_eq!(answers, vec![(Answer::Run, Via::Terminal); gates]);
    let skipped = |event: &Event| matches!(event, Event::UnitSkipped { reason: SkipReason::Operator, .. });
    assert!(keybook.units(skipped).is_empty());
}

/// Nothing of the spinner and of the prompts is left between the lines, and the summary ends it.
#[track_caller]
fn tidy(screen: &[String]) {
    let all = screen.join("\n");
    let left = |row: &&String| {
        row.chars().any(|letter| ('\u{2800}'..='\u{28ff}').contains(&letter)) || row.contains(GATE)
    };
    let left: Vec<&String> = screen.iter().filter(left).collect();
    assert!(left.is_empty(), "{left:#?}\n{all}");
    shows(
        &all,
        &[
            "Every node",
            "answered run by",
            "done (exit 0)",
            "status done (exit 0)",
            "mode guided",
            "Certificates",
        ],
    );
    shows(&all, &["How to go on keybook rollback"]);
}

#[test]
fn lab_guided_to_the_end() {
    let lab = Lab::up(104, &["--nodes", "3"]);
    let keybook = Keybook::new(lab.scratch());
    let before = Before::of(&lab);
    let client = lab.client();
    let mut command = guided(&lab, &keybook);
    command.env("TERM", "xterm-256color");
    let mut terminal = Terminal::start(command);

    for (at, name) in lab.masters.iter().enumerate() {
        install_card(&lab, &terminal.prompted(GATE), name);
        if at == 0 {
            details_and_no_answers(&mut terminal, name);
        }
        terminal.answer(if at == 1 { "r" } else { "run" });
    }
    for name in &lab.masters {
        let last = lab.masters.last() == Some(name);
        bounce_card(&terminal.prompted(GATE), name, if last { LAST_ONE } else { "" });
        terminal.answer("run");
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{}", screen.join("\n"));
    tidy(&screen);
    client.lost_nothing();
    before.renewed(&lab);
    only_run(&keybook, 6);
}

/// Details are shown once more in full; what is no answer, and a rollback that was not meant, ask again.
fn details_and_no_answers(terminal: &mut Terminal, name: &str) {
    terminal.answer("details");
    shows(
        &terminal.prompted(GATE),
        &[
            &format!("unit install@{name}"),
            "written runbooks/tos-etcd-ca/runbook.yaml:",
            "does replace /srv/kubernetes/etcd-key.pem",
        ],
    );
    terminal.answer("yes");
    shows(&terminal.prompted(GATE), &["Answer with one of: run, skip, details, roll back, stop here."]);
    terminal.answer("roll back");
    shows(&terminal.prompted("[y]es, [n]o"), &["Take back everything this run did?"]);
    terminal.answer("n");
    terminal.prompted(GATE);
}

#[test]
fn lab_guided_without_colour_at_a_dumb_terminal() {
    let lab = Lab::up(105, &["--nodes", "1"]);
    let keybook = Keybook::new(lab.scratch());
    let before = Before::of(&lab);
    let name = lab.masters[0].as_str();
    let mut command = guided(&lab, &keybook);
    command.env("TERM", "dumb").env("NO_COLOR", "1");
    let mut terminal = Terminal::start(command);
    install_card(&lab, &terminal.prompted(GATE), name);
    terminal.answer("run");
    let warning = " With fewer than three masters the cluster is down meanwhile.";
    bounce_card(&terminal.prompted(GATE), name, &format!("{warning}{LAST_ONE}"));
    terminal.answer("run");
    assert!(!terminal.coloured(), "there are colours");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{}", screen.join("\n"));
    shows(&screen.join("\n"), &["done (exit 0)", "mode guided", "How to go on keybook rollback"]);
    before.renewed(&lab);
    only_run(&keybook, 2);
}
