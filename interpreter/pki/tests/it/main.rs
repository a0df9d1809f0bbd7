//! The library against the real openssl and cfssl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ca_like;
mod crl;
mod files;
mod fuzz;
mod issue;
mod keys;
mod reissue;
mod request;
mod tools;
mod values;
mod verify;
