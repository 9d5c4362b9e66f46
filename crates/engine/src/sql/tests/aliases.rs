//! A statement sees the rows of an alias as its actor's.

use std::sync::Arc;

use ebbtide_model::{AliasTable, TableName, TableSchema, Tenants, Value};
use ebbtide_store::Snapshot;
use serde_json::{Value as Json, json};

use super::fixture::{app, ask_with, batch, cells, request, scope, shop_1, sql, time};

/// The `sales` of the fixture by cards, some of which `names` knows under others, each tenant its own.
fn snapshot() -> Snapshot {
    let mut app = app();
    app.tables.retain(|table| table.name.as_str() != "notes");
    let cards = app.tables[0].clone();
    let names = TableSchema { name: TableName::new("names"), time: None, ..cards };
    let aliases = AliasTable { table: names.name.clone(), alias: 0, actor: 1 };
    let names = TableSchema {
        columns: ["alias", "card", "shop"]
            .map(|name| ebbtide_model::Column { name: name.to_owned(), ..names.columns[0].clone() })
            .to_vec(),
        tenant: ebbtide_model::TenantRule::Column { column: 2, default: None },
        ..names
    };
    app.tables[1].actor = Some(2);
    app.tables[1].aliases = Some(aliases);
    let sales = app.tables[1].clone();
    app.tables.push(names.clone());
    let sale = |id: i64, shop: i64, card: i64| {
        let values = vec![
            Value::Int(id),
            Value::Int(shop),
            Value::Int(card),
            Value::Float(1.0),
            Value::Null,
            time("2024-02-01T00:00:00Z"),
        ];
        (if shop == 1 { "1" } else { "2" }, values)
    };
    let name = |shop: i64, alias: i64, card: i64| {
        (if shop == 1 { "1" } else { "2" }, vec![Value::Int(alias), Value::Int(card), Value::Int(shop)])
    };
    let sold = [sale(1, 1, 7), sale(2, 1, 8), sale(3, 1, 9), sale(4, 2, 7), sale(5, 2, 8)];
    let known = [name(1, 8, 7), name(2, 7, 5)];
    let tables = vec![
        (sales.name.clone(), sold.chunks(2).map(|rows| batch(&sales, rows)).collect()),
        (names.name.clone(), vec![batch(&names, &known)]),
    ];
    Snapshot::of_batches(Arc::new(app), tables).unwrap()
}

#[tokio::test]
async fn the_column_of_actors_shows_whose_an_aliass_rows_are() {
    let (sql, snapshot) = (sql(), snapshot());
    let check = async |statement: &str, tenants: Tenants, want: Json| {
        let answer = ask_with(&sql, &snapshot, &scope(tenants), request(statement)).await.unwrap();
        assert_eq!(cells(&answer), want, "{statement}");
    };
    let one = || shop_1().tenants().clone();
    check("SELECT id, card FROM sales ORDER BY id", one(), json!([[1, 7], [2, 7], [3, 9]])).await;
    check("SELECT count(*), count(DISTINCT card) FROM sales", one(), json!([[3, 2]])).await;
    check("SELECT id FROM sales WHERE card = 7 ORDER BY id", one(), json!([[1], [2]])).await;
    check("SELECT id FROM sales WHERE card = 8", one(), json!([])).await;
    check("SELECT id FROM sales WHERE at > '2024-01-01T00:00:00Z' AND card = 9", one(), json!([[3]])).await;
    // An alias of one tenant is none of another's.
    let all = json!([[1, 7], [2, 7], [3, 9], [4, 5], [5, 8]]);
    check("SELECT id, card FROM sales ORDER BY id", Tenants::All, all).await;
}

#[tokio::test]
async fn a_statement_rests_on_the_aliases_of_what_it_reads() {
    let (sql, snapshot) = (sql(), snapshot());
    let planned = sql.check(snapshot.app(), request("SELECT card FROM sales")).unwrap();
    let tables: Vec<&str> = planned.tables.iter().map(TableName::as_str).collect();
    assert_eq!(tables, ["names", "sales"]);
    let planned = sql.check(snapshot.app(), request("SELECT id FROM cards")).unwrap();
    assert_eq!(planned.tables, [TableName::new("cards")]);
}
