//! A cluster's servers and clients with one thing wrong at a time: just the edges that this breaks are told as broken, with the
//! reason, and openssl, asked beside, agrees on every edge, in whichever order the bundles hold their CAs. Nothing listens here: it
//! is what the files say; what processes have loaded is shown in the other files of this folder.

use super::{Bundle, Judge, Reads, TrustClient, TrustEdge, TrustMatrix, TrustServer, TrustVerdict};
use crate::testing::{Bench, Issue, ca};
use keybook_api::{Cancel, Side, TrustJudge};
use keybook_pki::{Certificate, KeyForm, KeyKind, LeafRequest, PrivateKey, Subject, Usages, issue_leaf};
use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    process::{Command, Output},
};

type Ca = (Certificate, PrivateKey);

const DAY: i64 = 86_400;

/// How a leaf is made.
struct Leaf {
    /// Words of extended usages, with commas.
    usage: &'static str,
    sans: &'static [&'static str],
    days: (i64, i64),
}

const SERVER: Leaf =
    Leaf { usage: "server auth", sans: &["IP:127.0.0.1", "DNS:localhost"], days: (-10, 300) };
const CLIENT: Leaf = Leaf { usage: "client auth", sans: &[], ..SERVER };
/// A member of etcd serves its peers and connects to them with one certificate.
const PEER: Leaf = Leaf { usage: "server auth,client auth", ..SERVER };

/// A bench with the CAs of a cluster, and others of the same names.
struct Place {
    bench: Bench,
    /// Bundles hold the other CA first.
    turned: bool,
    cluster: Ca,
    etcd: Ca,
    front: Ca,
    other: Ca,
    /// It stands in no bundle.
    strange: Ca,
}

impl Place {
    fn new(turned: bool) -> Self {
        let bench = Bench::new().with_host("h1");
        let named = |name: &str, cn| ca(&bench, name, &Issue { cn, ..Issue::default() });
        let (cluster, etcd, front) =
            (named("ca", "kubernetes"), named("etcd-ca", "etcd-ca"), named("front-ca", "front"));
        let (other, strange) = (named("other", "kubernetes"), named("strange", "kubernetes"));
        let place = Self { turned, cluster, etcd, front, other, strange, bench };
        place.bundle("cluster-cas", &["ca", "other"]);
        place.bundle("webhook-cas", &["ca", "other"]);
        place.bundle("etcd-cas", &["etcd-ca", "other"]);
        place.bundle("peer-cas", &["etcd-ca", "other"]);
        place.bundle("front-cas", &["front-ca", "other"]);
        let text = place.bench.read("cluster-cas.pem");
        place.kubeconfig(&text);
        for (name, ca, how) in [
            ("apiserver", &place.cluster, SERVER),
            ("kubelet-serving", &place.cluster, SERVER),
            ("webhook", &place.cluster, Leaf { sans: &["DNS:webhook.default.svc"], ..SERVER }),
            ("extension", &place.cluster, SERVER),
            ("etcd", &place.etcd, SERVER),
            ("peer", &place.etcd, PEER),
            ("admin", &place.cluster, CLIENT),
            ("kubelet", &place.cluster, CLIENT),
            ("apiserver-kubelet", &place.cluster, CLIENT),
            ("apiserver-etcd", &place.etcd, CLIENT),
            ("front-proxy", &place.front, CLIENT),
        ] {
            place.leaf(name, ca, &how);
        }
        place
    }

    fn bundle(&self, name: &str, of: &[&str]) {
        let mut all: Vec<String> = of.iter().map(|one| self.bench.read(&format!("{one}.pem"))).collect();
        if self.turned {
            all.reverse();
        }
        self.bench.file(&format!("{name}.pem"), all.concat());
    }

    fn kubeconfig(&self, pem: &str) {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let data = STANDARD.encode(pem);
        self.bench.file("admin-cas.pem", pem);
        let text = format!("clusters:\n- {{ name: c, cluster: {{ certificate-authority-data: {data} }} }}\n");
        self.bench.file("admin.conf", text);
    }

    fn save(&self, name: &str, certificate: &Certificate, key: &PrivateKey) {
        self.bench.file(&format!("{name}.pem"), certificate.to_pem());
        self.bench.file(&format!("{name}-key.pem"), key.to_pem(KeyForm::Pkcs8).unwrap().expose());
    }

    fn leaf(&self, name: &str, ca: &Ca, how: &Leaf) {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let now = jiff::Timestamp::now().as_second();
        let words = ["signing", "key encipherment"].into_iter().chain(how.usage.split(','));
        let request = LeafRequest {
            subject: Subject::Attributes(vec![("CN".to_owned(), name.to_owned())]),
            sans: how.sans.iter().map(|san| san.parse().unwrap()).collect(),
            usages: Usages::from_words(words).unwrap(),
            not_before: now + how.days.0 * DAY,
            not_after: now + how.days.1 * DAY,
        };
        self.save(name, &issue_leaf(&request, &ca.0, &ca.1, &key).unwrap(), &key);
    }

    /// Every file, with what it holds.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let all = fs::read_dir(self.bench.path("")).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
    }

    /// What our own code would not sign: by openssl, with these extensions, and a key of its own.
    fn signed(&self, name: &str, by: &str, cn: &str, extensions: &str) {
        let path = |name: &str, end: &str| self.bench.path(&format!("{name}{end}"));
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        self.bench.file(&format!("{name}-key.pem"), key.to_pem(KeyForm::Pkcs8).unwrap().expose());
        let file = self.bench.file(&format!("{name}.ext"), extensions);
        let (key, request) = (path(name, "-key.pem"), path(name, ".csr"));
        assert!(
            openssl(&["req", "-new", "-key", &key, "-subj", &format!("/CN={cn}"), "-out", &request])
                .status
                .success()
        );
        let (ca, ca_key, out) = (path(by, ".pem"), path(by, "-key.pem"), path(name, ".pem"));
        let made = openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-set_serial",
            "77",
            "-days",
            "100",
            "-extfile",
            &file,
            "-out",
            &out,
        ]);
        assert!(made.status.success(), "{made:?}");
    }

    /// Puts a CA's certificate behind a leaf, as a chain.
    fn chained(&self, leaf: &str, with: &str) {
        let chain = [leaf, with].map(|one| self.bench.read(&format!("{one}.pem"))).concat();
        self.bench.file(&format!("{leaf}.pem"), chain);
    }

    fn matrix(&self) -> TrustMatrix {
        let pem = |name: &str| self.bench.path(&format!("{name}.pem"));
        let key = |name: &str| Some(self.bench.path(&format!("{name}-key.pem")));
        let server = |name: &str, cert: &str, clients: Option<&str>, names: Option<&str>| TrustServer {
            name: name.into(),
            host: "h1".into(),
            address: "127.0.0.1".into(),
            // Nothing listens there.
            port: 1,
            server_name: names.map(str::to_owned),
            cert: pem(cert),
            key: key(cert),
            clients: clients.map(|bundle| Bundle::File(pem(bundle))),
            reads: Reads::EachTime,
        };
        let client = |name: &str, uses: &str, trusts: Bundle, shows: bool| TrustClient {
            name: name.into(),
            host: "h1".into(),
            uses: vec![uses.into()],
            trusts,
            cert: shows.then(|| pem(name)),
            key: key(name).filter(|_| shows),
            reads: Reads::EachTime,
        };
        let cluster = || Bundle::File(pem("cluster-cas"));
        TrustMatrix {
            servers: vec![
                server("apiserver", "apiserver", Some("cluster-cas"), None),
                server("kubelet-serving", "kubelet-serving", Some("cluster-cas"), None),
                server("extension", "extension", Some("front-cas"), None),
                server("etcd", "etcd", Some("etcd-cas"), None),
                server("etcd-peer", "peer", Some("peer-cas"), None),
                server("webhook", "webhook", None, Some("webhook.default.svc")),
            ],
            clients: vec![
                client("admin", "apiserver", Bundle::Kubeconfig(self.bench.path("admin.conf")), true),
                client("kubelet", "apiserver", cluster(), true),
                client("apiserver-kubelet", "kubelet-serving", cluster(), true),
                client("front-proxy", "extension", cluster(), true),
                client("apiserver-etcd", "etcd", Bundle::File(pem("etcd-cas")), true),
                client("peer", "etcd-peer", Bundle::File(pem("peer-cas")), true),
                client("to-webhook", "webhook", Bundle::File(pem("webhook-cas")), false),
            ],
        }
    }
}

fn openssl(args: &[&str]) -> Output {
    Command::new("openssl").args(args).output().unwrap()
}

/// Who verifies whom, such as `admin: apiserver`.
fn words(edge: &TrustEdge) -> String {
    let [server, client] = [&edge.server, &edge.client].map(|one| one.split('@').next().unwrap().to_owned());
    match edge.side {
        Side::Server => format!("{client}: {server}"),
        Side::Client => format!("{server}: {client}"),
    }
}

/// What openssl has said, by what it was asked and by what the files held.
type Said = HashMap<Vec<u8>, bool>;

/// Does openssl verify the certificate of this edge with its bundle, and is the key that of the certificate?
fn openssl_says(place: &Place, matrix: &TrustMatrix, edge: &TrustEdge, said: &mut Said) -> bool {
    let [server, client] = [&edge.server, &edge.client].map(|one| one.split('@').next().unwrap());
    let server = matrix.servers.iter().find(|one| one.name == server).unwrap();
    let client = matrix.clients.iter().find(|one| one.name == client).unwrap();
    let admins = place.bench.path("admin-cas.pem");
    let file = |bundle: &Bundle| match bundle {
        Bundle::File(path) => path.clone(),
        _ => admins.clone(),
    };
    let (roots, cert, key, purpose) = match edge.side {
        Side::Server => (file(&client.trusts), &server.cert, server.key.as_ref(), "sslserver"),
        Side::Client => (
            file(server.clients.as_ref().unwrap()),
            client.cert.as_ref().unwrap(),
            client.key.as_ref(),
            "sslclient",
        ),
    };
    let mut args =
        vec!["verify", "-partial_chain", "-purpose", purpose, "-CAfile", &roots, "-untrusted", cert];
    match (edge.side, &server.server_name) {
        (Side::Server, Some(name)) => args.extend(["-verify_hostname", name.as_str()]),
        (Side::Server, None) => args.extend(["-verify_ip", server.address.as_str()]),
        (Side::Client, _) => {}
    }
    args.push(cert);
    let held = |path: &String| fs::read(path).unwrap_or_default();
    let mut question = args.join(" ").into_bytes();
    [Some(&roots), Some(cert), key].into_iter().flatten().for_each(|path| question.extend(held(path)));
    let public = |args: &[&str]| String::from_utf8(openssl(args).stdout).unwrap();
    let ask = || {
        openssl(&args).status.success()
            && key.is_none_or(|key| {
                public(&["pkey", "-in", key, "-pubout"])
                    == public(&["x509", "-in", cert, "-noout", "-pubkey"])
            })
    };
    *said.entry(question).or_insert_with(ask)
}

/// What is wrong, how it comes to be, the edges that it breaks, and words of the reason.
type Case = (&'static str, fn(&Place), &'static [&'static str], &'static str);

const BY_API_CLIENTS: &[&str] = &["admin: apiserver", "kubelet: apiserver"];

const CASES: &[Case] = &[
    ("nothing", |_| {}, &[], ""),
    (
        "server of a strange CA",
        |p| p.leaf("apiserver", &p.strange, &SERVER),
        BY_API_CLIENTS,
        "not the key identifier",
    ),
    ("server of the bundle's other CA", |p| p.leaf("apiserver", &p.other, &SERVER), &[], ""),
    (
        "client of a strange CA",
        |p| p.leaf("kubelet", &p.strange, &CLIENT),
        &["apiserver: kubelet"],
        "not the key identifier",
    ),
    (
        "server has ended",
        |p| p.leaf("apiserver", &p.cluster, &Leaf { days: (-20, -1), ..SERVER }),
        BY_API_CLIENTS,
        "expired at",
    ),
    (
        "client has ended",
        |p| p.leaf("admin", &p.cluster, &Leaf { days: (-20, -1), ..CLIENT }),
        &["apiserver: admin"],
        "expired at",
    ),
    (
        "server is not valid yet",
        |p| p.leaf("etcd", &p.etcd, &Leaf { days: (1, 9), ..SERVER }),
        &["apiserver-etcd: etcd"],
        "is not valid before",
    ),
    (
        "client is not valid yet",
        |p| p.leaf("apiserver-etcd", &p.etcd, &Leaf { days: (1, 9), ..CLIENT }),
        &["etcd: apiserver-etcd"],
        "is not valid before",
    ),
    (
        "address is missing",
        |p| p.leaf("apiserver", &p.cluster, &Leaf { sans: &["DNS:localhost"], ..SERVER }),
        BY_API_CLIENTS,
        "does not name 127.0.0.1",
    ),
    (
        "name is missing",
        |p| p.leaf("webhook", &p.cluster, &Leaf { sans: &["DNS:webhook"], ..SERVER }),
        &["to-webhook: webhook"],
        "does not name webhook.default.svc",
    ),
    (
        "server with a client's usage",
        |p| p.leaf("apiserver", &p.cluster, &Leaf { usage: "client auth", ..SERVER }),
        BY_API_CLIENTS,
        "may not be used as a server's",
    ),
    (
        "client with a server's usage",
        |p| p.leaf("front-proxy", &p.front, &Leaf { usage: "server auth", ..CLIENT }),
        &["extension: front-proxy"],
        "may not be used as a client's",
    ),
    (
        "peer without a client's usage",
        |p| p.leaf("peer", &p.etcd, &SERVER),
        &["etcd-peer: peer"],
        "may not be used as a client's",
    ),
    (
        "server's key is another one",
        |p| drop(p.bench.file("apiserver-key.pem", p.bench.read("etcd-key.pem"))),
        BY_API_CLIENTS,
        "not the key",
    ),
    (
        "client's key is another one",
        |p| drop(p.bench.file("kubelet-key.pem", p.bench.read("etcd-key.pem"))),
        &["apiserver: kubelet"],
        "not the key",
    ),
    (
        "server of a strange CA, which it names by the name only",
        |p| p.signed("apiserver", "strange", "apiserver", &format!("{LEAF}{NO_KEY_ID}")),
        BY_API_CLIENTS,
        "was signed by another key",
    ),
    (
        "etcd's CA has ended",
        |p| {
            let ended =
                ca(&p.bench, "etcd-ca", &Issue { cn: "etcd-ca", not_after: -DAY, ..Issue::default() });
            p.leaf("etcd", &ended, &SERVER);
            p.leaf("apiserver-etcd", &ended, &CLIENT);
            p.bundle("etcd-cas", &["etcd-ca", "other"]);
        },
        &["apiserver-etcd: etcd", "etcd: apiserver-etcd"],
        "`CN=etcd-ca,O=Keybook` expired at",
    ),
    (
        "signed by a leaf",
        |p| {
            p.signed(
                "apiserver",
                "etcd",
                "apiserver",
                "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n",
            );
            p.chained("apiserver", "etcd");
        },
        BY_API_CLIENTS,
        "is not a CA that may sign",
    ),
    (
        "intermediate is missing",
        |p| {
            p.intermediate("");
            p.signed("apiserver", "inter", "apiserver", LEAF);
        },
        BY_API_CLIENTS,
        "`CN=inter`, is not among the trusted",
    ),
    (
        "intermediate is there",
        |p| {
            p.intermediate("");
            p.signed("apiserver", "inter", "apiserver", LEAF);
            p.chained("apiserver", "inter");
        },
        &[],
        "",
    ),
    (
        "path is longer than allowed",
        |p| {
            p.intermediate(",pathlen:0");
            p.signed(
                "second",
                "inter",
                "second",
                "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n",
            );
            p.signed("apiserver", "second", "apiserver", LEAF);
            p.chained("apiserver", "second");
            p.chained("apiserver", "inter");
        },
        BY_API_CLIENTS,
        "allows only 0 intermediate CAs",
    ),
    (
        "name is none that the CA may sign",
        |p| {
            p.intermediate("\nnameConstraints=critical,permitted;DNS:example");
            p.signed("webhook", "inter", "webhook", WEBHOOK);
            p.chained("webhook", "inter");
        },
        &["to-webhook: webhook"],
        "name constraints do not allow",
    ),
    (
        "name is one that the CA may sign",
        |p| {
            p.intermediate("\nnameConstraints=critical,permitted;DNS:default.svc");
            p.signed("webhook", "inter", "webhook", WEBHOOK);
            p.chained("webhook", "inter");
        },
        &[],
        "",
    ),
    (
        "bundle is empty",
        |p| drop(p.bench.file("front-cas.pem", "")),
        &["extension: front-proxy"],
        "front-cas.pem on h1: the file is empty",
    ),
    (
        "bundle is gone",
        |p| std::fs::remove_file(p.bench.path("front-cas.pem")).unwrap(),
        &["extension: front-proxy"],
        "front-cas.pem on h1: there is no such file",
    ),
    (
        "kubeconfig's data are no certificate",
        |p| p.kubeconfig("garbage\n"),
        &["admin: apiserver"],
        "admin.conf on h1: the file holds no certificate",
    ),
    (
        "webhook's caBundle is of another CA",
        |p| p.bundle("webhook-cas", &["strange"]),
        &["to-webhook: webhook"],
        "not the key identifier",
    ),
    (
        "etcd's peers are verified with another CA",
        |p| p.bundle("peer-cas", &["other", "strange"]),
        &["etcd-peer: peer", "peer: etcd-peer"],
        "is not among the trusted",
    ),
    (
        "kubeconfig trusts another CA",
        |p| p.kubeconfig(&p.bench.read("strange.pem")),
        &["admin: apiserver"],
        "not the key identifier",
    ),
    (
        "etcd's clients are verified with another CA",
        |p| p.bundle("etcd-cas", &["other", "strange"]),
        &["apiserver-etcd: etcd", "etcd: apiserver-etcd"],
        "is not among the trusted",
    ),
    (
        "front proxy is verified with the cluster's CA",
        |p| p.bundle("front-cas", &["ca"]),
        &["extension: front-proxy"],
        "is not among the trusted",
    ),
];

const LEAF: &str = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n";
const WEBHOOK: &str = "subjectAltName=DNS:webhook.default.svc\nextendedKeyUsage=serverAuth\n";
const NO_KEY_ID: &str = "authorityKeyIdentifier=none\n";

impl Place {
    /// An intermediate CA below the cluster's.
    fn intermediate(&self, more: &str) {
        let extensions = format!("basicConstraints=critical,CA:TRUE{more}\nkeyUsage=keyCertSign\n");
        self.signed("inter", "ca", "inter", &extensions);
    }
}

async fn judged(place: &Place, matrix: &TrustMatrix) -> Vec<TrustEdge> {
    let now = jiff::Timestamp::now().as_second();
    Judge.judge(place.bench.ctx().hosts, matrix, None, now, &Cancel::new()).await.unwrap()
}

/// Goes through all cases; `turned` is the order of the bundles.
async fn each_fault(turned: bool) {
    let place = Place::new(turned);
    let (matrix, healthy, mut said) = (place.matrix(), place.files(), Said::new());
    for (name, spoil, broken, reason) in CASES {
        for (path, content) in &healthy {
            fs::write(path, content).unwrap();
        }
        spoil(&place);
        let edges = judged(&place, &matrix).await;
        assert_eq!(edges.len(), 13, "{name}");
        let found: Vec<&TrustEdge> =
            edges.iter().filter(|edge| edge.verdict == TrustVerdict::Broken).collect();
        let mut told: Vec<String> = found.iter().map(|edge| words(edge)).collect();
        told.sort();
        assert_eq!(told, *broken, "{name}: {found:#?}");
        assert!(edges.iter().all(|edge| edge.verdict != TrustVerdict::Unknown), "{name}: {edges:#?}");
        for edge in &found {
            assert!(edge.reason.contains(reason), "{name}: {}", edge.reason);
        }
        for edge in &edges {
            let holds = edge.verdict == TrustVerdict::Holds;
            assert_eq!(openssl_says(&place, &matrix, edge, &mut said), holds, "{name}: {edge:#?}");
        }
    }
}

#[tokio::test]
async fn each_fault_is_caught_on_its_edge_only_and_openssl_agrees() {
    each_fault(false).await;
}

#[tokio::test]
async fn each_fault_is_caught_with_the_other_ca_in_front() {
    each_fault(true).await;
}

/// A certificate that names its CA by the name only is looked up by that name, and openssl takes the first CA that has it, whichever
/// key it has: with the other one in front some versions refuse it. Keybook tries each of them, as Go does, and says that it holds.
#[tokio::test]
async fn a_server_that_names_its_ca_by_the_name_only_holds_in_both_orders() {
    for turned in [false, true] {
        let place = Place::new(turned);
        place.signed("apiserver", "ca", "apiserver", &format!("{LEAF}{NO_KEY_ID}"));
        let matrix = place.matrix();
        for edge in judged(&place, &matrix).await {
            assert_eq!(edge.verdict, TrustVerdict::Holds, "turned: {turned}: {edge:#?}");
            assert!(turned || openssl_says(&place, &matrix, &edge, &mut Said::new()), "{edge:#?}");
        }
    }
}
