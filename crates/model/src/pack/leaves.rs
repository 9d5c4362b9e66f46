//! What the leaves of a response may name and read, and what they did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value as Json;

use super::faults::Faults;
use super::parse::{Statement, Wanted, name, unknown};
use super::reports::Context;
use super::with::{Folded, Part, Parts, Rows, Tried};
use super::{AS_OF, Composed, Param, Relation, RelationRows, Route, RouteTenant, SqlShape, tree, words};
use crate::query::{BoundQuery, Query, bind};
use crate::{Fault, Instant, Node, TableName, Value};

const WITH_MAX: usize = 50;
/// 2024-01-01, as of which leaves are tried.
const SAMPLE_AS_OF_MICROS: i64 = 1_704_067_200_000_000;

pub(super) struct Leaves<'c, 'a> {
    pub(super) context: &'c Context<'a>,
    parts: Parts<'a>,
    /// Every name that has a value, with one that it could have.
    known: Vec<(String, Value)>,
    /// Within a fragment: what the statement of its rows may name, and no leaf.
    of_rows: Vec<(String, Value)>,
    pub(super) used: BTreeSet<String>,
    pub(super) tables: Vec<TableName>,
    /// Rows that statements read besides tables; one reads those before it.
    pub(super) relations: Vec<Relation>,
    /// Where among them a part's rows are.
    placed: BTreeMap<String, usize>,
    /// Parts that some statement comes by.
    read: BTreeSet<String>,
    /// Within a fragment: the column by whose values each statement's rows are split.
    pub(super) by: Option<&'a str>,
    /// The columns that the next statement gives at least.
    pub(super) wanted: Vec<Wanted>,
    /// Whether tables and parameters are all sound: leaves are tried against nothing less.
    pub(super) sound: bool,
}

/// The pack's own `with`, and whether what reads it can be tried.
pub(super) fn shared_parts<'a>(
    node: &Node<'a>,
    context: &Context<'a>,
    faults: &mut Faults,
) -> (Parts<'a>, bool) {
    let mut leaves = Leaves::new(context, &[], &[]);
    leaves.add_parts(node, faults);
    (leaves.parts, leaves.sound)
}

impl<'c, 'a> Leaves<'c, 'a> {
    /// Leaves of a response that may name these parameters.
    pub(super) fn new(context: &'c Context<'a>, params: &[Param], routes: &[Route]) -> Self {
        let as_of = (AS_OF.to_owned(), Value::Timestamp(Instant::from_micros(SAMPLE_AS_OF_MICROS)));
        let mut known = vec![as_of];
        known.extend(params.iter().map(|param| (param.name.clone(), param.sample())));
        // A tenant that is not declared as a parameter is known only where every path has it.
        for param in routes.first().map(|route| route.params.as_slice()).unwrap_or_default() {
            let everywhere = routes.iter().all(|route| route.params.iter().any(|own| own.name == param.name));
            if everywhere && !known.iter().any(|(name, _)| *name == param.name) {
                known.push((param.name.clone(), param.sample()));
            }
        }
        known.extend(context.constants.iter().cloned());
        known.extend(context.caller_values.iter().cloned());
        Self {
            context,
            parts: context.parts.clone(),
            known,
            of_rows: Vec::new(),
            used: BTreeSet::new(),
            tables: Vec::new(),
            relations: Vec::new(),
            placed: BTreeMap::new(),
            read: BTreeSet::new(),
            by: None,
            wanted: Vec::new(),
            sound: context.sound,
        }
    }

    /// The leaves of a fragment, which read the rows that it stands in. [`Leaves::back_from`] ends them.
    pub(super) fn within(
        &mut self,
        fragment: &'a str,
        by: &'a str,
        params: &[Param],
        rows: Rows<'a>,
    ) -> Self {
        let mut inner = Self::new(self.context, params, &[]);
        inner.parts.0.push(Part { name: fragment.to_owned(), rows });
        inner.relations = std::mem::take(&mut self.relations);
        inner.placed = std::mem::take(&mut self.placed);
        inner.by = Some(by);
        let of_rows = self.known.iter().filter(|(name, _)| !inner.known.iter().any(|(own, _)| own == name));
        inner.of_rows = of_rows.cloned().collect();
        inner.sound = self.sound;
        inner
    }

    /// Takes over what the leaves of a fragment did.
    pub(super) fn back_from(&mut self, inner: Self, fragment: &str, params: &[Param]) {
        let of_fragment = |name: &String| params.iter().any(|param| param.name == *name);
        self.used.extend(inner.used.into_iter().filter(|name| !of_fragment(name)));
        self.relations = inner.relations;
        self.placed = inner.placed;
        self.placed.remove(fragment);
        self.read.extend(inner.read);
        self.depends_on(inner.tables);
    }

    /// Reads a `with` and tries each part of it by itself, so that a fault is told where it stands; the
    /// leaves that read such parts are not tried then.
    pub(super) fn add_parts(&mut self, node: &Node<'a>, faults: &mut Faults) {
        let told = faults.len();
        let entries = faults.keep(node.entries()).unwrap_or_default();
        if entries.len() > WITH_MAX {
            faults.add(node.fault(format_args!("has {} statements; allowed are {WITH_MAX}", entries.len())));
        }
        for (given, node) in entries.into_iter().take(WITH_MAX) {
            let named = faults.keep(name(&node, given));
            if self.context.schema.tables.iter().any(|table| table.name.as_str() == given) {
                faults.add(node.fault("is a table of the pack too; choose another name"));
            }
            if self.parts.has(given) {
                faults.add(node.fault("is in the pack's own `with` too; choose another name"));
            }
            let rows = faults.keep(self.part(&node));
            let rows = rows.and_then(|rows| self.tried_part(&node, rows, told == faults.len(), faults));
            self.parts.0.extend(named.and(rows).map(|rows| Part { name: given.to_owned(), rows }));
        }
        self.sound &= told == faults.len();
        // What only a part uses is used where a leaf reads the part.
        self.used.clear();
        self.tables.clear();
    }

    /// SQL, or an object that says how its rows come.
    fn part(&mut self, node: &Node<'a>) -> Result<Rows<'a>, Fault> {
        if node.json().is_string() {
            return tree::statement(node).map(Rows::Inline);
        }
        let forms = "SQL, {once: SQL} or {query: {…}}";
        let fields = node.clone().fields().map_err(|_| node.expected(forms))?;
        let (once, query) = (fields.optional("once"), fields.optional("query"));
        fields.finish()?;
        match (once, query) {
            (Some(once), None) => tree::statement(&once).map(Rows::Once),
            (None, Some(query)) => Ok(Rows::Query(Folded { query, columns: Vec::new(), tables: Vec::new() })),
            _ => Err(node.expected(forms)),
        }
    }

    fn tried_part(
        &mut self,
        node: &Node<'a>,
        rows: Rows<'a>,
        sound: bool,
        faults: &mut Faults,
    ) -> Option<Rows<'a>> {
        let sql = match &rows {
            Rows::Inline(sql) | Rows::Once(sql) => *sql,
            Rows::Query(folded) => {
                let query = folded.query.clone();
                let bound = faults.keep(self.query(&query))?;
                let columns = bound.as_ref().map(|bound| bound.relation(self.context.schema));
                let tables = bound.iter().flat_map(BoundQuery::tables).cloned().collect();
                return Some(Rows::Query(Folded { query, columns: columns.unwrap_or_default(), tables }));
            }
            Rows::Each { .. } => return Some(rows),
        };
        let words = faults.keep(words::of_statement(sql).map_err(|problem| node.fault(problem)))?;
        for name in words.params {
            faults.keep(self.uses(node, name));
        }
        if sound {
            let tried = self.parts.tried(sql);
            faults.keep(self.try_statement(node, &tried, SqlShape::Rows));
        }
        Some(rows)
    }

    pub(super) fn uses(&mut self, node: &Node<'_>, name: &str) -> Result<(), Fault> {
        self.used.insert(name.to_owned());
        if self.known.iter().any(|(known, _)| known == name) {
            return Ok(());
        }
        let names = self.known.iter().map(|(name, _)| name.as_str());
        let problem = unknown("parameter or constant", name, names);
        Err(node
            .fault(format_args!("${problem}; a text that begins with a dollar is written `literal: \"$…\"`")))
    }

    /// Every text of a query that is a value's name.
    fn uses_in(&mut self, node: &Node<'_>) -> Result<(), Fault> {
        match node.json() {
            Json::String(text) => words::in_text(text).map_or(Ok(()), |name| self.uses(node, name)),
            Json::Array(_) => node.items()?.iter().try_for_each(|item| self.uses_in(item)),
            Json::Object(_) => node.entries()?.iter().try_for_each(|(_, item)| self.uses_in(item)),
            Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
        }
    }

    /// A statement of the response: the names in it and all that it comes by are used, and it is tried.
    pub(super) fn statement(
        &mut self,
        node: &Node<'a>,
        sql: &str,
        shape: SqlShape,
        faults: &mut Faults,
    ) -> Option<(Composed, Tried)> {
        let words = |sql| words::of_statement(sql).map_err(|problem| node.fault(problem));
        for name in faults.keep(words(sql))?.params {
            faults.keep(self.uses(node, name));
        }
        let tried = self.parts.tried(sql);
        // What is wrong with the names of a part of the `with` is told there.
        self.used.extend(faults.keep(words(&tried.sql))?.params.into_iter().map(str::to_owned));
        self.used.extend(tried.names.iter().cloned());
        self.read.extend(tried.parts.iter().cloned());
        faults.keep(self.try_statement(node, &tried, shape));
        Some((self.compose(sql), tried))
    }

    fn try_statement(&mut self, node: &Node<'_>, tried: &Tried, shape: SqlShape) -> Result<(), Fault> {
        if !self.sound {
            return Ok(());
        }
        let params: Vec<(String, Value)> = self.known.iter().chain(&self.of_rows).cloned().collect();
        let statement = Statement {
            sql: &tried.sql,
            schema: self.context.schema,
            shape,
            by: self.by,
            wanted: &self.wanted,
            relations: &tried.relations,
            params: &params,
        };
        let tables = self.context.statements.check(&statement).map_err(|problem| node.fault(problem))?;
        self.depends_on(tables);
        Ok(())
    }

    /// The statement as it is run; what it reads besides tables has its place among the relations.
    fn compose(&mut self, sql: &str) -> Composed {
        let (statement, given) = self.parts.composed(sql);
        let reads = given.into_iter().map(|part| self.place(part)).collect();
        Composed { statement: Arc::from(statement), reads }
    }

    /// Where the rows of a part are.
    fn place(&mut self, index: usize) -> usize {
        let Part { name, rows } = self.parts.0[index].clone();
        if let Some(placed) = self.placed.get(&name) {
            return *placed;
        }
        let rows = match rows {
            Rows::Each { relation, .. } => return relation,
            Rows::Inline(sql) | Rows::Once(sql) => RelationRows::Sql(self.compose(sql)),
            Rows::Query(folded) => {
                self.depends_on(folded.tables);
                RelationRows::Query(folded.query.json().clone())
            }
        };
        let place = self.add_relation(&name, rows);
        self.placed.insert(name, place);
        place
    }

    pub(super) fn add_relation(&mut self, name: &str, rows: RelationRows) -> usize {
        self.relations.push(Relation { name: Arc::from(name), rows });
        self.relations.len() - 1
    }

    /// The query as it is with samples for its parameters; `None` where it cannot be tried.
    pub(super) fn query(&mut self, node: &Node<'_>) -> Result<Option<BoundQuery>, Fault> {
        let sample = words::fill(node.json(), &|name| {
            self.known.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_json())
        });
        self.uses_in(node)?;
        let Ok(sample) = sample else {
            return Ok(None);
        };
        if !self.sound {
            return Ok(None);
        }
        let query = Query::parse(&sample).and_then(|query| {
            let texts = query.texts();
            bind(&query, &self.context.schema.assuming(texts.iter().map(String::as_str)))
        });
        let query = query
            .map_err(|fault| Fault { path: nested(node.path(), &fault.path), problem: fault.problem })?;
        if query.as_of.is_some() {
            return Err(node.fault("has an `as_of`; a report's queries have the report's own"));
        }
        self.depends_on(query.tables().cloned().collect());
        Ok(Some(query))
    }

    /// The rows that parameters are keys of are read, too.
    pub(super) fn look_up(&mut self, params: &[Param]) {
        for param in params {
            if let Some(key_of) = &param.key_of {
                self.used.insert(param.name.clone());
                self.depends_on(vec![key_of.table.clone()]);
            }
        }
    }

    /// Parameters and statements that the response comes by nowhere; what the pack shares is noted as
    /// used.
    pub(super) fn unused(&self, params: &[Param], routes: &[Route], report: &str, faults: &mut Faults) {
        let tenants: Vec<RouteTenant> = routes.iter().map(|route| route.tenant.clone()).collect();
        for Param { name, .. } in params.iter().filter(|param| param.key_of.is_none()) {
            if !self.used.contains(name) && !tenants.contains(&RouteTenant::Param(name.clone())) {
                let problem = format!("is used nowhere; a parameter is named as `${name}` in the response");
                faults.add(Fault { path: format!("{report}.params.{name}"), problem });
            }
        }
        for part in self.parts.0.iter().filter(|part| !self.context.parts.has(&part.name)) {
            if !self.read.contains(&part.name) {
                let problem = "is read by no statement of the response".to_owned();
                faults.add(Fault { path: format!("{report}.with.{}", part.name), problem });
            }
        }
        self.context.used.borrow_mut().extend(self.read.iter().cloned());
    }

    fn depends_on(&mut self, tables: Vec<TableName>) {
        for table in tables {
            if !self.tables.contains(&table) {
                self.tables.push(table);
            }
        }
    }
}

fn nested(path: &str, inner: &str) -> String {
    if inner.is_empty() { path.to_owned() } else { format!("{path}.{inner}") }
}
