//! What the actions share: reading and replacing files, describing changes, waiting.

pub mod certs;
pub mod change;
pub mod files;
pub mod owner;
pub mod program;
pub mod shown;
pub mod tell;
pub mod waiting;
