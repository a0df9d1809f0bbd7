//! The text format that Prometheus scrapes (version 0.0.4), for node_exporter's textfile collector and the like.

use super::Listing;
use keybook_api::{FoundCertificate, Loaded};
use std::{collections::BTreeMap, fmt::Write};

/// The listing as metrics. A certificate of which nobody can tell whether it is loaded has no `keybook_certificate_loaded`.
pub fn prometheus(listing: &Listing) -> String {
    let mut out = String::new();
    let name = "keybook_certificate_not_after_timestamp_seconds";
    head(&mut out, name, "Until when the certificate is valid, in seconds since 1970.");
    for one in &listing.certificates {
        sample(&mut out, name, &labels(one), one.not_after);
    }
    let name = "keybook_certificate_not_before_timestamp_seconds";
    head(&mut out, name, "From when the certificate is valid, in seconds since 1970.");
    for one in &listing.certificates {
        sample(&mut out, name, &labels(one), one.not_before);
    }
    let name = "keybook_certificate_loaded";
    head(
        &mut out,
        name,
        "1 where a server presents the certificate, 0 where it presents an older one in its place.",
    );
    for one in &listing.certificates {
        match one.loaded {
            Loaded::Served { .. } => sample(&mut out, name, &labels(one), 1),
            Loaded::Stale { .. } => sample(&mut out, name, &labels(one), 0),
            Loaded::Unknown => {}
        }
    }
    let name = "keybook_certificates_unread";
    head(&mut out, name, "How many files, folders or hosts could not be read.");
    let mut unread: BTreeMap<&str, i64> = BTreeMap::new();
    listing.certificates.iter().for_each(|one| {
        unread.entry(&one.host).or_default();
    });
    listing.unread.iter().for_each(|one| *unread.entry(&one.host).or_default() += 1);
    for (host, count) in unread {
        sample(&mut out, name, &[("host", host.to_owned())], count);
    }
    let name = "keybook_certificates_listed_timestamp_seconds";
    head(&mut out, name, "When the certificates were listed, in seconds since 1970.");
    sample(&mut out, name, &[], listing.now);
    out
}

type Label = (&'static str, String);

/// What tells a certificate's place from every other one, and whose it is.
fn labels(one: &FoundCertificate) -> Vec<Label> {
    let port = match (&one.path, &one.loaded) {
        (None, Loaded::Served { ports }) => ports.first().map(u16::to_string).unwrap_or_default(),
        _ => String::new(),
    };
    vec![
        ("host", one.host.clone()),
        ("path", one.path.clone().unwrap_or_default()),
        ("entry", one.entry.clone().unwrap_or_default()),
        ("index", one.index.to_string()),
        ("port", port),
        ("subject", one.subject.clone()),
        ("issuer", one.issuer.clone()),
        ("serial", one.serial.clone()),
        ("ca", one.is_ca.to_string()),
    ]
}

fn head(out: &mut String, name: &str, help: &str) {
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n");
}

fn sample(out: &mut String, name: &str, labels: &[Label], value: i64) {
    let label = |(name, value): &Label| format!("{name}=\"{}\"", escaped(value));
    let labels: Vec<String> = labels.iter().map(label).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let _ = writeln!(out, "{name}{labels} {value}");
}

/// As the format demands: backslash, quote and line feed are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::listing;
    use super::*;

    #[test]
    fn each_metric_has_its_head_and_its_samples() {
        let text = prometheus(&listing());
        let samples = |name: &str| text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).count();
        assert_eq!(samples("keybook_certificate_not_after_timestamp_seconds"), 4);
        assert_eq!(samples("keybook_certificate_loaded"), 3);
        assert!(text.contains("keybook_certificates_unread{host=\"node-2\"} 1\n"), "{text}");
        assert!(text.contains("keybook_certificates_unread{host=\"node-1\"} 0\n"), "{text}");
        assert!(text.contains("subject=\"CN=a \\\"b\\\\c\",issuer"), "{text}");
        assert!(text.ends_with("keybook_certificates_listed_timestamp_seconds 1000000\n"));
        assert_eq!(text.matches("# HELP").count(), text.matches("# TYPE").count());
    }
}
