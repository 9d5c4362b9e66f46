//! What is certain of an answer before there are rows.

use std::sync::Arc;

use super::fixture::{app, request, sql};
use crate::sql::{Relation, SqlRows};

/// Over `sales` whose `id` is declared never to be null, and whose other columns may be.
fn check(statement: &str, never_null: &[&str], has_a_row: bool) {
    let (sql, mut app) = (sql(), app());
    let sales = app.tables.iter_mut().find(|table| table.name.as_str() == "sales").unwrap();
    sales.columns[0].nullable = false;
    let counted =
        sql.check(&app, request("SELECT id, shop, count(*) AS n FROM sales GROUP BY id, shop")).unwrap();
    let counted = Relation { name: "counted".into(), rows: Arc::new(SqlRows::none_of(&counted.columns)) };
    let request = crate::sql::SqlRequest { relations: vec![counted], ..request(statement) };
    let planned = sql.check(&app, request).unwrap();
    let found: Vec<&str> =
        planned.columns.iter().filter(|column| !column.nullable).map(|column| column.name.as_str()).collect();
    assert_eq!((found.as_slice(), planned.has_a_row), (never_null, has_a_row), "{statement}");
}

#[test]
fn counts_literals_and_declared_columns_are_never_null() {
    check("SELECT count(*) AS n, sum(id) AS total FROM sales", &["n"], true);
    check("SELECT id, shop FROM sales", &["id"], false);
    check(
        "SELECT id + 1 AS next, id + shop AS both, 1 AS one, NULL AS none FROM sales",
        &["next", "one"],
        false,
    );
    check("SELECT shop, count(*) AS n FROM sales GROUP BY shop ORDER BY n", &["n"], false);
    check("SELECT coalesce(shop, 0) AS shop, coalesce(shop, shop) AS other FROM sales", &["shop"], false);
    check(
        "SELECT CASE WHEN shop = 1 THEN 1 ELSE 2 END AS a, CASE WHEN shop = 1 THEN 1 END AS b FROM sales",
        &["a"],
        false,
    );
    check("SELECT shop IS NULL AS none, shop = 1 AS one FROM sales", &["none"], false);
    check(
        "WITH s AS (SELECT id FROM sales) SELECT id, row_number() OVER (ORDER BY id) AS at FROM s",
        &["id", "at"],
        false,
    );
    check("SELECT bucket('day', $as_of, -value) AS day FROM generate_series(1, 3)", &["day"], false);
    check("SELECT id FROM sales UNION ALL SELECT shop FROM sales", &[], false);
    check("SELECT id, n, shop FROM counted", &["id", "n"], false);
    check("SELECT id, count(*) AS n FROM sales GROUP BY ROLLUP (id)", &[], false);
}

/// What has no partner is null, whatever the column was declared as.
#[test]
fn outer_joins_and_subqueries_make_nulls() {
    let of = |join: &str| format!("SELECT a.id AS a, b.id AS b FROM sales a {join} sales b ON a.id = b.shop");
    check(&of("JOIN"), &["a", "b"], false);
    check(&of("LEFT JOIN"), &["a"], false);
    check(&of("RIGHT JOIN"), &["b"], false);
    check(&of("FULL JOIN"), &[], false);
    check("SELECT (SELECT id FROM sales LIMIT 1) AS id, (SELECT count(*) FROM sales) AS n", &["n"], true);
    check("SELECT count(*) AS n FROM sales HAVING count(*) > 1", &["n"], false);
    check("SELECT count(*) AS n FROM sales LIMIT 0", &["n"], false);
    let counted = "WITH RECURSIVE days AS (SELECT 1 AS n UNION ALL SELECT NULL FROM days WHERE n = 1) SELECT n FROM days";
    check(counted, &[], false);
}
