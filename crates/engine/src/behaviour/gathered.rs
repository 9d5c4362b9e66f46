//! Events of one actor that come from several places, brought into one order.

use super::fold::Run;
use super::load::{NO_CODE, Number};

/// Several runs of one actor, made into one.
#[derive(Default)]
pub(super) struct Gathered {
    order: Vec<(i64, u64, usize)>,
    pub(super) unsorted: Columns,
    sorted: Columns,
}

/// Events of one actor, by column.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) times: Vec<i64>,
    pub(super) marks: Vec<u64>,
    pub(super) groups: Vec<u32>,
    pub(super) values: Vec<u32>,
    numbers: Vec<Option<Number>>,
    keys: Vec<u32>,
    /// Empty where they do not count.
    arrivals: Vec<u64>,
}

impl Gathered {
    /// What was put into `unsorted`, in order.
    pub(super) fn sorted(&mut self) -> Run<'_> {
        let times = self.unsorted.times.iter().copied();
        self.order.clear();
        let arrival = |index: usize| self.unsorted.arrivals.get(index).copied().unwrap_or(0);
        self.order.extend(times.enumerate().map(|(index, time)| (time, arrival(index), index)));
        self.order.sort_by_key(|(time, arrival, _)| (*time, *arrival));
        self.sorted.clear();
        self.sorted.gather(&self.unsorted, &self.order);
        self.sorted.as_run()
    }
}

impl Columns {
    pub(super) fn clear(&mut self) {
        self.times.clear();
        self.marks.clear();
        self.groups.clear();
        self.values.clear();
        self.numbers.clear();
        self.keys.clear();
        self.arrivals.clear();
    }

    pub(super) fn append(&mut self, run: Run<'_>) {
        self.times.extend_from_slice(run.times);
        self.marks.extend_from_slice(run.marks);
        // Parts of a table without the property have no such column: their events take a place in it.
        extend_aligned(&mut self.groups, run.groups, self.times.len(), 0);
        extend_aligned(&mut self.values, run.values, self.times.len(), NO_CODE);
        extend_aligned(&mut self.numbers, run.numbers, self.times.len(), None);
        extend_aligned(&mut self.keys, run.keys, self.times.len(), NO_CODE);
        self.arrivals.extend_from_slice(run.arrivals);
    }

    fn gather(&mut self, from: &Self, order: &[(i64, u64, usize)]) {
        let indices = || order.iter().map(|(_, _, index)| *index);
        self.times.extend(order.iter().map(|(time, _, _)| *time));
        self.marks.extend(indices().map(|index| from.marks[index]));
        self.groups.extend(indices().filter_map(|index| from.groups.get(index)));
        self.values.extend(indices().filter_map(|index| from.values.get(index)));
        self.numbers.extend(indices().filter_map(|index| from.numbers.get(index)));
        self.keys.extend(indices().filter_map(|index| from.keys.get(index)));
        self.arrivals.extend(indices().filter_map(|index| from.arrivals.get(index)));
    }

    pub(super) fn as_run(&self) -> Run<'_> {
        Run {
            times: &self.times,
            marks: &self.marks,
            groups: &self.groups,
            values: &self.values,
            numbers: &self.numbers,
            keys: &self.keys,
            arrivals: &self.arrivals,
        }
    }
}

/// Appends a run's values to a column, or as many blanks where only other runs have values.
fn extend_aligned<T: Copy>(column: &mut Vec<T>, values: &[T], len: usize, blank: T) {
    if values.is_empty() && column.is_empty() {
        return;
    }
    column.resize(len - values.len(), blank);
    column.extend_from_slice(values);
}
