//! What create makes, and what a host shows of itself.

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

fn openssl(args: &[&str]) -> String {
    let out = std::process::Command::new("openssl").args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "openssl {args:?}: {}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

#[tokio::test]
async fn files_and_certificates_are_made() {
    let world = World::new(WORLD);
    let at = |host: &str, path: &str| world.at(host, path).to_str().unwrap().to_owned();
    let (ca, leaf) = (at("h1", "/srv/ca.pem"), at("h1", "/srv/leaf.pem"));
    openssl(&["verify", "-CAfile", &ca, "-purpose", "sslserver", &leaf, &at("h1", "/srv/new.pem")]);
    openssl(&["verify", "-CAfile", &ca, "-purpose", "sslclient", &at("h1", "/srv/rsa.pem")]);
    let subject = openssl(&["x509", "-in", &ca, "-noout", "-subject"]);
    assert_eq!(subject.trim(), "subject=CN = test-ca, O = k8s, O = System");
    let sans = openssl(&["x509", "-in", &leaf, "-noout", "-ext", "subjectAltName"]);
    assert!(sans.contains("DNS:h1, DNS:h2, IP Address:127.0.0.1, IP Address:10.0.0.1"), "{sans}");
    // 20 days and no more: the CA is to be renewed.
    let day = |days: u32| {
        ["x509", "-in", &ca, "-noout", "-checkend"]
            .map(str::to_owned)
            .into_iter()
            .chain([(days * 86_400).to_string()])
    };
    assert!(std::process::Command::new("openssl").args(day(19)).output().unwrap().status.success());
    assert!(!std::process::Command::new("openssl").args(day(21)).output().unwrap().status.success());

    for (certificate, key, first) in [
        ("/srv/leaf.pem", "/srv/leaf-key.pem", "-----BEGIN EC PRIVATE KEY-----"),
        ("/srv/new.pem", "/srv/new-key.pem", "-----BEGIN PRIVATE KEY-----"),
        ("/srv/rsa.pem", "/srv/rsa-key.pem", "-----BEGIN RSA PRIVATE KEY-----"),
    ] {
        let (certificate, key) = (at("h1", certificate), at("h1", key));
        assert_eq!(std::fs::read_to_string(&key).unwrap().lines().next(), Some(first));
        assert_eq!(
            openssl(&["x509", "-in", &certificate, "-noout", "-pubkey"]),
            openssl(&["pkey", "-in", &key, "-pubout"])
        );
    }
    // One key pair for the whole sandbox.
    assert_eq!(
        std::fs::read(at("h1", "/srv/leaf-key.pem")).unwrap(),
        std::fs::read(at("h2", "/srv/leaf-key.pem")).unwrap()
    );
    let bundle = std::fs::read_to_string(at("h1", "/srv/bundle.pem")).unwrap();
    assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 2);

    assert_eq!(std::fs::read_to_string(world.at("h2", "/etc/motd")).unwrap(), "I am h2 at 10.0.0.2 of 2\n");
    assert!(!world.at("h1", "/etc/motd").exists());
    assert_eq!(std::fs::read_link(world.at("h1", "/srv/link.pem")).unwrap().to_str(), Some("ca.pem"));
    let mode = |path: &str| std::fs::metadata(world.at("h1", path)).unwrap().permissions().mode() & 0o7777;
    let modes =
        ["/srv/ca.pem", "/srv/leaf.pem", "/srv/leaf-key.pem", "/srv/rsa-key.pem", "/manifests", "/srv"]
            .map(mode);
    assert_eq!(modes, [0o444, 0o644, 0o600, 0o640, 0o700, 0o755]);
    if rustix::process::geteuid().is_root() {
        let meta = std::fs::metadata(world.at("h1", "/srv/rsa-key.pem")).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (0, 4));
    }
}

#[tokio::test]
async fn a_host_shows_its_folder_and_nothing_else() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    assert!(host.is_sandbox());
    let identity = host.identity().clone();
    assert_eq!(
        (identity.transport.as_str(), identity.hostname.as_str(), identity.clock_offset_ms),
        ("sandbox", "h1", 0)
    );
    assert_eq!(identity.machine_id.len(), 32);
    assert_ne!(identity.machine_id, world.host("h2").await.identity().machine_id);

    let names = host.list("/").await.unwrap();
    assert_eq!(names, ["etc", "manifests", "root", "srv", "tmp", "var"], "no state, no marker");
    let text = host.read("/srv/link.pem", 1 << 20).await.unwrap();
    assert_eq!(text, host.read("/srv/ca.pem", 1 << 20).await.unwrap());
    put(&host, "/srv/link.pem", "new").await;
    assert_eq!(std::fs::read_to_string(world.at("h1", "/srv/ca.pem")).unwrap(), "new");
    assert_eq!(host.stat("/srv/ca.pem").await.unwrap().unwrap().mode, 0o444);

    let survey = host.survey(&["etcdctl".into(), "sh".into()]).await.unwrap();
    assert_eq!(survey.uid, 0);
    assert!(survey.free_mib > 0);
    assert_eq!(survey.tools, [("etcdctl".into(), Some("/usr/bin/etcdctl".into())), ("sh".into(), None)]);

    let again = world.again();
    assert_eq!(again.host("h1").await.identity(), &identity, "the same host after a kill");
    assert_eq!(std::fs::read_to_string(again.at("h1", "/srv/ca.pem")).unwrap(), "new");
}

#[tokio::test]
async fn a_sandbox_is_made_once_and_opened_as_what_it_is() {
    let world = World::new(WORLD);
    let folder = world.folder.path().join("sb");
    let fault = Sandbox::create(load(WORLD), &folder).unwrap_err();
    assert!(fault.cause.contains("exists already"), "{fault}");
    let other = WORLD.replace("scenario: small", "scenario: other");
    assert!(
        Sandbox::open(load(&other), &folder).unwrap_err().cause.contains("made from the scenario `small`")
    );
    let grown = WORLD.replace("h2: { address: 10.0.0.2 }", "h2: { address: 10.0.0.2 }, h3: {}");
    assert!(Sandbox::open(load(&grown), &folder).unwrap_err().cause.contains("the host `h3`"));
    assert!(Sandbox::open(load(WORLD), world.folder.path()).unwrap_err().cause.contains("is no sandbox"));
    std::fs::write(folder.join(".sandbox.json"), "{\"format\":9,\"scenario\":\"small\"}").unwrap();
    assert!(Sandbox::open(load(WORLD), &folder).unwrap_err().cause.contains("format 9"));
}

#[tokio::test]
async fn what_cannot_be_made_is_told_at_its_place_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let make = |from: &str, to: &str| {
        assert!(WORLD.contains(from));
        Sandbox::create(load(&WORLD.replace(from, to)), folder.path().join("sb")).unwrap_err()
    };
    let fault = make("${host.name} at", "${hosts[`nobody`].name} at");
    assert!(fault.cause.contains("no key `nobody`"), "{fault}");
    assert_eq!(fault.at.unwrap().line as usize, line_of("/etc/motd"));
    assert_eq!(fault.host.as_deref(), Some("h2"));
    let fault = make("/srv/stranger.pem", "/srv/ca.pem");
    assert!(fault.cause.contains("makes it twice"), "{fault}");
    let fault = make("subject: { CN: test-ca }", "subject: {}");
    assert!(fault.cause.contains("the CA would have no subject"), "{fault}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn line_of(part: &str) -> usize {
    WORLD.lines().position(|line| line.contains(part)).unwrap() + 1
}

#[tokio::test]
async fn other_hosts_are_added_by_address_local_on_demand_and_strangers_not() {
    let world = World::new(WORLD);
    let added = HostSpec { address: "10.0.0.2".into(), ..HostSpec::named("node-7") };
    assert_eq!(world.connector.connect(&added).await.unwrap().name(), "h2");
    let local = HostSpec { local: true, ..HostSpec::named("local") };
    let target = world.connector.connect(&local).await.unwrap();
    put(&target, "/tmp/x", "1").await;
    let id = target.identity().machine_id.clone();
    let world = world.again();
    let target = world.connector.connect(&local).await.unwrap();
    assert_eq!(target.identity().machine_id, id);
    assert_eq!(target.read("/tmp/x", 9).await.unwrap(), Secret::new("1"));
    let fault = world.connector.connect(&HostSpec::named("h9")).await.err().unwrap();
    assert_eq!(fault.kind, keybook_api::FaultKind::Unreachable);
    assert!(fault.hints[0].contains("s.yaml"), "{fault:?}");
}
