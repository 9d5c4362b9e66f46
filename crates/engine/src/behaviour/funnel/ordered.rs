//! Ordered funnels in which every name serves one step at most, over the rows of a spine: one look at each row.
//!
//! Of each step only the latest start matters that has come as far: whatever an earlier one could still reach, it
//! can reach as well. So the deepest attempt and when it got there are known after one pass. The attempt that
//! counts is the earliest as deep: it begins with the first start whose window holds that time, since from there
//! on the same events lead there.
//!
//! The pass goes by ticks. Where a window ends within one, it may take an event for in time that is not, and so find an
//! attempt deeper, or earlier, than there is, but never one less deep or later. So what it finds is held against the
//! times of its events; where those say otherwise, which hardly ever is so, the actor is taken event by event.

use ebbtide_model::query::{BoundQuery, StepOrder};

use super::{FunnelFold, FunnelState, MEMBERS_MAX};
use crate::behaviour::fold::Actor;
use crate::behaviour::kernel::{ByCode, Code, CodeRun, Kernel, Meaning, RowTimes, Ruler, Taken};

/// More than the steps that a funnel can have.
const DEPTHS: usize = 32;

/// Rows that are walked without asking how far they lead.
const BLOCK_ROWS: usize = 32;

/// What each code is to an ordered funnel.
pub(crate) struct StepTable {
    /// The step that it serves, from 1 on; 0: none.
    steps: ByCode<u8>,
    /// Whether it counts towards all actors.
    counted: ByCode<bool>,
}

/// How far an actor came, and with which row.
#[derive(Clone, Copy, Debug, Default)]
struct Deepest {
    depth: usize,
    row: usize,
}

impl Kernel for FunnelFold<'_> {
    type Table = StepTable;

    fn table(&self, meanings: &[Meaning]) -> Option<StepTable> {
        let is_plain = self.rules.order == StepOrder::Ordered
            && self.rules.exclusions.is_empty()
            && self.rules.steps < DEPTHS
            && self.marking.first_times.iter().all(Option::is_none)
            && self.attribution.is_none()
            && self.trends.is_none();
        if !is_plain {
            return None;
        }
        let of_steps = ((1_u64 << self.rules.steps) - 1) << BoundQuery::STEP;
        if meanings.iter().any(|meaning| (meaning.marks & of_steps).count_ones() > 1) {
            return None;
        }
        let step = |meaning: &Meaning| {
            let served = (meaning.marks & of_steps) >> BoundQuery::STEP;
            u8::try_from(u64::BITS - served.leading_zeros()).unwrap_or(0)
        };
        Some(StepTable {
            steps: ByCode::new(meanings.iter().map(step), 0),
            counted: ByCode::new(meanings.iter().map(|meaning| meaning.has(BoundQuery::ANY)), false),
        })
    }

    fn ruler(&self) -> Ruler {
        Ruler::new(Vec::new(), self.rules.window)
    }

    fn take_codes<T: RowTimes, C: Code>(
        &self,
        state: &mut FunnelState,
        table: &StepTable,
        actor: Actor<'_>,
        run: CodeRun<'_, T, C>,
    ) -> Taken {
        let Some(deepest) = self.deepest(table, run) else { return Taken::Not };
        if deepest.depth > 1 && !self.retrace(table, run, deepest, &mut state.times) {
            return Taken::Not;
        }
        if self.count_all_actors && run.codes.iter().any(|code| table.counted.get(*code)) {
            state.all_actors += 1;
        }
        self.count_steps(&mut state.all, deepest.depth);
        if deepest.depth > 1 {
            self.count_gaps(&mut state.all, &state.times);
        }
        for members in state.members.iter_mut().take(deepest.depth) {
            if members.len() <= MEMBERS_MAX {
                members.push((Box::from(actor.tenant), actor.key.to_owned()));
            }
        }
        Taken::Whole
    }
}

/// By depth: until when the latest start that has come so far may go on; the least time where none has.
type Deadlines<const STEPS: usize> = [i64; STEPS];

impl FunnelFold<'_> {
    /// `None` where this cannot tell: simultaneous events that lie in another order than that of the steps.
    fn deepest<T: RowTimes, C: Code>(&self, table: &StepTable, run: CodeRun<'_, T, C>) -> Option<Deepest> {
        // So that no deadline is past the end of time.
        let last: i64 = (*run.times.ticks().last()?).into();
        last.checked_add(run.ruler.window)?;
        if run.simultaneous && is_tangled(table, run) {
            return None;
        }
        Some(match self.rules.steps {
            1 => self.deepest_of::<1, T, C>(table, run),
            2 => self.deepest_of::<2, T, C>(table, run),
            3 => self.deepest_of::<3, T, C>(table, run),
            4 => self.deepest_of::<4, T, C>(table, run),
            5 => self.deepest_of::<5, T, C>(table, run),
            6 => self.deepest_of::<6, T, C>(table, run),
            7 | 8 => self.deepest_of::<8, T, C>(table, run),
            _ => self.deepest_of::<DEPTHS, T, C>(table, run),
        })
    }

    /// Which way an event goes is hard to foresee, so a block of rows is walked without any branch; only the one that
    /// leads furthest is walked again to find with which row it does.
    fn deepest_of<const STEPS: usize, T: RowTimes, C: Code>(
        &self,
        table: &StepTable,
        run: CodeRun<'_, T, C>,
    ) -> Deepest {
        let (ticks, window) = (run.times.ticks(), run.ruler.window);
        let mut deadlines: Deadlines<STEPS> = [i64::MIN; STEPS];
        let (mut depth, mut leading) = (0, (deadlines, 0));
        for first in (0..ticks.len()).step_by(BLOCK_ROWS) {
            let before = deadlines;
            let end = (first + BLOCK_ROWS).min(ticks.len());
            for (tick, code) in ticks[first..end].iter().zip(&run.codes[first..end]) {
                step(&mut deadlines, table.steps.get(*code), (*tick).into(), window);
            }
            let own = reached(&deadlines);
            if own > depth {
                (depth, leading) = (own, (before, first));
                if depth == self.rules.steps {
                    break;
                }
            }
        }
        // Of the first step nothing is asked but whether it was reached.
        if depth > 1 {
            let (mut deadlines, first) = leading;
            for (row, (tick, code)) in (first..).zip(ticks[first..].iter().zip(&run.codes[first..])) {
                step(&mut deadlines, table.steps.get(*code), (*tick).into(), window);
                if deadlines[depth - 1] != i64::MIN {
                    return Deepest { depth, row };
                }
            }
        }
        Deepest { depth, row: 0 }
    }

    /// Lists when the attempt that counts has reached each step; `false` where the times of its events do not bear it
    /// out.
    fn retrace<T: RowTimes, C: Code>(
        &self,
        table: &StepTable,
        run: CodeRun<'_, T, C>,
        deepest: Deepest,
        times: &mut Vec<i64>,
    ) -> bool {
        times.clear();
        let first = self.begin(run, deepest.row);
        for (row, code) in (first..=deepest.row).zip(&run.codes[first..]) {
            if usize::from(table.steps.get(*code)) == times.len() + 1 {
                times.push(run.times.at(row));
            }
        }
        times.len() == deepest.depth
    }
}

/// Rows that are passed over with one look.
const LEAP_ROWS: usize = 8;

impl FunnelFold<'_> {
    /// The first row whose window holds a later one.
    fn begin<T: RowTimes, C: Code>(&self, run: CodeRun<'_, T, C>, row: usize) -> usize {
        let ticks = run.times.ticks();
        let last: i64 = ticks[row].into();
        let may_hold = |tick: &T::Tick| last.saturating_sub((*tick).into()) <= run.ruler.window;
        // Few rows lie within a window.
        let mut first = row;
        while first >= LEAP_ROWS && may_hold(&ticks[first - LEAP_ROWS]) {
            first -= LEAP_ROWS;
        }
        let leap = &ticks[first.saturating_sub(LEAP_ROWS)..first];
        first -= leap.iter().filter(|tick| may_hold(tick)).count();
        let begin = run.times.at(row).saturating_sub(self.rules.window);
        while run.times.at(first) < begin {
            first += 1;
        }
        first
    }
}

/// Takes a row that serves a step, counted from 1, or none.
#[inline(always)]
fn step<const STEPS: usize>(deadlines: &mut Deadlines<STEPS>, served: u8, tick: i64, window: i64) {
    // All bits where a deadline is to be taken over, else none: no branch, and nothing that could become one.
    let all = |is_so: bool| -i64::from(is_so);
    for depth in (1..STEPS).rev() {
        let goes_on = (usize::from(served) == depth + 1) & (tick <= deadlines[depth - 1]);
        deadlines[depth] ^= (deadlines[depth] ^ deadlines[depth - 1]) & all(goes_on);
    }
    deadlines[0] ^= (deadlines[0] ^ tick.wrapping_add(window)) & all(served == 1);
}

/// How deep some start has come. None comes to a depth before one has come to that above it.
fn reached<const STEPS: usize>(deadlines: &Deadlines<STEPS>) -> usize {
    deadlines.iter().map(|deadline| usize::from(*deadline != i64::MIN)).sum()
}

/// Whether some simultaneous rows serve steps in another order than that of the steps.
fn is_tangled<T: RowTimes, C: Code>(table: &StepTable, run: CodeRun<'_, T, C>) -> bool {
    let mut latest: (i64, u8) = (i64::MIN, 0);
    run.codes.iter().enumerate().any(|(row, code)| {
        let step = table.steps.get(*code);
        if step == 0 {
            return false;
        }
        let time = run.times.at(row);
        let (last_time, last_step) = std::mem::replace(&mut latest, (time, step));
        time == last_time && step < last_step
    })
}
