//! The example of the book does what the book says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::Event;
use keybook_tests::{cli::root, sandbox::Bench};
use serde_json::Value as Json;
use std::fs;

#[test]
fn book_example_is_valid_runs_and_is_taken_back() {
    let bench = Bench::new();
    let folder = root().join("book/examples/change-banner");
    let (folder, answers) = (folder.to_str().unwrap(), folder.join("scenarios/answers.yaml"));
    let found = bench.keybook.call(["validate", "--format", "json", folder]).with(0);
    let found: Json = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((&found["errors"], &found["warnings"]), (&0.into(), &0.into()), "{found:#}");

    let unattended = ["--unattended", "--answers", answers.to_str().unwrap()];
    bench.keybook.call([&["run", folder, "--sandbox"], &unattended[..]].concat()).with(0);
    let banner = |host: &str| fs::read_to_string(bench.on_host(host, "/etc/motd")).unwrap();
    for host in ["web-1", "web-2", "boss"] {
        assert_eq!(banner(host), format!("Authorised use only ({host})\n"));
    }
    let done = bench.keybook.units(|event| matches!(event, Event::UnitDone { .. }));
    for unit in ["reload/each/reload@web-1#login-screen", "reload/each/runs@web-2#web-console"] {
        assert!(done.iter().any(|known| known == unit), "{unit}: {done:#?}");
    }

    bench.on_run("rollback", &unattended).with(5);
    for host in ["web-1", "web-2", "boss"] {
        assert_eq!(banner(host), "Property of Old Company Ltd.\n");
    }
}
