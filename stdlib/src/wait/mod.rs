//! `wait`: letting time pass.

mod r#for;
mod port;

use keybook_api::Registry;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(r#for::For);
    all.add(port::Port);
}
