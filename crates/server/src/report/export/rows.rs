//! Where an export's rows come from: an answer that is there, or a statement while it runs.

use std::borrow::Cow;
use std::sync::Arc;

use ebbtide_engine::EngineError;
use ebbtide_engine::sql::{Sql, SqlRequest, SqlStream, batch_to_json};
use ebbtide_model::pack::WHOLE;
use ebbtide_model::{Scope, digits};
use ebbtide_store::Snapshot;
use serde_json::{Map, Value as Json};
use tokio::runtime::Handle;

use super::ExportError;
use crate::report::columns::{Column, ListColumn, settle};
use crate::report::{Answer, ReportError};

/// Rows of an answer are handed on in as many at a time.
const ROWS_AT_A_TIME: usize = 4_096;

/// Rows in order, some at a time.
pub trait RowSource {
    fn columns(&self) -> &[Column];

    /// The next objects; `None` after the last. May block.
    fn next(&mut self) -> Result<Option<Cow<'_, [Json]>>, ExportError>;
}

/// Rows that are asked for once the file has come to them.
pub trait OpenRows: Send {
    /// May block.
    fn open(self: Box<Self>) -> Result<Box<dyn RowSource>, ExportError>;
}

/// A list on its way into a file.
pub struct ExportList {
    /// The name that a sheet gets.
    pub name: String,
    rows: Box<dyn OpenRows>,
}

impl ExportList {
    pub fn new(name: impl Into<String>, rows: impl OpenRows + 'static) -> Self {
        Self { name: name.into(), rows: Box::new(rows) }
    }

    /// A list of a report's answer. An answer without that list is one row: its plain values under their
    /// dotted paths, lists as they are.
    pub fn of_answer(report: &str, answer: Arc<Answer>, path: &str) -> Self {
        let rows = match answer.lists.iter().position(|list| list.path == path) {
            Some(list) => AnswerRows::List { answer, list },
            None => AnswerRows::Whole { answer },
        };
        Self::new(name_of(report, path), rows)
    }

    pub(super) fn open(self) -> Result<Box<dyn RowSource>, ExportError> {
        self.rows.open()
    }
}

/// What a list is called by itself: the whole answer by its report.
pub(super) fn name_of<'n>(report: &'n str, path: &'n str) -> &'n str {
    if path == WHOLE { report } else { path }
}

enum AnswerRows {
    List { answer: Arc<Answer>, list: usize },
    Whole { answer: Arc<Answer> },
}

impl OpenRows for AnswerRows {
    fn open(self: Box<Self>) -> Result<Box<dyn RowSource>, ExportError> {
        Ok(match *self {
            Self::List { answer, list } => {
                let found = &answer.lists[list];
                let columns = settle(&found.columns, answer.rows(found));
                Box::new(OpenList { answer, list, columns, next: 0 })
            }
            Self::Whole { answer } => {
                let rows = whole_rows(&answer.body);
                let columns = settle(&[], &rows);
                Box::new(OwnRows { columns, rows: Some(rows) })
            }
        })
    }
}

struct OpenList {
    answer: Arc<Answer>,
    list: usize,
    columns: Vec<Column>,
    /// The first row that was not handed on.
    next: usize,
}

impl RowSource for OpenList {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn next(&mut self) -> Result<Option<Cow<'_, [Json]>>, ExportError> {
        let rows = self.answer.rows(&self.answer.lists[self.list]);
        let left = rows.get(self.next..).unwrap_or_default();
        let some = &left[..left.len().min(ROWS_AT_A_TIME)];
        self.next += some.len();
        Ok((!some.is_empty()).then_some(Cow::Borrowed(some)))
    }
}

struct OwnRows {
    columns: Vec<Column>,
    rows: Option<Vec<Json>>,
}

impl RowSource for OwnRows {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn next(&mut self) -> Result<Option<Cow<'_, [Json]>>, ExportError> {
        Ok(self.rows.take().map(Cow::Owned))
    }
}

/// An answer that is no list of objects, as rows: a list's items, else the answer itself, as one.
fn whole_rows(body: &Json) -> Vec<Json> {
    let alone = |value: &Json| Json::Object(Map::from_iter([("value".to_owned(), value.clone())]));
    match body {
        Json::Array(items) => items.iter().map(alone).collect(),
        Json::Object(_) if digits(body).is_none() => {
            let mut row = Map::new();
            flatten("", body, &mut row);
            vec![Json::Object(row)]
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => vec![alone(body)],
    }
}

fn flatten(path: &str, json: &Json, row: &mut Map<String, Json>) {
    let nests = |entries: &&Map<String, Json>| !entries.is_empty() && digits(json).is_none();
    let Some(entries) = json.as_object().filter(nests) else {
        row.insert(path.to_owned(), json.clone());
        return;
    };
    for (name, json) in entries {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        flatten(&path, json, row);
    }
}

/// A statement that runs while its rows are written. Of its limits the time alone holds.
pub(super) struct StatementRows {
    pub(super) sql: Arc<Sql>,
    pub(super) snapshot: Snapshot,
    pub(super) scope: Scope,
    pub(super) request: SqlRequest,
}

impl OpenRows for StatementRows {
    fn open(self: Box<Self>) -> Result<Box<dyn RowSource>, ExportError> {
        let Self { sql, snapshot, scope, request } = *self;
        let runtime = Handle::current();
        let stream = runtime.block_on(sql.stream(&snapshot, &scope, request)).map_err(ReportError::from)?;
        let typed = stream.columns.iter().map(ListColumn::of_sql).collect::<Vec<_>>();
        Ok(Box::new(OpenStatement { columns: settle(&typed, &[]), stream, runtime }))
    }
}

struct OpenStatement {
    stream: SqlStream,
    columns: Vec<Column>,
    runtime: Handle,
}

impl RowSource for OpenStatement {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn next(&mut self) -> Result<Option<Cow<'_, [Json]>>, ExportError> {
        let batch = self.runtime.block_on(self.stream.next()).map_err(ReportError::from)?;
        let Some(batch) = batch else {
            return Ok(None);
        };
        let rows = batch_to_json(&self.stream.columns, &batch).map_err(EngineError::from);
        let rows = rows.map_err(ReportError::from)?;
        Ok(Some(rows.into_iter().map(Json::Object).collect()))
    }
}
