//! The TOS runbook in sandboxes of every shape: there and back, and what it leaves alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::Event;
use keybook_tests::{
    cli::Ended,
    sandbox::{Bench, FIRST, MASTERS, Tree, arg, differences, openssl},
};
use std::{collections::BTreeSet, fs, path::Path};

const GATES: &str = "keybook: 1\nanswers:\n  install@*: run\n  bounce@*: run\n  flannel-nodes/install@*: run\n  outage@*: run\n  \
                     rollback: run\n";

/// The manager's folder, as the registry's image names it.
const METAINFO: &str =
    "/var/lib/transwarp-manager/master/content/meta/services/TOS/manager-7.0.1910a-final/templates/gencerts";

fn call(bench: &Bench, verb: &str, more: &[&str]) -> Ended {
    let answers = bench.write("all.yaml", GATES);
    let args = [&[verb], more, &["--unattended", "--answers", &answers]].concat();
    bench.keybook.call(args)
}

/// The state of the hosts before the run: it is made, and stops before anything is changed.
fn begun(bench: &Bench, scenario: &str, inputs: &[&str]) -> Tree {
    let runbook = bench.runbook();
    let inputs: Vec<&str> = inputs.iter().flat_map(|input| ["-e", *input]).collect();
    let args = [&[&runbook, "--sandbox", scenario, "--until", "check"], inputs.as_slice()].concat();
    call(bench, "run", &args).with(0);
    bench.trees()
}

/// Paths that differ, as `host:path`.
fn changed(before: &Tree, after: &Tree) -> BTreeSet<String> {
    let path = |line: String| line.split(' ').nth(1).unwrap_or_default().to_owned();
    // What stands for this machine appears with the first step that is on no host.
    let all = differences(before, after).into_iter().map(path);
    all.filter(|path| !path.starts_with("local:")).collect()
}

/// What a renewal changes on these hosts, and in the manager's folder.
fn wanted(hosts: &[&str], manager: &str) -> BTreeSet<String> {
    let files = ["etcd-ca.pem", "etcd-key.pem", "etcd.pem"];
    let mut all: BTreeSet<String> =
        hosts.iter().flat_map(|host| files.map(|file| format!("{host}:/srv/kubernetes/{file}"))).collect();
    all.extend(["etcd-ca.pem", "config.json"].map(|file| format!("{manager}:{METAINFO}/{file}")));
    all
}

/// A scenario that is as separate-manager, with a node that runs only flannel. What files there are on which hosts is no key
/// that can be added to, so it is written whole.
fn with_flannel_node(bench: &Bench) {
    let read =
        |name: &str| fs::read_to_string(bench.path(&format!("tos-etcd-ca/scenarios/{name}.yaml"))).unwrap();
    let (all, own) = (read("three-masters"), read("separate-manager"));
    let rest = all.find("\nfiles:\n").unwrap();
    let (head, certificates) = own.split_once("\ncertificates:").unwrap();
    let head = head.replace("extends: three-masters.yaml\n", "").replace("separate-manager", "with-flannel");
    let head = head.replace("hosts:\n", "hosts:\n  jiujiu-tdh-21: { address: 172.22.25.21 }\n");
    let more = "  flannel: [jiujiu-tdh-21]\ncluster: sandbox\ninputs: { settle: 10ms, database: none }\n\
                tools: [docker, etcdctl, kubectl]\ncertificates:";
    let files =
        all[rest..].replace("hosts: [master, manager], path", "hosts: [master, manager, flannel], path");
    bench.write("tos-etcd-ca/scenarios/with-flannel.yaml", format!("{head}{more}{certificates}{files}"));
}

fn there_and_back(bench: &Bench, scenario: &str, hosts: &[&str], manager: &str) {
    let before = begun(bench, scenario, &[]);
    let run = bench.keybook.latest();
    call(bench, "resume", &[&run]).with(0);
    assert_eq!(changed(&before, &bench.trees()), wanted(hosts, manager));
    let file = |host: &str, path: &str| bench.on_host(host, path);
    let (ca, leaf) = (file(FIRST, "/srv/kubernetes/etcd-ca.pem"), file(FIRST, "/srv/kubernetes/etcd.pem"));
    openssl(&["verify", "-CAfile", arg(&ca), arg(&leaf)]).unwrap();
    let same = |path: &Path, other: &Path| assert_eq!(fs::read(path).unwrap(), fs::read(other).unwrap());
    same(&ca, &file(manager, &format!("{METAINFO}/etcd-ca.pem")));
    hosts.iter().for_each(|host| same(&leaf, &file(host, "/srv/kubernetes/etcd.pem")));
    let config = fs::read_to_string(file(manager, &format!("{METAINFO}/config.json"))).unwrap();
    assert_eq!(config.matches("\"876000h\"").count(), 2, "{config}");
    call(bench, "rollback", &[&run]).with(5);
    assert_eq!(changed(&before, &bench.trees()), BTreeSet::new());
}

#[test]
fn sandbox_tos_manager_of_its_own_and_a_flannel_node() {
    let hosts = [&MASTERS[..3], &["jiujiu-manager", "jiujiu-tdh-21"]].concat();
    let bench = Bench::new();
    with_flannel_node(&bench);
    there_and_back(&bench, "with-flannel", &hosts, "jiujiu-manager");
    // The flannel node's pod and those of the masters, one after the other, and no other pod.
    let commands = bench.run_folder().join("sandbox/jiujiu-tdh-12/state/commands.log");
    let log = fs::read_to_string(commands).unwrap();
    let deleted: Vec<&str> = log.lines().filter(|line| line.contains(" delete pods ")).collect();
    assert_eq!(deleted.len(), 8, "four there, four back: {deleted:#?}");
    assert!(
        deleted.iter().all(|line| line.contains("flanneld-flannel-") && !line.contains("kube-dns")),
        "{deleted:#?}"
    );
}

#[test]
fn sandbox_tos_expired() {
    let bench = Bench::new();
    there_and_back(&bench, "expired", &MASTERS[..3], FIRST);
    let skipped = bench.keybook.units(|event| matches!(event, Event::UnitSkipped { .. }));
    for step in ["members", "one-leader", "healthy", "snapshot"] {
        assert!(skipped.contains(&format!("{step}@{FIRST}")), "{step}: {skipped:#?}");
    }
}

/// Of TDC flannel is none of this runbook's business, and without the manager's part its files stay.
#[test]
fn sandbox_tos_tdc_leaves_flannel_and_an_old_manager_alone() {
    let bench = Bench::new();
    let inputs = ["flavor=tdc", "tos_version=2.0.1", "tdc_version=2.3", "metainfo=false"];
    with_flannel_node(&bench);
    let before = begun(&bench, "with-flannel", &inputs);
    let run = bench.keybook.latest();
    call(&bench, "resume", &[&run]).with(0).says("The manager's database was not touched");
    let hosts = [&MASTERS[..3], &["jiujiu-manager"]].concat();
    let files = wanted(&hosts, "").into_iter().filter(|path| !path.contains("TOS")).collect::<BTreeSet<_>>();
    assert_eq!(changed(&before, &bench.trees()), files);
    let units = bench.keybook.units(|event| matches!(event, Event::UnitDone { .. }));
    assert!(!units.iter().any(|unit| unit.contains("flannel")), "{units:#?}");
}

/// What must not be renewed is left alone, and the reason is told.
#[test]
fn sandbox_tos_refuses() {
    for (inputs, why) in [
        (["tos_version=2.2.0", "flavor=tdh"].as_slice(), "TOS 2.2.0 is outside of 1.9.x to 2.1.x"),
        (&["tos_version=2.0.4", "flavor=tdc", "tdc_version=2.4"], "TDC 2.4 is not affected"),
        (&["tos_version=1.10.2"], "says neither TDH nor TDC: give flavor"),
        // What would only be found after the restarts.
        (&["metainfo=true", "tos_tag=tos-9.9"], "services/TOS/tos-9.9"),
        (&["parked=/opt/nowhere"], "there is no /opt/nowhere on"),
        (&["flannel=other-"], "no pod's name begins with other-, but there are flanneld-flannel-"),
    ] {
        let bench = Bench::new();
        let (runbook, inputs) =
            (bench.runbook(), inputs.iter().flat_map(|input| ["-e", *input]).collect::<Vec<_>>());
        let args = [&[&runbook, "--sandbox", "quick-one"], inputs.as_slice()].concat();
        call(&bench, "run", &args).with(1).says(why);
        let installed = bench.keybook.units(|event| matches!(event, Event::UnitDone { changed: true, .. }));
        assert!(installed.is_empty(), "{installed:#?}");
    }
}

/// A pod that somebody stopped before the run stays stopped, also when the run ends and when it is taken back.
#[test]
fn sandbox_tos_what_somebody_stopped_stays_stopped() {
    let bench = Bench::new();
    let path = "tos-etcd-ca/scenarios/three-masters.yaml";
    let all = fs::read_to_string(bench.path(path)).unwrap();
    let manifest = "  - hosts: master\n    path: /opt/kubernetes/manifests-multi/tos-etcd.manifest";
    assert!(all.contains(manifest));
    let stopped = "  - { hosts: jiujiu-tdh-12, path: /opt/kubernetes/tos-etcd.manifest, text: stopped }\n";
    let rest = manifest.replace("hosts: master", "hosts: [jiujiu-tdh-10, jiujiu-tdh-11]");
    let all = all
        .replace(manifest, &format!("{stopped}{rest}"))
        .replace("scenario: three-masters", "scenario: stopped");
    bench.write("tos-etcd-ca/scenarios/stopped.yaml", all);
    let runbook = bench.runbook();
    call(&bench, "run", &[&runbook, "--sandbox", "stopped"])
        .with(1)
        .says("on jiujiu-tdh-12 has no manifest of tos-etcd: somebody stopped it");
    let manifest = bench.on_host("jiujiu-tdh-12", "/opt/kubernetes/tos-etcd.manifest");
    assert_eq!(fs::read_to_string(&manifest).unwrap(), "stopped");
    call(&bench, "rollback", &[&bench.keybook.latest()]).with(5);
    assert_eq!(fs::read_to_string(&manifest).unwrap(), "stopped");
}

/// A node on which the replacing was left out has old files that fit each other, and the run does not end well.
#[test]
fn sandbox_tos_a_flannel_node_with_the_old_files_is_noticed() {
    let bench = Bench::new();
    with_flannel_node(&bench);
    let skip = GATES.replace("flannel-nodes/install@*: run", "flannel-nodes/install@*: { skip: later }");
    let answers = bench.write("skip.yaml", skip);
    let runbook = bench.runbook();
    let args = ["run", &runbook, "--sandbox", "with-flannel", "--unattended", "--answers", &answers];
    bench.keybook.call(args).with(1).says("jiujiu-tdh-21 does not have the new files in /srv/kubernetes");
}
