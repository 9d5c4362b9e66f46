//! Who an actor is by all of its names. A stream's alias table says `alias` is `actor`; from it every name is
//! led to one actor, so that a lookup by row answers, and rows of all names fold as one.

mod sets;
mod values;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int64Array, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use ebbtide_model::{AliasTable, Scope};
use ebbtide_store::{ColumnRef, Snapshot};
use hashbrown::HashMap;
use std::hash::Hash;
use std::sync::Arc;

pub use sets::{AliasSets, Join, JoinRefused, Joined};
pub(crate) use values::{ActorValues, actor_values};

use crate::EngineError;
use crate::behaviour::OwnedKey;

/// The aliases of the tenants that a scope sees.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    tenants: HashMap<Box<str>, OfTenant>,
}

/// What an entry of a lookup takes besides its texts, about.
const ENTRY_BYTES: usize = 80;

/// From each alias to its actor, which is none itself.
#[derive(Debug, Default)]
struct OfTenant {
    texts: HashMap<Box<str>, Box<str>>,
    ints: HashMap<i64, i64>,
}

impl Aliases {
    /// As they are now: an alias holds for all history, whenever it was declared.
    pub(crate) fn load(
        snapshot: &Snapshot,
        scope: &Scope,
        table: &AliasTable,
    ) -> Result<Arc<Self>, EngineError> {
        let what = format!("aliases {} {}", table.alias, table.actor);
        if let Some(known) = snapshot.derived(scope, &table.table, &what)? {
            return Ok(known);
        }
        let read = Arc::new(Self::read(snapshot, scope, table)?);
        snapshot.keep_derived(scope, &table.table, &what, &read, read.bytes())?;
        Ok(read)
    }

    fn read(snapshot: &Snapshot, scope: &Scope, table: &AliasTable) -> Result<Self, EngineError> {
        let columns = [ColumnRef::Tenant, ColumnRef::Declared(table.alias), ColumnRef::Declared(table.actor)];
        let mut tenants: HashMap<Box<str>, OfTenant> = HashMap::new();
        for part in snapshot.table(scope, &table.table)?.parts() {
            for batch in part.scan(&columns)? {
                let batch = batch?;
                let names = TenantNames::of(batch.column(0))?;
                let (aliases, actors) = (batch.column(1), batch.column(2));
                for row in 0..batch.num_rows() {
                    let tenant = names.at(row);
                    if !tenants.contains_key(tenant) {
                        tenants.insert(Box::from(tenant), OfTenant::default());
                    }
                    if let Some(own) = tenants.get_mut(tenant) {
                        own.add(aliases, actors, row)?;
                    }
                }
            }
        }
        for own in tenants.values_mut() {
            own.texts = led_to_actors(&own.texts);
            own.ints = led_to_actors(&own.ints);
        }
        Ok(Self { tenants })
    }

    /// About what they take in memory.
    fn bytes(&self) -> usize {
        let texts = self.tenants.values().flat_map(|own| &own.texts);
        let texts: usize = texts.map(|(alias, actor)| alias.len() + actor.len() + ENTRY_BYTES).sum();
        let ints: usize = self.tenants.values().map(|own| own.ints.len() * ENTRY_BYTES).sum();
        texts + ints
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// Whose alias a name is; `None` where it is nobody's.
    pub(crate) fn actor_of(&self, tenant: &str, name: &OwnedKey) -> Option<OwnedKey> {
        let own = self.tenants.get(tenant)?;
        match name {
            OwnedKey::Text(text) => own.texts.get(text).map(|actor| OwnedKey::Text(actor.clone())),
            OwnedKey::Int(int) => own.ints.get(int).copied().map(OwnedKey::Int),
            OwnedKey::Null | OwnedKey::Decimal(_) => None,
        }
    }

    /// A column of actors with each alias replaced by its actor; `None` where there is none among them.
    /// Equal actors in a row, as stored rows have them, are looked up once.
    pub(crate) fn resolved(
        &self,
        tenants: &ArrayRef,
        actors: &ArrayRef,
    ) -> Result<Option<ArrayRef>, EngineError> {
        if self.is_empty() {
            return Ok(None);
        }
        let names = TenantNames::of(tenants)?;
        if let Some(texts) = actors.as_string_opt::<i32>() {
            let own = |row: usize| texts.is_valid(row).then(|| texts.value(row));
            let look_up =
                |tenant: &str, text: &str| self.tenants.get(tenant)?.texts.get(text).map(AsRef::as_ref);
            let found = replaced(texts.len(), &names, own, look_up);
            return Ok(found.map(|texts| Arc::new(StringArray::from(texts)) as ArrayRef));
        }
        let ints = actors.as_primitive_opt::<Int64Type>().ok_or_else(|| unexpected(actors))?;
        let own = |row: usize| ints.is_valid(row).then(|| ints.value(row));
        let look_up = |tenant: &str, int: i64| self.tenants.get(tenant)?.ints.get(&int).copied();
        let found = replaced(ints.len(), &names, own, look_up);
        Ok(found.map(|ints| Arc::new(Int64Array::from(ints)) as ArrayRef))
    }
}

impl OfTenant {
    fn add(&mut self, aliases: &ArrayRef, actors: &ArrayRef, row: usize) -> Result<(), EngineError> {
        if aliases.is_null(row) || actors.is_null(row) {
            return Ok(());
        }
        match (aliases.as_string_opt::<i32>(), actors.as_string_opt::<i32>()) {
            (Some(aliases), Some(actors)) => {
                self.texts.insert(Box::from(aliases.value(row)), Box::from(actors.value(row)));
            }
            _ => {
                let int = |array: &ArrayRef| {
                    let ints = array.as_primitive_opt::<Int64Type>();
                    ints.map(|ints| ints.value(row)).ok_or_else(|| unexpected(array))
                };
                self.ints.insert(int(aliases)?, int(actors)?);
            }
        }
        Ok(())
    }
}

/// From each name to the actor at the end of its way. Names that lead in a circle are one actor, under the
/// least of them: whoever wrote such rows, in whatever order, is answered the same.
fn led_to_actors<K: Clone + Eq + Hash + Ord>(direct: &HashMap<K, K>) -> HashMap<K, K> {
    let mut ends: HashMap<K, K> = HashMap::with_capacity(direct.len());
    for start in direct.keys() {
        let mut way: Vec<&K> = Vec::new();
        let mut places: HashMap<&K, usize> = HashMap::new();
        let mut at = start;
        let end = loop {
            if let Some(known) = ends.get(at) {
                break known.clone();
            }
            if let Some(place) = places.get(at) {
                break way[*place..].iter().copied().min().unwrap_or(at).clone();
            }
            let Some(next) = direct.get(at) else {
                break at.clone();
            };
            places.insert(at, way.len());
            way.push(at);
            at = next;
        };
        for name in way {
            ends.insert(name.clone(), end.clone());
        }
    }
    ends.retain(|name, end| name != end);
    ends
}

/// What is found for a row; rows of one actor stand together, and are looked up once.
fn by_row<V: Copy + PartialEq, F: Copy>(
    tenants: &TenantNames<'_>,
    own: impl Fn(usize) -> Option<V>,
    look_up: impl Fn(&str, V) -> Option<F>,
) -> impl FnMut(usize) -> Option<F> {
    let mut last: Option<(i32, V, Option<F>)> = None;
    move |row: usize| {
        let value = own(row)?;
        let code = tenants.code(row);
        let found = match last {
            Some((last_code, last_value, found)) if last_code == code && last_value == value => found,
            _ => look_up(tenants.at(row), value),
        };
        last = Some((code, value, found));
        found
    }
}

/// The column with what a lookup finds in its place; `None` where it finds nothing.
fn replaced<V: Copy + PartialEq>(
    rows: usize,
    tenants: &TenantNames<'_>,
    own: impl Fn(usize) -> Option<V>,
    look_up: impl Fn(&str, V) -> Option<V>,
) -> Option<Vec<Option<V>>> {
    let mut find = by_row(tenants, &own, look_up);
    let first = (0..rows).find(|row| find(*row).is_some())?;
    let mut column: Vec<Option<V>> = (0..first).map(&own).collect();
    column.extend((first..rows).map(|row| find(row).or_else(|| own(row))));
    Some(column)
}

/// Whose each row of a batch is.
struct TenantNames<'a> {
    dictionary: &'a DictionaryArray<Int32Type>,
    names: &'a StringArray,
}

impl<'a> TenantNames<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self, EngineError> {
        let dictionary = array.as_dictionary_opt::<Int32Type>().ok_or_else(|| unexpected(array))?;
        let names = dictionary.values().as_string_opt::<i32>().ok_or_else(|| unexpected(array))?;
        Ok(Self { dictionary, names })
    }

    fn code(&self, row: usize) -> i32 {
        self.dictionary.keys().value(row)
    }

    fn at(&self, row: usize) -> &'a str {
        usize::try_from(self.code(row)).map_or("", |code| self.names.value(code))
    }
}

fn unexpected(array: &ArrayRef) -> EngineError {
    EngineError::Layout { found: array.data_type().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(direct: &[(&str, &str)], want: &[(&str, &str)]) {
        let pairs = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
            pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
        };
        assert_eq!(led_to_actors(&pairs(direct)), pairs(want), "{direct:?}");
    }

    #[test]
    fn every_name_is_led_to_one_actor_in_one_step_also_in_a_circle() {
        check(&[], &[]);
        check(&[("a", "b")], &[("a", "b")]);
        check(&[("a", "b"), ("b", "c"), ("c", "d")], &[("a", "d"), ("b", "d"), ("c", "d")]);
        check(&[("a", "a")], &[]);
        check(&[("b", "a"), ("a", "b")], &[("b", "a")]);
        check(&[("x", "c"), ("c", "b"), ("b", "c")], &[("x", "b"), ("c", "b")]);
        check(&[("a", "x"), ("b", "x"), ("x", "y")], &[("a", "y"), ("b", "y"), ("x", "y")]);
    }

    #[test]
    fn a_long_way_is_gone_once() {
        let direct: HashMap<u32, u32> = (0..100_000).map(|name| (name, name + 1)).collect();
        assert!(led_to_actors(&direct).values().all(|end| *end == 100_000));
    }

    #[test]
    fn a_column_without_aliases_is_left_as_it_is() {
        let tenants: DictionaryArray<Int32Type> = ["t", "t", "u", "u"].into_iter().map(Some).collect();
        let tenants: ArrayRef = Arc::new(tenants);
        let of_t =
            OfTenant { texts: [("b".into(), "a".into())].into_iter().collect(), ..OfTenant::default() };
        let aliases = Aliases { tenants: [("t".into(), of_t)].into_iter().collect() };
        let resolve = |actors: [Option<&str>; 4]| {
            let actors: ArrayRef = Arc::new(StringArray::from(actors.to_vec()));
            let found = aliases.resolved(&tenants, &actors).unwrap();
            found.map(|found| found.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
        };
        let own = |texts: [Option<&str>; 4]| Some(texts.map(|text| text.map(str::to_owned)).to_vec());
        assert_eq!(resolve([Some("a"), None, Some("b"), Some("b")]), None);
        assert_eq!(
            resolve([None, Some("b"), Some("b"), Some("c")]),
            own([None, Some("a"), Some("b"), Some("c")])
        );
    }
}
