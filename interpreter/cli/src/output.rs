//! Printing: results to standard output, the rest to standard error. Nobody else in the program writes there.

use crate::args::{Format, Global};
use keybook_api::{Diagnostic, Fault};
use keybook_report::{diagnostics, fault, text};
use std::{
    collections::HashMap,
    io::{IsTerminal, Write},
};

/// How to print.
#[derive(Clone, Debug)]
pub struct Output {
    /// The form of results.
    pub format: Format,
    /// 0 quiet to 3.
    pub verbosity: u8,
    /// Colours on standard error.
    pub color: bool,
    /// Colours on standard output.
    pub color_out: bool,
    /// Columns.
    pub width: usize,
}

impl Output {
    /// From the flags, NO_COLOR and the terminal.
    pub fn new(global: &Global) -> Self {
        let wanted = !global.no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let columns = console::Term::stderr().size_checked().map_or(80, |(_, columns)| usize::from(columns));
        Self {
            format: global.format,
            verbosity: if global.quiet { 0 } else { 1 + global.verbose },
            color: wanted && !dumb && std::io::stderr().is_terminal(),
            color_out: wanted && !dumb && std::io::stdout().is_terminal(),
            width: columns.clamp(40, 100),
        }
    }

    /// A result.
    pub fn result(&self, text: &str) {
        // Nothing useful can be done when standard output is closed.
        let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end_matches('\n'));
    }

    /// Progress, advice, errors.
    pub fn say(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end_matches('\n'));
    }

    /// The same, as prose: lines are broken where the terminal ends.
    pub fn tell(&self, text: &str) {
        let lines: Vec<String> = text.lines().flat_map(|line| text::wrap(line, self.width)).collect();
        self.say(&lines.join("\n"));
    }

    /// A fault in full.
    pub fn fault(&self, fault: &Fault) {
        self.say(&fault::render_fault(&fault.into(), self.color, self.width));
    }

    /// Problems in files, each with its line.
    pub fn problems(&self, problems: &[Diagnostic], sources: &HashMap<String, String>) {
        let read = |file: &str| sources.get(file).cloned();
        self.say(&diagnostics::render(problems, &read, self.color, self.width));
    }

    /// Problems, when there are any.
    pub fn problems_if_any(&self, problems: &[Diagnostic], sources: &HashMap<String, String>) {
        if !problems.is_empty() {
            self.problems(problems, sources);
        }
    }
}
