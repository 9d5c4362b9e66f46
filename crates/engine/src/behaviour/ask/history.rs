//! A dropoff as of a moment that has passed, from what is kept of all moments, where such questions are asked again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use ebbtide_model::query::{BoundQuery, Dropoff, DropoffList, EventSource, Kind, Split, SplitBy, SplitTest};
use ebbtide_model::{Instant, Tenants, Unit, Value};
use ebbtide_store::{ColumnRef, TableRead, TableView};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{Asking, Reckoned};
use crate::EngineError;
use crate::answer::{DropoffAnswer, DropoffSplit};
use crate::behaviour::columns::unexpected;
use crate::behaviour::history::{History, Part, Parting, Reach, named};
use crate::behaviour::key::OwnedKey;

/// Rows come for a while at the end of time: what is made for a moment that is nearer would not last.
const PAST: i64 = 60 * Instant::MICROS_PER_SECOND;

/// So often it is asked as of moments that it does not reach until it is made anew: where rows come as of all times, none
/// lasts.
const MISSED_MAX: u32 = 3;

/// So many questions are known by which was asked before.
const ASKED_MAX: usize = 32;
/// What those of a table are kept as.
const ASKED: &str = "histories that were asked for";

/// Questions of a table by their hash, and of which rows they were asked: what is asked once may never be asked again.
#[derive(Default)]
struct AskedLately(Mutex<VecDeque<(u64, Vec<TableRead>)>>);

/// What is known of a question.
enum Kept {
    /// Of these rows it would be too large.
    TooLarge(Vec<TableRead>),
    Made(Box<History>),
}

impl Asking<'_> {
    /// `None` where the fold over all rows is to answer.
    pub(super) fn answer_of_before(&self, dropoff: &Dropoff) -> Result<Option<DropoffAnswer>, EngineError> {
        let Some(host) = self.query.sources.first().filter(|_| self.may_have_history()) else {
            return Ok(None);
        };
        let what = self.kept_as();
        if let Some(answer) = self.looked_up(dropoff, host, &what)? {
            return Ok(Some(answer));
        }
        let views = self.views()?;
        let reads: Vec<TableRead> = views.iter().map(TableView::read).collect();
        if !self.is_worth_keeping(host, &what, &views, &reads)? {
            return Ok(None);
        }
        let making = self.snapshot.making(self.scope, &host.table, &what)?;
        let _turn = making.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have made it meanwhile.
        if let Some(answer) = self.looked_up(dropoff, host, &what)? {
            return Ok(Some(answer));
        }
        let made = self.history(dropoff, &views)?.map(Box::new);
        let answer = made.as_ref().map(|history| self.was(dropoff, history)).transpose()?;
        let made = made.filter(|history| history.is_small());
        let bytes = made.as_ref().map_or(0, |history| history.bytes());
        let kept = Arc::new(made.map_or(Kept::TooLarge(reads), Kept::Made));
        self.snapshot.keep_derived(self.scope, &host.table, &what, &kept, bytes)?;
        Ok(answer)
    }

    /// Sessions by what tells them apart.
    pub(super) fn parted(&self, dropoff: &Dropoff) -> Result<DropoffAnswer, EngineError> {
        let history = self.history(dropoff, &self.views()?)?;
        Ok(self.split_answer(dropoff, history.as_ref()))
    }

    fn history(&self, dropoff: &Dropoff, views: &[TableView]) -> Result<Option<History>, EngineError> {
        // One after the other, so that memory holds one.
        let sources = self.query.sources.iter().zip(views).enumerate();
        let loaded = sources.map(|(index, (source, view))| {
            Ok((self.kind_of(dropoff, index), self.load_whole(source, view)?))
        });
        let reads = views.iter().map(TableView::read).collect();
        History::of(dropoff, (self.shape(), reads), loaded)
    }

    /// Whether what it asks is the same whoever asks when, and of one tenant.
    fn may_have_history(&self) -> bool {
        matches!(self.scope.tenants(), Tenants::One(_))
            && self.query.extra_tables.is_empty()
            && !self.is_told_by_others()
    }

    /// By all that counts: a query's events may be fewer than its definition says, as where one actor is explained.
    fn kept_as(&self) -> String {
        let mut query = self.query.clone();
        if let Kind::Dropoff(dropoff) = &mut query.query.kind {
            // What is listed is found by what is kept of all.
            dropoff.limit = 1;
            if dropoff.list == DropoffList::Sessions {
                dropoff.list = DropoffList::Steps;
            }
        }
        let BoundQuery { sources, from, to, .. } = &query;
        let told = format!("{}{sources:?}{from:?}{to:?}", query.definition_json());
        format!("history {:032x}", xxh3_128(told.as_bytes()))
    }

    /// The answer from what is kept, if that reaches this moment.
    fn looked_up(
        &self,
        dropoff: &Dropoff,
        host: &EventSource,
        what: &str,
    ) -> Result<Option<DropoffAnswer>, EngineError> {
        let kept: Option<Arc<Kept>> = self.snapshot.derived_before(self.scope, &host.table, what)?;
        let Some(Kept::Made(history)) = kept.as_deref() else { return Ok(None) };
        if !history.has_shape(&self.shape()) || !self.reaches(history)? {
            return Ok(None);
        }
        self.was(dropoff, history).map(Some)
    }

    /// Whether it is asked again, of the same rows or as of a moment after which no rows come.
    fn is_worth_keeping(
        &self,
        host: &EventSource,
        what: &str,
        views: &[TableView],
        reads: &[TableRead],
    ) -> Result<bool, EngineError> {
        let last = views.iter().flat_map(TableView::parts).filter_map(ebbtide_store::Part::time_range);
        let last = last.map(|(_, last)| last).max().unwrap_or(i64::MIN);
        let has_passed = last.saturating_sub(self.as_of.micros()) >= PAST;
        let kept: Option<Arc<Kept>> = self.snapshot.derived_before(self.scope, &host.table, what)?;
        match kept.as_deref() {
            Some(Kept::Made(history)) => Ok(has_passed && history.was_missed() >= MISSED_MAX),
            Some(Kept::TooLarge(of)) if self.arrived(of)?.is_some() => Ok(false),
            Some(Kept::TooLarge(_)) | None => {
                let before = self.note_asked(host, what, reads)?;
                Ok(before.is_some_and(|before| has_passed || before == reads))
            }
        }
    }

    /// Notes that a question is asked, and says of which rows it was before.
    fn note_asked(
        &self,
        host: &EventSource,
        what: &str,
        reads: &[TableRead],
    ) -> Result<Option<Vec<TableRead>>, EngineError> {
        let known: Option<Arc<AskedLately>> = self.snapshot.derived_before(self.scope, &host.table, ASKED)?;
        let lately = match known {
            Some(known) => known,
            None => {
                let made = Arc::<AskedLately>::default();
                let bytes = ASKED_MAX * size_of::<(u64, Vec<TableRead>, [TableRead; 8])>();
                self.snapshot.keep_derived(self.scope, &host.table, ASKED, &made, bytes)?;
                made
            }
        };
        let mut lately = lately.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = xxh3_64(what.as_bytes());
        let place = lately.iter().position(|(other, _)| *other == hash);
        let before = place.and_then(|place| lately.remove(place)).map(|(_, reads)| reads);
        if lately.len() >= ASKED_MAX {
            lately.pop_front();
        }
        lately.push_back((hash, reads.to_vec()));
        Ok(before)
    }

    /// Whether no row has come or gone since that counts as of this moment.
    fn reaches(&self, history: &History) -> Result<bool, EngineError> {
        let Reach { reads, mut until } = history.reach();
        for (source, read) in self.query.sources.iter().zip(&reads) {
            if self.snapshot.version(self.scope, &source.table)? < read.version() {
                return Ok(false);
            }
        }
        let Some(arrived) = self.arrived(&reads)? else { return Ok(false) };
        for (source, view) in self.query.sources.iter().zip(&arrived) {
            for part in view.parts() {
                for batch in part.scan(&[ColumnRef::Declared(source.time)])? {
                    let batch = batch?;
                    let times = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>();
                    let times = times.ok_or_else(|| unexpected(batch.column(0)))?;
                    let first = times.iter().flatten().min().unwrap_or(i64::MAX);
                    until = until.min(first.saturating_sub(1));
                }
            }
        }
        // The next look begins where this one has ended.
        history.set_reach(Reach { reads: arrived.iter().map(TableView::read).collect(), until });
        Ok(self.as_of.micros() <= until)
    }

    fn was(&self, dropoff: &Dropoff, history: &History) -> Result<DropoffAnswer, EngineError> {
        let moment = self.as_of.micros();
        let Some(was) = history.at(moment) else { return Ok(self.split_answer(dropoff, Some(history))) };
        let mut listed = Vec::new();
        if dropoff.list == DropoffList::Sessions
            && let Some(newest) = history.newest(moment, dropoff.limit as usize)
            && newest.since.is_some()
        {
            let sources = self.session_sources(dropoff);
            let state = self.sessions_among(dropoff, sources, (dropoff.limit as usize, Some(&newest)))?;
            listed = state.listed;
        }
        let reckoned = Reckoned {
            counts: &was.counts,
            users: was.users,
            users_at: was.users_at,
            idle_at: was.idle_at,
            listed: &listed,
            took: &was.took,
        };
        Ok(self.dropoff_answer(dropoff, &reckoned))
    }

    /// Of all sources, those that sessions are made of.
    fn session_sources(&self, dropoff: &Dropoff) -> &[EventSource] {
        let count = 1 + usize::from(dropoff.session.prop.is_some());
        self.query.sources.get(..count).unwrap_or(&self.query.sources)
    }

    /// When the first of so many days began, the day of `as_of` the last of them.
    fn days_since(&self, days: u32) -> i64 {
        let calendar = &self.query.calendar;
        let today = calendar.floor(Unit::Day, self.as_of);
        calendar.advance(Unit::Day, today, 1 - i64::from(days)).micros()
    }

    fn split_answer(&self, dropoff: &Dropoff, history: Option<&History>) -> DropoffAnswer {
        let parted = dropoff.splits.as_ref().zip(history).and_then(|(splits, history)| {
            let since = splits.days.map_or(i64::MIN, |days| self.days_since(days));
            let days = splits.by.iter().map(|split| match &split.by {
                SplitBy::Whether(SplitTest::Days(days), _) => Some(self.days_since(*days)),
                SplitBy::Whether(SplitTest::Pause(_) | SplitTest::Mean { .. }, _) | SplitBy::Prop(_) => None,
            });
            let days: Vec<Option<i64>> = days.collect();
            Some((splits, history.parted((since, self.as_of.micros()), splits, &days)?))
        });
        let mut answer =
            DropoffAnswer { splits: Some(Vec::new()), ..self.dropoff_answer(dropoff, &Reckoned::none()) };
        if let Some((splits, parted)) = parted {
            (answer.sessions, answer.converted, answer.active) = (parted.sessions, parted.converted, 0);
            answer.idle_at = parted.changes_at.map(Instant::from_micros);
            let rows = parted.parts.iter().filter_map(|part| Some((splits.by.get(part.split)?, part)));
            answer.splits =
                Some(rows.flat_map(|(split, part)| self.split_rows(dropoff, split, part)).collect());
        }
        answer
    }

    /// All sessions of a value, then those at each step from which one may go on.
    fn split_rows(&self, dropoff: &Dropoff, split: &Split, part: &Part) -> Vec<DropoffSplit> {
        let of_prop = |prop: usize, key: &OwnedKey| {
            let column = |source: &EventSource| {
                self.column_type(&source.table, source.breakdown.get(prop).copied().flatten()?)
            };
            self.query.sources.iter().find_map(column).map_or(Value::Null, |of_type| key.value(of_type))
        };
        let value = named(&part.value, &split.by, of_prop);
        let steps = dropoff.steps.iter().zip(&part.at).enumerate();
        let steps = steps.filter(|(step, (_, at))| *step != dropoff.success && at.sessions > 0);
        let steps = steps.map(|(_, (step, at))| (Some(step.clone()), *at));
        let row = |(step, Parting { sessions, lost })| DropoffSplit {
            split: split.name.clone(),
            value: value.clone(),
            step,
            sessions,
            lost,
        };
        std::iter::once((None, part.all)).chain(steps).map(row).collect()
    }
}
