//! Reads a journal back and checks its chain.

use super::format::{self, GENESIS, LineError};
use keybook_api::{Fault, Record};
use std::path::Path;

/// A journal as read.
#[derive(Debug)]
pub struct Journal {
    /// Its records in order.
    pub records: Vec<Record>,
    /// SHA-256 of the last whole line: the head of the chain.
    pub head: String,
    /// Bytes of whole, valid lines.
    pub valid_bytes: u64,
    /// Bytes after them: a line cut off in mid-write.
    pub torn_bytes: u64,
}

/// Reads and verifies a journal. A torn tail (no line feed at the end) is reported in `torn_bytes`; a whole
/// line that does not fit the chain is a fault that names the line.
pub fn read(path: &Path) -> Result<Journal, Fault> {
    let attempted = format!("read the journal {}", path.display());
    let bytes = std::fs::read(path).map_err(|error| Fault::failed(&attempted, error))?;
    parse(&bytes, &attempted)
}

/// Verifies the bytes of a journal; `attempted` begins the fault.
pub fn parse(bytes: &[u8], attempted: &str) -> Result<Journal, Fault> {
    let mut journal =
        Journal { records: Vec::new(), head: GENESIS.to_owned(), valid_bytes: 0, torn_bytes: 0 };
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        let record =
            check_line(line, &journal).map_err(|why| broken(attempted, journal.records.len(), why))?;
        journal.head = format::sha256_hex(line);
        journal.records.push(record);
        journal.valid_bytes += end as u64 + 1;
        rest = &rest[end + 1..];
    }
    // Reserved space shows as zeros where a file system cannot keep the size apart.
    journal.torn_bytes = rest.len() as u64;
    Ok(journal)
}

fn check_line(line: &[u8], journal: &Journal) -> Result<Record, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let record = format::decode(text).map_err(|error| match error {
        LineError::Newer(version) => {
            format!("it is of format {version}; this program reads up to {}", keybook_api::event::FORMAT)
        }
        LineError::Damaged(why) => format!("it is damaged ({why})"),
    })?;
    if record.prev != journal.head {
        return Err(
            "its hash of the line before is wrong: a line was changed, moved, added or removed".into()
        );
    }
    if record.seq != journal.records.len() as u64 {
        return Err(format!("its number is {}, {} was expected", record.seq, journal.records.len()));
    }
    if let Some(first) = journal.records.first()
        && first.run != record.run
    {
        return Err(format!("it belongs to run {}", record.run));
    }
    Ok(record)
}

fn broken(attempted: &str, index: usize, why: String) -> Fault {
    Fault::failed(attempted, format!("line {}: {why}", index + 1))
        .now("nothing was changed, and the journal was left as it is")
        .hint("restore the journal from a copy whose head you noted, or take the cluster's state from the hosts: /var/lib/keybook/<run>/ holds receipts and backups")
}
