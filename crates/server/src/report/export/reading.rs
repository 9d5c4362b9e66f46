//! A report's lists, each from where its rows are had the soonest.

use std::sync::Arc;

use ebbtide_engine::sql::{Limits, Sql, SqlRequest, UnusedParameters};
use ebbtide_model::Scope;
use ebbtide_model::pack::{Pack, Report, WHOLE};
use ebbtide_store::Snapshot;

use super::{ExportList, StatementRows};
use crate::report::{Answer, Arguments, statement_of};

/// A report with all that its statements need.
pub struct Reading<'a> {
    pub pack: &'a Pack,
    pub report: &'a Report,
    pub arguments: &'a Arguments,
    pub snapshot: &'a Snapshot,
    pub scope: &'a Scope,
    pub sql: &'a Arc<Sql>,
    /// Of a statement whose rows are written as they come the time alone counts.
    pub limits: Limits,
}

impl Reading<'_> {
    /// Whether these lists are had from the whole answer alone. What is a statement's rows is not.
    pub fn needs_answer(&self, paths: &[String]) -> bool {
        paths.iter().any(|path| statement_of(self.report, path).is_none())
    }

    /// The lists of these paths; the answer for those that are had from there.
    pub fn lists(&self, paths: &[String], answer: Option<&Arc<Answer>>) -> Vec<ExportList> {
        let list = |path: &String| {
            let name = if path == WHOLE { &self.report.name } else { path };
            match statement_of(self.report, path) {
                Some(statement) => ExportList::new(name, self.rows(statement)),
                None => ExportList::of_answer(name, answer.cloned().unwrap_or_default(), path),
            }
        };
        paths.iter().map(list).collect()
    }

    fn rows(&self, statement: &Arc<str>) -> StatementRows {
        StatementRows {
            sql: self.sql.clone(),
            snapshot: self.snapshot.clone(),
            scope: self.scope.clone(),
            request: SqlRequest {
                statement: statement.clone(),
                params: self.arguments.values().to_vec(),
                unused_params: UnusedParameters::PassedOver,
                as_of: self.arguments.as_of(),
                calendar: self.pack.schema.calendar.clone(),
                limits: self.limits,
            },
        }
    }
}
