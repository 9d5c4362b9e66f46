//! How the errors of lower crates become problems: what speaks of the request is told to its caller,
//! what speaks of the server to its log.

use ebbtide_engine::EngineError;
use ebbtide_engine::sql::SqlError;
use ebbtide_model::pack::ParamError;
use ebbtide_model::{ErrorKind, Fault, TableName};
use ebbtide_store::StoreError;

use crate::asking::AskError;
use crate::problem::{Code, Problem};
use crate::report::ReportError;
use crate::report::export::ExportError;

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
        // A full or broken disk is not to be had at all.
        let kind = error.kind();
        let code = if kind == ErrorKind::Unavailable { Code::StorageFailed } else { Code::of_kind(kind) };
        Self::with_code(code, &error)
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Query(fault) => Self::from(fault),
            EngineError::Store(error) => Self::from(error),
            EngineError::Sql(error) => Self::from(error),
            error @ (EngineError::Layout { .. }
            | EngineError::SpineLost
            | EngineError::Cohort { .. }
            | EngineError::Worker
            | EngineError::Stopped(_)) => Self::of(error.kind(), &error),
        }
    }
}

impl From<SqlError> for Problem {
    fn from(error: SqlError) -> Self {
        if let SqlError::Store(error) = error {
            return Self::from(error);
        }
        let told = |code| Self::new(code, sentence(&error.to_string()));
        if matches!(error, SqlError::Busy) {
            return told(Code::Overloaded);
        }
        if matches!(error, SqlError::NoProcess { .. }) {
            return told(Code::SqlUnavailable);
        }
        if matches!(error, SqlError::Fell { .. }) {
            return told(Code::SqlFell);
        }
        let kind = error.kind();
        let code = if kind == ErrorKind::Invalid { Code::SqlInvalid } else { Code::of_kind(kind) };
        Self::with_code(code, &error)
    }
}

/// An error's words as a sentence.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}

/// A parameter of a path or a query string.
impl From<ParamError> for Problem {
    fn from(error: ParamError) -> Self {
        Self::with_code(Code::ParameterInvalid, &error)
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Engine(error) => Self::from(error),
            AskError::Busy => Self::new(Code::Overloaded, sentence(&error.to_string())),
            AskError::Unanswered(_) => Self::hidden(Code::Internal, error),
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        if matches!(error, ReportError::Busy) {
            return Self::from(AskError::Busy);
        }
        // Whose rows they are can mend those.
        if let ReportError::Engine(EngineError::Sql(SqlError::NumberTooLarge(words))) = &error {
            return Self::new(Code::NumberTooLarge, sentence(&format!("in the rows of this report {words}")));
        }
        // So can whoever gave the parameters.
        if let ReportError::Engine(EngineError::Sql(SqlError::ValueRefused(words))) = &error {
            let told = format!("a statement of this report fails for these rows and parameters: {words}");
            return Self::new(Code::ReportUnanswerable, sentence(&told));
        }
        // The statements are the pack's: a caller wrote nothing in them, and can mend nothing.
        if error.kind() == ErrorKind::Invalid {
            return Self::with_code(Code::Internal, &error);
        }
        if let ReportError::Engine(error) = error {
            return Self::from(error);
        }
        Self::of(error.kind(), &error)
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        if let ExportError::Report(error) = error {
            return Self::from(error);
        }
        Self::of(error.kind(), &error)
    }
}

/// A query that names or holds what it may not.
impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::new(Code::QueryInvalid, fault.to_string())
    }
}
