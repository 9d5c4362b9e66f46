//! `GET /v1/schema`: the tables, columns, reports and paths of the caller's app.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use ebbtide_model::pack::{Param, Report, Route};
use ebbtide_model::{
    AppName, AppSchema, Column, Instant, TableKind, TableName, TableSchema, TenantRule, Tenants, Value,
};
use ebbtide_store::{Statistics, StoreError, TableStatistics};
use serde_json::{Value as JsonValue, json};

use super::access;
use crate::problem::{Code, Problem};
use crate::server::{App, Server};
use crate::sign_in::Caller;

pub(super) async fn schema(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<JsonValue>, Problem> {
    let caller = access::sign_in(&server, &headers, &uri)?;
    let app = server.app_of(&caller)?;
    // Names of properties are data: a caller is told those of its own rows.
    let own = match (server.store(), caller.widest_scope()) {
        (Ok(store), Ok(scope)) => Some(store.snapshot(app.name())?.evolved(&scope, [])),
        (_, _) => None,
    };
    let schema = own.as_ref().map_or(&app.pack.schema, |snapshot| snapshot.app());
    let mut described = describe(app, schema, &caller);
    if caller.widest_scope().is_ok_and(|scope| *scope.tenants() == Tenants::All)
        && let Ok(store) = server.store().cloned()
    {
        let (scope, schema) = (caller.widest_scope()?, app.pack.schema.clone());
        let read = tokio::task::spawn_blocking(move || {
            let snapshot = store.snapshot(scope.app())?;
            let latest = |table: &TableSchema| snapshot.table(&scope, &table.name)?.latest_time();
            let latest = schema.tables.iter().map(|table| Ok((table.name.clone(), latest(table)?)));
            Ok::<_, StoreError>((store.statistics(), latest.collect::<Result<Vec<_>, StoreError>>()?))
        });
        let (statistics, latest) = read.await.map_err(|error| Problem::hidden(Code::Internal, error))??;
        add_storage(&mut described, app.name(), &statistics, &latest);
    }
    Ok(Json(described))
}

/// How much there is of each table: for those who may see it all.
fn add_storage(
    described: &mut JsonValue,
    app: &AppName,
    statistics: &Statistics,
    latest: &[(TableName, Option<Instant>)],
) {
    let Some(tables) = described["tables"].as_array_mut() else { return };
    for table in tables {
        let is_it = |own: &&TableStatistics| own.app == *app && table["name"] == own.table.as_str();
        if let Some(own) = statistics.tables.iter().find(is_it) {
            let of_table = latest.iter().find(|(name, _)| *name == own.table);
            table["storage"] = json!({
                "latest": of_table.and_then(|(_, latest)| *latest).map(|latest| latest.to_string()),
                "rows": own.rows,
                "waiting": own.waiting,
                "segments": own.segments,
                "disk_bytes": own.disk_bytes,
                "memory_bytes": own.memory_bytes,
                "keys": own.keys,
            });
        }
    }
}

/// What the app has, cut down to the routes that the caller may call.
fn describe(app: &App, schema: &AppSchema, caller: &Caller) -> JsonValue {
    let tables: Vec<JsonValue> = schema.declared_tables().map(table).collect();
    let reports: Vec<JsonValue> =
        app.pack.reports.iter().filter_map(|report| described_report(report, caller)).collect();
    json!({
        "app": schema.app.as_str(),
        "title": app.pack.title,
        "timezone": schema.calendar.zone().iana_name(),
        "tables": tables,
        "reports": reports,
    })
}

fn table(table: &TableSchema) -> JsonValue {
    let name_of = |index: usize| table.columns[index].name.as_str();
    let described = |column: &Column| json!({"name": column.name, "type": column.column_type.name(), "nullable": column.nullable});
    let columns: Vec<JsonValue> = table.declared().iter().map(described).collect();
    let tenant = match &table.tenant {
        TenantRule::Column { column, .. } => json!({"column": name_of(*column)}),
        TenantRule::Parent { parent, by } => json!({"parent": parent.as_str(), "by": name_of(*by)}),
        TenantRule::Fixed(tenant) => json!({"fixed": tenant.as_str()}),
    };
    let kind = match table.kind {
        TableKind::Events => "events",
        TableKind::Entity => "entity",
    };
    let mut described = json!({
        "name": table.name.as_str(),
        "kind": kind,
        "key": table.key.iter().map(|index| name_of(*index)).collect::<Vec<_>>(),
        "tenant": tenant,
        "actor": table.actor.map(name_of),
        "time": table.time.map(name_of),
        "event_name": table.event_name.map(name_of),
        "columns": columns,
    });
    if let Some(open) = &table.open {
        let own = table.properties().iter();
        described["open"] = json!(open.field);
        described["properties"] =
            own.map(|property| json!({"name": property.name, "type": property.column_type.name()})).collect();
    }
    described
}

/// A report that the caller may call by one route at least.
fn described_report(report: &Report, caller: &Caller) -> Option<JsonValue> {
    let open = |route: &&Route| access::is_open(caller, route);
    let routes: Vec<&str> = report.routes.iter().filter(open).map(|route| route.path.as_str()).collect();
    if routes.is_empty() {
        return None;
    }
    Some(json!({
        "name": report.name,
        "description": report.description,
        "params": report.params.iter().map(param).collect::<Vec<_>>(),
        "routes": routes,
        "lists": report.lists,
        "tables": report.tables.iter().map(|table| table.as_str()).collect::<Vec<_>>(),
    }))
}

fn param(param: &Param) -> JsonValue {
    json!({
        "name": param.name,
        "description": param.description,
        "type": param.column_type.name(),
        "required": param.default.is_none(),
        "default": param.default.as_ref().map(Value::to_json),
        "min": param.min.as_ref().map(Value::to_json),
        "max": param.max.as_ref().map(Value::to_json),
        "choices": param.choices.iter().map(Value::to_json).collect::<Vec<_>>(),
    })
}
