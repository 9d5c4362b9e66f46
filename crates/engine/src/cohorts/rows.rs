//! Cohorts as rows: one with the definition and, where members are kept, as many more as they need.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, Schema};
use arrow::error::ArrowError;
use ebbtide_model::{
    AppSchema, CohortMode, Scope, TableName, TableSchema, TenantId, Tenants, cohort_column, cohort_table,
};
use ebbtide_store::{ColumnRef, Snapshot, declared_schema};
use serde_json::{Value as Json, json};

use super::{Members, SavedCohort};
use crate::EngineError;
use crate::behaviour::OwnedKey;

/// Members that stand in one row.
pub(super) const CHUNK_MEMBERS_MAX: usize = 20_000;

/// The rows of a cohort for its table: written at once, so that it is there wholly or not at all.
pub fn cohort_rows(
    app: &AppSchema,
    scope: &Scope,
    saved: &SavedCohort,
    members: &Members,
) -> Result<(TableName, RecordBatch), EngineError> {
    let table = table_of(app, scope)?;
    let tenant = match scope.tenants() {
        Tenants::One(tenant) => Some(tenant.as_str()),
        Tenants::All => None,
    };
    let chunks: Vec<&[(Box<str>, OwnedKey)]> = match saved.cohort.mode {
        CohortMode::Static => members.list.chunks(CHUNK_MEMBERS_MAX).collect(),
        CohortMode::Live => Vec::new(),
    };
    let rows = chunks.len().max(1);
    let member = |(owner, key): &(Box<str>, OwnedKey)| match tenant {
        Some(_) => stored(key),
        None => json!([owner, stored(key)]),
    };
    let texts: Vec<Option<String>> = (0..rows)
        .map(|row| {
            let chunk: Json = chunks.get(row)?.iter().map(member).collect();
            Some(chunk.to_string())
        })
        .collect();
    let definition = |row: usize| (row == 0).then(|| saved.to_text());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter((0..rows).map(|_| tenant))),
        Arc::new(StringArray::from_iter_values((0..rows).map(|_| saved.cohort.name.as_str()))),
        Arc::new(Int64Array::from_iter_values((0_i64..).take(rows))),
        Arc::new(StringArray::from_iter((0..rows).map(definition))),
        Arc::new(StringArray::from_iter(texts)),
    ];
    let batch = RecordBatch::try_new(declared_schema(table), columns).map_err(layout)?;
    Ok((table.name.clone(), batch))
}

/// The table of a cohort's rows, their keys, and the one tenant whose they are.
pub fn cohort_keys(
    app: &AppSchema,
    scope: &Scope,
    saved: &SavedCohort,
) -> Result<(TableName, RecordBatch, TenantId), EngineError> {
    let table = table_of(app, scope)?;
    let tenant = match (scope.tenants(), &table.tenant) {
        (Tenants::One(tenant), _) | (Tenants::All, ebbtide_model::TenantRule::Fixed(tenant)) => tenant,
        (Tenants::All, _) => return Err(EngineError::Cohort { found: "no tenant".to_owned() }),
    };
    let rows = usize::try_from(saved.chunks).unwrap_or(usize::MAX);
    let names = StringArray::from_iter_values((0..rows).map(|_| saved.cohort.name.as_str()));
    let columns: Vec<ArrayRef> =
        vec![Arc::new(names), Arc::new(Int64Array::from_iter_values((0_i64..).take(rows)))];
    let declared = declared_schema(table);
    let fields: Vec<_> = table.key.iter().map(|column| declared.field(*column).clone()).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(layout)?;
    Ok((table.name.clone(), batch, tenant.clone()))
}

/// The cohorts that belong to the scope itself, by name.
pub fn list_cohorts(snapshot: &Snapshot, scope: &Scope) -> Result<Vec<SavedCohort>, EngineError> {
    let mut found = Vec::new();
    for_each_text(snapshot, scope, cohort_column::DEFINITION, |_, chunk, text| {
        if chunk == 0 {
            found.push(SavedCohort::of_text(text)?);
        }
        Ok(())
    })?;
    found.sort_by(|left, right| left.cohort.name.cmp(&right.cohort.name));
    Ok(found)
}

/// `None`: the scope itself has no cohort of that name.
pub fn find_cohort(
    snapshot: &Snapshot,
    scope: &Scope,
    name: &str,
) -> Result<Option<SavedCohort>, EngineError> {
    let mut found = None;
    for_each_text(snapshot, scope, cohort_column::DEFINITION, |own, chunk, text| {
        if own == name && chunk == 0 {
            found = Some(SavedCohort::of_text(text)?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// The members that are kept of a cohort.
pub(crate) fn members_of(
    snapshot: &Snapshot,
    scope: &Scope,
    saved: &SavedCohort,
) -> Result<Members, EngineError> {
    let broken = || EngineError::Cohort { found: "a member".to_owned() };
    let mut list = Vec::new();
    for_each_text(snapshot, scope, cohort_column::MEMBERS, |name, _, text| {
        if name != saved.cohort.name {
            return Ok(());
        }
        let chunk: Vec<Json> = serde_json::from_str(text).map_err(|_| broken())?;
        for member in &chunk {
            let (tenant, key) = match scope.tenants() {
                Tenants::One(tenant) => (tenant.as_str(), member),
                Tenants::All => (member[0].as_str().ok_or_else(broken)?, &member[1]),
            };
            list.push((Box::from(tenant), restored(key).ok_or_else(broken)?));
        }
        Ok(())
    })?;
    Ok(Members { list, column_type: saved.column_type })
}

fn table_of<'a>(app: &'a AppSchema, scope: &Scope) -> Result<&'a TableSchema, EngineError> {
    let name = cohort_table(scope.tenants());
    app.table(&name).ok_or_else(|| EngineError::Cohort { found: format!("no table {name}") })
}

/// Calls with the name, the number of the row and a text of each row that has it.
fn for_each_text(
    snapshot: &Snapshot,
    scope: &Scope,
    column: usize,
    mut each: impl FnMut(&str, i64, &str) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let columns = [cohort_column::NAME, cohort_column::CHUNK, column].map(ColumnRef::Declared);
    for part in snapshot.table(scope, &cohort_table(scope.tenants()))?.parts() {
        for batch in part.scan(&columns)? {
            let batch = batch?;
            let text = |index: usize| {
                let array = batch.column(index);
                array.as_string_opt::<i32>().ok_or_else(|| unexpected(array))
            };
            let (names, texts) = (text(0)?, text(2)?);
            let chunks = batch.column(1);
            let chunks = chunks.as_primitive_opt::<Int64Type>().ok_or_else(|| unexpected(chunks))?;
            for row in (0..batch.num_rows()).filter(|row| texts.is_valid(*row)) {
                each(names.value(row), chunks.value(row), texts.value(row))?;
            }
        }
    }
    Ok(())
}

fn stored(key: &OwnedKey) -> Json {
    match key {
        OwnedKey::Null => Json::Null,
        OwnedKey::Int(value) => Json::from(*value),
        OwnedKey::Text(text) => Json::from(&**text),
        // No JSON number holds it.
        OwnedKey::Decimal(units) => json!([units.to_string()]),
    }
}

fn restored(json: &Json) -> Option<OwnedKey> {
    Some(match json {
        Json::Null => OwnedKey::Null,
        Json::Number(value) => OwnedKey::Int(value.as_i64()?),
        Json::String(text) => OwnedKey::Text(Box::from(text.as_str())),
        Json::Array(units) => OwnedKey::Decimal(units.first()?.as_str()?.parse().ok()?),
        Json::Bool(_) | Json::Object(_) => return None,
    })
}

fn layout(error: ArrowError) -> EngineError {
    EngineError::Layout { found: error.to_string() }
}

fn unexpected(array: &ArrayRef) -> EngineError {
    EngineError::Layout { found: array.data_type().to_string() }
}
