//! Ordered funnels in which every name serves one step at most, over the rows of a spine: one look at each row.
//!
//! Of each step only the latest start matters that has come as far: whatever an earlier one could still reach, it
//! can reach as well. So the deepest attempt and when it got there are known after one pass. The attempt that
//! counts is the earliest as deep: it begins with the first start whose window holds that time, since from there
//! on the same events lead there.

use ebbtide_model::query::{BoundQuery, StepOrder};

use super::{FunnelFold, FunnelState, MEMBERS_MAX};
use crate::behaviour::fold::Actor;
use crate::behaviour::kernel::{ByCode, CodeRun, Kernel, Meaning, Taken};

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

    fn take_codes(
        &self,
        state: &mut FunnelState,
        table: &StepTable,
        actor: Actor<'_>,
        run: CodeRun<'_>,
    ) -> Taken {
        let Some(deepest) = self.deepest(table, run) else { return Taken::Not };
        if self.count_all_actors && run.codes.iter().any(|code| table.counted.get(*code)) {
            state.all_actors += 1;
        }
        if deepest.depth == 0 {
            return Taken::Whole;
        }
        let mut found = std::mem::take(&mut state.found);
        self.retrace(table, run, deepest, &mut found.best.times);
        self.count(&mut state.all, &found);
        for (members, _) in state.members.iter_mut().zip(&found.best.times) {
            if members.len() <= MEMBERS_MAX {
                members.push((Box::from(actor.tenant), actor.key.to_owned()));
            }
        }
        state.found = found;
        Taken::Whole
    }
}

/// By depth: until when the latest start that has come so far may go on; the least time where none has.
type Deadlines<const STEPS: usize> = [i64; STEPS];

impl FunnelFold<'_> {
    /// `None` where this cannot tell: simultaneous events that lie in another order than that of the steps.
    fn deepest(&self, table: &StepTable, run: CodeRun<'_>) -> Option<Deepest> {
        // So that no deadline is past the end of time.
        run.times.last()?.checked_add(self.rules.window)?;
        match self.rules.steps {
            1 => self.deepest_of::<1>(table, run),
            2 => self.deepest_of::<2>(table, run),
            3 => self.deepest_of::<3>(table, run),
            4 => self.deepest_of::<4>(table, run),
            5 => self.deepest_of::<5>(table, run),
            6 => self.deepest_of::<6>(table, run),
            7 | 8 => self.deepest_of::<8>(table, run),
            _ => self.deepest_of::<DEPTHS>(table, run),
        }
    }

    /// Which way an event goes is hard to foresee, so a block of rows is walked without any branch; only one that
    /// leads further than before is walked again to find with which row it does.
    fn deepest_of<const STEPS: usize>(&self, table: &StepTable, run: CodeRun<'_>) -> Option<Deepest> {
        let mut deadlines = [i64::MIN; STEPS];
        let mut deepest = Deepest::default();
        let (mut row, mut is_ordered) = (0, false);
        while row < run.times.len() {
            let end = (row + BLOCK_ROWS).min(run.times.len());
            let (times, codes) = (&run.times[row..end], &run.codes[row..end]);
            let before = deadlines;
            for (time, code) in times.iter().zip(codes) {
                self.step(&mut deadlines, table.steps.get(*code), *time);
            }
            let with_next = &run.times[row..(end + 1).min(run.times.len())];
            if !is_ordered && with_next.windows(2).any(|pair| pair[0] == pair[1]) {
                is_ordered = !is_tangled(table, run);
                is_ordered.then_some(())?;
            }
            if reached(&deadlines) > deepest.depth {
                let mut deadlines = before;
                for (place, (time, code)) in times.iter().zip(codes).enumerate() {
                    self.step(&mut deadlines, table.steps.get(*code), *time);
                    let depth = reached(&deadlines);
                    if depth > deepest.depth {
                        deepest = Deepest { depth, row: row + place };
                    }
                }
                if deepest.depth == self.rules.steps {
                    return Some(deepest);
                }
            }
            row = end;
        }
        Some(deepest)
    }

    #[inline(always)]
    fn step<const STEPS: usize>(&self, deadlines: &mut Deadlines<STEPS>, step: u8, time: i64) {
        for depth in (1..STEPS).rev() {
            let goes_on = (usize::from(step) == depth + 1) & (time <= deadlines[depth - 1]);
            deadlines[depth] = if goes_on { deadlines[depth - 1] } else { deadlines[depth] };
        }
        let deadline = time.wrapping_add(self.rules.window);
        deadlines[0] = if step == 1 { deadline } else { deadlines[0] };
    }

    /// When the attempt that counts has reached each step.
    fn retrace(&self, table: &StepTable, run: CodeRun<'_>, deepest: Deepest, times: &mut Vec<i64>) {
        times.clear();
        let last = run.times[deepest.row];
        let mut row = deepest.row;
        if deepest.depth > 1 {
            let begin = last.saturating_sub(self.rules.window);
            row = run.times[..deepest.row].partition_point(|time| *time < begin);
        }
        for (code, time) in run.codes[row..=deepest.row].iter().zip(&run.times[row..]) {
            if usize::from(table.steps.get(*code)) == times.len() + 1 {
                times.push(*time);
            }
        }
    }
}

/// How deep some start has come. None comes to a depth before one has come to that above it.
fn reached<const STEPS: usize>(deadlines: &Deadlines<STEPS>) -> usize {
    deadlines.iter().map(|deadline| usize::from(*deadline != i64::MIN)).sum()
}

/// Whether some simultaneous rows serve steps in another order than that of the steps.
fn is_tangled(table: &StepTable, run: CodeRun<'_>) -> bool {
    let mut latest: (i64, u8) = (i64::MIN, 0);
    run.codes.iter().zip(run.times).any(|(code, time)| {
        let step = table.steps.get(*code);
        if step == 0 {
            return false;
        }
        let (last_time, last_step) = std::mem::replace(&mut latest, (*time, step));
        *time == last_time && step < last_step
    })
}
