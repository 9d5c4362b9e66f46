//! Saved cards: rows of the tables that every app has for them, written and read within a scope.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use ebbtide_model::{
    Card, Instant, Scope, TableSchema, TenantId, TenantRule, Tenants, Written, card_column, card_table,
    read_json,
};
use ebbtide_store::{ColumnRef, NewRows, Occurrences, Snapshot, Store, StoreError, declared_schema};
use serde_json::{Map, Value as Json};

use crate::problem::{Code, Problem};

/// Cards of one tenant, or of the whole app, at most.
pub(crate) const CARDS_MAX: usize = 1_000;

/// A card as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedCard {
    pub(crate) card: Card,
    pub(crate) updated_at: Instant,
}

impl SavedCard {
    /// `{"name", "title", "query", "range", "picture", "compare", "updated_at"}`.
    pub(crate) fn to_json(&self) -> Map<String, Json> {
        let mut json = self.card.to_json();
        json.insert("updated_at".to_owned(), Json::from(self.updated_at.to_string()));
        json
    }

    /// `None` where it does not read back.
    fn of_text(text: &str) -> Option<Self> {
        let mut json = match read_json(text.as_bytes()) {
            Ok(Json::Object(json)) => json,
            Ok(_) | Err(_) => return None,
        };
        let updated_at = Instant::parse(json.remove("updated_at")?.as_str()?).ok()?;
        let name = json.remove("name")?;
        let card = Card::parse(name.as_str()?, &Json::Object(json)).ok()?;
        Some(Self { card, updated_at })
    }
}

/// The cards that belong to the scope itself, by name.
pub(crate) fn list(snapshot: &Snapshot, scope: &Scope) -> Result<Vec<SavedCard>, Problem> {
    let mut found = Vec::new();
    let columns = [ColumnRef::Declared(card_column::DEFINITION)];
    for part in snapshot.table(scope, &card_table(scope.tenants()))?.parts() {
        for batch in part.scan(&columns)? {
            let batch = batch.map_err(Problem::from)?;
            for text in batch.column(0).as_string::<i32>().iter().flatten() {
                let broken = || Problem::hidden(Code::Corrupt, "a card does not read back");
                found.push(SavedCard::of_text(text).ok_or_else(broken)?);
            }
        }
    }
    found.sort_by(|left: &SavedCard, right| left.card.name.cmp(&right.card.name));
    Ok(found)
}

/// Keeps a card, in the place of one of its name. Blocks until it is durable.
pub(crate) fn save(store: &Store, scope: &Scope, saved: &SavedCard) -> Result<(), Problem> {
    let snapshot = store.snapshot(scope.app())?;
    let table = table_of(&snapshot, scope)?;
    let tenant = match scope.tenants() {
        Tenants::One(tenant) => Some(tenant.as_str()),
        Tenants::All => None,
    };
    let definition = Written(&Json::Object(saved.to_json())).to_string();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter([tenant])),
        Arc::new(StringArray::from_iter_values([saved.card.name.as_str()])),
        Arc::new(StringArray::from_iter_values([definition])),
    ];
    let batch = RecordBatch::try_new(declared_schema(table), columns).map_err(StoreError::from)?;
    let rows = NewRows { table: table.name.clone(), batch, occurrences: Occurrences::new() };
    match store.append(scope, rows)?.rejected.first() {
        None => Ok(()),
        Some(refused) => Err(Problem::hidden(Code::Internal, &refused.detail)),
    }
}

/// Whether there was one of this name.
pub(crate) fn delete(store: &Store, scope: &Scope, name: &str) -> Result<bool, Problem> {
    let snapshot = store.snapshot(scope.app())?;
    let table = table_of(&snapshot, scope)?;
    let own = match (scope.tenants(), &table.tenant) {
        (Tenants::One(tenant), _) | (Tenants::All, TenantRule::Fixed(tenant)) => tenant.clone(),
        (Tenants::All, TenantRule::Column { .. } | TenantRule::Parent { .. }) => TenantId::new(""),
    };
    let own = scope.narrowed_to(&own).unwrap_or_else(|| scope.clone());
    let field = declared_schema(table).field(card_column::NAME).clone();
    let names: ArrayRef = Arc::new(StringArray::from_iter_values([name]));
    let keys = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![names]);
    Ok(store.delete_rows(&own, &table.name, &keys.map_err(StoreError::from)?)? > 0)
}

fn table_of<'s>(snapshot: &'s Snapshot, scope: &Scope) -> Result<&'s TableSchema, Problem> {
    let name = card_table(scope.tenants());
    snapshot.app().table(&name).ok_or_else(|| Problem::hidden(Code::Internal, format!("no table {name}")))
}
