//! Saved cohorts: rows of the tables that every app has for them, written and read within a scope.

mod rows;

use ebbtide_model::{Cohort, CohortMode, ColumnType, Instant, Tenants, Written, read_json};
use serde_json::{Map, Value as Json, json};

use crate::EngineError;
use crate::behaviour::OwnedKey;

pub(crate) use rows::members_of;
pub use rows::{cohort_keys, cohort_rows, find_cohort, list_cohorts};

/// Members of a cohort, at most.
pub const COHORT_MEMBERS_MAX: usize = 1_000_000;
/// Cohorts of one tenant, or of the whole app, at most.
pub const COHORTS_MAX: usize = 1_000;

/// Actors that were selected from an answer, each once.
#[derive(Clone, Debug)]
pub struct Members {
    /// By tenant and actor, ascending.
    pub(crate) list: Vec<(Box<str>, OwnedKey)>,
    /// The type of the actors, or of what was counted in their place.
    pub(crate) column_type: ColumnType,
}

impl Members {
    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The first so many, ascending: values, or of a scope of all tenants `{"tenant", "actor"}`.
    pub fn to_json(&self, tenants: &Tenants, limit: usize) -> Vec<Json> {
        let shown = self.list.iter().take(limit);
        let member = |(tenant, key): &(Box<str>, OwnedKey)| {
            let actor = key.value(self.column_type).to_json();
            match tenants {
                Tenants::One(_) => actor,
                Tenants::All => json!({"tenant": tenant, "actor": actor}),
            }
        };
        shown.map(member).collect()
    }

    /// The type of the members.
    pub fn column_type(&self) -> ColumnType {
        self.column_type
    }
}

/// A cohort as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedCohort {
    pub cohort: Cohort,
    /// As of when it was saved.
    pub as_of: Instant,
    pub created_at: Instant,
    /// How many members it had then.
    pub size: u64,
    /// The type of its members.
    pub column_type: ColumnType,
    /// How many rows it takes.
    chunks: u64,
}

impl SavedCohort {
    pub fn new(cohort: Cohort, members: &Members, as_of: Instant, created_at: Instant) -> Self {
        let kept = match cohort.mode {
            CohortMode::Static => members.len(),
            CohortMode::Live => 0,
        };
        Self {
            size: members.len() as u64,
            column_type: members.column_type,
            chunks: kept.div_ceil(rows::CHUNK_MEMBERS_MAX).max(1) as u64,
            cohort,
            as_of,
            created_at,
        }
    }

    /// `{"name", "mode", "query", "from", "size", "as_of", "created_at", "type"}`.
    pub fn to_json(&self) -> Map<String, Json> {
        let mut json = self.cohort.to_json();
        json.insert("size".to_owned(), Json::from(self.size));
        json.insert("as_of".to_owned(), Json::from(self.as_of.to_string()));
        json.insert("created_at".to_owned(), Json::from(self.created_at.to_string()));
        json.insert("type".to_owned(), Json::from(self.column_type.name()));
        json
    }

    fn to_text(&self) -> String {
        let mut json = self.to_json();
        json.insert("chunks".to_owned(), Json::from(self.chunks));
        Written(&Json::Object(json)).to_string()
    }

    fn of_text(text: &str) -> Result<Self, EngineError> {
        let broken = |told: &dyn std::fmt::Display| EngineError::Cohort { found: told.to_string() };
        let json = read_json(text.as_bytes()).map_err(|error| broken(&error))?;
        let mut own = Map::new();
        for name in ["name", "mode", "query", "from"] {
            own.insert(name.to_owned(), json[name].clone());
        }
        let instant = |name: &str| json[name].as_str().and_then(|text| Instant::parse(text).ok());
        let read = || {
            Some((
                instant("as_of")?,
                instant("created_at")?,
                json["size"].as_u64()?,
                type_of(json["type"].as_str()?)?,
                json["chunks"].as_u64()?,
            ))
        };
        let (as_of, created_at, size, column_type, chunks) = read().ok_or_else(|| broken(&"a field"))?;
        let cohort = Cohort::parse(&Json::Object(own)).map_err(|fault| broken(&fault))?;
        Ok(Self { cohort, as_of, created_at, size, column_type, chunks })
    }
}

/// Also that which no pack can give a column.
fn type_of(name: &str) -> Option<ColumnType> {
    let mixed = ColumnType::Mixed;
    ColumnType::from_name(name).or_else(|| (name == mixed.name()).then_some(mixed))
}
