//! The checks before an answer, in the order that clients rely on: token (401), role and tenant (403),
//! plan (402), parameters (422), existence (404).

use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{Query, RawPathParams};
use axum::http::{HeaderMap, Uri};
use ebbtide_model::pack::{Pack, Route, RouteTenant};
use ebbtide_model::{Scope, TenantId, Tenants, Value};
use ebbtide_store::{ColumnRef, Snapshot, StoreError};

use crate::problem::{Code, Problem};
use crate::report::Arguments;
use crate::server::{App, Server};
use crate::sign_in::{self, Caller, unknown_tenant};

pub(super) type PathParams = Result<RawPathParams, RawPathParamsRejection>;

/// Names and values of a query string, in order, decoded.
pub(super) type Pairs = Vec<(String, String)>;

/// Whose rows a report answers about, as far as that is known before its parameters are read.
pub(super) enum Reach {
    Scope(Scope),
    /// The tenant that this parameter of the path names.
    Named {
        param: String,
    },
}

/// Who calls a path that belongs to one app: 401.
pub(super) fn sign_in_to(server: &Server, headers: &HeaderMap, app: &App) -> Result<Caller, Problem> {
    let verified = sign_in::verify(headers, &server.keys, server.now(), &server.settings.token)?;
    verified.into_caller_of(app.name())
}

/// Who calls a path that belongs to every app: 401. `app` of the query decides between several.
pub(super) fn sign_in(server: &Server, headers: &HeaderMap, uri: &Uri) -> Result<Caller, Problem> {
    let verified = sign_in::verify(headers, &server.keys, server.now(), &server.settings.token)?;
    let pairs = query_pairs(uri)?;
    let apps = server.apps.iter().map(|app| app.name());
    verified.into_caller_among(apps, last(&pairs, "app"))
}

/// Whether the route's rules let the caller in: 403.
pub(super) fn reach(caller: &Caller, route: &Route) -> Result<Reach, Problem> {
    caller.require_role(&route.roles)?;
    match &route.tenant {
        RouteTenant::Token => caller.tenant_scope().map(Reach::Scope),
        RouteTenant::TokenOrAll => caller.widest_scope().map(Reach::Scope),
        RouteTenant::Param(param) => Ok(Reach::Named { param: param.clone() }),
    }
}

impl Reach {
    /// The rows that are answered about: 404 where they are another tenant's.
    pub(super) fn scope(self, caller: &Caller, arguments: &Arguments) -> Result<Scope, Problem> {
        let param = match self {
            Self::Scope(scope) => return Ok(scope),
            Self::Named { param } => param,
        };
        let tenant = arguments.get(&param).and_then(Value::canonical_text);
        caller.named_scope(TenantId::new(&tenant.ok_or_else(unknown_tenant)?))
    }
}

/// The rows of the app as they are now: 404 where the scope's tenant is none of them.
pub(super) async fn snapshot(server: &Server, app: &Arc<App>, scope: &Scope) -> Result<Snapshot, Problem> {
    let (store, app, scope) = (server.store()?.clone(), app.clone(), scope.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let snapshot = store.snapshot(app.name())?;
        let known = is_known(&app.pack, &snapshot, &scope)?;
        Ok::<_, StoreError>((snapshot, known))
    });
    let (snapshot, known) = reading.await.map_err(|error| Problem::hidden(Code::Internal, error))??;
    if known { Ok(snapshot) } else { Err(unknown_tenant()) }
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
pub(super) fn last<'p>(pairs: &'p Pairs, name: &str) -> Option<&'p str> {
    pairs.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}
