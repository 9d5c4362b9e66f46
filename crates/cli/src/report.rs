//! `ebbtide report`: a pack's report by its name, over a data folder or asked of a running server.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ebbtide_engine::Standing;
use ebbtide_engine::sql::{Limits, Sql, SqlSettings};
use ebbtide_model::pack::{AS_OF, Pack, ParamError, Report as Declared, Route, RouteTenant};
use ebbtide_model::{Scope, Written, nearest};
use ebbtide_server::Turns;
use ebbtide_server::report::export::{Export, ExportError, ExportFormat, Reading};
use ebbtide_server::report::{Arguments, Asker, Engines, Evaluation, ReportError, Settling, choose_lists};

use crate::data::{open_existing_store, operator_scope, store_failure, warn_without_rows};
use crate::failure::Failure;
use crate::query::Asked;
use crate::{Outcome, clock};

/// What a statement of a report may use here: the operator waits, so there is more of it than over HTTP.
const LIMITS: Limits =
    Limits { rows_max: usize::MAX, bytes_max: 1 << 30, time_max: Duration::from_secs(3_600) };
/// Behavioural questions of it that are worked on at one time.
const QUESTIONS_MAX: usize = 2;

/// Print a report of the app's pack.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ebbtide report --data ./data --app loyalty --tenant 1 cohorts --param months_back=12\n  \
    ebbtide report --data ./data --app loyalty churn --param merchant_id=1 --as-of 2026-06-30\n  \
    ebbtide report --data ./data --app loyalty --tenant 1 revenue --format csv --table by_store\n  \
    ebbtide report --data ./data --app loyalty --tenant 1 revenue --format xlsx --output revenue.xlsx")]
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
    /// Which list, of a report with several; xlsx holds them all without it.
    #[arg(long, value_name = "LIST")]
    table: Option<String>,
    /// Where to write; without it to standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Csv,
    Xlsx,
    Ndjson,
    Parquet,
}

impl Format {
    /// `None` for JSON, which is the answer itself.
    fn file(self) -> Option<ExportFormat> {
        match self {
            Self::Json => None,
            Self::Csv => Some(ExportFormat::Csv),
            Self::Xlsx => Some(ExportFormat::Xlsx),
            Self::Ndjson => Some(ExportFormat::Ndjson),
            Self::Parquet => Some(ExportFormat::Parquet),
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
        let lists = self.lists(report)?;
        let route = self.route(report)?;
        let plan = pack.plans.as_ref().map(|plans| plans.of(self.plan.as_deref()));
        let asker = Asker { subject: self.sub.as_deref(), plan, languages: None };
        let arguments =
            Arguments::read(&pack, report, &route, asker, &self.params, &self.params, clock::now());
        let arguments = arguments.map_err(refused)?;
        let scope = self.scope(&pack, &route, &arguments)?;
        let store = open_existing_store(data, vec![pack.schema.clone()])?;
        let snapshot = store.snapshot(&pack.schema.app).map_err(store_failure)?;
        warn_without_rows(&snapshot, &scope);
        let sql = Arc::new(Sql::new(&SqlSettings::default()).map_err(Failure::new)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(Failure::new)?;
        let turns = Turns::new(QUESTIONS_MAX, LIMITS.time_max, LIMITS.time_max);
        // It is asked once, and nothing is kept.
        let standing = Arc::new(Standing::new(0));
        let engines = Engines { sql: &sql, limits: LIMITS, turns: &turns, standing: &standing };
        let of = Evaluation {
            pack: &pack,
            report,
            arguments: &arguments,
            engines: &engines,
            snapshot: &snapshot,
            scope: &scope,
            settling: Settling::Awaited,
        };
        let answer = async || of.answer().await.map_err(Failure::new);
        let reading = Reading { of, sql: &sql, limits: LIMITS };
        runtime.block_on(async {
            let Some(format) = self.format.file() else {
                let text = format!("{:#}\n", Written(&answer().await?.body));
                return self
                    .write(move |out| out.write_all(text.as_bytes()).map_err(ExportError::from))
                    .await;
            };
            of.look_up_keys().await.map_err(Failure::new)?;
            let lists =
                reading.lists(&lists, || async { Ok::<_, Failure>(Arc::new(answer().await?)) }).await?;
            let export = Export {
                format,
                report: report.name.clone(),
                as_of: arguments.as_of(),
                lists,
                temporary_folder: std::env::temp_dir(),
            };
            self.write(move |out| export.write(out).map(|_| ())).await
        })?;
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

    /// The lists that a file holds.
    fn lists(&self, report: &Declared) -> Result<Vec<String>, Failure> {
        let Some(format) = self.format.file() else {
            return Ok(Vec::new());
        };
        let is_binary = matches!(format, ExportFormat::Xlsx | ExportFormat::Parquet);
        if is_binary && self.output.is_none() && io::stdout().is_terminal() {
            return Err(Failure::usage(format_args!("{} is not for a terminal", format.name()))
                .hint("give a file with --output"));
        }
        let lists = choose_lists(report, format, self.table.as_deref()).map_err(refused)?;
        Ok(lists.into_iter().map(str::to_owned).collect())
    }

    /// Writes to the file or to standard output, where waiting is allowed.
    async fn write(
        &self,
        write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), ExportError> + Send + 'static,
    ) -> Result<(), Failure> {
        let output = self.output.clone();
        let written = tokio::task::spawn_blocking(move || match output {
            Some(path) => write_file(&path, write),
            None => write_stdout(write),
        });
        written.await.map_err(Failure::new)?
    }
}

/// A file appears under its name once it is whole.
#[expect(clippy::disallowed_methods, reason = "a file that the operator asked for is none of the store's")]
fn write_file(
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), ExportError>,
) -> Result<(), Failure> {
    let told = |error: &dyn std::fmt::Display| {
        Failure::new(format_args!("{} could not be written: {error}", path.display()))
    };
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&part);
    let mut out = BufWriter::new(file.map_err(|error| told(&error))?);
    let written = write(&mut out).and_then(|()| Ok(out.flush()?));
    if let Err(error) = written {
        // What there is of it is of no use; that it stays does no harm.
        _ = std::fs::remove_file(&part);
        return Err(told(&error));
    }
    std::fs::rename(&part, path).map_err(|error| told(&error))
}

/// A reader that has gone, such as `head`, is no failure.
fn write_stdout(
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), ExportError>,
) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout());
    match write(&mut out).and_then(|()| Ok(out.flush()?)) {
        Err(ExportError::Storage(error)) if is_broken_pipe(&*error) => Ok(()),
        written => {
            written.map_err(|error| Failure::new(format_args!("the answer could not be written: {error}")))
        }
    }
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Self::new(error)
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
