//! The language, version 1, as plain structs. [`decode`] makes them from located YAML, with strict keys and
//! every problem reported; expressions are compiled there, so that a loaded runbook has none that cannot parse.

pub mod answers;
pub mod decode;
mod families;
pub mod files;
mod hooks;
pub mod hosts;
pub mod i18n;
pub mod idle_groups;
pub mod input;
pub mod inventory;
pub mod library;
pub mod load;
mod phases;
mod questions;
pub mod review;
pub mod schema;
pub mod step;
pub mod taken_back;
pub mod trust;
pub mod values;
mod way_back;
mod withheld;

pub use answers::Answers;
pub use files::{Files, yaml_files};
pub use hosts::{HostChoice, HostNeed, Pick};
pub use i18n::Translation;
pub use input::{Input, InputKind};
pub use inventory::Inventory;
pub use library::Library;
pub use load::{Loaded, load, load_copy};
pub use step::{Call, Demand, Gate, Order, Owes, Retry, SCRIPT, Show, Step, Work};
pub use trust::Trust;
pub use values::{Args, Dynamic};

use indexmap::IndexMap;
pub use keybook_api::ids::canonical;
use keybook_api::{Located, event::StepInfo, ids::steps_to};

pub use keybook_source::LANGUAGE;

/// A whole runbook.
#[derive(Clone, Debug)]
pub struct Runbook {
    /// Its name: lower-case letters, digits, `-`, `_`.
    pub name: Located<String>,
    /// Its version.
    pub version: String,
    /// What it does, one line.
    pub title: String,
    /// The language of its texts; [`i18n::DEFAULT`] when it does not say.
    pub lang: Located<String>,
    /// Actions families it was written for, from `requires.actions`.
    pub requires: Vec<Located<String>>,
    /// What the operator gives it.
    pub inputs: IndexMap<String, Input>,
    /// Which hosts it needs, by group.
    pub hosts: IndexMap<String, HostNeed>,
    /// Names of phases in order, for `--until`.
    pub phases: Vec<String>,
    /// Servers, clients and bundles whose edges are judged.
    pub trust: Trust,
    /// The steps.
    pub steps: Vec<Step>,
    /// Steps for success, failure and stop.
    pub finally: Vec<Step>,
}

impl Runbook {
    /// Every step with its path of ids, parents before children; `finally` last, under `finally`.
    pub fn walk(&self) -> Vec<(String, &Step)> {
        fn add<'r>(list: &mut Vec<(String, &'r Step)>, prefix: &str, steps: &'r [Step]) {
            for step in steps {
                let path = if prefix.is_empty() {
                    step.id.value.clone()
                } else {
                    format!("{prefix}/{}", step.id.value)
                };
                list.push((path.clone(), step));
                if let Work::Steps(children) = &step.work {
                    add(list, &path, children);
                }
            }
        }
        let mut list = Vec::new();
        add(&mut list, "", &self.steps);
        add(&mut list, "finally", &self.finally);
        list
    }

    /// A step as reports show it.
    pub fn info(&self, path: &str, step: &Step) -> StepInfo {
        StepInfo {
            path: canonical(path),
            title: step.title.clone(),
            why: step.why.clone(),
            action: step.action().to_owned(),
            irreversible: step.irreversible.is_some(),
        }
    }

    /// The place of a step's outermost step among the runbook's, from 1, and their number; `None` in `finally`.
    pub fn position(&self, path: &str) -> Option<(usize, usize)> {
        let plain = canonical(path);
        let outermost = plain.split('/').next()?;
        let at = self.steps.iter().position(|step| step.id.value == outermost)?;
        Some((at + 1, self.steps.len()))
    }

    /// The steps around the one at a path, the outermost first, and itself, each with its path.
    pub fn steps_to<'r, 'p>(
        &'r self,
        path: &'p str,
    ) -> impl DoubleEndedIterator<Item = (&'p str, &'r Step)> + use<'r, 'p> {
        steps_to(path).filter_map(|path| Some((path, self.step_at(path)?)))
    }

    /// The innermost step around a path that uses a library: its path, and the library. Results are seen only inside it.
    pub fn library_around<'r, 'p>(&'r self, path: &'p str) -> Option<(&'p str, &'r Library)> {
        let mut around = self.steps_to(path).rev().filter(|(around, _)| *around != path);
        around.find_map(|(path, step)| Some((path, step.library.as_ref()?)))
    }

    /// The step at a path of ids, as units name it (`finally-2/x` and `rollback/…/x` included).
    pub fn step_at(&self, path: &str) -> Option<&Step> {
        fn at<'r>(steps: &'r [Step], path: &str) -> Option<&'r Step> {
            let (id, inside) = path.split_once('/').map_or((path, None), |(id, rest)| (id, Some(rest)));
            let step = steps.iter().find(|step| step.id.value == id)?;
            inside.map_or(Some(step), |inside| at(step.children(), inside))
        }
        let plain = canonical(path);
        at(&self.steps, &plain).or_else(|| at(&self.finally, plain.strip_prefix("finally/")?))
    }
}
