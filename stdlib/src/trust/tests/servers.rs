//! Servers that ask for certificates and do not verify them, and hosts that hang.

use super::{both, matrix, told};
use crate::testing::{Bench, EtcdMember, Issue, ca, leaf};
use crate::trust::Judge;
use async_trait::async_trait;
use keybook_api::{
    Bundle, Cancel, Fault, HostAccess, HostSpec, HowKnown, Reads, Target, TrustClient, TrustJudge,
    TrustMatrix, TrustServer, TrustVerdict,
};
use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

/// `openssl s_server`.
struct Openssl {
    child: Child,
    port: u16,
}

/// It asks for a certificate and takes any, and none: as kube-apiserver's RequestClientCert.
const LENIENT: &[&str] = &["-verify", "1"];

/// It demands one and verifies it.
const STRICT: &[&str] = &["-Verify", "1", "-verify_return_error"];

impl Openssl {
    async fn start(bench: &Bench, verifying: &[&str]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")])
            .args(verifying)
            .args(["-cert", &bench.path("leaf.pem"), "-key", &bench.path("leaf-key.pem")])
            .args(["-CAfile", &bench.path("ca.pem")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        let server = Self { child, port };
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("openssl s_server does not listen");
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl_matrix(bench: &Bench, port: u16, shown: &str) -> TrustMatrix {
    TrustMatrix {
        servers: vec![TrustServer {
            name: "api".into(),
            host: "h1".into(),
            address: "127.0.0.1".into(),
            port,
            server_name: None,
            cert: bench.path("leaf.pem"),
            key: None,
            clients: Some(Bundle::File(bench.path("ca.pem"))),
            reads: Reads::EachTime,
        }],
        clients: vec![TrustClient {
            name: "kubectl".into(),
            host: "h1".into(),
            uses: vec!["api".into()],
            trusts: Bundle::File(bench.path("ca.pem")),
            cert: Some(bench.path(&format!("{shown}.pem"))),
            key: Some(bench.path(&format!("{shown}-key.pem"))),
            reads: Reads::EachTime,
        }],
    }
}

#[tokio::test]
async fn a_handshake_with_a_server_that_lets_everybody_in_shows_nothing_of_the_client() {
    let bench = Bench::new().with_host("h1");
    let own = ca(&bench, "ca", &Issue { cn: "ca", ..Issue::default() });
    leaf(&bench, &own, "leaf", &Issue::default());
    let stranger = ca(&bench, "stranger", &Issue { cn: "stranger", ..Issue::default() });
    leaf(&bench, &stranger, "other", &Issue { cn: "other", ..Issue::default() });
    let lenient = Openssl::start(&bench, LENIENT).await;
    let [server, client] = both(&bench, &openssl_matrix(&bench, lenient.port, "other")).await;
    assert_eq!(told(&server), (TrustVerdict::Holds, HowKnown::Handshake), "{server:?}");
    assert_eq!(told(&client), (TrustVerdict::Broken, HowKnown::Inferred), "{client:?}");

    let [_, client] = both(&bench, &openssl_matrix(&bench, lenient.port, "leaf")).await;
    assert_eq!(told(&client), (TrustVerdict::Holds, HowKnown::Inferred), "{client:?}");
    assert!(client.reason.contains("it also lets in who shows no certificate"), "{client:?}");

    let mut read_at_start = openssl_matrix(&bench, lenient.port, "leaf");
    read_at_start.servers[0].reads = Reads::CannotTell("there is no such process".into());
    let [_, client] = both(&bench, &read_at_start).await;
    assert_eq!(told(&client), (TrustVerdict::Holds, HowKnown::Unknown), "{client:?}");
    assert!(client.reason.ends_with("as it is: there is no such process"), "{client:?}");
}

/// Who shows none is told of a failed handshake only, by the alert of TLS 1.2.
#[tokio::test]
async fn a_handshake_with_a_server_that_verifies_counts() {
    let bench = Bench::new().with_host("h1");
    let own = ca(&bench, "ca", &Issue { cn: "ca", ..Issue::default() });
    leaf(&bench, &own, "leaf", &Issue::default());
    let stranger = ca(&bench, "stranger", &Issue { cn: "stranger", ..Issue::default() });
    leaf(&bench, &stranger, "other", &Issue { cn: "other", ..Issue::default() });
    let strict = Openssl::start(&bench, STRICT).await;
    for (shown, verdict) in [("leaf", TrustVerdict::Holds), ("other", TrustVerdict::Broken)] {
        let [server, client] = both(&bench, &openssl_matrix(&bench, strict.port, shown)).await;
        assert_eq!(told(&server), (TrustVerdict::Holds, HowKnown::Handshake), "{server:?}");
        assert_eq!(told(&client), (verdict, HowKnown::Handshake), "{client:?}");
    }
}

/// A host that never answers.
struct Hanging(Arc<dyn HostAccess>);

#[async_trait]
impl HostAccess for Hanging {
    async fn target(&self, name: &str) -> Result<Arc<dyn Target>, Fault> {
        match name {
            "hung" => std::future::pending().await,
            _ => self.0.target(name).await,
        }
    }
    fn group(&self, _: &str) -> Option<Vec<String>> {
        None
    }
    fn spec(&self, name: &str) -> Option<HostSpec> {
        self.0.spec(name)
    }
}

#[tokio::test]
async fn a_host_that_hangs_does_not_hold_up_the_others() {
    let bench = Bench::new().with_host("h1");
    let member = EtcdMember::start(&bench).await;
    let mut all = matrix(&member);
    all.clients[0].reads = Reads::EachTime;
    for number in 0..20 {
        let hung = TrustClient { name: format!("c{number}"), host: "hung".into(), ..all.clients[0].clone() };
        all.clients.push(hung);
    }
    let hosts = Arc::new(Hanging(bench.ctx().hosts));
    let now = jiff::Timestamp::now().as_second();
    // From here on time passes as fast as nothing else is to be done.
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let edges = Judge.judge(hosts, &all, None, now, &Cancel::new()).await.unwrap();
    assert!(begun.elapsed() <= crate::trust::WHOLE, "the judgement has an end of its own");
    assert_eq!(edges.len(), 42);
    assert!(edges[2..].iter().all(|edge| edge.verdict == TrustVerdict::Unknown), "{edges:?}");
    assert!(edges[2].reason.contains("the host does not answer in time"), "{:?}", edges[2]);
    assert_eq!(edges[0].verdict, TrustVerdict::Holds, "{:?}", edges[0]);
}
