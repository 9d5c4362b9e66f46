//! Which rows are the same row. A fingerprint is 128 bits hashed with the data folder's own secret, so
//! that nobody who does not hold the folder can make two rows collide.
//!
//! A row with a key is its table, tenant and key. A row without one, and an event whose key is null, is its contents and the number of
//! that occurrence in its file, which fills the low 32 bits. Null cells are left out of the contents and
//! the others carry their column's name, so that a column added to the pack changes no fingerprint.

use std::ops::Range;

use arrow::array::{ArrayRef, RecordBatch};
use ebbtide_model::{Column, TableKind, TableSchema};
use xxhash_rust::xxh3::{xxh3_64_with_secret, xxh3_128_with_secret, xxh3_128_with_seed};

use crate::StoreError;
use crate::cells::{Cells, write_text};
use crate::columns::{property_column, property_of};

/// Rows that are hashed column by column, so that a column's type is looked at once for all of them.
const BLOCK_ROWS: usize = 256;

pub(crate) type Fingerprint = u128;

/// Bits of a key-less row's fingerprint that number its occurrence.
pub(crate) const OCCURRENCE_BITS: u32 = 32;

/// The contents of a key-less row as the fingerprint of its `number`-th occurrence.
pub(crate) fn occurrence(contents: Fingerprint, number: u32) -> Fingerprint {
    (contents >> OCCURRENCE_BITS << OCCURRENCE_BITS) | u128::from(number)
}

/// Made once with the data folder, from the process's own randomness.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FolderSecret(u128);

impl FolderSecret {
    pub(crate) fn new(secret: u128) -> Self {
        Self(secret)
    }
}

impl std::fmt::Debug for FolderSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FolderSecret")
    }
}

/// What tells rows without a key apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyless {
    /// What they contain, and how many of the same came before in their file.
    Contents,
    /// That they arrived: their fingerprints are made once their numbers are known.
    Arrival,
}

/// Hashes rows of one table.
#[derive(Clone, Debug)]
pub(crate) struct RowHasher {
    secret: Box<[u8]>,
    key: Vec<usize>,
    tenant_in_key: bool,
    /// All columns by name, with the hash of the name.
    contents: Vec<(usize, u64)>,
    with_contents: bool,
}

/// What the hasher says of a batch, row by row.
#[derive(Debug, Default)]
pub(crate) struct RowHashes {
    /// Of the key; of the contents with the low bits unset where there is none.
    pub(crate) fingerprints: Vec<Fingerprint>,
    /// Of the whole row, for an entity: whether a new version differs. Zeros for events.
    pub(crate) contents: Vec<u64>,
    /// The rows whose fingerprint is of their contents, ascending.
    pub(crate) keyless: Vec<u32>,
}

impl RowHasher {
    pub(crate) fn new(folder: &FolderSecret, app: &str, table: &TableSchema, tenant_in_key: bool) -> Self {
        let mut contents: Vec<(usize, u64)> = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            contents.push((index, xxhash_rust::xxh3::xxh3_64(column.name.as_bytes())));
        }
        contents.sort_by(|a, b| table.columns[a.0].name.cmp(&table.columns[b.0].name));
        Self {
            secret: table_secret(folder, app, table.name.as_str()),
            key: table.key.clone(),
            tenant_in_key,
            contents,
            with_contents: table.kind == TableKind::Entity,
        }
    }

    /// Hashes rows in declared columns; `tenant_of` gives each row's tenant.
    pub(crate) fn hash<'t>(
        &self,
        table: &TableSchema,
        rows: &RecordBatch,
        tenant_of: impl Fn(usize) -> &'t str,
        by: Keyless,
    ) -> Result<RowHashes, StoreError> {
        let mut cells = Vec::with_capacity(table.columns.len());
        for (array, column) in rows.columns().iter().zip(&table.columns) {
            cells.push(Cells::of(array, column)?);
        }
        let contents = Contents::of_properties(rows)?;
        let mut properties = Vec::with_capacity(contents.len());
        for property in &contents {
            properties.push((property.name, Cells::of(&property.array, &property.column)?));
        }
        let mut hashes = RowHashes::default();
        hashes.fingerprints.reserve_exact(rows.num_rows());
        hashes.contents.reserve_exact(rows.num_rows());
        let mut bytes: Vec<Vec<u8>> = vec![Vec::new(); BLOCK_ROWS.min(rows.num_rows())];
        for start in (0..rows.num_rows()).step_by(BLOCK_ROWS) {
            let block = start..(start + BLOCK_ROWS).min(rows.num_rows());
            let bytes = &mut bytes[..block.len()];
            bytes.iter_mut().for_each(Vec::clear);
            let is_keyless =
                |row: usize| self.key.is_empty() || self.key.iter().any(|&index| cells[index].is_null(row));
            let keyless: Vec<bool> = block.clone().map(is_keyless).collect();
            if by == Keyless::Contents && keyless.contains(&true) {
                for (row, bytes) in block.clone().zip(bytes.iter_mut()) {
                    write_text(tenant_of(row), bytes);
                }
                self.write_contents(&cells, block.clone(), bytes);
                for (name, cells) in &properties {
                    cells.write_named(&name.to_le_bytes(), block.clone(), bytes);
                }
            }
            for ((row, bytes), is_keyless) in block.clone().zip(bytes.iter_mut()).zip(keyless) {
                if !is_keyless {
                    bytes.clear();
                    self.write_key(self.key.iter().map(|&index| cells[index]), row, tenant_of(row), bytes);
                    hashes.fingerprints.push(xxh3_128_with_secret(bytes, &self.secret));
                    continue;
                }
                hashes.keyless.push(u32::try_from(row).unwrap_or(u32::MAX));
                hashes.fingerprints.push(occurrence(xxh3_128_with_secret(bytes, &self.secret), 0));
            }
            if self.with_contents {
                bytes.iter_mut().for_each(Vec::clear);
                self.write_contents(&cells, block, bytes);
                hashes.contents.extend(bytes.iter().map(|bytes| xxh3_64_with_secret(bytes, &self.secret)));
            }
        }
        hashes.contents.resize(rows.num_rows(), 0);
        Ok(hashes)
    }

    /// A row that is like no other: by its arrival number.
    pub(crate) fn arrival(&self, number: u64) -> Fingerprint {
        let mut bytes = *b"arrival\0\0\0\0\0\0\0\0";
        bytes[7..].copy_from_slice(&number.to_le_bytes());
        xxh3_128_with_secret(&bytes, &self.secret)
    }

    /// Whether this is the fingerprint of a row that is like no other: nothing will ever ask for it.
    pub(crate) fn is_arrival(&self, fingerprint: Fingerprint, number: u64) -> bool {
        fingerprint == self.arrival(number)
    }

    /// What tells the same key of two tenants apart, where the key was hashed without its tenant.
    pub(crate) fn salt(&self, tenant: &str) -> Fingerprint {
        let mut bytes = b"tenant".to_vec();
        write_text(tenant, &mut bytes);
        xxh3_128_with_secret(&bytes, &self.secret)
    }

    /// Hashes keys alone: `keys` has the key's columns in the key's order.
    pub(crate) fn hash_keys(
        &self,
        table: &TableSchema,
        keys: &RecordBatch,
        tenant: &str,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        if keys.num_columns() != self.key.len() || self.key.is_empty() {
            return Err(StoreError::WrongShape {
                detail: format!("the key of {:?} has {} columns", table.name.as_str(), self.key.len()),
            });
        }
        let mut cells = Vec::with_capacity(self.key.len());
        for (array, &index) in keys.columns().iter().zip(&self.key) {
            cells.push(Cells::of(array, &table.columns[index])?);
        }
        let mut fingerprints = Vec::with_capacity(keys.num_rows());
        let mut bytes = Vec::new();
        for row in 0..keys.num_rows() {
            if cells.iter().any(|cells| cells.is_null(row)) {
                continue;
            }
            bytes.clear();
            self.write_key(cells.iter().copied(), row, tenant, &mut bytes);
            fingerprints.push(xxh3_128_with_secret(&bytes, &self.secret));
        }
        Ok(fingerprints)
    }

    fn write_key<'a>(
        &self,
        cells: impl Iterator<Item = Cells<'a>>,
        row: usize,
        tenant: &str,
        bytes: &mut Vec<u8>,
    ) {
        if self.tenant_in_key {
            write_text(tenant, bytes);
        }
        for cells in cells {
            cells.write(row, bytes);
        }
    }

    /// Appends what each of these rows contains to its bytes.
    fn write_contents(&self, cells: &[Cells<'_>], rows: Range<usize>, bytes: &mut [Vec<u8>]) {
        for &(index, name) in &self.contents {
            cells[index].write_named(&name.to_le_bytes(), rows.clone(), bytes);
        }
    }
}

/// A column of properties, as it is hashed.
struct Contents {
    /// The hash of its stored name.
    name: u64,
    column: Column,
    array: ArrayRef,
}

impl Contents {
    /// By stored name.
    fn of_properties(rows: &RecordBatch) -> Result<Vec<Self>, StoreError> {
        let schema = rows.schema();
        let mut all = Vec::new();
        for (field, array) in schema.fields().iter().zip(rows.columns()) {
            let Some(property) = property_of(field) else { continue };
            let column = property_column(&property);
            let name = xxhash_rust::xxh3::xxh3_64(field.name().as_bytes());
            all.push(Self { name, column, array: array.clone() });
        }
        Ok(all)
    }
}

/// The table's own secret, as long as the hash wants it.
fn table_secret(folder: &FolderSecret, app: &str, table: &str) -> Box<[u8]> {
    const BLOCKS: u64 = 12;
    let mut name = folder.0.to_le_bytes().to_vec();
    write_text(app, &mut name);
    write_text(table, &mut name);
    let mut secret = Vec::new();
    for block in 0..BLOCKS {
        secret.extend_from_slice(&xxh3_128_with_seed(&name, block).to_le_bytes());
    }
    secret.into_boxed_slice()
}
