//! `ebbtide import`: files into a data folder, or into a running server. Loading the same file twice
//! changes nothing, and every row is accounted for.

mod encode;
mod files;
mod folder;
mod kept;
mod load;
mod positions;
mod progress;
mod rejects;
mod remote;

use std::path::{Path, PathBuf};

use clap::Args;
use ebbtide_model::TableName;
use ebbtide_model::pack::Pack;
use ebbtide_server::sources::{Chunk, FilePlan, Source};

use crate::apps::AppChoice;
use crate::failure::{Failure, print};
use crate::{Outcome, clock};

use self::files::{plan_files, source_failure};
use self::kept::Kept;
use self::load::{Loader, TableTotal};
use self::progress::Progress;
use self::rejects::Rejects;

/// Load files into a data folder or a running server.
///
/// CSV, NDJSON (both also .gz) and Parquet files named after their tables, or as the pack's sources
/// say. Parents are loaded before children. Loading a file again changes nothing; rows that cannot be
/// taken are written to a file with line, column and reason, and the rest still loads.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ebbtide import --data ./data --app loyalty ./exports/\n  \
    ebbtide import --data ./data --app loyalty --table transactions ./march.csv\n  \
    ebbtide import --data ./data --app ./my-pack events.parquet\n  \
    ebbtide import --server http://127.0.0.1:8080 --token \"$TOKEN\" --app loyalty ./exports/\n\n\
    Exit codes: 0 all rows loaded or there already, 1 failed, 2 wrong usage, 3 some rows rejected or waiting.")]
pub(crate) struct Import {
    /// The data folder; it is made where there is none.
    #[arg(long, value_name = "FOLDER", required_unless_present = "server", conflicts_with = "server")]
    data: Option<PathBuf>,
    /// A bundled pack's name, a pack's folder, or NAME=FOLDER.
    #[arg(long, value_name = "APP")]
    app: AppChoice,
    /// The table, for files that are not named after theirs.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Load into a running server instead, by its address.
    #[arg(long, value_name = "URL", requires = "token")]
    server: Option<String>,
    /// A token of role admin or writer for the server.
    #[arg(long, value_name = "JWT", env = "EBBTIDE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Where rejected rows are written [default: a file in the data folder's `rejects`].
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Files, or folders of files.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

/// Where rows go.
pub(crate) trait Destination {
    /// A file of this table begins.
    fn begin(&mut self, table: &TableName) -> Result<(), Failure>;
    /// Rows of it. What became of them may be told later.
    fn push(&mut self, chunk: &Chunk) -> Result<(), Failure>;
    /// The file is over: all its rows are durable, and accounted for by their number in the file.
    fn finish(&mut self) -> Result<FileOutcome, Failure>;
    /// Keeps rows of the file that were refused, where that is this destination's matter.
    fn keep(&mut self, refused: Kept);
    /// No more files come.
    fn close(&mut self) -> Result<(), Failure>;
}

/// What became of the rows of a file that could be read.
#[derive(Debug, Default)]
pub(crate) struct FileOutcome {
    accepted: usize,
    duplicates: usize,
    waiting: usize,
    rejected: Vec<RefusedRow>,
}

#[derive(Debug)]
pub(crate) struct RefusedRow {
    /// Its number among them, from 0.
    row: usize,
    column: Option<String>,
    code: String,
    detail: String,
}

impl Import {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let pack = self.app.load()?;
        let table = self.table.as_deref().map(TableName::new);
        let files = plan_files(&pack, &self.paths, table.as_ref())?;
        let mut destination: Box<dyn Destination> = match (&self.server, &self.token, &self.data) {
            (Some(server), Some(token), _) => Box::new(remote::Remote::new(server, token, &pack)?),
            (_, _, Some(data)) => Box::new(folder::Folder::open(data, &pack)?),
            _ => return Err(Failure::usage("give a data folder with --data, or a server with --server")),
        };
        let mut rejects = Rejects::new(self.rejects_path());
        let progress = Progress::new(&files);
        let mut loader =
            Loader { destination: destination.as_mut(), rejects: &mut rejects, progress, totals: Vec::new() };
        let loaded = files.iter().try_for_each(|file| {
            let source = Source::open(&file.path, &file.plan).map_err(source_failure)?;
            loader.load(source, &file.plan, Some(&file.path))
        });
        loader.progress.finish();
        let totals = loader.totals;
        let closed = destination.close();
        drop(destination);
        let outcome = report(&totals, &mut rejects)?;
        loaded.and(closed).map(|()| outcome)
    }

    fn rejects_path(&self) -> PathBuf {
        if let Some(path) = &self.rejects {
            return path.clone();
        }
        let name = format!("{}.ndjson", clock::now().to_string().replace([':', '.'], "-"));
        match &self.data {
            Some(data) => data.join("rejects").join(name),
            None => PathBuf::from(format!("rejects-{name}")),
        }
    }
}

/// Loads sources into a data folder, and tells what became of their rows.
pub(crate) fn import_sources(
    data: &Path,
    pack: &Pack,
    sources: Vec<(Source, FilePlan)>,
) -> Result<Outcome, Failure> {
    let mut folder = folder::Folder::open(data, pack)?;
    let mut rejects = Rejects::new(data.join("rejects.ndjson"));
    let progress = Progress::new(&[]);
    let mut loader = Loader { destination: &mut folder, rejects: &mut rejects, progress, totals: Vec::new() };
    for (source, plan) in sources {
        loader.load(source, &plan, None)?;
    }
    loader.progress.finish();
    let totals = loader.totals;
    folder.close()?;
    drop(folder);
    report(&totals, &mut rejects)
}

/// Tells what became of all rows.
fn report(totals: &[TableTotal], rejects: &mut Rejects) -> Result<Outcome, Failure> {
    let width = totals.iter().map(|total| total.table.len()).max().unwrap_or(0).max("table".len());
    let mut text = format!(
        "{:width$} {:>12} {:>12} {:>12} {:>12} {:>12}\n",
        "table", "accepted", "duplicate", "waiting", "rejected", "rows/s"
    );
    for total in totals {
        let rate = total.rows() as f64 / total.seconds.max(1e-3);
        text.push_str(&format!(
            "{:width$} {:>12} {:>12} {:>12} {:>12} {rate:>12.0}\n",
            total.table, total.accepted, total.duplicates, total.waiting, total.rejected
        ));
    }
    let told = std::mem::take(&mut rejects.told);
    if let Some(path) = rejects.finish()? {
        text.push_str(&format!("rejected rows, with the reason of each: {}\n", path.display()));
        told.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    if totals.iter().any(|total| total.waiting > 0) {
        text.push_str("waiting rows are kept, and appear once their parent's row is loaded\n");
    }
    print(&text)?;
    let failures: Vec<&Failure> = totals.iter().flat_map(|total| &total.failures).collect();
    if let [first, rest @ ..] = failures.as_slice() {
        rest.iter().for_each(|failure| failure.tell());
        return Err((*first).clone());
    }
    let left_out = totals.iter().any(|total| total.waiting + total.rejected > 0);
    Ok(if left_out { Outcome::RowsLeftOut } else { Outcome::Done })
}
