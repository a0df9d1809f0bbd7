//! Writes records: into the journal, into the state, and to whoever watches.

use super::state::State;
use crate::journal::writer::{self, Writer};
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
    /// How many records are known to be on the disk. Whoever holds it syncs for all that were written meanwhile.
    synced: tokio::sync::Mutex<u64>,
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
        let inner = Mutex::new(Inner { writer, state });
        Self { inner, synced: tokio::sync::Mutex::new(0), watchers, redactor }
    }

    /// Writes a record about the run.
    pub fn run(&self, event: Event) -> Result<(), Fault> {
        self.write(None, event).map(drop)
    }

    /// Writes a record about a unit's attempt.
    pub fn unit(&self, unit: &UnitId, attempt: u32, event: Event) -> Result<(), Fault> {
        self.write(Some((unit, attempt)), event).map(drop)
    }

    /// Writes a record about a unit's attempt, which is on the disk when this returns, as [`Log::unit`] does; units on
    /// other hosts go on meanwhile, and one sync is for all of them.
    pub async fn unit_synced(&self, unit: &UnitId, attempt: u32, event: Event) -> Result<(), Fault> {
        let event = self.clean(event)?;
        let number = self.append(Some((unit, attempt)), event, false)?;
        self.sync_up_to(number).await
    }

    async fn sync_up_to(&self, number: u64) -> Result<(), Fault> {
        let mut synced = self.synced.lock().await;
        if *synced >= number {
            return Ok(());
        }
        let (written, file) = self.lock().writer.unsynced();
        let done = tokio::task::spawn_blocking(move || writer::sync(&file)).await;
        match done.unwrap_or_else(|lost| Err(std::io::Error::other(lost))) {
            Ok(()) => *synced = written,
            Err(why) => return Err(self.lock().writer.give_up(why)),
        }
        Ok(())
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

    /// Writes a record; gives how many there are now.
    fn write(&self, unit: Option<(&UnitId, u32)>, event: Event) -> Result<u64, Fault> {
        let event = self.clean(event)?;
        let durable = is_promise(&event);
        self.append(unit, event, durable)
    }

    fn append(&self, unit: Option<(&UnitId, u32)>, event: Event, durable: bool) -> Result<u64, Fault> {
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
        Ok(record.seq + 1)
    }

    /// Secrets are replaced in every text of an event, whatever put them there.
    fn clean(&self, event: Event) -> Result<Event, Fault> {
        let lost = |error: serde_json::Error| Fault::failed("write a journal record", error);
        let json = serde_json::to_value(event).map_err(lost)?;
        serde_json::from_value(self.redactor.json(&json)).map_err(lost)
    }
}

/// Must it be on the disk before anything else happens? What was only found out, or is followed by an intent or an
/// outcome before it matters, is on the disk with that.
fn is_promise(event: &Event) -> bool {
    !matches!(
        event,
        Event::UnitOutput { .. }
            | Event::UnitNote { .. }
            | Event::UnitFacts { .. }
            | Event::UnitPlanned { .. }
            | Event::UnitApplied { .. }
            | Event::PreflightChecked { .. }
            | Event::HostIdentified { .. }
            | Event::StepPinned { .. }
            | Event::ObligationRaised { .. }
    )
}

fn defect(why: String) -> Fault {
    Fault::failed("keep the run's state", why)
        .hint("this is a defect of keybook: please report it with the journal")
}
