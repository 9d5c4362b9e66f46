//! Rows that find their tenant through their parent's row. A row whose parent is unknown waits, in a
//! table beside its own, and is placed in the commit that brings the parent; what is placed may be the
//! parent of others that wait.
//!
//! To a tenant's own writer the parents of others are as unknown as those that nobody has: its rows wait
//! for a parent of its tenant, and it is told no more.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use crate::admission::{Prepared, RowTenants};
use crate::admit::{Arriving, pick};
use crate::chunk::{row_bytes, sequences};
use crate::fetch::{Fetched, fetch};
use crate::fingerprint::Fingerprint;
use crate::group::Group;
use crate::owners::Owner;
use crate::table::{Live, TableInfo};
use crate::waiting::{Waiting, awaited};
use crate::writer::{TableIndex, Writer};
use crate::{ColumnRef, Receipt, Rejection, RejectionCode, StoreError};

/// A tenant's own writers may fill this part of what may wait.
const CLAIM_SHARE: usize = 8;

/// Rows whose parent is unknown, in order of arrival.
#[derive(Debug)]
pub(crate) struct Orphans {
    /// Declared columns.
    rows: RecordBatch,
    origins: Vec<u32>,
    /// Fingerprints as they were made without a tenant.
    own: Vec<Fingerprint>,
    contents: Vec<u64>,
    parents: Vec<Fingerprint>,
    pub(crate) sequences: Vec<u64>,
    /// The tenant whose writer has sent them; else empty.
    claim: Arc<str>,
}

impl Orphans {
    fn take(self, kept: &[u32]) -> Result<Self, StoreError> {
        if kept.len() == self.own.len() {
            return Ok(self);
        }
        Ok(Self {
            rows: take_record_batch(&self.rows, &UInt32Array::from(kept.to_vec()))?,
            origins: pick(&self.origins, kept),
            own: pick(&self.own, kept),
            contents: pick(&self.contents, kept),
            parents: pick(&self.parents, kept),
            sequences: pick(&self.sequences, kept),
            claim: self.claim,
        })
    }
}

impl TableInfo {
    /// What tells this claim's rows from others; nothing for rows without one.
    pub(crate) fn claim_salt(&self, claim: &str) -> Fingerprint {
        if claim.is_empty() { 0 } else { self.hasher.salt(claim) }
    }

    /// What makes a waiting row that row, which leads back to its fingerprint. The same key may wait for
    /// parents of several tenants, but where keys are unique in the app it is the same row.
    fn waiting_key(&self, own: Fingerprint, parent: Fingerprint, claim: Fingerprint) -> Fingerprint {
        let is_told_by_parent = !self.parent && !self.schema.key.is_empty();
        own ^ claim ^ if is_told_by_parent { parent.rotate_left(64) } else { 0 }
    }
}

impl Writer {
    /// Whether rows may be added to a table now, and what waits for them be placed.
    pub(crate) fn check_free(&self, index: TableIndex) -> Result<(), StoreError> {
        let table = &self.tables[index];
        if table.importing {
            return Err(StoreError::Importing { table: table.info.schema.name.clone() });
        }
        table.kin.children.iter().try_for_each(|&child| self.check_free(child))
    }

    /// An import of a table begins: nobody else writes it or what its rows depend on, nor does another
    /// import that would.
    pub(crate) fn begin_import(&mut self, index: TableIndex) -> Result<(), StoreError> {
        self.check_free(index)?;
        let mut above = self.tables[index].kin.parent;
        while let Some(parent) = above {
            let table = &self.tables[parent];
            if table.importing {
                return Err(StoreError::Importing { table: table.info.schema.name.clone() });
            }
            above = table.kin.parent;
        }
        self.tables[index].importing = true;
        Ok(())
    }

    /// Whether rows are waiting, in this group and not yet in memory, which rows of this table may place.
    pub(crate) fn has_unsettled_kin(&self, index: TableIndex, group: &Group) -> bool {
        self.tables[index].kin.children.iter().any(|&child| {
            let area = self.tables[child].kin.area;
            area.and_then(|area| group.rows.get(&area)).is_some_and(|admitted| !admitted.is_empty())
                || self.has_unsettled_kin(child, group)
        })
    }

    /// Whose the rows of these keys of a table are; `None` where there is no such row.
    fn owners_of(&self, index: TableIndex, keys: &[Fingerprint]) -> Vec<Option<Owner>> {
        let table = &self.tables[index];
        let mut sorted: Vec<(Fingerprint, u32)> = keys.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let distinct: Vec<(Fingerprint, u32)> =
            sorted.chunk_by(|a, b| a.0 == b.0).zip(0..).map(|(same, number)| (same[0].0, number)).collect();
        let mut stored = vec![None; distinct.len()];
        for (number, live) in table.stored_sorted(&distinct) {
            stored[number as usize] = Some(live);
        }
        let mut owners = vec![None; keys.len()];
        for (same, stored) in sorted.chunk_by(|a, b| a.0 == b.0).zip(stored) {
            let owner = table.known(same[0].0, stored).live.map(|live| live.owner);
            for (_, row) in same {
                owners[*row as usize] = owner;
            }
        }
        owners
    }

    /// Parts rows into those of which it is known whose they are, and those whose parent is unknown. The
    /// n-th row gets the n-th arrival number from `first` on.
    pub(crate) fn part(
        &self,
        index: TableIndex,
        prepared: Prepared,
        first: u64,
    ) -> Result<(Arriving, Option<Orphans>), StoreError> {
        let Prepared { rows, origins, tenants, hashes, parents, caller, .. } = prepared;
        let sequences: Vec<u64> = (first..).take(origins.len()).collect();
        let (own, contents) = (hashes.fingerprints, hashes.contents);
        let whole =
            Arriving { rows, origins, tenants, fingerprints: own, contents, sequences, waited_since: None };
        let table = &self.tables[index];
        let Some(parent) = table.kin.parent else { return Ok((whole, None)) };
        let mut owners = self.owners_of(parent, &parents);
        let names = &self.tables[parent].owners;
        if let Some(caller) = &caller {
            let own = names.known(caller);
            owners.iter_mut().for_each(|owner| *owner = owner.filter(|owner| Some(*owner) == own));
        }
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for (owner, row) in owners.iter().zip(0..) {
            if owner.is_some() { known.push(row) } else { unknown.push(row) }
        }
        let claim = caller.unwrap_or_else(|| Arc::from(""));
        let orphans = Orphans {
            rows: whole.rows.clone(),
            origins: whole.origins.clone(),
            own: whole.fingerprints.clone(),
            contents: whole.contents.clone(),
            parents,
            sequences: whole.sequences.clone(),
            claim,
        };
        let orphans = if unknown.is_empty() { None } else { Some(orphans.take(&unknown)?) };
        let owners: Vec<Owner> = owners.into_iter().flatten().collect();
        let arriving = self.own(index, whole.take(&known)?, &owners);
        Ok((arriving, orphans))
    }

    /// Rows cannot be read that wait to be rows of this table. Their parents are as good as any, so they
    /// go on waiting, and a start tries again.
    pub(crate) fn leave_waiting(&mut self, index: TableIndex, error: &StoreError) {
        let table = self.tables[index].info.schema.name.as_str();
        tracing::error!(%error, table, "rows that wait cannot be read, and go on waiting");
        self.stuck = Some(format!("rows that wait to be in table {table:?} cannot be read: {error}"));
    }

    /// Gives rows to the owners of their parents.
    fn own(&self, index: TableIndex, rows: Arriving, owners: &[Owner]) -> Arriving {
        let table = &self.tables[index];
        let parents = table.kin.parent.map(|parent| &self.tables[parent].owners);
        let mut numbers: HashMap<Owner, u32> = HashMap::new();
        let (mut names, mut salts): (Vec<Arc<str>>, Vec<Fingerprint>) = (Vec::new(), Vec::new());
        let mut codes = Vec::with_capacity(owners.len());
        for owner in owners {
            codes.push(*numbers.entry(*owner).or_insert_with(|| {
                let name = parents.and_then(|parents| parents.name(*owner));
                let name = name.cloned().unwrap_or_else(|| Arc::from(""));
                salts.push(table.info.owned(0, &name));
                names.push(name);
                u32::try_from(names.len() - 1).unwrap_or(u32::MAX)
            }));
        }
        let mut fingerprints = rows.fingerprints;
        for (fingerprint, &code) in fingerprints.iter_mut().zip(&codes) {
            *fingerprint ^= salts[code as usize];
        }
        Arriving { fingerprints, tenants: RowTenants::ascending(&names, &codes), ..rows }
    }

    /// Keeps rows until their parents come. `is_replaced` tells of a key whether a later version of it,
    /// than the one with this arrival number, is about to be stored.
    pub(crate) fn keep_waiting(
        &mut self,
        index: TableIndex,
        orphans: Orphans,
        is_replaced: impl Fn(Fingerprint, u64) -> bool,
        group: &mut Group,
    ) -> Result<Receipt, StoreError> {
        let mut receipt = Receipt::default();
        let Some(area) = self.tables[index].kin.area else { return Ok(receipt) };
        let info = self.tables[index].info.clone();
        let claim = orphans.claim.clone();
        let salt = info.claim_salt(&claim);
        let key_of = |row: usize| info.waiting_key(orphans.own[row], orphans.parents[row], salt);
        let row_size = row_bytes(&orphans.rows).div_ceil(orphans.own.len().max(1));
        let mut room = Room::of(self, index, &claim, row_size);
        let stored = if info.parent { self.tables[index].stored(&orphans.own) } else { Vec::new() };
        let mut kept = Vec::with_capacity(orphans.own.len());
        for row in 0..orphans.own.len() {
            let table = &self.tables[index];
            if let Some(stored) = stored.get(row) {
                let (own, sequence) = (orphans.own[row], orphans.sequences[row]);
                let live = table.known(own, *stored).live;
                if live.is_some_and(|live| live.content == orphans.contents[row]) {
                    receipt.duplicates += 1;
                    continue;
                }
                if is_replaced(own, sequence) || live.is_some_and(|live| live.sequence > sequence) {
                    receipt.accepted += 1;
                    continue;
                }
            }
            if table.waiting.contains(key_of(row)) || room.take() {
                kept.push(u32::try_from(row).unwrap_or(u32::MAX));
            } else {
                receipt.rejected.push(full(&info, orphans.origins[row] as usize));
            }
        }
        let keys: Vec<Fingerprint> = kept.iter().map(|&row| key_of(row as usize)).collect();
        let orphans = orphans.take(&kept)?;
        let arriving = Arriving {
            tenants: RowTenants::one(&claim, keys.len()),
            rows: orphans.rows,
            origins: orphans.origins,
            fingerprints: keys.clone(),
            contents: orphans.contents,
            sequences: orphans.sequences,
            waited_since: None,
        };
        let outcome = self.decide(area, arriving, group)?;
        for row in outcome.kept.iter().map(|&row| row as usize) {
            let awaited = awaited(orphans.parents[row], salt);
            self.tables[index].waiting.add(keys[row], awaited, &claim, row_size);
        }
        receipt.waiting += outcome.kept.len();
        receipt.duplicates += outcome.duplicates;
        Ok(receipt)
    }

    /// There is news of these keys, each with its arrival number: versions of them that are older wait no
    /// more, by a change of this number, where a key is one row in the whole app.
    pub(crate) fn supersede(
        &mut self,
        index: TableIndex,
        number: u64,
        news: impl IntoIterator<Item = (Fingerprint, u64)>,
        group: &mut Group,
    ) {
        let table = &self.tables[index];
        let Some(area) = table.kin.area.filter(|_| !table.waiting.is_empty() && table.info.parent) else {
            return;
        };
        let news: Vec<(Fingerprint, u64)> =
            news.into_iter().filter(|(key, _)| table.waiting.contains(*key)).collect();
        let keys: Vec<Fingerprint> = news.iter().map(|(key, _)| *key).collect();
        let stored = self.tables[area].stored(&keys);
        let is_older = |((key, sequence), stored): ((Fingerprint, u64), Option<Live>)| {
            let live = self.tables[area].known(key, stored).live?;
            (live.sequence < sequence).then_some(key)
        };
        let older: Vec<Fingerprint> = news.into_iter().zip(stored).filter_map(is_older).collect();
        self.end_waiting(index, number, &older, group);
    }

    /// As [`Writer::supersede`], of all rows that are stored.
    pub(crate) fn supersede_all(&mut self, index: TableIndex, group: &mut Group) {
        let table = &self.tables[index];
        if !table.info.parent || table.waiting.is_empty() {
            return;
        }
        let keys: Vec<Fingerprint> = table.waiting.iter().map(|(key, _, _)| key).collect();
        let stored = table.stored(&keys);
        let live = keys.iter().zip(stored).map(|(key, stored)| (*key, table.known(*key, stored).live));
        let news: Vec<(Fingerprint, u64)> =
            live.filter_map(|(key, live)| Some((key, live?.sequence))).collect();
        let number = self.next_number();
        self.supersede(index, number, news, group);
    }

    /// Takes rows out of the area where they wait.
    fn end_waiting(&mut self, index: TableIndex, number: u64, keys: &[Fingerprint], group: &mut Group) {
        if let Some(area) = self.tables[index].kin.area {
            self.tables[index].waiting.remove(keys);
            self.remove_keys(area, number, keys, None, &mut group.deleted);
        }
    }

    /// Places what waits for these keys of a table, and what waits for that.
    pub(crate) fn place_children(
        &mut self,
        index: TableIndex,
        keys: &[Fingerprint],
        group: &mut Group,
    ) -> Result<(), StoreError> {
        for child in self.tables[index].kin.children.clone() {
            if self.tables[child].waiting.is_empty() {
                continue;
            }
            let owners = self.owners_of(index, keys);
            let table = &self.tables[child];
            let mut rows = Vec::new();
            for (key, owner) in keys.iter().zip(owners) {
                let tenant = owner.and_then(|owner| self.tables[index].owners.name(owner));
                let Some(tenant) = tenant else { continue };
                rows.extend(table.waiting.list(awaited(*key, 0)));
                rows.extend(table.waiting.list(awaited(*key, table.info.claim_salt(tenant))));
            }
            self.place(child, &rows, group)?;
        }
        Ok(())
    }

    /// Places all that waits for rows which are there: what a crash has kept from being placed, or what
    /// waits for rows that were imported.
    pub(crate) fn place_all_in(&mut self, index: TableIndex, group: &mut Group) -> Result<(), StoreError> {
        let table = &self.tables[index];
        let Some(parent) = table.kin.parent.filter(|_| !table.waiting.is_empty()) else { return Ok(()) };
        let (mut rows, mut parents, mut claims) = (Vec::new(), Vec::new(), Vec::new());
        for (row, awaited_by_it, claim) in table.waiting.iter() {
            rows.push(row);
            parents.push(awaited(awaited_by_it, table.info.claim_salt(claim)));
            claims.push(claim.clone());
        }
        let owners = self.owners_of(parent, &parents);
        let names = &self.tables[parent].owners;
        let is_due = |owner: Option<Owner>, claim: &str| {
            let tenant = owner.and_then(|owner| names.name(owner));
            tenant.is_some_and(|tenant| claim.is_empty() || **tenant == *claim)
        };
        let due: Vec<Fingerprint> = rows
            .into_iter()
            .zip(owners.into_iter().zip(claims))
            .filter(|(_, (owner, claim))| is_due(*owner, claim))
            .map(|(row, _)| row)
            .collect();
        self.place(index, &due, group)
    }

    /// Places rows whose parents are there.
    fn place(
        &mut self,
        index: TableIndex,
        waiting: &[Fingerprint],
        group: &mut Group,
    ) -> Result<(), StoreError> {
        let table = &self.tables[index];
        let (Some(area), Some(parent)) = (table.kin.area, table.kin.parent) else { return Ok(()) };
        if waiting.is_empty() {
            return Ok(());
        }
        let info = table.info.clone();
        let fetched = match fetch(&self.tables[area], waiting) {
            Ok(fetched) => fetched,
            Err(error) => {
                self.leave_waiting(index, &error);
                return Ok(());
            }
        };
        let rows = Waited::new(&info, &fetched, &table.waiting)?;
        let owners = self.owners_of(parent, &rows.parents);
        let count = fetched.keys.len();
        if owners.iter().any(Option::is_none) {
            let detail = "a row was to be placed whose parent is unknown".to_owned();
            return Err(StoreError::Inconsistent { detail });
        }
        let owners: Vec<Owner> = owners.into_iter().flatten().collect();
        let first = self.sequence_next;
        self.sequence_next += count as u64;
        let arriving = Arriving {
            rows: rows.rows,
            origins: (0..).take(count).collect(),
            tenants: RowTenants::default(),
            fingerprints: rows.own,
            contents: fetched.contents,
            sequences: (first..).take(count).collect(),
            waited_since: Some(rows.since),
        };
        let arriving = self.own(index, arriving, &owners);
        let fingerprints = arriving.fingerprints.clone();
        let outcome = self.decide(index, arriving, group)?;
        let table = &mut self.tables[index];
        table.placed += outcome.kept.len() as u64;
        table.void += (count - outcome.kept.len()) as u64;
        if !outcome.rejected.is_empty() {
            let (rows, table) = (outcome.rejected.len(), info.schema.name.as_str());
            tracing::warn!(rows, table, "rows that waited are void: their keys are of another tenant");
        }
        let number = self.next_number();
        self.end_waiting(index, number, &fetched.keys, group);
        let kept: Vec<Fingerprint> = outcome.kept.iter().map(|&row| fingerprints[row as usize]).collect();
        self.place_children(index, &kept, group)
    }
}

/// Rows as they waited.
struct Waited {
    /// Declared columns.
    rows: RecordBatch,
    own: Vec<Fingerprint>,
    parents: Vec<Fingerprint>,
    /// Their arrival numbers.
    since: Vec<u64>,
}

impl Waited {
    fn new(info: &TableInfo, fetched: &Fetched, waiting: &Waiting) -> Result<Self, StoreError> {
        let declared: Vec<usize> =
            (0..info.schema.columns.len()).map(|index| ColumnRef::Declared(index).stored_index()).collect();
        let rows = fetched.batch.project(&declared)?;
        let mut salts: HashMap<Arc<str>, Fingerprint> = HashMap::new();
        let (mut own, mut parents) = (Vec::new(), Vec::new());
        for key in &fetched.keys {
            let Some((awaited_by_it, claim)) = waiting.of(*key) else {
                let detail = "a row waits for no parent".to_owned();
                return Err(StoreError::Inconsistent { detail });
            };
            let salt = *salts.entry(claim.clone()).or_insert_with(|| info.claim_salt(claim));
            let parent = awaited(awaited_by_it, salt);
            parents.push(parent);
            own.push(info.waiting_key(*key, parent, salt));
        }
        let since = sequences(&fetched.batch).values().to_vec();
        Ok(Self { rows, own, parents, since })
    }
}

/// How many more rows may wait.
struct Room {
    rows: usize,
}

impl Room {
    fn of(writer: &Writer, index: TableIndex, claim: &str, row_size: usize) -> Self {
        let settings = &writer.settings;
        let all = || writer.tables.iter().map(|table| &table.waiting);
        let rows = settings.waiting_rows_max.saturating_sub(all().map(|waiting| waiting.len()).sum());
        let bytes = settings.waiting_bytes_max.saturating_sub(all().map(|waiting| waiting.bytes()).sum());
        let mut room = rows.min(bytes / row_size.max(1));
        if !claim.is_empty() {
            let own = writer.tables[index].waiting.rows_of(claim);
            room = room.min((settings.waiting_rows_max / CLAIM_SHARE).saturating_sub(own));
        }
        Self { rows: room }
    }

    fn take(&mut self) -> bool {
        let is_left = self.rows > 0;
        self.rows = self.rows.saturating_sub(1);
        is_left
    }
}

fn full(info: &TableInfo, row: usize) -> Rejection {
    let by = info.lineage.as_ref().map(|lineage| &info.schema.columns[lineage.by].name);
    let parent = info.lineage.as_ref().map_or("", |lineage| lineage.parent.schema.name.as_str());
    Rejection {
        row,
        column: by.cloned(),
        code: RejectionCode::WaitingFull,
        detail: format!(
            "its row of {parent:?} is unknown, and as many rows as may wait do so; send the rows of {parent:?} first"
        ),
    }
}
