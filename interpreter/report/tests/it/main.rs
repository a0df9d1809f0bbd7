//! What people and programs are shown, for runs as they happen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod data;
mod diagnostics;
mod hostile;
mod html;
mod live;
mod reports;
mod summary;
