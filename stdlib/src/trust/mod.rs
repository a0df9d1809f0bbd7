//! Judges the edges of a trust matrix: reads the files of each host once, shakes hands from each client's host with
//! each of its servers, and weighs what both show.

mod judge;
pub(crate) mod kubeconfig;
mod look;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use judge::Edge;
use keybook_api::{
    Cancel, Fault, FaultKind, HostAccess, TrustClient, TrustEdge, TrustJudge, TrustMatrix, TrustServer,
};
use look::{Files, Shaken};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Handshakes under way at once.
const AT_ONCE: usize = 16;

/// How long all files may take, and how long all of a judgement.
const FILES: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(120);

/// The judge of the standard library: certificates by path validation (RFC 5280), servers by real TLS handshakes.
pub struct Judge;

#[async_trait]
impl TrustJudge for Judge {
    async fn judge(
        &self,
        hosts: Arc<dyn HostAccess>,
        matrix: &TrustMatrix,
        only: Option<&[String]>,
        now: i64,
        cancel: &Cancel,
    ) -> Result<Vec<TrustEdge>, Fault> {
        let pairs = pairs(matrix, only);
        let stopped = || Fault::new(FaultKind::Stopped, "judge the trust matrix", "the run was stopped");
        let work = async {
            let begun = Instant::now();
            let files = Files::read(&*hosts, &pairs, begun + FILES).await;
            let mut handshakes = Vec::with_capacity(pairs.len());
            for (client, server) in &pairs {
                handshakes.push(look::shake(&*hosts, &files, client, server, begun + WHOLE));
            }
            let shaken: Vec<Shaken> = stream::iter(handshakes).buffered(AT_ONCE).collect().await;
            let edges = pairs.iter().zip(&shaken).flat_map(|((client, server), shaken)| {
                Edge { client, server, shaken, files: &files, now }.judge()
            });
            edges.collect()
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(stopped()),
            edges = work => Ok(edges),
        }
    }
}

/// Each client with each server it uses.
fn pairs<'m>(matrix: &'m TrustMatrix, only: Option<&[String]>) -> Vec<(&'m TrustClient, &'m TrustServer)> {
    let wanted = |host: &String| only.is_none_or(|only| only.contains(host));
    let of = |client: &'m TrustClient| {
        matrix.servers.iter().filter(|server| client.uses.contains(&server.name)).map(move |s| (client, s))
    };
    let all = matrix.clients.iter().flat_map(of);
    all.filter(|(client, server)| wanted(&client.host) || wanted(&server.host)).collect()
}
