//! `ebbtide report`: a pack's report by its name, over a data folder or asked of a running server.

use std::time::Duration;

use clap::{Args, ValueEnum};
use ebbtide_engine::sql::{Limits, Sql, SqlSettings};
use ebbtide_model::pack::{AS_OF, Pack, ParamError, Report as Declared, Route, RouteTenant};
use ebbtide_model::{Scope, nearest};
use ebbtide_server::report::{Answer, Arguments, Asker, Engines, choose_list, evaluate, to_csv, to_ndjson};

use crate::data::{open_existing_store, operator_scope, store_failure};
use crate::failure::{Failure, print};
use crate::query::Asked;
use crate::{Outcome, clock};

/// What a statement of a report may use here: the operator waits, so there is more of it than over HTTP.
const LIMITS: Limits =
    Limits { rows_max: 10_000_000, bytes_max: 1 << 30, time_max: Duration::from_secs(600) };

/// Print a report of the app's pack.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ebbtide report --data ./data --app loyalty --tenant 1 cohorts --param months_back=12\n  \
    ebbtide report --data ./data --app loyalty churn --param merchant_id=1 --as-of 2026-06-30\n  \
    ebbtide report --data ./data --app loyalty --tenant 1 revenue --format csv --table by_store")]
pub(crate) struct Report {
    #[command(flatten)]
    of: Asked,
    /// The report's name; `ebbtide check PACK` lists them.
    #[arg(value_name = "NAME")]
    name: String,
    /// A parameter of the report or of its path.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// Answer as if it were then: an RFC 3339 instant, or a date, which means its end.
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
    /// Whose `sub` it is, for reports about their caller.
    #[arg(long, value_name = "ID")]
    sub: Option<String>,
    /// The plan, for reports that tell of it; the operator may ask whatever it has.
    #[arg(long, value_name = "PLAN")]
    plan: Option<String>,
    /// Which list, for csv and ndjson of a report with several.
    #[arg(long, value_name = "LIST")]
    table: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Csv,
    Ndjson,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a parameter is given as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Report {
    pub(crate) fn run(mut self) -> Result<Outcome, Failure> {
        if self.of.server.is_some() {
            return Err(Failure::usage("a server's reports are asked for by their paths").hint(
                "curl -H \"Authorization: Bearer $TOKEN\" URL/PATH; ebbtide check PACK lists the paths",
            ));
        }
        self.params.extend(self.as_of.take().map(|as_of| (AS_OF.to_owned(), as_of)));
        let (data, app) = self.of.folder()?;
        let pack = app.load()?;
        let report = find(&pack, &self.name)?;
        let list = match self.format {
            Format::Json => None,
            Format::Csv | Format::Ndjson => {
                let list = choose_list(report, self.format.name(), self.table.as_deref());
                Some(list.map_err(refused)?.to_owned())
            }
        };
        let route = self.route(report)?;
        let plan = pack.plans.as_ref().map(|plans| plans.of(self.plan.as_deref()));
        let asker = Asker { subject: self.sub.as_deref(), plan };
        let arguments =
            Arguments::read(&pack, report, &route, asker, &self.params, &self.params, clock::now());
        let arguments = arguments.map_err(refused)?;
        let scope = self.scope(&pack, &route, &arguments)?;
        let store = open_existing_store(data, vec![pack.schema.clone()])?;
        let snapshot = store.snapshot(&pack.schema.app).map_err(store_failure)?;
        let sql = Sql::new(&SqlSettings::default()).map_err(Failure::new)?;
        let engines = Engines { sql: &sql, limits: LIMITS, query_time_max: LIMITS.time_max };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(Failure::new)?;
        let answer = runtime.block_on(evaluate(&pack, report, &arguments, &engines, &snapshot, &scope));
        print(&self.encoded(&answer.map_err(Failure::new)?, list.as_deref())?)?;
        Ok(Outcome::Done)
    }

    /// The way to the report: one whose path's parameters were given, else one without any.
    fn route(&self, report: &Declared) -> Result<Route, Failure> {
        let given = |route: &&Route| {
            route.params.iter().all(|param| self.params.iter().any(|(name, _)| *name == param.name))
        };
        let mut routes: Vec<&Route> = report.routes.iter().filter(given).collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.params.len()));
        match routes.first() {
            Some(route) => Ok((*route).clone()),
            None => {
                let wanted: Vec<String> = report
                    .routes
                    .iter()
                    .flat_map(|route| &route.params)
                    .map(|param| format!("--param {}=…", param.name))
                    .collect();
                Err(Failure::usage(format_args!("report {} needs {}", report.name, wanted.join(" or "))))
            }
        }
    }

    fn scope(&self, pack: &Pack, route: &Route, arguments: &Arguments) -> Result<Scope, Failure> {
        let app = &pack.schema.app;
        let named = match &route.tenant {
            RouteTenant::Param(name) => arguments.get(name).and_then(|value| value.canonical_text()),
            RouteTenant::TokenOr(default) => {
                Some(self.of.tenant.clone().unwrap_or_else(|| default.as_str().to_owned()))
            }
            RouteTenant::Token | RouteTenant::TokenOrAll | RouteTenant::AllForAdmin | RouteTenant::Access => {
                None
            }
        };
        match (named.as_deref().or(self.of.tenant.as_deref()), &route.tenant) {
            (Some(tenant), _) => Ok(operator_scope(app, Some(tenant))),
            (None, RouteTenant::TokenOrAll | RouteTenant::AllForAdmin) => Ok(operator_scope(app, None)),
            (
                None,
                RouteTenant::Token | RouteTenant::Param(_) | RouteTenant::TokenOr(_) | RouteTenant::Access,
            ) => Err(Failure::usage(format_args!("report {} answers about one tenant", self.name))
                .hint("name it with --tenant")),
        }
    }

    fn encoded(&self, answer: &Answer, list: Option<&str>) -> Result<String, Failure> {
        let Some(list) = answer.lists.iter().find(|known| Some(known.path.as_str()) == list) else {
            return Ok(format!("{:#}\n", answer.body));
        };
        let bytes = match self.format {
            Format::Csv => to_csv(&list.columns, answer.rows(list)).map_err(Failure::new)?,
            Format::Ndjson | Format::Json => to_ndjson(answer.rows(list)),
        };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn refused(error: ParamError) -> Failure {
    Failure::usage(error)
}

fn find<'p>(pack: &'p Pack, name: &str) -> Result<&'p Declared, Failure> {
    let names: Vec<&str> = pack.reports.iter().map(|report| report.name.as_str()).collect();
    pack.reports.iter().find(|report| report.name == name).ok_or_else(|| {
        let meant = nearest(name, names.iter().copied());
        let meant = meant.map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default();
        let listed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Failure::new(format_args!("{} has no report {name:?}{meant}; it has {listed}", pack.schema.app))
    })
}
