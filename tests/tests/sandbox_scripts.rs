//! A step with a script, from the book: planned, run, killed at many instants, gone on with and taken back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::Event;
use keybook_tests::{
    cli::root,
    kill::{Fate, killed},
    sandbox::Bench,
};
use serde_json::Value as Json;
use std::fs;

const KEPT: [(&str, &str); 3] = [
    ("/etc/motd", "Authorised use only\n"),
    ("/etc/motd.1", "Welcome\n"),
    ("/etc/motd.2", "Property of Old Company Ltd.\n"),
];

fn folder() -> String {
    root().join("book/examples/keep-old-banner").to_str().unwrap().to_owned()
}

fn answers() -> String {
    format!("{}/scenarios/answers.yaml", folder())
}

fn banners(bench: &Bench) -> Vec<(String, String)> {
    let read =
        |name: &&str| Some(((*name).to_owned(), fs::read_to_string(bench.on_host("web-1", name)).ok()?));
    ["/etc/motd", "/etc/motd.1", "/etc/motd.2", "/etc/motd.3"].iter().filter_map(read).collect()
}

fn kept() -> Vec<(String, String)> {
    KEPT.map(|(path, text)| (path.to_owned(), text.to_owned())).to_vec()
}

#[test]
fn a_script_of_the_book_is_valid_planned_run_and_taken_back() {
    let bench = Bench::new();
    let (folder, answers) = (folder(), answers());
    let found = bench.keybook.call(["validate", "--format", "json", &folder]).with(0);
    let found: Json = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((&found["errors"], &found["warnings"]), (&0.into(), &0.into()), "{found:#}");

    let planned = bench.keybook.call(["plan", &folder, "--sandbox", "--format", "json"]).with(0);
    let planned: Json = serde_json::from_str(&planned.stdout).unwrap();
    let change = &planned["units"][0];
    assert_eq!(change["verdict"], "cannot-know", "{planned:#}");
    assert_eq!(change["reason"], "what its script does after `file.copy` may depend on the result");
    assert_eq!(change["diffs"][0]["path"], "/etc/motd.2");

    bench.keybook.call(["run", &folder, "--sandbox", "--unattended", "--answers", &answers]).with(0);
    assert_eq!(banners(&bench), kept());
    let notes: Vec<String> = bench
        .keybook
        .records()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::UnitNote { text } => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(notes, ["29 bytes are kept", "the old banner is /etc/motd.2"]);

    bench.on_run("rollback", &["--unattended", "--answers", &answers]).with(5);
    let before = [("/etc/motd", KEPT[2].1), KEPT[1]].map(|(path, text)| (path.to_owned(), text.to_owned()));
    assert_eq!(banners(&bench), before);
}

#[test]
fn a_script_of_the_book_goes_on_wherever_it_was_killed() {
    let (folder, answers) = (folder(), answers());
    let bench = Bench::new();
    let run = ["run", &folder, "--sandbox", "--unattended", "--answers", &answers];
    bench.keybook.call(run).with(0);
    let at = |wanted: fn(&Event) -> bool| {
        bench.keybook.records().iter().find(|record| wanted(&record.event)).unwrap().seq
    };
    let begun = at(|event| matches!(event, Event::UnitIntent { .. }));
    let done = at(|event| matches!(event, Event::UnitDone { .. }));
    let mut killed_in_script = 0;
    for records in begun..=done {
        let bench = Bench::new();
        let Fate::Killed(last) = killed(&bench.keybook, bench.keybook.command(run), records + 1, 0) else {
            continue;
        };
        if last.contains("run.ended") {
            continue;
        }
        killed_in_script += u32::from(last.contains("call."));
        let twin = bench.twin("twin");
        let ended = bench.on_run("resume", &["--unattended", "--answers", &answers]);
        assert_eq!(ended.code, Some(0), "killed after {last}: {}", ended.stderr);
        assert_eq!(banners(&bench), kept(), "killed after {last}");
        let ended = twin.on_run("rollback", &["--unattended", "--answers", &answers]);
        assert_eq!(ended.code, Some(5), "killed after {last}: {}", ended.stderr);
        assert_eq!(
            fs::read_to_string(twin.on_host("web-1", "/etc/motd")).unwrap(),
            KEPT[2].1,
            "killed after {last}"
        );
        assert!(!twin.on_host("web-1", "/etc/motd.2").exists(), "killed after {last}");
    }
    assert!(killed_in_script > 0, "no kill hit the script");
}
