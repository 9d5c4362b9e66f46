//! What each kind of query wants of the tables that it names.

use super::{Binder, Need, condition, fault, has, number_column, prop_column};
use crate::query::bound::{BoundQuery, EventSource, ParentColumn, ValueColumn};
use crate::query::filter::{Filter, Op, PropScope, Test};
use crate::query::matcher::{Breakdown, Matcher};
use crate::query::{Kind, Measure, Paths, Show, Trend};
use crate::{ColumnType, Fault, TableName, TableSchema, TenantRule};

impl Binder<'_, '_> {
    pub(super) fn bind_kind(&mut self) -> Result<(), Fault> {
        let query = self.query;
        match &query.kind {
            Kind::Retention(retention) => {
                let table = self.matcher(&retention.start, BoundQuery::START, "start", Need::Actor)?;
                if let Some(breakdown) = &retention.breakdown {
                    self.breakdown(breakdown, table)?;
                }
                self.matcher(&retention.returns, BoundQuery::RETURN, "return", Need::Actor)?;
            }
            Kind::Churn(churn) => {
                self.matcher(&churn.entity, BoundQuery::ENTITY, "entity", Need::Actor)?;
            }
            Kind::Trend(trend) => self.trend(trend)?,
            Kind::Lifecycle(lifecycle) => {
                self.matcher(&lifecycle.entity, BoundQuery::ENTITY, "entity", Need::Actor)?;
            }
            Kind::Stickiness(stickiness) => {
                self.matcher(&stickiness.entity, BoundQuery::ENTITY, "entity", Need::Actor)?;
            }
            Kind::Paths(paths) => self.paths(paths)?,
            Kind::Funnel(funnel) => self.funnel(funnel)?,
            Kind::Dropoff(dropoff) => self.dropoff(dropoff)?,
            Kind::Preceding(preceding) => {
                self.matcher(&preceding.before, BoundQuery::BEFORE, "before", Need::Actor)?;
                let table = self.matcher(&preceding.of, BoundQuery::OF, "of", Need::Actor)?;
                self.shown(&preceding.show, BoundQuery::OF, table)?;
                self.parent = match &preceding.by {
                    Some(by) => Some(self.parent_column(by, preceding.per_actor)?),
                    None => None,
                };
            }
        }
        Ok(())
    }

    /// What counts are given by, where the actors of the one stream are the rows that its own belong to.
    fn parent_column(&self, by: &str, per_actor: bool) -> Result<ParentColumn, Fault> {
        if per_actor {
            return Err(fault(
                "by",
                format_args!("{by:?} was given with `per_actor`; allowed is one of both"),
            ));
        }
        let parent = |source: &EventSource| {
            let TenantRule::Parent { parent, by } = &self.schema.table(&source.table)?.tenant else {
                return None;
            };
            let parent = self.schema.table(parent)?;
            let [key] = parent.key[..] else { return None };
            (source.actor == Some(*by)).then_some((parent, key))
        };
        let [source] = self.sources.as_slice() else {
            let problem =
                format_args!("{by:?} was given with events of two tables; allowed are those of one");
            return Err(fault("by", problem));
        };
        let Some((table, key)) = parent(source) else {
            let problem = format_args!(
                "{by:?} was given; allowed where the actors of {} are the rows of the table that its rows belong to",
                source.table
            );
            return Err(fault("by", problem));
        };
        let column = prop_column(table, by, "by")?;
        let column_type = table.columns[column].column_type;
        Ok(ParentColumn { table: table.name.clone(), key, column, column_type, time: table.time })
    }

    /// A source for each entity: one table's rows may be measured by several properties.
    fn trend(&mut self, trend: &Trend) -> Result<(), Fault> {
        let several = trend.computed.as_ref().map(|computed| {
            let entities = computed.entities.iter().enumerate();
            entities.map(|(index, entity)| (&entity.matcher, format!("entities[{index}]"))).collect()
        });
        let entities: Vec<(&Matcher, String)> =
            several.unwrap_or_else(|| vec![(&trend.entity, "entity".to_owned())]);
        let tables = entities.iter().filter_map(|(matcher, _)| match &matcher.table {
            Some(name) => self.schema.table(name),
            None => Some(self.stream),
        });
        let tables: Vec<&TableSchema> = tables.collect();
        let mut sources = Vec::new();
        let mut grouped = None;
        for (index, (matcher, path)) in entities.into_iter().enumerate() {
            let (measures, prop) = trend.measured(index);
            let need = if measures.contains(&Measure::Unique) { Need::Actor } else { Need::Events };
            // No actor is looked for among those of another entity.
            self.actor = None;
            let source = self.matcher(matcher, BoundQuery::ENTITY, &path, need)?;
            if let Some(breakdown) = &trend.breakdown {
                let own = self.table_of(source)?;
                let column_type = self.breakdown(breakdown, source)?;
                let is_assumed =
                    |column: &usize| breakdown.scope == PropScope::Event && own.is_assumed(*column);
                if self.sources[source].breakdown.iter().flatten().any(is_assumed)
                    && tables.iter().any(|table| has(table, &breakdown.prop))
                {
                    self.sources[source].breakdown = vec![None];
                } else {
                    one_type(&mut grouped, breakdown, &own.name, column_type)?;
                }
            }
            if let Some(prop) = prop {
                let path = if trend.computed.is_some() { format!("{path}.prop") } else { "prop".to_owned() };
                self.measured(prop, measures, source, &path)?;
            }
            sources.append(&mut self.sources);
        }
        self.sources = sources;
        Ok(())
    }

    /// A chain begins at an event that has the asked item besides.
    fn paths(&mut self, paths: &Paths) -> Result<(), Fault> {
        let source = self.matcher(&paths.entity, BoundQuery::ENTITY, "entity", Need::Actor)?;
        let table = self.table_of(source)?;
        let column = prop_column(table, &paths.item, "item")?;
        self.sources[source].value = Some(ValueColumn { column, cut: None, trim: false, of: None });
        if let Some(start_at) = &paths.start_at {
            let is_item = Filter::Test(Test {
                prop: paths.item.clone(),
                op: Op::Eq,
                values: vec![start_at.clone()],
                scope: PropScope::Event,
            });
            self.matcher(&paths.entity, BoundQuery::CHAIN_START, "entity", Need::Actor)?;
            let bound = condition(&is_item, &self.of(table), "start_at")
                .map_err(|fault| Fault { path: "start_at".to_owned(), ..fault })?;
            if let Some(matcher) = self.sources[source].matchers.last_mut() {
                matcher.filters.push(bound);
            }
        }
        Ok(())
    }

    /// The type of the values that the answer is split by.
    fn breakdown(&mut self, breakdown: &Breakdown, source: usize) -> Result<ColumnType, Fault> {
        if breakdown.scope == PropScope::Actor {
            let column = self.actor_prop(source, &breakdown.prop, "breakdown.scope")?;
            self.sources[source].breakdown = vec![Some(column)];
            return Ok(ColumnType::Mixed);
        }
        let table = self.table_of(source)?;
        let column = prop_column(table, &breakdown.prop, "breakdown.prop")?;
        self.sources[source].breakdown = vec![Some(column)];
        Ok(table.columns[column].column_type)
    }

    fn measured(&mut self, prop: &str, measures: &[Measure], source: usize, path: &str) -> Result<(), Fault> {
        let table = self.table_of(source)?;
        let column = prop_column(table, prop, path)?;
        if let Some(measure) = measures.iter().find(|measure| measure.is_numeric()) {
            self.sources[source].number = number_column(table, column, path, |column_type| {
                format!(
                    "{prop:?} was given, of type {column_type}; allowed with the measure {:?} is a column of type \
                     int, float or decimal",
                    measure.name()
                )
            })?;
        }
        if measures.contains(&Measure::UniqueProp) {
            self.sources[source].value = Some(ValueColumn { column, cut: None, trim: false, of: None });
        }
        Ok(())
    }

    fn shown(&mut self, show: &Show, of: u8, source: usize) -> Result<(), Fault> {
        let table = self.table_of(source)?;
        let Show { prop, cut, trim } = show;
        let column = prop_column(table, prop, "show")?;
        let column_type = table.columns[column].column_type;
        let is_text = column_type == ColumnType::Text;
        if (cut.is_some() || *trim) && !is_text && !table.is_property(column) {
            let problem = format_args!(
                "{prop:?} was given, of type {}; allowed with `cut` or `trim` is a column of type text",
                column_type.name()
            );
            return Err(fault("show", problem));
        }
        // A property whose values are not all texts is shown whole.
        let (cut, trim) = if is_text { (*cut, *trim) } else { (None, false) };
        self.sources[source].value = Some(ValueColumn { column, cut, trim, of: Some(of) });
        Ok(())
    }
}

/// What an answer is split by is of one type in all tables that have it.
fn one_type<'t>(
    known: &mut Option<(&'t TableName, ColumnType)>,
    breakdown: &Breakdown,
    table: &'t TableName,
    column_type: ColumnType,
) -> Result<(), Fault> {
    let (other_table, other) = known.get_or_insert((table, column_type));
    if *other == column_type {
        return Ok(());
    }
    let problem = format_args!(
        "{:?} was given, in {other_table} of type {} and in {table} of type {}; allowed is one type",
        breakdown.prop,
        other.name(),
        column_type.name()
    );
    Err(fault("breakdown.prop", problem))
}
