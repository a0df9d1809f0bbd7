//! What the mariadb client and the API stand-in's log say about a lab: the manager's database, and pods that were deleted.

use crate::lab::Lab;
use std::collections::BTreeMap;

/// The three files that the manager's database has rows of.
const ROWS: [&str; 3] = ["etcd-ca.pem", "etcd.pem", "etcd-key.pem"];

/// Asks the manager's database; each row's columns are separated by tabs.
#[track_caller]
fn ask(lab: &Lab, sql: &str) -> Vec<String> {
    let manager = &lab.settings["MANAGER"];
    let said = lab.node(manager, &["mysql", "-uroot", "-N", "-B", "transwarp_manager", "-e", sql]);
    said.lines().map(str::to_owned).collect()
}

/// A table of the manager's database: the bytes of each value, in hexadecimal digits, by key.
#[track_caller]
pub fn table(lab: &Lab, name: &str) -> BTreeMap<String, String> {
    let rows = ask(lab, &format!("SELECT `key`, HEX(value) FROM `{name}`"));
    rows.iter()
        .filter_map(|row| row.split_once('\t'))
        .map(|(key, hex)| (key.to_owned(), hex.to_owned()))
        .collect()
}

/// The names of all tables.
pub fn tables(lab: &Lab) -> Vec<String> {
    ask(lab, "SHOW TABLES")
}

/// The three rows are the manager's files, byte for byte but for the line feed at their end.
#[track_caller]
pub fn rows_are_the_files(lab: &Lab) {
    let rows = table(lab, "manager_info");
    for name in ROWS {
        let file = lab.node(&lab.settings["MANAGER"], &["cat", &format!("/srv/kubernetes/{name}")]);
        let bytes = file.strip_suffix('\n').expect("a line feed at the end");
        let hex: String = bytes.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(rows[name], hex, "the row of {name}");
    }
    assert_eq!(rows.len(), ROWS.len() + 1, "a row came or went");
}

/// Names of the pods that were deleted, in order, by what they begin with.
pub fn deleted(lab: &Lab, prefix: &str) -> Vec<String> {
    let mut all: Vec<(String, String)> = Vec::new();
    for name in &lab.masters {
        let log = lab.node(name, &["sh", "-c", "cat /var/log/api-standin.log 2>/dev/null || true"]);
        for line in log.lines() {
            let mut words = line.split(' ');
            let (at, pod) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
            all.push((at.to_owned(), pod.trim_start_matches("kube-system/").to_owned()));
        }
    }
    all.sort();
    all.into_iter().map(|(_, pod)| pod).filter(|pod| pod.starts_with(prefix)).collect()
}

/// Every node's flannel pod was deleted so many times, and no other pod was: above all not the DNS's, whose names have
/// flannel in them, too.
#[track_caller]
pub fn only_flannel_restarted(lab: &Lab, times: usize) {
    let nodes = lab.masters.len() + lab.names.iter().filter(|name| name.starts_with("flannel-")).count();
    assert_eq!(deleted(lab, "flanneld-flannel-").len(), nodes * times, "{:?}", deleted(lab, ""));
    assert_eq!(deleted(lab, "").len(), nodes * times, "{:?}", deleted(lab, ""));
    let pods = lab.node(&lab.masters[0], &["kubectl", "get", "po", "-n", "kube-system", "-o", "name"]);
    let count = |prefix: &str| pods.lines().filter(|line| line.starts_with(prefix)).count();
    assert_eq!((count("pod/flanneld-flannel-"), count("pod/kube-dns-flannel-")), (nodes, nodes), "{pods}");
}
