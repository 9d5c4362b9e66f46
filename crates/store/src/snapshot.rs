//! A consistent view of an app's tables, and the one way to read rows: through a scope.
//!
//! A table is a list of parts (segments and what is still in memory). Each part yields live rows of
//! the scope only, sorted by (tenant, actor, time, sequence) for an event stream and by (tenant, key,
//! sequence) for an entity. A row that was replaced or deleted is never yielded, so readers know
//! nothing of versions.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use ebbtide_model::{AppSchema, Scope, TableName, TableSchema, TenantId, Tenants};
use roaring::RoaringTreemap;

use crate::chunk::Chunk;
use crate::directory::Directory;
use crate::scan::Scan;
use crate::segment::LiveSegment;
use crate::{ColumnRef, StoreError};

/// All tables of an app at one moment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot {
    app: Arc<AppSchema>,
    tables: Arc<HashMap<TableName, Arc<TableRows>>>,
    watermark: u64,
}

/// A table's rows at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableRows {
    pub(crate) runs: Vec<Run>,
    pub(crate) version: u64,
}

/// A sorted run, and which of its rows are dead.
#[derive(Clone, Debug)]
pub(crate) enum Run {
    Memory {
        chunk: Arc<Chunk>,
        /// By sequence.
        dead: Arc<RoaringTreemap>,
    },
    Segment {
        live: LiveSegment,
        /// The table's stored columns of today; the segment may be older.
        stored: SchemaRef,
    },
}

impl Snapshot {
    pub(crate) fn new(
        app: Arc<AppSchema>,
        tables: Arc<HashMap<TableName, Arc<TableRows>>>,
        watermark: u64,
    ) -> Self {
        Self { app, tables, watermark }
    }

    /// Rows that were never stored, for the oracles of tests: batches of
    /// [`stored_schema`](crate::stored_schema), each of which is a part.
    pub fn of_batches(
        app: Arc<AppSchema>,
        tables: Vec<(TableName, Vec<RecordBatch>)>,
    ) -> Result<Self, StoreError> {
        let mut watermark = 0;
        let mut sorted = HashMap::new();
        for (name, batches) in tables {
            let table = known(&app, &name)?;
            let mut rows = TableRows::default();
            for batch in &batches {
                let chunk = Chunk::of_batches(table, std::slice::from_ref(batch))?;
                rows.version = rows.version.max(chunk.sequence_last);
                rows.runs.push(Run::Memory { chunk: Arc::new(chunk), dead: Arc::default() });
            }
            watermark = watermark.max(rows.version);
            sorted.insert(name, Arc::new(rows));
        }
        Ok(Self { app, tables: Arc::new(sorted), watermark })
    }

    pub fn app(&self) -> &Arc<AppSchema> {
        &self.app
    }

    /// The snapshot holds what was written up to this arrival number, and nothing later.
    pub fn watermark(&self) -> u64 {
        self.watermark
    }

    /// As [`TableView::version`], without looking for the rows.
    pub fn version(&self, scope: &Scope, name: &TableName) -> Result<u64, StoreError> {
        if *scope.app() != self.app.app {
            return Err(StoreError::ForeignScope);
        }
        match self.tables.get(name) {
            Some(rows) => Ok(rows.version),
            None => known(&self.app, name).map(|_| 0),
        }
    }

    /// The tenants that have rows in a table, or had some not long ago, within the scope; ascending.
    pub fn tenants(&self, scope: &Scope, name: &TableName) -> Result<Vec<TenantId>, StoreError> {
        let view = self.table(scope, name)?;
        let mut tenants: BTreeSet<&str> = BTreeSet::new();
        for part in &view.parts {
            let all = part.run.directory().iter();
            let own = all.filter(|(_, rows)| part.rows.start <= rows.start && rows.end <= part.rows.end);
            tenants.extend(own.filter(|(_, rows)| !rows.is_empty()).map(|(tenant, _)| &**tenant));
        }
        Ok(tenants.into_iter().map(TenantId::new).collect())
    }

    /// The rows of a table that the scope sees.
    pub fn table(&self, scope: &Scope, name: &TableName) -> Result<TableView, StoreError> {
        if *scope.app() != self.app.app {
            return Err(StoreError::ForeignScope);
        }
        let table = known(&self.app, name)?.clone();
        let rows = self.tables.get(name).cloned().unwrap_or_default();
        let mut parts = Vec::new();
        for run in &rows.runs {
            let part = Part::of_run(run, scope.tenants());
            if !part.rows.is_empty() {
                parts.push(part);
            }
        }
        Ok(TableView { table: Arc::new(table), parts, version: rows.version })
    }
}

pub(crate) fn known<'a>(app: &'a AppSchema, name: &TableName) -> Result<&'a TableSchema, StoreError> {
    let known = || app.tables.iter().map(|table| table.name.clone()).collect();
    app.table(name).ok_or_else(|| StoreError::UnknownTable { table: name.clone(), known: known() })
}

/// A table's rows within a scope, at one moment.
#[derive(Clone, Debug)]
pub struct TableView {
    table: Arc<TableSchema>,
    parts: Vec<Part>,
    version: u64,
}

impl TableView {
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.table
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Grows with each write to the table, by whichever tenant; 0 before the first one. The same
    /// version means the same rows, after a restart too.
    pub fn version(&self) -> u64 {
        self.version
    }
}

/// A sorted run of a table's rows.
#[derive(Clone, Debug)]
pub struct Part {
    run: Run,
    rows: Range<u32>,
}

impl Part {
    fn of_run(run: &Run, tenants: &Tenants) -> Self {
        let directory = run.directory();
        let rows = match tenants {
            Tenants::All => 0..directory.rows(),
            Tenants::One(tenant) => directory.range(tenant.as_str()),
        };
        Self { run: run.clone(), rows }
    }

    /// How many rows a scan yields, or more where some of them are dead.
    pub fn rows_max(&self) -> usize {
        self.rows.len()
    }

    /// The part's rows in order, with just these columns in this order.
    pub fn scan(&self, columns: &[ColumnRef]) -> Result<Scan, StoreError> {
        match &self.run {
            Run::Memory { chunk, dead } => Scan::memory(chunk, dead, self.rows.clone(), columns),
            Run::Segment { live, stored } => Scan::segment(live, self.rows.clone(), stored, columns),
        }
    }

    /// The lowest and highest time of its rows, in microseconds, and perhaps of some more; `None` where
    /// that is not known, or no row has a time.
    pub fn time_range(&self) -> Option<(i64, i64)> {
        match &self.run {
            Run::Memory { .. } => None,
            Run::Segment { live, .. } => live.segment.descriptor.times,
        }
    }
}

impl Run {
    fn directory(&self) -> &Directory {
        match self {
            Self::Memory { chunk, .. } => &chunk.directory,
            Self::Segment { live, .. } => &live.segment.directory,
        }
    }
}
