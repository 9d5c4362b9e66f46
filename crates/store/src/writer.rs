//! The one writer: takes a group of requests, admits each in order, and makes all of them durable at
//! once. Synchronous and without threads of its own, so that tests drive it step by step.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::UInt32Array;
use arrow::compute::take_arrays;
use ebbtide_model::{AppName, AppSchema, TableName};

use crate::admission::{Prepared, RowTenants};
use crate::catalog::{Catalog, Clear};
use crate::chunk::{Chunk, row_bytes};
use crate::fingerprint::Fingerprint;
use crate::fs::FileSystem;
use crate::group::{Admitted, Deleted, Group, Piece, SortedRows};
use crate::lock::FolderLock;
use crate::log::{Log, RecordKind, RecordRef};
use crate::manifest::{HexId, ManifestStore};
use crate::memtable::{KeyKind, KeyState};
use crate::owners::Owner;
use crate::payload::{encode_keys, encode_rows};
use crate::snapshot::{Snapshot, TableRows};
use crate::statistics::{Statistics, TableStatistics};
use crate::table::{Live, Table, TableInfo};
use crate::{Occurrences, Receipt, Rejection, RejectionCode, Settings, StoreError};

/// A table's index in the writer.
pub(crate) type TableIndex = usize;

/// Rows of one log record take about this much at most.
const RECORD_BYTES: usize = 32 << 20;

/// What a caller waits for.
#[derive(Debug)]
pub(crate) enum Request {
    Append {
        table: TableIndex,
        prepared: Prepared,
        occurrences: Occurrences,
    },
    /// Delete rows by key; of this tenant, or of everybody.
    Delete {
        table: TableIndex,
        fingerprints: Vec<Fingerprint>,
        tenant: Option<String>,
    },
    /// Delete all rows of a tenant, or of everybody.
    Clear {
        table: TableIndex,
        tenant: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Appended(Receipt),
    /// How many rows there were.
    Deleted(u64),
}

impl Request {
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Append { prepared, .. } => prepared.rows.num_rows(),
            Self::Delete { fingerprints, .. } => fingerprints.len(),
            Self::Clear { .. } => 1,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Append { prepared, .. } => row_bytes(&prepared.rows),
            Self::Delete { .. } | Self::Clear { .. } => 0,
        }
    }
}

/// What readers see: replaced as a whole after each group.
#[derive(Debug, Default)]
pub(crate) struct Published {
    apps: RwLock<HashMap<AppName, Snapshot>>,
}

impl Published {
    pub(crate) fn snapshot(&self, app: &AppName) -> Result<Snapshot, StoreError> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        let unknown = || StoreError::UnknownApp { app: app.clone(), known: apps.keys().cloned().collect() };
        apps.get(app).cloned().ok_or_else(unknown)
    }

    fn replace(&self, app: &AppName, snapshot: Snapshot) {
        self.apps.write().unwrap_or_else(PoisonError::into_inner).insert(app.clone(), snapshot);
    }
}

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) settings: Settings,
    pub(crate) apps: Vec<Arc<AppSchema>>,
    pub(crate) tables: Vec<Table>,
    pub(crate) folder: HexId,
    pub(crate) secret: HexId,
    pub(crate) sequence_next: u64,
    pub(crate) segment_next: u64,
    /// Log records with lower numbers are in segments, or void.
    pub(crate) logged_next: u64,
    pub(crate) log: Log,
    /// Bytes that were logged since the last flush began.
    pub(crate) log_bytes: u64,
    /// Log records may wait for a flush, even if no row does.
    pub(crate) unflushed: bool,
    /// Up to which log file, and which number, the frozen memory tables reach.
    pub(crate) flushing: Option<Flushing>,
    pub(crate) manifest: ManifestStore,
    pub(crate) published: Arc<Published>,
    /// Why nothing more is written.
    pub(crate) failed: Option<String>,
    pub(crate) _lock: FolderLock,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Flushing {
    pub(crate) sealed_file: u64,
    pub(crate) logged_next: u64,
}

impl Writer {
    /// Makes the requests durable and visible, in order; the answers are in the same order.
    pub(crate) fn commit_group(&mut self, requests: Vec<Request>) -> Vec<Result<Answer, StoreError>> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut group = Group::default();
        let mut begun = 0;
        for request in requests {
            // A failed store keeps what it had; so does a request that stands behind the failure.
            if let Err(error) = self.check_not_failed() {
                answers.push(Err(error));
                continue;
            }
            let answer = match request {
                Request::Append { table, prepared, occurrences } => self
                    .admit(table, prepared, &occurrences, group.rows.entry(table).or_default())
                    .map(Answer::Appended),
                Request::Delete { table, fingerprints, tenant } => {
                    self.delete(table, &fingerprints, tenant.as_deref(), &mut group.deleted)
                }
                Request::Clear { table, tenant } => {
                    // It has a number of its own, between all before it and all after it.
                    self.settle(std::mem::take(&mut group), &mut answers[begun..]);
                    begun = answers.len();
                    self.clear(table, tenant)
                }
            };
            answers.push(answer);
        }
        self.settle(group, &mut answers[begun..]);
        answers
    }

    /// Writes a group, or takes its grants back.
    fn settle(&mut self, group: Group, answers: &mut [Result<Answer, StoreError>]) {
        if group.is_empty() && self.failed.is_none() {
            return;
        }
        if let Err(error) = self.check_not_failed().and_then(|()| self.store(group)) {
            let reason = self.fail(&error);
            for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
                *answer = Err(StoreError::Failed { reason: reason.clone() });
            }
        }
    }

    /// Stops all writing: what is in memory may differ from what is on disk.
    pub(crate) fn fail(&mut self, error: &StoreError) -> String {
        let reason = self.failed.get_or_insert_with(|| {
            tracing::error!(%error, "the store takes no more writes");
            error.to_string()
        });
        reason.clone()
    }

    pub(crate) fn check_not_failed(&self) -> Result<(), StoreError> {
        match &self.failed {
            Some(reason) => Err(StoreError::Failed { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Decides on each row of a batch, by what is stored and what came before it.
    fn admit(
        &mut self,
        index: TableIndex,
        prepared: Prepared,
        occurrences: &Occurrences,
        admitted: &mut Admitted,
    ) -> Result<Receipt, StoreError> {
        let table = &mut self.tables[index];
        if table.importing {
            return Err(StoreError::Importing { table: table.info.schema.name.clone() });
        }
        let mut fingerprints = prepared.hashes.fingerprints;
        if table.info.schema.key.is_empty() {
            occurrences.number(&mut fingerprints);
        }
        let stored = table.stored(&fingerprints);
        let owners: Vec<Owner> =
            prepared.tenants.names.iter().map(|name| table.owners.number(name)).collect();
        let owner_of = |row: usize| owners[prepared.tenants.codes[row] as usize];
        let unchanged = unchanged(table, owner_of, &fingerprints, &prepared.hashes.contents, &stored);
        let mut receipt = Receipt { rejected: prepared.rejected, ..Receipt::default() };
        let mut kept: Vec<u32> = Vec::with_capacity(fingerprints.len());
        let mut sequences = Vec::with_capacity(fingerprints.len());
        for (row, &fingerprint) in fingerprints.iter().enumerate() {
            let content = prepared.hashes.contents[row];
            let owner = owner_of(row);
            let known = table.known(fingerprint, stored[row]);
            if let Some(live) = known.live {
                if live.owner != owner {
                    let name = prepared.tenants.of(row);
                    receipt.rejected.push(moved(&table.info, prepared.origins[row] as usize, name));
                    continue;
                }
                let same = live.content == content || unchanged.contains(&fingerprint);
                if !table.info.is_entity() || same {
                    receipt.duplicates += 1;
                    continue;
                }
                table.kill(fingerprint, live);
            }
            let sequence = self.sequence_next;
            self.sequence_next += 1;
            let overrides = known.overrides;
            let state = KeyState { sequence, content, owner, kind: KeyKind::Row, overrides };
            table.active.put(fingerprint, state);
            kept.push(u32::try_from(row).unwrap_or(u32::MAX));
            sequences.push(sequence);
        }
        receipt.accepted = kept.len();
        receipt.rejected.sort_by_key(|rejection| rejection.row);
        let columns = if kept.len() == fingerprints.len() {
            Ok(prepared.rows.columns().to_vec())
        } else {
            take_arrays(prepared.rows.columns(), &UInt32Array::from(kept.clone()), None)
        };
        // The keys are taken already, so nothing may follow if this fails.
        let columns = columns.map_err(|error| StoreError::Failed { reason: self.fail(&error.into()) })?;
        let codes = kept.iter().map(|&row| prepared.tenants.codes[row as usize]).collect();
        admitted.push(Piece {
            columns,
            tenants: RowTenants { codes, names: prepared.tenants.names },
            sequences,
            contents: kept.iter().map(|&row| prepared.hashes.contents[row as usize]).collect(),
            fingerprints: kept.iter().map(|&row| fingerprints[row as usize]).collect(),
        });
        Ok(receipt)
    }

    fn delete(
        &mut self,
        index: TableIndex,
        fingerprints: &[Fingerprint],
        tenant: Option<&str>,
        deleted: &mut Vec<Deleted>,
    ) -> Result<Answer, StoreError> {
        let table = &mut self.tables[index];
        if table.importing {
            return Err(StoreError::Importing { table: table.info.schema.name.clone() });
        }
        let stored = table.stored(fingerprints);
        let only = tenant.map(|tenant| table.owners.known(tenant).unwrap_or(Owner::NOBODY));
        let sequence = self.sequence_next;
        let mut killed = Vec::new();
        for (&fingerprint, stored) in fingerprints.iter().zip(stored) {
            let known = table.known(fingerprint, stored);
            let Some(live) = known.live.filter(|live| only.is_none_or(|only| only == live.owner)) else {
                continue;
            };
            table.kill(fingerprint, live);
            table.active.put(
                fingerprint,
                KeyState {
                    sequence,
                    content: 0,
                    owner: Owner::NOBODY,
                    kind: KeyKind::Tombstone,
                    overrides: known.overrides,
                },
            );
            table.note_deletion(live.owner, sequence);
            killed.push(fingerprint);
        }
        let count = killed.len() as u64;
        if count > 0 {
            self.sequence_next += 1;
            deleted.push(Deleted { table: index, sequence, fingerprints: killed });
        }
        Ok(Answer::Deleted(count))
    }

    fn clear(&mut self, index: TableIndex, tenant: Option<String>) -> Result<Answer, StoreError> {
        self.check_not_failed()?;
        let info = self.tables[index].info.clone();
        if self.tables[index].importing {
            return Err(StoreError::Importing { table: info.schema.name.clone() });
        }
        let sequence = self.sequence_next;
        let record = RecordRef {
            kind: if tenant.is_some() { RecordKind::DeleteTenant } else { RecordKind::DeleteTable },
            app: &info.app,
            table: &info.schema.name,
            first_sequence: sequence,
            rows: 0,
            payload: tenant.as_deref().unwrap_or_default().as_bytes(),
        };
        self.log(&[record])?;
        self.sequence_next += 1;
        let table = &mut self.tables[index];
        let killed = table.clear(Clear { tenant, before: sequence });
        self.publish(&BTreeSet::from([index]));
        Ok(Answer::Deleted(killed))
    }

    /// Makes records durable; a failure ends all writing.
    fn log(&mut self, records: &[RecordRef<'_>]) -> Result<(), StoreError> {
        self.unflushed = true;
        self.log_bytes += records.iter().map(|record| record.payload.len() as u64).sum::<u64>();
        let logged = self.log.append(records).and_then(|_| self.log.sync());
        logged.map_err(|error| StoreError::Failed { reason: self.fail(&error.into()) })
    }

    /// Logs a group, and then shows it.
    fn store(&mut self, group: Group) -> Result<(), StoreError> {
        let mut sorted: Vec<(TableIndex, SortedRows)> = Vec::new();
        for (index, admitted) in group.rows {
            if !admitted.is_empty() {
                sorted.push((index, admitted.sort(&self.tables[index].info)?));
            }
        }
        let records = Records::encode(&sorted, &group.deleted)?;
        let infos: Vec<Arc<TableInfo>> = self.tables.iter().map(|table| table.info.clone()).collect();
        self.log(&records.references(&infos))?;
        let mut written = BTreeSet::new();
        for (index, rows) in sorted {
            self.tables[index].changes.note_rows(&rows.sorted.chunk.directory);
            self.add(index, rows.sorted.chunk)?;
            written.insert(index);
        }
        for deleted in group.deleted {
            written.insert(deleted.table);
        }
        self.publish(&written);
        Ok(())
    }

    /// Adds the rows that arrived last to a table's memory.
    pub(crate) fn add(&mut self, index: TableIndex, chunk: Chunk) -> Result<(), StoreError> {
        let table = &mut self.tables[index];
        let info = table.info.clone();
        table.active.push(&info.schema, &info.stored, chunk)
    }

    /// Shows readers the apps that have these tables as they are now.
    pub(crate) fn publish(&self, tables: &BTreeSet<TableIndex>) {
        let concerns =
            |schema: &Arc<AppSchema>| tables.iter().any(|&index| self.tables[index].info.app == schema.app);
        for schema in self.apps.iter().filter(|schema| concerns(schema)) {
            self.publish_app(schema);
        }
    }

    pub(crate) fn publish_app(&self, schema: &Arc<AppSchema>) {
        let own = self.tables.iter().filter(|table| table.info.deployed && table.info.app == schema.app);
        let rows: HashMap<TableName, Arc<TableRows>> =
            own.map(|table| (table.info.schema.name.clone(), Arc::new(table.rows()))).collect();
        self.published.replace(&schema.app, Snapshot::new(schema.clone(), Arc::new(rows)));
    }

    /// Replaces the manifest with what there is now; a failure ends all writing.
    pub(crate) fn commit_catalog(&mut self) -> Result<(), StoreError> {
        let logged_next = self.logged_next;
        for table in &mut self.tables {
            table.forget_clears(logged_next);
        }
        let catalog = self.catalog();
        let committed = self.manifest.commit(&catalog);
        committed.map_err(|error| StoreError::Failed { reason: self.fail(&error.into()) })
    }

    pub(crate) fn catalog(&self) -> Catalog {
        Catalog {
            folder: self.folder,
            secret: self.secret,
            sequence_next: self.sequence_next,
            segment_next: self.segment_next,
            logged_next: self.logged_next,
            tables: self.tables.iter().map(Table::catalog).collect(),
        }
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let deployed = self.tables.iter().filter(|table| table.info.deployed);
        Statistics {
            tables: deployed.map(TableStatistics::of).collect(),
            last_arrival: self.sequence_next.saturating_sub(1),
            log_bytes: self.log_bytes,
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.tables.iter().map(Table::memory_bytes).sum()
    }

    pub(crate) fn segment_id(&mut self) -> u64 {
        let id = self.segment_next;
        self.segment_next += 1;
        id
    }
}

/// The keys of an entity's batch whose last version is the one that is stored: a batch that comes again
/// changes nothing, whatever versions it went through.
fn unchanged(
    table: &Table,
    owner_of: impl Fn(usize) -> Owner,
    fingerprints: &[Fingerprint],
    contents: &[u64],
    stored: &[Option<Live>],
) -> HashSet<Fingerprint> {
    let mut last: HashMap<Fingerprint, bool> = HashMap::new();
    if !table.info.is_entity() {
        return HashSet::new();
    }
    for (row, &fingerprint) in fingerprints.iter().enumerate() {
        if let Some(live) = table.known(fingerprint, stored[row]).live
            && live.owner == owner_of(row)
        {
            last.insert(fingerprint, live.content == contents[row]);
        }
    }
    last.into_iter().filter(|(_, is_same)| *is_same).map(|(fingerprint, _)| fingerprint).collect()
}

pub(crate) fn moved(info: &TableInfo, row: usize, tenant: &str) -> Rejection {
    Rejection {
        row,
        column: info.schema.key.first().map(|&index| info.schema.columns[index].name.clone()),
        code: RejectionCode::TenantMoved,
        detail: format!("this key is of another tenant and cannot move to {tenant:?}"),
    }
}

/// A group's log records, encoded.
struct Records {
    records: Vec<OwnRecord>,
}

struct OwnRecord {
    kind: RecordKind,
    table: TableIndex,
    first_sequence: u64,
    rows: u32,
    payload: Vec<u8>,
}

impl Records {
    fn encode(sorted: &[(TableIndex, SortedRows)], deleted: &[Deleted]) -> Result<Self, StoreError> {
        let mut records = Vec::new();
        for (table, rows) in sorted {
            let chunk = &rows.sorted.chunk;
            let parts = chunk.bytes.div_ceil(RECORD_BYTES).max(1);
            let step = chunk.rows().div_ceil(parts).max(1);
            for start in (0..chunk.rows()).step_by(step) {
                let end = (start + step).min(chunk.rows());
                let batch = chunk.batch.slice(start, end - start);
                let payload =
                    encode_rows(&batch, &rows.fingerprints[start..end], &rows.contents[start..end])?;
                records.push(OwnRecord {
                    kind: RecordKind::Rows,
                    table: *table,
                    first_sequence: chunk.sequence_first,
                    rows: u32::try_from(end - start).unwrap_or(u32::MAX),
                    payload,
                });
            }
        }
        for deleted in deleted {
            records.push(OwnRecord {
                kind: RecordKind::DeleteRows,
                table: deleted.table,
                first_sequence: deleted.sequence,
                rows: u32::try_from(deleted.fingerprints.len()).unwrap_or(u32::MAX),
                payload: encode_keys(&deleted.fingerprints),
            });
        }
        Ok(Self { records })
    }

    fn references<'a>(&'a self, infos: &'a [Arc<TableInfo>]) -> Vec<RecordRef<'a>> {
        let reference = |record: &'a OwnRecord| {
            let info = &infos[record.table];
            RecordRef {
                kind: record.kind,
                app: &info.app,
                table: &info.schema.name,
                first_sequence: record.first_sequence,
                rows: record.rows,
                payload: &record.payload,
            }
        };
        self.records.iter().map(reference).collect()
    }
}
