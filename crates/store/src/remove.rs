//! Rows that go away: by their keys, a tenant's, or all.

use std::collections::BTreeSet;

use crate::StoreError;
use crate::catalog::Clear;
use crate::fingerprint::Fingerprint;
use crate::group::{Deleted, Group};
use crate::log::{RecordKind, RecordRef};
use crate::memtable::{KeyKind, KeyState};
use crate::orphans::News;
use crate::owners::Owner;
use crate::request::Answer;
use crate::writer::{TableIndex, Writer};

impl Writer {
    /// Deletes the rows of these keys, of this tenant or of everybody.
    pub(crate) fn delete(
        &mut self,
        index: TableIndex,
        keys: &[Fingerprint],
        tenant: Option<&str>,
        group: &mut Group,
    ) -> Result<Answer, StoreError> {
        self.check_free(index)?;
        let owners = &self.tables[index].owners;
        let only = tenant.map(|tenant| owners.known(tenant).unwrap_or(Owner::NOBODY));
        let number = self.next_number();
        let count = self.remove_keys(index, number, keys, only, &mut group.deleted);
        if only.is_none() {
            // Whose a waiting row will be nobody knows, so it is everybody's to delete, and no one's.
            let gone = |key: &Fingerprint| News { key: *key, sequence: u64::MAX, owner: None };
            self.supersede(index, number, keys.iter().map(gone).collect(), group);
        }
        Ok(Answer::Deleted(count))
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        let number = self.sequence_next;
        self.sequence_next += 1;
        number
    }

    /// Kills the rows of these keys, of this owner or of everybody, by a change of this number; how many
    /// there were.
    pub(crate) fn remove_keys(
        &mut self,
        index: TableIndex,
        sequence: u64,
        keys: &[Fingerprint],
        only: Option<Owner>,
        deleted: &mut Vec<Deleted>,
    ) -> u64 {
        let table = &mut self.tables[index];
        let stored = table.stored(keys);
        let mut killed = Vec::new();
        for (&key, stored) in keys.iter().zip(stored) {
            let known = table.known(key, stored);
            let live = known.live.filter(|live| only.is_none_or(|only| only == live.owner));
            let Some(live) = live else { continue };
            table.kill(key, live);
            let state = KeyState {
                sequence,
                content: 0,
                owner: Owner::NOBODY,
                kind: KeyKind::Tombstone,
                overrides: known.overrides,
            };
            table.active.put(key, state);
            table.note_deletion(live.owner, sequence);
            killed.push(key);
        }
        let count = killed.len() as u64;
        if count > 0 {
            deleted.push(Deleted { table: index, sequence, fingerprints: killed });
        }
        count
    }

    /// Deletes a tenant's rows of some tables, or all: at once, so that nobody sees those of one without those of another.
    /// What waits for its parent goes too where it is the tenant's by its writer, or where all goes.
    pub(crate) fn clear(
        &mut self,
        indexes: &[TableIndex],
        tenant: Option<&str>,
    ) -> Result<Answer, StoreError> {
        self.check_not_failed()?;
        indexes.iter().try_for_each(|index| self.check_free(*index))?;
        let infos: Vec<_> = indexes.iter().map(|index| self.tables[*index].info.clone()).collect();
        let records: Vec<RecordRef<'_>> = (self.sequence_next..)
            .zip(&infos)
            .map(|(first_sequence, info)| RecordRef {
                kind: if tenant.is_some() { RecordKind::DeleteTenant } else { RecordKind::DeleteTable },
                app: &info.app,
                table: &info.schema.name,
                first_sequence,
                rows: 0,
                payload: tenant.unwrap_or_default().as_bytes(),
            })
            .collect();
        self.log(&records)?;
        let cleared = indexes.iter().map(|index| {
            let clear = Clear { tenant: tenant.map(str::to_owned), before: self.sequence_next };
            self.sequence_next += 1;
            clear_with_area(&mut self.tables, *index, &clear)
        });
        let cleared = cleared.collect();
        self.publish(&indexes.iter().copied().collect::<BTreeSet<_>>());
        Ok(Answer::Cleared(cleared))
    }
}

/// Clears a table and the area where rows wait for it; how many rows of the table there were.
pub(crate) fn clear_with_area(tables: &mut [crate::table::Table], index: TableIndex, clear: &Clear) -> u64 {
    if let Some(area) = tables[index].kin.area {
        tables[index].waiting.clear(clear.tenant.as_deref());
        tables[area].clear(clear.clone());
    }
    tables[index].clear(clear.clone())
}
