//! Tenants of a table as small numbers, so that each key can have its owner beside it. Numbers are given
//! out as names come, and hold as long as the store is open.

use std::collections::HashMap;
use std::sync::Arc;

/// A tenant of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Owner(u32);

impl Owner {
    /// Of a key that has no row.
    pub(crate) const NOBODY: Self = Self(u32::MAX);
}

#[derive(Debug, Default)]
pub(crate) struct Owners {
    numbers: HashMap<Arc<str>, Owner>,
    names: Vec<Arc<str>>,
}

impl Owners {
    pub(crate) fn number(&mut self, tenant: &Arc<str>) -> Owner {
        if let Some(owner) = self.numbers.get(tenant) {
            return *owner;
        }
        let owner = Owner(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.push(tenant.clone());
        self.numbers.insert(tenant.clone(), owner);
        owner
    }

    /// `None` for a tenant that has never had a row here.
    pub(crate) fn known(&self, tenant: &str) -> Option<Owner> {
        self.numbers.get(tenant).copied()
    }

    pub(crate) fn name(&self, owner: Owner) -> Option<&Arc<str>> {
        self.names.get(owner.0 as usize)
    }
}
