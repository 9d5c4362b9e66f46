//! An app with its rows, ready to be asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ebbtide_engine::Standing;
use ebbtide_engine::sql::{Limits, Sql, SqlSettings};
use ebbtide_model::pack::{Pack, ParamError, Report, Route, RouteTenant, render_faults};
use ebbtide_model::{AppName, Instant, Scope, TableName, TenantId, Tenants};
use ebbtide_server::Turns;
use ebbtide_server::report::export::{Export, ExportFormat, ExportList};
use ebbtide_server::report::{
    Answer, Arguments, Asker, Engines, Evaluation, Pair, PlannedStatements, ReportError, Settling,
};
use ebbtide_server::sources::{Source, plan_file};
use ebbtide_store::fs::SimFs;
use ebbtide_store::{Components, FreshIds, NewRows, Occurrences, Receipt, Settings, Snapshot, Store};

/// A folder of data beside the project; without it the test has to skip, and says so.
pub(crate) fn beside_the_project(folder: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = here
        .ancestors()
        .map(|folder_above| folder_above.join("shared").join(folder))
        .find(|path| path.exists());
    if found.is_none() {
        println!("skipped: there is no folder shared/{folder} beside the project");
    }
    found
}

/// A list of an answer as a file.
pub(crate) fn file_of(answer: Answer, format: ExportFormat, list: &str) -> Vec<u8> {
    let export = Export {
        format,
        report: "report".to_owned(),
        as_of: Instant::from_micros(0),
        lists: vec![ExportList::of_answer("report", Arc::new(answer), list)],
        temporary_folder: std::env::temp_dir(),
    };
    let mut file = Vec::new();
    export.write(&mut file).unwrap();
    file
}

pub(crate) struct App {
    pub(crate) pack: Pack,
    store: Store,
    sql: Sql,
}

/// What a request would say.
pub(crate) struct Request<'r> {
    pub(crate) path: &'r str,
    pub(crate) query: &'r [Pair],
    /// The tenant of the token.
    pub(crate) tenant: Option<&'r str>,
}

impl App {
    pub(crate) fn new(yaml: &str) -> Self {
        let sql = Sql::new(&SqlSettings::default()).unwrap();
        let pack = Pack::parse_with(yaml, &PlannedStatements::new(&sql));
        let pack = pack.unwrap_or_else(|faults| panic!("{}", render_faults("pack.yaml", &faults)));
        let fresh = FreshIds { folder: 1, secret: 7 };
        let components = Components { fs: Arc::new(SimFs::new(1)), fresh };
        let store = Store::open(components, Settings::default(), vec![pack.schema.clone()]).unwrap();
        Self { pack, store, sql }
    }

    fn everything(&self) -> Scope {
        #[expect(clippy::disallowed_methods, reason = "a test is its own sign-in")]
        Scope::grant(self.pack.schema.app.clone(), Tenants::All)
    }

    /// What became of the rows of a file.
    pub(crate) fn load(&self, path: &Path, table: Option<&str>) -> Receipt {
        let table = table.map(TableName::new);
        let plan = plan_file(&self.pack, path, table.as_ref()).unwrap();
        let occurrences = Occurrences::new();
        let mut receipt = Receipt::default();
        for chunk in Source::open(path, &plan).unwrap() {
            let chunk = chunk.unwrap();
            assert!(chunk.rejects.is_empty(), "{:?}", chunk.rejects);
            let rows = NewRows {
                table: plan.table.name.clone(),
                batch: chunk.rows.batch,
                occurrences: occurrences.clone(),
            };
            receipt.add(self.store.append(&self.everything(), rows).unwrap());
        }
        receipt
    }

    /// Loads rows of a table, written as CSV without a header, with white space between them.
    #[expect(clippy::disallowed_methods, reason = "a test writes its data where it reads it")]
    pub(crate) fn load_rows(&self, table: &str, columns: &str, rows: &str) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(format!("{table}.csv"));
        let lines: Vec<&str> = rows.split_whitespace().collect();
        std::fs::write(&file, format!("{columns}\n{}\n", lines.join("\n"))).unwrap();
        let receipt = self.load(&file, None);
        assert_eq!(receipt.rejected, [], "{table}");
    }

    /// How many statements were begun so far.
    pub(crate) fn statements_begun(&self) -> u64 {
        self.sql.statements_begun()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.store.snapshot(&AppName::new(self.pack.schema.app.as_str())).unwrap()
    }

    /// The report and route that a path meets, and the parameters in it.
    pub(crate) fn route(&self, path: &str) -> (&Report, &Route, Vec<Pair>) {
        let routes = self
            .pack
            .reports
            .iter()
            .flat_map(|report| report.routes.iter().map(move |route| (report, route)));
        let mut met = routes.filter_map(|(report, route)| Some((report, route, met(&route.path, path)?)));
        met.next().unwrap_or_else(|| panic!("no route for {path}"))
    }

    /// The answer to a request, or the parameter that it is refused for.
    pub(crate) async fn ask(&self, request: &Request<'_>) -> Result<Answer, ParamError> {
        Ok(self.answer(request).await?.unwrap())
    }

    /// What is answered, or why nothing is.
    pub(crate) async fn answer(
        &self,
        request: &Request<'_>,
    ) -> Result<Result<Answer, ReportError>, ParamError> {
        self.evaluate(request, async |evaluation| evaluation.answer().await).await
    }

    /// The answer that does not wait for rows of before calendar periods.
    pub(crate) async fn ask_beside(&self, request: &Request<'_>) -> Answer {
        let beside = async |evaluation: Evaluation<'_>| {
            Evaluation { settling: Settling::Beside, ..evaluation }.answer().await.unwrap()
        };
        self.evaluate(request, beside).await.unwrap()
    }

    /// Asks for what such an answer lacks.
    pub(crate) async fn settle(&self, request: &Request<'_>) {
        self.evaluate(request, async |evaluation| evaluation.settle().await.unwrap()).await.unwrap();
    }

    async fn evaluate<T>(
        &self,
        request: &Request<'_>,
        run: impl AsyncFnOnce(Evaluation<'_>) -> T,
    ) -> Result<T, ParamError> {
        let (report, route, in_path) = self.route(request.path);
        let now = Instant::parse("2026-11-20T09:30:00Z").unwrap();
        let arguments =
            Arguments::read(&self.pack, report, route, Asker::default(), &in_path, request.query, now)?;
        let tenant = match &route.tenant {
            RouteTenant::Token | RouteTenant::TokenOr(_) | RouteTenant::Access => {
                Some(request.tenant.expect("a token with a tenant").to_owned())
            }
            RouteTenant::TokenOrAll | RouteTenant::AllForAdmin => request.tenant.map(str::to_owned),
            RouteTenant::Param(name) => arguments.get(name).unwrap().canonical_text(),
        };
        let all = self.everything();
        let scope = tenant.map_or(Some(all.clone()), |tenant| all.narrowed_to(&TenantId::new(&tenant)));
        let limits = Limits { rows_max: 1_000_000, bytes_max: 1 << 28, time_max: Duration::from_secs(60) };
        let turns = Turns::new(4, Duration::from_secs(60), Duration::from_secs(60));
        let standing = Arc::new(Standing::new(0));
        let engines = Engines { sql: &self.sql, limits, turns: &turns, standing: &standing };
        let evaluation = Evaluation {
            pack: &self.pack,
            report,
            arguments: &arguments,
            engines: &engines,
            snapshot: &self.snapshot(),
            scope: &scope.unwrap(),
            settling: Settling::Awaited,
        };
        Ok(run(evaluation).await)
    }

    /// Deletes everybody's rows of a table.
    pub(crate) fn clear(&self, table: &str) {
        self.store.clear(&self.everything(), &TableName::new(table)).unwrap();
    }
}

fn met(pattern: &str, path: &str) -> Option<Vec<Pair>> {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    let parts = pattern.iter().zip(&path).map(|(part, given)| {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => Some(Some((name.to_owned(), (*given).to_owned()))),
            None => (part == given).then_some(None),
        }
    });
    let pairs: Option<Vec<Option<Pair>>> = parts.collect();
    pairs.filter(|_| pattern.len() == path.len()).map(|pairs| pairs.into_iter().flatten().collect())
}

/// What `ask` gives, waited for.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
