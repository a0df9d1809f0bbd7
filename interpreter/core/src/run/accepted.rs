//! What somebody accepted when a run was resumed, against what steps began with and did: that is kept, so that some of it
//! would silently not be done.

mod items;
mod units;

use super::{session::Session, walk::Place};
use crate::model::{Dynamic, Step, canonical};
use indexmap::IndexMap;
use keybook_api::{Event, Fault, Span};
use keybook_script::NameUse;
use serde_json::Value as Json;

/// What accepted changes come to.
#[derive(Default)]
pub(super) struct Accepted {
    /// What would not be done.
    refused: Vec<String>,
    /// To be told.
    pub notes: Vec<String>,
    /// The items of loops that began, where some are others from here on: by the loop's key.
    pub items: IndexMap<String, Vec<Json>>,
}

/// Two lists of names.
struct Difference {
    added: Vec<String>,
    gone: Vec<String>,
}

impl Session {
    /// What steps that began go on with although it was changed, and what they take over.
    ///
    /// # Errors
    /// Changes that would not be carried out.
    pub(super) fn weigh_changes(&self) -> Result<Accepted, Fault> {
        let pins = self.log.state(|state| state.pins.clone());
        let mut found = Accepted::default();
        for (key, (hosts, items)) in &pins {
            // Each round of `finally` begins anew.
            let path = key.split('@').next().unwrap_or_default();
            let Some(step) = self.runbook.step_at(path).filter(|_| canonical(path) == path) else { continue };
            match items {
                None => self.weigh_hosts(path, step, hosts, &mut found),
                Some(items) => self.weigh_items(key, path, step, items, &mut found),
            }
        }
        self.weigh_units(&mut found);
        if found.refused.is_empty() {
            return Ok(found);
        }
        let why = format!(
            "{}; a step keeps the hosts and items that it began with, and what is done stays as it is, so this would not be carried out",
            found.refused.join("; ")
        );
        Err(Fault::usage("accept the changes", why).now("nothing was changed").hint(
            "undo that part of the changes and resume; do what was added in a run of its own, after this one",
        ))
    }

    fn weigh_hosts(&self, path: &str, step: &Step, began_with: &[String], found: &mut Accepted) {
        let mut around = self.runbook.steps_to(path).filter(|(around, _)| *around != path);
        if around.any(|(_, step)| step.hosts.is_some()) {
            // It has the hosts of that step, which is weighed itself.
            return;
        }
        let now = self.choose_hosts(step, &Place::default()).unwrap_or_default();
        let changed = self.difference(began_with, &now);
        if !changed.added.is_empty() {
            let at = step.hosts.as_ref().map_or(&step.span, |choice| &choice.span);
            found.refuse(format!("`{path}` began without {}", named("host", &changed.added)), at);
        }
        if !changed.gone.is_empty() {
            found.notes.push(format!("`{path}` goes on with {}, as it began", named("host", &changed.gone)));
        }
    }

    /// Do these expressions of a step, or of a step's library, read only what is given from the beginning? What steps
    /// find may be more by now without any change.
    fn is_given<'e>(&self, path: &str, reads: impl IntoIterator<Item = &'e NameUse>) -> bool {
        let given = ["inputs", "hosts", "host", "groups", "run", "item"];
        self.reads_only(path, reads, &|used| given.contains(&used.name.as_str()))
    }

    /// Do these expressions of the step at a path, and those that give its library its inputs, read only such names?
    fn reads_only<'e>(
        &self,
        path: &str,
        reads: impl IntoIterator<Item = &'e NameUse>,
        such: &dyn Fn(&NameUse) -> bool,
    ) -> bool {
        let mut used_inputs = false;
        let all = reads.into_iter().all(|used| {
            used_inputs |= used.name == "inputs";
            such(used)
        });
        let library = self.runbook.library_around(path).filter(|_| used_inputs);
        all && library.is_none_or(|(around, library)| {
            let given = library.with.0.values().flat_map(Dynamic::names_used);
            self.reads_only(around, given.collect::<Vec<_>>(), such)
        })
    }

    /// What the run itself added to groups is no change of anybody.
    fn difference(&self, before: &[String], now: &[String]) -> Difference {
        let by_run = |name: &String| {
            let is_it = |event: &Event| matches!(event, Event::HostAdded { host, .. } if host == name);
            self.log.state(|state| state.added.iter().any(is_it))
        };
        let missing = |from: &[String], of: &[String]| -> Vec<String> {
            of.iter().filter(|name| !from.contains(name) && !by_run(name)).cloned().collect()
        };
        Difference { added: missing(before, now), gone: missing(now, before) }
    }
}

impl Accepted {
    /// `at`: where the change is written.
    fn refuse(&mut self, what: String, at: &Span) {
        self.refused.push(format!("{what} ({at})"));
    }
}

fn named(what: &str, names: &[String]) -> String {
    let several = if names.len() == 1 { "" } else { "s" };
    format!("the {what}{several} {}", names.join(", "))
}
