//! Functions of the request's calendar and moment: `bucket`, `bucket_label`, and what time it is.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use ebbtide_model::{Calendar, ColumnType, Instant, Unit, Value, nearest};

use super::arguments::{evaluated, refused};
use super::parameter::{timestamp, timestamp_type};
use super::periods::{PeriodTable, PeriodTables, unit_and_times};

/// The functions of a request's calendar and of its moment.
pub(in crate::sql) fn calendar_functions(calendar: &Calendar, as_of: Instant) -> Vec<ScalarUDF> {
    let near = vec![DataType::Utf8, timestamp_type()];
    let moved = vec![DataType::Utf8, timestamp_type(), DataType::Int64];
    let bucket = vec![TypeSignature::Exact(near.clone()), TypeSignature::Exact(moved)];
    let moment = |name, aliases: &[&str], value| Moment {
        name,
        aliases: aliases.iter().copied().map(str::to_owned).collect(),
        value,
        signature: Signature::nullary(Volatility::Immutable),
    };
    vec![
        ScalarUDF::from(Bucket {
            calendar: calendar.clone(),
            tables: PeriodTables::default(),
            signature: Signature::one_of(bucket, Volatility::Immutable),
        }),
        ScalarUDF::from(BucketLabel {
            calendar: calendar.clone(),
            tables: PeriodTables::default(),
            signature: Signature::exact(near, Volatility::Immutable),
        }),
        ScalarUDF::from(moment("now", &["current_timestamp"], timestamp(Some(as_of.micros())))),
        ScalarUDF::from(moment("current_date", &["today"], today(calendar, as_of))),
    ]
}

/// The day of a moment.
pub(in crate::sql) fn today(calendar: &Calendar, as_of: Instant) -> ScalarValue {
    let day = Value::from_text(&calendar.label(Unit::Day, as_of), ColumnType::Date);
    ScalarValue::Date32(match day {
        Ok(Value::Date(days)) => Some(days),
        Ok(_) | Err(_) => None,
    })
}

fn unit(name: &str) -> Result<Unit> {
    Unit::from_name(name).ok_or_else(|| {
        let hint = nearest(name, Unit::NAMES).map(|name| format!(" (did you mean {name:?}?)"));
        let allowed = Unit::NAMES.join(", ");
        refused(format!("{name:?} is no calendar unit{}; allowed are {allowed}", hint.unwrap_or_default()))
    })
}

/// Periods that were looked up already. Rows of a batch share a few of them, and finding one in the
/// zone's rules costs much more than finding it here.
struct Periods<'a> {
    calendar: &'a Calendar,
    unit: Unit,
    /// Start → end.
    known: BTreeMap<i64, i64>,
    last: (i64, i64),
    moved: HashMap<(i64, i64), i64>,
}

impl<'a> Periods<'a> {
    fn new(calendar: &'a Calendar, unit: Unit) -> Self {
        Self { calendar, unit, known: BTreeMap::new(), last: (0, 0), moved: HashMap::new() }
    }

    fn start(&mut self, micros: i64) -> i64 {
        // The wall clock's hours are no partition of time where summer time is half an hour.
        if self.unit == Unit::Hour {
            return self.calendar.floor(Unit::Hour, Instant::from_micros(micros)).micros();
        }
        if self.last.0 <= micros && micros < self.last.1 {
            return self.last.0;
        }
        if let Some((start, end)) = self.known.range(..=micros).next_back()
            && micros < *end
        {
            self.last = (*start, *end);
            return *start;
        }
        let start = self.calendar.floor(self.unit, Instant::from_micros(micros));
        let end = self.calendar.advance(self.unit, start, 1).micros();
        self.known.insert(start.micros(), end);
        self.last = (start.micros(), end);
        start.micros()
    }

    fn start_moved(&mut self, micros: i64, offset: i64) -> i64 {
        let start = self.start(micros);
        if offset == 0 {
            return start;
        }
        let (calendar, unit) = (self.calendar, self.unit);
        let advance = || calendar.advance(unit, Instant::from_micros(start), offset).micros();
        *self.moved.entry((start, offset)).or_insert_with(advance)
    }
}

/// Calls `each` for every row with the periods of its unit, which is mostly the same in all rows.
fn by_unit<'a>(
    calendar: &'a Calendar,
    units: &ArrayRef,
    mut each: impl FnMut(usize, Option<&mut Periods<'a>>),
) -> Result<()> {
    let units = units.as_string::<i32>();
    let mut periods: Vec<(String, Periods<'a>)> = Vec::new();
    for row in 0..units.len() {
        if units.is_null(row) {
            each(row, None);
            continue;
        }
        let name = units.value(row);
        let index = match periods.iter().position(|(known, _)| known == name) {
            Some(index) => index,
            None => {
                periods.push((name.to_owned(), Periods::new(calendar, unit(name)?)));
                periods.len() - 1
            }
        };
        each(row, periods.get_mut(index).map(|(_, periods)| periods));
    }
    Ok(())
}

/// `bucket(unit, ts [, offset])`: the start of the period that holds `ts`, or of the `offset`-th after it.
#[derive(Debug)]
struct Bucket {
    calendar: Calendar,
    tables: PeriodTables,
    signature: Signature,
}

impl PartialEq for Bucket {
    fn eq(&self, other: &Self) -> bool {
        self.calendar == other.calendar
    }
}

impl Eq for Bucket {}

impl Hash for Bucket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for Bucket {
    fn name(&self) -> &'static str {
        "bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(timestamp_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(starts) = self.of_column(&args.args)? {
            return Ok(ColumnarValue::Array(starts));
        }
        evaluated(&args, |arrays| {
            let [units, times, offsets @ ..] = arrays else {
                return Err(refused("bucket takes a unit and an instant".to_owned()));
            };
            let times = times.as_primitive::<TimestampMicrosecondType>();
            let offsets = offsets.first().map(|offsets| offsets.as_primitive::<Int64Type>());
            let mut starts = Vec::with_capacity(times.len());
            by_unit(&self.calendar, units, |row, periods| {
                let offset = match offsets {
                    Some(offsets) => offsets.is_valid(row).then(|| offsets.value(row)),
                    None => Some(0),
                };
                let start = match (periods, offset) {
                    (Some(periods), Some(offset)) if times.is_valid(row) => {
                        Some(periods.start_moved(times.value(row), offset))
                    }
                    _ => None,
                };
                starts.push(start);
            })?;
            Ok(Arc::new(TimestampMicrosecondArray::from(starts).with_timezone("+00:00")))
        })
    }
}

impl Bucket {
    /// The answer for a column of times, with a unit and an offset that are the same for all of them.
    fn of_column(&self, args: &[ColumnarValue]) -> Result<Option<ArrayRef>> {
        let Some((name, times)) = unit_and_times(args) else {
            return Ok(None);
        };
        let offset = match args.get(2) {
            None => 0,
            Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(offset)))) => *offset,
            Some(_) => return Ok(None),
        };
        let unit = unit(name)?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let Some(table) = self.tables.holding(&self.calendar, unit, times) else {
            return Ok(None);
        };
        let starts: TimestampMicrosecondArray = if offset == 0 && times.null_count() == 0 {
            TimestampMicrosecondArray::from(table.starts_of(times.values()))
        } else if offset == 0 {
            table.places(times).map(|place| place.map(|place| table.start(place))).collect()
        } else {
            let move_start = |place| {
                self.calendar.advance(unit, Instant::from_micros(table.start(place)), offset).micros()
            };
            let mut moved = Once::new(&table, move_start);
            table.places(times).map(|place| place.map(|place| *moved.get(place))).collect()
        };
        Ok(Some(Arc::new(starts.with_timezone("+00:00"))))
    }
}

/// What is reckoned once for each period that rows lie in.
struct Once<T, F> {
    known: Vec<Option<T>>,
    reckon: F,
}

impl<T, F: Fn(usize) -> T> Once<T, F> {
    fn new(table: &PeriodTable, reckon: F) -> Self {
        Self { known: (0..table.len()).map(|_| None).collect(), reckon }
    }

    /// Of a place in the table.
    fn get(&mut self, place: usize) -> &T {
        self.known[place].get_or_insert_with(|| (self.reckon)(place))
    }
}

/// `bucket_label(unit, ts)`: the name of the period that holds `ts`, such as `2026-06`.
#[derive(Debug)]
struct BucketLabel {
    calendar: Calendar,
    tables: PeriodTables,
    signature: Signature,
}

impl PartialEq for BucketLabel {
    fn eq(&self, other: &Self) -> bool {
        self.calendar == other.calendar
    }
}

impl Eq for BucketLabel {}

impl Hash for BucketLabel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for BucketLabel {
    fn name(&self) -> &'static str {
        "bucket_label"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(labels) = self.of_column(&args.args)? {
            return Ok(ColumnarValue::Array(labels));
        }
        evaluated(&args, |arrays| {
            let [units, times] = arrays else {
                return Err(refused("bucket_label takes a unit and an instant".to_owned()));
            };
            let times = times.as_primitive::<TimestampMicrosecondType>();
            let mut labels = StringBuilder::new();
            let mut known: HashMap<(Unit, i64), String> = HashMap::new();
            by_unit(&self.calendar, units, |row, periods| match periods {
                Some(periods) if times.is_valid(row) => {
                    let start = periods.start(times.value(row));
                    let label = known
                        .entry((periods.unit, start))
                        .or_insert_with(|| self.calendar.label(periods.unit, Instant::from_micros(start)));
                    labels.append_value(label);
                }
                _ => labels.append_null(),
            })?;
            let labels: StringArray = labels.finish();
            Ok(Arc::new(labels))
        })
    }
}

impl BucketLabel {
    /// The answer for a column of times, with a unit that is the same for all of them.
    fn of_column(&self, args: &[ColumnarValue]) -> Result<Option<ArrayRef>> {
        let Some((name, times)) = unit_and_times(args) else {
            return Ok(None);
        };
        let unit = unit(name)?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let Some(table) = self.tables.holding(&self.calendar, unit, times) else {
            return Ok(None);
        };
        let mut known =
            Once::new(&table, |place| self.calendar.label(unit, Instant::from_micros(table.start(place))));
        let mut labels = StringBuilder::with_capacity(times.len(), times.len() * 10);
        for place in table.places(times) {
            match place {
                Some(place) => labels.append_value(known.get(place)),
                None => labels.append_null(),
            }
        }
        Ok(Some(Arc::new(labels.finish())))
    }
}

/// `now()` and its like: a statement's clock is its `as_of`, so it says the same whenever it is run.
#[derive(Debug, PartialEq)]
struct Moment {
    name: &'static str,
    aliases: Vec<String>,
    value: ScalarValue,
    signature: Signature,
}

impl Eq for Moment {}

impl Hash for Moment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Moment {
    fn name(&self) -> &'static str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }

    fn simplify(&self, _: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(self.value.clone(), None)))
    }
}
