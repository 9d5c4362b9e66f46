//! A report's lists, each from where its rows are had the soonest.

use std::sync::Arc;

use ebbtide_engine::sql::{Limits, Relation, Sql, SqlRequest, UnusedParameters};
use ebbtide_model::pack::Composed;

use super::rows::{ExportList, StatementRows, name_of};
use crate::report::asked::Asked;
use crate::report::{Answer, Evaluation, ReportError, statement_of};

/// A report with all that its statements need.
pub struct Reading<'a> {
    pub of: Evaluation<'a>,
    pub sql: &'a Arc<Sql>,
    /// Of a statement whose rows are written as they come the time alone counts.
    pub limits: Limits,
}

impl Reading<'_> {
    /// The lists of these paths. What is a statement's rows is had without the rest of the answer, which is
    /// asked for where another list is wanted alone. Before any of it the keys that parameters are must
    /// have been looked up.
    pub async fn lists<E, F>(
        &self,
        paths: &[String],
        answer: impl FnOnce() -> F,
    ) -> Result<Vec<ExportList>, E>
    where
        F: Future<Output = Result<Arc<Answer>, E>>,
        E: From<ReportError>,
    {
        let report = self.of.report.name.as_str();
        let mut lists = Vec::new();
        let mut of_answer = Vec::new();
        let asked = Asked::new(self.of);
        for (index, path) in paths.iter().enumerate() {
            match statement_of(self.of.report, path) {
                Some(statement) => {
                    let rows = self.rows(statement, asked.read_by(statement).await?);
                    lists.push((index, ExportList::new(name_of(report, path), rows)));
                }
                None => of_answer.push((index, path)),
            }
        }
        if !of_answer.is_empty() {
            let answer = answer().await?;
            let list = |path: &str| ExportList::of_answer(report, answer.clone(), path);
            lists.extend(of_answer.into_iter().map(|(index, path)| (index, list(path))));
        }
        lists.sort_by_key(|(index, _)| *index);
        Ok(lists.into_iter().map(|(_, list)| list).collect())
    }

    fn rows(&self, statement: &Composed, relations: Vec<Relation>) -> StatementRows {
        StatementRows {
            sql: self.sql.clone(),
            snapshot: self.of.snapshot.clone(),
            scope: self.of.scope.clone(),
            request: SqlRequest {
                statement: Arc::clone(&statement.statement),
                params: self.of.arguments.values().to_vec(),
                unused_params: UnusedParameters::PassedOver,
                relations,
                as_of: self.of.arguments.as_of(),
                calendar: self.of.pack.schema.calendar.clone(),
                limits: self.limits,
            },
        }
    }
}
