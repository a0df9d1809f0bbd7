//! The scenarios that ship with the runbook tos-etcd-ca.

use super::*;
use keybook_pki::{CaRequest, KeyKind, PrivateKey, Subject, issue_ca};
use std::path::Path;

const FILES: &str =
    "--cacert=/srv/kubernetes/etcd-ca.pem --cert=/srv/kubernetes/etcd.pem --key=/srv/kubernetes/etcd-key.pem";
const MANIFEST: &str = "/opt/kubernetes/manifests-multi/tos-etcd.manifest";

fn open(name: &str) -> Scenario {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runbooks/tos-etcd-ca/scenarios");
    let engine = keybook_script::ScriptHost::new(keybook_script::Limits::default(), &[]);
    let scenario = Scenario::open(&folder.join(format!("{name}.yaml")), name, &engine);
    scenario.unwrap_or_else(|invalid| panic!("{:#?}", invalid.problems))
}

struct Tos {
    _folder: tempfile::TempDir,
    connector: SandboxConnector,
    masters: Vec<String>,
    endpoints: String,
}

impl Tos {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scenario = open(name);
        let masters = scenario.groups["master"].clone();
        let url = |host: &String| format!("https://{}:4001", scenario.hosts[host].address);
        let endpoints = masters.iter().map(url).collect::<Vec<_>>().join(",");
        let sandbox = Sandbox::create(scenario, folder.path().join("sb")).unwrap();
        Self { _folder: folder, connector: SandboxConnector::new(sandbox), masters, endpoints }
    }

    async fn host(&self, number: usize) -> Arc<dyn Target> {
        self.connector.connect(&HostSpec::named(&self.masters[number])).await.unwrap()
    }

    async fn etcdctl(&self, number: usize, rest: &str) -> Exit {
        let script = format!("ETCDCTL_API=3 etcdctl --endpoints {} {FILES} {rest}", self.endpoints);
        run(&self.host(number).await, &script).await.unwrap()
    }

    /// Which members are healthy, and how many say that they lead, as JSON has it.
    async fn health(&self, number: usize) -> (Vec<bool>, usize) {
        let exit = self.etcdctl(number, "--write-out=json endpoint health").await;
        let all: Vec<serde_json::Value> = serde_json::from_slice(&exit.stdout).unwrap();
        let healthy: Vec<bool> = all.iter().map(|one| one["health"].as_bool().unwrap()).collect();
        assert_eq!(exit.status, i32::from(healthy.contains(&false)));
        let exit = self.etcdctl(number, "-w json endpoint status").await;
        let all: Vec<serde_json::Value> = serde_json::from_slice(&exit.stdout).unwrap();
        let leads =
            |one: &&serde_json::Value| one["Status"]["header"]["member_id"] == one["Status"]["leader"];
        (healthy, all.iter().filter(leads).count())
    }

    async fn stop(&self, number: usize) {
        self.host(number).await.rename(MANIFEST, "/opt/kubernetes/tos-etcd.manifest").await.unwrap();
    }

    async fn start(&self, number: usize) {
        self.host(number).await.rename("/opt/kubernetes/tos-etcd.manifest", MANIFEST).await.unwrap();
    }
}

#[tokio::test]
async fn all_scenarios_have_the_files_of_a_node() {
    for (name, count) in [("default", 3), ("one-master", 1), ("three-masters", 3), ("five-masters", 5)] {
        let scenario = open(name);
        assert_eq!((scenario.name.as_str(), scenario.groups["master"].len()), (name, count));
        assert_eq!(scenario.warnings, []);
    }
    let tos = Tos::new("three-masters");
    let host = tos.host(1).await;
    let names = ["ca.pem", "etcd-ca.pem", "etcd-key.pem", "etcd.pem", "known_tokens.csv"];
    assert_eq!(host.list("/srv/kubernetes").await.unwrap(), names);
    assert_eq!(host.list("/root").await.unwrap(), Vec::<String>::new(), "gencerts is on the first master");
    let manifest = host.read(MANIFEST, 1 << 20).await.unwrap();
    let manifest = manifest.expose_str().unwrap();
    assert!(manifest.contains("- --name=jiujiu-tdh-11\n"), "{manifest}");
    let members = "--initial-cluster=jiujiu-tdh-10=https://172.22.25.10:2380,jiujiu-tdh-11=https://172.22.25.11:2380,jiujiu-tdh-12=https://172.22.25.12:2380\n";
    assert!(manifest.contains(members), "{manifest}");
    let tree = keybook_source::parse("m", manifest).unwrap();
    let name = tree.get("metadata").unwrap().get("name").unwrap().as_text().unwrap();
    assert_eq!(name.as_str(), "tos-etcd-tos");
    let first = tos.host(0).await;
    let gencerts =
        ["cfssl", "cfssljson", "config.json", "etcd-ca-key.pem", "etcd-ca.pem", "kubernetes-csr.json"];
    assert_eq!(first.list("/root/gencerts").await.unwrap(), gencerts);
    for json in ["config.json", "kubernetes-csr.json"] {
        let text = first.read(&format!("/root/gencerts/{json}"), 1 << 20).await.unwrap();
        serde_json::from_slice::<serde_json::Value>(text.expose()).unwrap();
    }
    let key = first.read("/root/gencerts/etcd-ca-key.pem", 1 << 20).await.unwrap();
    let ca = first.read("/srv/kubernetes/etcd-ca.pem", 1 << 20).await.unwrap();
    let ca = keybook_pki::Certificate::one(ca.expose()).unwrap();
    assert!(PrivateKey::load(&key, None).unwrap().matches(&ca));
    assert_eq!(ca.subject(), "CN=kubernetes,ST=Shanghai,L=Shanghai,OU=System,O=k8s,C=CN");
}

#[tokio::test]
async fn a_cluster_of_three_keeps_its_quorum_without_one() {
    let tos = Tos::new("three-masters");
    assert_eq!(tos.health(0).await, (vec![true, true, true], 1));
    tos.stop(0).await;
    assert_eq!(tos.health(1).await, (vec![false, true, true], 1), "another member leads");
    tos.stop(2).await;
    assert_eq!(tos.health(1).await, (vec![false, false, false], 0), "no quorum, no leader");
    tos.start(0).await;
    tos.start(2).await;
    assert_eq!(tos.health(2).await, (vec![true, true, true], 1));
}

#[tokio::test]
async fn one_master_and_five() {
    let one = Tos::new("one-master");
    assert_eq!(one.health(0).await, (vec![true], 1));
    one.stop(0).await;
    assert_eq!(one.health(0).await, (vec![false], 0));
    let five = Tos::new("five-masters");
    five.stop(1).await;
    five.stop(3).await;
    assert_eq!(five.health(4).await, (vec![true, false, true, false, true], 1));
}

#[tokio::test]
async fn texts_are_those_of_etcdctl_3_1() {
    let tos = Tos::new("three-masters");
    tos.stop(2).await;
    let exit = tos.etcdctl(0, "endpoint health").await;
    assert_eq!(exit.status, 1);
    let lines: Vec<String> = exit.out().lines().map(str::to_owned).collect();
    assert_eq!(
        lines[0],
        "https://172.22.25.10:4001 is healthy: successfully committed proposal: took = 2.288165ms"
    );
    assert_eq!(
        lines[2],
        "https://172.22.25.12:4001 is unhealthy: failed to commit proposal: dial tcp 172.22.25.12:4001: connect: connection refused"
    );
    let exit = tos.etcdctl(0, "endpoint status").await;
    assert_eq!(exit.status, 1);
    assert!(
        exit.err().contains("Failed to get the status of endpoint https://172.22.25.12:4001"),
        "{}",
        exit.err()
    );
    for line in exit.out().lines() {
        let fields: Vec<&str> = line.split(", ").collect();
        assert_eq!((fields.len(), fields[2], fields[3]), (7, "3.1.18", "15 MB"), "{line}");
        assert!(u64::from_str_radix(fields[1], 16).is_ok() && fields[4].parse::<bool>().is_ok(), "{line}");
    }
    // As the runbook asks: by the address of the node itself, too, and arguments filled in.
    let script = "ETCDCTL_API=3 exec \"$1\" --cacert \"$2/etcd-ca.pem\" --cert \"$2/etcd.pem\" --key \"$2/etcd-key.pem\" \
        --endpoints \"https://127.0.0.1:$3,https://$4:$3\" member list";
    let command = Command::shell(script).args(["etcdctl", "/srv/kubernetes", "4001", "172.22.25.10"]);
    let exit = tos.host(0).await.exec(command, &quiet).await.unwrap();
    assert_eq!((exit.status, exit.out().lines().count()), (0, 3));
    assert!(
        exit.out()
            .contains(", started, jiujiu-tdh-11, https://172.22.25.11:2380, https://172.22.25.11:4001\n")
    );
}

#[tokio::test]
async fn members_that_do_not_trust_each_other_are_no_cluster() {
    let tos = Tos::new("three-masters");
    let host = tos.host(0).await;
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let subject = Subject::Attributes(vec![("CN".into(), "other".into())]);
    let now = jiff::Timestamp::now().as_second();
    let request = CaRequest { subject, path_len: None, not_before: now - 60, not_after: now + 86_400 };
    let other = issue_ca(&request, &key).unwrap().to_pem();
    put(&host, "/srv/kubernetes/etcd-ca.pem", &other).await;
    // The client on this node reads the CA at once; the daemons still have what they read.
    let exit = tos.etcdctl(0, "endpoint health").await;
    assert_eq!(
        exit.out()
            .matches("unhealthy: failed to commit proposal: x509: certificate signed by unknown authority")
            .count(),
        3
    );
    assert_eq!(tos.health(1).await, (vec![true, true, true], 1));
    tos.stop(0).await;
    tos.start(0).await;
    // The restarted member trusts nobody, clients included; the two others go on.
    assert_eq!(tos.health(1).await, (vec![false, true, true], 1));
    let exit = tos.etcdctl(1, "endpoint health").await;
    assert!(exit.out().contains("https://172.22.25.10:4001 is unhealthy: failed to commit proposal: remote error: tls: bad certificate"), "{}", exit.out());
}

#[tokio::test]
async fn docker_lists_the_containers_of_running_pods() {
    let tos = Tos::new("three-masters");
    let host = tos.host(0).await;
    let list = async |script: &str| out(&host, script).await.lines().map(str::to_owned).collect::<Vec<_>>();
    let before = list("docker ps --no-trunc").await;
    assert!(before[0].starts_with("CONTAINER ID ") && before[0].ends_with(" NAMES"), "{before:?}");
    assert_eq!(before.len(), 5);
    let etcd = before
        .iter()
        .find(|line| line.contains("k8s_tos-etcd-tos_tos-etcd-tos-jiujiu-tdh-10_kube-system_"))
        .unwrap();
    let id = etcd.split_whitespace().next().unwrap().to_owned();
    assert_eq!(id.len(), 64);
    assert!(before.iter().any(|line| line.contains("k8s_POD_tos-etcd-tos-jiujiu-tdh-10_kube-system_")));
    tos.stop(0).await;
    let stopped = list("docker ps --no-trunc").await;
    assert!(stopped.len() == 3 && !stopped.iter().any(|line| line.contains("etcd")), "{stopped:?}");
    tos.start(0).await;
    let after = list("docker ps --no-trunc").await;
    assert!(after.len() == 5 && !after.iter().any(|line| line.contains(&id)), "a new container: {after:?}");
    let names = list("docker ps --filter name=tos-apiserver --format '{{.ID}} {{.Names}}'").await;
    assert_eq!(names.len(), 2);
    assert_eq!(names[0].split(' ').next().unwrap().len(), 12);
    assert_eq!(list("docker ps -q").await.len(), 4);
}
