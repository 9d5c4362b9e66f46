//! Who an event stream's actors are besides their own names: the table of their aliases, and that of their
//! properties. Both are tables of the pack like any other, so they are read once all tables are known.

use super::faults::Faults;
use super::parse::unknown;
use super::tables::{TableDraft, Tables};
use crate::{
    ActorPropsTable, AliasTable, Column, ColumnType, Fault, Fields, Node, TableKind, TableSchema, TenantRule,
};

/// What a table says of it in the file.
#[derive(Clone, Debug)]
pub(super) struct Identity<'a> {
    aliases: Option<Node<'a>>,
    actor_props: Option<Node<'a>>,
}

impl<'a> Identity<'a> {
    pub(super) fn of(fields: &Fields<'a>) -> Self {
        Self { aliases: fields.optional("aliases"), actor_props: fields.optional("actor_props") }
    }
}

/// Fills in what the tables say of their actors.
pub(super) fn read(tables: &mut Tables<'_>, faults: &mut Faults) {
    for index in 0..tables.sound.len() {
        let draft = &tables.sound[index];
        let Identity { aliases, actor_props } = draft.identity();
        let aliases = aliases.as_ref().and_then(|node| faults.keep(alias_table(node, draft, tables)));
        let props = actor_props.as_ref().and_then(|node| faults.keep(props_table(node, draft, tables)));
        let schema = &mut tables.sound[index].schema;
        schema.aliases = aliases.flatten();
        schema.actor_props = props.flatten();
    }
}

/// `None` where a fault of its own hides the table.
fn alias_table(
    node: &Node<'_>,
    draft: &TableDraft<'_>,
    tables: &Tables<'_>,
) -> Result<Option<AliasTable>, Fault> {
    let fields = node.clone().fields()?;
    let (table, alias, actor) =
        (fields.required("table"), fields.required("alias"), fields.required("actor"));
    fields.finish()?;
    let (table, alias, actor) = (table?, alias?, actor?);
    let actor_type = actor_type(node, &draft.schema)?;
    let Some(found) = entity(&table, tables)? else {
        return Ok(None);
    };
    let alias_index = column(&alias, found, actor_type)?;
    let actor_index = column(&actor, found, actor_type)?;
    if found.key != [alias_index] {
        return Err(
            alias.fault(format_args!("is to be the key of {}, so that an alias has one actor", found.name))
        );
    }
    Ok(Some(AliasTable { table: found.name.clone(), alias: alias_index, actor: actor_index }))
}

fn props_table(
    node: &Node<'_>,
    draft: &TableDraft<'_>,
    tables: &Tables<'_>,
) -> Result<Option<ActorPropsTable>, Fault> {
    let fields = node.clone().fields()?;
    let (table, actor) = (fields.required("table"), fields.required("actor"));
    let (name, value) = (fields.required("name"), fields.required("value"));
    fields.finish()?;
    let (table, actor, name, value) = (table?, actor?, name?, value?);
    let actor_type = actor_type(node, &draft.schema)?;
    let Some(found) = entity(&table, tables)? else {
        return Ok(None);
    };
    let actor = column(&actor, found, actor_type)?;
    let name_index = column(&name, found, ColumnType::Text)?;
    let value = column(&value, found, ColumnType::Text)?;
    let mut key = found.key.clone();
    key.sort_unstable();
    let mut wanted = [actor, name_index];
    wanted.sort_unstable();
    if key != wanted {
        let problem = format_args!("is to be, with the actor, the key of {}", found.name);
        return Err(name.fault(problem));
    }
    Ok(Some(ActorPropsTable { table: found.name.clone(), actor, name: name_index, value }))
}

/// Of which type the actors of a stream are.
fn actor_type(node: &Node<'_>, stream: &TableSchema) -> Result<ColumnType, Fault> {
    let actor = stream.actor.filter(|_| stream.kind == TableKind::Events);
    let column = actor.and_then(|actor| stream.columns.get(actor));
    column.map(|column| column.column_type).ok_or_else(|| {
        node.fault(format_args!("is for an event stream with an `actor`, and {} is none", stream.name))
    })
}

/// An entity that says itself whose its rows are.
fn entity<'t>(node: &Node<'_>, tables: &'t Tables<'_>) -> Result<Option<&'t TableSchema>, Fault> {
    let Some(found) = tables.find(node)? else {
        return Ok(None);
    };
    let schema = &found.schema;
    if schema.kind != TableKind::Entity || matches!(schema.tenant, TenantRule::Parent { .. }) {
        let problem =
            format_args!("{} is no entity that has its tenant in a column, or a fixed one", schema.name);
        return Err(node.fault(problem));
    }
    Ok(Some(schema))
}

fn column(node: &Node<'_>, table: &TableSchema, wanted: ColumnType) -> Result<usize, Fault> {
    let given = node.text()?;
    let names = table.columns.iter().map(|column| column.name.as_str());
    let index = table.column_index(given);
    let index =
        index.ok_or_else(|| node.fault(unknown(&format!("column of {}", table.name), given, names)))?;
    let Column { name, column_type, .. } = &table.columns[index];
    if *column_type != wanted {
        let (is, allowed) = (column_type.name(), wanted.name());
        return Err(node.fault(format_args!("column {name:?} is of type {is}; allowed is {allowed}")));
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use crate::pack::{Pack, render_faults};
    use crate::{ActorPropsTable, AliasTable, TableName};

    const SOUND: &str = "pack: p
tables:
  events:
    kind: events
    tenant: t
    actor: who
    time: at
    aliases: {table: names, alias: name, actor: whose}
    actor_props: {table: props, actor: who, name: name, value: value}
    columns: {t: text, who: text, at: timestamp}
  names: {kind: entity, key: name, tenant: t, columns: {t: text, name: text, whose: text, n: int}}
  props: {kind: entity, key: [name, who], tenant: t, columns: {t: text, who: text, name: text, value: text?}}
";

    #[test]
    fn a_stream_names_the_tables_that_know_its_actors_wherever_they_are_declared() {
        let pack = Pack::parse(SOUND).unwrap();
        let events = pack.schema.table(&TableName::new("events")).unwrap();
        assert_eq!(events.aliases, Some(AliasTable { table: TableName::new("names"), alias: 1, actor: 2 }));
        let props = ActorPropsTable { table: TableName::new("props"), actor: 1, name: 2, value: 3 };
        assert_eq!(events.actor_props, Some(props));
    }

    #[test]
    fn what_is_no_such_table_is_told() {
        let check = |from: &str, to: &str, want: &str| {
            let yaml = SOUND.replace(from, to);
            assert_ne!(yaml, SOUND);
            let told = render_faults("pack.yaml", &Pack::parse(&yaml).unwrap_err());
            assert!(told.contains(want), "{to}: {told}");
        };
        check("table: names", "table: nmes", "tables.events.aliases.table: \"nmes\" is no table");
        check("table: names", "table: events", "events is no entity");
        check("alias: name", "alias: whose", "tables.events.aliases.alias: is to be the key of names");
        check("actor: whose", "actor: n", "column \"n\" is of type int; allowed is text");
        check("actor: whose", "actor: hose", "\"hose\" is no column of names");
        check("alias: name, ", "", "tables.events.aliases.alias: is missing");
        check("alias: name, ", "alias: name, x: 1, ", "tables.events.aliases.x");
        check("    actor: who\n", "", "is for an event stream with an `actor`");
        check("key: [name, who]", "key: name", "is to be, with the actor, the key of props");
        check("name: name, value", "name: name, value: v, vlue", "tables.events.actor_props.vlue");
        check("value: value}", "value: who2}", "\"who2\" is no column of props");
        check("name: text, value: text?", "name: text, value: int?", "is of type int; allowed is text");
    }
}
