//! Rows as a pack's own paths take them: what is left out is filled in, what is wrong with one refuses the
//! whole list, and what is taken is answered in the pack's words.

use std::fmt;

use arrow::error::ArrowError;
use ebbtide_model::pack::{Absent, Capture, filled};
use ebbtide_model::{Column, Instant, TableKind, TableSchema, TenantRule, Value};
use serde_json::{Map, Value as Json};

use super::RowIds;
use crate::sources::{RowRejection, TypedRows, rows_from_json};

/// The rows of a request, all of which fit.
#[derive(Debug)]
pub(crate) struct FittingRows {
    pub(crate) rows: Vec<TypedRows>,
    /// What is answered of each.
    pub(crate) answers: Vec<Json>,
}

/// A row that does not fit.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// In the list, from 0.
    pub(crate) index: usize,
    pub(crate) column: Option<String>,
    /// Stable, for machines.
    pub(crate) code: &'static str,
    /// What was given, and what is allowed.
    pub(crate) problem: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(formatter, "{column}: {}", self.problem),
            None => formatter.write_str(&self.problem),
        }
    }
}

/// What is wrong with a row.
struct Fault {
    column: Option<String>,
    code: &'static str,
    problem: String,
}

impl Fault {
    fn of(column: &Column, code: &'static str, problem: impl Into<String>) -> Self {
        Self { column: Some(column.name.clone()), code, problem: problem.into() }
    }

    fn at(self, index: usize) -> Misfit {
        Misfit { index, column: self.column, code: self.code, problem: self.problem }
    }
}

/// Whose rows come in, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) now: Instant,
    pub(crate) ids: &'a RowIds,
}

/// Types the rows of a request, or tells of the first that is at fault.
pub(crate) fn type_rows(
    table: &TableSchema,
    capture: &Capture,
    items: Vec<Json>,
    arrival: Arrival<'_>,
) -> Result<Result<FittingRows, Misfit>, ArrowError> {
    let mut rows = Vec::with_capacity(items.len());
    let mut answers = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        match fitting(table, capture, item, arrival) {
            Ok(row) => {
                let answer = filled(&capture.answer, |name| Some(row.get(name).cloned().unwrap_or_default()));
                answers.push(answer.unwrap_or_default());
                rows.push(Json::Object(row));
            }
            Err(fault) => return Ok(Err(fault.at(index))),
        }
    }
    let typed = rows_from_json(table, &rows)?;
    if let Some(refused) = typed.rejected.into_iter().next() {
        let RowRejection { index, column, code, detail } = refused;
        return Ok(Err(Misfit { index, column, code, problem: detail }));
    }
    Ok(Ok(FittingRows { rows: typed.rows, answers }))
}

/// The row with what it leaves out, where all of it is allowed.
fn fitting(
    table: &TableSchema,
    capture: &Capture,
    item: Json,
    arrival: Arrival<'_>,
) -> Result<Map<String, Json>, Fault> {
    let Json::Object(mut row) = item else {
        let problem = "an event is an object of fields".to_owned();
        return Err(Fault { column: None, code: "not_an_object", problem });
    };
    for field in &capture.fields {
        let (Some(column), Some(absent)) = (table.columns.get(field.column), &field.absent) else { continue };
        if row.get(&column.name).is_none_or(Json::is_null) {
            let value = match absent {
                Absent::Now => Json::from(arrival.now.to_string()),
                Absent::NewId => Json::from(arrival.ids.next(arrival.now)),
                Absent::Value(value) => value.to_json(),
            };
            row.insert(column.name.clone(), value);
        }
    }
    for (index, column) in table.declared().iter().enumerate() {
        let given = row.get(&column.name).filter(|json| !json.is_null());
        match given {
            Some(given) => allowed(table, capture, index, given, arrival.tenant)?,
            None if is_needed(table, index, column) => {
                return Err(Fault::of(column, "null", "is missing, and is required"));
            }
            None => {}
        }
    }
    Ok(row)
}

fn allowed(
    table: &TableSchema,
    capture: &Capture,
    index: usize,
    given: &Json,
    tenant: &str,
) -> Result<(), Fault> {
    let column = &table.columns[index];
    let value = Value::from_json(given, column.column_type);
    let value = value.map_err(|error| Fault::of(column, "wrong_type", error.to_string()))?;
    if tenant_column(table) == Some(index) {
        return match value.canonical_text().as_deref() == Some(tenant) {
            true => Ok(()),
            false => {
                let problem = "another tenant than the caller's was given; it may be left out";
                Err(Fault::of(column, "tenant_foreign", problem))
            }
        };
    }
    let field = capture.fields.iter().find(|field| field.column == index);
    match field.filter(|field| !field.allowed.allows(&value)) {
        Some(field) => {
            let problem = format!("{} was given; allowed is {}", shown(given), field.allowed.allowed());
            Err(Fault::of(column, "not_allowed", problem))
        }
        None => Ok(()),
    }
}

fn shown(given: &Json) -> String {
    const GIVEN_CHARS_MAX: usize = 80;
    given.to_string().chars().take(GIVEN_CHARS_MAX).collect()
}

fn tenant_column(table: &TableSchema) -> Option<usize> {
    match table.tenant {
        TenantRule::Column { column, .. } => Some(column),
        TenantRule::Parent { .. } | TenantRule::Fixed(_) => None,
    }
}

fn is_needed(table: &TableSchema, index: usize, column: &Column) -> bool {
    let of_key = table.kind == TableKind::Entity && table.key.contains(&index);
    tenant_column(table) != Some(index) && (!column.nullable || of_key)
}

/// The columns that a caller gives: without that of the tenant, which is the token's.
pub(crate) fn given_columns(table: &TableSchema) -> impl Iterator<Item = (usize, &Column)> {
    let tenant = tenant_column(table);
    table.declared().iter().enumerate().filter(move |(index, _)| Some(*index) != tenant)
}

/// Whether a row without this column is refused.
pub(crate) fn is_required(table: &TableSchema, capture: &Capture, index: usize) -> bool {
    let is_filled = capture.fields.iter().any(|field| field.column == index && field.absent.is_some());
    !is_filled && table.columns.get(index).is_some_and(|column| is_needed(table, index, column))
}

#[cfg(test)]
mod tests {
    use ebbtide_model::pack::Pack;
    use serde_json::json;

    use super::*;

    const PACK: &str = "
pack: shop
tables:
  events:
    kind: events
    key: id
    open: props
    tenant: shop
    actor: who
    time: at
    columns: {shop: text, id: text?, who: text, kind: text, took: float?, at: timestamp}
capture:
  events:
    path: /events
    table: events
    fields:
      kind: {choices: [look, buy]}
      took: {min: 0}
      id: {default: $new_id}
      at: {default: $now}
    answer: {id: $id, who: $who, ok: true}
";

    fn take(items: Json) -> Result<FittingRows, Misfit> {
        let pack = Pack::parse(PACK).unwrap();
        let arrival = Arrival {
            tenant: "a",
            now: Instant::parse("2026-01-02T03:04:05Z").unwrap(),
            ids: &RowIds::new(1),
        };
        let items = items.as_array().unwrap().clone();
        type_rows(&pack.schema.tables[0], &pack.captures[0], items, arrival).unwrap()
    }

    #[test]
    fn what_is_left_out_is_filled_in_and_told() {
        let given = json!({"who": "u", "kind": "look", "id": "e1", "shop": "a", "took": 0.5, "at": "2026-01-01T00:00:00Z", "device": "phone"});
        let taken = take(json!([given, {"who": "v", "kind": "buy", "took": null}])).unwrap();
        assert_eq!(taken.answers[0], json!({"id": "e1", "who": "u", "ok": true}));
        assert_eq!(taken.answers[1]["id"].as_str().unwrap().len(), 32);
        let rows: usize = taken.rows.iter().map(|rows| rows.batch.num_rows()).sum();
        assert_eq!(rows, 2);
    }

    #[test]
    fn the_first_row_that_does_not_fit_is_told_of() {
        let good = json!({"who": "u", "kind": "look"});
        let check = |bad: Json, want: &str| {
            let misfit = take(json!([good, bad, bad])).unwrap_err();
            assert_eq!(misfit.index, 1, "{bad}");
            assert!(misfit.to_string().starts_with(want), "{bad}: {misfit}");
        };
        check(json!(7), "an event is an object of fields");
        check(json!({"kind": "look"}), "who: is missing, and is required");
        check(json!({"who": null, "kind": "look"}), "who: is missing, and is required");
        check(json!({"who": 7, "kind": "look"}), "who: 7 is no text");
        check(json!({"who": "u", "kind": "jump"}), "kind: \"jump\" was given; allowed is one of look, buy");
        check(
            json!({"who": "u", "kind": "buy", "took": -1}),
            "took: -1 was given; allowed is a number from 0",
        );
        check(json!({"who": "u", "kind": "buy", "at": "noon"}), "at: \"noon\" is no timestamp");
        check(json!({"who": "u", "kind": "buy", "shop": "b"}), "shop: another tenant than the caller's");
        check(json!({"who": "u", "kind": "buy", "props": 5}), "props");
    }
}
