//! A judge without certificates: an edge holds when the server's `cert` is word for word what the client trusts. Files
//! on the server's host say more: `/etc/down`, it does not answer; `/etc/ended`, what it shows has run out; `/etc/stale`,
//! it runs with something else than its files.

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
                let says = async |what: &str| read(&*hosts, &server.host, what).await.is_some();
                let (ended, fits) = (says("/etc/ended").await, shown == trusted);
                let verdict = match (&shown, &trusted) {
                    (Some(_), Some(_)) if fits && !ended => TrustVerdict::Holds,
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
                        Reads::EachTime | Reads::CannotTell(_) => HowKnown::Handshake,
                    },
                    reason: match &client.reads {
                        Reads::CannotTell(why) if !why.is_empty() => why.clone(),
                        _ => format!("{shown:?} at {}:{}, {trusted:?}", server.address, server.port),
                    },
                    answered: !says("/etc/down").await,
                    stale: says("/etc/stale").await,
                    until: fits.then(|| shown.as_ref().map_or(0, |shown| shown.len().try_into().unwrap())),
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
