//! Sandboxes: hosts that are folders on this machine, made from a runbook's `scenarios/<name>.yaml`, so that anyone
//! can try a runbook without a cluster.
//!
//! Files and certificates are real ones, handled by the POSIX layer inside the host's folder. Commands are never
//! run on this machine: the scenario's Rhai answers stand for them. [`Scenario`] tells the language; [`natives`]
//! lists the functions that an answer may call.
//!
//! A sandbox is a folder, and everything about it is on the disk:
//!
//! ```text
//! FOLDER/.sandbox.json          which scenario it was made from; written last
//! FOLDER/HOST/root/…            what the host shows as its files
//! FOLDER/HOST/state/            its daemons and what they read at their start, values that answers keep
//! FOLDER/HOST/state/commands.log   one JSON line for each command that was answered
//! ```
//!
//! Receipts are files of the host as on a real one: `/var/lib/keybook/<run>/receipts/`.

mod answer;
mod connector;
mod daemons;
mod faults;
mod folder;
mod glob;
mod issue;
pub mod natives;
mod notes;
mod paths;
mod provision;
mod receipts;
mod scenario;
mod serve;
mod target;
mod words;
mod world;

#[cfg(test)]
mod tests;

pub use connector::SandboxConnector;
pub use scenario::{Invalid, Scenario, schema as scenario_schema};
pub use world::Sandbox;
