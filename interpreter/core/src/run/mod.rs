//! Carrying a runbook out.

mod again;
mod calls;
pub mod drift;
pub mod dry;
mod effect;
pub mod engine;
mod gate;
pub mod hooks;
pub mod hosts;
pub mod lock;
pub mod log;
pub mod machine;
pub mod person;
pub mod preflight;
mod reconcile;
mod record;
mod rollback;
mod scope;
mod script;
pub mod session;
pub mod state;
pub mod stop;
mod tell;
mod trust;
mod unit;
mod walk;
mod written;
