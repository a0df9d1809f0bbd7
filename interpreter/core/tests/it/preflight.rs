//! Before the first step: hosts, groups, locks, identity.

use crate::support::{Bench, How, Trouble, bench::RUN};
use keybook_api::{Event, FaultKind, event::RunStatus, value::map};
use keybook_core::{
    journal::reader,
    run::{drift, engine},
};

const ONE: &str = "steps:\n  - { id: s, hosts: master, gate: { ask: ok }, t.run: { script: effect s }, undo: { t.note: { text: back } } }\n";

fn findings(bench: &Bench) -> Vec<String> {
    let show = |event| match event {
        Event::PreflightChecked { host, check, ok: false, detail } => {
            Some(format!("{host}: {check}: {detail}"))
        }
        _ => None,
    };
    bench.events("preflight.checked").into_iter().filter_map(show).collect()
}

#[tokio::test(start_paused = true)]
async fn one_dead_host_does_not_hide_another() {
    let bench = Bench::new(ONE);
    bench.world.trouble("a", "connect", "", How::LostBefore);
    bench.world.trouble("c", "survey", "", How::LostBefore);
    bench.world.on("b", |host| host.uid = 1000);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.status), (4, RunStatus::Unreachable));
    let found = findings(&bench);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("a: reach:") && found[2].starts_with("c: reach:"), "{found:?}");
    assert_eq!(found[1], "b: user: commands run as uid 1000");
    for found in found {
        assert!(outcome.reason.contains(&found), "{}", outcome.reason);
    }
    assert!(bench.events("step.pinned").is_empty());
    bench.world.on("b", |host| host.uid = 0);
    assert_eq!(bench.resume().await.exit, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_host_lacks_is_found_before_anything_begins() {
    let yaml = "keybook: 1
name: test
version: 1.0.0
title: t
hosts:
  master: { min: 1, tools: [sh, etcdctl], free_mib: 500 }
steps:
  - { id: s, hosts: master, t.run: { script: effect s } }
";
    let bench = Bench::whole(yaml).masters(&["a", "b"]);
    bench.world.on("a", |host| {
        host.identity.clock_offset_ms = -61_000;
        host.free_mib = 499;
    });
    bench.world.on("b", |host| host.tools.push("etcdctl".into()));
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1);
    assert_eq!(
        findings(&bench),
        [
            "a: clock: -61.0 s against this machine",
            "a: disk space: 499 MiB free for /var/lib/keybook, 500 needed",
            "a: tool: `etcdctl` is not there"
        ]
    );
    assert_eq!(bench.world.locked_by("b"), None);
}

#[tokio::test(start_paused = true)]
async fn a_group_of_the_wrong_size_stops_before_any_host_is_reached() {
    for (hosts, limit) in [(vec![], vec![]), (vec!["a", "b"], vec!["m".to_owned()])] {
        let mut bench = Bench::new(ONE).masters(&hosts);
        bench.limit = limit;
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, 2);
        assert!(
            outcome.reason.contains("it has 0 hosts; the runbook needs at least 1"),
            "{}",
            outcome.reason
        );
        assert!(bench.events("host.identified").is_empty());
    }
    let yaml = "keybook: 1\nname: t\nversion: 1.0.0\ntitle: t\nhosts:\n  master: { exactly: 1 }\nsteps:\n  - { id: s, hosts: master, t.note: { text: x } }\n";
    let outcome = Bench::whole(yaml).masters(&["a", "b"]).start().await;
    assert_eq!(outcome.exit, 2);
    assert!(outcome.reason.contains("it has 2 hosts; the runbook needs exactly 1"), "{}", outcome.reason);
    // The group is there under another name.
    let fault = Bench::whole(&yaml.replace("master", "masters")).start().await.fault.unwrap();
    let told = "the inventory has no group `masters`, but `master`";
    assert!(fault.hints.iter().any(|hint| hint.starts_with(told)), "{fault:?}");
}

#[tokio::test(start_paused = true)]
async fn limit_leaves_the_other_hosts_alone() {
    let mut bench = Bench::new(ONE);
    bench.limit = vec!["b".into()];
    assert_eq!(bench.start().await.exit, 0);
    assert_eq!(["a", "b", "c"].map(|host| bench.world.effects(host, "s")), [0, 1, 0]);
    assert_eq!(bench.world.locked_by("a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_held_by_another_run_is_refused_and_left_as_it_is() {
    let bench = Bench::new(ONE);
    let record = r#"{"run":"other","cluster":"c1","holder":"bob@desk","since":"2023-01-10T10:00:00.000Z"}"#;
    bench.world.on("b", |host| {
        host.files.insert("/var/lib/keybook".into(), crate::support::Node::dir(0o700));
    });
    bench.world.put("b", "/var/lib/keybook/lock-c1.json", record);
    let outcome = bench.start().await;
    assert_eq!((outcome.exit, outcome.fault.unwrap().kind), (7, FaultKind::Locked));
    assert!(outcome.reason.contains("run other of bob@desk holds it"), "{}", outcome.reason);
    assert_eq!(["a", "b", "c"].map(|host| bench.world.locked_by(host)), [None, Some("other".into()), None]);
    assert!(bench.events("lock.taken").is_empty());
    bench.world.on("b", |host| host.files.remove("/var/lib/keybook/lock-c1.json"));
    assert_eq!(bench.resume().await.exit, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_fails_half_way_is_given_back() {
    for how in [How::Fails("the disk is full"), How::LostBefore, How::LostAfter] {
        let bench = Bench::new(ONE);
        // Also when it is tried again.
        let (host, call, about) = ("c", "write", "lock-c1");
        bench.world.add_trouble(Trouble { host, call, about, how: how.clone(), after: 0, times: 9 });
        let outcome = bench.start().await;
        assert!([1, 4].contains(&outcome.exit), "{}", outcome.reason);
        for host in ["a", "b", "c"] {
            assert_eq!(bench.world.locked_by(host), None, "{how:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_lock_is_kept_while_the_run_rests_and_released_at_its_end() {
    let bench = Bench::new(ONE);
    bench.person.will_answer([None]);
    assert_eq!(bench.start().await.exit, 3);
    for host in ["a", "b", "c", "m"] {
        assert_eq!(bench.world.locked_by(host).as_deref(), Some(RUN));
    }
    assert_eq!(bench.resume().await.exit, 0);
    for host in ["a", "b", "c", "m"] {
        assert_eq!(bench.world.locked_by(host), None);
    }
    // The folder of the run is private, with a place for keys.
    let mode = |path: String| bench.world.on("a", |host| host.files[&path].mode);
    assert_eq!(mode(format!("/var/lib/keybook/{RUN}/staging")), 0o700);
}

#[tokio::test(start_paused = true)]
async fn another_machine_behind_the_same_name_is_refused_on_resume() {
    for (key, replaceable, exit) in [(true, false, 1), (false, false, 1), (true, true, 0)] {
        let bench = Bench::new(ONE);
        bench.person.will_answer([None]);
        assert_eq!(bench.start().await.exit, 3);
        bench.world.on("b", |host| {
            if key {
                host.identity.host_key = "SHA256:other".into();
            } else {
                host.identity.machine_id = "other".into();
            }
        });
        let mut setup = bench.setup();
        setup.inventory.hosts["b"].replaceable = replaceable;
        let journal = reader::read(&bench.journal()).unwrap();
        let outcome = engine::resume(setup, &bench.journal(), &journal, Vec::new()).await.unwrap();
        assert_eq!(outcome.exit, exit, "{}", outcome.reason);
        if exit == 1 {
            assert!(outcome.reason.contains("it is another machine than before"), "{}", outcome.reason);
            assert_eq!(bench.world.effects("a", "s"), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_finished_run_is_not_resumed_and_a_run_is_taken_back_once() {
    let bench = Bench::new(ONE);
    assert_eq!(bench.start().await.exit, 0);
    let journal = reader::read(&bench.journal()).unwrap();
    let fault = engine::resume(bench.setup(), &bench.journal(), &journal, Vec::new()).await.unwrap_err();
    assert_eq!((fault.kind, fault.cause.as_str()), (FaultKind::Usage, "it is done"));
    assert_eq!(reader::read(&bench.journal()).unwrap().records.len(), journal.records.len());
    assert_eq!(bench.roll_back().await.exit, 5);
    let journal = reader::read(&bench.journal()).unwrap();
    let fault = engine::resume(bench.setup(), &bench.journal(), &journal, Vec::new()).await.unwrap_err();
    assert_eq!(fault.cause, "it was rolled back");
    let fault =
        engine::roll_back(bench.setup(), &bench.journal(), &journal, "x", Vec::new()).await.unwrap_err();
    assert_eq!((fault.kind, fault.cause.as_str()), (FaultKind::Usage, "it is rolled back already"));
    assert_eq!(reader::read(&bench.journal()).unwrap().records.len(), journal.records.len());
}

#[tokio::test(start_paused = true)]
async fn a_journal_is_never_begun_over_another() {
    let bench = Bench::new(ONE);
    assert_eq!(bench.start().await.exit, 0);
    assert!(engine::start(bench.setup(), &bench.journal()).await.is_err());
}

#[test]
fn changed_inputs_are_named_and_secrets_compared_by_hash() {
    let was = map([("a", 1.into()), ("b", "x".into()), ("pw", crate::support::bench::secret("hunter22"))]);
    let journaled = drift::journaled_inputs(&was, "salt");
    assert!(!serde_json::to_string(&journaled).unwrap().contains("hunter22"));
    assert!(drift::input_differences(&journaled, &was, "salt").is_empty());
    let now = map([("a", 2.into()), ("b", "x".into()), ("pw", crate::support::bench::secret("other"))]);
    assert_eq!(
        drift::input_differences(&journaled, &now, "salt"),
        ["the input a was 1, is 2", "the secret input pw has another value than the run began with"]
    );
    assert_eq!(drift::input_differences(&journaled, &was, "another salt").len(), 1);
}

#[test]
fn changed_inventories_are_named() {
    let before = Bench::new(ONE).inventory();
    let mut now = before.clone();
    now.hosts["b"].address = "10.0.0.9".into();
    now.groups["manager"].push("a".into());
    assert_ne!(before.digest(), now.digest());
    let found = drift::inventory_differences(&before, &now);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.iter().any(|line| line.contains("the inventory has: host b 10.0.0.9")), "{found:?}");
    assert!(drift::inventory_differences(&before, &before.clone()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn hosts_outside_the_limit_are_locked_too() {
    let mut bench = Bench::new(ONE);
    bench.limit = vec!["a".into()];
    bench.person.will_answer([None]);
    assert_eq!(bench.start().await.exit, 3);
    for host in ["a", "b", "c", "m"] {
        assert_eq!(bench.world.locked_by(host).as_deref(), Some(RUN), "{host}");
    }
    assert_eq!(bench.resume().await.exit, 0);
    assert_eq!(["a", "b"].map(|host| bench.world.effects(host, "s")), [1, 0]);
    for host in ["a", "b", "c", "m"] {
        assert_eq!(bench.world.locked_by(host), None, "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_held_for_a_cluster_of_another_name_is_refused() {
    let bench = Bench::new(ONE);
    let record = r#"{"run":"20230101-000000-0000","cluster":"prod","holder":"eve@desk","since":"2023-01-01T00:00:00Z"}"#;
    bench.world.put_node("b", "/var/lib/keybook", crate::support::Node::dir(0o700));
    bench.world.put("b", "/var/lib/keybook/lock-prod.json", record);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 7, "{}", outcome.reason);
    assert!(outcome.reason.contains("holds this host for the cluster prod"), "{}", outcome.reason);
    assert_eq!(bench.world.locked_by("a"), None);
    assert!(bench.world.text("b", "/var/lib/keybook/lock-prod.json").is_some());
}

/// Another run's record came between the look and the write of our own.
#[tokio::test(start_paused = true)]
async fn a_host_that_is_taken_at_the_same_time_for_a_cluster_of_another_name_is_refused() {
    const OTHER: &str = "/var/lib/keybook/lock-prod.json";
    let bench = Bench::new(ONE);
    let world = std::sync::Arc::clone(&bench.world);
    let own = keybook_core::run::lock::lock_path(&bench.setup().inventory.cluster);
    bench.world.hook(move |hosts| {
        if hosts["b"].files.contains_key(&own) && !hosts["b"].files.contains_key(OTHER) {
            let record = r#"{"run":"20230101-000000-0000","cluster":"prod","holder":"eve@desk","since":"2023-01-01T00:00:00Z"}"#;
            world.put("b", OTHER, record);
        }
    });
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 7, "{}", outcome.reason);
    assert!(outcome.reason.contains("holds this host for the cluster prod"), "{}", outcome.reason);
    for host in ["a", "b", "c", "m"] {
        assert_eq!(bench.world.locked_by(host), None, "{host}");
        assert_eq!(bench.world.effects(host, "s"), 0, "{host}");
    }
    assert!(bench.world.text("b", OTHER).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_is_pinned_by_the_record_of_the_resume() {
    let mut bench = Bench::new(ONE);
    bench.inputs = map([("pw", crate::support::bench::secret("hunter22"))]);
    bench.person.will_answer([None, None]);
    assert_eq!(bench.start().await.exit, 3);
    assert_eq!(bench.resume().await.exit, 3);
    let journal = reader::read(&bench.journal()).unwrap();
    let setup = bench.setup();
    let (digest, hosts) = (setup.loaded.digest.clone(), setup.inventory.digest());
    let accepted = vec!["the input x is another one".to_owned()];
    let outcome = engine::resume(setup, &bench.journal(), &journal, accepted).await.unwrap();
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    let resumed = bench.events("run.resumed");
    let pinned = |event: &Event| match event {
        Event::RunResumed { pinned, .. } => pinned.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(pinned(&resumed[0]), None);
    let found = pinned(&resumed[1]).unwrap();
    assert_eq!((found.digest, found.inventory_digest), (digest, hosts));
    assert!(found.inputs["pw"].get("keyed_hash").is_some(), "{:?}", found.inputs);
}
