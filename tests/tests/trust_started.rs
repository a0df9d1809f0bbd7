//! Trust on a real host, by ssh: when a real process started decides how an edge is known.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Event, HowKnown, TrustEdge, TrustVerdict};
use keybook_tests::{
    sandbox::{Bench, openssl},
    sshd::{Sshd, free_port},
};
use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

/// A process that ends when dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The edge as each of the run's judgements found it.
fn judged(bench: &Bench) -> Vec<TrustEdge> {
    let edges = bench.keybook.records().into_iter().filter_map(|record| match record.event {
        Event::TrustChecked { edges, .. } => edges.into_iter().next(),
        _ => None,
    });
    edges.collect()
}

/// Whole seconds are compared, and the start is rounded down by up to two.
fn after_some_seconds() {
    let second = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let began = second();
    while second() < began + 4 {
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn trust_knows_by_a_process_start_whether_it_has_read_a_file() {
    let bench = Bench::new();
    let sshd = Sshd::start();
    let at = |name: &str| sshd.path(name).display().to_string();
    let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=own"];
    let files =
        ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", &at("key.pem"), "-out", &at("cert.pem")];
    openssl(&[&new[..], &files[..]].concat()).unwrap();
    fs::copy(at("cert.pem"), at("ca.pem")).unwrap();
    let port = free_port().to_string();
    let mut server = Command::new("openssl");
    server.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
    let _server = Running::start(server.args(["-cert", &at("cert.pem"), "-key", &at("key.pem")]));
    // The client is a daemon of a name of its own.
    let name = format!("kbclient{}", std::process::id());
    fs::copy("/bin/sleep", at(&name)).unwrap();
    let stat = "sed 's/.*) //' /proc/$(cat $1)/stat | awk -v b=$(awk '/^btime/ { print $2 }' /proc/stat) '{ print b + int($20 / 100) }'";
    let known = bench.write("known_hosts", sshd.known_line(&sshd));
    let host = sshd.host("user", &known);
    let inventory = bench.write(
        "inventory.yaml",
        format!("keybook: 1\ncluster: c\nhosts:\n  node: {host}\ngroups: {{ node: [node] }}\n"),
    );
    for (started, reason) in [
        (format!("process.started: {{ name: {name} }}"), ""),
        (format!("sh.read: {{ script: \"{stat}\", args: [{}] }}", at("daemon.pid")), ""),
        (
            "process.started: { name: kb-no-such-program }".to_owned(),
            "`process.started` does not tell when it started: there is no such process",
        ),
    ] {
        fs::copy(at("cert.pem"), at("ca.pem")).unwrap();
        after_some_seconds();
        let client = Running::start(Command::new(at(&name)).arg("600"));
        fs::write(at("daemon.pid"), client.0.id().to_string()).unwrap();
        let runbook = format!(
            "keybook: 1
name: started
version: 1.0.0
title: A bundle is renewed
requires: {{ keybook: \">=0.1\", actions: [file, process, sh] }}
hosts:
  node: {{ min: 1, help: x }}
trust:
  bundles: {{ ca: {{ file: {ca} }} }}
  servers: {{ api: {{ on: node, port: {port}, cert: {cert}, key: {key}, reads: each-time }} }}
  clients:
    daemon: {{ on: node, uses: [api], trusts: ca, started: {{ {started} }} }}
steps:
  - id: renew
    title: Renew the bundle
    hosts: node
    sh.run: {{ script: \"echo '# renewed' >> {ca}\" }}
    backup: [{ca}]
",
            ca = at("ca.pem"),
            cert = at("cert.pem"),
            key = at("key.pem"),
        );
        let runbook = bench.write("started/runbook.yaml", runbook);
        let folder = runbook.trim_end_matches("/runbook.yaml");
        bench.keybook.call(["run", folder, "-i", &inventory, "--unattended"]).with(0);
        let edges = judged(&bench);
        assert!(
            edges.len() == 3 && edges.iter().all(|edge| edge.verdict == TrustVerdict::Holds && edge.answered),
            "{edges:#?}"
        );
        if reason.is_empty() {
            assert_eq!(edges[0].known, HowKnown::Inferred, "{started}: {:?}", edges[0]);
            assert_eq!(edges[1].known, HowKnown::Unknown, "{started}: {:?}", edges[1]);
            assert!(edges[1].reason.contains("has not started since"), "{:?}", edges[1]);
        } else {
            assert!(edges[0].reason.ends_with(reason), "{:?}", edges[0]);
        }
    }
}
