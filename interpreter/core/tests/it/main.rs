//! The engine against hosts in memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod accepted;
mod answers;
mod crashes;
mod decoder;
mod doubts;
mod foreseen;
mod gates;
mod hook_mistakes;
mod hooks;
mod i18n;
mod inputs;
mod libraries;
mod no_return;
mod not_kept;
mod owed;
mod plans;
mod plans_unknown;
mod preflight;
mod result_keys;
mod rollback;
mod script_crashes;
mod script_mistakes;
mod script_secrets;
mod scripts;
mod secrets;
mod settling;
mod settling_gates;
mod standing;
mod table;
mod trust;
mod trust_over_time;
mod units;
mod walking;
mod whole;
