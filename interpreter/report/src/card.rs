//! A unit as guided mode shows it before asking: what, why, where, the exact commands, the exact differences.

use crate::{
    page::{Page, Tone},
    trust as words,
};
use keybook_api::{Change, Diff, Span, TrustEdge, event::StepInfo};
use similar::{ChangeTag, TextDiff};
use std::time::Duration;

/// Lines of unchanged text around a difference.
const CONTEXT: usize = 3;

/// Longest that looking for the smallest difference may take; a cruder one is shown then.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a card shows.
#[derive(Clone, Copy, Debug)]
pub struct Card<'a> {
    /// The step.
    pub step: &'a StepInfo,
    /// Its place among the run's steps and their number, from 1.
    pub position: Option<(usize, usize)>,
    /// The hosts (one, or all of a step's).
    pub hosts: &'a [String],
    /// The item of `for_each`.
    pub item: Option<&'a str>,
    /// Where the runbook says so.
    pub at: Option<&'a Span>,
    /// Will it change something?
    pub change: &'a Change,
    /// What it does, command by command.
    pub lines: &'a [String],
    /// Files it changes.
    pub diffs: &'a [Diff],
    /// What is known of trust, when the gate shows it.
    pub trust: &'a [TrustEdge],
    /// The hosts are folders of a sandbox.
    pub sandbox: bool,
}

/// The card's lines; none is wider than `width` columns (at least [`crate::text::NARROWEST`]).
pub fn render_card(card: &Card<'_>, color: bool, width: usize) -> String {
    let mut page = Page::new(width, color);
    let place = card.position.map(|(at, of)| format!("Step {at} of {of}: ")).unwrap_or_default();
    page.hang("", &format!("{place}{}", card.step.title), Tone::Strong);
    if card.sandbox {
        page.hang("", crate::human::SANDBOX_AHEAD, Tone::Warn);
    }
    if card.step.irreversible {
        page.hang("", "IRREVERSIBLE: this cannot be taken back.", Tone::Bad);
    }
    let mut field = |name: &str, text: &str| page.hang(&format!("  {name:<8}"), text, Tone::Plain);
    if !card.step.why.is_empty() {
        field("why", &card.step.why);
    }
    let host = if card.hosts.len() == 1 { "host" } else { "hosts" };
    field(host, &card.hosts.join(", "));
    if let Some(item) = card.item {
        field("item", item);
    }
    if !card.step.action.is_empty() {
        field("action", &card.step.action);
    }
    if let Some(span) = card.at {
        field("at", &span.to_string());
    }
    let (words, tone) = verdict(card.change);
    page.hang("  plan    ", &words, tone);
    for line in card.lines {
        page.hang("    ", line, Tone::Plain);
    }
    for diff in card.diffs {
        write_diff(&mut page, diff);
    }
    if !card.trust.is_empty() {
        page.hang("  trust   ", &words::summary(card.trust), Tone::Plain);
        words::telling(card.trust).for_each(|edge| page.hang("    ", &words::edge(edge), Tone::Bad));
    }
    page.finish()
}

/// The plan's verdict in words.
pub(crate) fn verdict(change: &Change) -> (String, Tone) {
    match change {
        Change::Will => ("will change:".to_owned(), Tone::Strong),
        Change::Wont => ("will not change anything:".to_owned(), Tone::Good),
        Change::CannotKnow(reason) => (format!("cannot know beforehand: {reason}"), Tone::Warn),
    }
}

/// One file's difference in the unified form; content that is secret is described instead.
pub fn render_diff(diff: &Diff, color: bool, width: usize) -> String {
    let mut page = Page::new(width, color);
    write_diff(&mut page, diff);
    page.finish()
}

pub(crate) fn write_diff(page: &mut Page, diff: &Diff) {
    let what = match (&diff.before, &diff.after) {
        (None, None) => "nothing before and after",
        (None, Some(_)) => "new file",
        (Some(_), None) => "file is removed",
        (Some(before), Some(after)) if before == after => "unchanged",
        (Some(_), Some(_)) => "file is changed",
    };
    page.hang("  ", &format!("{} ({what})", diff.path), Tone::Strong);
    if diff.described {
        let mut side = |name: &str, text: &Option<String>, tone| {
            page.hang(&format!("    {name}: "), text.as_deref().unwrap_or("nothing"), tone);
        };
        side("before", &diff.before, Tone::Plain);
        side("after", &diff.after, Tone::Plain);
        return;
    }
    for (lead, line, tone) in diff_lines(diff) {
        page.exact(&format!("  {lead}"), &line, tone);
    }
}

/// The lines of a unified difference: `@@`, `-`, `+` or a space, the text, the tone.
pub(crate) fn diff_lines(diff: &Diff) -> Vec<(&'static str, String, Tone)> {
    let (before, after) = (diff.before.as_deref().unwrap_or(""), diff.after.as_deref().unwrap_or(""));
    let changes = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    let mut lines = Vec::new();
    for hunk in changes.unified_diff().context_radius(CONTEXT).iter_hunks() {
        lines.push(("", hunk.header().to_string(), Tone::Dim));
        for change in hunk.iter_changes() {
            let (lead, tone) = match change.tag() {
                ChangeTag::Delete => ("-", Tone::Bad),
                ChangeTag::Insert => ("+", Tone::Good),
                ChangeTag::Equal => (" ", Tone::Plain),
            };
            let line = change.value();
            lines.push((lead, line.strip_suffix('\n').unwrap_or(line).to_owned(), tone));
            if change.missing_newline() {
                lines.push(("\\", " no line feed at the end".to_owned(), Tone::Dim));
            }
        }
    }
    lines
}
