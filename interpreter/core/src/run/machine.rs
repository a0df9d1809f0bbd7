//! The life of a unit and of a run, as two tables. Nothing here does I/O: the executor asks the table before
//! it acts, and reading a journal back goes through the same table, so a record that cannot follow the one
//! before is found. The book draws the tables from here.

use keybook_api::event::{Answer, Event, RunStatus};

/// Where a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnitState {
    /// Nothing was done yet.
    Pending,
    /// `when` holds and the facts of this attempt are pinned.
    Ready,
    /// It is known what it would do.
    Planned,
    /// Its gate waits for an answer.
    Asked,
    /// Its gate was answered with yes.
    Approved,
    /// The intent is on disk; the effect may happen.
    Intended,
    /// The originals are safe as well.
    Kept,
    /// A call of its script is under way; between two calls the script is intended or kept.
    Calling,
    /// The action returned; `expect` and trust come next.
    Applied,
    /// It worked.
    Done,
    /// It was left out.
    Skipped,
    /// It failed before any effect.
    FailedClean,
    /// It failed after the effect may have begun.
    Failed,
    /// Nobody knows yet whether the effect happened.
    Unknown,
    /// It is being taken back.
    TakingBack,
    /// It was taken back.
    TakenBack,
    /// It could not be taken back.
    TakeBackFailed,
}

/// What can happen to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnitSignal {
    /// Facts pinned: an attempt begins.
    Facts,
    /// Left out: `when`, `check`, nothing to change, or the operator.
    LeftOut,
    /// The plan is known.
    Plan,
    /// The plan is no longer true.
    PlanChanged,
    /// The gate is shown.
    Ask,
    /// Answer: run.
    AnswerRun,
    /// Answer: skip.
    AnswerSkip,
    /// Answer: stop here, or roll back.
    AnswerStop,
    /// Intent written.
    Intent,
    /// Originals copied.
    Backup,
    /// Its script begins a call that changes something.
    Call,
    /// A call of its script ended, or it is known what became of it.
    Called,
    /// The action returned.
    Applied,
    /// It will be tried again.
    Retry,
    /// Success recorded.
    Done,
    /// Failed before any effect.
    FailClean,
    /// Failed after the effect may have begun.
    Fail,
    /// The host was lost or time ran out in mid-effect.
    Lose,
    /// Reconciled: it had happened.
    FoundDone,
    /// Reconciled: it had not happened.
    FoundNotDone,
    /// Reconciled: nobody can tell.
    FoundUnknown,
    /// Taking back begins.
    UndoIntent,
    /// Taken back.
    Undone,
    /// Could not be taken back.
    UndoFail,
}

use UnitSignal as G;
use UnitState as S;

/// Every legal move of a unit: from, signal, to.
pub const UNIT_TABLE: &[(UnitState, UnitSignal, UnitState)] = &[
    (S::Pending, G::LeftOut, S::Skipped),
    (S::Pending, G::FailClean, S::FailedClean),
    (S::Pending, G::Facts, S::Ready),
    (S::Ready, G::LeftOut, S::Skipped),
    (S::Ready, G::FailClean, S::FailedClean),
    (S::Ready, G::Plan, S::Planned),
    (S::Planned, G::LeftOut, S::Skipped),
    (S::Planned, G::FailClean, S::FailedClean),
    (S::Planned, G::Ask, S::Asked),
    (S::Planned, G::Intent, S::Intended),
    (S::Asked, G::AnswerRun, S::Approved),
    (S::Asked, G::AnswerSkip, S::Ready),
    (S::Asked, G::AnswerStop, S::Pending),
    (S::Approved, G::PlanChanged, S::Ready),
    (S::Approved, G::FailClean, S::FailedClean),
    (S::Approved, G::Intent, S::Intended),
    (S::Intended, G::Backup, S::Kept),
    (S::Intended, G::FailClean, S::FailedClean),
    (S::Intended, G::Applied, S::Applied),
    (S::Intended, G::Retry, S::Intended),
    (S::Intended, G::Fail, S::Failed),
    (S::Intended, G::Lose, S::Unknown),
    (S::Kept, G::Applied, S::Applied),
    (S::Kept, G::Retry, S::Kept),
    (S::Kept, G::FailClean, S::FailedClean),
    (S::Kept, G::Fail, S::Failed),
    (S::Kept, G::Lose, S::Unknown),
    // A script: each call that changes something is intended by itself.
    (S::Intended, G::Call, S::Calling),
    (S::Intended, G::Called, S::Intended),
    (S::Kept, G::Call, S::Calling),
    (S::Kept, G::Called, S::Kept),
    (S::Calling, G::Backup, S::Calling),
    (S::Calling, G::Called, S::Kept),
    (S::Calling, G::Lose, S::Unknown),
    (S::Calling, G::FoundUnknown, S::Unknown),
    (S::Unknown, G::Called, S::Kept),
    (S::Applied, G::Retry, S::Kept),
    (S::Applied, G::Done, S::Done),
    (S::Applied, G::Fail, S::Failed),
    (S::Applied, G::Lose, S::Unknown),
    // What was under way when the process died, or the host was lost.
    (S::Intended, G::FoundDone, S::Done),
    (S::Intended, G::FoundNotDone, S::Pending),
    (S::Intended, G::FoundUnknown, S::Unknown),
    (S::Kept, G::FoundDone, S::Done),
    (S::Kept, G::FoundNotDone, S::Pending),
    (S::Kept, G::FoundUnknown, S::Unknown),
    (S::Applied, G::FoundDone, S::Done),
    (S::Applied, G::FoundNotDone, S::Pending),
    (S::Applied, G::FoundUnknown, S::Unknown),
    (S::Unknown, G::FoundDone, S::Done),
    (S::Unknown, G::FoundNotDone, S::Pending),
    (S::Unknown, G::FoundUnknown, S::Unknown),
    // A new attempt: after a failure, or after a stop before any effect.
    (S::Ready, G::Facts, S::Ready),
    (S::Planned, G::Facts, S::Ready),
    (S::Asked, G::Facts, S::Ready),
    (S::Approved, G::Facts, S::Ready),
    (S::FailedClean, G::LeftOut, S::Skipped),
    (S::FailedClean, G::FailClean, S::FailedClean),
    (S::FailedClean, G::Facts, S::Ready),
    (S::Failed, G::Facts, S::Ready),
    // Only the trust that it left was wrong, and is right by now.
    (S::Failed, G::Done, S::Done),
    (S::Failed, G::FailClean, S::Failed),
    // Left out, and what it settles is still owed, or somebody wants it after all: it is begun again.
    (S::Skipped, G::LeftOut, S::Skipped),
    (S::Skipped, G::FailClean, S::FailedClean),
    (S::Skipped, G::Facts, S::Ready),
    // A stop before any effect; then, on resume, it is left out or fails before its facts are read.
    (S::Asked, G::LeftOut, S::Skipped),
    (S::Asked, G::FailClean, S::FailedClean),
    (S::Approved, G::LeftOut, S::Skipped),
    // Left out by `when` after an effect: nothing remains to be done, but a rollback must look at it.
    (S::Failed, G::LeftOut, S::Failed),
    // Taking back. A unit may rest in any state while an earlier attempt of it had an effect.
    (S::Pending, G::UndoIntent, S::TakingBack),
    (S::Ready, G::UndoIntent, S::TakingBack),
    (S::Planned, G::UndoIntent, S::TakingBack),
    (S::Asked, G::UndoIntent, S::TakingBack),
    (S::Approved, G::UndoIntent, S::TakingBack),
    (S::Skipped, G::UndoIntent, S::TakingBack),
    (S::FailedClean, G::UndoIntent, S::TakingBack),
    (S::Done, G::UndoIntent, S::TakingBack),
    (S::Failed, G::UndoIntent, S::TakingBack),
    (S::Unknown, G::UndoIntent, S::TakingBack),
    (S::Intended, G::UndoIntent, S::TakingBack),
    (S::Kept, G::UndoIntent, S::TakingBack),
    (S::Applied, G::UndoIntent, S::TakingBack),
    (S::TakingBack, G::UndoIntent, S::TakingBack),
    (S::TakeBackFailed, G::UndoIntent, S::TakingBack),
    (S::TakingBack, G::Undone, S::TakenBack),
    (S::TakingBack, G::UndoFail, S::TakeBackFailed),
];

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RunState {
    /// The journal exists; preflight is under way.
    Opened,
    /// Steps are carried out.
    Running,
    /// It stopped and can be resumed or rolled back.
    Resting,
    /// All done, nothing owed.
    Done,
    /// Being taken back.
    RollingBack,
    /// Taken back and verified.
    RolledBack,
    /// Taking back stopped before its end; it can only be gone on with.
    Incomplete,
}

/// What can happen to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RunSignal {
    /// The locks are taken: the first step may begin.
    Locked,
    /// Somebody resumes it.
    Resume,
    /// `finally` begins.
    Finally,
    /// It rests: failed, waiting, unreachable, stopped, unknown, or a phase was reached.
    Rest,
    /// It ended well.
    Finish,
    /// Taking back begins or goes on.
    RollBack,
    /// Everything was taken back.
    TakenBack,
    /// Not everything could be.
    Incomplete,
}

use RunSignal as Q;
use RunState as R;

/// Every legal move of a run: from, signal, to.
pub const RUN_TABLE: &[(RunState, RunSignal, RunState)] = &[
    (R::Opened, Q::Locked, R::Running),
    (R::Opened, Q::Rest, R::Resting),
    (R::Opened, Q::Resume, R::Running),
    (R::Opened, Q::RollBack, R::RollingBack),
    (R::Running, Q::Locked, R::Running),
    (R::Running, Q::Finally, R::Running),
    (R::Running, Q::Rest, R::Resting),
    (R::Running, Q::Finish, R::Done),
    (R::Running, Q::Resume, R::Running),
    (R::Running, Q::RollBack, R::RollingBack),
    (R::Resting, Q::Resume, R::Running),
    (R::Resting, Q::RollBack, R::RollingBack),
    (R::Done, Q::RollBack, R::RollingBack),
    (R::RollingBack, Q::Locked, R::RollingBack),
    (R::RollingBack, Q::Finally, R::RollingBack),
    (R::RollingBack, Q::Rest, R::Incomplete),
    (R::RollingBack, Q::TakenBack, R::RolledBack),
    (R::RollingBack, Q::Incomplete, R::Incomplete),
    (R::RollingBack, Q::RollBack, R::RollingBack),
    (R::Incomplete, Q::RollBack, R::RollingBack),
];

/// Where a unit goes; `None` when the move is not legal.
pub fn unit_next(state: UnitState, signal: UnitSignal) -> Option<UnitState> {
    UNIT_TABLE.iter().find(|(from, when, _)| *from == state && *when == signal).map(|(_, _, to)| *to)
}

/// Where a run goes; `None` when the move is not legal.
pub fn run_next(state: RunState, signal: RunSignal) -> Option<RunState> {
    RUN_TABLE.iter().find(|(from, when, _)| *from == state && *when == signal).map(|(_, _, to)| *to)
}

impl UnitState {
    /// An effect may have happened whose outcome is not recorded.
    pub fn in_flight(self) -> bool {
        matches!(self, Self::Intended | Self::Kept | Self::Calling | Self::Applied | Self::Unknown)
    }

    /// Nothing remains to be done for it on the way forward.
    pub fn settled(self) -> bool {
        matches!(self, Self::Done | Self::Skipped)
    }
}

/// The signal that an event means for its unit; `None` for events that leave a unit where it is.
pub fn unit_signal(event: &Event) -> Option<UnitSignal> {
    Some(match event {
        Event::UnitFacts { .. } => G::Facts,
        Event::UnitSkipped { .. } => G::LeftOut,
        Event::UnitPlanned { .. } => G::Plan,
        Event::UnitPlanChanged { .. } => G::PlanChanged,
        Event::GateAsked { .. } => G::Ask,
        Event::GateAnswered { answer: Answer::Run, .. } => G::AnswerRun,
        Event::GateAnswered { answer: Answer::Skip, .. } => G::AnswerSkip,
        Event::GateAnswered { answer: Answer::Stop | Answer::RollBack, .. } => G::AnswerStop,
        Event::UnitIntent { .. } => G::Intent,
        Event::BackupTaken { .. } => G::Backup,
        Event::CallIntent { .. } => G::Call,
        Event::CallDone { .. } | Event::CallFailed { .. } | Event::CallReconciled { .. } => G::Called,
        Event::UnitApplied { .. } => G::Applied,
        Event::UnitRetried { .. } => G::Retry,
        Event::UnitDone { .. } => G::Done,
        Event::UnitFailed { before_effect: true, .. } => G::FailClean,
        Event::UnitFailed { fault, .. } if loses(&fault.kind) => G::Lose,
        Event::UnitFailed { .. } => G::Fail,
        Event::UnitReconciled { verdict, .. } => match verdict.as_str() {
            "done" => G::FoundDone,
            "not-done" | "not-begun" => G::FoundNotDone,
            _ => G::FoundUnknown,
        },
        Event::UnitUndoIntent { .. } => G::UndoIntent,
        Event::UnitUndone { .. } => G::Undone,
        Event::UnitUndoFailed { .. } => G::UndoFail,
        _ => return None,
    })
}

/// Kinds of faults after which nobody knows what happened on the host.
pub fn loses(kind: &str) -> bool {
    matches!(kind, "unreachable" | "timed-out" | "stopped" | "unknown")
}

/// The signal that an event means for its run; `None` for events that leave it where it is.
pub fn run_signal(event: &Event) -> Option<RunSignal> {
    Some(match event {
        Event::LockTaken { .. } => Q::Locked,
        Event::RunResumed { .. } => Q::Resume,
        Event::FinallyStarted {} => Q::Finally,
        Event::RollbackStarted { .. } => Q::RollBack,
        Event::RunEnded { status, .. } => match status {
            RunStatus::Done => Q::Finish,
            RunStatus::RolledBack => Q::TakenBack,
            RunStatus::RollbackIncomplete => Q::Incomplete,
            _ => Q::Rest,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_state_has_two_ways_for_one_signal() {
        let unit: BTreeSet<_> = UNIT_TABLE.iter().map(|(from, signal, _)| (from, signal)).collect();
        assert_eq!(unit.len(), UNIT_TABLE.len());
        let run: BTreeSet<_> = RUN_TABLE.iter().map(|(from, signal, _)| (from, signal)).collect();
        assert_eq!(run.len(), RUN_TABLE.len());
    }

    #[test]
    fn an_effect_needs_an_intent_and_an_intent_a_plan() {
        for (from, signal, to) in UNIT_TABLE {
            if *signal == UnitSignal::Applied {
                assert!(matches!(from, UnitState::Intended | UnitState::Kept));
            }
            if *to == UnitState::Intended && *signal == UnitSignal::Intent {
                assert!(matches!(from, UnitState::Planned | UnitState::Approved));
            }
            if *from == UnitState::Asked && *to == UnitState::Approved {
                assert_eq!(*signal, UnitSignal::AnswerRun, "nothing but a yes opens a gate");
            }
        }
    }

    #[test]
    fn a_call_needs_the_intent_of_its_script_and_ends_before_anything_else() {
        for (from, signal, to) in UNIT_TABLE {
            if *signal == UnitSignal::Call {
                assert!(matches!(from, UnitState::Intended | UnitState::Kept));
            }
            if *from == UnitState::Calling {
                assert!(!matches!(signal, UnitSignal::Call | UnitSignal::Applied | UnitSignal::Done));
                assert!(matches!(to, UnitState::Calling | UnitState::Kept | UnitState::Unknown));
            }
        }
    }

    #[test]
    fn no_unit_in_flight_begins_again_without_being_reconciled() {
        for (from, signal, _) in UNIT_TABLE {
            if from.in_flight() {
                assert!(!matches!(signal, UnitSignal::Facts | UnitSignal::Plan | UnitSignal::Intent));
            }
        }
    }
}
