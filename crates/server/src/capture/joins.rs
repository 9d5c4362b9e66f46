//! Aliases as they are asked for: which of them join, and which rows say so.

use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::error::ArrowError;
use ebbtide_engine::{AliasSets, Join, JoinRefused, Joined};
use ebbtide_model::{AliasTable, AppName, TableSchema, TenantId};
use ebbtide_store::declared_schema;
use xxhash_rust::xxh3::xxh3_64;

use super::item::{ItemRejection, Refusal, check_tenant, fields, name};
use super::json::Json;

/// Held by who joins names of a tenant, from reading what has joined until the rows are stored. Tenants share a
/// few places.
#[derive(Debug)]
pub(crate) struct Joining {
    places: Vec<Mutex<()>>,
}

const PLACES: usize = 64;

impl Default for Joining {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| Mutex::default()).collect() }
    }
}

impl Joining {
    pub(crate) fn of(&self, app: &AppName, tenant: &TenantId) -> &Mutex<()> {
        let hash = xxh3_64(format!("{}:{app}{tenant}", app.as_str().len()).as_bytes());
        let place = usize::from(hash.to_be_bytes()[0]) % self.places.len();
        &self.places[place]
    }
}

/// What became of a list, and the rows that say which name is whose.
#[derive(Debug)]
pub(crate) struct JoinRows {
    /// `None` where nothing joins that was not joined before.
    pub(crate) batch: Option<RecordBatch>,
    pub(crate) accepted: usize,
    pub(crate) duplicates: usize,
    pub(crate) rejected: Vec<ItemRejection>,
}

/// Decides a list in its order, each after what those before it have joined.
pub(crate) fn join(
    table: &TableSchema,
    by: &AliasTable,
    items: &[Json<'_>],
    tenant: &str,
    sets: &mut AliasSets,
) -> Result<JoinRows, ArrowError> {
    let (mut accepted, mut duplicates, mut rejected) = (0, 0, Vec::new());
    let (mut aliases, mut actors): (Vec<Box<str>>, Vec<Box<str>>) = (Vec::new(), Vec::new());
    for (index, item) in items.iter().enumerate() {
        match decide(item, tenant, sets) {
            Ok(rows) if rows.is_empty() => duplicates += 1,
            Ok(rows) => {
                accepted += 1;
                for (alias, actor) in rows {
                    aliases.push(alias);
                    actors.push(actor);
                }
            }
            Err(refusal) => rejected.push(refusal.at(index)),
        }
    }
    if aliases.is_empty() {
        return Ok(JoinRows { batch: None, accepted, duplicates, rejected });
    }
    let schema = declared_schema(table);
    let null = |field: &arrow::datatypes::FieldRef| new_null_array(field.data_type(), aliases.len());
    let mut columns: Vec<ArrayRef> = schema.fields().iter().map(null).collect();
    columns[by.alias] = Arc::new(StringArray::from_iter_values(&aliases));
    columns[by.actor] = Arc::new(StringArray::from_iter_values(&actors));
    let batch = RecordBatch::try_new(schema, columns)?;
    Ok(JoinRows { batch: Some(batch), accepted, duplicates, rejected })
}

fn decide(item: &Json<'_>, tenant: &str, sets: &mut AliasSets) -> Result<Vec<Joined>, Refusal> {
    let [alias, actor, force, of] = fields(item, ["alias", "actor", "force", "tenant"])?;
    check_tenant(of, tenant)?;
    let (alias, actor) = (name("alias", alias)?, name("actor", actor)?);
    let join = match force {
        None | Some(Json::Bool(false)) => Join::Fresh,
        Some(Json::Bool(true)) => Join::Forced,
        Some(other) => {
            let detail = format!("\"force\" is {}; allowed is true or false", other.kind());
            return Err(Refusal::new("wrong_type", detail));
        }
    };
    sets.join(&alias, &actor, join).map_err(|refused| match refused {
        JoinRefused::Itself => {
            Refusal::new("alias_itself", "the alias is the actor; allowed is another name")
        }
        // Whose it is, a writer may not learn.
        JoinRefused::BelongsToAnother => {
            Refusal::new("alias_taken", "the alias belongs to another actor; \"force\": true joins the two")
        }
        JoinRefused::HasAliases => Refusal::new(
            "alias_is_actor",
            "the alias is an actor with aliases of its own; \"force\": true joins the two",
        ),
    })
}
