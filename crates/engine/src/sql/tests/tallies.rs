//! A tally gives what the engine's own operators give, over rows that are written, replaced, deleted, flushed and
//! compacted in between.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::physical_plan::displayable;
use ebbtide_model::query::{Query, bind};
use ebbtide_model::{
    AppName, AppSchema, Calendar, ColumnType, Instant, Scope, TableKind, TableName, TenantId, TenantRule,
    Tenants, Value,
};
use ebbtide_store::fs::SimFs;
use ebbtide_store::{
    ColumnRef, Components, FreshIds, NewRows, Occurrences, Settings, Snapshot, Store, declared_schema,
};
use serde_json::{Value as Json, json};

use super::fixture::{array, ask_with, at, request, scope, shop_1, sql, table, text};
use crate::StopFlag;
use crate::sql::session::{Bound, plan};
use crate::sql::tally::{Origin, moments_kept};
use crate::sql::{Relation, Sql, SqlRequest, SqlRows, UnusedParameters, statement};

/// Statements that are tallied.
const TALLIED: &[&str] = &[
    "SELECT count(*) AS n FROM lines",
    "SELECT count(*) AS n, sum(points) AS p, max(at) AS last FROM lines WHERE role = 'user' AND points > 2",
    "SELECT role, count(*) AS n, sum(points) AS p, avg(score) AS s FROM lines GROUP BY role",
    "SELECT talk, min(at) AS first, max(points) AS p FROM lines GROUP BY talk",
    "SELECT points, flag, count(*) AS n FROM lines WHERE points IS NOT NULL GROUP BY 1, 2",
    "SELECT bucket('month', at) AS month, role, count(*) AS n, count(DISTINCT talk) AS talks,
       count(DISTINCT points) FILTER (WHERE flag AND score < 0.5) AS p
     FROM lines WHERE at >= bucket('month', $as_of, -2) GROUP BY 1, 2",
    "SELECT strip(left(body, 4)) AS said, count(*) AS n FROM lines GROUP BY 1",
    "SELECT bot, count(*) AS n, count(*) FILTER (WHERE role = 'bot' AND score < 0.3) AS low
     FROM talks JOIN lines ON talk = talks.id GROUP BY bot",
    "SELECT coalesce(lang, 'en') AS lang, strip(left(body, 3)) AS said, count(*) AS n, sum(points) AS p
     FROM lines JOIN talks ON talks.id = talk WHERE role <> 'bot' AND weight > 1 GROUP BY 1, 2",
    "SELECT bucket_label('day', began) AS day, flag, count(*) AS n
     FROM talks JOIN lines ON talk = talks.id WHERE bot IN ('a', 'b', 'z') GROUP BY 1, 2",
    "SELECT bot, role, count(*) AS n FROM chosen JOIN talks USING (bot) JOIN lines ON talk = talks.id GROUP BY 1, 2",
    "SELECT bot, count(DISTINCT lang) AS langs, count(*) AS n, count(lang) AS given FROM talks GROUP BY bot",
    "SELECT bot, weight, count(*) AS n FROM talks JOIN chosen USING (bot) WHERE began < $as_of GROUP BY 1, 2",
    "WITH counted AS (
       SELECT bot, strip(left(body, 3)) AS said, count(*) AS n
       FROM talks JOIN lines ON talk = talks.id WHERE role = 'user' GROUP BY 1, 2),
     ranked AS (
       SELECT *, row_number() OVER (PARTITION BY bot ORDER BY n DESC, said) AS place FROM counted WHERE said <> '')
     SELECT bot, said, n, place FROM ranked WHERE place <= 2",
    "SELECT body, count(*) AS n FROM lines GROUP BY body ORDER BY n DESC, body LIMIT 3",
    "SELECT DISTINCT role, points FROM lines",
    "SELECT role, percentile_cont(points, 0.9) AS p, median(score) FILTER (WHERE flag) AS m, min(body) AS least
     FROM lines GROUP BY role",
];

/// Others, which have to be right as well: what is asked of values that no such row has fails, a join by
/// something else is one, and so on.
const OTHERS: &[&str] = &[
    "SELECT CAST(body AS BIGINT) AS number, count(*) AS n FROM lines WHERE body = '7' GROUP BY 1",
    "SELECT bot, count(*) AS n FROM talks JOIN lines ON body = talks.id GROUP BY bot",
    "SELECT bot, count(*) AS n FROM talks LEFT JOIN lines ON talk = talks.id GROUP BY bot",
    "SELECT bot, sum(points + weight) AS p FROM talks JOIN lines ON talk = talks.id GROUP BY bot",
    "SELECT bot, count(*) AS n FROM talks JOIN lines ON talk = talks.id AND weight < points GROUP BY bot",
    "SELECT role, points, count(*) AS n FROM lines GROUP BY ROLLUP (role, points)",
    "SELECT score, count(*) AS n FROM lines GROUP BY score",
];

fn app() -> AppSchema {
    use ColumnType::{Bool, Float, Int, Text, Timestamp};
    let talks =
        [("id", Text), ("shop", Int), ("bot", Text), ("lang", Text), ("weight", Int), ("began", Timestamp)];
    let lines = [
        ("id", Int),
        ("talk", Text),
        ("role", Text),
        ("body", Text),
        ("points", Int),
        ("score", Float),
        ("flag", Bool),
        ("at", Timestamp),
    ];
    let mut talks = table("talks", TableKind::Entity, &talks, Some(5));
    let mut lines = table("lines", TableKind::Events, &lines, Some(7));
    lines.tenant = TenantRule::Parent { parent: TableName::new("talks"), by: 1 };
    lines.actor = Some(1);
    for (table, names) in [(&mut talks, ["id", "shop"]), (&mut lines, ["id", "talk"])] {
        for column in &mut table.columns {
            column.nullable = !names.contains(&column.name.as_str());
        }
    }
    AppSchema { app: AppName::new("shops"), calendar: Calendar::utc(), tables: vec![talks, lines] }
}

/// Random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 % end.unsigned_abs()).unwrap()
    }

    fn one_of(&mut self, texts: &[&str]) -> Value {
        let place = usize::try_from(self.below(i64::try_from(texts.len()).unwrap() + 1)).unwrap();
        texts.get(place).map_or(Value::Null, |chosen| text(chosen))
    }

    fn time(&mut self) -> Value {
        let start = at("2024-03-01T00:00:00Z").micros();
        Value::Timestamp(Instant::from_micros(start + self.below(150 * 24) * 3_600_000_000))
    }

    fn number(&mut self, end: i64) -> Value {
        match self.below(end + 1) {
            number if number == end => Value::Null,
            number => Value::Int(number),
        }
    }

    fn talk(&mut self) -> Vec<Value> {
        let id = self.below(30);
        vec![
            text(&format!("t{id}")),
            Value::Int(id % 2 + 1),
            self.one_of(&["a", "b", "c"]),
            self.one_of(&["de", "en", ""]),
            self.number(4),
            if self.below(5) == 0 { Value::Null } else { self.time() },
        ]
    }

    fn line(&mut self) -> Vec<Value> {
        let score = match self.below(5) {
            0 => Value::Null,
            _ => Value::Float(f64::from(i32::try_from(self.below(100)).unwrap()) / 100.0),
        };
        vec![
            Value::Int(self.below(100_000)),
            text(&format!("t{}", self.below(33))),
            self.one_of(&["user", "bot", "system"]),
            self.one_of(&["hello", " hey", "hell no", "7", "", "  ", "what now", "why", "öäü ß"]),
            self.number(5),
            score,
            if self.below(4) == 0 { Value::Null } else { Value::Bool(self.below(2) == 1) },
            self.time(),
        ]
    }
}

struct World {
    store: Store,
    app: AppSchema,
    random: Random,
}

impl World {
    fn new(seed: u64) -> Self {
        let fresh = FreshIds { folder: 1, secret: 7 };
        let components = Components { fs: Arc::new(SimFs::new(seed)), fresh };
        let store = Store::open(components, Settings::default(), vec![app()]).unwrap();
        Self { store, app: app(), random: Random(seed * 2_654_435_761 + 1) }
    }

    fn write(&self, name: &str, rows: &[Vec<Value>]) {
        let table = self.app.table(&TableName::new(name)).unwrap();
        let columns = table.columns.iter().enumerate().map(|(index, column)| {
            array(column.column_type, &rows.iter().map(|row| &row[index]).collect::<Vec<_>>())
        });
        let batch = RecordBatch::try_new(declared_schema(table), columns.collect()).unwrap();
        let rows = NewRows { table: table.name.clone(), batch, occurrences: Occurrences::new() };
        self.store.append(&scope(Tenants::All), rows).unwrap();
    }

    fn delete(&self, name: &str, scope: &Scope, keys: &[Value]) {
        let table = self.app.table(&TableName::new(name)).unwrap();
        let key = declared_schema(table).project(&[0]).unwrap();
        let keys = array(table.columns[0].column_type, &keys.iter().collect::<Vec<_>>());
        let keys = RecordBatch::try_new(Arc::new(key), vec![keys]).unwrap();
        self.store.delete_rows(scope, &table.name, &keys).unwrap();
    }

    /// Something happens to the rows.
    fn step(&mut self) {
        match self.random.below(10) {
            0..4 => {
                let count = self.random.below(60) + 1;
                let lines: Vec<_> = (0..count).map(|_| self.random.line()).collect();
                self.write("lines", &lines);
            }
            4..7 => {
                let count = self.random.below(6) + 1;
                let talks: Vec<_> = (0..count).map(|_| self.random.talk()).collect();
                self.write("talks", &talks);
            }
            7 => {
                let talk = text(&format!("t{}", self.random.below(30)));
                self.delete("talks", &scope(Tenants::All), &[talk]);
                let lines: Vec<Value> = (0..20_000).map(|_| Value::Int(self.random.below(100_000))).collect();
                self.delete("lines", &shop_1(), &lines);
            }
            8 => self.store.flush().unwrap(),
            _ => {
                self.store.flush().unwrap();
                self.store.compact().unwrap();
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        self.store.snapshot(&AppName::new("shops")).unwrap()
    }
}

fn asked(sql_text: &str, as_of: &str, unused: UnusedParameters) -> SqlRequest {
    let columns = [("bot".to_owned(), ColumnType::Text)];
    let rows = SqlRows::of_values(&columns, &[vec![text("a")], vec![text("c")], vec![Value::Null]]).unwrap();
    let relations = vec![Relation { name: Arc::from("chosen"), rows: Arc::new(rows) }];
    SqlRequest { unused_params: unused, as_of: at(as_of), relations, ..request(sql_text) }
}

async fn answer(
    engine: &Sql,
    snapshot: &Snapshot,
    scope: &Scope,
    request: SqlRequest,
) -> Result<Vec<String>, String> {
    let rows: Json = ask_with(engine, snapshot, scope, request).await.map_err(|error| error.to_string())?;
    let mut rows: Vec<String> = rows.as_array().unwrap().iter().map(Json::to_string).collect();
    rows.sort();
    Ok(rows)
}

#[tokio::test]
async fn a_tally_is_what_the_plain_way_gives_while_rows_come_and_go() {
    let engine = sql();
    for seed in 1..=2 {
        let mut world = World::new(seed);
        for step in 0..9 {
            world.step();
            let snapshot = world.snapshot();
            let as_of = ["2024-12-01T00:00:00Z", "2024-05-10T12:00:00Z"][step % 2];
            for scope in [shop_1(), scope(Tenants::One(TenantId::new("2"))), scope(Tenants::All)] {
                for statement in TALLIED.iter().chain(OTHERS) {
                    let ask = |unused| answer(&engine, &snapshot, &scope, asked(statement, as_of, unused));
                    let plain = ask(UnusedParameters::Refused).await;
                    let tallied = ask(UnusedParameters::PassedOver).await;
                    assert_eq!(tallied, plain, "seed {seed}, {scope:?} at {as_of}: {statement}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_tally_that_goes_on_from_an_earlier_moment_is_what_the_plain_way_gives() {
    let engine = sql();
    let mut world = World::new(3);
    let mut kept = 0;
    for _ in 0..2 {
        (0..6).for_each(|_| world.step());
        let snapshot = world.snapshot();
        for scope in [shop_1(), scope(Tenants::All)] {
            for statement in &TALLIED[1..] {
                // Back and forth, within a day and past the last row.
                for as_of in [
                    "2024-05-10T12:00:00Z",
                    "2024-05-10T12:30:00Z",
                    "2024-05-10T18:00:00Z",
                    "2024-05-10T00:00:00Z",
                    "2024-05-09T10:00:00Z",
                    "2024-06-20T00:00:01Z",
                    "2024-12-01T00:00:00Z",
                    "2024-12-01T01:00:00Z",
                ] {
                    let ask = |unused| answer(&engine, &snapshot, &scope, asked(statement, as_of, unused));
                    let plain = ask(UnusedParameters::Refused).await;
                    let tallied = ask(UnusedParameters::PassedOver).await;
                    assert_eq!(tallied, plain, "{scope:?} at {as_of}: {statement}");
                }
            }
            for name in ["talks", "lines"] {
                let view = snapshot.table(&scope, &TableName::new(name)).unwrap();
                let (snapshot, scope) = (Arc::new(snapshot.clone()), scope.clone());
                kept += moments_kept(&Origin { snapshot, scope, view });
            }
        }
    }
    assert!(kept > 50, "{kept} moments");
}

#[tokio::test]
async fn groups_come_in_the_order_of_their_rows_whatever_was_asked_before() {
    let engine = sql();
    let mut world = World::new(5);
    (0..12).for_each(|_| world.step());
    let snapshot = world.snapshot();
    for statement in [TALLIED[2], TALLIED[3], TALLIED[6]] {
        let ask = async |as_of: &str| {
            let request = asked(statement, as_of, UnusedParameters::PassedOver);
            ask_with(&engine, &snapshot, &scope(Tenants::All), request).await.unwrap()
        };
        let first = ask("2024-07-20T12:00:00Z").await;
        for as_of in ["2024-04-01T12:00:00Z", "2024-04-02T18:00:00Z", "2024-07-20T11:00:00Z"] {
            ask(as_of).await;
        }
        assert!(first.as_array().unwrap().len() > 2);
        assert_eq!(ask("2024-07-20T12:00:00Z").await, first, "{statement}");
    }
}

/// What comes before by what the actors' rows have, of what comes before by actor.
fn grouped(snapshot: &Snapshot, scope: &Scope, as_of: &str, limit: usize) -> (Json, Json) {
    let query = json!({
        "kind": "preceding", "stream": "lines", "skip_empty": true, "to": "2024-07-01T00:00:00Z",
        "before": {"where": [
            {"prop": "role", "value": "bot"}, {"prop": "points", "op": "lt", "value": 3}]},
        "of": {"where": [{"prop": "role", "op": "in", "value": ["user", "system"]}]},
        "show": {"prop": "body", "cut": 3, "trim": true},
    });
    let result = |field: &str, value: Json| {
        let mut query = query.clone();
        query[field] = value;
        if field == "by" {
            query["limit"] = json!(limit);
        }
        let bound = bind(&Query::parse(&query).unwrap(), snapshot.app()).unwrap();
        crate::ask(snapshot, scope, &bound, at(as_of), &StopFlag::default()).unwrap().result()
    };
    let by_actor = result("per_actor", json!(true));
    let mut bots = std::collections::HashMap::new();
    for part in snapshot.table(scope, &TableName::new("talks")).unwrap().parts() {
        for batch in part.scan(&[0, 2, 5].map(ColumnRef::Declared)).unwrap() {
            let batch = batch.unwrap();
            let column = |index: usize| batch.column(index).as_string::<i32>().clone();
            let began = batch.column(2).as_primitive::<TimestampMicrosecondType>();
            for ((id, bot), began) in column(0).iter().zip(column(1).iter()).zip(began) {
                // A talk that has not begun is none yet.
                if began.is_none_or(|began| began <= at(as_of).micros()) {
                    bots.insert(id.unwrap().to_owned(), bot.map(str::to_owned));
                }
            }
        }
    }
    let mut counts = std::collections::BTreeMap::new();
    for row in by_actor["actors"].as_array().unwrap() {
        if let Some(bot) = bots.get(row["actor"].as_str().unwrap()) {
            let key = (bot.is_none(), bot.clone(), row["value"].as_str().unwrap().to_owned());
            *counts.entry(key).or_insert(0) += row["count"].as_u64().unwrap();
        }
    }
    let mut rows: Vec<_> = counts.into_iter().collect();
    rows.sort_by_key(|((last, bot, value), count)| {
        (*last, bot.clone(), std::cmp::Reverse(*count), value.clone())
    });
    let groups = rows.chunk_by(|((_, left, _), _), ((_, right, _), _)| left == right);
    let row = |((_, bot, value), count): &(_, u64)| json!({"by": bot, "value": value, "count": count});
    let groups: Vec<Json> = groups.flat_map(|group| group.iter().take(limit)).map(row).collect();
    (result("by", json!("bot")), json!({"total": by_actor["total"], "groups": groups}))
}

#[test]
fn what_comes_before_by_what_actors_rows_have_is_that_by_actor_added_up() {
    let mut counted = 0;
    for seed in 1..=6 {
        let mut world = World::new(seed);
        for step in 0..14 {
            world.step();
            let snapshot = world.snapshot();
            let as_of = ["2024-12-01T00:00:00Z", "2024-05-10T12:00:00Z"][step % 2];
            for scope in [shop_1(), scope(Tenants::One(TenantId::new("2"))), scope(Tenants::All)] {
                // The second time from what is kept.
                for limit in [2, 100] {
                    let (given, want) = grouped(&snapshot, &scope, as_of, limit);
                    assert_eq!(given, want, "seed {seed}, {scope:?} at {as_of}");
                    counted += want["total"].as_u64().unwrap();
                }
            }
        }
    }
    assert!(counted > 400, "{counted} events");
}

#[tokio::test]
async fn statements_over_one_table_and_its_parent_are_tallied_and_others_are_not() {
    let mut world = World::new(9);
    let talks: Vec<_> = (0..30).map(|_| world.random.talk()).collect();
    let lines: Vec<_> = (0..300).map(|_| world.random.line()).collect();
    world.write("talks", &talks);
    world.write("lines", &lines);
    let (engine, snapshot) = (sql(), world.snapshot());
    let check = async |text: &str, want: bool| {
        let request = asked(text, "2024-12-01T00:00:00Z", UnusedParameters::PassedOver);
        let mut state = engine.base.clone();
        let catalog = engine.catalog(&snapshot, &scope(Tenants::All), &request);
        let checked = statement::check(text).unwrap();
        let Bound { plan, .. } = plan(&mut state, catalog, checked, &request).await.unwrap();
        let physical = state.create_physical_plan(&plan).await.unwrap();
        let shown = displayable(physical.as_ref()).indent(false).to_string();
        assert_eq!(shown.contains("TallyExec"), want, "{text}\n{shown}");
        assert!(!(want && shown.contains("HashJoinExec")), "{text}\n{shown}");
        assert_eq!(shown.contains("TopK"), want && shown.contains("best=Some"), "{text}\n{shown}");
    };
    for text in &TALLIED[1..] {
        check(text, true).await;
    }
    for text in &OTHERS[1..] {
        check(text, false).await;
    }
}
