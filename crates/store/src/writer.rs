//! The one writer: takes a group of requests, admits each in order, and makes all of them durable at
//! once. Synchronous and without threads of its own, so that tests drive it step by step.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use ebbtide_model::{AppName, AppSchema, TableName};

use crate::catalog::Catalog;
use crate::chunk::Chunk;
use crate::fs::FileSystem;
use crate::group::{Group, SortedRows};
use crate::lock::FolderLock;
use crate::log::{Log, RecordKind, RecordRef};
use crate::manifest::{HexId, ManifestStore};
use crate::records::Records;
use crate::request::{Answer, Request};
use crate::segment::DecodedColumns;
use crate::snapshot::{Snapshot, TableRows};
use crate::statistics::{Statistics, TableStatistics};
use crate::table::{Table, TableInfo};
use crate::{Settings, StoreError};

/// A table's index in the writer.
pub(crate) type TableIndex = usize;

/// What readers see: replaced as a whole after each group.
#[derive(Debug, Default)]
pub(crate) struct Published {
    apps: RwLock<HashMap<AppName, Snapshot>>,
    /// Called after each replacement.
    listeners: RwLock<Listeners>,
}

#[derive(Default)]
struct Listeners(Vec<Box<dyn Fn() + Send + Sync>>);

impl fmt::Debug for Listeners {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} listeners", self.0.len())
    }
}

impl Published {
    pub(crate) fn snapshot(&self, app: &AppName) -> Result<Snapshot, StoreError> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        let unknown = || StoreError::UnknownApp { app: app.clone(), known: apps.keys().cloned().collect() };
        apps.get(app).cloned().ok_or_else(unknown)
    }

    fn replace(&self, app: &AppName, snapshot: Snapshot) {
        self.apps.write().unwrap_or_else(PoisonError::into_inner).insert(app.clone(), snapshot);
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        listeners.0.iter().for_each(|listener| listener());
    }

    pub(crate) fn listen(&self, listener: Box<dyn Fn() + Send + Sync>) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).0.push(listener);
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
    pub(crate) decoded: Arc<DecodedColumns>,
    /// Why nothing more is written.
    pub(crate) failed: Option<String>,
    /// Why rows still wait whose parent is there.
    pub(crate) stuck: Option<String>,
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
                Request::Append { table, prepared, occurrences } => {
                    if self.has_unsettled_kin(table, &group) {
                        self.settle(std::mem::take(&mut group), &mut answers[begun..]);
                        begun = answers.len();
                    }
                    let receipt = self.admit(table, *prepared, &occurrences, &mut group);
                    receipt.map(Answer::Appended)
                }
                Request::Delete { table, fingerprints, tenant } => {
                    self.delete(table, &fingerprints, tenant.as_deref(), &mut group)
                }
                Request::Clear { tables, tenant } => {
                    // It has a number of its own, between all before it and all after it.
                    self.settle(std::mem::take(&mut group), &mut answers[begun..]);
                    begun = answers.len();
                    self.clear(&tables, tenant.as_deref())
                }
            };
            answers.push(answer);
        }
        self.settle(group, &mut answers[begun..]);
        answers
    }

    /// Writes a group, or takes its grants back.
    pub(crate) fn settle(&mut self, group: Group, answers: &mut [Result<Answer, StoreError>]) {
        if group.is_empty() && self.failed.is_none() {
            return;
        }
        if let Err(error) = self.commit(group) {
            let reason = self.fail(&error);
            for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
                *answer = Err(StoreError::Failed { reason: reason.clone() });
            }
        }
    }

    /// Makes a group durable and shows it; after a failure nothing more is written.
    pub(crate) fn commit(&mut self, group: Group) -> Result<(), StoreError> {
        self.check_not_failed()?;
        if group.is_empty() {
            return Ok(());
        }
        self.store(group).map_err(|error| StoreError::Failed { reason: self.fail(&error) })
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

    /// Makes records durable; a failure ends all writing.
    pub(crate) fn log(&mut self, records: &[RecordRef<'_>]) -> Result<(), StoreError> {
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
        let references = records.references(&infos);
        match (records.together(&infos), references.as_slice()) {
            (Some(payload), [first, ..]) => {
                let first_sequence = references.iter().map(|record| record.first_sequence).min();
                self.log(&[RecordRef {
                    kind: RecordKind::Together,
                    app: first.app,
                    table: first.table,
                    first_sequence: first_sequence.unwrap_or(first.first_sequence),
                    rows: 0,
                    payload: &payload,
                }])?;
            }
            _ => self.log(&references)?,
        }
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
            own.map(|table| (table.info.schema.name.clone(), Arc::new(table.rows(&self.decoded)))).collect();
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
            tables: deployed
                .map(|table| TableStatistics::of(table, table.kin.area.map(|area| &self.tables[area])))
                .collect(),
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
