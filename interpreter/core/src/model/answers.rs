//! Answers for unattended runs: one a unit, by `step@host#item`.
//!
//! ```yaml
//! keybook: 1
//! answers:
//!   install@master-1: run
//!   install@master-2: { skip: "already replaced by hand" }
//!   bounce@*: run            # stands for every host and every item, and never for an irreversible step
//!   rollback: run            # allows `keybook rollback --unattended`
//! ```

use super::{Runbook, Step, canonical};
use crate::run::{
    hosts::LOCAL,
    loops::{NESTED, item_name},
};
use indexmap::IndexMap;
use keybook_api::{Diagnostic, Map, Span, event::Answer};
use keybook_script::{Expr, ScriptHost, names_used};
use keybook_source::{MapReader, Node, NodeValue, Problems, read, suggest};

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
    /// Where its unit stands.
    pub unit_span: Span,
}

impl Given {
    /// Where a part of the unit stands, which begins at a byte of it.
    fn part(&self, unit: &str, at: usize, part: &str) -> Span {
        let count = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let quotes = u32::from(self.unit_span.length > count(unit));
        let column = self.unit_span.column + quotes + count(unit.get(..at).unwrap_or_default());
        Span { column, length: count(part).max(1), ..self.unit_span.clone() }
    }
}

impl Answers {
    /// Decodes an answers file.
    pub fn decode(root: &Node, problems: &mut Problems) -> Option<Self> {
        let mut map = MapReader::new(root, "an answers file", problems)?;
        let version = map.required("keybook", problems);
        let answers = map.required("answers", problems);
        map.finish(problems);
        version.map(|node| read::language(node, problems));
        let mut given = IndexMap::new();
        for (key, value) in MapReader::new(answers?, "`answers`", problems)?.rest() {
            if key.name != ROLLBACK && !key.name.contains('@') {
                let message = format!("`{}` names no unit", key.name);
                problems.push(
                    Diagnostic::error("unit", message, key.span.clone())
                        .label("write step@host or step@host#item"),
                );
            }
            if let Some((answer, why)) = read_answer(value, problems) {
                let answer = Given { answer, why, span: value.span.clone(), unit_span: key.span.clone() };
                given.insert(key.name.clone(), answer);
            }
        }
        read::warn_surprises(root, problems);
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

    /// Compares the answers with a runbook: units that cannot exist, wildcards where each host is answered for by
    /// name, and answers to what is never asked. `script` evaluates the loops whose items are known beforehand.
    pub fn review(&self, runbook: &Runbook, script: &ScriptHost) -> Vec<Diagnostic> {
        let known: Vec<(String, &Step)> = runbook.walk();
        let units = self.0.iter().filter(|(unit, _)| *unit != ROLLBACK);
        units
            .filter_map(|(unit, given)| {
                review_one(unit, given, &known).or_else(|| {
                    let (path, rest) = unit.split_once('@')?;
                    review_item((path, rest), unit, given, &loops(runbook, path), script)
                })
            })
            .collect()
    }

    /// Answers for hosts that are not there; `place` says where they would be. Only warnings: a step may find more hosts
    /// while the run is under way.
    pub fn unknown_hosts<'h>(
        &self,
        known: impl Iterator<Item = &'h String> + Clone,
        place: &str,
    ) -> Vec<Diagnostic> {
        let stranger = |(unit, given): (&String, &Given)| {
            let host = unit.split_once('@')?.1.split('#').next().unwrap_or_default();
            let there = matches!(host, "*" | LOCAL) || known.clone().any(|name| name == host);
            (!there).then(|| {
                let message = format!("there is no host `{host}` {place}");
                let before = unit.find('@').map_or(0, |at| at + 1);
                let mut problem =
                    Diagnostic::warning("unknown-host", message, given.part(unit, before, host));
                problem.help = suggest(host, known.clone().map(String::as_str));
                problem
            })
        };
        self.0.iter().filter_map(stranger).collect()
    }
}

fn review_one(unit: &str, given: &Given, known: &[(String, &Step)]) -> Option<Diagnostic> {
    let (path, host) = unit.split_once('@')?;
    let plain = canonical(path);
    let at = given.part(unit, 0, path);
    let Some((_, step)) = known.iter().find(|(known, _)| *known == plain) else {
        let mut problem = Diagnostic::error("unknown-step", format!("the runbook has no step `{path}`"), at);
        problem.help = suggest(path, known.iter().map(|(path, _)| path.as_str()));
        return Some(problem);
    };
    if host.starts_with('*') && step.irreversible.is_some() {
        let message = format!("`{path}` cannot be taken back, so each host is answered for by name");
        return Some(
            Diagnostic::error("wildcard", message, given.unit_span.clone())
                .help(format!("write {path}@HOST for each host")),
        );
    }
    step.gate.is_none().then(|| {
        Diagnostic::warning("never-asked", format!("`{path}` has no gate"), at)
            .label("this answer counts only with --step, or when its outcome is unknown")
    })
}

/// The loops around a step and its own, the outermost first.
fn loops<'r>(runbook: &'r Runbook, path: &str) -> Vec<&'r Expr> {
    let plain = canonical(path);
    runbook.steps_to(&plain).filter_map(|(_, step)| step.for_each.as_ref()).collect()
}

/// A unit in a loop has an item, and no other unit has one: an answer that names it otherwise would never count.
fn review_item(
    (path, rest): (&str, &str),
    unit: &str,
    given: &Given,
    loops: &[&Expr],
    script: &ScriptHost,
) -> Option<Diagnostic> {
    let wrong = |message: String| {
        Diagnostic::error("unit", message, given.unit_span.clone()).label("this never counts")
    };
    let (host, items) = match rest.split_once(NESTED) {
        Some((host, items)) => (host, items.split(NESTED).collect()),
        None => (rest, Vec::new()),
    };
    if host == "*" {
        let message = || "a wildcard stands for every host and every item".to_owned();
        return (!items.is_empty())
            .then(|| wrong(message()).help(format!("write {path}@*, or name the host")));
    }
    let form = vec!["ITEM"; loops.len()].join("#");
    match (items.len(), loops.len()) {
        (have, wanted) if have == wanted => {}
        (_, 0) => {
            let message = format!("`{path}` is in no loop, so it has no items");
            return Some(wrong(message).help(format!("write {path}@{host}")));
        }
        (0, _) => {
            let message = format!("`{path}` is asked about for each item, and this names none");
            return Some(wrong(message).help(format!("write {path}@{host}#{form}, or {path}@* for all")));
        }
        (_, wanted) => {
            let message = format!("`{path}` has {wanted} loops around it, so it has as many items");
            return Some(wrong(message).help(format!("write {path}@{host}#{form}, the outermost first")));
        }
    }
    let mut at = path.len() + host.len() + 2;
    for (item, for_each) in items.iter().zip(loops) {
        if let Some(known) = constant_items(for_each, script).filter(|known| !known.iter().any(|k| k == item))
        {
            let message = format!("the loop of `{path}` has no item `{item}`");
            let mut problem = Diagnostic::error("unknown-item", message, given.part(unit, at, item));
            problem.help = suggest(item, known.iter().map(String::as_str))
                .or_else(|| Some(format!("there are: {}", known.join(", "))));
            return Some(problem);
        }
        at += item.len() + 1;
    }
    None
}

/// The names of the items of a loop that reads nothing of the run; `None` when they are not known beforehand.
fn constant_items(for_each: &Expr, script: &ScriptHost) -> Option<Vec<String>> {
    if !names_used(for_each).is_empty() {
        return None;
    }
    let items = script.eval(for_each, &Map::new()).ok()?;
    Some(items.as_list()?.iter().map(item_name).collect())
}

fn read_answer(node: &Node, problems: &mut Problems) -> Option<(Answer, String)> {
    if let NodeValue::Map(_) = node.value {
        let mut map = MapReader::new(node, "an answer", problems)?;
        let why = map.required("skip", problems);
        map.finish(problems);
        return Some((Answer::Skip, read::string(why?, problems)?));
    }
    let answer = match read::enum_word(node, &["run", "stop", "roll-back", "skip"], "answer", problems)? {
        "run" => Answer::Run,
        "stop" => Answer::Stop,
        "roll-back" => Answer::RollBack,
        _ => {
            let problem = Diagnostic::error("missing-key", "a skip needs its reason", node.span.clone());
            problems.push(problem.help("write { skip: \"already replaced by hand\" }"));
            return None;
        }
    };
    Some((answer, String::new()))
}
