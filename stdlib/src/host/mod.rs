//! `host`: the hosts of the run.

mod add;

pub use add::Add;
