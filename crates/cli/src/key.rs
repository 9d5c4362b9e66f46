//! `ebbtide key`: the write keys with which pages and apps capture, of a data folder or of a running server.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ebbtide_model::{AppName, Clock, TenantId};
use ebbtide_server::sign_in::{NewWriteKey, WriteKey};
use serde_json::{Value as Json, json};

use crate::Outcome;
use crate::client::Client;
use crate::clock::SystemClock;
use crate::data::{HeldFolder, check_exists};
use crate::failure::{Failure, print};

/// Make, list and revoke the write keys that capture events.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ebbtide key create --data ./data --app product --tenant acme --name web\n  \
    ebbtide key list   --server http://127.0.0.1:8080 --token $TOKEN\n  \
    ebbtide key revoke 4f1d0c9a5be24173 --data ./data")]
pub(crate) struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a key; it is shown this once.
#[derive(Debug, Args)]
struct Create {
    #[command(flatten)]
    place: Place,
    /// The app that it captures into; of a server that of the token.
    #[arg(long, value_name = "NAME", default_value = "product")]
    app: String,
    /// Whose events it captures.
    #[arg(long)]
    tenant: String,
    /// What it is for, for people.
    #[arg(long)]
    name: Option<String>,
}

/// List the keys, without what would let anybody use them.
#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: Place,
    /// Those of this app alone.
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
}

/// Revoke a key: nothing is captured with it from then on.
#[derive(Debug, Args)]
struct Revoke {
    #[command(flatten)]
    place: Place,
    /// The key's id, as `list` shows it.
    id: String,
}

/// Where the keys are.
#[derive(Debug, Args)]
struct Place {
    /// The data folder, while no server holds it.
    #[arg(long, value_name = "FOLDER", conflicts_with = "server", required_unless_present = "server")]
    data: Option<PathBuf>,
    /// A running server, such as http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A token of role admin for that server.
    #[arg(long, value_name = "JWT", env = "EBBTIDE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl Place {
    fn server(&self) -> Result<Option<Client>, Failure> {
        let Some(server) = &self.server else {
            return Ok(None);
        };
        Client::new(server, self.token.as_deref().unwrap_or_default()).map(Some)
    }

    /// A folder that there must be: it has keys, or by another name would seem to have none.
    fn folder(&self) -> Result<HeldFolder, Failure> {
        check_exists(self.path()?)?;
        self.folder_or_new()
    }

    /// Keys may be made before there is anything to capture.
    fn folder_or_new(&self) -> Result<HeldFolder, Failure> {
        HeldFolder::take(self.path()?)
    }

    fn path(&self) -> Result<&Path, Failure> {
        self.data.as_deref().ok_or_else(|| Failure::usage("give --data or --server"))
    }
}

impl Key {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        match self.command {
            Command::Create(create) => create.run()?,
            Command::List(list) => list.run()?,
            Command::Revoke(revoke) => revoke.run()?,
        }
        Ok(Outcome::Done)
    }
}

impl Create {
    fn run(self) -> Result<(), Failure> {
        let Self { place, app, tenant, name } = self;
        let checked = AppName::checked(&app);
        let checked = checked.ok_or_else(|| Failure::usage(format_args!("{app:?} is no name of an app")))?;
        let token = match place.server()? {
            Some(client) => {
                let body = json!({"tenant": tenant, "name": name}).to_string();
                let path = format!("/v1/keys?app={app}");
                let made = client.post(&path, &body)?.into_json()?;
                made["key"].as_str().unwrap_or_default().to_owned()
            }
            None => {
                let new = NewWriteKey { app: checked, tenant: TenantId::new(&tenant), name };
                let keys = place.folder_or_new()?.write_keys()?;
                keys.create(&new, SystemClock.now()).map_err(Failure::new)?.1
            }
        };
        print(&format!("{token}\n"))
    }
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let rows: Vec<[String; 5]> = match self.place.server()? {
            Some(client) => {
                let app = self.app.as_deref().and_then(AppName::checked);
                let path = app.map_or("/v1/keys".to_owned(), |app| format!("/v1/keys?app={app}"));
                let answer = client.get(&path)?.into_json()?;
                answer["keys"].as_array().map(Vec::as_slice).unwrap_or_default().iter().map(of_json).collect()
            }
            None => {
                let keys = self.place.folder()?.write_keys()?.all();
                let asked = |key: &WriteKey| self.app.as_ref().is_none_or(|app| *app == key.app);
                keys.iter().filter(|key| asked(key)).map(|key| of_key(key)).collect()
            }
        };
        let mut text = String::from("id\tapp\ttenant\tname\tcreated\n");
        for row in rows {
            text.push_str(&row.map(|cell| one_line(&cell)).join("\t"));
            text.push('\n');
        }
        print(&text)
    }
}

impl Revoke {
    fn run(self) -> Result<(), Failure> {
        let id = &self.id;
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(
                Failure::usage(format_args!("{id:?} is no key's id")).hint("ebbtide key list shows them")
            );
        }
        match self.place.server()? {
            Some(client) => _ = client.delete(&format!("/v1/keys/{id}"))?.into_json()?,
            None => _ = self.place.folder()?.write_keys()?.revoke(id, |_| true).map_err(Failure::new)?,
        }
        print(&format!("revoked {id}\n"))
    }
}

fn of_key(key: &WriteKey) -> [String; 5] {
    let WriteKey { id, app, tenant, name, created_at, .. } = key;
    [id, app, tenant, name.as_ref().unwrap_or(&String::new()), created_at].map(String::clone)
}

fn of_json(key: &Json) -> [String; 5] {
    ["id", "app", "tenant", "name", "created_at"]
        .map(|name| key[name].as_str().unwrap_or_default().to_owned())
}

/// A name is anybody's text, and one with a line's end would look like another key.
fn one_line(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
