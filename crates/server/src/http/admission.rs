//! Who may listen, and that it goes on: where tables say whose rows a caller sees, or what its plan is, a change of
//! them ends what it may not hear any more.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use ebbtide_model::Instant;

use super::access::{self, Pairs};
use crate::cache::Key;
use crate::live::Watched;
use crate::problem::{Code, Problem};
use crate::question::Question;
use crate::routes::ReportRoute;
use crate::server::Server;
use crate::sign_in::Caller;

/// For the log.
const REQUEST_ID: &str = "live";
/// How often it is looked whether a listener may still hear what it hears.
const LOOK: Duration = Duration::from_secs(1);
/// How long it may be unknown.
const UNKNOWN_MAX: Duration = Duration::from_secs(4);
/// A request to listen, as it was made by a caller who has signed in.
pub(super) struct Admission {
    server: Arc<Server>,
    route: Arc<ReportRoute>,
    caller: Caller,
    /// What of them its checks read.
    headers: HeaderMap,
    path: Pairs,
    query: Pairs,
}

/// What a request may listen to, and until when.
pub(super) struct Admitted {
    pub(super) question: Question,
    pub(super) ends_at: Instant,
}

impl Admission {
    pub(super) fn new(
        server: &Arc<Server>,
        route: &Arc<ReportRoute>,
        (caller, headers): (Caller, &HeaderMap),
        path: Pairs,
        query: Pairs,
    ) -> Self {
        let own = headers.get_all(header::ACCEPT_LANGUAGE).iter();
        let headers = own.map(|value| (header::ACCEPT_LANGUAGE, value.clone())).collect();
        Self { server: server.clone(), route: route.clone(), caller, headers, path, query }
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The checks before an answer.
    pub(super) async fn check(&self) -> Result<Admitted, Problem> {
        let (server, now) = (&self.server, self.server.now());
        let entrant = access::enter(
            server,
            &self.route,
            (self.caller.clone(), &self.headers),
            &self.path,
            &self.query,
        )?;
        let plan = entrant.plan().await?;
        let arguments = entrant.arguments(plan, &self.path, &self.query, now)?;
        let (scope, snapshot) = entrant.rows(&arguments).await?;
        let ends_at = entrant.caller().ends_at(&server.settings.token);
        let question = Question {
            server: server.clone(),
            route: self.route.clone(),
            arguments: Arc::new(arguments),
            scope,
            snapshot,
            now,
            request_id: REQUEST_ID.to_owned(),
        };
        Ok(Admitted { question, ends_at })
    }

    /// Looks again and again whether it may still hear this; `None` where no table has a say in it.
    pub(super) fn watched(self, key: Key) -> Option<Watched> {
        self.rests_on_tables().then(|| Watched::begin(async move { watch_over(&self, &key).await }))
    }

    fn rests_on_tables(&self) -> bool {
        let pack = &self.route.app.pack;
        !pack.access.tables.is_empty() || pack.tenant_table.is_some()
    }
}

/// Returns once the request would be refused, or would hear something else.
async fn watch_over(admission: &Admission, key: &Key) -> Problem {
    let mut known_at = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        match admission.check().await {
            Ok(admitted) if admitted.question.key() == *key => known_at = tokio::time::Instant::now(),
            Ok(_) => {
                let detail = "What this caller hears has changed: it is to connect again.";
                return Problem::new(Code::Forbidden, detail);
            }
            Err(problem) if problem.code().status().is_server_error() => {
                if known_at.elapsed() > UNKNOWN_MAX {
                    return problem;
                }
            }
            Err(problem) => return problem,
        }
    }
}
