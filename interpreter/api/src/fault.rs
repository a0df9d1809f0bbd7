//! What went wrong while running, said so that the operator can act.

use crate::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of failure it is. The command line maps kinds to exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Something did not work.
    Failed,
    /// The command line, runbook, inputs or inventory are wrong; nothing was touched.
    Usage,
    /// A person must answer first.
    Waiting,
    /// A host cannot be reached, or its connection broke. What was under way may or may not have happened.
    Unreachable,
    /// Another run holds the cluster.
    Locked,
    /// The operator stopped it.
    Stopped,
    /// It took longer than allowed. What was under way may or may not have happened.
    TimedOut,
    /// Nobody can tell whether the effect happened.
    Unknown,
}

/// Every kind with its word, as journals and reports write it.
const WORDS: [(FaultKind, &str); 8] = [
    (FaultKind::Failed, "failed"),
    (FaultKind::Usage, "usage"),
    (FaultKind::Waiting, "waiting"),
    (FaultKind::Unreachable, "unreachable"),
    (FaultKind::Locked, "locked"),
    (FaultKind::Stopped, "stopped"),
    (FaultKind::TimedOut, "timed-out"),
    (FaultKind::Unknown, "unknown"),
];

impl FaultKind {
    /// The stable word of the kind.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(known, _)| *known == self).map_or("failed", |(_, word)| word)
    }

    /// The kind of a word; one that this version does not know (a newer journal's) counts as `failed`.
    pub fn of_word(word: &str) -> Self {
        WORDS.iter().find(|(_, known)| *known == word).map_or(Self::Failed, |(kind, _)| *kind)
    }
}

/// A fault as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultInfo {
    /// `failed`, `unreachable`, `timed-out` and so on.
    pub kind: String,
    /// What was attempted.
    pub attempted: String,
    /// Why it did not work.
    pub cause: String,
    /// The host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The place in the runbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Span>,
    /// What is true now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now_true: Option<String>,
    /// What can be done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

impl From<&Fault> for FaultInfo {
    fn from(fault: &Fault) -> Self {
        Self {
            kind: fault.kind.word().to_owned(),
            attempted: fault.attempted.clone(),
            cause: fault.cause.clone(),
            host: fault.host.clone(),
            at: fault.at.clone(),
            now_true: fault.now_true.clone(),
            hints: fault.hints.clone(),
        }
    }
}

impl From<&FaultInfo> for Fault {
    fn from(info: &FaultInfo) -> Self {
        Self {
            kind: FaultKind::of_word(&info.kind),
            attempted: info.attempted.clone(),
            cause: info.cause.clone(),
            host: info.host.clone(),
            at: info.at.clone(),
            now_true: info.now_true.clone(),
            hints: info.hints.clone(),
        }
    }
}

/// One failure: what was attempted, why it did not work, where, what is now true, what can be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What kind of failure.
    pub kind: FaultKind,
    /// What was attempted, such as `write /srv/kubernetes/etcd.pem`.
    pub attempted: String,
    /// Why it did not work.
    pub cause: String,
    /// The host it happened on.
    pub host: Option<String>,
    /// The place in the runbook (or inventory) that asked for it.
    pub at: Option<Span>,
    /// What is true now, such as `the old file is still in place`.
    pub now_true: Option<String>,
    /// What the operator can do, one sentence each.
    pub hints: Vec<String>,
}

impl Fault {
    /// A fault of any kind.
    pub fn new(kind: FaultKind, attempted: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self {
            kind,
            attempted: attempted.into(),
            cause: cause.to_string(),
            host: None,
            at: None,
            now_true: None,
            hints: Vec::new(),
        }
    }

    /// A plain failure.
    pub fn failed(attempted: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self::new(FaultKind::Failed, attempted, cause)
    }

    /// A host that cannot be reached or was lost.
    pub fn unreachable(attempted: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self::new(FaultKind::Unreachable, attempted, cause)
    }

    /// Wrong input; nothing was touched.
    pub fn usage(attempted: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self::new(FaultKind::Usage, attempted, cause)
    }

    /// Names the host, unless one is named already.
    #[must_use]
    pub fn on(mut self, host: impl Into<String>) -> Self {
        self.host.get_or_insert_with(|| host.into());
        self
    }

    /// Names the place in a source file, unless one is named already.
    #[must_use]
    pub fn at(mut self, span: &Span) -> Self {
        self.at.get_or_insert_with(|| span.clone());
        self
    }

    /// Says what is true now, unless that is said already.
    #[must_use]
    pub fn now(mut self, truth: impl Into<String>) -> Self {
        self.now_true.get_or_insert_with(|| truth.into());
        self
    }

    /// Adds something that the operator can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// One line for logs: `could not … on HOST: why (file:line:column)`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}", self.attempted)?;
        if let Some(host) = &self.host {
            write!(f, " on {host}")?;
        }
        write!(f, ": {}", self.cause)?;
        if let Some(span) = &self.at {
            write!(f, " ({span})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
