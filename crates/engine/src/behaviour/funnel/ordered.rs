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

/// Steps that a funnel can have, and one.
const DEPTHS: usize = 32;

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

impl FunnelFold<'_> {
    /// `None` where simultaneous events lie in another order than that of the steps.
    fn deepest(&self, table: &StepTable, run: CodeRun<'_>) -> Option<Deepest> {
        let (steps, window) = (self.rules.steps, self.rules.window);
        // By depth: until when the latest start that has come so far may go on.
        let mut deadlines = [i64::MIN; DEPTHS];
        let mut deepest = Deepest::default();
        let (mut last_time, mut last_step) = (i64::MIN, 0);
        for (row, (code, time)) in run.codes.iter().zip(run.times).enumerate() {
            let step = usize::from(table.steps.get(*code)) % DEPTHS;
            if step == 0 {
                continue;
            }
            if *time == last_time && step < last_step {
                return None;
            }
            (last_time, last_step) = (*time, step);
            deadlines[0] = time.saturating_add(window);
            let deadline = deadlines[step - 1];
            if *time <= deadline {
                deadlines[step] = deadline;
                if step > deepest.depth {
                    deepest = Deepest { depth: step, row };
                    if step == steps {
                        break;
                    }
                }
            }
        }
        Some(deepest)
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
