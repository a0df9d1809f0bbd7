//! `note`: words for the operator and the report.

mod write;

pub use write::Write;
