//! The actions of the family `kube` in a runbook, against a real API server with a real etcd, and the rollback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::{lab::run, sandbox::Bench};
use serde_json::{Value as Json, json};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(180);

/// The program as `tests/lab/up` builds it: the test needs it, and does not pass without.
fn api_server() -> PathBuf {
    let built = || {
        let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
            PathBuf::from,
        );
        let lab =
            std::env::var_os("KEYBOOK_LAB_CACHE").map_or_else(|| cache.join("keybook-lab"), PathBuf::from);
        lab.join("built/kube")
    };
    let program = std::env::var_os("KUBE_BIN_DIR").map_or_else(built, PathBuf::from).join("kube-apiserver");
    assert!(
        program.is_file(),
        "{} is missing: tests/lab/kubeadm/parts/make-binaries builds it, once; or set KUBE_BIN_DIR",
        program.display()
    );
    program
}

/// A process that ends with the test.
struct Server(Child);

impl Server {
    fn start(command: &mut Command, log: &Path) -> Self {
        let file = std::fs::File::create(log).unwrap();
        let command = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An API server, its etcd, and the administrator's kubeconfig. The API server goes first.
struct Cluster {
    folder: PathBuf,
    port: u16,
    _api: Server,
    _etcd: Server,
}

const OPENSSL: &str = r#"set -e; cd "$1"
new() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"; }
sign() { openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 30 -extfile "$3" -out "$1.crt"; }
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n' >ca.ext
printf 'subjectAltName=IP:127.0.0.1,DNS:kubernetes\nextendedKeyUsage=serverAuth\n' >server.ext
printf 'extendedKeyUsage=clientAuth\n' >client.ext
for ca in ca other; do
  new $ca "/CN=$ca"; openssl x509 -req -in $ca.csr -signkey $ca.key -days 300 -extfile ca.ext -out $ca.crt
done
new server /CN=kube-apiserver; sign server ca server.ext
new admin /O=system:masters/CN=admin; sign admin ca client.ext
new node /O=system:nodes/CN=system:node:n1; sign node ca client.ext
new stranger /O=system:masters/CN=admin; sign stranger other client.ext
openssl genrsa -out sa.key 2048
openssl req -new -key node.key -subj /O=system:nodes/CN=system:node:n1 -addext subjectAltName=DNS:n1,IP:10.0.0.9 -out serving.csr
openssl req -new -key node.key -subj /O=system:nodes/CN=system:node:n1 -addext subjectAltName=DNS:kubernetes.default -out greedy.csr
"#;

impl Cluster {
    fn start(folder: &Path) -> Self {
        let program = api_server();
        std::fs::create_dir_all(folder).unwrap();
        run(Command::new("bash").args(["-c", OPENSSL, "bash"]).arg(folder));
        let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (clients, peers, port) = (free_port(), free_port(), free_port());
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let etcd = Server::start(
            Command::new("etcd").args(["--data-dir", &at("etcd"), "--name", "one"]).args([
                "--listen-client-urls",
                &url(clients),
                "--advertise-client-urls",
                &url(clients),
                "--listen-peer-urls",
                &url(peers),
                "--initial-advertise-peer-urls",
                &url(peers),
                "--initial-cluster",
                &format!("one={}", url(peers)),
            ]),
            &folder.join("etcd.log"),
        );
        let files = [
            ("tls-cert-file", "server.crt"),
            ("tls-private-key-file", "server.key"),
            ("client-ca-file", "ca.crt"),
            ("service-account-key-file", "sa.key"),
            ("service-account-signing-key-file", "sa.key"),
            ("cert-dir", "made"),
        ];
        let mut command = Command::new(program);
        command.args([
            &format!("--etcd-servers={}", url(clients)),
            &format!("--secure-port={port}"),
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            "--authorization-mode=Node,RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--disable-admission-plugins=ServiceAccount",
        ]);
        command.args(files.map(|(option, name)| format!("--{option}={}", at(name))));
        let api = Server::start(&mut command, &folder.join("apiserver.log"));
        let cluster = Self { folder: folder.to_owned(), port, _api: api, _etcd: etcd };
        for (name, user) in [("admin.conf", "admin"), ("node.conf", "node"), ("stranger.conf", "stranger")] {
            std::fs::write(folder.join(name), cluster.kubeconfig(user)).unwrap();
        }
        cluster.wait();
        cluster
    }

    fn kubeconfig(&self, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
clusters: [{{name: c, cluster: {{server: \"https://127.0.0.1:{}\", certificate-authority: ca.crt}}}}]\n\
users: [{{name: u, user: {{client-certificate: {user}.crt, client-key: {user}.key}}}}]\n\
contexts: [{{name: c, context: {{cluster: c, user: u, namespace: default}}}}]\n",
            self.port
        )
    }

    fn at(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// curl as a user: what the program under test has no part in.
    fn curl(&self, user: &str, method: &str, path: &str, body: Option<&Json>) -> (u16, String) {
        let mut command = Command::new("curl");
        command.args(["-sS", "-X", method, "-w", "\n%{http_code}", "--cacert", &self.at("ca.crt")]);
        command.args(["--cert", &self.at(&format!("{user}.crt")), "--key", &self.at(&format!("{user}.key"))]);
        if let Some(body) = body {
            command.args(["-H", "Content-Type: application/json", "-d", &body.to_string()]);
        }
        let output = command.arg(format!("https://127.0.0.1:{}{path}", self.port)).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (text, code) = text.rsplit_once('\n').unwrap_or(("", "0"));
        (code.parse().unwrap_or(0), text.to_owned())
    }

    fn wait(&self) {
        let begun = Instant::now();
        while self.curl("admin", "GET", "/readyz", None).0 != 200 || !self.has("/api/v1/namespaces/default") {
            let log = || std::fs::read_to_string(self.folder.join("apiserver.log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "the API server is not ready\n{}", log());
            sleep(Duration::from_millis(500));
        }
    }

    fn has(&self, path: &str) -> bool {
        self.curl("admin", "GET", path, None).0 == 200
    }

    fn get(&self, path: &str) -> Json {
        let (code, text) = self.curl("admin", "GET", path, None);
        assert_eq!(code, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    fn make(&self, user: &str, path: &str, body: &Json) {
        let (code, text) = self.curl(user, "POST", path, Some(body));
        assert_eq!(code, 201, "{path}: {text}");
    }

    fn request(&self, name: &str, file: &str) -> Json {
        let pem = std::fs::read(self.folder.join(file)).unwrap();
        json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
            "spec": {"request": base64(&pem), "signerName": "kubernetes.io/kubelet-serving",
                "usages": ["digital signature", "key encipherment", "server auth"]}})
    }

    /// What the runbook works on.
    fn fill(&self) {
        let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let selector = json!({"matchLabels": {"app": "web"}});
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": 1, "selector": selector, "template": template}});
        self.make("admin", "/apis/apps/v1/namespaces/default/deployments", &deployment);
        let data = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old", "labels": {"keep": "no"}},
            "data": {"a": "1", "b": "2"}});
        self.make("admin", "/api/v1/namespaces/default/configmaps", &data);
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "b2xk", "o": "eA=="}});
        self.make("admin", "/api/v1/namespaces/default/secrets", &secret);
        self.make(
            "admin",
            "/api/v1/nodes",
            &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}),
        );
        let status = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {
            "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}, {"type": "Hostname", "address": "n1"}],
            "conditions": [{"type": "Ready", "status": "True"}]}});
        assert_eq!(self.curl("admin", "PUT", "/api/v1/nodes/n1/status", Some(&status)).0, 200);
        for (name, file) in [("serving", "serving.csr"), ("greedy", "greedy.csr")] {
            self.make("node", REQUESTS, &self.request(name, file));
        }
    }
}

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/rotation";
const WEB: &str = "/apis/apps/v1/namespaces/default/deployments/web";

fn base64(bytes: &[u8]) -> String {
    let mut child =
        Command::new("base64").arg("-w0").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), bytes).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

const STEPS: &str = r#"
  - id: lock
    hosts: node
    kube.lease_acquire: { name: rotation, holder: one, duration: 1h, kubeconfig: CONF }
    expect: result.holder == "one"
  - id: look
    hosts: node
    kube.list: { resource: nodes, kubeconfig: CONF }
    facts:
      ready: { kube.raw: { path: "/readyz?verbose", kubeconfig: CONF } }
      strange: { kube.raw: { path: /api, kubeconfig: STRANGE } }
      asked: { kube.csr_list: { pending: true, kubeconfig: CONF } }
      secret: { kube.get: { resource: secrets, name: s, kubeconfig: CONF } }
    expect: result.total == 1 && facts.ready.status == 200 && facts.strange.status == 401 && facts.asked.total == 2 && facts.secret.found
  - id: ready
    hosts: node
    kube.wait: { resource: nodes, name: n1, condition: Ready, timeout: 60s, kubeconfig: CONF }
  - id: merge
    hosts: node
    kube.patch: { resource: deployments, name: web, patch: { spec: { replicas: 2 } }, kubeconfig: CONF }
  - id: strategic
    hosts: node
    kube.patch:
      resource: deployments.apps
      name: web
      type: strategic
      patch: { spec: { template: { spec: { containers: [ { name: d, image: j } ] } } } }
      kubeconfig: CONF
  - id: json
    hosts: node
    kube.patch:
      resource: deployments.v1.apps
      name: web
      type: json
      patch: [ { op: add, path: /metadata/annotations, value: { rotated: "yes" } } ]
      kubeconfig: CONF
  - id: apply
    hosts: node
    kube.apply:
      manifest:
        apiVersion: v1
        kind: ConfigMap
        metadata: { name: new }
        data: { state: begun }
      kubeconfig: CONF
    register: applied
  - id: again
    hosts: node
    kube.apply:
      manifest:
        apiVersion: v1
        kind: ConfigMap
        metadata: { name: new }
        data: { state: done, more: "1" }
      kubeconfig: CONF
    expect: result.uid == applied.uid && !result.created
  - id: put
    hosts: node
    kube.config_map_put: { name: old, data: { a: "9", c: "3" }, kubeconfig: CONF }
  - id: secret
    hosts: node
    kube.secret_put: { name: s, data: { k: new-value }, kubeconfig: CONF }
  - id: new-secret
    hosts: node
    kube.secret_put: { name: t, data: { k: first-value }, kubeconfig: CONF }
  - id: restart
    hosts: node
    kube.rollout_restart: { resource: deployment, name: web, kubeconfig: CONF }
  - id: read
    hosts: node
    kube.get: { resource: secrets, name: s, kubeconfig: CONF }
    expect: result.found
"#;

/// What has no way back.
const LAST: &str = r#"
  - id: lock
    hosts: node
    kube.lease_acquire: { name: rotation, holder: two, duration: 1h, kubeconfig: CONF }
  - id: approve
    hosts: node
    irreversible: an approval stays
    gate: { ask: "Approve?" }
    kube.csr_approve: { name: serving, node: n1, kubeconfig: CONF }
  - id: delete
    hosts: node
    irreversible: what is deleted is gone
    gate: { ask: "Delete?" }
    kube.delete: { resource: configmaps, selector: "keep=no", timeout: 30s, kubeconfig: CONF }
  - id: gone
    hosts: node
    kube.wait: { resource: configmaps, selector: "keep=no", gone: true, timeout: 30s, kubeconfig: CONF }
  - id: unlock
    hosts: node
    kube.lease_release: { name: rotation, holder: two, kubeconfig: CONF }
    expect: result.released
"#;

#[test]
fn full_kube_family_with_a_real_api_server_there_and_back() {
    let bench = Bench::new();
    let cluster = Cluster::start(&bench.path("cluster"));
    cluster.fill();
    let answers = bench.write(
        "answers.yaml",
        "keybook: 1\nanswers:\n  rollback: run\n  approve@here: run\n  delete@here: run\n",
    );
    let inventory = bench.this_machine();
    let fill = |steps: &str| {
        steps.replace("CONF", &cluster.at("admin.conf")).replace("STRANGE", &cluster.at("stranger.conf"))
    };
    let call = |verb: &str, what: &str| {
        let inventory = if verb == "run" { vec!["-i", &inventory] } else { Vec::new() };
        let args = [vec![verb, what], inventory, vec!["--unattended", "--answers", &answers]].concat();
        bench.on_this_machine("true", &args)
    };
    let config_map = |name: &str| format!("/api/v1/namespaces/default/configmaps/{name}");
    let secret = |name: &str| format!("/api/v1/namespaces/default/secrets/{name}");
    let spec = cluster.get(WEB)["spec"].clone();

    let runbook = bench.small_runbook(&fill(STEPS));
    let shown = call("run", &runbook).with(0);
    let web = cluster.get(WEB);
    assert_eq!(web["spec"]["replicas"], 2);
    assert_eq!(web["spec"]["template"]["spec"]["containers"].as_array().unwrap().len(), 2);
    assert_eq!(web["metadata"]["annotations"]["rotated"], "yes");
    assert!(
        web["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].is_string()
    );
    assert_eq!(cluster.get(&config_map("new"))["data"], json!({"state": "done", "more": "1"}));
    assert_eq!(cluster.get(&config_map("old"))["data"], json!({"a": "9", "b": "2", "c": "3"}));
    assert_eq!(cluster.get(&secret("s"))["data"], json!({"k": "bmV3LXZhbHVl", "o": "eA=="}));
    // Neither what was there nor what was read is told anywhere.
    let run = bench.keybook.latest();
    let kept = std::fs::read_to_string(bench.journal()).unwrap();
    for text in [&shown.stdout, &shown.stderr, &kept] {
        for held in ["b2xk", "bmV3LXZhbHVl"] {
            assert!(!text.contains(held), "{held}: {text}");
        }
    }

    assert_eq!(cluster.get(LEASE)["spec"]["holderIdentity"], "one");

    call("rollback", &run).with(5);
    assert_eq!(cluster.get(LEASE)["spec"]["holderIdentity"], "");
    let mut back = cluster.get(WEB)["spec"].clone();
    // That it was restarted stays: its pods are new.
    back["template"]["metadata"].as_object_mut().unwrap().remove("annotations");
    assert_eq!(back, spec);
    assert!(!cluster.has(&config_map("new")) && !cluster.has(&secret("t")));
    assert_eq!(cluster.get(&config_map("old"))["data"], json!({"a": "1", "b": "2"}));
    assert_eq!(cluster.get(&secret("s"))["data"], json!({"k": "b2xk", "o": "eA=="}));

    let runbook = bench.small_runbook(&fill(LAST));
    call("run", &runbook).with(0);
    assert_eq!(cluster.get(&format!("{REQUESTS}/serving"))["status"]["conditions"][0]["type"], "Approved");
    assert!(!cluster.has(&config_map("old")));
    let greedy = fill(LAST).replace("name: serving", "name: greedy");
    call("run", &bench.small_runbook(&greedy))
        .with(1)
        .says("DNS:kubernetes.default, which is not an address of the node n1");
    assert!(cluster.get(&format!("{REQUESTS}/greedy"))["status"]["conditions"].is_null());
}
