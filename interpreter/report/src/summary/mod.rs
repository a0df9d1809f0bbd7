//! A run as its journal tells it: the one model behind `show` and `history` in all their formats.
//!
//! This is what `show --format json` prints. Version 1: fields may be added, never renamed or given another meaning.

mod certificates;
mod clock;
mod fold;
mod unit;

use indexmap::IndexMap;
use keybook_api::{
    Change, Diff, Identity, Record, RunId, StreamName, TrustEdge, UnitId,
    event::{Answer, FaultInfo, RunStatus, RunbookRef, SkipReason, Touched, Via},
};
use serde::Serialize;
use serde_json::Value as Json;

/// The version of this model.
pub const FORMAT: u32 = 1;

/// How many of a unit's last lines of output are kept.
pub const OUTPUT_KEPT: usize = 20;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// [`FORMAT`].
    pub v: u32,
    /// The run.
    pub run: RunId,
    /// The version of the program that opened it.
    pub keybook: String,
    /// The runbook as pinned.
    pub runbook: RunbookRef,
    /// Inputs as pinned; secrets are keyed hashes.
    pub inputs: IndexMap<String, Json>,
    /// The inventory's `cluster:`.
    pub cluster: String,
    /// Where the inventory was read from.
    pub inventory: String,
    /// `--limit`; empty without one.
    pub limit: Vec<String>,
    /// Everyone who opened or resumed the run, in order, each once.
    pub operators: Vec<String>,
    /// How it was last driven.
    pub mode: Mode,
    /// No real host was touched.
    pub sandbox: bool,
    /// When it was opened (RFC 3339, UTC), like all times here.
    pub started: String,
    /// When it last ended or came to rest; `None` when the journal stops in the middle.
    pub ended: Option<String>,
    /// Time of the last record.
    pub last: String,
    /// How it stands. `running` means running or killed: the journal alone cannot tell.
    pub status: RunStatus,
    /// The same in words.
    pub status_text: String,
    /// The process's exit code; `None` when the journal stops in the middle.
    pub exit: Option<i32>,
    /// Why it ended or rests.
    pub reason: String,
    /// Obligations still owed, `what@host`.
    pub owed: Vec<String>,
    /// Gates that were asked and not answered, in the order of asking.
    pub open_gates: Vec<OpenGate>,
    /// Notes about the run as a whole, from its hooks.
    pub notes: Vec<String>,
    /// Where the time went.
    pub times: Times,
    /// Hash of the journal's last line; `None` until [`RunSummary::with_head`] sets it.
    pub head: Option<String>,
    /// Records seen.
    pub records: u64,
    /// Hosts of the run, those added by steps included.
    pub hosts: Vec<HostSummary>,
    /// Last finding of each preflight check.
    pub preflight: Vec<Finding>,
    /// Times the run was taken up again.
    pub resumes: Vec<Resume>,
    /// Steps in order.
    pub steps: Vec<StepSummary>,
    /// Certificates seen, in order of first sighting.
    pub certificates: Vec<CertificateSummary>,
    /// Trust checks in order.
    pub trust: Vec<TrustCheck>,
    /// Taking back; `None` when it never began.
    pub rollback: Option<Rollback>,
}

/// Who drives a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A person at a terminal.
    Guided,
    /// A pipeline with an answers file.
    Unattended,
}

/// A gate that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenGate {
    /// The unit, as `keybook approve` takes it.
    pub unit: String,
    /// The question.
    pub question: String,
}

/// Where a run's time went, in milliseconds. The three parts make up the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// From the first record to the last.
    pub total_ms: u64,
    /// Keybook or a host worked.
    pub working_ms: u64,
    /// A gate waited for its answer and nothing else was under way.
    pub waiting_ms: u64,
    /// No process worked on the run: between an end (or kill) and the resume.
    pub resting_ms: u64,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostSummary {
    /// Inventory name.
    pub name: String,
    /// Address.
    pub address: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Who it turned out to be; `None` when it was never reached.
    pub identity: Option<Identity>,
}

/// One finding of the preflight.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// When.
    pub at: String,
    /// The host.
    pub host: String,
    /// What was checked.
    pub check: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// One time that the run was taken up again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resume {
    /// When.
    pub at: String,
    /// By whom.
    pub operator: String,
    /// How it was driven from then on.
    pub mode: Mode,
    /// Differences the operator accepted.
    pub accepted: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepSummary {
    /// Its path of ids.
    pub path: String,
    /// Its title.
    pub title: String,
    /// Why it is done.
    pub why: String,
    /// Its action; empty for a step with children.
    pub action: String,
    /// Cannot be taken back.
    pub irreversible: bool,
    /// Hosts settled for this run; empty until then.
    pub hosts: Vec<String>,
    /// Items settled for this run.
    pub items: Option<Vec<Json>>,
    /// Its units, in order of their first event.
    pub units: Vec<UnitSummary>,
}

/// Where a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitStatus {
    /// Looked at, nothing changed yet.
    Planned,
    /// Its gate waits for an answer.
    Asked,
    /// Its gate was answered with stop or roll back.
    Held,
    /// Its effect may be happening (or the run was killed while it was).
    UnderWay,
    /// It worked.
    Done,
    /// It was left out.
    Skipped,
    /// It did not work.
    Failed,
    /// An interrupted attempt turned out not to have happened.
    NotDone,
    /// Nobody can tell whether its effect happened.
    Unknown,
    /// It is being taken back (or the run was killed while it was).
    Undoing,
    /// It was taken back.
    Undone,
    /// It could not be taken back.
    UndoFailed,
}

impl UnitStatus {
    /// The state in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Asked => "waiting",
            Self::Held => "held",
            Self::UnderWay => "under way",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::NotDone => "not done",
            Self::Unknown => "unknown",
            Self::Undoing => "undoing",
            Self::Undone => "taken back",
            Self::UndoFailed => "undo failed",
        }
    }
}

/// One unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitSummary {
    /// The host.
    pub host: String,
    /// The item of `for_each`.
    pub item: Option<String>,
    /// Where it stands.
    pub status: UnitStatus,
    /// Attempts so far.
    pub attempts: u32,
    /// Whether it changed anything, in whichever attempt; `None` while that is not known.
    pub changed: Option<bool>,
    /// When its last effect began; `None` when none did.
    pub started: Option<String>,
    /// When it came to its state.
    pub ended: Option<String>,
    /// Milliseconds from intent to outcome of the last attempt.
    pub took_ms: Option<u64>,
    /// Why it was left out.
    pub skip: Option<Skip>,
    /// Notes for the operator.
    pub notes: Vec<String>,
    /// What went wrong, attempt by attempt.
    pub faults: Vec<AttemptFault>,
    /// Tries that failed and were repeated.
    pub retries: Vec<Retry>,
    /// Its gates.
    pub gates: Vec<Gate>,
    /// Backups taken before it.
    pub backups: Vec<Backup>,
    /// The last plan's verdict.
    pub change: Option<Change>,
    /// What the last plan said it does.
    pub lines: Vec<String>,
    /// Files the last plan said it changes.
    pub diffs: Vec<Diff>,
    /// What changed between plan and answer.
    pub plan_changes: Vec<String>,
    /// Last lines of output, at most [`OUTPUT_KEPT`].
    pub output: Vec<OutputLine>,
    /// How many lines of output there were.
    pub output_lines: u64,
    /// Paths as it left them.
    pub wrote: Vec<Touched>,
    /// Paths as the latest attempt found them.
    #[serde(skip)]
    touches: Vec<Touched>,
    /// What became of interrupted attempts.
    pub reconciled: Vec<Reconciled>,
    /// How it was taken back.
    pub undone: Option<Undone>,
}

/// Why a unit was left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Skip {
    /// The reason.
    pub reason: SkipReason,
    /// The operator's words, or what was found.
    pub detail: String,
}

/// A fault of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptFault {
    /// The attempt, from 1.
    pub attempt: u32,
    /// When.
    pub at: String,
    /// Nothing was changed yet.
    pub before_effect: bool,
    /// The fault.
    pub fault: FaultInfo,
}

/// A try that failed and was repeated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Retry {
    /// When.
    pub at: String,
    /// Why it failed.
    pub cause: String,
    /// Which try, from 1.
    pub attempt: u32,
    /// Of how many.
    pub of: u32,
}

/// A gate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    /// The question.
    pub question: String,
    /// The unit cannot be taken back.
    pub irreversible: bool,
    /// When it was asked.
    pub asked_at: String,
    /// The answer; `None` while there is none.
    pub answer: Option<Answer>,
    /// Who answered; empty while nobody has.
    pub by: String,
    /// How it was answered.
    pub via: Option<Via>,
    /// The reason given.
    pub why: String,
    /// When it was answered.
    pub answered_at: Option<String>,
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Backup {
    /// The host.
    pub host: String,
    /// Where the copies are.
    pub store: String,
    /// What was asked to be kept.
    pub paths: Vec<String>,
    /// How many files, links and directories are in it.
    pub count: usize,
}

/// A line of output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputLine {
    /// Which stream.
    pub stream: StreamName,
    /// The line.
    pub line: String,
}

/// What became of an interrupted attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reconciled {
    /// When that was found out.
    pub at: String,
    /// `done`, `not-done`, `not-begun` or `unknown`.
    pub verdict: String,
    /// How that is known.
    pub reason: String,
    /// Who decided.
    pub by: String,
}

/// How a unit was taken back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Undone {
    /// `undo`, `restore` or `nothing`.
    pub how: String,
    /// The paths concerned.
    pub paths: Vec<String>,
    /// When it was done or failed; `None` while under way.
    pub at: Option<String>,
    /// Why it did not work.
    pub fault: Option<FaultInfo>,
}

/// Taking back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rollback {
    /// When it (last) began.
    pub at: String,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Paths compared with their originals; `None` until that was done.
    pub compared: Option<u64>,
    /// Those that differ.
    pub differing: Vec<String>,
}

/// One check of trust.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrustCheck {
    /// When.
    pub at: String,
    /// After which unit, when it was after one.
    pub unit: Option<String>,
    /// Its edges, as recorded.
    pub edges: Vec<TrustEdge>,
}

/// One certificate, by the place where it was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CertificateSummary {
    /// The host it was seen from.
    pub host: String,
    /// Its path, or the endpoint that serves it; ` (2nd)` and so on follow for the further ones of a bundle.
    pub place: String,
    /// The file did not exist before the run.
    pub created: bool,
    /// The file was put back by the rollback after the last sighting.
    pub taken_back: bool,
    /// The place is an endpoint, not a file.
    pub endpoint: bool,
    /// A unit set out to change the file (of an endpoint: a rollback began) after the last sighting, and nobody looked
    /// since.
    pub touched_since: bool,
    /// First seen after the run had set out to change the file (of an endpoint: to change anything outside the run's own
    /// folder): how it was before is not known.
    pub unseen_before: bool,
    /// First sighting: before, unless it was unseen then.
    pub first: Sighting,
    /// Last sighting: after.
    pub last: Sighting,
}

impl CertificateSummary {
    /// Is the last one another certificate than the first?
    pub fn changed(&self) -> bool {
        self.first.sha256 != self.last.sha256
    }
}

/// A certificate as it was seen once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sighting {
    /// When it was seen.
    pub seen: String,
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Serial number.
    pub serial: String,
    /// SHA-256 of its DER, hexadecimal.
    pub sha256: String,
    /// Valid from (RFC 3339).
    pub not_before: String,
    /// Valid until (RFC 3339).
    pub not_after: String,
    /// Valid from, seconds since 1970.
    pub not_before_unix: i64,
    /// Valid until, seconds since 1970.
    pub not_after_unix: i64,
    /// Subject alternative names.
    pub sans: Vec<String>,
    /// Is it a CA's?
    pub is_ca: bool,
}

impl RunSummary {
    /// The names of the units of the run itself that somebody skipped and that were not done since.
    pub fn left_out(&self) -> impl Iterator<Item = String> {
        self.own_units(|unit| {
            let by_operator = |skip: &Skip| skip.reason == SkipReason::Operator;
            unit.status == UnitStatus::Skipped && unit.skip.as_ref().is_some_and(by_operator)
        })
    }

    /// The names of the units that could not be taken back.
    pub fn undo_failed(&self) -> impl Iterator<Item = String> {
        self.own_units(|unit| unit.status == UnitStatus::UndoFailed)
    }

    /// The names of those units of the run itself, not of its rollback, that are wanted.
    fn own_units(&self, wanted: impl Fn(&UnitSummary) -> bool) -> impl Iterator<Item = String> {
        let own = self.steps.iter().filter(|step| !step.path.starts_with("rollback/"));
        let units = own.flat_map(|step| step.units.iter().map(move |unit| (step, unit)));
        units.filter(move |(_, unit)| wanted(unit)).map(|(step, unit)| {
            let (step, host, item) = (step.path.clone(), unit.host.clone(), unit.item.clone());
            UnitId { step, host, item }.to_string()
        })
    }

    /// Reads a run from its records in order; the journal may stop anywhere. `None` when no record opens a run.
    pub fn from_records<'a>(records: impl Iterator<Item = &'a Record>) -> Option<Self> {
        let mut fold = fold::Fold::default();
        for record in records {
            fold.add(record);
        }
        fold.finish()
    }

    /// Adds the hash of the journal's last line, which only the journal's reader knows.
    #[must_use]
    pub fn with_head(mut self, head: impl Into<String>) -> Self {
        self.head = Some(head.into());
        self
    }

    /// The summary as indented JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// Seconds since 1970 at the run's end, or at its last record: the `today` of its certificates.
    pub fn moment(&self) -> i64 {
        let last = self.ended.as_deref().unwrap_or(&self.last);
        crate::time::parse(last).map_or(0, |at| at.as_second())
    }
}
