//! For how long an answer holds while nothing is written.

use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use ebbtide_model::pack::Report;
use ebbtide_model::{Instant, Scope};
use ebbtide_store::{ColumnRef, Snapshot, StoreError, TableView};

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

    #[must_use]
    pub(crate) fn until(self, end: Option<Instant>) -> Self {
        Self { ends_at: end.map_or(self.ends_at, |end| end.min(self.ends_at)), ..self }
    }
}

/// The time of the first row after `as_of` among all that the report reads: until then there are no others.
/// May read the times of a table's rows, so it is not for a thread that serves connections.
pub(crate) fn next_row(
    snapshot: &Snapshot,
    scope: &Scope,
    report: &Report,
    as_of: Instant,
) -> Result<Option<Instant>, StoreError> {
    let mut next = None;
    for table in &report.tables {
        let found = next_of(&snapshot.table(scope, table)?, as_of)?;
        next = next.into_iter().chain(found).min();
    }
    Ok(next)
}

fn next_of(view: &TableView, as_of: Instant) -> Result<Option<Instant>, StoreError> {
    let Some(time) = view.schema().time else {
        return Ok(None);
    };
    let mut next = None;
    for part in view.parts() {
        if part.time_range().is_some_and(|(_, last)| last <= as_of.micros()) {
            continue;
        }
        for batch in part.scan(&[ColumnRef::Declared(time)])? {
            let batch = batch?;
            let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
            next = next.into_iter().chain(times.iter().flatten().filter(|time| *time > as_of.micros())).min();
        }
    }
    Ok(next.map(Instant::from_micros))
}
