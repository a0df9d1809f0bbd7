//! Why a run comes to rest before its end.

use keybook_api::{Fault, FaultKind, Redactor, event::RunStatus};

/// Why steps are no longer carried out.
#[derive(Clone, Debug)]
pub enum Stop {
    /// Something went wrong.
    Fault(Fault),
    /// The operator said stop.
    Operator(String),
    /// The operator said: take it back.
    RollBack(String),
    /// `--until` was reached.
    Phase(String),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Stop {
    /// How urgent a stop is where several hold: roll back, unknown, incomplete, unreachable, failed.
    fn weight(&self) -> u8 {
        match self.status() {
            RunStatus::Unknown => 5,
            RunStatus::RollbackIncomplete => 4,
            RunStatus::Unreachable => 3,
            RunStatus::Failed => 2,
            // Somebody decided to take everything back: what else went wrong is taken back as well.
            _ if matches!(self, Self::RollBack(_)) => 6,
            _ => 1,
        }
    }

    /// The worse of two.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.weight() > self.weight() { other } else { self }
    }

    /// The same without secrets: an action may have put one into its fault.
    #[must_use]
    pub fn redacted(self, redactor: &Redactor) -> Self {
        let Self::Fault(fault) = self else { return self };
        Self::Fault(redact(fault, redactor))
    }

    /// How the run rests.
    pub fn status(&self) -> RunStatus {
        match self {
            Self::Fault(fault) => match fault.kind {
                FaultKind::Unknown => RunStatus::Unknown,
                FaultKind::Waiting => RunStatus::Waiting,
                FaultKind::Unreachable => RunStatus::Unreachable,
                FaultKind::Stopped => RunStatus::Stopped,
                _ => RunStatus::Failed,
            },
            Self::Operator(_) | Self::RollBack(_) => RunStatus::Stopped,
            Self::Phase(_) => RunStatus::PhaseReached,
        }
    }

    /// A host failed or was not reached. Anything else is somebody's decision, a question without an answer, or a
    /// doubt: then no further host may begin.
    pub fn is_failure(&self) -> bool {
        matches!(self.status(), RunStatus::Failed | RunStatus::Unreachable)
    }

    /// Why, for people.
    pub fn reason(&self) -> String {
        match self {
            Self::Fault(fault) => fault.to_string(),
            Self::Operator(by) => format!("stopped by {by}"),
            Self::RollBack(by) => format!("{by} asked to roll back"),
            Self::Phase(phase) => format!("the phase {phase} is reached"),
        }
    }
}

/// The exit code of a status; the book lists them.
pub fn exit_code(status: RunStatus) -> i32 {
    match status {
        RunStatus::Done | RunStatus::PhaseReached => 0,
        RunStatus::Running | RunStatus::Failed => 1,
        RunStatus::Waiting => 3,
        RunStatus::Unreachable => 4,
        RunStatus::RolledBack => 5,
        RunStatus::RollbackIncomplete => 6,
        RunStatus::Stopped => 8,
        RunStatus::Unknown => 9,
    }
}

/// A fault without secrets.
pub fn redact(fault: Fault, redactor: &Redactor) -> Fault {
    Fault {
        attempted: redactor.text(&fault.attempted),
        cause: redactor.text(&fault.cause),
        now_true: fault.now_true.map(|text| redactor.text(&text)),
        hints: fault.hints.iter().map(|hint| redactor.text(hint)).collect(),
        ..fault
    }
}
