//! The HTML report: one file without requests to anywhere and without scripts, for mail, archive and print.

mod markup;
mod scale;
mod sections;
mod steps;
mod style;
mod timeline;

use crate::{human, summary::RunSummary, time};
use markup::Html;

/// The whole page. Nothing in it comes from the data unescaped.
pub fn render(run: &RunSummary) -> String {
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\">\n");
    head(&mut html, run);
    html.element("body", &[], |html| {
        if run.sandbox {
            html.leaf("p", &[("class", "sandbox"), ("role", "note")], human::SANDBOX);
        }
        page_header(html, run);
        html.element("main", &[], |html| {
            sections::attention(html, run);
            sections::rollback(html, run);
            timeline::write(html, run);
            steps::write(html, run);
            sections::skipped(html, run);
            steps::write_gates(html, run);
            sections::trust(html, run);
            sections::resumes(html, run);
            sections::hosts(html, run);
            sections::preflight(html, run);
            sections::inputs(html, run);
        });
        footer(html, run);
    });
    html.raw("\n</html>\n");
    html.finish()
}

fn head(html: &mut Html, run: &RunSummary) {
    html.element("head", &[], |html| {
        html.raw("<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        // Even if something slipped in, the browser would neither load nor run it.
        html.raw(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
        );
        let sandbox = if run.sandbox { "SANDBOX " } else { "" };
        html.leaf("title", &[], &format!("{sandbox}Run {}: {}", run.run, run.runbook.title));
        html.raw("\n<style>");
        html.raw(style::CSS);
        if run.sandbox {
            html.raw(style::SANDBOX_CSS);
        }
        html.raw("</style>\n");
    });
}

fn page_header(html: &mut Html, run: &RunSummary) {
    html.element("header", &[], |html| {
        html.leaf("h1", &[], &run.runbook.title);
        html.element("p", &[], |html| {
            html.badge(human::tone(run.status), &run.status_text);
            html.text(&format!(" Run {} of {} {}", run.run, run.runbook.name, run.runbook.version));
        });
        html.element("dl", &[("class", "facts")], |html| {
            let mut fact = |name: &str, value: &str| {
                html.leaf("dt", &[], name);
                html.leaf("dd", &[], value);
            };
            if !run.reason.is_empty() {
                fact("Reason", &run.reason);
            }
            fact("Cluster", &run.cluster);
            fact("By", &format!("{} ({})", run.operators.join(", "), human::mode(run.mode)));
            fact("Began", &format!("{} UTC", time::stamp(&run.started)));
            match &run.ended {
                Some(ended) => fact("Ended", &format!("{} UTC", time::stamp(ended))),
                None => fact("Last seen", &format!("{} UTC; no end is recorded", time::stamp(&run.last))),
            }
            fact("Took", &human::where_time_went(run));
            if let Some(exit) = run.exit {
                fact("Exit code", &exit.to_string());
            }
            if !run.limit.is_empty() {
                fact("Only on", &run.limit.join(", "));
            }
            if run.owed.is_empty() {
                fact("Still owed", "nothing");
            } else {
                fact("Still owed", &run.owed.join(", "));
            }
            if !run.notes.is_empty() {
                fact("Notes", &run.notes.join("; "));
            }
        });
    });
}

fn footer(html: &mut Html, run: &RunSummary) {
    html.element("footer", &[], |html| {
        if let Some(head) = &run.head {
            html.element("p", &[], |html| {
                html.raw("Head of the journal: ");
                html.leaf("code", &[], head);
            });
            html.raw(
                "<p>The chain of hashes shows that the journal is consistent. Kept elsewhere, this head also shows \
                 that nothing was rewritten.</p>",
            );
        }
        let version = format!("Keybook {}, {} records, all times UTC.", run.keybook, run.records);
        html.leaf("p", &[], &version);
        html.element("p", &[], |html| {
            html.raw("Runbook ");
            html.leaf("code", &[], &run.runbook.folder);
            html.raw(" with SHA-256 ");
            html.leaf("code", &[], &run.runbook.digest);
        });
    });
}
