//! Weighs what files and handshakes show of one client and one server. Pure.

use super::look::{Files, Shaken};
use crate::tls;
use keybook_api::{HowKnown, Reads, Side, TrustClient, TrustEdge, TrustServer, TrustVerdict};
use keybook_pki::{Certificate, Usage, verify};

/// A client, a server, and what is known of both.
pub struct Edge<'e> {
    pub client: &'e TrustClient,
    pub server: &'e TrustServer,
    pub shaken: &'e Shaken,
    pub files: &'e Files,
    /// Seconds since 1970 (UTC).
    pub now: i64,
}

/// How well one process's part in an edge is known, and why not better.
struct Part(HowKnown, String);

/// A judgement without its ends.
struct Found {
    verdict: TrustVerdict,
    known: HowKnown,
    reasons: Vec<String>,
}

impl Found {
    /// Nothing could be verified at all.
    fn unknown(why: String) -> Self {
        Self { verdict: TrustVerdict::Unknown, known: HowKnown::Unknown, reasons: vec![why] }
    }

    /// A verification's outcome, known as well as the worse known of the parts.
    fn of(verified: Result<(), String>, parts: Vec<Part>) -> Self {
        let known = parts.iter().map(|part| part.0).max().unwrap_or(HowKnown::Unknown);
        let verdict = if verified.is_ok() { TrustVerdict::Holds } else { TrustVerdict::Broken };
        let why = parts.into_iter().map(|part| part.1).filter(|why| !why.is_empty());
        Self { verdict, known, reasons: verified.err().into_iter().chain(why).collect() }
    }
}

impl Edge<'_> {
    /// The server's side, and the client's where the server asks for its certificate.
    pub fn judge(&self) -> Vec<TrustEdge> {
        let servers = self.edge(Side::Server, self.server_side().unwrap_or_else(Found::unknown));
        let judged = self.server.clients.is_some() && self.client.cert.is_some();
        let clients =
            judged.then(|| self.edge(Side::Client, self.client_side().unwrap_or_else(Found::unknown)));
        [Some(servers), clients].into_iter().flatten().collect()
    }

    fn edge(&self, side: Side, found: Found) -> TrustEdge {
        TrustEdge {
            server: format!("{}@{}", self.server.name, self.server.host),
            client: format!("{}@{}", self.client.name, self.client.host),
            side,
            verdict: found.verdict,
            known: found.known,
            reason: found.reasons.join("; "),
        }
    }

    /// Does the client accept the server's certificate?
    fn server_side(&self) -> Result<Found, String> {
        let (client, server) = (self.client, self.server);
        let roots = self.files.roots(&client.host, &client.trusts)?;
        let bundle =
            self.part(&client.name, &client.host, client.reads, client.trusts.path(), HowKnown::Handshake);
        let served = match &self.shaken.seen {
            Ok(seen) if seen.proved => chain_of(&seen.chain),
            Ok(seen) => Err(seen.error.clone().unwrap_or_else(|| "the handshake ended early".to_owned())),
            Err(why) => Err(why.clone()),
        };
        Ok(match served {
            Ok(chain) => {
                let known = Part(HowKnown::Handshake, self.other_than_on_disk(&chain));
                Found::of(self.accepts(&chain, &roots), vec![known, bundle])
            }
            Err(why) => {
                let chain = self.files.chain(&server.host, &server.cert)?;
                let mut part =
                    self.part(&server.name, &server.host, server.reads, &server.cert, HowKnown::Inferred);
                part.1 = join(format!("no handshake: {why}"), &part.1);
                Found::of(self.accepts(&chain, &roots), vec![part, bundle])
            }
        })
    }

    fn accepts(&self, chain: &[Certificate], roots: &[Certificate]) -> Result<(), String> {
        let (leaf, rest) = chain.split_first().ok_or("the server has no certificate")?;
        let name = self.server.server_name.as_deref().unwrap_or(&self.server.address);
        tls::accepts(leaf, rest, roots, self.now, Some(name))
    }

    /// A server that was not restarted, or reads another file than the runbook says.
    fn other_than_on_disk(&self, served: &[Certificate]) -> String {
        let on_disk = self.files.chain(&self.server.host, &self.server.cert);
        match on_disk {
            Ok(chain) if chain.first() != served.first() => {
                format!("it serves another certificate than {}", self.server.cert)
            }
            _ => String::new(),
        }
    }

    /// Does the server accept the client's certificate?
    fn client_side(&self) -> Result<Found, String> {
        let (client, server) = (self.client, self.server);
        let (Some(cert), Some(bundle)) = (&client.cert, &server.clients) else {
            return Err("the server asks for no certificate".to_owned());
        };
        let by_files = self.by_files(cert);
        let shown = self.part(&client.name, &client.host, client.reads, cert, HowKnown::Handshake);
        if let Ok(seen) = &self.shaken.seen
            && self.shaken.showed
            && seen.asked
        {
            if seen.refused {
                let why = seen.error.clone().unwrap_or_else(|| "it was refused".to_owned());
                let why = by_files.err().map_or(why.clone(), |reason| format!("{why}: {reason}"));
                return Ok(Found::of(Err(why), vec![Part(HowKnown::Handshake, String::new()), shown]));
            }
            if seen.error.is_none() {
                let note = by_files.err().map_or_else(String::new, |why| {
                    format!("by {}, which it has not read again, it would not: {why}", bundle.path())
                });
                return Ok(Found::of(Ok(()), vec![Part(HowKnown::Handshake, note), shown]));
            }
        }
        let own = self.part(&server.name, &server.host, server.reads, bundle.path(), HowKnown::Inferred);
        let shown = Part(shown.0.max(HowKnown::Inferred), shown.1);
        match by_files {
            Err(why) if self.files.chain(&client.host, cert).is_err() => Err(why),
            Err(why) if self.files.roots(&server.host, bundle).is_err() => Err(why),
            verified => Ok(Found::of(verified, vec![own, shown])),
        }
    }

    /// Does the client's certificate verify with the server's bundle, as both are on disk?
    fn by_files(&self, cert: &str) -> Result<(), String> {
        let bundle = self.server.clients.as_ref().ok_or("the server asks for no certificate")?;
        let roots = self.files.roots(&self.server.host, bundle)?;
        let chain = self.files.chain(&self.client.host, cert)?;
        let (leaf, rest) = chain.split_first().ok_or("the client has no certificate")?;
        verify(leaf, rest, &roots, self.now, Usage::Client).map_err(|failure| failure.to_string())
    }

    /// Has a process read a file as it is now? `best` is what is known when it has, or reads it each time.
    fn part(&self, name: &str, host: &str, reads: Reads, path: &str, best: HowKnown) -> Part {
        let changed = self.files.get(host, path).ok().and_then(|file| file.changed).unwrap_or(i64::MAX);
        match reads {
            Reads::EachTime => Part(best, String::new()),
            // In the second of the change, either may have been first.
            Reads::StartedAt(started) if started > changed => Part(HowKnown::Inferred, String::new()),
            Reads::StartedAt(_) => {
                Part(HowKnown::Unknown, format!("{name} on {host} has not started since {path} was changed"))
            }
            Reads::CannotTell => Part(
                HowKnown::Unknown,
                format!("nobody can tell whether {name} on {host} has read {path} as it is"),
            ),
        }
    }
}

fn chain_of(served: &[Vec<u8>]) -> Result<Vec<Certificate>, String> {
    served.iter().map(|der| Certificate::from_der(der).map_err(|why| why.to_string())).collect()
}

fn join(first: String, second: &str) -> String {
    if second.is_empty() { first } else { format!("{first}; {second}") }
}
