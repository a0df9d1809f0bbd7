//! Writes records: into the journal, into the state, and to whoever watches.

use super::{clean::Cleaner, state::State};
use crate::journal::writer::Writer;
use keybook_api::{Event, Fault, Record, UnitId};
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
    cleaner: Cleaner,
}

struct Inner {
    writer: Writer,
    state: State,
}

impl Log {
    /// Goes on from a state with its writer.
    pub fn new(writer: Writer, state: State, watchers: Vec<Arc<dyn Watcher>>, cleaner: Cleaner) -> Self {
        let inner = Mutex::new(Inner { writer, state });
        Self { inner, synced: tokio::sync::Mutex::new(0), watchers, cleaner }
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
        let event = self.cleaner.clean(&event)?;
        let number = self.append(Some((unit, attempt)), event, false)?;
        self.sync_up_to(number).await
    }

    async fn sync_up_to(&self, number: u64) -> Result<(), Fault> {
        let mut synced = self.synced.lock().await;
        if *synced >= number {
            return Ok(());
        }
        let (written, disk) = self.lock().writer.unsynced()?;
        let done = tokio::task::spawn_blocking(move || disk.sync()).await;
        let mut inner = self.lock();
        if let Err(why) = done.unwrap_or_else(|lost| Err(lost.to_string())) {
            return Err(inner.writer.give_up(why));
        }
        // A write may have failed meanwhile: an effect that began now could not be recorded.
        inner.writer.whole()?;
        *synced = written;
        Ok(())
    }

    /// Tells the watchers what a unit is doing; not journaled.
    pub fn progress(&self, unit: &UnitId, text: &str) {
        let clean = self.cleaner.redactor.text(text);
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
        let event = self.cleaner.clean(&event)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::reader;
    use keybook_api::RunId;
    use std::{
        io::{Error, Result},
        sync::{
            atomic::{AtomicU32, Ordering},
            mpsc,
        },
    };

    /// A log whose first sync tells that it began, and fails as soon as the sender says so; the later ones succeed, as those
    /// of the system do.
    fn failing_once() -> (tempfile::TempDir, Arc<Log>, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let dir = tempfile::tempdir().unwrap();
        let writer = Writer::create(&dir.path().join("journal.jsonl"), &RunId::new("r1").unwrap()).unwrap();
        let (begun, begins) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let (count, wait) = (AtomicU32::new(0), Mutex::new(wait));
        let writer = writer.syncing(move |_| -> Result<()> {
            if count.fetch_add(1, Ordering::Relaxed) > 0 {
                return Ok(());
            }
            let _ = begun.send(());
            let _ = wait.lock().unwrap().recv();
            Err(Error::from_raw_os_error(5))
        });
        let cleaner = Cleaner { redactor: Arc::default(), plain: Vec::new() };
        (dir, Arc::new(Log::new(writer, State::default(), Vec::new(), cleaner)), begins, go)
    }

    fn note(text: &str) -> Event {
        Event::UnitNote { text: text.into() }
    }

    /// The system tells of a lost page once: the sync after it says that all is well.
    #[tokio::test]
    async fn after_a_sync_that_failed_no_record_is_taken_for_one_on_the_disk() {
        let (dir, log, _begins, go) = failing_once();
        let [a, b] = ["s@a", "s@b"].map(|unit| UnitId::parse(unit).unwrap());
        let (one, other, ()) =
            tokio::join!(log.unit_synced(&a, 1, note("a")), log.unit_synced(&b, 1, note("b")), async {
                go.send(()).unwrap()
            },);
        for fault in [one.unwrap_err(), other.unwrap_err()] {
            assert!(fault.cause.contains("os error 5"), "{fault}");
        }
        assert!(log.unit_synced(&b, 2, note("again")).await.is_err());
        assert!(log.unit(&b, 2, note("again")).is_err());
        let journal = reader::read(&dir.path().join("journal.jsonl")).unwrap();
        assert_eq!(journal.records.len(), 2, "nothing was written after that");
    }

    /// A record with a sync of its own, while the one that fails is under way for another host.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_record_beside_a_sync_that_fails_is_not_taken_for_one_on_the_disk() {
        let (_dir, log, begins, go) = failing_once();
        let first = tokio::spawn({
            let (log, unit) = (Arc::clone(&log), UnitId::parse("s@a").unwrap());
            async move { log.unit_synced(&unit, 1, note("a")).await }
        });
        begins.recv().unwrap();
        let (done, beside) = mpsc::channel();
        std::thread::spawn(move || done.send(log.run(Event::LockTaken { hosts: Vec::new() })).unwrap());
        // It waits for the sync that is under way; time to show that it would not.
        let early = beside.recv_timeout(std::time::Duration::from_millis(100));
        go.send(()).unwrap();
        let beside = early.unwrap_or_else(|_| beside.recv().unwrap());
        for fault in [first.await.unwrap().unwrap_err(), beside.unwrap_err()] {
            assert!(fault.cause.contains("os error 5"), "{fault}");
        }
    }
}
