//! What tables say of callers (whose rows they see, which plan they have, whether their tenant exists), kept
//! while it holds: it is asked before every answer, kept ones too.

use std::sync::Arc;

use ebbtide_model::{AppName, Instant, TenantId};
use moka::future::Cache;

use super::key::Versions;
use super::lifetime::Lifetime;

/// How many are kept. The oldest go first.
const DECISIONS_MAX: u64 = 20_000;

/// What is asked of whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    /// The one cell of this statement, for the caller of this `sub`.
    Cell { app: AppName, statement: Arc<str>, subject: Option<Arc<str>> },
    /// Whether there is such a tenant.
    Tenant { app: AppName, tenant: TenantId },
}

#[derive(Debug)]
struct Decision {
    cell: Option<String>,
    lifetime: Lifetime,
    versions: Versions,
}

#[derive(Clone)]
pub(crate) struct Decisions {
    kept: Cache<Asked, Arc<Decision>>,
}

impl Default for Decisions {
    fn default() -> Self {
        Self { kept: Cache::new(DECISIONS_MAX) }
    }
}

impl Decisions {
    /// What was decided over rows of these versions, where it still holds.
    pub(crate) async fn kept(
        &self,
        asked: &Asked,
        versions: &Versions,
        now: Instant,
    ) -> Option<Option<String>> {
        let kept = self.kept.get(asked).await?;
        (kept.lifetime.holds(now) && kept.versions == *versions).then(|| kept.cell.clone())
    }

    pub(crate) async fn keep(
        &self,
        asked: Asked,
        cell: Option<String>,
        lifetime: Lifetime,
        versions: Versions,
    ) {
        self.kept.insert(asked, Arc::new(Decision { cell, lifetime, versions })).await;
    }
}
