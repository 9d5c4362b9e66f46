//! A fold's second way: over the rows of a spine as they lie there, names as small numbers, nothing copied
//! and nothing looked up but what a table says of each code. Both ways feed the same state.

use super::fold::{Actor, Fold};

/// All rows of one actor, ascending in time, with those that no matcher wants, also earlier than a matcher's own
/// `since`. Of simultaneous ones any may come first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeRun<'a> {
    /// Microseconds since 1970.
    pub(crate) times: &'a [i64],
    /// By time; what a code means the table knows that was made for the run's codes.
    pub(crate) codes: &'a [u16],
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
    pub(crate) fn get(&self, code: u16) -> T {
        self.0[usize::from(code)]
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

    pub(crate) fn has(&self, code: u16) -> bool {
        self.codes.get(code)
    }

    /// Whether one of some rows is wanted.
    pub(crate) fn any(&self, codes: &[u16]) -> bool {
        if self.all { !codes.is_empty() } else { codes.iter().any(|code| self.has(*code)) }
    }

    /// The first row that is wanted.
    pub(crate) fn first(&self, codes: &[u16]) -> Option<usize> {
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

    /// As [`Fold::take`] of the marked ones among the rows. A run has a row at least, but perhaps no marked one.
    fn take_codes(
        &self,
        state: &mut Self::State,
        table: &Self::Table,
        actor: Actor<'_>,
        run: CodeRun<'_>,
    ) -> Taken;
}

/// The first place from one on whose time is not before a bound; times ascend.
pub(crate) fn first_from(times: &[i64], from: usize, bound: i64) -> usize {
    const STEP: usize = 8;
    let mut place = from;
    // Where there is much to pass over, one look is enough for several.
    while times.get(place + STEP - 1).is_some_and(|time| *time < bound) {
        place += STEP;
    }
    while times.get(place).is_some_and(|time| *time < bound) {
        place += 1;
    }
    place
}
