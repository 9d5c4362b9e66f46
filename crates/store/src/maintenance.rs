//! What the handle and the background threads share, and what the threads do: flush when memory or log
//! have grown, compact when segments have gathered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::StoreError;
use crate::writer::{Published, Writer};

/// How the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Ready,
    /// It reads and writes, and something wants an operator's eye.
    Degraded {
        reasons: Vec<String>,
    },
    /// It reads, and takes no more writes until it is started anew.
    Failed {
        reason: String,
    },
}

#[derive(Debug)]
pub(crate) struct Shared {
    writer: Mutex<Writer>,
    pub(crate) published: Arc<Published>,
    /// Told after each flush, with the writer's lock.
    flushed: Condvar,
    wanted: Mutex<Wanted>,
    wake: Condvar,
    /// Ends jobs that can be taken up again after the next start.
    stop: AtomicBool,
    flush_turn: Mutex<()>,
    compaction_turn: Mutex<()>,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
struct Wanted {
    flush: bool,
    compaction: bool,
    stop: bool,
}

#[derive(Debug, Default)]
struct Trouble {
    recovery: Vec<String>,
    flush: Option<String>,
    compaction: Option<String>,
}

/// A job of the background.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Job {
    Flush,
    Compaction,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// `recovery` is what an operator should know of the last start.
    pub(crate) fn new(writer: Writer, recovery: Vec<String>) -> Self {
        Self {
            published: writer.published.clone(),
            writer: Mutex::new(writer),
            flushed: Condvar::new(),
            wanted: Mutex::new(Wanted { flush: true, compaction: true, stop: false }),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
            flush_turn: Mutex::new(()),
            compaction_turn: Mutex::new(()),
            trouble: Mutex::new(Trouble { recovery, ..Trouble::default() }),
        }
    }

    /// The writer. One that a panic has left half-way writes no more.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(|poisoned| {
            let mut writer = poisoned.into_inner();
            writer.fail(&StoreError::Failed { reason: "a defect has stopped the writer".to_owned() });
            writer
        })
    }

    /// The writer once its memory has room; waits for flushes until then.
    pub(crate) fn writer_with_room(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let mut writer = self.writer();
        while writer.memory_bytes() >= writer.settings.memory_bytes_max && writer.failed.is_none() {
            if lock(&self.trouble).flush.is_some() || self.stop.load(Ordering::Relaxed) {
                self.want(Job::Flush);
                return Err(StoreError::Overloaded);
            }
            self.want(Job::Flush);
            writer = self.flushed.wait(writer).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(writer)
    }

    pub(crate) fn want(&self, job: Job) {
        let mut wanted = lock(&self.wanted);
        match job {
            Job::Flush => wanted.flush = true,
            Job::Compaction => wanted.compaction = true,
        }
        self.wake.notify_all();
    }

    /// Has the background look for work.
    pub(crate) fn wake(&self) {
        self.want(Job::Flush);
        self.want(Job::Compaction);
    }

    /// Tells the background to end, and jobs that can wait to end early.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        lock(&self.wanted).stop = true;
        self.wake.notify_all();
        // With the lock, so that nobody is between looking at `stop` and waiting.
        let writer = self.writer();
        self.flushed.notify_all();
        drop(writer);
    }

    /// Writes all that is in memory to segments.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let _turn = lock(&self.flush_turn);
        let Some(job) = self.writer().begin_flush()? else { return Ok(()) };
        let ended = match job.run() {
            Ok(written) => self.writer().finish_flush(job, written),
            Err(error) => {
                self.writer().abandon_flush(job);
                Err(error)
            }
        };
        lock(&self.trouble).flush = ended.as_ref().err().map(ToString::to_string);
        let writer = self.writer();
        self.flushed.notify_all();
        drop(writer);
        self.want(Job::Compaction);
        ended
    }

    /// Merges segments once; whether there were some to merge.
    pub(crate) fn compact_once(&self) -> Result<bool, StoreError> {
        let _turn = lock(&self.compaction_turn);
        let Some(job) = self.writer().begin_compaction() else { return Ok(false) };
        let ended = match job.run(&self.stop) {
            Ok(written) => self.writer().finish_compaction(job, written),
            Err(error) => {
                self.writer().abandon_compaction(job);
                Err(error)
            }
        };
        lock(&self.trouble).compaction = ended.as_ref().err().map(ToString::to_string);
        ended.map(|()| true)
    }

    /// Runs jobs of one kind until the store is closed.
    pub(crate) fn work(&self, job: Job) {
        while self.wait_for(job) {
            let ended = match job {
                Job::Flush if self.writer().wants_flush() => self.flush(),
                Job::Flush => Ok(()),
                Job::Compaction => self.compact(),
            };
            match ended {
                Ok(()) | Err(StoreError::Closed) => {}
                Err(error) => tracing::error!(%error, ?job, "a job of the background failed"),
            }
        }
    }

    pub(crate) fn compact(&self) -> Result<(), StoreError> {
        while self.compact_once()? {}
        self.make_spines()
    }

    /// Gives each segment whose spine is missing or damaged a new one.
    pub(crate) fn make_spines(&self) -> Result<(), StoreError> {
        // No segment goes meanwhile.
        let _turn = lock(&self.compaction_turn);
        let (fs, wanting) = self.writer().segments_wanting_spines();
        for (segment, table) in wanting {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            segment.make_spine(&fs, &table.schema, &table.stored, &self.stop)?;
        }
        Ok(())
    }

    /// Waits until a job of this kind is wanted; false once the store is closed.
    fn wait_for(&self, job: Job) -> bool {
        let mut wanted = lock(&self.wanted);
        loop {
            if wanted.stop {
                return false;
            }
            let own = match job {
                Job::Flush => &mut wanted.flush,
                Job::Compaction => &mut wanted.compaction,
            };
            if std::mem::take(own) {
                return true;
            }
            wanted = self.wake.wait(wanted).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn health(&self) -> Health {
        let stuck = {
            let writer = self.writer();
            if let Some(reason) = &writer.failed {
                return Health::Failed { reason: reason.clone() };
            }
            writer.stuck.clone()
        };
        let trouble = lock(&self.trouble);
        let mut reasons = trouble.recovery.clone();
        reasons.extend(stuck);
        reasons.extend(trouble.flush.iter().map(|error| format!("memory could not be flushed: {error}")));
        reasons
            .extend(trouble.compaction.iter().map(|error| format!("segments could not be merged: {error}")));
        if reasons.is_empty() { Health::Ready } else { Health::Degraded { reasons } }
    }

    /// Keeps segments as they are while the guards live.
    pub(crate) fn quiet(&self) -> (MutexGuard<'_, ()>, MutexGuard<'_, ()>) {
        (lock(&self.flush_turn), lock(&self.compaction_turn))
    }
}
