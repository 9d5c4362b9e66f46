//! A dropoff answered from what is kept of it, brought up to date by the rows and the time that came since.

use ebbtide_model::Instant;
use ebbtide_model::query::{BoundQuery, Dropoff, DropoffList, EventSource, Kind};
use ebbtide_store::{TableRead, TableView};
use hashbrown::HashSet;

use super::Asking;
use crate::EngineError;
use crate::answer::{Answer, Outcome};
use crate::behaviour::columns::{Arrivals, Projection};
use crate::behaviour::drive::{Loaded, Loading};
use crate::behaviour::dropoff::DropoffFold;
use crate::behaviour::load::Actors;
use crate::behaviour::standing::{Shape, SourceKind, StandingDropoff};

/// What became of a question to something that is kept.
pub(crate) enum Stood {
    WentOn(Answer),
    /// What is kept was made from all rows.
    Began(Answer),
    /// It is asked as of an earlier moment, or of earlier rows, than what is kept.
    Behind,
    /// What it needs would be too much, or cannot be kept up to date.
    Unfit,
}

/// The dropoff of a query that can be kept up to date: what its answer needs of each session does not grow with
/// the session.
pub(crate) fn standing_dropoff(query: &BoundQuery) -> Option<&Dropoff> {
    let Kind::Dropoff(dropoff) = &query.query.kind else { return None };
    (dropoff.list == DropoffList::Steps && query.extra_tables.is_empty()).then_some(dropoff)
}

impl Asking<'_> {
    /// Brings what is kept up to the moment and the rows of this question, or makes it anew where rows that it was
    /// made of are gone; and answers from it.
    pub(crate) fn stand(
        &mut self,
        dropoff: &Dropoff,
        kept: &mut Option<StandingDropoff>,
        bytes_max: usize,
    ) -> Result<Stood, EngineError> {
        if self.is_told_by_others() {
            *kept = None;
            return Ok(Stood::Unfit);
        }
        let shape = self.shape();
        if kept.as_ref().is_some_and(|kept| !kept.has_shape(&shape)) {
            *kept = None;
        }
        if let Some(kept) = kept.as_ref()
            && self.is_behind(kept)?
        {
            return Ok(Stood::Behind);
        }
        let news = kept.as_ref().map(|kept| self.news(kept)).transpose()?.flatten();
        let is_news = news.is_some();
        let views = news.map_or_else(|| self.views(), Ok)?;
        let loaded = self.load_apart(&views)?;
        // From here on nothing stops midway.
        let known = kept.take().filter(|_| is_news);
        let mut standing = known.unwrap_or_else(|| StandingDropoff::new(dropoff, shape));
        standing.pass_to(self.as_of.micros());
        for (index, loaded) in loaded.iter().enumerate() {
            if let Some(loaded) = loaded {
                standing.take(self.kind_of(dropoff, index), loaded);
            }
            if standing.bytes() > bytes_max {
                return Ok(Stood::Unfit);
            }
        }
        standing.set_reads(views.iter().map(TableView::read).collect());
        let outcome = Outcome::Dropoff(self.dropoff_answer(dropoff, &standing.reckoned()));
        *kept = Some(standing);
        let answer = self.told(outcome)?;
        Ok(if is_news { Stood::WentOn(answer) } else { Stood::Began(answer) })
    }

    /// Whether who an actor is or what is known of it counts: that is read with each question.
    pub(super) fn is_told_by_others(&self) -> bool {
        let is_joined = |source: &EventSource| self.joined.of(source).is_some();
        let tests_cohorts = |source: &EventSource| !source.cohort_tests().is_empty();
        self.query.sources.iter().any(|source| is_joined(source) || tests_cohorts(source))
    }

    pub(super) fn shape(&self) -> Shape {
        let column = |source: &EventSource, index: usize| {
            let table = self.snapshot.app().table(&source.table);
            (index, table.and_then(|table| table.columns.get(index).cloned()))
        };
        let columns = |source: &EventSource| {
            Projection::of(source).declared().iter().map(|index| column(source, *index)).collect()
        };
        self.query.sources.iter().map(columns).collect()
    }

    pub(super) fn kind_of(&self, dropoff: &Dropoff, source: usize) -> SourceKind {
        let by_session = usize::from(dropoff.session.prop.is_some());
        if source > by_session {
            return SourceKind::Latency(source - by_session - 1);
        }
        let has_user = self.query.sources.get(source).is_some_and(|source| source.value.is_some());
        if has_user { SourceKind::Sessions } else { SourceKind::Actors }
    }

    fn is_behind(&self, kept: &StandingDropoff) -> Result<bool, EngineError> {
        let mut behind = self.as_of.micros() < kept.now();
        for (source, read) in self.query.sources.iter().zip(kept.reads()) {
            behind |= self.snapshot.version(self.scope, &source.table)? < read.version();
        }
        Ok(behind)
    }

    fn news(&self, kept: &StandingDropoff) -> Result<Option<Vec<TableView>>, EngineError> {
        self.arrived(kept.reads())
    }

    /// By source, the rows that came since they were read so; `None` where some are gone.
    pub(super) fn arrived(&self, reads: &[TableRead]) -> Result<Option<Vec<TableView>>, EngineError> {
        let sources = self.query.sources.iter().zip(reads);
        let views =
            sources.map(|(source, read)| self.snapshot.arrived_since(self.scope, &source.table, *read));
        Ok(views.collect::<Result<Option<Vec<_>>, _>>()?)
    }

    pub(super) fn views(&self) -> Result<Vec<TableView>, EngineError> {
        let view = |source: &EventSource| Ok(self.snapshot.table(self.scope, &source.table)?);
        self.query.sources.iter().map(view).collect()
    }

    /// The marked events of each source's rows, those of all times; `None` where there are none.
    fn load_apart(&self, views: &[TableView]) -> Result<Vec<Option<Loaded<'_>>>, EngineError> {
        let sources = self.query.sources.iter().zip(views);
        sources.map(|(source, view)| self.load_whole(source, view)).collect()
    }

    /// The same of one source.
    pub(super) fn load_whole(
        &self,
        source: &EventSource,
        view: &TableView,
    ) -> Result<Option<Loaded<'_>>, EngineError> {
        if view.parts().is_empty() {
            return Ok(None);
        }
        let times = DropoffFold::times(self.query, Instant::from_micros(i64::MAX));
        let no_ties = HashSet::new();
        let actors = if source.actor.is_some() { Actors::Required } else { Actors::Ignored };
        let loading = Loading { arrivals: Arrivals::Read, ..self.loading(&times, actors, &no_ties) };
        loading.load_views(&[(source, view.clone())]).map(Some)
    }
}
