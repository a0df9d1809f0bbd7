//! What is broken because of a file, and what only time breaks.

use super::{both, judge, matrix, told};
use crate::testing::{Bench, EtcdMember, Issue, ca, leaf};
use crate::trust::Judge;
use keybook_api::{Bundle, Cancel, HowKnown, Reads, TrustEdge, TrustJudge, TrustMatrix, TrustVerdict};
use std::os::unix::fs::symlink;

type Spoil<'s> = dyn Fn(&mut TrustMatrix) + 's;

/// Every file of a matrix that can be spoiled, the side whose edge it breaks, and words of the reason.
#[tokio::test]
async fn a_file_that_is_missing_or_garbage_breaks_its_edge_although_the_server_goes_on() {
    let bench = Bench::new().with_host("h1");
    let member = EtcdMember::start(&bench).await;
    let strange = || bench.path("other-key.pem");
    let empty = bench.file("empty.pem", "");
    let garbage = bench.file("garbage.pem", "garbage\n");
    let gone = bench.path("gone.pem");
    bench.file("folder/x", "");
    let folder = bench.path("folder");
    for bad in [empty, garbage, gone, folder] {
        let spoil: [(&Spoil, [bool; 2]); 6] = [
            (&|m| m.clients[0].trusts = Bundle::File(bad.clone()), [true, false]),
            (&|m| m.servers[0].cert = bad.clone(), [true, false]),
            (&|m| m.servers[0].key = Some(bad.clone()), [true, false]),
            (&|m| m.servers[0].clients = Some(Bundle::File(bad.clone())), [false, true]),
            (&|m| m.clients[0].cert = Some(bad.clone()), [false, true]),
            (&|m| m.clients[0].key = Some(bad.clone()), [false, true]),
        ];
        for (at, (spoil, expected)) in spoil.iter().enumerate() {
            let mut matrix = matrix(&member);
            spoil(&mut matrix);
            let edges = both(&bench, &matrix).await;
            let broken = edges.each_ref().map(|edge| edge.verdict == TrustVerdict::Broken);
            assert_eq!(broken, *expected, "{at} {bad}: {edges:?}");
            assert!(edges.iter().all(|edge| !(edge.verdict == TrustVerdict::Unknown)), "{edges:?}");
            let told = edges.iter().find(|edge| edge.verdict == TrustVerdict::Broken).unwrap();
            assert!(told.reason.contains(&format!("{bad} on h1: ")), "{told:?}");
        }
    }
    // A key of another certificate.
    let mut server = matrix(&member);
    server.servers[0].key = Some(strange());
    let [edge, _] = both(&bench, &server).await;
    assert_eq!(edge.verdict, TrustVerdict::Broken);
    assert!(edge.reason.contains("it is not the key of the certificate"), "{edge:?}");
    let mut client = matrix(&member);
    client.clients[0].key = Some(strange());
    let [edge, own] = both(&bench, &client).await;
    assert_eq!(
        told(&edge),
        (TrustVerdict::Holds, HowKnown::Handshake),
        "without the client's identity: {edge:?}"
    );
    assert_eq!(own.verdict, TrustVerdict::Broken);
    assert!(own.reason.contains("it is not the key of the certificate"), "{own:?}");
}

/// What cannot be looked at is unknown, not broken.
#[tokio::test]
async fn a_host_that_does_not_answer_leaves_an_edge_unknown() {
    let bench = Bench::new().with_host("h1");
    let member = EtcdMember::start(&bench).await;
    let mut matrix = matrix(&member);
    matrix.clients[0].host = "gone".into();
    for edge in judge(&bench, &matrix).await {
        assert_eq!(told(&edge), (TrustVerdict::Unknown, HowKnown::Unknown), "{edge:?}");
        assert!(!edge.answered);
    }
}

/// The end of the certificates is told, and kept apart from every other cause.
#[tokio::test]
async fn what_only_ended_says_when() {
    let bench = Bench::new().with_host("h1");
    let mut matrix = matrix(&EtcdMember::start(&bench).await);
    let own = ca(&bench, "own", &Issue { cn: "own", not_after: 7_000, ..Issue::default() });
    let (short, _) =
        leaf(&bench, &own, "short", &Issue { cn: "short", not_after: 5_000, ..Issue::default() });
    // Another CA of the bundle ends first, which is nothing to the path.
    ca(&bench, "passing", &Issue { cn: "passing", not_after: 3_000, ..Issue::default() });
    let both_cas = bench.file("both.pem", [bench.read("passing.pem"), bench.read("own.pem")].concat());
    matrix.clients[0].trusts = Bundle::File(both_cas.clone());
    matrix.servers[0].clients = Some(Bundle::File(both_cas));
    matrix.servers[0].cert = bench.path("short.pem");
    matrix.servers[0].key = Some(bench.path("short-key.pem"));
    matrix.clients[0].cert = Some(bench.path("short.pem"));
    matrix.clients[0].key = Some(bench.path("short-key.pem"));
    let end = short.not_after();
    let at = async |now| -> Vec<TrustEdge> {
        Judge.judge(bench.ctx().hosts, &matrix, None, now, &Cancel::new()).await.unwrap()
    };
    for (now, verdict) in [(end - 100, TrustVerdict::Holds), (end + 100, TrustVerdict::Broken)] {
        for edge in at(now).await {
            assert_eq!((edge.verdict, edge.until), (verdict, Some(end)), "{edge:?}");
        }
    }
    // The CA ended too, and the leaf ended first.
    assert_eq!(at(end + 100_000).await[0].until, Some(end));
    // Before they begin nothing has ended.
    let early = at(end - 10 * 365 * 86_400).await;
    assert!(
        early.iter().all(|edge| edge.verdict == TrustVerdict::Broken && edge.until.is_none()),
        "{early:?}"
    );
    matrix.clients[0].trusts = Bundle::File(bench.path("stranger.pem"));
    assert_eq!(judge(&bench, &matrix).await[0].until, None, "no date mends it");
}

/// A kubeconfig's CA may be in a file of its own, which then counts like the kubeconfig itself.
#[tokio::test]
async fn the_file_that_a_kubeconfig_names_is_read() {
    let bench = Bench::new().with_host("h1");
    let member = EtcdMember::start(&bench).await;
    let mut matrix = matrix(&member);
    let text = |file: &str| {
        format!(
            "clusters:\n- {{ name: own, cluster: {{ certificate-authority: {file} }} }}\n\
             - {{ name: other, cluster: {{ certificate-authority: {} }} }}\n\
             contexts: [{{ name: c, context: {{ cluster: own }} }}]\ncurrent-context: c\n",
            member.pki("ca.pem")
        )
    };
    matrix.clients[0].trusts = Bundle::Kubeconfig(bench.file("conf", text("ca.pem")));
    let [server, _] = both(&bench, &matrix).await;
    assert_eq!(told(&server), (TrustVerdict::Holds, HowKnown::Handshake), "{server:?}");
    bench.file("conf", text("stranger.pem"));
    assert_eq!(
        both(&bench, &matrix).await[0].verdict,
        TrustVerdict::Broken,
        "another cluster's CA does not count"
    );
    bench.file("conf", text("gone.pem"));
    let [server, _] = both(&bench, &matrix).await;
    assert_eq!(server.verdict, TrustVerdict::Broken);
    assert!(server.reason.contains("gone.pem on h1: there is no such file"), "{server:?}");
}

fn seconds(path: &str) -> i64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).unwrap().ctime()
}

/// Whoever swaps a link changes what a process reads at its next start.
#[tokio::test]
async fn a_swapped_link_is_a_change() {
    let bench = Bench::new().with_host("h1");
    let member = EtcdMember::start(&bench).await;
    let mut matrix = matrix(&member);
    for dir in ["v1", "v2"] {
        bench.file(&format!("{dir}/ca.pem"), bench.read("ca.pem"));
    }
    symlink("v1", bench.path("current")).unwrap();
    symlink("current/ca.pem", bench.path("link.pem")).unwrap();
    matrix.clients[0].trusts = Bundle::File(bench.path("link.pem"));
    // The clock of a file system has seconds here; the link must be younger than the start.
    let started = seconds(&bench.path("current")) + 1;
    matrix.clients[0].reads = Reads::StartedAt(started);
    let [server, _] = both(&bench, &matrix).await;
    assert_eq!(told(&server), (TrustVerdict::Holds, HowKnown::Inferred), "{server:?}");
    while jiff::Timestamp::now().as_second() <= started {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    symlink("v2", bench.path("new")).unwrap();
    std::fs::rename(bench.path("new"), bench.path("current")).unwrap();
    let [server, _] = both(&bench, &matrix).await;
    assert_eq!(told(&server), (TrustVerdict::Holds, HowKnown::Unknown), "{server:?}");
    assert!(server.reason.contains("has not started since"), "{server:?}");
}
