//! How the errors of lower crates become problems: what speaks of the request is told to its caller,
//! what speaks of the server to its log.

use ebbtide_engine::EngineError;
use ebbtide_model::{Fault, TableName};
use ebbtide_store::StoreError;

use crate::problem::{Code, Problem};

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
        if matches!(error, StoreError::Failed { .. }) {
            return Self::with_code(Code::StorageFailed, &error);
        }
        Self::of(error.kind(), &error)
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Query(fault) => Self::from(fault),
            EngineError::Store(error) => Self::from(error),
        }
    }
}

/// A query that names or holds what it may not.
impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::new(Code::QueryInvalid, fault.to_string())
    }
}
