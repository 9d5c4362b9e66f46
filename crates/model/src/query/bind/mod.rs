//! From a query to one that can run: every table, event stream, property and value is checked against
//! the app's declared tables, and what the app decides is filled in.

mod dropoff;
mod funnel;
mod kinds;
mod range;

use jiff::tz::TimeZone;

use self::range::check_range;
use super::bound::{ActorProps, Aliased, BoundMatcher, BoundQuery, EventSource, ParentColumn};
use super::condition::{CohortTest, Condition, Probe};
use super::filter::CohortFilter;
use super::matcher::Matcher;
use super::{Filter, PropScope, Query, When};
use crate::cohort::cohort_tables;
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
    let mut binder = Binder { schema, query: &query, stream, sources: Vec::new(), actor: None, parent: None };
    binder.bind_kind()?;
    let Binder { mut sources, actor, parent, .. } = binder;
    sources.iter_mut().for_each(EventSource::place_actor_props);
    let extra_tables = cohort_dependencies(&sources, schema);
    Ok(BoundQuery {
        calendar,
        as_of,
        from,
        to,
        sources,
        extra_tables,
        parent,
        actor_type: actor.map(|(_, kind)| kind),
        query,
    })
}

/// What an answer depends on besides its own tables where it is about a cohort: who is in one may be for any
/// of the app's rows to say.
fn cohort_dependencies(sources: &[EventSource], schema: &AppSchema) -> Vec<TableName> {
    if sources.iter().all(|source| source.cohort_tests().is_empty()) {
        return Vec::new();
    }
    let own = schema.declared_tables().map(|table| table.name.clone());
    cohort_tables().into_iter().chain(own).collect()
}

fn fault(path: &str, problem: impl std::fmt::Display) -> Fault {
    Fault { path: path.to_owned(), problem: problem.to_string() }
}

/// The moment that a query asks about, by its own calendar; `None`: it names none.
pub fn as_of(query: &Query, schema: &AppSchema) -> Option<Instant> {
    let calendar = calendar(&mut query.clone(), schema);
    query.as_of.map(|when| when.end(&calendar))
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
    let mut streams = schema.declared_tables().filter(|table| table.kind == TableKind::Events);
    streams.next().ok_or_else(|| {
        fault("stream", "is missing, and the app has no event stream that could serve instead")
    })
}

fn known_table<'a>(schema: &'a AppSchema, name: &TableName, path: &str) -> Result<&'a TableSchema, Fault> {
    schema.table(name).filter(|table| !table.name.is_system()).ok_or_else(|| {
        let names = || schema.declared_tables().map(|table| table.name.as_str());
        let known: Vec<&str> = names().collect();
        let hint = hint(name.as_str(), names());
        fault(path, format_args!("{:?} was given; allowed is one of {known:?}{hint}", name.as_str()))
    })
}

fn hint<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    nearest(given, names).map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"))
}

struct Binder<'a, 'q> {
    schema: &'a AppSchema,
    query: &'q Query,
    stream: &'a TableSchema,
    sources: Vec<EventSource>,
    /// Where the first actor came from, and its type.
    actor: Option<(TableName, ColumnType)>,
    parent: Option<ParentColumn>,
}

impl<'a> Binder<'a, '_> {
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
        let filters = conditions(&matcher.filters, &self.of(table), &format!("{path}.where"))?;
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
        let filters = conditions(&self.query.filters, &self.of(table), "filters")?;
        self.sources.push(events_of(table, time, actor, filters));
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

    fn of<'t>(&'t self, table: &'t TableSchema) -> Counted<'t> {
        Counted { table, aggregate_by: self.query.aggregate_by.as_deref() }
    }

    /// The column of a property by which the answer is split.
    fn actor_prop(&mut self, source: usize, prop: &str, path: &str) -> Result<usize, Fault> {
        let props = self.sources[source].actor_props.as_mut();
        props.map(|props| props.column(prop)).ok_or_else(|| no_actor_props(path))
    }

    fn table_of(&self, source: usize) -> Result<&'a TableSchema, Fault> {
        known_table(self.schema, &self.sources[source].table, "stream")
    }
}

fn cohort_test(filter: &CohortFilter, counted: &Counted<'_>, path: &str) -> Result<CohortTest, Fault> {
    let table = counted.table;
    let column = match counted.aggregate_by {
        Some(prop) => prop_column(table, prop, "aggregate_by")?,
        None => table.actor_column().ok_or_else(|| {
            let problem = format_args!("a cohort was given, and the rows of {} have no actor", table.name);
            fault(&format!("{path}.cohort"), problem)
        })?,
    };
    Ok(CohortTest {
        column,
        column_type: table.columns[column].column_type,
        cohort: filter.cohort.clone(),
        membership: filter.membership,
        path: format!("{path}.cohort"),
    })
}

/// A table's rows as events, of which nothing is wanted yet.
fn events_of(table: &TableSchema, time: usize, actor: Option<usize>, filters: Vec<Condition>) -> EventSource {
    EventSource {
        table: table.name.clone(),
        time,
        actor,
        filters,
        matchers: Vec::new(),
        breakdown: Vec::new(),
        number: None,
        value: None,
        key: table.key.clone(),
        aliases: table.actor.zip(table.aliases.clone()).map(|(column, by)| Aliased { column, by }),
        actor_props: table.actor.zip(table.actor_props.clone()).map(|(actor, by)| ActorProps {
            by,
            actor,
            first: table.columns.len(),
            names: Vec::new(),
        }),
    }
}

/// What a query wants of a table besides events.
#[derive(Clone, Copy)]
enum Need {
    Actor,
    Events,
}

/// A table, and the property by which a query counts in place of its actors.
struct Counted<'a> {
    table: &'a TableSchema,
    aggregate_by: Option<&'a str>,
}

fn conditions(filters: &[Filter], table: &Counted<'_>, path: &str) -> Result<Vec<Condition>, Fault> {
    let bound = |(index, filter)| condition(filter, table, &format!("{path}[{index}]"));
    filters.iter().enumerate().map(bound).collect()
}

fn condition(filter: &Filter, counted: &Counted<'_>, path: &str) -> Result<Condition, Fault> {
    let table = counted.table;
    Ok(match filter {
        Filter::Cohort(filter) => Condition::Cohort(cohort_test(filter, counted, path)?),
        Filter::Any(filters) => Condition::Any(conditions(filters, counted, &format!("{path}.any"))?),
        Filter::All(filters) => Condition::All(conditions(filters, counted, &format!("{path}.all"))?),
        Filter::Test(test) => {
            if test.scope == PropScope::Actor {
                if table.actor_props.is_none() {
                    return Err(no_actor_props(&format!("{path}.scope")));
                }
                let probe =
                    Probe::of_actor(test).map_err(|problem| fault(&format!("{path}.value"), problem))?;
                return Ok(Condition::OfActor(test.prop.clone(), probe));
            }
            let index = prop_column(table, &test.prop, &format!("{path}.prop"))?;
            let column = &table.columns[index];
            let bound = if table.is_property(index) {
                Condition::of_property(test, index, column)
            } else {
                Condition::of(test, index, column)
            };
            bound.map_err(|problem| fault(&format!("{path}.value"), problem))?
        }
    })
}

fn no_actor_props(path: &str) -> Fault {
    fault(path, "\"actor\" was given; allowed is \"event\", since actors have no properties in this app")
}

/// The column whose numbers are measured. Of a property that no pack declares these are its values that are
/// numbers: `None` where it has none. `problem` follows the type that a declared column has.
fn number_column(
    table: &TableSchema,
    column: usize,
    path: &str,
    problem: impl FnOnce(&str) -> String,
) -> Result<Option<usize>, Fault> {
    let column_type = table.columns[column].column_type;
    let is_number = matches!(column_type, ColumnType::Int | ColumnType::Float | ColumnType::Decimal);
    if is_number || column_type == ColumnType::Mixed && table.is_property(column) {
        Ok(Some(column))
    } else if table.is_property(column) {
        Ok(None)
    } else {
        Err(fault(path, problem(column_type.name())))
    }
}

/// Whether a table has a property, as far as it is known.
fn has(table: &TableSchema, prop: &str) -> bool {
    prop_column(table, prop, "").is_ok_and(|column| !table.is_assumed(column))
}

/// The column that a property is.
fn prop_column(table: &TableSchema, prop: &str, path: &str) -> Result<usize, Fault> {
    let event_name = if prop == EVENT_PROP { table.event_name } else { None };
    let declared = table.declared().iter().position(|column| column.name == prop);
    declared.or(event_name).or_else(|| table.column_index(prop)).ok_or_else(|| {
        let names = || table.columns.iter().map(|column| column.name.as_str());
        let known: Vec<&str> = names().collect();
        let hint = hint(prop, names());
        fault(path, format_args!("{prop:?} was given; {} has {known:?}{hint}", table.name))
    })
}
