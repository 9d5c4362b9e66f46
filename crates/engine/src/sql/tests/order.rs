//! Plans that use the order in which rows are stored: they answer as over rows without one, and neither sort nor
//! spread what is in order.

use std::sync::Arc;

use datafusion::physical_plan::displayable;
use ebbtide_model::{
    AppName, AppSchema, Calendar, ColumnType, Instant, TableKind, TableName, TableSchema, TenantId, Tenants,
    Value,
};
use ebbtide_store::Snapshot;
use ebbtide_store::fs::{FileSystem, SimFs};
use proptest::prelude::*;

use super::fixture::{ask_with, batch, request, scope, sql, table, text};
use crate::sql::session::{Bound, plan};
use crate::sql::{Sql, SqlRequest, SqlSettings, statement};

/// Of `visits`; each has one answer, whatever the order of its rows.
const STATEMENTS: &[&str] = &[
    "SELECT actor, count(*) AS n, min(at) AS first, max(page) AS p FROM visits GROUP BY actor ORDER BY actor",
    "SELECT actor, page, count(*) AS n FROM visits GROUP BY actor, page ORDER BY 1, 2",
    "SELECT id, count(*) OVER (PARTITION BY actor ORDER BY at NULLS FIRST) AS n FROM visits ORDER BY id",
    "SELECT id, row_number() OVER (PARTITION BY actor ORDER BY at, id) AS n FROM visits ORDER BY id",
    "SELECT id, sum(id) OVER (PARTITION BY actor ORDER BY at DESC, id) AS s FROM visits ORDER BY id",
    "SELECT actor, at FROM visits ORDER BY actor NULLS FIRST, at NULLS FIRST LIMIT 7",
    "SELECT actor, at FROM visits WHERE page <> 'a' ORDER BY actor DESC NULLS LAST, at DESC NULLS LAST LIMIT 7",
    "SELECT id FROM visits WHERE actor = 'b' ORDER BY id",
    "SELECT count(*) AS n FROM visits WHERE actor = 'b' AND at >= TIMESTAMP '2024-01-05T00:00:00Z'",
    "SELECT id FROM visits WHERE actor = 'b' OR actor = 'd' ORDER BY id",
    "SELECT id FROM visits WHERE 'nobody' = actor",
    "SELECT count(*) AS n FROM visits WHERE actor IS NULL",
    "SELECT v.id, w.id AS other FROM visits v JOIN visits w ON v.actor = w.actor AND v.at < w.at ORDER BY 1, 2",
    "SELECT v.id, p.name FROM visits v LEFT JOIN people p ON v.actor = p.id ORDER BY 1, 2",
    "SELECT p.id, count(v.id) AS n FROM people p JOIN visits v ON v.actor = p.id GROUP BY p.id ORDER BY 1",
    "SELECT id FROM people WHERE id NOT IN (SELECT actor FROM visits WHERE actor IS NOT NULL) ORDER BY 1",
    "SELECT actor FROM visits UNION SELECT id FROM people ORDER BY 1",
    "SELECT count(DISTINCT actor) AS n, count(DISTINCT page) AS p FROM visits",
    "SELECT name, id FROM people WHERE id = 'c'",
    "SELECT bucket('day', at) AS day, count(DISTINCT actor) AS n FROM visits GROUP BY 1 ORDER BY 1",
    "WITH steps AS (SELECT actor, at, page, lead(page) OVER (PARTITION BY actor ORDER BY at, id) AS next FROM visits)
     SELECT page, next, count(*) AS n FROM steps GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT actor, page, grouping(page) AS g, count(*) AS n FROM visits GROUP BY ROLLUP (actor, page) ORDER BY 1, 2, 3, 4",
];

fn visits(name: &str, actor: Option<usize>) -> TableSchema {
    let columns = [
        ("id", ColumnType::Int),
        ("shop", ColumnType::Int),
        ("actor", ColumnType::Text),
        ("at", ColumnType::Timestamp),
        ("page", ColumnType::Text),
    ];
    let mut table = TableSchema { actor, ..table(name, TableKind::Events, &columns, Some(3)) };
    table.columns[3].nullable = false;
    table
}

/// `visits` and `people` are in the order of actors; `visits_anyhow` and `people_anyhow` have the same rows.
fn app() -> AppSchema {
    let people = [
        ("id", ColumnType::Text),
        ("shop", ColumnType::Int),
        ("name", ColumnType::Text),
        ("born", ColumnType::Timestamp),
    ];
    let anyhow = table("people_anyhow", TableKind::Entity, &people, None);
    AppSchema {
        app: AppName::new("shops"),
        calendar: Calendar::utc(),
        tables: vec![
            visits("visits", Some(2)),
            visits("visits_anyhow", None),
            table("people", TableKind::Entity, &people, Some(3)),
            anyhow,
        ],
    }
}

type Visit = (&'static str, Option<&'static str>, i64, &'static str);

/// Parts of visits, of which some are segments.
fn snapshot(parts: &[Vec<Visit>], written: &[bool]) -> Snapshot {
    let app = app();
    let mut id = 0;
    let mut row = |(tenant, actor, hour, page): &Visit| {
        id += 1;
        let at = Value::Timestamp(Instant::from_micros(1_704_067_200_000_000 + hour * 3_600_000_000));
        let actor = actor.map_or(Value::Null, text);
        (*tenant, vec![Value::Int(id), Value::Int(1), actor, at, text(page)])
    };
    let parts: Vec<Vec<_>> = parts.iter().map(|rows| rows.iter().map(&mut row).collect()).collect();
    let people = ["a", "b", "c", "d", "x"].map(|name| {
        let born = Value::Timestamp(Instant::from_micros(0));
        ("1", vec![text(name), Value::Int(1), text(&format!("{name}{name}")), born])
    });
    let tables = app.tables.iter().map(|table| {
        let batches = if table.name.as_str().starts_with("visits") {
            parts.iter().map(|rows| batch(table, rows)).collect()
        } else {
            people.chunks(2).map(|rows| batch(table, rows)).collect()
        };
        (table.name.clone(), batches)
    });
    let tables: Vec<(TableName, _)> = tables.collect();
    let fs: Arc<dyn FileSystem> = Arc::new(SimFs::new(1));
    Snapshot::of_segments(Arc::new(app), tables, &fs, |part| written.get(part).is_some_and(|w| *w)).unwrap()
}

fn shop(tenant: &str) -> Tenants {
    Tenants::One(TenantId::new(tenant))
}

async fn check(engine: &Sql, snapshot: &Snapshot, tenants: Tenants) {
    let scope = scope(tenants);
    for statement in STATEMENTS {
        let anyhow = statement.replace("visits", "visits_anyhow").replace("people", "people_anyhow");
        let ask =
            async |statement: &str| ask_with(engine, snapshot, &scope, request(statement)).await.unwrap();
        assert_eq!(ask(statement).await, ask(&anyhow).await, "{scope:?}: {statement}");
    }
}

fn any_visits() -> impl Strategy<Value = Vec<Vec<Visit>>> {
    let actor =
        prop::option::weighted(0.95, prop::sample::select(vec!["a", "b", "c", "d", "e", "f\u{10348}"]));
    let tenant = prop::sample::select(vec!["1", "1", "1", "2"]);
    let visit = (tenant, actor, 0..200_i64, prop::sample::select(vec!["a", "b", "c"]));
    prop::collection::vec(prop::collection::vec(visit, 1..30), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_is_the_same_whether_or_not_its_rows_are_in_order(
        parts in any_visits(),
        written in prop::collection::vec(any::<bool>(), 4),
        partitions in 1..4_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let engine = Sql::new(&SqlSettings { partitions, ..SqlSettings::default() }).unwrap();
        let snapshot = snapshot(&parts, &written);
        runtime.block_on(async {
            for tenants in [shop("1"), Tenants::All] {
                check(&engine, &snapshot, tenants).await;
            }
        });
    }
}

/// The plan of a statement, as text.
async fn physical(snapshot: &Snapshot, asked: &str) -> String {
    let engine = sql();
    let request: SqlRequest = request(asked);
    let catalog = engine.catalog(snapshot, &scope(shop("1")), &request);
    let mut state = engine.base.clone();
    let checked = statement::check(&request.statement).unwrap();
    let Bound { plan, .. } = plan(&mut state, catalog, checked, &request).await.unwrap();
    let physical = state.create_physical_plan(&plan).await.unwrap();
    displayable(physical.as_ref()).indent(false).to_string()
}

#[tokio::test]
async fn rows_in_order_are_neither_sorted_nor_spread() {
    let actors = ["a", "b", "c", "d", "e", "f"];
    let rows = |from: i64| -> Vec<Visit> {
        (0..24).map(|row| ("1", Some(actors[row as usize % 6]), from + row, "a")).collect()
    };
    // One segment, and what has come since.
    let snapshot = snapshot(&[rows(0), rows(100)], &[true]);
    let statements = [
        "SELECT actor, count(*) AS n FROM visits GROUP BY actor",
        "SELECT actor, page, count(*) AS n FROM visits GROUP BY actor, page",
        "SELECT id, lag(at) OVER (PARTITION BY actor ORDER BY at) AS last FROM visits",
        "SELECT actor, at FROM visits ORDER BY actor, at LIMIT 3",
    ];
    for statement in statements {
        let plan = physical(&snapshot, statement).await;
        assert!(plan.contains("ScanExec: partitions=2"), "{statement}:\n{plan}");
        assert!(!plan.contains("SortExec") && !plan.contains("RepartitionExec"), "{statement}:\n{plan}");
        let anyhow = physical(&snapshot, &statement.replace("visits", "visits_anyhow")).await;
        assert!(anyhow.contains("SortExec") || anyhow.contains("RepartitionExec"), "{statement}:\n{anyhow}");
    }
}
