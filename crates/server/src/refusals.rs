//! How the errors of lower crates become problems: what speaks of the request is told to its caller,
//! what speaks of the server to its log.

use ebbtide_engine::EngineError;
use ebbtide_engine::sql::SqlError;
use ebbtide_model::pack::ParamError;
use ebbtide_model::{ErrorKind, Fault, TableName};
use ebbtide_store::StoreError;

use crate::problem::{Code, Problem};
use crate::report::ReportError;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if let StoreError::UnknownTable { table, known } = &error {
            let known: Vec<&str> = known.iter().map(TableName::as_str).collect();
            let detail = format!("There is no table {:?}; the app has {}.", table.as_str(), known.join(", "));
            return Self::new(Code::TableUnknown, detail);
        }
        if matches!(error, StoreError::Overloaded | StoreError::Importing { .. }) {
            return Self::new(Code::Overloaded, format!("The store does not take this now: {error}."));
        }
        if matches!(error, StoreError::Closed) {
            return Self::new(Code::Draining, "The server is stopping.");
        }
        match error.kind() {
            // A full or broken disk.
            ErrorKind::Unavailable => Self::with_code(Code::StorageFailed, &error),
            kind => Self::of(kind, &error),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Query(fault) => Self::from(fault),
            EngineError::Store(error) => Self::from(error),
            EngineError::Sql(error) => Self::from(error),
            error @ (EngineError::Layout { .. } | EngineError::Worker) => Self::of(error.kind(), &error),
        }
    }
}

impl From<SqlError> for Problem {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Store(error) => Self::from(error),
            error if error.kind() == ErrorKind::Invalid => Self::with_code(Code::SqlInvalid, &error),
            error => Self::of(error.kind(), &error),
        }
    }
}

/// A parameter of a path or a query string.
impl From<ParamError> for Problem {
    fn from(error: ParamError) -> Self {
        Self::with_code(Code::ParameterInvalid, &error)
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            // The statement is the pack's, and its limits the server's: nothing that the caller wrote.
            ReportError::Engine(EngineError::Sql(error)) if error.kind() == ErrorKind::Invalid => {
                Self::hidden(Code::Internal, error)
            }
            ReportError::Engine(EngineError::Query(fault)) => Self::hidden(Code::Internal, fault),
            ReportError::Engine(error) => Self::from(error),
            error => Self::of(error.kind(), &error),
        }
    }
}

/// A query that names or holds what it may not.
impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::new(Code::QueryInvalid, fault.to_string())
    }
}
