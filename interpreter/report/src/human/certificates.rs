//! Certificates before and after, as text.

use crate::{
    page::{Page, Tone},
    summary::{CertificateSummary, RunSummary, Sighting},
    time,
};

pub(super) fn write(page: &mut Page, run: &RunSummary) {
    if run.certificates.is_empty() {
        return;
    }
    page.heading("Certificates");
    for certificate in &run.certificates {
        page.hang("  ", &format!("{} {}", certificate.host, certificate.place), Tone::Plain);
        for (name, sighting) in sightings(certificate) {
            let tone = if sighting.not_after_unix < run.moment() { Tone::Bad } else { Tone::Plain };
            let print: String = sighting.sha256.chars().take(8).collect();
            let text = format!("{}, sha256 {print}", validity(sighting, run.moment()));
            page.hang(&format!("    {name:<10}"), &text, tone);
        }
        for mark in marks(certificate) {
            page.hang(&format!("    {:<10}", ""), mark, Tone::Warn);
        }
    }
}

/// What is not known of the place before the first sighting, and what became of it after the last one.
pub(crate) fn marks(certificate: &CertificateSummary) -> impl Iterator<Item = &'static str> {
    let touched = match certificate.endpoint {
        true => "seen before the rollback; not read since",
        false => "a later unit changed the file; not read since",
    };
    let back = match certificate.created {
        true => "then removed by the rollback",
        false => "then put back by the rollback",
    };
    let unseen = "not seen before the run's change";
    let marks = [
        (certificate.unseen_before, unseen),
        (certificate.touched_since, touched),
        (certificate.taken_back, back),
    ];
    marks.into_iter().filter(|(holds, _)| *holds).map(|(_, words)| words)
}

/// What there is to show: one sighting when nothing changed, else before and after.
pub(crate) fn sightings(certificate: &CertificateSummary) -> Vec<(&'static str, &Sighting)> {
    match (certificate.changed(), certificate.created) {
        // The first one is the run's doing already: after a rollback the last one is the one from before, perhaps.
        (true, _) if certificate.unseen_before => {
            vec![("first", &certificate.first), ("last", &certificate.last)]
        }
        (true, _) => vec![("before", &certificate.first), ("after", &certificate.last)],
        (false, true) => vec![("new", &certificate.last)],
        // Seen once, or the same at every sighting: no more is known than that.
        (false, false) if certificate.unseen_before || certificate.first.seen == certificate.last.seen => {
            vec![("seen", &certificate.last)]
        }
        (false, false) => vec![("unchanged", &certificate.last)],
    }
}

/// `2018-01-12 to 2023-01-09, expired for 1 day`, seen from `moment`.
pub(crate) fn validity(sighting: &Sighting, moment: i64) -> String {
    let dates = format!("{} to {}", time::day(sighting.not_before_unix), time::day(sighting.not_after_unix));
    let distance = time::distance(moment, sighting.not_after_unix);
    if sighting.not_after_unix < moment {
        format!("{dates}, expired for {distance}")
    } else if sighting.not_before_unix > moment {
        format!("{dates}, not valid yet")
    } else {
        format!("{dates}, {distance} left")
    }
}
