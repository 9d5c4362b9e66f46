//! An app of two tenants, and ways to ask it.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use ebbtide_model::{
    AppName, AppSchema, Calendar, Column, ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE, Instant, Scope,
    TableKind, TableName, TableSchema, TenantId, TenantRule, Tenants, Value,
};
use ebbtide_store::{Snapshot, stored_schema};
use serde_json::{Value as Json, json};

use crate::EngineError;
use crate::sql::{Limits, Sql, SqlRequest, SqlRows, SqlSettings, UnusedParameters, rows_to_json};

pub(super) fn at(text: &str) -> Instant {
    Instant::parse(text).unwrap()
}

pub(super) fn table(
    name: &str,
    kind: TableKind,
    columns: &[(&str, ColumnType)],
    time: Option<usize>,
) -> TableSchema {
    let column = |(name, column_type): &(&str, ColumnType)| Column {
        name: (*name).to_owned(),
        column_type: *column_type,
        nullable: true,
    };
    TableSchema {
        name: TableName::new(name),
        kind,
        columns: columns.iter().map(column).collect(),
        key: vec![0],
        tenant: TenantRule::Column { column: 1, default: None },
        actor: None,
        time,
        event_name: None,
        open: None,
        aliases: None,
        actor_props: None,
    }
}

/// A stored batch of rows, each with its tenant.
pub(super) fn batch(table: &TableSchema, rows: &[(&str, Vec<Value>)]) -> RecordBatch {
    let tenants: DictionaryArray<Int32Type> = rows.iter().map(|(tenant, _)| *tenant).collect();
    let sequence = UInt64Array::from_iter_values(0..rows.len() as u64);
    let mut columns: Vec<ArrayRef> = vec![Arc::new(tenants), Arc::new(sequence)];
    for (index, column) in table.columns.iter().enumerate() {
        let values: Vec<&Value> = rows.iter().map(|(_, values)| &values[index]).collect();
        columns.push(array(column.column_type, &values));
    }
    RecordBatch::try_new(stored_schema(table), columns).unwrap()
}

pub(super) fn array(column_type: ColumnType, values: &[&Value]) -> ArrayRef {
    macro_rules! collect {
        ($array:ty, $variant:ident($value:ident) => $cell:expr) => {
            values
                .iter()
                .map(|value| match value {
                    Value::$variant($value) => Some($cell),
                    Value::Null => None,
                    other => panic!("{other:?} in a column of {column_type:?}"),
                })
                .collect::<$array>()
        };
    }
    match column_type {
        ColumnType::Int => Arc::new(collect!(Int64Array, Int(value) => *value)),
        ColumnType::Float => Arc::new(collect!(Float64Array, Float(value) => *value)),
        ColumnType::Bool => Arc::new(collect!(BooleanArray, Bool(value) => *value)),
        ColumnType::Text | ColumnType::Mixed => {
            Arc::new(collect!(StringArray, Text(value) => value.to_string()))
        }
        ColumnType::Date => Arc::new(collect!(Date32Array, Date(value) => *value)),
        ColumnType::Timestamp => {
            let instants = collect!(TimestampMicrosecondArray, Timestamp(value) => value.micros());
            Arc::new(instants.with_timezone("+00:00"))
        }
        ColumnType::Decimal => {
            let units = collect!(Decimal128Array, Decimal(value) => *value);
            Arc::new(units.with_precision_and_scale(DECIMAL_PRECISION, DECIMAL_SCALE.cast_signed()).unwrap())
        }
    }
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(Arc::from(text))
}

pub(super) fn time(text: &str) -> Value {
    Value::Timestamp(at(text))
}

/// `cards` (entity, by `created_at`) and `sales` (events, by `at`) of shops 1 and 2; `notes` has no time.
pub(super) fn app() -> AppSchema {
    use ColumnType::{Bool, Date, Decimal, Float, Int, Text, Timestamp};
    let cards = [
        ("id", Int),
        ("shop", Int),
        ("name", Text),
        ("active", Bool),
        ("born", Date),
        ("created_at", Timestamp),
    ];
    let sales =
        [("id", Int), ("shop", Int), ("card", Int), ("amount", Float), ("price", Decimal), ("at", Timestamp)];
    AppSchema {
        app: AppName::new("shops"),
        calendar: Calendar::utc(),
        tables: vec![
            table("cards", TableKind::Entity, &cards, Some(5)),
            table("sales", TableKind::Events, &sales, Some(5)),
            table("notes", TableKind::Entity, &[("id", Int), ("shop", Int), ("body", Text)], None),
        ],
    }
}

pub(super) fn snapshot() -> Snapshot {
    let app = app();
    let card = |id: i64, shop: i64, name: &str, created: Value| {
        let row = vec![
            Value::Int(id),
            Value::Int(shop),
            text(name),
            Value::Bool(id % 2 == 1),
            Value::Date(365),
            created,
        ];
        (if shop == 1 { "1" } else { "2" }, row)
    };
    let sale = |id: i64, shop: i64, card: i64, amount: f64, price: i128, when: &str| {
        let row = vec![
            Value::Int(id),
            Value::Int(shop),
            Value::Int(card),
            Value::Float(amount),
            Value::Decimal(price),
            time(when),
        ];
        (if shop == 1 { "1" } else { "2" }, row)
    };
    let note = |id: i64, shop: i64, body: &str| {
        (if shop == 1 { "1" } else { "2" }, vec![Value::Int(id), Value::Int(shop), text(body)])
    };
    let cards = [
        card(1, 1, "ann", time("2024-01-05T10:00:00Z")),
        card(2, 1, "bob", time("2024-02-10T10:00:00Z")),
        card(3, 1, "cyd", Value::Null),
        card(4, 1, "future", time("2099-01-01T00:00:00Z")),
        card(11, 2, "secret-xavier", time("2024-01-06T10:00:00Z")),
        card(12, 2, "secret-yvonne", Value::Null),
    ];
    let sales = [
        sale(100, 1, 1, 0.1, 12_500_000_000, "2024-01-31T23:59:59.999999Z"),
        sale(101, 1, 1, 0.2, 3_000_000_000, "2024-02-01T00:00:00Z"),
        sale(102, 1, 2, 0.3, 1, "2024-02-15T12:00:00.000001Z"),
        sale(103, 1, 2, 9.0, 0, "2099-01-01T00:00:00Z"),
        sale(200, 2, 11, 1000.0, 7_000_000_000, "2024-02-01T00:00:00Z"),
        sale(201, 2, 1, 2000.0, 7_000_000_000, "2024-02-02T00:00:00Z"),
    ];
    let notes = [note(1, 1, "mine"), note(2, 2, "secret-note")];
    let tables = [("cards", cards.to_vec()), ("sales", sales.to_vec()), ("notes", notes.to_vec())];
    let tables = tables.into_iter().map(|(name, rows)| {
        let table = app.table(&TableName::new(name)).unwrap();
        // Several parts, more than there are partitions.
        (table.name.clone(), rows.chunks(2).map(|rows| batch(table, rows)).collect())
    });
    let tables = tables.collect();
    Snapshot::of_batches(Arc::new(app), tables).unwrap()
}

pub(super) fn scope(tenants: Tenants) -> Scope {
    #[expect(clippy::disallowed_methods, reason = "a test signs in as whom it likes")]
    Scope::grant(AppName::new("shops"), tenants)
}

pub(super) fn shop_1() -> Scope {
    scope(Tenants::One(TenantId::new("1")))
}

pub(super) fn request(statement: &str) -> SqlRequest {
    SqlRequest {
        statement: Arc::from(statement),
        params: Vec::new(),
        unused_params: UnusedParameters::Refused,
        relations: Vec::new(),
        as_of: at("2024-06-30T12:00:00Z"),
        calendar: Calendar::utc(),
        limits: Limits { rows_max: 10_000, bytes_max: 16 << 20, time_max: Duration::from_secs(600) },
    }
}

pub(super) fn sql() -> Sql {
    Sql::new(&SqlSettings::default()).unwrap()
}

/// Asks in the scope of shop 1.
pub(super) async fn ask(statement: &str) -> Result<Json, EngineError> {
    ask_with(&sql(), &snapshot(), &shop_1(), request(statement)).await
}

pub(super) async fn ask_with(
    sql: &Sql,
    snapshot: &Snapshot,
    scope: &Scope,
    request: SqlRequest,
) -> Result<Json, EngineError> {
    let rows: SqlRows = sql.run(snapshot, scope, request).await?;
    Ok(json!(rows_to_json(&rows)?))
}

/// The rows of an answer as lists of cells.
pub(super) fn cells(rows: &Json) -> Json {
    let row = |row: &Json| row.as_object().unwrap().values().cloned().collect::<Vec<Json>>();
    json!(rows.as_array().unwrap().iter().map(row).collect::<Vec<_>>())
}
