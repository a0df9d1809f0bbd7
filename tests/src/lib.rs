//! What the end-to-end tests share. Everything here panics when something is wrong: that is a failed test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub mod book;
pub mod cli;
pub mod kill;
pub mod lab;
pub mod manager;
pub mod mutation;
pub mod proof;
pub mod pty;
pub mod sandbox;
pub mod sandbox_proof;
pub mod sources;
pub mod sshd;
pub mod tables;
