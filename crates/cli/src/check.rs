//! `ebbtide check`: what is wrong with a pack, by line and field.

use clap::Args;
use ebbtide_engine::sql::{Sql, SqlSettings};
use ebbtide_model::pack::{Pack, render_faults};
use ebbtide_server::apps::AppError;
use ebbtide_server::report::PlannedStatements;

use crate::Outcome;
use crate::apps::AppChoice;
use crate::failure::{Failure, print};

/// Explain what is wrong with a pack, or say what is in it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ebbtide check ./my-pack\n  ebbtide check ./my-pack/pack.yaml\n  ebbtide check loyalty\n\n\
    Each fault is a line: FILE:LINE: FIELD: what was given and what is allowed. Exit code 1 where there is one."
)]
pub(crate) struct Check {
    /// A pack's folder or file, or a bundled pack's name.
    pack: AppChoice,
}

impl Check {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let sql = Sql::new(&SqlSettings::default()).map_err(Failure::new)?;
        match self.pack.try_load(&PlannedStatements::new(&sql)) {
            Ok(pack) => print(&summary(&pack)).map(|()| Outcome::Done),
            Err(AppError::Faults { file, faults }) => {
                print(&render_faults(&file, &faults))?;
                let faults = match faults.len() {
                    1 => "1 fault".to_owned(),
                    count => format!("{count} faults"),
                };
                Err(Failure::new(format_args!("{file} has {faults}")))
            }
            Err(_) => {
                Err(self.pack.load().err().unwrap_or_else(|| Failure::new("the pack changed just now")))
            }
        }
    }
}

fn summary(pack: &Pack) -> String {
    let mut text = format!("pack {} is sound\n", pack.schema.app);
    for table in &pack.schema.tables {
        text.push_str(&format!("  table  {} ({} columns)\n", table.name, table.columns.len()));
    }
    for report in &pack.reports {
        let paths: Vec<&str> = report.routes.iter().map(|route| route.path.as_str()).collect();
        text.push_str(&format!("  report {}  {}\n", report.name, paths.join("  ")));
    }
    text
}
