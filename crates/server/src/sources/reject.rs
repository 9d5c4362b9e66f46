//! What is refused: a row, with its reason, or a whole file.

use std::sync::Arc;

use ebbtide_model::{ErrorKind, TableName};

/// As much of a refused row as is told.
pub const RAW_CHARS_MAX: usize = 1_000;

/// Why a row was refused; the text forms are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// A value that the column's type does not take.
    WrongType,
    UnknownColumn,
    /// A column given twice in one row.
    RepeatedColumn,
    TooFewFields,
    TooManyFields,
    BrokenUtf8,
    /// A record of more than [`super::RECORD_BYTES_MAX`] bytes.
    RecordTooLong,
    /// A quoted cell that does not end before the file does.
    UnclosedQuote,
    BrokenJson,
    /// A property of an open table without a name, or with a long one.
    PropertyName,
}

impl RejectCode {
    pub const ALL: [Self; 10] = [
        Self::WrongType,
        Self::UnknownColumn,
        Self::RepeatedColumn,
        Self::TooFewFields,
        Self::TooManyFields,
        Self::BrokenUtf8,
        Self::RecordTooLong,
        Self::UnclosedQuote,
        Self::BrokenJson,
        Self::PropertyName,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::WrongType => "wrong_type",
            Self::UnknownColumn => "unknown_column",
            Self::RepeatedColumn => "repeated_column",
            Self::TooFewFields => "too_few_fields",
            Self::TooManyFields => "too_many_fields",
            Self::BrokenUtf8 => "broken_utf8",
            Self::RecordTooLong => "record_too_long",
            Self::UnclosedQuote => "unclosed_quote",
            Self::BrokenJson => "broken_json",
            Self::PropertyName => "property_name",
        }
    }
}

/// A row of a file that was refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Reject {
    pub file: Arc<str>,
    /// From 1: the line where the row begins, or the number of a Parquet file's row.
    pub line: u64,
    pub column: Option<String>,
    pub code: RejectCode,
    pub reason: String,
    /// The row's beginning, as text.
    pub raw: String,
}

/// Why a row was refused, before it is known where it stood.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) column: Option<String>,
    pub(crate) code: RejectCode,
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn of_row(code: RejectCode, reason: impl Into<String>) -> Self {
        Self { column: None, code, reason: reason.into() }
    }

    pub(crate) fn of_cell(column: &str, code: RejectCode, reason: impl Into<String>) -> Self {
        Self { column: Some(column.to_owned()), code, reason: reason.into() }
    }
}

/// The beginning of a row, for people: cut, and with what is not UTF-8 replaced.
pub(crate) fn excerpt(raw: &[u8]) -> String {
    const BYTES_PER_CHAR_MAX: usize = 4;
    let head = &raw[..raw.len().min(RAW_CHARS_MAX * BYTES_PER_CHAR_MAX)];
    let text = String::from_utf8_lossy(head);
    let text = text.trim_end_matches(['\r', '\n']);
    text.chars().take(RAW_CHARS_MAX).collect()
}

/// Why a file cannot be read, or not to its end. Rows that came before it are unharmed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{file}: {source}")]
    Read { file: Arc<str>, source: std::io::Error },
    #[error("{file}: is not a whole gzip file: {detail}")]
    BrokenGzip { file: Arc<str>, detail: String },
    #[error(
        "{file}: unpacks to more than {ratio_max} times its size ({produced} bytes from {consumed}); reading stopped there"
    )]
    GzipBomb { file: Arc<str>, ratio_max: u64, produced: u64, consumed: u64 },
    #[error("{file}: there is no table {table:?} in app {app:?}; its tables are {}", known.join(", "))]
    UnknownTable { file: Arc<str>, table: String, app: String, known: Vec<String> },
    #[error(
        "{file}: nothing says how to read it; allowed are files named TABLE.csv, TABLE.ndjson or TABLE.parquet (.csv.gz, .ndjson.gz), \
         or a name that a source of the pack describes"
    )]
    UnknownFormat { file: Arc<str> },
    #[error("{file}: the source for table {table} names the time zone {zone:?}, which does not exist")]
    UnknownZone { file: Arc<str>, table: TableName, zone: String },
    #[error("{file}: is empty; its first line must name the columns")]
    NoHeader { file: Arc<str> },
    #[error("{file}: its first line cannot be read as a header: {problem}")]
    BrokenHeader { file: Arc<str>, problem: String },
    #[error(
        "{file}: table {table} has no column {column:?}{}; its columns are {}",
        meant.as_ref().map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default(),
        known.join(", ")
    )]
    UnknownColumn {
        file: Arc<str>,
        table: TableName,
        column: String,
        meant: Option<String>,
        known: Vec<String>,
    },
    #[error("{file}: has two columns for {column:?} of table {table}")]
    RepeatedColumn { file: Arc<str>, table: TableName, column: String },
    #[error(
        "{file}: lacks the column{} {}, which table {table} requires",
        if columns.len() == 1 { "" } else { "s" },
        columns.join(", ")
    )]
    MissingColumns { file: Arc<str>, table: TableName, columns: Vec<String> },
    #[error("{file}: column {column:?} holds {found}, which does not become {declared} of table {table}")]
    ColumnType { file: Arc<str>, table: TableName, column: String, found: String, declared: &'static str },
    #[error("{file}: is damaged or no Parquet file: {detail}")]
    Damaged { file: Arc<str>, detail: String },
    #[error("rows could not be laid out: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl SourceError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            Self::Read { .. } => ErrorKind::Unavailable,
            Self::UnknownTable { .. } => ErrorKind::NotFound,
            Self::GzipBomb { .. } => ErrorKind::TooLarge,
            Self::UnknownFormat { .. }
            | Self::UnknownZone { .. }
            | Self::BrokenGzip { .. }
            | Self::NoHeader { .. }
            | Self::BrokenHeader { .. }
            | Self::UnknownColumn { .. }
            | Self::RepeatedColumn { .. }
            | Self::MissingColumns { .. }
            | Self::ColumnType { .. }
            | Self::Damaged { .. } => ErrorKind::Invalid,
            Self::Arrow(_) => ErrorKind::Internal,
        }
    }
}
