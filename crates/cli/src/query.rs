//! `ebbtide query`: one behavioural question, over a data folder or asked of a running server.

use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;
use ebbtide_engine::{ExplainedActor, StopFlag};
use ebbtide_model::query::{BoundQuery, Query as Definition, bind};
use ebbtide_model::{Fault, Instant, Language, Node, Scope, Written, read_json};
use ebbtide_store::Snapshot;
use serde_json::{Value as Json, json};

use crate::apps::AppChoice;
use crate::client::Client;
use crate::data::{open_existing_store, operator_scope, store_failure, warn_without_rows};
use crate::draw::{self, Screen};
use crate::failure::{Failure, print};
use crate::{Outcome, clock};

/// A question's JSON is at most this large.
const QUERY_BYTES_MAX: u64 = 1 << 20;

/// Ask a behavioural question: funnel, retention, trend, churn and others.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ebbtide query --data ./data --app loyalty '{\"kind\": \"churn\", \"limit\": 10}'\n  \
    ebbtide query --data ./data --app loyalty --tenant 1 --json @retention.json\n  \
    echo '{\"kind\": \"trend\", \"interval\": \"month\"}' | ebbtide query --data ./data --app loyalty -\n  \
    ebbtide query --server http://127.0.0.1:8080 --token \"$TOKEN\" '{\"kind\": \"churn\"}'")]
pub(crate) struct Query {
    #[command(flatten)]
    of: Asked,
    /// Print the whole answer as JSON, not as bars, heatmaps and tables.
    #[arg(long)]
    json: bool,
    /// Tell why this actor is counted as it is: its id, or over all tenants {"tenant", "actor"}.
    #[arg(long, value_name = "ACTOR")]
    explain: Option<String>,
    /// The question as JSON, @FILE, or - for stdin.
    #[arg(value_name = "QUERY")]
    query: String,
}

/// What is asked: a data folder, or a server.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// The data folder. No server may hold it.
    #[arg(long, value_name = "FOLDER", required_unless_present = "server", conflicts_with = "server")]
    pub(crate) data: Option<PathBuf>,
    /// A bundled pack's name, a pack's folder, or NAME=FOLDER.
    #[arg(long, value_name = "APP", required_unless_present = "server")]
    pub(crate) app: Option<AppChoice>,
    /// Only this tenant's rows; a server takes the tenant from the token.
    #[arg(long, value_name = "TENANT", conflicts_with = "server")]
    pub(crate) tenant: Option<String>,
    /// A running server's address.
    #[arg(long, value_name = "URL", requires = "token")]
    pub(crate) server: Option<String>,
    /// A token for the server.
    #[arg(long, value_name = "JWT", env = "EBBTIDE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

impl Query {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let text = given(&self.query)?;
        let question = read_json(text.as_bytes()).map_err(|error| {
            Failure::usage(format_args!("the question is no JSON: {error}"))
                .hint("a file is given as @FILE, and - reads from stdin")
        })?;
        if let Some(actor) = &self.explain {
            // What is no JSON is text without its quotes.
            let actor = serde_json::from_str(actor).unwrap_or_else(|_| Json::from(actor.as_str()));
            let told = self.of.explain(&question, &actor)?;
            print(&if self.json { format!("{}\n", Written(&told)) } else { explained(&told) })?;
            return Ok(Outcome::Done);
        }
        let answer = match (&self.of.server, &self.of.token) {
            (Some(server), Some(token)) => {
                Client::new(server, token)?.post("/v1/query", &Written(&question).to_string())?.into_json()?
            }
            _ => self.of.ask(&question)?,
        };
        if self.json {
            print(&format!("{}\n", Written(&answer)))?;
        } else {
            print(&draw::answer(&answer, &Screen::of_stdout()))?;
        }
        Ok(Outcome::Done)
    }
}

impl Asked {
    /// The data folder and the app, which are there where no server was named.
    pub(crate) fn folder(&self) -> Result<(&PathBuf, &AppChoice), Failure> {
        match (&self.data, &self.app) {
            (Some(data), Some(app)) => Ok((data, app)),
            _ => Err(Failure::usage(
                "give a data folder with --data and its app with --app, or a server with --server",
            )),
        }
    }

    fn explain(&self, question: &Json, actor: &Json) -> Result<Json, Failure> {
        if let (Some(server), Some(token)) = (&self.server, &self.token) {
            let body = json!({"query": question, "actor": actor});
            return Client::new(server, token)?.post("/v1/explain", &Written(&body).to_string())?.into_json();
        }
        let actor = ExplainedActor::decode(Node::root(actor)).map_err(Failure::new)?;
        self.over_folder(question, |asked| {
            let Opened { snapshot, scope, query, as_of } = asked;
            let wanted = StopFlag::default();
            let told = ebbtide_engine::explain(&snapshot, &scope, &query, &actor, as_of, &wanted);
            Ok(told.map_err(Failure::new)?.to_json(Language::default()))
        })
    }

    fn ask(&self, question: &Json) -> Result<Json, Failure> {
        self.over_folder(question, |asked| {
            let Opened { snapshot, scope, query, as_of } = asked;
            // Whoever has had enough ends the process.
            let wanted = StopFlag::default();
            let answer = ebbtide_engine::ask(&snapshot, &scope, &query, as_of, &wanted);
            Ok(answer.map_err(Failure::new)?.to_json())
        })
    }

    fn over_folder(
        &self,
        question: &Json,
        tell: impl FnOnce(Opened) -> Result<Json, Failure>,
    ) -> Result<Json, Failure> {
        let (data, app) = self.folder()?;
        let pack = app.load()?;
        let fault = |fault: Fault| Failure::new(fault).hint("see docs/queries.md for the query language");
        let definition = Definition::parse(question).map_err(fault)?;
        let scope = operator_scope(&pack.schema.app, self.tenant.as_deref());
        let store = open_existing_store(data, vec![pack.schema.clone()])?;
        let texts = definition.texts();
        let snapshot = store.snapshot(&pack.schema.app).map_err(store_failure)?;
        warn_without_rows(&snapshot, &scope);
        let snapshot = snapshot.evolved(&scope, texts.iter().map(String::as_str));
        let bound = bind(&definition, snapshot.app()).map_err(fault)?;
        let as_of = bound.as_of.unwrap_or_else(clock::now);
        tell(Opened { snapshot, scope, query: bound, as_of })
    }
}

/// A question over the rows of a folder.
struct Opened {
    snapshot: Snapshot,
    scope: Scope,
    query: BoundQuery,
    as_of: Instant,
}

/// An explanation as lines: what decided, then each event.
fn explained(told: &Json) -> String {
    let text = |json: &Json| json.as_str().map_or_else(|| Written(json).to_string(), str::to_owned);
    let mut lines = vec![text(&told["rule"]["text"]), String::new()];
    for event in told["events"].as_array().into_iter().flatten() {
        let matched: Vec<String> = event["matched"].as_array().into_iter().flatten().map(text).collect();
        lines.push(format!(
            "{}  {}  [{}]  {}",
            text(&event["time"]),
            text(&event["event"]),
            matched.join(", "),
            text(&event["rule"]["text"])
        ));
    }
    for other in told["elsewhere"].as_array().into_iter().flatten() {
        lines.push(format!(
            "\n{} {}: {}",
            text(&other["engine"]),
            text(&other["rules"]),
            text(&other["why"])
        ));
    }
    lines.join("\n") + "\n"
}

/// The text itself, a file's, or what comes on stdin.
pub(crate) fn given(text: &str) -> Result<String, Failure> {
    let mut input: Box<dyn Read> = match text.strip_prefix('@') {
        Some(path) => {
            let file = std::fs::OpenOptions::new().read(true).open(path);
            Box::new(file.map_err(|error| Failure::new(format_args!("{path} cannot be read: {error}")))?)
        }
        None if text == "-" => Box::new(io::stdin()),
        None => return Ok(text.to_owned()),
    };
    let mut read = String::new();
    let result = input.by_ref().take(QUERY_BYTES_MAX).read_to_string(&mut read);
    result.map_err(|error| Failure::new(format_args!("the question cannot be read: {error}")))?;
    Ok(read)
}
