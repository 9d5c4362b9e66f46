//! A chunk of an import: its rows are decided on key by key, in one merge with what is stored, and written
//! as a segment.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{not, nullif};

use crate::admission::RowTenants;
use crate::admit::{Arriving, moved};
use crate::cells::Cells;
use crate::directory::Directory;
use crate::fingerprint::Fingerprint;
use crate::order::{codes, order_columns, sort_spread, sorted};
use crate::orphans::Version;
use crate::owners::Owner;
use crate::properties::NameLimits;
use crate::table::{Live, Table, TableInfo};
use crate::widen::concat;
use crate::writer::{TableIndex, Writer};
use crate::{Receipt, StoreError};

use super::too_many;
use super::write::ChunkToWrite;

/// A chunk, with all that needs no look into the store.
pub(super) struct Unsettled {
    /// Declared columns, and those of properties.
    rows: RecordBatch,
    tenants: RowTenants,
    contents: Vec<u64>,
    origins: Vec<u32>,
    /// The place of each among all rows of the chunk, those that wait for their parent included.
    positions: Vec<u64>,
    /// Fingerprints with their rows, ascending.
    by_key: Vec<(Fingerprint, u32)>,
    /// The rows in storage order; `None` where they came so.
    order: Option<Vec<u32>>,
}

/// What became of a chunk's rows.
pub(super) struct Decided {
    /// Of the rows' tenants, by code.
    owners: Vec<Owner>,
    pub(super) kept: Vec<bool>,
    /// Rows that replace stored ones.
    pub(super) overrides: Vec<bool>,
    pub(super) first_sequence: u64,
    pub(super) kills: Vec<(Fingerprint, u64)>,
    pub(super) receipt: Receipt,
}

pub(super) struct Kept {
    pub(super) rows: Vec<bool>,
    pub(super) overrides: Vec<bool>,
    pub(super) first_sequence: u64,
}

impl Unsettled {
    pub(super) fn new(info: &TableInfo, batches: Vec<Arriving>) -> Result<Self, StoreError> {
        let parts: Vec<RecordBatch> = batches.iter().map(|batch| batch.rows.clone()).collect();
        let all = concat(&info.declared, &parts)?;
        drop(parts);
        let (mut tenants, mut contents) = (Vec::new(), Vec::new());
        let (mut origins, mut positions) = (Vec::new(), Vec::new());
        let mut by_key = Vec::new();
        for batch in batches {
            tenants.push(batch.tenants);
            contents.extend(batch.contents);
            origins.extend(batch.origins);
            positions.extend(batch.sequences);
            let first = u32::try_from(by_key.len()).map_err(|_| too_many())?;
            by_key.extend(batch.fingerprints.into_iter().zip(first..));
        }
        let by_key = sort_spread(by_key, |(key, _)| (key >> 64) as u64);
        let tenants = RowTenants::concat(tenants);
        let rows = u32::try_from(by_key.len()).map_err(|_| too_many())?;
        let mut by = vec![tenants.codes.iter().map(|&code| u64::from(code)).collect()];
        for index in order_columns(&info.schema) {
            by.extend(codes(&Cells::of(all.column(index), &info.schema.columns[index])?, by_key.len()));
        }
        let order = sorted(rows, by);
        Ok(Self { rows: all, tenants, contents, origins, positions, by_key, order })
    }

    /// The same decisions as row by row in order of arrival, key by key. The chunk has this many rows,
    /// each of which may take an arrival number.
    ///
    /// `written` are those of earlier chunks, which nobody sees yet: they count before stored ones.
    pub(super) fn decide(
        &self,
        writer: &mut Writer,
        index: TableIndex,
        chunk_rows: u64,
        written: Vec<(u32, Live)>,
    ) -> Decided {
        let table = &mut writer.tables[index];
        let owners: Vec<Owner> = self.tenants.names.iter().map(|name| table.owners.number(name)).collect();
        let mut stored = written;
        stored.append(&mut table.stored_sorted(&self.by_key));
        stored.sort_by_key(|(row, _)| *row);
        stored.dedup_by_key(|(row, _)| *row);
        let mut decided = Decided {
            owners,
            kept: vec![false; self.by_key.len()],
            overrides: vec![false; self.by_key.len()],
            first_sequence: writer.sequence_next,
            kills: Vec::new(),
            receipt: Receipt::default(),
        };
        for same in self.by_key.chunk_by(|a, b| a.0 == b.0) {
            self.decide_key(table, same, &stored, &mut decided);
        }
        decided.receipt.rejected.sort_by_key(|rejection| rejection.row);
        writer.sequence_next += chunk_rows;
        decided
    }

    /// The keys of the rows, ascending.
    pub(super) fn by_key(&self) -> &[(Fingerprint, u32)] {
        &self.by_key
    }

    /// Notes the properties of the rows that are kept, and moves what gets no column.
    pub(super) fn place_properties(
        &mut self,
        writer: &mut Writer,
        index: TableIndex,
        kept: &[bool],
    ) -> Result<(), StoreError> {
        let limits = NameLimits::of(&writer.settings);
        let declared = writer.tables[index].info.schema.columns.len();
        if self.rows.num_columns() == declared {
            return Ok(());
        }
        // What is not kept is not written either, and must leave no name behind.
        let mask = BooleanArray::from(kept.to_vec());
        let mut columns = self.rows.columns().to_vec();
        if kept.contains(&false) {
            for column in &mut columns[declared..] {
                *column = nullif(column, &not(&mask)?)?;
            }
        }
        let rows = RecordBatch::try_new(self.rows.schema(), columns)?;
        self.rows = writer.tables[index].properties.admit(rows, &self.tenants, limits)?;
        Ok(())
    }

    fn decide_key(
        &self,
        table: &Table,
        same: &[(Fingerprint, u32)],
        stored: &[(u32, Live)],
        decided: &mut Decided,
    ) {
        let fingerprint = same[0].0;
        let found = stored.binary_search_by_key(&same[0].1, |(row, _)| *row).ok();
        let stored = found.map(|found| stored[found].1);
        let mut current = stored.map(|live| (live.content, live.owner));
        let unchanged = self.is_unchanged(&decided.owners, same, stored);
        let mut last_kept: Option<u32> = None;
        for &(_, row) in same {
            let at = row as usize;
            let own = decided.owners[self.tenants.codes[at] as usize];
            if let Some((content, owner)) = current {
                if owner != own {
                    let name = self.tenants.of(at);
                    decided.receipt.rejected.push(moved(&table.info, self.origins[at] as usize, name));
                    continue;
                }
                if !table.info.is_entity() || unchanged || content == self.contents[at] {
                    decided.receipt.duplicates += 1;
                    continue;
                }
            }
            // A row that a later one of the chunk replaces was accepted, and is not written.
            if let Some(replaced) = last_kept.replace(row) {
                decided.kept[replaced as usize] = false;
            }
            decided.kept[at] = true;
            decided.receipt.accepted += 1;
            current = Some((self.contents[at], own));
        }
        if let (Some(row), Some(live)) = (last_kept, stored) {
            decided.overrides[row as usize] = true;
            decided.kills.push((fingerprint, live.sequence));
        }
    }

    /// Whether the last version of an entity's key is the one that is stored.
    fn is_unchanged(&self, owners: &[Owner], same: &[(Fingerprint, u32)], stored: Option<Live>) -> bool {
        let Some(live) = stored else { return false };
        let is_own = |row: &u32| owners[self.tenants.codes[*row as usize] as usize] == live.owner;
        let last = same.iter().map(|(_, row)| *row).rfind(is_own);
        last.is_some_and(|row| self.contents[row as usize] == live.content)
    }

    /// The version of this key that is kept.
    pub(super) fn coming(&self, decided: &Decided, key: Fingerprint) -> Option<Version> {
        let from = self.by_key.partition_point(|(own, _)| *own < key);
        let same = self.by_key[from..].iter().take_while(|(own, _)| *own == key);
        let row = same.map(|(_, row)| *row as usize).find(|&row| decided.kept[row])?;
        let sequence = decided.first_sequence + self.positions[row];
        let owner = decided.owners[self.tenants.codes[row] as usize];
        Some(Version { content: self.contents[row], sequence, owner })
    }

    /// The rows that are kept, in order, to be written.
    pub(super) fn ordered(mut self, kept: Kept) -> Result<ChunkToWrite, StoreError> {
        let sequence_of: Vec<u64> =
            self.positions.iter().map(|position| kept.first_sequence + position).collect();
        let order: Vec<u32> = match self.order.take() {
            Some(order) => order.into_iter().filter(|&row| kept.rows[row as usize]).collect(),
            None => (0..).zip(&kept.rows).filter(|(_, kept)| **kept).map(|(row, _)| row).collect(),
        };
        let mut directory = Directory::default();
        for run in order.chunk_by(|a, b| self.tenants.codes[*a as usize] == self.tenants.codes[*b as usize]) {
            let rows = u32::try_from(run.len()).map_err(|_| too_many())?;
            let last_number = run.iter().map(|&row| sequence_of[row as usize]).max().unwrap_or(0);
            directory.push(self.tenants.of(run[0] as usize), rows, last_number);
        }
        let Self { rows, tenants, contents, by_key, .. } = self;
        Ok(ChunkToWrite { rows, tenants, contents, by_key, kept, order, sequence_of, directory })
    }
}
