//! A property of actors, by actor: what was said last of any of its names.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{Int64Type, UInt64Type};
use ebbtide_model::{ActorPropsTable, Scope};
use ebbtide_store::{ColumnRef, Snapshot};
use hashbrown::HashMap;

use super::{Aliases, TenantNames, unexpected};
use crate::EngineError;

/// The values of one property.
#[derive(Debug, Default)]
pub(crate) struct ActorValues {
    tenants: HashMap<String, OfTenant>,
}

#[derive(Debug, Default)]
struct OfTenant {
    texts: HashMap<String, Said>,
    ints: HashMap<i64, Said>,
}

/// Canonical JSON text, `None` where it was taken away; and when that arrived.
#[derive(Debug)]
struct Said {
    arrival: u64,
    value: Option<Box<str>>,
}

/// The values of each of these properties, as they are now.
pub(crate) fn actor_values(
    snapshot: &Snapshot,
    scope: &Scope,
    table: &ActorPropsTable,
    names: &[String],
    aliases: Option<&Aliases>,
) -> Result<Vec<ActorValues>, EngineError> {
    let declared = [table.actor, table.name, table.value].map(ColumnRef::Declared);
    let columns = [&[ColumnRef::Tenant][..], &declared, &[ColumnRef::Sequence]].concat();
    let mut all: Vec<ActorValues> = names.iter().map(|_| ActorValues::default()).collect();
    for part in snapshot.table(scope, &table.table)?.parts() {
        for batch in part.scan(&columns)? {
            let batch = batch?;
            let tenants = batch.column(0);
            let resolved = aliases.map(|aliases| aliases.resolved(tenants, batch.column(1))).transpose()?;
            let actors = resolved.flatten().unwrap_or_else(|| batch.column(1).clone());
            let text = |place: usize| {
                let array = batch.column(place);
                array.as_string_opt::<i32>().ok_or_else(|| unexpected(array))
            };
            let (given, values) = (text(2)?, text(3)?);
            let arrivals = batch.column(4);
            let arrivals = arrivals.as_primitive_opt::<UInt64Type>().ok_or_else(|| unexpected(arrivals))?;
            let tenants = TenantNames::of(tenants)?;
            for row in 0..batch.num_rows() {
                let Some(place) = names.iter().position(|name| name == given.value(row)) else {
                    continue;
                };
                let value = values.is_valid(row).then(|| Box::from(values.value(row)));
                let said = Said { arrival: arrivals.value(row), value };
                all[place].note(tenants.at(row), &actors, row, said)?;
            }
        }
    }
    Ok(all)
}

impl ActorValues {
    fn note(&mut self, tenant: &str, actors: &ArrayRef, row: usize, said: Said) -> Result<(), EngineError> {
        if actors.is_null(row) {
            return Ok(());
        }
        let own = self.tenants.entry_ref(tenant).or_default();
        let known = if let Some(texts) = actors.as_string_opt::<i32>() {
            own.texts.entry_ref(texts.value(row)).or_insert_with(Said::nothing)
        } else {
            let ints = actors.as_primitive_opt::<Int64Type>().ok_or_else(|| unexpected(actors))?;
            own.ints.entry(ints.value(row)).or_insert_with(Said::nothing)
        };
        if said.arrival >= known.arrival {
            *known = said;
        }
        Ok(())
    }

    /// The value of each row's actor.
    pub(crate) fn by_row(&self, tenants: &ArrayRef, actors: &ArrayRef) -> Result<ArrayRef, EngineError> {
        let names = TenantNames::of(tenants)?;
        let of_row: Vec<Option<&str>> = if let Some(texts) = actors.as_string_opt::<i32>() {
            let own = |row: usize| texts.is_valid(row).then(|| texts.value(row));
            each(texts.len(), &names, own, |tenant, text| self.tenants.get(tenant)?.texts.get(text)?.text())
        } else {
            let ints = actors.as_primitive_opt::<Int64Type>().ok_or_else(|| unexpected(actors))?;
            let own = |row: usize| ints.is_valid(row).then(|| ints.value(row));
            each(ints.len(), &names, own, |tenant, int| self.tenants.get(tenant)?.ints.get(&int)?.text())
        };
        Ok(Arc::new(StringArray::from(of_row)))
    }
}

impl Said {
    fn nothing() -> Self {
        Self { arrival: 0, value: None }
    }

    fn text(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

/// What is found for each row; rows of one actor stand together, and are looked up once.
fn each<'v, V: Copy + PartialEq>(
    rows: usize,
    tenants: &TenantNames<'_>,
    own: impl Fn(usize) -> Option<V>,
    look_up: impl Fn(&str, V) -> Option<&'v str>,
) -> Vec<Option<&'v str>> {
    let mut last: Option<(i32, V, Option<&'v str>)> = None;
    let of_row = |row: usize| {
        let value = own(row)?;
        let code = tenants.code(row);
        let found = match last {
            Some((last_code, last_value, found)) if last_code == code && last_value == value => found,
            _ => look_up(tenants.at(row), value),
        };
        last = Some((code, value, found));
        found
    };
    (0..rows).map(of_row).collect()
}
