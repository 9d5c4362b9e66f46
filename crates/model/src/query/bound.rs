//! A query whose every name is a column of an app's tables: what the engine runs.

use serde_json::Value as Json;

use super::filter::{Op, PropScope, Scalar, Test};
use super::{CohortTest, Condition, FunnelView, Interval, Kind, Measures, Query, Window};
use crate::{
    ActorPropsTable, AliasTable, AppSchema, Calendar, Column, ColumnType, Fault, Instant, TableName, Unit,
};

/// A checked query. Its matchers are numbered; an event is marked with those that it satisfies.
#[derive(Clone, Debug)]
pub struct BoundQuery {
    /// With the app's defaults filled in and dates resolved in the zone.
    pub query: Query,
    pub calendar: Calendar,
    pub as_of: Option<Instant>,
    pub from: Option<Instant>,
    pub to: Option<Instant>,
    /// Where events come from: each table once, in a trend of several entities once for each.
    pub sources: Vec<EventSource>,
    /// The type of the actor (or of what is aggregated by): the same in every source. `None` where
    /// the query needs no actor.
    pub actor_type: Option<ColumnType>,
    /// What the answer depends on besides its sources.
    pub extra_tables: Vec<TableName>,
    /// In a preceding: what the counts are given by.
    pub parent: Option<ParentColumn>,
}

/// A column of the rows that a stream's actors are: of the table that says whose the stream's rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentColumn {
    pub table: TableName,
    /// The column that is its key.
    pub key: usize,
    pub column: usize,
    pub column_type: ColumnType,
    /// When the rows came to be; those of after `as_of` do not exist.
    pub time: Option<usize>,
}

impl EventSource {
    /// Leaves the events that have this value in a column. A fault is at `actor`.
    pub fn only_of(&mut self, index: usize, column: &Column, value: &Scalar) -> Result<(), Fault> {
        let test = Test {
            prop: column.name.clone(),
            op: Op::Eq,
            values: vec![value.clone()],
            scope: PropScope::Event,
        };
        let condition = Condition::of(&test, index, column);
        self.filters.push(condition.map_err(|problem| Fault { path: "actor".to_owned(), problem })?);
        Ok(())
    }

    /// What its conditions ask about saved sets of actors.
    pub fn cohort_tests(&self) -> Vec<&CohortTest> {
        let mut tests = Vec::new();
        collect_tests(&self.filters, &mut tests);
        self.matchers.iter().for_each(|matcher| collect_tests(&matcher.filters, &mut tests));
        tests
    }
}

fn collect_tests<'c>(conditions: &'c [Condition], into: &mut Vec<&'c CohortTest>) {
    for condition in conditions {
        match condition {
            Condition::Any(inner) | Condition::All(inner) => collect_tests(inner, into),
            Condition::Cohort(test) => into.push(test),
            Condition::Column(..) | Condition::OfActor(..) => {}
        }
    }
}

/// A table seen as a stream of events. Columns are indexes of its declared ones.
#[derive(Clone, Debug)]
pub struct EventSource {
    pub table: TableName,
    /// Rows without a time are no events.
    pub time: usize,
    /// Whose events they are; rows without one are no one's.
    pub actor: Option<usize>,
    /// Hold for every event, besides what its matcher says.
    pub filters: Vec<Condition>,
    pub matchers: Vec<BoundMatcher>,
    /// By which the answer is split; `None` where the table lacks that property.
    pub breakdown: Vec<Option<usize>>,
    /// Whose numbers are measured.
    pub number: Option<usize>,
    /// Whose values are told apart.
    pub value: Option<ValueColumn>,
    /// The columns of the table's key; none where it has no key.
    pub key: Vec<usize>,
    /// Where the actors of its rows have other names.
    pub aliases: Option<Aliased>,
    /// Where the actors of its rows have properties.
    pub actor_props: Option<ActorProps>,
}

/// The properties of actors that a query reads, each as a column behind those of the table, of type `mixed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorProps {
    pub by: ActorPropsTable,
    /// The table's column that says whose an event is.
    pub actor: usize,
    /// The column of the first name.
    pub first: usize,
    pub names: Vec<String>,
}

impl ActorProps {
    /// The column of a property, which is read from now on.
    pub(super) fn column(&mut self, name: &str) -> usize {
        let place = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        self.first + place
    }
}

impl EventSource {
    /// Gives the properties of actors that its conditions name their columns.
    pub(super) fn place_actor_props(&mut self) {
        let Some(props) = &mut self.actor_props else {
            return;
        };
        let of_matchers = self.matchers.iter_mut().flat_map(|matcher| &mut matcher.filters);
        self.filters.iter_mut().chain(of_matchers).for_each(|condition| condition.place(props));
    }
}

impl Condition {
    fn place(&mut self, props: &mut ActorProps) {
        match self {
            Self::Any(inner) | Self::All(inner) => {
                inner.iter_mut().for_each(|condition| condition.place(props));
            }
            Self::OfActor(name, probe) => *self = Self::Column(props.column(name), probe.clone()),
            Self::Column(..) | Self::Cohort(_) => {}
        }
    }
}

/// A column of actors whose aliases stand in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aliased {
    pub column: usize,
    pub by: AliasTable,
}

/// A column as a query reads its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueColumn {
    pub column: usize,
    /// Only the first so many characters of its text.
    pub cut: Option<u32>,
    /// Without the white space around what is left.
    pub trim: bool,
    /// Read for the events of this matcher only; `None`: for all.
    pub of: Option<u8>,
}

#[derive(Clone, Debug)]
pub struct BoundMatcher {
    /// Its number in the query.
    pub bit: u8,
    /// The column with the event's name, and the name to be found there.
    pub event: Option<(usize, String)>,
    pub filters: Vec<Condition>,
}

impl BoundQuery {
    /// In a retention: what starts a cohort.
    pub const START: u8 = 0;
    /// In a retention: what counts as coming back.
    pub const RETURN: u8 = 1;
    /// In a preceding: what counts.
    pub const BEFORE: u8 = 0;
    /// In a preceding: what it is counted by.
    pub const OF: u8 = 1;
    /// In a funnel: the first step, the second, …
    pub const STEP: u8 = 0;
    /// In a funnel: the first exclusion, the second, …
    pub const EXCLUSION: u8 = 20;
    /// In a funnel: the events of the first step's name, of the second's, …, whatever else they are.
    pub const STEP_NAME: u8 = 40;
    /// In a funnel: any event.
    pub const ANY: u8 = 60;
    /// In paths: where chains may begin.
    pub const CHAIN_START: u8 = 1;
    /// In a dropoff: the events that led to the first step, to the second, …; `STEP`: those that happened there.
    pub const NEXT_STEP: u8 = 20;
    /// In a dropoff: the events that end a session.
    pub const EXIT: u8 = 60;
    /// In a dropoff: all of its events.
    pub const SHOWN: u8 = 61;
    /// In the other kinds: the events that they are about.
    pub const ENTITY: u8 = 0;

    /// The query with every default filled in; it parses and binds to the same.
    pub fn to_json(&self) -> Json {
        self.query.to_json()
    }

    /// What the answer means, whenever it is asked: the query without its `as_of` and `cache`.
    pub fn definition_json(&self) -> Json {
        let query = Query { as_of: None, cache: true, ..self.query.clone() };
        query.to_json()
    }

    /// Until when the answer stays as it is while time goes on, as far as that does not hang on rows of
    /// a later time than `as_of`; perhaps sooner than it changes, never later. Of sessions that become
    /// idle the answer to a dropoff tells itself.
    pub fn changes_at(&self, as_of: Instant) -> Instant {
        // Who is in a cohort may change with time.
        if !self.extra_tables.is_empty() {
            return as_of.next_second();
        }
        let unit = match &self.query.kind {
            Kind::Retention(retention) if retention.window == Window::Calendar => retention.period,
            // Each actor's own time runs on.
            Kind::Retention(_) | Kind::Churn(_) => return as_of.next_second(),
            // How far into the earlier period it reaches goes with time.
            Kind::Trend(trend) if trend.compare.is_some() && self.to.is_none() => {
                return as_of.next_second();
            }
            Kind::Trend(trend) => match trend.interval {
                Interval::Unit(unit) => unit,
                Interval::All => Unit::Day,
            },
            Kind::Lifecycle(lifecycle) => lifecycle.interval,
            Kind::Stickiness(stickiness) => stickiness.interval,
            Kind::Funnel(funnel) => match funnel.view {
                FunnelView::Trends { interval, .. } => interval,
                FunnelView::Steps => Unit::Day,
            },
            Kind::Preceding(_) | Kind::Paths(_) | Kind::Dropoff(_) => Unit::Day,
        };
        let given = [self.from, self.to].into_iter().flatten().filter(|bound| *bound > as_of);
        given.fold(self.calendar.next_boundary(unit, as_of), Instant::min)
    }

    /// The query without what [its rows](Self::relation) leave out, which then need not be computed.
    #[must_use]
    pub fn for_relation(mut self) -> Self {
        if let Kind::Preceding(preceding) = &mut self.query.kind
            && preceding.per_actor
        {
            preceding.limit = Some(0);
        }
        self
    }

    /// The columns of its rows where SQL reads them as a table. `tenant` is null but over all tenants.
    pub fn relation(&self, app: &AppSchema) -> Vec<(String, ColumnType)> {
        if let Kind::Dropoff(dropoff) = &self.query.kind {
            return dropoff.relation(self.actor_type.unwrap_or(ColumnType::Text));
        }
        let named = |(name, column_type): (&str, ColumnType)| (name.to_owned(), column_type);
        self.columns(app).into_iter().map(named).collect()
    }

    fn columns(&self, app: &AppSchema) -> Vec<(&'static str, ColumnType)> {
        use ColumnType::{Bool, Float, Int, Text, Timestamp};
        let actor = self.actor_type.unwrap_or(Text);
        match &self.query.kind {
            Kind::Retention(_) => vec![
                ("start", Timestamp),
                ("label", Text),
                ("size", Int),
                ("period", Int),
                ("count", Int),
                ("complete", Bool),
            ],
            Kind::Churn(churn) => {
                let mut columns = vec![
                    ("tenant", Text),
                    ("actor", actor),
                    ("events", Int),
                    ("first", Timestamp),
                    ("last", Timestamp),
                    ("days_inactive", Int),
                    ("interval_days", Float),
                    ("ratio", Float),
                    ("at_risk", Bool),
                ];
                columns.extend(churn.model.iter().flat_map(|_| [("alive", Float), ("expected", Float)]));
                columns
            }
            Kind::Trend(trend) => {
                let measures: Vec<&str> = match &trend.measures {
                    Measures::One(_) => vec!["value"],
                    Measures::Many(measures) => measures.iter().map(|measure| measure.name()).collect(),
                };
                let buckets = [("start", Timestamp), ("label", Text), ("complete", Bool)];
                buckets.into_iter().chain(measures.into_iter().map(|name| (name, Float))).collect()
            }
            Kind::Funnel(funnel) => match funnel.view {
                FunnelView::Steps => {
                    vec![("step", Int), ("count", Int), ("avg_seconds", Float), ("median_seconds", Float)]
                }
                FunnelView::Trends { .. } => vec![
                    ("start", Timestamp),
                    ("label", Text),
                    ("complete", Bool),
                    ("entered", Int),
                    ("converted", Int),
                ],
            },
            Kind::Lifecycle(_) => vec![
                ("start", Timestamp),
                ("label", Text),
                ("complete", Bool),
                ("active", Int),
                ("new", Int),
                ("returning", Int),
                ("resurrecting", Int),
                ("dormant", Int),
            ],
            Kind::Dropoff(_) => Vec::new(),
            Kind::Stickiness(_) => vec![("periods", Int), ("actors", Int), ("at_least", Int)],
            Kind::Paths(_) => {
                let value = self.value_type(app);
                vec![("step", Int), ("from", value), ("to", value), ("count", Int)]
            }
            Kind::Preceding(preceding) => {
                let counted = [("value", self.value_type(app)), ("count", Int)];
                let by = self.parent.as_ref().map(|parent| ("by", parent.column_type));
                let per_actor = preceding.per_actor && by.is_none();
                let whose = per_actor.then_some([("tenant", Text), ("actor", actor)]);
                by.into_iter().chain(whose.into_iter().flatten()).chain(counted).collect()
            }
        }
    }

    /// The type of the values that are told apart; an event's name is text.
    fn value_type(&self, app: &AppSchema) -> ColumnType {
        let value = |source: &EventSource| {
            let table = app.table(&source.table)?;
            Some(table.columns.get(source.value?.column)?.column_type)
        };
        self.sources.iter().find_map(value).unwrap_or(ColumnType::Text)
    }

    /// The tables that the answer depends on.
    pub fn tables(&self) -> impl Iterator<Item = &TableName> {
        let own = self.sources.iter().flat_map(|source| {
            let aliases = source.aliases.as_ref().map(|aliased| &aliased.by.table);
            let props = source.actor_props.as_ref().filter(|props| !props.names.is_empty());
            std::iter::once(&source.table).chain(aliases).chain(props.map(|props| &props.by.table))
        });
        own.chain(&self.extra_tables).chain(self.parent.iter().map(|parent| &parent.table))
    }
}
