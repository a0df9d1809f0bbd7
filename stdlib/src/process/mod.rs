//! `process`: what runs on the host, by /proc.

mod started;

use keybook_api::Registry;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(started::Started);
}
