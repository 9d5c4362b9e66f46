//! A host's key set at an address: fetched at the start, on a schedule, and when a token names a key that
//! is not known yet (but no more often than a pause allows). The last good set stays while a fetch fails.
//! One task fetches; requests read what is there, and at most wait a moment for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::key_files::{KeyFile, KeyFileError};
use super::keys::VerifyingKey;

/// What brings the bytes of a key set; blocks, in a bounded time.
pub trait KeySource: Send + Sync {
    fn fetch(&self) -> Result<Vec<u8>, FetchError>;
}

/// Why a key set did not come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("{0}")]
    Unreachable(String),
    #[error("it answered {status}")]
    Status { status: u16 },
    #[error(transparent)]
    Content(#[from] KeyFileError),
}

/// When a key set is fetched.
#[derive(Clone, Debug)]
pub struct KeySetSettings {
    /// How long a set is good before it is fetched anew.
    pub refresh: Duration,
    /// The least time from one fetch to the next that a token asks for.
    pub pause: Duration,
    /// How long a request waits for a key that is not known yet.
    pub wait_max: Duration,
}

impl Default for KeySetSettings {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(600),
            pause: Duration::from_secs(30),
            wait_max: Duration::from_secs(2),
        }
    }
}

/// After a fetch that failed the next comes after this, then after twice as long, and so on up to the
/// schedule's own time.
const RETRY: Duration = Duration::from_secs(5);
const DOUBLINGS_MAX: u32 = 6;

/// The keys of an address, as they are now.
pub struct KeySet {
    source: Box<dyn KeySource>,
    settings: KeySetSettings,
    current: RwLock<Option<Arc<[VerifyingKey]>>>,
    progress: Mutex<Progress>,
    wanted: Notify,
    /// Fetches that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Progress {
    /// A fetch is under way, or asked for.
    fetching: bool,
    last_ended: Option<Instant>,
    failures: u32,
}

impl KeySet {
    pub fn new(source: Box<dyn KeySource>, settings: KeySetSettings) -> Arc<Self> {
        // The first fetch is due.
        let progress = Progress { fetching: true, ..Progress::default() };
        Arc::new(Self {
            source,
            settings,
            current: RwLock::default(),
            progress: Mutex::new(progress),
            wanted: Notify::new(),
            ended: watch::Sender::new(0),
        })
    }

    /// The last good set; `None` before the first.
    pub(super) fn current(&self) -> Option<Arc<[VerifyingKey]>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.current().map_or(0, |keys| keys.len())
    }

    /// Waits a moment for a fetch that may bring a missing key; returns at once where the last one is too
    /// short ago, whatever tokens name.
    pub(super) async fn wait_for_news(&self) {
        let mut ended = self.ended.subscribe();
        if !self.ask(Instant::now()) {
            return;
        }
        // That it did not come in time is answered by what is known then.
        _ = tokio::time::timeout(self.settings.wait_max, ended.changed()).await;
    }

    /// Whether a fetch is under way or was asked for now.
    fn ask(&self, now: Instant) -> bool {
        let mut progress = self.progress();
        if progress.fetching {
            return true;
        }
        let rested = progress.last_ended.is_none_or(|last| now.duration_since(last) >= self.settings.pause);
        if rested {
            progress.fetching = true;
            self.wanted.notify_one();
        }
        rested
    }

    /// Fetches, again and again, and tells how each fetch ended. Never returns; may be dropped at any time.
    pub(crate) async fn keep_fresh(self: Arc<Self>, tell: impl Fn(&Result<usize, FetchError>)) {
        loop {
            let set = self.clone();
            let fetched = tokio::task::spawn_blocking(move || set.fetch()).await;
            let outcome = fetched.unwrap_or_else(|error| Err(FetchError::Unreachable(error.to_string())));
            let pause = self.end(outcome.is_ok(), Instant::now());
            tell(&outcome);
            tokio::select! {
                () = tokio::time::sleep(pause) => self.progress().fetching = true,
                () = self.wanted.notified() => {}
            }
        }
    }

    /// Fetches once; what comes replaces what was there, unless it is no good. The number of its keys.
    fn fetch(&self) -> Result<usize, FetchError> {
        let KeyFile { keys, skipped } = KeyFile::parse_set(&self.source.fetch()?)?;
        for key in skipped {
            tracing::debug!(target: "ebbtide::sign_in", kid = key.id, reason = key.reason, "a key is passed over");
        }
        let count = keys.len();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(keys.into());
        Ok(count)
    }

    /// Notes that a fetch has ended, and gives the time until the next.
    fn end(&self, good: bool, now: Instant) -> Duration {
        let mut progress = self.progress();
        progress.fetching = false;
        progress.last_ended = Some(now);
        progress.failures = if good { 0 } else { progress.failures.saturating_add(1) };
        let failures = progress.failures;
        drop(progress);
        self.ended.send_modify(|ended| *ended += 1);
        match failures.checked_sub(1) {
            None => self.settings.refresh,
            Some(doublings) => (RETRY * 2_u32.pow(doublings.min(DOUBLINGS_MAX))).min(self.settings.refresh),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
