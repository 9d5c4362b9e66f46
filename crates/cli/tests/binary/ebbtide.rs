//! Runs of the binary in a folder of the test's own, and servers that listen on a free port.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use serde_json::Value as Json;

/// A folder that is gone after the test.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
}

/// What a run of the binary gave.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What servers of these tests sign with.
pub(crate) const SECRET: &str = "a secret for tests, longer than 32 bytes";

/// Shops and their orders.
pub(crate) const SHOP: &str = r#"
pack: shop
tables:
  shops: {kind: entity, key: id, tenant: id, columns: {id: int, name: text?}}
  orders:
    kind: events
    key: id
    tenant: shop_id
    actor: customer_id
    time: at
    columns: {id: int, shop_id: int, customer_id: int, cents: int?, note: text?, at: timestamp}
"#;

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With the pack of [`SHOP`] in `shop/`.
    pub(crate) fn with_shop() -> Self {
        let folder = Self::new();
        folder.write("shop/pack.yaml", SHOP.as_bytes());
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Runs the binary here, with nothing of the environment that would change what it does.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let run = Run {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        };
        assert!(!run.stderr.contains("panicked") && !run.stderr.contains("stack backtrace"), "{run:?}");
        run
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ebbtide"));
        command.args(arguments).current_dir(self.folder.path());
        let own = std::env::vars_os().map(|(name, _)| name);
        for name in own.filter(|name| name.to_string_lossy().starts_with("EBBTIDE_")) {
            command.env_remove(name);
        }
        command
    }

    /// A token that a [`Server`] takes.
    pub(crate) fn token(&self, claims: &[&str]) -> String {
        let output =
            self.command(&["token"]).args(claims).env("EBBTIDE_JWT_SECRET", SECRET).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Imports into `data/` with the pack of [`SHOP`].
    pub(crate) fn import(&self, paths: &[&str]) -> Run {
        let mut arguments = vec!["import", "--data", "data", "--app", "shop", "--rejects", "rejects.ndjson"];
        arguments.extend(paths);
        self.run(&arguments)
    }

    /// The rejected rows of the last import.
    pub(crate) fn rejects(&self) -> Vec<Json> {
        let text = fs::read_to_string(self.path("rejects.ndjson")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Run {
    /// A table's numbers in an import's answer: accepted, duplicate, waiting, rejected.
    pub(crate) fn counts(&self, table: &str) -> [u64; 4] {
        let row = self.stdout.lines().find(|line| line.split_whitespace().next() == Some(table));
        let row = row.unwrap_or_else(|| panic!("no row of {table}: {self:?}"));
        let numbers: Vec<u64> =
            row.split_whitespace().skip(1).take(4).map(|cell| cell.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    }
}

/// A server of `data/`, ended with the test.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) url: String,
}

impl Server {
    /// Serves apps, and is ready to answer.
    pub(crate) fn start(folder: &Folder, apps: &[&str]) -> Self {
        let mut command = folder.command(&["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
        command.args(apps).env("EBBTIDE_JWT_SECRET", SECRET);
        Self::start_by(command)
    }

    /// By a command of the test's own, which listens on a free port.
    pub(crate) fn start_by(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the server says where it listens").unwrap();
        let url = line.strip_prefix("listening on ").expect("an address").to_owned();
        let mut server = Self { process, url };
        while ureq::get(format!("{}/readyz", server.url)).call().is_err() {
            assert!(server.process.try_wait().unwrap().is_none(), "the server ended");
            thread::yield_now();
        }
        server
    }

    /// A number of its own without labels, as it tells it now.
    pub(crate) fn number(&self, name: &str) -> u64 {
        let mut response = ureq::get(format!("{}/metrics", self.url)).call().unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("{} "));
        value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert!(self.process.wait().unwrap().success(), "a server that is told to stop ends well");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// The answer's JSON, whatever its status; `None` where there is no answer.
pub(crate) fn post(url: &str, token: &str, path: &str, body: &Json) -> Option<Json> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent.post(format!("{url}{path}")).header("Authorization", format!("Bearer {token}"));
    let mut response = request.header("Content-Type", "application/json").send(body.to_string()).ok()?;
    serde_json::from_str(&response.body_mut().read_to_string().ok()?).ok()
}

/// Data sets that are not part of the project; `None`, and a word about it, where they are absent.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if shared.exists() {
        return Some(shared);
    }
    println!("skipped: {} is absent", shared.display());
    None
}

/// Without end, about, but small: what is held of it is one of the two lists.
pub(crate) const ENDLESS: &str =
    "SELECT sum(a.value + b.value) AS n FROM generate_series(1, 100000) a, generate_series(1, 100000) b";

pub(crate) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}
