//! What the aggregates over conditions share: which conditions hold of a row, as bits, and their groups
//! as the engine keeps them.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, ColumnarValue, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;

use super::accumulate::passes;
use crate::sql::functions::arguments::refused;

/// As many conditions as a call may have: as many as `ClickHouse` takes, and as a word has bits.
pub(super) const CONDITIONS_MAX: usize = 32;

/// The types that a call's conditions are cast to; `first` is the place of the first one in the call.
pub(super) fn condition_types(name: &str, first: usize, given: &[DataType]) -> Result<Vec<DataType>> {
    if given.is_empty() || given.len() > CONDITIONS_MAX {
        return Err(refused(format!(
            "{name} is given {} conditions; allowed are 1 to {CONDITIONS_MAX}",
            given.len()
        )));
    }
    let condition = |(place, data_type): (usize, &DataType)| match data_type {
        DataType::Boolean | DataType::Null => Ok(DataType::Boolean),
        other => Err(refused(format!(
            "argument {} of {name} is of type {other}; allowed is a condition, which is true or false",
            first + place + 1
        ))),
    };
    given.iter().enumerate().map(condition).collect()
}

/// An argument that is the same in all rows; `None` where it is not known before the first of them.
pub(super) fn constant(argument: Option<&Arc<dyn PhysicalExpr>>) -> Option<ScalarValue> {
    let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
    match argument?.evaluate(&nothing) {
        Ok(ColumnarValue::Scalar(value)) => Some(value),
        Ok(ColumnarValue::Array(_)) | Err(_) => None,
    }
}

/// The conditions of a batch's rows.
pub(super) struct Conditions<'a>(Vec<&'a BooleanArray>);

impl<'a> Conditions<'a> {
    pub(super) fn of(arrays: &'a [ArrayRef]) -> Result<Self> {
        let internal = || DataFusionError::Internal("a condition is no boolean".to_owned());
        let conditions = arrays.iter().map(|array| array.as_boolean_opt().ok_or_else(internal));
        Ok(Self(conditions.collect::<Result<Vec<&BooleanArray>>>()?))
    }

    /// Those that hold of a row, the first in the lowest bit. One that is null does not hold.
    pub(super) fn holding(&self, row: usize) -> u32 {
        let bit = |(place, condition): (usize, &&BooleanArray)| {
            u32::from(condition.is_valid(row) && condition.value(row)) << place
        };
        self.0.iter().enumerate().map(bit).fold(0, |bits, bit| bits | bit)
    }
}

/// Adds a row of a batch to a group.
pub(super) type Add<'a, G> = Box<dyn Fn(&mut G, usize) + 'a>;

/// What an aggregate keeps of a group, and what becomes of it.
pub(super) trait Summary: Debug + Send + Sync + 'static {
    type Group: Clone + Debug + Default + Send + Sync;

    /// What adds rows of a batch.
    fn reader<'a>(&'a self, values: &'a [ArrayRef]) -> Result<Add<'a, Self::Group>>;

    fn answers(&self, groups: &mut [Self::Group]) -> Result<ArrayRef>;

    /// Groups on their way to another operator, and as they arrive.
    fn states(groups: &[Self::Group]) -> Result<Vec<ArrayRef>>;
    fn merger(states: &[ArrayRef]) -> Result<Add<'_, Self::Group>>;

    fn heap_bytes(group: &Self::Group) -> usize;
}

/// The groups of an aggregate.
#[derive(Debug)]
pub(super) struct Groups<S: Summary> {
    summary: S,
    groups: Vec<S::Group>,
    heap_bytes: usize,
}

impl<S: Summary> Groups<S> {
    pub(super) fn new(summary: S) -> Self {
        Self { summary, groups: Vec::new(), heap_bytes: 0 }
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<S::Group> {
        let taken = emit_to.take_needed(&mut self.groups);
        self.heap_bytes = self.groups.iter().map(S::heap_bytes).sum();
        taken
    }
}

/// Has rows of a batch change their groups.
fn change<G>(
    groups: &mut [G],
    heap_bytes: &mut usize,
    bytes: fn(&G) -> usize,
    rows: impl Iterator<Item = (usize, usize)>,
    apply: impl Fn(&mut G, usize),
) -> Result<()> {
    for (row, group) in rows {
        let group = groups.get_mut(group);
        let group = group.ok_or_else(|| DataFusionError::Internal("a group past the last one".to_owned()))?;
        let before = bytes(group);
        apply(group, row);
        *heap_bytes += bytes(group).saturating_sub(before);
    }
    Ok(())
}

impl<S: Summary> GroupsAccumulator for Groups<S> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize_with(total_num_groups, S::Group::default);
        let read = self.summary.reader(values)?;
        let rows = group_indices.iter().copied().enumerate().filter(|(row, _)| passes(opt_filter, *row));
        change(&mut self.groups, &mut self.heap_bytes, S::heap_bytes, rows, read)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let mut groups = self.take(emit_to);
        self.summary.answers(&mut groups)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        S::states(&self.take(emit_to))
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize_with(total_num_groups, S::Group::default);
        let rows = group_indices.iter().copied().enumerate();
        change(&mut self.groups, &mut self.heap_bytes, S::heap_bytes, rows, S::merger(values)?)
    }

    /// Every row as a group of its own.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let mut groups = vec![S::Group::default(); rows];
        let each = (0..rows).map(|row| (row, row)).filter(|(row, _)| passes(opt_filter, *row));
        change(&mut groups, &mut 0, S::heap_bytes, each, self.summary.reader(values)?)?;
        S::states(&groups)
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<S::Group>() + self.heap_bytes
    }
}

/// The one group of an aggregate without GROUP BY, or of a window.
#[derive(Debug)]
pub(super) struct OneGroup<S: Summary> {
    summary: S,
    group: S::Group,
}

impl<S: Summary> OneGroup<S> {
    pub(super) fn new(summary: S) -> Self {
        Self { summary, group: S::Group::default() }
    }
}

impl<S: Summary> Accumulator for OneGroup<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let read = self.summary.reader(values)?;
        let rows = values.first().map_or(0, |values| values.len());
        (0..rows).for_each(|row| read(&mut self.group, row));
        Ok(())
    }

    /// A window asks this again and again.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let answers = self.summary.answers(std::slice::from_mut(&mut self.group))?;
        ScalarValue::try_from_array(&answers, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + S::heap_bytes(&self.group)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = S::states(std::slice::from_ref(&self.group))?;
        states.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let merge = S::merger(states)?;
        let rows = states.first().map_or(0, |states| states.len());
        (0..rows).for_each(|row| merge(&mut self.group, row));
        Ok(())
    }
}
