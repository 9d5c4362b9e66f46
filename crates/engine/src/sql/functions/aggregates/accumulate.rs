//! Exact totals as the engine accumulates them: one by one, by groups, in windows that slide, and of
//! distinct values.

use std::collections::HashSet;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, PrimitiveArray, UInt64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, UInt64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::total::{Addend, Total};

/// What the totals become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Of this type.
    Sum(DataType),
    /// A float.
    Mean,
}

impl Answer {
    fn of<T: Total>(&self, totals: &[T], counts: &[u64]) -> Result<ArrayRef> {
        match self {
            Self::Sum(data_type) => T::sums(totals, counts, data_type),
            Self::Mean => {
                let mean = |(total, count): (&T, &u64)| (*count > 0).then(|| total.mean(*count));
                Ok(Arc::new(totals.iter().zip(counts).map(mean).collect::<Float64Array>()))
            }
        }
    }
}

fn argument<A: Addend>(values: &[ArrayRef]) -> Result<&PrimitiveArray<A>> {
    let values = values.first().and_then(|values| values.as_primitive_opt::<A>());
    values.ok_or_else(|| DataFusionError::Internal("values are not of the type that was planned".to_owned()))
}

/// Totals and counts on their way from another operator.
fn arrived<T: Total>(states: &[ArrayRef]) -> Result<(Vec<T>, &UInt64Array)> {
    let [totals, counts] = states else {
        return Err(DataFusionError::Internal("a total comes with its count".to_owned()));
    };
    let counts = counts.as_primitive_opt::<UInt64Type>();
    let counts = counts.ok_or_else(|| DataFusionError::Internal("a count is a number".to_owned()))?;
    Ok((T::of_states(totals)?, counts))
}

fn states<T: Total>(totals: &[T], counts: Vec<u64>) -> Result<Vec<ArrayRef>> {
    Ok(vec![T::states(totals)?, Arc::new(UInt64Array::from(counts))])
}

/// The total of one group, or of a window.
#[derive(Debug)]
pub(super) struct One<A: Addend> {
    answer: Answer,
    total: A::Total,
    count: u64,
}

impl<A: Addend> One<A> {
    pub(super) fn new(answer: Answer) -> Self {
        Self { answer, total: A::Total::default(), count: 0 }
    }
}

impl<A: Addend> Accumulator for One<A> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in argument::<A>(values)?.iter().flatten() {
            A::add(&mut self.total, value)?;
            self.count += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in argument::<A>(values)?.iter().flatten() {
            A::subtract(&mut self.total, value)?;
            self.count = self.count.saturating_sub(1);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let answer = self.answer.of(std::slice::from_ref(&self.total), &[self.count])?;
        ScalarValue::try_from_array(&answer, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.total.heap_bytes()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = states(std::slice::from_ref(&self.total), vec![self.count])?;
        states.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (totals, counts) = arrived::<A::Total>(states)?;
        for (total, count) in totals.iter().zip(counts.values()) {
            self.total.merge(total)?;
            self.count += count;
        }
        Ok(())
    }
}

/// Totals of many groups.
#[derive(Debug)]
pub(super) struct Groups<A: Addend> {
    answer: Answer,
    totals: Vec<A::Total>,
    counts: Vec<u64>,
    heap_bytes: usize,
}

impl<A: Addend> Groups<A> {
    pub(super) fn new(answer: Answer) -> Self {
        Self { answer, totals: Vec::new(), counts: Vec::new(), heap_bytes: 0 }
    }

    /// Changes a group's total and how many values it counts.
    fn change(
        &mut self,
        group: usize,
        counted: u64,
        change: impl FnOnce(&mut A::Total) -> Result<()>,
    ) -> Result<()> {
        let (Some(total), Some(count)) = (self.totals.get_mut(group), self.counts.get_mut(group)) else {
            return Err(DataFusionError::Internal("a group past the last one".to_owned()));
        };
        let bytes = total.heap_bytes();
        change(total)?;
        // A total may shrink to fewer digits, but keeps the room it took.
        self.heap_bytes += total.heap_bytes().saturating_sub(bytes);
        *count += counted;
        Ok(())
    }

    fn resize(&mut self, groups: usize) {
        self.totals.resize(groups, A::Total::default());
        self.counts.resize(groups, 0);
    }
}

/// Whether a filter lets a row through; null does not.
pub(super) fn passes(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

/// The rows that have a value and that a filter lets through; `None` where all do.
fn counted(nulls: Option<&NullBuffer>, filter: Option<&BooleanArray>) -> Option<BooleanBuffer> {
    let there = nulls.filter(|nulls| nulls.null_count() > 0).map(|nulls| nulls.inner().clone());
    let passing = filter.map(|filter| match filter.nulls() {
        Some(nulls) => filter.values() & nulls.inner(),
        None => filter.values().clone(),
    });
    match (there, passing) {
        (Some(there), Some(passing)) => Some(&there & &passing),
        (there, passing) => there.or(passing),
    }
}

impl<A: Addend> GroupsAccumulator for Groups<A> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.resize(total_num_groups);
        let values = argument::<A>(values)?;
        match counted(values.nulls(), opt_filter) {
            None => {
                for (value, group) in values.values().iter().zip(group_indices) {
                    self.change(*group, 1, |total| A::add(total, *value))?;
                }
            }
            Some(counted) => {
                for row in counted.set_indices() {
                    self.change(group_indices[row], 1, |total| A::add(total, values.value(row)))?;
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (totals, counts) = (emit_to.take_needed(&mut self.totals), emit_to.take_needed(&mut self.counts));
        self.heap_bytes = self.totals.iter().map(Total::heap_bytes).sum();
        self.answer.of(&totals, &counts)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (totals, counts) = (emit_to.take_needed(&mut self.totals), emit_to.take_needed(&mut self.counts));
        self.heap_bytes = self.totals.iter().map(Total::heap_bytes).sum();
        states(&totals, counts)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.resize(total_num_groups);
        let (totals, counts) = arrived::<A::Total>(values)?;
        for ((total, count), group) in totals.iter().zip(counts.values()).zip(group_indices) {
            self.change(*group, *count, |own| own.merge(total))?;
        }
        Ok(())
    }

    /// Every row as a group of its own.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let values = argument::<A>(values)?;
        let (mut totals, mut counts) = (vec![A::Total::default(); values.len()], vec![0; values.len()]);
        for (row, (total, count)) in totals.iter_mut().zip(&mut counts).enumerate() {
            if values.is_valid(row) && passes(opt_filter, row) {
                A::add(total, values.value(row))?;
                *count = 1;
            }
        }
        states(&totals, counts)
    }

    fn size(&self) -> usize {
        self.totals.capacity() * size_of::<A::Total>()
            + self.counts.capacity() * size_of::<u64>()
            + self.heap_bytes
    }
}

/// The total of the distinct values of one group.
#[derive(Debug)]
pub(super) struct Distinct<A: Addend> {
    answer: Answer,
    data_type: DataType,
    keys: HashSet<i128>,
    values: PhantomData<fn() -> A>,
}

impl<A: Addend> Distinct<A> {
    /// `data_type` is that of the values.
    pub(super) fn new(answer: Answer, data_type: DataType) -> Self {
        Self { answer, data_type, keys: HashSet::new(), values: PhantomData }
    }
}

impl<A: Addend> Accumulator for Distinct<A> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.keys.extend(argument::<A>(values)?.iter().flatten().map(A::key));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut one = One::<A>::new(self.answer.clone());
        for value in self.keys.iter().copied().filter_map(A::of_key) {
            A::add(&mut one.total, value)?;
            one.count += 1;
        }
        one.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.keys.capacity() * size_of::<i128>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = self.keys.iter().copied().filter_map(A::of_key);
        let values = PrimitiveArray::<A>::from_iter_values(values).with_data_type(self.data_type.clone());
        let values: Vec<ScalarValue> = (0..values.len())
            .map(|row| ScalarValue::try_from_array(&values, row))
            .collect::<Result<Vec<ScalarValue>>>()?;
        Ok(vec![ScalarValue::List(ScalarValue::new_list_nullable(&values, &self.data_type))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states.first().and_then(|lists| lists.as_list_opt::<i32>());
        let lists =
            lists.ok_or_else(|| DataFusionError::Internal("distinct values are a list".to_owned()))?;
        for list in lists.iter().flatten() {
            self.update_batch(&[list])?;
        }
        Ok(())
    }
}
