//! A judge without certificates: an edge holds when the server's `cert` is word for word what the client trusts.

use async_trait::async_trait;
use keybook_api::{
    Cancel, Fault, HostAccess, HowKnown, Reads, Side, TrustEdge, TrustJudge, TrustMatrix, TrustVerdict,
};
use std::sync::Arc;

pub struct WordForWord;

#[async_trait]
impl TrustJudge for WordForWord {
    async fn judge(
        &self,
        hosts: Arc<dyn HostAccess>,
        matrix: &TrustMatrix,
        only: Option<&[String]>,
        _now: i64,
        _cancel: &Cancel,
    ) -> Result<Vec<TrustEdge>, Fault> {
        let mut edges = Vec::new();
        for client in &matrix.clients {
            for server in matrix.servers.iter().filter(|server| client.uses.contains(&server.name)) {
                if only.is_some_and(|only| !only.contains(&client.host) && !only.contains(&server.host)) {
                    continue;
                }
                let shown = read(&*hosts, &server.host, &server.cert).await;
                let trusted = read(&*hosts, &client.host, client.trusts.path()).await;
                let verdict = match (&shown, &trusted) {
                    (Some(shown), Some(trusted)) if shown == trusted => TrustVerdict::Holds,
                    (Some(_), Some(_)) => TrustVerdict::Broken,
                    _ => TrustVerdict::Unknown,
                };
                edges.push(TrustEdge {
                    server: format!("{}@{}", server.name, server.host),
                    client: format!("{}@{}", client.name, client.host),
                    side: Side::Server,
                    verdict,
                    known: match client.reads {
                        Reads::StartedAt(_) => HowKnown::Inferred,
                        Reads::EachTime | Reads::CannotTell => HowKnown::Handshake,
                    },
                    reason: format!("{shown:?} at {}:{}, {trusted:?}", server.address, server.port),
                });
            }
        }
        Ok(edges)
    }
}

async fn read(hosts: &dyn HostAccess, host: &str, path: &str) -> Option<String> {
    let target = hosts.target(host).await.ok()?;
    target.stat(path).await.ok()??;
    Some(String::from_utf8_lossy(target.read(path, 1 << 20).await.ok()?.expose()).into_owned())
}
