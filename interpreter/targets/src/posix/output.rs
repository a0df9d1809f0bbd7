//! Output that is kept in bounds: its beginning and its end, and its lines as they come.

use std::collections::VecDeque;
use zeroize::Zeroizing;

/// Keeps the first and the last bytes of a stream.
#[derive(Clone)]
pub(crate) struct Capture {
    head: Zeroizing<Vec<u8>>,
    head_limit: usize,
    tail: VecDeque<u8>,
    tail_limit: usize,
    dropped: bool,
}

impl Capture {
    /// Keeps `limit` bytes: half from the beginning, half from the end.
    pub fn both_ends(limit: usize) -> Self {
        Self::new(limit - limit / 2, limit / 2)
    }

    /// Keeps the first `limit` bytes, in memory that is wiped.
    pub fn beginning(limit: usize) -> Self {
        Self::new(limit, 0)
    }

    fn new(head_limit: usize, tail_limit: usize) -> Self {
        Self { head: Zeroizing::default(), head_limit, tail: VecDeque::new(), tail_limit, dropped: false }
    }

    /// Takes more of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = self.head_limit.saturating_sub(self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.push_head(head);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(self.tail_limit);
        if over > 0 {
            self.tail.drain(..over);
            self.dropped = true;
        }
    }

    /// A growing Vec leaves its old bytes behind in freed memory; this one wipes them.
    fn push_head(&mut self, bytes: &[u8]) {
        let needed = self.head.len() + bytes.len();
        if needed > self.head.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * self.head.capacity())));
            larger.extend_from_slice(&self.head);
            self.head = larger;
        }
        self.head.extend_from_slice(bytes);
    }

    /// Notes that bytes may be missing.
    pub fn lose(&mut self) {
        self.dropped = true;
    }

    /// True when bytes were left out.
    pub fn truncated(&self) -> bool {
        self.dropped
    }

    /// What was kept.
    pub fn into_bytes(mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut *self.head);
        bytes.extend(self.tail);
        bytes
    }

    /// What was kept, as text.
    pub fn text(&self) -> String {
        let mut bytes = self.head.to_vec();
        bytes.extend(&self.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Cuts a stream into lines of at most [`LINE_LIMIT`] bytes; a longer one comes in pieces.
#[derive(Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
}

/// The longest line that is passed on in one piece, in bytes.
pub(crate) const LINE_LIMIT: usize = 8192;

impl Lines {
    /// Takes more of the stream; calls `line` for each line that is complete.
    pub fn push(&mut self, bytes: &[u8], line: &mut dyn FnMut(&str)) {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            for piece in part.chunks(LINE_LIMIT) {
                if self.pending.len() + piece.len() > LINE_LIMIT {
                    self.flush(line);
                }
                self.pending.extend_from_slice(piece);
                if piece.ends_with(b"\n") {
                    self.flush(line);
                }
            }
        }
    }

    /// Passes on a last line without its end.
    pub fn flush(&mut self, line: &mut dyn FnMut(&str)) {
        let bytes = std::mem::take(&mut self.pending);
        if !bytes.is_empty() {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.strip_suffix('\n').unwrap_or(&text);
            line(text.strip_suffix('\r').unwrap_or(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_kept() {
        let mut capture = Capture::both_ends(10);
        for byte in b'a'..=b'z' {
            capture.push(&[byte]);
        }
        assert!(capture.truncated());
        assert_eq!(capture.text(), "abcdevwxyz");
        let mut whole = Capture::both_ends(26);
        whole.push(b"abcdefghijklmnopqrstuvwxyz");
        assert!(!whole.truncated());
        assert_eq!(whole.into_bytes(), b"abcdefghijklmnopqrstuvwxyz");
    }

    #[test]
    fn nothing_is_kept_without_room() {
        let mut capture = Capture::both_ends(0);
        capture.push(b"x");
        assert!(capture.truncated());
        assert_eq!(capture.into_bytes(), b"");
    }

    #[test]
    fn lines_come_whole_whatever_the_chunks() {
        let text = "one\r\ntwo\n\nh\u{e9}llo\nlast".as_bytes();
        for size in 1..text.len() {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for chunk in text.chunks(size) {
                lines.push(chunk, &mut |line| seen.push(line.to_owned()));
            }
            lines.flush(&mut |line| seen.push(line.to_owned()));
            assert_eq!(seen, ["one", "two", "", "h\u{e9}llo", "last"]);
        }
    }

    #[test]
    fn an_endless_line_comes_in_pieces() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        lines.push(&vec![b'x'; 3 * LINE_LIMIT + 1], &mut |line| seen.push(line.len()));
        lines.push(b"\xff\n", &mut |line| seen.push(line.chars().count()));
        assert_eq!(seen, [LINE_LIMIT, LINE_LIMIT, LINE_LIMIT, 2]);
    }
}
