//! Secrets in whatever form a command prints them: nothing that this program shows or writes has one.
//!
//! The host is this machine, so that real programs encode them: what they print when the test itself asks them is what must
//! not be found afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::sandbox::Bench;
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Prints its input in every form that is promised to be hidden, on both streams, and in small pieces.
const PRINT: &str = r#"
secret=$(cat; echo .); secret=${secret%.}
give() { printf '%s' "$secret"; }
give; echo
give >&2; echo >&2
give | base64
give | base64 -w 0; echo
printf 'ops:%s' "$secret" | base64 -w 0; echo
give | openssl base64
for before in a ab abc; do { printf '%s' "$before"; give; } | base64; done
give | python3 -c '
import json, sys, time, urllib.parse
text = sys.stdin.read()
print(json.dumps(text), json.dumps(text, ensure_ascii=False), json.dumps(text).replace("/", "\\/"), sep="\n")
print(urllib.parse.quote(text, safe=""), urllib.parse.quote_plus(text), sep="\n", flush=True)
for at in range(0, len(text), 7):
    print(text[at:at + 7], end="", flush=True)
    time.sleep(0.002)
print()
'
"#;

/// Steps that show a secret in each way that a step can; the last one fails with it.
const STEPS: &str = r#"
steps:
  - { id: print, title: Print, hosts: node, register: printed, sh.run: { script: "${encodings()}", stdin: "${inputs.it}", changes: false } }
  - { id: again, title: "Again", hosts: node, sh.read: { script: "cat; cat >&2", stdin: "${printed.stdout}" } }
  - { id: put, title: Put, hosts: node, gate: { ask: "Put?", show: [diff] }, file.put: { path: "${inputs.file}", content: "first\n${inputs.it}\nlast\n", mode: "0600" } }
  - { id: note, title: Note, hosts: node, note.write: { text: "It is ${printed.stdout}." } }
  - { id: fail, title: Fail, hosts: node, sh.run: { script: "sh -c \"$1\"; exit 3", args: ["${encodings()}"], stdin: "${inputs.it}", changes: false } }
"#;

fn runbook(bench: &Bench, kind: &str) -> String {
    let head = format!(
        "keybook: 1\nname: telling\nversion: 0.1.0\nrequires: {{ keybook: \">=0.1\" }}\ntitle: Tells what it should not\n\
         inputs:\n  it: {{ type: {kind}, help: to be hidden }}\n  file: {{ type: path, help: where it goes }}\n\
         hosts: {{ node: {{ min: 1, help: any host }} }}\n"
    );
    bench.write("telling/runbook.yaml", format!("{head}{STEPS}"));
    bench.write("telling/hooks.rhai", format!("fn encodings() {{\n    #\"{PRINT}\"#\n}}\n"));
    bench.text("telling")
}

/// Everything that the program prints about a run that tells a secret, and every file that it writes about it.
fn told(kind: &str, secret: &str) -> String {
    let bench = Bench::new();
    let (runbook, inventory) = (runbook(&bench, kind), bench.this_machine());
    fs::create_dir_all(bench.path("files")).unwrap();
    let file = bench.write("files/secret", format!("first\n{secret} and more\nlast\n"));
    let answers = bench.write("answers.yaml", "keybook: 1\nanswers:\n  put@here: run\n  rollback: run\n");
    let given = format!("file={file}");
    let call = |args: &[&str]| {
        let mut command = bench.isolated("", args);
        if kind == "secret" {
            command.env("KEYBOOK_INPUT_IT", secret);
        }
        let Output { stdout, stderr, .. } = command.stdin(Stdio::null()).output().unwrap();
        format!("{}{}", String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    };
    let input = format!("it={secret}");
    let mut run =
        vec!["run", &runbook, "-i", &inventory, "--unattended", "--answers", &answers, "-vvv", "-e", &given];
    if kind != "secret" {
        run.extend(["-e", &input]);
    }
    let mut all = call(&run);
    assert!(all.contains("failed (exit 1)") && all.contains("Fail: failed"), "{all}");
    let unattended = ["--unattended", "--answers", &answers, "-vvv"];
    for (verb, more) in [
        ("status", &[][..]),
        ("show", &[]),
        ("show", &["--format", "json"]),
        ("show", &["--format", "jsonl"]),
        ("show", &["--format", "html"]),
        ("resume", &unattended),
        ("rollback", &unattended),
        ("show", &["-vvv"]),
    ] {
        let id = bench.keybook.latest();
        all += &call(&[&[verb, &id], more].concat());
    }
    all += &call(&["plan", &runbook, "-i", &inventory, "-e", &given]);
    for folder in ["state", "varlib"] {
        read_all(&bench.path(folder), &mut all);
    }
    assert!(all.contains("gate.asked") && all.contains("rollback.started"), "{all}");
    all
}

/// The texts of all files in a folder, but for the copies of the host's own files, which are the way back.
fn read_all(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if !path.ends_with("backup") {
                read_all(&path, all);
            }
        } else {
            *all += &String::from_utf8_lossy(&fs::read(&path).unwrap());
        }
    }
}

/// What the real programs make of it: every piece of 16 letters of it, but for the marks around PEM, which are no secret.
fn pieces(secret: &str) -> BTreeSet<String> {
    let mut child = Command::new("sh")
        .args(["-c", PRINT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
    let printed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let mut pieces = BTreeSet::new();
    for line in printed.lines() {
        let letters: Vec<char> = line.chars().collect();
        pieces.extend(
            letters
                .chunks(16)
                .filter(|piece| piece.len() == 16)
                .map(|piece| piece.iter().collect::<String>()),
        );
    }
    let mark = |piece: &String| {
        ["---", "BEGIN", "PRIVATE", "KEY", "LS0t", "LQ", "0tLS"].iter().any(|mark| piece.contains(mark))
    };
    pieces.retain(|piece| !mark(piece));
    pieces
}

fn found(pieces: &BTreeSet<String>, all: &str) -> Vec<String> {
    pieces.iter().filter(|piece| all.contains(piece.as_str())).cloned().collect()
}

fn key(algorithm: &[&str]) -> String {
    let output =
        Command::new("openssl").arg("genpkey").args(algorithm).stderr(Stdio::null()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn keys_are_told_in_no_form() {
    for algorithm in
        [&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..], &["-algorithm", "RSA"]]
    {
        let secret = key(algorithm);
        let pieces = pieces(&secret);
        assert!(pieces.len() > 30, "{pieces:?}");
        let all = told("secret", &secret);
        let found = found(&pieces, &all);
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn passwords_are_told_in_no_form() {
    for secret in ["correct horse/battery \"staple\" größer", "pässwörter/mit+allem & mehr=ja%20nein!"] {
        let pieces = pieces(secret);
        assert!(pieces.len() > 5, "{pieces:?}");
        let all = told("secret", secret);
        let found = found(&pieces, &all);
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// Were it no secret, it would be found: the pieces are the right ones.
#[test]
fn what_is_no_secret_is_told() {
    let secret = "correct horse/battery \"staple\" größer";
    let pieces = pieces(secret);
    let found = found(&pieces, &told("string", secret));
    assert!(found.len() * 2 > pieces.len(), "{found:?} of {pieces:?}");
}

/// An optional secret that the run had is no null in its rollback.
#[test]
fn a_secret_that_is_not_given_again_is_asked_for() {
    let bench = Bench::new();
    let (head, steps) = (
        "keybook: 1\nname: optional\nversion: 0.1.0\nrequires: { keybook: \">=0.1\" }\ntitle: Has a secret, perhaps\n",
        "inputs: { it: { type: secret, optional: true, help: a password } }\nhosts: { node: { min: 1, help: any host } }\n\
         steps:\n  - { id: stop, title: Stop, hosts: node, gate: { ask: Go on? }, note.write: { text: x } }\n",
    );
    bench.write("optional/runbook.yaml", format!("{head}{steps}"));
    let (runbook, inventory) = (bench.text("optional"), bench.this_machine());
    let call = |args: &[&str], secret: Option<&str>| {
        let mut command = bench.isolated("", args);
        if let Some(secret) = secret {
            command.env("KEYBOOK_INPUT_IT", secret);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let run = ["run", &runbook, "-i", &inventory, "--unattended"];
    assert_eq!(call(&run, Some("correct horse")).0, Some(3));
    let answers = bench.write("answers.yaml", "keybook: 1\nanswers: { rollback: run }\n");
    let id = bench.keybook.latest();
    for verb in ["rollback", "resume"] {
        let again = [verb, &id, "--unattended", "--answers", &answers];
        let (code, said) = call(&again, None);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("it is not given now") && said.contains("KEYBOOK_INPUT_IT"), "{said}");
    }
    let (code, said) = call(&["rollback", &id, "--unattended", "--answers", &answers], Some("correct horse"));
    assert_eq!(code, Some(5), "{said}");
}
