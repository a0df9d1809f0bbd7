//! Who answers the engine's questions: a person at the terminal, or nobody but the inbox.

mod conflict;
pub mod guided;
pub mod inbox;
pub mod prompt;
pub mod unattended;
