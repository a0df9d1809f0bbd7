//! Writes records: into the journal, into the state, and to whoever watches.

use super::state::State;
use crate::journal::writer::Writer;
use keybook_api::{Event, Fault, Record, Redactor, UnitId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Sees every record right after it was written.
pub trait Watcher: Send + Sync {
    /// One record.
    fn record(&self, record: &Record);
    /// What a unit is doing now; not journaled.
    fn progress(&self, _unit: &UnitId, _text: &str) {}
}

/// The journal, the state it adds up to, and the watchers.
pub struct Log {
    inner: Mutex<Inner>,
    watchers: Vec<Arc<dyn Watcher>>,
    redactor: Arc<Redactor>,
}

struct Inner {
    writer: Writer,
    state: State,
}

impl Log {
    /// Goes on from a state with its writer.
    pub fn new(
        writer: Writer,
        state: State,
        watchers: Vec<Arc<dyn Watcher>>,
        redactor: Arc<Redactor>,
    ) -> Self {
        Self { inner: Mutex::new(Inner { writer, state }), watchers, redactor }
    }

    /// Writes a record about the run.
    pub fn run(&self, event: Event) -> Result<(), Fault> {
        self.write(None, event)
    }

    /// Writes a record about a unit's attempt.
    pub fn unit(&self, unit: &UnitId, attempt: u32, event: Event) -> Result<(), Fault> {
        self.write(Some((unit, attempt)), event)
    }

    /// Tells the watchers what a unit is doing; not journaled.
    pub fn progress(&self, unit: &UnitId, text: &str) {
        let clean = self.redactor.text(text);
        for watcher in &self.watchers {
            watcher.progress(unit, &clean);
        }
    }

    /// Looks at the state.
    pub fn state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    /// The chain's head.
    pub fn head(&self) -> String {
        self.lock().writer.head().to_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, unit: Option<(&UnitId, u32)>, event: Event) -> Result<(), Fault> {
        let event = self.clean(event)?;
        let durable = !matches!(event, Event::UnitOutput { .. } | Event::UnitNote { .. });
        let mut inner = self.lock();
        let (id, attempt) = match unit {
            Some((id, attempt)) => (Some(id.clone()), Some(attempt)),
            None => (None, None),
        };
        inner.state.admits(id.as_ref(), &event).map_err(defect)?;
        let record = inner.writer.append(id, attempt, event, durable)?;
        inner.state.apply(&record).map_err(defect)?;
        drop(inner);
        for watcher in &self.watchers {
            watcher.record(&record);
        }
        Ok(())
    }

    /// Secrets are replaced in every text of an event, whatever put them there.
    fn clean(&self, event: Event) -> Result<Event, Fault> {
        let lost = |error: serde_json::Error| Fault::failed("write a journal record", error);
        let json = serde_json::to_value(event).map_err(lost)?;
        serde_json::from_value(self.redactor.json(&json)).map_err(lost)
    }
}

fn defect(why: String) -> Fault {
    Fault::failed("keep the run's state", why)
        .hint("this is a defect of keybook: please report it with the journal")
}
