//! Inputs of a run in the sandbox.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::sandbox::Bench;
use std::fs;

const RUNBOOK: &str = "keybook: 1
name: small
version: 1.0.0
title: A small one
inputs:
  token: { type: secret, help: the token }
  words: { type: list, default: [none], help: the words }
hosts:
  node: { min: 1 }
steps:
  - id: put
    title: Write it
    hosts: node
    gate: { ask: \"Write it on ${host.name}?\" }
    file.put: { path: /etc/token, content: \"${inputs.token} ${inputs.words[0]}\" }
";

const SCENARIO: &str = "keybook: 1
scenario: default
cluster: test
hosts: { n1: { address: 10.0.0.1 } }
groups: { node: [n1] }
inputs: { token: made-up-for-the-sandbox }
";

fn bench() -> (Bench, String) {
    let bench = Bench::new();
    bench.write("small/runbook.yaml", RUNBOOK);
    bench.write("small/scenarios/default.yaml", SCENARIO);
    bench.write("small/scenarios/answers.yaml", "keybook: 1\nanswers: { put@n1: run }\n");
    let folder = bench.text("small");
    (bench, folder)
}

/// What is written on the host in a run with these arguments besides.
fn written(bench: &Bench, folder: &str, more: &[&str]) -> String {
    let answers = format!("{folder}/scenarios/answers.yaml");
    let mut args = vec!["run", folder, "--sandbox", "--unattended", "--answers", &answers];
    args.extend(more);
    bench.keybook.call(args).with(0);
    fs::read_to_string(bench.on_host("n1", "/etc/token")).unwrap()
}

#[test]
fn a_scenario_gives_a_secret_input_for_the_sandbox_alone() {
    let (bench, folder) = bench();
    bench.keybook.call(["validate", &folder]).with(0);
    assert_eq!(written(&bench, &folder, &[]), "made-up-for-the-sandbox none");
    let journal = fs::read_to_string(bench.journal()).unwrap();
    assert!(!journal.contains("made-up-for-the-sandbox") && journal.contains("keyed_hash"), "{journal}");
    // It is had again for the rollback, which wants the secret that the run began with.
    bench.on_run("rollback", &["--unattended"]).with(3);
    let inventory = "keybook: 1\ncluster: c\nhosts: { n1: { address: 10.0.0.1 } }\ngroups: { node: [n1] }\n";
    let inventory = bench.write("hosts.yaml", inventory);
    let real = bench.keybook.call(["run", &folder, "-i", &inventory, "--unattended"]).with(2);
    real.says("could not read the input `token`").says("it is not given");
}

#[test]
fn a_file_gives_several_inputs() {
    let (bench, folder) = bench();
    let file = bench.write("inputs.yaml", "keybook: 1\nwords: [one, two]\ntoken: from-a-file\n");
    assert_eq!(written(&bench, &folder, &["-e", &format!("@{file}")]), "from-a-file one");
    let file = bench.write("inputs.yaml", "words: [three]\n");
    assert_eq!(written(&bench, &folder, &["-e", &format!("@{file}")]), "made-up-for-the-sandbox three");
    let file = bench.write("inputs.yaml", "keybook: 2\nwords: [three]\n");
    let ended = bench.keybook.call(["run", &folder, "--sandbox", "--unattended", "-e", &format!("@{file}")]);
    ended.with(2).says("this file is written in language version 2");
}

/// The journal would hide it, and a resume go on with `[secret]` in its place.
#[test]
fn an_input_that_holds_a_secret_one_is_refused() {
    let (bench, folder) = bench();
    let file = bench.write("inputs.yaml", "words: [one, at made-up-for-the-sandbox]\n");
    let ended = bench.keybook.call(["run", &folder, "--sandbox", "--unattended", "-e", &format!("@{file}")]);
    ended
        .with(2)
        .says("could not read the input `words`")
        .says("the secret input `token` is part of its value");
    // A private key is hidden without anybody saying that it is one.
    let key = "-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\\n-----END PRIVATE KEY-----\\n";
    let file = bench.write("inputs.yaml", format!("words: [\"{key}\"]\n"));
    let ended = bench.keybook.call(["run", &folder, "--sandbox", "--unattended", "-e", &format!("@{file}")]);
    ended.with(2).says("could not read the input `words`").says("it holds a private key");
    assert!(bench.keybook.runs().is_empty());
}
