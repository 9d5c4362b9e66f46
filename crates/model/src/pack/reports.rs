//! Reports: their routes and access, and what their leaves may name.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::caching::{self, Warmed};
use super::faults::Faults;
use super::parse::{Statement, StatementCheck, name, short_text, unknown};
use super::{AS_OF, Caching, Param, Report, Route, RouteTenant, SqlShape, params, tree, words};
use crate::query::{BoundQuery, Query, bind};
use crate::{AppSchema, ColumnType, Fault, Fields, Instant, Node, TableName, TenantRule, Value};

const REPORTS_MAX: usize = 300;
const ROUTES_MAX: usize = 20;
const ROLES_MAX: usize = 50;
const PATH_CHARS_MAX: usize = 300;
/// First parts of paths that are the server's own.
const RESERVED_PATHS: [&str; 4] = ["v1", "healthz", "readyz", "metrics"];

/// 2024-01-01, as of which leaves are tried.
const SAMPLE_AS_OF_MICROS: i64 = 1_704_067_200_000_000;

/// What the reports stand on.
pub(super) struct Context<'c> {
    pub(super) schema: &'c AppSchema,
    /// Whether every table is in the schema.
    pub(super) sound: bool,
    pub(super) tenant_table: Option<&'c TableName>,
    pub(super) constants: &'c [(String, Value)],
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
    fn tenant_type(&self) -> ColumnType {
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

/// A path that was declared: its pattern, and the report's name.
type Declared = (String, String);

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
    let cache =
        faults.keep(fields.optional("cache").map_or(Ok(Caching::default()), |node| caching::cache(&node)));
    let warm_node = fields.optional("warm");
    let told = faults.len();
    let params =
        params_node.as_ref().map(|node| params::read(node, context.constants, faults)).unwrap_or_default();

    let routes = routes_node.map(|node| routes(&node, name, &params, context, declared, faults));
    let with = with_node.as_ref().map(|node| tree::With::read(node, context.schema, faults));
    let mut leaves =
        Leaves::new(context, with.unwrap_or_default(), &params, routes.as_deref().unwrap_or_default());
    leaves.sound &= told == faults.len();
    leaves.try_with(faults);
    let response = response_node.as_ref().and_then(|node| tree::read(node, &mut leaves, faults));
    if response.is_some() {
        leaves.unused(&params, routes.as_deref().unwrap_or_default(), fields.path(), faults);
    }
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
        response: response?,
        lists: lists?,
        tables,
        names,
        cache: cache?,
        warm,
    })
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

fn routes(
    node: &Node<'_>,
    report: &str,
    params: &[Param],
    context: &Context<'_>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Vec<Route> {
    let items = faults.keep(node.items()).unwrap_or_default();
    if items.is_empty() || items.len() > ROUTES_MAX {
        faults.add(node.fault(format_args!("has {} routes; allowed are 1 to {ROUTES_MAX}", items.len())));
    }
    let mut routes = Vec::new();
    for item in items.into_iter().take(ROUTES_MAX) {
        routes.extend(route(item, report, params, context, declared, faults));
    }
    routes
}

fn route(
    node: Node<'_>,
    report: &str,
    params: &[Param],
    context: &Context<'_>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Option<Route> {
    let fields = faults.keep(node.fields())?;
    let path_node = faults.keep(fields.required("path"));
    let roles = faults.keep(fields.optional("roles").map_or(Ok(Vec::new()), |node| roles(&node)));
    let tenant = faults.keep(tenant(&fields));
    faults.unknown(fields);
    let path_node = path_node?;
    let names = faults.keep(path_names(&path_node))?;
    let path = faults.keep(path_node.text())?;
    let pattern = pattern(path);
    if let Some((_, other)) = declared.iter().find(|(known, _)| *known == pattern) {
        faults.add(path_node.fault(format_args!("is a path of report {other:?} already")));
    }
    declared.push((pattern, report.to_owned()));
    let (roles, tenant) = (roles?, tenant?);
    if let RouteTenant::Param(name) = &tenant
        && !names.contains(&name.as_str())
    {
        faults.add(path_node.fault(format_args!(
            "lacks {{{name}}}, which names the tenant; a tenant is named by the path, never by the query"
        )));
    }
    let mut path_params = Vec::new();
    for name in names {
        let known = params.iter().find(|param| param.name == name).cloned();
        let is_tenant = tenant == RouteTenant::Param(name.to_owned());
        match known.or_else(|| is_tenant.then(|| Param::plain(name, context.tenant_type()))) {
            Some(param) => path_params.push(Param { default: None, ..param }),
            None => {
                let names = params.iter().map(|param| param.name.as_str());
                faults.add(path_node.fault(unknown("parameter of the report", name, names)));
            }
        }
    }
    Some(Route { path: path.to_owned(), params: path_params, roles, tenant })
}

fn roles(node: &Node<'_>) -> Result<Vec<String>, Fault> {
    let items = node.items()?;
    if items.is_empty() || items.len() > ROLES_MAX {
        return Err(node.fault(format_args!(
            "has {} roles; allowed are 1 to {ROLES_MAX}, and without the field any role may call",
            items.len()
        )));
    }
    items.iter().map(|item| item.text().map(str::to_owned)).collect()
}

fn tenant(fields: &Fields<'_>) -> Result<RouteTenant, Fault> {
    let Some(node) = fields.optional("tenant") else {
        return Ok(RouteTenant::Token);
    };
    match node.text()? {
        "token" => Ok(RouteTenant::Token),
        "token_or_all" => Ok(RouteTenant::TokenOrAll),
        text => match words::in_text(text) {
            Some(name) => Ok(RouteTenant::Param(name.to_owned())),
            None => Err(node.expected(
                "\"token\", \"token_or_all\" or a parameter of the path, such as \"$merchant_id\"",
            )),
        },
    }
}

/// The parameters of a path, in its order.
fn path_names<'a>(node: &Node<'a>) -> Result<Vec<&'a str>, Fault> {
    let path = node.text()?;
    let bad = |why: &str| {
        node.fault(format_args!(
            "{path:?} is no path ({why}); a path is such as \"/shops/{{shop_id}}/sales\""
        ))
    };
    let Some(inner) = path.strip_prefix('/') else {
        return Err(bad("it does not begin with /"));
    };
    if path.chars().count() > PATH_CHARS_MAX {
        return Err(bad("it is too long"));
    }
    let mut names = Vec::new();
    for (index, part) in inner.split('/').enumerate() {
        if let Some(given) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            name(node, given)?;
            if names.contains(&given) {
                return Err(bad("a parameter is in it twice"));
            }
            names.push(given);
            continue;
        }
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        if part.is_empty() || !part.chars().all(sound) || part.chars().all(|c| c == '.') {
            return Err(bad("between slashes there are letters, digits, -, _, . and ~, or a {parameter}"));
        }
        if index == 0 && RESERVED_PATHS.contains(&part) {
            return Err(bad("the server has this path for itself"));
        }
    }
    Ok(names)
}

/// A path without the names of its parameters: two that are equal here are one route.
pub(super) fn pattern(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

impl Route {
    /// The path without the names of its parameters: two routes with one pattern are one route.
    pub fn pattern(&self) -> String {
        pattern(&self.path)
    }
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

    /// Parameters and statements that the response comes by nowhere.
    fn unused(&self, params: &[Param], routes: &[Route], report: &str, faults: &mut Faults) {
        let tenants: Vec<RouteTenant> = routes.iter().map(|route| route.tenant.clone()).collect();
        for Param { name, .. } in params {
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
