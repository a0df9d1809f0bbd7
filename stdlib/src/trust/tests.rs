//! Against a real etcd that demands client certificates.

mod faults;
mod servers;
mod wrong_files;

use super::*;
use crate::testing::{Bench, EtcdMember};
use base64::{Engine, engine::general_purpose::STANDARD};
use keybook_api::{Bundle, HowKnown, Reads, Side, TrustVerdict};
use std::sync::Mutex;

/// A server and a client on the host `h1`, with the member's files.
fn matrix(member: &EtcdMember) -> TrustMatrix {
    let file = |name: &str| Bundle::File(member.pki(name));
    TrustMatrix {
        servers: vec![TrustServer {
            name: "etcd".into(),
            host: "h1".into(),
            address: "127.0.0.1".into(),
            port: member.port,
            server_name: None,
            cert: member.pki("leaf.pem"),
            key: Some(member.pki("leaf-key.pem")),
            clients: Some(file("ca.pem")),
            reads: Reads::EachTime,
        }],
        clients: vec![TrustClient {
            name: "apiserver".into(),
            host: "h1".into(),
            uses: vec!["etcd".into()],
            trusts: file("ca.pem"),
            cert: Some(member.pki("leaf.pem")),
            key: Some(member.pki("leaf-key.pem")),
            reads: Reads::EachTime,
        }],
    }
}

async fn judge(bench: &Bench, matrix: &TrustMatrix) -> Vec<TrustEdge> {
    let now = jiff::Timestamp::now().as_second();
    Judge.judge(bench.ctx().hosts, matrix, None, now, &Cancel::new()).await.unwrap()
}

/// The server's edge and the client's.
async fn both(bench: &Bench, matrix: &TrustMatrix) -> [TrustEdge; 2] {
    let edges = judge(bench, matrix).await;
    let [server, client] = edges.try_into().unwrap();
    assert_eq!((server.side, client.side), (Side::Server, Side::Client));
    [server, client]
}

fn told(edge: &TrustEdge) -> (TrustVerdict, HowKnown) {
    (edge.verdict, edge.known)
}

#[tokio::test]
async fn both_sides_hold_by_handshake_and_a_stranger_breaks_his_own() {
    let bench = Bench::new().with_host("h1");
    let member = EtcdMember::start(&bench).await;
    let good = matrix(&member);
    for edge in both(&bench, &good).await {
        assert_eq!(told(&edge), (TrustVerdict::Holds, HowKnown::Handshake), "{edge:?}");
        assert!(edge.answered && !edge.stale && edge.until.is_some(), "{edge:?}");
        assert_eq!((edge.server.as_str(), edge.client.as_str()), ("etcd@h1", "apiserver@h1"));
    }

    let mut other_bundle = good.clone();
    other_bundle.clients[0].trusts = Bundle::File(member.pki("stranger.pem"));
    let [server, client] = both(&bench, &other_bundle).await;
    assert_eq!(told(&server), (TrustVerdict::Broken, HowKnown::Handshake), "{server:?}");
    assert_eq!(told(&client), (TrustVerdict::Holds, HowKnown::Handshake), "{client:?}");

    let mut other_client = good.clone();
    other_client.clients[0].cert = Some(member.pki("other.pem"));
    other_client.clients[0].key = Some(member.pki("other-key.pem"));
    let [server, client] = both(&bench, &other_client).await;
    assert_eq!(told(&server), (TrustVerdict::Holds, HowKnown::Handshake), "{server:?}");
    assert_eq!(told(&client), (TrustVerdict::Broken, HowKnown::Handshake), "the server refused: {client:?}");

    let mut other_name = good.clone();
    other_name.servers[0].server_name = Some("etcd.example".into());
    let [server, _] = both(&bench, &other_name).await;
    assert_eq!(told(&server), (TrustVerdict::Broken, HowKnown::Handshake));
    assert_eq!(server.reason, "the certificate does not name etcd.example");
}

/// A server that has not read its bundle again goes on accepting what its file refuses by now, and the edge says both.
#[tokio::test]
async fn a_handshake_wins_over_a_file_that_the_server_has_not_read() {
    let bench = Bench::new().with_host("h1");
    let member = EtcdMember::start(&bench).await;
    let mut stale = matrix(&member);
    stale.servers[0].clients = Some(Bundle::File(member.pki("stranger.pem")));
    stale.servers[0].cert = member.pki("other.pem");
    stale.servers[0].key = None;
    let [server, client] = both(&bench, &stale).await;
    assert!(server.stale && client.stale, "{server:?} {client:?}");
    assert_eq!(told(&server), (TrustVerdict::Holds, HowKnown::Handshake));
    assert_eq!(server.reason, format!("it serves another certificate than {}", member.pki("other.pem")));
    assert_eq!(told(&client), (TrustVerdict::Holds, HowKnown::Handshake));
    assert!(client.reason.contains("which it has not read again"), "{client:?}");
}

#[tokio::test]
async fn what_a_process_read_at_its_start_is_inferred_or_unknown() {
    let bench = Bench::new().with_host("h1");
    let member = EtcdMember::start(&bench).await;
    let now = jiff::Timestamp::now().as_second();
    let with = |reads| {
        let mut matrix = matrix(&member);
        matrix.clients[0].reads = reads;
        matrix
    };
    for (reads, known, reason) in [
        (Reads::StartedAt(now + 60), HowKnown::Inferred, ""),
        (Reads::StartedAt(now - 3600), HowKnown::Unknown, "apiserver on h1 has not started since"),
        (
            Reads::CannotTell(String::new()),
            HowKnown::Unknown,
            "nobody can tell whether apiserver on h1 has read",
        ),
    ] {
        for edge in both(&bench, &with(reads.clone())).await {
            assert_eq!(told(&edge), (TrustVerdict::Holds, known), "{reads:?}: {edge:?}");
            assert!(edge.reason.starts_with(reason), "{edge:?}");
        }
    }
}

/// Nobody asks a host when a file was changed where no process depends on it.
#[tokio::test]
async fn only_of_what_is_read_at_a_start_the_change_is_asked_for() {
    let bench = Bench::new().with_host("h1");
    let member = EtcdMember::start(&bench).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let commands = Arc::clone(&asked);
    bench.answer_on("h1", move |command| {
        commands.lock().unwrap().push(command.args.clone());
        None
    });
    let stat = |name: &str| vec![member.pki(name)];
    let (each, start) = (Reads::EachTime, Reads::StartedAt(0));
    let cannot_tell = || Reads::CannotTell(String::new());
    let mut matrix = matrix(&member);
    matrix.servers[0].cert = member.pki("other.pem");
    matrix.servers[0].key = None;
    matrix.servers[0].clients = Some(Bundle::File(member.pki("stranger.pem")));
    for (client, server, wanted) in [
        (each.clone(), each.clone(), vec![]),
        (cannot_tell(), cannot_tell(), vec![]),
        (start.clone(), each.clone(), vec![stat("ca.pem"), stat("leaf.pem")]),
        (each, start, vec![stat("other.pem"), stat("stranger.pem")]),
    ] {
        (matrix.clients[0].reads, matrix.servers[0].reads) = (client.clone(), server.clone());
        both(&bench, &matrix).await;
        assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), wanted, "{client:?}, {server:?}");
    }
}

#[tokio::test]
async fn without_a_handshake_the_files_tell_what_they_can() {
    let bench = Bench::new().with_host("h1");
    let member = EtcdMember::start(&bench).await;
    let mut down = matrix(&member);
    drop(member);
    let [server, client] = both(&bench, &down).await;
    assert_eq!(told(&server), (TrustVerdict::Holds, HowKnown::Inferred), "{server:?}");
    assert!(server.reason.starts_with("no handshake: "), "{server:?}");
    assert!(!server.answered && !client.answered);
    assert_eq!(told(&client), (TrustVerdict::Holds, HowKnown::Inferred), "{client:?}");

    down.servers[0].clients = Some(Bundle::File(bench.path("stranger.pem")));
    let [_, client] = both(&bench, &down).await;
    assert_eq!(told(&client), (TrustVerdict::Broken, HowKnown::Inferred), "{client:?}");
    assert_eq!(client.until, None, "no date mends it");

    down.clients[0].host = "gone".into();
    let edges = judge(&bench, &down).await;
    assert!(edges.iter().all(|edge| edge.verdict == TrustVerdict::Unknown), "{edges:?}");
}

#[tokio::test]
async fn a_kubeconfig_is_a_bundle_and_only_the_asked_hosts_are_judged() {
    let bench = Bench::new().with_host("h1");
    let member = EtcdMember::start(&bench).await;
    let data = STANDARD.encode(bench.read("ca.pem"));
    let config = format!("clusters:\n- name: c\n  cluster: {{ certificate-authority-data: {data} }}\n");
    let path = bench.file("admin.conf", config);
    let mut matrix = matrix(&member);
    matrix.clients[0].trusts = Bundle::Kubeconfig(path.clone());
    let [server, _] = both(&bench, &matrix).await;
    assert_eq!(told(&server), (TrustVerdict::Holds, HowKnown::Handshake), "{server:?}");

    bench.file("admin.conf", "clusters: []\n");
    let [server, _] = both(&bench, &matrix).await;
    assert_eq!(server.verdict, TrustVerdict::Broken);
    assert!(server.reason.ends_with("it holds no cluster"), "{server:?}");

    let now = jiff::Timestamp::now().as_second();
    let only = ["h2".to_owned()];
    let none = Judge.judge(bench.ctx().hosts, &matrix, Some(&only), now, &Cancel::new()).await.unwrap();
    assert_eq!(none, []);
    let stopped = Cancel::new();
    stopped.cancel();
    let fault = Judge.judge(bench.ctx().hosts, &matrix, None, now, &stopped).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Stopped);
}

/// A manifest names two files, and each edge is judged by its own.
#[tokio::test]
async fn a_bundle_may_be_named_in_another_file() {
    let bench = Bench::new().with_host("h1");
    let member = EtcdMember::start(&bench).await;
    let (good, strange) = (bench.path("ca.pem"), bench.path("other.pem"));
    bench.file("other.pem", bench.read("other-key.pem"));
    let manifest = |client: &str| {
        format!(
            "command:\n- etcd\n- --peer-trusted-ca-file={client}\n- \"--trusted-ca-file={good}\"\nconfig: {{ca: '{good}'}}\n"
        )
    };
    let holder = bench.file("etcd.yaml", manifest(&good));
    let named = |after: &str| Bundle::Named { holder: holder.clone(), after: after.to_owned() };
    let mut matrix = matrix(&member);
    matrix.clients[0].trusts = named("--peer-trusted-ca-file=");
    for after in ["--trusted-ca-file=", "ca: "] {
        matrix.servers[0].clients = Some(named(after));
        let edges = both(&bench, &matrix).await;
        assert!(edges.iter().all(|edge| edge.verdict == TrustVerdict::Holds), "{edges:?}");
    }

    bench.file("etcd.yaml", manifest(&strange));
    let [server, client] = both(&bench, &matrix).await;
    assert_eq!((server.verdict, client.verdict), (TrustVerdict::Broken, TrustVerdict::Holds), "{server:?}");
    assert!(server.reason.contains(&strange), "{server:?}");

    matrix.clients[0].trusts = named("--no-such-flag=");
    let [server, _] = both(&bench, &matrix).await;
    assert!(server.reason.ends_with("`--no-such-flag=` does not stand in it"), "{server:?}");
    bench.file("etcd.yaml", "--no-such-flag=ca.pem\n");
    let [server, _] = both(&bench, &matrix).await;
    assert!(server.reason.ends_with("stands no absolute path"), "{server:?}");
}
