//! Rows whose parent is unknown: how many may wait, what makes them the same row, and when a later version
//! takes their place.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};

use crate::admission::RowTenants;
use crate::admit::{Arriving, pick};
use crate::chunk::row_bytes;
use crate::fingerprint::Fingerprint;
use crate::group::Group;
use crate::owners::Owner;
use crate::table::{Live, TableInfo};
use crate::waiting::awaited;
use crate::writer::{TableIndex, Writer};
use crate::{Receipt, Rejection, RejectionCode, StoreError};

/// A tenant's own writers may fill this part of what may wait.
const CLAIM_SHARE: usize = 8;

/// Rows whose parent is unknown, in order of arrival.
#[derive(Debug)]
pub(crate) struct Orphans {
    /// Declared columns.
    pub(crate) rows: RecordBatch,
    pub(crate) origins: Vec<u32>,
    /// Fingerprints as they were made without a tenant.
    pub(crate) own: Vec<Fingerprint>,
    pub(crate) contents: Vec<u64>,
    pub(crate) parents: Vec<Fingerprint>,
    pub(crate) sequences: Vec<u64>,
    /// The tenant whose writer has sent them; else empty.
    pub(crate) claim: Arc<str>,
}

/// A version of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version {
    pub(crate) content: u64,
    pub(crate) sequence: u64,
    pub(crate) owner: Owner,
}

impl Version {
    fn of(live: Live) -> Self {
        Self { content: live.content, sequence: live.sequence, owner: live.owner }
    }
}

/// What became of a key, by the change of this number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    pub(crate) key: Fingerprint,
    pub(crate) sequence: u64,
    /// Whose row it is now; `None` of one that was deleted.
    pub(crate) owner: Option<Owner>,
}

impl Orphans {
    /// Rows after rows, of one caller; `None` of nothing.
    pub(crate) fn concat(parts: Vec<Self>) -> Result<Option<Self>, StoreError> {
        let mut parts = parts.into_iter();
        let Some(mut all) = parts.next() else { return Ok(None) };
        let mut batches = vec![all.rows.clone()];
        for part in parts {
            batches.push(part.rows);
            all.origins.extend(part.origins);
            all.own.extend(part.own);
            all.contents.extend(part.contents);
            all.parents.extend(part.parents);
            all.sequences.extend(part.sequences);
        }
        all.rows = concat_batches(&all.rows.schema(), &batches)?;
        Ok(Some(all))
    }

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
    pub(crate) fn waiting_key(
        &self,
        own: Fingerprint,
        parent: Fingerprint,
        claim: Fingerprint,
    ) -> Fingerprint {
        let is_told_by_parent = !self.parent && !self.schema.key.is_empty();
        own ^ claim ^ if is_told_by_parent { parent.rotate_left(64) } else { 0 }
    }
}

impl Writer {
    /// Keeps rows until their parents come. `coming` tells of a key which version of it came with these rows
    /// and will be stored, though it is not yet: what waits and is older than that counts as gone where the
    /// rows bring another, by a change of this number.
    pub(crate) fn keep_waiting(
        &mut self,
        index: TableIndex,
        orphans: Orphans,
        number: u64,
        coming: impl Fn(Fingerprint) -> Option<Version>,
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
                let newest = coming(own).or_else(|| table.known(own, *stored).live.map(Version::of));
                if newest.is_some_and(|newest| newest.content == orphans.contents[row]) {
                    receipt.duplicates += 1;
                    continue;
                }
                if newest.is_some_and(|newest| newest.sequence > sequence) {
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
        let news = |key: &Fingerprint| {
            let Version { sequence, owner, .. } = coming(*key)?;
            Some(News { key: *key, sequence, owner: Some(owner) })
        };
        self.supersede(index, number, orphans.own.iter().filter_map(news).collect(), group);
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

    /// Whether versions of keys may wait that news of the keys replaces: a key is one row in the whole app.
    fn may_supersede(&self, index: TableIndex) -> bool {
        let table = &self.tables[index];
        table.info.parent && table.kin.area.is_some() && !table.waiting.is_empty()
    }

    /// Rows were stored, each with its key and arrival number: see [`Writer::supersede`].
    pub(crate) fn supersede_by(
        &mut self,
        index: TableIndex,
        number: u64,
        stored: &[(Fingerprint, u64)],
        group: &mut Group,
    ) {
        if self.may_supersede(index) {
            let table = &self.tables[index];
            let owner = |key: Fingerprint| table.known(key, None).live.map(|live| live.owner);
            let news = stored.iter().map(|&(key, sequence)| News { key, sequence, owner: owner(key) });
            self.supersede(index, number, news.collect(), group);
        }
    }

    /// Versions of these keys that are older than the news wait no more, by a change of this number, whether
    /// they are anybody's or of the tenant that the news is of.
    pub(crate) fn supersede(&mut self, index: TableIndex, number: u64, news: Vec<News>, group: &mut Group) {
        let table = &self.tables[index];
        let Some(area) = table.kin.area.filter(|_| self.may_supersede(index)) else { return };
        let mut waiting: Vec<(Fingerprint, u64)> = Vec::new();
        for News { key, sequence, owner } in news {
            let tenant = owner.and_then(|owner| table.owners.name(owner));
            let claimed = tenant.filter(|tenant| table.waiting.rows_of(tenant) > 0);
            let claimed = claimed.map(|tenant| key ^ table.info.claim_salt(tenant));
            let keys = [key].into_iter().chain(claimed).filter(|key| table.waiting.contains(*key));
            waiting.extend(keys.map(|key| (key, sequence)));
        }
        let keys: Vec<Fingerprint> = waiting.iter().map(|(key, _)| *key).collect();
        let stored = self.tables[area].stored(&keys);
        let is_older = |((key, sequence), stored): ((Fingerprint, u64), Option<Live>)| {
            let live = self.tables[area].known(key, stored).live?;
            (live.sequence < sequence).then_some(key)
        };
        let older: Vec<Fingerprint> = waiting.into_iter().zip(stored).filter_map(is_older).collect();
        self.end_waiting(index, number, &older, group);
    }

    /// As [`Writer::supersede`], of all rows that are stored.
    pub(crate) fn supersede_all(&mut self, index: TableIndex, group: &mut Group) {
        if !self.may_supersede(index) {
            return;
        }
        let table = &self.tables[index];
        let own = |(key, _, claim): (Fingerprint, Fingerprint, &Arc<str>)| key ^ table.info.claim_salt(claim);
        let mut keys: Vec<Fingerprint> = table.waiting.iter().map(own).collect();
        keys.sort_unstable();
        keys.dedup();
        let stored = table.stored(&keys);
        let live = keys.iter().zip(stored).map(|(key, stored)| (*key, table.known(*key, stored).live));
        let news = live.filter_map(|(key, live)| {
            live.map(|live| News { key, sequence: live.sequence, owner: Some(live.owner) })
        });
        let news: Vec<News> = news.collect();
        let number = self.next_number();
        self.supersede(index, number, news, group);
    }

    /// Takes rows out of the area where they wait.
    pub(crate) fn end_waiting(
        &mut self,
        index: TableIndex,
        number: u64,
        keys: &[Fingerprint],
        group: &mut Group,
    ) {
        if let Some(area) = self.tables[index].kin.area {
            self.tables[index].waiting.remove(keys);
            self.remove_keys(area, number, keys, None, &mut group.deleted);
        }
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
