//! Named statements that other statements read as tables. One that is plain SQL is written in front of
//! those that name it, so that the engine plans them together; one that is asked `once`, and the rows of
//! a behavioural query, are rows of their own, which an answer asks for a single time.

use super::words;
use crate::{ColumnType, Node, TableName};

/// In the order of the file: one reads those before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts<'a>(pub(super) Vec<Part<'a>>);

#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    pub(super) name: String,
    pub(super) rows: Rows<'a>,
}

/// Where a part's rows come from.
#[derive(Clone, Debug)]
pub(super) enum Rows<'a> {
    Inline(&'a str),
    Once(&'a str),
    Query(Folded<'a>),
    /// The rows of an `each`, which the report has as this relation.
    Each {
        relation: usize,
        tried: Tried,
    },
}

/// The rows of a behavioural query.
#[derive(Clone, Debug)]
pub(super) struct Folded<'a> {
    pub(super) query: Node<'a>,
    pub(super) columns: Vec<(String, ColumnType)>,
    pub(super) tables: Vec<TableName>,
}

/// Tables that a statement is tried with, besides the pack's: name and columns.
pub(super) type Columns = (String, Vec<(String, ColumnType)>);

/// A statement as it is tried: with all that it reads written in front of it, save behavioural queries.
#[derive(Clone, Debug, Default)]
pub(super) struct Tried {
    pub(super) sql: String,
    pub(super) relations: Vec<Columns>,
    /// The names in the place of values that the behavioural queries have.
    pub(super) names: Vec<String>,
    /// The names of all parts that it comes by.
    pub(super) parts: Vec<String>,
}

impl<'a> Parts<'a> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|part| part.name == name)
    }

    /// The statement as it is run, and the parts (by their place, in order) whose rows it is given.
    pub(super) fn composed(&self, statement: &str) -> (String, Vec<usize>) {
        let needed = self.needed(statement, |rows| matches!(rows, Rows::Inline(_)));
        let (mut inline, mut given) = (Vec::new(), Vec::new());
        for index in needed {
            match &self.0[index].rows {
                Rows::Inline(sql) => inline.push((self.0[index].name.as_str(), *sql)),
                Rows::Once(_) | Rows::Query(_) | Rows::Each { .. } => given.push(index),
            }
        }
        (written(&inline, statement), given)
    }

    pub(super) fn tried(&self, statement: &str) -> Tried {
        let needed = self.needed(statement, |rows| !matches!(rows, Rows::Query(_)));
        let mut tried = Tried::default();
        let mut written_parts = Vec::new();
        for index in needed {
            let part = &self.0[index];
            tried.parts.push(part.name.clone());
            match &part.rows {
                Rows::Inline(sql) | Rows::Once(sql) => written_parts.push((part.name.as_str(), *sql)),
                Rows::Query(folded) => {
                    tried.relations.push((part.name.clone(), folded.columns.clone()));
                    words::collect_names(folded.query.json(), &mut tried.names);
                }
                Rows::Each { tried: rows, .. } => {
                    written_parts.push((part.name.as_str(), rows.sql.as_str()));
                    for relation in &rows.relations {
                        if !tried.relations.contains(relation) {
                            tried.relations.push(relation.clone());
                        }
                    }
                    tried.names.extend(rows.names.iter().cloned());
                    tried.parts.extend(rows.parts.iter().cloned());
                }
            }
        }
        tried.sql = written(&written_parts, statement);
        tried
    }

    /// The places of the parts that a statement comes by: those that it names, and those that one names
    /// which is `expanded`.
    fn needed(&self, statement: &str, expanded: impl Fn(&Rows<'a>) -> bool) -> Vec<usize> {
        let mut needed: Vec<usize> = Vec::new();
        for (index, part) in self.0.iter().enumerate().rev() {
            let of_later = needed.iter().any(|later| {
                let rows = &self.0[*later].rows;
                expanded(rows) && rows.statement().is_some_and(|sql| words::names(sql, &part.name))
            });
            if of_later || words::names(statement, &part.name) {
                needed.push(index);
            }
        }
        needed.reverse();
        needed
    }
}

impl Rows<'_> {
    fn statement(&self) -> Option<&str> {
        match self {
            Self::Inline(sql) | Self::Once(sql) => Some(sql),
            // The rows of an `each` have all that they come by in them.
            Self::Query(_) | Self::Each { .. } => None,
        }
    }
}

/// A statement after the parts that it comes by.
fn written(parts: &[(&str, &str)], statement: &str) -> String {
    if parts.is_empty() {
        return statement.to_owned();
    }
    let parts: Vec<String> =
        parts.iter().map(|(name, statement)| format!("{name} AS (\n{statement}\n)")).collect();
    let own = statement.trim_start();
    // A statement that has a WITH of its own goes on with ours.
    match own.get(..5).filter(|word| word.trim_end().eq_ignore_ascii_case("with")) {
        Some(_) => format!("WITH {}, {}", parts.join(", "), own[4..].trim_start()),
        None => format!("WITH {} {own}", parts.join(", ")),
    }
}
