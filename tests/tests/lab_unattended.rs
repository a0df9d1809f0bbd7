//! Unattended renewals on real clusters of every size, and the ways to log in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use keybook_api::Event;
use keybook_tests::{
    cli::Keybook,
    lab::{Lab, answers},
    manager::{only_flannel_restarted, rows_are_the_files},
    proof::Before,
};
use std::path::Path;

/// Renews and checks everything that can be checked.
fn renew(lab: &Lab, inventory: &Path, whole: bool) {
    let keybook = Keybook::new(lab.scratch());
    let gates = ["install@*: run", "bounce@*: run", "flannel-nodes/install@*: run", "database/write@*: run"];
    let answers = answers(lab.scratch(), if whole { &gates } else { &gates[..2] });
    let before = Before::of(lab);
    // A cluster of one is down while its only etcd restarts.
    let client = (lab.masters.len() > 1).then(|| lab.client());
    let (inventory, answers) = (inventory.to_str().unwrap(), answers.to_str().unwrap());
    let ended = keybook
        .call([
            "run",
            "runbooks/tos-etcd-ca",
            "-i",
            inventory,
            "--unattended",
            "--answers",
            answers,
            "-e",
            "settle=1s",
            "-e",
            if whole { "database=sql" } else { "database=none" },
        ])
        .with(0)
        .says("status done (exit 0)")
        .says("How to go on keybook rollback");
    assert!(!ended.stdout.contains("PRIVATE KEY") && !ended.stderr.contains("PRIVATE KEY"));
    if let Some(client) = client {
        client.lost_nothing();
    }
    before.renewed(lab);
    for name in &lab.masters {
        for container in ["tos-etcd-tos", "tos-apiserver-tos"] {
            assert_eq!(
                lab.starts(name, container),
                2,
                "{container} on {name}: once with the lab, once by the run"
            );
        }
    }
    let copied = keybook.units(|event| matches!(event, Event::UnitDone { changed: true, .. }));
    let copied = copied.iter().filter(|unit| unit.starts_with("install/")).count();
    let only_flannel = lab.names.iter().filter(|name| name.starts_with("flannel-")).count();
    assert_eq!(copied, 3 * (lab.names.len() - only_flannel), "three files a node");
    only_flannel_restarted(lab, 1);
    if whole {
        rows_are_the_files(lab);
    }
    keybook.call(["verify"]).with(0).says("The chain proves that it is consistent");
}

#[test]
fn lab_unattended_three_masters() {
    let lab = Lab::up(101, &["--nodes", "3"]);
    renew(&lab, &lab.inventory(), false);
}

#[test]
fn lab_unattended_five_masters_ecdsa_sudo_manager_of_its_own_flannel_and_database() {
    let more = ["--manager", "separate", "--flannel", "1", "--database", "1"];
    let lab = Lab::up(102, &[["--nodes", "5", "--ca", "ecdsa"].as_slice(), &more].concat());
    renew(&lab, &lab.inventory_with_sudo(), true);
}

#[test]
fn lab_unattended_one_master_ecdsa() {
    let lab = Lab::up(103, &["--nodes", "1", "--ca", "ecdsa"]);
    renew(&lab, &lab.inventory(), false);
}
