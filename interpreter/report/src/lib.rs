//! Turns the events of a run into output: live lines, the text and HTML reports, JSON, and the diagnostics of
//! source files. It sees only events, never prints, never asks and never looks at the environment: whoever calls
//! it says how wide the output is and whether it has colour.

pub mod card;
pub mod certificates;
pub mod diagnostics;
pub mod fault;
pub mod findings;
pub mod history;
pub mod html;
pub mod human;
pub mod jsonl;
pub mod live;
mod next;
mod page;
pub mod summary;
pub mod text;
pub mod time;
pub mod trust;

pub use card::{Card, render_card, render_diff};
pub use history::HistoryRow;
pub use live::LiveText;
pub use summary::RunSummary;
