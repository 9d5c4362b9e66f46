//! What can be said of new rows before the store is asked: which of them fit the table, whose they are,
//! and their fingerprints. Done in the caller's thread, so that the one writer has less to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    Scalar, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{is_null, take_record_batch};
use ebbtide_model::{
    Column, ColumnType, PropertyKind, Scope, TableKind, TableSchema, TenantRule, Tenants, Value,
};

use crate::cells::Cells;
use crate::columns::{property_column, property_field, property_of};
use crate::fingerprint::{Fingerprint, Keyless, RowHashes};
use crate::short_text::{RecentTexts, packed};
use crate::table::{TableInfo, is_child};
use crate::widen::united;
use crate::{Rejection, RejectionCode, StoreError};

/// Batches with more rows remember the tenants that they have met.
const FEW_ROWS: usize = 1024;

/// The rows of a batch that may be stored, as far as the batch alone can tell.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Declared columns, the tenant's own filled in, and those of properties by name.
    pub(crate) rows: RecordBatch,
    /// The index in the given batch of each of `rows`.
    pub(crate) origins: Vec<u32>,
    pub(crate) tenants: RowTenants,
    pub(crate) hashes: RowHashes,
    /// The key of each row's parent, in a table that finds its tenants so; else none.
    pub(crate) parents: Vec<Fingerprint>,
    /// The tenant that the caller is of.
    pub(crate) caller: Option<Arc<str>>,
    pub(crate) rejected: Vec<Rejection>,
}

/// Whose each row is: an index into names that ascend.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowTenants {
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) codes: Vec<u32>,
}

impl RowTenants {
    pub(crate) fn of(&self, row: usize) -> &Arc<str> {
        &self.names[self.codes[row] as usize]
    }

    /// All rows are of one tenant.
    pub(crate) fn one(tenant: &str, rows: usize) -> Self {
        Self { names: vec![Arc::from(tenant)], codes: vec![0; rows] }
    }

    /// The same tenants with their names in order.
    pub(crate) fn ascending(names: &[Arc<str>], codes: &[u32]) -> Self {
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_unstable_by(|&a, &b| names[a].cmp(&names[b]));
        let mut ranks = vec![0; names.len()];
        for (&index, rank) in order.iter().zip(0..) {
            ranks[index] = rank;
        }
        let sorted = order.into_iter().map(|index| names[index].clone()).collect();
        let codes = codes.iter().map(|&code| ranks.get(code as usize).copied().unwrap_or(0)).collect();
        Self { names: sorted, codes }
    }

    /// Rows after rows.
    pub(crate) fn concat(parts: Vec<Self>) -> Self {
        let mut parts = parts;
        if parts.len() == 1 {
            return parts.pop().unwrap_or_default();
        }
        let mut names: Vec<Arc<str>> = parts.iter().flat_map(|part| part.names.iter().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        let mut codes = Vec::new();
        for part in parts {
            let rank = |name: &Arc<str>| names.binary_search(name).unwrap_or(0);
            let ranks: Vec<u32> =
                part.names.iter().map(|name| u32::try_from(rank(name)).unwrap_or(u32::MAX)).collect();
            codes.extend(part.codes.into_iter().map(|code| ranks[code as usize]));
        }
        Self { names, codes }
    }
}

pub(crate) fn prepare(
    info: &TableInfo,
    scope: &Scope,
    batch: &RecordBatch,
    keyless: Keyless,
) -> Result<Prepared, StoreError> {
    let table = &*info.schema;
    let batch = &with_properties(table, batch)?;
    if u32::try_from(batch.num_rows()).is_err() {
        return Err(StoreError::WrongShape { detail: "a batch has too many rows".to_owned() });
    }
    let mut faults = Faults::new(batch.num_rows());
    let (columns, tenants) = assign_tenants(table, scope, batch, &mut faults)?;
    let schema = united(&info.declared, [batch.schema()]);
    let filled = RecordBatch::try_new(schema, columns)
        .map_err(|error| StoreError::WrongShape { detail: error.to_string() })?;
    find_nulls(table, &filled, &mut faults);
    find_infinities(table, &filled, &mut faults)?;
    let origins = faults.unharmed();
    let (rows, tenants) = if origins.len() == filled.num_rows() {
        (filled, tenants)
    } else {
        let codes = origins.iter().map(|&row| tenants.codes[row as usize]).collect();
        let rows = take_record_batch(&filled, &UInt32Array::from(origins.clone()))?;
        (rows, RowTenants { names: tenants.names, codes })
    };
    let hashes = info.hasher.hash(table, &rows, |row| tenants.of(row), keyless)?;
    let parents = match &info.lineage {
        Some(lineage) => lineage.parents_of(&rows)?,
        None => Vec::new(),
    };
    let caller = match scope.tenants() {
        Tenants::One(tenant) => Some(Arc::from(tenant.as_str())),
        Tenants::All => None,
    };
    let mut rejected = faults.found;
    rejected.sort_by_key(|rejection| rejection.row);
    Ok(Prepared { rows, origins, tenants, hashes, parents, caller, rejected })
}

/// The batch with its properties in order of their stored names, and without those that no row has.
fn with_properties(table: &TableSchema, batch: &RecordBatch) -> Result<RecordBatch, StoreError> {
    let wrong = |detail: String| StoreError::WrongShape { detail };
    let declared = table.columns.len();
    let (came, schema) = (batch.num_columns(), batch.schema());
    if came == declared {
        return Ok(batch.clone());
    }
    if came < declared || table.open.is_none() {
        return Err(wrong(format!("{came} columns came, the table has {declared}")));
    }
    let mut properties: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, field) in schema.fields().iter().enumerate().skip(declared) {
        let property = property_of(field).filter(|property| {
            property.kind != PropertyKind::Overflow
                && property_field(property).data_type() == field.data_type()
        });
        if property.is_none() || properties.insert(field.name(), place).is_some() {
            return Err(wrong(format!("column {:?} came, of type {}", field.name(), field.data_type())));
        }
    }
    let is_used = |place: &usize| batch.column(*place).null_count() < batch.num_rows();
    let places: Vec<usize> = (0..declared).chain(properties.into_values().filter(is_used)).collect();
    Ok(batch.project(&places)?)
}

/// The first fault of each row.
struct Faults {
    harmed: Vec<bool>,
    found: Vec<Rejection>,
}

impl Faults {
    fn new(rows: usize) -> Self {
        Self { harmed: vec![false; rows], found: Vec::new() }
    }

    fn add(
        &mut self,
        row: usize,
        column: Option<&str>,
        code: RejectionCode,
        detail: impl FnOnce() -> String,
    ) {
        if !std::mem::replace(&mut self.harmed[row], true) {
            let column = column.map(str::to_owned);
            self.found.push(Rejection { row, column, code, detail: detail() });
        }
    }

    fn unharmed(&self) -> Vec<u32> {
        (0..).zip(&self.harmed).filter(|(_, harmed)| !**harmed).map(|(row, _)| row).collect()
    }
}

fn find_nulls(table: &TableSchema, rows: &RecordBatch, faults: &mut Faults) {
    for (index, (column, array)) in table.columns.iter().zip(rows.columns()).enumerate() {
        let in_key = table.key.contains(&index);
        let may_lack_key = table.kind == TableKind::Events && !is_child(table);
        if array.null_count() == 0 || (column.nullable && (!in_key || may_lack_key)) {
            continue;
        }
        for row in (0..array.len()).filter(|&row| array.is_null(row)) {
            faults.add(row, Some(&column.name), RejectionCode::Null, || {
                let part = if in_key { "is part of the key and" } else { "has no nulls and" };
                format!("column {:?} {part} needs a value", column.name)
            });
        }
    }
}

fn find_infinities(table: &TableSchema, rows: &RecordBatch, faults: &mut Faults) -> Result<(), StoreError> {
    let schema = rows.schema();
    let properties = schema.fields().iter().skip(table.columns.len()).filter_map(|field| property_of(field));
    let named =
        properties.map(|property| Column { name: property.name.to_string(), ..property_column(&property) });
    let columns: Vec<Column> = table.columns.iter().cloned().chain(named).collect();
    for (column, array) in columns.iter().zip(rows.columns()) {
        let Cells::Float(floats) = Cells::of(array, column)? else { continue };
        for row in 0..floats.len() {
            if !floats.is_null(row) && !floats.value(row).is_finite() {
                faults.add(row, Some(&column.name), RejectionCode::NotFinite, || {
                    format!("{} is no finite number", floats.value(row))
                });
            }
        }
    }
    Ok(())
}

/// The columns with the tenant's own filled in, and whose each row is. A row at fault is anybody's.
fn assign_tenants(
    table: &TableSchema,
    scope: &Scope,
    batch: &RecordBatch,
    faults: &mut Faults,
) -> Result<(Vec<ArrayRef>, RowTenants), StoreError> {
    let columns = batch.columns().to_vec();
    match &table.tenant {
        TenantRule::Column { column, default } => {
            let implied = match scope.tenants() {
                Tenants::One(tenant) => Some(tenant.as_str()),
                Tenants::All => default.as_ref().map(|tenant| tenant.as_str()),
            };
            tenants_by_column(table, scope, *column, implied, columns, faults)
        }
        TenantRule::Fixed(tenant) => {
            if let Tenants::One(own) = scope.tenants()
                && own != tenant
            {
                for row in 0..batch.num_rows() {
                    faults.add(row, None, RejectionCode::TenantForeign, || {
                        format!("the table's rows are of tenant {tenant}, and the caller of {own}")
                    });
                }
            }
            Ok((columns, RowTenants::one(tenant.as_str(), batch.num_rows())))
        }
        TenantRule::Parent { by, .. } => {
            let column = &table.columns[*by];
            for row in (0..batch.num_rows()).filter(|&row| columns[*by].is_null(row)) {
                faults.add(row, Some(&column.name), RejectionCode::TenantMissing, || {
                    format!("column {:?} names the row's parent and needs a value", column.name)
                });
            }
            // Whose they are is known once the parents are looked up.
            Ok((columns, RowTenants::one("", batch.num_rows())))
        }
    }
}

fn tenants_by_column(
    table: &TableSchema,
    scope: &Scope,
    index: usize,
    implied: Option<&str>,
    mut columns: Vec<ArrayRef>,
    faults: &mut Faults,
) -> Result<(Vec<ArrayRef>, RowTenants), StoreError> {
    let column = &table.columns[index];
    if columns[index].null_count() > 0
        && let Some(implied) = implied
        && let Ok(value) = Value::from_text(implied, column.column_type)
    {
        let scalar = Scalar::new(single(&value, column.column_type)?);
        columns[index] = zip(&is_null(&columns[index])?, &scalar, &columns[index])?;
    }
    let cells = Cells::of(&columns[index], column)?;
    let mut seen: hashbrown::HashMap<Vec<u8>, u32> = hashbrown::HashMap::new();
    let mut names: Vec<Arc<str>> = Vec::new();
    let mut codes = Vec::with_capacity(columns[index].len());
    let mut bytes = Vec::new();
    // In few rows none is worth remembering.
    let mut recent = (columns[index].len() > FEW_ROWS).then(RecentTexts::default);
    for row in 0..columns[index].len() {
        let short = match &cells {
            Cells::Text(texts) if recent.is_some() && !texts.is_null(row) => {
                packed(texts.value(row).as_bytes())
            }
            _ => None,
        };
        if let Some(code) = short.zip(recent.as_ref()).and_then(|(short, recent)| recent.find(short)) {
            codes.push(code);
            continue;
        }
        codes.push(0);
        if cells.is_null(row) {
            faults.add(row, Some(&column.name), RejectionCode::TenantMissing, || {
                format!("column {:?} names the row's tenant and needs a value", column.name)
            });
            continue;
        }
        bytes.clear();
        cells.write(row, &mut bytes);
        let code = match seen.get(bytes.as_slice()) {
            Some(code) => *code,
            None => {
                let code = u32::try_from(names.len()).unwrap_or(u32::MAX);
                names.push(Arc::from(cells.value(row).canonical_text().unwrap_or_default()));
                seen.insert(bytes.clone(), code);
                code
            }
        };
        let name = &names[code as usize];
        if let Some(code) = misplaced(scope, name) {
            faults.add(row, Some(&column.name), code, || match scope.tenants() {
                Tenants::One(own) => format!("the row is of tenant {name:?}, and the caller of {own}"),
                Tenants::All => "an empty text names no tenant".to_owned(),
            });
        } else if let Some((short, recent)) = short.zip(recent.as_mut()) {
            recent.note(short, code);
        }
        if let Some(last) = codes.last_mut() {
            *last = code;
        }
    }
    Ok((columns, RowTenants::ascending(&names, &codes)))
}

/// Why a row of this tenant may not come from this caller.
fn misplaced(scope: &Scope, tenant: &str) -> Option<RejectionCode> {
    match scope.tenants() {
        Tenants::One(own) if own.as_str() != tenant => Some(RejectionCode::TenantForeign),
        Tenants::One(_) | Tenants::All => tenant.is_empty().then_some(RejectionCode::TenantMissing),
    }
}

/// An array of one cell that is not null.
fn single(value: &Value, column_type: ColumnType) -> Result<ArrayRef, StoreError> {
    let array: ArrayRef = match value {
        Value::Bool(value) => Arc::new(BooleanArray::from(vec![*value])),
        Value::Int(value) => Arc::new(Int64Array::from(vec![*value])),
        Value::Float(value) => Arc::new(Float64Array::from(vec![*value])),
        Value::Decimal(units) => Arc::new(Decimal128Array::from(vec![*units]).with_precision_and_scale(
            ebbtide_model::DECIMAL_PRECISION,
            ebbtide_model::DECIMAL_SCALE.cast_signed(),
        )?),
        Value::Text(text) | Value::Json(text) => Arc::new(StringArray::from(vec![&**text])),
        Value::Timestamp(instant) => {
            Arc::new(TimestampMicrosecondArray::from(vec![instant.micros()]).with_timezone("+00:00"))
        }
        Value::Date(days) => Arc::new(Date32Array::from(vec![*days])),
        Value::Null => arrow::array::new_null_array(&crate::arrow_type(column_type), 1),
    };
    Ok(array)
}
