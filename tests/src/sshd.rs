//! Real OpenSSH servers on this machine, each with its own keys, whose `/var/lib/keybook` is a folder of its own.

use crate::sandbox::signal;
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A server; it ends when dropped.
pub struct Sshd {
    folder: TempDir,
    /// Its port on 127.0.0.1.
    pub port: u16,
    child: Child,
}

impl Sshd {
    /// Starts one that takes the key `user` in its folder.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for name in ["host", "user", "stranger"] {
            keygen(&folder.path().join(name), "");
        }
        fs::copy(at("user.pub"), at("authorized_keys")).unwrap();
        for made in [Path::new(&at("varlib")), Path::new("/run/sshd"), Path::new("/var/lib/keybook")] {
            fs::create_dir_all(made).unwrap();
        }
        let port = free_port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nStrictModes no\n\
             UsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             MaxStartups 100\nSubsystem sftp /usr/lib/openssh/sftp-server\n",
            at("host"),
            at("authorized_keys"),
        );
        fs::write(at("config"), config).unwrap();
        let script = "mount --bind \"$1/varlib\" /var/lib/keybook; exec /usr/sbin/sshd -D -e -f \"$1/config\" 2>\"$1/log\"";
        let child = Command::new("unshare")
            .args(["-m", "sh", "-e", "-c", script, "sh"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let sshd = Self { folder, port, child };
        let patience = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = fs::read_to_string(sshd.path("log")).unwrap_or_default();
            assert!(Instant::now() < patience, "sshd does not start: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
        sshd
    }

    /// A file of the server.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The line of known_hosts that names this server, with its key or that of another.
    pub fn known_line(&self, of: &Sshd) -> String {
        let public = fs::read_to_string(of.path("host.pub")).unwrap();
        format!("[127.0.0.1]:{} {public}", self.port)
    }

    /// The fingerprint of its host key.
    pub fn fingerprint(&self) -> String {
        let output =
            Command::new("ssh-keygen").args(["-l", "-f"]).arg(self.path("host.pub")).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split_whitespace().nth(1).unwrap().to_owned()
    }

    /// An inventory's entry for it that logs in with this key of its folder and trusts this file of known hosts.
    pub fn host(&self, key: &str, known_hosts: &str) -> String {
        let (port, key) = (self.port, self.path(key));
        format!(
            "{{ address: 127.0.0.1, port: {port}, user: root, key: {}, known_hosts: [{known_hosts}] }}",
            key.display()
        )
    }

    /// Stops the server and its connections without ending them, or lets them go on.
    pub fn freeze(&self, frozen: bool) {
        let name = if frozen { "STOP" } else { "CONT" };
        processes(self.child.id()).into_iter().for_each(|pid| signal(pid, name));
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        for pid in processes(self.child.id()) {
            // Some may be gone already, which is as well.
            let _ =
                Command::new("kill").args(["-s", "KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        let _ = self.child.wait();
    }
}

/// Makes an ssh key.
pub fn keygen(path: &Path, passphrase: &str) {
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(path).status();
    assert!(made.unwrap().success(), "ssh-keygen {}", path.display());
}

/// A port on which nobody listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The sshd processes from this one on, parents before children.
fn processes(top: u32) -> Vec<u32> {
    let mut found = vec![top];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(children(parent).into_iter().filter(|pid| is_sshd(*pid)));
        at += 1;
    }
    found
}

fn is_sshd(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd"))
}

fn children(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let of =
            stat.rsplit_once(") ").and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if of == Some(parent) {
            found.push(pid);
        }
    }
    found
}
