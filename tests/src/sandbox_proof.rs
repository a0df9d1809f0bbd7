//! What a renewal in the sandbox must have left, by openssl and by the files themselves.

use crate::sandbox::{Bench, FIRST, Tree, arg, differences, openssl};
use std::{collections::BTreeSet, fs};

/// The three files are new, the same everywhere, and fit together; nothing else differs.
#[track_caller]
pub fn renewed(bench: &Bench, original: &Tree, masters: &[&str], at: &str) {
    let now = bench.trees();
    let changed: BTreeSet<&String> =
        now.iter().filter(|(path, what)| original.get(*path) != Some(*what)).map(|(path, _)| path).collect();
    let wanted: BTreeSet<String> = masters
        .iter()
        .flat_map(|host| {
            ["etcd-ca.pem", "etcd-key.pem", "etcd.pem"].map(|name| format!("{host}:/srv/kubernetes/{name}"))
        })
        .collect();
    assert_eq!(changed, wanted.iter().collect(), "{at}");
    assert_eq!(original.keys().collect::<Vec<_>>(), now.keys().collect::<Vec<_>>(), "{at}");
    let file = |host: &str, name: &str| bench.on_host(host, &format!("/srv/kubernetes/{name}"));
    let (ca, leaf) = (file(FIRST, "etcd-ca.pem"), file(FIRST, "etcd.pem"));
    openssl(&["verify", "-CAfile", arg(&ca), arg(&leaf)]).unwrap();
    openssl(&["x509", "-in", arg(&ca), "-noout", "-checkend", "3000000000"]).unwrap();
    for host in masters {
        for name in ["etcd-ca.pem", "etcd-key.pem", "etcd.pem"] {
            assert_eq!(fs::read(file(host, name)).unwrap(), fs::read(file(FIRST, name)).unwrap(), "{at}");
        }
    }
}

/// Takes the latest run back: it says so, and its hosts are as they were.
#[track_caller]
pub fn taken_back(bench: &Bench, original: &Tree, at: &str) {
    let ended = bench.roll_back();
    assert_eq!(ended.code, Some(5), "{at}\n{}\n{}", ended.stdout, ended.stderr);
    restored(bench, original, at);
}

/// Its hosts are as they were.
#[track_caller]
pub fn restored(bench: &Bench, original: &Tree, at: &str) {
    let left = differences(original, &bench.trees());
    assert!(left.is_empty(), "{at}: {left:#?}");
}
