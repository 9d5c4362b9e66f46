//! What a query reads of its actors besides their events: the names under which they did things, and their
//! properties.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::error::ArrowError;
use ebbtide_model::query::{BoundQuery, EventSource};
use ebbtide_model::{Scope, TableName};
use ebbtide_store::Snapshot;

use super::columns::{Projection, plain};
use super::key::OwnedKey;
use super::membership::{self, Memberships};
use crate::EngineError;
use crate::aliases::{ActorValues, Aliases, actor_values};

/// Read once for a query.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    /// Of each table of aliases that holds some.
    aliases: Vec<(TableName, Arc<Aliases>)>,
    /// Of each property that a source's actors are asked for.
    values: Vec<(Asked, Arc<ActorValues>)>,
    pub(crate) memberships: Memberships,
}

/// The source's table, and the name of a property.
type Asked = (TableName, String);

/// What is known of the actors of a source.
#[derive(Debug)]
pub(crate) struct OfSource<'a> {
    /// The column of its actors, and who they are.
    aliases: Option<(usize, &'a Aliases)>,
    props: Option<Props<'a>>,
}

#[derive(Debug)]
struct Props<'a> {
    /// The column of the actors.
    actor: usize,
    /// The column of the first property.
    first: usize,
    values: Vec<&'a ActorValues>,
}

impl Joined {
    pub(crate) fn load(asked: &membership::Asked<'_>, query: &BoundQuery) -> Result<Self, EngineError> {
        let (snapshot, scope) = (asked.snapshot, asked.scope);
        let mut joined = Self::default();
        for source in &query.sources {
            joined.load_aliases(snapshot, scope, source)?;
            joined.load_values(snapshot, scope, source)?;
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

    fn load_aliases(
        &mut self,
        snapshot: &Snapshot,
        scope: &Scope,
        source: &EventSource,
    ) -> Result<(), EngineError> {
        let Some(aliased) = &source.aliases else {
            return Ok(());
        };
        let known = self.aliases.iter().any(|(table, _)| *table == aliased.by.table);
        if known || Projection::of(source).place(aliased.column).is_none() {
            return Ok(());
        }
        let aliases = Aliases::load(snapshot, scope, &aliased.by)?;
        if !aliases.is_empty() {
            self.aliases.push((aliased.by.table.clone(), aliases));
        }
        Ok(())
    }

    fn load_values(
        &mut self,
        snapshot: &Snapshot,
        scope: &Scope,
        source: &EventSource,
    ) -> Result<(), EngineError> {
        let Some(props) = &source.actor_props else {
            return Ok(());
        };
        let asked = |name: &&String| self.value(source, name).is_none();
        let names: Vec<String> = props.names.iter().filter(asked).cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        let names_version = match &source.aliases {
            Some(aliased) => snapshot.version(scope, &aliased.by.table)?,
            None => 0,
        };
        let aliases = self.aliases_of(source).map(|(_, aliases)| aliases);
        let values = actor_values(snapshot, scope, &props.by, &names, (aliases, names_version))?;
        let asked = names.into_iter().map(|name| (source.table.clone(), name));
        self.values.extend(asked.zip(values));
        Ok(())
    }

    fn aliases_of(&self, source: &EventSource) -> Option<(usize, &Aliases)> {
        let aliased = source.aliases.as_ref()?;
        let (_, aliases) = self.aliases.iter().find(|(table, _)| *table == aliased.by.table)?;
        Some((aliased.column, aliases))
    }

    fn value(&self, source: &EventSource, name: &str) -> Option<&ActorValues> {
        let found = self.values.iter().find(|((table, known), _)| *table == source.table && known == name);
        found.map(|(_, values)| values.as_ref())
    }

    /// What is known of a source's actors, where that is anything.
    pub(crate) fn of(&self, source: &EventSource) -> Option<OfSource<'_>> {
        let aliases = self.aliases_of(source);
        let props = source.actor_props.as_ref().filter(|props| !props.names.is_empty());
        let props = props.map(|props| Props {
            actor: props.actor,
            first: props.first,
            values: props.names.iter().filter_map(|name| self.value(source, name)).collect(),
        });
        (aliases.is_some() || props.is_some()).then_some(OfSource { aliases, props })
    }
}

impl OfSource<'_> {
    /// Who its actors are, where some have other names.
    pub(crate) fn aliases(&self) -> Option<&Aliases> {
        self.aliases.map(|(_, aliases)| aliases)
    }

    /// A scanned batch whose actors go by their own names, with their properties behind its columns.
    pub(crate) fn tell(
        &self,
        projection: &Projection,
        batch: RecordBatch,
    ) -> Result<RecordBatch, EngineError> {
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        let tenants = batch.column(0);
        if let Some((column, aliases)) = self.aliases
            && let Some(place) = projection.place(column)
            && let Some(resolved) = aliases.resolved(tenants, &plain(&columns[place])?)?
        {
            columns[place] = resolved;
        }
        let fields = batch.schema_ref().fields().iter().zip(&columns);
        let fields = fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
        let mut schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
        if let Some(Props { actor, first, values }) = &self.props
            && let Some(place) = projection.place(*actor)
        {
            let mut fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
            let actors = plain(&columns[place])?;
            for column in projection.of_actors() {
                let Some(values) = values.get(column - first) else {
                    continue;
                };
                columns.push(values.by_row(tenants, &actors)?);
                fields.push(Arc::new(Field::new(format!("actor:{column}"), DataType::Utf8, true)));
            }
            schema = Arc::new(Schema::new(fields));
        }
        let layout = |error: ArrowError| EngineError::Layout { found: error.to_string() };
        RecordBatch::try_new(schema, columns).map_err(layout)
    }
}
