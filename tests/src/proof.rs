//! What openssl, cfssl and etcdctl say about a lab: the proof of a renewal and of its rollback, independent of the program.

use crate::lab::{Lab, run, said};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The three files of etcd's TLS.
const FILES: [&str; 3] = ["etcd-ca.pem", "etcd.pem", "etcd-key.pem"];

/// Copies of a CA certificate, a client certificate and its key, outside the nodes.
pub struct Trio(PathBuf);

impl Trio {
    /// Those that the lab was made with.
    pub fn first(lab: &Lab) -> Self {
        Self(lab.dir().join("client"))
    }

    /// Those that a node has now.
    pub fn of(lab: &Lab, name: &str) -> Self {
        let folder = lab.scratch().join(format!("now-on-{name}"));
        fs::create_dir_all(&folder).expect("the test's folder is writable");
        for file in FILES {
            let text = lab.node(name, &["cat", &format!("/srv/kubernetes/{file}")]);
            fs::write(folder.join(file), text).expect("the test's folder is writable");
        }
        Self(folder)
    }

    fn ca(&self) -> PathBuf {
        self.0.join(FILES[0])
    }

    fn cert(&self) -> PathBuf {
        self.0.join(FILES[1])
    }

    fn key(&self) -> PathBuf {
        self.0.join(FILES[2])
    }

    /// The SHA-256 fingerprint of the client certificate.
    pub fn fingerprint(&self) -> String {
        x509(&self.cert(), &["-fingerprint", "-sha256"])
    }

    /// The CA certificate as PEM.
    pub fn ca_text(&self) -> String {
        fs::read_to_string(self.ca()).expect("a copy")
    }

    fn texts(&self) -> Vec<String> {
        FILES.iter().map(|file| fs::read_to_string(self.0.join(file)).expect("a copy")).collect()
    }
}

fn x509(cert: &Path, what: &[&str]) -> String {
    run(Command::new("openssl").args(["x509", "-noout", "-in"]).arg(cert).args(what)).trim().to_owned()
}

fn seconds(date: &str) -> i64 {
    let date = date.split_once('=').map_or(date, |(_, date)| date);
    run(Command::new("date").args(["+%s", "-d", date])).trim().parse().expect("seconds")
}

/// The certificate that a master serves: s_client verifies it with one CA and shows one client certificate.
#[track_caller]
pub fn served(address: &str, ca: &Trio, client: &Trio) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-verify_return_error", "-connect", &format!("{address}:4001"), "-CAfile"])
        .arg(ca.ca())
        .arg("-cert")
        .arg(client.cert())
        .arg("-key")
        .arg(client.key())
        .stdin(Stdio::null())
        .output()
        .expect("openssl starts");
    let text = said(&output);
    assert!(output.status.success() && text.contains("Verify return code: 0 (ok)"), "{address}: {text}");
    let begin = text.find("-----BEGIN CERTIFICATE-----").expect("the served certificate");
    let end = text.find("-----END CERTIFICATE-----").expect("the served certificate");
    let file = client.0.join(format!("served-by-{address}.pem"));
    fs::write(&file, format!("{}-----END CERTIFICATE-----\n", &text[begin..end])).expect("a writable folder");
    x509(&file, &["-fingerprint", "-sha256"])
}

/// Runs etcdctl outside the nodes against every master, with these certificates.
#[track_caller]
pub fn etcdctl(lab: &Lab, trio: &Trio, command: &[&str]) -> String {
    run(Command::new("etcdctl")
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", &lab.settings["ENDPOINTS"], "--dial-timeout", "2s", "--command-timeout", "5s"])
        .arg("--cacert")
        .arg(trio.ca())
        .arg("--cert")
        .arg(trio.cert())
        .arg("--key")
        .arg(trio.key())
        .args(command))
}

/// Every member is healthy and agrees on one leader.
#[track_caller]
pub fn one_healthy_cluster(lab: &Lab, trio: &Trio) {
    etcdctl(lab, trio, &["endpoint", "health"]);
    let status: Value =
        serde_json::from_str(&etcdctl(lab, trio, &["endpoint", "status", "-w", "json"])).expect("JSON");
    let members = status.as_array().expect("a list");
    assert_eq!(members.len(), lab.masters.len());
    let leaders: BTreeSet<String> =
        members.iter().map(|member| member["Status"]["leader"].to_string()).collect();
    assert_eq!(leaders.len(), 1, "{status}");
}

#[track_caller]
fn verifies(ca: &Trio, leaf: &Trio) {
    run(Command::new("openssl").args(["verify", "-CAfile"]).arg(ca.ca()).arg(leaf.cert()));
}

fn certinfo(cert: &Path) -> Value {
    serde_json::from_str(&run(Command::new("cfssl").args(["certinfo", "-cert"]).arg(cert))).expect("JSON")
}

/// What a lab was like before a run.
pub struct Before {
    files: BTreeMap<String, String>,
    containers: BTreeMap<String, BTreeMap<String, String>>,
}

impl Before {
    /// Looks at a lab.
    pub fn of(lab: &Lab) -> Self {
        let containers = lab.masters.iter().map(|name| (name.clone(), lab.containers(name))).collect();
        Self { files: lab.files(), containers }
    }

    /// Every file of every node is byte-, mode- and owner-identical with what was there.
    #[track_caller]
    pub fn same_files(&self, lab: &Lab) {
        let now = lab.files();
        for (name, before) in &self.files {
            let master = lab.masters.contains(name);
            assert!(before.contains("known_tokens.csv f 640 0 4") || !master, "{before}");
            assert!(before.contains("ca.pem l 777 0 0 etcd-ca.pem") || !master, "{before}");
            assert_eq!(*before, now[name], "the files of {name}");
        }
    }

    /// Every pod of every master runs, as another process than before.
    #[track_caller]
    pub fn all_restarted(&self, lab: &Lab) {
        for (name, before) in &self.containers {
            let now = lab.containers(name);
            assert_eq!(before.keys().collect::<Vec<_>>(), ["tos-apiserver-tos", "tos-etcd-tos"]);
            assert_eq!(before.keys().collect::<Vec<_>>(), now.keys().collect::<Vec<_>>(), "{name}");
            assert!(before.iter().all(|(pod, id)| now[pod] != *id), "{name}: {before:?} {now:?}");
        }
    }

    /// No pod was restarted and no file changed.
    #[track_caller]
    pub fn untouched(&self, lab: &Lab) {
        self.same_files(lab);
        let now: BTreeMap<_, _> =
            lab.masters.iter().map(|name| (name.clone(), lab.containers(name))).collect();
        assert_eq!(self.containers, now);
    }

    /// The renewal is complete on every node and all tools agree on it.
    #[track_caller]
    pub fn renewed(&self, lab: &Lab) {
        let (old, new) = (Trio::first(lab), Trio::of(lab, &lab.masters[0]));
        for name in &lab.names {
            assert!(Trio::of(lab, name).texts() == new.texts(), "{name} has other files");
        }
        only_contents_changed(&self.files, &lab.files(), &lab.settings["MANAGER"]);
        metainfo_renewed(lab, &new);
        ca_renewed(&old, &new);
        leaf_renewed(&old, &new);
        as_cfssl_makes_it(lab, &new);
        self.all_restarted(lab);
        for name in &lab.masters {
            let written = lab.node(name, &["stat", "-c", "%.9Y", "/srv/kubernetes/etcd.pem"]);
            let written: f64 = written.trim().parse().expect("seconds");
            assert!(
                lab.started(name, "tos-etcd-tos") > written,
                "{name}: etcd is older than its certificate"
            );
            for client in [&old, &new] {
                assert_eq!(served(&lab.address(name), &new, client), new.fingerprint(), "{name} serves");
            }
        }
        for client in [&old, &new] {
            one_healthy_cluster(lab, client);
        }
        not_locked(lab);
    }

    /// Everything is as before, and etcd serves the old certificate, as a new process.
    #[track_caller]
    pub fn restored(&self, lab: &Lab) {
        self.same_files(lab);
        let old = Trio::first(lab);
        for name in &lab.masters {
            assert_eq!(served(&lab.address(name), &old, &old), old.fingerprint(), "{name} serves");
        }
        one_healthy_cluster(lab, &old);
        not_locked(lab);
    }
}

/// No node holds the cluster's lock record any more.
#[track_caller]
fn not_locked(lab: &Lab) {
    for name in &lab.names {
        let left = lab.node(name, &["sh", "-c", "ls -A /var/lib/keybook 2>/dev/null | grep lock || true"]);
        assert_eq!(left, "", "{name} is still locked");
    }
}

/// The folder from which the manager issues certificates.
const METAINFO: &str =
    "/var/lib/transwarp-manager/master/content/meta/services/TOS/manager-7.0.1910a-final/templates/gencerts";

/// The manager's folder has the new CA, and its configuration says nothing else than it said but for the expiry.
#[track_caller]
fn metainfo_renewed(lab: &Lab, new: &Trio) {
    let read = |name: &str| lab.node(&lab.settings["MANAGER"], &["cat", &format!("{METAINFO}/{name}")]);
    assert_eq!(read("etcd-ca.pem"), new.ca_text());
    let first = fs::read_to_string(lab.dir().join("gencerts/config.json")).expect("the lab's own copy");
    assert!(first.contains("\"87600h\""), "{first}");
    assert_eq!(read("config.json"), first.replace("\"87600h\"", "\"876000h\""));
}

/// Of every node's files only the bytes of the three certificates, and of the manager's metainfo folder of two files, differ:
/// no mode, owner, link or path does, nothing is left over.
#[track_caller]
fn only_contents_changed(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>, manager: &str) {
    for (name, before) in before {
        let before: BTreeSet<&str> = before.lines().collect();
        let now: BTreeSet<&str> = now[name].lines().collect();
        let differing: BTreeSet<&str> = before.symmetric_difference(&now).copied().collect();
        let mut changed: Vec<String> = FILES.iter().map(|file| format!("  /srv/kubernetes/{file}")).collect();
        if name == manager {
            changed.extend(["etcd-ca.pem", "config.json"].map(|file| format!("  {METAINFO}/{file}")));
        }
        let expected = |line: &&str| changed.iter().any(|end| line.ends_with(end));
        assert_eq!(differing.len(), 2 * changed.len(), "{name}: {differing:#?}");
        assert!(differing.iter().all(expected), "{name}: {differing:#?}");
    }
}

/// The new CA is the old one with a later end.
#[track_caller]
fn ca_renewed(old: &Trio, new: &Trio) {
    for what in [
        ["-serial"].as_slice(),
        &["-subject"],
        &["-startdate"],
        &["-pubkey"],
        &["-ext", "subjectKeyIdentifier,basicConstraints,keyUsage"],
    ] {
        assert_eq!(x509(&old.ca(), what), x509(&new.ca(), what), "{what:?} of the CA");
    }
    let days = (seconds(&x509(&new.ca(), &["-enddate"])) - seconds(&run(&mut Command::new("date")))) / 86_400;
    assert!((36_490..=36_500).contains(&days), "the new CA ends in {days} days");
    agrees(&new.ca());
}

/// The new leaf has a new key and the old names, and verifies with both CAs, as the old leaf does.
#[track_caller]
fn leaf_renewed(old: &Trio, new: &Trio) {
    for (ca, leaf) in [(old, old), (old, new), (new, old), (new, new)] {
        verifies(ca, leaf);
    }
    assert_ne!(x509(&old.cert(), &["-pubkey"]), x509(&new.cert(), &["-pubkey"]), "the leaf has its old key");
    let public = run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(new.key()));
    assert_eq!(x509(&new.cert(), &["-pubkey"]), public.trim(), "the key does not belong to the leaf");
    let names = |info: &Value| -> BTreeSet<String> {
        info["sans"].as_array().expect("names").iter().map(ToString::to_string).collect()
    };
    let (before, now) = (certinfo(&old.cert()), agrees(&new.cert()));
    assert!(names(&now).is_superset(&names(&before)), "{now}");
    assert_eq!(before["subject"]["common_name"], now["subject"]["common_name"]);
    assert_ne!(before["serial_number"], now["serial_number"]);
    let days =
        (seconds(&x509(&new.cert(), &["-enddate"])) - seconds(&run(&mut Command::new("date")))) / 86_400;
    assert!((3_640..=3_650).contains(&days), "the new leaf ends in {days} days");
}

/// The new leaf is what cfssl makes of the vendor's files with the same names: all but what differs between any two
/// certificates.
#[track_caller]
fn as_cfssl_makes_it(lab: &Lab, new: &Trio) {
    let vendor = lab.dir().join("gencerts");
    let info = certinfo(&new.cert());
    let names: Vec<&str> = info["sans"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    let made = run(Command::new("cfssl")
        .args(["gencert", "-profile=etcd", &format!("-hostname={}", names.join(","))])
        .arg(format!("-ca={}", new.ca().display()))
        .arg(format!("-ca-key={}", vendor.join("etcd-ca-key.pem").display()))
        .arg(format!("-config={}", vendor.join("config.json").display()))
        .arg(vendor.join("kubernetes-csr.json")));
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let theirs = new.0.join("by-cfssl.pem");
    fs::write(&theirs, made["cert"].as_str().expect("a certificate")).expect("a writable folder");
    let length = |cert: &Path| seconds(&x509(cert, &["-enddate"])) - seconds(&x509(cert, &["-startdate"]));
    assert_eq!(length(&theirs), length(&new.cert()), "seconds of validity");
    let other = certinfo(&theirs);
    for field in ["subject", "issuer", "sans", "sigalg", "authority_key_id"] {
        assert_eq!(info[field], other[field], "{field}");
    }
    for what in [
        ["-subject", "-nameopt", "RFC2253,show_type"].as_slice(),
        &["-ext", "keyUsage,extendedKeyUsage,basicConstraints,subjectAltName"],
    ] {
        assert_eq!(x509(&new.cert(), what), x509(&theirs, what), "{what:?}");
    }
    let key = |cert: &Path| {
        x509(cert, &["-text"]).lines().find(|line| line.contains("Public-Key:")).map(str::to_owned)
    };
    assert_eq!(key(&new.cert()), key(&theirs));
    let kind = |pem: &str| pem.lines().next().map(str::to_owned);
    assert_eq!(kind(&new.texts()[2]), kind(made["key"].as_str().expect("a key")));
}

/// What cfssl says of a certificate; its dates are those that openssl says.
#[track_caller]
fn agrees(cert: &Path) -> Value {
    let info = certinfo(cert);
    for (name, date) in [("not_before", "-startdate"), ("not_after", "-enddate")] {
        let cfssl = seconds(info[name].as_str().expect("a date"));
        assert_eq!(cfssl, seconds(&x509(cert, &[date])), "{name} of {}", cert.display());
    }
    info
}
