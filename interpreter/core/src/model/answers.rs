//! Answers for unattended runs: one a unit, by `step@host#item`.
//!
//! ```yaml
//! keybook: 1
//! answers:
//!   install@master-1: run
//!   install@master-2: { skip: "already replaced by hand" }
//!   bounce@*: run            # a wildcard stands for hosts and items, and never for an irreversible step
//!   rollback: run            # allows `keybook rollback --unattended`
//! ```

use indexmap::IndexMap;
use keybook_api::{Diagnostic, Span, event::Answer};
use keybook_source::{MapReader, Node, NodeValue, Problems, read};

/// The key that allows an unattended rollback.
pub const ROLLBACK: &str = "rollback";

/// Answers by unit.
#[derive(Clone, Debug, Default)]
pub struct Answers(IndexMap<String, Given>);

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// What to do.
    pub answer: Answer,
    /// The reason, for a skip.
    pub why: String,
    /// Where it stands.
    pub span: Span,
}

impl Answers {
    /// Decodes an answers file.
    pub fn decode(root: &Node, problems: &mut Problems) -> Option<Self> {
        let mut map = MapReader::new(root, "an answers file", problems)?;
        let version = map.required("keybook", problems);
        let answers = map.required("answers", problems);
        map.finish(problems);
        if let Some(node) = version
            && !matches!(node.value, NodeValue::Int(1))
        {
            problems.push(Diagnostic::error(
                "language-version",
                "this program reads version 1",
                node.span.clone(),
            ));
        }
        let mut given = IndexMap::new();
        for (key, value) in MapReader::new(answers?, "`answers`", problems)?.rest() {
            if key.name != ROLLBACK && !key.name.contains('@') {
                let message = format!("`{}` names no unit", key.name);
                problems.push(
                    Diagnostic::error("unit", message, key.span.clone())
                        .label("write step@host or step@host#item"),
                );
            }
            if let Some(answer) = read_answer(value, problems) {
                given.insert(key.name.clone(), answer);
            }
        }
        Some(Self(given))
    }

    /// The answer for a unit. `step@*` counts only when `wildcards`.
    pub fn get(&self, unit: &str, wildcards: bool) -> Option<&Given> {
        if let Some(given) = self.0.get(unit) {
            return Some(given);
        }
        let (step, _) = unit.split_once('@')?;
        if wildcards { self.0.get(&format!("{step}@*")) } else { None }
    }

    /// All keys with their places, for checking them against a runbook.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &Span)> {
        self.0.iter().map(|(key, given)| (key.as_str(), &given.span))
    }
}

fn read_answer(node: &Node, problems: &mut Problems) -> Option<Given> {
    let span = node.span.clone();
    if let NodeValue::Map(_) = node.value {
        let mut map = MapReader::new(node, "an answer", problems)?;
        let why = map.required("skip", problems);
        map.finish(problems);
        return Some(Given { answer: Answer::Skip, why: read::string(why?, problems)?, span });
    }
    let word = read::enum_word(node, &["run", "stop", "roll-back"], "an answer", problems)?;
    let answer = match word {
        "run" => Answer::Run,
        "stop" => Answer::Stop,
        _ => Answer::RollBack,
    };
    Some(Given { answer, why: String::new(), span })
}
