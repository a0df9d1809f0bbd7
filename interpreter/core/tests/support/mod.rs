//! Hosts in memory, actions of their own and a scripted person: everything a run needs, without a real host.

pub mod actions;
pub mod bench;
pub mod judge;
pub mod person;
pub mod printed;
pub mod problems;
pub mod shaped;
pub mod tape;
pub mod target;
pub mod world;

pub use bench::Bench;
pub use person::Scripted;
pub use world::{How, Node, Trouble, World};
