//! Lays text out in lines of a given width, with or without colour.

use crate::text::{self, NARROWEST};
use console::Style;

/// What a piece of text means; colour only repeats what the words already say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Warn,
    Dim,
    Strong,
}

/// The text in its tone's colour. The colour is forced on or off: the environment has no say here.
pub(crate) fn paint(text: &str, tone: Tone, color: bool) -> String {
    if !color || text.is_empty() {
        return text.to_owned();
    }
    let style = Style::new().force_styling(true);
    let style = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Good => style.green(),
        Tone::Bad => style.red().bold(),
        Tone::Warn => style.yellow(),
        Tone::Dim => style.dim(),
        Tone::Strong => style.bold(),
    };
    style.apply_to(text).to_string()
}

/// A lead that leaves less than this for its text stands on a line of its own.
const LEAST_TEXT: usize = 24;

/// Lines under construction. Everything that goes in is cleaned, wrapped or cut here, so no caller can forget it.
pub(crate) struct Page {
    width: usize,
    color: bool,
    out: String,
}

impl Page {
    pub(crate) fn new(width: usize, color: bool) -> Self {
        Self { width: width.max(NARROWEST), color, out: String::new() }
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn blank(&mut self) {
        self.out.push('\n');
    }

    /// A section's heading, with an empty line before it.
    pub(crate) fn heading(&mut self, text: &str) {
        self.blank();
        self.hang("", text, Tone::Strong);
    }

    /// Text after a lead; further lines stand below the text's beginning. A lead that would leave too little
    /// room gets a line of its own. Line feeds in the text begin new lines.
    pub(crate) fn hang(&mut self, lead: &str, text: &str, tone: Tone) {
        let mut lead = text::cut(&text::clean(lead), self.width);
        let mut indent = text::width(&lead);
        let least = LEAST_TEXT.min(self.width / 2).max(self.longest_word(&lead, text));
        if self.width - indent < least {
            self.push(lead.trim_end(), "", Tone::Plain);
            indent = indent_of(&lead).min(self.width / 2) + 2;
            lead = " ".repeat(indent);
        }
        for part in text.split('\n') {
            for line in text::wrap(&text::clean(part.trim_end_matches('\r')), self.width - indent) {
                self.push(&lead, &line, tone);
                lead = " ".repeat(indent);
            }
        }
    }

    /// Columns of the longest word (a path), when it is whole only on a line that begins further to the left; else 0.
    fn longest_word(&self, lead: &str, text: &str) -> usize {
        let indent = indent_of(lead).min(self.width / 2) + 2;
        let longest_of = |line: &str| text::longest_piece(&text::clean(line), self.width - indent);
        text.split('\n').map(longest_of).max().unwrap_or(0)
    }

    /// A command to copy, and what it does. Where it is too long for a line, it goes on in the next one, which a shell
    /// reads as one.
    pub(crate) fn command(&mut self, command: &str, what: &str) {
        let lead = format!("  {command}  ");
        if text::width(&text::clean(&lead)) <= self.width {
            return self.hang(&lead, what, Tone::Plain);
        }
        let mut words =
            text::wrap(&text::clean(command), self.width.saturating_sub(6)).into_iter().peekable();
        let mut indent = "  ";
        while let Some(line) = words.next() {
            let goes_on = if words.peek().is_some() { " \\" } else { "" };
            self.push(indent, &format!("{line}{goes_on}"), Tone::Plain);
            indent = "    ";
        }
        self.hang("      ", what, Tone::Plain);
    }

    /// Cells of fixed width, each with its tone, then a last cell that is cut at the page's edge.
    pub(crate) fn cells(&mut self, cells: &[(&str, usize, Tone)], last: &str, tone: Tone) {
        let mut left = self.width;
        let mut line = String::new();
        for (text, columns, tone) in cells {
            let columns = (*columns).min(left);
            let cell = text::pad(&text::clean(text), columns);
            let bare = cell.trim_end();
            line.push_str(&paint(bare, *tone, self.color));
            line.push_str(cell.get(bare.len()..).unwrap_or(""));
            left -= columns;
        }
        line.push_str(&paint(&text::cut(&text::clean(last), left), tone, self.color));
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// One line as it is: tabs are shown as `\t`, and where it is too long it goes on in the next line,
    /// whether a word ends there or not.
    pub(crate) fn exact(&mut self, lead: &str, text: &str, tone: Tone) {
        let indent = text::width(lead);
        let further = " ".repeat(indent);
        let room = self.width.saturating_sub(indent);
        for (index, line) in text::split(&text::clean_exact(text), room).iter().enumerate() {
            let line = format!("{}{line}", if index == 0 { lead } else { &further });
            self.push("", &line, tone);
        }
    }

    fn push(&mut self, lead: &str, text: &str, tone: Tone) {
        let line = format!("{lead}{}", paint(text, tone, self.color));
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }
}

fn indent_of(text: &str) -> usize {
    text.chars().take_while(|letter| *letter == ' ').count()
}
