//! The runs of a stream one after the other, each whole: joined where a group of rows ends in the middle of it,
//! and without dead rows. Where neither is the case nothing is copied.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::buffer::ScalarBuffer;
use ebbtide_store::{NO_NAME, SpineCodes, SpineRows, SpineScan, SpineTicks, SpineTimes};

use super::drive::Loaded;
use super::kernel::{Code, CodeRun, RowTimes, Ruler, TickTimes};
use super::key::{Key, KeyColumn, OwnedKey};
use super::load::Actors;
use super::spine::{Bounds, lost};
use super::stream::Stream;
use crate::EngineError;

/// A place in a stream: a run, until there is none.
pub(super) struct Walk<'l> {
    loaded: &'l Loaded<'l>,
    stream: &'l Stream,
    way: Looking<'l>,
    scan: SpineScan,
    group: Option<Group>,
    /// The group after it, if it has been read.
    ahead: Option<Group>,
    run: usize,
    /// Whose the rows are from here on: the next of the group's tenants.
    next_tenant: usize,
    /// The tenant's rank.
    tenant: u32,
    head: Head,
    copied: Option<Copied>,
    times: Vec<i64>,
    codes: Vec<u16>,
}

/// What is known of all rows of a walk.
#[derive(Clone, Copy)]
pub(super) struct Looking<'l> {
    pub(super) bounds: &'l Bounds,
    /// Each microsecond being a tick.
    pub(super) ruler: &'l Ruler,
}

/// As much of an actor as is compared at once: whoever has the lesser head comes first, and most have one of their
/// own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Head {
    tenant: u32,
    /// In the order of keys.
    kind: u8,
    start: u64,
}

impl Head {
    pub(super) fn of((tenant, key): (u32, Key<'_>)) -> Self {
        let (kind, start) = match key {
            Key::Null => (0, 0),
            Key::Int(value) => (1, value.cast_unsigned() ^ (1 << 63)),
            Key::Decimal(_) => (2, 0),
            Key::Text(text) => {
                let mut start = [0; 8];
                let length = text.len().min(start.len());
                start[..length].copy_from_slice(&text.as_bytes()[..length]);
                (3, u64::from_be_bytes(start))
            }
        };
        Self { tenant, kind, start }
    }
}

/// A run that is not in the group as it lies there: its rows are those of the walk's own lists.
struct Copied {
    tenant: u32,
    actor: OwnedKey,
}

/// Rows that lie together.
pub(super) struct Group {
    rows: SpineRows,
    pub(super) actors: KeyColumn,
    form: Form,
    /// Whether all rows are of times that may matter.
    is_in_time: bool,
}

/// How a group's rows lie there.
enum Form {
    /// With codes of one byte.
    Bytes(SpineTicks, ScalarBuffer<u8>, Ruler),
    Shorts(SpineTicks, ScalarBuffer<u16>, Ruler),
    Whole(ScalarBuffer<i64>, ScalarBuffer<u16>),
}

/// Rows of whichever form.
#[derive(Clone, Copy)]
pub(super) enum AnyRun<'a> {
    Bytes(CodeRun<'a, TickTimes<'a>, u8>),
    Shorts(CodeRun<'a, TickTimes<'a>, u16>),
    Whole(CodeRun<'a, &'a [i64], u16>),
}

impl AnyRun<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(run) => run.codes.len(),
            Self::Shorts(run) => run.codes.len(),
            Self::Whole(run) => run.codes.len(),
        }
    }
}

impl Form {
    fn of(rows: &SpineRows, ruler: &Ruler) -> Self {
        let nameless = || ScalarBuffer::from(vec![0; rows.times.len()]);
        if let SpineTimes::Ticks(times) = &rows.times
            && let Some(ruler) = ruler.in_ticks(times)
        {
            return match &rows.codes {
                codes if codes.is_empty() => Self::Bytes(times.clone(), nameless(), ruler),
                SpineCodes::Byte(codes) => Self::Bytes(times.clone(), codes.clone(), ruler),
                SpineCodes::Short(codes) => Self::Shorts(times.clone(), codes.clone(), ruler),
            };
        }
        let times = match &rows.times {
            SpineTimes::Whole(times) => times.clone(),
            times => (0..times.len()).map(|row| times.at(row)).collect(),
        };
        let codes = match &rows.codes {
            codes if codes.is_empty() => ScalarBuffer::from(vec![0; times.len()]),
            SpineCodes::Short(codes) => codes.clone(),
            codes => ScalarBuffer::from(codes.to_short()),
        };
        Self::Whole(times, codes)
    }
}

impl Group {
    fn new(rows: SpineRows, way: Looking<'_>) -> Result<Self, EngineError> {
        let actors = KeyColumn::of(&rows.actors)?;
        let form = Form::of(&rows, way.ruler);
        let is_in_time = rows.within.0 >= way.bounds.earliest && rows.within.1 <= way.bounds.until;
        Ok(Self { rows, actors, form, is_in_time })
    }

    /// All rows as one run, though they are those of many.
    pub(super) fn all<'a>(&'a self, whole: &'a Ruler) -> AnyRun<'a> {
        let simultaneous = true;
        match &self.form {
            Form::Bytes(times, codes, ruler) => {
                AnyRun::Bytes(CodeRun { times: TickTimes::new(times), codes, simultaneous, ruler })
            }
            Form::Shorts(times, codes, ruler) => {
                AnyRun::Shorts(CodeRun { times: TickTimes::new(times), codes, simultaneous, ruler })
            }
            Form::Whole(times, codes) => {
                AnyRun::Whole(CodeRun { times: times.as_ref(), codes, simultaneous, ruler: whole })
            }
        }
    }

    /// A run of all that there are.
    #[inline]
    pub(super) fn run_of<'a, T: RowTimes, C: Code>(
        &self,
        all: CodeRun<'a, T, C>,
        run: usize,
    ) -> CodeRun<'a, T, C> {
        CodeRun { simultaneous: self.rows.is_simultaneous(run), ..all.part(self.rows.run(run)) }
    }

    fn runs(&self) -> usize {
        self.rows.starts.len()
    }
}

impl<'l> Walk<'l> {
    /// Over some of the rows of a stream.
    pub(super) fn new(
        loaded: &'l Loaded<'l>,
        stream: &'l Stream,
        rows: Range<u32>,
        way: Looking<'l>,
    ) -> Result<Self, EngineError> {
        let part = stream.part.between(rows);
        let mut walk = Self {
            loaded,
            stream,
            way,
            scan: stream.scan(&part).ok_or(EngineError::SpineLost)?,
            group: None,
            ahead: None,
            run: 0,
            next_tenant: 0,
            tenant: 0,
            head: Head::default(),
            copied: None,
            times: Vec::new(),
            codes: Vec::new(),
        };
        walk.next_group()?;
        walk.settle()?;
        Ok(walk)
    }

    /// Of the run at hand, once that was asked for.
    pub(super) fn look(&mut self) {
        self.head = self.id().map(Head::of).unwrap_or_default();
    }

    /// Whose run comes first; both are at hand, and were looked at.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.head.cmp(&other.head).then_with(|| self.id().cmp(&other.id()))
    }

    pub(super) fn is_over(&self) -> bool {
        self.group.is_none() && self.copied.is_none()
    }

    /// The tenant's rank, and the actor.
    #[inline]
    pub(super) fn id(&self) -> Option<(u32, Key<'_>)> {
        match (&self.copied, &self.group) {
            (Some(copied), _) => Some((copied.tenant, copied.actor.as_key())),
            (None, Some(group)) => Some((self.tenant, group.actors.at(self.run))),
            (None, None) => None,
        }
    }

    /// Those of the rows at hand that may matter.
    pub(super) fn run(&self) -> AnyRun<'_> {
        let Looking { bounds, ruler } = self.way;
        match (&self.copied, &self.group) {
            (None, Some(group)) => {
                let run = self.run;
                match group.all(ruler) {
                    AnyRun::Bytes(all) => AnyRun::Bytes(bounds.within(group.run_of(all, run))),
                    AnyRun::Shorts(all) => AnyRun::Shorts(bounds.within(group.run_of(all, run))),
                    AnyRun::Whole(all) => AnyRun::Whole(bounds.within(group.run_of(all, run))),
                }
            }
            (Some(_), _) | (None, None) => {
                let (times, codes) = (self.times.as_slice(), self.codes.as_slice());
                let simultaneous = has_pairs(times);
                AnyRun::Whole(bounds.within(CodeRun { times, codes, simultaneous, ruler }))
            }
        }
    }

    /// Runs from this one on, all of one tenant, that may be taken as they lie there; none where this one may not.
    pub(super) fn plain_runs(&self) -> Option<(&Group, Range<usize>)> {
        let group = self.group.as_ref().filter(|group| group.is_in_time && group.rows.alive.is_none())?;
        if self.copied.is_some() {
            return None;
        }
        let next = group.rows.tenants.get(self.next_tenant);
        let end = next
            .map_or(group.runs(), |(_, own)| group.rows.starts.partition_point(|start| *start < own.start));
        // The last one may go on in the next group.
        let runs = self.run..end.min(group.runs() - 1);
        (!runs.is_empty()).then_some((group, runs))
    }

    /// Goes on to a run of the same group.
    pub(super) fn skip_to(&mut self, run: usize) -> Result<(), EngineError> {
        self.run = run;
        self.settle()
    }

    #[inline]
    pub(super) fn advance(&mut self) -> Result<(), EngineError> {
        self.copied = None;
        self.run += 1;
        self.settle()
    }

    /// Goes on to the next run that has rows, if this one has none.
    fn settle(&mut self) -> Result<(), EngineError> {
        while let Some(group) = &self.group {
            if self.run == group.runs() {
                self.next_group()?;
                continue;
            }
            if self.loaded.actors == Actors::Required && group.actors.at(self.run) == Key::Null {
                self.run += 1;
                continue;
            }
            self.find_tenant();
            let is_last = self.group.as_ref().is_some_and(|group| self.run + 1 == group.runs());
            if is_last {
                self.look_ahead()?;
            }
            let Some(group) = &self.group else { return Ok(()) };
            let goes_on = is_last && self.goes_on(group);
            if !goes_on && group.rows.alive.is_none() {
                return Ok(());
            }
            self.copy(goes_on)?;
            if !self.times.is_empty() {
                return Ok(());
            }
            self.copied = None;
            self.run += 1;
        }
        Ok(())
    }

    fn next_group(&mut self) -> Result<(), EngineError> {
        self.look_ahead()?;
        self.group = self.ahead.take();
        (self.run, self.next_tenant) = (0, 0);
        Ok(())
    }

    fn look_ahead(&mut self) -> Result<(), EngineError> {
        while self.ahead.is_none() {
            let Some(rows) = self.scan.next() else { return Ok(()) };
            let rows = self.stream.refined(rows.map_err(lost)?)?;
            if !rows.starts.is_empty() {
                self.ahead = Some(Group::new(rows, self.way)?);
            }
        }
        Ok(())
    }

    /// The rank of the tenant whose run it is.
    fn find_tenant(&mut self) {
        let Some(Group { rows, .. }) = &self.group else { return };
        let start = rows.starts.get(self.run).copied().unwrap_or(0);
        while let Some((name, own)) = rows.tenants.get(self.next_tenant)
            && own.start <= start
        {
            let rank = self.loaded.tenants.binary_search_by(|tenant| (**tenant).cmp(name)).unwrap_or(0);
            self.tenant = u32::try_from(rank).unwrap_or(u32::MAX);
            self.next_tenant += 1;
        }
    }

    /// Whether the group ahead begins with more rows of the last run's actor.
    fn goes_on(&self, group: &Group) -> bool {
        let Some(ahead) = &self.ahead else { return false };
        let own = group.rows.tenants.last().map(|(name, _)| name);
        let theirs = ahead.rows.tenants.first().map(|(name, _)| name);
        own == theirs && group.actors.at(group.runs() - 1) == ahead.actors.at(0)
    }

    /// Copies the living rows of the run, and of its continuations in the groups after.
    fn copy(&mut self, mut goes_on: bool) -> Result<(), EngineError> {
        self.times.clear();
        self.codes.clear();
        let actor = self.group.as_ref().map_or(Key::Null, |group| group.actors.at(self.run)).to_owned();
        self.copied = Some(Copied { tenant: self.tenant, actor });
        self.append();
        while goes_on {
            self.next_group()?;
            self.find_tenant();
            self.append();
            self.look_ahead()?;
            goes_on = self.group.as_ref().is_some_and(|group| group.runs() == 1 && self.goes_on(group));
        }
        Ok(())
    }

    fn append(&mut self) {
        let Some(group) = &self.group else { return };
        for row in group.rows.run(self.run) {
            if group.rows.alive.as_ref().is_none_or(|alive| alive.value(row)) {
                self.times.push(group.rows.times.at(row));
                self.codes.push(group.rows.codes.get(row).unwrap_or(NO_NAME));
            }
        }
    }
}

/// Whether two times, one after the other, are the same.
pub(super) fn has_pairs(times: &[i64]) -> bool {
    times.windows(2).any(|pair| pair[0] == pair[1])
}
