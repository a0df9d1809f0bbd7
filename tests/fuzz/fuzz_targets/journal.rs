//! A journal of any bytes; and one whose lines are any records, with places and hashes put right, so that replay and
//! reports are reached behind the chain.
#![no_main]

use keybook_core::{journal::{format, reader}, run::state::State};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = reader::parse(bytes, "read the journal");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut records: Vec<keybook_api::Record> = text.lines().filter_map(|line| format::decode(line).ok()).collect();
    for (seq, record) in records.iter_mut().enumerate() {
        record.seq = seq as u64;
    }
    let mut state = State::default();
    let kept: Vec<_> = records.into_iter().filter(|record| state.apply(record).is_ok()).collect();
    if let Some(summary) = keybook_report::RunSummary::from_records(kept.iter()) {
        let _ = keybook_report::human::render(&summary, false, 80);
        let _ = keybook_report::html::render(&summary);
    }
});
