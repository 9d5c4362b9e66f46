//! The retention fold: an actor's start events put it in rows, its return events in their cells.

mod pieces;

use std::ops::Range;

use ebbtide_model::query::{BoundQuery, CellZero, Cohorts, RETENTION_PERIODS_MAX, Retention, Window};
use ebbtide_model::{Fault, Instant, Unit};

use super::direct::first_row;
use super::fold::{Actor, Fold, Run};
use super::kernel::{ByCode, Code, CodeRun, Kernel, Meaning, RowTimes, Ruler, Taken, first_from};
use super::key::OwnedKey;
use super::load::Times;
use super::wire::wire;
use pieces::Noted;

/// Actors that are listed in a row of cohort members, at most.
pub(crate) const MEMBERS_MAX: usize = 100_000;
/// Cells over all groups, at most: about sixty bytes each while they are answered.
const CELLS_MAX: usize = 2_500_000;
/// As many cells does a row weigh besides its own.
const ROW_CELLS: usize = 40;

/// A retention's definition in numbers.
#[derive(Debug)]
pub(crate) struct RetentionFold {
    /// Starts of the periods, and the end of the last one, in microseconds.
    pub(crate) bounds: Vec<i64>,
    pub(crate) columns: usize,
    cohorts: Cohorts,
    min_occurrences: u32,
    cumulative: bool,
    cell_zero: CellZero,
    /// The length of a rolling period in microseconds; `None`: calendar periods.
    pub(crate) rolling: Option<i64>,
    groups: usize,
    list_actors: bool,
}

/// Counts of one group, or of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grid {
    /// By row.
    pub(crate) sizes: Vec<u64>,
    /// By row and column.
    pub(crate) cells: Vec<u64>,
}

/// A member of a row: tenant and actor.
pub(crate) type Member = (Box<str>, OwnedKey);

#[derive(Debug)]
pub(crate) struct RetentionState {
    pub(crate) all: Grid,
    /// By group; empty grids where it has no member.
    pub(crate) groups: Vec<Grid>,
    /// By row.
    pub(crate) members: Vec<Vec<Member>>,
    scratch: Scratch,
}

wire!(Grid { sizes, cells });
wire!(RetentionState { all, groups, members; scratch });

/// What is known of the actor at hand.
#[derive(Debug, Default)]
struct Scratch {
    starts: Vec<Start>,
    /// Periods with return events, ascending, and how many.
    returns: Vec<(usize, u32)>,
    /// Times of return events, where periods roll.
    return_times: Vec<i64>,
    /// Return events by rolling period.
    rolled: Vec<u32>,
    /// Return events by period after the start at hand.
    after: Vec<(usize, u32)>,
    /// Of the pieces so far of an actor who is taken so.
    noted: Noted,
}

#[derive(Clone, Copy, Debug)]
struct Start {
    row: usize,
    time: i64,
    group: u32,
}

impl RetentionFold {
    pub(crate) fn new(query: &BoundQuery, retention: &Retention, as_of: Instant) -> Result<Self, Fault> {
        let rows = retention.periods.unwrap_or(1).max(1) as usize;
        let unit = retention.period;
        let back = i64::try_from(rows - 1).unwrap_or(i64::MAX);
        let from = query.from.unwrap_or_else(|| query.calendar.advance(unit, as_of, -back));
        let mut bounds = vec![query.calendar.floor(unit, from)];
        for row in 0..rows {
            let next = query.calendar.advance(unit, bounds[row], 1);
            if next <= bounds[row] {
                let problem = format!("{from} was given; {rows} periods from there pass the end of time");
                return Err(Fault { path: "from".to_owned(), problem });
            }
            bounds.push(next);
        }
        Ok(Self {
            bounds: bounds.into_iter().map(Instant::micros).collect(),
            columns: retention.columns.unwrap_or(1).max(1) as usize,
            cohorts: retention.cohorts,
            min_occurrences: retention.min_occurrences,
            cumulative: retention.cumulative,
            cell_zero: retention.cell_zero,
            rolling: (retention.window == Window::Rolling).then(|| rolling_micros(unit)),
            groups: 0,
            list_actors: retention.list_actors,
        })
    }

    /// Which events matter: starts of all history where the first one counts; returns from row 0 on.
    pub(crate) fn times(&self, as_of: Instant) -> Times {
        let first = self.bounds[0];
        let starts_since = match self.cohorts {
            Cohorts::Recurring => first,
            Cohorts::FirstTime => i64::MIN,
        };
        let last = self.bounds[self.rows()];
        let span = self.rolling.map_or(0, |period| period.saturating_mul(i64::from(RETENTION_PERIODS_MAX)));
        Times { since: vec![starts_since, first], until: as_of.micros().min(last.saturating_add(span) - 1) }
    }

    /// So many groups are to be told apart.
    pub(crate) fn with_groups(mut self, groups: usize) -> Result<Self, Fault> {
        let cells: usize = (0..self.rows()).map(|row| self.row_cells(row) + ROW_CELLS).sum();
        if groups.saturating_mul(cells) > CELLS_MAX {
            let problem = format!(
                "the property has {groups} values, each with {} rows of up to {} cells; allowed are about {} cells \
                 in all, a row counting for {ROW_CELLS} more: ask for fewer periods, or filter",
                self.rows(),
                self.columns,
                CELLS_MAX
            );
            return Err(Fault { path: "breakdown".to_owned(), problem });
        }
        self.groups = groups;
        Ok(self)
    }

    pub(crate) fn rows(&self) -> usize {
        self.bounds.len() - 1
    }

    /// How many cells a row has.
    pub(crate) fn row_cells(&self, row: usize) -> usize {
        self.columns.min(self.rows() - row)
    }

    fn grid(&self) -> Grid {
        Grid { sizes: vec![0; self.rows()], cells: vec![0; self.rows() * self.columns] }
    }

    /// The period that holds a time, given one that is not after it.
    fn row_of(&self, time: i64, hint: usize) -> Option<usize> {
        if time < self.bounds[0] || time >= self.bounds[self.rows()] {
            return None;
        }
        let mut row = hint;
        while time >= self.bounds[row + 1] {
            row += 1;
        }
        Some(row)
    }

    /// Fills the scratch with the actor's starts and returns. `false`: it is in no row.
    fn read(&self, scratch: &mut Scratch, run: Run<'_>) -> bool {
        scratch.starts.clear();
        scratch.returns.clear();
        scratch.return_times.clear();
        let mut hint = 0;
        let mut first_start = None;
        for index in 0..run.len() {
            let (time, marks) = (run.times[index], run.marks[index]);
            let row = self.row_of(time, hint);
            hint = row.unwrap_or(hint);
            if marks & (1 << BoundQuery::START) != 0 {
                let first = *first_start.get_or_insert(time);
                let counts = self.cohorts == Cohorts::Recurring || first == time;
                match row {
                    Some(row) if counts => scratch.start(Start { row, time, group: run.group(index) }),
                    None if counts && time < self.bounds[0] => return false,
                    _ => {}
                }
            }
            if marks & (1 << BoundQuery::RETURN) != 0 {
                match (self.rolling, row) {
                    (Some(_), _) => scratch.return_times.push(time),
                    (None, Some(row)) => scratch.return_in(row),
                    (None, None) => {}
                }
            }
        }
        !scratch.starts.is_empty()
    }

    fn count(&self, grid: &mut Grid, start: Start, returns: &[(usize, u32)]) {
        grid.sizes[start.row] += 1;
        let cells = self.row_cells(start.row);
        let row = &mut grid.cells[start.row * self.columns..][..cells];
        let enough = |count: u32| count >= self.min_occurrences;
        let zero = || returns.iter().any(|(period, count)| *period == 0 && *count > 0);
        row[0] += u64::from(self.cell_zero == CellZero::Size || zero());
        let later = || returns.iter().filter(|(period, count)| *period > 0 && enough(*count));
        if self.cumulative {
            let last = later().map(|(period, _)| *period).max().unwrap_or(0);
            row.iter_mut().take(last + 1).skip(1).for_each(|cell| *cell += 1);
        } else {
            for (period, _) in later() {
                if let Some(cell) = row.get_mut(*period) {
                    *cell += 1;
                }
            }
        }
    }

    /// Counts the actor for each of its starts.
    fn count_starts(&self, state: &mut RetentionState, scratch: &mut Scratch, actor: Actor<'_>) {
        let starts = std::mem::take(&mut scratch.starts);
        for start in &starts {
            self.returns_after(*start, scratch);
            let returns = &scratch.after;
            self.count(&mut state.all, *start, returns);
            if let Some(group) = state.groups.get_mut(start.group as usize) {
                if group.sizes.is_empty() {
                    *group = self.grid();
                }
                self.count(group, *start, returns);
            }
            if let Some(members) = state.members.get_mut(start.row) {
                // One more than is listed, by which a cut is known.
                if members.len() <= MEMBERS_MAX {
                    members.push((Box::from(actor.tenant), actor.key.to_owned()));
                }
            }
        }
        scratch.starts = starts;
    }

    /// Fills `after`: return events by how many periods after the start they are.
    fn returns_after(&self, start: Start, scratch: &mut Scratch) {
        let Scratch { returns, return_times, rolled, after, .. } = scratch;
        after.clear();
        let Some(period) = self.rolling else {
            let since = returns.iter().filter(|(row, _)| *row >= start.row);
            after.extend(since.map(|(row, count)| (row - start.row, *count)));
            return;
        };
        rolled.clear();
        rolled.resize(self.rows() - start.row, 0);
        let first = return_times.partition_point(|time| *time < start.time);
        for time in &return_times[first..] {
            let elapsed = usize::try_from((time - start.time) / period).unwrap_or(usize::MAX);
            let Some(count) = rolled.get_mut(elapsed) else {
                break;
            };
            *count = count.saturating_add(1);
        }
        after.extend(rolled.iter().copied().enumerate().filter(|(_, count)| *count > 0));
    }
}

impl Scratch {
    /// Only the first start in a row matters; of simultaneous ones, that of the lowest group.
    fn start(&mut self, start: Start) {
        match self.starts.last_mut() {
            Some(last) if last.row == start.row => {
                if last.time == start.time {
                    last.group = last.group.min(start.group);
                }
            }
            _ => self.starts.push(start),
        }
    }

    fn return_in(&mut self, row: usize) {
        match self.returns.last_mut() {
            Some((last, count)) if *last == row => *count = count.saturating_add(1),
            _ => self.returns.push((row, 1)),
        }
    }
}

fn rolling_micros(unit: Unit) -> i64 {
    let days = match unit {
        Unit::Week => 7,
        Unit::Month => 30,
        // Parsing allows no other unit to roll.
        Unit::Day | Unit::Hour | Unit::Quarter | Unit::Year => 1,
    };
    days * Instant::MICROS_PER_DAY
}

impl Fold for RetentionFold {
    type State = RetentionState;

    fn fresh(&self) -> RetentionState {
        RetentionState {
            all: self.grid(),
            groups: vec![Grid::default(); self.groups],
            members: vec![Vec::new(); if self.list_actors { self.rows() } else { 0 }],
            scratch: Scratch::default(),
        }
    }

    fn take(&self, state: &mut RetentionState, actor: Actor<'_>, run: Run<'_>) {
        let mut scratch = std::mem::take(&mut state.scratch);
        if self.read(&mut scratch, run) {
            self.count_starts(state, &mut scratch, actor);
        }
        state.scratch = scratch;
    }

    fn merge(&self, into: &mut RetentionState, other: RetentionState) {
        into.all.merge(&other.all);
        for (own, theirs) in into.groups.iter_mut().zip(&other.groups) {
            own.merge(theirs);
        }
        for (own, theirs) in into.members.iter_mut().zip(other.members) {
            own.extend(theirs);
        }
    }
}

/// What each code is to a retention.
pub(crate) struct RetentionTable {
    codes: ByCode<RetentionCode>,
    /// Whether every event is a start and a return, and of one group.
    uniform: bool,
    /// Whether, besides, nothing is asked of an actor but in which periods it had events from its first one on.
    periods_only: bool,
    starting: Coverage,
    returning: Coverage,
}

/// How many of the codes are something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coverage {
    None,
    Some,
    All,
}

impl Coverage {
    fn of(mut codes: impl Iterator<Item = bool>) -> Self {
        match codes.next() {
            Some(true) if codes.all(|is| is) => Self::All,
            Some(true) => Self::Some,
            Some(false) if codes.any(|is| is) => Self::Some,
            Some(false) | None => Self::None,
        }
    }
}

/// Periods that are kept in one word, where the lowest bit is that of the time before them.
const PERIODS_MAX: usize = PERIOD_BITS - 1;
const PERIOD_BITS: usize = u64::BITS as usize;

#[derive(Clone, Copy, Debug)]
struct RetentionCode {
    starts: bool,
    returns: bool,
    group: u32,
}

impl Kernel for RetentionFold {
    type Table = RetentionTable;

    fn table(&self, meanings: &[Meaning]) -> Option<RetentionTable> {
        if self.rolling.is_some() {
            return None;
        }
        let code = |meaning: &Meaning| RetentionCode {
            starts: meaning.has(BoundQuery::START),
            returns: meaning.has(BoundQuery::RETURN),
            group: meaning.group,
        };
        let codes: Vec<RetentionCode> = meanings.iter().map(code).collect();
        let uniform = self.groups == 0 && codes.iter().all(|code| code.starts && code.returns);
        let periods_only = uniform
            && self.cohorts == Cohorts::FirstTime
            && !self.cumulative
            && self.min_occurrences <= 1
            && !self.list_actors
            && self.rows() <= PERIODS_MAX;
        let unwanted = RetentionCode { starts: false, returns: false, group: 0 };
        let starting = Coverage::of(codes.iter().map(|code| code.starts));
        let returning = Coverage::of(codes.iter().map(|code| code.returns));
        let codes = ByCode::new(codes.into_iter(), unwanted);
        Some(RetentionTable { codes, uniform, periods_only, starting, returning })
    }

    fn ruler(&self) -> Ruler {
        Ruler::new(self.bounds.clone(), 0)
    }

    fn take_codes<T: RowTimes, C: Code>(
        &self,
        state: &mut RetentionState,
        table: &RetentionTable,
        actor: Actor<'_>,
        run: CodeRun<'_, T, C>,
    ) -> Taken {
        if table.periods_only {
            if let Some((first, periods)) = self.periods_of(run.times, run.ruler) {
                self.count_periods(&mut state.all, first, periods);
            }
            return Taken::Whole;
        }
        let mut scratch = std::mem::take(&mut state.scratch);
        scratch.starts.clear();
        scratch.returns.clear();
        let read = if table.uniform {
            self.read_times(&mut scratch, run.times, run.ruler)
        } else {
            self.read_codes(&mut scratch, table, run)
        };
        if read {
            self.count_starts(state, &mut scratch, actor);
        }
        state.scratch = scratch;
        Taken::Whole
    }

    fn takes_pieces(&self) -> bool {
        true
    }

    fn take_piece<T: RowTimes, C: Code>(
        &self,
        state: &mut RetentionState,
        table: &RetentionTable,
        run: CodeRun<'_, T, C>,
    ) {
        self.note_piece(&mut state.scratch.noted, table, run);
    }

    fn end_pieces(&self, state: &mut RetentionState, actor: Actor<'_>) {
        let mut scratch = std::mem::take(&mut state.scratch);
        if self.join_pieces(&mut scratch) {
            self.count_starts(state, &mut scratch, actor);
        }
        state.scratch = scratch;
    }
}

impl RetentionFold {
    /// The period with the first event of all, and by period from there on a bit: whether it has one. `None` where that
    /// is in no period.
    fn periods_of(&self, times: impl RowTimes, ruler: &Ruler) -> Option<(usize, u64)> {
        let (bounds, ticks) = (ruler.bounds.as_slice(), times.ticks());
        let (start, end) = (*bounds.first()?, *bounds.last()?);
        let (first, last) = ((*ticks.first()?).into(), (*ticks.last()?).into());
        if first < start || first >= end {
            return None;
        }
        let rows =
            if last < end { ticks.len() } else { first_row(ticks.len(), |row| ticks[row].into() >= end) };
        // By bound that is passed, the first of which all are.
        let passed = match ruler.pace {
            Some(pace) => bits_of(&ticks[..rows], |tick| pace.passed(bounds, tick.into())),
            None => bits_of(&ticks[..rows], |tick| bounds.partition_point(|bound| *bound <= tick.into())),
        };
        let first = passed.trailing_zeros();
        Some((first as usize - 1, passed >> first))
    }

    /// As [`count`](Self::count), of an actor who had events in these periods.
    fn count_periods(&self, grid: &mut Grid, first: usize, periods: u64) {
        grid.sizes[first] += 1;
        let cells = self.row_cells(first);
        let row = &mut grid.cells[first * self.columns..][..cells];
        for (period, cell) in row.iter_mut().enumerate() {
            *cell += (periods >> period) & 1;
        }
    }

    /// As [`read`](Self::read), where each event is a start and a return: only where periods begin among the
    /// times is looked for.
    fn read_times(&self, scratch: &mut Scratch, times: impl RowTimes, ruler: &Ruler) -> bool {
        let (ticks, bounds) = (times.ticks(), ruler.bounds.as_slice());
        let is_early = |tick: i64| tick < bounds[0];
        if self.cohorts == Cohorts::FirstTime && ticks.first().is_some_and(|tick| is_early((*tick).into())) {
            return false;
        }
        let mut place = first_from(ticks, 0, bounds[0]);
        let (mut row, mut rows_end) = (0, self.rows());
        let tick_at = |place: usize| ticks.get(place).map(|tick| (*tick).into());
        while let Some(tick) = tick_at(place).filter(|tick| *tick < bounds[rows_end]) {
            while tick >= bounds[row + 1] {
                row += 1;
            }
            let next = first_from(ticks, place + 1, bounds[row + 1]);
            if scratch.starts.is_empty() || self.cohorts == Cohorts::Recurring {
                scratch.starts.push(Start { row, time: times.at(place), group: 0 });
                if self.cohorts == Cohorts::FirstTime && !self.cumulative {
                    // Later returns are in no cell.
                    rows_end = (row + self.columns).min(rows_end);
                }
            }
            scratch.returns.push((row, u32::try_from(next - place).unwrap_or(u32::MAX)));
            place = next;
        }
        !scratch.starts.is_empty()
    }

    fn read_codes<T: RowTimes, C: Code>(
        &self,
        scratch: &mut Scratch,
        table: &RetentionTable,
        run: CodeRun<'_, T, C>,
    ) -> bool {
        let (ticks, bounds) = (run.times.ticks(), run.ruler.bounds.as_slice());
        let first_time = self.cohorts == Cohorts::FirstTime;
        let mut first_start = None;
        if first_time {
            let first = run.codes.iter().position(|code| table.codes.get(*code).starts);
            let Some(first) = first.filter(|first| ticks[*first].into() >= bounds[0]) else { return false };
            first_start = Some(first);
        }
        let is_same = |row: usize, other: usize| {
            row == other || run.simultaneous && run.times.at(row) == run.times.at(other)
        };
        self.each_period(ticks, bounds, |row, places| {
            let mut returns = 0_u32;
            for (place, code) in places.clone().zip(&run.codes[places]) {
                let RetentionCode { starts, returns: is_return, group } = table.codes.get(*code);
                // Of a row's starts the first one counts, or one at the same time.
                let may_count = run.simultaneous || scratch.starts.last().is_none_or(|last| last.row != row);
                if starts && may_count && first_start.is_none_or(|first| is_same(first, place)) {
                    scratch.start(Start { row, time: run.times.at(place), group });
                }
                returns = returns.saturating_add(u32::from(is_return));
            }
            if returns > 0 {
                scratch.returns.push((row, returns));
            }
        });
        !scratch.starts.is_empty()
    }

    /// Calls `take` with each period that has rows, and with those, in order of time.
    #[inline]
    fn each_period<X: Copy + Into<i64>>(
        &self,
        ticks: &[X],
        bounds: &[i64],
        mut take: impl FnMut(usize, Range<usize>),
    ) {
        let mut place = first_from(ticks, 0, bounds[0]);
        let (mut row, rows_end) = (0, bounds[self.rows()]);
        let tick_at = |place: usize| ticks.get(place).map(|tick| (*tick).into());
        while let Some(tick) = tick_at(place).filter(|tick| *tick < rows_end) {
            while tick >= bounds[row + 1] {
                row += 1;
            }
            let end = first_from(ticks, place + 1, bounds[row + 1]);
            take(row, place..end);
            place = end;
        }
    }
}

/// A bit for each number that some tick has. Several are made beside each other, so that none waits for the one before.
fn bits_of<X: Copy>(ticks: &[X], number: impl Fn(X) -> usize) -> u64 {
    let bit = |tick: X| 1_u64 << (number(tick) % PERIOD_BITS);
    let (fours, rest) = ticks.as_chunks::<4>();
    let of_fours = fours
        .iter()
        .fold([0; 4], |[a, b, c, d], [e, f, g, h]| [a | bit(*e), b | bit(*f), c | bit(*g), d | bit(*h)]);
    rest.iter().map(|tick| bit(*tick)).chain(of_fours).fold(0, |all, own| all | own)
}

impl Grid {
    fn merge(&mut self, other: &Self) {
        if self.sizes.is_empty() {
            *self = other.clone();
            return;
        }
        for (own, theirs) in self.sizes.iter_mut().zip(&other.sizes) {
            *own += theirs;
        }
        for (own, theirs) in self.cells.iter_mut().zip(&other.cells) {
            *own += theirs;
        }
    }
}
