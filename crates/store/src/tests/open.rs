//! Open tables against a model: what rows carry besides their columns is there afterwards, in its own type,
//! through restarts, compactions and crashes, and nobody sees the names of another tenant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int64Type, Schema, TimestampMicrosecondType};
use ebbtide_model::{
    AppSchema, Calendar, Column, ColumnType, Open, Property, PropertyKind, PropertyValue, TableKind,
    TableName, TableSchema, TenantRule, WeekStart, canonical_json,
};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value as Json, json};

use super::fixture::{copy, fixture};
use super::harness::{Dice, Machine, app_name, scope};
use crate::fs::{RealFs, SimFs};
use crate::{
    ColumnRef, NewRows, Occurrences, Receipt, Settings, StoreError, declared_schema, property_field,
};

const TENANTS: [&str; 3] = ["a", "b", "c"];
const NAMES: [&str; 7] = ["price", "plan", "ok", "tags", "id", "note:x", ""];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    tenant: &'static str,
    id: Option<i64>,
    actor: i64,
    at: i64,
    /// Name and canonical JSON.
    props: BTreeMap<&'static str, String>,
}

fn table() -> TableSchema {
    let column = |name: &str, column_type, nullable| Column { name: name.to_owned(), column_type, nullable };
    TableSchema {
        name: TableName::new("events"),
        kind: TableKind::Events,
        columns: vec![
            column("tenant", ColumnType::Text, false),
            column("id", ColumnType::Int, true),
            column("actor", ColumnType::Int, false),
            column("at", ColumnType::Timestamp, false),
        ],
        key: vec![1],
        tenant: TenantRule::Column { column: 0, default: None },
        actor: Some(2),
        time: Some(3),
        event_name: None,
        open: Some(Open { field: "props".to_owned(), declared: 4, known: 4 }),
        aliases: None,
        actor_props: None,
    }
}

fn app() -> AppSchema {
    AppSchema {
        app: app_name(),
        calendar: Calendar::new(TimeZone::UTC, WeekStart::Monday),
        tables: vec![table()],
    }
}

fn settings(properties_max: usize, properties_per_tenant_max: usize) -> Settings {
    Settings {
        compaction_fan_in: 3,
        import_chunk_rows: 5,
        properties_max,
        properties_per_tenant_max,
        ..Settings::default()
    }
}

fn open(disk: &SimFs, settings: &Settings) -> Result<Machine, StoreError> {
    Machine::open_with(disk, settings.clone(), vec![app()])
}

/// The stored kind of each value decides on its column.
fn batch(rows: &[Row]) -> RecordBatch {
    let mut columns: BTreeMap<Property, Vec<Option<PropertyValue>>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        for (name, text) in &row.props {
            let value = PropertyValue::of(&serde_json::from_str(text).unwrap()).unwrap();
            let column = columns.entry(Property::new(name, value.kind())).or_default();
            column.resize(index, None);
            column.push(Some(value));
        }
    }
    let mut fields: Vec<_> = declared_schema(&table()).fields().iter().cloned().collect();
    let times = rows.iter().map(|row| Some(row.at)).collect::<TimestampMicrosecondArray>();
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.tenant)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.id).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.actor)).collect::<Int64Array>()),
        Arc::new(times.with_timezone("+00:00")),
    ];
    // Backwards, since the order in which they come is nobody's business.
    for (property, mut values) in columns.into_iter().rev() {
        values.resize(rows.len(), None);
        fields.push(Arc::new(property_field(&property)));
        arrays.push(match property.kind {
            PropertyKind::Bool => Arc::new(
                values
                    .iter()
                    .map(
                        |value| {
                            if let Some(PropertyValue::Bool(value)) = value { Some(*value) } else { None }
                        },
                    )
                    .collect::<BooleanArray>(),
            ),
            PropertyKind::Int => Arc::new(
                values
                    .iter()
                    .map(
                        |value| if let Some(PropertyValue::Int(value)) = value { Some(*value) } else { None },
                    )
                    .collect::<Int64Array>(),
            ),
            PropertyKind::Float => Arc::new(
                values
                    .iter()
                    .map(
                        |value| {
                            if let Some(PropertyValue::Float(value)) = value { Some(*value) } else { None }
                        },
                    )
                    .collect::<Float64Array>(),
            ),
            _ => Arc::new(
                values
                    .iter()
                    .map(|value| match value {
                        Some(PropertyValue::Text(text) | PropertyValue::Json(text)) => Some(text.as_str()),
                        _ => None,
                    })
                    .collect::<StringArray>(),
            ),
        });
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn append(machine: &Machine, rows: &[Row]) -> Result<Receipt, StoreError> {
    let new = NewRows {
        table: TableName::new("events"),
        batch: batch(rows),
        occurrences: Occurrences::uncounted(),
    };
    let info = machine.shared.writer().tables[0].info.clone();
    let prepared = crate::admission::prepare(&info, &scope(None), &new.batch, new.occurrences.keyless())?;
    let request = crate::request::Request::Append {
        table: 0,
        prepared: Box::new(prepared),
        occurrences: new.occurrences.clone(),
    };
    match machine.ask(request)? {
        crate::request::Answer::Appended(receipt) => Ok(receipt),
        other => panic!("{other:?}"),
    }
}

fn import(machine: &Machine, pushes: &[Vec<Row>]) -> Result<Receipt, StoreError> {
    let info = machine.shared.writer().tables[0].info.clone();
    let mut importer = crate::import::Importer::begin(machine.shared.clone(), scope(None), 0, info)?;
    let mut receipt = Receipt::default();
    for rows in pushes {
        receipt.add(importer.push(&batch(rows))?);
    }
    receipt.add(importer.finish()?);
    Ok(receipt)
}

fn clear(machine: &Machine, tenant: Option<&str>) -> Result<u64, StoreError> {
    let request = crate::request::Request::Clear { tables: vec![0], tenant: tenant.map(str::to_owned) };
    match machine.ask(request)? {
        crate::request::Answer::Cleared(rows) => Ok(rows.iter().sum()),
        other => panic!("{other:?}"),
    }
}

/// What should be there.
#[derive(Clone, Debug, Default)]
struct Model {
    rows: Vec<Row>,
    keys: BTreeSet<(&'static str, i64)>,
    /// Rows of files without a key, with the number of their occurrence.
    contents: BTreeSet<(Row, usize)>,
}

impl Model {
    /// True where the row is new.
    fn take_key(&mut self, row: &Row) -> bool {
        let is_new = row.id.is_none_or(|id| self.keys.insert((row.tenant, id)));
        if is_new {
            self.rows.push(row.clone());
        }
        is_new
    }

    fn append(&mut self, rows: &[Row]) -> usize {
        rows.iter().filter(|row| self.take_key(row)).count()
    }

    fn import(&mut self, rows: &[Row]) -> usize {
        let mut seen: BTreeMap<&Row, usize> = BTreeMap::new();
        let mut accepted = 0;
        for row in rows {
            let number = seen.entry(row).or_default();
            *number += 1;
            if row.id.is_some() || self.contents.insert((row.clone(), *number)) {
                accepted += usize::from(self.take_key(row));
            }
        }
        accepted
    }

    fn clear(&mut self, tenant: Option<&str>) {
        let is_gone = |own: &str| tenant.is_none_or(|tenant| tenant == own);
        self.rows.retain(|row| !is_gone(row.tenant));
        self.keys.retain(|(own, _)| !is_gone(own));
        self.contents.retain(|(row, _)| !is_gone(row.tenant));
    }

    fn sorted(&self, tenant: Option<&str>) -> Vec<Row> {
        let own = self.rows.iter().filter(|row| tenant.is_none_or(|tenant| tenant == row.tenant));
        let mut rows: Vec<Row> = own.cloned().collect();
        rows.sort();
        rows
    }

    fn names(&self, tenant: Option<&str>) -> BTreeSet<String> {
        let own = self.rows.iter().filter(|row| tenant.is_none_or(|tenant| tenant == row.tenant));
        own.flat_map(|row| row.props.keys().map(|name| (*name).to_owned())).collect()
    }
}

/// The properties that a scope's schema shows, with their types.
fn shown(machine: &Machine, tenant: Option<&str>) -> BTreeMap<String, ColumnType> {
    let snapshot = machine.snapshot().evolved(&scope(tenant), []);
    let table = snapshot.app().tables[0].clone();
    let names: Vec<&String> = table.properties().iter().map(|column| &column.name).collect();
    assert!(names.is_sorted(), "properties are shown by name");
    table.properties().iter().map(|column| (column.name.clone(), column.column_type)).collect()
}

fn cell(array: &ArrayRef, column_type: ColumnType, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match column_type {
        ColumnType::Bool => json!(array.as_boolean().value(row)).to_string(),
        ColumnType::Int => json!(array.as_primitive::<Int64Type>().value(row)).to_string(),
        ColumnType::Float => canonical_json(&json!(array.as_primitive::<Float64Type>().value(row))),
        ColumnType::Text => json!(array.as_string::<i32>().value(row)).to_string(),
        _ => array.as_string::<i32>().value(row).to_owned(),
    })
}

/// What a scope sees, by the names that there are.
fn seen(machine: &Machine, tenant: Option<&str>) -> Vec<Row> {
    let snapshot = machine.snapshot().evolved(&scope(tenant), NAMES);
    let view = snapshot.table(&scope(tenant), &TableName::new("events")).unwrap();
    let schema = view.schema().clone();
    let find = |name: &str| schema.columns.iter().position(|column| column.name == name).unwrap();
    // A property that is called as a column is not to be had by its name.
    let names: Vec<&'static str> = NAMES.into_iter().filter(|name| *name != "id").collect();
    let mut columns: Vec<ColumnRef> = vec![ColumnRef::Tenant];
    columns.extend((1..4).map(ColumnRef::Declared));
    columns.extend(names.iter().map(|name| ColumnRef::Declared(find(name))));
    let mut rows = Vec::new();
    for part in view.parts() {
        for scanned in part.scan(&columns).unwrap() {
            let scanned = scanned.unwrap();
            let tenants = arrow::compute::cast(scanned.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
            for row in 0..scanned.num_rows() {
                let mut props = BTreeMap::new();
                for (place, name) in names.iter().enumerate() {
                    let column_type = schema.columns[find(name)].column_type;
                    props.extend(cell(scanned.column(4 + place), column_type, row).map(|text| (*name, text)));
                }
                let ids = scanned.column(1).as_primitive::<Int64Type>();
                rows.push(Row {
                    tenant: TENANTS
                        .into_iter()
                        .find(|own| *own == tenants.as_string::<i32>().value(row))
                        .unwrap(),
                    id: ids.is_valid(row).then(|| ids.value(row)),
                    actor: scanned.column(2).as_primitive::<Int64Type>().value(row),
                    at: scanned.column(3).as_primitive::<TimestampMicrosecondType>().value(row),
                    props,
                });
            }
        }
    }
    rows.sort();
    rows
}

fn without_hidden(mut rows: Vec<Row>) -> Vec<Row> {
    rows.iter_mut().for_each(|row| _ = row.props.remove("id"));
    rows.sort();
    rows
}

fn holds(machine: &Machine, model: &Model) -> bool {
    [None, Some("a"), Some("b"), Some("c")]
        .into_iter()
        .all(|tenant| seen(machine, tenant) == without_hidden(model.sorted(tenant)))
}

fn random_row(dice: &mut Dice) -> Row {
    let values = [
        json!(1),
        json!(2),
        json!(0.5),
        json!(2.0),
        json!("x"),
        json!(""),
        json!(true),
        json!(false),
        json!([1, {"b": 1, "a": null}]),
        json!(u64::MAX),
        json!("1"),
        json!(-7),
    ];
    let mut props = BTreeMap::new();
    for name in NAMES {
        if dice.roll(3) == 0 {
            let value: &Json = &values[usize::try_from(dice.roll(values.len() as u64)).unwrap()];
            props.insert(name, canonical_json(value));
        }
    }
    Row {
        tenant: TENANTS[usize::try_from(dice.roll(3)).unwrap()],
        id: (dice.roll(2) == 0).then(|| dice.number(0, 30)),
        actor: dice.number(0, 4),
        at: dice.number(0, 5),
        props,
    }
}

fn random_rows(dice: &mut Dice, most: u64) -> Vec<Row> {
    (0..dice.roll(most + 1)).map(|_| random_row(dice)).collect()
}

#[derive(Clone, Debug)]
enum Operation {
    Append(u64),
    Import(u64),
    Clear(Option<usize>),
    Flush,
    FlushBusily(u64),
    Compact,
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => any::<u64>().prop_map(Operation::Append),
        // Few seeds: the same file comes again.
        3 => (0..4_u64).prop_map(Operation::Import),
        1 => proptest::option::of(0..3_usize).prop_map(Operation::Clear),
        2 => Just(Operation::Flush),
        1 => any::<u64>().prop_map(Operation::FlushBusily),
        2 => Just(Operation::Compact),
        2 => Just(Operation::Reopen),
    ]
}

fn add(machine: &Machine, model: &mut Model, seed: u64) {
    let rows = random_rows(&mut Dice::new(seed), 10);
    let receipt = append(machine, &rows).unwrap();
    assert_eq!(receipt.accepted, model.append(&rows));
    assert_eq!(receipt.rows(), rows.len());
}

fn apply(machine: Machine, model: &mut Model, settings: &Settings, operation: &Operation) -> Machine {
    match operation {
        Operation::Append(seed) => add(&machine, model, *seed),
        Operation::Import(seed) => {
            let mut dice = Dice::new(*seed);
            let pushes: Vec<Vec<Row>> = (0..3).map(|_| random_rows(&mut dice, 6)).collect();
            let receipt = import(&machine, &pushes).unwrap();
            assert_eq!(receipt.accepted, model.import(&pushes.concat()));
        }
        Operation::Clear(tenant) => {
            let tenant = tenant.map(|tenant| TENANTS[tenant]);
            clear(&machine, tenant).unwrap();
            model.clear(tenant);
        }
        Operation::Flush => machine.flush().unwrap(),
        Operation::FlushBusily(seed) => {
            machine.flush_with(|| add(&machine, model, *seed)).unwrap();
            // Without anything to flush nothing came meanwhile either.
        }
        Operation::Compact => machine.compact().unwrap(),
        Operation::Reopen => {
            let disk = machine.disk.clone();
            drop(machine);
            return open(&disk, settings).unwrap();
        }
    }
    machine
}

fn check(operations: &[Operation], settings: &Settings, is_roomy: bool) {
    let disk = SimFs::new(1);
    let mut machine = open(&disk, settings).unwrap();
    let mut model = Model::default();
    for operation in operations {
        machine = apply(machine, &mut model, settings, operation);
        assert!(holds(&machine, &model), "after {operation:?}");
        for tenant in [None, Some("a"), Some("b"), Some("c")] {
            let shown: BTreeSet<String> = shown(&machine, tenant).into_keys().collect();
            let mut own = model.names(tenant);
            own.remove("id");
            assert!(shown.is_subset(&own), "{shown:?} are shown, and there are {own:?}");
            if is_roomy {
                assert_eq!(shown, own);
            }
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 150, ..Config::default() })]

    #[test]
    fn properties_are_there_whatever_happens(operations in proptest::collection::vec(operation(), 1..14)) {
        check(&operations, &settings(100, 100), true);
    }

    #[test]
    fn properties_past_the_limits_are_there_too(operations in proptest::collection::vec(operation(), 1..14)) {
        check(&operations, &settings(4, 3), false);
    }
}

/// Runs into crashes; each acknowledged property is there afterwards.
fn check_crashes(seed: u64) -> usize {
    let (disk, mut dice) = (SimFs::new(seed), Dice::new(seed));
    let settings = if seed.is_multiple_of(2) { settings(100, 100) } else { settings(4, 3) };
    let mut model = Model::default();
    let mut crashes = 0;
    for _ in 0..3 {
        disk.crash_after(1 + dice.roll(50));
        let mut possible = vec![model.clone()];
        if let Ok(machine) = open(&disk, &settings) {
            for _ in 0..20 {
                let mut after = model.clone();
                let ended = match dice.roll(8) {
                    0..=4 => {
                        let rows = random_rows(&mut dice, 6);
                        after.append(&rows);
                        append(&machine, &rows).map(drop)
                    }
                    5 => machine.flush(),
                    6 => machine.compact(),
                    _ => {
                        let tenant = TENANTS[usize::try_from(dice.roll(3)).unwrap()];
                        after.clear(Some(tenant));
                        clear(&machine, Some(tenant)).map(drop)
                    }
                };
                if ended.is_err() {
                    assert!(disk.is_down(), "seed {seed}");
                    possible.push(after);
                    break;
                }
                model = after;
                possible = vec![model.clone()];
            }
        }
        crashes += usize::from(disk.is_down());
        disk.crash();
        let machine = open(&disk, &settings).unwrap();
        let found = possible.iter().find(|outcome| holds(&machine, outcome));
        model = found.unwrap_or_else(|| panic!("seed {seed}: properties were lost or made up")).clone();
    }
    crashes
}

#[test]
fn acknowledged_properties_survive_a_crash_at_any_point() {
    let crashes: usize = (0..150).map(check_crashes).sum();
    assert!(crashes > 200, "only {crashes} crashes came");
}

fn row(tenant: &'static str, props: &[(&'static str, Json)]) -> Row {
    let props = props.iter().map(|(name, value)| (*name, canonical_json(value))).collect();
    Row { tenant, id: None, actor: 1, at: 1, props }
}

#[test]
fn a_property_is_shown_in_the_type_of_its_owners_values_alone() {
    let disk = SimFs::new(1);
    let mut machine = open(&disk, &settings(100, 100)).unwrap();
    append(
        &machine,
        &[
            row("a", &[("price", json!(1)), ("plan", json!("pro"))]),
            row("a", &[("price", json!(0.5))]),
            row("b", &[("price", json!("free")), ("ok", json!(true))]),
        ],
    )
    .unwrap();
    let check = |machine: &Machine, tenant, want: &[(&str, ColumnType)]| {
        let want = want.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        assert_eq!(shown(machine, tenant), want, "{tenant:?}");
    };
    for _ in 0..2 {
        check(&machine, Some("a"), &[("plan", ColumnType::Text), ("price", ColumnType::Float)]);
        check(&machine, Some("b"), &[("ok", ColumnType::Bool), ("price", ColumnType::Text)]);
        check(&machine, Some("c"), &[]);
        check(
            &machine,
            None,
            &[("ok", ColumnType::Bool), ("plan", ColumnType::Text), ("price", ColumnType::Mixed)],
        );
        machine.flush().unwrap();
        drop(machine);
        machine = open(&disk, &settings(100, 100)).unwrap();
    }
    clear(&machine, Some("a")).unwrap();
    check(&machine, Some("a"), &[]);
    drop(machine);
    let machine = open(&disk, &settings(100, 100)).unwrap();
    check(&machine, Some("a"), &[]);
    check(&machine, Some("b"), &[("ok", ColumnType::Bool), ("price", ColumnType::Text)]);
}

#[test]
fn rows_without_their_key_are_new_ones_save_in_a_file_that_comes_again() {
    let machine = open(&SimFs::new(1), &settings(100, 100)).unwrap();
    let rows =
        vec![row("a", &[("n", json!(1))]), row("a", &[("n", json!(1))]), row("a", &[("n", json!(1.5))])];
    for _ in 0..2 {
        assert_eq!(append(&machine, &rows).unwrap().accepted, 3);
    }
    let files = [(3, 0), (0, 3)];
    for (accepted, duplicates) in files {
        let receipt = import(&machine, &[rows[..1].to_vec(), rows[1..].to_vec()]).unwrap();
        assert_eq!((receipt.accepted, receipt.duplicates), (accepted, duplicates));
    }
}

/// Rows with properties in segments and in the log, past the limits, cleared and imported.
fn fill(disk: &SimFs) -> Model {
    let machine = open(disk, &settings(5, 4)).unwrap();
    let (mut model, mut dice) = (Model::default(), Dice::new(2028));
    for round in 0..6 {
        let rows = random_rows(&mut dice, 12);
        append(&machine, &rows).unwrap();
        model.append(&rows);
        if round == 2 {
            clear(&machine, Some("b")).unwrap();
            model.clear(Some("b"));
        }
        if round < 4 {
            machine.flush().unwrap();
        }
    }
    let rows = random_rows(&mut dice, 20);
    import(&machine, std::slice::from_ref(&rows)).unwrap();
    model.import(&rows);
    let rows = random_rows(&mut dice, 12);
    append(&machine, &rows).unwrap();
    model.append(&rows);
    model
}

#[test]
fn a_folder_of_version_3_is_read() {
    let disk = SimFs::new(1);
    copy(&RealFs::new(&fixture(3)), &disk);
    let found = crate::verify(&shared(&disk)).unwrap();
    assert!(found.damage.is_empty() && found.segments > 3, "{found:?}");
    let written = SimFs::new(1);
    let model = fill(&written);
    let machine = open(&disk, &settings(5, 4)).unwrap();
    assert!(holds(&machine, &model));
    let fresh = open(&written, &settings(5, 4)).unwrap();
    for tenant in [None, Some("a"), Some("b"), Some("c")] {
        assert_eq!(shown(&machine, tenant), shown(&fresh, tenant));
    }
}

fn shared(disk: &SimFs) -> Arc<dyn crate::fs::FileSystem> {
    Arc::new(disk.clone())
}

#[test]
fn columns_that_are_no_properties_are_refused() {
    let machine = open(&SimFs::new(1), &settings(100, 100)).unwrap();
    let info = machine.shared.writer().tables[0].info.clone();
    let good = batch(&[row("a", &[])]);
    for name in ["price", "decimal:price", "overflow:", "int:price"] {
        let mut fields: Vec<_> = good.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(arrow::datatypes::Field::new(name, arrow::datatypes::DataType::Utf8, true)));
        let mut columns = good.columns().to_vec();
        columns.push(Arc::new(StringArray::from(vec!["x"])));
        let wrong = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let refused =
            crate::admission::prepare(&info, &scope(None), &wrong, crate::fingerprint::Keyless::Contents)
                .unwrap_err();
        assert!(matches!(refused, StoreError::WrongShape { .. }), "{name}: {refused}");
    }
}
