//! Sandboxes as a whole: scenarios, hosts, daemons, commands, receipts, and what a kill leaves.

mod hosts;
mod language;
mod running;
mod tls;
mod tos;

use super::{Sandbox, SandboxConnector, Scenario};
use keybook_api::{
    Command, Connector, Exit, Fault, HostSpec, Receipt, ReceiptId, RunId, Secret, StreamName, Target, UnitId,
    Write,
};
use std::path::PathBuf;
use std::sync::Arc;

/// A sandbox in a temporary folder.
struct World {
    text: String,
    folder: tempfile::TempDir,
    connector: SandboxConnector,
}

fn load(text: &str) -> Scenario {
    Scenario::load("s.yaml", text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

impl World {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::create(load(text), folder.path().join("sb")).unwrap();
        Self { text: text.to_owned(), folder, connector: SandboxConnector::new(sandbox) }
    }

    /// As after a kill: everything in memory is gone, only the folder is left.
    fn again(self) -> Self {
        let Self { text, folder, connector } = self;
        drop(connector);
        let sandbox = Sandbox::open(load(&text), folder.path().join("sb")).unwrap();
        Self { text, folder, connector: SandboxConnector::new(sandbox) }
    }

    async fn host(&self, name: &str) -> Arc<dyn Target> {
        self.connector.connect(&HostSpec::named(name)).await.unwrap()
    }

    /// A path of a host on this machine.
    fn at(&self, host: &str, path: &str) -> PathBuf {
        self.connector.sandbox().root_of(host).join(path.trim_start_matches('/'))
    }

    fn log(&self, host: &str) -> Vec<serde_json::Value> {
        let place = self.folder.path().join("sb").join(host).join("state/commands.log");
        let text = std::fs::read_to_string(place).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn quiet(_: StreamName, _: &str) {}

async fn run(host: &Arc<dyn Target>, script: &str) -> Result<Exit, Fault> {
    host.exec(Command::shell(script), &quiet).await
}

/// What `serves` of the world says: the subject of the certificate that the server read, and all that can be seen of it.
async fn serves(host: &Arc<dyn Target>) -> String {
    let said = out(host, "serves").await;
    let (seen, pem) = said.split_once("] ").unwrap();
    format!("{} {seen}]", keybook_pki::Certificate::one_pem(pem.as_bytes()).unwrap().subject())
}

async fn out(host: &Arc<dyn Target>, script: &str) -> String {
    let exit = run(host, script).await.unwrap();
    assert_eq!((exit.status, exit.err().as_str()), (0, ""), "{script}: {}", exit.out());
    exit.out()
}

fn receipt_id(ordinal: u32) -> ReceiptId {
    ReceiptId {
        run: RunId::new("r1").unwrap(),
        unit: UnitId::parse("a/b@h1#x y").unwrap(),
        attempt: 1,
        ordinal,
    }
}

async fn put(host: &Arc<dyn Target>, path: &str, content: impl AsRef<[u8]>) {
    host.write(path, Write::keep(Secret::new(content.as_ref()))).await.unwrap();
}

/// Two hosts, a TLS daemon each, answers that act on the hosts.
const WORLD: &str = r#"
keybook: 1
scenario: small
title: Two hosts
cluster: sandbox
hosts: { h1: { address: 10.0.0.1, user: root, sudo: true }, h2: { address: 10.0.0.2 } }
groups: { all: [h1, h2], first: [h1] }
inputs: { settle: 1s, count: 3 }
tools: [etcdctl]
certificates:
  ca: { ca: true, subject: { CN: test-ca, O: [k8s, System] }, key: ecdsa-p256, valid: { from: -3630d, to: 20d } }
  leaf: { issuer: ca, subject: { CN: leaf }, sans: ["${groups.all}", IP:127.0.0.1, "${hosts.h1.address}"], key: ecdsa-p256 }
  other: { issuer: ca, subject: { CN: other }, sans: [h1], usages: [server, client], key: ecdsa-p384 }
  rsa: { issuer: ca, subject: { CN: rsa }, usages: [client] }
  stranger: { ca: true, subject: { CN: test-ca }, key: ecdsa-p256 }
files:
  - { hosts: all, path: /srv/ca.pem, certificate: ca, mode: "0444" }
  - { hosts: all, path: /srv/leaf.pem, certificate: leaf }
  - { hosts: all, path: /srv/leaf-key.pem, key: leaf }
  - { hosts: h1, path: /srv/new.pem, certificate: other }
  - { hosts: h1, path: /srv/new-key.pem, key: other, form: pkcs8 }
  - { hosts: h1, path: /srv/rsa-key.pem, key: rsa, mode: "0640", owner: "0:4" }
  - { hosts: h1, path: /srv/rsa.pem, certificate: rsa }
  - { hosts: h1, path: /srv/bundle.pem, certificate: [ca, stranger] }
  - { hosts: h1, path: /srv/stranger.pem, certificate: stranger }
  - { hosts: "all[1:]", path: /etc/motd, text: "I am ${host.name} at ${host.address} of ${groups.all.len()}\n" }
  - { hosts: all, path: /srv/link.pem, link: ca.pem }
  - { hosts: all, path: /manifests, directory: true, mode: "0700" }
  - { hosts: all, path: /manifests/server, text: "v1" }
daemons:
  - { hosts: all, name: server, while: /manifests/server, port: 4001, certificate: /srv/leaf.pem, key: /srv/leaf-key.pem, client_ca: /srv/ca.pem }
  - { hosts: h1, name: slow, while: /manifests/slow, start_delay: 1h, reads: { ca: /srv/ca.pem } }
  - { hosts: h1, name: plain, while: /manifests/server, port: 80 }
commands:
  - match: "where"
    answer: |
      `${host.name} ${host.groups} ${hosts.h2.address} ${groups.first} ${cluster} ${argv} ${args} ${line} ${env} ${stdin_text}`
  - { match: "only h2", hosts: h2, answer: '"h2\n"' }
  - { match: "only h2", answer: '#{ stdout: "not h2\n", stderr: "warned\n", status: 3 }' }
  - { match: "count", answer: 'let n = state_get("n"); n = if n == () { 1 } else { n + 1 }; state_set("n", n); `${n}`' }
  - { match: "peek *", answer: 'file_read(argv[1], argv[2])' }
  - { match: "files", answer: 'file_write("/srv/made", "x"); file_remove("/srv/leaf.pem"); `${file_exists("/srv/made")} ${file_exists("/no")} ${file_list("/manifests")}`' }
  - { match: "state *", answer: 'let d = daemon(argv[1], "server"); `${d.running} ${d.starts} ${if d.error == () { "" } else { d.error }}`' }
  - { match: "serves", answer: 'let d = daemon("server"); `${d.loaded.keys()} ${d.loaded.certificate}`' }
  - { match: "slow", answer: 'let d = daemon("slow"); `${d.running} ${d.starts} ${d.port == ()}`' }
  - { match: "dial *", answer: 'let why = tls_dial(argv[1], 4001, argv[2], argv[3], argv[4]); if why == () { "ok" } else { why }' }
  - { match: "trusted *", answer: '`${trusted(file_read(argv[1]), file_read(argv[2]), argv[3])}`' }
  - { match: "option *", answer: '`${option(argv, "--a")} ${option(argv, "-b")} ${option(argv, "--none") == ()}`' }
  - { match: "sleepy", takes: 1h, answer: '"never"' }
  - { match: "broken", answer: 'state_set("half", true); throw "it broke"' }
  - { match: "long", answer: 'let t = "0123456789"; for i in 0..10 { t += t; } t' }
  - { match: "effect*", answer: 'let n = state_get("effects"); state_set("effects", (if n == () { 0 } else { n }) + 1); #{ status: 4 }' }
"#;
