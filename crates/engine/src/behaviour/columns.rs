//! The columns of a table that a query touches, and where they are in a batch that holds just those.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
    UInt64Type,
};
use ebbtide_model::query::{Condition, EventSource};
use ebbtide_store::ColumnRef;

use super::membership::Memberships;
use crate::EngineError;

/// Which columns to scan: the tenant, then these.
#[derive(Debug)]
pub(crate) struct Projection {
    declared: Vec<usize>,
    arrivals: Arrivals,
    /// Of properties of actors: what is read of them stands behind what is scanned.
    of_actors: Vec<usize>,
}

/// Whether events of one instant are told apart by when they arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrivals {
    Unread,
    Read,
}

impl Projection {
    pub(crate) fn of(source: &EventSource) -> Self {
        let mut declared = vec![source.time];
        declared.extend(source.actor);
        collect_told(source, &mut declared);
        collect_asked(source, &mut declared);
        declared.extend(source.matchers.iter().filter_map(|matcher| Some(matcher.event.as_ref()?.0)));
        Self::of_columns(source, declared)
    }

    /// What the source's conditions are about.
    pub(crate) fn of_conditions(source: &EventSource) -> Self {
        let mut declared = Vec::new();
        collect_asked(source, &mut declared);
        Self::of_columns(source, declared)
    }

    /// What its events are told by: groups, values and numbers.
    pub(crate) fn of_told(source: &EventSource) -> Self {
        let mut declared = Vec::new();
        collect_told(source, &mut declared);
        Self::of_columns(source, declared)
    }

    fn of_columns(source: &EventSource, mut declared: Vec<usize>) -> Self {
        let mut of_actors = Vec::new();
        if let Some(props) = &source.actor_props {
            of_actors = declared.iter().copied().filter(|column| *column >= props.first).collect();
            declared.retain(|column| *column < props.first);
            declared.extend((!of_actors.is_empty()).then_some(props.actor));
        }
        for columns in [&mut declared, &mut of_actors] {
            columns.sort_unstable();
            columns.dedup();
        }
        Self { declared, arrivals: Arrivals::Unread, of_actors }
    }

    /// The table's own columns, ascending.
    pub(crate) fn declared(&self) -> &[usize] {
        &self.declared
    }

    /// The columns of properties of actors, ascending: they are to be put behind those of a scan.
    pub(crate) fn of_actors(&self) -> &[usize] {
        &self.of_actors
    }

    pub(crate) fn with(mut self, arrivals: Arrivals) -> Self {
        self.arrivals = arrivals;
        self
    }

    /// With these columns besides.
    pub(crate) fn and(mut self, columns: &[usize]) -> Self {
        self.declared.extend_from_slice(columns);
        self.declared.sort_unstable();
        self.declared.dedup();
        self
    }

    /// Where a declared column is in a batch, or one of actors, if it is read.
    pub(crate) fn place(&self, column: usize) -> Option<usize> {
        let declared = self.declared.binary_search(&column).ok().map(|index| index + 1);
        let of_actors = || self.of_actors.binary_search(&column).ok().map(|index| self.scanned() + index);
        declared.or_else(of_actors)
    }

    /// How many columns a scan has.
    fn scanned(&self) -> usize {
        1 + self.declared.len() + usize::from(self.arrivals == Arrivals::Read)
    }

    pub(crate) fn columns(&self) -> Vec<ColumnRef> {
        let declared = self.declared.iter().map(|column| ColumnRef::Declared(*column));
        let last = (self.arrivals == Arrivals::Read).then_some(ColumnRef::Sequence);
        std::iter::once(ColumnRef::Tenant).chain(declared).chain(last).collect()
    }
}

fn collect_told(source: &EventSource, into: &mut Vec<usize>) {
    let value = source.value.map(|value| value.column);
    into.extend([source.number, value].into_iter().flatten());
    into.extend(source.breakdown.iter().copied().flatten());
}

fn collect_asked(source: &EventSource, into: &mut Vec<usize>) {
    collect(&source.filters, into);
    source.matchers.iter().for_each(|matcher| collect(&matcher.filters, into));
}

fn collect(conditions: &[Condition], into: &mut Vec<usize>) {
    for condition in conditions {
        match condition {
            Condition::Any(inner) | Condition::All(inner) => collect(inner, into),
            Condition::Column(column, _) => into.push(*column),
            Condition::Cohort(test) => into.push(test.column),
            // It has its column in a bound query.
            Condition::OfActor(..) => {}
        }
    }
}

/// A batch of a projection.
pub(crate) struct Columns<'a> {
    projection: &'a Projection,
    batch: &'a RecordBatch,
    /// Who is in the cohorts that are asked about.
    pub(crate) memberships: &'a Memberships,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(
        projection: &'a Projection,
        batch: &'a RecordBatch,
        memberships: &'a Memberships,
    ) -> Self {
        Self { projection, batch, memberships }
    }

    pub(crate) fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    pub(crate) fn tenant(&self) -> Result<Tenants<'a>, EngineError> {
        Tenants::of(self.batch.column(0))
    }

    /// A column by its index among the declared ones.
    pub(crate) fn declared(&self, column: usize) -> Result<&'a ArrayRef, EngineError> {
        let array = self.projection.place(column).and_then(|place| self.batch.columns().get(place));
        array.ok_or_else(|| EngineError::Layout { found: format!("no column {column}") })
    }

    /// By row; empty where they are not read.
    pub(crate) fn arrivals(&self) -> Result<&'a [u64], EngineError> {
        if self.projection.arrivals == Arrivals::Unread {
            return Ok(&[]);
        }
        let array = self.batch.column(self.projection.scanned() - 1);
        let arrivals = array.as_primitive_opt::<UInt64Type>();
        arrivals.map(|arrivals| arrivals.values().as_ref()).ok_or_else(|| unexpected(array))
    }

    pub(crate) fn times(&self, column: usize) -> Result<Times<'a>, EngineError> {
        let array = self.declared(column)?;
        let times = array.as_primitive_opt::<TimestampMicrosecondType>();
        times.map(|times| Times { times }).ok_or_else(|| unexpected(array))
    }
}

/// A column by the type that it was declared with.
#[derive(Clone, Copy)]
pub(crate) enum Typed<'a> {
    Bool(&'a BooleanArray),
    Int(&'a Int64Array),
    Float(&'a Float64Array),
    Decimal(&'a Decimal128Array),
    Text(&'a StringArray),
    Timestamp(&'a TimestampMicrosecondArray),
    Date(&'a Date32Array),
}

impl<'a> Typed<'a> {
    pub(crate) fn of(array: &'a ArrayRef) -> Result<Self, EngineError> {
        let typed = array
            .as_string_opt()
            .map(Self::Text)
            .or_else(|| array.as_primitive_opt::<Int64Type>().map(Self::Int))
            .or_else(|| array.as_primitive_opt::<TimestampMicrosecondType>().map(Self::Timestamp))
            .or_else(|| array.as_primitive_opt::<Float64Type>().map(Self::Float))
            .or_else(|| array.as_primitive_opt::<Decimal128Type>().map(Self::Decimal))
            .or_else(|| array.as_boolean_opt().map(Self::Bool))
            .or_else(|| array.as_primitive_opt::<Date32Type>().map(Self::Date));
        typed.ok_or_else(|| unexpected(array))
    }
}

/// Texts that are read as codes, as texts; any other column as it is.
pub(crate) fn plain(array: &ArrayRef) -> Result<ArrayRef, EngineError> {
    if array.as_any_dictionary_opt().is_none() {
        return Ok(array.clone());
    }
    cast(array, &DataType::Utf8).map_err(|_| unexpected(array))
}

pub(crate) fn unexpected(array: &ArrayRef) -> EngineError {
    EngineError::Layout { found: array.data_type().to_string() }
}

/// The times of a batch's rows, in microseconds.
pub(crate) struct Times<'a> {
    times: &'a TimestampMicrosecondArray,
}

impl Times<'_> {
    pub(crate) fn at(&self, row: usize) -> Option<i64> {
        self.times.is_valid(row).then(|| self.times.value(row))
    }
}

/// The tenants of a batch's rows.
pub(crate) struct Tenants<'a> {
    keys: &'a [i32],
    names: &'a StringArray,
}

impl<'a> Tenants<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self, EngineError> {
        let dictionary = array.as_dictionary_opt::<Int32Type>().ok_or_else(|| unexpected(array))?;
        let names = dictionary.values().as_string_opt::<i32>().ok_or_else(|| unexpected(array))?;
        Ok(Self { keys: dictionary.keys().values(), names })
    }

    /// The dictionary's key: equal keys of one batch are the same tenant.
    pub(crate) fn code(&self, row: usize) -> i32 {
        self.keys[row]
    }

    pub(crate) fn name(&self, row: usize) -> &'a str {
        usize::try_from(self.keys[row]).map_or("", |key| self.names.value(key))
    }
}
