//! runbooks/kubeadm-ca-rotation: what its functions make of kubeadm's manifests. The whole of it has no sandbox yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::cli::{Keybook, root};
use std::fs;

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
