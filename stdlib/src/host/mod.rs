//! `host`: the hosts of the run.

mod add;

use keybook_api::Registry;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(add::Add);
}
