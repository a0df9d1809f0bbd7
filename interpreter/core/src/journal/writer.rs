//! The one writer of a run's journal.

use super::{format, reader};
use jiff::{Timestamp, Unit};
use keybook_api::{Event, Fault, Record, RunId, UnitId, event::FORMAT};
use rustix::fs::{FallocateFlags, fallocate, fdatasync};
use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Space kept allocated beyond the end, so that an outcome can still be written on a full disk.
const RESERVE: u64 = 1 << 20;

/// The file of a journal, and how it gets onto the disk: by one sync at a time. The system tells of a lost page once only,
/// and the next sync says that all is well; so after one that failed, all fail.
pub struct Disk {
    file: File,
    sync: ToDisk,
    failed: Mutex<Option<String>>,
}

/// Puts a file onto the disk.
type ToDisk = Box<dyn Fn(&File) -> std::io::Result<()> + Send + Sync>;

impl Disk {
    fn of(file: File) -> Arc<Self> {
        Self::with(file, Box::new(|file| Ok(fdatasync(file)?)))
    }

    fn with(file: File, sync: ToDisk) -> Arc<Self> {
        Arc::new(Self { file, sync, failed: Mutex::default() })
    }

    /// What was written to the file so far is on the disk when this returns.
    ///
    /// # Errors
    /// Why this sync, or one before it, failed: what is on the disk is not known.
    pub fn sync(&self) -> Result<(), String> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &*failed {
            return Err(why.clone());
        }
        (self.sync)(&self.file).map_err(|error| failed.insert(error.to_string()).clone())
    }
}

/// Appends records. Every append that must be durable is synced before it returns; others are on the disk with the next
/// that is.
pub struct Writer {
    disk: Arc<Disk>,
    path: PathBuf,
    run: RunId,
    head: String,
    seq: u64,
    end: u64,
    reserved: u64,
    /// Why an earlier write failed. Nothing is written after that.
    broken: Option<String>,
}

impl Writer {
    /// Begins a journal that must not exist yet, and syncs its directory.
    pub fn create(path: &Path, run: &RunId) -> Result<Self, Fault> {
        let attempted = format!("create the journal {}", path.display());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| Fault::failed(&attempted, error).now("nothing was changed"))?;
        sync_parent(path).map_err(|error| Fault::failed(&attempted, error).now("nothing was changed"))?;
        let mut writer = Self {
            disk: Disk::of(file),
            path: path.to_owned(),
            run: run.clone(),
            head: format::GENESIS.to_owned(),
            seq: 0,
            end: 0,
            reserved: 0,
            broken: None,
        };
        writer.reserve()?;
        Ok(writer)
    }

    /// Goes on with a journal that was read; a torn tail is cut.
    pub fn append_to(path: &Path, journal: &reader::Journal) -> Result<Self, Fault> {
        let attempted = format!("go on with the journal {}", path.display());
        let failed = |error: std::io::Error| Fault::failed(&attempted, error).now("nothing was changed");
        let run = journal
            .records
            .first()
            .map(|record| record.run.clone())
            .ok_or_else(|| Fault::failed(&attempted, "it is empty").now("nothing was changed"))?;
        let mut file = OpenOptions::new().write(true).open(path).map_err(failed)?;
        file.set_len(journal.valid_bytes).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let mut writer = Self {
            disk: Disk::of(file),
            path: path.to_owned(),
            run,
            head: journal.head.clone(),
            seq: journal.records.len() as u64,
            end: journal.valid_bytes,
            reserved: journal.valid_bytes,
            broken: None,
        };
        writer.reserve()?;
        Ok(writer)
    }

    /// With another way onto the disk.
    #[cfg(test)]
    pub fn syncing(self, sync: impl Fn(&File) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let file = self.disk.file.try_clone().unwrap();
        Self { disk: Disk::with(file, Box::new(sync)), ..self }
    }

    /// The hash of the last line: the chain's head.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Writes one record; synced to the disk when `durable`.
    pub fn append(
        &mut self,
        unit: Option<UnitId>,
        attempt: Option<u32>,
        event: Event,
        durable: bool,
    ) -> Result<Record, Fault> {
        self.whole()?;
        let record = Record {
            v: FORMAT,
            seq: self.seq,
            time: now_text(),
            run: self.run.clone(),
            unit,
            attempt,
            event,
            prev: self.head.clone(),
        };
        let line = format::encode(&record).map_err(|error| self.fault(error))?;
        self.write_line(&line, durable).inspect_err(|fault| self.broken = Some(fault.cause.clone()))?;
        self.head = format::sha256_hex(line.as_bytes());
        self.seq += 1;
        Ok(record)
    }

    fn write_line(&mut self, line: &str, durable: bool) -> Result<(), Fault> {
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        (&self.disk.file).write_all(&bytes).map_err(|error| self.fault(error))?;
        self.end += bytes.len() as u64;
        if durable {
            self.disk.sync().map_err(|error| self.fault(error))?;
        }
        if self.end + RESERVE / 2 > self.reserved {
            self.reserve()?;
        }
        Ok(())
    }

    /// How many records there are, and what to sync so that they are on the disk. A sync that fails must be told to
    /// [`Writer::give_up`].
    ///
    /// # Errors
    /// An earlier write or sync failed: nothing may rest on this journal any more.
    pub fn unsynced(&self) -> Result<(u64, Arc<Disk>), Fault> {
        self.whole()?;
        Ok((self.seq, Arc::clone(&self.disk)))
    }

    /// # Errors
    /// An earlier write or sync failed.
    pub fn whole(&self) -> Result<(), Fault> {
        self.broken.as_ref().map_or(Ok(()), |why| Err(self.fault(why)))
    }

    /// Syncing failed: what is on the disk is not known, so nothing is written after this.
    pub fn give_up(&mut self, why: impl std::fmt::Display) -> Fault {
        self.broken = Some(why.to_string());
        self.fault(why)
    }

    /// Allocates ahead without changing the file's size. File systems that cannot are left alone.
    fn reserve(&mut self) -> Result<(), Fault> {
        match fallocate(&self.disk.file, FallocateFlags::KEEP_SIZE, self.end, RESERVE) {
            Ok(()) => self.reserved = self.end + RESERVE,
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.reserved = u64::MAX,
            Err(error) => return Err(self.fault(error)),
        }
        Ok(())
    }

    fn fault(&self, why: impl std::fmt::Display) -> Fault {
        Fault::failed(format!("write the journal {}", self.path.display()), why)
            .now("the run stopped; the units recorded so far stand, and what was under way is reconciled on resume")
            .hint("make room or writable what is full or read-only, then resume")
    }
}

/// RFC 3339 in UTC with milliseconds.
pub fn now_text() -> String {
    let now = Timestamp::now();
    let rounded = now.round(Unit::Millisecond).unwrap_or(now);
    format!("{rounded:.3}")
}

/// Syncs the directory that holds a path, so that a new name survives a crash.
pub fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
