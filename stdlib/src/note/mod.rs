//! `note`: words for the operator and the report.

mod write;

use keybook_api::Registry;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(write::Write);
}
