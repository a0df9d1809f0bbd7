//! A source text with its line table.

use keybook_api::Span;
use std::sync::Arc;

/// A text and where its lines begin. Lines end at `\n`; a `\r` before it belongs to the line's end.
pub(crate) struct Text<'a> {
    pub src: &'a str,
    pub file: Arc<str>,
    lines: Vec<usize>,
    /// How many characters begin before each multiple of [`BLOCK`] bytes, so that columns of very long lines
    /// are found quickly.
    counts: Vec<usize>,
}

const BLOCK: usize = 1024;

impl<'a> Text<'a> {
    pub fn new(file: &str, src: &'a str) -> Self {
        let mut lines = vec![0];
        lines.extend(src.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1));
        let mut counts = vec![0];
        for block in src.as_bytes().chunks(BLOCK) {
            counts.push(counts.last().copied().unwrap_or(0) + begun(block));
        }
        Self { src, file: file.into(), lines, counts }
    }

    /// How many characters begin before a byte offset.
    fn count(&self, at: usize) -> usize {
        let block = at / BLOCK;
        let rest = self.src.as_bytes().get(block * BLOCK..at).unwrap_or(&[]);
        self.counts.get(block).copied().unwrap_or(0) + begun(rest)
    }

    /// From a byte offset on; empty when it is past the end.
    pub fn from(&self, at: usize) -> &'a str {
        self.src.get(at..).unwrap_or("")
    }

    /// The text between two byte offsets; empty when they do not fit.
    pub fn part(&self, start: usize, end: usize) -> &'a str {
        self.src.get(start..end).unwrap_or("")
    }

    /// Line and column, both from 1, of a byte offset.
    pub fn place(&self, at: usize) -> (u32, u32) {
        let at = at.min(self.src.len());
        let line = self.lines.partition_point(|start| *start <= at).saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or(0);
        let column = match self.src.as_bytes().get(start..at) {
            Some(part) if part.len() <= BLOCK => begun(part),
            _ => self.count(at) - self.count(start),
        };
        (number(line + 1), number(column + 1))
    }

    /// Where a line, counted from 1, begins.
    pub fn line_at(&self, line: usize) -> Option<usize> {
        self.lines.get(line.checked_sub(1)?).copied()
    }

    /// Where the line of a byte offset begins.
    pub fn line_start(&self, at: usize) -> usize {
        let line = self.lines.partition_point(|start| *start <= at).saturating_sub(1);
        self.lines.get(line).copied().unwrap_or(0)
    }

    /// Where the line of a byte offset ends, before its `\r\n` or `\n`.
    pub fn line_end(&self, at: usize) -> usize {
        let rest = self.from(at);
        let end = at + rest.find('\n').unwrap_or(rest.len());
        if end > at && self.part(end - 1, end) == "\r" { end - 1 } else { end }
    }

    /// Where the next line begins, or the end of the text.
    pub fn next_line(&self, at: usize) -> usize {
        self.from(at).find('\n').map_or(self.src.len(), |found| at + found + 1)
    }

    /// Where a token ends: the scanner counts the white space behind some of them.
    pub fn token_end(&self, start: usize, end: usize) -> usize {
        start + self.part(start, end).trim_end().len()
    }

    /// Where a plain or quoted scalar ends: the scanner counts what stands behind a quoted one, up to the next token.
    pub fn scalar_end(&self, start: usize, end: usize) -> usize {
        let mut letters = self.part(start, end).bytes().enumerate();
        let Some((_, quote @ (b'"' | b'\''))) = letters.next() else { return self.token_end(start, end) };
        while let Some((at, letter)) = letters.next() {
            let next = self.src.as_bytes().get(start + at + 1);
            match letter {
                b'\\' if quote == b'"' => drop(letters.next()),
                b'\'' if letter == quote && next == Some(&quote) => drop(letters.next()),
                _ if letter == quote => return start + at + 1,
                _ => {}
            }
        }
        end
    }

    /// The span of a byte range, cut at the end of its first line.
    pub fn span(&self, start: usize, end: usize) -> Span {
        let (line, column) = self.place(start);
        let shown = self.part(start, end.min(self.line_end(start)).max(start));
        Span::new(self.file.clone(), line, column, number(shown.chars().count()))
    }

    /// The span of a line and a column counted from 0, as the YAML scanner gives them in errors, moved back into
    /// the text where they lie behind its end.
    pub fn scanner_span(&self, line: usize, column: usize) -> Span {
        let last = self.src.trim_end().len();
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(last);
        let at = start + self.from(start).chars().take(column).map(char::len_utf8).sum::<usize>();
        let at = at.min(last);
        self.span(at, at + 1)
    }
}

/// How many characters begin in some bytes of UTF-8.
fn begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

/// Lines and columns never come near the limit: files are at most 8 MiB.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_lines() {
        let text = Text::new("f", "é: x\r\nb: y\n");
        assert_eq!(text.place(0), (1, 1));
        assert_eq!(text.place(4), (1, 4));
        assert_eq!(text.place(7), (2, 1));
        assert_eq!(text.place(99), (3, 1));
        assert_eq!(text.line_end(0), 5);
        assert_eq!(text.next_line(0), 7);
        assert_eq!(text.span(4, 9).length, 1);
        assert_eq!(text.scanner_span(9, 9).to_string(), "f:2:5");
    }

    #[test]
    fn columns_of_very_long_lines_are_exact() {
        let long = format!("x\n{}", "aé".repeat(3000));
        let text = Text::new("f", &long);
        assert_eq!(text.place(2 + 3 * 2500), (2, 5001));
        assert_eq!(text.place(2 + 3 * 100), (2, 201));
    }
}
