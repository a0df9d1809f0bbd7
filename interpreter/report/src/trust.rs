//! Trust edges in words.

use crate::{
    page::{Page, Tone},
    text,
};
use keybook_api::{HowKnown, TrustEdge, TrustVerdict};
use serde::Serialize;

/// The version of the JSON form. Fields may be added, never renamed or given another meaning.
pub const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    v: u32,
    sandbox: bool,
    edges: &'a [TrustEdge],
}

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

/// All edges as text, those that do not hold in front; no line is wider than `width` columns (at least [`text::NARROWEST`]).
#[must_use]
pub fn table(edges: &[TrustEdge], sandbox: bool, color: bool, width: usize) -> String {
    let mut page = Page::new(width, color);
    if sandbox {
        page.hang("", "[SANDBOX] no real host is looked at", Tone::Plain);
        page.blank();
    }
    let mut sorted: Vec<&TrustEdge> = edges.iter().collect();
    sorted.sort_by_key(|edge| match edge.verdict {
        TrustVerdict::Broken => 0,
        TrustVerdict::Unknown => 1,
        TrustVerdict::Holds if !edge.answered => 2,
        TrustVerdict::Holds => 3,
    });
    for one in sorted {
        let (word, tone) = match one.verdict {
            TrustVerdict::Holds => ("holds", Tone::Good),
            TrustVerdict::Broken => ("BROKEN", Tone::Bad),
            TrustVerdict::Unknown => ("unknown", Tone::Warn),
        };
        page.cells(&[(word, 9, tone)], &one.title(), Tone::Plain);
        let mut more = vec![known(one.known).to_owned()];
        if !one.answered {
            more.push("no connection".to_owned());
        }
        if one.stale {
            more.push("the server runs with something else than its files hold".to_owned());
        }
        if !one.reason.is_empty() {
            more.push(one.reason.clone());
        }
        page.hang("         ", &more.join(", "), Tone::Dim);
    }
    page.blank();
    page.hang("", &summary(edges), Tone::Plain);
    page.finish()
}

/// All edges as indented JSON: `{"v": 1, "sandbox": …, "edges": […]}`, in the order of the declaration.
///
/// # Errors
/// None that is known.
pub fn to_json(edges: &[TrustEdge], sandbox: bool) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&Document { v: FORMAT, sandbox, edges })
}

fn known(how: HowKnown) -> &'static str {
    match how {
        HowKnown::Handshake => "by handshake",
        HowKnown::Inferred => "inferred",
        HowKnown::Unknown => "by the files only",
    }
}

/// One edge: who verifies whom, whether that holds, how it is known.
#[must_use]
pub fn edge(edge: &TrustEdge) -> String {
    let known = known(edge.known);
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
