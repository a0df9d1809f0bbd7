//! Errors of the command line: each is shown whole, and has one exit code.

use crate::output::Output;
use keybook_api::{Diagnostic, Fault, FaultKind};
use std::collections::HashMap;

/// Why a command did not work.
pub enum CliError {
    /// A fault.
    Fault(Fault),
    /// Files with problems.
    Invalid {
        /// The problems.
        problems: Vec<Diagnostic>,
        /// The files they are in.
        sources: HashMap<String, String>,
    },
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl CliError {
    /// Shows it and gives the exit code.
    pub fn report(&self, output: &Output) -> i32 {
        match self {
            Self::Fault(fault) => {
                output.fault(fault);
                exit_code(fault.kind)
            }
            Self::Invalid { problems, sources } => {
                output.problems(problems, sources);
                2
            }
        }
    }
}

/// The exit code of a fault outside a run.
pub fn exit_code(kind: FaultKind) -> i32 {
    match kind {
        FaultKind::Failed | FaultKind::TimedOut => 1,
        FaultKind::Usage => 2,
        FaultKind::Waiting => 3,
        FaultKind::Unreachable => 4,
        FaultKind::Locked => 7,
        FaultKind::Stopped => 8,
        FaultKind::Unknown => 9,
    }
}
