//! What stands before the steps: language, requirements, inputs, groups of hosts.

use super::{Decoder, strings};
use crate::model::{HostNeed, Input};
use indexmap::{IndexMap, IndexSet};
use keybook_api::{Diagnostic, Located};
use keybook_source::{Key, MapReader, Node, read, suggest};

impl Decoder<'_> {
    /// `None` when it is written in another language version: nothing else is then to be judged. A missing key was reported.
    pub(super) fn language(&mut self, node: Option<&Node>) -> Option<()> {
        node.map_or(Some(()), |node| read::language(node, &mut self.problems))
    }

    pub(super) fn requires(&mut self, node: &Node) -> Vec<Located<String>> {
        let Some(mut map) = MapReader::new(node, "`requires`", &mut self.problems) else { return Vec::new() };
        let keybook = map.optional("keybook");
        let actions = map.optional("actions");
        map.finish(&mut self.problems);
        if let Some(node) = keybook
            && let Some(text) = read::string(node, &mut self.problems)
            && let Err(why) = check_requirement(&text)
        {
            self.problems.push(Diagnostic::error("requires", why, node.span.clone()));
        }
        let mut families = Vec::new();
        for item in actions.and_then(|n| read::list(n, &mut self.problems)).unwrap_or_default() {
            let Some(family) = read::string(item, &mut self.problems) else { continue };
            let known: IndexSet<&str> = self.registry.names().filter_map(|n| n.split('.').next()).collect();
            if !known.contains(family.as_str()) {
                let mut problem = Diagnostic::error(
                    "unknown-action",
                    format!("there are no `{family}` actions"),
                    item.span.clone(),
                );
                problem.help = suggest(&family, known.iter().copied());
                self.problems.push(problem);
            }
            families.push(Located::new(family, item.span.clone()));
        }
        families
    }

    pub(super) fn inputs(&mut self, node: &Node) -> IndexMap<String, Input> {
        let mut inputs = IndexMap::new();
        for (key, value) in self.entries(node, "`inputs`") {
            if let Some(input) = self.input(value) {
                inputs.insert(key.name.clone(), Input { span: key.span.clone(), ..input });
            }
        }
        inputs
    }

    /// The entries of a map whose keys are names chosen by the author.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(&'n Key, &'n Node)> {
        let entries =
            MapReader::new(node, what, &mut self.problems).map(|mut map| map.rest()).unwrap_or_default();
        for (key, _) in &entries {
            read::check_identifier(&key.name, "name", &key.span, &mut self.problems);
        }
        entries
    }

    pub(super) fn needs(&mut self, node: &Node) -> IndexMap<String, HostNeed> {
        let mut needs = IndexMap::new();
        for (key, value) in self.entries(node, "`hosts`") {
            if let Some(need) = self.need(value) {
                needs.insert(key.name.clone(), need);
            }
        }
        needs
    }

    fn need(&mut self, node: &Node) -> Option<HostNeed> {
        let mut map = MapReader::new(node, "a group of hosts", &mut self.problems)?;
        let keys = ["min", "max", "exactly", "free_mib"].map(|key| map.optional(key));
        let help = map.optional("help");
        let tools = map.optional("tools");
        let replaceable = map.optional("replaceable");
        map.finish(&mut self.problems);
        let problems = &mut self.problems;
        let [least, most, exact, _] = keys;
        let more = least.or(most).filter(|_| exact.is_some());
        if let Some(node) = more {
            let message = "`exactly` says how many; `min` and `max` say nothing beside it";
            problems.push(Diagnostic::error("exactly", message, node.span.clone()));
        }
        let [min, max, exactly, free] = keys.map(|node| {
            node.and_then(|n| read::int(n, 0..=1_000_000, problems)).and_then(|n| usize::try_from(n).ok())
        });
        // Without `min` it is one.
        if let Some(at) = most.filter(|_| more.is_none() && max.is_some_and(|max| max < min.unwrap_or(1))) {
            let message = match min {
                Some(_) => "no number of hosts fits: `max` is below `min`",
                None => {
                    "no number of hosts fits: `max` is below 1, which is the least where no `min` is given"
                }
            };
            problems.push(Diagnostic::error("empty-range", message, at.span.clone()));
        }
        Some(HostNeed {
            min: exactly.or(min).unwrap_or(1),
            max: exactly.or(max),
            help: help.and_then(|n| read::string(n, problems)).unwrap_or_default(),
            tools: tools.map(|n| strings(n, problems)).unwrap_or_default(),
            free_mib: free.unwrap_or(64) as u64,
            replaceable: replaceable.and_then(|n| read::bool(n, problems)).unwrap_or(false),
            span: node.span.clone(),
        })
    }
}

/// `>=0.1` against this program's version.
fn check_requirement(text: &str) -> Result<(), String> {
    let numbers =
        |text: &str| -> Option<Vec<u64>> { text.split('.').map(|part| part.parse().ok()).collect() };
    let wanted = text.strip_prefix(">=").and_then(|rest| numbers(rest.trim()));
    let Some(wanted) = wanted else { return Err(format!("`{text}` is no requirement; write \">=0.1\"")) };
    let own = env!("CARGO_PKG_VERSION");
    match numbers(own) {
        Some(have) if have >= wanted => Ok(()),
        _ => Err(format!("this runbook needs keybook {text}; this is {own}")),
    }
}
