//! When a table's rows last changed, tenant by tenant: the number of the change, which is the same only
//! for the same rows. A stored row carries its number itself, so that of a tenant's last change is found
//! again in the directories of the segments; only where it was a deletion must the manifest keep it.
//!
//! Since the start it is known, too, when rows last went away. Where none has, what a reader made of the
//! earlier rows needs those with later numbers alone to be up to date.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::directory::Directory;

/// A change copies one of as many parts of the map.
const SHARDS: usize = 64;

type Shard = HashMap<Arc<str>, Own>;

/// The numbers of a tenant's last changes.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    last: u64,
    /// Of the last one by which a row went away; 0: none has since the start.
    lost: u64,
}

/// The number of each tenant's last change. A clone is a moment of it, and costs nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions {
    /// Of rows that were stored before tenants were told apart.
    floor: u64,
    /// Of all tenants.
    last: u64,
    /// As in [`Own`], of all tenants.
    lost: u64,
    /// The same of losses of which it is not known whose they were.
    lost_of_anybody: u64,
    /// By the hash of the tenant; none before the first change.
    shards: Arc<Vec<Arc<Shard>>>,
}

/// The versions of a table, and which of them no stored row tells.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    versions: Versions,
    /// Tenants whose last change was that rows went away.
    deletions: BTreeMap<Arc<str>, u64>,
}

impl Versions {
    /// Of all tenants together; 0 before the first change.
    pub(crate) fn of_all(&self) -> u64 {
        self.last.max(self.floor)
    }

    pub(crate) fn of(&self, tenant: &str) -> u64 {
        self.own(tenant).last.max(self.floor)
    }

    /// When one of the rows of all tenants last went away; 0 where none has since the start.
    pub(crate) fn lost_of_all(&self) -> u64 {
        self.lost.max(self.lost_of_anybody)
    }

    /// The same of one tenant's.
    pub(crate) fn lost_of(&self, tenant: &str) -> u64 {
        self.own(tenant).lost.max(self.lost_of_anybody)
    }

    fn own(&self, tenant: &str) -> Own {
        let shard = self.shards.get(shard_of(tenant));
        shard.and_then(|shard| shard.get(tenant)).copied().unwrap_or_default()
    }

    /// A tenant's rows changed; an older change than the one that is known changes nothing.
    pub(crate) fn note(&mut self, tenant: &Arc<str>, number: u64) {
        let known = self.own_mut(tenant);
        known.last = number.max(known.last);
        self.last = self.last.max(number);
    }

    /// A row of a tenant went away, by a change of this number.
    fn note_loss(&mut self, tenant: &Arc<str>, number: u64) {
        let known = self.own_mut(tenant);
        known.lost = number.max(known.lost);
        self.lost = self.lost.max(number);
    }

    fn own_mut(&mut self, tenant: &Arc<str>) -> &mut Own {
        let shards = Arc::make_mut(&mut self.shards);
        if shards.is_empty() {
            shards.resize_with(SHARDS, Arc::default);
        }
        Arc::make_mut(&mut shards[shard_of(tenant)]).entry(tenant.clone()).or_default()
    }

    pub(crate) fn note_rows(&mut self, directory: &Directory) {
        for (tenant, last) in directory.last_numbers() {
            self.note(tenant, last);
        }
    }
}

fn shard_of(tenant: &str) -> usize {
    usize::from(xxh3_64(tenant.as_bytes()).to_be_bytes()[0]) % SHARDS
}

impl Changes {
    /// What a manifest says. `floor` is the version of everybody's rows in folders that know no better.
    pub(crate) fn new(last: u64, floor: u64, deletions: impl IntoIterator<Item = (Arc<str>, u64)>) -> Self {
        let mut changes =
            Self { versions: Versions { floor, last, ..Versions::default() }, ..Self::default() };
        for (tenant, number) in deletions {
            changes.note_deletion(&tenant, number);
        }
        changes
    }

    pub(crate) fn versions(&self) -> &Versions {
        &self.versions
    }

    pub(crate) fn floor(&self) -> u64 {
        self.versions.floor
    }

    pub(crate) fn deletions(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        self.deletions.iter().map(|(tenant, number)| (tenant, *number))
    }

    /// Rows were stored, or are found to be.
    pub(crate) fn note_rows(&mut self, directory: &Directory) {
        self.versions.note_rows(directory);
        if self.deletions.is_empty() {
            return;
        }
        for (tenant, last) in directory.last_numbers() {
            if self.deletions.get(tenant).is_some_and(|deletion| *deletion < last) {
                self.deletions.remove(tenant);
            }
        }
    }

    /// A row of a tenant has another in its place, which came with this number.
    pub(crate) fn note_replacement(&mut self, tenant: &Arc<str>, number: u64) {
        self.versions.note_loss(tenant, number);
    }

    /// Rows have others in their place, all of which are noted by now; whose they were is not known.
    pub(crate) fn note_replacements(&mut self) {
        self.versions.lost_of_anybody = self.versions.of_all();
    }

    /// Rows of a tenant went away.
    pub(crate) fn note_deletion(&mut self, tenant: &Arc<str>, number: u64) {
        self.versions.note(tenant, number);
        self.versions.note_loss(tenant, number);
        if self.versions.of(tenant) <= number {
            self.deletions.insert(tenant.clone(), number);
        }
    }
}
