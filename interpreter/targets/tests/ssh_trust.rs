//! Which servers are trusted, and which logins they take.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use keybook_api::{FaultKind, HostSpec, Secret};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use support::{Always, Setup, Sshd, connect, connect_with, must, refusal, sh};

fn fingerprint(sshd: &Sshd, key: &str) -> String {
    must("ssh-keygen", &["-l", "-f", &sshd.text(key)]).split_whitespace().nth(1).unwrap().to_owned()
}

/// Its settings, with these lines in known_hosts.
fn knowing(sshd: &Sshd, lines: &[String]) -> HostSpec {
    std::fs::write(sshd.path("known_hosts"), lines.join("")).unwrap();
    sshd.spec()
}

#[tokio::test]
async fn a_known_host_is_trusted_by_any_of_its_keys() {
    let sshd = Sshd::start();
    for key in ["host_ed25519", "host_second"] {
        let host = connect(&knowing(&sshd, &[sshd.known_line(key)])).await.unwrap();
        assert_eq!(host.identity().host_key, fingerprint(&sshd, key));
    }
    must("ssh-keygen", &["-q", "-H", "-f", &sshd.text("known_hosts")]);
    connect(&sshd.spec()).await.unwrap();
    // A line without a port is good for any.
    let public = std::fs::read_to_string(sshd.path("host_ed25519.pub")).unwrap();
    connect(&knowing(&sshd, &[format!("127.0.0.* {public}")])).await.unwrap();
}

#[tokio::test]
async fn an_unknown_host_is_refused_or_asked_about() {
    let sshd = Sshd::start();
    let spec = knowing(&sshd, &[]);
    let fault = refusal(&spec).await;
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(fault.cause.contains(&fingerprint(&sshd, "host_ed25519")), "{fault}");
    let line = sshd.known_line("host_ed25519");
    let line = line.rsplit_once(' ').unwrap().0;
    assert!(fault.hints[1].contains(line) && fault.hints[1].contains(&sshd.text("known_hosts")), "{fault:?}");

    let refuse = Arc::new(Always::default());
    assert!(connect_with(&spec, |_| {}, refuse.clone()).await.is_err());
    assert_eq!(refuse.asked.lock().unwrap().len(), 1);
    let accept = Arc::new(Always { answer: true, ..Always::default() });
    let host = connect_with(&spec, |_| {}, accept.clone()).await.unwrap();
    let asked = accept.asked.lock().unwrap().clone();
    assert_eq!(asked, [(format!("[127.0.0.1]:{}", sshd.port), fingerprint(&sshd, "host_ed25519"))]);
    assert_eq!(sh(&*host, "echo in").await.unwrap().out(), "in\n");
    connect(&spec).await.unwrap();
    must("ssh-keygen", &["-F", &format!("[127.0.0.1]:{}", sshd.port), "-f", &sshd.text("known_hosts")]);
}

#[tokio::test]
async fn a_changed_or_revoked_key_is_never_asked_about() {
    let (sshd, other) = (Sshd::start(), Sshd::start());
    let public = std::fs::read_to_string(other.path("host_ed25519.pub")).unwrap();
    let spec = knowing(&sshd, &["# a comment\n".into(), format!("[127.0.0.1]:{} {public}", sshd.port)]);
    let accept = Arc::new(Always { answer: true, ..Always::default() });
    let changed = connect_with(&spec, |_| {}, accept.clone()).await.err().unwrap();
    for part in [
        "HAS CHANGED",
        &fingerprint(&sshd, "host_ed25519"),
        &fingerprint(&other, "host_ed25519"),
        &format!("{}:2", sshd.text("known_hosts")),
    ] {
        assert!(changed.cause.contains(part), "{part}: {changed}");
    }
    let line = sshd.known_line("host_ed25519");
    let spec = knowing(&sshd, &[line.clone(), format!("@revoked {line}")]);
    let revoked = connect_with(&spec, |_| {}, accept.clone()).await.err().unwrap();
    assert!(revoked.cause.contains("is revoked by"), "{revoked}");
    assert!(accept.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn certificates_are_checked_against_their_authority() {
    let config = "HostCertificate FOLDER/host_ed25519-cert.pub\n";
    let mut sshd = Sshd::with(Setup { config: config.into(), ..Setup::default() });
    must("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &sshd.text("ca")]);
    let public = std::fs::read_to_string(sshd.path("ca.pub")).unwrap();
    let authority = format!("@cert-authority [127.0.0.*]:* {public}");
    let sign = |sshd: &Sshd, extra: &[&str]| {
        let (ca, key) = (sshd.text("ca"), sshd.text("host_ed25519.pub"));
        must("ssh-keygen", &[&["-q", "-s", &ca, "-I", "id"], extra, &[&key]].concat());
    };
    let bare = refusal(&knowing(&sshd, std::slice::from_ref(&authority))).await;
    assert!(bare.cause.contains("by certificates only"), "{bare}");

    sign(&sshd, &["-h", "-n", "127.0.0.1"]);
    sshd.restart();
    let host = connect(&sshd.spec()).await.unwrap();
    assert_eq!(host.identity().host_key, fingerprint(&sshd, "host_ed25519"));
    for (extra, why) in [
        (&["-h", "-n", "elsewhere"][..], "not for 127.0.0.1"),
        (&["-h", "-n", "127.0.0.1", "-V", "20200101:20200102"], "do not hold"),
    ] {
        sign(&sshd, extra);
        sshd.restart();
        let fault = refusal(&sshd.spec()).await;
        assert!(fault.cause.contains(why), "{why}: {fault}");
    }
    sign(&sshd, &["-h", "-n", "127.0.0.1"]);
    sshd.restart();
    let revoked = format!("@revoked * {public}");
    let fault = refusal(&knowing(&sshd, &[authority, revoked])).await;
    assert!(fault.cause.contains("is revoked by"), "{fault}");
}

#[tokio::test]
async fn a_host_may_not_become_another_one() {
    let mut sshd = Sshd::start();
    let both = [sshd.known_line("host_ed25519"), sshd.known_line("host_second")];
    for replaceable in [false, true] {
        let spec = HostSpec { replaceable, ..knowing(&sshd, &both) };
        let host = connect(&spec).await.unwrap();
        let config = std::fs::read_to_string(sshd.path("config")).unwrap();
        let without = config.replace(&format!("HostKey {}\n", sshd.text("host_ed25519")), "");
        std::fs::write(sshd.path("config"), without).unwrap();
        sshd.restart();
        let result = sh(&*host, "echo in").await;
        if replaceable {
            assert_eq!(result.unwrap().out(), "in\n");
        } else {
            assert!(result.unwrap_err().cause.contains("another host key than before"));
        }
        std::fs::write(sshd.path("config"), config).unwrap();
        sshd.restart();
    }
}

#[tokio::test]
async fn logins_that_fail_say_what_was_tried() {
    let sshd = Sshd::start();
    must("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &sshd.text("wrong")]);
    let wrong = refusal(&HostSpec { key: Some(sshd.path("wrong")), ..sshd.spec() }).await;
    assert_eq!(wrong.kind, FaultKind::Unreachable);
    assert!(
        wrong.cause.contains(&sshd.text("wrong")) && wrong.cause.contains("it accepts: publickey"),
        "{wrong}"
    );
    let none = refusal(&HostSpec { key: None, ..sshd.spec() }).await;
    assert!(none.cause.contains("tried: nothing"), "{none}");
    let missing = refusal(&HostSpec { key: Some(sshd.path("missing")), ..sshd.spec() }).await;
    assert_eq!(missing.kind, FaultKind::Usage);
    assert!(missing.cause.contains("no such file"), "{missing}");
    std::fs::set_permissions(sshd.path("user"), PermissionsExt::from_mode(0o644)).unwrap();
    let open = refusal(&sshd.spec()).await;
    assert!(open.cause.contains("0644") && open.hints[0].starts_with("chmod 600"), "{open:?}");
    let password = HostSpec { key: None, password: Some(Secret::new("p")), ..sshd.spec() };
    let fault = refusal(&password).await;
    assert!(fault.cause.contains("tried: nothing") && !format!("{fault:?}").contains("\"p\""), "{fault}");
}

#[tokio::test]
async fn encrypted_keys_need_their_passphrase() {
    let sshd = Sshd::start();
    must("ssh-keygen", &["-q", "-p", "-P", "", "-N", "open sesame", "-f", &sshd.text("user")]);
    let with = |phrase: &str| HostSpec { passphrase: Some(Secret::new(phrase)), ..sshd.spec() };
    connect(&with("open sesame")).await.unwrap();
    assert!(refusal(&with("shut")).await.cause.contains("passphrase is wrong"));
    let fault = refusal(&sshd.spec()).await;
    assert!(fault.cause.contains("needs a passphrase, and none is given"), "{fault}");
}

/// An SSH agent; ends when dropped.
struct Agent {
    child: Child,
    socket: std::path::PathBuf,
}

impl Agent {
    fn start(sshd: &Sshd) -> Self {
        let socket = sshd.path("agent");
        let child =
            Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        while !socket.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, socket }
    }

    fn add(&self, key: &str) {
        let added =
            Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).status().unwrap();
        assert!(added.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_agent_s_keys_are_used() {
    let sshd = Sshd::start();
    let agent = Agent::start(&sshd);
    let socket = agent.socket.clone();
    // An RSA key that the server does not take goes first.
    must("ssh-keygen", &["-q", "-t", "rsa", "-N", "", "-f", &sshd.text("other")]);
    agent.add(&sshd.text("other"));
    agent.add(&sshd.text("user"));
    let spec = HostSpec { key: None, ..sshd.spec() };
    let refuse = || Arc::new(Always::default());
    connect_with(&spec, |settings| settings.agent = Some(socket.clone()), refuse()).await.unwrap();
    // A locked file names the key; the agent has it.
    must("ssh-keygen", &["-q", "-p", "-P", "", "-N", "open sesame", "-f", &sshd.text("user")]);
    connect_with(&sshd.spec(), |settings| settings.agent = Some(socket.clone()), refuse()).await.unwrap();
    // An RSA key by itself: its signature must be one that the server takes.
    let keys = std::fs::read_to_string(sshd.path("other.pub")).unwrap();
    std::fs::write(sshd.path("authorized_keys"), keys).unwrap();
    let rsa = HostSpec { key: Some(sshd.path("other")), ..sshd.spec() };
    connect(&rsa).await.unwrap();
    connect_with(&spec, |settings| settings.agent = Some(socket.clone()), refuse()).await.unwrap();
    let dead = connect_with(&spec, |settings| settings.agent = Some("/nonexistent".into()), refuse()).await;
    assert!(dead.err().unwrap().cause.contains("the SSH agent at /nonexistent does not answer"));
}

#[tokio::test]
async fn the_operator_s_ssh_config_is_honoured() {
    let sshd = Sshd::start();
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".ssh")).unwrap();
    let config = format!(
        "Host short\n HostName 127.0.0.1\n Port {}\n User root\n IdentityFile {}\n",
        sshd.port,
        sshd.text("user")
    );
    std::fs::write(home.path().join(".ssh/config"), config).unwrap();
    std::fs::write(home.path().join(".ssh/known_hosts"), sshd.known_line("host_ed25519")).unwrap();
    let home = home.path().to_owned();
    let spec = HostSpec::named("short");
    let host =
        connect_with(&spec, |settings| settings.home = home, Arc::new(Always::default())).await.unwrap();
    assert_eq!(host.identity().transport, format!("ssh root@127.0.0.1:{}", sshd.port));
}

#[tokio::test]
async fn a_host_behind_a_jump_host_is_named_by_it() {
    // Only the jump host's own /etc/hosts knows the name.
    let hosts = "printf '127.0.0.1 inner.invalid\\n' >\"$1\"/hosts; mount --bind \"$1\"/hosts /etc/hosts";
    let jump = Sshd::with(Setup { prepare: Some(hosts.into()), ..Setup::default() });
    let inner = Sshd::start();
    let public = std::fs::read_to_string(inner.path("host_ed25519.pub")).unwrap();
    let known = format!("[inner.invalid]:{} {public}", inner.port);
    let behind = |via: HostSpec| HostSpec {
        address: "inner.invalid".into(),
        via: Some(Arc::new(HostSpec { name: "bastion".into(), ..via })),
        ..knowing(&inner, std::slice::from_ref(&known))
    };
    let spec = behind(jump.spec());
    let host = connect(&spec).await.unwrap();
    assert_eq!(sh(&*host, "echo inside").await.unwrap().out(), "inside\n");
    assert!(jump.sessions().len() <= 2, "no shell on the jump host");
    // Lost on the way, both are connected again.
    jump.cut();
    assert_eq!(sh(&*host, "echo again").await.unwrap().out(), "again\n");

    let fault = refusal(&HostSpec { port: Some(support::free_port()), ..spec.clone() }).await;
    assert!(fault.cause.contains("the jump host could not reach it"), "{fault}");
    std::fs::write(jump.path("known_hosts"), "").unwrap();
    let fault = refusal(&spec).await;
    assert!(fault.cause.contains("jump host bastion") && fault.cause.contains("not known"), "{fault}");
    jump.spec();
    std::fs::write(jump.path("known_hosts"), jump.known_line("host_ed25519")).unwrap();
    std::fs::write(inner.path("known_hosts"), "").unwrap();
    let fault = refusal(&HostSpec { known_hosts: vec![inner.path("known_hosts")], ..spec }).await;
    assert!(fault.cause.contains("its host key is not known"), "{fault}");
}

#[tokio::test]
async fn old_servers_are_spoken_to() {
    let config = "KexAlgorithms diffie-hellman-group14-sha1\nCiphers aes128-cbc\nMACs hmac-sha1\n\
        HostKeyAlgorithms ssh-rsa\n";
    let sshd = Sshd::with(Setup { config: config.into(), second: "rsa", ..Setup::default() });
    let host = connect(&knowing(&sshd, &[sshd.known_line("host_second")])).await.unwrap();
    assert_eq!(sh(&*host, "echo old").await.unwrap().out(), "old\n");
}

#[tokio::test]
async fn what_is_no_ssh_server_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut web, _) = listener.accept().await.unwrap();
        web.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        drop(web);
        // Then one that never says a word.
        let silent = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
        drop(silent);
    });
    let known = tempfile::NamedTempFile::new().unwrap();
    let spec = HostSpec {
        address: "127.0.0.1".into(),
        port: Some(port),
        known_hosts: vec![known.path().into()],
        connect_timeout: Duration::from_secs(1),
        ..HostSpec::named("web")
    };
    let fault = refusal(&spec).await;
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(fault.cause.contains("handshake") || fault.cause.contains("not an SSH server"), "{fault}");
    let fault = refusal(&spec).await;
    assert!(fault.cause.contains("the SSH handshake took longer than 1s"), "{fault}");
    answers.abort();
    let fault = refusal(&HostSpec { address: "no-such-host.invalid".into(), ..spec }).await;
    assert!(fault.cause.contains("cannot be resolved"), "{fault}");
}
