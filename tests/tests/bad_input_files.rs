//! Runbooks, inventories, scenarios, answers and inputs with mistakes: each is named with file, line and column, all of
//! a file at once, and nothing is begun.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::sandbox::Bench;

/// What `validate` says of a small runbook with these steps (which begin at line 8).
#[track_caller]
fn invalid(steps: &str, says: &[&str]) {
    let bench = Bench::new();
    let runbook = bench.small_runbook(steps);
    let mut ended = bench.keybook.call(["validate", &runbook]).with(2);
    for part in says {
        ended = ended.says(part);
    }
    bench.small_scenario("");
    bench.keybook.call(["run", &runbook, "--sandbox", "--unattended"]).with(2).says(says[0]);
    assert!(bench.keybook.runs().is_empty(), "nothing was begun");
}

#[test]
fn bad_input_runbook_with_unknown_and_double_keys() {
    invalid(
        "  - { id: a, hosts: node, sh.read: { script: id } }\n  - id: b\n    hosts: node\n    expct: true\n    sh.read: { script: id }\n",
        &["small/runbook.yaml:11:5", "expct", "expect"],
    );
    invalid(
        "  - { id: a, hosts: node, hosts: node, sh.read: { script: id } }\n",
        &["small/runbook.yaml:8:27", "hosts"],
    );
    invalid(
        "  - { id: a, hosts: node, sh.raed: { script: id } }\n",
        &["small/runbook.yaml:8:27", "sh.raed", "sh.read"],
    );
    invalid(
        "  - { id: a, hosts: node, sh.read: { scrpt: id } }\n",
        &["small/runbook.yaml:8:", "scrpt", "script"],
    );
    invalid(
        "  - { id: a, hosts: nodes, sh.read: { script: id } }\n",
        &["small/runbook.yaml:8:21", "nodes", "node"],
    );
    invalid("  - { id: a, hosts: node }\n", &["small/runbook.yaml:8:5", "this step does nothing"]);
    invalid(
        "  - { id: a, hosts: node, sh.read: { script: id } }\n  - { id: a, hosts: node, sh.read: { script: id } }\n",
        &["small/runbook.yaml:9:", "a"],
    );
}

#[test]
fn bad_input_runbook_that_is_no_yaml() {
    invalid("  - { id: a, hosts: node\n", &["small/runbook.yaml:"]);
    invalid("  - id: a\n\thosts: node\n", &["small/runbook.yaml:9:1"]);
    let bench = Bench::new();
    bench
        .keybook
        .call(["validate", &bench.text("nowhere")])
        .with(2)
        .says("nowhere why there is no such file or folder");
    bench.write("raw/runbook.yaml", [0xff, 0xfe, 0x00]);
    bench.keybook.call(["validate", &bench.text("raw")]).with(2).says("raw/runbook.yaml");
    bench.write("empty/runbook.yaml", "");
    bench.keybook.call(["validate", &bench.text("empty")]).with(2).says("empty/runbook.yaml");
}

/// A mistake inside an expression is shown where it stands in the YAML, not where it stands in the expression.
#[test]
fn bad_input_runbook_with_mistakes_inside_rhai() {
    invalid(
        "  - id: a\n    hosts: node\n    when: host.name ==\n    sh.read: { script: id }\n",
        &["small/runbook.yaml:10:"],
    );
    invalid(
        "  - id: a\n    hosts: node\n    expect: reslt.ok\n    sh.read: { script: id }\n",
        &["small/runbook.yaml:10:13", "reslt"],
    );
    invalid(
        "  - id: a\n    hosts: node\n    expect:\n      - result.ok\n      - >-\n        result.ok &&\n        frobnicate(result)\n    sh.read: { script: id }\n",
        &["small/runbook.yaml:14:9", "frobnicate"],
    );
    invalid(
        "  - id: a\n    hosts: node\n    sh.read: { script: \"echo ${inputs.nothing + }\" }\n",
        &["small/runbook.yaml:10:"],
    );
    invalid(
        "  - id: a\n    hosts: node\n    sh.read: { script: \"echo ${host.nme\" }\n",
        &["small/runbook.yaml:10:"],
    );
}

#[test]
fn bad_input_runbook_with_a_mistake_in_its_hooks() {
    let bench = Bench::new();
    let runbook = bench.small_runbook("  - { id: a, hosts: node, sh.read: { script: id } }\n");
    bench.write("small/hooks.rhai", "fn good() { 1 }\n\nfn bad( { 2 }\n");
    bench.keybook.call(["validate", &runbook]).with(2).says("small/hooks.rhai:3:9");
}

#[test]
fn bad_input_runbook_that_fails_while_running_names_its_line() {
    let bench = Bench::new();
    let runbook = bench.small_runbook(
        "  - id: a\n    hosts: node\n    expect: result.stdout.lines == \"\"\n    sh.read: { script: id }\n",
    );
    bench.small_scenario("commands: [{ match: id, answer: \"\\\"\\\"\" }]\n");
    let ended = bench.keybook.call(["run", &runbook, "--sandbox", "--unattended"]).with(1);
    ended.says("small/runbook.yaml:10:").says("a string has no `lines`");
}

#[test]
fn bad_input_inventory_is_located() {
    let bench = Bench::new();
    let runbook = bench.small_runbook("  - { id: a, hosts: node, sh.read: { script: id } }\n");
    for (text, says) in [
        (
            "keybook: 1\ncluster: c\nhosts: { a: { addres: 127.0.0.1 } }\ngroups: { node: [a] }\n",
            &["inv.yaml:3:15", "addres", "address"][..],
        ),
        (
            "keybook: 1\ncluster: c\nhosts: { master-1: {} }\ngroups: { node: [mster-1] }\n",
            &["inv.yaml:4:18", "there is no host `mster-1`", "master-1"],
        ),
        (
            "keybook: 1\ncluster: c\nhosts: { a: {} }\ngroups: { node: [a, a] }\n",
            &["inv.yaml:4:21", "`a` stands twice in the group"],
        ),
        ("keybook: 2\ncluster: c\nhosts: { a: {} }\n", &["inv.yaml:1:10", "this program reads version 1"]),
        ("keybook: 1\nhosts: { a: {} }\n", &["inv.yaml:1:1", "cluster"]),
        ("keybook: 1\ncluster: c\nhosts: { a: { port: 70000 } }\n", &["inv.yaml:3:21", "65535"]),
        (
            "keybook: 1\ncluster: c\nhosts: { a: { via: b } }\n",
            &["inv.yaml:3:20", "there is no host `b` to jump through"],
        ),
        ("keybook: 1\ncluster: c\nhosts: { a: {}, a: {} }\n", &["inv.yaml:3:17"]),
        (
            "keybook: 1\ncluster: c\nhosts: { a: { local: true } }\ngroups: {}\n",
            &["could not use the group `node` why it has 0 hosts; the runbook needs at least 1 (any host)"],
        ),
    ] {
        let inventory = bench.write("inv.yaml", text);
        let mut ended = bench.keybook.call(["plan", &runbook, "-i", &inventory]).with(2);
        for part in says {
            ended = ended.says(part);
        }
    }
    let missing = bench.text("missing.yaml");
    bench.keybook.call(["plan", &runbook, "-i", &missing]).with(2).says("missing.yaml");
    bench.keybook.call(["plan", &runbook]).with(2).says("could not find the hosts why no inventory is named");
    assert!(bench.keybook.runs().is_empty());
}

#[test]
fn bad_input_answers_are_located() {
    let bench = Bench::new();
    for (text, says) in [
        (
            "keybook: 1\nanswers:\n  instal@jiujiu-tdh-10: run\n",
            &["answers-bad.yaml:3:", "the runbook has no step `instal`"][..],
        ),
        ("keybook: 1\nanswers:\n  install: run\n", &["answers-bad.yaml:3:3", "`install` names no unit"]),
        ("keybook: 1\nanswers:\n  install@*: yes\n", &["answers-bad.yaml:3:14", "run"]),
        ("keybook: 1\nanswers:\n  install@*: { skip: \"\", why: x }\n", &["answers-bad.yaml:3:", "why"]),
        ("keybook: 1\nanswers:\n  install@a: run\n  install@a: stop\n", &["answers-bad.yaml:4:3"]),
        ("answers: {}\n", &["answers-bad.yaml:1:1", "keybook"]),
    ] {
        let file = bench.write("answers-bad.yaml", text);
        let args = ["run", &bench.runbook(), "--sandbox", "quick-one", "--unattended", "--answers", &file];
        let mut ended = bench.keybook.call(args).with(2);
        for part in says {
            ended = ended.says(part);
        }
        assert!(bench.keybook.runs().is_empty(), "nothing was begun");
    }
}

#[test]
fn bad_input_values_of_inputs() {
    let bench = Bench::new();
    for (value, says) in [
        ("settle=soon", "could not read the input `settle`"),
        ("port=0", "could not read the input `port`"),
        ("prot=4001", "prot"),
        ("settle", "it is neither KEY=VALUE nor @FILE"),
        ("srv=relative/path", "could not read the input `srv`"),
        ("@/nowhere.yaml", "/nowhere.yaml"),
    ] {
        let args = ["run", &bench.runbook(), "--sandbox", "quick-one", "--unattended", "-e", value];
        bench.keybook.call(args).with(2).says(says);
    }
    let file = bench.write("inputs.yaml", "settle: 10ms\nprot: 1\n");
    let args = ["run", &bench.runbook(), "--sandbox", "quick-one", "--unattended", "-e", &format!("@{file}")];
    bench.keybook.call(args).with(2).says("prot");
    assert!(bench.keybook.runs().is_empty(), "nothing was begun");
    bench
        .keybook
        .call(["run", &bench.runbook(), "--sandbox", "nowhere", "--unattended"])
        .with(2)
        .says("there is no such file");
    bench
        .keybook
        .call(["run", &bench.runbook(), "--sandbox", "quick-one", "--unattended", "--limit", "x"])
        .with(2)
        .says("there is no host `x`");
    bench.keybook.call(["frobnicate"]).with(2);
}

/// A secret is never taken from the command line, and another one than at the beginning is refused on resume.
#[test]
fn bad_input_secret_on_the_command_line_or_another_one_on_resume() {
    let bench = Bench::new();
    let runbook = bench.text("small");
    bench.write(
        "small/runbook.yaml",
        "keybook: 1\nname: small\nversion: 0.1.0\nrequires: { keybook: \">=0.1\" }\ntitle: A small runbook\n\
         inputs: { token: { type: secret, help: \"a token\" } }\nhosts: { node: { min: 1, help: any host } }\nsteps:\n  \
         - { id: a, hosts: node, gate: { ask: \"Go on?\" }, undo: { note.write: { text: back } }, sh.run: { script: id, stdin: \"${inputs.token}\" } }\n",
    );
    bench.small_scenario("commands: [{ match: id, answer: stdin_text }]\n");
    let (first, second) =
        (bench.write("first", "correct horse\n"), bench.write("second", "battery staple\n"));
    let run = |secret: &str| bench.keybook.call(["run", &runbook, "--sandbox", "--unattended", "-e", secret]);
    let ended = run("token=correct horse")
        .with(2)
        .says("a secret is not given on the command line, where others can see it");
    assert!(!ended.stderr.contains("correct horse"));
    bench
        .keybook
        .call(["run", &runbook, "--sandbox", "--unattended"])
        .with(2)
        .says("could not read the input `token` why it is not given");
    run(&format!("token=@{first}")).with(3);
    let yes = bench.write("yes.yaml", "keybook: 1\nanswers: { a@n1: run }\n");
    let resume = |secret: &str| {
        bench.on_run("resume", &["--unattended", "--answers", &yes, "-e", &format!("token=@{secret}")])
    };
    resume(&second).with(2).says("the secret input token has another value than the run began with");
    let ended = resume(&first).with(0);
    let journal = std::fs::read_to_string(bench.journal()).unwrap();
    for text in [&ended.stdout, &ended.stderr, &journal] {
        assert!(!text.contains("correct horse") && !text.contains("battery"), "{text}");
    }
}
