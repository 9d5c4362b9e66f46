//! Who a caller is beyond its token: whose rows it sees where a table says so, and what its plan has.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::faults::Faults;
use super::params::{constant, free_name};
use super::parse::{Statement, StatementCheck, short_text, unknown};
use super::{Access, PLAN, Plan, Plans, SUBJECT, SqlShape, tree, words};
use crate::{AppSchema, Fault, Fields, Node, TableName, Value};

const PLANS_MAX: usize = 100;
const PLAN_VALUES_MAX: usize = 50;

/// What the statements of an `access` are tried with.
pub(super) struct Tried<'c> {
    pub(super) schema: &'c AppSchema,
    /// Whether every table is in the schema.
    pub(super) sound: bool,
    pub(super) constants: &'c [(String, Value)],
    /// Names that a statement comes by.
    pub(super) used: RefCell<BTreeSet<String>>,
    pub(super) statements: &'c dyn StatementCheck,
}

/// Reads `plans`: every plan has a value for every name that one of them has.
pub(super) fn plans(node: &Node<'_>, constants: &[(String, Value)], faults: &mut Faults) -> Vec<Plan> {
    let entries = faults.keep(node.entries()).unwrap_or_default();
    if entries.is_empty() || entries.len() > PLANS_MAX {
        faults.add(node.fault(format_args!("has {} plans; allowed are 1 to {PLANS_MAX}", entries.len())));
    }
    let mut plans: Vec<Plan> = Vec::new();
    for (given, node) in entries.into_iter().take(PLANS_MAX) {
        let told = faults.len();
        let values = plan_values(&node, constants, faults);
        if let Some(first) = plans.first().filter(|_| told == faults.len()) {
            faults.keep(same_values(&node, first, &values));
        }
        plans.push(Plan { name: given.to_owned(), values });
    }
    plans
}

fn plan_values(node: &Node<'_>, constants: &[(String, Value)], faults: &mut Faults) -> Vec<(String, Value)> {
    let entries = faults.keep(node.entries()).unwrap_or_default();
    if entries.len() > PLAN_VALUES_MAX {
        faults.add(node.fault(format_args!("has {} values; allowed are {PLAN_VALUES_MAX}", entries.len())));
    }
    let mut values = Vec::new();
    for (given, node) in entries.into_iter().take(PLAN_VALUES_MAX) {
        let named = faults.keep(free_name(&node, given));
        if constants.iter().any(|(known, _)| known == given) {
            faults.add(node.fault("is a constant of the pack too; choose another name"));
        }
        let value = faults.keep(constant(&node));
        values.extend(named.and(value).map(|value| (given.to_owned(), value)));
    }
    values
}

/// A plan has what the first one has, each of the same type.
fn same_values(node: &Node<'_>, first: &Plan, values: &[(String, Value)]) -> Result<(), Fault> {
    for (name, sample) in &first.values {
        match values.iter().find(|(known, _)| known == name) {
            None => return Err(node.fault(format_args!("lacks {name}, which plan {:?} has", first.name))),
            Some((_, value)) if std::mem::discriminant(value) != std::mem::discriminant(sample) => {
                let problem = format!("{name} is of another type than in plan {:?}", first.name);
                return Err(node.fault(problem));
            }
            Some(_) => {}
        }
    }
    let more = values.iter().find(|(name, _)| !first.values.iter().any(|(known, _)| known == name));
    match more {
        Some((name, _)) => Err(node.fault(format_args!("has {name}, which plan {:?} lacks", first.name))),
        None => Ok(()),
    }
}

/// Reads `access`; `plans` are those of the pack, none where it has no such field.
pub(super) fn read(
    node: Option<&Node<'_>>,
    plans: Vec<Plan>,
    tried: &Tried<'_>,
    faults: &mut Faults,
) -> Option<(Access, Option<Plans>)> {
    let Some(node) = node else {
        if !plans.is_empty() {
            let problem = "is missing; it says which plan a caller without one has".to_owned();
            faults.add(Fault { path: "access.default_plan".to_owned(), problem });
        }
        return Some((Access::default(), None));
    };
    let fields = faults.keep(node.clone().fields())?;
    let mut tables = Vec::new();
    let tenant = statement(fields.optional("tenant"), tried, &mut tables, faults);
    let plan = statement(fields.optional("plan"), tried, &mut tables, faults);
    let unknown = faults.keep(short_text(&fields, "unknown")).flatten();
    if unknown.is_some() && tenant.is_none() {
        faults.add(fields.fault_at("unknown", "is told where `tenant` finds none, and there is no `tenant`"));
    }
    let plans = of_plans(plans, &fields, faults);
    faults.unknown(fields);
    Some((Access { tenant, unknown, plan, tables }, plans))
}

/// What else is said of plans: which is the default, and what is told to whom a feature is missing.
fn of_plans(plans: Vec<Plan>, fields: &Fields<'_>, faults: &mut Faults) -> Option<Plans> {
    let default = fields.optional("default_plan");
    let upgrade = fields.optional("upgrade");
    if plans.is_empty() {
        for (name, node) in
            [("plan", fields.optional("plan")), ("default_plan", default), ("upgrade", upgrade)]
        {
            if node.is_some() {
                faults.add(fields.fault_at(name, "is about plans, and the pack has no `plans`"));
            }
        }
        return None;
    }
    let Some(default) = default else {
        faults
            .add(fields.fault_at("default_plan", "is missing; it says which plan a caller without one has"));
        return None;
    };
    let given = faults.keep(default.text())?;
    let Some(default_index) = plans.iter().position(|plan| plan.name == given) else {
        let names = plans.iter().map(|plan| plan.name.as_str());
        faults.add(default.fault(unknown("plan", given, names)));
        return None;
    };
    let features = features(&plans);
    let mut upgrades = Vec::new();
    for (feature, node) in upgrade.and_then(|node| faults.keep(node.entries())).unwrap_or_default() {
        if !features.contains(&feature) {
            faults.add(node.fault(unknown("feature of the plans", feature, features.iter().copied())));
        }
        upgrades.extend(faults.keep(node.text()).map(|text| (feature.to_owned(), text.to_owned())));
    }
    Some(Plans { list: plans, default_index, upgrades })
}

/// The names of what a plan has or has not.
pub(super) fn features(plans: &[Plan]) -> Vec<&str> {
    let values = plans.first().map(|plan| plan.values.as_slice()).unwrap_or_default();
    let is_feature = |entry: &&(String, Value)| matches!(entry.1, Value::Bool(_));
    values.iter().filter(is_feature).map(|(name, _)| name.as_str()).collect()
}

/// What a statement of one cell is checked with.
pub(super) struct Cell<'c> {
    pub(super) schema: &'c AppSchema,
    /// Whether every table is in the schema; else only names are checked.
    pub(super) sound: bool,
    /// What it may name, each with a value that it could have.
    pub(super) known: &'c [(String, Value)],
    /// What one of these is called.
    pub(super) told: &'static str,
    /// Names that a statement comes by.
    pub(super) used: &'c RefCell<BTreeSet<String>>,
    pub(super) statements: &'c dyn StatementCheck,
}

impl Cell<'_> {
    /// The tables that the statement reads.
    pub(super) fn check(&self, node: &Node<'_>, sql: &str) -> Result<Vec<TableName>, Fault> {
        for name in words::of_statement(sql).map_err(|problem| node.fault(problem))?.params {
            if !self.known.iter().any(|(given, _)| given == name) {
                let names = self.known.iter().map(|(name, _)| name.as_str());
                return Err(node.fault(format_args!("${}", unknown(self.told, name, names))));
            }
            self.used.borrow_mut().insert(name.to_owned());
        }
        if !self.sound {
            return Ok(Vec::new());
        }
        let (schema, params) = (self.schema, self.known);
        let statement =
            Statement { sql, schema, shape: SqlShape::Value, by: None, wanted: &[], relations: &[], params };
        self.statements.check(&statement).map_err(|problem| node.fault(problem))
    }
}

/// A statement of one cell that names `$sub` and constants alone, and reads all tenants' rows.
fn statement(
    node: Option<Node<'_>>,
    tried: &Tried<'_>,
    tables: &mut Vec<TableName>,
    faults: &mut Faults,
) -> Option<Arc<str>> {
    let node = node?;
    let sql = faults.keep(tree::statement(&node))?;
    let mut known = vec![(SUBJECT.to_owned(), Value::Text(Arc::from("text")))];
    known.extend(tried.constants.iter().cloned());
    let cell = Cell {
        schema: tried.schema,
        sound: tried.sound,
        known: &known,
        told: "value that is known here",
        used: &tried.used,
        statements: tried.statements,
    };
    let read = faults.keep(cell.check(&node, sql))?;
    tables.extend(read.into_iter().filter(|table| !tables.contains(table)).collect::<Vec<_>>());
    Some(Arc::from(sql))
}

/// What leaves may name of their caller, each with a value that it could have.
pub(super) fn caller_values(plans: Option<&Plans>) -> Vec<(String, Value)> {
    let text = |name: &str| (name.to_owned(), Value::Text(Arc::from("text")));
    let mut values = vec![text(SUBJECT)];
    if let Some(plans) = plans {
        values.push(text(PLAN));
        values.extend(plans.of(None).values.iter().cloned());
    }
    values
}

impl Plans {
    /// The plan of this name; the default one for no name and for one that is no plan's.
    pub fn of(&self, name: Option<&str>) -> &Plan {
        let named = name.and_then(|name| self.list.iter().find(|plan| plan.name == name));
        named.unwrap_or(&self.list[self.default_index])
    }

    /// Every plan, in the order of the pack.
    pub fn list(&self) -> &[Plan] {
        &self.list
    }

    /// What is told to a caller whose plan lacks the feature.
    pub fn upgrade(&self, feature: &str, plan: &Plan) -> String {
        match self.upgrades.iter().find(|(known, _)| known == feature) {
            Some((_, text)) => text.clone(),
            None => format!("The plan {:?} has no {feature}.", plan.name),
        }
    }
}

impl Plan {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub fn has(&self, feature: &str) -> bool {
        self.get(feature) == Some(&Value::Bool(true))
    }
}
