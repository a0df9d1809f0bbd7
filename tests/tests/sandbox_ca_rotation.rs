//! runbooks/kubeadm-ca-rotation: what its functions make of kubeadm's manifests, and the whole of it in its sandbox.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::{
    cli::{Keybook, root},
    sandbox::{arg, assert_same, differences, openssl, trees},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

const RUNBOOK: &str = "runbooks/kubeadm-ca-rotation";
const ANSWERS: &str = "runbooks/kubeadm-ca-rotation/scenarios/answers.yaml";
const CONTROL_PLANES: [&str; 3] = ["cp-1", "cp-2", "cp-3"];
const CAS: [&str; 3] = ["ca", "front-proxy-ca", "etcd/ca"];

/// What each CA has signed, below the folder of certificates.
const LEAVES: [(&str, &str); 7] = [
    ("apiserver", "ca"),
    ("apiserver-kubelet-client", "ca"),
    ("front-proxy-client", "front-proxy-ca"),
    ("apiserver-etcd-client", "etcd/ca"),
    ("etcd/server", "etcd/ca"),
    ("etcd/peer", "etcd/ca"),
    ("etcd/healthcheck-client", "etcd/ca"),
];

const STEPS: &str = r#"keybook: 1
name: manifests
version: 0.1.0
requires: { keybook: ">=0.1", actions: [file] }
title: Carry out the edits of all phases
hosts: { node: { min: 1, help: one } }
steps:
  - id: edits
    title: Edit
    hosts: node
    script: |
      let path = "/m/kube-controller-manager.yaml";
      let before = act("file.read", #{ path: path }).text;
      let text = #{ "kube-controller-manager": before };
      let rotate = ["kubernetes", "front-proxy"];
      act("file.edit_yaml", #{ path: path, set: accepting(text, rotate, "/p")[0].set });
      let accepted = act("file.read", #{ path: path }).text;
      for flag in ["--client-ca-file=/p/ca-both.crt", "--root-ca-file=/p/ca-both.crt", "--requestheader-client-ca-file=/p/front-proxy-ca-both.crt", "--cluster-signing-cert-file=/p/ca.crt"] {
          if !accepted.contains(flag) { throw `accept-new: ${flag} is not there`; }
      }
      act("file.edit_yaml", #{ path: path, set: signing(text, "/p") });
      let signs = act("file.read", #{ path: path }).text;
      for flag in ["--cluster-signing-cert-file=/p/ca-new.crt", "--cluster-signing-key-file=/p/ca-new.key"] {
          if !signs.contains(flag) { throw `serve-new: ${flag} is not there`; }
      }
      act("file.edit_yaml", #{ path: path, set: dropping(text, rotate, "/p")[0].set });
      let after = act("file.read", #{ path: path }).text;
      if after != before { throw `drop-old: the manifest is not what it was: ${after}`; }
"#;

const SCENARIO: &str = r#"keybook: 1
scenario: default
title: One manifest
cluster: sandbox
hosts: { a: { address: 10.0.0.1 } }
groups: { node: [a] }
files:
  - hosts: node
    path: /m/kube-controller-manager.yaml
    text: |
      apiVersion: v1
      spec:
        containers:
        - command:
          - kube-controller-manager
          - --client-ca-file=/p/ca.crt
          - --cluster-signing-cert-file=/p/ca.crt
          - --cluster-signing-key-file=/p/ca.key
          - --requestheader-client-ca-file=/p/front-proxy-ca.crt
          - --root-ca-file=/p/ca.crt
          - --service-account-private-key-file=/p/sa.key
"#;

/// Also those by which the controller manager signs: the files that they name meanwhile are removed at the end.
#[test]
fn sandbox_ca_rotation_leaves_manifests_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let book = folder.path().join("manifests");
    fs::create_dir_all(book.join("scenarios")).unwrap();
    fs::write(book.join("runbook.yaml"), STEPS).unwrap();
    fs::write(book.join("scenarios/default.yaml"), SCENARIO).unwrap();
    fs::copy(root().join("runbooks/kubeadm-ca-rotation/hooks.rhai"), book.join("hooks.rhai")).unwrap();
    Keybook::new(folder.path()).call(["run", book.to_str().unwrap(), "--sandbox", "--unattended"]).with(0);
}

/// The phase that only looks, unattended; the run's id and its folder.
fn checked(keybook: &Keybook, scenario: &str, more: &[&str]) -> (String, PathBuf) {
    let mut args = vec!["run", RUNBOOK, "--sandbox", scenario, "--unattended", "--answers", ANSWERS];
    args.extend(["--until", "check"]);
    args.extend(more);
    keybook.call(args).with(0);
    (keybook.latest(), keybook.runs().pop().unwrap())
}

fn resume(keybook: &Keybook, run: &str, more: &[&str], code: i32) -> String {
    let mut args = vec!["resume", run, "--unattended", "--answers", ANSWERS];
    args.extend(more);
    let ended = keybook.call(args).with(code);
    format!("{}\n{}", ended.stdout, ended.stderr)
}

/// The path of a host's file on this machine.
fn on(place: &Path, host: &str, path: &str) -> PathBuf {
    place.join("sandbox").join(host).join("root").join(path)
}

fn pki(place: &Path, host: &str, name: &str) -> PathBuf {
    on(place, host, &format!("etc/kubernetes/pki/{name}.crt"))
}

/// The CAs of the first control plane, kept elsewhere under the same names.
fn keep(place: &Path, folder: &Path) -> PathBuf {
    let kept = folder.join("kept");
    fs::create_dir_all(kept.join("etcd")).unwrap();
    for ca in CAS {
        fs::copy(pki(place, "cp-1", ca), kept.join(format!("{ca}.crt"))).unwrap();
    }
    kept
}

fn verified(ca: &Path, cert: &Path) -> bool {
    openssl(&["verify", "-CAfile", arg(ca), arg(cert)]).is_ok()
}

/// What openssl makes of a value in a kubeconfig.
fn decoded(conf: &Path, key: &str, out: &Path) {
    let text = fs::read_to_string(conf).unwrap();
    let line = text.lines().find(|line| line.trim_start().starts_with(key)).unwrap();
    let data = line.split_once(": ").unwrap().1;
    let encoded = out.with_extension("b64");
    fs::write(&encoded, data).unwrap();
    openssl(&["base64", "-d", "-A", "-in", arg(&encoded), "-out", arg(out)]).unwrap();
}

/// Every leaf, every kubeconfig and every kubelet is of the new CAs, and the old ones verify none of them.
#[test]
fn sandbox_ca_rotation_of_all_cas() {
    let folder = tempfile::tempdir().unwrap();
    let keybook = Keybook::new(folder.path());
    let (run, place) = checked(&keybook, "default", &[]);
    let old = keep(&place, folder.path());
    resume(&keybook, &run, &[], 0);
    keybook.call(["verify", &run]).with(0);

    let pem = folder.path().join("from-conf.pem");
    for host in CONTROL_PLANES {
        for ca in CAS {
            assert_eq!(
                fs::read(pki(&place, host, ca)).unwrap(),
                fs::read(pki(&place, "cp-1", ca)).unwrap(),
                "{host} {ca}"
            );
        }
        for (leaf, ca) in LEAVES {
            let cert = pki(&place, host, leaf);
            assert!(verified(&pki(&place, host, ca), &cert), "{host} {leaf}: not of the new CA");
            assert!(!verified(&old.join(format!("{ca}.crt")), &cert), "{host} {leaf}: of the old CA");
        }
        for name in ["admin", "controller-manager", "scheduler"] {
            let conf = on(&place, host, &format!("etc/kubernetes/{name}.conf"));
            decoded(&conf, "certificate-authority-data", &pem);
            assert_eq!(fs::read(&pem).unwrap(), fs::read(pki(&place, host, "ca")).unwrap(), "{host} {name}");
            decoded(&conf, "client-certificate-data", &pem);
            assert!(verified(&pki(&place, host, "ca"), &pem), "{host} {name}.conf");
        }
    }
    for host in ["cp-1", "cp-2", "cp-3", "w-1"] {
        let ca = pki(&place, host, "ca");
        assert_eq!(fs::read(&ca).unwrap(), fs::read(pki(&place, "cp-1", "ca")).unwrap(), "{host}");
        assert!(verified(&ca, &on(&place, host, "var/lib/kubelet/pki/kubelet-client-current.pem")), "{host}");
    }
    assert!(verified(&pki(&place, "cp-1", "ca"), &on(&place, "cp-1", "sandbox/api/secret.crt")));
    let between: Vec<String> = trees(&place)
        .into_keys()
        .filter(|path| path.contains("-new.") || path.contains("-both.") || path.contains("bootstrap"))
        .collect();
    assert!(between.is_empty(), "{between:#?}");
}

/// Until all accept both, everything can be put back: every file is as it was.
#[test]
fn sandbox_ca_rotation_is_taken_back_after_its_first_phase() {
    let folder = tempfile::tempdir().unwrap();
    let keybook = Keybook::new(folder.path());
    let (run, place) = checked(&keybook, "default", &[]);
    let before = trees(&place);
    resume(&keybook, &run, &["--until", "accept-new"], 0);
    let both = trees(&place);
    let changed = differences(&before, &both);
    for path in [
        "cp-1:/etc/kubernetes/pki/ca-new.key",
        "cp-3:/etc/kubernetes/pki/etcd/ca-both.crt",
        "cp-2:/etc/kubernetes/manifests/etcd.yaml",
        "cp-2:/etc/kubernetes/admin.conf",
        "w-1:/var/lib/kubelet/config.yaml",
    ] {
        assert!(changed.iter().any(|line| line.contains(path)), "{path} is as it was: {changed:#?}");
    }
    let file = fs::read_to_string(pki(&place, "cp-3", "ca-both")).unwrap();
    assert_eq!(file.matches("BEGIN CERTIFICATE").count(), 2);
    keybook.call(["rollback", &run, "--unattended", "--answers", ANSWERS]).with(5);
    assert_same(&before, &trees(&place));
    keybook.call(["verify", &run]).with(0);
}

/// Behind the first certificate of a new CA a rollback is refused, and changes nothing.
#[test]
fn sandbox_ca_rotation_goes_only_forward_once_it_serves() {
    let folder = tempfile::tempdir().unwrap();
    let keybook = Keybook::new(folder.path());
    let (run, place) = checked(&keybook, "default", &[]);
    resume(&keybook, &run, &["--until", "serve-new"], 0);
    let served = trees(&place);
    keybook
        .call(["rollback", &run, "--unattended", "--answers", ANSWERS])
        .with(2)
        .says("a rollback would end at a point of no return");
    assert_same(&served, &trees(&place));
    resume(&keybook, &run, &[], 0);
}

/// What rests on the old CA alone is named, first in the API and then on the nodes, and nothing is dropped until it is mended.
#[test]
fn sandbox_ca_rotation_drops_nothing_that_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let keybook = Keybook::new(folder.path());
    let (run, place) = checked(&keybook, "leftover", &[]);
    let old = keep(&place, folder.path());
    let said = resume(&keybook, &run, &[], 1);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("these rest on the old CA alone: the caBundle of"), "{said}");
    assert!(said.contains("validatingwebhookconfiguration.admissionregistration.k8s.io/second"), "{said}");
    assert_eq!(fs::read(pki(&place, "cp-1", "ca")).unwrap(), fs::read(old.join("ca.crt")).unwrap());

    let mended = fs::read(on(&place, "cp-1", "sandbox/api/other-ca.crt")).unwrap();
    fs::write(on(&place, "cp-1", "sandbox/api/second-bundle.crt"), mended).unwrap();
    let said = resume(&keybook, &run, &[], 1);
    assert!(said.contains("leftovers-on-nodes@w-1") && said.contains("/root/.kube/config"), "{said}");
    assert_eq!(fs::read(pki(&place, "cp-1", "ca")).unwrap(), fs::read(old.join("ca.crt")).unwrap());

    fs::remove_file(on(&place, "w-1", "root/.kube/config")).unwrap();
    resume(&keybook, &run, &[], 0);
    assert!(!verified(&old.join("ca.crt"), &pki(&place, "cp-1", "apiserver")));
}

/// One CA alone, which kubelets and workloads do not know: the others and all that they signed stay.
#[test]
fn sandbox_ca_rotation_of_one_ca() {
    for (word, rotated) in [("front-proxy", "front-proxy-ca"), ("etcd", "etcd/ca")] {
        let folder = tempfile::tempdir().unwrap();
        let keybook = Keybook::new(folder.path());
        let rotate = format!("rotate={word}");
        let (run, place) = checked(&keybook, "default", &["-e", &rotate, "-e", "reissue="]);
        let old = keep(&place, folder.path());
        let before = trees(&place);
        resume(&keybook, &run, &[], 0);
        for (leaf, ca) in LEAVES {
            let cert = pki(&place, "cp-2", leaf);
            assert!(verified(&pki(&place, "cp-2", ca), &cert), "{word}: {leaf}");
            assert_eq!(verified(&old.join(format!("{ca}.crt")), &cert), ca != rotated, "{word}: {leaf}");
        }
        let strange: Vec<String> = differences(&before, &trees(&place))
            .into_iter()
            .filter(|line| line.contains("/kubelet") || line.contains(".conf ") || line.contains(" w-1:"))
            .collect();
        assert!(strange.is_empty(), "{word}: {strange:#?}");
    }
}

#[test]
fn sandbox_ca_rotation_speaks_chinese() {
    let folder = tempfile::tempdir().unwrap();
    let keybook = Keybook::new(folder.path());
    keybook.call(["validate", RUNBOOK]).with(0);
    let args = ["run", RUNBOOK, "--sandbox", "--unattended", "--lang", "zh"];
    keybook.call(args).with(3).says("是否生成新的 CA").says("检查要更换的 CA");
}
