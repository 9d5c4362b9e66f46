//! What a query reads of its actors besides their events: the names under which they did things.

use ebbtide_model::TableName;
use ebbtide_model::query::{BoundQuery, EventSource};

use super::columns::Projection;
use super::key::OwnedKey;
use super::membership::{Asked, Memberships};
use crate::EngineError;
use crate::aliases::Aliases;

/// Read once for a query.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    /// Of each table of aliases that holds some.
    aliases: Vec<(TableName, Aliases)>,
    pub(crate) memberships: Memberships,
}

impl Joined {
    pub(crate) fn load(asked: &Asked<'_>, query: &BoundQuery) -> Result<Self, EngineError> {
        let (snapshot, scope) = (asked.snapshot, asked.scope);
        let mut joined = Self::default();
        for source in &query.sources {
            let Some(aliased) = &source.aliases else {
                continue;
            };
            let known = joined.aliases.iter().any(|(table, _)| *table == aliased.by.table);
            if known || Projection::of(source).place(aliased.column).is_none() {
                continue;
            }
            let aliases = Aliases::load(snapshot, scope, &aliased.by)?;
            joined.aliases.push((aliased.by.table.clone(), aliases));
        }
        // Members that were saved as actors are called by the names that they have now.
        let counts_actors = query.query.aggregate_by.is_none();
        let own_name = |tenant: &str, key: &OwnedKey| {
            let aliases = joined.aliases.iter().filter(|_| counts_actors).map(|(_, aliases)| aliases);
            aliases.filter_map(|aliases| aliases.actor_of(tenant, key)).next()
        };
        joined.memberships = Memberships::load(asked, query, &own_name)?;
        Ok(joined)
    }

    /// The column of a source's actors and their aliases, where there are some.
    pub(crate) fn aliases(&self, source: &EventSource) -> Option<(usize, &Aliases)> {
        let aliased = source.aliases.as_ref()?;
        let (_, aliases) = self.aliases.iter().find(|(table, _)| *table == aliased.by.table)?;
        (!aliases.is_empty()).then_some((aliased.column, aliases))
    }
}
