//! From a query to one that can run: every table, event stream, property and value is checked against
//! the app's declared tables, and what the app decides is filled in.

use jiff::tz::TimeZone;

use super::bound::{BoundMatcher, BoundQuery, EventSource, ValueColumn};
use super::condition::Condition;
use super::matcher::{Breakdown, Matcher};
use super::{
    Filter, Interval, Kind, Measure, PropScope, Query, RETENTION_PERIODS_MAX, Show, TREND_BUCKETS_MAX, Trend,
    When,
};
use crate::{AppSchema, Calendar, ColumnType, Fault, Instant, TableKind, TableName, TableSchema, nearest};

/// The property that stands for the event's name, where a table has no column of that name.
const EVENT_PROP: &str = "event";

/// Checks a query against an app's tables.
pub fn bind(query: &Query, schema: &AppSchema) -> Result<BoundQuery, Fault> {
    let mut query = query.clone();
    let calendar = calendar(&mut query, schema);
    let as_of = query.as_of.map(|when| when.end(&calendar));
    let from = query.from.map(|when| when.start(&calendar));
    let to = query.to.map(|when| when.start(&calendar));
    query.as_of = as_of.map(When::Instant);
    query.from = from.map(When::Instant);
    query.to = to.map(When::Instant);
    if let (Some(from), Some(to)) = (from, to)
        && to <= from
    {
        return Err(fault("to", format_args!("{to} was given; allowed is an instant after `from`, {from}")));
    }
    let stream = stream(&query, schema)?;
    query.stream = Some(stream.name.clone());
    check_range(&mut query, &calendar, from, to)?;
    let mut binder = Binder { schema, query: &query, stream, sources: Vec::new(), actor: None };
    binder.bind_kind()?;
    let Binder { sources, actor, .. } = binder;
    Ok(BoundQuery { calendar, as_of, from, to, sources, actor_type: actor.map(|(_, kind)| kind), query })
}

fn fault(path: &str, problem: impl std::fmt::Display) -> Fault {
    Fault { path: path.to_owned(), problem: problem.to_string() }
}

fn calendar(query: &mut Query, schema: &AppSchema) -> Calendar {
    let given = query.tz.as_deref().and_then(|name| TimeZone::get(name).ok());
    let zone = given.unwrap_or_else(|| schema.calendar.zone().clone());
    query.tz = zone.iana_name().map_or_else(|| query.tz.clone(), |name| Some(name.to_owned()));
    let week_start = query.week_start.unwrap_or_else(|| schema.calendar.week_start());
    query.week_start = Some(week_start);
    Calendar::new(zone, week_start)
}

fn stream<'a>(query: &Query, schema: &'a AppSchema) -> Result<&'a TableSchema, Fault> {
    if let Some(name) = &query.stream {
        return known_table(schema, name, "stream");
    }
    let mut streams = schema.tables.iter().filter(|table| table.kind == TableKind::Events);
    streams.next().ok_or_else(|| {
        fault("stream", "is missing, and the app has no event stream that could serve instead")
    })
}

fn known_table<'a>(schema: &'a AppSchema, name: &TableName, path: &str) -> Result<&'a TableSchema, Fault> {
    schema.table(name).ok_or_else(|| {
        let names = || schema.tables.iter().map(|table| table.name.as_str());
        let known: Vec<&str> = names().collect();
        let hint = hint(name.as_str(), names());
        fault(path, format_args!("{:?} was given; allowed is one of {known:?}{hint}", name.as_str()))
    })
}

fn hint<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    nearest(given, names).map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"))
}

/// Settles how many periods a retention has, and refuses more buckets than a trend may have.
fn check_range(
    query: &mut Query,
    calendar: &Calendar,
    from: Option<Instant>,
    to: Option<Instant>,
) -> Result<(), Fault> {
    match &mut query.kind {
        Kind::Churn(_) | Kind::Preceding(_) => Ok(()),
        Kind::Trend(trend) => {
            if trend.compare.is_some() && trend.interval == Interval::All && from.is_none() {
                return Err(fault("from", "is missing, and `compare` over all needs it"));
            }
            let (Interval::Unit(unit), Some(from), Some(to)) = (trend.interval, from, to) else {
                return Ok(());
            };
            let boundaries = calendar.boundaries(unit, from, to, TREND_BUCKETS_MAX);
            boundaries.map(|_| ()).ok_or_else(|| {
                fault(
                    "interval",
                    format_args!("from {from} to {to} has more than {TREND_BUCKETS_MAX} of these, the limit"),
                )
            })
        }
        Kind::Retention(retention) => {
            let Some(to) = to else {
                return Ok(());
            };
            let Some(from) = from else {
                return Err(fault("from", "is missing, and `to` needs it; or give `periods` alone"));
            };
            let max = RETENTION_PERIODS_MAX;
            let boundaries = calendar.boundaries(retention.period, from, to, max as usize);
            let count = boundaries.and_then(|found| u32::try_from(found.len().saturating_sub(1)).ok());
            let Some(count) = count else {
                return Err(fault(
                    "to",
                    format_args!("it lies more than {max} periods after `from`, the limit"),
                ));
            };
            if let Some(given) = retention.periods.filter(|given| *given != count) {
                let problem = format_args!("{given} was given; from {from} to {to} there are {count}");
                return Err(fault("periods", problem));
            }
            retention.periods = Some(count);
            retention.columns = Some(retention.columns.unwrap_or(count));
            Ok(())
        }
    }
}

struct Binder<'a, 'q> {
    schema: &'a AppSchema,
    query: &'q Query,
    stream: &'a TableSchema,
    sources: Vec<EventSource>,
    /// Where the first actor came from, and its type.
    actor: Option<(TableName, ColumnType)>,
}

impl<'a> Binder<'a, '_> {
    fn bind_kind(&mut self) -> Result<(), Fault> {
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
            Kind::Preceding(preceding) => {
                self.matcher(&preceding.before, BoundQuery::BEFORE, "before", Need::Actor)?;
                let table = self.matcher(&preceding.of, BoundQuery::OF, "of", Need::Actor)?;
                self.shown(&preceding.show, BoundQuery::OF, table)?;
            }
        }
        Ok(())
    }

    /// A source for each entity: one table's rows may be measured by several properties.
    fn trend(&mut self, trend: &Trend) -> Result<(), Fault> {
        let several = trend.computed.as_ref().map(|computed| {
            let entities = computed.entities.iter().enumerate();
            entities.map(|(index, entity)| (&entity.matcher, format!("entities[{index}]"))).collect()
        });
        let entities: Vec<(&Matcher, String)> =
            several.unwrap_or_else(|| vec![(&trend.entity, "entity".to_owned())]);
        let mut sources = Vec::new();
        let mut grouped = None;
        for (index, (matcher, path)) in entities.into_iter().enumerate() {
            let (measures, prop) = trend.measured(index);
            let need = if measures.contains(&Measure::Unique) { Need::Actor } else { Need::Events };
            // No actor is looked for among those of another entity.
            self.actor = None;
            let source = self.matcher(matcher, BoundQuery::ENTITY, &path, need)?;
            if let Some(breakdown) = &trend.breakdown {
                let column_type = self.breakdown(breakdown, source)?;
                let (table, other) = grouped.get_or_insert((self.sources[source].table.clone(), column_type));
                if *other != column_type {
                    let problem = format_args!(
                        "{:?} was given, in {table} of type {} and in {} of type {}; allowed is one type",
                        breakdown.prop,
                        other.name(),
                        self.sources[source].table,
                        column_type.name()
                    );
                    return Err(fault("breakdown.prop", problem));
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

    /// Adds a matcher to its table's source, and gives the source's index.
    fn matcher(&mut self, matcher: &Matcher, bit: u8, path: &str, need: Need) -> Result<usize, Fault> {
        let table = match &matcher.table {
            Some(name) => known_table(self.schema, name, &format!("{path}.table"))?,
            None => self.stream,
        };
        let index = self.source(table, path, need)?;
        let event = match &matcher.event {
            None => None,
            Some(name) => {
                let Some(column) = table.event_name else {
                    let problem =
                        format_args!("{name:?} was given; the rows of {} have no event names", table.name);
                    return Err(fault(&format!("{path}.event"), problem));
                };
                Some((column, name.clone()))
            }
        };
        let filters = conditions(&matcher.filters, table, &format!("{path}.where"))?;
        self.sources[index].matchers.push(BoundMatcher { bit, event, filters });
        Ok(index)
    }

    fn source(&mut self, table: &TableSchema, path: &str, need: Need) -> Result<usize, Fault> {
        if let Some(index) = self.sources.iter().position(|source| source.table == table.name) {
            return Ok(index);
        }
        let Some(time) = table.time else {
            let problem = format_args!("the rows of {} have no time, so they are no events", table.name);
            return Err(fault(path, problem));
        };
        let actor = self.actor_of(table, path, need)?;
        let filters = conditions(&self.query.filters, table, "filters")?;
        self.sources.push(EventSource {
            table: table.name.clone(),
            time,
            actor,
            filters,
            matchers: Vec::new(),
            breakdown: None,
            number: None,
            value: None,
            key: table.key.clone(),
        });
        Ok(self.sources.len() - 1)
    }

    /// Whose events the table's rows are, in the same type as in the query's other tables.
    fn actor_of(&mut self, table: &TableSchema, path: &str, need: Need) -> Result<Option<usize>, Fault> {
        let column = match (&self.query.aggregate_by, need) {
            (Some(prop), _) => prop_column(table, prop, "aggregate_by")?,
            (None, Need::Events) => return Ok(None),
            (None, Need::Actor) => table.actor_column().ok_or_else(|| {
                fault(path, format_args!("the rows of {} have no actor, which this needs", table.name))
            })?,
        };
        let own = table.columns[column].column_type;
        match &self.actor {
            None => self.actor = Some((table.name.clone(), own)),
            Some((other, type_there)) if *type_there != own => {
                let problem = format_args!(
                    "the actors of {other} are of type {} and those of {} of type {}, so none could be in both",
                    type_there.name(),
                    table.name,
                    own.name()
                );
                return Err(fault(path, problem));
            }
            Some(_) => {}
        }
        Ok(Some(column))
    }

    /// The type of the values that the answer is split by.
    fn breakdown(&mut self, breakdown: &Breakdown, source: usize) -> Result<ColumnType, Fault> {
        if breakdown.scope == PropScope::Actor {
            return Err(no_actor_props("breakdown.scope"));
        }
        let table = self.table_of(source)?;
        let column = prop_column(table, &breakdown.prop, "breakdown.prop")?;
        self.sources[source].breakdown = Some(column);
        Ok(table.columns[column].column_type)
    }

    fn measured(&mut self, prop: &str, measures: &[Measure], source: usize, path: &str) -> Result<(), Fault> {
        let table = self.table_of(source)?;
        let column = prop_column(table, prop, path)?;
        if let Some(measure) = measures.iter().find(|measure| measure.is_numeric()) {
            let column_type = table.columns[column].column_type;
            if !matches!(column_type, ColumnType::Int | ColumnType::Float | ColumnType::Decimal) {
                let problem = format_args!(
                    "{prop:?} was given, of type {}; allowed with the measure {:?} is a column of type int, float or \
                     decimal",
                    column_type.name(),
                    measure.name()
                );
                return Err(fault(path, problem));
            }
            self.sources[source].number = Some(column);
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
        if (cut.is_some() || *trim) && column_type != ColumnType::Text {
            let problem = format_args!(
                "{prop:?} was given, of type {}; allowed with `cut` or `trim` is a column of type text",
                column_type.name()
            );
            return Err(fault("show", problem));
        }
        self.sources[source].value = Some(ValueColumn { column, cut: *cut, trim: *trim, of: Some(of) });
        Ok(())
    }

    fn table_of(&self, source: usize) -> Result<&'a TableSchema, Fault> {
        known_table(self.schema, &self.sources[source].table, "stream")
    }
}

/// What a query wants of a table besides events.
#[derive(Clone, Copy)]
enum Need {
    Actor,
    Events,
}

fn conditions(filters: &[Filter], table: &TableSchema, path: &str) -> Result<Vec<Condition>, Fault> {
    let bound = |(index, filter)| condition(filter, table, &format!("{path}[{index}]"));
    filters.iter().enumerate().map(bound).collect()
}

fn condition(filter: &Filter, table: &TableSchema, path: &str) -> Result<Condition, Fault> {
    Ok(match filter {
        Filter::Any(filters) => Condition::Any(conditions(filters, table, &format!("{path}.any"))?),
        Filter::All(filters) => Condition::All(conditions(filters, table, &format!("{path}.all"))?),
        Filter::Test(test) => {
            if test.scope == PropScope::Actor {
                return Err(no_actor_props(&format!("{path}.scope")));
            }
            let index = prop_column(table, &test.prop, &format!("{path}.prop"))?;
            Condition::of(test, index, &table.columns[index])
                .map_err(|problem| fault(&format!("{path}.value"), problem))?
        }
    })
}

fn no_actor_props(path: &str) -> Fault {
    fault(path, "\"actor\" was given; allowed is \"event\", since actors have no properties in this app")
}

/// The column that a property is.
fn prop_column(table: &TableSchema, prop: &str, path: &str) -> Result<usize, Fault> {
    let event_name = if prop == EVENT_PROP { table.event_name } else { None };
    table.column_index(prop).or(event_name).ok_or_else(|| {
        let names = || table.columns.iter().map(|column| column.name.as_str());
        let known: Vec<&str> = names().collect();
        let hint = hint(prop, names());
        fault(path, format_args!("{prop:?} was given; {} has {known:?}{hint}", table.name))
    })
}
