//! Compared with what ssh-keygen itself finds.

use super::*;
use std::process::Command;
use tempfile::TempDir;

fn keygen(args: &[&str]) -> (bool, String) {
    let out = Command::new("ssh-keygen").args(args).output().unwrap();
    (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
}

/// A new public key, as `type base64`.
fn new_key(folder: &TempDir, name: &str, kind: &str) -> String {
    let path = folder.path().join(name);
    assert!(keygen(&["-q", "-t", kind, "-N", "", "-C", "", "-f", path.to_str().unwrap()]).0);
    std::fs::read_to_string(path.with_extension("pub")).unwrap().trim().to_owned()
}

fn found(file: &Path, host: &str, port: u16) -> Vec<usize> {
    let known = KnownHosts::load(&[file.to_owned()]).unwrap();
    known.matching(host, port).iter().map(|line| line.number).collect()
}

#[test]
fn names_are_found_where_ssh_keygen_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let key = new_key(&folder, "k", "ed25519");
    let file = folder.path().join("known_hosts");
    let lines = [
        format!("plain.example,10.0.0.1 {key} a comment"),
        format!("*.wild.example,!not.wild.example {key}"),
        format!("[ported.example]:2222\t{key}"),
        format!("h?st {key}"),
        "# comment".to_owned(),
        "  ".to_owned(),
        "broken.example ssh-ed25519 notbase64".to_owned(),
        format!("@unknown marker.example {key}"),
        "plain.example 1024 65537 12345".to_owned(),
        format!("UPPER.example {key}"),
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let path = file.to_str().unwrap();
    let cases = [
        ("plain.example", 22),
        ("10.0.0.1", 22),
        ("10.0.0.2", 22),
        ("a.wild.example", 22),
        ("not.wild.example", 22),
        ("wild.example", 22),
        ("ported.example", 22),
        ("ported.example", 2222),
        ("host", 22),
        ("hst", 22),
        ("marker.example", 22),
        ("upper.example", 22),
        ("PLAIN.example", 22),
    ];
    for (host, port) in cases {
        let name = entry_name(host, port);
        let expected: Vec<usize> = keygen(&["-F", &name, "-f", path])
            .1
            .lines()
            .filter_map(|line| line.rsplit_once(" found: line ").map(|(_, rest)| rest))
            .map(|rest| rest.split_whitespace().next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(found(&file, host, port), expected, "{host}:{port}");
    }
    assert_eq!(found(&file, "broken.example", 22), Vec::<usize>::new());
}

#[test]
fn hashed_names_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let key = new_key(&folder, "k", "ecdsa");
    let file = folder.path().join("known_hosts");
    std::fs::write(&file, format!("a.example {key}\n[b.example]:2222 {key}\n")).unwrap();
    assert!(keygen(&["-H", "-f", file.to_str().unwrap()]).0);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("example"));
    assert_eq!(found(&file, "a.example", 22), [1]);
    assert_eq!(found(&file, "A.example", 22), [1]);
    assert_eq!(found(&file, "b.example", 2222), [2]);
    assert_eq!(found(&file, "b.example", 22), Vec::<usize>::new());
    assert_eq!(found(&file, "c.example", 22), Vec::<usize>::new());
}

#[test]
fn markers_and_fingerprints() {
    let folder = tempfile::tempdir().unwrap();
    let key = new_key(&folder, "k", "rsa");
    let file = folder.path().join("known_hosts");
    std::fs::write(&file, format!("@revoked h {key}\n@cert-authority *.h {key}\nh {key}")).unwrap();
    let known = KnownHosts::load(&[folder.path().join("missing"), file]).unwrap();
    let purposes: Vec<Purpose> = known.matching("h", 22).iter().map(|line| line.purpose).collect();
    assert_eq!(purposes, [Purpose::Revoked, Purpose::HostKey]);
    assert_eq!(known.matching("a.h", 22)[0].purpose, Purpose::Authority);
    let listed = keygen(&["-l", "-f", folder.path().join("k.pub").to_str().unwrap()]).1;
    assert_eq!(listed.split_whitespace().nth(1), Some(fingerprint(&known.lines[0].key).as_str()));
}

#[test]
fn an_appended_line_is_found_and_the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let key = new_key(&folder, "k", "ed25519");
    let file = folder.path().join("ssh/known_hosts");
    let key = PublicKey::from_openssh(&key).unwrap();
    append(&file, &line_for("one", 22, &key)).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.trim_end()).unwrap();
    append(&file, &line_for("two", 2222, &key)).unwrap();
    assert_eq!((found(&file, "one", 22), found(&file, "two", 2222)), (vec![1], vec![2]));
    assert!(keygen(&["-F", "[two]:2222", "-f", file.to_str().unwrap()]).0);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(KnownHosts::load(&[folder.path().to_owned()]).is_err());
}

#[test]
fn wildcards() {
    for (pattern, name, expected) in [
        ("*", "", true),
        ("*", "x", true),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "aXbY", false),
        ("?", "", false),
        ("**a", "aaa", true),
        ("a?", "ab", true),
        ("", "", true),
        ("", "x", false),
        ("10.0.*.1", "10.0.0.1", true),
    ] {
        assert_eq!(wildcard(pattern, name), expected, "{pattern} {name}");
    }
}
