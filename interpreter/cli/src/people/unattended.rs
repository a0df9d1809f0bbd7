//! Nobody is at the terminal. What the answers file leaves open may still be answered through the inbox.

use super::inbox;
use async_trait::async_trait;
use keybook_api::Cancel;
use keybook_core::run::person::{Card, Conflict, Doubt, Person, Reply, Verdict};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// How often the inbox is looked into.
const BEAT: Duration = Duration::from_millis(500);

/// Answers from the inbox only.
pub struct Unattended {
    /// The run's inbox.
    pub inbox: PathBuf,
    /// How long to wait at a gate.
    pub wait: Duration,
    /// The run's stop.
    pub cancel: Cancel,
    /// `user@machine` that started the process.
    pub name: String,
}

#[async_trait]
impl Person for Unattended {
    async fn gate(&self, card: &Card) -> Option<Reply> {
        let until = Instant::now() + self.wait;
        loop {
            if let Some(reply) = inbox::take(&self.inbox, &card.unit, &card.plan) {
                return Some(reply);
            }
            if Instant::now() >= until {
                return None;
            }
            tokio::select! {
                () = self.cancel.cancelled() => return None,
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }

    async fn doubt(&self, _: &Doubt) -> Option<Verdict> {
        None
    }

    async fn conflict(&self, _: &Conflict) -> Option<bool> {
        None
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
