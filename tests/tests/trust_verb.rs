//! `keybook trust` on a real cluster.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::{cli::flat, lab::Lab, sandbox::Bench, sshd::free_port};
use serde_json::Value;
use std::fs;

#[test]
fn lab_trust_verb_tells_broken_and_unknown_edges_apart() {
    let lab = Lab::up(110, &["--nodes", "3"]);
    let bench = Bench::new();
    let inventory = lab.inventory();
    let trust = |inventory: &str, more: &[&str]| {
        bench
            .keybook
            .call([&["trust", "runbooks/tos-etcd-ca", "-i", inventory, "-e", "database=none"], more].concat())
    };
    let inventory = inventory.to_str().unwrap();
    let whole = trust(inventory, &["--format", "json"]).with(0);
    let edges: Value = serde_json::from_str(&whole.stdout).unwrap();
    let edges = edges["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 18);
    assert!(edges.iter().all(|edge| edge["verdict"] == "holds" && edge["answered"] == true), "{edges:?}");
    assert!(bench.keybook.runs().is_empty(), "nothing is run");

    let [first, second, third] = [0, 1, 2].map(|at| lab.masters[at].as_str());
    let stranger = "cp /srv/kubernetes/etcd-ca.pem /tmp/kept.pem && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
                    -days 9 -subj /CN=stranger -keyout /dev/null -out /srv/kubernetes/etcd-ca.pem";
    lab.node(second, &["sh", "-c", stranger]);
    let broken = trust(inventory, &[]).with(1);
    let text = flat(&broken.stdout);
    assert!(text.contains(&format!("BROKEN apiserver@{second} verifies etcd@{first}")), "{text}");
    assert!(!text.contains(&format!("BROKEN apiserver@{first} verifies etcd@{third}")), "{text}");
    lab.node(second, &["cp", "/tmp/kept.pem", "/srv/kubernetes/etcd-ca.pem"]);

    // A host that cannot be asked is neither well nor broken.
    let text = fs::read_to_string(inventory).unwrap();
    let lines = text.lines().map(|line| {
        let away = format!("{third}: {{ port: {}, ", free_port());
        line.replacen(&format!("{third}: {{"), &away, 1)
    });
    let elsewhere = lines.collect::<Vec<_>>().join("\n");
    assert_ne!(elsewhere, text.trim_end(), "{text}");
    let elsewhere = bench.write("elsewhere.yaml", elsewhere);
    let unknown = trust(&elsewhere, &[]).with(9);
    let text = flat(&unknown.stdout);
    assert!(text.contains(&format!("unknown apiserver@{third} verifies etcd@{first}")), "{text}");
    assert!(text.contains(&format!("holds apiserver@{first} verifies etcd@{second}")), "{text}");
}

#[test]
fn trust_without_a_declaration_is_refused() {
    let bench = Bench::new();
    let runbook = bench.small_runbook("  - { id: look, hosts: node, sh.read: { script: 'true' } }\n");
    let inventory = bench.write(
        "inventory.yaml",
        "keybook: 1\ncluster: c\nhosts:\n  a: { local: true }\ngroups: { node: [a] }\n",
    );
    bench.keybook.call(["trust", &runbook, "-i", &inventory]).with(2).says("declares none");
}
