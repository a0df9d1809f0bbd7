//! runbooks/kubelet-rotation in its sandbox: rotation is turned on, an expired kubelet is healed, and both are taken back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::{
    cli::Keybook,
    sandbox::{Tree, arg, differences, openssl, trees},
};
use std::path::Path;

const RUNBOOK: &str = "runbooks/kubelet-rotation";
const ANSWERS: &str = "runbooks/kubelet-rotation/scenarios/answers.yaml";

/// A run to its end and back: what differs between the two.
fn there_and_back(scenario: &str) -> (Tree, Vec<String>) {
    there_and_back_with(scenario, |_| {})
}

fn there_and_back_with(scenario: &str, look: impl Fn(&Path)) -> (Tree, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let keybook = Keybook::new(folder.path());
    let args = ["run", RUNBOOK, "--sandbox", scenario, "--unattended", "--answers", ANSWERS];
    keybook.call(args).with(0);
    let run = keybook.latest();
    let place = keybook.runs().pop().unwrap();
    let done = trees(&place);
    look(&place);
    keybook.call(["rollback", &run, "--unattended", "--answers", ANSWERS]).with(5);
    keybook.call(["verify", &run]).with(0);
    let changed = differences(&done, &trees(&keybook.runs().pop().unwrap()));
    (done, changed)
}

#[test]
fn sandbox_kubelet_rotation_is_turned_on_and_taken_back() {
    let (done, changed) = there_and_back("without-rotation");
    for host in ["cp-1", "cp-2", "w-1"] {
        let config = format!("{host}:/var/lib/kubelet/config.yaml");
        assert!(changed.iter().any(|line| line.contains(&config)), "{config}: {changed:#?}");
        assert!(done.keys().any(|path| path.contains(&config)), "{config}");
    }
}

#[test]
fn sandbox_kubelet_rotation_that_is_on_changes_no_kubelet() {
    let (_, changed) = there_and_back("rotation-on");
    let of_kubelets: Vec<_> =
        changed.iter().filter(|line| line.contains("/var/lib/kubelet/config.yaml")).collect();
    assert!(of_kubelets.is_empty(), "{of_kubelets:#?}");
}

/// The token that healed it stands nowhere afterwards.
#[test]
fn sandbox_kubelet_rotation_heals_an_expired_kubelet() {
    let (done, _) = there_and_back_with("expired", |place| {
        let root = place.join("sandbox/w-1/root");
        let link = std::fs::read_link(root.join("var/lib/kubelet/pki/kubelet-client-current.pem")).unwrap();
        let pem = root.join(link.strip_prefix("/").unwrap());
        openssl(&["x509", "-noout", "-checkend", "86400", "-in", arg(&pem)]).unwrap();
    });
    let left: Vec<_> = done.keys().filter(|path| path.contains("bootstrap-kubelet")).collect();
    assert!(left.is_empty(), "{left:#?}");
}

/// A certificate of a few minutes is rotated by the kubelet itself.
#[test]
fn sandbox_kubelet_rotation_proves_it() {
    there_and_back("proof");
}
