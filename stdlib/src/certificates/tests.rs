//! On the real POSIX target of this machine, with openssl and etcd.

use super::*;
use crate::testing::{Bench, EtcdMember, Issue, ca, leaf};
use base64::{Engine, engine::general_purpose::STANDARD};
use keybook_targets::{LocalShell, posix::PosixTarget};
use std::{
    os::unix::fs::symlink,
    process::{Child, Stdio},
};

async fn listed(bench: &Bench, paths: &[&str], exclude: &[&str], ports: &[u16]) -> HostListing {
    let target =
        PosixTarget::identify(LocalShell::new("here"), String::new(), false, "local".into(), String::new());
    let target = target.await.unwrap();
    let own = |paths: &[&str]| paths.iter().map(|path| bench.path(path)).collect();
    let search = Search { paths: own(paths), exclude: own(exclude), ports: ports.to_vec(), unfiled: true };
    let mut listing = list(&target, &search, &Cancel::new()).await.unwrap();
    listing.certificates.sort_by(|a, b| (&a.path, &a.entry, a.index).cmp(&(&b.path, &b.entry, b.index)));
    listing
}

fn names(bench: &Bench, listing: &HostListing) -> Vec<String> {
    let short =
        |path: &str| path.strip_prefix(&bench.path("")).unwrap_or(path).trim_start_matches('/').to_owned();
    let name = |one: &FoundCertificate| {
        let path = one.path.as_deref().map_or_else(|| "-".to_owned(), short);
        format!("{path} {} {}", one.entry.as_deref().unwrap_or("-"), one.index)
    };
    listing.certificates.iter().map(name).collect()
}

#[tokio::test]
async fn every_form_of_certificate_is_found_below_a_folder() {
    let bench = Bench::new();
    let root = ca(&bench, "pki/ca", &Issue { cn: "root", ..Issue::default() });
    leaf(&bench, &root, "pki/leaf", &Issue { cn: "leaf", ..Issue::default() });
    let (ca_text, leaf_text) = (bench.read("pki/ca.pem"), bench.read("pki/leaf.pem"));
    // As kubelet keeps it: key and certificate in one file, and a link that leads to it.
    bench.file("pki/kubelet-1.pem", format!("{}{leaf_text}", bench.read("pki/leaf-key.pem")));
    symlink(bench.path("pki/kubelet-1.pem"), bench.path("pki/kubelet-current.pem")).unwrap();
    bench.file(
        "pki/deep/er/bundle.txt",
        format!("some words\r\n{}\r\n{ca_text}", leaf_text.replace('\n', "\r\n")),
    );
    bench.file(
        "manifest.yaml",
        format!("data:\n  ca.crt: |\n    {}\n", ca_text.trim().replace('\n', "\n    ")),
    );
    let coded = STANDARD.encode(format!("{ca_text}{leaf_text}"));
    let config = format!(
        "kind: Config\nclusters:\n- name: k\n  cluster: {{certificate-authority-data: {coded}}}\nusers:\n\
- name: me\n  user: {{client-certificate-data: {}}}\n",
        STANDARD.encode(&leaf_text)
    );
    bench.file("admin.conf", config);
    bench.file("it's odd = $(x).crt", Certificate::one(leaf_text.as_bytes()).unwrap().der());
    bench.file("talk.md", "certificate-authority-data is a word, -----BEGIN CERTIFICATE----- too\n");
    bench.file("old/ca.pem", &ca_text);

    let listing = listed(&bench, &[""], &["old"], &[]).await;
    let expected = [
        "admin.conf cluster k 0",
        "admin.conf cluster k 1",
        "admin.conf user me 2",
        "it's odd = $(x).crt - 0",
        "manifest.yaml - 0",
        "pki/ca.pem - 0",
        "pki/deep/er/bundle.txt - 0",
        "pki/deep/er/bundle.txt - 1",
        "pki/kubelet-1.pem - 0",
        "pki/leaf.pem - 0",
    ];
    assert_eq!(names(&bench, &listing), expected);
    assert_eq!(listing.problems, [] as [String; 0]);
    let kubelet = &listing.certificates[8];
    assert_eq!(kubelet.links, [bench.path("pki/kubelet-current.pem")]);
    assert_eq!((kubelet.subject.as_str(), kubelet.is_ca), ("CN=leaf,O=Keybook", false));
    assert_eq!(kubelet.sans, ["DNS:localhost", "IP:127.0.0.1"]);
    let odd = Certificate::one(&std::fs::read(bench.path("it's odd = $(x).crt")).unwrap()).unwrap();
    assert_eq!(listing.certificates[3].sha256, odd.sha256());
}

#[tokio::test]
async fn a_private_key_never_leaves_its_file() {
    let bench = Bench::new();
    let root = ca(&bench, "ca", &Issue::default());
    let (_, key) = leaf(&bench, &root, "leaf", &Issue::default());
    let key = key.to_pem(keybook_pki::KeyForm::Pkcs8).unwrap();
    let key = key.expose_str().unwrap();
    // A certificate that is cut off, and a key right behind it.
    let cut: Vec<String> = bench.read("leaf.pem").lines().take(4).map(str::to_owned).collect();
    bench.file("cut.pem", format!("{}\n{key}", cut.join("\n")));
    let out = std::process::Command::new("/bin/sh")
        .args(["-c", FIND, "sh", "1", &bench.path("")])
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("F ") && !text.contains("PRIVATE"), "{text}");
    // The rest of a P-256 key is its public half, which the certificate holds as well (RFC 5915).
    for line in key.lines().filter(|line| !line.starts_with('-')).take(2) {
        assert!(!text.contains(line), "{line}");
    }
    let listing = listed(&bench, &["cut.pem"], &[], &[]).await;
    assert_eq!(listing.certificates, []);
    assert!(listing.problems[0].contains("cut.pem: certificate 1 cannot be read"), "{:?}", listing.problems);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_the_rest_is_listed() {
    let bench = Bench::new();
    ca(&bench, "ca", &Issue::default());
    let good = bench.read("ca.pem");
    bench.file("two.pem", format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{good}"));
    bench.file(
        "bad.conf",
        "kind: Config\nclusters:\n- {name: a, cluster: {certificate-authority-data: '*'}}\nusers: []\n",
    );
    bench.file("bad.der", "0 this is no certificate");
    symlink(bench.path("nowhere"), bench.path("dangling.pem")).unwrap();
    let listing = listed(&bench, &["", "none/at/all"], &[], &[]).await;
    assert_eq!(names(&bench, &listing), ["ca.pem - 0", "two.pem - 1"]);
    assert_eq!(listing.missing, [bench.path("none/at/all")]);
    let told = listing.problems.join("\n");
    for part in [
        "two.pem: certificate 1 cannot be read",
        "bad.conf: the certificate-authority-data",
        "bad.der: certificate 1",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.contains("dangling.pem is a link that leads nowhere"), "{told}");
    assert_eq!(listing.problems.len(), 4);
}

#[tokio::test]
async fn what_is_passed_over_is_told() {
    let bench = Bench::new();
    ca(&bench, "ca", &Issue::default());
    let good = bench.read("ca.pem");
    bench.file("elsewhere/deep/ca.pem", &good);
    bench.file("pki/ca.pem", &good);
    symlink(bench.path("elsewhere"), bench.path("pki/linked")).unwrap();
    let large = format!("{good}{}", " \n".repeat(1 << 21));
    bench.file("large.pem", &large);
    symlink(bench.path("large.pem"), bench.path("pki/large.pem")).unwrap();
    bench.file("pki/broken.conf", "clusters: [\nusers:\n- client-certificate-data: AAAA\n");
    bench.file("pki/out/bad.pem", "-----BEGIN CERTIFICATE-----\n");
    let listing = listed(&bench, &["pki", "large.pem"], &["pki/out"], &[]).await;
    assert_eq!(names(&bench, &listing), ["pki/ca.pem - 0"]);
    let told = listing.problems.join("\n");
    for part in [
        "pki/linked is a link to a folder",
        "large.pem is larger than 2 MiB",
        "broken.conf: it has certificates",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(listing.problems.len(), 3, "{told}");
}

/// Who may not read one file still sees those behind it.
#[test]
fn an_unreadable_file_hides_no_other() {
    let bench = Bench::new();
    ca(&bench, "ca", &Issue::default());
    for name in ["1.pem", "2.pem", "3.pem"] {
        bench.file(&format!("pki/{name}"), bench.read("ca.pem"));
    }
    bench.chmod("pki/2.pem", 0o600);
    for folder in ["", "pki"] {
        bench.chmod(folder, 0o755);
    }
    let script = "exec setpriv --reuid 65534 --regid 65534 --clear-groups /bin/sh -c \"$1\" sh 1 \"$2\"";
    let command = ["-c", script, "sh", FIND, &bench.path("pki")];
    let out = std::process::Command::new("/bin/sh").args(command).output().unwrap();
    let answer = Answer::read(&String::from_utf8(out.stdout).unwrap());
    let files: Vec<String> = answer.pem.iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(files, [bench.path("pki/1.pem"), bench.path("pki/3.pem")]);
    assert_eq!(answer.errors, [format!("{} cannot be read", bench.path("pki/2.pem"))]);
}

/// `openssl s_server`, which reads its files once; ended on drop. (etcd reads them for each connection.)
struct Server(Child, u16);

impl Server {
    async fn start(bench: &Bench) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = std::process::Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &port.to_string()])
            .args(["-cert", &bench.path("leaf.pem"), "-key", &bench.path("leaf-key.pem")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self(child, port);
        for _ in 0..400 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return server;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("openssl s_server did not listen");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_server_that_runs_with_an_old_file_is_seen() {
    let bench = Bench::new();
    let root = ca(&bench, "ca", &Issue::default());
    let (own, _) = leaf(&bench, &root, "leaf", &Issue { cn: "server", ..Issue::default() });
    leaf(&bench, &root, "other", &Issue { cn: "other", ..Issue::default() });
    let server = Server::start(&bench).await;
    let port = server.1;
    let of = |listing: &HostListing, name: &str| {
        let mut all = listing.certificates.iter();
        let found = all.find(|one| one.path.as_deref() == Some(bench.path(name).as_str()));
        found.unwrap().loaded.clone()
    };
    let before = listed(&bench, &[""], &[], &[port]).await;
    assert_eq!(of(&before, "leaf.pem"), Loaded::Served { ports: vec![port] });
    assert_eq!((of(&before, "ca.pem"), of(&before, "other.pem")), (Loaded::Unknown, Loaded::Unknown));
    assert_eq!(before.certificates.len(), 3);

    // Another certificate with the same names takes the file's place; nobody restarts the server.
    leaf(&bench, &root, "leaf", &Issue { cn: "server", ..Issue::default() });
    let after = listed(&bench, &[""], &[], &[port]).await;
    assert_eq!(of(&after, "leaf.pem"), Loaded::Stale { port, not_after: own.not_after() });
    assert_eq!(of(&after, "other.pem"), Loaded::Unknown);
    let served = after.certificates.iter().find(|one| one.path.is_none()).unwrap();
    assert_eq!((&served.sha256, &served.loaded), (&own.sha256(), &Loaded::Served { ports: vec![port] }));
    // A port that is not asked is not touched.
    assert_eq!(of(&listed(&bench, &[""], &[], &[]).await, "leaf.pem"), Loaded::Unknown);
}

#[tokio::test]
async fn etcd_which_demands_a_client_certificate_shows_its_own() {
    let bench = Bench::new();
    let member = EtcdMember::start(&bench).await;
    let listing = listed(&bench, &["leaf.pem"], &[], &[member.port]).await;
    assert_eq!(listing.certificates[0].loaded, Loaded::Served { ports: vec![member.port] });
    assert_eq!(listing.notes, [] as [String; 0]);
}
