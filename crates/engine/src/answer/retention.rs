//! A retention's result.

use ebbtide_model::{Instant, Value};
use serde_json::{Map, Value as Json};

use super::ActorId;
use crate::Ratio;

#[derive(Clone, Debug)]
pub struct RetentionAnswer {
    pub all: Cohorts,
    /// With a breakdown: those with members, the one with most members first, then by value.
    pub groups: Option<Vec<CohortGroup>>,
}

#[derive(Clone, Debug)]
pub struct CohortGroup {
    pub value: Value,
    pub cohorts: Cohorts,
}

/// Rows by period, oldest first.
#[derive(Clone, Debug)]
pub struct Cohorts {
    pub rows: Vec<CohortRow>,
    /// By column, over complete cells, in percent: of all their members together.
    pub mean_pooled: Vec<Option<Ratio>>,
    /// By column, over complete cells with members, in percent: the mean of their percentages.
    pub mean_simple: Vec<Option<Ratio>>,
}

#[derive(Clone, Debug)]
pub struct CohortRow {
    pub start: Instant,
    /// The period's name: `2026-06` for a month.
    pub label: String,
    /// Members; `None` where the period has not begun.
    pub size: Option<u64>,
    pub cells: Vec<CohortCell>,
    /// Where they are asked for, sorted.
    pub members: Option<Vec<ActorId>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CohortCell {
    /// `None` where the period has not begun.
    pub count: Option<u64>,
    /// Whether the period has ended.
    pub complete: bool,
}

impl CohortRow {
    /// The k-th cell over the size, in percent, exactly; `None` over nothing.
    pub fn percent(&self, column: usize) -> Option<Ratio> {
        let count = self.cells.get(column)?.count?;
        Ratio::new(u128::from(count) * 100, self.size?)
    }
}

impl RetentionAnswer {
    pub fn to_json(&self) -> Json {
        let mut json = self.all.to_json();
        if let Some(groups) = &self.groups {
            let group = |group: &CohortGroup| {
                let mut json = Map::new();
                json.insert("value".to_owned(), group.value.to_json());
                json.extend(group.cohorts.to_json());
                Json::Object(json)
            };
            json.insert("groups".to_owned(), groups.iter().map(group).collect());
        }
        Json::Object(json)
    }
}

impl Cohorts {
    fn to_json(&self) -> Map<String, Json> {
        let rows = |of: fn(&CohortRow) -> Json| self.rows.iter().map(of).collect::<Json>();
        let mut json = Map::new();
        let mut put = |name: &str, value: Json| json.insert(name.to_owned(), value);
        put("starts", rows(|row| Json::from(row.start.to_string())));
        put("sizes", rows(|row| row.size.map_or(Json::Null, Json::from)));
        put(
            "matrix",
            rows(|row| row.cells.iter().map(|cell| cell.count.map_or(Json::Null, Json::from)).collect()),
        );
        put(
            "percent",
            rows(|row| (0..row.cells.len()).map(|column| float(row.percent(column).as_ref())).collect()),
        );
        put("complete", rows(|row| row.cells.iter().map(|cell| Json::from(cell.complete)).collect()));
        put("mean_pooled", self.mean_pooled.iter().map(|mean| float(mean.as_ref())).collect());
        put("mean_simple", self.mean_simple.iter().map(|mean| float(mean.as_ref())).collect());
        if self.rows.iter().any(|row| row.members.is_some()) {
            put("members", rows(|row| row.members.iter().flatten().map(ActorId::to_json).collect()));
        }
        json
    }
}

fn float(ratio: Option<&Ratio>) -> Json {
    ratio.map_or(Json::Null, |ratio| Json::from(ratio.to_f64()))
}
