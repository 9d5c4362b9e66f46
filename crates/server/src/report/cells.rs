//! What a statement's rows become: one JSON value, or one for each key by which they are split.

use std::collections::HashMap;

use ebbtide_engine::EngineError;
use ebbtide_engine::sql::{SqlRows, rows_to_json};
use ebbtide_model::Written;
use ebbtide_model::pack::SqlShape;
use serde_json::{Map, Value as Json};

use super::ReportError;

type Object = Map<String, Json>;

/// What a leaf gave, to be taken once.
#[derive(Clone, Debug)]
pub(super) enum Given {
    Whole(Json),
    /// The rows of an `each`.
    Rows(Vec<Object>),
    /// A value for each row of an `each`.
    Split(Split),
}

impl Default for Given {
    fn default() -> Self {
        Self::Whole(Json::Null)
    }
}

impl Given {
    pub(super) fn whole(
        shape: SqlShape,
        rows: Vec<Object>,
        width: usize,
        default: &Json,
    ) -> Result<Self, ReportError> {
        shaped(shape, rows, width, default).map(Self::Whole)
    }
}

/// Rows by the value of a column, which is theirs no more.
#[derive(Clone, Debug)]
pub(super) struct Split {
    shape: SqlShape,
    width: usize,
    default: Json,
    by_key: HashMap<String, Vec<Object>>,
}

impl Split {
    /// `width` counts the columns besides `by`.
    pub(super) fn by(
        by: &str,
        shape: SqlShape,
        rows: Vec<Object>,
        width: usize,
        default: &Json,
    ) -> Result<Self, ReportError> {
        let mut by_key: HashMap<String, Vec<Object>> = HashMap::new();
        for mut row in rows {
            let Some(key) = row.shift_remove(by) else {
                let given = format!("no column {by:?}");
                return Err(ReportError::Shape { shape: "a fragment", given, allowed: "is one" });
            };
            by_key.entry(key.to_string()).or_default().push(row);
        }
        Ok(Self { shape, width, default: default.clone(), by_key })
    }

    /// The value of a key, which is taken.
    pub(super) fn take(&mut self, key: &Json) -> Result<Json, ReportError> {
        let rows = self.by_key.remove(&key.to_string()).unwrap_or_default();
        shaped(self.shape, rows, self.width, &self.default)
    }
}

pub(super) fn objects_of(rows: &SqlRows) -> Result<Vec<Object>, ReportError> {
    Ok(rows_to_json(rows).map_err(EngineError::from)?)
}

fn shaped(shape: SqlShape, objects: Vec<Object>, width: usize, default: &Json) -> Result<Json, ReportError> {
    let height = objects.len();
    let refused = |shape, allowed| {
        let given = format!("{height} rows of {width} columns");
        Err(ReportError::Shape { shape, given, allowed })
    };
    let cells = |object: Object| object.into_iter().map(|(_, cell)| cell);
    let mut objects = objects.into_iter();
    match shape {
        SqlShape::Rows => Ok(objects.map(Json::Object).collect()),
        SqlShape::Row if height <= 1 => Ok(objects.next().map_or(Json::Null, Json::Object)),
        SqlShape::Row => refused("row", "is one at most"),
        SqlShape::Value if height <= 1 && width == 1 => Ok(match objects.next() {
            Some(object) => cells(object).next().unwrap_or_default(),
            None => default.clone(),
        }),
        SqlShape::Value => refused("value", "is one row at most, of one column"),
        SqlShape::Column if width == 1 => Ok(objects.flat_map(cells).collect()),
        SqlShape::Column => refused("column", "is one column"),
        SqlShape::Map if width == 2 => {
            let entry = |object: Object| {
                let mut cells = cells(object);
                let key = cells.next().unwrap_or_default();
                let key = key.as_str().map_or_else(|| Written(&key).to_string(), str::to_owned);
                (key, cells.next().unwrap_or_default())
            };
            Ok(Json::Object(objects.map(entry).collect()))
        }
        SqlShape::Map => refused("map", "are two columns"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(json: Json) -> Vec<Object> {
        json.as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect()
    }

    #[test]
    fn rows_are_split_by_their_key_and_a_key_without_rows_has_what_is_empty() {
        let check = |shape, columns: &[&str], given: Json, want: [Json; 3]| {
            let mut split = Split::by("k", shape, rows(given), columns.len(), &json!(0.5)).unwrap();
            let got = [json!(1), json!("1"), json!(2)].map(|key| split.take(&key).unwrap());
            assert_eq!(got, want, "{shape:?}");
        };
        let two =
            json!([{"k": 1, "a": "x", "n": 1}, {"k": "1", "a": "y", "n": 2}, {"a": "z", "n": 3, "k": 1}]);
        check(
            SqlShape::Rows,
            &["a", "n"],
            two.clone(),
            [json!([{"a": "x", "n": 1}, {"a": "z", "n": 3}]), json!([{"a": "y", "n": 2}]), json!([])],
        );
        check(SqlShape::Map, &["a", "n"], two, [json!({"x": 1, "z": 3}), json!({"y": 2}), json!({})]);
        let one = json!([{"k": "1", "n": 2}, {"n": null, "k": 1}]);
        check(SqlShape::Value, &["n"], one.clone(), [json!(null), json!(2), json!(0.5)]);
        check(SqlShape::Row, &["n"], one.clone(), [json!({"n": null}), json!({"n": 2}), json!(null)]);
        check(SqlShape::Column, &["n"], one, [json!([null]), json!([2]), json!([])]);
    }

    #[test]
    fn two_rows_of_one_key_are_no_value() {
        let given = rows(json!([{"k": 1, "n": 1}, {"k": 1, "n": 2}]));
        let mut split = Split::by("k", SqlShape::Value, given, 1, &Json::Null).unwrap();
        let told = split.take(&json!(1)).unwrap_err().to_string();
        assert!(told.contains("2 rows of 1 columns; for value there is one row at most"), "{told}");
    }
}
