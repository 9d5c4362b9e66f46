//! Requests of every kind, honest and not, to any path of an app.

use std::collections::BTreeSet;

use axum::http::Method;
use ebbtide_model::pack::{Param, Report, Route};
use ebbtide_model::{ColumnType, TableSchema, TenantRule, Value};
use serde_json::{Value as Json, json};

use crate::callers::Caller;
use crate::random::Random;
use crate::rows::{STRANGER, Shape, TENANTS, canary};
use crate::world::Ask;

/// A request, and who may see what by it.
pub(crate) struct Sent {
    pub(crate) ask: Ask,
    /// Whose canaries the answer may hold.
    pub(crate) sees: BTreeSet<u32>,
    /// The only tenant whose rows may matter to the answer, where there is but one.
    pub(crate) alone: Option<u32>,
    /// The tenant of the rows that are written.
    pub(crate) written: Option<u32>,
}

const NONSENSE: [&str; 14] = [
    "abc",
    "-1",
    "0",
    "1.5",
    "99999999999999999999",
    "%00",
    "%F0%9F%90%BF",
    "1%20OR%201=1",
    "'%3B--",
    "null",
    "true",
    "..",
    "%25",
    "NaN",
];

/// Anything at all.
pub(crate) fn any(shape: &Shape, caller: &Caller, random: &mut Random, tags: &[String]) -> Sent {
    let mut sent = match random.below(100) {
        0..66 if !shape.pack.reports.is_empty() => report(shape, caller, random),
        0..20 => own_path(caller, sql(shape, random), "/v1/sql"),
        20..40 => own_path(caller, query(shape, random), "/v1/query"),
        40..66 => captured(shape, caller, random),
        66..78 => own_path(caller, sql(shape, random), "/v1/sql"),
        78..88 => own_path(caller, query(shape, random), "/v1/query"),
        88..92 => rows(shape, caller, random),
        92..95 => kept(caller, random),
        _ => elsewhere(caller, random),
    };
    if random.percent(15) && !tags.is_empty() {
        let tag = if random.percent(20) { "*".to_owned() } else { random.pick(tags).clone() };
        sent.ask.headers.push(("if-none-match", tag));
    }
    if random.percent(5) {
        sent.ask.headers.push(("origin", "https://app.example.com".to_owned()));
    }
    sent
}

/// The same path for somebody else. Rows that are written bear the canary of who writes them.
pub(crate) fn again(shape: &Shape, sent: &Sent, caller: &Caller) -> Sent {
    if let (Some(owner), Some(own)) = (sent.written, caller.tenant)
        && owner != own
    {
        let body = sent.ask.body.replace(&canary(owner), &canary(own));
        let ask = Ask { token: caller.token.clone(), body, ..sent.ask.clone() };
        let mut again = sent_by(caller, ask, caller.own_or_all());
        again.sees.insert(own);
        again.written = Some(own);
        return again;
    }
    let path = sent.ask.path.split('?').next().unwrap_or_default();
    let routes = shape.pack.reports.iter().flat_map(|report| &report.routes);
    let route = routes.into_iter().find(|route| fits(&route.path, path));
    let sees = route.map_or_else(|| caller.own_or_all(), |route| caller.sees_by(route));
    let ask = Ask { token: caller.token.clone(), ..sent.ask.clone() };
    let mut again = sent_by(caller, ask, sees);
    if let Some(tenant) = sent.written {
        // Refused rows are told to whoever sends them.
        again.sees.extend(&sent.sees);
        again.written = Some(tenant);
    }
    if is_of_rejects(&sent.ask.path) {
        again.alone = None;
    }
    again
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    let same = |(wanted, given): (&&str, &&str)| wanted.starts_with('{') || wanted == given;
    pattern.len() == path.len() && pattern.iter().zip(&path).all(same)
}

fn sent_by(caller: &Caller, ask: Ask, sees: BTreeSet<u32>) -> Sent {
    // Of a caller whom the token and the user name alike nobody else's rows may matter.
    let one = caller.tenant.filter(|tenant| caller.user_of == Some(*tenant) && TENANTS.contains(tenant));
    let alone = one.filter(|tenant| sees.iter().all(|seen| seen == tenant));
    Sent { ask, sees, alone, written: None }
}

fn get(caller: &Caller, path: String, sees: BTreeSet<u32>) -> Sent {
    let ask =
        Ask { method: Method::GET, path, token: caller.token.clone(), headers: vec![], body: String::new() };
    sent_by(caller, ask, sees)
}

fn own_path(caller: &Caller, body: String, path: &str) -> Sent {
    let ask = Ask {
        method: Method::POST,
        path: path.to_owned(),
        token: caller.token.clone(),
        headers: vec![],
        body,
    };
    sent_by(caller, ask, caller.own_or_all())
}

fn report(shape: &Shape, caller: &Caller, random: &mut Random) -> Sent {
    let report = random.pick(&shape.pack.reports);
    let route = random.pick(&report.routes);
    let mut path = route.path.clone();
    for param in &route.params {
        let value = path_value(shape, param, random);
        path = path.replace(&format!("{{{}}}", param.name), &value);
    }
    let query = query_string(shape, report, route, random);
    let mut sent = get(caller, format!("{path}{query}"), caller.sees_by(route));
    if random.percent(4) {
        sent.ask.method = Method::HEAD;
    }
    sent
}

/// An id of one's own or of somebody else's, a tenant, or nonsense.
fn path_value(shape: &Shape, param: &Param, random: &mut Random) -> String {
    let tenant = if random.percent(5) { STRANGER } else { *random.pick(&TENANTS) };
    match random.below(100) {
        0..10 => (*random.pick(&NONSENSE)).to_owned(),
        10..55 => shape.tenant(tenant),
        55..60 => shape.subject(tenant),
        _ => shape.id(tenant, random.below(26) as u32, param.column_type),
    }
}

fn query_string(shape: &Shape, report: &Report, route: &Route, random: &mut Random) -> String {
    let mut pairs: Vec<String> = Vec::new();
    for param in &report.params {
        let in_path = route.params.iter().any(|known| known.name == param.name);
        let needed = param.default.is_none() && random.percent(90);
        if !in_path && (needed || random.percent(25)) {
            pairs.push(format!("{}={}", param.name, param_value(shape, param, random)));
        }
    }
    if random.percent(40) {
        let format = random.pick(&[
            "json", "csv", "csv", "ndjson", "ndjson", "xlsx", "xlsx", "parquet", "parquet", "xml", "",
        ]);
        pairs.push(format!("format={format}"));
        if random.percent(80) && !report.lists.is_empty() {
            pairs.push(format!("table={}", random.pick(&report.lists)));
        } else if random.percent(20) {
            pairs.push(format!("table={}", random.pick(&shape.pack.schema.tables).name));
        }
    }
    if random.percent(30) {
        let instants = [
            "2026-03-01",
            "2026-03-14T10:00:00Z",
            "2025-12-31T23:59:59%2B09:00",
            "2030-01-01",
            "1970-01-01",
            "yesterday",
            "",
        ];
        pairs.push(format!("as_of={}", random.pick(&instants)));
    }
    if random.percent(10) {
        let tenant = shape.tenant(*random.pick(&TENANTS));
        let others = [
            format!("tenant={tenant}"),
            format!("tenant_id={tenant}"),
            format!("sub={}", shape.subject(2)),
            "app=loyalty".to_owned(),
            "refresh=true".to_owned(),
            "limit=1&limit=100".to_owned(),
            "%zz".to_owned(),
            "plan=enterprise".to_owned(),
            "role=admin".to_owned(),
        ];
        pairs.push(random.pick(&others).clone());
    }
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn param_value(shape: &Shape, param: &Param, random: &mut Random) -> String {
    if random.percent(12) {
        return (*random.pick(&NONSENSE)).to_owned();
    }
    if !param.choices.is_empty() {
        return text_of(random.pick(&param.choices));
    }
    if param.key_of.is_some() || param.name.ends_with("_id") {
        return path_value(shape, param, random);
    }
    match param.column_type {
        ColumnType::Int => (1 + random.below(12)).to_string(),
        ColumnType::Float | ColumnType::Decimal => format!("{}.5", random.below(9)),
        ColumnType::Bool => (*random.pick(&["true", "false"])).to_owned(),
        ColumnType::Text | ColumnType::Mixed => (*random.pick(&["month", "day", "week", "text"])).to_owned(),
        ColumnType::Date => "2026-02-01".to_owned(),
        ColumnType::Timestamp => "2026-02-01T00:00:00Z".to_owned(),
    }
}

fn text_of(value: &Value) -> String {
    match value.to_json() {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

fn column_of(table: &TableSchema, random: &mut Random, wanted: Option<ColumnType>) -> String {
    let fitting: Vec<&str> = table
        .columns
        .iter()
        .filter(|column| wanted.is_none_or(|wanted| column.column_type == wanted))
        .map(|column| column.name.as_str())
        .collect();
    if fitting.is_empty() { table.columns[0].name.clone() } else { (*random.pick(&fitting)).to_owned() }
}

/// Statements that read what they may, and that try to read more.
fn sql(shape: &Shape, random: &mut Random) -> String {
    let tables = &shape.pack.schema.tables;
    let table = random.pick(tables);
    let (name, other) = (&table.name, &random.pick(tables).name);
    let text = column_of(table, random, Some(ColumnType::Text));
    let any = column_of(table, random, None);
    let key = &table.columns[table.key.first().copied().unwrap_or(0)].name;
    // Rows that tie may be cut off in any order, so nothing but equal rows ties.
    let all = |from: &str| {
        let columns: Vec<String> =
            table.columns.iter().map(|column| format!("{from}{}", column.name)).collect();
        columns.join(", ")
    };
    let foreign = shape.id(*random.pick(&TENANTS), random.below(24) as u32, ColumnType::Text);
    let templates = [
        format!("SELECT * FROM {name}"),
        format!("SELECT * FROM {name} ORDER BY {any} DESC, {} LIMIT 5", all("")),
        format!("SELECT * FROM {name} WHERE {key} IS NOT NULL OR TRUE"),
        format!("SELECT * FROM {name} WHERE CAST({key} AS text) = '{foreign}'"),
        format!("SELECT {text}, count(*) AS n FROM {name} GROUP BY {text}"),
        format!("SELECT max({text}) AS a, min({text}) AS b, count(DISTINCT {text}) AS c FROM {name}"),
        format!("SELECT array_agg({text}) AS a FROM {name}"),
        format!("SELECT string_agg({text}, ',') AS a FROM {name}"),
        format!("SELECT upper({text}) AS a, reverse({text}) AS b FROM {name}"),
        format!("SELECT a.* FROM {name} a, {other} b ORDER BY {} LIMIT 50", all("a.")),
        format!("SELECT {text} FROM {name} UNION ALL SELECT {text} FROM {name}"),
        format!(
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r, {name}"
        ),
        format!("SELECT CAST({text} AS int) AS a FROM {name}"),
        format!("SELECT CAST({text} AS timestamp) AS a FROM {name}"),
        format!("SELECT 1 / (count(*) - count(*)) AS a FROM {name}"),
        format!("SELECT _tenant, _seq, * FROM {name}"),
        format!("SELECT * FROM ebbtide.public.{name}"),
        format!("SELECT * FROM other.{name}"),
        format!("SELECT * FROM {name} WHERE {text} ~ '('"),
        format!("SELECT * FROM {name} WHERE {any} = $id"),
        format!("EXPLAIN SELECT * FROM {name}"),
        format!("EXPLAIN ANALYZE SELECT * FROM {name} WHERE {text} LIKE '%a%'"),
        format!("INSERT INTO {name} SELECT * FROM {name}"),
        format!("DELETE FROM {name}"),
        format!("COPY {name} TO '/tmp/ebbtide-canary.csv'"),
        format!("CREATE TABLE mine AS SELECT * FROM {name}"),
        format!("SELECT * FROM {name}; SELECT * FROM {other}"),
        format!("SELECT * FROM {name} WHERE"),
        "SELECT * FROM information_schema.tables".to_owned(),
        "SELECT * FROM information_schema.columns".to_owned(),
        "SELECT * FROM pg_catalog.pg_tables".to_owned(),
        "SHOW TABLES".to_owned(),
        "SELECT * FROM 'file:///etc/passwd'".to_owned(),
        "SELECT * FROM nowhere".to_owned(),
        "SELECT now() AS a, $as_of AS b".to_owned(),
        String::new(),
    ];
    let statement = random.pick(&templates);
    let as_of = random.percent(20).then_some("2026-02-01");
    match random.below(30) {
        0 => "{\"sql\": ".to_owned(),
        1 => json!({"sql": statement, "tenant": 2}).to_string(),
        2 => json!([statement]).to_string(),
        _ if statement.contains("$id") => json!({"sql": statement, "params": {"id": foreign}}).to_string(),
        _ if as_of.is_some() => json!({"sql": statement, "as_of": as_of}).to_string(),
        _ => json!({"sql": statement}).to_string(),
    }
}

/// Behavioural questions that show texts and actors, and some that are wrong.
fn query(shape: &Shape, random: &mut Random) -> String {
    let table = random.pick(&shape.pack.schema.tables);
    let name = table.name.as_str();
    let text = column_of(table, random, Some(ColumnType::Text));
    let any = column_of(table, random, None);
    let questions = [
        json!({"kind": "churn", "entity": {"table": name}, "limit": 50}),
        json!({"kind": "churn"}),
        json!({"kind": "trend", "entity": {"table": name}, "interval": "all", "breakdown": {"prop": text, "limit": 20}}),
        json!({"kind": "trend", "entity": {"table": name}, "interval": "month", "measure": ["total", "unique"]}),
        json!({"kind": "trend", "entity": {"table": name, "where": [{"prop": text, "op": "contains", "value": "of"}]}, "interval": "all"}),
        json!({"kind": "retention", "start": {"table": name}, "return": {"table": name}, "period": "month", "periods": 6, "list_actors": true}),
        json!({"kind": "retention", "start": {"table": name}, "return": {"table": name}, "period": "month", "periods": 3, "breakdown": {"prop": text}}),
        json!({"kind": "preceding", "before": {"table": name}, "of": {"table": name}, "show": {"prop": text, "cut": 30, "trim": true}, "per_actor": true}),
        json!({"kind": "trend", "entity": {"table": name}, "aggregate_by": any, "measure": "unique", "interval": "all"}),
        json!({"kind": "trend", "interval": "all", "measure": "unique", "breakdown": {"prop": "plan", "scope": "actor"}}),
        json!({"kind": "funnel", "steps": [{"event": "view"}, {"event": "buy", "where": [{"prop": "size", "op": "is_set"}]}], "list_actors": true}),
        json!({"kind": "trend", "entity": {"table": "nowhere"}}),
        json!({"kind": "trend", "entity": {"table": name, "where": [{"prop": "nothing", "value": 1}]}}),
        json!({"kind": "trend", "tenant": 2}),
        json!({"kind": "nothing"}),
        json!({}),
        json!([1, 2]),
        json!("text"),
    ];
    let mut question = random.pick(&questions).clone();
    if random.percent(20) && question.is_object() {
        question["as_of"] = json!(random.pick(&["2026-02-01", "2030-01-01", "soon"]));
    }
    question.to_string()
}

/// Rows again that are there already, of one's own and of others, under one's own and others' keys. Whatever
/// is stored bears the canary of the tenant that it belongs to.
fn rows(shape: &Shape, caller: &Caller, random: &mut Random) -> Sent {
    let table = random.pick(&shape.pack.schema.tables);
    let index = random.below(24) as u32;
    let tenant = caller.tenant.unwrap_or_else(|| *random.pick(&TENANTS));
    let other = *random.pick(&TENANTS);
    let (mut row, owner) = (shape.row(table, tenant, index), tenant);
    match (random.below(6), &table.tenant) {
        // Another tenant's row: refused for a token with a tenant. Its words are those of who sends it.
        (0, TenantRule::Column { column, .. }) if caller.tenant.is_some() => {
            let foreign = shape.row(table, other, index);
            let name = table.columns[*column].name.as_str();
            row[name] = foreign[name].clone();
        }
        // Another tenant's key under one's own name.
        (1, TenantRule::Column { .. }) if caller.tenant.is_some() => {
            let foreign = shape.row(table, other, index);
            for key in &table.key {
                let name = table.columns[*key].name.as_str();
                if table.tenant != (TenantRule::Column { column: *key, default: None }) {
                    row[name] = foreign[name].clone();
                }
            }
        }
        (2, _) => row["nothing"] = json!(canary(tenant)),
        (3, _) => row[table.columns[0].name.as_str()] = json!([canary(tenant)]),
        _ => {}
    }
    let body = match random.below(20) {
        0 => "[{".to_owned(),
        1 => row.to_string(),
        2 => "[]".to_owned(),
        _ => json!([row]).to_string(),
    };
    let name = if random.percent(4) { "nowhere" } else { table.name.as_str() };
    let mut sees = caller.own_or_all();
    // What is refused is told to its sender, who wrote it.
    sees.insert(owner);
    let mut sent = own_path(caller, body, &format!("/v1/tables/{name}/rows"));
    sent.sees = sees;
    sent.written = Some(owner);
    sent
}

/// Events, properties of actors and aliases, each with whose it is: sent again by another, it is refused.
fn captured(shape: &Shape, caller: &Caller, random: &mut Random) -> Sent {
    let tenant = caller.tenant.unwrap_or_else(|| *random.pick(&TENANTS));
    let mut name = || shape.id(tenant, random.below(8) as u32, ColumnType::Text);
    let (one, other) = (name(), name());
    let of = shape.tenant(tenant);
    let text = format!("{} {}", canary(tenant), random.below(5));
    let prop = *random.pick(&["plan", "colour", "size"]);
    let value = random.pick(&[json!(text), json!(7), json!(1.5), json!(true), json!({"in": [text]})]).clone();
    let (path, item) = match random.below(4) {
        0 => ("/v1/actors", json!({"actor": one, "props": {prop: value}, "tenant": of})),
        1 => ("/v1/alias", json!({"alias": one, "actor": other, "force": random.percent(50), "tenant": of})),
        _ => {
            let ts = format!("2026-02-{:02}T10:00:00Z", 1 + random.below(20));
            let id = random.percent(30).then(|| format!("e{}", random.below(40)));
            let event = *random.pick(&["view", "buy"]);
            let event = json!({
                "event": event, "actor": one, "ts": ts, "props": {prop: value}, "event_id": id, "tenant": of,
            });
            ("/v1/capture", event)
        }
    };
    let body = match random.below(20) {
        0 => "[{".to_owned(),
        1 => json!([item, 17, {"nothing": text}]).to_string(),
        2 => "17".to_owned(),
        _ => item.to_string(),
    };
    let mut sent = own_path(caller, body, path);
    sent.sees.insert(tenant);
    sent.written = Some(tenant);
    sent
}

/// Rejected rows and cards: looked at, sent again, saved, deleted.
fn kept(caller: &Caller, random: &mut Random) -> Sent {
    let method = |method: Method, path: &str, body: Json| Ask {
        method,
        path: path.to_owned(),
        token: caller.token.clone(),
        headers: vec![],
        body: body.to_string(),
    };
    let card = json!({"title": "t", "query": {"kind": "churn"}, "range": "7d"});
    let codes = ["wrong_type", "unknown_column", "tenant_foreign", "null", "field_unknown", "not_an_object"];
    let ask = match random.below(12) {
        0..5 => method(Method::GET, "/v1/rejects?limit=1000", json!({})),
        5 => method(Method::GET, &format!("/v1/rejects?code={}&after=z", random.pick(&codes)), json!({})),
        6..8 => method(Method::POST, "/v1/rejects/retry", json!({"code": random.pick(&codes)})),
        8 if random.percent(20) => method(Method::DELETE, "/v1/rejects", json!({})),
        8..10 => method(Method::PUT, "/v1/cards/own", card),
        10 => method(Method::GET, "/v1/cards", json!({})),
        _ => method(Method::DELETE, "/v1/cards/own", json!({})),
    };
    // What is refused, and when cards come and go, depends on who else is there.
    Sent { alone: None, ..sent_by(caller, ask, caller.own_or_all()) }
}

fn is_of_rejects(path: &str) -> bool {
    path.starts_with("/v1/rejects") || path.starts_with("/v1/cards")
}

/// The server's other paths, and some that are not there.
fn elsewhere(caller: &Caller, random: &mut Random) -> Sent {
    const PATHS: [&str; 16] = [
        "/v1/schema",
        "/v1/schema",
        "/v1/schema?app=loyalty",
        "/v1/sql",
        "/v1/query",
        "/v1/tables",
        "/v1/keys",
        "/v1/capture",
        "/openapi.json",
        "/docs",
        "/docs/",
        "/healthz",
        "/readyz",
        "/",
        "/nowhere/at/all",
        "/v1/../metrics",
    ];
    const METHODS: [Method; 6] =
        [Method::GET, Method::HEAD, Method::DELETE, Method::PUT, Method::OPTIONS, Method::PATCH];
    let mut sent = get(caller, (*random.pick(&PATHS)).to_owned(), BTreeSet::new());
    if random.percent(30) {
        sent.ask.method = random.pick(&METHODS).clone();
    }
    sent
}
