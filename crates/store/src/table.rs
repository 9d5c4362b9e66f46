//! One table of one app, as the writer holds it.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::concat;
use arrow::datatypes::SchemaRef;
use ebbtide_model::{AppName, TableKind, TableSchema, TenantRule};
use xxhash_rust::xxh3::xxh3_64;

use crate::admission::{RowTenants, unsupported_parent};
use crate::chunk::{Sorted, Unsorted};
use crate::fingerprint::{Fingerprint, FolderSecret, RowHasher};
use crate::memtable::{KeyKind, KeyState, Memtable};
use crate::snapshot::{Run, TableRows};
use crate::{StoreError, stored_schema};

/// What of a table does not change while the store is open.
#[derive(Debug)]
pub(crate) struct TableInfo {
    pub(crate) app: AppName,
    pub(crate) schema: Arc<TableSchema>,
    pub(crate) stored: SchemaRef,
    pub(crate) hasher: RowHasher,
    /// Others find their tenant through this table, whose keys are thus unique in the app.
    pub(crate) parent: bool,
}

impl TableInfo {
    pub(crate) fn new(
        secret: &FolderSecret,
        app: &AppName,
        schema: Arc<TableSchema>,
        parent: bool,
    ) -> Result<Self, StoreError> {
        if matches!(schema.tenant, TenantRule::Parent { .. }) {
            return Err(unsupported_parent(&schema));
        }
        let hasher = RowHasher::new(secret, app.as_str(), &schema, !parent);
        Ok(Self { app: app.clone(), stored: stored_schema(&schema), hasher, schema, parent })
    }

    pub(crate) fn tenant_mark(&self, tenant: &str) -> u64 {
        if self.parent { xxh3_64(tenant.as_bytes()) } else { 0 }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) info: Arc<TableInfo>,
    pub(crate) active: Memtable,
    /// The arrival number of the last write.
    pub(crate) version: u64,
}

/// The live row of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    place: Place,
    pub(crate) sequence: u64,
    pub(crate) content: u64,
    pub(crate) tenant: u64,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Active,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    pub(crate) live: Option<Live>,
    /// Whether a segment may hold an older row of this key, which a new one has to kill there.
    pub(crate) overrides: bool,
}

/// Rows of one table that a group has admitted, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) tenants: RowTenants,
    pub(crate) sequences: Vec<u64>,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) contents: Vec<u64>,
}

impl Table {
    pub(crate) fn new(info: Arc<TableInfo>) -> Self {
        Self { info, active: Memtable::default(), version: 0 }
    }

    pub(crate) fn known(&self, fingerprint: Fingerprint) -> Known {
        let Some(state) = self.active.state(fingerprint) else { return Known::default() };
        let live = Live {
            place: Place::Active,
            sequence: state.sequence,
            content: state.content,
            tenant: state.tenant,
        };
        Known { live: (state.kind == KeyKind::Row).then_some(live), overrides: state.overrides }
    }

    pub(crate) fn kill(&mut self, live: Live) {
        match live.place {
            Place::Active => self.active.kill(live.sequence),
        }
    }

    /// A new row's word on its key.
    pub(crate) fn put(&mut self, fingerprint: Fingerprint, state: KeyState) {
        self.active.keys.insert(fingerprint, state);
    }

    pub(crate) fn rows(&self) -> TableRows {
        let run = |chunk: &Arc<crate::chunk::Chunk>| Run::Memory {
            chunk: chunk.clone(),
            dead: self.active.dead.clone(),
        };
        TableRows { runs: self.active.chunks.iter().map(run).collect(), version: self.version }
    }

    pub(crate) fn is_entity(&self) -> bool {
        self.info.schema.kind == TableKind::Entity
    }
}

impl Admitted {
    pub(crate) fn push(&mut self, piece: Piece) {
        if !piece.sequences.is_empty() {
            self.pieces.push(piece);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// All of them in storage order, with fingerprints and contents alike.
    pub(crate) fn sort(self, info: &TableInfo) -> Result<(Sorted, Vec<Fingerprint>, Vec<u64>), StoreError> {
        let mut columns = Vec::with_capacity(info.schema.columns.len());
        for index in 0..info.schema.columns.len() {
            let arrays: Vec<&dyn arrow::array::Array> =
                self.pieces.iter().map(|piece| piece.columns[index].as_ref()).collect();
            columns.push(if let [_] = arrays.as_slice() {
                self.pieces[0].columns[index].clone()
            } else {
                concat(&arrays)?
            });
        }
        let mut tenants = Vec::with_capacity(self.pieces.len());
        let (mut sequences, mut fingerprints, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        for piece in self.pieces {
            tenants.push(piece.tenants);
            sequences.extend(piece.sequences);
            fingerprints.extend(piece.fingerprints);
            contents.extend(piece.contents);
        }
        let unsorted = Unsorted { columns, tenants: RowTenants::concat(tenants), sequences };
        let sorted = unsorted.sort(&info.schema, &info.stored)?;
        if let Some(order) = &sorted.order {
            fingerprints = order.iter().map(|&row| fingerprints[row as usize]).collect();
            contents = order.iter().map(|&row| contents[row as usize]).collect();
        }
        Ok((sorted, fingerprints, contents))
    }
}
