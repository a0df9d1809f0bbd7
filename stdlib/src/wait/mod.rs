//! `wait`: letting time pass.

mod r#for;
mod port;

pub use r#for::For;
pub use port::Port;
