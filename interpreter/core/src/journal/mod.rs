//! The journal: what a run did, one record a line, on disk before the effect.

pub mod format;
pub mod reader;
pub mod writer;

#[cfg(test)]
mod tests;
