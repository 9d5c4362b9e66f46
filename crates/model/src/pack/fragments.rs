//! Fragments: fields that rows of different reports have more of, asked for all rows at once.

use super::faults::Faults;
use super::leaves::Leaves;
use super::parse::{name, unknown};
use super::reports::Context;
use super::with::Rows;
use super::{Each, Param, RelationRows, Setting, SqlShape, Tree, params, tree, words};
use crate::{Fault, Fields, Node};

const FRAGMENTS_MAX: usize = 50;

/// A fragment as the pack has it. Its leaves are read anew for each rows that it stands in.
#[derive(Clone, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) name: &'a str,
    by: &'a str,
    params: Vec<Param>,
    response: Node<'a>,
}

pub(super) fn read<'a>(node: &Node<'a>, context: &Context<'a>, faults: &mut Faults) -> Vec<Fragment<'a>> {
    let entries = faults.keep(node.entries()).unwrap_or_default();
    if entries.len() > FRAGMENTS_MAX {
        faults.add(node.fault(format_args!("has {} fragments; allowed are {FRAGMENTS_MAX}", entries.len())));
    }
    let mut fragments = Vec::new();
    for (given, node) in entries.into_iter().take(FRAGMENTS_MAX) {
        let named = faults.keep(name(&node, given));
        if context.schema.tables.iter().any(|table| table.name.as_str() == given) || context.parts.has(given)
        {
            faults.add(node.fault("is a table of the pack, or in its `with`, too; choose another name"));
        }
        fragments.extend(fragment(given, node, context, faults).filter(|_| named.is_some()));
    }
    fragments
}

fn fragment<'a>(
    name: &'a str,
    node: Node<'a>,
    context: &Context<'a>,
    faults: &mut Faults,
) -> Option<Fragment<'a>> {
    let fields = faults.keep(node.fields())?;
    let by = faults.keep(fields.required("by").and_then(|node| node.text()));
    let params = fields.optional("params").map(|node| {
        let params = params::read(&node, context.constants, context.caller_values, context.schema, faults);
        if params.iter().any(|param| param.key_of.is_some()) {
            faults.add(node.fault("`key_of` is for the parameters of reports"));
        }
        params
    });
    let response = faults.keep(fields.required("response"));
    faults.unknown(fields);
    let response = response?;
    if !response.json().is_object() {
        faults.add(response.expected("an object"));
        return None;
    }
    Some(Fragment { name, by: by?, params: params.unwrap_or_default(), response })
}

/// How many objects a statement's rows become.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    One,
    Many,
}

/// `{each: SQL, with: fragment, set: {…}}`, and the same with `one`.
pub(super) fn each<'a>(
    statement: &Node<'a>,
    count: Count,
    fields: Fields<'a>,
    leaves: &mut Leaves<'_, 'a>,
    faults: &mut Faults,
) -> Option<Tree> {
    if leaves.by.is_some() {
        faults
            .add(statement.fault("stands in a fragment, whose rows are split already; write a join instead"));
        return None;
    }
    let with = faults.keep(fields.required("with"));
    let set = fields.optional("set");
    faults.unknown(fields);
    let with = with?;
    let given = faults.keep(with.text())?;
    let context = leaves.context;
    let Some(fragment) = context.fragments.iter().find(|fragment| fragment.name == given) else {
        let names = context.fragments.iter().map(|fragment| fragment.name);
        faults.add(with.fault(unknown("fragment of the pack", given, names)));
        return None;
    };
    context.used.borrow_mut().insert(given.to_owned());
    let set = settings(set.as_ref(), &with, fragment, leaves, faults);

    let sql = faults.keep(tree::statement(statement))?;
    // The rows have the column that they are told apart by.
    leaves.by = Some(fragment.by);
    let rows = leaves.statement(statement, sql, SqlShape::Rows, faults);
    leaves.by = None;
    let (composed, tried) = rows?;
    let relation = leaves.add_relation(fragment.name, RelationRows::Sql(composed));

    let rows = Rows::Each { relation, tried };
    let mut inner = leaves.within(fragment.name, fragment.by, &fragment.params, rows);
    let fields = tree::read(&fragment.response, &mut inner, faults);
    leaves.back_from(inner, fragment.name, &fragment.params);
    let one = count == Count::One;
    Some(Tree::Each(Box::new(Each { one, rows: relation, by: fragment.by.to_owned(), set, fields: fields? })))
}

/// A value for each of the fragment's parameters.
fn settings(
    set: Option<&Node<'_>>,
    with: &Node<'_>,
    fragment: &Fragment<'_>,
    leaves: &mut Leaves<'_, '_>,
    faults: &mut Faults,
) -> Vec<(String, Setting)> {
    let entries = set.and_then(|node| faults.keep(node.entries())).unwrap_or_default();
    for (given, node) in &entries {
        if !fragment.params.iter().any(|param| param.name == *given) {
            let names = fragment.params.iter().map(|param| param.name.as_str());
            faults.add(node.fault(unknown("parameter of the fragment", given, names)));
        }
    }
    let mut settings = Vec::new();
    for param in &fragment.params {
        let given = entries.iter().find(|(name, _)| *name == param.name).map(|(_, node)| node);
        let setting = match given {
            Some(node) => setting(node, param, leaves),
            None => param.absent().map(Setting::Value).map_err(|_| {
                with.fault(format_args!("lacks {:?} in its `set`, which the fragment takes", param.name))
            }),
        };
        settings.extend(faults.keep(setting).map(|setting| (param.name.clone(), setting)));
    }
    settings
}

fn setting(node: &Node<'_>, param: &Param, leaves: &mut Leaves<'_, '_>) -> Result<Setting, Fault> {
    match node.json().as_str().and_then(words::in_text) {
        Some(name) => leaves.uses(node, name).map(|()| Setting::Name(name.to_owned())),
        None => params::set_value(node, param).map(Setting::Value),
    }
}
