//! A consistent view of an app's tables, and the one way to read rows: through a scope.
//!
//! A table is a list of parts (segments and what is still in memory). Each part yields live rows of
//! the scope only, sorted by (tenant, actor, time, sequence) for an event stream and by (tenant, key,
//! sequence) for an entity. A row that was replaced or deleted is never yielded, so readers know
//! nothing of versions.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{FieldRef, SchemaRef, TimestampMicrosecondType, UInt64Type};
use ebbtide_model::{
    AppSchema, Column, Instant, Property, PropertyKind, Scope, TableName, TableSchema, TenantId, Tenants,
    type_of_kinds,
};
use roaring::{RoaringBitmap, RoaringTreemap};

use crate::assembly::Asked;
use crate::changes::Versions;
use crate::chunk::{Chunk, tenants_of};
use crate::columns::{DECLARED_INDEX, SEQUENCE_INDEX, TENANT_INDEX, property_field};
use crate::derived::Derived;
use crate::directory::Directory;
use crate::fs::FileSystem;
use crate::lanes::Lanes;
use crate::owners::Owners;
use crate::properties::{Properties, Visible};
use crate::scan::Scan;
use crate::segment::{
    self, DecodedColumns, GROUP_ROWS, Lifetime, LiveSegment, Segment, SegmentWriter, SpineColumns, SpineScan,
};
use crate::time_search::TimeSearch;
use crate::{ColumnRef, Settings, StoreError, stored_schema};

/// All tables of an app at one moment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot {
    app: Arc<AppSchema>,
    tables: Arc<HashMap<TableName, Arc<TableRows>>>,
}

/// A table's rows at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableRows {
    pub(crate) runs: Vec<Run>,
    pub(crate) versions: Versions,
    pub(crate) properties: Properties,
    pub(crate) derived: Arc<Derived>,
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
        decoded: Arc<DecodedColumns>,
    },
}

impl Snapshot {
    pub(crate) fn new(app: Arc<AppSchema>, tables: Arc<HashMap<TableName, Arc<TableRows>>>) -> Self {
        Self { app, tables }
    }

    /// Rows that were never stored, for the oracles of tests: batches of
    /// [`stored_schema`](crate::stored_schema), each of which is a part.
    pub fn of_batches(
        app: Arc<AppSchema>,
        tables: Vec<(TableName, Vec<RecordBatch>)>,
    ) -> Result<Self, StoreError> {
        let mut sorted = HashMap::new();
        for (name, batches) in tables {
            let table = known(&app, &name)?;
            let mut rows = TableRows::default();
            for batch in &batches {
                let chunk = Chunk::of_batches(table, std::slice::from_ref(batch))?;
                rows.versions.note_rows(&chunk.directory);
                let tenants = tenants_of(chunk.batch.column(TENANT_INDEX))?;
                rows.properties.note_rows(&chunk.batch, &tenants);
                rows.runs.push(Run::Memory { chunk: Arc::new(chunk), dead: Arc::default() });
            }
            sorted.insert(name, Arc::new(rows));
        }
        Ok(Self { app, tables: Arc::new(sorted) })
    }

    /// The same rows, of which each batch that is to be `written`, by its place among its table's, is a segment of
    /// a folder.
    pub fn of_segments(
        app: Arc<AppSchema>,
        tables: Vec<(TableName, Vec<RecordBatch>)>,
        fs: &Arc<dyn FileSystem>,
        written: impl Fn(usize) -> bool,
    ) -> Result<Self, StoreError> {
        let mut snapshot = Self::of_batches(app, tables)?;
        let (mut owners, mut id) = (Owners::default(), 0);
        let decoded = Arc::new(DecodedColumns::new(Settings::default().decoded_bytes_max));
        let mut tables = HashMap::new();
        fs.create_dir_all(Path::new(segment::DIRECTORY))?;
        for (name, rows) in snapshot.tables.iter() {
            let table = known(&snapshot.app, name)?;
            let mut rows = TableRows::clone(rows);
            for (_, run) in rows.runs.iter_mut().enumerate().filter(|(place, _)| written(*place)) {
                let Run::Memory { chunk, .. } = run else { continue };
                id += 1;
                let mut writer =
                    SegmentWriter::create(fs.clone(), id, table, &chunk.batch, Lifetime::Lasting)?;
                writer.write(&chunk.batch)?;
                let descriptor = writer.finish_rows()?.finish(&chunk.directory)?;
                let segment = Arc::new(Segment::open(fs.as_ref(), descriptor)?);
                let live = LiveSegment::new(segment, &mut owners);
                *run = Run::Segment { live, decoded: decoded.clone() };
            }
            tables.insert(name.clone(), Arc::new(rows));
        }
        snapshot.tables = Arc::new(tables);
        Ok(snapshot)
    }

    /// The same rows but for some, named by their arrival numbers, that have died. For the oracles of tests.
    pub fn without(&self, is_dead: impl Fn(u64) -> bool) -> Result<Self, StoreError> {
        let mut tables = (*self.tables).clone();
        for (name, rows) in &mut tables {
            let columns = Arc::new(ViewColumns::closed(
                &Arc::new(known(&self.app, name)?.clone()),
                &stored_schema(known(&self.app, name)?),
            ));
            for run in &mut Arc::make_mut(rows).runs {
                let mut numbers: Vec<u64> = Vec::new();
                for batch in Part::whole(run, &columns).scan(&[ColumnRef::Sequence])? {
                    numbers.extend(batch?.column(0).as_primitive::<UInt64Type>().values());
                }
                match run {
                    Run::Memory { dead, .. } => {
                        Arc::make_mut(dead).extend(numbers.into_iter().filter(|number| is_dead(*number)));
                    }
                    Run::Segment { live, .. } => {
                        let dying = (0..).zip(numbers).filter(|(_, number)| is_dead(*number));
                        dying.for_each(|(row, _)| live.kill(row));
                    }
                }
            }
        }
        Ok(Self { tables: Arc::new(tables), ..self.clone() })
    }

    /// The app's tables: those that its packs declare, or as [`Snapshot::evolved`] has made them.
    pub fn app(&self) -> &Arc<AppSchema> {
        &self.app
    }

    /// The same rows, with the open tables' properties as columns of their tables: those that the scope's
    /// own rows have, by name, and behind them those of `names` that are neither columns nor properties.
    /// Their type is `mixed`, and they are missing in every row, save in rows that have more properties
    /// than there are columns for. To be asked for this scope.
    pub fn evolved<'n>(&self, scope: &Scope, names: impl IntoIterator<Item = &'n str>) -> Self {
        if self.app.tables.iter().all(|table| table.open.is_none()) {
            return self.clone();
        }
        let mut app = (*self.app).clone();
        for table in app.tables.iter_mut().filter(|table| table.open.is_some()) {
            let properties = self.tables.get(&table.name).map(|rows| rows.properties.clone());
            let visible = properties.unwrap_or_default().visible(scope.tenants());
            evolve(table, &visible);
        }
        Self { app: Arc::new(app.assuming(names)), tables: self.tables.clone() }
    }

    /// The kinds of a property's values in the scope's rows of an open table; `overflow` where some of them may
    /// have no column.
    pub fn property_kinds(
        &self,
        scope: &Scope,
        table: &TableName,
        name: &str,
    ) -> Result<Vec<PropertyKind>, StoreError> {
        let (_, rows) = self.find(scope, table)?;
        let Some(rows) = rows else { return Ok(Vec::new()) };
        let visible = rows.properties.visible(scope.tenants());
        let overflow = visible.overflows(name).then_some(PropertyKind::Overflow);
        Ok(visible.of(name).iter().map(|(_, property)| property.kind).chain(overflow).collect())
    }

    /// The highest of the [versions](TableView::version) that these tables have within a scope: how far
    /// an answer from them reaches.
    pub fn watermark<'n>(
        &self,
        scope: &Scope,
        tables: impl IntoIterator<Item = &'n TableName>,
    ) -> Result<u64, StoreError> {
        let mut watermark = 0;
        for name in tables {
            watermark = watermark.max(self.version(scope, name)?);
        }
        Ok(watermark)
    }

    /// As [`TableView::version`], without looking for the rows.
    pub fn version(&self, scope: &Scope, name: &TableName) -> Result<u64, StoreError> {
        let (_, rows) = self.find(scope, name)?;
        Ok(rows.map_or(0, |rows| rows.version(scope.tenants())))
    }

    /// What a reader has made of the very rows that the scope sees in a table, by its name and type; see
    /// [`Snapshot::keep_derived`]. They may lie in other parts by now: whoever goes by places of rows compares
    /// [identities](Part::identity) besides.
    pub fn derived<T: Any + Send + Sync>(
        &self,
        scope: &Scope,
        name: &TableName,
        what: &str,
    ) -> Result<Option<Arc<T>>, StoreError> {
        let (_, rows) = self.find(scope, name)?;
        let tenants = scope.tenants();
        Ok(rows.and_then(|rows| rows.derived.find(tenants, what, rows.version(tenants))))
    }

    /// What a reader has made, under the same name, of these or of other rows that the scope saw in a table: to
    /// make what is wanted from.
    pub fn derived_before<T: Any + Send + Sync>(
        &self,
        scope: &Scope,
        name: &TableName,
        what: &str,
    ) -> Result<Option<Arc<T>>, StoreError> {
        let (_, rows) = self.find(scope, name)?;
        Ok(rows.and_then(|rows| rows.derived.find_any(scope.tenants(), what)))
    }

    /// Keeps what was made of the rows that the scope sees in a table, so that others who see the same find
    /// it, until there is no room. `bytes` is about what it takes in memory.
    pub fn keep_derived<T: Any + Send + Sync>(
        &self,
        scope: &Scope,
        name: &TableName,
        what: &str,
        value: &Arc<T>,
        bytes: usize,
    ) -> Result<(), StoreError> {
        let (_, rows) = self.find(scope, name)?;
        let tenants = scope.tenants();
        if let Some(rows) = rows {
            rows.derived.keep(tenants, what, rows.version(tenants), (value.clone(), bytes));
        }
        Ok(())
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

    /// The rows of a table that the scope sees and that came since somebody read it within the scope, in a snapshot
    /// that is no later than this one; `None` where some of those that were read may be gone.
    pub fn arrived_since(
        &self,
        scope: &Scope,
        name: &TableName,
        read: TableRead,
    ) -> Result<Option<TableView>, StoreError> {
        let mut view = self.table(scope, name)?;
        if view.lost != read.lost {
            return Ok(None);
        }
        view.parts.retain_mut(|part| part.leave_later_than(read.version, scope.tenants()));
        Ok(Some(view))
    }

    /// The rows of a table that the scope sees.
    pub fn table(&self, scope: &Scope, name: &TableName) -> Result<TableView, StoreError> {
        let (table, rows) = self.find(scope, name)?;
        let table = Arc::new(table.clone());
        let visible = match (&table.open, rows) {
            (Some(_), Some(rows)) => rows.properties.visible(scope.tenants()),
            (_, _) => Visible::default(),
        };
        let columns = Arc::new(ViewColumns { stored: stored_schema(&table), table: table.clone(), visible });
        let mut view = TableView { table, columns: columns.clone(), parts: Vec::new(), version: 0, lost: 0 };
        if let Some(rows) = rows {
            let parts = rows.runs.iter().map(|run| Part::of_run(run, scope.tenants(), &columns));
            view.parts.extend(parts.filter(|part| !part.rows.is_empty()));
            view.version = rows.version(scope.tenants());
            view.lost = rows.lost(scope.tenants());
        }
        Ok(view)
    }

    fn find(
        &self,
        scope: &Scope,
        name: &TableName,
    ) -> Result<(&TableSchema, Option<&Arc<TableRows>>), StoreError> {
        if *scope.app() != self.app.app {
            return Err(StoreError::ForeignScope);
        }
        Ok((known(&self.app, name)?, self.tables.get(name)))
    }
}

impl TableRows {
    fn version(&self, tenants: &Tenants) -> u64 {
        match tenants {
            Tenants::All => self.versions.of_all(),
            Tenants::One(tenant) => self.versions.of(tenant.as_str()),
        }
    }

    fn lost(&self, tenants: &Tenants) -> u64 {
        match tenants {
            Tenants::All => self.versions.lost_of_all(),
            Tenants::One(tenant) => self.versions.lost_of(tenant.as_str()),
        }
    }
}

/// Adds properties to a table's columns.
fn evolve(table: &mut TableSchema, visible: &Visible) {
    table.columns.truncate(table.declared().len());
    let mut columns: Vec<Column> = Vec::new();
    let is_declared = |name: &str| table.columns.iter().any(|column| column.name == name);
    for same in visible.columns.chunk_by(|(_, a), (_, b)| a.name == b.name) {
        let name = &same[0].1.name;
        let overflow = visible.overflows(name).then_some(PropertyKind::Overflow);
        let column_type = type_of_kinds(same.iter().map(|(_, property)| property.kind).chain(overflow));
        columns.push(Column { name: name.to_string(), column_type, nullable: true });
    }
    columns.retain(|column| !is_declared(&column.name));
    table.columns.extend(columns);
    if let Some(open) = &mut table.open {
        open.known = table.columns.len();
    }
}

pub(crate) fn known<'a>(app: &'a AppSchema, name: &TableName) -> Result<&'a TableSchema, StoreError> {
    let known = || app.declared_tables().map(|table| table.name.clone()).collect();
    app.table(name).ok_or_else(|| StoreError::UnknownTable { table: name.clone(), known: known() })
}

/// A table's rows within a scope, at one moment.
#[derive(Clone, Debug)]
pub struct TableView {
    table: Arc<TableSchema>,
    columns: Arc<ViewColumns>,
    parts: Vec<Part>,
    version: u64,
    /// The change by which one of the scope's rows last went away.
    lost: u64,
}

/// How far a table was read within a scope, in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRead {
    version: u64,
    lost: u64,
}

impl TableRead {
    /// The [version](TableView::version) of what was read.
    pub fn version(self) -> u64 {
        self.version
    }
}

impl TableView {
    /// That these rows are read.
    pub fn read(&self) -> TableRead {
        TableRead { version: self.version, lost: self.lost }
    }

    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.table
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The stored columns of properties that the scope's rows of an open table have, by name and kind; the
    /// last one may be of kind `overflow`. Each is read as [`ColumnRef::Property`] of the index before it,
    /// in the type of its kind; in a row one kind of a name at most is not null.
    pub fn properties(&self) -> impl Iterator<Item = (usize, &Property)> {
        let visible = &self.columns.visible;
        visible.columns.iter().chain(&visible.overflow).map(|(index, property)| (*index, property))
    }

    /// The arrival number of the last change of the scope's own rows: it grows with each write that
    /// stores, replaces or deletes one of them, and with no other; 0 before the first one. The same
    /// version means the same rows, after a restart too.
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl TableView {
    /// The latest time of a row, as far as is known without reading segments: of a scope that sees all. A row that
    /// was deleted may count until it is compacted away.
    pub fn latest_time(&self) -> Result<Option<Instant>, StoreError> {
        let Some(time) = self.table.time else { return Ok(None) };
        let mut latest = None;
        for part in &self.parts {
            match &part.run {
                Run::Memory { .. } => {
                    for batch in part.scan(&[ColumnRef::Declared(time)])? {
                        let batch = batch?;
                        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
                        latest = latest.max(arrow::compute::max(times));
                    }
                }
                Run::Segment { .. } => latest = latest.max(part.time_range().map(|(_, last)| last)),
            }
        }
        Ok(latest.map(Instant::from_micros))
    }

    /// When the next row comes into existence, for one who asks at `as_of`: no row of the scope has a
    /// time in between, and one may have this time. `None` where none is later.
    ///
    /// Reads next to nothing where, as usual, few rows are dated later than `as_of`.
    pub fn next_time_after(&self, as_of: Instant) -> Result<Option<Instant>, StoreError> {
        let Some(time) = self.table.time else { return Ok(None) };
        let mut search = TimeSearch::new(as_of.micros());
        for part in &self.parts {
            match &part.run {
                Run::Memory { .. } => search.read(part.scan(&[ColumnRef::Declared(time)])?)?,
                Run::Segment { live, .. } => {
                    let field = &self.columns.stored.fields()[DECLARED_INDEX + time];
                    search.segment(live, &part.rows, field)?;
                }
            }
        }
        Ok(search.found().map(Instant::from_micros))
    }
}

/// Rows that all have a time, and times that none of them is before or after, in microseconds.
#[derive(Clone, Debug)]
pub struct TimeBounds {
    /// Of the segment.
    pub rows: Range<u32>,
    pub first: i64,
    pub last: i64,
}

/// Which rows of a table a part has.
#[derive(Clone, Debug)]
pub struct PartIdentity {
    run: RunIdentity,
    rows: Range<u32>,
    after: Option<u64>,
}

#[derive(Clone, Debug)]
enum RunIdentity {
    /// The first and the last to arrive of so many rows: no other run of the table ever has these.
    Memory {
        first: u64,
        last: u64,
        rows: usize,
        dead: Arc<RoaringTreemap>,
    },
    Segment {
        id: u64,
        dead: Arc<RoaringBitmap>,
    },
}

impl PartialEq for PartIdentity {
    fn eq(&self, other: &Self) -> bool {
        if (&self.rows, self.after) != (&other.rows, other.after) {
            return false;
        }
        match (&self.run, &other.run) {
            (RunIdentity::Segment { id, dead }, RunIdentity::Segment { id: other_id, dead: other_dead }) => {
                id == other_id
                    && (Arc::ptr_eq(dead, other_dead)
                        || dead.range(self.rows.clone()).eq(other_dead.range(self.rows.clone())))
            }
            (
                RunIdentity::Memory { first, last, rows, dead },
                RunIdentity::Memory {
                    first: other_first,
                    last: other_last,
                    rows: other_rows,
                    dead: other_dead,
                },
            ) => {
                (first, last, rows) == (other_first, other_last, other_rows)
                    && (Arc::ptr_eq(dead, other_dead) || dead == other_dead)
            }
            (RunIdentity::Segment { .. }, RunIdentity::Memory { .. })
            | (RunIdentity::Memory { .. }, RunIdentity::Segment { .. }) => false,
        }
    }
}

/// A sorted run of a table's rows.
#[derive(Clone, Debug)]
pub struct Part {
    pub(crate) run: Run,
    rows: Range<u32>,
    columns: Arc<ViewColumns>,
    /// It has those alone that arrived with a higher number.
    after: Option<u64>,
}

/// The columns that may be asked for.
#[derive(Debug)]
pub(crate) struct ViewColumns {
    table: Arc<TableSchema>,
    /// Of the declared ones.
    stored: SchemaRef,
    visible: Visible,
}

impl ViewColumns {
    /// Of a table without properties.
    pub(crate) fn closed(table: &Arc<TableSchema>, stored: &SchemaRef) -> Self {
        Self { table: table.clone(), stored: stored.clone(), visible: Visible::default() }
    }

    fn stored_field(&self, place: usize) -> Result<&FieldRef, StoreError> {
        let missing = || StoreError::WrongShape { detail: format!("there is no stored column {place}") };
        self.stored.fields().get(place).ok_or_else(missing)
    }

    fn ask(&self, columns: &[ColumnRef]) -> Result<Asked, StoreError> {
        let mut asked = Asked::default();
        for column in columns {
            match *column {
                ColumnRef::Tenant => asked.stored(self.stored_field(TENANT_INDEX)?),
                ColumnRef::Sequence => asked.stored(self.stored_field(SEQUENCE_INDEX)?),
                ColumnRef::Declared(index) => {
                    match self.table.properties().get(index.wrapping_sub(self.table.declared().len())) {
                        Some(property) => asked.property(property, &self.visible),
                        None => asked.stored(self.stored_field(DECLARED_INDEX + index)?),
                    }
                }
                ColumnRef::Property(index) => {
                    let mut own = self.visible.columns.iter().chain(&self.visible.overflow);
                    let own = own.find(|(own, _)| *own == index);
                    let missing =
                        || StoreError::WrongShape { detail: format!("there is no property {index}") };
                    let (_, property) = own.ok_or_else(missing)?;
                    asked.stored(&Arc::new(property_field(property)));
                }
            }
        }
        Ok(asked)
    }
}

impl Part {
    /// All rows of a run.
    pub(crate) fn whole(run: &Run, columns: &Arc<ViewColumns>) -> Self {
        Self::of_run(run, &Tenants::All, columns)
    }

    fn of_run(run: &Run, tenants: &Tenants, columns: &Arc<ViewColumns>) -> Self {
        let directory = run.directory();
        let rows = match tenants {
            Tenants::All => 0..directory.rows(),
            Tenants::One(tenant) => directory.range(tenant.as_str()),
        };
        Self { run: run.clone(), rows, columns: columns.clone(), after: None }
    }

    /// Leaves the rows that arrived with a higher number; false where there can be none.
    fn leave_later_than(&mut self, number: u64, tenants: &Tenants) -> bool {
        self.after = Some(number);
        let own = match tenants {
            Tenants::All => 0,
            Tenants::One(tenant) => self.run.directory().last_number_of(tenant.as_str()),
        };
        // Older segments do not keep it of each tenant.
        let last = if own == 0 { self.run.last_number() } else { own };
        last > number
    }

    /// How many rows a scan yields, or more where some of them are dead.
    pub fn rows_max(&self) -> usize {
        self.rows.len()
    }

    /// The part in so many pieces, or fewer where it is small: together they have its rows, in order. They
    /// are cut where a group of rows begins in the file, so that none is decoded twice.
    #[must_use]
    pub fn split(&self, pieces: usize) -> Vec<Self> {
        let group = u32::try_from(GROUP_ROWS).unwrap_or(u32::MAX);
        let step = u32::try_from(self.rows.len().div_ceil(pieces.max(1))).unwrap_or(u32::MAX).max(1);
        let mut parts = Vec::new();
        let mut start = self.rows.start;
        while start < self.rows.end {
            // The beginning of a later group that is nearest to an even cut.
            let even = start.saturating_add(step).saturating_add(group / 2) / group;
            let cut = even.max(start / group + 1).saturating_mul(group);
            let last = parts.len() + 1 >= pieces || cut >= self.rows.end;
            let end = if last { self.rows.end } else { cut };
            parts.push(Self { rows: start..end, ..self.clone() });
            start = end;
        }
        parts
    }

    /// The part's rows in order, with just these columns in this order.
    pub fn scan(&self, columns: &[ColumnRef]) -> Result<Scan, StoreError> {
        let mut asked = self.columns.ask(columns)?;
        let scan = match &self.run {
            Run::Memory { chunk, dead } => {
                Scan::memory(chunk, dead, self.rows.clone(), &asked.read, self.after)?
            }
            Run::Segment { live, decoded } => match self.after {
                None => Scan::segment(live, self.rows.clone(), &asked.read, Some(decoded))?,
                Some(after) => {
                    let numbers = asked.read_too(self.columns.stored_field(SEQUENCE_INDEX)?);
                    let scan = Scan::segment(live, self.rows.clone(), &asked.read, Some(decoded))?;
                    scan.after(numbers, after)
                }
            },
        };
        Ok(scan.assembled(asked.assembly()))
    }

    /// These columns of its rows, for a reader of some of them; `None` where the rows are in memory, or are those
    /// alone that arrived since.
    pub fn lanes(&self, columns: &[ColumnRef]) -> Result<Option<Lanes>, StoreError> {
        let asked = self.columns.ask(columns)?;
        match &self.run {
            Run::Memory { .. } => Ok(None),
            Run::Segment { .. } if self.after.is_some() => Ok(None),
            Run::Segment { live, decoded } => Lanes::new(live, &self.rows, asked, decoded).map(Some),
        }
    }

    /// Those of its rows whose file says that all have a time in this column.
    pub fn timed_rows(&self, time: usize) -> Result<Vec<TimeBounds>, StoreError> {
        let Run::Segment { live, .. } = &self.run else { return Ok(Vec::new()) };
        let field = self.columns.stored_field(DECLARED_INDEX + time)?;
        let groups = live.segment.times_of(&self.rows, field.name())?.into_iter();
        Ok(groups
            .filter(|group| group.all_timed)
            .filter_map(|group| {
                let (first, last) = group.times?;
                Some(TimeBounds { rows: group.rows, first, last })
            })
            .collect())
    }

    /// The part's rows in order, as the spine of its segment has them, where there is one. What is found
    /// damaged on the way is not read again: a scan has the same rows.
    pub fn spine(&self, columns: &SpineColumns) -> Option<SpineScan> {
        match &self.run {
            Run::Memory { .. } => None,
            Run::Segment { .. } if self.after.is_some() => None,
            Run::Segment { live, .. } => {
                let stored = &self.columns.stored;
                let name = columns.name.map(|name| stored.field(DECLARED_INDEX + name));
                live.spine(self.rows.clone(), name.map(|field| field.name().as_str()))
            }
        }
    }

    /// Whose its rows are, ascending.
    pub fn tenants(&self) -> Vec<Arc<str>> {
        self.run.directory().within(&self.rows).into_iter().map(|(tenant, _)| tenant).collect()
    }

    /// Which rows they are: the same ones, in another snapshot of this process, are the same rows in the same
    /// order.
    pub fn identity(&self) -> PartIdentity {
        let run = match &self.run {
            Run::Memory { chunk, dead } => RunIdentity::Memory {
                first: chunk.sequence_first,
                last: chunk.sequence_last,
                rows: chunk.batch.num_rows(),
                dead: dead.clone(),
            },
            Run::Segment { live, .. } => {
                RunIdentity::Segment { id: live.segment.descriptor.id, dead: live.dead.clone() }
            }
        };
        PartIdentity { run, rows: self.rows.clone(), after: self.after }
    }

    /// Which rows of its run they are.
    pub fn run_rows(&self) -> Range<u32> {
        self.rows.clone()
    }

    /// Those of its rows that are among these of its run, as [`SpineScan::seek`] counts them.
    #[must_use]
    pub fn between(&self, rows: Range<u32>) -> Self {
        let start = rows.start.clamp(self.rows.start, self.rows.end);
        let rows = start..rows.end.clamp(start, self.rows.end);
        Self { rows, ..self.clone() }
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
    /// The highest arrival number of its rows.
    fn last_number(&self) -> u64 {
        match self {
            Self::Memory { chunk, .. } => chunk.sequence_last,
            Self::Segment { live, .. } => live.segment.descriptor.sequence_last,
        }
    }

    fn directory(&self) -> &Directory {
        match self {
            Self::Memory { chunk, .. } => &chunk.directory,
            Self::Segment { live, .. } => &live.segment.directory,
        }
    }
}
