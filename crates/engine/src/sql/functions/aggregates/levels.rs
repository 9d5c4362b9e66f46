//! How deep an actor's rows go in a `window_funnel`.
//!
//! Rows are taken in order of time, simultaneous ones by condition: first those of which none holds, then
//! those of the first condition, and so on. A row counts once for each condition that it meets. A chain
//! begins at each row of the first condition, and goes on as long as no more than the window has passed
//! since then. The level is that of the deepest chain, unless a mode ends the search before:
//!
//! - `strict_deduplication`: a row of a condition past the first that a chain has met already ends it.
//! - `strict_order`: so does, once there is a chain, a row of no condition, and one of a condition whose
//!   predecessor no chain has met (with `allow_reentry` this one is passed over). In the latter case the
//!   level is that of the conditions met without a gap.
//! - `strict_increase`: each row of a chain is later than the one before.
//! - `strict_once`: each condition of a chain is met by a row of its own. Of simultaneous rows whichever
//!   order helps.

use std::borrow::Cow;

use super::conditions::CONDITIONS_MAX;
use super::modes::Modes;

/// A row's time, and the conditions that hold of it, the first in the lowest bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) micros: i64,
    pub(super) held: u32,
}

impl Row {
    fn meets(&self, condition: usize) -> bool {
        self.held >> condition & 1 == 1
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// At most [`CONDITIONS_MAX`].
    pub(super) conditions: usize,
    pub(super) window_micros: i64,
    pub(super) modes: Modes,
}

impl Rules {
    fn within(&self, first: i64, micros: i64) -> bool {
        micros <= first.saturating_add(self.window_micros)
    }
}

/// What simultaneous rows came to.
enum Step {
    Onwards,
    /// The level of the deepest chain.
    Ended,
    /// The level of the conditions met without a gap.
    Gap,
}

/// The level of an actor's rows, which are put in order.
pub(super) fn level(rules: &Rules, rows: &mut [Row]) -> usize {
    rows.sort_unstable();
    let mut chains = Chains::default();
    for together in rows.chunk_by(|one, other| one.micros == other.micros) {
        let step = if rules.modes.has(Modes::ONCE) {
            chains.take_once(rules, together)
        } else {
            chains.take(rules, together)
        };
        match step {
            Step::Onwards if chains.are_complete(rules) => return rules.conditions,
            Step::Onwards => {}
            Step::Ended => break,
            Step::Gap => return chains.without_gap(),
        }
    }
    chains.deepest()
}

/// The best chain of each length: the one that began last.
#[derive(Clone, Copy, Debug)]
struct Chain {
    /// When it began.
    first: i64,
    /// The time of its last row.
    last: i64,
}

#[derive(Debug, Default)]
struct Chains([Option<Chain>; CONDITIONS_MAX]);

impl Chains {
    /// The best chain whose last condition is that one.
    fn at(&self, condition: usize) -> Option<Chain> {
        self.0.get(condition).copied().flatten()
    }

    fn put(&mut self, condition: usize, chain: Chain) {
        if let Some(place) = self.0.get_mut(condition) {
            *place = Some(chain);
        }
    }

    fn deepest(&self) -> usize {
        self.0.iter().rposition(Option::is_some).map_or(0, |condition| condition + 1)
    }

    fn without_gap(&self) -> usize {
        self.0.iter().position(Option::is_none).unwrap_or(CONDITIONS_MAX)
    }

    fn are_complete(&self, rules: &Rules) -> bool {
        rules.conditions.checked_sub(1).is_some_and(|last| self.at(last).is_some())
    }

    /// What a row of that condition means by itself, whatever the chains that it could lengthen. `None`
    /// where it may lengthen one.
    fn ending(&self, rules: &Rules, condition: usize) -> Option<Step> {
        let before = condition.checked_sub(1)?;
        if rules.modes.has(Modes::DEDUPLICATION) && self.at(condition).is_some() {
            return Some(Step::Ended);
        }
        let gap = rules.modes.has(Modes::ORDER) && self.at(0).is_some() && self.at(before).is_none();
        (gap && !rules.modes.has(Modes::REENTRY)).then_some(Step::Gap)
    }

    fn ended_by_rows_between(&self, rules: &Rules, rows: &[Row]) -> bool {
        rules.modes.tell_rows_between() && self.at(0).is_some() && rows.iter().any(|row| row.held == 0)
    }

    /// Takes simultaneous rows, each of which may serve several conditions.
    fn take(&mut self, rules: &Rules, rows: &[Row]) -> Step {
        if self.ended_by_rows_between(rules, rows) {
            return Step::Ended;
        }
        let Some(micros) = rows.first().map(|row| row.micros) else {
            return Step::Onwards;
        };
        for condition in 0..rules.conditions {
            // A third row is to the second as that is to the first.
            for _ in rows.iter().filter(|row| row.meets(condition)).take(2) {
                if let Some(step) = self.ending(rules, condition) {
                    return step;
                }
                let Some(before) = condition.checked_sub(1) else {
                    self.put(0, Chain { first: micros, last: micros });
                    continue;
                };
                if let Some(chain) = self.at(before)
                    && rules.within(chain.first, micros)
                    && (!rules.modes.has(Modes::INCREASE) || chain.last < micros)
                {
                    self.put(condition, Chain { first: chain.first, last: micros });
                    if condition + 1 == rules.conditions {
                        return Step::Onwards;
                    }
                }
            }
        }
        Step::Onwards
    }
}

impl Chains {
    /// Takes simultaneous rows, each of which may serve one condition of a chain.
    fn take_once(&mut self, rules: &Rules, rows: &[Row]) -> Step {
        if self.ended_by_rows_between(rules, rows) {
            return Step::Ended;
        }
        let Some(micros) = rows.first().map(|row| row.micros) else {
            return Step::Onwards;
        };
        let rows = enough(rules, rows);
        let together = Together { rules, rows: &rows, micros, before: Self(self.0) };
        for condition in 0..rules.conditions {
            if !rows.iter().any(|row| row.meets(condition)) {
                continue;
            }
            if let Some(step) = self.ending(rules, condition) {
                return step;
            }
            let Some(first) = together.first_of_chain(condition, None) else {
                continue;
            };
            let known = self.at(condition).map_or(first, |chain| chain.first.max(first));
            self.put(condition, Chain { first: known, last: micros });
            let is_last = condition + 1 == rules.conditions;
            if !is_last && condition > 0 && rules.modes.has(Modes::DEDUPLICATION) && together.twice(condition)
            {
                return Step::Ended;
            }
        }
        Step::Onwards
    }
}

/// As many of simultaneous rows as can matter: where more rows meet a condition than there are conditions,
/// there is always one to spare for it.
fn enough<'a>(rules: &Rules, rows: &'a [Row]) -> Cow<'a, [Row]> {
    if rows.len() <= rules.conditions + 1 {
        return Cow::Borrowed(rows);
    }
    let mut left = [rules.conditions + 1; CONDITIONS_MAX];
    let matters = |row: &&Row| {
        let mut matters = false;
        for (condition, left) in left.iter_mut().enumerate() {
            if row.meets(condition) && *left > 0 {
                *left -= 1;
                matters = true;
            }
        }
        matters
    };
    rows.iter().filter(matters).copied().collect()
}

/// Simultaneous rows after the chains of earlier ones.
struct Together<'a> {
    rules: &'a Rules,
    rows: &'a [Row],
    micros: i64,
    before: Chains,
}

impl Together<'_> {
    /// When the chain began that one of the rows (the pinned one) ends at that condition: of all that there
    /// are, the last. The rows may serve the conditions before that, too.
    fn first_of_chain(&self, condition: usize, pinned: Option<usize>) -> Option<i64> {
        let mut matching =
            Matching { rows: self.rows, condition, pinned, serves: vec![None; self.rows.len()] };
        let mut best = None;
        for begin in (0..=condition).rev() {
            if !matching.finds_row_for(begin, &mut vec![false; self.rows.len()]) {
                break;
            }
            let first = match begin.checked_sub(1) {
                None => Some(self.micros),
                Some(before) => self.before.at(before).map(|chain| chain.first),
            };
            best = best.max(first.filter(|first| self.rules.within(*first, self.micros)));
            if self.rules.modes.has(Modes::INCREASE) {
                break;
            }
        }
        best
    }

    /// Whether two of the rows could each end a chain there.
    fn twice(&self, condition: usize) -> bool {
        let ends = |row: &usize| self.first_of_chain(condition, Some(*row)).is_some();
        (0..self.rows.len()).filter(ends).take(2).count() == 2
    }
}

/// Which row serves which condition (Kuhn's augmenting paths).
struct Matching<'a> {
    rows: &'a [Row],
    /// Only the pinned row may serve it, if there is one.
    condition: usize,
    pinned: Option<usize>,
    serves: Vec<Option<usize>>,
}

impl Matching<'_> {
    /// Nested as deep as there are conditions.
    fn finds_row_for(&mut self, condition: usize, tried: &mut [bool]) -> bool {
        for (place, row) in self.rows.iter().enumerate() {
            let is_free = condition != self.condition || self.pinned.is_none_or(|pinned| pinned == place);
            let Some(was_tried) = tried.get_mut(place).filter(|_| is_free && row.meets(condition)) else {
                continue;
            };
            if std::mem::replace(was_tried, true) {
                continue;
            }
            let taken_by = self.serves.get(place).copied().flatten();
            if taken_by.is_none_or(|other| self.finds_row_for(other, tried)) {
                if let Some(serves) = self.serves.get_mut(place) {
                    *serves = Some(condition);
                }
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
#[path = "levels_tests.rs"]
mod tests;
