//! Rows of before the start of a calendar period: what was found in them is kept until one of them changes, so that
//! a question over all of a table is asked once in the period and not with each event.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use ebbtide_engine::EngineError;
use ebbtide_model::{Instant, Scope, TableName, Unit};
use ebbtide_store::{ColumnRef, Snapshot, StoreError, TableRead};
use serde_json::Value as Json;

use super::asked::Found;
use super::cells::Given;
use super::{Evaluation, ReportError};

/// A question whose rows were before an instant.
pub(super) struct Settled {
    snapshot: Snapshot,
    scope: Scope,
    tables: Arc<[TableName]>,
    what: Arc<str>,
    /// The last moment before the period.
    at: Instant,
    /// When the next one begins.
    changes_at: Instant,
}

/// What was found, as of when, and what of each table had been read.
struct Kept {
    at: Instant,
    reads: Vec<TableRead>,
    rows: Json,
}

impl Settled {
    /// `question` tells it from others of the report, but for the values of its names.
    pub(super) fn new(of: Evaluation<'_>, period: Unit, question: String) -> Self {
        let calendar = &of.pack.schema.calendar;
        let start = calendar.floor(period, of.arguments.as_of());
        let values = of.arguments.values().iter().filter(|(name, _)| of.report.names.contains(name));
        let values: Vec<String> =
            values.map(|(name, value)| format!("{name}={:?}", value.canonical_text())).collect();
        Self {
            snapshot: of.snapshot.clone(),
            scope: of.scope.clone(),
            tables: of.report.tables.as_slice().into(),
            what: format!("{} {values:?} {question}", of.report.name).into(),
            at: Instant::from_micros(start.micros() - 1),
            changes_at: calendar.next_boundary(period, of.arguments.as_of()),
        }
    }

    /// As of when the rows are.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// What is kept.
    pub(super) async fn look(&self) -> Result<Looked, ReportError> {
        let work = self.work();
        let looking = tokio::task::spawn_blocking(move || work.look());
        let looked = looking.await.map_err(|error| ReportError::Unanswered(error.to_string()))?;
        Ok(looked.map_err(EngineError::from)?)
    }

    /// Keeps what was found.
    pub(super) async fn keep(&self, found: Found) -> Result<Found, ReportError> {
        let Given::Whole(rows) = found.given else {
            return Err(ReportError::Unanswered("a leaf in a fragment has no period".to_owned()));
        };
        let (work, kept) = (self.work(), rows.clone());
        let keeping = tokio::task::spawn_blocking(move || work.keep(kept));
        keeping
            .await
            .map_err(|error| ReportError::Unanswered(error.to_string()))?
            .map_err(EngineError::from)?;
        Ok(self.found(rows))
    }

    /// Rows that hold in this period.
    pub(super) fn found(&self, rows: Json) -> Found {
        Found { given: Given::Whole(rows), changes_at: Some(self.changes_at), ..Found::default() }
    }

    /// Rows in whose place others are to come.
    pub(super) fn for_now(rows: Option<Json>) -> Found {
        let rows = rows.unwrap_or_else(|| Json::Array(Vec::new()));
        Found { given: Given::Whole(rows), is_unsettled: true, ..Found::default() }
    }

    fn work(&self) -> Work {
        Work {
            snapshot: self.snapshot.clone(),
            scope: self.scope.clone(),
            tables: self.tables.clone(),
            what: self.what.clone(),
            at: self.at,
        }
    }
}

/// What is kept of a question.
pub(super) enum Looked {
    Holds(Json),
    /// It is of an earlier period, or rows of its own have come since; none that it was made of has gone.
    Earlier(Json),
    Nothing,
}

/// What became of a table since it was read.
enum Since {
    /// All that came is later than the period's start.
    Later(TableRead),
    /// Not all of it is.
    Within,
    /// Some rows have gone.
    Gone,
}

/// What reads rows, on a thread that may block.
struct Work {
    snapshot: Snapshot,
    scope: Scope,
    tables: Arc<[TableName]>,
    what: Arc<str>,
    at: Instant,
}

impl Work {
    fn look(&self) -> Result<Looked, StoreError> {
        let Some(host) = self.tables.first() else { return Ok(Looked::Nothing) };
        let Some(kept) = self.snapshot.derived_before::<Kept>(&self.scope, host, &self.what)? else {
            return Ok(Looked::Nothing);
        };
        if kept.reads.len() != self.tables.len() {
            return Ok(Looked::Nothing);
        }
        let mut holds = kept.at == self.at;
        let mut reads = Vec::with_capacity(self.tables.len());
        for (table, read) in self.tables.iter().zip(&kept.reads) {
            match self.since(table, *read)? {
                Since::Later(read) => reads.push(read),
                Since::Within => holds = false,
                Since::Gone => return Ok(Looked::Nothing),
            }
        }
        let rows = kept.rows.clone();
        if !holds {
            return Ok(Looked::Earlier(rows));
        }
        if reads != kept.reads {
            // The next look begins where this one has ended.
            self.put(host, Kept { at: self.at, reads, rows: rows.clone() })?;
        }
        Ok(Looked::Holds(rows))
    }

    fn since(&self, table: &TableName, read: TableRead) -> Result<Since, StoreError> {
        let now = self.snapshot.table(&self.scope, table)?;
        if now.read() == read {
            return Ok(Since::Later(read));
        }
        // It was kept by one who has seen more.
        if now.version() < read.version() {
            return Ok(Since::Within);
        }
        let Some(arrived) = self.snapshot.arrived_since(&self.scope, table, read)? else {
            return Ok(Since::Gone);
        };
        let time = arrived.schema().time;
        for part in arrived.parts() {
            let columns = time.map_or(ColumnRef::Tenant, ColumnRef::Declared);
            for batch in part.scan(&[columns])? {
                let batch = batch?;
                // A row without a time is one of any moment.
                let is_later = |time: Option<i64>| time.is_some_and(|time| time > self.at.micros());
                let all_later = time.is_some()
                    && batch.column(0).as_primitive::<TimestampMicrosecondType>().iter().all(is_later);
                if batch.num_rows() > 0 && !all_later {
                    return Ok(Since::Within);
                }
            }
        }
        Ok(Since::Later(now.read()))
    }

    fn keep(&self, rows: Json) -> Result<(), StoreError> {
        let Some(host) = self.tables.first() else { return Ok(()) };
        let read = |table| Ok::<_, StoreError>(self.snapshot.table(&self.scope, table)?.read());
        let reads = self.tables.iter().map(read).collect::<Result<_, _>>()?;
        self.put(host, Kept { at: self.at, reads, rows })
    }

    fn put(&self, host: &TableName, kept: Kept) -> Result<(), StoreError> {
        let bytes = kept.rows.to_string().len() + self.what.len();
        self.snapshot.keep_derived(&self.scope, host, &self.what, &Arc::new(kept), bytes)
    }
}
