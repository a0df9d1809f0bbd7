//! Places in source files.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A stretch of one source file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Line of the first character, from 1.
    pub line: u32,
    /// Column of the first character, from 1.
    pub column: u32,
    /// Length in characters on that line; at least 1.
    pub length: u32,
}

impl Span {
    /// A span of `length` characters.
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32, length: u32) -> Self {
        Self { file: file.into(), line, column, length: length.max(1) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A thing and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Located<T> {
    /// The thing.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Located<T> {
    /// Pairs a thing with its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// Text decoded from a source file (a YAML scalar, say), which knows for each of its characters where it was
/// written. So an error inside an embedded expression is shown at its own line and column of the file.
#[derive(Clone, Debug)]
pub struct SourceText {
    text: Arc<str>,
    file: Arc<str>,
    /// Line and column of every character, and of the end.
    places: Arc<[(u32, u32)]>,
}

impl SourceText {
    /// Text with the place of each character and, last, of its end. Where `places` is shorter, the last place serves.
    pub fn new(text: impl Into<Arc<str>>, file: impl Into<Arc<str>>, places: Vec<(u32, u32)>) -> Self {
        let places = if places.is_empty() { vec![(1, 1)] } else { places };
        Self { text: text.into(), file: file.into(), places: places.into() }
    }

    /// Text that stands in its file exactly as decoded, beginning at a line and column (whole files: 1, 1).
    pub fn verbatim(text: &str, file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        let (mut at_line, mut at_column) = (line, column);
        let mut places = Vec::with_capacity(text.len() + 1);
        for letter in text.chars() {
            places.push((at_line, at_column));
            if letter == '\n' {
                at_line += 1;
                at_column = 1;
            } else {
                at_column += 1;
            }
        }
        places.push((at_line, at_column));
        Self::new(text, file, places)
    }

    /// Text that stands in no file, such as a value given on the command line.
    pub fn elsewhere(text: &str, origin: &str) -> Self {
        Self::verbatim(text, origin, 1, 1)
    }

    /// The decoded text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The file.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The span of `length` characters from a character offset (not a byte offset) on.
    pub fn span(&self, offset: usize, length: usize) -> Span {
        let last = self.places.len() - 1;
        let (line, column) = self.places[offset.min(last)];
        let (end_line, end_column) = self.places[(offset + length).min(last)];
        let shown = if end_line == line { end_column.saturating_sub(column) } else { 1 };
        Span::new(self.file.clone(), line, column, shown.max(1))
    }

    /// The span of the whole text (its part on the first line).
    pub fn whole(&self) -> Span {
        let first_line = self.text.lines().next().unwrap_or("").chars().count();
        self.span(0, first_line.max(1))
    }

    /// The place of a line and column of the decoded text, both from 1.
    pub fn span_at(&self, line: usize, column: usize) -> Span {
        let mut offset = 0;
        for (number, content) in self.text.split('\n').enumerate() {
            if number + 1 == line {
                offset += column.saturating_sub(1).min(content.chars().count());
                break;
            }
            offset += content.chars().count() + 1;
        }
        self.span(offset, 1)
    }

    /// A part, by byte range of [`SourceText::as_str`]; the range must lie on character boundaries.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        let before = self.text.get(..range.start).unwrap_or("").chars().count();
        let part = self.text.get(range).unwrap_or("");
        let end = (before + part.chars().count()).min(self.places.len() - 1);
        let start = before.min(end);
        Self { text: part.into(), file: self.file.clone(), places: self.places[start..=end].into() }
    }
}

impl PartialEq for SourceText {
    /// Two texts are equal when their letters are, wherever they stand.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_text_know_their_place() {
        let text = SourceText::verbatim("a: x\nb: ${y}", "f", 3, 5);
        assert_eq!(text.span(0, 1).to_string(), "f:3:5");
        let part = text.slice(8..12);
        assert_eq!(part.as_str(), "${y}");
        assert_eq!(part.span(2, 1).to_string(), "f:4:6");
        assert_eq!(part.span_at(1, 3).to_string(), "f:4:6");
        assert_eq!(text.span_at(2, 4).to_string(), "f:4:4");
        assert_eq!(text.span(99, 9).line, 4);
    }
}
