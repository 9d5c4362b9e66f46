//! A fold's second way: over the rows of a spine as they lie there, names as small numbers, nothing copied
//! and nothing looked up but what a table says of each code. Both ways feed the same state.

use std::ops::Range;

use ebbtide_store::SpineTicks;

use super::fold::{Actor, Fold};

/// When the rows of a run were: by row a tick, ascending with the times, and the time itself where that has to be
/// known. No time is before another one whose tick is lower.
pub(crate) trait RowTimes: Copy {
    type Tick: Copy + Into<i64>;
    /// No tick is below.
    const LEAST: i64;

    fn ticks(&self) -> &[Self::Tick];

    /// Microseconds since 1970.
    fn at(&self, row: usize) -> i64;

    fn part(self, rows: Range<usize>) -> Self;
}

/// Each microsecond a tick.
impl RowTimes for &[i64] {
    type Tick = i64;
    const LEAST: i64 = i64::MIN;

    #[inline]
    fn ticks(&self) -> &[i64] {
        self
    }

    #[inline]
    fn at(&self, row: usize) -> i64 {
        self[row]
    }

    #[inline]
    fn part(self, rows: Range<usize>) -> Self {
        &self[rows]
    }
}

/// Those of a spine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TickTimes<'a> {
    of: &'a SpineTicks,
    ticks: &'a [u32],
    /// The place of the first one among those.
    first: usize,
}

impl<'a> TickTimes<'a> {
    pub(super) fn new(of: &'a SpineTicks) -> Self {
        Self { of, ticks: of.ticks(), first: 0 }
    }
}

impl RowTimes for TickTimes<'_> {
    type Tick = u32;
    const LEAST: i64 = 0;

    #[inline]
    fn ticks(&self) -> &[u32] {
        self.ticks
    }

    #[inline]
    fn at(&self, row: usize) -> i64 {
        self.of.at(self.first + row)
    }

    #[inline]
    fn part(self, rows: Range<usize>) -> Self {
        Self { of: self.of, ticks: &self.ticks[rows.clone()], first: self.first + rows.start }
    }
}

/// The number that stands for a name.
pub(crate) trait Code: Copy + Eq + 'static {
    fn place(self) -> usize;

    /// `None` where it is none of this type.
    fn of(place: usize) -> Option<Self>;
}

impl Code for u8 {
    #[inline]
    fn place(self) -> usize {
        usize::from(self)
    }

    fn of(place: usize) -> Option<Self> {
        Self::try_from(place).ok()
    }
}

impl Code for u16 {
    #[inline]
    fn place(self) -> usize {
        usize::from(self)
    }

    fn of(place: usize) -> Option<Self> {
        Self::try_from(place).ok()
    }
}

/// All rows of one actor, ascending in time, with those that no matcher wants, also earlier than a matcher's own
/// `since`. Of simultaneous ones any may come first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeRun<'a, T, C> {
    pub(crate) times: T,
    /// By time; what a code means the table knows that was made for the run's codes.
    pub(crate) codes: &'a [C],
    /// Whether some of them may be simultaneous.
    pub(crate) simultaneous: bool,
    /// What the kernel has to compare with, in the run's ticks.
    pub(crate) ruler: &'a Ruler,
}

impl<'a, T: RowTimes, C: Code> CodeRun<'a, T, C> {
    pub(super) fn part(self, rows: Range<usize>) -> Self {
        Self { times: self.times.part(rows.clone()), codes: &self.codes[rows], ..self }
    }
}

/// Times that a kernel compares those of rows with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ruler {
    /// By bound: an event is not before it just where its tick is not.
    pub(crate) bounds: Vec<i64>,
    /// Of two events no more than the window apart the ticks are no more than this apart; of others they may be, too,
    /// unless each microsecond is a tick.
    pub(crate) window: i64,
    /// Of the bounds, where they are even enough.
    pub(crate) pace: Option<Pace>,
}

impl Ruler {
    /// Each microsecond being a tick.
    pub(crate) fn new(bounds: Vec<i64>, window: i64) -> Self {
        Self { pace: Pace::of(&bounds), bounds, window }
    }

    /// In ticks of a spine's; `None` where a bound lies inside a tick, so that ticks do not say who is before it.
    pub(super) fn in_ticks(&self, of: &SpineTicks) -> Option<Self> {
        let bounds = self.bounds.iter().map(|bound| of.from(*bound)).collect::<Option<_>>()?;
        let tick = of.tick_micros();
        let window = self.window / tick + i64::from(self.window % tick > 0);
        let places = self.bounds.iter().map(|bound| of.place(*bound)).collect::<Option<Vec<i64>>>();
        Some(Self { bounds, window, pace: places.and_then(|places| Pace::of(&places)) })
    }
}

/// Bounds that are about evenly apart, so that between which two of them a tick lies takes no search and no branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    origin: i64,
    /// Of their mean distance, times 2^64.
    inverse: u64,
}

impl Pace {
    /// Evenly spaced marks are laid so that none is before its bound, yet before the next one. Then of a tick one knows
    /// how many bounds are not after it but for one, and that one is known, too. `None` where no marks lie so.
    fn of(bounds: &[i64]) -> Option<Self> {
        let (first, last) = (*bounds.first()?, *bounds.last()?);
        let buckets = i64::try_from(bounds.len()).ok()? - 1;
        let length = last.checked_sub(first)?.checked_div(buckets).filter(|length| *length > 1)?;
        let mark = |place: usize| i64::try_from(place).ok()?.checked_mul(length)?.checked_add(first);
        let late = (0..bounds.len()).map(|place| bounds[place].checked_sub(mark(place)?));
        let late = late.collect::<Option<Vec<i64>>>()?.into_iter().max()?;
        let origin = first.checked_add(late)?.checked_sub(length)?;
        let pace = Self { origin, inverse: u64::MAX / length.cast_unsigned() };
        let holds = |(place, ends): (usize, &[i64])| {
            let allowed = place..=place + 1;
            allowed.contains(&pace.near(ends[0])) && allowed.contains(&pace.near(ends[1] - 1))
        };
        bounds.windows(2).enumerate().all(holds).then_some(pace)
    }

    /// By how many bounds a tick is, which is between the first and the last one, or one fewer.
    #[inline]
    fn near(self, tick: i64) -> usize {
        let since = tick.wrapping_sub(self.origin).cast_unsigned();
        #[expect(clippy::cast_possible_truncation, reason = "the upper half of a product")]
        let near = ((u128::from(since) * u128::from(self.inverse)) >> 64) as usize;
        near
    }

    /// How many of the bounds that this is of are not after a tick between the first and the last one.
    #[inline]
    pub(crate) fn passed(self, bounds: &[i64], tick: i64) -> usize {
        let near = self.near(tick);
        near + usize::from(tick >= bounds[near])
    }
}

/// What the events of a code are to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Meaning {
    /// By bit: the matchers that want them.
    pub(crate) marks: u64,
    /// The rank of the breakdown's value, 0 where there are no groups.
    pub(crate) group: u32,
    /// The code of the value that is told apart; [`NO_CODE`](super::load::NO_CODE) where there is none.
    pub(crate) value: u32,
}

impl Meaning {
    pub(crate) fn has(self, bit: u8) -> bool {
        self.marks & (1 << bit) != 0
    }
}

/// What is known of each code: there is an answer for each that could be, so that none needs to be checked.
pub(crate) struct ByCode<T>(Box<[T; CODES]>);

const CODES: usize = 1 << u16::BITS;

impl<T: Copy> ByCode<T> {
    /// In the order of codes; `unknown` for the others.
    pub(crate) fn new(known: impl Iterator<Item = T>, unknown: T) -> Self {
        let mut all: Vec<T> = known.take(CODES).collect();
        all.resize(CODES, unknown);
        Self(Box::<[T; CODES]>::try_from(all).unwrap_or_else(|_| Box::new([unknown; CODES])))
    }

    #[inline]
    pub(crate) fn get(&self, code: impl Code) -> T {
        self.0[code.place()]
    }
}

/// Which codes some matcher wants.
pub(crate) struct Marked {
    codes: ByCode<bool>,
    /// Whether that is all of them.
    pub(crate) all: bool,
}

impl Marked {
    pub(crate) fn new(meanings: &[Meaning]) -> Self {
        let marked = |meaning: &Meaning| meaning.marks != 0;
        Self { codes: ByCode::new(meanings.iter().map(marked), false), all: meanings.iter().all(marked) }
    }

    pub(crate) fn has(&self, code: impl Code) -> bool {
        self.codes.get(code)
    }

    /// Whether one of some rows is wanted.
    pub(crate) fn any(&self, codes: &[impl Code]) -> bool {
        if self.all { !codes.is_empty() } else { codes.iter().any(|code| self.has(*code)) }
    }

    /// The first row that is wanted.
    pub(crate) fn first(&self, codes: &[impl Code]) -> Option<usize> {
        codes.iter().position(|code| self.has(*code))
    }
}

/// Whether a kernel could take a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Whole,
    /// Nothing of it: it is to be taken as a [`Run`](super::fold::Run).
    Not,
}

/// A fold that can take rows of spines directly.
pub(crate) trait Kernel: Fold {
    type Table: Sync;

    /// What is to be known of each code; `None` where the question needs more than that.
    fn table(&self, meanings: &[Meaning]) -> Option<Self::Table>;

    /// What rows will be compared with, each microsecond being a tick.
    fn ruler(&self) -> Ruler;

    /// As [`Fold::take`] of the marked ones among the rows. A run has a row at least, but perhaps no marked one.
    fn take_codes<T: RowTimes, C: Code>(
        &self,
        state: &mut Self::State,
        table: &Self::Table,
        actor: Actor<'_>,
        run: CodeRun<'_, T, C>,
    ) -> Taken;

    /// Whether an actor's rows may be taken piece by piece, in any order of pieces, instead of being brought into one
    /// order first.
    fn takes_pieces(&self) -> bool {
        false
    }

    /// Takes a piece of the actor at hand, under the codes of the table.
    fn take_piece<T: RowTimes, C: Code>(
        &self,
        _state: &mut Self::State,
        _table: &Self::Table,
        _run: CodeRun<'_, T, C>,
    ) {
    }

    /// The actor at hand, of which there were pieces, has no more of them.
    fn end_pieces(&self, _state: &mut Self::State, _actor: Actor<'_>) {}
}

/// The first place from one on whose tick is not before a bound; ticks ascend.
#[inline]
pub(crate) fn first_from<X: Copy + Into<i64>>(ticks: &[X], from: usize, bound: i64) -> usize {
    const STEP: usize = 8;
    let is_before = |tick: &X| (*tick).into() < bound;
    let mut place = from;
    // Where there is much to pass over, one look is enough for several.
    while ticks.get(place + STEP - 1).is_some_and(is_before) {
        place += STEP;
    }
    while ticks.get(place).is_some_and(is_before) {
        place += 1;
    }
    place
}

/// The first row whose tick is not before a bound; not looked for where that is the first of all.
#[inline]
pub(crate) fn first_row_from<T: RowTimes>(times: &T, bound: i64) -> usize {
    if bound <= T::LEAST { 0 } else { first_from(times.ticks(), 0, bound) }
}

/// The bucket of a tick that is inside the bounds; found at once where it is that of the hint or the next.
#[inline]
pub(crate) fn bucket_of(bounds: &[i64], tick: i64, hint: usize) -> usize {
    let is_inside =
        |bucket: usize| bounds.get(bucket + 1).is_some_and(|end| tick < *end) && bounds[bucket] <= tick;
    if is_inside(hint) {
        return hint;
    }
    if is_inside(hint + 1) {
        return hint + 1;
    }
    let after = bounds.partition_point(|bound| *bound <= tick);
    after.saturating_sub(1).min(bounds.len().saturating_sub(2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Bounds as calendars have them, and far less even ones.
        #[test]
        fn a_pace_tells_the_bucket_that_a_search_would_find(
            first in -1_000_000_000_000_i64..1_000_000_000_000,
            length in 1_i64..10_000_000_000,
            spread in 1_i64..20,
            lengths in prop::collection::vec(-10_i64..=10, 1..70),
            places in prop::collection::vec(0.0..1.0, 1..50),
        ) {
            let mut bounds = vec![first];
            for more in lengths {
                let next = bounds.last().unwrap() + (length + length * more * spread / 210).max(1);
                bounds.push(next);
            }
            let last = bounds[bounds.len() - 1];
            let Some(pace) = Pace::of(&bounds) else { return Ok(()) };
            let edges = bounds.iter().flat_map(|bound| [bound - 1, *bound, bound + 1]);
            let inside = places.iter().map(|place| first + ((last - first) as f64 * place) as i64);
            for tick in edges.chain(inside).filter(|tick| (first..last).contains(tick)) {
                prop_assert_eq!(pace.passed(&bounds, tick), bounds.partition_point(|bound| *bound <= tick));
            }
        }
    }

    #[test]
    fn weeks_across_a_change_of_clocks_and_months_have_a_pace() {
        const HOUR: i64 = 3_600_000_000;
        let summed = |hours: &[i64]| {
            hours.iter().fold(vec![0], |mut bounds, hours| {
                bounds.push(bounds[bounds.len() - 1] + hours * HOUR);
                bounds
            })
        };
        assert!(Pace::of(&summed(&[168, 168, 167, 168, 168, 169, 168])).is_some());
        let months = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].map(|days| days * 24);
        assert!(Pace::of(&summed(&months)).is_some());
        assert_eq!(Pace::of(&summed(&[1, 1, 1, 1, 100])), None);
        assert_eq!((Pace::of(&[]), Pace::of(&[5]), Pace::of(&[5, 5])), (None, None, None));
    }
}
