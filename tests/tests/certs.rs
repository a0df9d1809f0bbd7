//! `keybook certs`: on this machine, over ssh, on a real cluster; compared with openssl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::{
    cli::Ended,
    lab::{Lab, run},
    sandbox::Bench,
    sshd::{Sshd, free_port},
};
use serde_json::Value;
use std::{fs, path::Path, process::Command};

/// Makes a self-signed certificate with its key in one file, as kubelet keeps it.
fn certificate(file: &Path, name: &str, days: &str) {
    let key = file.with_extension("key");
    run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            days,
        ])
        .args(["-subj", &format!("/CN={name}"), "-addext", "subjectAltName=DNS:node"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(file));
    let both = [file, &key].map(|part| fs::read_to_string(part).unwrap());
    fs::write(file, both.concat()).unwrap();
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
}

fn subjects(listing: &Value) -> Vec<&str> {
    listing["certificates"].as_array().unwrap().iter().map(|one| one["subject"].as_str().unwrap()).collect()
}

#[test]
fn certificates_of_this_machine_are_listed_by_urgency() {
    let bench = Bench::new();
    let folder = bench.path("pki");
    fs::create_dir_all(&folder).unwrap();
    certificate(&folder.join("late.pem"), "late", "300");
    certificate(&folder.join("soon.pem"), "soon", "3");
    let pki = folder.to_str().unwrap();
    let listed = bench.keybook.call(["certs", pki]).with(0).says("2 certificates, 1 more within 30 days");
    assert!(
        listed.stdout.find("CN=soon").unwrap() < listed.stdout.find("CN=late").unwrap(),
        "{}",
        listed.stdout
    );
    assert!(!listed.stdout.contains("PRIVATE"));

    for (within, code) in [("1d", 0), ("5d", 10), ("0s", 0)] {
        bench.keybook.call(["certs", pki, "--within", within, "-q"]).with(code);
    }
    let soon = folder.join("soon.pem");
    bench.keybook.call(["certs", pki, "--within", "5d", "--exclude", soon.to_str().unwrap()]).with(0);

    // What cannot be read comes before what ends: nobody may take it for well.
    fs::write(folder.join("bad.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let told = bench.keybook.call(["certs", pki, "--within", "5d", "--format", "json"]).with(1);
    let listing = json(&told);
    assert_eq!(subjects(&listing), ["CN=soon", "CN=late"]);
    assert!(listing["unread"][0]["problem"].as_str().unwrap().contains("bad.pem"));
    let metrics = bench.keybook.call(["certs", pki, "--format", "prometheus"]).with(1);
    assert!(metrics.stdout.contains("keybook_certificates_unread{host=\"local\"} 1\n"), "{}", metrics.stdout);
}

#[test]
fn certs_says_what_is_wrong() {
    let bench = Bench::new();
    let empty = bench.path("empty");
    fs::create_dir_all(&empty).unwrap();
    let inventory = bench.write(
        "inventory.yaml",
        "keybook: 1\ncluster: c\nhosts:\n  a: { local: true }\ngroups: { g: [a] }\n",
    );
    let call = |args: &[&str]| bench.keybook.call([&["certs"], args].concat());
    call(&[empty.to_str().unwrap()]).with(1).says("there is none in");
    call(&["/nowhere/at/all"])
        .with(1)
        .says("could not look for certificates in /nowhere/at/all")
        .says("it is on no host");
    call(&["pki", "-i", &inventory]).with(2).says("`pki` is no absolute path");
    call(&["-i", &inventory, "--limit", "b"]).with(2).says("`b` is no host of").says("it has a");
    call(&["--within", "soon"]).with(2).says("soon");
    call(&["--format", "html"]).with(2).says("--format takes here: human, json, prometheus");
}

#[test]
fn certificates_of_hosts_are_listed_when_one_is_down() {
    let bench = Bench::new();
    let live = Sshd::start();
    let known = bench.write("known_hosts", live.known_line(&live));
    let closed = free_port();
    let folder = bench.path("pki");
    fs::create_dir_all(&folder).unwrap();
    certificate(&folder.join("a.pem"), "a", "3");
    let inventory = format!(
        "keybook: 1\ncluster: c\nhosts:\n  live: {}\n  dead: {{ address: 127.0.0.1, port: {closed}, user: root, known_hosts: [{known}] }}\n\
         groups: {{ node: [live, dead] }}\n",
        live.host("user", &known)
    );
    let inventory = bench.write("inventory.yaml", inventory);
    let pki = folder.to_str().unwrap();
    let told =
        bench.keybook.call(["certs", pki, "-i", &inventory, "--within", "5d", "--format", "json"]).with(4);
    let listing = json(&told);
    assert_eq!(subjects(&listing), ["CN=a"]);
    assert_eq!(
        (&listing["certificates"][0]["host"], &listing["unread"][0]["host"]),
        (&"live".into(), &"dead".into())
    );
    assert!(told.stderr.contains("refused the connection"), "{}", told.stderr);
    bench.keybook.call(["certs", pki, "-i", &inventory, "--within", "5d", "--limit", "live"]).with(10);
}

/// On real nodes: each certificate file that openssl can read is listed with the date that openssl tells, and what etcd serves is seen.
#[test]
fn lab_certificates_of_a_cluster_agree_with_openssl() {
    let lab = Lab::up(109, &["--nodes", "3"]);
    let bench = Bench::new();
    let inventory = lab.inventory();
    let inventory = inventory.to_str().unwrap();
    let listing = json(&bench.keybook.call(["certs", "-i", inventory, "--format", "json"]).with(0));
    let listed = listing["certificates"].as_array().unwrap();
    for name in &lab.masters {
        let script = "for file in /srv/kubernetes/*.pem; do openssl x509 -in \"$file\" -noout -serial -enddate -dateopt iso_8601 2>/dev/null \
                      | tr '\\n' ' ' && [ \"$(openssl x509 -in \"$file\" -noout 2>&1)\" = '' ] && echo \"$file\"; done; true";
        let told = lab.node(name, &["sh", "-c", script]);
        let lines: Vec<&str> = told.lines().filter(|line| !line.trim().is_empty()).collect();
        assert!(lines.len() >= 2, "{told}");
        for line in lines {
            let (dates, file) = line.rsplit_once(' ').unwrap();
            let is = |one: &&Value| {
                let links = one["links"].as_array().unwrap();
                one["host"] == name.as_str() && (one["path"] == file || links.iter().any(|link| link == file))
            };
            let own = listed.iter().find(is);
            let own = own.unwrap_or_else(|| panic!("{file} of {name} is not listed"));
            let end = own["not_after_time"].as_str().unwrap().replace('T', " ");
            assert!(dates.contains(&format!("notAfter={end}")), "{line}: {end}");
            let serial = dates.split("serial=").nth(1).unwrap().split(' ').next().unwrap();
            let own_serial: u128 = own["serial"].as_str().unwrap().parse().unwrap_or_default();
            assert!(own_serial == 0 || u128::from_str_radix(serial, 16).unwrap() == own_serial, "{line}");
        }
        let etcd = listed
            .iter()
            .find(|one| one["host"] == name.as_str() && one["path"] == "/srv/kubernetes/etcd.pem");
        assert_eq!(etcd.unwrap()["loaded"]["is"], "served", "{name}: {etcd:?}");
    }
}
