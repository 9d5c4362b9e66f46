//! Opening a data folder: the manifest, the segments it names, what of them is dead, and what the log
//! has that is in no segment yet.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ebbtide_model::{AppName, AppSchema, TableName, TableSchema, TenantRule};

use crate::catalog::{Catalog, Clear};
use crate::changes::Changes;
use crate::chunk::{Chunk, sequences, tenants_of};
use crate::columns::TENANT_INDEX;
use crate::fingerprint::{Fingerprint, FolderSecret};
use crate::fs::FileSystem;
use crate::lock::FolderLock;
use crate::log::{Log, LogSettings, Record, RecordKind, RecoveryReport, apart};
use crate::manifest::{HexId, ManifestStore};
use crate::memtable::{KeyKind, KeyState};
use crate::owners::Owner;
use crate::payload::{decode_rows, take_keys};
use crate::remove::clear_with_area;
use crate::segment::{self, DecodedColumns, Segment};
use crate::store::FreshIds;
use crate::table::{Known, Lineage, Live, Table, TableInfo, waiting_area_name};
use crate::writer::{TableIndex, Writer};
use crate::{Settings, StoreError};

/// The writer of a folder, and what reading its log back has found.
pub(crate) struct Opened {
    pub(crate) writer: Writer,
    pub(crate) log: RecoveryReport,
}

/// Reads a folder back that `lock` holds.
pub(crate) fn open(
    fs: Arc<dyn FileSystem>,
    lock: FolderLock,
    settings: Settings,
    fresh: &FreshIds,
    apps: Vec<AppSchema>,
) -> Result<Opened, StoreError> {
    settings.validate()?;
    fs.create_dir_all(Path::new(segment::DIRECTORY))?;
    let (mut manifest, found) = ManifestStore::open::<Catalog>(fs.clone())?;
    let catalog = found.clone().unwrap_or_else(|| Catalog {
        folder: HexId(fresh.folder),
        secret: HexId(fresh.secret),
        sequence_next: 1,
        segment_next: 1,
        logged_next: 1,
        tables: Vec::new(),
    });
    let secret = FolderSecret::new(catalog.secret.0);
    let mut tables = declare(&secret, &catalog, &apps)?;
    restore(fs.as_ref(), &catalog, &mut tables)?;
    let known: BTreeSet<u64> =
        tables.iter().flat_map(|table| &table.segments).map(|live| live.segment.descriptor.id).collect();
    segment::remove_orphans(fs.as_ref(), |id| known.contains(&id))?;
    // Whatever the log will name is in the manifest first: no record is ever of an unknown table.
    let declared = Catalog { tables: tables.iter().map(Table::catalog).collect(), ..catalog };
    if found.as_ref() != Some(&declared) {
        manifest.commit(&declared)?;
    }
    let mut recovery = Log::open(fs.clone(), LogSettings::new(declared.folder))?;
    let mut replay = Replay { tables, logged_next: declared.logged_next, ..Replay::default() };
    for recovered in recovery.by_ref() {
        replay.apply(recovered?.record)?;
    }
    let (log, report) = recovery.finish()?;
    let decoded = Arc::new(DecodedColumns::new(settings.decoded_bytes_max));
    let mut writer = Writer {
        fs,
        settings,
        apps: apps.into_iter().map(Arc::new).collect(),
        tables: replay.tables,
        folder: declared.folder,
        secret: declared.secret,
        sequence_next: declared.sequence_next.max(replay.sequence_last + 1),
        segment_next: declared.segment_next,
        logged_next: declared.logged_next,
        log,
        log_bytes: replay.bytes,
        unflushed: report.files > 0,
        flushing: None,
        manifest,
        published: Arc::default(),
        decoded,
        failed: None,
        stuck: None,
        _lock: lock,
    };
    writer.find_waiting()?;
    for schema in &writer.apps {
        writer.publish_app(schema);
    }
    Ok(Opened { writer, log: report })
}

/// The tables of the apps, and then those that only the manifest knows.
fn declare(secret: &FolderSecret, catalog: &Catalog, apps: &[AppSchema]) -> Result<Vec<Table>, StoreError> {
    let mut tables = Vec::new();
    for app in apps {
        for schema in &app.tables {
            let lineage = lineage(&tables, &app.app, schema)?;
            let parent = app.is_parent(&schema.name);
            let info = TableInfo::declared(secret, &app.app, schema.clone(), parent, lineage);
            let area = info.lineage.as_ref().map(|_| info.waiting_area(secret));
            for info in [info].into_iter().chain(area) {
                check_layout(catalog, &info)?;
                tables.push(Table::new(Arc::new(info)));
            }
        }
    }
    for stored in &catalog.tables {
        let (app, name) = (AppName::new(&stored.app), TableName::new(&stored.table));
        if find(&tables, &app, &name).is_none() {
            let schema = stored.layout.schema(&name).ok_or_else(|| StoreError::Inconsistent {
                detail: format!("the manifest's table {:?} has a type that this Ebbtide lacks", stored.table),
            })?;
            let info = TableInfo::undeployed(secret, &app, stored.layout.clone(), schema);
            tables.push(Table::new(Arc::new(info)));
        }
    }
    relate(&mut tables);
    Ok(tables)
}

fn check_layout(catalog: &Catalog, info: &TableInfo) -> Result<(), StoreError> {
    let is_it = |stored: &&crate::catalog::CatalogTable| {
        stored.app == info.app.as_str() && stored.table == info.schema.name.as_str()
    };
    match catalog.tables.iter().find(is_it) {
        Some(stored) => stored.layout.check(&info.app, &info.schema.name, &info.layout),
        None => Ok(()),
    }
}

/// How a table finds its tenants through another, which was declared before it.
fn lineage(tables: &[Table], app: &AppName, schema: &TableSchema) -> Result<Option<Lineage>, StoreError> {
    let TenantRule::Parent { parent, by } = &schema.tenant else { return Ok(None) };
    let Some(found) = find(tables, app, parent) else {
        let detail =
            format!("table {:?} comes before its parent {:?}", schema.name.as_str(), parent.as_str());
        return Err(StoreError::WrongShape { detail });
    };
    Ok(Some(Lineage { parent: tables[found].info.clone(), by: *by }))
}

/// Tells tables of their parents, children, and the areas where rows wait for them.
fn relate(tables: &mut [Table]) {
    for index in 0..tables.len() {
        let info = tables[index].info.clone();
        let TenantRule::Parent { parent, .. } = &info.schema.tenant else { continue };
        tables[index].kin.area = find(tables, &info.app, &waiting_area_name(&info.schema.name));
        tables[index].kin.parent = find(tables, &info.app, parent);
        if let Some(parent) = tables[index].kin.parent {
            tables[parent].kin.children.push(index);
        }
    }
}

fn find(tables: &[Table], app: &AppName, name: &TableName) -> Option<TableIndex> {
    tables.iter().position(|table| table.info.app == *app && table.info.schema.name == *name)
}

/// Opens the segments that the manifest names.
fn restore(fs: &dyn FileSystem, catalog: &Catalog, tables: &mut [Table]) -> Result<(), StoreError> {
    for stored in &catalog.tables {
        let Some(index) = find(tables, &AppName::new(&stored.app), &TableName::new(&stored.table)) else {
            continue;
        };
        let table = &mut tables[index];
        let deletions = stored.deletions.iter().map(|gone| (Arc::from(gone.tenant.as_str()), gone.number));
        table.changes = Changes::new(stored.version, stored.floor.unwrap_or(stored.version), deletions);
        table.clears.clone_from(&stored.clears);
        if let Some(properties) = &stored.properties {
            table.properties = properties.restored().ok_or_else(|| StoreError::Inconsistent {
                detail: format!("the manifest's properties of table {:?} are not ours", stored.table),
            })?;
        }
        for descriptor in &stored.segments {
            table.restore(Segment::open(fs, descriptor.clone())?);
        }
        table.find_dead();
    }
    Ok(())
}

/// Puts the log's records back into memory. The newest word on a key counts, whatever the order.
#[derive(Default)]
struct Replay {
    tables: Vec<Table>,
    logged_next: u64,
    sequence_last: u64,
    bytes: u64,
}

impl Replay {
    fn apply(&mut self, record: Record) -> Result<(), StoreError> {
        if record.first_sequence < self.logged_next {
            return Ok(());
        }
        if record.kind == RecordKind::Together {
            let records = apart(record.payload).ok_or_else(|| StoreError::Inconsistent {
                detail: "a record of the log does not hold the records that it says".to_owned(),
            })?;
            return records.into_iter().try_for_each(|record| self.apply(record));
        }
        let index =
            find(&self.tables, &record.app, &record.table).ok_or_else(|| StoreError::Inconsistent {
                detail: format!(
                    "the log has rows of table {:?}, which the manifest lacks",
                    record.table.as_str()
                ),
            })?;
        self.bytes += record.payload.len() as u64;
        let table = &mut self.tables[index];
        let last = match record.kind {
            RecordKind::Rows => replay_rows(table, record)?,
            RecordKind::DeleteRows => replay_delete(table, record)?,
            RecordKind::DeleteTenant | RecordKind::DeleteTable => {
                replay_clear(&mut self.tables, index, &record)?
            }
            RecordKind::Together => record.first_sequence,
        };
        self.sequence_last = self.sequence_last.max(last);
        Ok(())
    }
}

fn replay_rows(table: &mut Table, record: Record) -> Result<u64, StoreError> {
    let info = table.info.clone();
    let logged = decode_rows(record.payload, record.rows, &info.stored)?;
    let tenants = tenants_of(logged.batch.column(TENANT_INDEX))?;
    table.properties.note_rows(&logged.batch, &tenants);
    let chunk = Chunk::of_sorted(&logged.batch)?;
    let arrivals = sequences(&chunk.batch).values().to_vec();
    let stored = table.stored(&logged.fingerprints);
    let mut owners = Vec::with_capacity(arrivals.len());
    for (tenant, rows) in chunk.directory.iter() {
        owners.extend(std::iter::repeat_n(table.owners.number(tenant), rows.len()));
    }
    let mut by_arrival: Vec<usize> = (0..arrivals.len()).collect();
    by_arrival.sort_unstable_by_key(|&row| arrivals[row]);
    for row in by_arrival {
        let fingerprint = logged.fingerprints[row];
        let state = KeyState {
            sequence: arrivals[row],
            content: logged.contents[row],
            owner: owners[row],
            kind: KeyKind::Row,
            overrides: false,
        };
        if replay_word(table, fingerprint, state, stored[row]).is_none() {
            table.active.kill(arrivals[row]);
        }
    }
    table.changes.note_rows(&chunk.directory);
    let last = chunk.sequence_last;
    table.active.push(&info.schema, &info.stored, chunk)?;
    Ok(last)
}

/// Applies the newest word on a key, and says what was known of it; `None` where a newer one is.
fn replay_word(
    table: &mut Table,
    fingerprint: Fingerprint,
    state: KeyState,
    stored: Option<Live>,
) -> Option<Known> {
    let newer = |sequence: u64| sequence > state.sequence;
    if table.active.state(fingerprint).is_some_and(|known| newer(known.sequence)) {
        return None;
    }
    let known = table.known(fingerprint, stored);
    if let Some(live) = known.live {
        if newer(live.sequence) {
            return None;
        }
        table.kill(fingerprint, live);
    }
    table.remember(fingerprint, KeyState { overrides: known.overrides, ..state });
    Some(known)
}

fn replay_delete(table: &mut Table, record: Record) -> Result<u64, StoreError> {
    let mut payload = record.payload;
    let fingerprints = take_keys(&mut payload, record.rows)?;
    let stored = table.stored(&fingerprints);
    for (fingerprint, stored) in fingerprints.into_iter().zip(stored) {
        let state = KeyState {
            sequence: record.first_sequence,
            content: 0,
            owner: Owner::NOBODY,
            kind: KeyKind::Tombstone,
            overrides: false,
        };
        let known = replay_word(table, fingerprint, state, stored);
        if let Some(live) = known.and_then(|known| known.live) {
            table.note_deletion(live.owner, state.sequence);
        }
    }
    Ok(record.first_sequence)
}

fn replay_clear(tables: &mut [Table], index: TableIndex, record: &Record) -> Result<u64, StoreError> {
    let tenant = match record.kind {
        RecordKind::DeleteTenant => {
            let text = std::str::from_utf8(&record.payload).map_err(|_| StoreError::Inconsistent {
                detail: "a record of the log names a tenant that is no text".to_owned(),
            })?;
            Some(text.to_owned())
        }
        RecordKind::DeleteTable | RecordKind::Rows | RecordKind::DeleteRows | RecordKind::Together => None,
    };
    clear_with_area(tables, index, &Clear { tenant, before: record.first_sequence });
    Ok(record.first_sequence)
}
