//! How much a script may use.

use std::time::Duration;

/// Bounds for one evaluation. Exceeding one ends the evaluation with an error that the script cannot catch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rhai operations (roughly: one per operator, call and loop turn).
    pub operations: u64,
    /// How deep functions may call each other.
    pub depth: usize,
    /// Longest text, in bytes.
    pub string_size: usize,
    /// Most items of a list, those of lists inside it included.
    pub array_size: usize,
    /// Most keys of a map, those of maps inside it included.
    pub map_size: usize,
    /// Wall time. The time that called actions take does not count.
    pub wall: Duration,
}

impl Default for Limits {
    /// 2 million operations (well below a second), 24 calls deep, 8 MiB of text, 100 000 items or keys, 10 s.
    fn default() -> Self {
        Self {
            operations: 2_000_000,
            depth: 24,
            string_size: 8 * 1024 * 1024,
            array_size: 100_000,
            map_size: 100_000,
            wall: Duration::from_secs(10),
        }
    }
}
