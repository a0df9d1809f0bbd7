//! `keybook validate` over whole folders and single files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::{
    cli::root,
    sandbox::{Bench, FIRST, MASTERS},
};
use serde_json::Value as Json;
use std::fs;

#[test]
fn validate_accepts_everything_that_is_shipped() {
    let bench = Bench::new();
    for entry in fs::read_dir(root().join("runbooks")).unwrap().flatten() {
        let folder = entry.path().to_str().unwrap().to_owned();
        let ended = bench.keybook.call(["validate", "--format", "json", &folder]).with(0);
        let found: Json = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((&found["errors"], &found["warnings"]), (&0.into(), &0.into()), "{found:#}");
        let scenarios = fs::read_dir(entry.path().join("scenarios")).unwrap().count();
        assert_eq!(found["valid"].as_array().unwrap().len(), 1 + scenarios, "{found:#}");
    }
}

#[test]
fn validate_reads_a_folder_of_runbooks() {
    let bench = Bench::new();
    let folder = root().join("runbooks");
    let mut ended = bench.keybook.call(["validate", folder.to_str().unwrap()]).with(0);
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        ended = ended.says(&format!("{}: runbook", entry.path().display()));
    }
    bench.write("two/one/runbook.yaml", "keybook: 1\n");
    bench.write("two/other/runbook.yaml", "keybook: 1\n");
    let ended = bench.keybook.call(["validate", "--format", "json", &bench.text("two")]).with(2);
    for name in ["one", "other"] {
        assert!(ended.stdout.contains(&format!("two/{name}/runbook.yaml")), "{}", ended.stdout);
    }
    // A folder of anything else is meant to be a runbook.
    bench.write("three/notes.txt", "");
    bench.keybook.call(["validate", &bench.text("three")]).with(2).says("runbook.yaml");
}

#[test]
fn validate_reports_every_problem_of_a_folder_at_once() {
    let bench = Bench::new();
    let (all, two) = (MASTERS[..3].join(", "), MASTERS[..2].join(", "));
    let scenario = format!(
        "keybook: 1\nscenario: lonely\nextends: three-masters.yaml\ngroups:\n  master: [{all}]\n  manager: [{two}]\n  \
         managers: [{FIRST}]\ninputs: {{ setle: 1s }}\n"
    );
    bench.write("tos-etcd-ca/scenarios/lonely.yaml", scenario);
    let answers = format!("keybook: 1\nanswers:\n  instal@{FIRST}: run\n  check-dates@{FIRST}: run\n");
    bench.write("tos-etcd-ca/scenarios/more.yaml", answers);
    let stray = bench.write("tos-etcd-ca/scenarios/stray.yaml", "keybook: 1\nhello: world\n");
    let folder = bench.runbook();
    let ended = bench.keybook.call(["validate", "--format", "json", &folder]).with(2);
    let found: Json = serde_json::from_str(&ended.stdout).unwrap();
    let said: Vec<String> = found["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            let span = &problem["span"];
            let file = span["file"].as_str().unwrap().rsplit('/').next().unwrap();
            format!("{} {file}:{}:{}", problem["code"].as_str().unwrap(), span["line"], span["column"])
        })
        .collect();
    for wanted in [
        "host-count lonely.yaml:6:3",
        "unused-group lonely.yaml:7:3",
        "unknown-input lonely.yaml:8:11",
        "unknown-step more.yaml:3:3",
        "unknown-kind stray.yaml:1:1",
    ] {
        assert!(said.iter().any(|line| line == wanted), "{wanted}: {said:#?}");
    }

    let sarif = bench.keybook.call(["validate", "--format", "sarif", &stray, &folder]).with(2);
    let sarif: Json = serde_json::from_str(&sarif.stdout).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), said.len(), "{sarif:#}");
    bench.keybook.call(["validate", "--format", "html", &folder]).with(2).says("this verb has no such form");
}

#[test]
fn validate_takes_single_files_of_every_kind() {
    let bench = Bench::new();
    let inventory =
        bench.write("hosts.yaml", "keybook: 1\ncluster: c\nhosts: { a: { address: 10.0.0.1, prot: 2 } }\n");
    bench.keybook.call(["validate", &inventory]).with(2).says("hosts.yaml:3:34").says("did you mean `port`?");
    let runbook = format!("{}/runbook.yaml", bench.runbook());
    bench.keybook.call(["validate", &runbook]).with(0);
    let nothing = bench.text("nothing");
    bench.keybook.call(["validate", &nothing]).with(2).says("there is no such file or folder");
}

#[test]
fn validate_shows_what_has_no_way_back_and_gates_that_ask_nothing() {
    let bench = Bench::new();
    let steps = "  - id: wipe
    hosts: node
    sh.run: { script: rm -r /srv/old }
  - id: gone
    hosts: node
    irreversible: it is thrown away
    sh.run: { script: rm -r /srv/new }
  - { id: ask, hosts: node, gate: { ask: '' }, sh.read: { script: id } }
";
    let folder = bench.small_runbook(steps);
    let shown = |folder: &str| {
        bench.keybook.call(["validate", folder]).with(2).stderr.replace(&format!("{folder}/"), "")
    };
    let first = "error[irreversible-without-gate]: a step that cannot be taken back needs a
                                  `gate`
  --> runbook.yaml:13:5
   |
13 |     irreversible: it is thrown away
   |     ^^^^^^^^^^^^
   |
   = help: add `gate: { ask: … }` to this step, so that a person says yes
           to it

error[gate-without-question]: the gate asks nothing
  --> runbook.yaml:15:42
   |
15 |   - { id: ask, hosts: node, gate: { ask: '' }, sh.read: { script: id } }
   |                                          ^^
   |
   = help: write what a person decides here, as a question

2 errors
";
    assert_eq!(shown(&folder), first);
    // What needs the whole runbook is looked for when each step could be read.
    bench.small_runbook(
        &steps.replace("ask: ''", "ask: Go on?").replace("    irreversible: it is thrown away\n", ""),
    );
    let whole = "error[no-way-back]: `sh.run` cannot be taken back by itself, and nothing says
                    how it is
  --> runbook.yaml:10:5
   |
10 |     sh.run: { script: rm -r /srv/old }
   |     ^^^^^^ a rollback would leave what this did
   |
   = help: add `undo: { … }`, or `backup: […]` for the files that it
           changes, or `settles: …` when it pays what a step before it
           owes, or `irreversible: why` and a gate; or `changes: false`
           when there is nothing to take back

";
    let said = shown(&folder);
    assert!(said.starts_with(whole), "{said}");
    assert_eq!(said.matches("error[no-way-back]").count(), 2, "{said}");
}

/// Of steps, their facts, ways back and scripts, of trust and of hooks; once for each family, where it stands first.
#[test]
fn validate_warns_of_families_that_requires_does_not_list() {
    let bench = Bench::new();
    let folder = bench.small_runbook(
        "  - id: put
    hosts: node
    facts: { old: { x509.read: { path: /etc/a.pem } } }
    undo: { service.restart: { name: a } }
    gate: { ask: Go on? }
    file.put: { path: /etc/a, content: a }
  - { id: again, hosts: node, file.read: { path: /etc/a } }
  - { id: look, hosts: node, script: 'act(\"wait.for\", #{ duration: \"1s\" });' }
",
    );
    bench.write("small/hooks.rhai", "fn helper() { act(\"note.write\", #{ text: `x` }); }");
    let (file, all) =
        (bench.path("small/runbook.yaml"), std::fs::read_to_string(bench.path("small/runbook.yaml")));
    let unlisted = || -> Vec<String> {
        let ended = bench.keybook.call(["validate", &folder]);
        let told = ended.stderr.lines().filter(|line| line.starts_with("warning[unlisted-actions]"));
        told.map(|line| line.split('`').nth(3).unwrap().to_owned()).collect()
    };
    assert_eq!(unlisted(), [""; 0], "it lists none");
    std::fs::write(&file, all.unwrap().replace("\">=0.1\" }", "\">=0.1\", actions: [file] }")).unwrap();
    assert_eq!(unlisted(), ["x509", "service", "wait", "note"]);
}

#[test]
fn validate_finds_the_runbook_of_a_file_from_inside_its_folder() {
    let bench = Bench::new();
    let run = |folder: &str, file: &str| {
        let folder = std::path::Path::new(&bench.runbook()).join(folder);
        let ended = bench.keybook.command(["validate", file]).current_dir(folder).output().unwrap();
        (ended.status.code(), String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned())
    };
    for (folder, file) in
        [("i18n", "zh.yaml"), ("i18n", "./zh.yaml"), (".", "i18n/zh.yaml"), ("scenarios", "../i18n/zh.yaml")]
    {
        let (ended, told) = run(folder, file);
        assert_eq!(ended, Some(0), "{folder} {file}: {told}");
        assert!(told.contains("runbook tos-etcd-ca"), "{folder} {file}: {told}");
    }
    bench.write("tos-etcd-ca/scenarios/stranger.yaml", "keybook: 1\nanswers:\n  instal@somewhere: run\n");
    for (folder, file) in
        [("scenarios", "stranger.yaml"), (".", "scenarios/stranger.yaml"), (".", "runbook.yaml")]
    {
        let (ended, told) = run(folder, file);
        assert_eq!(ended, Some(2), "{folder} {file}: {told}");
        assert!(told.contains("unknown-step"), "{folder} {file}: {told}");
    }
}
