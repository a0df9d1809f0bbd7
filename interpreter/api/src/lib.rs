//! The contracts between Keybook's parts: what an action is, what a host can do, which values a
//! runbook handles, which events a run produces. Nothing here does I/O; everything may depend on it.

pub mod action;
pub mod args;
pub mod diagnostic;
pub mod duration;
pub mod event;
pub mod fault;
pub mod host;
pub mod ids;
pub mod listing;
pub mod redact;
pub mod returns;
pub mod run_info;
pub mod secret;
pub mod span;
pub mod target;
pub mod trust;
pub mod value;

pub use action::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Change, Ctx, Diff, Effect, HostAccess, Plan, Reconcile,
    Registry, Sink, WayBack,
};
pub use args::Args;
pub use diagnostic::{Diagnostic, Severity};
pub use event::{Event, Record};
pub use fault::{Fault, FaultKind};
pub use host::{Connector, HostSpec, Identity};
pub use ids::{ReceiptId, RunId, UnitId};
pub use listing::{FoundCertificate, HostListing, Loaded};
pub use redact::{KeyLines, Redactor};
pub use returns::Returns;
pub use secret::Secret;
pub use span::{Located, SourceText, Span};
pub use target::{
    Cancel, Command, Exit, FileKind, Owner, Receipt, Stat, Stream, StreamName, Survey, Target, TreeEntry,
    Write,
};
pub use trust::{
    Bundle, HowKnown, Reads, Side, TrustClient, TrustEdge, TrustJudge, TrustMatrix, TrustServer, TrustVerdict,
};
pub use value::{Map, Value};
