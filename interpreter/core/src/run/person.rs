//! The person (or answers file) behind a run. The engine asks; it never prompts by itself.

use crate::backup::Original;
use async_trait::async_trait;
use keybook_api::{
    Cancel, Plan, Span, TreeEntry, TrustEdge, UnitId,
    event::{Answer, StepInfo, Via},
};
use serde_json::Value as Json;

/// What is asked before a unit's effect.
#[derive(Clone, Debug)]
pub struct Card {
    /// The unit.
    pub unit: UnitId,
    /// Cancelled when the answer is no longer waited for: by a stop, but not inside an atomic step.
    pub cancel: Cancel,
    /// Its step.
    pub step: StepInfo,
    /// The step's place among the run's steps and their number, from 1.
    pub position: Option<(usize, usize)>,
    /// Where the runbook says so.
    pub at: Span,
    /// The hosts are folders.
    pub sandbox: bool,
    /// May the run have changed anything by now?
    pub begun: bool,
    /// The question; a plain one for `--step` without a gate.
    pub question: String,
    /// Why the step cannot be taken back; empty when it can. Then a word has to be typed.
    pub irreversible: String,
    /// What it will do.
    pub plan: Plan,
    /// The facts, when the gate shows them.
    pub facts: Option<Json>,
    /// What is known of trust, when the gate shows it.
    pub trust: Vec<TrustEdge>,
    /// The plan changed since it was last shown: what changed.
    pub changed: Option<String>,
}

/// What is asked about a unit whose outcome nobody recorded.
#[derive(Clone, Debug)]
pub struct Doubt {
    /// The unit.
    pub unit: UnitId,
    /// Its step's title.
    pub title: String,
    /// What it was going to do.
    pub lines: Vec<String>,
    /// Why it cannot be told.
    pub reason: String,
}

/// What is asked about a file that is no longer what the run wrote.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The host.
    pub host: String,
    /// The file.
    pub path: String,
    /// What is there, against what was expected.
    pub detail: String,
    /// What is there now.
    pub now: Option<TreeEntry>,
    /// What the run left there, where that was recorded.
    pub wrote: Option<TreeEntry>,
    /// What was there before the run, and where its copy is.
    pub original: Original,
}

/// An answer to a [`Card`].
#[derive(Clone, Debug)]
pub struct Reply {
    /// What to do.
    pub answer: Answer,
    /// Who said so.
    pub by: String,
    /// How.
    pub via: Via,
    /// The reason for a skip.
    pub why: String,
}

/// An answer to a [`Doubt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It had happened.
    Done,
    /// It had not happened.
    NotDone,
}

/// Answers questions. No answer (no terminal, end of file, time-out) is `None`, and never means yes.
#[async_trait]
pub trait Person: Send + Sync {
    /// A gate.
    async fn gate(&self, card: &Card) -> Option<Reply>;
    /// An unknown outcome.
    async fn doubt(&self, doubt: &Doubt) -> Option<Verdict>;
    /// A changed file before a restore: `Some(true)` to overwrite it (to remove it, where nothing was before).
    async fn conflict(&self, conflict: &Conflict) -> Option<bool>;
    /// Who answers, for the journal: `user@machine`.
    fn name(&self) -> String;
}
