//! For how long an answer holds while nothing is written.

use std::time::Duration;

use ebbtide_model::{Instant, Scope, TableName};
use ebbtide_store::{Snapshot, StoreError};

/// From when until when an answer serves; the end is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) begins_at: Instant,
    pub(crate) ends_at: Instant,
}

impl Lifetime {
    /// At most `kept`.
    pub(crate) fn new(begins_at: Instant, kept: Duration) -> Self {
        let kept = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
        Self { begins_at, ends_at: Instant::from_micros(begins_at.micros().saturating_add(kept)) }
    }

    /// For as long as nothing is written.
    pub(crate) fn unbounded() -> Self {
        Self { begins_at: Instant::from_micros(i64::MIN), ends_at: Instant::from_micros(i64::MAX) }
    }

    pub(crate) fn end(self) -> Instant {
        self.ends_at
    }

    pub(super) fn holds(self, now: Instant) -> bool {
        self.begins_at <= now && now < self.ends_at
    }

    #[must_use]
    pub(crate) fn until(self, end: Option<Instant>) -> Self {
        Self { ends_at: end.map_or(self.ends_at, |end| end.min(self.ends_at)), ..self }
    }
}

/// The time of the first row after `as_of` in any of these tables: until then there are no others.
/// May read the times of a table's rows, so it is not for a thread that serves connections.
pub(crate) fn next_row(
    snapshot: &Snapshot,
    scope: &Scope,
    tables: &[TableName],
    as_of: Instant,
) -> Result<Option<Instant>, StoreError> {
    let mut next = None;
    for table in tables {
        let found = snapshot.table(scope, table)?.next_time_after(as_of)?;
        next = next.into_iter().chain(found).min();
    }
    Ok(next)
}
