//! Whose a row is that finds its tenant through its parent's row. A row whose parent is unknown waits, in
//! a table beside its own, and is placed in the commit that brings the parent; what is placed may be the
//! parent of others that wait.
//!
//! To a tenant's own writer the parents of others are as unknown as those that nobody has: its rows wait
//! for a parent of its tenant, and it is told no more.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;

use crate::StoreError;
use crate::admission::{Prepared, RowTenants};
use crate::admit::{Arriving, pick};
use crate::fingerprint::Fingerprint;
use crate::group::Group;
use crate::orphans::Orphans;
use crate::owners::Owner;
use crate::writer::{TableIndex, Writer};

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
    pub(crate) fn owners_of(&self, index: TableIndex, keys: &[Fingerprint]) -> Vec<Option<Owner>> {
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
        let owners: Vec<Owner> = owners.into_iter().flatten().collect();
        if unknown.is_empty() {
            return Ok((self.own(index, whole, &owners), None));
        }
        let orphans = Orphans {
            rows: take_record_batch(&whole.rows, &UInt32Array::from(unknown.clone()))?,
            origins: pick(&whole.origins, &unknown),
            own: pick(&whole.fingerprints, &unknown),
            contents: pick(&whole.contents, &unknown),
            parents: pick(&parents, &unknown),
            sequences: pick(&whole.sequences, &unknown),
            claim: caller.unwrap_or_else(|| Arc::from("")),
        };
        let arriving = self.own(index, whole.take(&known)?, &owners);
        Ok((arriving, Some(orphans)))
    }

    /// Gives rows to the owners of their parents.
    pub(crate) fn own(&self, index: TableIndex, rows: Arriving, owners: &[Owner]) -> Arriving {
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
}
