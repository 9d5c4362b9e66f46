//! When a table's rows last changed, tenant by tenant: the number of the change, which is the same only
//! for the same rows. A stored row carries its number itself, so that of a tenant's last change is found
//! again in the directories of the segments; only where it was a deletion must the manifest keep it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::directory::Directory;

/// A change copies one of as many parts of the map.
const SHARDS: usize = 64;

type Shard = HashMap<Arc<str>, u64>;

/// The number of each tenant's last change. A clone is a moment of it, and costs nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions {
    /// Of rows that were stored before tenants were told apart.
    floor: u64,
    /// Of all tenants.
    last: u64,
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
        let shard = self.shards.get(shard_of(tenant));
        let own = shard.and_then(|shard| shard.get(tenant)).copied();
        own.unwrap_or(0).max(self.floor)
    }

    /// A tenant's rows changed; an older change than the one that is known changes nothing.
    pub(crate) fn note(&mut self, tenant: &Arc<str>, number: u64) {
        self.last = self.last.max(number);
        let shards = Arc::make_mut(&mut self.shards);
        if shards.is_empty() {
            shards.resize_with(SHARDS, Arc::default);
        }
        if let Some(shard) = shards.get_mut(shard_of(tenant)) {
            let known = Arc::make_mut(shard).entry(tenant.clone()).or_default();
            *known = number.max(*known);
        }
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

    /// Rows of a tenant went away.
    pub(crate) fn note_deletion(&mut self, tenant: &Arc<str>, number: u64) {
        self.versions.note(tenant, number);
        if self.versions.of(tenant) <= number {
            self.deletions.insert(tenant.clone(), number);
        }
    }
}
