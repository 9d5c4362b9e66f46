//! Operations of packs' reports.

use ebbtide_engine::sql::Sql;
use ebbtide_model::ColumnType;
use ebbtide_model::pack::{Caching, Param, Report, Route, RouteTenant, WHOLE};
use serde_json::{Value as Json, json};

use super::operation::{Access, Answer, KEPT_HEADERS, Operation, SIGN_IN_CODES, WORK_CODES};
use super::schemas::of_param;
use super::shapes::of_answer;
use crate::problem::Code;
use crate::report::export::ExportFormat;
use crate::routes::ReportRoute;

/// `number` tells the routes of one report apart, from 1.
pub(super) fn operation(way: &ReportRoute, number: usize, sql: &Sql) -> Operation {
    let ReportRoute { app, report, route } = way;
    let suffix = if number == 1 { String::new() } else { format!("_{number}") };
    let id = format!("{}_{}{suffix}", app.name().as_str().replace('-', "_"), report.name);
    Operation {
        id,
        tag: app.name().as_str().to_owned(),
        summary: summary(report),
        description: description(way),
        access: access(route),
        parameters: parameters(report, route),
        body: None,
        answers: answers(report, of_answer(&app.pack, report, sql)),
        codes: codes(way),
    }
}

/// The description's first sentence, or the report's name.
fn summary(report: &Report) -> String {
    let first = report.description.as_deref().and_then(|text| text.split(". ").next());
    first.map_or_else(|| report.name.clone(), |text| text.trim_end_matches('.').to_owned())
}

fn description(way: &ReportRoute) -> String {
    let ReportRoute { app, report, route } = way;
    let mut told: Vec<String> = report.description.iter().cloned().collect();
    told.push(match &route.tenant {
        RouteTenant::Token => "Answers about the token's tenant.".to_owned(),
        RouteTenant::TokenOrAll => {
            "Answers about the token's tenant; for an `admin` without one about all.".to_owned()
        }
        RouteTenant::TokenOr(tenant) => {
            format!("Answers about the token's tenant, or {:?} where it names none.", tenant.as_str())
        }
        RouteTenant::AllForAdmin => {
            "Answers an `admin` about all tenants, others about their own.".to_owned()
        }
        RouteTenant::Param(name) => format!("Answers about the tenant {{{name}}}."),
        RouteTenant::Access => {
            "Answers about the tenant that is the caller's by the app's tables.".to_owned()
        }
    });
    if let Some(own) = &route.own {
        told.push(format!("Whoever's `sub` is {{{own}}} may ask, besides the roles."));
    }
    if let Some(feature) = &report.requires {
        told.push(format!("The caller's plan must have {feature}."));
    }
    let tables: Vec<&str> = report.tables.iter().map(|table| table.as_str()).collect();
    if !tables.is_empty() {
        told.push(format!("App: {}. Tables: {}.", app.name(), tables.join(", ")));
    }
    told.join(" ")
}

fn access(route: &Route) -> Access {
    match route.roles.as_slice() {
        [] => Access::SignedIn,
        roles => Access::Roles(roles.to_vec()),
    }
}

fn parameters(report: &Report, route: &Route) -> Vec<Json> {
    let mut parameters = own_parameters(report, route);
    parameters.push(json!({"$ref": "#/components/parameters/as_of"}));
    parameters.push(json!({"$ref": "#/components/parameters/format"}));
    if report.lists.len() > 1 {
        parameters.push(json!({
            "name": "table", "in": "query", "required": false,
            "description": "Which list a file holds. A spreadsheet without it holds each on a sheet of its own; the other formats need it.",
            "schema": {"type": "string", "enum": report.lists}, "example": report.lists.first(),
        }));
    }
    parameters.push(json!({"$ref": "#/components/parameters/refresh"}));
    parameters
}

/// Those that the report declares, and those of the path.
pub(super) fn own_parameters(report: &Report, route: &Route) -> Vec<Json> {
    let mut parameters: Vec<Json> = route.params.iter().map(|param| parameter(param, "path", true)).collect();
    let is_elsewhere = |param: &Param| {
        route.params.iter().any(|of_path| of_path.name == param.name)
            || route.set.iter().any(|(name, _)| *name == param.name)
    };
    let of_query = report.params.iter().filter(|param| !is_elsewhere(param));
    parameters.extend(of_query.map(|param| parameter(param, "query", param.default.is_none())));
    parameters
}

fn parameter(param: &Param, place: &str, required: bool) -> Json {
    let mut told: Vec<String> = param.description.iter().cloned().collect();
    // Of numbers and choices the schema tells.
    let is_untold =
        matches!(param.column_type, ColumnType::Timestamp | ColumnType::Date | ColumnType::Decimal);
    if is_untold {
        told.push(format!("Allowed is {}.", param.allowed()));
    }
    if let Some(key_of) = &param.key_of {
        told.push(format!("A key of {}; 404 where there is none.", key_of.table));
    }
    json!({
        "name": param.name, "in": place, "required": required,
        "description": told.join(" "), "schema": of_param(param), "example": param.sample().to_json(),
    })
}

fn answers(report: &Report, schema: Json) -> Vec<Answer> {
    let file = json!({"type": "string", "format": "binary"});
    let mut content = vec![("application/json", schema)];
    content.extend(ExportFormat::ALL.into_iter().map(|format| {
        let schema = match format {
            ExportFormat::Csv | ExportFormat::Ndjson => json!({"type": "string"}),
            ExportFormat::Xlsx | ExportFormat::Parquet => file.clone(),
        };
        (format.bare_media_type(), schema)
    }));
    let lists: Vec<&str> =
        report.lists.iter().map(|list| if list == WHOLE { "the answer" } else { list }).collect();
    let told = match lists.as_slice() {
        [] => "A file is one row: the answer's plain values under their dotted paths.".to_owned(),
        lists => format!("A file holds: {}.", lists.join(", ")),
    };
    let answer = Answer {
        status: 200,
        description: format!("The report. {told}"),
        content,
        headers: vec![
            ("ETag", "Of a JSON answer: give it as `If-None-Match` for a 304 while it holds."),
            KEPT_HEADERS[0],
            KEPT_HEADERS[1],
            ("Server-Timing", "What took how long, in milliseconds."),
            ("Content-Disposition", "Of a file: its name."),
        ],
    };
    let known = Answer {
        status: 304,
        description: "The answer is the one of `If-None-Match`.".to_owned(),
        content: Vec::new(),
        headers: Vec::new(),
    };
    vec![answer, known]
}

fn codes(way: &ReportRoute) -> Vec<Code> {
    let ReportRoute { app, report, route } = way;
    let mut codes = SIGN_IN_CODES.to_vec();
    if report.requires.is_some() {
        codes.push(Code::PlanRequired);
    }
    // A refresh is for admins, whatever the report's own roles are.
    if !route.roles.is_empty() || report.cache != Caching::Off {
        codes.push(Code::RoleForbidden);
    }
    match route.tenant {
        RouteTenant::Token | RouteTenant::TokenOrAll | RouteTenant::AllForAdmin => {
            codes.push(Code::TenantRequired)
        }
        RouteTenant::Param(_) | RouteTenant::TokenOr(_) | RouteTenant::Access => {}
    }
    if route.own.is_some() && route.roles.is_empty() {
        codes.push(Code::Forbidden);
    }
    let may_be_unknown = matches!(route.tenant, RouteTenant::Param(_) | RouteTenant::Access);
    if app.pack.tenant_table.is_some() || may_be_unknown {
        codes.push(Code::TenantUnknown);
    }
    if report.params.iter().any(|param| param.key_of.is_some()) {
        codes.push(Code::NotFound);
    }
    codes.extend([Code::ParameterInvalid, Code::TooLarge, Code::ReportUnanswerable]);
    codes.extend(WORK_CODES);
    codes
}
