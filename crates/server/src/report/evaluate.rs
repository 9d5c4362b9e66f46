//! From a report's response tree to its JSON: every leaf is asked over one snapshot as of one instant,
//! then the answers are put where the leaves stand.

use std::sync::Arc;

use ebbtide_engine::sql::{Limits, Sql};
use ebbtide_engine::{EngineError, Standing};
use ebbtide_model::pack::{Pack, Report, WHOLE};
use ebbtide_model::{ErrorKind, Instant, Scope, Unit};
use ebbtide_store::Snapshot;
use futures::future::try_join_all;
use serde_json::Value as Json;

use super::Arguments;
use super::asked::{Asked, Leaf, leaves_of};
use super::assemble::{Assembly, Source};
use super::columns::ListColumn;
use super::values::Values;
use crate::asking::{AskError, Turns};

/// What leaves are asked of.
pub struct Engines<'e> {
    pub sql: &'e Sql,
    /// For each statement.
    pub limits: Limits,
    /// Of behavioural queries.
    pub turns: &'e Turns,
    /// Of those that are asked as of now, what is kept from one time to the next.
    pub standing: &'e Arc<Standing>,
}

/// A report's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Keys in the order of the declaration.
    pub body: Json,
    /// The lists of objects in it, as the report has them in [`Report::lists`]; of two branches only those
    /// of the one that was taken.
    pub lists: Vec<List>,
    /// Until when the answer stays as it is while `as_of` moves on and no row is of a later time;
    /// perhaps sooner than it changes, never later.
    pub changes_at: Instant,
    /// Whether all of it is of this moment: else rows of before a calendar period are to come, see
    /// [`Settling::Beside`].
    pub is_settled: bool,
}

/// A list of objects in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Dotted, or [`WHOLE`].
    pub path: String,
    /// As declared, even where the list is empty.
    pub columns: Vec<ListColumn>,
}

impl Answer {
    /// The rows of a list.
    pub fn rows(&self, list: &List) -> &[Json] {
        let found = match list.path.as_str() {
            WHOLE => Some(&self.body),
            path => path.split('.').try_fold(&self.body, |json, name| json.get(name)),
        };
        found.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Why a report has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("a statement of the report gives {given}; for {shape} there {allowed}")]
    Shape { shape: &'static str, given: String, allowed: &'static str },
    /// What a parameter names is not there; what the pack tells of it.
    #[error("{0}")]
    Missing(String),
    #[error("the report names {name:?}, which has no value")]
    NoValue { name: String },
    #[error("as many questions are worked on as may be")]
    Busy,
    #[error("a leaf of the report was not answered: {0}")]
    Unanswered(String),
}

impl From<AskError> for ReportError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Engine(error) => Self::Engine(error),
            AskError::Busy => Self::Busy,
            AskError::Unanswered(why) => Self::Unanswered(why),
        }
    }
}

impl ReportError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Missing(_) => ErrorKind::NotFound,
            Self::Busy => ErrorKind::Unavailable,
            // The pack's author wrote a statement that does not fit, which no caller can mend.
            Self::Shape { .. } | Self::NoValue { .. } | Self::Unanswered(_) => ErrorKind::Internal,
        }
    }
}

/// Whether an answer waits for rows of before the start of a calendar period, which are asked for once in the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling {
    Awaited,
    /// It does not: where they are not known, those that were known before stand in their place, or none.
    /// Somebody is to [settle](Evaluation::settle) them.
    Beside,
}

/// A report as it is asked: with which arguments, over which rows, for whom.
#[derive(Clone, Copy)]
pub struct Evaluation<'e> {
    pub pack: &'e Pack,
    pub report: &'e Report,
    pub arguments: &'e Arguments,
    pub engines: &'e Engines<'e>,
    pub snapshot: &'e Snapshot,
    pub scope: &'e Scope,
    pub settling: Settling,
}

impl Evaluation<'_> {
    /// Looks up what the report's parameters are keys of, as [`answer`](Self::answer) does before all else.
    pub async fn look_up_keys(self) -> Result<(), ReportError> {
        Asked::new(self).look_up_keys().await
    }

    /// Asks for the rows of before calendar periods alone, where they are not kept yet, so that the next answer need
    /// not wait for them.
    pub async fn settle(self) -> Result<(), ReportError> {
        let asked = Asked::new(Self { settling: Settling::Awaited, ..self });
        let leaves = leaves_of(&self.report.response, &Values::of(self.arguments))?;
        let of_before = leaves.into_iter().filter(Leaf::is_of_before);
        try_join_all(of_before.map(|leaf| asked.leaf(leaf))).await?;
        Ok(())
    }

    /// Asks the report's leaves, all over the same rows, and puts its response together. What parameters
    /// are keys of is looked up before.
    pub async fn answer(self) -> Result<Answer, ReportError> {
        let Self { pack, report, arguments, .. } = self;
        let asked = Asked::new(self);
        asked.look_up_keys().await?;
        let values = Values::of(arguments);
        let leaves = leaves_of(&report.response, &values)?;
        let found = try_join_all(leaves.into_iter().map(|leaf| asked.leaf(leaf))).await?;
        let day = pack.schema.calendar.next_boundary(Unit::Day, arguments.as_of());
        let changes_at = found.iter().filter_map(|found| found.changes_at).chain(asked.relations_change_at());
        let changes_at = changes_at.fold(day, Instant::min);
        let is_settled = !found.iter().any(|found| found.is_unsettled);
        let mut assembly = Assembly::default();
        let body = assembly.tree(&report.response, "", &mut Source::whole(found), &values)?;
        if body.is_null()
            && let Some(missing) = asked.missing_of_key()
        {
            return Err(ReportError::Missing(missing));
        }
        let found = assembly.lists();
        let named = report.lists.iter().filter_map(|path| found.iter().find(|list| list.path == *path));
        Ok(Answer { body, lists: named.cloned().collect(), changes_at, is_settled })
    }
}
