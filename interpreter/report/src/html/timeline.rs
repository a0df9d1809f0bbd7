//! Certificates before and after: a line of time for the eye, a table for everyone.

use super::{
    markup::{Attributes, Html},
    scale::Scale,
};
use crate::{
    human::certificates::{marks, sightings, validity},
    page::Tone,
    summary::{CertificateSummary, RunSummary, Sighting},
    text, time,
};

/// The drawing, in its own units: labels, then the lines, then dates.
const WIDTH: f64 = 1040.0;
const LEFT: f64 = 300.0;
const RIGHT: f64 = 215.0;
const TOP: f64 = 44.0;
const ROW: f64 = 46.0;
const BAR: f64 = 13.0;

pub(super) fn write(html: &mut Html, run: &RunSummary) {
    if run.certificates.is_empty() {
        return;
    }
    html.section("certificates", "Certificates before and after", |html| {
        html.element("p", &[("class", "quiet")], |html| {
            html.raw(
                "Upper bar: as first seen. Lower bar: as last seen. A hatched stretch is time since expiry. ",
            );
            html.raw("The dashed line is the time of the run. The table below says the same in words.");
        });
        html.element("div", &[("class", "wide")], |html| drawing(html, run));
        table(html, run);
    });
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

fn across(scale: &Scale, moment: i64) -> f64 {
    LEFT + scale.place(moment) * (WIDTH - LEFT - RIGHT)
}

fn drawing(html: &mut Html, run: &RunSummary) {
    let moment = run.moment();
    let dates = run.certificates.iter().flat_map(|one| {
        [&one.first, &one.last].into_iter().flat_map(|seen| [seen.not_before_unix, seen.not_after_unix])
    });
    let scale = Scale::new(moment, dates);
    let rows = u32::try_from(run.certificates.len()).unwrap_or(u32::MAX);
    let height = TOP + ROW * f64::from(rows) + 8.0;
    let view = format!("0 0 {} {}", number(WIDTH), number(height));
    let what = format!("Validity of {} certificates before and after the run", run.certificates.len());
    let attributes: Attributes<'_> = &[
        ("class", "lines"),
        ("viewBox", &view),
        ("role", "img"),
        ("aria-label", &what),
        ("xmlns", "http://www.w3.org/2000/svg"),
    ];
    html.element("svg", attributes, |html| {
        html.raw(
            "<defs><pattern id=\"gone\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate(45)\"><line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern></defs>",
        );
        grid(html, &scale, height);
        let mut top = TOP;
        for certificate in &run.certificates {
            row(html, &scale, moment, certificate, top);
            top += ROW;
        }
        today(html, &scale, moment, height);
    });
}

fn line(html: &mut Html, class: &'static str, x: f64, from: f64, to: f64) {
    let x = number(x);
    html.shape(
        "line",
        &[("class", class), ("x1", &x), ("y1", &number(from)), ("x2", &x), ("y2", &number(to))],
    );
}

fn label(html: &mut Html, class: &'static str, anchor: &'static str, x: f64, y: f64, data: &str) {
    let attributes: Attributes<'_> =
        &[("class", class), ("text-anchor", anchor), ("x", &number(x)), ("y", &number(y))];
    html.leaf("text", attributes, data);
}

fn rect(html: &mut Html, class: &'static str, from: f64, to: f64, y: f64) {
    // Even a validity of minutes must be seen on a scale of decades.
    let wide = number((to - from).max(1.5));
    html.shape(
        "rect",
        &[
            ("class", class),
            ("x", &number(from)),
            ("y", &number(y)),
            ("width", &wide),
            ("height", &number(BAR)),
            ("rx", "2"),
        ],
    );
}

fn grid(html: &mut Html, scale: &Scale, height: f64) {
    for (moment, name) in scale.ticks() {
        let x = across(scale, moment);
        line(html, "grid", x, TOP - 6.0, height);
        label(html, "small", "middle", x, TOP - 11.0, &name);
    }
}

fn today(html: &mut Html, scale: &Scale, moment: i64, height: f64) {
    let x = across(scale, moment);
    line(html, "today", x, 18.0, height);
    label(
        html,
        "today-text",
        "middle",
        x.clamp(LEFT, WIDTH - 110.0),
        13.0,
        &format!("run: {}", time::day(moment)),
    );
}

fn row(html: &mut Html, scale: &Scale, moment: i64, certificate: &CertificateSummary, top: f64) {
    html.element("g", &[], |html| {
        html.leaf("title", &[], &format!("{} {}", certificate.host, certificate.place));
        let edge = number(WIDTH);
        let y = number(top);
        html.shape("line", &[("class", "grid"), ("x1", "0"), ("y1", &y), ("x2", &edge), ("y2", &y)]);
        label(html, "host", "start", 10.0, top + 18.0, &text::cut(&certificate.host, 36));
        label(html, "small", "start", 10.0, top + 34.0, &cut_front(&certificate.place, 44));
        let shown = sightings(certificate);
        // One bar stands in the middle of its row.
        let mut y = top + if shown.len() == 1 { 16.0 } else { 7.0 };
        for (name, sighting) in shown {
            let latest = matches!(name, "after" | "last" | "new");
            let class = match (latest, certificate.taken_back) {
                (true, true) => "after back",
                (true, false) => "after",
                (false, _) => "before",
            };
            bar(html, scale, moment, class, sighting, y);
            let (class, text) = bar_text(name, sighting, moment, latest && certificate.taken_back);
            label(html, class, "start", WIDTH - RIGHT + 8.0, y + 10.5, &text);
            y += 18.0;
        }
    });
}

/// What stands beside a bar, for those who cannot tell its colour, and how.
fn bar_text(name: &str, seen: &Sighting, moment: i64, taken_back: bool) -> (&'static str, String) {
    let day = time::day(seen.not_after_unix);
    if taken_back {
        ("small", format!("{name}: taken back"))
    } else if seen.not_after_unix < moment {
        ("late small", format!("{name}: expired {day}"))
    } else {
        ("small", format!("{name}: until {day}"))
    }
}

/// The end of a path says more than its beginning.
fn cut_front(path: &str, columns: usize) -> String {
    let safe = text::clean(path);
    let letters: Vec<char> = safe.chars().collect();
    let mut kept = letters.as_slice();
    while let [_, rest @ ..] = kept
        && text::width(&kept.iter().collect::<String>()) > columns
    {
        kept = rest;
    }
    if kept.len() == letters.len() { safe } else { format!("…{}", kept.iter().collect::<String>()) }
}

fn bar(html: &mut Html, scale: &Scale, moment: i64, class: &'static str, seen: &Sighting, y: f64) {
    let (from, to) = (across(scale, seen.not_before_unix), across(scale, seen.not_after_unix));
    rect(html, class, from, to, y);
    if seen.not_after_unix < moment {
        rect(html, "gone", to, across(scale, moment), y);
    }
    // A bar that goes on beyond the drawing says so.
    if scale.leaves_out(seen.not_after_unix) {
        label(html, "small", "end", to - 3.0, y + 10.5, "▶");
    }
    if scale.leaves_out(seen.not_before_unix) {
        label(html, "small", "start", from + 3.0, y + 10.5, "◀");
    }
}

fn table(html: &mut Html, run: &RunSummary) {
    html.table("Certificates before and after", &["Host", "Certificate", "Before", "After"], |html| {
        for certificate in &run.certificates {
            html.element("tr", &[], |html| certificate_cells(html, run, certificate));
        }
    });
}

fn certificate_cells(html: &mut Html, run: &RunSummary, certificate: &CertificateSummary) {
    html.row_head(&certificate.host);
    html.element("td", &[], |html| {
        html.leaf("code", &[], &certificate.place);
        html.raw("<br>");
        html.text(&certificate.last.subject);
    });
    html.element("td", &[], |html| {
        if certificate.created && !certificate.changed() {
            html.raw("not there");
        } else if certificate.unseen_before {
            html.text(&format!("not seen; first seen {}", time::stamp(&certificate.first.seen)));
            if certificate.changed() {
                sighting_text(html, run, &certificate.first);
            }
        } else {
            sighting_text(html, run, &certificate.first);
        }
    });
    html.element("td", &[], |html| {
        if certificate.changed() || certificate.created {
            sighting_text(html, run, &certificate.last);
        } else {
            if certificate.unseen_before {
                sighting_text(html, run, &certificate.last);
            }
            let once = certificate.first.seen == certificate.last.seen;
            let how = match (once, certificate.unseen_before) {
                (true, _) => "seen once, at",
                (false, true) => "last seen",
                (false, false) => "unchanged, last seen",
            };
            html.text(&format!("{how} {}", time::stamp(&certificate.last.seen)));
        }
        marks(certificate).for_each(|mark| html.badge(Tone::Warn, mark));
    });
}

fn sighting_text(html: &mut Html, run: &RunSummary, sighting: &Sighting) {
    let late = if sighting.not_after_unix < run.moment() { "late" } else { "" };
    html.leaf("span", &[("class", late)], &validity(sighting, run.moment()));
    let print: String = sighting.sha256.chars().take(16).collect();
    html.element("p", &[("class", "quiet small")], |html| {
        html.raw("SHA-256 ");
        html.leaf("code", &[], &format!("{print}…"));
    });
    html.element("details", &[("class", "small")], |html| {
        html.raw("<summary>Details</summary>");
        let issuer = if sighting.issuer == sighting.subject { "self-signed" } else { &sighting.issuer };
        let mut line = |text: String| html.leaf("p", &[], &text);
        line(format!("Issuer: {issuer}"));
        line(format!("Serial: {}", sighting.serial));
        if !sighting.sans.is_empty() {
            line(format!("For: {}", sighting.sans.join(", ")));
        }
        line(format!("SHA-256: {}", sighting.sha256));
        line(format!("Seen {} UTC", time::stamp(&sighting.seen)));
    });
}
