//! The one writer: takes a group of requests, admits each in order, and makes all of them durable at
//! once. Synchronous and without threads of its own, so that tests drive it step by step.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::UInt32Array;
use arrow::compute::take_arrays;
use ebbtide_model::{AppName, AppSchema, TableName};

use crate::admission::{Prepared, RowTenants};
use crate::fingerprint::FolderSecret;
use crate::memtable::{KeyKind, KeyState};
use crate::snapshot::{Snapshot, TableRows};
use crate::table::{Admitted, Piece, Table, TableInfo};
use crate::{Occurrences, Receipt, Rejection, RejectionCode, StoreError};

/// A table's index in the writer.
pub(crate) type TableIndex = usize;

/// What a caller waits for.
#[derive(Debug)]
pub(crate) enum Request {
    Append { table: TableIndex, prepared: Prepared, occurrences: Occurrences },
}

impl Request {
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Append { prepared, .. } => prepared.rows.num_rows(),
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
    apps: Vec<Arc<AppSchema>>,
    tables: Vec<Table>,
    sequence_next: u64,
    published: Arc<Published>,
}

impl Writer {
    pub(crate) fn open(secret: &FolderSecret, apps: Vec<AppSchema>) -> Result<Self, StoreError> {
        let apps: Vec<Arc<AppSchema>> = apps.into_iter().map(Arc::new).collect();
        let mut tables = Vec::new();
        for app in &apps {
            for table in &app.tables {
                let parent = app.is_parent(&table.name);
                let info = TableInfo::new(secret, &app.app, Arc::new(table.clone()), parent)?;
                tables.push(Table::new(Arc::new(info)));
            }
        }
        let writer = Self { apps, tables, sequence_next: 1, published: Arc::default() };
        for app in 0..writer.apps.len() {
            writer.publish(app);
        }
        Ok(writer)
    }

    pub(crate) fn published(&self) -> Arc<Published> {
        self.published.clone()
    }

    /// What callers need to know of each table, by its index.
    pub(crate) fn infos(&self) -> Vec<Arc<TableInfo>> {
        self.tables.iter().map(|table| table.info.clone()).collect()
    }

    /// Makes the requests durable and visible, in order; the answers are in the same order.
    pub(crate) fn commit_group(&mut self, requests: Vec<Request>) -> Vec<Result<Receipt, StoreError>> {
        let mut group = BTreeMap::<TableIndex, Admitted>::new();
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(match request {
                Request::Append { table, prepared, occurrences } => {
                    self.admit(table, prepared, &occurrences, group.entry(table).or_default())
                }
            });
        }
        if let Err(error) = self.store(group) {
            let reason = error.to_string();
            answers.fill_with(|| Err(StoreError::Failed { reason: reason.clone() }));
        }
        answers
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
        let mut fingerprints = prepared.hashes.fingerprints;
        if table.info.schema.key.is_empty() {
            occurrences.number(&mut fingerprints);
        }
        let mut receipt = Receipt { rejected: prepared.rejected, ..Receipt::default() };
        let mut kept: Vec<u32> = Vec::with_capacity(fingerprints.len());
        let mut sequences = Vec::with_capacity(fingerprints.len());
        for (row, &fingerprint) in (0..).zip(&fingerprints) {
            let content = prepared.hashes.contents[row as usize];
            let name = prepared.tenants.of(row as usize);
            let tenant = table.info.tenant_mark(name);
            let known = table.known(fingerprint);
            if let Some(live) = known.live {
                if live.tenant != tenant {
                    receipt.rejected.push(moved(table, prepared.origins[row as usize] as usize, name));
                    continue;
                }
                if !table.is_entity() || live.content == content {
                    receipt.duplicates += 1;
                    continue;
                }
                table.kill(live);
            }
            let sequence = self.sequence_next;
            self.sequence_next += 1;
            let overrides = known.overrides;
            table.put(fingerprint, KeyState { sequence, content, tenant, kind: KeyKind::Row, overrides });
            kept.push(row);
            sequences.push(sequence);
        }
        receipt.accepted = kept.len();
        let all = kept.len() == fingerprints.len();
        let columns = if all {
            prepared.rows.columns().to_vec()
        } else {
            take_arrays(prepared.rows.columns(), &UInt32Array::from(kept.clone()), None)?
        };
        admitted.push(Piece {
            columns,
            tenants: RowTenants {
                codes: kept.iter().map(|&row| prepared.tenants.codes[row as usize]).collect(),
                names: prepared.tenants.names,
            },
            sequences,
            contents: kept.iter().map(|&row| prepared.hashes.contents[row as usize]).collect(),
            fingerprints: kept.iter().map(|&row| fingerprints[row as usize]).collect(),
        });
        receipt.rejected.sort_by_key(|rejection| rejection.row);
        Ok(receipt)
    }

    fn store(&mut self, group: BTreeMap<TableIndex, Admitted>) -> Result<(), StoreError> {
        let mut written = Vec::new();
        for (index, admitted) in group {
            if admitted.is_empty() {
                continue;
            }
            let (sorted, _, _) = admitted.sort(&self.tables[index].info)?;
            written.push((index, sorted.chunk));
        }
        let mut apps: Vec<AppName> = Vec::new();
        for (index, chunk) in written {
            let table = &mut self.tables[index];
            table.version = chunk.sequence_last;
            let info = table.info.clone();
            table.active.push(&info.schema, &info.stored, chunk)?;
            if !apps.contains(&info.app) {
                apps.push(info.app.clone());
            }
        }
        for app in apps {
            if let Some(index) = self.apps.iter().position(|schema| schema.app == app) {
                self.publish(index);
            }
        }
        Ok(())
    }

    /// Shows an app's tables to readers as they are now.
    fn publish(&self, app: usize) {
        let schema = &self.apps[app];
        let own = self.tables.iter().filter(|table| table.info.app == schema.app);
        let rows: HashMap<TableName, Arc<TableRows>> =
            own.map(|table| (table.info.schema.name.clone(), Arc::new(table.rows()))).collect();
        let watermark = rows.values().map(|rows| rows.version).max().unwrap_or(0);
        self.published.replace(&schema.app, Snapshot::new(schema.clone(), Arc::new(rows), watermark));
    }
}

fn moved(table: &Table, row: usize, tenant: &str) -> Rejection {
    Rejection {
        row,
        column: table.info.schema.key.first().map(|&index| table.info.schema.columns[index].name.clone()),
        code: RejectionCode::TenantMoved,
        detail: format!("this key is of another tenant and cannot move to {tenant:?}"),
    }
}
