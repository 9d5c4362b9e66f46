//! The preceding fold: for each `before` event the value of the actor's latest earlier `of` event.

use std::cmp::Ordering;

use ebbtide_model::query::{BoundQuery, Preceding};
use hashbrown::{HashMap, HashSet};

use super::drive::Loaded;
use super::fold::{Actor, Fold, Run};
use super::kernel::{ByCode, Code, CodeRun, Kernel, Meaning, RowTimes, Ruler, Taken, first_row_from};
use super::key::{Key, OwnedKey};
use super::load::{NO_CODE, Times};
use super::wire::wire;

pub(crate) struct PrecedingFold<'l> {
    by_value: bool,
    by_actor: bool,
    /// Earlier `before` events are not asked about.
    since: i64,
    /// Has the values where they are not ranked.
    unranked: Option<&'l Loaded<'l>>,
}

#[derive(Debug, Default)]
pub(crate) struct PrecedingState {
    pub(crate) total: u64,
    /// By code of the value, where that is asked for; [`NO_CODE`]: none, or null. Where values are not ranked,
    /// equal ones may have several codes.
    pub(crate) counts: Counts,
    /// Where they are asked for: by actor, then in the order of values.
    pub(crate) actors: Vec<ActorCount>,
    /// Times of simultaneous events that differ in value, where their keys would have to say which is
    /// the latest.
    pub(crate) ties: HashSet<i64>,
    /// Counts of the actor at hand.
    own: Vec<(u32, u64)>,
}

/// How often each code was met.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// By [place](Self::place), as far as that goes: names have low codes.
    low: Vec<u64>,
    high: HashMap<u32, u64>,
}

impl Counts {
    const PLACES_MAX: usize = 1 << 16;

    /// One after the code, so that [`NO_CODE`] is first.
    fn place(code: u32) -> usize {
        code.wrapping_add(1) as usize
    }

    fn add(&mut self, code: u32, count: u64) {
        let place = Self::place(code);
        if place >= Self::PLACES_MAX {
            *self.high.entry(code).or_default() += count;
            return;
        }
        self.reach(place + 1);
        self.low[place] += count;
    }

    /// Has at least so many low places.
    fn reach(&mut self, places: usize) {
        if places > self.low.len() {
            self.low.resize(places, 0);
        }
    }

    /// The codes that were met.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        let codes = std::iter::once(NO_CODE).chain(0..);
        let low = codes.zip(self.low.iter().copied()).filter(|(_, count)| *count > 0);
        low.chain(self.high.iter().map(|(code, count)| (*code, *count)))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ActorCount {
    pub(crate) tenant: Box<str>,
    pub(crate) actor: OwnedKey,
    pub(crate) value: u32,
    pub(crate) count: u64,
}

wire!(Counts { low, high });
wire!(ActorCount { tenant, actor, value, count });
wire!(PrecedingState { total, counts, actors, ties; own });

/// The `of` events of one time: the one of the highest key, without a key that of the highest value.
#[derive(Clone, Copy)]
struct Latest {
    time: i64,
    key: u32,
    value: u32,
    undecided: bool,
}

impl<'l> PrecedingFold<'l> {
    pub(crate) fn new(preceding: &Preceding, times: &Times) -> Self {
        let since = times.since.get(usize::from(BoundQuery::BEFORE)).copied().unwrap_or(i64::MIN);
        let by_value = preceding.limit != Some(0) && preceding.by.is_none();
        let by_actor = preceding.per_actor || preceding.by.is_some();
        Self { by_value, by_actor, since, unranked: None }
    }

    /// Over events whose values are not ranked. Of simultaneous ones none is the latest then, unless they
    /// are equal: they are ties.
    pub(crate) fn unranked(self, loaded: &'l Loaded<'l>) -> Self {
        Self { unranked: Some(loaded), ..self }
    }

    /// The order of values, null last.
    pub(crate) fn compare(&self, left: u32, right: u32) -> Ordering {
        let Some(loaded) = self.unranked.filter(|_| left != right) else {
            return left.cmp(&right);
        };
        let value = |code| if code == NO_CODE { Key::Null } else { loaded.unranked(code) };
        value(left).cmp_null_last(value(right))
    }

    fn later(&self, left: Latest, right: Latest) -> Latest {
        let unread = |code| code == NO_CODE;
        let undecided = left.undecided
            || right.undecided
            || (unread(left.key) && unread(right.key) && self.compare(left.value, right.value).is_ne());
        // Null is the lowest.
        let place = |latest: &Latest| (latest.key, latest.value.wrapping_add(1));
        let highest = if place(&right) > place(&left) { right } else { left };
        Latest { undecided, ..highest }
    }
}

impl PrecedingFold<'_> {
    /// Adds what was found of an actor, and forgets it.
    fn count(&self, state: &mut PrecedingState, own: &mut Vec<(u32, u64)>, actor: Actor<'_>) {
        if self.by_actor {
            own.sort_unstable_by(|left, right| self.compare(left.0, right.0));
        }
        // Only to one who is told of actors does it matter which codes are of one value.
        let is_same = |left: &(u32, u64), right: &(u32, u64)| match self.by_actor {
            true => self.compare(left.0, right.0).is_eq(),
            false => left.0 == right.0,
        };
        for same in own.chunk_by(is_same) {
            let (value, count) = (same[0].0, same.iter().map(|(_, count)| count).sum::<u64>());
            state.total += count;
            if self.by_value {
                state.counts.add(value, count);
            }
            if self.by_actor {
                let (tenant, actor) = (Box::from(actor.tenant), actor.key.to_owned());
                state.actors.push(ActorCount { tenant, actor, value, count });
            }
        }
        own.clear();
    }
}

impl Fold for PrecedingFold<'_> {
    type State = PrecedingState;

    fn fresh(&self) -> PrecedingState {
        PrecedingState::default()
    }

    fn take(&self, state: &mut PrecedingState, actor: Actor<'_>, run: Run<'_>) {
        let marked = |index: usize, bit: u8| run.marks[index] & (1 << bit) != 0;
        let mut own = std::mem::take(&mut state.own);
        let mut latest: Option<Latest> = None;
        let mut start = 0;
        while let Some(time) = run.times.get(start).copied() {
            let same = run.times[start..].iter().take_while(|other| **other == time).count();
            let instant = start..start + same;
            let counted = instant.clone().filter(|index| marked(*index, BoundQuery::BEFORE)).count() as u64;
            if counted > 0 {
                state.ties.extend(latest.filter(|latest| latest.undecided).map(|latest| latest.time));
                own.push((latest.map_or(NO_CODE, |latest| latest.value), counted));
            }
            let of = instant.filter(|index| marked(*index, BoundQuery::OF)).map(|index| Latest {
                time,
                key: run.key(index),
                value: run.value(index),
                undecided: false,
            });
            latest = of.reduce(|left, right| self.later(left, right)).or(latest);
            start += same;
        }
        self.count(state, &mut own, actor);
        state.own = own;
    }

    fn merge(&self, into: &mut PrecedingState, other: PrecedingState) {
        into.total += other.total;
        other.counts.iter().for_each(|(value, count)| into.counts.add(value, count));
        into.actors.extend(other.actors);
        into.ties.extend(other.ties);
    }
}

/// What each code is to a preceding.
pub(crate) struct PrecedingTable {
    before: ByCode<bool>,
    of: ByCode<bool>,
    values: ByCode<u32>,
    /// Where every event is an `of` event.
    of_all: Option<OfAll>,
}

/// How rows are counted by the one before them, where that is an `of` event whatever it is.
struct OfAll {
    /// The place of each code's value among low counts; `None` where one has none.
    places: Option<ByCode<u16>>,
    /// Past the last of them.
    places_end: usize,
}

impl OfAll {
    fn new(meanings: &[Meaning]) -> Self {
        let places = meanings.iter().map(|meaning| Counts::place(meaning.value));
        let places: Option<Vec<u16>> = places.map(|place| u16::try_from(place).ok()).collect();
        let places_end = places.iter().flatten().max().map_or(0, |last| usize::from(*last)) + 1;
        Self { places: places.map(|places| ByCode::new(places.into_iter(), 0)), places_end }
    }
}

impl Kernel for PrecedingFold<'_> {
    type Table = PrecedingTable;

    fn table(&self, meanings: &[Meaning]) -> Option<PrecedingTable> {
        let bits = |bit: u8| meanings.iter().map(move |meaning| meaning.has(bit));
        Some(PrecedingTable {
            before: ByCode::new(bits(BoundQuery::BEFORE), false),
            of: ByCode::new(bits(BoundQuery::OF), false),
            values: ByCode::new(meanings.iter().map(|meaning| meaning.value), NO_CODE),
            of_all: bits(BoundQuery::OF).all(|of| of).then(|| OfAll::new(meanings)),
        })
    }

    fn ruler(&self) -> Ruler {
        Ruler::new(vec![self.since], 0)
    }

    fn take_codes<T: RowTimes, C: Code>(
        &self,
        state: &mut PrecedingState,
        table: &PrecedingTable,
        actor: Actor<'_>,
        run: CodeRun<'_, T, C>,
    ) -> Taken {
        if let Some(OfAll { places: Some(places), places_end }) = &table.of_all
            && !run.simultaneous
            && self.by_value
            && !self.by_actor
        {
            state.counts.reach(*places_end);
            self.count_neighbours(state, (table, places), run);
            return Taken::Whole;
        }
        let mut own = std::mem::take(&mut state.own);
        let taken = if table.of_all.is_some() {
            self.read_neighbours(table, run, &mut own)
        } else {
            self.read(table, run, &mut own)
        };
        if taken == Taken::Whole {
            self.count(state, &mut own, actor);
        }
        own.clear();
        state.own = own;
        taken
    }
}

/// The rows of one time with an `of` event: one of them, and whether others have another value.
#[derive(Clone, Copy)]
struct LatestRow {
    row: usize,
    undecided: bool,
}

/// Rows of one time that are looked at one by one; more of them are left to the other way.
const TOGETHER_MAX: usize = 32;

impl PrecedingFold<'_> {
    /// Where every event is an `of` event, no two are of one time, and none of the actor's is told apart from others',
    /// each row is counted by the one before it: all of them alike, some for nothing, which costs less than to look
    /// for those that count.
    fn count_neighbours<T: RowTimes, C: Code>(
        &self,
        state: &mut PrecedingState,
        (table, places): (&PrecedingTable, &ByCode<u16>),
        run: CodeRun<'_, T, C>,
    ) {
        let since = run.ruler.bounds.first().copied().unwrap_or(0);
        let first = first_row_from(&run.times, since);
        let counts = |code: &C| u64::from(table.before.get(*code));
        let mut total = 0;
        if first == 0 {
            let first = run.codes.first().map_or(0, counts);
            state.counts.add(NO_CODE, first);
            total += first;
        }
        for pair in run.codes.get(first.saturating_sub(1)..).unwrap_or_default().windows(2) {
            let count = counts(&pair[1]);
            state.counts.low[usize::from(places.get(pair[0]))] += count;
            total += count;
        }
        state.total += total;
    }

    /// Where every event is an `of` event, only the rows right before a `before` event are looked at.
    fn read_neighbours<T: RowTimes, C: Code>(
        &self,
        table: &PrecedingTable,
        run: CodeRun<'_, T, C>,
        own: &mut Vec<(u32, u64)>,
    ) -> Taken {
        let CodeRun { times, codes, .. } = run;
        let since = run.ruler.bounds.first().copied().unwrap_or(0);
        let first = first_row_from(&times, since);
        for (row, _) in codes.iter().enumerate().skip(first).filter(|(_, code)| table.before.get(**code)) {
            let rows_of = |end: usize, time: i64| match run.simultaneous {
                false => 0,
                true => {
                    (0..end).rev().take(TOGETHER_MAX).take_while(|other| times.at(*other) == time).count()
                }
            };
            let Some(latest) = (row - rows_of(row, times.at(row))).checked_sub(1) else {
                own.push((NO_CODE, 1));
                continue;
            };
            let value = table.values.get(codes[latest]);
            let together = rows_of(latest, times.at(latest));
            let undecided =
                || codes[latest - together..latest].iter().any(|code| table.values.get(*code) != value);
            if run.simultaneous && times.at(latest) == times.at(row)
                || together == TOGETHER_MAX
                || undecided()
            {
                return Taken::Not;
            }
            own.push((value, 1));
        }
        Taken::Whole
    }

    /// Values that simultaneous events leave undecided are left to the other way.
    fn read<T: RowTimes, C: Code>(
        &self,
        table: &PrecedingTable,
        run: CodeRun<'_, T, C>,
        own: &mut Vec<(u32, u64)>,
    ) -> Taken {
        // The latest two times that have `of` events: one of them is strictly earlier.
        let (mut latest, mut earlier): (Option<LatestRow>, Option<LatestRow>) = (None, None);
        let value_of = |row: usize| table.values.get(run.codes[row]);
        let is_same = |row: usize, other: usize| run.simultaneous && run.times.at(row) == run.times.at(other);
        for (row, code) in run.codes.iter().enumerate() {
            if table.before.get(*code) && run.times.at(row) >= self.since {
                let found = latest.filter(|latest| !is_same(latest.row, row)).or(earlier);
                if found.is_some_and(|found| found.undecided) {
                    return Taken::Not;
                }
                own.push((found.map_or(NO_CODE, |found| value_of(found.row)), 1));
            }
            if table.of.get(*code) {
                latest = Some(match latest {
                    Some(known) if is_same(known.row, row) => {
                        LatestRow { row, undecided: known.undecided || value_of(known.row) != value_of(row) }
                    }
                    known => {
                        earlier = known;
                        LatestRow { row, undecided: false }
                    }
                });
            }
        }
        Taken::Whole
    }
}
