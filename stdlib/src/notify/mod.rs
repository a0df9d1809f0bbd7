//! `notify`: tells people outside, from the machine that runs Keybook.

mod order;
mod post;
#[cfg(test)]
mod tests;
mod webhook;

pub use webhook::Webhook;
