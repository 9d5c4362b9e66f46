//! Why a file could not be written.

use ebbtide_model::ErrorKind;

use crate::report::ReportError;

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(
        "column {column:?} has a text of {given} characters, and a cell of a spreadsheet holds at most {allowed}; take format csv, ndjson or parquet"
    )]
    CellTooLong { column: String, given: usize, allowed: usize },
    #[error(
        "the list has {given} columns, and a sheet of a spreadsheet holds at most {allowed}; take format csv, ndjson or parquet"
    )]
    TooManyColumns { given: usize, allowed: usize },
    /// Whoever asked has left.
    #[error("nobody takes the file any more")]
    Gone,
    #[error("the file was not taken within {allowed_s} seconds")]
    Slow { allowed_s: u64 },
    /// A temporary file, or the file itself.
    #[error("a file could not be written: {0}")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("an answer could not be encoded: {0}")]
    Encoding(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ExportError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Report(error) => error.kind(),
            Self::CellTooLong { .. } | Self::TooManyColumns { .. } => ErrorKind::TooLarge,
            Self::Slow { .. } => ErrorKind::Timeout,
            Self::Storage(_) => ErrorKind::Unavailable,
            Self::Gone | Self::Encoding(_) => ErrorKind::Internal,
        }
    }
}

impl From<std::io::Error> for ExportError {
    fn from(error: std::io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(other) => Self::Storage(Box::new(other)),
        }
    }
}

impl From<csv::Error> for ExportError {
    fn from(error: csv::Error) -> Self {
        if error.is_io_error()
            && let csv::ErrorKind::Io(error) = error.into_kind()
        {
            return Self::from(error);
        }
        Self::Encoding("a record of CSV was refused".into())
    }
}

impl From<parquet::errors::ParquetError> for ExportError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        let parquet::errors::ParquetError::External(inner) = error else {
            return Self::Encoding(Box::new(error));
        };
        match inner.downcast::<std::io::Error>() {
            Ok(error) => Self::from(*error),
            Err(inner) => Self::Encoding(inner),
        }
    }
}

impl From<arrow::error::ArrowError> for ExportError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Encoding(Box::new(error))
    }
}

impl From<rust_xlsxwriter::XlsxError> for ExportError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not about files is a defect of ours")]
    fn from(error: rust_xlsxwriter::XlsxError) -> Self {
        use rust_xlsxwriter::XlsxError;
        match error {
            XlsxError::IoError(error) => Self::from(error),
            XlsxError::TempFileError(_, error) => Self::Storage(Box::new(error)),
            XlsxError::ZipError(error) => Self::from(std::io::Error::from(error)),
            other => Self::Encoding(Box::new(other)),
        }
    }
}
