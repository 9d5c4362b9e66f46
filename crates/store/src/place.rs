//! Placing rows whose parent has come, in the commit that brings it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::StoreError;
use crate::admission::RowTenants;
use crate::admit::Arriving;
use crate::chunk::sequences;
use crate::columns::DECLARED_INDEX;
use crate::fetch::{Fetched, fetch};
use crate::fingerprint::Fingerprint;
use crate::group::Group;
use crate::owners::Owner;
use crate::table::TableInfo;
use crate::waiting::{Waiting, awaited};
use crate::writer::{TableIndex, Writer};

impl Writer {
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
        let arrived = &mut self.tables[index].arrived;
        arrived.placed += outcome.kept.len() as u64;
        arrived.void += (count - outcome.kept.len()) as u64;
        if !outcome.rejected.is_empty() {
            let (rows, table) = (outcome.rejected.len(), info.schema.name.as_str());
            tracing::warn!(rows, table, "rows that waited are void: their keys are of another tenant");
        }
        let number = self.next_number();
        self.end_waiting(index, number, &fetched.keys, group);
        let kept: Vec<Fingerprint> = outcome.kept.iter().map(|&row| fingerprints[row as usize]).collect();
        self.place_children(index, &kept, group)
    }

    /// Rows cannot be read that wait to be rows of this table. Their parents are as good as any, so they
    /// go on waiting, and a start tries again.
    pub(crate) fn leave_waiting(&mut self, index: TableIndex, error: &StoreError) {
        let table = self.tables[index].info.schema.name.as_str();
        tracing::error!(%error, table, "rows that wait cannot be read, and go on waiting");
        self.stuck = Some(format!("rows that wait to be in table {table:?} cannot be read: {error}"));
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
            (0..info.schema.columns.len()).map(|index| DECLARED_INDEX + index).collect();
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
