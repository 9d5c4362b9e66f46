//! An app with a few tables, its rows as plain events, and the same rows as a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{Int32Type, Schema};
use ebbtide_engine::{Answer, EngineError, Interrupt, Standing, StopFlag, ask};
use ebbtide_model::query::{BoundQuery, Query, bind};
use ebbtide_model::{
    ActorPropsTable, AliasTable, AppName, AppSchema, Calendar, Column, ColumnType, Instant, Open, Property,
    PropertyKind, Scope, TableKind, TableName, TableSchema, TenantId, TenantRule, Tenants, Value,
};
use ebbtide_store::fs::{FileSystem, SimFs};
use ebbtide_store::{NewRows, Occurrences, Snapshot, property_field, stored_schema};
use serde_json::Value as Json;

/// A row of a table.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) table: &'static str,
    pub(crate) tenant: &'static str,
    pub(crate) values: BTreeMap<&'static str, Value>,
}

impl Event {
    pub(crate) fn value(&self, column: &str) -> &Value {
        self.values.get(column).unwrap_or(&Value::Null)
    }
}

pub(crate) fn column(name: &str, column_type: ColumnType) -> Column {
    Column { name: name.to_owned(), column_type, nullable: true }
}

fn table(name: &str, kind: TableKind, columns: &[(&str, ColumnType)]) -> TableSchema {
    let columns: Vec<Column> = columns.iter().map(|(name, kind)| column(name, *kind)).collect();
    let index = |name: &str| columns.iter().position(|column| column.name == name);
    TableSchema {
        name: TableName::new(name),
        kind,
        key: index("id").or(index("receipt")).into_iter().collect(),
        tenant: TenantRule::Column { column: 0, default: None },
        actor: index("card").or(index("who")),
        time: index("at"),
        event_name: index("type"),
        open: None,
        aliases: None,
        actor_props: None,
        columns,
    }
}

/// In `names` a card may have others, whose rows are its own, and in `traits` properties.
fn with_actors(table: TableSchema) -> TableSchema {
    let aliases = AliasTable { table: TableName::new("names"), alias: 1, actor: 2 };
    let traits = ActorPropsTable { table: TableName::new("traits"), actor: 1, name: 2, value: 3 };
    TableSchema { aliases: Some(aliases), actor_props: Some(traits), ..table }
}

pub(crate) fn app() -> Arc<AppSchema> {
    use ColumnType::{Bool, Date, Decimal, Float, Int, Text, Timestamp};
    Arc::new(AppSchema {
        app: AppName::new("shop"),
        calendar: Calendar::utc(),
        tables: vec![
            table(
                "cards",
                TableKind::Entity,
                &[("shop", Text), ("id", Int), ("at", Timestamp), ("tier", Text)],
            ),
            TableSchema {
                actor: None,
                key: vec![1],
                ..table("names", TableKind::Entity, &[("shop", Text), ("name", Int), ("card", Int)])
            },
            TableSchema {
                actor: None,
                key: vec![1, 2],
                ..table(
                    "traits",
                    TableKind::Entity,
                    &[("shop", Text), ("card", Int), ("name", Text), ("value", Text)],
                )
            },
            with_actors(table(
                "sales",
                TableKind::Events,
                &[
                    ("shop", Text),
                    ("card", Int),
                    ("at", Timestamp),
                    ("type", Text),
                    ("amount", Float),
                    ("cost", Decimal),
                    ("points", Int),
                    ("place", Text),
                    ("receipt", Text),
                    ("open", Bool),
                    ("day", Date),
                ],
            )),
            table(
                "views",
                TableKind::Events,
                &[("shop", Text), ("who", Text), ("at", Timestamp), ("type", Text), ("place", Text)],
            ),
        ],
    })
}

/// What of a sale is a property in [`opened`].
const PROPERTIES: [(&str, PropertyKind); 3] =
    [("amount", PropertyKind::Float), ("points", PropertyKind::Int), ("open", PropertyKind::Bool)];

/// The same tables, in which some columns of the sales are properties that nobody declares.
pub(crate) fn opened(app: &AppSchema) -> Arc<AppSchema> {
    let mut app = app.clone();
    let sales = app.tables.iter_mut().find(|table| table.name.as_str() == "sales").unwrap();
    let names = |table: &TableSchema, indexes: &[usize]| -> Vec<String> {
        indexes.iter().map(|index| table.columns[*index].name.clone()).collect()
    };
    let key = names(sales, &sales.key);
    sales.columns.retain(|column| PROPERTIES.iter().all(|(name, _)| column.name != *name));
    sales.key = key.iter().map(|name| sales.column_index(name).unwrap()).collect();
    let declared = sales.columns.len();
    sales.open = Some(Open { field: "props".to_owned(), declared, known: declared });
    // Those that the table has besides its key come before all that was taken out.
    assert!(sales.columns[..4].iter().map(|column| &*column.name).eq(["shop", "card", "at", "type"]));
    Arc::new(app)
}

/// As many rows, or fewer, are written to segments: with many it takes too long to do so thousands of times.
const SEGMENT_EVENTS_MAX: usize = 60;

/// The rows as a snapshot, in which each table's are spread over its parts: in memory or, of every other
/// small set, in segments.
pub(crate) fn snapshot(app: &Arc<AppSchema>, events: &[Event], parts: usize) -> Snapshot {
    let opened = opened(app);
    let app = if events.len().is_multiple_of(3) { &opened } else { app };
    if events.len() <= SEGMENT_EVENTS_MAX && events.len() % 2 == 1 {
        let disk: Arc<dyn FileSystem> = Arc::new(SimFs::new(1));
        return in_segments(app, events, parts, &disk);
    }
    in_memory(app, events, parts)
}

pub(crate) fn in_memory(app: &Arc<AppSchema>, events: &[Event], parts: usize) -> Snapshot {
    Snapshot::of_batches(app.clone(), batches(app, events, parts)).unwrap()
}

pub(crate) fn in_segments(
    app: &Arc<AppSchema>,
    events: &[Event],
    parts: usize,
    disk: &Arc<dyn FileSystem>,
) -> Snapshot {
    Snapshot::of_segments(app.clone(), batches(app, events, parts), disk, |_| true).unwrap()
}

/// The rows in parts that each event is assigned to, of which the `written` ones are segments.
pub(crate) fn assigned(
    app: &Arc<AppSchema>,
    events: &[Event],
    part_of: &dyn Fn(usize, &Event) -> usize,
    written: &dyn Fn(usize) -> bool,
) -> Snapshot {
    let disk: Arc<dyn FileSystem> = Arc::new(SimFs::new(1));
    let mut tables = Vec::new();
    for table in &app.tables {
        let mut parts: Vec<Vec<(u64, &Event)>> = Vec::new();
        let rows = (1..).zip(events).filter(|(_, event)| *event.table == *table.name.as_str());
        for (index, row) in rows.enumerate() {
            let part = part_of(index, row.1);
            parts.resize_with(parts.len().max(part + 1), Vec::new);
            parts[part].push(row);
        }
        let parts = parts.iter().filter(|rows| !rows.is_empty());
        tables.push((table.name.clone(), parts.map(|rows| batch(table, rows)).collect()));
    }
    Snapshot::of_segments(app.clone(), tables, &disk, written).unwrap()
}

fn batches(app: &AppSchema, events: &[Event], parts: usize) -> Vec<(TableName, Vec<RecordBatch>)> {
    let mut tables = Vec::new();
    for table in &app.tables {
        let rows: Vec<(u64, &Event)> =
            (1..).zip(events).filter(|(_, event)| *event.table == *table.name.as_str()).collect();
        let part = |part: usize| rows.iter().skip(part).step_by(parts).copied().collect::<Vec<_>>();
        let batches = (0..parts).map(part).filter(|rows| !rows.is_empty());
        tables.push((table.name.clone(), batches.map(|rows| batch(table, &rows)).collect()));
    }
    tables
}

/// The rows of one table as a writer hands them in.
pub(crate) fn arriving(app: &AppSchema, name: &str, events: &[&Event]) -> NewRows {
    let table = app.tables.iter().find(|table| table.name.as_str() == name).unwrap();
    let rows: Vec<(u64, &Event)> = (1..).zip(events.iter().copied()).collect();
    let stored = batch(table, &rows);
    let own: Vec<usize> = (2..stored.num_columns()).collect();
    let occurrences = Occurrences::uncounted();
    NewRows { table: table.name.clone(), batch: stored.project(&own).unwrap(), occurrences }
}

fn batch(table: &TableSchema, rows: &[(u64, &Event)]) -> RecordBatch {
    let tenants: DictionaryArray<Int32Type> = rows.iter().map(|(_, event)| event.tenant).collect();
    let sequences: UInt64Array = rows.iter().map(|(sequence, _)| Some(*sequence)).collect();
    let mut columns: Vec<ArrayRef> = vec![Arc::new(tenants), Arc::new(sequences)];
    for column in &table.columns {
        let values: Vec<&Value> = rows.iter().map(|(_, event)| event.value(&column.name)).collect();
        columns.push(array(column.column_type, &values));
    }
    let mut fields: Vec<_> = stored_schema(table).fields().iter().cloned().collect();
    for (name, kind) in PROPERTIES.iter().filter(|_| table.open.is_some()) {
        let values: Vec<&Value> = rows.iter().map(|(_, event)| event.value(name)).collect();
        fields.push(Arc::new(property_field(&Property::new(name, *kind))));
        columns.push(array(kind.column_type(), &values));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn array(column_type: ColumnType, values: &[&Value]) -> ArrayRef {
    macro_rules! collect {
        ($array:ty, $variant:ident, $map:expr) => {
            values
                .iter()
                .map(|value| if let Value::$variant(value) = value { Some($map(value)) } else { None })
                .collect::<$array>()
        };
    }
    match column_type {
        ColumnType::Int => Arc::new(collect!(Int64Array, Int, |value: &i64| *value)),
        ColumnType::Float => Arc::new(collect!(Float64Array, Float, |value: &f64| *value)),
        ColumnType::Decimal => {
            let units = collect!(Decimal128Array, Decimal, |value: &i128| *value);
            Arc::new(units.with_precision_and_scale(38, 9).unwrap())
        }
        ColumnType::Bool => Arc::new(BooleanArray::from_iter(collect!(Vec<_>, Bool, |value: &bool| *value))),
        ColumnType::Text => Arc::new(collect!(StringArray, Text, |value: &Arc<str>| value.to_string())),
        ColumnType::Mixed => Arc::new(collect!(StringArray, Json, |value: &Arc<str>| value.to_string())),
        ColumnType::Timestamp => {
            let micros = collect!(TimestampMicrosecondArray, Timestamp, |value: &Instant| value.micros());
            Arc::new(micros.with_timezone("+00:00"))
        }
        ColumnType::Date => Arc::new(collect!(Date32Array, Date, |value: &i32| *value)),
    }
}

/// The scope of a tenant, or of all.
#[expect(clippy::disallowed_methods, reason = "a test is its own sign-in")]
pub(crate) fn scope(app: &AppSchema, tenant: Option<&str>) -> Scope {
    let tenants = tenant.map_or(Tenants::All, |tenant| Tenants::One(TenantId::new(tenant)));
    Scope::grant(app.app.clone(), tenants)
}

pub(crate) fn try_ask(
    snapshot: &Snapshot,
    tenant: Option<&str>,
    query: &Json,
    as_of: Instant,
) -> Result<Answer, EngineError> {
    try_ask_until(snapshot, tenant, query, as_of, &StopFlag::default())
}

pub(crate) fn try_ask_until(
    snapshot: &Snapshot,
    tenant: Option<&str>,
    query: &Json,
    as_of: Instant,
    interrupt: &dyn Interrupt,
) -> Result<Answer, EngineError> {
    let (snapshot, scope, bound) = bound(snapshot, tenant, query)?;
    ask(&snapshot, &scope, &bound, as_of, interrupt)
}

/// As [`try_ask`], of a question that stands.
pub(crate) fn try_ask_standing(
    standing: &Standing,
    snapshot: &Snapshot,
    tenant: Option<&str>,
    query: &Json,
    as_of: Instant,
) -> Result<Answer, EngineError> {
    let (snapshot, scope, bound) = bound(snapshot, tenant, query)?;
    standing.ask(&snapshot, &scope, &bound, as_of, &StopFlag::default())
}

fn bound(
    snapshot: &Snapshot,
    tenant: Option<&str>,
    query: &Json,
) -> Result<(Snapshot, Scope, BoundQuery), EngineError> {
    let query = Query::parse(query)?;
    let scope = scope(snapshot.app(), tenant);
    let snapshot = snapshot.evolved(&scope, query.texts().iter().map(String::as_str));
    let bound = bind(&query, snapshot.app())?;
    Ok((snapshot, scope, bound))
}

pub(crate) fn at(text: &str) -> Instant {
    Instant::parse(text).unwrap()
}

/// How many random data sets a test looks at: few, or as many as the variable says.
pub(crate) fn data_sets() -> u64 {
    match std::env::var("EBBTIDE_TEST_CASES") {
        Ok(cases) if cases == "quick" => 100,
        cases => cases.ok().and_then(|cases| cases.parse().ok()).unwrap_or(1_000),
    }
}
