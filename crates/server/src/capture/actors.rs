//! Properties of actors as rows: one for each, so that they merge by themselves, the latest of a name in
//! the place of the one before.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder, new_null_array};
use arrow::error::ArrowError;
use ebbtide_model::{ActorPropsTable, TableSchema, canonical_json};
use ebbtide_store::declared_schema;

use super::item::{ItemRejection, Refusal, check_tenant, fields, name};
use super::json::Json;
use super::props;

/// The properties of a list's actors as rows, with the index in the list of each.
#[derive(Debug)]
pub(crate) struct ActorRows {
    pub(crate) batch: RecordBatch,
    pub(crate) indexes: Vec<usize>,
    /// Actors that were taken, those without a property too.
    pub(crate) accepted: usize,
    pub(crate) rejected: Vec<ItemRejection>,
}

/// Types a list of actors. A property that is null is taken away.
pub(crate) fn type_actors(
    table: &TableSchema,
    by: &ActorPropsTable,
    items: &[Json<'_>],
    tenant: &str,
) -> Result<ActorRows, ArrowError> {
    let (mut actors, mut names, mut values) =
        (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut indexes, mut rejected, mut accepted) = (Vec::new(), Vec::new(), 0);
    for (index, item) in items.iter().enumerate() {
        let read = || -> Result<_, Refusal> {
            let [actor, given, of] = fields(item, ["actor", "props", "tenant"])?;
            check_tenant(of, tenant)?;
            Ok((name("actor", actor)?, props::with_nulls(given)?))
        };
        let (actor, given) = match read() {
            Ok(read) => read,
            Err(refusal) => {
                rejected.push(refusal.at(index));
                continue;
            }
        };
        accepted += 1;
        for (name, value) in given {
            actors.append_value(&actor);
            names.append_value(name);
            values.append_option((*value != Json::Null).then(|| canonical_json(&value.to_value())));
            indexes.push(index);
        }
    }
    let schema = declared_schema(table);
    let null = |field: &arrow::datatypes::FieldRef| new_null_array(field.data_type(), indexes.len());
    let mut columns: Vec<ArrayRef> = schema.fields().iter().map(null).collect();
    columns[by.actor] = Arc::new(actors.finish());
    columns[by.name] = Arc::new(names.finish());
    columns[by.value] = Arc::new(values.finish());
    let batch = RecordBatch::try_new(schema, columns)?;
    Ok(ActorRows { batch, indexes, accepted, rejected })
}
