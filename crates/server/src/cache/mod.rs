//! Answers of reports that are kept, so that the same question over the same rows is computed once: by
//! whom it was asked does not matter, about whose rows it is does. A kept answer knows the version of
//! every table that it rests on and the moment at which time alone may change it; one that does not
//! hold any more is never given out. Equal questions that are asked at one time are one computation.

mod decisions;
mod entry;
mod flights;
mod key;
mod lifetime;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ebbtide_model::Instant;
use moka::future::Cache;
use moka::notification::RemovalCause;

pub(crate) use decisions::{Asked, Decisions};
pub(crate) use entry::Entry;
pub(crate) use key::{Key, Versions};
pub(crate) use lifetime::{Lifetime, next_row};

use crate::problem::Problem;
use flights::{Flights, Joined};

/// What an entry takes besides its answer and the values of its key.
const ENTRY_BYTES: usize = 512;

/// The answers that are kept, and the computations that are under way. A clone is the same cache.
#[derive(Clone)]
pub(crate) struct ReportCache {
    entries: Cache<Key, Arc<Entry>>,
    flights: Flights,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    joined: AtomicU64,
    computed: AtomicU64,
    evicted: AtomicU64,
}

/// What the cache did so far, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheNumbers {
    /// Requests that were answered from what was kept.
    pub(crate) hits: u64,
    /// Requests that waited for another one's computation.
    pub(crate) joined: u64,
    /// Computations.
    pub(crate) computed: u64,
    /// Answers that had to go for want of room.
    pub(crate) evicted: u64,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// A question and the moment and the rows as of which it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) key: Key,
    pub(crate) versions: Versions,
    pub(crate) now: Instant,
    pub(crate) freshness: Freshness,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// What is kept serves, where it holds.
    AnyThatHolds,
    /// What is kept must hold at this moment too.
    HoldsAt(Instant),
    /// The answer is computed, whatever is kept.
    Recomputed,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Kept,
    /// Another request's computation, which was under way.
    Joined,
    Computed,
}

impl ReportCache {
    pub(crate) fn new(bytes_max: u64) -> Self {
        let counts: Arc<Counts> = Arc::default();
        let told = counts.clone();
        let entries = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(|key: &Key, entry: &Arc<Entry>| {
                let bytes = entry.bytes().saturating_add(key.bytes()).saturating_add(ENTRY_BYTES);
                u32::try_from(bytes).unwrap_or(u32::MAX)
            })
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    told.evicted.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build();
        Self { entries, flights: Flights::default(), counts }
    }

    /// The answer that is kept, else that of an equal question under way, else that of `compute`, which
    /// goes on where its caller leaves and others wait for it. An error is told to all who wait, and not
    /// kept.
    pub(crate) async fn answer<C>(
        &self,
        wanted: &Wanted,
        compute: impl Fn() -> C,
    ) -> Result<(Arc<Entry>, Source), Problem>
    where
        C: Future<Output = Result<Entry, Problem>> + Send + 'static,
    {
        if let Some(entry) = self.kept(wanted).await {
            return Ok((entry, Source::Kept));
        }
        loop {
            let start = || {
                self.counts.computed.fetch_add(1, Ordering::Relaxed);
                let (entries, key, computing) = (self.entries.clone(), wanted.key.clone(), compute());
                async move {
                    let entry = Arc::new(computing.await?);
                    put(&entries, key, &entry).await;
                    Ok(entry)
                }
            };
            match self.flights.join(wanted, start) {
                Joined::Own(flight) => return Ok((flight.await?, Source::Computed)),
                Joined::Others(flight) => {
                    let entry = flight.await?;
                    // One that began before this request may have ended before it.
                    if wanted.now < entry.ends_at() {
                        self.counts.joined.fetch_add(1, Ordering::Relaxed);
                        return Ok((entry, Source::Joined));
                    }
                }
            }
        }
    }

    /// The answer that is kept, where it holds.
    pub(crate) async fn kept(&self, wanted: &Wanted) -> Option<Arc<Entry>> {
        if wanted.freshness == Freshness::Recomputed {
            return None;
        }
        let entry = self.entries.get(&wanted.key).await.filter(|entry| wanted.is_met_by(entry))?;
        self.counts.hits.fetch_add(1, Ordering::Relaxed);
        Some(entry)
    }

    /// Keeps what was computed by somebody for whom nobody waits.
    pub(crate) async fn keep(&self, key: Key, entry: &Arc<Entry>) {
        self.counts.computed.fetch_add(1, Ordering::Relaxed);
        put(&self.entries, key, entry).await;
    }

    /// As of now; what was noted last may be missing.
    pub(crate) fn numbers(&self) -> CacheNumbers {
        let counts = &self.counts;
        CacheNumbers {
            hits: counts.hits.load(Ordering::Relaxed),
            joined: counts.joined.load(Ordering::Relaxed),
            computed: counts.computed.load(Ordering::Relaxed),
            evicted: counts.evicted.load(Ordering::Relaxed),
            entries: self.entries.entry_count(),
            bytes: self.entries.weighted_size(),
        }
    }

    /// Does what the cache put off, so that its numbers are exact.
    pub(crate) async fn settle(&self) {
        self.entries.run_pending_tasks().await;
    }
}

async fn put(entries: &Cache<Key, Arc<Entry>>, key: Key, entry: &Arc<Entry>) {
    let kept = entries.get(&key).await;
    // One that began later may have been faster.
    if kept.is_none_or(|kept| kept.begins_at() <= entry.begins_at()) {
        entries.insert(key, entry.clone()).await;
    }
}

impl Wanted {
    fn is_met_by(&self, entry: &Entry) -> bool {
        let holds_later = match self.freshness {
            Freshness::AnyThatHolds => true,
            Freshness::HoldsAt(later) => entry.holds(&self.versions, later),
            Freshness::Recomputed => false,
        };
        holds_later && entry.holds(&self.versions, self.now)
    }
}

#[cfg(test)]
mod tests;
