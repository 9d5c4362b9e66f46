//! What an asker should know of the properties of an open table that a query reads: that their values are
//! of several types, or have no column of their own.

use std::collections::BTreeSet;

use ebbtide_model::query::{BoundQuery, Condition, EventSource};
use ebbtide_model::{PropertyKind, Scope, TableSchema};
use ebbtide_store::Snapshot;

use crate::EngineError;

/// One for each property that is so, in order.
pub(super) fn warnings(
    snapshot: &Snapshot,
    scope: &Scope,
    query: &BoundQuery,
) -> Result<Vec<String>, EngineError> {
    let mut warnings = BTreeSet::new();
    for source in &query.sources {
        let Some(table) = snapshot.app().table(&source.table) else { continue };
        for column in read(source).into_iter().filter(|column| table.is_property(*column)) {
            warnings.extend(warning(snapshot, scope, table, column)?);
        }
    }
    Ok(warnings.into_iter().collect())
}

fn warning(
    snapshot: &Snapshot,
    scope: &Scope,
    table: &TableSchema,
    column: usize,
) -> Result<Option<String>, EngineError> {
    let Some(column) = table.columns.get(column) else { return Ok(None) };
    let kinds = snapshot.property_kinds(scope, &table.name, &column.name)?;
    if kinds.contains(&PropertyKind::Overflow) {
        return Ok(Some(format!(
            "{:?} has no column of its own, since there are too many properties: reading it is slow",
            column.name
        )));
    }
    let of_numbers = [PropertyKind::Int, PropertyKind::Float];
    let others: BTreeSet<&str> =
        kinds.iter().filter(|kind| !of_numbers.contains(kind)).map(|kind| kind.name()).collect();
    let has_numbers = kinds.iter().any(|kind| of_numbers.contains(kind));
    if others.len() + usize::from(has_numbers) < 2 {
        return Ok(None);
    }
    let types: Vec<&str> = has_numbers.then_some("number").into_iter().chain(others).collect();
    Ok(Some(format!(
        "{:?} has values of several types ({}): each counts as what it is, and sums are of its numbers",
        column.name,
        types.join(", ")
    )))
}

/// The columns that a source's events are read by.
fn read(source: &EventSource) -> BTreeSet<usize> {
    let mut columns: BTreeSet<usize> = source.breakdown.iter().copied().flatten().collect();
    columns
        .extend(source.actor.into_iter().chain(source.number).chain(source.value.map(|value| value.column)));
    tested(&source.filters, &mut columns);
    source.matchers.iter().for_each(|matcher| tested(&matcher.filters, &mut columns));
    columns
}

fn tested(conditions: &[Condition], into: &mut BTreeSet<usize>) {
    for condition in conditions {
        match condition {
            Condition::Any(inner) | Condition::All(inner) => tested(inner, into),
            Condition::Column(column, _) => {
                into.insert(*column);
            }
            Condition::OfActor(_, _) | Condition::Cohort(_) => {}
        }
    }
}
