//! `POST /v1/tokens`: tokens that an app's admins have made, of no more rights than they have themselves. Nothing of
//! one is kept: who loses it waits for its end.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use ebbtide_model::pack::{AS_OF, Param, Report, Route};
use ebbtide_model::{Fault, nearest};
use serde_json::{Value as JsonValue, json};

use super::access::{self, Found};
use super::body::read_body;
use super::embedded;
use crate::problem::{Code, Problem, shortened};
use crate::server::{App, Server};
use crate::sign_in::{Caller, Embed, Minted, Wanted};

pub(super) async fn mint(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<(StatusCode, Json<JsonValue>), Problem> {
    let admin = access::admin(&server, request.headers(), request.uri())?.allowed_to_mint()?;
    let settings = &server.settings;
    let body = read_body(request, settings.question_bytes_max, settings, &server.bodies).await?;
    let wanted = Wanted::read(&body.json()?).map_err(invalid)?;
    let app = server.app_of(&admin)?.clone();
    let minted = wanted.granted_by(&admin, settings.token.issuers.first(), server.now())?;
    check_tenant_found(&server, &app, &admin, &minted.bearer).await?;
    if let Some(embed) = minted.bearer.embed() {
        check_embed(&app, &minted.bearer, embed)?;
    }
    let key = server.signer.as_ref().ok_or_else(|| {
        Problem::new(
            Code::MintingUnavailable,
            "This server has no secret of its own that it could sign with.",
        )
    })?;
    let token = key.sign(&minted.claims).map_err(|error| Problem::hidden(Code::Internal, error))?;
    tell(&app, &minted);
    let answer = json!({"token": token, "expires_at": minted.expires.to_string(), "claims": minted.claims});
    Ok((StatusCode::CREATED, Json(answer)))
}

/// That it was made and how far it reaches; neither the token nor whose it is.
fn tell(app: &App, minted: &Minted) {
    tracing::info!(
        target: "ebbtide::sign_in",
        app = app.name().as_str(),
        report = minted.bearer.embed().map(|embed| embed.report.as_str()),
        expires = %minted.expires,
        "a token was minted"
    );
}

fn invalid(fault: Fault) -> Problem {
    Problem::new(Code::BodyInvalid, fault.to_string())
}

/// Where the pack finds a user's tenant in a table, an admin of a tenant names users of that one alone.
async fn check_tenant_found(
    server: &Server,
    app: &App,
    admin: &Caller,
    bearer: &Caller,
) -> Result<(), Problem> {
    let (Some(own), Some(_)) = (admin.tenant(), bearer.subject()) else {
        return Ok(());
    };
    if bearer.subject() == admin.subject() {
        return Ok(());
    }
    match access::tenant_found(server, app, bearer).await? {
        Found::NotLookedFor => Ok(()),
        Found::Tenant(tenant) if tenant == *own => Ok(()),
        Found::Tenant(_) | Found::Nobody => {
            Err(Problem::new(Code::Forbidden, "The user that `sub` names is none of your tenant's."))
        }
    }
}

/// Whether the token will open what it is for: the report, its parameters and their values, a route for its bearer.
fn check_embed(app: &App, bearer: &Caller, embed: &Embed) -> Result<(), Problem> {
    let fault = |path: &str, problem: String| invalid(Fault { path: format!("embed.{path}"), problem });
    let reports = &app.pack.reports;
    let Some(report) = reports.iter().find(|report| report.name == embed.report) else {
        let meant = nearest(&embed.report, reports.iter().map(|report| report.name.as_str()));
        let hint = meant.map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default();
        let given = shortened(&embed.report);
        return Err(fault("report", format!("{given:?} is no report of the app {}{hint}", app.name())));
    };
    let open: Vec<&Route> = report.routes.iter().filter(|route| access::is_open(bearer, route)).collect();
    if open.is_empty() {
        let problem = format!("{:?} is not open to the token's role and tenant", report.name);
        return Err(fault("report", problem));
    }
    for (name, text) in &embed.params {
        check_param(app, report, &open, name, text)
            .map_err(|problem| fault(&format!("params.{name}"), problem))?;
    }
    match open.iter().map(|route| embedded::check_route(bearer, embed, report, route)).find(Result::is_ok) {
        Some(_) => Ok(()),
        None => {
            let problem = "fix no set of parameters of one path of the report; where a path names the tenant and the token does not, that is to be fixed";
            Err(fault("params", problem.to_owned()))
        }
    }
}

fn check_param(app: &App, report: &Report, open: &[&Route], name: &str, text: &str) -> Result<(), String> {
    if name == AS_OF {
        let zone = app.pack.schema.calendar.zone();
        let read = ebbtide_model::Instant::parse_as_of(text, zone);
        return read.map(|_| ()).map_err(|_| {
            let allowed = ebbtide_model::Instant::OR_DATE_ALLOWED;
            format!("{:?} is no instant and no date; allowed is {allowed}", shortened(text))
        });
    }
    let of_paths = open.iter().flat_map(|route| &route.params);
    let params: Vec<&Param> = of_paths.chain(&report.params).collect();
    match params.iter().find(|param| param.name == name) {
        Some(param) => param.read(text).map(|_| ()).map_err(|error| error.to_string()),
        None => {
            let meant = nearest(name, params.iter().map(|param| param.name.as_str()));
            let hint = meant.map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default();
            Err(format!("is no parameter of the report {}{hint}", report.name))
        }
    }
}
