//! Steps.

use super::{
    hosts::HostChoice,
    library::Library,
    values::{Args, Dynamic},
};
use indexmap::IndexMap;
use keybook_api::{Located, Span};
use keybook_script::{Expr, NameUse, Script, Template};
use std::time::Duration;

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Unique among its siblings.
    pub id: Located<String>,
    /// What it does, one line; the id when absent.
    pub title: String,
    /// Why it is done.
    pub why: String,
    /// Its hosts; those of the parent, or this machine, when absent.
    pub hosts: Option<HostChoice>,
    /// Runs only when this is true.
    pub when: Option<Expr>,
    /// Runs once an item of this list.
    pub for_each: Option<Expr>,
    /// One host after the other, or several at once.
    pub order: Order,
    /// Read-only calls whose results are pinned for the attempt.
    pub facts: IndexMap<String, Call>,
    /// Is it already done?
    pub check: Option<Expr>,
    /// Did it work?
    pub expect: Vec<Demand>,
    /// The name of its result.
    pub register: Option<Located<String>>,
    /// Trying again.
    pub retry: Option<Retry>,
    /// How long one try may take.
    pub timeout: Option<Duration>,
    /// Asked before the effect.
    pub gate: Option<Gate>,
    /// Paths whose originals are kept before the effect.
    pub backup: Vec<Dynamic>,
    /// How it is taken back, when the executor's own way is not right.
    pub undo: Option<Call>,
    /// Why it cannot be taken back.
    pub irreversible: Option<String>,
    /// A stop waits until the host is through.
    pub atomic: bool,
    /// What a host owes after this step.
    pub owes: Option<Owes>,
    /// The obligation this step pays.
    pub settles: Option<Located<String>>,
    /// Servers and clients whose trust may be broken after this step, until a later one mends it.
    pub breaks: Vec<Located<String>>,
    /// Its phase.
    pub phase: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its output and arguments are not shown.
    pub secret: bool,
    /// What it does.
    pub work: Work,
    /// The library that its steps are from.
    pub library: Option<Library>,
    /// The names that its expressions use; those of steps inside are theirs.
    pub reads: Vec<NameUse>,
    /// Where it begins.
    pub span: Span,
}

/// What stands for the action of a step with a script, in records and reports.
pub const SCRIPT: &str = "script";

/// What a step does.
#[derive(Clone, Debug)]
pub enum Work {
    /// One action.
    Action(Call),
    /// A script that calls actions.
    Script(Script),
    /// Steps of its own.
    Steps(Vec<Step>),
}

/// An action with arguments.
#[derive(Clone, Debug)]
pub struct Call {
    /// `family.verb`.
    pub action: String,
    /// Its arguments.
    pub args: Args,
    /// Where its name stands.
    pub span: Span,
}

/// One host after the other, or several at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// One after the other, stopping at the first failure.
    Serial,
    /// At most `batch` at once; goes on while no more than `max_failures` hosts failed.
    Parallel {
        /// Hosts at once; all when 0.
        batch: usize,
        /// Failures tolerated before no further host begins; default 0.
        max_failures: usize,
    },
}

/// What a result must be like.
#[derive(Clone, Debug)]
pub struct Demand {
    /// What must be true.
    pub that: Expr,
    /// What is said when it is false; else the expression itself.
    pub otherwise: Option<Template>,
}

/// Trying again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Tries in all; at least 1.
    pub times: u32,
    /// Pause between two tries.
    pub delay: Duration,
    /// Try again until this is true of the result.
    pub until: Option<Demand>,
}

/// What a gate shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// The files' changes.
    Diff,
    /// The facts.
    Facts,
    /// What is known of trust.
    Trust,
}

/// A question before the effect.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The question.
    pub ask: Template,
    /// What is shown with it.
    pub show: Vec<Show>,
    /// Where it stands.
    pub span: Span,
}

/// An obligation.
#[derive(Clone, Debug)]
pub struct Owes {
    /// Its name.
    pub what: Located<String>,
    /// Only hosts of this group owe it; every host of the step when absent.
    pub on: Option<Located<String>>,
}

impl Step {
    /// Does it settle an obligation, or a step inside it?
    pub fn settles_within(&self) -> bool {
        self.settles.is_some() || self.children().iter().any(Self::settles_within)
    }

    /// The children, for a step with steps.
    pub fn children(&self) -> &[Step] {
        match &self.work {
            Work::Steps(children) => children,
            Work::Action(_) | Work::Script(_) => &[],
        }
    }

    /// The action's name; [`SCRIPT`] for a script, empty for a step with steps.
    pub fn action(&self) -> &str {
        match &self.work {
            Work::Action(call) => &call.action,
            Work::Script(_) => SCRIPT,
            Work::Steps(_) => "",
        }
    }
}
