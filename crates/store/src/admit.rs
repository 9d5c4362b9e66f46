//! Deciding on rows, by what is stored and what came before them: which are new, which are there already,
//! and which may not be.

use std::collections::{HashMap, HashSet};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use crate::admission::{Prepared, RowTenants};
use crate::fingerprint::{Fingerprint, RowHashes};
use crate::group::{Group, Piece};
use crate::memtable::{KeyKind, KeyState};
use crate::orphans::Orphans;
use crate::owners::Owner;
use crate::properties::NameLimits;
use crate::table::{Live, Table, TableInfo};
use crate::writer::{TableIndex, Writer};
use crate::{Occurrences, Receipt, Rejection, RejectionCode, StoreError};

/// Rows of one table, in order of arrival, of which it is known whose they are.
#[derive(Debug)]
pub(crate) struct Arriving {
    /// Declared columns, and those of properties.
    pub(crate) rows: RecordBatch,
    /// The index of each row in what the caller gave.
    pub(crate) origins: Vec<u32>,
    pub(crate) tenants: RowTenants,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) contents: Vec<u64>,
    /// The arrival number that each row gets if it is kept.
    pub(crate) sequences: Vec<u64>,
    /// When rows that have waited had come. A version that came later is not replaced by one of these.
    pub(crate) waited_since: Option<Vec<u64>>,
}

/// What became of rows.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Those that are stored, by their index among the rows.
    pub(crate) kept: Vec<u32>,
    pub(crate) duplicates: usize,
    pub(crate) rejected: Vec<Rejection>,
}

impl Arriving {
    pub(crate) fn take(self, kept: &[u32]) -> Result<Self, StoreError> {
        if kept.len() == self.fingerprints.len() {
            return Ok(self);
        }
        let since = self.waited_since.as_ref().map(|since| pick(since, kept));
        Ok(Self {
            rows: take_record_batch(&self.rows, &UInt32Array::from(kept.to_vec()))?,
            origins: pick(&self.origins, kept),
            tenants: RowTenants { codes: pick(&self.tenants.codes, kept), names: self.tenants.names },
            fingerprints: pick(&self.fingerprints, kept),
            contents: pick(&self.contents, kept),
            sequences: pick(&self.sequences, kept),
            waited_since: since,
        })
    }
}

pub(crate) fn pick<T: Copy>(all: &[T], kept: &[u32]) -> Vec<T> {
    kept.iter().map(|&row| all[row as usize]).collect()
}

impl Writer {
    /// Decides on each row of a batch, and places what has waited for them.
    pub(crate) fn admit(
        &mut self,
        index: TableIndex,
        mut prepared: Prepared,
        occurrences: &Occurrences,
        group: &mut Group,
    ) -> Result<Receipt, StoreError> {
        self.check_free(index)?;
        let mut receipt = Receipt { rejected: std::mem::take(&mut prepared.rejected), ..Receipt::default() };
        let rows = prepared.rows.num_rows() as u64;
        let before = self.sequence_next;
        // What is said of earlier versions that wait comes before what these rows say.
        let first = before + 1;
        let RowHashes { fingerprints, keyless, .. } = &mut prepared.hashes;
        if !occurrences.number(fingerprints, keyless) {
            let hasher = &self.tables[index].info.hasher;
            for &row in keyless.iter() {
                fingerprints[row as usize] = hasher.arrival(first + u64::from(row));
            }
        }
        let (arriving, orphans) = self.part(index, prepared, first)?;
        self.sequence_next = first + rows;
        let arrivals: Vec<(Fingerprint, u64)> =
            arriving.fingerprints.iter().copied().zip(arriving.sequences.iter().copied()).collect();
        let outcome = self.decide(index, arriving, group)?;
        if outcome.kept.is_empty() && orphans.is_none() {
            self.sequence_next = before;
        }
        receipt.accepted += outcome.kept.len();
        receipt.duplicates += outcome.duplicates;
        receipt.rejected.extend(outcome.rejected);
        let kept = pick(&arrivals, &outcome.kept);
        // The keys are taken already, so nothing may follow if the rest fails.
        self.supersede_by(index, before, &kept, group);
        let rest = self.admit_kin(index, orphans, before, &kept, group);
        receipt.add(rest.map_err(|error| StoreError::Failed { reason: self.fail(&error) })?);
        receipt.rejected.sort_by_key(|rejection| rejection.row);
        self.tables[index].arrived.count(&receipt);
        Ok(receipt)
    }

    /// Keeps rows without a parent waiting, and places those that have waited for these keys.
    fn admit_kin(
        &mut self,
        index: TableIndex,
        orphans: Option<Orphans>,
        number: u64,
        kept: &[(Fingerprint, u64)],
        group: &mut Group,
    ) -> Result<Receipt, StoreError> {
        let receipt = match orphans {
            Some(orphans) => self.keep_waiting(index, orphans, number, |_| None, group)?,
            None => Receipt::default(),
        };
        let kept: Vec<Fingerprint> = kept.iter().map(|(key, _)| *key).collect();
        self.place_children(index, &kept, group)?;
        Ok(receipt)
    }

    /// Decides on rows of which it is known whose they are.
    pub(crate) fn decide(
        &mut self,
        index: TableIndex,
        arriving: Arriving,
        group: &mut Group,
    ) -> Result<Outcome, StoreError> {
        let table = &mut self.tables[index];
        let Arriving { rows, origins, tenants, fingerprints, contents, sequences, waited_since } = arriving;
        let stored = table.stored(&fingerprints);
        let owners: Vec<Owner> = tenants.names.iter().map(|name| table.owners.number(name)).collect();
        let owner_of = |row: usize| owners[tenants.codes[row] as usize];
        let unchanged = match waited_since {
            Some(_) => HashSet::new(),
            None => unchanged(table, owner_of, &fingerprints, &contents, &stored),
        };
        let first_sequence = sequences.first().copied().unwrap_or(0);
        let mut outcome = Outcome { kept: Vec::with_capacity(fingerprints.len()), ..Outcome::default() };
        for (row, &fingerprint) in fingerprints.iter().enumerate() {
            let (content, owner, sequence) = (contents[row], owner_of(row), sequences[row]);
            let known = table.known(fingerprint, stored[row]);
            if let Some(live) = known.live {
                if live.owner != owner {
                    let (origin, tenant) = (origins[row] as usize, tenants.of(row));
                    outcome.rejected.push(moved(&table.info, origin, tenant));
                    continue;
                }
                let same = live.content == content || unchanged.contains(&fingerprint);
                let newer = waited_since.as_ref().is_some_and(|since| {
                    // Those of this batch came in the order in which they are here.
                    live.sequence > since[row] && live.sequence < first_sequence
                });
                if !table.info.is_entity() || same || newer {
                    outcome.duplicates += 1;
                    continue;
                }
                table.kill(fingerprint, live);
                table.note_replacement(live.owner, sequence);
            }
            let overrides = known.overrides;
            let state = KeyState { sequence, content, owner, kind: KeyKind::Row, overrides };
            table.remember(fingerprint, state);
            outcome.kept.push(u32::try_from(row).unwrap_or(u32::MAX));
        }
        let kept = &outcome.kept;
        let arrived =
            Arriving { rows, origins, tenants, fingerprints, contents, sequences, waited_since: None };
        // The keys are taken already, so nothing may follow if this fails.
        let kept = arrived.take(kept).map_err(|error| StoreError::Failed { reason: self.fail(&error) })?;
        let limits = NameLimits::of(&self.settings);
        let placed = self.tables[index].properties.admit(kept.rows, &kept.tenants, limits);
        let rows = placed.map_err(|error| StoreError::Failed { reason: self.fail(&error) })?;
        group.rows.entry(index).or_default().push(Piece {
            rows,
            tenants: kept.tenants,
            sequences: kept.sequences,
            contents: kept.contents,
            fingerprints: kept.fingerprints,
        });
        Ok(outcome)
    }
}

/// The keys of an entity's batch whose last version is the one that is stored: a batch that comes again
/// changes nothing, whatever versions it went through.
fn unchanged(
    table: &Table,
    owner_of: impl Fn(usize) -> Owner,
    fingerprints: &[Fingerprint],
    contents: &[u64],
    stored: &[Option<Live>],
) -> HashSet<Fingerprint> {
    let mut last: HashMap<Fingerprint, bool> = HashMap::new();
    if !table.info.is_entity() {
        return HashSet::new();
    }
    for (row, &fingerprint) in fingerprints.iter().enumerate() {
        if let Some(live) = table.known(fingerprint, stored[row]).live
            && live.owner == owner_of(row)
        {
            last.insert(fingerprint, live.content == contents[row]);
        }
    }
    last.into_iter().filter(|(_, is_same)| *is_same).map(|(fingerprint, _)| fingerprint).collect()
}

pub(crate) fn moved(info: &TableInfo, row: usize, tenant: &str) -> Rejection {
    Rejection {
        row,
        column: info.schema.key.first().map(|&index| info.schema.columns[index].name.clone()),
        code: RejectionCode::TenantMoved,
        detail: format!("this key is of another tenant and cannot move to {tenant:?}"),
    }
}
