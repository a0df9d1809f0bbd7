//! The JSON Schemas, judged by a validator that is not ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jsonschema::Validator;
use keybook_tests::{
    cli::{Keybook, root},
    sandbox::Bench,
};
use serde_json::Value as Json;
use std::{fs, path::Path};

fn validator(keybook: &Keybook, of: &str) -> Validator {
    let schema: Json = serde_json::from_str(&keybook.call(["schema", of]).with(0).stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::meta::validate(&schema).expect("a schema of its own dialect");
    jsonschema::draft202012::new(&schema).unwrap()
}

fn problems(validator: &Validator, yaml: &str) -> Vec<String> {
    let document: Json = serde_yaml::from_str(yaml).unwrap();
    validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn yaml_files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn schema_accepts_everything_that_is_shipped() {
    let bench = Bench::new();
    let [runbook, scenario, answers, translation] =
        ["runbook", "scenario", "answers", "translation"].map(|of| validator(&bench.keybook, of));
    let mut seen = 0;
    for entry in fs::read_dir(root().join("runbooks")).unwrap().flatten() {
        let text = fs::read_to_string(entry.path().join("runbook.yaml")).unwrap();
        assert_eq!(problems(&runbook, &text), [""; 0], "{}", entry.path().display());
        for (name, text) in yaml_files(&entry.path().join("scenarios")) {
            let of = if text.contains("\nanswers:") { &answers } else { &scenario };
            assert_eq!(problems(of, &text), [""; 0], "{name}");
            seen += 1;
        }
        for (name, text) in yaml_files(&entry.path().join("i18n")) {
            assert_eq!(problems(&translation, &text), [""; 0], "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen} files");
}

#[test]
fn schema_refuses_each_wrong_file() {
    let bench = Bench::new();
    let head = "keybook: 1\nname: a\nversion: 1.0.0\ntitle: t\nhosts: { master: { min: 1 } }\n";
    let runbooks = [
        "steps: []\n",
        "steps: [{ id: a, file.put: { path: /a, content: x, mod: \"0644\" } }]\n",
        "steps: [{ id: a, file.put: { content: x } }]\n",
        "steps: [{ id: a, file.put: { path: a, content: x } }]\n",
        "steps: [{ id: a, file.put: { path: /a, content: x, mode: 420 } }]\n",
        "steps: [{ id: a, file.putt: { path: /a, content: x } }]\n",
        "steps: [{ id: a, note.write: { text: x }, wait.for: { duration: 1s } }]\n",
        "steps: [{ id: a, atomic: \"yes\", note.write: { text: x } }]\n",
        "steps: [{ id: a, gate: {}, note.write: { text: x } }]\n",
        "steps: [{ id: a, script: [x] }]\n",
        "steps: [{ id: a, script: note(1), note.write: { text: x } }]\n",
        "steps: [{ id: a, note.write: { text: x } }]\nstpes: []\n",
        "steps: [{ id: a, facts: { f: { file.read: { path: /a }, file.stat: { path: /a } } }, note.write: { text: x } }]\n",
        "lang: English\nsteps: [{ id: a, note.write: { text: x } }]\n",
        "inputs: { x: { type: string, pattern: 1 } }\nsteps: [{ id: a, note.write: { text: x } }]\n",
        "inputs: { x: { type: number } }\nsteps: [{ id: a, note.write: { text: x } }]\n",
    ];
    let runbook = validator(&bench.keybook, "runbook");
    let good = format!("{head}steps: [{{ id: a, note.write: {{ text: x }} }}]\n");
    assert_eq!(problems(&runbook, &good), [""; 0]);
    for wrong in runbooks {
        assert!(!problems(&runbook, &format!("{head}{wrong}")).is_empty(), "{wrong}");
    }
    let cases = [
        ("answers", "keybook: 1\nanswers: { install: run }\n"),
        ("answers", "keybook: 1\nanswers: { install@a: yes-please }\n"),
        ("answers", "keybook: 2\nanswers: {}\n"),
        ("inventory", "keybook: 1\ncluster: c\nhosts: { a: { adress: x } }\n"),
        ("inventory", "keybook: 1\nhosts: {}\n"),
        ("inventory", "keybook: 1\ncluster: c\nhosts: { a: { port: 70000 } }\n"),
        ("inventory", "keybook: 1\ncluster: c\nhosts: { a: }\n"),
        ("library", "keybook: 1\nlibrary: a\n"),
        ("translation", "keybook: 1\ntitle: x\n"),
        ("translation", "keybook: 1\nlang: zh_CN\n"),
        ("translation", "keybook: 1\nlang: zh\nsteps: { Install: { title: x } }\n"),
        ("translation", "keybook: 1\nlang: zh\nsteps: { install/ca: { tite: x } }\n"),
        ("translation", "keybook: 1\nlang: zh\nlibraries: { a: { title: x } }\n"),
        ("scenario", "keybook: 1\nscenario: a\n"),
        (
            "scenario",
            "keybook: 1\nscenario: a\nextends: b.yaml\nfiles: [{ hosts: a, path: /x, text: a, link: b }]\n",
        ),
        ("scenario", "keybook: 1\nscenario: a\nextends: b.yaml\nfaults: [{ hosts: a, kind: fail }]\n"),
    ];
    for (of, wrong) in cases {
        assert!(!problems(&validator(&bench.keybook, of), wrong).is_empty(), "{of}: {wrong}");
    }
}

#[test]
fn schema_and_program_agree_about_what_is_shipped_and_wrong() {
    let bench = Bench::new();
    let inventory = "keybook: 1\ncluster: c\nhosts:\n  a: { address: 10.0.0.1, user: root, key: ~/.ssh/id, via: b }\n  b: {}\ngroups: { master: [a] }\n";
    assert_eq!(problems(&validator(&bench.keybook, "inventory"), inventory), [""; 0]);
    let file = bench.write("hosts.yaml", inventory);
    bench.keybook.call(["validate", &file]).with(0);
}
