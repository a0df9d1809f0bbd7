//! Shows what happens: progress lines and a spinner for people, JSON lines for programs.

use crate::output::Output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keybook_api::{Event, Record, UnitId};
use keybook_core::run::log::Watcher;
use keybook_report::{LiveText, jsonl, text};
use std::{
    io::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The spinner at the bottom of a terminal, and the lines above it.
pub struct Screen {
    bar: ProgressBar,
    terminal: bool,
    begun: AtomicBool,
}

/// Keeps the spinner away while it lives.
pub struct Still {
    screen: Arc<Screen>,
}

impl Drop for Still {
    fn drop(&mut self) {
        if self.screen.terminal {
            self.screen.bar.reset();
            self.screen.bar.enable_steady_tick(Duration::from_millis(200));
        }
    }
}

impl Screen {
    /// A spinner when standard error is a terminal, otherwise lines only.
    pub fn new(terminal: bool) -> Arc<Self> {
        let target =
            if terminal { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        Arc::new(Self { bar, terminal, begun: AtomicBool::new(false) })
    }

    /// Removes the spinner until the guard is dropped, so that a prompt has the terminal to itself.
    pub fn hold(self: &Arc<Self>) -> Still {
        if self.terminal {
            self.bar.disable_steady_tick();
            self.bar.set_message("");
            self.bar.finish_and_clear();
        }
        Still { screen: Arc::clone(self) }
    }

    /// Ends the spinner.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn lines(&self, lines: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(std::io::stderr().lock(), "{}", lines.trim_end_matches('\n'));
        });
    }

    fn doing(&self, doing: &str) {
        // Not before something happens: until then others print and ask.
        if self.terminal && !self.begun.swap(true, Ordering::Relaxed) {
            self.bar.enable_steady_tick(Duration::from_millis(200));
        }
        self.bar.set_message(doing.to_owned());
    }
}

/// Progress for people, on standard error.
pub struct Human {
    live: Mutex<LiveText>,
    screen: Arc<Screen>,
    width: usize,
    /// A card with the question follows, so that the record of the question need not be shown.
    guided: bool,
}

impl Human {
    /// Lines as wide as the terminal.
    pub fn new(output: &Output, screen: Arc<Screen>, guided: bool) -> Self {
        let live = LiveText::new(output.verbosity, output.color, output.width);
        Self { live: Mutex::new(live), screen, width: output.width, guided }
    }

    /// Tells it what happened before this process, without showing it.
    pub fn learn(&self, record: &Record) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).learn(record);
    }
}

impl Watcher for Human {
    fn record(&self, record: &Record) {
        let lines = self.live.lock().unwrap_or_else(PoisonError::into_inner).text(record);
        let asked = self.guided && matches!(record.event, Event::GateAsked { .. });
        if !lines.is_empty() && !asked {
            self.screen.lines(&lines);
        }
        if let Some(unit) = &record.unit {
            self.screen.doing(&text::cut(&unit.to_string(), self.width.saturating_sub(4)));
        }
    }

    fn progress(&self, unit: &UnitId, doing: &str) {
        let line = format!("{unit}: {}", text::clean(doing));
        self.screen.doing(&text::cut(&line, self.width.saturating_sub(4)));
    }
}

/// One record a line on standard output: `--format jsonl`.
pub struct Jsonl;

impl Watcher for Jsonl {
    fn record(&self, record: &Record) {
        // A reader that went away does not stop the run: the journal has everything.
        let _ = jsonl::write(record, &mut std::io::stdout().lock());
    }
}
