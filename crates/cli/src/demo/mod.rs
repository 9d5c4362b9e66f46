//! `ebbtide demo`: the whole product in one command, on data that is made up and says so.

mod chatbot;
mod itsm;
mod learning;
mod loyalty;
mod product;
pub(crate) mod random;
mod rows;
mod storefront;
mod tours;
mod traffic;

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use clap::Args;
use ebbtide_model::Instant;
use ebbtide_model::pack::Pack;
use ebbtide_server::config::{Flag, Loaded};
use ebbtide_server::sign_in::{Claims, SigningKey, WRITER};
use ebbtide_server::sources::{Source, plan_file};

use self::tours::{Ask, Caller, TOURS, Tour};
use crate::apps::AppChoice;
use crate::config::{environment, explained};
use crate::data::{open_store, operator_scope, store_failure};
use crate::failure::{Failure, print};
use crate::import::import_sources;
use crate::secret::Secret;
use crate::serve::serve;
use crate::{Outcome, clock};

/// Events a second of made-up shoppers, unless another rate is given.
const TRAFFIC_DEFAULT: u32 = 2;

/// How long the printed tokens are good.
const TOKEN_DAYS: i64 = 30;

/// Make data up, load it, and serve it: all of it synthetic, and labelled so.
///
/// The data is made once, up to the moment it is made; the next demo serves the same folder.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ebbtide demo\n  ebbtide demo --traffic 20\n  ebbtide demo --data /tmp/demo --listen 127.0.0.1:9000"
)]
pub(crate) struct Demo {
    /// The data folder of the demo.
    #[arg(long, value_name = "FOLDER", default_value = "./demo-data")]
    data: PathBuf,
    /// The address and port to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Made-up shoppers come to the shop while it serves: so many events a second, 2 unless given. 0: none.
    ///
    /// What they do is kept like any events: at 2 a second the folder grows by some 10 MB a day.
    #[arg(long, value_name = "RATE", conflicts_with = "no_serve", value_parser = clap::value_parser!(u32).range(0..=20_000))]
    traffic: Option<u32>,
    /// Load the data and print the tokens, and do not serve.
    #[arg(long)]
    no_serve: bool,
}

impl Demo {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let packed = |tour: &'static Tour| Ok((tour, AppChoice::named(tour.app).load()?));
        let tours = TOURS.iter().map(packed).collect::<Result<Vec<(&Tour, Pack)>, Failure>>()?;
        let now = clock::now();
        let flag = |option, key, value: String| Flag { option, key, values: vec![value] };
        let flags = [
            flag("--data", "data", self.data.display().to_string()),
            flag("--listen", "listen", self.listen.clone()),
        ];
        let loaded = Loaded::read(None, environment(), &flags).map_err(|faults| explained(&faults))?;
        for (tour, pack) in &tours {
            if is_empty(&self.data, pack)? {
                print(&format!("loading made-up data: {}, all synthetic\n", tour.about))?;
                fill(&self.data, tour, pack, now)?;
            }
        }
        let shown: Vec<&Tour> = tours.iter().map(|(tour, _)| *tour).collect();
        print(&invitation(&shown, &loaded, &self.data, now)?)?;
        if !self.no_serve {
            self.send_shoppers(&loaded, now)?;
            let packs = tours.into_iter().map(|(_, pack)| pack).collect();
            serve(&loaded, packs)?;
        }
        Ok(Outcome::Done)
    }
}

impl Demo {
    /// Shoppers for the server that is about to start.
    fn send_shoppers(&self, loaded: &Loaded, now: Instant) -> Result<(), Failure> {
        let rate = self.traffic.unwrap_or(TRAFFIC_DEFAULT);
        let is_known = !loaded.config.listen.ends_with(":0");
        if !is_known && self.traffic.is_some_and(|rate| rate > 0) {
            return Err(Failure::usage(
                "--traffic needs a port that is known before: give one with --listen",
            ));
        }
        if rate == 0 || !is_known {
            return Ok(());
        }
        send_shoppers(rate, loaded, &self.data, now)
    }
}

/// Whether the folder has no rows of the pack's first table yet.
fn is_empty(data: &Path, pack: &Pack) -> Result<bool, Failure> {
    let app = &pack.schema.app;
    let store = open_store(data, vec![pack.schema.clone()])?;
    let snapshot = store.snapshot(app).map_err(store_failure)?;
    let mut empty = true;
    if let Some(table) = pack.schema.tables.first() {
        let view = snapshot.table(&operator_scope(app, None), &table.name).map_err(store_failure)?;
        empty = view.parts().iter().all(|part| part.rows_max() == 0);
    }
    store.close().map_err(store_failure)?;
    Ok(empty)
}

/// Fills a folder with the made-up data of an app, up to `end`.
pub(crate) fn fill_app(data: &Path, app: &str, end: Instant) -> Result<(), Failure> {
    let tour = TOURS.iter().find(|tour| tour.app == app);
    let tour = tour.ok_or_else(|| Failure::usage(format_args!("there is no demo of {app:?}")))?;
    fill(data, tour, &AppChoice::named(app).load()?, end)
}

fn fill(data: &Path, tour: &Tour, pack: &Pack, end: Instant) -> Result<(), Failure> {
    let mut sources = Vec::new();
    for (table, csv) in (tour.tables)(end) {
        let name = PathBuf::from(format!("{table}.csv"));
        let plan = plan_file(pack, &name, None).map_err(Failure::new)?;
        let source =
            Source::from_stream(&plan, Box::new(Cursor::new(csv.into_bytes()))).map_err(Failure::new)?;
        sources.push((source, plan));
    }
    import_sources(data, pack, sources).map(|_| ())
}

/// Sends shoppers to the server that is about to start, in a thread of their own.
fn send_shoppers(rate: u32, loaded: &Loaded, data: &Path, now: Instant) -> Result<(), Failure> {
    let listen = &loaded.config.listen;
    let key = Secret::find_or_make(loaded, data)?.signing()?;
    let issuer = loaded.config.settings.token.issuers.first();
    let sender = Caller {
        variable: "",
        who: "made-up shoppers",
        role: WRITER,
        tenant: Some(traffic::SHOP),
        subject: "demo",
    };
    let token = token("storefront", &sender, &key, issuer, now)?;
    traffic::begin(rate, &format!("http://{listen}"), &token)?;
    let shop = traffic::SHOP;
    print(&format!(
        "made-up shoppers come to the shop {shop}: {rate} events a second, synthetic all of them (--traffic 0: none)\n"
    ))
}

/// Where it is, and what to paste.
fn invitation(tours: &[&Tour], loaded: &Loaded, data: &Path, now: Instant) -> Result<String, Failure> {
    let key = Secret::find_or_make(loaded, data)?.signing()?;
    let listen = &loaded.config.listen;
    let issuer = loaded.config.settings.token.issuers.first();
    let url = format!("http://{listen}");
    let mut text = format!(
        "\n{url}/app (paste any of the tokens there)\nThe demo's data is synthetic: nothing and nobody in it exists. Tokens are good for {TOKEN_DAYS} days.\n"
    );
    for tour in tours {
        text.push_str(&format!("\n# {}: {}\n", tour.app, tour.about));
        for caller in tour.callers {
            let token = token(tour.app, caller, &key, issuer, now)?;
            text.push_str(&format!("export {}={token} # {}\n", caller.variable, caller.who));
        }
        for ask in tour.asks {
            text.push_str(&curl(ask, &url));
        }
    }
    text.push('\n');
    Ok(text)
}

fn token(
    app: &str,
    caller: &Caller,
    key: &SigningKey,
    issuer: Option<&String>,
    now: Instant,
) -> Result<String, Failure> {
    let claims = Claims {
        app: app.to_owned(),
        role: caller.role.to_owned(),
        tenant: caller.tenant.map(str::to_owned),
        subject: Some(caller.subject.to_owned()),
        plan: None,
        issuer: issuer.cloned(),
        embed: None,
        expires: Instant::from_micros(now.micros() + TOKEN_DAYS * Instant::MICROS_PER_DAY),
    };
    claims.sign(key).map_err(Failure::new)
}

fn curl(ask: &Ask, url: &str) -> String {
    let Ask { variable, path, body } = ask;
    let mut line = format!("curl -H \"Authorization: Bearer ${variable}\" \"{url}{path}\"");
    if let Some(body) = body {
        // Writing to a text cannot fail.
        _ = write!(line, " -H \"Content-Type: application/json\" \\\n  -d '{body}'");
    }
    line.push('\n');
    line
}
