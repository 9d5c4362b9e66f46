//! The catalog of one request: the tables of one app, each with the rows of one scope up to `as_of`.
//! There is nothing else in it to be found, so a statement cannot name another's rows.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use ebbtide_model::{Instant, Scope, TableName, TableSchema};
use ebbtide_store::Snapshot;

use super::scan::{AliasedColumn, ScopedTable};
use super::{Relation, SqlError};
use crate::EngineError;
use crate::aliases::Aliases;

/// The one catalog, and its one schema. Statements name tables without either.
pub(super) const CATALOG: &str = "app";
pub(super) const SCHEMA: &str = "public";

/// Whose rows a statement reads, and up to when.
#[derive(Clone, Debug)]
pub(super) struct ScopedCatalog {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) scope: Scope,
    pub(super) as_of: Instant,
    pub(super) partitions: usize,
    /// Rows of this request's own, each a table under its name.
    pub(super) relations: Vec<Relation>,
}

impl ScopedCatalog {
    /// Whether it is a table of the app.
    pub(super) fn is_stored(&self, name: &str) -> bool {
        let name = TableName::new(name);
        !name.is_system() && self.snapshot.app().table(&name).is_some()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.relation(name).is_some() || self.is_stored(name)
    }

    /// Every name that a statement may read.
    pub(super) fn names(&self) -> Vec<String> {
        let stored = self.snapshot.app().declared_tables().map(|table| table.name.to_string());
        stored.chain(self.relations.iter().map(|relation| relation.name.to_string())).collect()
    }

    /// The column of a table's actors, where some of them have aliases.
    fn actors(&self, table: &TableSchema) -> Result<Option<AliasedColumn>, EngineError> {
        let Some((index, by)) = table.actor.zip(table.aliases.as_ref()) else {
            return Ok(None);
        };
        let aliases = Aliases::load(&self.snapshot, &self.scope, by)?;
        Ok((!aliases.is_empty()).then(|| AliasedColumn { index, aliases }))
    }

    fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| &*relation.name == name)
    }
}

#[async_trait]
impl SchemaProvider for ScopedCatalog {
    fn table_names(&self) -> Vec<String> {
        self.names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(relation) = self.relation(name) {
            let table = relation.table().map_err(|error| DataFusionError::External(Box::new(error)))?;
            return Ok(Some(Arc::new(table)));
        }
        if !self.is_stored(name) {
            return Ok(None);
        }
        let view = self.snapshot.table(&self.scope, &TableName::new(name));
        let view = view.map_err(|error| DataFusionError::External(Box::new(SqlError::Store(error))))?;
        let table = ScopedTable::new(&view, self.as_of, self.partitions);
        let actors = self.actors(view.schema());
        let actors = actors.map_err(|error| DataFusionError::External(Box::new(SqlError::from(error))))?;
        Ok(Some(Arc::new(table.with_actors(actors))))
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
