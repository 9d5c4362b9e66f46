//! What a query reads of its actors besides their events: the names under which they did things.

use ebbtide_model::query::{BoundQuery, EventSource};
use ebbtide_model::{Scope, TableName};
use ebbtide_store::Snapshot;

use super::columns::Projection;
use crate::EngineError;
use crate::aliases::Aliases;

/// Read once for a query.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    /// Of each table of aliases that holds some.
    aliases: Vec<(TableName, Aliases)>,
}

impl Joined {
    pub(crate) fn load(snapshot: &Snapshot, scope: &Scope, query: &BoundQuery) -> Result<Self, EngineError> {
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
        Ok(joined)
    }

    /// The column of a source's actors and their aliases, where there are some.
    pub(crate) fn aliases(&self, source: &EventSource) -> Option<(usize, &Aliases)> {
        let aliased = source.aliases.as_ref()?;
        let (_, aliases) = self.aliases.iter().find(|(table, _)| *table == aliased.by.table)?;
        (!aliases.is_empty()).then_some((aliased.column, aliases))
    }
}
