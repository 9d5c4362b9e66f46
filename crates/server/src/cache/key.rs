//! What tells questions apart.

use std::fmt::Write;
use std::sync::Arc;

use ebbtide_model::pack::Report;
use ebbtide_model::query::BoundQuery;
use ebbtide_model::{AppName, Instant, Scope, TableName, Tenants};
use ebbtide_store::{Snapshot, StoreError};

use crate::report::Arguments;

/// A question: which report, about whose rows, with which values of all that its answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    app: AppName,
    report: Arc<str>,
    tenants: Tenants,
    /// `None`: the moment of asking.
    as_of: Option<Instant>,
    /// Each name and value with their lengths, in the order of the names.
    values: Box<str>,
}

/// The version of each table that an answer rests on, in the order of the report's tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Versions(Box<[u64]>);

impl Key {
    pub(crate) fn new(report: &Report, scope: &Scope, arguments: &Arguments) -> Self {
        let mut values = String::new();
        for name in &report.names {
            // The answer to a name without a value is an error, which is not kept.
            let Some(value) = arguments.get(name) else {
                continue;
            };
            // A String takes whatever is written.
            match value.canonical_text() {
                Some(text) => _ = write!(values, "{name}={}:{text};", text.len()),
                None => _ = write!(values, "{name};"),
            }
        }
        Self {
            app: scope.app().clone(),
            report: Arc::from(report.name.as_str()),
            tenants: scope.tenants().clone(),
            as_of: arguments.given_as_of(),
            values: values.into_boxed_str(),
        }
    }

    /// A question of the query language: its values are its definition. No report has such a name.
    pub(crate) fn of_query(scope: &Scope, query: &BoundQuery) -> Self {
        Self {
            app: scope.app().clone(),
            report: Arc::from(""),
            tenants: scope.tenants().clone(),
            as_of: query.as_of,
            values: query.definition_json().to_string().into_boxed_str(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.values.len()
    }
}

impl Versions {
    pub(crate) fn of(snapshot: &Snapshot, scope: &Scope, tables: &[TableName]) -> Result<Self, StoreError> {
        tables.iter().map(|table| snapshot.version(scope, table)).collect::<Result<_, _>>().map(Self)
    }

    #[cfg(test)]
    pub(super) fn numbers(numbers: &[u64]) -> Self {
        Self(numbers.into())
    }
}
