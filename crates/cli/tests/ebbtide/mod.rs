//! The real binary, run in a folder of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

/// A folder that is gone after the test.
pub struct Folder {
    folder: tempfile::TempDir,
}

/// What a run of the binary gave.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Shops and their orders.
pub const SHOP: &str = r#"
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
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With the pack of [`SHOP`] in `shop/`.
    pub fn with_shop() -> Self {
        let folder = Self::new();
        folder.write("shop/pack.yaml", SHOP.as_bytes());
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Runs the binary here, with nothing of the environment that would change what it does.
    pub fn run(&self, arguments: &[&str]) -> Run {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let run = Run {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        };
        assert!(!run.stderr.contains("panicked") && !run.stderr.contains("stack backtrace"), "{run:?}");
        run
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ebbtide"));
        command.args(arguments).current_dir(self.folder.path());
        for name in [
            "EBBTIDE_DATA",
            "EBBTIDE_JWT_SECRET",
            "EBBTIDE_LISTEN",
            "EBBTIDE_LOG",
            "EBBTIDE_LOG_FORMAT",
            "EBBTIDE_TOKEN",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Imports into `data/` with the pack of [`SHOP`].
    pub fn import(&self, paths: &[&str]) -> Run {
        let mut arguments = vec!["import", "--data", "data", "--app", "shop", "--rejects", "rejects.ndjson"];
        arguments.extend(paths);
        self.run(&arguments)
    }

    /// The rejected rows of the last import.
    pub fn rejects(&self) -> Vec<Json> {
        let text = fs::read_to_string(self.path("rejects.ndjson")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Run {
    /// A table's numbers in an import's answer: accepted, duplicate, waiting, rejected.
    pub fn counts(&self, table: &str) -> [u64; 4] {
        let row = self.stdout.lines().find(|line| line.split_whitespace().next() == Some(table));
        let row = row.unwrap_or_else(|| panic!("no row of {table}: {self:?}"));
        let numbers: Vec<u64> =
            row.split_whitespace().skip(1).take(4).map(|cell| cell.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    }
}

/// Data sets that are not part of the project; `None`, and a word about it, where they are absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if shared.exists() {
        return Some(shared);
    }
    println!("skipped: {} is absent", shared.display());
    None
}
