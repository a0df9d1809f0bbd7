//! The table of runs.

use crate::{
    human,
    page::{Page, Tone},
    summary::RunSummary,
    time,
};
use keybook_api::{RunId, event::RunStatus};
use serde::Serialize;

/// The version of the JSON form. Fields may be added, never renamed or given another meaning.
pub const FORMAT: u32 = 1;

/// One run in the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HistoryRow {
    /// The run.
    pub run: RunId,
    /// The runbook's name and version.
    pub runbook: String,
    /// The inventory's `cluster:`.
    pub cluster: String,
    /// How it stands; `running` means running or killed.
    pub status: RunStatus,
    /// The same in words.
    pub status_text: String,
    /// The exit code; `None` when no end is recorded.
    pub exit: Option<i32>,
    /// When it was opened (RFC 3339, UTC).
    pub started: String,
    /// Milliseconds from its first record to its last.
    pub duration_ms: u64,
    /// Of these, how many it rested: stopped, or nobody worked on it.
    pub resting_ms: u64,
    /// How many hosts it had.
    pub hosts: usize,
    /// No real host was touched.
    pub sandbox: bool,
}

impl From<&RunSummary> for HistoryRow {
    fn from(run: &RunSummary) -> Self {
        Self {
            run: run.run.clone(),
            runbook: format!("{} {}", run.runbook.name, run.runbook.version),
            cluster: run.cluster.clone(),
            status: run.status,
            status_text: run.status_text.clone(),
            exit: run.exit,
            started: run.started.clone(),
            duration_ms: run.times.total_ms,
            resting_ms: run.times.resting_ms,
            hosts: run.hosts.len(),
            sandbox: run.sandbox,
        }
    }
}

/// A run whose journal cannot be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unreadable {
    /// The run.
    pub run: RunId,
    /// Why it cannot be read.
    pub problem: String,
}

/// The list as JSON.
#[derive(Serialize)]
struct List<'a> {
    v: u32,
    runs: &'a [HistoryRow],
    unreadable: &'a [Unreadable],
}

/// The table as text, in the order given, what cannot be read at its end; no line is wider than `width` columns (at least
/// [`crate::text::NARROWEST`]). Where a row does not fit, its second part gets a line of its own. A run took the time that
/// it did not rest.
pub fn render(rows: &[HistoryRow], unreadable: &[Unreadable], color: bool, width: usize) -> String {
    let mut page = Page::new(width, color);
    if rows.is_empty() && unreadable.is_empty() {
        page.hang("", "No runs yet.", Tone::Plain);
        return page.finish();
    }
    let strong = Tone::Strong;
    page.cells(&[("RUN", 22, strong), ("STARTED (UTC)", 21, strong), ("TOOK", 14, strong)], "STATUS", strong);
    for row in rows {
        let took = time::took(row.duration_ms.saturating_sub(row.resting_ms));
        let started = time::stamp(&row.started);
        page.cells(
            &[(row.run.as_str(), 22, Tone::Plain), (&started, 21, Tone::Plain), (&took, 14, Tone::Plain)],
            &row.status_text,
            human::tone(row.status),
        );
        let hosts = crate::text::count(row.hosts, "host", "hosts");
        let sandbox = if row.sandbox { ", SANDBOX" } else { "" };
        page.hang("  ", &format!("{} on {}, {hosts}{sandbox}", row.runbook, row.cluster), Tone::Dim);
    }
    for run in unreadable {
        page.cells(
            &[(run.run.as_str(), 22, Tone::Plain), ("", 21, Tone::Plain), ("", 14, Tone::Plain)],
            "cannot be read",
            Tone::Bad,
        );
        page.hang("  ", &run.problem, Tone::Dim);
    }
    page.finish()
}

/// The table as indented JSON: `{"v": 1, "runs": […], "unreadable": […]}`.
pub fn to_json(runs: &[HistoryRow], unreadable: &[Unreadable]) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&List { v: FORMAT, runs, unreadable })
}
