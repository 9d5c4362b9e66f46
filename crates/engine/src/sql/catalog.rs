//! The catalog of one request: the tables of one app, each with the rows of one scope up to `as_of`.
//! There is nothing else in it to be found, so a statement cannot name another's rows.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use ebbtide_model::{AppName, Instant, Scope, TableName, TableSchema};
use ebbtide_store::Snapshot;

use super::apart::Handed;
use super::given::GivenTable;
use super::scan::{AliasedColumn, ScopedTable};
use super::tally::Origin;
use super::{Relation, SqlError};
use crate::EngineError;
use crate::aliases::Aliases;

/// The one catalog, and its one schema. Statements name tables without either.
pub(super) const CATALOG: &str = "app";
pub(super) const SCHEMA: &str = "public";

/// Whose rows a statement reads, and up to when.
#[derive(Clone, Debug)]
pub(super) struct ScopedCatalog {
    pub(super) source: Source,
    pub(super) as_of: Instant,
    pub(super) partitions: usize,
    /// Rows of this request's own, each a table under its name.
    pub(super) relations: Vec<Relation>,
    pub(super) repeats: Repeats,
}

/// How often a statement is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    /// Again and again, with other values and at other times: what it has made of the rows is kept for its next.
    Often,
    Once,
}

/// Where the app's tables are.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Stored {
        snapshot: Arc<Snapshot>,
        scope: Scope,
    },
    /// In the process that this one works for: it hands over rows of the scope, and no others.
    Handed(Arc<Handed>),
}

impl ScopedCatalog {
    /// Whether it is a table of the app.
    pub(super) fn is_stored(&self, name: &str) -> bool {
        match &self.source {
            Source::Stored { snapshot, .. } => {
                let name = TableName::new(name);
                !name.is_system() && snapshot.app().table(&name).is_some()
            }
            Source::Handed(handed) => handed.head(name).is_some(),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.relation(name).is_some() || self.is_stored(name)
    }

    /// Every name that a statement may read.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match &self.source {
            Source::Stored { snapshot, .. } => {
                snapshot.app().declared_tables().map(|table| table.name.to_string()).collect()
            }
            Source::Handed(handed) => handed.names(),
        };
        names.extend(self.relations.iter().map(|relation| relation.name.to_string()));
        names
    }

    /// The table that says whose the rows of this one are, where one does.
    pub(super) fn aliases_of(&self, name: &TableName) -> Option<TableName> {
        match &self.source {
            Source::Stored { snapshot, .. } => {
                Some(snapshot.app().table(name)?.aliases.as_ref()?.table.clone())
            }
            Source::Handed(handed) => handed.head(name.as_str())?.aliases.as_deref().map(TableName::new),
        }
    }

    /// Whether a table has properties.
    pub(super) fn has_open(&self) -> bool {
        match &self.source {
            Source::Stored { snapshot, .. } => snapshot.app().tables.iter().any(|table| table.open.is_some()),
            Source::Handed(handed) => handed.has_open(),
        }
    }

    /// Whose tables are in this process.
    pub(super) fn app(&self) -> Option<AppName> {
        match &self.source {
            Source::Stored { snapshot, .. } => Some(snapshot.app().app.clone()),
            Source::Handed(_) => None,
        }
    }

    /// The number of the last change of what the scope sees of these tables; 0 where they are elsewhere.
    pub(super) fn watermark(&self, tables: &[TableName]) -> Result<u64, SqlError> {
        match &self.source {
            Source::Stored { snapshot, scope } => Ok(snapshot.watermark(scope, tables)?),
            Source::Handed(_) => Ok(0),
        }
    }

    /// A table of the app as the scope sees it.
    pub(super) fn stored(&self, name: &str) -> Result<Option<ScopedTable>, SqlError> {
        let Source::Stored { snapshot, scope } = &self.source else {
            return Ok(None);
        };
        if !self.is_stored(name) {
            return Ok(None);
        }
        let view = snapshot.table(scope, &TableName::new(name))?;
        let origin = (self.repeats == Repeats::Often).then(|| {
            let (snapshot, scope, view) = (snapshot.clone(), scope.clone(), view.clone());
            Arc::new(Origin { snapshot, scope, view })
        });
        let table = ScopedTable::new(&view, self.as_of, self.partitions, self.repeats).with_origin(origin);
        Ok(Some(table.with_actors(actors(snapshot, scope, view.schema())?)))
    }

    /// Whatever a statement may read by this name.
    pub(super) async fn provider(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, SqlError> {
        if let Some(relation) = self.relation(name) {
            return Ok(Some(Arc::new(GivenTable::new(relation))));
        }
        let table = match &self.source {
            Source::Stored { .. } => self.stored(name)?,
            Source::Handed(handed) => handed.clone().table(name, self.as_of).await?,
        };
        Ok(table.map(|table| Arc::new(table) as Arc<dyn TableProvider>))
    }

    pub(super) fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| &*relation.name == name)
    }
}

/// The column of a table's actors, where some of them have aliases.
fn actors(
    snapshot: &Snapshot,
    scope: &Scope,
    table: &TableSchema,
) -> Result<Option<AliasedColumn>, EngineError> {
    let Some((index, by)) = table.actor.zip(table.aliases.as_ref()) else {
        return Ok(None);
    };
    let aliases = Aliases::load(snapshot, scope, by)?;
    Ok((!aliases.is_empty()).then(|| AliasedColumn { index, aliases }))
}

#[async_trait]
impl SchemaProvider for ScopedCatalog {
    fn table_names(&self) -> Vec<String> {
        self.names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.provider(name).await.map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.has(name)
    }
}

impl CatalogProvider for ScopedCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        (name == SCHEMA).then(|| Arc::new(self.clone()) as Arc<dyn SchemaProvider>)
    }
}

impl CatalogProviderList for ScopedCatalog {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(self.clone()) as Arc<dyn CatalogProvider>)
    }
}
