//! Reports: their routes and access, and what their leaves may name.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::caching::{self, Warmed};
use super::faults::Faults;
use super::fragments::Fragment;
use super::leaves::Leaves;
use super::parse::{StatementCheck, name, short_text, unknown};
use super::routes::Declared;
use super::with::Parts;
use super::{AS_OF, Caching, LANG, Param, Report, Tree, params, routes, tree};
use crate::{AppSchema, ColumnType, Fault, Language, Node, TableName, TenantRule, Value};

const REPORTS_MAX: usize = 300;
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
    /// Statements that every report may read.
    pub(super) parts: Parts<'c>,
    pub(super) fragments: Vec<Fragment<'c>>,
    /// Names that some report comes by: constants, parts, fragments.
    pub(super) used: RefCell<BTreeSet<String>>,
    pub(super) statements: &'c dyn StatementCheck,
}

impl Context<'_> {
    /// What no report comes by.
    pub(super) fn unused(&self) -> Vec<Fault> {
        let used = self.used.borrow();
        let fault = |field: &str, name: &str, problem: String| {
            (!used.contains(name)).then(|| Fault { path: format!("{field}.{name}"), problem })
        };
        let constants = self.constants.iter().filter_map(|(name, _)| {
            let problem = format!("is used nowhere; a constant is named as `${name}` in a response");
            fault("constants", name, problem)
        });
        let parts = self
            .parts
            .0
            .iter()
            .filter_map(|part| fault("with", &part.name, "is read by no report".to_owned()));
        let fragments = self
            .fragments
            .iter()
            .filter_map(|one| fault("fragments", one.name, "is used by no `each` or `one`".to_owned()));
        constants.chain(parts).chain(fragments).collect()
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

pub(super) fn read<'a>(
    node: &Node<'a>,
    context: &Context<'a>,
    routes: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Vec<Report> {
    let entries = faults.keep(node.entries()).unwrap_or_default();
    if entries.len() > REPORTS_MAX {
        faults.add(node.fault(format_args!("has {} reports; allowed are {REPORTS_MAX}", entries.len())));
    }
    let mut reports = Vec::new();
    for (given, node) in entries.into_iter().take(REPORTS_MAX) {
        let named = faults.keep(name(&node, given));
        let report = report(given, node, context, routes, faults);
        reports.extend(report.filter(|_| named.is_some()));
    }
    reports
}

fn report<'a>(
    name: &str,
    node: Node<'a>,
    context: &Context<'a>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Option<Report> {
    let fields = faults.keep(node.fields())?;
    let description = faults.keep(short_text(&fields, "description"));
    let (params_node, with_node) = (fields.optional("params"), fields.optional("with"));
    let routes_node = faults.keep(fields.required("routes"));
    let response_node = faults.keep(fields.required("response"));
    let lists_node = fields.optional("lists");
    let currency = fields.optional("currency").map(|node| faults.keep(currency(&node, context)));
    let requires = fields.optional("requires").map(|node| faults.keep(feature(&node, context)));
    let cache =
        faults.keep(fields.optional("cache").map_or(Ok(Caching::default()), |node| caching::cache(&node)));
    let warm_node = fields.optional("warm");
    let told = faults.len();
    let read_params = |node: &Node<'_>, faults: &mut Faults| {
        params::read(node, context.constants, context.caller_values, context.schema, faults)
    };
    let mut params = params_node.as_ref().map(|node| read_params(node, faults)).unwrap_or_default();

    let routes = routes_node.map(|node| routes::read(&node, name, &params, context, declared, faults));
    let mut leaves = Leaves::new(context, &params, routes.as_deref().unwrap_or_default());
    leaves.sound &= told == faults.len();
    if let Some(node) = &with_node {
        leaves.add_parts(node, faults);
    }
    let response = response_node.as_ref().and_then(|node| tree::read(node, &mut leaves, faults));
    if response.is_some() {
        leaves.unused(&params, routes.as_deref().unwrap_or_default(), fields.path(), faults);
    }
    leaves.look_up(&params);
    if response.as_ref().is_some_and(Tree::has_insights) {
        params.extend(faults.keep(language(&params, context, fields.path())));
        leaves.used.insert(LANG.to_owned());
    }
    let of_caller = context.caller_values.iter().filter(|(name, _)| leaves.used.contains(name));
    let caller_values = of_caller.map(|(name, _)| name.clone()).collect();
    let (tables, used, relations) = (leaves.tables, leaves.used, leaves.relations);
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
    let lists = response.as_ref().map(Tree::lists).unwrap_or_default();
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
        currency: currency.map_or(Some(None), |currency| currency.map(Some))?,
        requires: requires.map_or(Some(None), |feature| feature.map(Some))?,
        caller_values,
        relations,
        response: response?,
        lists: lists?,
        tables,
        names,
        cache: cache?,
        warm,
    })
}

/// The parameter of a report that has texts.
fn language(params: &[Param], context: &Context<'_>, path: &str) -> Result<Param, Fault> {
    let constants = context.constants.iter().chain(context.caller_values).map(|(name, _)| name);
    if params.iter().map(|param| &param.name).chain(constants).any(|name| name == LANG) {
        let problem = format!(
            "has `rules`, so its parameter {LANG:?} says in which language; choose another name for the own one"
        );
        return Err(Fault { path: path.to_owned(), problem });
    }
    let text = |language: Language| Value::Text(language.code().into());
    Ok(Param {
        description: Some(
            "The language of texts. Default: what `Accept-Language` wants, else English.".to_owned(),
        ),
        default: Some(text(Language::default())),
        choices: Language::ALL.into_iter().map(text).collect(),
        ..Param::plain(LANG, ColumnType::Text)
    })
}

/// The currency of a report's money: itself, or the constant that holds it.
fn currency(node: &Node<'_>, context: &Context<'_>) -> Result<String, Fault> {
    let given = node.text()?;
    let found = match given.strip_prefix('$') {
        None => Some(given),
        Some(name) => match context.constants.iter().find(|(known, _)| known == name) {
            Some((known, Value::Text(text))) => {
                context.used.borrow_mut().insert(known.clone());
                Some(text.as_ref())
            }
            _ => None,
        },
    };
    let is_code = |code: &&str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    found.filter(is_code).map(str::to_owned).ok_or_else(|| {
        node.expected("a currency's code of ISO 4217, such as EUR, or `$name` of a constant that holds one")
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
