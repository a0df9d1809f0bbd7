//! The machine-readable stream of a run: one record a line, exactly as the journal has it, so that one reader
//! serves both. Its version is [`keybook_api::event::FORMAT`], in every record's `v`.

use keybook_api::Record;
use std::io::{self, Write};

/// The record as one line, without the line feed.
pub fn line(record: &Record) -> Result<String, serde_json::Error> {
    serde_json::to_string(record)
}

/// Writes the record and a line feed in one piece.
pub fn write(record: &Record, out: &mut dyn Write) -> io::Result<()> {
    let mut text = line(record).map_err(io::Error::other)?;
    text.push('\n');
    out.write_all(text.as_bytes())
}
