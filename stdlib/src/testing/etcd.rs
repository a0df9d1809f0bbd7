//! A real etcd member.

use super::{Bench, Issue, ca, leaf};
use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

/// One etcd member with TLS and client certificates, ended on drop. Beside its CA `ca` and certificate `leaf`
/// there are a CA `stranger` and a certificate `other` of it.
pub struct EtcdMember {
    child: Child,
    /// Apart from the bench, whose files only tests change.
    _data: tempfile::TempDir,
    dir: String,
    pub port: u16,
    pub url: String,
}

impl EtcdMember {
    /// Starts it and waits until it answers.
    pub async fn start(bench: &Bench) -> Self {
        let own = ca(bench, "ca", &Issue { cn: "etcd-ca", ..Issue::default() });
        leaf(bench, &own, "leaf", &Issue { cn: "etcd", ..Issue::default() });
        let stranger = ca(bench, "stranger", &Issue { cn: "stranger", ..Issue::default() });
        leaf(bench, &stranger, "other", &Issue { cn: "other", ..Issue::default() });
        let [port, peer_port] = free_ports();
        let url = format!("https://127.0.0.1:{port}");
        let data = tempfile::tempdir().unwrap();
        let child = Command::new("etcd")
            .args(["--name=one", "--client-cert-auth", "--logger=zap", "--log-level=error"])
            .arg(format!("--data-dir={}", data.path().display()))
            .arg(format!("--listen-client-urls={url}"))
            .arg(format!("--advertise-client-urls={url}"))
            .arg(format!("--listen-peer-urls=http://127.0.0.1:{peer_port}"))
            .arg(format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}"))
            .arg(format!("--initial-cluster=one=http://127.0.0.1:{peer_port}"))
            .arg(format!("--trusted-ca-file={}", bench.path("ca.pem")))
            .arg(format!("--cert-file={}", bench.path("leaf.pem")))
            .arg(format!("--key-file={}", bench.path("leaf-key.pem")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd is installed");
        let member = Self { child, _data: data, dir: bench.path(""), port, url };
        member.wait().await;
        member
    }

    /// A file of the test's certificates.
    pub fn pki(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    async fn wait(&self) {
        for _ in 0..300 {
            let health = Command::new("etcdctl")
                .env("ETCDCTL_API", "3")
                .args(["--endpoints", &self.url, "--command-timeout=1s", "endpoint", "health"])
                .args(["--cacert", &self.pki("ca.pem"), "--cert", &self.pki("leaf.pem")])
                .args(["--key", &self.pki("leaf-key.pem")])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .expect("etcdctl is installed");
            if health.success() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("etcd did not become healthy");
    }
}

impl Drop for EtcdMember {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_ports() -> [u16; 2] {
    let listeners = [0, 0].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
