//! Reading maps with strict keys.

use crate::{Key, Node, suggest};
use keybook_api::{Diagnostic, Severity};

/// Collects the problems found while a tree is decoded.
#[derive(Debug, Default)]
pub struct Problems(Vec<Diagnostic>);

impl Problems {
    /// Those of one file, to say more about them.
    pub fn of_file<'p>(&'p mut self, file: &'p str) -> impl Iterator<Item = &'p mut Diagnostic> {
        self.0.iter_mut().filter(move |problem| *problem.span.file == *file)
    }

    /// Adds one.
    pub fn push(&mut self, problem: Diagnostic) {
        self.0.push(problem);
    }

    /// Adds several.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Diagnostic>) {
        self.0.extend(problems);
    }

    /// True when one of them is an error (not only warnings).
    pub fn errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// What was found so far.
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.0
    }

    /// All of them, in the order found.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }
}

/// Reads one map: each key is asked for once, and [`MapReader::finish`] reports those that nobody asked for.
pub struct MapReader<'n> {
    node: &'n Node,
    entries: &'n [(Key, Node)],
    taken: Vec<bool>,
    asked: Vec<String>,
    /// Required keys that are not there, with what was reported.
    missing: Vec<(String, Diagnostic)>,
    what: String,
}

impl<'n> MapReader<'n> {
    /// Begins to read a map. `what` names it in messages, with its article: `a step`, `the inventory`.
    /// Reports `wrong-type` and returns `None` when the node is no map.
    pub fn new(node: &'n Node, what: &str, problems: &mut Problems) -> Option<Self> {
        let Some(entries) = node.entries() else {
            problems.push(
                Diagnostic::error(
                    "wrong-type",
                    format!("{what} must be a map, this is {}", with_article(node.type_name())),
                    node.span.clone(),
                )
                .label("expected `key: value` lines"),
            );
            return None;
        };
        let taken = vec![false; entries.len()];
        Some(Self { node, entries, taken, asked: Vec::new(), missing: Vec::new(), what: what.to_owned() })
    }

    /// The value of a key that must be there; reports `missing-key` when it is not. A key without a value is
    /// returned as null, for the scalar readers to report.
    pub fn required(&mut self, key: &str, problems: &mut Problems) -> Option<&'n Node> {
        let found = self.optional(key);
        if found.is_none() {
            let place = self.entries.first().map_or(&self.node.span, |(first, _)| &first.span);
            let problem =
                Diagnostic::error("missing-key", format!("{} needs `{key}`", self.what), place.clone())
                    .help(format!("add `{key}: …`"));
            self.missing.push((key.to_owned(), problem.clone()));
            problems.push(problem);
        }
        found
    }

    /// The value of a key, where it is there.
    pub fn optional(&mut self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// A key with its value, where it is there.
    pub fn entry(&mut self, key: &str) -> Option<&'n (Key, Node)> {
        self.asked.push(key.to_owned());
        let at = self.entries.iter().position(|(name, _)| name.name == key)?;
        if let Some(taken) = self.taken.get_mut(at) {
            *taken = true;
        }
        self.entries.get(at)
    }

    /// The node that is read.
    pub fn node(&self) -> &'n Node {
        self.node
    }

    /// The keys that were not asked for so far, with their values; they count as asked for from now on.
    pub fn rest(&mut self) -> Vec<(&'n Key, &'n Node)> {
        self.rest_where(|_| true)
    }

    /// Like [`MapReader::rest`], for keys of one form only: so a step reads the keys that it knows, then those
    /// that name an action, and what is left is unknown.
    pub fn rest_where(&mut self, fits: impl Fn(&str) -> bool) -> Vec<(&'n Key, &'n Node)> {
        let mut rest = Vec::new();
        for ((key, node), taken) in self.entries.iter().zip(self.taken.iter_mut()) {
            if !*taken && fits(&key.name) {
                *taken = true;
                rest.push((key, node));
            }
        }
        rest
    }

    /// Reports every key that nobody asked for as `unknown-key`, with a suggestion among those that were. A required
    /// key that is only misspelt is not missed as well.
    pub fn finish(self, problems: &mut Problems) {
        for ((key, node), taken) in self.entries.iter().zip(&self.taken) {
            if *taken {
                continue;
            }
            let absent = self.missing.iter().find(|(name, _)| suggest(&key.name, [name.as_str()]).is_some());
            match absent {
                Some((name, missed)) => {
                    problems.0.retain(|problem| problem != missed);
                    problems.push(unknown_key(key, node, &self.what, std::iter::once(name.as_str())));
                }
                None => {
                    problems.push(unknown_key(key, node, &self.what, self.asked.iter().map(String::as_str)))
                }
            }
        }
    }
}

/// The diagnostic for a key that is not known, with a suggestion, or the list of known keys when it is short.
fn unknown_key<'a>(
    key: &Key,
    node: &Node,
    what: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let problem =
        Diagnostic::error("unknown-key", format!("{what} has no key `{}`", key.name), key.span.clone())
            .label("not known here");
    let all: Vec<String> = known.clone().map(|name| format!("`{name}`")).collect();
    match suggest(&key.name, known) {
        Some(advice) => problem.help(advice),
        // In `{ title: One, two more }` the comma ended the text.
        None if node.is_null() && key.name.contains(' ') => {
            problem.help("a text with a comma stands in quotes inside { }")
        }
        None if all.is_empty() => problem.help("no key is expected here"),
        None => problem.help(format!("known keys: {}", all.join(", "))),
    }
}

/// A type's name with its article, as messages use it.
pub(crate) fn with_article(type_name: &str) -> String {
    match type_name {
        "null" => "empty".to_owned(),
        "bool" => "true or false".to_owned(),
        "int" => "a whole number".to_owned(),
        "float" => "a number".to_owned(),
        other => format!("a {other}"),
    }
}
