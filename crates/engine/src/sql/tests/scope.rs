//! What a statement can see, and what it may not do.

use ebbtide_model::{ErrorKind, Tenants, Value};
use serde_json::json;

use super::fixture::{app, ask, ask_with, at, cells, request, scope, shop_1, snapshot, sql, text, time};
use crate::EngineError;
use crate::sql::{SqlError, UnusedParameters};

#[tokio::test]
async fn a_statement_sees_the_rows_of_its_scope_and_no_other() {
    let (sql, snapshot) = (sql(), snapshot());
    let everything = [
        "SELECT * FROM cards",
        "SELECT * FROM sales",
        "SELECT * FROM notes",
        "SELECT s.*, c.name FROM sales s JOIN cards c ON s.card = c.id",
        "SELECT a.name AS a, b.name AS b FROM cards a CROSS JOIN cards b",
        "SELECT * FROM cards WHERE id IN (SELECT card FROM sales)",
        "SELECT (SELECT max(name) FROM cards) AS m, (SELECT string_agg(body, ',') FROM notes) AS n",
        "WITH everybody AS (SELECT * FROM cards) SELECT * FROM everybody",
        "SELECT array_agg(name) AS names FROM cards",
        "SELECT * FROM cards WHERE shop = 2 OR true",
        "SELECT max(amount) AS m FROM sales HAVING max(amount) > 500",
        "SELECT * FROM cards UNION ALL SELECT * FROM cards",
    ];
    for statement in everything {
        let answer = ask_with(&sql, &snapshot, &shop_1(), request(statement)).await.unwrap().to_string();
        assert!(!answer.contains("secret"), "{statement}: {answer}");
        assert!(!answer.contains("000.0"), "{statement}: {answer}");
    }
}

#[tokio::test]
async fn counts_and_existence_tell_nothing_of_other_tenants() {
    let (sql, snapshot) = (sql(), snapshot());
    let check = async |statement: &str, tenants: Tenants, want: serde_json::Value| {
        let answer = ask_with(&sql, &snapshot, &scope(tenants), request(statement)).await.unwrap();
        assert_eq!(cells(&answer), want, "{statement}");
    };
    let one = || Tenants::One(ebbtide_model::TenantId::new("1"));
    let nobody = || Tenants::One(ebbtide_model::TenantId::new("3"));
    check("SELECT count(*) FROM cards", one(), json!([[3]])).await;
    check("SELECT count(*) FROM sales", one(), json!([[3]])).await;
    check("SELECT count(*) FROM notes", one(), json!([[1]])).await;
    check("SELECT count(*) FROM notes", Tenants::All, json!([[2]])).await;
    check("SELECT count(*) FROM sales", Tenants::All, json!([[5]])).await;
    check("SELECT count(*) FROM sales", nobody(), json!([[0]])).await;
    check("SELECT 1 AS one FROM sales", one(), json!([[1], [1], [1]])).await;
    check("SELECT 1 AS x FROM notes WHERE EXISTS (SELECT 1 FROM cards WHERE shop = 2)", one(), json!([]))
        .await;
    check("SELECT count(*) FROM sales s, sales t", one(), json!([[9]])).await;
    check("SELECT max(amount), min(id), count(DISTINCT shop) FROM sales", one(), json!([[0.3, 100, 1]]))
        .await;
}

#[tokio::test]
async fn only_declared_columns_are_there() {
    let answer = ask("SELECT * FROM notes").await.unwrap();
    assert_eq!(answer, json!([{"id": 1, "shop": 1, "body": "mine"}]));
    for hidden in ["_tenant", "_seq"] {
        let error = ask(&format!("SELECT {hidden} FROM notes")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.to_string().contains("_seq") || hidden == "_seq", "{error}");
    }
}

#[tokio::test]
async fn rows_later_than_as_of_do_not_exist_and_rows_without_a_time_do() {
    let (sql, snapshot) = (sql(), snapshot());
    let check = async |statement: &str, as_of: &str, want: serde_json::Value| {
        let request = crate::sql::SqlRequest { as_of: at(as_of), ..request(statement) };
        let answer = ask_with(&sql, &snapshot, &shop_1(), request).await.unwrap();
        assert_eq!(cells(&answer), want, "{statement} as of {as_of}");
    };
    let cards = "SELECT id FROM cards ORDER BY id";
    check(cards, "2024-01-05T09:59:59.999999Z", json!([[3]])).await;
    check(cards, "2024-01-05T10:00:00Z", json!([[1], [3]])).await;
    check(cards, "2024-06-30T00:00:00Z", json!([[1], [2], [3]])).await;
    check(cards, "2100-01-01T00:00:00Z", json!([[1], [2], [3], [4]])).await;
    check("SELECT id FROM notes", "1970-01-01T00:00:00Z", json!([[1]])).await;
    check("SELECT count(*) FROM sales", "2024-01-31T23:59:59.999998Z", json!([[0]])).await;
    check("SELECT count(*) FROM sales", "2024-01-31T23:59:59.999999Z", json!([[1]])).await;
    check("SELECT id FROM cards LIMIT 1", "2024-01-05T09:59:59.999999Z", json!([[3]])).await;
}

#[tokio::test]
async fn conditions_on_time_keep_their_meaning_when_the_scan_takes_them() {
    let check = async |condition: &str, want: &[i64]| {
        let statement = format!("SELECT id FROM cards WHERE {condition} ORDER BY id");
        let answer = ask(&statement).await.unwrap();
        let want: Vec<Vec<i64>> = want.iter().map(|id| vec![*id]).collect();
        assert_eq!(cells(&answer), json!(want), "{condition}");
    };
    check("created_at >= '2024-01-05T10:00:00Z'", &[1, 2]).await;
    check("created_at > TIMESTAMP '2024-01-05 10:00:00'", &[2]).await;
    check("created_at < '2024-02-10T10:00:00Z'", &[1]).await;
    check("created_at <= '2024-02-10T11:00:00+01:00'", &[1, 2]).await;
    check("created_at = '2024-02-10T10:00:00Z'", &[2]).await;
    check("created_at <> '2024-02-10T10:00:00Z'", &[1]).await;
    check("'2024-02-01' < created_at", &[2]).await;
    check("created_at BETWEEN '2024-01-01' AND '2024-01-31'", &[1]).await;
    check("created_at NOT BETWEEN '2024-01-01' AND '2024-01-31'", &[2]).await;
    check("created_at IS NULL", &[3]).await;
    check("created_at < '2024-02-01' OR created_at IS NULL", &[1, 3]).await;
    check("NOT (created_at < '2024-02-01')", &[2]).await;
    check("created_at > '2024-03-01' AND created_at < '2024-01-01'", &[]).await;
    check("created_at < DATE '2024-02-01'", &[1]).await;
}

#[tokio::test]
async fn whatever_is_not_one_reading_statement_is_refused() {
    let check = async |statement: &str| {
        let error = ask(statement).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{statement}: {error}");
        let text = error.to_string();
        assert!(!text.contains("os error") && !text.contains("No such file"), "{statement}: {text}");
    };
    for statement in [
        "",
        ";",
        "SELECT 1; SELECT 2",
        "INSERT INTO cards VALUES (1)",
        "UPDATE cards SET name = 'x'",
        "DELETE FROM cards",
        "DROP TABLE cards",
        "TRUNCATE TABLE cards",
        "CREATE TABLE t AS SELECT * FROM cards",
        "CREATE VIEW v AS SELECT * FROM cards",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE SCHEMA s",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "COPY cards TO '/tmp/cards.csv'",
        "COPY (SELECT 1) TO '/tmp/one.csv' STORED AS CSV",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "SHOW TABLES",
        "SHOW ALL",
        "DESCRIBE cards",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "DEALLOCATE p",
        "BEGIN",
        "USE other",
        "SELECT * INTO t FROM cards",
        "SELECT 1 AS x UNION ALL SELECT id INTO t FROM cards",
        "WITH w AS (INSERT INTO cards VALUES (1)) SELECT * FROM w",
        "WITH w AS (DELETE FROM cards) SELECT * FROM w",
        "SELECT * FROM cards FOR UPDATE",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM 'file:///etc/passwd.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM app.public.cards",
        "SELECT * FROM other.cards",
        "SELECT random() AS r",
        "SELECT uuid() AS u",
        "SELECT @@version AS v",
        "SELECT 1 FROM generate_series(1, 1000000000)",
        "SELECT 1 FROM range(0, 9223372036854775807, 1)",
        "SELECT 1 FROM generate_series(TIMESTAMP '2020-01-01', TIMESTAMP '2024-01-01', INTERVAL '1 ns')",
    ] {
        check(statement).await;
    }
}

#[tokio::test]
async fn a_pattern_that_is_none_is_the_callers_mistake() {
    for statement in [
        "SELECT id FROM cards WHERE name ~ '('",
        "SELECT id FROM cards WHERE name ~* '['",
        "SELECT id FROM cards WHERE name !~ '*'",
        "SELECT id FROM cards WHERE name ~ ('(' || name)",
        "SELECT regexp_like(name, '(') AS x FROM cards",
        "SELECT regexp_replace(name, '(', '') AS x FROM cards",
    ] {
        let error = ask(statement).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{statement}: {error}");
    }
}

#[tokio::test]
async fn a_scope_of_another_app_is_refused() {
    #[expect(clippy::disallowed_methods, reason = "a test signs in as whom it likes")]
    let foreign = ebbtide_model::Scope::grant(ebbtide_model::AppName::new("other"), Tenants::All);
    let error = ask_with(&sql(), &snapshot(), &foreign, request("SELECT * FROM cards")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn an_unknown_name_is_answered_with_those_that_there_are() {
    let check = async |statement: &str, says: &[&str]| {
        let error = ask(statement).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{statement}");
        for words in says {
            assert!(error.to_string().contains(words), "{statement}: {error}");
        }
    };
    check("SELECT * FROM card", &["\"card\"", "did you mean \"cards\"?", "cards, sales, notes"]).await;
    check("SELECT nam FROM cards", &["nam", "did you mean \"name\"?", "created_at"]).await;
    check("SELECT nosuch(1) AS x", &["nosuch"]).await;
    check("SELECT c.id, s.id FROM cards c JOIN sales s ON c.id = s.card", &["\"id\"", "AS"]).await;
    check("SELECT (1", &["parse"]).await;
}

#[tokio::test]
async fn parameters_are_values_and_never_text() {
    let (sql, snapshot) = (sql(), snapshot());
    let ask = async |statement: &str, params: Vec<(&str, Value)>, unused_params| {
        let params = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let request = crate::sql::SqlRequest { params, unused_params, ..request(statement) };
        ask_with(&sql, &snapshot, &shop_1(), request).await
    };
    let check = async |statement: &str, params: Vec<(&str, Value)>, want: serde_json::Value| {
        let answer = ask(statement, params, UnusedParameters::Refused).await.unwrap();
        assert_eq!(cells(&answer), want, "{statement}");
    };
    let evil = || text("ann' OR '1'='1");
    check("SELECT id FROM cards WHERE name = $n", vec![("n", evil())], json!([])).await;
    check("SELECT $n AS n", vec![("n", evil())], json!([["ann' OR '1'='1"]])).await;
    check("SELECT id FROM cards WHERE name = $n", vec![("n", text("ann"))], json!([[1]])).await;
    check("SELECT id FROM cards ORDER BY id LIMIT $n", vec![("n", Value::Int(1))], json!([[1]])).await;
    check("SELECT $n + 1 AS x", vec![("n", Value::Int(-5))], json!([[-4]])).await;
    check("SELECT $n AS x", vec![("n", Value::Int(i64::MIN))], json!([[i64::MIN]])).await;
    check("SELECT $n IS NULL AS x, coalesce($n, 7) AS y", vec![("n", Value::Null)], json!([[true, 7]])).await;
    check(
        "SELECT id FROM sales WHERE at >= $f ORDER BY id",
        vec![("f", time("2024-02-01"))],
        json!([[101], [102]]),
    )
    .await;
    check("SELECT $d AS d", vec![("d", Value::Decimal(12_500_000_000))], json!([[12.5]])).await;
    check(
        "SELECT $d AS d, $b AS b",
        vec![("d", Value::Date(0)), ("b", Value::Bool(true))],
        json!([["1970-01-01", true]]),
    )
    .await;
    check("SELECT value FROM generate_series(1, $n)", vec![("n", Value::Int(3))], json!([[1], [2], [3]]))
        .await;
    check("SELECT $as_of AS a", vec![], json!([["2024-06-30T12:00:00Z"]])).await;
    check("SELECT '$n' AS n", vec![], json!([["$n"]])).await;

    let missing = ask("SELECT $from AS x", vec![("form", Value::Int(1))], UnusedParameters::Refused).await;
    assert!(
        matches!(&missing, Err(EngineError::Sql(SqlError::MissingParameter { name, .. })) if name == "from"),
        "{missing:?}"
    );
    let unused = ask("SELECT 1 AS x", vec![("n", Value::Int(1))], UnusedParameters::Refused).await;
    assert!(
        matches!(&unused, Err(EngineError::Sql(SqlError::UnusedParameter { name })) if name == "n"),
        "{unused:?}"
    );
    let offered = ask("SELECT 1 AS x", vec![("n", Value::Int(1))], UnusedParameters::PassedOver).await;
    assert_eq!(cells(&offered.unwrap()), json!([[1]]));
    let positional = ask("SELECT $1 AS x", vec![], UnusedParameters::Refused).await.unwrap_err();
    assert_eq!(positional.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn the_clock_of_a_statement_is_its_as_of() {
    let answer = ask("SELECT now() AS n, current_timestamp AS t, current_date AS d").await.unwrap();
    assert_eq!(cells(&answer), json!([["2024-06-30T12:00:00Z", "2024-06-30T12:00:00Z", "2024-06-30"]]));
}

#[tokio::test]
async fn the_fixture_holds_what_the_tests_fear() {
    assert_eq!(app().tables.len(), 3);
    let all =
        ask_with(&sql(), &snapshot(), &scope(Tenants::All), request("SELECT * FROM cards")).await.unwrap();
    assert!(all.to_string().contains("secret-yvonne"));
}

#[tokio::test]
async fn what_a_planner_would_pass_over_is_refused() {
    for (clause, told) in [
        ("TABLESAMPLE BERNOULLI (1)", "a sample"),
        ("TABLESAMPLE (10)", "a sample"),
        ("WITH (NOLOCK)", "a hint"),
    ] {
        let statement = format!("SELECT count(*) AS n FROM sales {clause}");
        let error = ask(&statement).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{statement}: {error}");
        assert!(error.to_string().contains(told), "{statement}: {error}");
    }
}
