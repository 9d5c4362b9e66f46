//! A statement whose plan is kept gives what it gives when it is planned anew, whoever asks it.

use std::sync::Arc;

use ebbtide_model::{ColumnType, Instant, TenantId, Tenants, Value};
use serde_json::json;

use super::fixture::{ask_with, at, request, scope, shop_1, snapshot, sql, text};
use crate::sql::{Relation, SqlRequest, SqlRows, UnusedParameters, rows_to_json};

/// Each with how many plans of it are kept, of all that it is asked for below, and whether it is kept how they are
/// carried out.
const STATEMENTS: [(&str, usize, bool); 18] = [
    ("SELECT * FROM cards ORDER BY id", 1, true),
    ("SELECT count(*) AS n, sum(amount) AS s FROM sales WHERE at >= bucket('month', $as_of, -3)", 1, true),
    ("SELECT bucket_label('hour', $as_of) AS h, count(*) AS n FROM sales", 1, true),
    ("SELECT name, (SELECT count(*) FROM sales) AS n FROM cards ORDER BY name", 1, false),
    ("SELECT id FROM cards WHERE id IN (SELECT card FROM sales WHERE card >= $least) ORDER BY id", 2, true),
    (
        "WITH n AS (SELECT value AS n FROM generate_series(1, $least)) SELECT n, name FROM n JOIN cards ON n = id ORDER BY n",
        2,
        true,
    ),
    ("SELECT c.name, given.note FROM cards c JOIN given ON given.id = c.id ORDER BY 1, 2", 1, true),
    ("SELECT count(*) AS n FROM given", 1, true),
    ("SELECT card, count(*) AS n FROM sales JOIN given ON given.id = card GROUP BY card ORDER BY card", 1, true),
    (
        "SELECT name, count(*) FILTER (WHERE at >= bucket('week', $as_of)) AS n FROM sales JOIN given ON given.id = card
           JOIN cards ON cards.id = card GROUP BY name ORDER BY name",
        1,
        true,
    ),
    ("SELECT bucket_label('day', bucket('day', $as_of, -value)) AS d FROM generate_series(0, 2) ORDER BY d", 1, true),
    ("SELECT bucket('month', $as_of, value) AS d, current_date AS c FROM generate_series(0, $least) ORDER BY d", 2, true),
    ("SELECT * FROM (VALUES (1, 'a')) AS v (n, t) UNION ALL SELECT id, body FROM notes ORDER BY 1", 1, false),
    // These say another thing each moment.
    ("SELECT count(*) AS n FROM sales WHERE at < $as_of", 1, false),
    ("SELECT count(*) AS n, max(at) AS last FROM sales WHERE at BETWEEN $as_of - INTERVAL '30 days' AND now()", 1, false),
    ("SELECT id, days_between(created_at, $as_of) AS days FROM cards ORDER BY id", 1, false),
    (
        "SELECT count(*) AS n, sum(days_between(at, $as_of)) AS days FROM sales WHERE days_between(at, $as_of) > $least",
        2,
        false,
    ),
    // What it counts has to be noted each time.
    ("SELECT days_between(TIMESTAMP '2024-02-01T00:00:00Z', $as_of) AS days", 0, false),
];

fn asked(statement: &str, as_of: &str, least: i64, unused_params: UnusedParameters) -> SqlRequest {
    let columns = [("id".to_owned(), ColumnType::Int), ("note".to_owned(), ColumnType::Text)];
    let rows = [vec![Value::Int(1), text(as_of)], vec![Value::Int(11 + least), text("two")]];
    let rows = Arc::new(SqlRows::of_values(&columns, &rows).unwrap());
    let names_least = statement.contains("$least");
    let params = if names_least { vec![("least".to_owned(), Value::Int(least))] } else { Vec::new() };
    SqlRequest {
        relations: vec![Relation { name: Arc::from("given"), rows }],
        params,
        as_of: at(as_of),
        unused_params,
        ..request(statement)
    }
}

#[tokio::test]
async fn a_kept_plan_reads_the_rows_of_whoever_asks() {
    let (engine, snapshot) = (sql(), snapshot());
    let mut kept = 0;
    for (statement, want, is_kept_whole) in STATEMENTS {
        let before = engine.physical_plans_kept();
        for as_of in
            ["2024-02-02T10:00:00Z", "2024-02-02T15:20:00Z", "2024-02-02T15:21:00Z", "2099-06-01T00:00:00Z"]
        {
            for least in [1, 2] {
                for scope in [scope(Tenants::All), shop_1(), scope(Tenants::One(TenantId::new("2")))] {
                    let ask = async |unused| {
                        let request = asked(statement, as_of, least, unused);
                        let rows = engine.run(&snapshot, &scope, request).await.unwrap();
                        let changes_at = rows.changes_at.map_or(i64::MAX, Instant::micros);
                        (json!(rows_to_json(&rows).unwrap()), changes_at)
                    };
                    let (anew, anew_changes_at) = ask(UnusedParameters::Refused).await;
                    let (often, changes_at) = ask(UnusedParameters::PassedOver).await;
                    assert_eq!(often, anew, "{scope:?} at {as_of}: {statement}");
                    // Days may be counted of more rows than needed.
                    let is_in_time = match statement.contains("days_between") {
                        true => changes_at <= anew_changes_at,
                        false => changes_at == anew_changes_at,
                    };
                    assert!(is_in_time, "{changes_at} for {anew_changes_at}: {statement}");
                    let secret = often.to_string().contains("secret");
                    assert!(!secret || scope != shop_1(), "{statement}: {often}");
                }
            }
        }
        kept += want;
        assert_eq!(engine.plans_kept(), kept, "{statement}");
        assert_eq!(engine.physical_plans_kept() > before, is_kept_whole, "{statement}");
    }
}

#[tokio::test]
async fn no_more_plans_are_kept_than_there_is_room_for() {
    let (engine, snapshot) = (sql(), snapshot());
    for least in 0..600 {
        let request =
            asked("SELECT $least AS n", "2024-02-02T10:00:00Z", least, UnusedParameters::PassedOver);
        let rows = ask_with(&engine, &snapshot, &shop_1(), request).await.unwrap();
        assert_eq!(rows, serde_json::json!([{"n": least}]));
        assert!(engine.plans_kept() <= 512);
    }
    assert!(engine.plans_kept() > 300);
}
