//! What somebody accepted when a run was resumed, against the hosts and items that steps began with: those are kept, so
//! that what a change adds to them would silently not be done.

use super::{
    hosts::LOCAL,
    loops::Loop,
    scope::kept,
    session::Session,
    walk::{Place, item_name},
};
use crate::model::{Dynamic, Step, canonical};
use keybook_api::{Event, Fault, UnitId};
use keybook_script::{Expr, NameUse};
use serde_json::Value as Json;

/// What a step has and what it would have now.
#[derive(Default)]
struct Compared {
    /// Added by the change: refused.
    left_out: Vec<String>,
    /// To be told.
    notes: Vec<String>,
}

/// Two lists of names.
struct Difference {
    added: Vec<String>,
    gone: Vec<String>,
}

impl Session {
    /// Notes about what steps that began go on with although it was changed.
    ///
    /// # Errors
    /// Hosts or items were added to steps that began: they would be left out.
    pub(super) fn weigh_changes(&self) -> Result<Vec<String>, Fault> {
        let pins = self.log.state(|state| state.pins.clone());
        let mut compared = Compared::default();
        for (key, (hosts, items)) in &pins {
            // Each round of `finally` begins anew.
            let path = key.split('@').next().unwrap_or_default();
            let Some(step) = self.runbook.step_at(path).filter(|_| canonical(path) == path) else { continue };
            match items {
                None => self.weigh_hosts(path, step, hosts, &mut compared),
                Some(items) => self.weigh_items(key, path, step, items, &mut compared),
            }
        }
        if compared.left_out.is_empty() {
            return Ok(compared.notes);
        }
        let why = format!(
            "{}; a step keeps the hosts and items that it began with, so what was added would be left out",
            compared.left_out.join("; ")
        );
        Err(Fault::usage("accept the changes", why).now("nothing was changed").hint(
            "undo that part of the changes and resume; do what was added in a run of its own, after this one",
        ))
    }

    fn weigh_hosts(&self, path: &str, step: &Step, began_with: &[String], compared: &mut Compared) {
        let mut around = self.runbook.steps_to(path).filter(|(around, _)| *around != path);
        if around.any(|(_, step)| step.hosts.is_some()) {
            // It has the hosts of that step, which is weighed itself.
            return;
        }
        let now = self.choose_hosts(step, &Place::default()).unwrap_or_default();
        let found = self.difference(began_with, &now);
        if !found.added.is_empty() {
            compared.left_out.push(format!("`{path}` began without {}", named("host", &found.added)));
        }
        if !found.gone.is_empty() {
            compared.notes.push(format!("`{path}` goes on with {}, as it began", named("host", &found.gone)));
        }
    }

    fn weigh_items(&self, key: &str, path: &str, step: &Step, items: &[Json], compared: &mut Compared) {
        let (Some(for_each), Some(one)) = (&step.for_each, Loop::read(key, items)) else { return };
        let on = if one.host() == LOCAL { String::new() } else { format!(" on {}", one.host()) };
        let began_with = items.iter().map(|item| Some(item_name(&kept(item)?))).collect::<Option<Vec<_>>>();
        let now = self.items_now(path, for_each, &one);
        let (Some(began_with), Some(now)) = (began_with, now) else {
            let note =
                format!("`{path}` goes on{on} with the items that it began with; they cannot be compared");
            return compared.notes.push(note);
        };
        let whole = |names: Vec<String>| -> Vec<String> {
            names.into_iter().map(|name| format!("{}{name}", one.outer())).collect()
        };
        let found = self.difference(&began_with, &now);
        let (added, gone) = (whole(found.added), whole(found.gone));
        if !gone.is_empty() {
            compared.notes.push(format!("`{path}` goes on{on} with {}, as it began", named("item", &gone)));
        }
        if added.is_empty() {
            return;
        }
        match self.is_given(path, keybook_script::names_used(for_each)) {
            true => compared.left_out.push(format!("`{path}` began{on} without {}", named("item", &added))),
            // The run itself may have found them meanwhile.
            false => compared.notes.push(format!(
                "`{path}` goes on{on} without {}, which its loop would have by now",
                named("item", &added)
            )),
        }
    }

    /// The names of the items that a loop would have now; `None` where that cannot be known.
    fn items_now(&self, path: &str, for_each: &Expr, one: &Loop<'_>) -> Option<Vec<String>> {
        let item = one.around().map(str::to_owned);
        let asking = UnitId { step: path.to_owned(), host: one.host().to_owned(), item };
        let (item, _) = self.item_around(&asking, path);
        let value = self.script.eval(for_each, &self.scope(&asking, &item)).ok()?;
        Some(value.as_list()?.iter().map(item_name).collect())
    }

    /// Do these expressions of a step, or of a step's library, read only what is given from the beginning? What steps
    /// find may be more by now without any change.
    fn is_given<'e>(&self, path: &str, reads: impl IntoIterator<Item = &'e NameUse>) -> bool {
        let given = ["inputs", "hosts", "host", "groups", "run", "item"];
        let mut used_inputs = false;
        let all = reads.into_iter().all(|used| {
            used_inputs |= used.name == "inputs";
            given.contains(&used.name.as_str())
        });
        let library = self.runbook.library_around(path).filter(|_| used_inputs);
        all && library.is_none_or(|(around, library)| {
            self.is_given(around, library.with.0.values().flat_map(Dynamic::names_used).collect::<Vec<_>>())
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

fn named(what: &str, names: &[String]) -> String {
    let several = if names.len() == 1 { "" } else { "s" };
    format!("the {what}{several} {}", names.join(", "))
}
