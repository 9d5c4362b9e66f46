//! A property of actors, by actor: what was said last of any of its names.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{Int64Type, UInt64Type};
use ebbtide_model::{ActorPropsTable, Scope};
use ebbtide_store::{ColumnRef, Snapshot};
use hashbrown::HashMap;

use super::{Aliases, ENTRY_BYTES, TenantNames, by_row, unexpected};
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

/// The values of each of these properties, as they are now. `names_version` is that of the rows that say
/// which names are one actor.
pub(crate) fn actor_values(
    snapshot: &Snapshot,
    scope: &Scope,
    table: &ActorPropsTable,
    names: &[String],
    (aliases, names_version): (Option<&Aliases>, u64),
) -> Result<Vec<Arc<ActorValues>>, EngineError> {
    let what = |name: &String| {
        let ActorPropsTable { actor, name: column, value, .. } = table;
        format!("values {actor} {column} {value} {names_version} {name}")
    };
    let mut found: Vec<Option<Arc<ActorValues>>> = Vec::with_capacity(names.len());
    for name in names {
        found.push(snapshot.derived(scope, &table.table, &what(name))?);
    }
    let unknown = names.iter().zip(&found).filter(|(_, found)| found.is_none());
    let unknown: Vec<String> = unknown.map(|(name, _)| name.clone()).collect();
    let mut read = if unknown.is_empty() {
        Vec::new().into_iter()
    } else {
        read_values(snapshot, scope, table, &unknown, aliases)?.into_iter()
    };
    let mut all = Vec::with_capacity(names.len());
    for (name, found) in names.iter().zip(found) {
        let values = match found {
            Some(values) => values,
            None => {
                let values = Arc::new(read.next().unwrap_or_default());
                // Any name may be asked for, and those that nobody has are not worth a place.
                if !values.tenants.is_empty() {
                    snapshot.keep_derived(scope, &table.table, &what(name), &values, values.bytes())?;
                }
                values
            }
        };
        all.push(values);
    }
    Ok(all)
}

fn read_values(
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
    /// About what they take in memory.
    fn bytes(&self) -> usize {
        let said = |said: &Said| said.value.as_ref().map_or(0, |value| value.len()) + ENTRY_BYTES;
        let of_tenant = |own: &OfTenant| {
            let texts: usize = own.texts.iter().map(|(actor, value)| actor.len() + said(value)).sum();
            texts + own.ints.values().map(said).sum::<usize>()
        };
        self.tenants.values().map(of_tenant).sum()
    }

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
            let look_up = |tenant: &str, text: &str| self.tenants.get(tenant)?.texts.get(text)?.text();
            (0..texts.len()).map(by_row(&names, own, look_up)).collect()
        } else {
            let ints = actors.as_primitive_opt::<Int64Type>().ok_or_else(|| unexpected(actors))?;
            let own = |row: usize| ints.is_valid(row).then(|| ints.value(row));
            let look_up = |tenant: &str, int: i64| self.tenants.get(tenant)?.ints.get(&int)?.text();
            (0..ints.len()).map(by_row(&names, own, look_up)).collect()
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
