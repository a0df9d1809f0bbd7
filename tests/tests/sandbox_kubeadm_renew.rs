//! runbooks/kubeadm-renew in its sandbox: to its end, and taken back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::{
    cli::Keybook,
    sandbox::{Tree, differences, trees},
};

const ANSWERS: &str = "runbooks/kubeadm-renew/scenarios/answers.yaml";

fn run(keybook: &Keybook, scenario: &str) -> Tree {
    let args = ["run", "runbooks/kubeadm-renew", "--sandbox", scenario, "--unattended", "--answers", ANSWERS];
    keybook.call(args).with(0);
    trees(&keybook.runs().pop().unwrap())
}

#[test]
fn sandbox_kubeadm_renew_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let keybook = Keybook::new(folder.path());
    let renewed = run(&keybook, "default");
    let run = keybook.latest();
    keybook.call(["rollback", &run, "--unattended", "--answers", ANSWERS]).with(5);
    let back = trees(&keybook.runs().pop().unwrap());
    let changed = differences(&renewed, &back);
    for path in [
        "/etc/kubernetes/pki/apiserver.crt",
        "/etc/kubernetes/pki/etcd/server.crt",
        "/etc/kubernetes/admin.conf",
    ] {
        assert!(changed.iter().any(|line| line.contains(path)), "{path} was not renewed: {changed:#?}");
    }
    keybook.call(["verify", &run]).with(0);
}

#[test]
fn sandbox_kubeadm_renew_of_expired_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let keybook = Keybook::new(folder.path());
    let renewed = run(&keybook, "expired");
    assert!(renewed.keys().any(|path| path.ends_with("/etc/kubernetes/pki/apiserver.crt")), "{renewed:?}");
}
