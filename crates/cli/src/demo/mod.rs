//! `ebbtide demo`: the whole product in one command, on data that is made up and says so.

mod loyalty;
mod random;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use clap::Args;
use ebbtide_model::pack::Pack;
use ebbtide_model::{Instant, TableName};
use ebbtide_server::config::{Flag, Loaded};
use ebbtide_server::sign_in::Claims;
use ebbtide_server::sources::{Source, plan_file};

use crate::apps::AppChoice;
use crate::config::{environment, explained};
use crate::data::{open_store, operator_scope, store_failure};
use crate::failure::{Failure, print};
use crate::import::import_sources;
use crate::secret::Secret;
use crate::serve::serve;
use crate::{Outcome, clock};

const APP: &str = "loyalty";
/// How long the printed tokens are good.
const TOKEN_DAYS: i64 = 30;

/// Make data up, load it, and serve it: all of it synthetic, and labelled so.
///
/// The data is a loyalty programme of three merchants over eighteen months up to now. It is made once;
/// the next demo serves the same folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ebbtide demo\n  ebbtide demo --data /tmp/demo --listen 127.0.0.1:9000")]
pub(crate) struct Demo {
    /// The data folder of the demo.
    #[arg(long, value_name = "FOLDER", default_value = "./demo-data")]
    data: PathBuf,
    /// The address and port to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Load the data and print the tokens, and do not serve.
    #[arg(long)]
    no_serve: bool,
}

impl Demo {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let pack = AppChoice::named(APP).load()?;
        let flag = |option, key, value: String| Flag { option, key, values: vec![value] };
        let flags = [
            flag("--data", "data", self.data.display().to_string()),
            flag("--listen", "listen", self.listen.clone()),
        ];
        let loaded = Loaded::read(None, environment(), &flags).map_err(|faults| explained(&faults))?;
        if is_empty(&self.data, &pack)? {
            print(
                "loading made-up data: 3 merchants, 7 stores, some 5,000 cards and 100,000 transactions, all synthetic\n",
            )?;
            fill(&self.data, &pack, clock::now())?;
        }
        print(&invitation(&loaded, &self.data, &self.listen, clock::now())?)?;
        if !self.no_serve {
            serve(&loaded, vec![pack])?;
        }
        Ok(Outcome::Done)
    }
}

/// Whether the folder has no merchants yet.
fn is_empty(data: &Path, pack: &Pack) -> Result<bool, Failure> {
    let app = &pack.schema.app;
    let store = open_store(data, vec![pack.schema.clone()])?;
    let snapshot = store.snapshot(app).map_err(store_failure)?;
    let view =
        snapshot.table(&operator_scope(app, None), &TableName::new("merchants")).map_err(store_failure)?;
    store.close().map_err(store_failure)?;
    Ok(view.parts().iter().all(|part| part.rows_max() == 0))
}

fn fill(data: &Path, pack: &Pack, end: Instant) -> Result<(), Failure> {
    let mut sources = Vec::new();
    for (table, csv) in loyalty::tables(end) {
        let name = PathBuf::from(format!("{table}.csv"));
        let plan = plan_file(pack, &name, None).map_err(Failure::new)?;
        let source =
            Source::from_stream(&plan, Box::new(Cursor::new(csv.into_bytes()))).map_err(Failure::new)?;
        sources.push((source, plan));
    }
    import_sources(data, pack, sources).map(|_| ())
}

/// Where it is, and what to paste.
fn invitation(loaded: &Loaded, data: &Path, listen: &str, now: Instant) -> Result<String, Failure> {
    let key = Secret::find_or_make(loaded, data)?.signing()?;
    let token = |role: &str, tenant: Option<&str>| {
        let claims = Claims {
            app: APP.to_owned(),
            role: role.to_owned(),
            tenant: tenant.map(str::to_owned),
            subject: Some("demo".to_owned()),
            plan: None,
            issuer: loaded.config.settings.token.issuers.first().cloned(),
            expires: Instant::from_micros(now.micros() + TOKEN_DAYS * Instant::MICROS_PER_DAY),
        };
        claims.sign(&key).map_err(Failure::new)
    };
    let (admin, merchant) = (token("admin", None)?, token("merchant", Some("1"))?);
    let url = format!("http://{listen}");
    let mut text = format!(
        "\nThe demo's data is synthetic: no merchant, store or customer in it exists.\n\n\
         # the platform's admin, and merchant 1 (good for {TOKEN_DAYS} days)\n\
         export ADMIN={admin}\nexport MERCHANT={merchant}\n\n"
    );
    for report in ["cohorts?months_back=12", "churn?limit=10", "revenue?months_back=6"] {
        text.push_str(&format!(
            "curl -H \"Authorization: Bearer $MERCHANT\" \"{url}/store/loyalty/analytics/{report}\"\n"
        ));
    }
    text.push_str(&format!(
        "curl -H \"Authorization: Bearer $ADMIN\" \"{url}/admin/loyalty/merchants/2/analytics/cohorts?months_back=12\"\n\
         curl -H \"Authorization: Bearer $ADMIN\" \"{url}/admin/loyalty/merchants/2/analytics/revenue?format=csv&table=monthly\"\n\
         curl -H \"Authorization: Bearer $ADMIN\" -H \"Content-Type: application/json\" {url}/v1/query \\\n  \
         -d '{{\"kind\": \"trend\", \"interval\": \"month\", \"measure\": [\"total\", \"unique\"]}}'\n\n"
    ));
    Ok(text)
}
