//! A dropoff's tables: the events that have a session of their own, those that are parted by time, and
//! the tables of its latencies.

use super::{
    Binder, Counted, Need, condition, conditions, events_of, fault, known_table, number_column, prop_column,
};
use crate::query::bound::{BoundMatcher, BoundQuery, EventSource, ValueColumn};
use crate::query::condition::{Condition, Operand, Probe};
use crate::query::filter::{Filter, Op, PropScope, Test};
use crate::query::matcher::Matcher;
use crate::query::{Dropoff, Latency, Scalar, Splits};
use crate::{Fault, TableSchema};

impl<'a> Binder<'a, '_> {
    /// The sources are: with a session property the events that have it, as the session's; those that
    /// have none, as the actor's; then those of each latency.
    pub(super) fn dropoff(&mut self, dropoff: &Dropoff) -> Result<(), Fault> {
        let Dropoff { entity, session, step, next_step, steps, exit, .. } = dropoff;
        let table = match &entity.table {
            Some(name) => known_table(self.schema, name, "entity.table")?,
            None => self.stream,
        };
        let mut matchers = vec![BoundMatcher { bit: BoundQuery::SHOWN, event: None, filters: Vec::new() }];
        matchers.extend(serving(table, step, steps, BoundQuery::STEP, "step")?);
        if let Some(next_step) = next_step {
            matchers.extend(serving(table, next_step, steps, BoundQuery::NEXT_STEP, "next_step")?);
        }
        if let Some(exit) = exit {
            if exit.table.as_ref().is_some_and(|name| *name != table.name) {
                let problem = format_args!("another table was given; allowed is {}", table.name);
                return Err(fault("exit.table", problem));
            }
            matchers.extend(self.only_source(table, exit, BoundQuery::EXIT, "exit")?.matchers);
        }
        let mut by_actor = self.only_source(table, entity, BoundQuery::SHOWN, "entity")?;
        for matcher in std::mem::replace(&mut by_actor.matchers, matchers) {
            let named = |(column, name)| {
                Condition::Column(column, Probe::In { operands: vec![Operand::Text(name)], null: false })
            };
            by_actor.filters.extend(matcher.event.map(named));
            by_actor.filters.extend(matcher.filters);
        }
        by_actor.filters.extend(self.aggregated(table)?);
        let mut sources = Vec::new();
        let filters = by_actor.filters.clone();
        if let Some(prop) = &session.prop {
            let column = prop_column(table, prop, "session")?;
            let whole = |column| ValueColumn { column, cut: None, trim: false, of: None };
            let mut by_session = by_actor.clone();
            by_session.value = by_actor.actor.map(whole);
            by_session.actor = Some(column);
            by_session.filters.push(Condition::Column(column, Probe::IsSet));
            by_actor.filters.push(Condition::Column(column, Probe::IsNotSet));
            sources.push(by_session);
        }
        sources.push(by_actor);
        if let Some(splits) = &dropoff.splits {
            split(table, splits, &mut sources)?;
            self.sources = sources;
            return Ok(());
        }
        for latency in &dropoff.latency {
            sources.push(self.latency(latency, dropoff, table, &filters)?);
        }
        self.sources = sources;
        Ok(())
    }

    /// A table's source with this matcher alone.
    fn only_source(
        &mut self,
        table: &TableSchema,
        matcher: &Matcher,
        bit: u8,
        path: &str,
    ) -> Result<EventSource, Fault> {
        let matcher = Matcher { table: Some(table.name.clone()), ..matcher.clone() };
        let index = self.matcher(&matcher, bit, path, Need::Actor)?;
        Ok(self.sources.remove(index))
    }

    /// Where the query is about a property in place of the actor: events without it have no part.
    fn aggregated(&self, table: &TableSchema) -> Result<Option<Condition>, Fault> {
        let column = self.query.aggregate_by.as_ref().map(|prop| prop_column(table, prop, "aggregate_by"));
        Ok(column.transpose()?.map(|column| Condition::Column(column, Probe::IsSet)))
    }

    /// `own_filters`: those of the query's own events.
    fn latency(
        &self,
        latency: &Latency,
        dropoff: &Dropoff,
        own: &'a TableSchema,
        own_filters: &[Condition],
    ) -> Result<EventSource, Fault> {
        let path = format!("latency.{}", latency.name);
        let table = match &latency.table {
            Some(name) => known_table(self.schema, name, &format!("{path}.table"))?,
            None => own,
        };
        let Some(time) = table.time else {
            let problem = format_args!("the rows of {} have no time, so they are no events", table.name);
            return Err(fault(&path, problem));
        };
        let column = prop_column(table, &latency.prop, &path)?;
        let number = number_column(table, column, &path, |column_type| {
            format!(
                "{:?} was given, of type {column_type}; allowed is a column of type int, float or decimal",
                latency.prop
            )
        })?;
        let is_own = table.name == own.name;
        let mut filters = if is_own {
            own_filters.to_vec()
        } else {
            let mut filters = conditions(&self.query.filters, &self.of(table), "filters")?;
            filters.extend(self.aggregated(table)?);
            filters
        };
        filters.push(Condition::Column(column, Probe::IsSet));
        let step = latency.step.as_ref().unwrap_or(&dropoff.step);
        Ok(EventSource {
            matchers: serving(table, step, &dropoff.steps, BoundQuery::STEP, &path)?,
            number,
            ..events_of(table, time, None, filters)
        })
    }
}

/// Has the events of all sources read with what their sessions are split by.
fn split(table: &TableSchema, splits: &Splits, sources: &mut [EventSource]) -> Result<(), Fault> {
    let column = |(name, prop): (&str, &str)| prop_column(table, prop, &format!("splits.{name}")).map(Some);
    let breakdown = splits.props().map(column).collect::<Result<Vec<_>, _>>()?;
    let number = match splits.mean() {
        None => None,
        Some((name, prop)) => {
            let path = format!("splits.{name}.mean");
            let column = prop_column(table, prop, &path)?;
            number_column(table, column, &path, |column_type| {
                format!(
                    "{prop:?} was given, of type {column_type}; allowed is a column of type int, float or decimal"
                )
            })?
        }
    };
    for source in sources {
        (source.breakdown, source.number) = (breakdown.clone(), number);
    }
    Ok(())
}

/// A matcher for each step, of the events whose property has its value.
fn serving(
    table: &TableSchema,
    prop: &str,
    steps: &[Scalar],
    first_bit: u8,
    path: &str,
) -> Result<Vec<BoundMatcher>, Fault> {
    prop_column(table, prop, path)?;
    let matcher = |(bit, (index, step)): (u8, (usize, &Scalar))| {
        let is_step = Filter::Test(Test {
            prop: prop.to_owned(),
            op: Op::Eq,
            values: vec![step.clone()],
            scope: PropScope::Event,
        });
        let path = format!("steps[{index}]");
        let bound = condition(&is_step, &Counted { table, aggregate_by: None }, &path)
            .map_err(|fault| Fault { path: path.clone(), ..fault })?;
        Ok(BoundMatcher { bit, event: None, filters: vec![bound] })
    };
    (first_bit..).zip(steps.iter().enumerate()).map(matcher).collect()
}
