//! A list of certificates, the most urgent first: for people, as JSON, as Prometheus' text.

mod prometheus;

pub use prometheus::prometheus;

use crate::{
    page::{Page, Tone},
    text, time,
};
use keybook_api::{FoundCertificate, Loaded};
use serde::Serialize;

/// The version of the JSON form. Fields may be added, never renamed or given another meaning.
pub const FORMAT: u32 = 1;

/// What is shown in the colour of a warning, in days.
const SOON: i64 = 30;

const DAY: i64 = 86_400;

/// What could not be read on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The host, by inventory name.
    pub host: String,
    /// What, and why.
    pub problem: String,
}

/// The certificates of some hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// They themselves.
    pub certificates: Vec<FoundCertificate>,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// When this was, in seconds since 1970.
    pub now: i64,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    certificate: &'a FoundCertificate,
    days_left: i64,
    not_before_time: String,
    not_after_time: String,
}

#[derive(Serialize)]
struct Document<'a> {
    v: u32,
    now: i64,
    certificates: Vec<Row<'a>>,
    unread: &'a [Unread],
}

impl Listing {
    /// Puts what ends first in front; equals by host and place.
    pub fn sort(&mut self) {
        self.certificates.sort_by(|a, b| {
            let key = |one: &FoundCertificate| (one.not_after, one.host.clone(), one.path.clone(), one.index);
            key(a).cmp(&key(b))
        });
        self.unread.sort_by(|a, b| (&a.host, &a.problem).cmp(&(&b.host, &b.problem)));
    }

    /// How many end within some seconds from now, those that have ended included.
    pub fn ending_within(&self, seconds: i64) -> usize {
        let limit = self.now.saturating_add(seconds);
        self.certificates.iter().filter(|one| one.not_after < limit).count()
    }

    /// Whole days, negative when it has ended.
    fn days_left(&self, one: &FoundCertificate) -> i64 {
        one.not_after.saturating_sub(self.now).div_euclid(DAY)
    }

    /// As text. No line is wider than `width` columns (at least [`text::NARROWEST`]).
    pub fn render(&self, color: bool, width: usize) -> String {
        let mut page = Page::new(width, color);
        if !self.certificates.is_empty() {
            let strong = Tone::Strong;
            page.cells(&[("DAYS", 7, strong), ("ENDS (UTC)", 12, strong)], "CERTIFICATE", strong);
        }
        for one in &self.certificates {
            let days = self.days_left(one);
            let tone = match days {
                ..0 => Tone::Bad,
                0..SOON => Tone::Warn,
                _ => Tone::Plain,
            };
            let (left, day) = (days.to_string(), time::day(one.not_after).to_string());
            let what = if one.is_ca { format!("{} (CA)", one.subject) } else { one.subject.clone() };
            page.cells(&[(&left, 7, tone), (&day, 12, Tone::Plain)], &what, Tone::Plain);
            page.hang("       ", &place(one), Tone::Dim);
            page.hang("       ", &signed(one), Tone::Dim);
            if !one.sans.is_empty() {
                page.hang("       ", &one.sans.join(", "), Tone::Dim);
            }
            if let Some((loaded, tone)) = loaded(one) {
                page.hang("       ", &loaded, tone);
            }
        }
        page.blank();
        page.hang("", &self.summary(), Tone::Plain);
        page.finish()
    }

    fn summary(&self) -> String {
        let mut parts = vec![text::count(self.certificates.len(), "certificate", "certificates")];
        let (ended, soon) = (self.ending_within(0), self.ending_within(SOON * DAY));
        if ended > 0 {
            parts.push(format!("{ended} ended"));
        }
        if soon > ended {
            parts.push(format!("{} more within {SOON} days", soon - ended));
        }
        let stale = self.certificates.iter().filter(|one| matches!(one.loaded, Loaded::Stale { .. })).count();
        if stale > 0 {
            parts.push(format!("{stale} not loaded by the server"));
        }
        if !self.unread.is_empty() {
            parts.push(format!("{} not read", self.unread.len()));
        }
        parts.join(", ")
    }

    /// As indented JSON: `{"v": 1, "now": …, "certificates": […], "unread": […]}`.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let row = |one| Row {
            certificate: one,
            days_left: self.days_left(one),
            not_before_time: time::rfc3339(one.not_before),
            not_after_time: time::rfc3339(one.not_after),
        };
        let certificates = self.certificates.iter().map(row).collect();
        serde_json::to_string_pretty(&Document {
            v: FORMAT,
            now: self.now,
            certificates,
            unread: &self.unread,
        })
    }
}

fn place(one: &FoundCertificate) -> String {
    let mut text = match (&one.path, &one.loaded) {
        (Some(path), _) => format!("{}: {path}", one.host),
        (None, Loaded::Served { ports }) => format!("{}: in no file, only at {}", one.host, listed(ports)),
        (None, _) => one.host.clone(),
    };
    if let Some(entry) = &one.entry {
        text.push_str(&format!(", {entry}"));
    } else if one.index > 0 {
        text.push_str(&format!(", certificate {} of the file", one.index + 1));
    }
    for link in &one.links {
        text.push_str(&format!(", {link}"));
    }
    text
}

fn signed(one: &FoundCertificate) -> String {
    let by = if one.issuer == one.subject { "itself" } else { one.issuer.as_str() };
    format!("signed by {by}, serial {}, from {}", one.serial, time::day(one.not_before))
}

fn loaded(one: &FoundCertificate) -> Option<(String, Tone)> {
    match &one.loaded {
        Loaded::Served { .. } if one.path.is_none() => None,
        Loaded::Served { ports } => Some((format!("loaded: served at {}", listed(ports)), Tone::Good)),
        Loaded::Stale { port, not_after } => {
            let until = time::day(*not_after);
            let text = format!(
                "NOT LOADED: port {port} serves another one with these names, until {until}; restart the server"
            );
            Some((text, Tone::Bad))
        }
        Loaded::Unknown => None,
    }
}

fn listed(ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    format!("{} {}", if ports.len() == 1 { "port" } else { "ports" }, ports.join(", "))
}

#[cfg(test)]
pub(super) mod tests;
