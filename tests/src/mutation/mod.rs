//! Breaks the files of a runbook, one mistake at a time, and knows where each mistake stands.

mod book;
mod damage;
mod references;
mod roles;
mod scripts;
mod spots;
mod structure;
mod values;

pub use book::{Book, Checker};
pub use spots::{Spot, Text};

use keybook_api::{Diagnostic, Registry, Span};
use std::{collections::BTreeSet, fmt};

/// Where the report must point.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// At exactly these characters: line, column, length.
    Exact(u32, u32, u32),
    /// At a character of this line between two columns: inside one expression.
    Inside(u32, u32, u32),
    /// At this line.
    Line(u32),
}

impl Place {
    /// Exactly this span.
    pub fn of(span: &Span) -> Self {
        Self::Exact(span.line, span.column, span.length)
    }

    fn fits(&self, span: &Span) -> bool {
        match *self {
            Self::Exact(line, column, length) => {
                (span.line, span.column, span.length) == (line, column, length)
            }
            Self::Inside(line, from, to) => span.line == line && (from..=to).contains(&span.column),
            Self::Line(line) => span.line == line,
        }
    }
}

/// One mistake in one file.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// What kind of mistake it is.
    pub kind: &'static str,
    /// The file, by its place in the runbook's folder.
    pub file: String,
    /// The file with the mistake.
    pub text: String,
    /// The code and place of the report.
    pub code: &'static str,
    /// Where it must point.
    pub place: Place,
}

impl Mutation {
    /// Is it among the reports?
    pub fn is_reported(&self, found: &[Diagnostic]) -> bool {
        let here = |problem: &&Diagnostic| problem.span.file.ends_with(&format!("/{}", self.file));
        found.iter().filter(here).any(|problem| problem.code == self.code && self.place.fits(&problem.span))
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}: wanted {} at {:?}", self.kind, self.file, self.code, self.place)?;
        let (Place::Exact(line, ..) | Place::Inside(line, ..) | Place::Line(line)) = self.place;
        let shown = self.text.lines().nth(line as usize - 1).unwrap_or_default();
        write!(f, "\n    {shown}")
    }
}

/// Numbers that look random and come again with the same seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    /// Begins with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound.max(1) as u64).unwrap_or_default()
    }

    /// A word with one letter changed or dropped, which is none of the words that mean something.
    pub fn misspell(&mut self, word: &str, known: &dyn Fn(&str) -> bool) -> Option<String> {
        let letters: Vec<char> = word.chars().collect();
        let places: Vec<usize> = (0..letters.len()).filter(|at| letters[*at].is_ascii_alphabetic()).collect();
        for _ in 0..20 {
            let at = *places.get(self.below(places.len()))?;
            let mut wrong = letters.clone();
            if self.below(2) == 0 && at > 0 && letters.len() > 2 {
                wrong.remove(at);
            } else {
                wrong[at] = char::from(b'a' + u8::try_from(self.below(26)).unwrap_or_default());
            }
            let wrong: String = wrong.into_iter().collect();
            let begins = wrong.starts_with(|letter: char| letter.is_ascii_alphabetic());
            if begins && wrong != word && !known(&wrong) {
                return Some(wrong);
            }
        }
        None
    }
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// runbook.yaml
    Runbook,
    /// lib/NAME.yaml
    Library,
    /// i18n/LANG.yaml
    Translation,
    /// A scenario.
    Scenario,
    /// An answers file.
    Answers,
    /// hooks.rhai
    Hooks,
}

/// Every mistake of every kind that one file has room for. Which letter is changed, the dice decide; `known` are the
/// words that mean something somewhere ([`Book::words`]).
pub fn mutations(
    book: &Book,
    file: &str,
    registry: &Registry,
    known: &BTreeSet<String>,
    dice: &mut Dice,
) -> Vec<Mutation> {
    let text = Text::new(file, &book.files[file]);
    let kind = book.kind(file);
    let known = |word: &str| known.contains(word);
    let mut all = scripts::in_code(&text, kind, &known, dice);
    if kind == FileKind::Hooks {
        all.extend(scripts::in_hooks(&text));
        return all;
    }
    let spots = spots::spots(&text, kind);
    let makers = spots::Makers { text: &text, spots: &spots, registry, known: &known };
    all.extend(structure::mutations(&makers, dice));
    all.extend(damage::mutations(&makers, dice));
    all.extend(references::mutations(&makers, kind, dice));
    all.extend(scripts::in_expressions(&makers, dice));
    all.extend(values::mutations(&makers, dice));
    // Where an anchor is gone, its alias is what is wrong.
    let anchors = anchors(&text.text);
    all.retain(|mutation| anchors.iter().all(|anchor| mutation.text.contains(anchor)));
    all
}

/// The anchors of a text that an alias refers to, with their `&`.
fn anchors(text: &str) -> Vec<&str> {
    let name =
        |word: &str| word.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).count();
    let words =
        text.split([' ', '\n']).filter_map(|word| word.strip_prefix('&').map(|rest| &word[..=name(rest)]));
    words.filter(|anchor| anchor.len() > 1 && text.contains(&format!("*{}", &anchor[1..]))).collect()
}
