//! `process`: what runs on the host, by /proc.

mod started;

pub use started::Started;
