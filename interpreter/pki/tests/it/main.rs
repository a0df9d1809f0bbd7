//! The library against the real openssl and cfssl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod files;
mod fuzz;
mod issue;
mod keys;
mod reissue;
mod tools;
mod values;
mod verify;
