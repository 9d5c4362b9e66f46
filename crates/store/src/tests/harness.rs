//! Drives a store without its threads, step by step, over a simulated disk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType, UInt64Type};
use ebbtide_model::{
    AppName, AppSchema, Calendar, Column, ColumnType, Scope, TableKind, TableName, TableSchema, TenantId,
    TenantRule, Tenants, WeekStart,
};
use jiff::tz::TimeZone;

use super::model::{Counts, Kind, NOBODY, Row, TABLES, TENANTS};
use crate::admission::prepare;
use crate::fs::{FileSystem, SimFs};
use crate::import::Importer;
use crate::lock::FolderLock;
use crate::maintenance::Shared;
use crate::recover::{self, Opened};
use crate::request::{Answer, Request};
use crate::snapshot::{Part, TableRead, TableView, ViewColumns};
use crate::store::FreshIds;
use crate::table::TableInfo;
use crate::{
    ColumnRef, NO_TIME, Occurrences, Receipt, Settings, Snapshot, SpineColumns, StoreError, declared_schema,
};

pub(super) const APP: &str = "shop";
pub(super) const FRESH: FreshIds = FreshIds { folder: 7, secret: 11 };

pub(super) fn app_name() -> AppName {
    AppName::new(APP)
}

pub(super) fn table_name(table: usize) -> TableName {
    TableName::new(TABLES[table].name)
}

#[expect(clippy::disallowed_methods, reason = "tests stand in for sign-in")]
pub(super) fn scope(tenant: Option<&str>) -> Scope {
    let tenants = tenant.map_or(Tenants::All, |tenant| Tenants::One(TenantId::new(tenant)));
    Scope::grant(app_name(), tenants)
}

pub(super) fn table_schema(name: &str, kind: Kind) -> TableSchema {
    let column = |name: &str, column_type: ColumnType| Column {
        name: name.to_owned(),
        column_type,
        nullable: name != "id",
    };
    TableSchema {
        name: TableName::new(name),
        kind: if kind == Kind::Entity { TableKind::Entity } else { TableKind::Events },
        columns: vec![
            column("tenant", ColumnType::Text),
            column("id", ColumnType::Int),
            column("actor", ColumnType::Int),
            column("at", ColumnType::Timestamp),
            column("note", ColumnType::Text),
        ],
        key: if kind == Kind::KeylessEvents { Vec::new() } else { vec![1] },
        tenant: TenantRule::Column { column: 0, default: None },
        actor: Some(2),
        time: Some(3),
        event_name: (kind != Kind::Entity).then_some(4),
        open: None,
        aliases: None,
        actor_props: None,
    }
}

pub(super) fn app() -> AppSchema {
    AppSchema {
        app: app_name(),
        calendar: Calendar::new(TimeZone::UTC, WeekStart::Monday),
        tables: TABLES
            .iter()
            .map(|table| {
                let mut schema = table_schema(table.name, table.kind);
                if let Some(parent) = table.parent {
                    schema.tenant = TenantRule::Parent { parent: table_name(parent), by: 2 };
                }
                schema
            })
            .collect(),
    }
}

pub(super) fn settings() -> Settings {
    Settings { compaction_fan_in: 3, import_chunk_rows: 4, ..Settings::default() }
}

/// Rows of one of the tables.
pub(super) fn batch_for(table: usize, rows: &[Row]) -> RecordBatch {
    let rows = batch(rows);
    if TABLES[table].parent.is_none() {
        return rows;
    }
    let mut columns = rows.columns().to_vec();
    columns[0] = arrow::array::new_null_array(columns[0].data_type(), rows.num_rows());
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

pub(super) fn counts(receipt: &Receipt) -> Counts {
    Counts {
        accepted: receipt.accepted,
        duplicates: receipt.duplicates,
        waiting: receipt.waiting,
        rejected: receipt.rejected.len(),
    }
}

/// Rows in declared columns.
pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let times = rows.iter().map(|row| row.at).collect::<TimestampMicrosecondArray>();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.tenant)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.id)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.actor).collect::<Int64Array>()),
        Arc::new(times.with_timezone("+00:00")),
        Arc::new(rows.iter().map(|row| row.note).collect::<StringArray>()),
    ];
    RecordBatch::try_new(declared_schema(&table_schema("any", Kind::KeyedEvents)), columns).unwrap()
}

pub(super) fn keys(ids: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    RecordBatch::try_from_iter([("id", column)]).unwrap()
}

/// A store that is driven by hand.
pub(super) struct Machine {
    pub(super) disk: SimFs,
    pub(super) shared: Arc<Shared>,
}

impl Machine {
    pub(super) fn open(disk: &SimFs) -> Result<Self, StoreError> {
        Self::open_with(disk, settings(), vec![app()])
    }

    pub(super) fn open_with(
        disk: &SimFs,
        settings: Settings,
        apps: Vec<AppSchema>,
    ) -> Result<Self, StoreError> {
        let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
        let lock = FolderLock::take(fs.as_ref())?;
        let Opened { writer, .. } = recover::open(fs, lock, settings, &FRESH, apps)?;
        Ok(Self { disk: disk.clone(), shared: Arc::new(Shared::new(writer, Vec::new())) })
    }

    pub(super) fn reopen(self) -> Result<Self, StoreError> {
        let disk = self.disk.clone();
        drop(self);
        Self::open(&disk)
    }

    /// The writer's own number of a table: there are more than the tests'.
    pub(super) fn index(&self, table: usize) -> usize {
        let writer = self.shared.writer();
        writer.tables.iter().position(|found| found.info.schema.name == table_name(table)).unwrap()
    }

    fn info(&self, table: usize) -> Arc<TableInfo> {
        let index = self.index(table);
        self.shared.writer().tables[index].info.clone()
    }

    pub(super) fn request(&self, table: usize, tenant: Option<&str>, rows: &RecordBatch) -> Request {
        let info = self.info(table);
        let prepared = prepare(&info, &scope(tenant), rows, crate::fingerprint::Keyless::Contents).unwrap();
        Request::Append {
            table: self.index(table),
            prepared: Box::new(prepared),
            occurrences: Occurrences::new(),
        }
    }

    pub(super) fn ask(&self, request: Request) -> Result<Answer, StoreError> {
        self.shared.writer().commit_group(vec![request]).pop().unwrap()
    }

    pub(super) fn append(&self, table: usize, rows: &[Row]) -> Result<Receipt, StoreError> {
        self.append_batch(table, None, &batch_for(table, rows))
    }

    pub(super) fn append_batch(
        &self,
        table: usize,
        tenant: Option<&str>,
        rows: &RecordBatch,
    ) -> Result<Receipt, StoreError> {
        match self.ask(self.request(table, tenant, rows))? {
            Answer::Appended(receipt) => Ok(receipt),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn delete(&self, table: usize, tenant: &str, ids: &[i64]) -> Result<u64, StoreError> {
        let info = self.info(table);
        let mut fingerprints = info.hasher.hash_keys(&info.schema, &keys(ids), tenant).unwrap();
        fingerprints.iter_mut().for_each(|fingerprint| *fingerprint = info.owned(*fingerprint, tenant));
        let table = self.index(table);
        match self.ask(Request::Delete { table, fingerprints, tenant: None })? {
            Answer::Deleted(rows) => Ok(rows),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn clear(&self, table: usize, tenant: Option<&str>) -> Result<u64, StoreError> {
        let table = self.index(table);
        match self.ask(Request::Clear { tables: vec![table], tenant: tenant.map(str::to_owned) })? {
            Answer::Cleared(rows) => Ok(rows.iter().sum()),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn import(&self, table: usize) -> Result<Importer, StoreError> {
        Importer::begin(self.shared.clone(), scope(None), self.index(table), self.info(table))
    }

    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.shared.flush()
    }

    pub(super) fn compact(&self) -> Result<(), StoreError> {
        self.shared.compact()
    }

    /// Compacts once, while something else happens.
    pub(super) fn compact_with(&self, meanwhile: impl FnOnce()) -> Result<(), StoreError> {
        let Some(job) = self.shared.writer().begin_compaction() else { return Ok(()) };
        let ended = job.run(&AtomicBool::new(false));
        meanwhile();
        match ended {
            Ok(written) => self.shared.writer().finish_compaction(job, written),
            Err(error) => {
                self.shared.writer().abandon_compaction(job);
                Err(error)
            }
        }
    }

    /// Flushes while something else happens.
    pub(super) fn flush_with(&self, meanwhile: impl FnOnce()) -> Result<(), StoreError> {
        let Some(job) = self.shared.writer().begin_flush()? else { return Ok(()) };
        let ended = job.run();
        meanwhile();
        match ended {
            Ok(written) => self.shared.writer().finish_flush(job, written),
            Err(error) => {
                self.shared.writer().abandon_flush(job);
                Err(error)
            }
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.shared.published.snapshot(&app_name()).unwrap()
    }

    pub(super) fn version(&self, table: usize, tenant: Option<&str>) -> u64 {
        self.snapshot().table(&scope(tenant), &table_name(table)).unwrap().version()
    }

    pub(super) fn rows(&self, table: usize, tenant: Option<&str>) -> Vec<Row> {
        rows(&self.snapshot(), table, tenant)
    }

    /// The rows that wait for their parent, which no reader sees, sorted.
    pub(super) fn waiting(&self, table: usize) -> Vec<Row> {
        let writer = self.shared.writer();
        let table = writer.tables.iter().find(|found| found.info.schema.name == table_name(table)).unwrap();
        let Some(area) = table.kin.area else { return Vec::new() };
        let mut rows = Vec::new();
        let info = &writer.tables[area].info;
        let view = Arc::new(ViewColumns::closed(&info.schema, &info.stored));
        for run in &writer.tables[area].rows(&writer.decoded).runs {
            for scanned in Part::whole(run, &view).scan(&columns()).unwrap() {
                rows.extend(decode(&scanned.unwrap()).into_iter().map(|(row, _)| row));
            }
        }
        assert_eq!(rows.len(), table.waiting.len());
        rows.sort();
        rows
    }
}

fn columns() -> Vec<ColumnRef> {
    let mut columns: Vec<ColumnRef> = (0..5).rev().map(ColumnRef::Declared).collect();
    columns.extend([ColumnRef::Sequence, ColumnRef::Tenant]);
    columns
}

/// What a scope sees of a table, sorted; each part was found in storage order.
pub(super) fn rows(snapshot: &Snapshot, table: usize, tenant: Option<&str>) -> Vec<Row> {
    rows_of(&snapshot.table(&scope(tenant), &table_name(table)).unwrap(), table)
}

/// How far a scope's rows of a table are read by whoever has this snapshot.
pub(super) fn read(snapshot: &Snapshot, table: usize, tenant: Option<&str>) -> TableRead {
    snapshot.table(&scope(tenant), &table_name(table)).unwrap().read()
}

/// What came since then, sorted; `None` where something that was read is gone.
pub(super) fn arrived_since(
    snapshot: &Snapshot,
    table: usize,
    tenant: Option<&str>,
    read: TableRead,
) -> Option<Vec<Row>> {
    let view = snapshot.arrived_since(&scope(tenant), &table_name(table), read).unwrap()?;
    Some(rows_of(&view, table))
}

fn rows_of(view: &TableView, table: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut arrivals = BTreeSet::new();
    for part in view.parts() {
        let mut count = 0;
        let mut last = None;
        let mut seen = Vec::new();
        for scanned in part.scan(&columns()).unwrap() {
            for (row, arrival) in decode(&scanned.unwrap()) {
                assert!(arrivals.insert(arrival), "two rows have one arrival number");
                let own = match TABLES[table].kind {
                    Kind::Entity => (row.tenant, Some(row.id), None, arrival),
                    Kind::KeyedEvents | Kind::KeylessEvents => (row.tenant, row.actor, row.at, arrival),
                };
                assert!(last.replace(own) < Some(own), "a part is out of order");
                seen.push(match TABLES[table].kind {
                    Kind::Entity => (row.tenant, Some(row.id), row.at, None),
                    Kind::KeyedEvents | Kind::KeylessEvents => (row.tenant, row.actor, row.at, row.note),
                });
                rows.push(row);
                count += 1;
            }
        }
        assert!(count <= part.rows_max());
        if let Some(found) = of_spine(part, view.schema()) {
            assert_eq!(found, seen, "the spine has what the rows have");
        }
        let counted: usize = part.scan(&[]).unwrap().map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(counted, count, "a scan without columns counts the rows");
    }
    rows.sort();
    rows
}

/// Whose an event is, when it was and what its name is.
type Behaviour = (&'static str, Option<i64>, Option<i64>, Option<&'static str>);

/// The living rows of a part by its spine, where it has one.
fn of_spine(part: &Part, table: &TableSchema) -> Option<Vec<Behaviour>> {
    let mut seen = Vec::new();
    for rows in part.spine(&SpineColumns::of(table)?)? {
        let rows = rows.unwrap();
        let actors = rows.actors.as_primitive::<Int64Type>();
        for row in 0..rows.times.len() {
            if rows.alive.as_ref().is_some_and(|alive| !alive.value(row)) {
                continue;
            }
            let place = u32::try_from(row).unwrap();
            let run = rows.starts.partition_point(|start| *start <= place) - 1;
            let (tenant, _) = rows.tenants.iter().find(|(_, own)| own.contains(&place)).unwrap();
            let code = rows.codes.get(row).and_then(|code| code.checked_sub(1));
            let name = code.map(|code| intern(&rows.names[usize::from(code)]));
            let time = Some(rows.times.at(row)).filter(|time| *time != NO_TIME);
            seen.push((intern(tenant), actors.is_valid(run).then(|| actors.value(run)), time, name));
        }
    }
    Some(seen)
}

/// Rows of a batch whose columns are the declared ones backwards, the arrival number and the tenant.
fn decode(batch: &RecordBatch) -> Vec<(Row, u64)> {
    let text = |column: usize, row: usize| {
        let array = batch.column(column).as_string::<i32>();
        array.is_valid(row).then(|| intern(array.value(row)))
    };
    let notes = 0;
    let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
    let actors = batch.column(2).as_primitive::<Int64Type>();
    let ids = batch.column(3).as_primitive::<Int64Type>();
    let arrivals = batch.column(5).as_primitive::<UInt64Type>();
    let tenants = arrow::compute::cast(batch.column(6), &arrow::datatypes::DataType::Utf8).unwrap();
    let tenants = tenants.as_string::<i32>();
    let row = |row: usize| {
        let tenant = intern(tenants.value(row));
        assert!(text(4, row).is_none_or(|own| own == tenant), "the tenant's own column and ours agree");
        let decoded = Row {
            tenant,
            id: ids.value(row),
            actor: actors.is_valid(row).then(|| actors.value(row)),
            at: times.is_valid(row).then(|| times.value(row)),
            note: text(notes, row),
        };
        (decoded, arrivals.value(row))
    };
    (0..batch.num_rows()).map(row).collect()
}

fn intern(text: &str) -> &'static str {
    let known = TENANTS.iter().chain(&NOTES).chain([&NOBODY]).find(|known| **known == text);
    known.unwrap_or_else(|| panic!("{text:?} was made up"))
}

pub(super) const NOTES: [&str; 2] = ["short", "a somewhat longer note, of which there are several in a file"];

/// Small random numbers; the same seed gives the same ones.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    pub(super) fn number(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.roll((to - from + 1).cast_unsigned())).unwrap()
    }

    pub(super) fn row(&mut self) -> Row {
        let mut small = |sides: u64| i64::try_from(self.roll(sides)).unwrap();
        let (id, actor, at, note) = (small(12), small(4), small(5), small(4));
        Row {
            tenant: TENANTS[usize::try_from(small(3)).unwrap()],
            id,
            actor: (actor > 0).then_some(actor),
            at: (at > 0).then_some(at * 1_000_000),
            note: usize::try_from(note).ok().and_then(|note| NOTES.get(note).copied()),
        }
    }

    pub(super) fn rows(&mut self, most: u64) -> Vec<Row> {
        (0..self.roll(most + 1)).map(|_| self.row()).collect()
    }
}
