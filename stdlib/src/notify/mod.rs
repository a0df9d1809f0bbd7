//! `notify`: tells people outside, from the machine that runs Keybook.

mod order;
mod post;
#[cfg(test)]
mod tests;
mod webhook;

use keybook_api::Registry;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(webhook::Webhook);
}
