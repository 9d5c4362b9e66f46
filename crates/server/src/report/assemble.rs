//! Answers are put where their leaves stand.

use std::collections::HashSet;

use ebbtide_model::Language;
use ebbtide_model::pack::{Each, FIELDS, LANG, Tree, WHOLE};
use serde_json::{Map, Value as Json};

use super::asked::{Found, branch, leaf_count};
use super::cells::Given;
use super::values::Values;
use super::{List, ListColumn, ReportError, findings};

/// What leaves gave, in the order of the leaves.
pub(super) struct Source {
    found: Vec<Found>,
    next: usize,
    /// Within a fragment: the row that is put together.
    key: Option<Json>,
}

impl Source {
    pub(super) fn whole(found: Vec<Found>) -> Self {
        Self { found, next: 0, key: None }
    }

    fn next(&mut self) -> Result<&mut Found, ReportError> {
        let found = self.found.get_mut(self.next);
        self.next += 1;
        found.ok_or_else(|| ReportError::Unanswered("there are fewer answers than leaves".to_owned()))
    }

    /// The next leaf's value, and its columns.
    fn value(&mut self) -> Result<(Json, Vec<ListColumn>), ReportError> {
        let key = self.key.clone();
        let found = self.next()?;
        let value = match (&mut found.given, key) {
            (Given::Whole(json), None) => std::mem::take(json),
            (Given::Split(split), Some(key)) => split.take(&key)?,
            (Given::Whole(_) | Given::Rows(_) | Given::Split(_), _) => {
                return Err(ReportError::Unanswered("a leaf has the answer of another".to_owned()));
            }
        };
        Ok((value, found.columns.clone()))
    }

    /// The rows of an `each` whose fragment has so many leaves.
    fn rows(&mut self, leaves: usize) -> Result<Rows, ReportError> {
        let Found { given, columns, .. } = std::mem::take(self.next()?);
        let Given::Rows(objects) = given else {
            return Err(ReportError::Unanswered("an `each` has the answer of another leaf".to_owned()));
        };
        let mut found = Vec::with_capacity(leaves);
        for _ in 0..leaves {
            found.push(std::mem::take(self.next()?));
        }
        Ok(Rows { objects, columns, inner: Self::whole(found) })
    }
}

/// The rows of an `each`.
struct Rows {
    objects: Vec<Map<String, Json>>,
    columns: Vec<ListColumn>,
    /// What the leaves of its fragment gave.
    inner: Source,
}

/// Puts a response together, and notes its lists of objects.
#[derive(Default)]
pub(super) struct Assembly {
    lists: Vec<List>,
    /// Lists in the rows of a list are none of the answer's.
    inside_list: bool,
}

impl Assembly {
    pub(super) fn lists(&self) -> &[List] {
        &self.lists
    }

    pub(super) fn tree(
        &mut self,
        tree: &Tree,
        path: &str,
        source: &mut Source,
        values: &Values<'_>,
    ) -> Result<Json, ReportError> {
        match tree {
            Tree::Literal(json) => Ok(json.clone()),
            Tree::Param(name) => values.json(name),
            Tree::Object(entries) => {
                let mut object = Map::new();
                self.entries(entries, path, source, values, &mut object)?;
                Ok(Json::Object(object))
            }
            Tree::List(items) => {
                let items = items.iter().map(|item| self.tree(item, path, source, values));
                let items = items.collect::<Result<Vec<_>, _>>()?;
                let first = items.first().and_then(Json::as_object);
                let columns =
                    first.map(|row| row.keys().map(ListColumn::untyped).collect()).unwrap_or_default();
                self.list(path, columns);
                Ok(Json::Array(items))
            }
            Tree::Each(each) => self.each(each, path, source, values),
            Tree::When { name, then, otherwise } => {
                self.tree(branch(name, then, otherwise, values)?, path, source, values)
            }
            Tree::Insights(insights) => {
                let rows = insights.leaves().map(|_| source.value().map(|(rows, _)| rows));
                let language = values.json(LANG)?.as_str().and_then(Language::from_code);
                Ok(findings::told(insights, rows.collect::<Result<_, _>>()?, language.unwrap_or_default()))
            }
            Tree::Sql { .. } | Tree::Behaviour(_) => {
                let (json, columns) = source.value()?;
                self.list(path, columns);
                Ok(json)
            }
        }
    }

    fn entries(
        &mut self,
        entries: &[(String, Tree)],
        path: &str,
        source: &mut Source,
        values: &Values<'_>,
        object: &mut Map<String, Json>,
    ) -> Result<(), ReportError> {
        for (name, tree) in entries {
            if name == FIELDS {
                if let (Json::Object(fields), _) = source.value()? {
                    object.extend(fields);
                }
                continue;
            }
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            object.insert(name.clone(), self.tree(tree, &path, source, values)?);
        }
        Ok(())
    }

    fn each(
        &mut self,
        each: &Each,
        path: &str,
        source: &mut Source,
        values: &Values<'_>,
    ) -> Result<Json, ReportError> {
        let values = values.within(each)?;
        let Rows { objects: rows, columns, mut inner } = source.rows(leaf_count(&each.fields, &values)?)?;
        let refused =
            |given: String, allowed| Err(ReportError::Shape { shape: "a fragment", given, allowed });
        if each.one && rows.len() > 1 {
            return refused(format!("{} rows", rows.len()), "is one row at most");
        }
        if !each.one {
            self.list(path, columns_of(each, columns, &inner, &values)?);
        }
        let outside = self.inside_list;
        self.inside_list |= !each.one;
        let mut known = HashSet::new();
        let mut objects = Vec::with_capacity(rows.len());
        for mut object in rows {
            let Some(key) = object.get(&each.by).cloned() else {
                return refused(format!("rows without {}", each.by), "is such a column");
            };
            if !known.insert(key.to_string()) {
                return refused(format!("several rows with one {}", each.by), "is one row each");
            }
            inner.next = 0;
            inner.key = Some(key);
            if let Tree::Object(entries) = &each.fields {
                self.entries(entries, path, &mut inner, &values, &mut object)?;
            }
            objects.push(Json::Object(object));
        }
        self.inside_list = outside;
        Ok(if each.one { objects.pop().unwrap_or_default() } else { Json::Array(objects) })
    }

    fn list(&mut self, path: &str, columns: Vec<ListColumn>) {
        if !self.inside_list {
            let path = if path.is_empty() { WHOLE } else { path };
            self.lists.push(List { path: path.to_owned(), columns });
        }
    }
}

/// The columns of an `each`: its rows' own, then the fragment's fields.
fn columns_of(
    each: &Each,
    mut columns: Vec<ListColumn>,
    inner: &Source,
    values: &Values<'_>,
) -> Result<Vec<ListColumn>, ReportError> {
    let Tree::Object(entries) = &each.fields else {
        return Ok(columns);
    };
    let mut leaf = 0;
    for (name, tree) in entries {
        let fields = match inner.found.get(leaf) {
            Some(found) if name == FIELDS => found.columns.clone(),
            Some(_) | None => vec![ListColumn::untyped(name)],
        };
        for field in fields {
            if !columns.iter().any(|column| column.name == field.name) {
                columns.push(field);
            }
        }
        leaf += leaf_count(tree, values)?;
    }
    Ok(columns)
}
