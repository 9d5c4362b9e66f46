//! The lists of a report's answer as files: CSV, NDJSON, Parquet and XLSX. Rows are read a few thousand at a
//! time, where they come from a statement while it runs, and written as they are read, so that an export
//! has no end but its rows. Its cells are those of the JSON answer.

mod csv;
mod error;
mod ndjson;
mod parquet;
mod reading;
mod rows;
mod sheets;
mod xlsx;

use std::io::Write;
use std::path::PathBuf;

use ebbtide_model::Instant;
use ebbtide_model::pack::WHOLE;

pub use error::ExportError;
pub use reading::Reading;
pub use rows::{ExportList, OpenRows, RowSource};

/// A file format of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    Csv,
    Xlsx,
    Ndjson,
    Parquet,
}

impl ExportFormat {
    pub const ALL: [Self; 4] = [Self::Csv, Self::Xlsx, Self::Ndjson, Self::Parquet];

    /// As `format=` gives it, and as the end of a file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Without its parameters.
    pub fn bare_media_type(self) -> &'static str {
        self.media_type().split(';').next().unwrap_or_default()
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Ndjson => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Whether a file of it holds every list of a report, each under its name.
    pub fn holds_several_lists(self) -> bool {
        self == Self::Xlsx
    }
}

/// What is written, and how.
pub struct Export {
    pub format: ExportFormat,
    /// The report's name.
    pub report: String,
    pub as_of: Instant,
    /// One, save where the format holds several.
    pub lists: Vec<ExportList>,
    /// Where rows wait that a format cannot write as they come. Files there have no name, and are gone with
    /// whoever writes them.
    pub temporary_folder: PathBuf,
}

impl Export {
    /// `visits-2026-02-28T14-59-59.999999Z.csv`: the report, its list where there are several to choose from,
    /// and the instant, of characters that any system takes.
    pub fn file_name(&self, chosen: Option<&str>) -> String {
        let list = chosen.filter(|list| *list != WHOLE).map(|list| format!("-{list}")).unwrap_or_default();
        let name = format!("{}{list}-{}.{}", self.report, self.as_of, self.format.name());
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
        name.chars().map(plain).collect()
    }

    /// Writes the whole file; gives the number of its rows. Blocks, and must be called where blocking is
    /// allowed within a Tokio runtime with time.
    pub fn write(self, out: &mut (dyn Write + Send)) -> Result<u64, ExportError> {
        if self.format == ExportFormat::Xlsx {
            return xlsx::write(self, sheets::SHEET_ROWS_MAX, out);
        }
        let mut rows_written = 0;
        for list in self.lists {
            let mut rows = list.open()?;
            rows_written += match self.format {
                ExportFormat::Csv => csv::write(&mut *rows, out)?,
                ExportFormat::Ndjson => ndjson::write(&mut *rows, out)?,
                ExportFormat::Parquet => parquet::write(&mut *rows, out)?,
                ExportFormat::Xlsx => 0,
            };
        }
        Ok(rows_written)
    }
}

/// Characters that make a spreadsheet run a text as a formula where it begins with one, the wide forms of
/// East Asian keyboards included.
const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

fn runs_as_formula(text: &str) -> bool {
    text.starts_with(FORMULA_STARTS)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
