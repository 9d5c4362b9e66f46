//! The tables of a pack: columns, keys, and where a row's tenant, actor, time and name are found.

use super::faults::Faults;
use super::identity::{self, Identity};
use super::parse::{name, unknown};
use crate::{
    Column, ColumnType, Fault, Fields, Node, Open, TableKind, TableName, TableSchema, TenantId, TenantRule,
};

const TABLES_MAX: usize = 200;
const COLUMNS_MAX: usize = 500;
const KEY_COLUMNS_MAX: usize = 8;

/// What the file declares.
#[derive(Debug)]
pub(super) struct Tables<'a> {
    /// Tables without a fault of their own, parents before children.
    pub(super) sound: Vec<TableDraft<'a>>,
    /// All that were named.
    pub(super) names: Vec<&'a str>,
}

/// A table and what of it is read later.
#[derive(Debug)]
pub(super) struct TableDraft<'a> {
    pub(super) schema: TableSchema,
    pub(super) source: Option<Node<'a>>,
    tenant: Node<'a>,
    identity: Identity<'a>,
}

impl<'a> TableDraft<'a> {
    pub(super) fn identity(&self) -> &Identity<'a> {
        &self.identity
    }
}

impl<'a> Tables<'a> {
    /// The table that a node names; `None` where it is one that a fault hides.
    pub(super) fn find(&self, node: &Node<'_>) -> Result<Option<&TableDraft<'a>>, Fault> {
        let given = node.text()?;
        if !self.names.contains(&given) {
            return Err(node.fault(unknown("table", given, self.names.iter().copied())));
        }
        Ok(self.sound.iter().find(|draft| draft.schema.name.as_str() == given))
    }
}

pub(super) fn read<'a>(node: &Node<'a>, faults: &mut Faults) -> Tables<'a> {
    let entries = faults.keep(node.entries()).unwrap_or_default();
    if entries.is_empty() {
        faults.add(node.fault("a pack has one table at least"));
    }
    if entries.len() > TABLES_MAX {
        faults.add(node.fault(format_args!("has {} tables; allowed are {TABLES_MAX}", entries.len())));
    }
    let mut tables = Tables { sound: Vec::new(), names: Vec::new() };
    for (given, node) in entries.into_iter().take(TABLES_MAX) {
        tables.names.push(given);
        let named = faults.keep(name(&node, given));
        let draft = table(given, node, faults);
        tables.sound.extend(draft.filter(|_| named.is_some()));
    }
    check_parents(&mut tables, faults);
    identity::read(&mut tables, faults);
    tables
}

fn table<'a>(given: &str, node: Node<'a>, faults: &mut Faults) -> Option<TableDraft<'a>> {
    let fields = faults.keep(node.fields())?;
    let kind = fields.required("kind").and_then(|node| {
        node.choice(&["events", "entity"], |name| match name {
            "events" => Some(TableKind::Events),
            "entity" => Some(TableKind::Entity),
            _ => None,
        })
    });
    let kind = faults.keep(kind);
    let columns = faults.keep(fields.required("columns")).map(|node| columns(&node, faults));
    let key = fields.optional("key");
    let tenant = faults.keep(fields.required("tenant"));
    let actor = fields.optional("actor");
    let time = fields.optional("time");
    let event_name = fields.optional("name");
    let open = fields.optional("open");
    let source = fields.optional("source");
    let identity = Identity::of(&fields);

    let columns = columns?;
    let rule = tenant.as_ref().and_then(|node| columns.tenant(node, faults));
    let keyed = Keyed::of(kind, rule.as_ref());
    let key = key.map(|node| columns.key(&node, keyed, faults)).unwrap_or_else(|| {
        if kind == Some(TableKind::Entity) {
            faults.add(fields.fault_at("key", "is missing; an entity has a key"));
        }
        Some(Vec::new())
    });
    let actor = columns.role(actor, &[ColumnType::Int, ColumnType::Text], faults);
    let time = columns.time(time, kind, &fields, faults);
    let event_name = match (kind, event_name) {
        (Some(TableKind::Entity), Some(node)) => {
            faults.add(node.fault("an entity has no event name; it is for tables of kind \"events\""));
            None
        }
        (_, node) => columns.role(node, &[ColumnType::Text], faults),
    };
    let open = open.map(|node| faults.keep(columns.open(&node, kind, rule.as_ref())));
    faults.unknown(fields);
    let schema = TableSchema {
        name: TableName::new(given),
        kind: kind?,
        columns: columns.sound()?,
        key: key?,
        tenant: rule?,
        actor: actor?,
        time: time?,
        event_name: event_name?,
        open: match open {
            Some(open) => Some(open?),
            None => None,
        },
        aliases: None,
        actor_props: None,
    };
    Some(TableDraft { schema, source, tenant: tenant?, identity })
}

/// Whether a row has to have its key.
#[derive(Clone, Copy)]
enum Keyed {
    Always,
    /// An event without its key is one of its own.
    AtTimes,
}

impl Keyed {
    fn of(kind: Option<TableKind>, rule: Option<&TenantRule>) -> Self {
        match (kind, rule) {
            (Some(TableKind::Events), Some(TenantRule::Column { .. } | TenantRule::Fixed(_))) => {
                Self::AtTimes
            }
            (_, _) => Self::Always,
        }
    }
}

/// The columns of a table. One without a sound type is known by its name, so that what names it is
/// not at fault too.
struct Columns<'a> {
    names: Vec<&'a str>,
    columns: Vec<Option<Column>>,
}

fn columns<'a>(node: &Node<'a>, faults: &mut Faults) -> Columns<'a> {
    let entries = faults.keep(node.entries()).unwrap_or_default();
    if entries.is_empty() || entries.len() > COLUMNS_MAX {
        faults.add(node.fault(format_args!("has {} columns; allowed are 1 to {COLUMNS_MAX}", entries.len())));
    }
    let mut columns = Columns { names: Vec::new(), columns: Vec::new() };
    for (given, node) in entries.into_iter().take(COLUMNS_MAX) {
        let named = faults.keep(name(&node, given));
        let typed = faults.keep(nullable_type(&node));
        columns.names.push(given);
        columns.columns.push(named.and(typed).map(|(column_type, nullable)| Column {
            name: given.to_owned(),
            column_type,
            nullable,
        }));
    }
    columns
}

/// `text`, or `text?` for what may be missing.
pub(super) fn nullable_type(node: &Node<'_>) -> Result<(ColumnType, bool), Fault> {
    let given = node.text()?;
    let (base, nullable) = given.strip_suffix('?').map_or((given, false), |base| (base, true));
    let known = ColumnType::from_name(base).ok_or_else(|| {
        let synonym = synonym(base).or_else(|| crate::nearest(base, ColumnType::NAMES));
        let hint = synonym.map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default();
        let names = ColumnType::NAMES.join(", ");
        node.expected(format_args!("one of {names}, with a `?` behind where it may be null{hint}"))
    })?;
    Ok((known, nullable))
}

/// What other systems call our types.
fn synonym(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "integer" | "bigint" | "long" | "int64" | "serial" => "int",
        "double" | "real" | "float64" | "number" => "float",
        "numeric" | "money" => "decimal",
        "boolean" => "bool",
        "string" | "varchar" | "str" | "uuid" | "char" => "text",
        "ts" | "datetime" | "timestamptz" | "time" | "instant" => "timestamp",
        _ => return None,
    })
}

impl Columns<'_> {
    fn sound(self) -> Option<Vec<Column>> {
        self.columns.into_iter().collect()
    }

    /// The index of the column that a node names; its column, where that is sound.
    fn find(&self, node: &Node<'_>) -> Result<(usize, Option<&Column>), Fault> {
        let given = node.text()?;
        let index = self.names.iter().position(|name| *name == given);
        let index =
            index.ok_or_else(|| node.fault(unknown("column here", given, self.names.iter().copied())))?;
        Ok((index, self.columns[index].as_ref()))
    }

    /// A column of one of these types.
    fn typed(&self, node: &Node<'_>, types: &[ColumnType]) -> Result<(usize, Option<&Column>), Fault> {
        let (index, column) = self.find(node)?;
        if let Some(column) = column.filter(|column| !types.contains(&column.column_type)) {
            let allowed: Vec<&str> = types.iter().map(|allowed| allowed.name()).collect();
            let (given, allowed) = (column.column_type.name(), allowed.join(" or "));
            return Err(
                node.fault(format_args!("column {:?} is of type {given}; allowed is {allowed}", column.name))
            );
        }
        Ok((index, column))
    }

    /// A column of one of these types that is never null.
    fn present(&self, node: &Node<'_>, types: &[ColumnType], what: &str) -> Result<usize, Fault> {
        let (index, column) = self.typed(node, types)?;
        match column {
            Some(column) if column.nullable => Err(node.fault(format_args!(
                "column {:?} may be null, and {what} may not; take the `?` off its type",
                column.name
            ))),
            _ => Ok(index),
        }
    }

    /// An optional role: the outer `None` is a fault, the inner one its absence.
    #[expect(clippy::option_option, reason = "a fault and an absence are different answers here")]
    fn role(
        &self,
        node: Option<Node<'_>>,
        types: &[ColumnType],
        faults: &mut Faults,
    ) -> Option<Option<usize>> {
        let Some(node) = node else {
            return Some(None);
        };
        faults.keep(self.typed(&node, types)).map(|(index, _)| Some(index))
    }

    /// A column of a key.
    fn in_key(&self, node: &Node<'_>, keyed: Keyed, types: &[ColumnType]) -> Result<usize, Fault> {
        match keyed {
            Keyed::Always => self.present(node, types, "a key"),
            Keyed::AtTimes => self.typed(node, types).map(|(index, _)| index),
        }
    }

    fn key(&self, node: &Node<'_>, keyed: Keyed, faults: &mut Faults) -> Option<Vec<usize>> {
        const TYPES: [ColumnType; 6] = [
            ColumnType::Int,
            ColumnType::Text,
            ColumnType::Bool,
            ColumnType::Decimal,
            ColumnType::Timestamp,
            ColumnType::Date,
        ];
        if node.json().is_string() {
            return faults.keep(self.in_key(node, keyed, &TYPES)).map(|index| vec![index]);
        }
        let items = node.items().map_err(|_| node.expected("a column or a list of columns"));
        let items = faults.keep(items)?;
        if items.is_empty() || items.len() > KEY_COLUMNS_MAX {
            faults.add(node.fault(format_args!("a key has 1 to {KEY_COLUMNS_MAX} columns")));
            return None;
        }
        let mut key = Vec::new();
        for item in &items {
            let index = faults.keep(self.in_key(item, keyed, &TYPES))?;
            if key.contains(&index) {
                faults.add(item.fault("is in the key already"));
                return None;
            }
            key.push(index);
        }
        Some(key)
    }

    #[expect(clippy::option_option, reason = "a fault and an absence are different answers here")]
    fn time(
        &self,
        node: Option<Node<'_>>,
        kind: Option<TableKind>,
        fields: &Fields<'_>,
        faults: &mut Faults,
    ) -> Option<Option<usize>> {
        let events = kind == Some(TableKind::Events);
        if let Some(node) = node {
            if !events {
                return self.role(Some(node), &[ColumnType::Timestamp], faults);
            }
            let index = self.present(&node, &[ColumnType::Timestamp], "an event's time");
            return faults.keep(index).map(Some);
        }
        let usual = ["created_at", "updated_at"].into_iter().find_map(|usual| {
            let index = self.names.iter().position(|name| *name == usual)?;
            let column = self.columns[index].as_ref()?;
            let fits = column.column_type == ColumnType::Timestamp && !(events && column.nullable);
            fits.then_some(index)
        });
        if events && usual.is_none() {
            faults.add(fields.fault_at("time", "is missing; an event stream has a column for its time"));
            return None;
        }
        Some(usual)
    }

    /// The field that holds the properties of an open table's rows.
    fn open(
        &self,
        node: &Node<'_>,
        kind: Option<TableKind>,
        rule: Option<&TenantRule>,
    ) -> Result<Open, Fault> {
        let field = node.text()?;
        name(node, field)?;
        if self.names.contains(&field) {
            return Err(
                node.fault(format_args!("{field:?} is a column; the properties need a name of their own"))
            );
        }
        if kind == Some(TableKind::Entity) {
            return Err(node.fault("an entity is not open; it is for tables of kind \"events\""));
        }
        if matches!(rule, Some(TenantRule::Parent { .. })) {
            return Err(node.fault("an open table has a tenant of its own, and none through a parent"));
        }
        let declared = self.columns.len();
        Ok(Open { field: field.to_owned(), declared, known: declared })
    }

    fn tenant(&self, node: &Node<'_>, faults: &mut Faults) -> Option<TenantRule> {
        const TYPES: [ColumnType; 2] = [ColumnType::Int, ColumnType::Text];
        if node.json().is_string() {
            let column = faults.keep(self.present(node, &TYPES, "the tenant"))?;
            return Some(TenantRule::Column { column, default: None });
        }
        const FORMS: &str = "a column, {column, default}, {parent, by} or {fixed}";
        let fields = faults.keep(node.clone().fields().map_err(|_| node.expected(FORMS)))?;
        let (column, default) = (fields.optional("column"), fields.optional("default"));
        let (parent, by) = (fields.optional("parent"), fields.optional("by"));
        let fixed = fields.optional("fixed");
        faults.unknown(fields);
        match (column, default, parent, by, fixed) {
            (Some(column), None, None, None, None) => {
                let column = faults.keep(self.present(&column, &TYPES, "the tenant"))?;
                Some(TenantRule::Column { column, default: None })
            }
            (Some(column), Some(default), None, None, None) => {
                let (column, _) = faults.keep(self.typed(&column, &TYPES))?;
                Some(TenantRule::Column { column, default: Some(faults.keep(tenant_id(&default))?) })
            }
            (None, None, Some(parent), Some(by), None) => {
                let by = faults.keep(self.present(&by, &TYPES, "what names the parent"))?;
                Some(TenantRule::Parent { parent: TableName::new(faults.keep(parent.text())?), by })
            }
            (None, None, None, None, Some(fixed)) => Some(TenantRule::Fixed(faults.keep(tenant_id(&fixed))?)),
            _ => {
                faults.add(node.expected(FORMS));
                None
            }
        }
    }
}

/// A tenant, as tokens name it: a text, or a whole number in its canonical text.
pub(super) fn tenant_id(node: &Node<'_>) -> Result<TenantId, Fault> {
    if let Some(number) = node.json().as_i64() {
        return Ok(TenantId::new(&number.to_string()));
    }
    match node.text()? {
        "" => Err(node.expected("a tenant's name")),
        text => Ok(TenantId::new(text)),
    }
}

/// Parents exist, fit and end at a table with a tenant of its own; then parents go before children.
fn check_parents(tables: &mut Tables<'_>, faults: &mut Faults) {
    let before = tables.sound.len();
    let at_fault: Vec<bool> =
        tables.sound.iter().map(|draft| faults.keep(check_parent(draft, tables)).is_none()).collect();
    let mut at_fault = at_fault.into_iter();
    let mut waiting = std::mem::take(&mut tables.sound);
    waiting.retain(|_| !at_fault.next().unwrap_or_default());
    // Each round takes the tables whose parent is placed; a cycle is told of already, and left over.
    while !waiting.is_empty() {
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|draft| match parent(draft) {
            Some(parent) => tables.sound.iter().any(|placed| placed.schema.name == *parent),
            None => true,
        });
        if ready.is_empty() {
            break;
        }
        tables.sound.extend(ready);
        waiting = rest;
    }
    debug_assert!(tables.sound.len() <= before);
}

fn parent<'d>(draft: &'d TableDraft<'_>) -> Option<&'d TableName> {
    match &draft.schema.tenant {
        TenantRule::Parent { parent, .. } => Some(parent),
        TenantRule::Column { .. } | TenantRule::Fixed(_) => None,
    }
}

fn check_parent(draft: &TableDraft<'_>, tables: &Tables<'_>) -> Result<(), Fault> {
    let TenantRule::Parent { parent: name, by } = &draft.schema.tenant else {
        return Ok(());
    };
    let given = draft.tenant.clone().fields()?.required("parent")?;
    let Some(found) = tables.find(&given)? else {
        return Ok(());
    };
    let [key] = found.schema.key.as_slice() else {
        return Err(given.fault(format_args!("{name} has no key of one column, so no row names one of its")));
    };
    if found.schema.kind != TableKind::Entity {
        return Err(given.fault(format_args!("{name} is an event stream; a parent is an entity")));
    }
    let (own, of_parent) = (&draft.schema.columns[*by], &found.schema.columns[*key]);
    if own.column_type != of_parent.column_type {
        let (own_type, key_type) = (own.column_type.name(), of_parent.column_type.name());
        return Err(given.fault(format_args!(
            "column {:?} is of type {own_type}, and the key of {name} of type {key_type}",
            own.name
        )));
    }
    match cycle(draft, tables) {
        Some(cycle) => Err(given.fault(format_args!(
            "the tenant is looked for in a circle: {}; one of them must have a tenant of its own",
            cycle.join(" → ")
        ))),
        None => Ok(()),
    }
}

/// The way from a table through its parents back to itself.
fn cycle<'d>(draft: &'d TableDraft<'_>, tables: &'d Tables<'_>) -> Option<Vec<&'d str>> {
    let mut way = vec![draft.schema.name.as_str()];
    let mut at = draft;
    while way.len() <= tables.sound.len() {
        let next = parent(at)?;
        way.push(next.as_str());
        if *next == draft.schema.name {
            return Some(way);
        }
        at = tables.sound.iter().find(|draft| draft.schema.name == *next)?;
    }
    None
}
