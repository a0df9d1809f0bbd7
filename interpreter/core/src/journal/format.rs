//! One line a record: compact JSON, a line feed, and in each line the SHA-256 of the line before.

use keybook_api::{Record, event::FORMAT};
use sha2::{Digest, Sha256};

/// What the first line has in `prev`.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Lower-case hexadecimal SHA-256.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a record as a line, without the line feed.
pub fn encode(record: &Record) -> Result<String, serde_json::Error> {
    serde_json::to_string(record)
}

/// Why a line is no record.
#[derive(Debug, PartialEq)]
pub enum LineError {
    /// It was written by a newer program.
    Newer(u64),
    /// It is not what this program writes.
    Damaged(String),
}

/// Reads one line back.
pub fn decode(line: &str) -> Result<Record, LineError> {
    let json: serde_json::Value =
        serde_json::from_str(line).map_err(|error| LineError::Damaged(error.to_string()))?;
    match json.get("v").and_then(serde_json::Value::as_u64) {
        Some(version) if version > u64::from(FORMAT) => return Err(LineError::Newer(version)),
        Some(version) if version == u64::from(FORMAT) => {}
        other => return Err(LineError::Damaged(format!("format version {other:?} is not known"))),
    }
    serde_json::from_value(json).map_err(|error| LineError::Damaged(error.to_string()))
}
