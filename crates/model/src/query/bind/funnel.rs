//! A funnel's matchers: its steps, its exclusions, and what else it looks at.

use super::{Binder, Need, fault, has, prop_column};
use crate::Fault;
use crate::query::bound::BoundQuery;
use crate::query::filter::PropScope;
use crate::query::matcher::Matcher;
use crate::query::{FirstTime, Funnel, FunnelBreakdown, StepOrder};

impl Binder<'_, '_> {
    pub(super) fn funnel(&mut self, funnel: &Funnel) -> Result<(), Fault> {
        for (bit, (index, step)) in (BoundQuery::STEP..).zip(funnel.steps.iter().enumerate()) {
            let path = format!("steps[{index}]");
            self.matcher(&step.matcher, bit, &path, Need::Actor)?;
            if step.first_time == Some(FirstTime::Ever) {
                let named = Matcher { filters: Vec::new(), ..step.matcher.clone() };
                self.matcher(&named, bit + BoundQuery::STEP_NAME, &path, Need::Actor)?;
            }
        }
        for (bit, (index, exclusion)) in (BoundQuery::EXCLUSION..).zip(funnel.exclusions.iter().enumerate()) {
            self.matcher(&exclusion.matcher, bit, &format!("exclusions[{index}]"), Need::Actor)?;
        }
        if funnel.order == StepOrder::Strict || funnel.count_all_actors {
            let tables: Vec<_> = self.sources.iter().map(|source| source.table.clone()).collect();
            for table in tables {
                let any = Matcher { table: Some(table), ..Matcher::default() };
                self.matcher(&any, BoundQuery::ANY, "steps", Need::Actor)?;
            }
        }
        funnel.breakdown.as_ref().map_or(Ok(()), |breakdown| self.groups(breakdown))
    }

    /// An event's actor has the property, whatever the event is.
    fn groups_of_actors(&mut self, breakdown: &FunnelBreakdown) -> Result<(), Fault> {
        for prop in &breakdown.props {
            for source in 0..self.sources.len() {
                let column = self.actor_prop(source, prop, "breakdown.scope")?;
                self.sources[source].breakdown.push(Some(column));
            }
        }
        Ok(())
    }

    /// A property that one table of several lacks is missing in its events.
    fn groups(&mut self, breakdown: &FunnelBreakdown) -> Result<(), Fault> {
        if breakdown.scope == PropScope::Actor {
            return self.groups_of_actors(breakdown);
        }
        for (index, prop) in breakdown.props.iter().enumerate() {
            let path = format!("breakdown.props[{index}]");
            let tables = self.sources.iter().filter_map(|source| self.schema.table(&source.table));
            let somewhere = tables.into_iter().any(|table| has(table, prop));
            let mut known = None;
            let mut unknown = None;
            for source in 0..self.sources.len() {
                let table = self.table_of(source)?;
                let column = match prop_column(table, prop, &path) {
                    Ok(column) if somewhere && table.is_assumed(column) => None,
                    Ok(column) => Some(column),
                    Err(fault) => {
                        unknown.get_or_insert(fault);
                        None
                    }
                };
                self.sources[source].breakdown.push(column);
                let Some(column_type) = column.map(|column| table.columns[column].column_type) else {
                    continue;
                };
                let (other_table, other) = known.get_or_insert((table.name.clone(), column_type));
                if *other != column_type {
                    let problem = format_args!(
                        "{prop:?} was given, in {other_table} of type {} and in {} of type {}; allowed is one type",
                        other.name(),
                        table.name,
                        column_type.name()
                    );
                    return Err(fault(&path, problem));
                }
            }
            if let (None, Some(fault)) = (known, unknown) {
                return Err(fault);
            }
        }
        Ok(())
    }
}
