//! Trust edges in words.

use crate::text;
use keybook_api::{HowKnown, TrustEdge, TrustVerdict};

/// All edges in one line: `18 edges: 17 hold (9 by handshake, 8 by files only), 1 broken, 2 without a connection`.
#[must_use]
pub fn summary(edges: &[TrustEdge]) -> String {
    if edges.is_empty() {
        return "no edges yet: no host has them".to_owned();
    }
    let of = |verdict| edges.iter().filter(move |edge| edge.verdict == verdict);
    let holding = |known| of(TrustVerdict::Holds).filter(|edge| edge.known == known).count();
    let hold = of(TrustVerdict::Holds).count();
    let ways = [
        (holding(HowKnown::Handshake), "by handshake"),
        (holding(HowKnown::Inferred), "inferred"),
        (holding(HowKnown::Unknown), "by their files only"),
    ];
    let ways: Vec<String> =
        ways.iter().filter(|(count, _)| *count > 0).map(|(count, way)| format!("{count} {way}")).collect();
    let mut parts = Vec::new();
    if hold > 0 {
        parts.push(format!("{hold} {} ({})", if hold == 1 { "holds" } else { "hold" }, ways.join(", ")));
    }
    for (count, word) in [
        (of(TrustVerdict::Broken).count(), "broken"),
        (of(TrustVerdict::Unknown).count(), "unknown"),
        (edges.iter().filter(|edge| !edge.answered).count(), "without a connection"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    format!("{}: {}", text::count(edges.len(), "edge", "edges"), parts.join(", "))
}

/// One edge: who verifies whom, whether that holds, how it is known.
#[must_use]
pub fn edge(edge: &TrustEdge) -> String {
    let known = match edge.known {
        HowKnown::Handshake => "by handshake",
        HowKnown::Inferred => "inferred",
        HowKnown::Unknown => "by the files only",
    };
    let verdict = match edge.verdict {
        TrustVerdict::Holds => format!("holds, {known}"),
        TrustVerdict::Broken => format!("BROKEN, {known}"),
        TrustVerdict::Unknown => "unknown".to_owned(),
    };
    let connection = if edge.answered { "" } else { ", no connection" };
    let reason = if edge.reason.is_empty() { String::new() } else { format!(" ({})", edge.reason) };
    text::clean(&format!("{}: {verdict}{connection}{reason}", edge.title()))
}

/// The edges that a person has to know of: those that do not hold, and those whose server does not answer.
pub fn telling(edges: &[TrustEdge]) -> impl Iterator<Item = &TrustEdge> {
    edges.iter().filter(|edge| is_telling(edge))
}

/// Does a person have to know of this edge?
#[must_use]
pub fn is_telling(edge: &TrustEdge) -> bool {
    edge.verdict != TrustVerdict::Holds || !edge.answered
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybook_api::Side;

    fn one(verdict: TrustVerdict, known: HowKnown, answered: bool) -> TrustEdge {
        TrustEdge {
            server: "etcd@m1".into(),
            client: "api@m2".into(),
            side: Side::Server,
            verdict,
            known,
            reason: String::new(),
            answered,
            stale: false,
            until: None,
        }
    }

    /// A server that is down is no more than that, and never hidden among those that hold.
    #[test]
    fn what_has_no_connection_is_counted_and_told_apart() {
        let holds = one(TrustVerdict::Holds, HowKnown::Handshake, true);
        let down = one(TrustVerdict::Holds, HowKnown::Inferred, false);
        let broken = one(TrustVerdict::Broken, HowKnown::Inferred, true);
        let all = [holds.clone(), down.clone(), broken];
        assert_eq!(
            summary(&all),
            "3 edges: 2 hold (1 by handshake, 1 inferred), 1 broken, 1 without a connection"
        );
        assert_eq!(summary(&all[..1]), "1 edge: 1 holds (1 by handshake)");
        assert_eq!(summary(&[]), "no edges yet: no host has them");
        assert_eq!(edge(&down), "api@m2 verifies etcd@m1: holds, inferred, no connection");
        assert_eq!(edge(&holds), "api@m2 verifies etcd@m1: holds, by handshake");
        assert_eq!(telling(&all).count(), 2);
    }
}
