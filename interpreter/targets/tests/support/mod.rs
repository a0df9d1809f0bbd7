//! Real OpenSSH servers for the tests: each on a port of its own, with its own keys and configuration.

#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use async_trait::async_trait;
use keybook_api::{Command, Connector, Exit, Fault, HostSpec, StreamName, Target};
use keybook_targets::{HostKeyPolicy, RefuseUnknown, SshSettings, SystemConnector};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Fails the test, with what the program said, unless it succeeds.
pub fn must(program: &str, args: &[&str]) -> String {
    let out = Process::new(program).args(args).stdin(Stdio::null()).output();
    let out = out.unwrap_or_else(|e| panic!("{program} is needed by these tests: {e}"));
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// A server with a folder for its files; ends when dropped.
pub struct Sshd {
    pub folder: TempDir,
    pub port: u16,
    child: Child,
    command: Vec<String>,
}

/// What differs from the ordinary server.
#[derive(Default)]
pub struct Setup {
    /// More lines of sshd_config; the first of a keyword counts, so these go first.
    pub config: String,
    /// The environment of the login, as `NAME=value`.
    pub environment: Vec<String>,
    /// Runs before sshd, in a mount namespace of their own; `$1` is the folder.
    pub prepare: Option<String>,
    /// The kind of the second host key, `ecdsa` when empty.
    pub second: &'static str,
    /// No SFTP subsystem.
    pub no_sftp: bool,
}

impl Sshd {
    pub fn start() -> Self {
        Self::with(Setup::default())
    }

    pub fn with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for (name, kind) in [("host_ed25519", "ed25519"), ("host_second", setup.second), ("user", "ed25519")]
        {
            let kind = if kind.is_empty() { "ecdsa" } else { kind };
            must("ssh-keygen", &["-q", "-t", kind, "-N", "", "-C", name, "-f", &at(name)]);
        }
        std::fs::create_dir(at("home")).unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        let port = free_port();
        let mut environment = vec![format!("HOME={}", at("home"))];
        environment.extend(setup.environment);
        let options: Vec<String> = environment.iter().map(|pair| format!("environment=\"{pair}\"")).collect();
        let public = std::fs::read_to_string(at("user.pub")).unwrap();
        std::fs::write(at("authorized_keys"), format!("{} {public}", options.join(","))).unwrap();
        let sftp = if setup.no_sftp { "" } else { "Subsystem sftp /usr/lib/openssh/sftp-server\n" };
        let config = format!(
            "{}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {}\nHostKey {}\nPidFile none\n\
             AuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPermitUserEnvironment yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\n{sftp}",
            setup.config.replace("FOLDER", folder.path().to_str().unwrap()),
            at("host_ed25519"),
            at("host_second"),
            at("authorized_keys"),
        );
        std::fs::write(at("config"), config).unwrap();
        let sshd = format!("exec /usr/sbin/sshd -D -e -f {} 2>>{}", at("config"), at("log"));
        let command = match setup.prepare {
            Some(prepare) => {
                let script = format!("{prepare}\n{sshd}");
                ["unshare", "-m", "sh", "-e", "-c", &script, "sh", folder.path().to_str().unwrap()]
                    .map(str::to_owned)
                    .to_vec()
            }
            None => ["sh", "-c", &sshd].map(str::to_owned).to_vec(),
        };
        let child = spawn(&command);
        let sshd = Self { folder, port, child, command };
        sshd.wait();
        sshd
    }

    fn wait(&self) {
        let patience = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < patience, "sshd does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A host key's line for known_hosts.
    pub fn known_line(&self, key: &str) -> String {
        let public = std::fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap();
        format!("[127.0.0.1]:{} {public}", self.port)
    }

    /// The inventory's settings for this server, whose key is known.
    pub fn spec(&self) -> HostSpec {
        let known = self.path("known_hosts");
        if !known.exists() {
            std::fs::write(&known, self.known_line("host_ed25519")).unwrap();
        }
        HostSpec {
            address: "127.0.0.1".into(),
            port: Some(self.port),
            user: Some("root".into()),
            key: Some(self.path("user")),
            known_hosts: vec![known],
            ..HostSpec::named("node")
        }
    }

    /// Ends the server and starts it again on its port.
    pub fn restart(&mut self) {
        self.stop();
        self.child = spawn(&self.command);
        self.wait();
    }

    fn stop(&mut self) {
        // A stopped process has to go on before it ends.
        for pid in self.sessions().into_iter().chain([self.child.id()]) {
            signal(pid, "KILL");
        }
        let _ = self.child.wait();
    }

    /// The server's processes for connections, parents before children.
    pub fn sessions(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        let mut index = 0;
        while let Some(parent) = found.get(index).copied() {
            found.extend(children(parent).into_iter().filter(|pid| is_sshd(*pid)));
            index += 1;
        }
        found.split_off(1)
    }

    /// Cuts every connection, as a network would.
    pub fn cut(&self) {
        for pid in self.sessions() {
            signal(pid, "KILL");
        }
    }

    /// Stops the server and its connections without ending them.
    pub fn freeze(&self) {
        for pid in self.sessions().into_iter().chain([self.child.id()]) {
            signal(pid, "STOP");
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(command: &[String]) -> Child {
    let (program, args) = command.split_first().unwrap();
    Process::new(program).args(args).stdin(Stdio::null()).spawn().unwrap()
}

fn is_sshd(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd"))
}

fn children(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let of =
            stat.rsplit_once(") ").and_then(|(_, rest)| rest.split_whitespace().nth(1).map(str::to_owned));
        if of.and_then(|of| of.parse().ok()) == Some(parent) {
            found.push(pid);
        }
    }
    found
}

pub fn signal(pid: u32, name: &str) {
    // It may be gone already, which is as well.
    let _ = Process::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// True while the process runs; a zombie does not.
pub fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A home without anything in it, and quick keepalives.
pub fn settings(home: &Path) -> SshSettings {
    SshSettings {
        home: home.into(),
        login: "root".into(),
        agent: None,
        system_known_hosts: "/nonexistent".into(),
        keepalive: Duration::from_millis(300),
        keepalive_max: 3,
    }
}

pub async fn connect(spec: &HostSpec) -> Result<Arc<dyn Target>, Fault> {
    connect_with(spec, |_| {}, Arc::new(RefuseUnknown)).await
}

pub async fn connect_with(
    spec: &HostSpec,
    change: impl FnOnce(&mut SshSettings),
    policy: Arc<dyn HostKeyPolicy>,
) -> Result<Arc<dyn Target>, Fault> {
    let home = tempfile::tempdir().unwrap();
    let mut settings = settings(home.path());
    change(&mut settings);
    SystemConnector::new(settings, policy).connect(spec).await
}

/// The fault of connecting; panics when it works.
pub async fn refusal(spec: &HostSpec) -> Fault {
    connect(spec).await.err().expect("the connection should have been refused")
}

/// Answers every question alike and remembers them.
#[derive(Default)]
pub struct Always {
    pub answer: bool,
    pub asked: Mutex<Vec<(String, String)>>,
}

#[async_trait]
impl HostKeyPolicy for Always {
    async fn unknown_host(&self, host: &str, fingerprint: &str) -> bool {
        self.asked.lock().unwrap().push((host.into(), fingerprint.into()));
        self.answer
    }
}

pub fn quiet(_: StreamName, _: &str) {}

pub async fn sh(host: &dyn Target, script: &str) -> Result<Exit, Fault> {
    host.exec(Command::shell(script), &quiet).await
}

/// Waits for a file with one number in it.
pub async fn number_in(path: &Path) -> u32 {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        if let Ok(text) = std::fs::read_to_string(path)
            && text.ends_with('\n')
        {
            return text.trim().parse().unwrap();
        }
        assert!(Instant::now() < patience, "{} does not come", path.display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}
