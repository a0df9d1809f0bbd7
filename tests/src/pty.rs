//! The program at a terminal of 80 columns: what its user would see, and typing as its user would.

use expectrl::{
    process::unix::{PtyStream, WaitStatus},
    session::{OsProcess, Session},
};
use rustix::termios::{LocalModes, tcgetattr};
use std::{
    io::{ErrorKind, Write},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

/// Columns of the terminal, as the program knows it.
const COLUMNS: u16 = 80;

/// Longest that the program may take until it asks the next question.
const PATIENCE: Duration = Duration::from_secs(90);

/// A program at a terminal.
///
/// What it prints is shown on a screen that is wider than the terminal it was told of, so that a line that is too long
/// is seen as such, and so long that nothing scrolls away.
pub struct Terminal {
    session: Session<OsProcess, PtyStream>,
    screen: vt100::Parser,
    /// The row from which on nothing was answered yet.
    mark: usize,
    ended: bool,
    /// How the terminal takes keys, before the program asks anything.
    modes: LocalModes,
}

fn modes(session: &Session<OsProcess, PtyStream>) -> LocalModes {
    let terminal = session.get_process().get_raw_handle().expect("there is a terminal");
    tcgetattr(terminal).expect("a terminal has settings").local_modes
}

impl Terminal {
    /// Starts a program.
    pub fn start(command: Command) -> Self {
        let mut session = Session::spawn(command).expect("the program starts");
        session.get_process_mut().set_window_size(COLUMNS, 24).expect("a terminal has a size");
        let modes = modes(&session);
        let size = |number: u16| number.try_into().expect("not zero");
        let screen = vt100::Parser::new(size(6000), size(2 * COLUMNS), 0);
        Self { session, screen, mark: 0, ended: false, modes }
    }

    /// Everything that the screen shows.
    pub fn rows(&self) -> Vec<String> {
        self.screen.screen().rows(0, 2 * COLUMNS).map(|row| row.trim_end().to_owned()).collect()
    }

    /// What the screen shows since the last answer.
    pub fn news(&self) -> String {
        let end = usize::from(self.screen.screen().cursor_position().0) + 1;
        self.rows().get(self.mark..end).unwrap_or_default().join("\n")
    }

    /// Takes in what the program printed; false when it printed nothing.
    fn listen(&mut self) -> bool {
        let mut bytes = [0; 4096];
        match self.session.try_read(&mut bytes) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.screen.process(&bytes[..count]);
                return true;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // Linux says so when the other side of the terminal is closed.
            Err(_) => self.ended = true,
        }
        false
    }

    #[track_caller]
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        loop {
            while self.listen() {}
            if holds(self) {
                return;
            }
            assert!(!self.ended, "the program ended before: {what}\n{}", self.news());
            assert!(began.elapsed() < PATIENCE, "not seen: {what}\n{}", self.news());
            sleep(Duration::from_millis(10));
        }
    }

    /// Waits until this prompt, and nothing after it, is the last thing on the screen. Returns what was shown since
    /// the last answer.
    #[track_caller]
    pub fn prompted(&mut self, prompt: &str) -> String {
        self.until(prompt, |terminal| {
            let news = terminal.news();
            let last = news.lines().last().unwrap_or_default().to_owned();
            last.trim_end_matches([':', '>', ' ', '›']).ends_with(prompt)
        });
        self.news()
    }

    /// Waits until this stands on the screen, and takes in hardly more: a program that has more to print than a terminal holds
    /// waits in the middle of it.
    #[track_caller]
    pub fn shown(&mut self, text: &str) {
        let began = Instant::now();
        while !self.news().contains(text) {
            if !self.listen() {
                assert!(!self.ended, "the program ended before: {text}\n{}", self.news());
                assert!(began.elapsed() < PATIENCE, "not seen: {text}\n{}", self.news());
                sleep(Duration::from_millis(10));
            }
        }
    }

    /// Types a line without waiting for its letters to be shown.
    pub fn answer_at_once(&mut self, text: &str) {
        write!(self.session, "{text}\r").and_then(|()| self.session.flush()).expect("the program reads");
    }

    /// Types a line, letter by letter as each is shown.
    #[track_caller]
    pub fn answer(&mut self, text: &str) {
        for letter in text.chars() {
            let before = self.screen.screen().cursor_position();
            write!(self.session, "{letter}").and_then(|()| self.session.flush()).expect("the program reads");
            self.until("the letter typed", |terminal| terminal.screen.screen().cursor_position() != before);
        }
        self.mark = usize::from(self.screen.screen().cursor_position().0);
        write!(self.session, "\r").and_then(|()| self.session.flush()).expect("the program reads");
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&mut self) {
        self.press(3);
    }

    /// Presses one key, by its control code.
    pub fn press(&mut self, code: u8) {
        self.session.write_all(&[code]).and_then(|()| self.session.flush()).expect("the program reads");
    }

    /// Presses a key again and again until the program ends.
    #[track_caller]
    pub fn press_until_the_end(&mut self, code: u8) {
        const MOST: usize = 100;
        for _ in 0..MOST {
            while self.listen() {}
            if self.ended {
                return;
            }
            // It may end between the look and the key.
            let _ = self.session.write_all(&[code]).and_then(|()| self.session.flush());
            sleep(Duration::from_millis(200));
        }
        panic!("it does not end\n{}", self.news());
    }

    /// The program's process.
    pub fn pid(&self) -> u32 {
        self.session.get_process().pid().as_raw().unsigned_abs()
    }

    /// Has anything on the screen another colour or weight than the plain one?
    pub fn coloured(&self) -> bool {
        let screen = self.screen.screen();
        let (rows, columns) = screen.size();
        let cells = (0..rows.get())
            .flat_map(|row| (0..columns.get()).filter_map(move |column| screen.cell(row, column)));
        let plain = |cell: &vt100::Cell| {
            cell.fgcolor() == vt100::Color::Default && cell.bgcolor() == vt100::Color::Default && !cell.bold()
        };
        cells.into_iter().any(|cell| !plain(cell))
    }

    /// Is anything in a row behind the terminal's last column? A wide character takes two.
    fn reaches_beyond(&self, row: u16) -> bool {
        let beyond = |cell: &vt100::Cell| cell.is_wide_continuation() || !cell.contents().trim().is_empty();
        (COLUMNS..2 * COLUMNS).any(|column| self.screen.screen().cell(row, column).is_some_and(beyond))
    }

    /// Waits for the program's end; returns its exit code and the whole screen. No row is wider than the terminal, and the terminal
    /// takes keys as it did before.
    #[track_caller]
    pub fn end(mut self) -> (i32, Vec<String>) {
        self.until("the end", |terminal| terminal.ended);
        let code = match self.session.get_process().wait() {
            Ok(WaitStatus::Exited(_, code)) => code,
            other => panic!("the program did not exit: {other:?}\n{}", self.news()),
        };
        assert_eq!(modes(&self.session), self.modes, "the terminal was not given back\n{}", self.news());
        let mut rows = self.rows();
        let used = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
        rows.truncate(used);
        let wide: Vec<&String> =
            (0u16..).zip(&rows).filter(|(at, _)| self.reaches_beyond(*at)).map(|(_, row)| row).collect();
        assert!(wide.is_empty(), "wider than {COLUMNS} columns: {wide:#?}");
        (code, rows)
    }
}
