//! After a start: which rows wait for which parent, and the placing of those whose parent is there by
//! now, because a crash came between the two halves of a commit.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, UInt64Type};

use crate::fingerprint::Fingerprint;
use crate::group::Group;
use crate::memtable::KeyKind;
use crate::segment::{DecodedColumns, EntryPlace};
use crate::snapshot::{Part, ViewColumns};
use crate::table::{Lineage, Table, TableInfo};
use crate::waiting::{Waiting, awaited};
use crate::writer::Writer;
use crate::{ColumnRef, StoreError};

impl Writer {
    /// Finds out what waits, and places what need wait no more.
    pub(crate) fn find_waiting(&mut self) -> Result<(), StoreError> {
        for index in 0..self.tables.len() {
            let table = &self.tables[index];
            let (Some(area), Some(lineage)) = (table.kin.area, &table.info.lineage) else { continue };
            match read(&self.tables[area], &table.info, lineage) {
                Ok(waiting) => self.tables[index].waiting = waiting,
                Err(error) => self.leave_waiting(index, &error),
            }
        }
        let mut group = Group::default();
        for index in 0..self.tables.len() {
            self.supersede_all(index, &mut group);
            self.place_all_in(index, &mut group)?;
        }
        self.settle(group, &mut []);
        Ok(())
    }
}

/// What the rows of an area wait for.
fn read(area: &Table, info: &TableInfo, lineage: &Lineage) -> Result<Waiting, StoreError> {
    let keys = live_keys(area);
    let mut waiting = Waiting::default();
    let row_bytes = area.bytes().div_ceil(keys.len().max(1));
    let mut salts: HashMap<Arc<str>, Fingerprint> = HashMap::new();
    // They are read once.
    let unkept = Arc::new(DecodedColumns::new(0));
    let view = Arc::new(ViewColumns::closed(&area.info.schema, &area.info.stored));
    for run in &area.rows(&unkept).runs {
        let columns = [ColumnRef::Tenant, ColumnRef::Sequence, ColumnRef::Declared(lineage.by)];
        for batch in Part::whole(run, &view).scan(&columns)? {
            let batch = batch?;
            let claims = arrow::compute::cast(batch.column(0), &DataType::Utf8)?;
            let claims = claims.as_string::<i32>();
            let arrivals = batch.column(1).as_primitive::<UInt64Type>();
            let parents = lineage.keys_of(&batch.project(&[2])?)?;
            for (row, parent) in parents.into_iter().enumerate() {
                let Some(key) = keys.get(&arrivals.value(row)) else {
                    let detail = "a row that waits has no key".to_owned();
                    return Err(StoreError::Inconsistent { detail });
                };
                let claim: Arc<str> = Arc::from(claims.value(row));
                let salt = *salts.entry(claim.clone()).or_insert_with(|| info.claim_salt(&claim));
                waiting.add(*key, awaited(parent, salt), &claim, row_bytes);
            }
        }
    }
    Ok(waiting)
}

/// The keys of a table's live rows, by arrival number.
fn live_keys(table: &Table) -> HashMap<u64, Fingerprint> {
    let mut keys = HashMap::new();
    for live in &table.segments {
        for entry in live.segment.keys.iter() {
            if let EntryPlace::Row { row, .. } = entry.place
                && !live.dead.contains(row)
            {
                keys.insert(entry.sequence, entry.fingerprint);
            }
        }
    }
    for memtable in table.frozen.iter().chain([&table.active]) {
        let states = memtable.keys.iter().filter(|(_, state)| state.kind == KeyKind::Row);
        keys.extend(states.map(|(key, state)| (state.sequence, *key)));
    }
    keys
}
