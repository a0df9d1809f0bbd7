//! A real systemd that knows only a test's units.

use super::Bench;
use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// systemd as process 1 of its own pid, mount, uts, ipc and cgroup namespaces, ended on drop. Needs root; where it
/// cannot be had the test fails.
pub struct Systemd {
    child: Child,
    cgroup: PathBuf,
    pid: String,
}

/// $1: the folder with the units. The machine's own units are hidden, so nothing else is started.
const INIT: &str = r#"set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/lock
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind "$1" /etc/systemd/system
export container=keybook
exec /lib/systemd/systemd --system --unit=default.target --log-target=null --show-status=0"#;

impl Systemd {
    /// Starts it with these units (file name and text) and waits until it runs.
    pub async fn start(bench: &Bench, units: &[(&str, &str)]) -> Self {
        for target in ["basic", "sysinit", "shutdown", "default"] {
            bench.file(&format!("units/{target}.target"), "[Unit]\nDefaultDependencies=no\n");
        }
        for (name, text) in units {
            bench.file(&format!("units/{name}"), text);
        }
        let unified = PathBuf::from("/sys/fs/cgroup/unified");
        let root = if unified.exists() { unified } else { PathBuf::from("/sys/fs/cgroup") };
        let name = bench.path("").rsplit('/').next().unwrap().trim_start_matches('.').to_owned();
        let cgroup = root.join(format!("keybook-{name}"));
        fs::create_dir(&cgroup).expect("a cgroup can be made");
        let child = Command::new("/bin/sh")
            .args(["-c", "echo $$ >\"$1/cgroup.procs\" && shift && exec \"$@\"", "sh"])
            .arg(&cgroup)
            .args(["unshare", "--pid", "--fork", "--mount", "--mount-proc", "--cgroup", "--uts", "--ipc"])
            .args(["--kill-child", "bash", "-c", INIT, "sh", &bench.path("units")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut systemd = Self { child, cgroup, pid: String::new() };
        systemd.wait().await;
        systemd
    }

    /// The words that begin a systemctl command inside.
    pub fn systemctl(&self) -> Vec<String> {
        ["nsenter", "-t", &self.pid, "-m", "-p", "systemctl"].map(str::to_owned).to_vec()
    }

    async fn wait(&mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.pid = fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
            if self.pid.is_empty() {
                continue;
            }
            let words = self.systemctl();
            let state = Command::new(&words[0]).args(&words[1..]).arg("is-system-running").output().unwrap();
            if state.stdout.starts_with(b"running") {
                return;
            }
        }
        panic!("systemd did not come up in its own namespaces (needs root, cgroup2, unshare)");
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for _ in 0..50 {
            remove(&self.cgroup);
            if !self.cgroup.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Removes a cgroup and those in it; its files go with it.
fn remove(cgroup: &PathBuf) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(cgroup);
}
