//! `keybook new`: what it makes is valid, runs, and has a test that passes outside any checkout.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::{cli::binary, sandbox::Bench};
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

#[test]
fn new_runbook_has_a_test_that_passes_and_that_can_fail() {
    let bench = Bench::new();
    let folder = bench.text("replace-file");
    bench.keybook.call(["new", &folder]).with(0).says("a runbook with a sandbox, answers and a test");
    let found = bench.keybook.call(["validate", &folder]).with(0);
    assert!(!found.stderr.contains("warning"), "{}", found.stderr);
    assert_eq!(fs::metadata(bench.path("replace-file/test")).unwrap().permissions().mode() & 0o777, 0o755);

    let test = || {
        let path = format!("{}:{}", binary().parent().unwrap().display(), std::env::var("PATH").unwrap());
        Command::new(format!("{folder}/test")).current_dir("/").env("PATH", path).output().unwrap()
    };
    let passed = test();
    let said = String::from_utf8_lossy(&passed.stdout);
    assert!(passed.status.success() && said.ends_with("test passed\n"), "{said}{:?}", passed.stderr);

    let elsewhere = |keybook: &str| {
        let mut command = Command::new(format!("{folder}/test"));
        command
            .current_dir(binary().parent().unwrap())
            .env_remove("PATH")
            .env("KEYBOOK", keybook)
            .output()
            .unwrap()
    };
    assert!(elsewhere("./keybook").status.success(), "it may be anywhere");
    let lost = elsewhere("./no-such-program");
    assert_eq!(lost.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&lost.stderr).contains("say where it is"), "{lost:?}");

    let runbook = bench.path("replace-file/runbook.yaml");
    let text = fs::read_to_string(&runbook).unwrap();
    fs::write(&runbook, text.replace("expect: result.text == inputs.content", "expect: result.text == ''"))
        .unwrap();
    assert!(!test().status.success(), "a runbook that fails fails its test");
}

#[test]
fn new_runbook_replaces_nothing_and_wants_a_name() {
    let bench = Bench::new();
    let folder = bench.runbook();
    bench.keybook.call(["new", &folder]).with(2).says("name a folder that does not exist yet");
    let odd = bench.text("Odd Name");
    bench.keybook.call(["new", &odd]).with(2).says("nothing was made");
    assert!(!bench.path("Odd Name").exists());
}

#[test]
fn completions_of_every_shell_know_the_verbs() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.keybook.call(["completions", shell]).with(0).stdout;
        assert!(script.contains("rollback") && script.contains("accept-changes"), "{shell}");
    }
}

/// `man` itself reads the pages and finds nothing to complain of.
#[test]
fn manual_pages_are_made_of_every_verb() {
    let bench = Bench::new();
    let folder = bench.text("man");
    let written = bench.keybook.call(["man", "--into", &folder]).with(0).stdout;
    for verb in ["run", "rollback", "validate", "schema"] {
        assert!(written.contains(&format!("keybook-{verb}.1")), "{written}");
    }
    for page in written.lines() {
        let read = std::process::Command::new("man")
            .args(["--warnings", "-l", page])
            .env("MANPAGER", "cat")
            .env("MANWIDTH", "80")
            .output()
            .unwrap();
        let (text, said) = (String::from_utf8(read.stdout).unwrap(), String::from_utf8(read.stderr).unwrap());
        assert!(read.status.success() && said.is_empty(), "{page}: {said}");
        assert!(text.contains("SYNOPSIS") && text.contains("keybook"), "{page}: {text}");
    }
    let page = bench.keybook.call(["man", "run"]).with(0).stdout;
    assert!(page.contains("unattended") && page.contains("keybook\\-run"), "{page}");
    bench.keybook.call(["man", "walk"]).with(2).says("there is no such verb");
}
