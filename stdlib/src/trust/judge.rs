//! Weighs what files and handshakes show of one client and one server. Pure.

use super::look::{Files, Lack, Shaken};
use crate::tls;
use keybook_api::{Bundle, HowKnown, Reads, Side, TrustClient, TrustEdge, TrustServer, TrustVerdict};
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

/// What verifying certificates came to.
struct Verified {
    outcome: Result<(), String>,
    /// The last second in which they verify.
    until: Option<i64>,
}

/// A judgement without its ends.
struct Found {
    verdict: TrustVerdict,
    known: HowKnown,
    reasons: Vec<String>,
    stale: bool,
    until: Option<i64>,
}

impl Found {
    /// A file that the judgement needs says nothing; `reads` is when its process reads it.
    fn lacking(lack: Lack, reads: &Reads) -> Self {
        let known = if *reads == Reads::EachTime { HowKnown::Inferred } else { HowKnown::Unknown };
        let (verdict, known, why) = match lack {
            Lack::Unseen(why) => (TrustVerdict::Unknown, HowKnown::Unknown, why),
            Lack::Wrong(why) => (TrustVerdict::Broken, known, why),
        };
        Self { verdict, known, reasons: vec![why], stale: false, until: None }
    }

    /// A verification's outcome, known as well as the worse known of the parts.
    fn of(verified: Verified, parts: Vec<Part>) -> Self {
        let known = parts.iter().map(|part| part.0).max().unwrap_or(HowKnown::Unknown);
        let verdict = if verified.outcome.is_ok() { TrustVerdict::Holds } else { TrustVerdict::Broken };
        let why = parts.into_iter().map(|part| part.1).filter(|why| !why.is_empty());
        let reasons = verified.outcome.err().into_iter().chain(why).collect();
        Self { verdict, known, reasons, stale: false, until: verified.until }
    }

    fn stale(self, stale: bool) -> Self {
        Self { stale, ..self }
    }
}

impl Edge<'_> {
    /// The server's side, and the client's where the server asks for its certificate.
    pub fn judge(&self) -> Vec<TrustEdge> {
        let servers = self.edge(Side::Server, self.server_side().unwrap_or_else(|lacking| lacking));
        let mut edges = vec![servers];
        if let (Some(bundle), Some(cert)) = (&self.server.clients, &self.client.cert) {
            let found = self.client_side(bundle, cert).unwrap_or_else(|lacking| lacking);
            edges.push(self.edge(Side::Client, found));
        }
        edges
    }

    fn edge(&self, side: Side, found: Found) -> TrustEdge {
        TrustEdge {
            server: format!("{}@{}", self.server.name, self.server.host),
            client: format!("{}@{}", self.client.name, self.client.host),
            side,
            verdict: found.verdict,
            known: found.known,
            reason: found.reasons.join("; "),
            answered: self.shaken.seen.as_ref().is_ok_and(|seen| !seen.chain.is_empty()),
            stale: found.stale,
            until: found.until,
        }
    }

    /// Does the client accept the server's certificate?
    fn server_side(&self) -> Result<Found, Found> {
        let (client, server) = (self.client, self.server);
        let roots = self.files.roots(&client.host, &client.trusts);
        let roots = roots.map_err(|lack| Found::lacking(lack, &client.reads))?;
        let on_disk = self.on_disk()?;
        let changed = self.files.bundle_changed(&client.host, &client.trusts);
        let bundle = part(&client.name, &client.host, &client.reads, client.trusts.path(), changed);
        match self.served() {
            Ok(chain) => {
                let stale = on_disk.is_ok_and(|on_disk| on_disk.first() != chain.first());
                let note = if stale {
                    format!("it serves another certificate than {}", server.cert)
                } else {
                    String::new()
                };
                let parts = vec![Part(HowKnown::Handshake, note), bundle];
                Ok(Found::of(self.accepts(&chain, &roots), parts).stale(stale))
            }
            Err(why) => {
                let chain = on_disk.map_err(|lack| Found::lacking(lack, &server.reads))?;
                let changed = self.files.changed(&server.host, &server.cert);
                let part = part(&server.name, &server.host, &server.reads, &server.cert, changed);
                let own = Part(part.0.max(HowKnown::Inferred), join(format!("no handshake: {why}"), &part.1));
                Ok(Found::of(self.accepts(&chain, &roots), vec![own, bundle]))
            }
        }
    }

    /// The server's chain as its file has it; the inner error where nobody can look at it. A file that is no
    /// certificate, or a key that does not fit, is a server that will not start again.
    fn on_disk(&self) -> Result<Result<Vec<Certificate>, Lack>, Found> {
        let server = self.server;
        let chain = match self.files.chain(&server.host, &server.cert) {
            Err(Lack::Unseen(why)) => return Ok(Err(Lack::Unseen(why))),
            chain => chain.map_err(|lack| Found::lacking(lack, &server.reads))?,
        };
        let key = server.key.as_deref().map(|key| self.files.key_fits(&server.host, key, &chain));
        match key {
            Some(Err(Lack::Wrong(why))) => Err(Found::lacking(Lack::Wrong(why), &server.reads)),
            _ => Ok(Ok(chain)),
        }
    }

    /// The chain that the server proved to be its own; else why there is none.
    fn served(&self) -> Result<Vec<Certificate>, String> {
        match &self.shaken.seen {
            Ok(seen) if seen.proved => seen
                .chain
                .iter()
                .map(|der| Certificate::from_der(der).map_err(|why| why.to_string()))
                .collect(),
            Ok(seen) => Err(seen.error.clone().unwrap_or_else(|| "the handshake ended early".to_owned())),
            Err(why) => Err(why.clone()),
        }
    }

    fn accepts(&self, chain: &[Certificate], roots: &[Certificate]) -> Verified {
        let name = self.server.server_name.as_deref().unwrap_or(&self.server.address);
        verified(chain, roots, self.now, |leaf, rest, at| tls::accepts(leaf, rest, roots, at, Some(name)))
    }

    /// Does the server accept the client's certificate?
    fn client_side(&self, bundle: &Bundle, cert: &str) -> Result<Found, Found> {
        let client = self.client;
        let by_files = self.by_files(bundle, cert)?;
        let changed = self.files.changed(&client.host, cert);
        let shown = part(&client.name, &client.host, &client.reads, cert, changed);
        match self.by_handshake() {
            Some(Err(refusal)) => Ok(refused(refusal, by_files, shown)),
            Some(Ok(())) if self.shaken.verifies => Ok(accepted(by_files, shown, bundle)),
            let_in => {
                let server = self.server;
                let verified = by_files.map_err(|lack| Found::lacking(lack, &server.reads))?;
                let changed = self.files.bundle_changed(&server.host, bundle);
                let part = part(&server.name, &server.host, &server.reads, bundle.path(), changed);
                let note = match let_in {
                    Some(_) => "it also lets in who shows no certificate, so that the handshake says nothing",
                    None => "",
                };
                let own = Part(part.0.max(HowKnown::Inferred), join(note.to_owned(), &part.1));
                Ok(Found::of(verified, vec![own, Part(shown.0.max(HowKnown::Inferred), shown.1)]))
            }
        }
    }

    /// What the server said to the client's certificate, where it was shown and the server had to say something.
    fn by_handshake(&self) -> Option<Result<(), String>> {
        let seen = self.shaken.seen.as_ref().ok().filter(|seen| self.shaken.showed && seen.asked)?;
        match &seen.error {
            None => Some(Ok(())),
            Some(why) if seen.refused => Some(Err(why.clone())),
            Some(_) => None,
        }
    }

    /// Does the client's certificate verify with the server's bundle, as both are on disk? The inner error is that
    /// the bundle cannot be looked at; the outer one settles the edge.
    fn by_files(&self, bundle: &Bundle, cert: &str) -> Result<Result<Verified, Lack>, Found> {
        let (client, server) = (self.client, self.server);
        let own = |lack| Found::lacking(lack, &client.reads);
        let chain = self.files.chain(&client.host, cert).map_err(own)?;
        if let Some(key) = &client.key {
            self.files.key_fits(&client.host, key, &chain).map_err(own)?;
        }
        let roots = match self.files.roots(&server.host, bundle) {
            Err(Lack::Unseen(why)) => return Ok(Err(Lack::Unseen(why))),
            roots => roots.map_err(|lack| Found::lacking(lack, &server.reads))?,
        };
        Ok(Ok(verified(&chain, &roots, self.now, |leaf, rest, at| {
            verify(leaf, rest, &roots, at, Usage::Client).map_err(|failure| failure.to_string())
        })))
    }
}

/// The server refused the client's certificate in the handshake.
fn refused(refusal: String, by_files: Result<Verified, Lack>, shown: Part) -> Found {
    let (why, stale, until) = match by_files {
        Ok(Verified { outcome: Err(why), until }) => (format!("{refusal}: {why}"), false, until),
        // By the bundle's file it would accept it.
        Ok(_) => (refusal, true, None),
        Err(_) => (refusal, false, None),
    };
    let verified = Verified { outcome: Err(why), until };
    Found::of(verified, vec![Part(HowKnown::Handshake, String::new()), shown]).stale(stale)
}

/// The server, which verifies certificates in its handshakes, accepted the client's.
fn accepted(by_files: Result<Verified, Lack>, shown: Part, bundle: &Bundle) -> Found {
    let path = bundle.path();
    let (note, stale, until) = match by_files {
        Ok(Verified { outcome: Err(why), .. }) => {
            (format!("by {path}, which it has not read again, it would not: {why}"), true, None)
        }
        Ok(Verified { until, .. }) => (String::new(), false, until),
        Err(_) => (format!("{path} cannot be looked at"), false, None),
    };
    let verified = Verified { outcome: Ok(()), until };
    Found::of(verified, vec![Part(HowKnown::Handshake, note), shown]).stale(stale)
}

/// Verifies a chain now, and finds until when it does.
fn verified(
    chain: &[Certificate],
    roots: &[Certificate],
    now: i64,
    check: impl Fn(&Certificate, &[Certificate], i64) -> Result<(), String>,
) -> Verified {
    let Some((leaf, rest)) = chain.split_first() else {
        return Verified { outcome: Err("there is no certificate".to_owned()), until: None };
    };
    let outcome = check(leaf, rest, now);
    let mut ends: Vec<i64> = chain.iter().chain(roots).map(Certificate::not_after).collect();
    // Of what is not valid yet no end is told: it did not end.
    ends.retain(|end| outcome.is_ok() || *end < now);
    ends.sort_unstable_by(|a, b| b.cmp(a));
    ends.dedup();
    let until = ends.into_iter().find(|end| check(leaf, rest, *end).is_ok());
    Verified { outcome, until }
}

/// Has a process read a file as it is now, which was changed last at this second?
fn part(name: &str, host: &str, reads: &Reads, path: &str, changed: i64) -> Part {
    match reads {
        Reads::EachTime => Part(HowKnown::Handshake, String::new()),
        // In the second of the change, either may have been first.
        Reads::StartedAt(started) if *started > changed => Part(HowKnown::Inferred, String::new()),
        Reads::StartedAt(_) => {
            Part(HowKnown::Unknown, format!("{name} on {host} has not started since {path} was changed"))
        }
        Reads::CannotTell(why) => {
            let told = format!("nobody can tell whether {name} on {host} has read {path} as it is");
            Part(HowKnown::Unknown, if why.is_empty() { told } else { format!("{told}: {why}") })
        }
    }
}

fn join(first: String, second: &str) -> String {
    match (first.is_empty(), second.is_empty()) {
        (false, false) => format!("{first}; {second}"),
        (true, _) => second.to_owned(),
        (false, true) => first,
    }
}
