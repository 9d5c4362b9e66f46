//! `ebbtide bench`: what this machine does with made-up events, or with yours.

mod ask;
mod events;
mod figures;
mod http;
mod live;
mod load;
mod machine;
mod packs;
mod recovery;
mod report;
mod socket;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use self::ask::Asking;
use self::events::{EVENTS_MAX, Events, TENANTS};
use self::figures::Figure;
use self::live::Live;
use self::load::Capture;
use self::packs::Reports;
use self::report::Load;
use crate::Outcome;
use crate::failure::{Failure, print};

/// Measure import, questions, capture, starts, live answers and reports on this machine.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --data or --file the events are made up, the same each time, and synthetic all of them. What is\n\
    made goes with the end of the command, unless --keep says where it stays.\n\n\
    Examples:\n  \
    ebbtide bench ask --events 10M\n  \
    ebbtide bench ask --file events.parquet --runs 9\n  \
    ebbtide bench tenant --data ./data --tenant 1\n  \
    ebbtide bench capture --seconds 30\n  \
    ebbtide bench recovery --events 10M\n  \
    ebbtide bench live --rate 5000 --listeners 200 --seconds 600\n  \
    ebbtide bench report --packs all --rows 1M --connections 1,4\n  \
    ebbtide bench report --packs loyalty,chatbot --rows 100k --keep ./made\n  \
    ebbtide bench all --events 1M --json figures.json"
)]
pub(crate) struct Bench {
    #[command(subcommand)]
    part: Part,
    #[command(flatten)]
    with: With,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
enum Part {
    /// Questions a to g over all tenants, by the engine and over HTTP.
    Ask,
    /// The same over the biggest tenant, or over --tenant.
    Tenant,
    /// Files into an empty folder: Parquet and NDJSON.
    Import,
    /// Events over HTTP, each acknowledged once it is on disk: 16 writers of 500 at a time, 64 of one.
    Capture,
    /// Events of a shop, and how soon all who listen to its summary are told of each.
    Live,
    /// A start over a folder of events, and one over a log that no segment has taken in yet.
    Recovery,
    /// Reports of the demo's loyalty programme, cached and not, at a steady rate of requests; or with --packs every
    /// report of those packs, uncached.
    Report,
    /// All of these.
    All,
}

#[derive(Debug, Args)]
struct With {
    /// How many events are made up, such as 50k, 1M or 100M.
    #[arg(long, global = true, value_name = "COUNT", default_value = "1M", value_parser = count)]
    events: usize,
    /// A data folder of the app `product` to ask, which no server holds; it stays as it is.
    #[arg(long, global = true, value_name = "FOLDER", conflicts_with = "file")]
    data: Option<PathBuf>,
    /// A file of events to import and ask, as `ebbtide import --app product --table events` takes it.
    #[arg(long, global = true, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The tenant that `bench tenant` asks for.
    #[arg(long, global = true, value_name = "TENANT")]
    tenant: Option<String>,
    /// How often each question is asked, after once to warm up.
    #[arg(long, global = true, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// How long each load of captures, live events and reports lasts.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    seconds: u16,
    /// Events a second that listeners are told of.
    #[arg(long, global = true, value_name = "COUNT", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// How many listen.
    #[arg(long, global = true, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    listeners: u16,
    /// Requests a second for reports that are kept.
    #[arg(long, global = true, value_name = "COUNT", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    cached_rate: u32,
    /// Requests a second for reports that are computed.
    #[arg(long, global = true, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    uncached_rate: u32,
    /// The packs whose reports `bench report` asks for, or `all` of them, with --rows, --connections and --requests.
    #[arg(long, global = true, value_name = "PACKS", value_delimiter = ',')]
    packs: Vec<String>,
    /// About how many rows the tenant has that those are asked for, and no fewer than in the demo.
    #[arg(long, global = true, value_name = "COUNT", default_value = "1M", value_parser = count)]
    rows: usize,
    /// For each load of those how many connections ask at once, each its next once it has the last answer.
    #[arg(long, global = true, value_name = "COUNTS", value_delimiter = ',', default_value = "1,4", value_parser = connections)]
    connections: Vec<usize>,
    /// How many requests each load of those has.
    #[arg(long, global = true, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    requests: u16,
    /// A folder, which is made, for what is made; without it a temporary one.
    #[arg(long, global = true, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Write the figures there, too.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A count with `k` or `M` behind it.
fn count(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000),
        None => text.strip_suffix(['m', 'M']).map_or((text, 1), |digits| (digits, 1_000_000)),
    };
    let count = digits.parse::<usize>().ok().and_then(|count| count.checked_mul(unit));
    let in_range = count.filter(|count| (1..=EVENTS_MAX).contains(count));
    in_range.ok_or_else(|| format!("allowed is a number from 1 to {EVENTS_MAX}, such as 50k or 10M"))
}

fn connections(text: &str) -> Result<usize, String> {
    const CONNECTIONS_MAX: usize = 256;
    let connections = text.parse().ok().filter(|count| (1..=CONNECTIONS_MAX).contains(count));
    connections.ok_or_else(|| format!("allowed is a number from 1 to {CONNECTIONS_MAX}"))
}

impl Bench {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        if let Some(file) = self.with.file.as_deref().filter(|file| !file.is_file()) {
            return Err(Failure::usage(format_args!("there is no file {}", file.display())));
        }
        let folder = Folder::new(self.with.keep.as_deref())?;
        let mut work = Work { with: &self.with, folder: &folder.path, data: None, figures: Vec::new() };
        let all = self.part == Part::All;
        let wants = |part: Part| all || self.part == part;
        if wants(Part::Import) {
            work.import()?;
        }
        if wants(Part::Ask) {
            work.ask(None)?;
        }
        if wants(Part::Tenant) {
            work.tenant()?;
        }
        if wants(Part::Capture) {
            work.capture()?;
        }
        if wants(Part::Live) {
            work.live()?;
        }
        if wants(Part::Recovery) {
            work.recovery()?;
        }
        if wants(Part::Report) {
            work.report()?;
        }
        let Work { figures, data, .. } = work;
        let about = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "machine": machine::describe(),
            "data": data.map_or_else(|| json!("made up by each part, synthetic"), |data| data.about),
        });
        print(&format!("{about:#}\n{}", figures::table(&figures)))?;
        if let Some(path) = &self.with.json {
            let figures: Vec<Json> = figures.iter().map(Figure::json).collect();
            write(path, &format!("{:#}\n", json!({"about": about, "figures": figures})))?;
        }
        Ok(Outcome::Done)
    }
}

/// Where what is made lies.
struct Folder {
    path: PathBuf,
    /// Whether it goes with the command.
    is_temporary: bool,
}

impl Folder {
    fn new(keep: Option<&Path>) -> Result<Self, Failure> {
        let temporary = || std::env::temp_dir().join(format!("ebbtide-bench-{}", std::process::id()));
        let path = keep.map_or_else(temporary, Path::to_owned);
        let made = std::fs::create_dir_all(&path);
        made.map_err(|error| Failure::new(format_args!("{} cannot be made: {error}", path.display())))?;
        Ok(Self { path, is_temporary: keep.is_none() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!("{} stays: {error}", self.path.display());
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    #[expect(clippy::disallowed_methods, reason = "a file of the operator's own")]
    let written = std::fs::write(path, text);
    written.map_err(|error| Failure::new(format_args!("{} cannot be written: {error}", path.display())))
}

/// A folder that questions are asked of.
#[derive(Clone)]
struct Data {
    path: PathBuf,
    about: Json,
    /// 0 where that is not known.
    events: usize,
    biggest: Option<(String, usize)>,
}

/// The parts, as they are done.
struct Work<'a> {
    with: &'a With,
    folder: &'a Path,
    data: Option<Data>,
    figures: Vec<Figure>,
}

impl Work<'_> {
    fn import(&mut self) -> Result<(), Failure> {
        if let Some(file) = &self.with.file {
            let what = file.display().to_string();
            self.figures.push(load::import(&what, file, &self.folder.join("import"), 0)?);
            return Ok(());
        }
        let events = Events::made_up(self.with.events);
        let (parquet, ndjson) = (self.folder.join("events.parquet"), self.folder.join("events.ndjson"));
        events.write_parquet(&parquet)?;
        events.write_ndjson(&ndjson)?;
        for (what, file, data) in
            [("Parquet", parquet, "import-parquet"), ("NDJSON", ndjson, "import-ndjson")]
        {
            self.figures.push(load::import(what, &file, &self.folder.join(data), events.len())?);
        }
        Ok(())
    }

    /// The folder to ask, filled where it is made up.
    fn data(&mut self) -> Result<Data, Failure> {
        if let Some(data) = &self.data {
            return Ok(data.clone());
        }
        let data = match (&self.with.data, &self.with.file) {
            (Some(path), _) => {
                let about = json!({"folder": path.display().to_string()});
                Data { path: path.clone(), about, events: 0, biggest: None }
            }
            (None, Some(file)) => {
                let path = self.folder.join("data");
                load::import("the file", file, &path, 0)?;
                Data { path, about: json!({"file": file.display().to_string()}), events: 0, biggest: None }
            }
            (None, None) => {
                let events = Events::made_up(self.with.events);
                let (path, file) = (self.folder.join("data"), self.folder.join("ask.parquet"));
                events.write_parquet(&file)?;
                load::import("events", &file, &path, events.len())?;
                let (tenant, count) = events.biggest_tenant();
                let about = json!({"synthetic": true, "events": events.len(), "tenants": TENANTS,
                    "biggest_tenant_events": count});
                Data { path, about, events: events.len(), biggest: Some((tenant.to_string(), count)) }
            }
        };
        self.data = Some(data.clone());
        Ok(data)
    }

    fn ask(&mut self, tenant: Option<(&str, usize)>) -> Result<(), Failure> {
        let data = self.data()?;
        let asking = Asking {
            data: &data.path,
            events: tenant.map_or(data.events, |(_, events)| events),
            tenant: tenant.map(|(tenant, _)| tenant),
            runs: usize::from(self.with.runs),
        };
        self.figures.extend(asking.run()?);
        Ok(())
    }

    fn tenant(&mut self) -> Result<(), Failure> {
        let given = self.with.tenant.clone().map(|tenant| (tenant, 0));
        let Some((tenant, events)) = (match given {
            Some(given) => Some(given),
            None => self.data()?.biggest,
        }) else {
            return Err(Failure::usage("which tenant is the biggest is not known of given data")
                .hint("name one with --tenant"));
        };
        self.ask(Some((&tenant, events)))
    }

    fn capture(&mut self) -> Result<(), Failure> {
        let data = self.folder.join("capture");
        let server = http::Server::start(&data, ask::APP)?;
        let time = Duration::from_secs(u64::from(self.with.seconds));
        for (writers, batch) in [(16, 500), (64, 1)] {
            self.figures.push(Capture { writers, batch, time }.run(&server)?);
        }
        let memory = machine::anonymous_mib(server.id());
        self.figures.push(Figure::new("memory after capture").with("anonymous_mib", memory));
        Ok(())
    }

    fn live(&mut self) -> Result<(), Failure> {
        let live = Live {
            rate: self.with.rate,
            listeners: usize::from(self.with.listeners),
            time: Duration::from_secs(u64::from(self.with.seconds)),
        };
        self.figures.extend(live.run(&self.folder.join("live"))?);
        Ok(())
    }

    fn recovery(&mut self) -> Result<(), Failure> {
        let data = self.data()?;
        self.figures.push(recovery::ready(&data.path)?);
        self.figures.push(recovery::of_log(&self.folder.join("recovery"), self.with.events)?);
        Ok(())
    }

    fn report(&mut self) -> Result<(), Failure> {
        if !self.with.packs.is_empty() {
            return self.packs();
        }
        let data = self.folder.join("report");
        report::fill(&data)?;
        let rate = |rate: u32| usize::try_from(rate).unwrap_or(usize::MAX);
        let load = Load {
            connections: 8,
            cached_per_s: rate(self.with.cached_rate),
            uncached_per_s: rate(self.with.uncached_rate),
            time: Duration::from_secs(u64::from(self.with.seconds)),
        };
        self.figures.extend(load.run(&data)?);
        Ok(())
    }

    fn packs(&mut self) -> Result<(), Failure> {
        let known = packs::names();
        let unknown = self.with.packs.iter().find(|pack| *pack != "all" && !known.contains(&pack.as_str()));
        if let Some(pack) = unknown {
            let hint = format!("allowed are all, {}", known.join(", "));
            return Err(Failure::usage(format_args!("{pack:?} has no reports to ask for")).hint(hint));
        }
        let reports = Reports {
            rows: self.with.rows,
            connections: &self.with.connections,
            requests: usize::from(self.with.requests),
        };
        let asked = |pack: &&str| self.with.packs.iter().any(|asked| asked == "all" || asked == pack);
        for pack in known.iter().filter(|pack| asked(pack)) {
            self.figures.extend(reports.run(pack, &self.folder.join(format!("pack-{pack}")))?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_units() {
        let check = |text: &str, want: Option<usize>| assert_eq!(count(text).ok(), want, "{text}");
        check("7", Some(7));
        check("50k", Some(50_000));
        check("10M", Some(10_000_000));
        check("0", None);
        check("1G", None);
        check("M", None);
        check("99999999999999999999M", None);
    }
}
