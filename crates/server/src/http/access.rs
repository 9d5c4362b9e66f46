//! The checks before an answer, in the order that clients rely on: token (401), role and tenant (403),
//! plan (402), parameters (422), existence (404).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{Query, RawPathParams};
use axum::http::{HeaderMap, Uri, header};
use ebbtide_engine::sql::{SqlRequest, SqlRows, UnusedParameters, rows_to_json};
use ebbtide_model::pack::{Pack, ParamError, Plan, Route, RouteTenant, SUBJECT};
use ebbtide_model::{Instant, Scope, TenantId, Tenants, Unit, Value, Written};
use ebbtide_store::{ColumnRef, Snapshot, StoreError};
use serde_json::Value as Json;

use super::embedded;
use crate::cache::{Asked, Lifetime, Versions, next_row};
use crate::problem::{Code, Problem};
use crate::report::{Arguments, Asker, Pair};
use crate::routes::ReportRoute;
use crate::server::{App, Server};
use crate::sign_in::{self, ADMIN, Caller, Embed, Verified, unknown_tenant};

/// How long it holds, at most, what a pack's statement says of a caller.
const DECIDED_FOR: Duration = Duration::from_secs(300);

pub(super) type PathParams = Result<RawPathParams, RawPathParamsRejection>;

/// Names and values of a query string, in order, decoded.
pub(super) type Pairs = Vec<Pair>;

/// Whose rows a report answers about, as far as that is known before its parameters are read.
pub(super) enum Reach {
    Scope(Scope),
    /// The tenant that this parameter of the path names.
    Named {
        param: String,
    },
    /// The tenant that the pack's own statement finds.
    Found,
}

/// A caller that a route of a report lets in.
pub(super) struct Entrant<'r> {
    server: &'r Server,
    route: &'r ReportRoute,
    caller: Caller,
    reach: Reach,
    /// Its `Accept-Language`.
    languages: Option<String>,
}

/// Whether the route lets the caller in, who has signed in to it: 403.
pub(super) fn enter<'r>(
    server: &'r Server,
    route: &'r ReportRoute,
    (caller, headers): (Caller, &HeaderMap),
    path: &[Pair],
    query: &[Pair],
) -> Result<Entrant<'r>, Problem> {
    require_role(&caller, &route.route, path)?;
    let reach = reach(&caller, &route.route)?;
    embedded::check_request(&caller, &route.report, &route.route, path, query)?;
    Ok(Entrant { server, route, caller, reach, languages: languages(headers) })
}

/// All that the header says; what is no text says nothing.
pub(super) fn languages(headers: &HeaderMap) -> Option<String> {
    let given = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
    let given: Vec<&str> = given.collect();
    (!given.is_empty()).then(|| given.join(","))
}

impl<'r> Entrant<'r> {
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The caller's plan, where the report comes by it: 402 where it lacks the feature that is required.
    pub(super) async fn plan(&self) -> Result<Option<&'r Plan>, Problem> {
        let ReportRoute { app, report, .. } = self.route;
        let named = report.caller_values.iter().any(|name| name != SUBJECT);
        let Some(plans) = app.pack.plans.as_ref().filter(|_| named || report.requires.is_some()) else {
            return Ok(None);
        };
        let name = match &app.pack.access.plan {
            None => self.caller.plan().map(str::to_owned),
            Some(statement) => {
                let snapshot = self.server.store()?.snapshot(app.name())?;
                decide(self.server, app, &self.caller, &snapshot, statement).await?
            }
        };
        let plan = plans.of(name.as_deref());
        match &report.requires {
            Some(feature) if !plan.has(feature) => {
                Err(Problem::new(Code::PlanRequired, plans.upgrade(feature, plan)))
            }
            Some(_) | None => Ok(Some(plan)),
        }
    }

    /// What the request gives the report: 422.
    pub(super) fn arguments(
        &self,
        plan: Option<&Plan>,
        path: &[Pair],
        query: &[Pair],
        now: Instant,
    ) -> Result<Arguments, ParamError> {
        let ReportRoute { app, report, route } = self.route;
        let languages = self.languages.as_deref();
        let asker = Asker { subject: self.caller.subject(), plan, languages };
        let query = embedded::with_fixed(&self.caller, query);
        Arguments::read(&app.pack, report, route, asker, path, &query, now)
    }

    /// The rows that are answered about, as they are now, and how much of them the caller sees: 404
    /// where the tenant is none.
    pub(super) async fn rows(&self, arguments: &Arguments) -> Result<(Scope, Snapshot), Problem> {
        let (server, app) = (self.server, &self.route.app);
        let scope = match &self.reach {
            Reach::Scope(scope) => scope.clone(),
            Reach::Named { param } => {
                let tenant = arguments.get(param).and_then(Value::canonical_text);
                self.caller.named_scope(TenantId::new(&tenant.ok_or_else(unknown_tenant)?))?
            }
            Reach::Found => return self.found_rows().await,
        };
        let snapshot = snapshot(server, app, &scope).await?;
        Ok((scope, snapshot))
    }

    async fn found_rows(&self) -> Result<(Scope, Snapshot), Problem> {
        let app = &self.route.app;
        let Found::Tenant(tenant) = tenant_found(self.server, app, &self.caller).await? else {
            return Err(match &app.pack.access.unknown {
                Some(text) => Problem::new(Code::TenantUnknown, text),
                None => unknown_tenant(),
            });
        };
        let snapshot = self.server.store()?.snapshot(app.name())?;
        Ok((self.caller.found_scope(tenant), snapshot))
    }
}

/// Whose a caller is by the pack's own statement.
pub(super) enum Found {
    /// The pack has none.
    NotLookedFor,
    Nobody,
    Tenant(TenantId),
}

/// The tenant that the pack's statement finds for a caller.
pub(super) async fn tenant_found(server: &Server, app: &App, caller: &Caller) -> Result<Found, Problem> {
    let Some(statement) = &app.pack.access.tenant else {
        return Ok(Found::NotLookedFor);
    };
    let snapshot = server.store()?.snapshot(app.name())?;
    let tenant = decide(server, app, caller, &snapshot, statement).await?;
    let tenant = tenant.filter(|tenant| !tenant.is_empty());
    Ok(tenant.map_or(Found::Nobody, |tenant| Found::Tenant(TenantId::new(&tenant))))
}

/// The first cell of a statement by which the pack decides who the caller is: over the rows of all
/// tenants, as they are now.
async fn decide(
    server: &Server,
    app: &App,
    caller: &Caller,
    snapshot: &Snapshot,
    statement: &Arc<str>,
) -> Result<Option<String>, Problem> {
    let (now, tables, scope) = (server.now(), &app.pack.access.tables, caller.deciding_scope());
    let subject: Option<Arc<str>> = caller.subject().map(Arc::from);
    let asked =
        Asked::Cell { app: app.name().clone(), statement: Arc::clone(statement), subject: subject.clone() };
    let versions = Versions::of(snapshot, &scope, tables)?;
    if let Some(cell) = server.decisions.kept(&asked, &versions, now).await {
        return Ok(cell);
    }
    let mut params = vec![(SUBJECT.to_owned(), subject.map_or(Value::Null, Value::Text))];
    params.extend(app.pack.constants.iter().cloned());
    let calendar = &app.pack.schema.calendar;
    let request = SqlRequest {
        statement: Arc::clone(statement),
        params,
        unused_params: UnusedParameters::PassedOver,
        relations: Vec::new(),
        as_of: now,
        calendar: calendar.clone(),
        limits: server.settings.sql_limits,
    };
    let rows = server.sql.run(snapshot, &scope, request).await?;
    let cell = first_cell(&rows)?;
    let (rows_now, tables) = (snapshot.clone(), tables.clone());
    let next = tokio::task::spawn_blocking(move || next_row(&rows_now, &scope, &tables, now));
    let next = next.await.map_err(|error| Problem::hidden(Code::Internal, error))??;
    let day = calendar.next_boundary(Unit::Day, now);
    let lifetime = Lifetime::new(now, DECIDED_FOR).until(Some(day)).until(rows.changes_at).until(next);
    server.decisions.keep(asked, cell.clone(), lifetime, versions).await;
    Ok(cell)
}

fn first_cell(rows: &SqlRows) -> Result<Option<String>, Problem> {
    let first = rows_to_json(rows)?.into_iter().next();
    let cell = first.and_then(|row| row.into_iter().next()).map(|(_, cell)| cell).unwrap_or_default();
    Ok(match cell {
        Json::String(text) => Some(text),
        Json::Null => None,
        other @ (Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
            Some(Written(&other).to_string())
        }
    })
}

/// Who calls a path that belongs to one app: 401.
pub(super) fn sign_in_to(server: &Server, headers: &HeaderMap, app: &App) -> Result<Caller, Problem> {
    identify(server, headers)?.into_caller_of(app.name())?.past_parts()
}

/// As [`sign_in_to`], of a path that is open to write keys.
pub(super) fn sign_in_to_capture_of(
    server: &Server,
    headers: &HeaderMap,
    app: &App,
) -> Result<Caller, Problem> {
    identify(server, headers)?.into_caller_of(app.name())?.allowed_to_capture()
}

/// As [`sign_in_to`], of a path of a report, which is open to tokens that are bound to it.
pub(super) fn sign_in_to_report(
    server: &Server,
    headers: &HeaderMap,
    route: &ReportRoute,
) -> Result<Caller, Problem> {
    let caller = identify(server, headers)?.into_caller_of(route.app.name())?;
    let caller = caller.allowed_to_read(&route.report.name)?;
    embedded::check_origin(&caller, headers)?;
    Ok(caller)
}

fn identify(server: &Server, headers: &HeaderMap) -> Result<Verified, Problem> {
    sign_in::identify(headers, &server.keys, &server.write_keys, server.now(), &server.settings.token)
}

/// Who calls a path that belongs to every app: 401. `app` of the query decides between several.
pub(super) fn sign_in(server: &Server, headers: &HeaderMap, uri: &Uri) -> Result<Caller, Problem> {
    anybody(server, headers, uri)?.past_parts()
}

/// As [`sign_in`], of a path that is open to write keys.
pub(super) fn sign_in_to_capture(server: &Server, headers: &HeaderMap, uri: &Uri) -> Result<Caller, Problem> {
    anybody(server, headers, uri)?.allowed_to_capture()
}

/// As [`sign_in`], of a path that answers with a report, and is open to tokens that are bound to it.
pub(super) fn sign_in_to_read(
    server: &Server,
    headers: &HeaderMap,
    uri: &Uri,
    report: &str,
) -> Result<Caller, Problem> {
    let caller = anybody(server, headers, uri)?.allowed_to_read(report)?;
    embedded::check_origin(&caller, headers)?;
    Ok(caller)
}

/// As [`sign_in`], of a path that is for tokens that are bound to a report: 403 for others.
pub(super) fn sign_in_bound(
    server: &Server,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(Caller, Embed), Problem> {
    let caller = anybody(server, headers, uri)?;
    let embed = caller.embed().cloned().ok_or_else(embedded::unbound)?;
    embedded::check_origin(&caller, headers)?;
    Ok((caller, embed))
}

/// As [`sign_in`], of a path that is for admins: 403.
pub(super) fn admin(server: &Server, headers: &HeaderMap, uri: &Uri) -> Result<Caller, Problem> {
    let caller = sign_in(server, headers, uri)?;
    caller.require_role(&[ADMIN])?;
    Ok(caller)
}

fn anybody(server: &Server, headers: &HeaderMap, uri: &Uri) -> Result<Caller, Problem> {
    let verified = identify(server, headers)?;
    let pairs = query_pairs(uri)?;
    let apps = server.apps.iter().map(|app| app.name());
    verified.into_caller_among(apps, last(&pairs, "app"))
}

/// Whether the route lets the caller in: 403.
fn require_role(caller: &Caller, route: &Route, path: &[Pair]) -> Result<(), Problem> {
    let Some(own) = &route.own else {
        return caller.require_role(&route.roles);
    };
    let given = path.iter().find(|(name, _)| name == own).map(|(_, given)| given);
    let param = route.params.iter().find(|param| param.name == *own);
    if let (Some(given), Some(param)) = (given, param)
        && caller.is_subject(given, param.column_type)
    {
        return Ok(());
    }
    if route.roles.is_empty() {
        return Err(Problem::new(
            Code::Forbidden,
            format!("This is for the {own} alone whom the path names."),
        ));
    }
    caller.require_role(&route.roles)
}

/// Whether the caller may ask for something by this route, whatever its path's parameters are.
pub(super) fn is_open(caller: &Caller, route: &Route) -> bool {
    let for_own = route.own.is_some() && caller.subject().is_some();
    (for_own || require_role(caller, route, &[]).is_ok()) && reach(caller, route).is_ok()
}

/// Whose rows the route is about: 403 where the token does not say.
fn reach(caller: &Caller, route: &Route) -> Result<Reach, Problem> {
    match &route.tenant {
        RouteTenant::Token => caller.tenant_scope().map(Reach::Scope),
        RouteTenant::TokenOrAll => caller.widest_scope().map(Reach::Scope),
        RouteTenant::TokenOr(default) => Ok(Reach::Scope(caller.tenant_scope_or(default))),
        RouteTenant::AllForAdmin => caller.all_for_admin_scope().map(Reach::Scope),
        RouteTenant::Param(param) => Ok(Reach::Named { param: param.clone() }),
        RouteTenant::Access => Ok(Reach::Found),
    }
}

/// The rows of the app as they are now: 404 where the scope's tenant is none of them.
pub(super) async fn snapshot(server: &Server, app: &Arc<App>, scope: &Scope) -> Result<Snapshot, Problem> {
    let snapshot = server.store()?.snapshot(app.name())?;
    let (Some(table), Tenants::One(tenant)) = (&app.pack.tenant_table, scope.tenants()) else {
        return Ok(snapshot);
    };
    let versions = Versions::of(&snapshot, scope, std::slice::from_ref(table))?;
    let asked = Asked::Tenant { app: app.name().clone(), tenant: tenant.clone() };
    if server.decisions.kept(&asked, &versions, server.now()).await.is_some() {
        return Ok(snapshot);
    }
    let (rows, of_app, of_scope) = (snapshot.clone(), app.clone(), scope.clone());
    let reading = tokio::task::spawn_blocking(move || is_known(&of_app.pack, &rows, &of_scope));
    if !reading.await.map_err(|error| Problem::hidden(Code::Internal, error))?? {
        return Err(unknown_tenant());
    }
    server.decisions.keep(asked, None, Lifetime::unbounded(), versions).await;
    Ok(snapshot)
}

/// Whether the scope's tenant has a row of its own, where the pack has a table of tenants.
fn is_known(pack: &Pack, snapshot: &Snapshot, scope: &Scope) -> Result<bool, StoreError> {
    let (Some(table), Tenants::One(_)) = (&pack.tenant_table, scope.tenants()) else {
        return Ok(true);
    };
    for part in snapshot.table(scope, table)?.parts() {
        for batch in part.scan(&[ColumnRef::Tenant])? {
            if batch?.num_rows() > 0 {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A path's parameters, decoded.
pub(super) fn path_pairs(path: PathParams) -> Result<Pairs, Problem> {
    let broken = |_| Problem::new(Code::ParameterInvalid, "The path is not UTF-8 once it is decoded.");
    let path = path.map_err(broken)?;
    Ok(path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

pub(super) fn query_pairs(uri: &Uri) -> Result<Pairs, Problem> {
    let parsed = Query::<Pairs>::try_from_uri(uri);
    let Query(pairs) = parsed.map_err(|_| {
        Problem::new(Code::ParameterInvalid, "The query string is not one of names and values.")
    })?;
    Ok(pairs)
}

/// Of a parameter that is given several times the last counts.
pub(super) fn last<'p>(pairs: &'p [Pair], name: &str) -> Option<&'p str> {
    pairs.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}
