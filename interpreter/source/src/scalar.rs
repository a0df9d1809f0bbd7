//! Where each character of a decoded scalar was written.

use crate::{
    text::Text,
    tree::{Raw, Scalar},
};
use keybook_api::SourceText;
use saphyr_parser::ScalarStyle;

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
}

impl Style {
    pub fn is_block(self) -> bool {
        matches!(self, Self::Literal | Self::Folded)
    }
}

impl From<ScalarStyle> for Style {
    fn from(style: ScalarStyle) -> Self {
        match style {
            ScalarStyle::Plain => Self::Plain,
            ScalarStyle::SingleQuoted => Self::Single,
            ScalarStyle::DoubleQuoted => Self::Double,
            ScalarStyle::Literal => Self::Literal,
            ScalarStyle::Folded => Self::Folded,
        }
    }
}

type Place = (u32, u32);

/// The written characters of a scalar with their places.
struct Written {
    chars: Vec<(char, Place)>,
    end: Place,
}

impl Written {
    fn new(text: &Text, start: usize, end: usize) -> Self {
        let (mut line, mut column) = text.place(start);
        let mut chars = Vec::new();
        for letter in text.part(start, end).chars() {
            chars.push((letter, (line, column)));
            if letter == '\n' {
                line += 1;
                column = 1;
            } else {
                column += 1;
            }
        }
        Self { chars, end: (line, column) }
    }

    fn at(&self, index: usize) -> Option<char> {
        self.chars.get(index).map(|(letter, _)| *letter)
    }

    fn place(&self, index: usize) -> Place {
        self.chars.get(index).map_or(self.end, |(_, place)| *place)
    }

    /// The length of the line break at an index; 0 when there is none.
    fn line_break(&self, index: usize) -> usize {
        match (self.at(index), self.at(index + 1)) {
            (Some('\r'), Some('\n')) => 2,
            (Some('\n' | '\r'), _) => 1,
            _ => 0,
        }
    }

    fn skip_blanks(&self, mut index: usize) -> usize {
        while matches!(self.at(index), Some(' ' | '\t')) {
            index += 1;
        }
        index
    }
}

/// The decoded text of a scalar with the place of every character.
///
/// The decoders below follow the written text on their own. Should one of them disagree with the YAML parser about
/// the text, the parser's text counts, and places are found by looking for each character in order.
pub(crate) fn locate(text: &Text, raw: &Raw, scalar: &Scalar) -> SourceText {
    let (written, decoded) = match scalar.style {
        Style::Plain => {
            let written = Written::new(text, raw.start, raw.end);
            let decoded = flow(&written, scalar.style);
            (written, decoded)
        }
        Style::Single | Style::Double => {
            let written = Written::new(text, raw.start + 1, raw.end.saturating_sub(1).max(raw.start + 1));
            let decoded = flow(&written, scalar.style);
            (written, decoded)
        }
        Style::Literal | Style::Folded => block(text, raw, scalar),
    };
    let same = decoded.iter().map(|(letter, _)| *letter).eq(scalar.text.chars());
    let mut places: Vec<Place> = if same {
        decoded.into_iter().map(|(_, place)| place).collect()
    } else {
        search(&written, &scalar.text)
    };
    places.push(written.end);
    SourceText::new(scalar.text.as_str(), text.file.clone(), places)
}

/// Finds each decoded character in the written text, in order and not far ahead.
fn search(written: &Written, decoded: &str) -> Vec<Place> {
    const AHEAD: usize = 200;
    let mut at = 0;
    decoded
        .chars()
        .map(|letter| {
            let found = (at..at + AHEAD).find(|index| written.at(*index) == Some(letter));
            let place = written.place(found.unwrap_or(at));
            at = found.map_or(at, |index| index + 1);
            place
        })
        .collect()
}

/// Decodes plain and quoted scalars (YAML 1.2.2, sections 7.3 and 6.5).
fn flow(written: &Written, style: Style) -> Vec<(char, Place)> {
    let mut out: Vec<(char, Place)> = Vec::new();
    // Blanks behind this length are dropped when the line ends.
    let mut kept = 0;
    let mut at = 0;
    while let Some(letter) = written.at(at) {
        let place = written.place(at);
        if written.line_break(at) > 0 {
            out.truncate(kept);
            at = fold(written, at, &mut out);
        } else if letter == '\'' && style == Style::Single {
            out.push(('\'', place));
            at += 2;
        } else if letter == '\\' && style == Style::Double {
            at = escape(written, at, &mut out);
        } else {
            out.push((letter, place));
            at += 1;
            if matches!(letter, ' ' | '\t') {
                continue;
            }
        }
        kept = out.len();
    }
    out
}

/// Folds one or more line breaks; returns where the next line's text begins.
fn fold(written: &Written, mut at: usize, out: &mut Vec<(char, Place)>) -> usize {
    let first = written.place(at);
    at = written.skip_blanks(at + written.line_break(at));
    let mut blank_lines = 0;
    while written.line_break(at) > 0 {
        out.push(('\n', written.place(at)));
        blank_lines += 1;
        at = written.skip_blanks(at + written.line_break(at));
    }
    if blank_lines == 0 {
        out.push((' ', first));
    }
    at
}

/// Decodes one escape of a double-quoted scalar (YAML 1.2.2, section 5.7); returns where it ends.
fn escape(written: &Written, at: usize, out: &mut Vec<(char, Place)>) -> usize {
    let place = written.place(at);
    if written.line_break(at + 1) > 0 {
        let mut next = written.skip_blanks(at + 1 + written.line_break(at + 1));
        while written.line_break(next) > 0 {
            out.push(('\n', written.place(next)));
            next = written.skip_blanks(next + written.line_break(next));
        }
        return next;
    }
    let digits = match written.at(at + 1) {
        Some('x') => 2,
        Some('u') => 4,
        Some('U') => 8,
        _ => 0,
    };
    if digits > 0 {
        let end = at + 2 + digits;
        let code: String = (at + 2..end).filter_map(|index| written.at(index)).collect();
        let letter = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
        return surrogates(written, at, &code, out).unwrap_or_else(|| {
            out.push((letter.unwrap_or('\u{fffd}'), place));
            end
        });
    }
    let Some(letter) = written.at(at + 1) else { return at + 1 };
    out.push((unescaped(letter), place));
    at + 2
}

/// What a backslash and a letter stand for.
fn unescaped(letter: char) -> char {
    match letter {
        '0' => '\0',
        'a' => '\u{7}',
        'b' => '\u{8}',
        't' => '\t',
        'n' => '\n',
        'v' => '\u{b}',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        other => other,
    }
}

/// JSON writes characters beyond the basic plane as two `\u` escapes.
fn surrogates(written: &Written, at: usize, high: &str, out: &mut Vec<(char, Place)>) -> Option<usize> {
    let high = u16::from_str_radix(high, 16).ok().filter(|unit| (0xd800..0xdc00).contains(unit))?;
    if (written.at(at + 6), written.at(at + 7)) != (Some('\\'), Some('u')) {
        return None;
    }
    let low: String = (at + 8..at + 12).filter_map(|index| written.at(index)).collect();
    let low = u16::from_str_radix(&low, 16).ok()?;
    let letter = char::decode_utf16([high, low]).next()?.ok()?;
    out.push((letter, written.place(at)));
    Some(at + 12)
}

/// Decodes literal and folded block scalars (YAML 1.2.2, section 8.1). The indentation is the column at which the
/// parser found the first content; leading blank lines stand above it.
fn block(text: &Text, raw: &Raw, scalar: &Scalar) -> (Written, Vec<(char, Place)>) {
    let indent = text.place(scalar.body).1.saturating_sub(1) as usize;
    let first = text.place(scalar.body).0;
    let mut lines = lines_of(text, text.line_start(scalar.body), raw.end.max(scalar.body), indent);
    while lines.last().is_some_and(|line| line.letters.is_empty()) {
        lines.pop();
    }
    let mut out = Vec::new();
    if lines.is_empty() {
        // Only line ends are kept, and the parser's first content is the next token.
        let head = text.place(raw.start).0;
        let breaks = (1..).zip(scalar.text.chars());
        out.extend(breaks.map(|(down, letter)| (letter, (head.saturating_add(down), 1))));
        return (Written { chars: Vec::new(), end: text.place(raw.end) }, out);
    }
    let leading = scalar.text.chars().take_while(|letter| *letter == '\n').count();
    for blank in 0..leading {
        let line = first.saturating_sub(u32::try_from(leading - blank).unwrap_or(0)).max(1);
        out.push(('\n', (line, 1)));
    }
    join(&lines, scalar.style, &mut out);
    let end = lines.last().map_or(text.place(scalar.body), |line| line.end);
    let have = out.len();
    let tail = scalar.text.chars().skip(have).take_while(|letter| *letter == '\n').count();
    for line in 0..tail {
        let down = u32::try_from(line).unwrap_or(0);
        out.push(('\n', if line == 0 { end } else { (end.0 + down, 1) }));
    }
    let chars = lines.into_iter().flat_map(|line| line.letters).collect();
    (Written { chars, end }, out)
}

/// Joins the lines of a block scalar: folded where neither line begins with a blank.
fn join(lines: &[Line], style: Style, out: &mut Vec<(char, Place)>) {
    let mut previous: Option<&Line> = None;
    let mut blanks: Vec<Place> = Vec::new();
    for line in lines {
        if line.letters.is_empty() {
            blanks.push(line.end);
            continue;
        }
        if let Some(before) = previous {
            let folds = style == Style::Folded && !before.spaced() && !line.spaced();
            if folds && blanks.is_empty() {
                out.push((' ', before.end));
            } else if !folds {
                out.push(('\n', before.end));
            }
        }
        out.extend(blanks.drain(..).map(|place| ('\n', place)));
        out.extend(line.letters.iter().copied());
        previous = Some(line);
    }
}

/// One line of a block scalar without its indentation.
struct Line {
    letters: Vec<(char, Place)>,
    end: Place,
}

impl Line {
    /// Lines that begin with a blank are not folded.
    fn spaced(&self) -> bool {
        matches!(self.letters.first(), Some((' ' | '\t', _)))
    }
}

fn lines_of(text: &Text, start: usize, end: usize, indent: usize) -> Vec<Line> {
    let written = Written::new(text, start, end);
    let mut lines = Vec::new();
    let mut at = 0;
    while at < written.chars.len() {
        let mut skipped = 0;
        while skipped < indent && written.at(at) == Some(' ') {
            at += 1;
            skipped += 1;
        }
        let mut letters = Vec::new();
        while at < written.chars.len() && written.line_break(at) == 0 {
            letters.extend(written.chars.get(at).copied());
            at += 1;
        }
        lines.push(Line { letters, end: written.place(at) });
        at += written.line_break(at);
    }
    lines
}
