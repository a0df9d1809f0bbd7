//! Trust edges in words.

use crate::text;
use keybook_api::{HowKnown, TrustEdge, TrustVerdict};

/// All edges in one line: `18 edges: 17 hold (9 by handshake, 8 by files only), 1 broken`.
#[must_use]
pub fn summary(edges: &[TrustEdge]) -> String {
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
    for (count, word) in
        [(of(TrustVerdict::Broken).count(), "broken"), (of(TrustVerdict::Unknown).count(), "unknown")]
    {
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
    let reason = if edge.reason.is_empty() { String::new() } else { format!(" ({})", edge.reason) };
    text::clean(&format!("{}: {verdict}{reason}", edge.title()))
}

/// The edges that a person has to know of: those that do not hold.
pub fn telling(edges: &[TrustEdge]) -> impl Iterator<Item = &TrustEdge> {
    edges.iter().filter(|edge| edge.verdict != TrustVerdict::Holds)
}
