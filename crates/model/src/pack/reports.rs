//! Reports: their routes and access, and what their leaves may name.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::caching::{self, Warmed};
use super::faults::Faults;
use super::parse::{Statement, StatementCheck, name, short_text, unknown};
use super::routes::Declared;
use super::{AS_OF, Caching, Param, Report, Route, RouteTenant, SqlShape, params, routes, tree, words};
use crate::query::{BoundQuery, Query, bind};
use crate::{AppSchema, ColumnType, Fault, Instant, Node, TableName, TenantRule, Value};

const REPORTS_MAX: usize = 300;
/// 2024-01-01, as of which leaves are tried.
const SAMPLE_AS_OF_MICROS: i64 = 1_704_067_200_000_000;

/// What the reports stand on.
pub(super) struct Context<'c> {
    pub(super) schema: &'c AppSchema,
    /// Whether every table is in the schema.
    pub(super) sound: bool,
    pub(super) tenant_table: Option<&'c TableName>,
    pub(super) constants: &'c [(String, Value)],
    /// What leaves may name of their caller, each with a value that it could have.
    pub(super) caller_values: &'c [(String, Value)],
    /// Names of what plans have or have not.
    pub(super) features: &'c [&'c str],
    /// Whether the pack finds callers' tenants by a statement.
    pub(super) finds_tenants: bool,
    pub(super) used: RefCell<BTreeSet<String>>,
    pub(super) statements: &'c dyn StatementCheck,
}

impl Context<'_> {
    pub(super) fn unused_constants(&self) -> Vec<String> {
        let used = self.used.borrow();
        self.constants.iter().map(|(name, _)| name.clone()).filter(|name| !used.contains(name)).collect()
    }

    /// The type of a tenant that a path names: that of the tenants' table, else of the column that
    /// holds it.
    pub(super) fn tenant_type(&self) -> ColumnType {
        let first = self.tenant_table.and_then(|name| self.schema.table(name));
        let column_type = first.into_iter().chain(&self.schema.tables).find_map(|table| match table.tenant {
            TenantRule::Column { column, .. } => Some(table.columns[column].column_type),
            TenantRule::Parent { .. } | TenantRule::Fixed(_) => None,
        });
        column_type.unwrap_or(ColumnType::Text)
    }
}

pub(super) fn read(node: &Node<'_>, context: &Context<'_>, faults: &mut Faults) -> Vec<Report> {
    let entries = faults.keep(node.entries()).unwrap_or_default();
    if entries.len() > REPORTS_MAX {
        faults.add(node.fault(format_args!("has {} reports; allowed are {REPORTS_MAX}", entries.len())));
    }
    let mut reports = Vec::new();
    let mut routes = Vec::new();
    for (given, node) in entries.into_iter().take(REPORTS_MAX) {
        let named = faults.keep(name(&node, given));
        let report = report(given, node, context, &mut routes, faults);
        reports.extend(report.filter(|_| named.is_some()));
    }
    reports
}

fn report(
    name: &str,
    node: Node<'_>,
    context: &Context<'_>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Option<Report> {
    let fields = faults.keep(node.fields())?;
    let description = faults.keep(short_text(&fields, "description"));
    let (params_node, with_node) = (fields.optional("params"), fields.optional("with"));
    let routes_node = faults.keep(fields.required("routes"));
    let response_node = faults.keep(fields.required("response"));
    let lists_node = fields.optional("lists");
    let requires = fields.optional("requires").map(|node| faults.keep(feature(&node, context)));
    let cache =
        faults.keep(fields.optional("cache").map_or(Ok(Caching::default()), |node| caching::cache(&node)));
    let warm_node = fields.optional("warm");
    let told = faults.len();
    let read_params = |node: &Node<'_>, faults: &mut Faults| {
        params::read(node, context.constants, context.caller_values, context.schema, faults)
    };
    let params = params_node.as_ref().map(|node| read_params(node, faults)).unwrap_or_default();

    let routes = routes_node.map(|node| routes::read(&node, name, &params, context, declared, faults));
    let with = with_node.as_ref().map(|node| tree::With::read(node, context.schema, faults));
    let mut leaves =
        Leaves::new(context, with.unwrap_or_default(), &params, routes.as_deref().unwrap_or_default());
    leaves.sound &= told == faults.len();
    leaves.try_with(faults);
    let response = response_node.as_ref().and_then(|node| tree::read(node, &mut leaves, faults));
    if response.is_some() {
        leaves.unused(&params, routes.as_deref().unwrap_or_default(), fields.path(), faults);
    }
    leaves.look_up(&params);
    let of_caller = context.caller_values.iter().filter(|(name, _)| leaves.used.contains(name));
    let caller_values = of_caller.map(|(name, _)| name.clone()).collect();
    let (tables, used) = (leaves.tables, leaves.used);
    let warm = warm_node.and_then(|node| {
        let report = Warmed {
            cache: cache?,
            params: &params,
            routes: routes.as_deref().unwrap_or_default(),
            names: &used,
            is_constant: &|name| name == AS_OF || context.constants.iter().any(|(known, _)| known == name),
        };
        caching::warm(&node, &report, faults)
    });
    let names = used.iter().cloned().collect();
    context.used.borrow_mut().extend(used);
    let lists = response.as_ref().map(super::Tree::lists).unwrap_or_default();
    let lists = match (lists_node, &response) {
        (Some(node), Some(_)) => faults.keep(chosen_lists(&node, &lists)),
        _ => Some(lists),
    };
    faults.unknown(fields);
    Some(Report {
        name: name.to_owned(),
        description: description?,
        params,
        routes: routes?,
        requires: requires.map_or(Some(None), |feature| feature.map(Some))?,
        caller_values,
        response: response?,
        lists: lists?,
        tables,
        names,
        cache: cache?,
        warm,
    })
}

/// The feature that a report requires.
fn feature(node: &Node<'_>, context: &Context<'_>) -> Result<String, Fault> {
    let given = node.text()?;
    if context.features.contains(&given) {
        return Ok(given.to_owned());
    }
    Err(node.fault(unknown("feature of the plans", given, context.features.iter().copied())))
}

fn chosen_lists(node: &Node<'_>, there: &[String]) -> Result<Vec<String>, Fault> {
    let mut chosen: Vec<String> = Vec::new();
    for item in node.items()? {
        let given = item.text()?;
        if !there.iter().any(|list| list == given) {
            let names = there.iter().map(String::as_str);
            return Err(item.fault(unknown("list of objects in the response", given, names)));
        }
        if !chosen.iter().any(|list| list == given) {
            chosen.push(given.to_owned());
        }
    }
    Ok(chosen)
}

/// What the leaves of one response may name, and what they did.
pub(super) struct Leaves<'c> {
    context: &'c Context<'c>,
    pub(super) with: tree::With<'c>,
    /// The statements of the response, with all that they come by.
    pub(super) read: Vec<String>,
    /// Every name that has a value, with one that it could have.
    known: Vec<(String, Value)>,
    used: BTreeSet<String>,
    tables: Vec<TableName>,
    /// Whether tables and parameters are all sound: leaves are tried against nothing less.
    sound: bool,
}

impl<'c> Leaves<'c> {
    fn new(context: &'c Context<'c>, with: tree::With<'c>, params: &[Param], routes: &[Route]) -> Self {
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
            with,
            read: Vec::new(),
            known,
            used: BTreeSet::new(),
            tables: Vec::new(),
            sound: context.sound,
        }
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

    /// Names that are used by a leaf or by what it reads.
    pub(super) fn comes_by(&mut self, names: &[&str]) {
        self.used.extend(names.iter().map(|name| (*name).to_owned()));
    }

    /// Every text of a query that is a parameter's name.
    fn uses_in(&mut self, node: &Node<'_>) -> Result<(), Fault> {
        match node.json() {
            Json::String(text) => words::in_text(text).map_or(Ok(()), |name| self.uses(node, name)),
            Json::Array(_) => node.items()?.iter().try_for_each(|item| self.uses_in(item)),
            Json::Object(_) => node.entries()?.iter().try_for_each(|(_, item)| self.uses_in(item)),
            Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
        }
    }

    pub(super) fn statement(&mut self, node: &Node<'_>, sql: &str, shape: SqlShape) -> Result<(), Fault> {
        if !self.sound {
            return Ok(());
        }
        let statement = Statement { sql, schema: self.context.schema, shape, params: &self.known };
        let tables = self.context.statements.check(&statement).map_err(|problem| node.fault(problem))?;
        self.depends_on(tables);
        Ok(())
    }

    /// Tries each part of the `with` by itself, so that a fault is told where it stands; the leaves
    /// that read such parts are not tried then.
    fn try_with(&mut self, faults: &mut Faults) {
        let told = faults.len();
        let parts: Vec<(Node<'_>, String)> =
            self.with.composed().map(|(node, statement)| (node.clone(), statement)).collect();
        for (node, statement) in parts {
            let words = faults.keep(words::of_statement(&statement).map_err(|problem| node.fault(problem)));
            for name in words.map(|words| words.params).unwrap_or_default() {
                // A later part has the names of those that it reads.
                if !self.used.contains(name) {
                    faults.keep(self.uses(&node, name));
                }
            }
            if told == faults.len() {
                faults.keep(self.statement(&node, &statement, SqlShape::Rows));
            }
        }
        self.sound &= told == faults.len();
        // What only a part uses is used where a leaf reads the part.
        self.used.clear();
        self.tables.clear();
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
        let query = Query::parse(&sample).and_then(|query| bind(&query, self.context.schema));
        let query = query
            .map_err(|fault| Fault { path: nested(node.path(), &fault.path), problem: fault.problem })?;
        if query.as_of.is_some() {
            return Err(node.fault("has an `as_of`; a report's queries have the report's own"));
        }
        self.depends_on(query.tables().cloned().collect());
        Ok(Some(query))
    }

    /// The rows that parameters are keys of are read, too.
    fn look_up(&mut self, params: &[Param]) {
        self.used
            .extend(params.iter().filter(|param| param.key_of.is_some()).map(|param| param.name.clone()));
        self.depends_on(
            params.iter().filter_map(|param| Some(param.key_of.as_ref()?.table.clone())).collect(),
        );
    }

    /// Parameters and statements that the response comes by nowhere.
    fn unused(&self, params: &[Param], routes: &[Route], report: &str, faults: &mut Faults) {
        let tenants: Vec<RouteTenant> = routes.iter().map(|route| route.tenant.clone()).collect();
        for Param { name, .. } in params.iter().filter(|param| param.key_of.is_none()) {
            if !self.used.contains(name) && !tenants.contains(&RouteTenant::Param(name.clone())) {
                let problem = format!("is used nowhere; a parameter is named as `${name}` in the response");
                faults.add(Fault { path: format!("{report}.params.{name}"), problem });
            }
        }
        for name in self.with.unused(&self.read) {
            let problem = "is read by no statement of the response".to_owned();
            faults.add(Fault { path: format!("{report}.with.{name}"), problem });
        }
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
