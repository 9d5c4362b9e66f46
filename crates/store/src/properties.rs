//! Which properties the rows of an open table have, and whose: each pair of name and kind has a column of
//! its own, numbered in the order of their appearance. Names are data, so a tenant sees only those of its
//! own rows. Names past the limits have no column; what they hold goes into one column of JSON text.
//!
//! Of a tenant whose rows have such a column no further name gets a column: so what a name holds lies in
//! its columns alone or in the text alone, and a reader knows where.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::compute::nullif;
use arrow::datatypes::{Field, FieldRef, Schema};
use ebbtide_model::{Property, PropertyKind, PropertyValue, Tenants, write_text};
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::xxh3_64;

use crate::admission::RowTenants;
use crate::cells::Cells;
use crate::columns::{property_column, property_field, property_of};
use crate::{Settings, StoreError};

/// A change copies one of as many parts of the map.
const SHARDS: usize = 64;

type Shard = HashMap<Arc<str>, Arc<Used>>;

/// The properties of a table. A clone is a moment of it, and costs nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Properties {
    registry: Arc<Registry>,
    /// By the hash of the tenant; none before the first property.
    shards: Arc<Vec<Arc<Shard>>>,
}

#[derive(Clone, Debug, Default)]
struct Registry {
    columns: Vec<Property>,
    by_name: HashMap<Arc<str>, Vec<u32>>,
    overflow: Option<u32>,
}

/// What a tenant's rows have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    columns: RoaringBitmap,
    names: usize,
}

/// How many names have columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameLimits {
    pub(crate) table: usize,
    pub(crate) tenant: usize,
}

impl NameLimits {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { table: settings.properties_max, tenant: settings.properties_per_tenant_max }
    }
}

impl Registry {
    fn find(&self, property: &Property) -> Option<u32> {
        if property.kind == PropertyKind::Overflow {
            return self.overflow;
        }
        let own = self.by_name.get(&property.name)?;
        own.iter().copied().find(|&index| self.columns[index as usize].kind == property.kind)
    }

    fn add(&mut self, property: &Property) -> u32 {
        let index = u32::try_from(self.columns.len()).unwrap_or(u32::MAX);
        self.columns.push(property.clone());
        if property.kind == PropertyKind::Overflow {
            self.overflow = Some(index);
        } else {
            self.by_name.entry(property.name.clone()).or_default().push(index);
        }
        index
    }
}

impl Properties {
    /// What a manifest says.
    pub(crate) fn restored(
        columns: Vec<Property>,
        users: impl IntoIterator<Item = (Arc<str>, RoaringBitmap)>,
    ) -> Self {
        let mut registry = Registry::default();
        for column in &columns {
            registry.add(column);
        }
        let mut properties = Self { registry: Arc::new(registry), shards: Arc::default() };
        for (tenant, columns) in users {
            for index in columns {
                if (index as usize) < properties.registry.columns.len() {
                    properties.note(&tenant, index);
                }
            }
        }
        properties
    }

    /// By index.
    pub(crate) fn columns(&self) -> &[Property] {
        &self.registry.columns
    }

    /// Tenants in order, with the indexes of their columns.
    pub(crate) fn users(&self) -> BTreeMap<&Arc<str>, &RoaringBitmap> {
        let all = self.shards.iter().flat_map(|shard| shard.iter());
        all.map(|(tenant, used)| (tenant, &used.columns)).collect()
    }

    fn used(&self, tenant: &str) -> Option<&Arc<Used>> {
        self.shards.get(shard_of(tenant))?.get(tenant)
    }

    /// The columns that these tenants' rows have.
    pub(crate) fn visible(&self, tenants: &Tenants) -> Visible {
        let indexes = match tenants {
            Tenants::One(tenant) => self.used(tenant.as_str()).map(|used| used.columns.clone()),
            Tenants::All => {
                let all = self.shards.iter().flat_map(|shard| shard.values());
                Some(all.fold(RoaringBitmap::new(), |columns, used| columns | &used.columns))
            }
        };
        let indexes = indexes.unwrap_or_default();
        let of = |index: u32| (index as usize, self.registry.columns[index as usize].clone());
        let mut columns: Vec<(usize, Property)> = indexes.into_iter().map(of).collect();
        columns.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        let overflow = columns.iter().position(|(_, property)| property.kind == PropertyKind::Overflow);
        let overflow = overflow.map(|place| columns.remove(place));
        Visible { columns, overflow, several: *tenants == Tenants::All }
    }

    /// A tenant's rows have this column.
    fn note(&mut self, tenant: &Arc<str>, index: u32) {
        if self.used(tenant).is_some_and(|used| used.columns.contains(index)) {
            return;
        }
        let registry = self.registry.clone();
        let property = &registry.columns[index as usize];
        let shards = Arc::make_mut(&mut self.shards);
        if shards.is_empty() {
            shards.resize_with(SHARDS, Arc::default);
        }
        if let Some(shard) = shards.get_mut(shard_of(tenant)) {
            let used = Arc::make_mut(Arc::make_mut(shard).entry(tenant.clone()).or_default());
            if property.kind != PropertyKind::Overflow {
                let same = registry.by_name.get(&property.name);
                let is_known = same.is_some_and(|same| same.iter().any(|own| used.columns.contains(*own)));
                used.names += usize::from(!is_known);
            }
            used.columns.insert(index);
        }
    }

    /// The index of a column, which is new if need be.
    fn index(&mut self, property: &Property) -> u32 {
        match self.registry.find(property) {
            Some(index) => index,
            None => Arc::make_mut(&mut self.registry).add(property),
        }
    }

    /// Rows of a tenant, or of all, are gone.
    pub(crate) fn forget(&mut self, tenant: Option<&str>) {
        match tenant {
            None => self.shards = Arc::default(),
            Some(tenant) if self.used(tenant).is_some() => {
                let shards = Arc::make_mut(&mut self.shards);
                if let Some(shard) = shards.get_mut(shard_of(tenant)) {
                    Arc::make_mut(shard).remove(tenant);
                }
            }
            Some(_) => {}
        }
    }

    /// Rows that are stored, or were, have these columns.
    pub(crate) fn note_rows(&mut self, rows: &RecordBatch, tenants: &RowTenants) {
        for (field, array) in rows.schema().fields().iter().zip(rows.columns()) {
            let Some(property) = property_of(field) else { continue };
            let used = tenants_with(array, tenants);
            if !used.contains(&true) {
                continue;
            }
            let index = self.index(&property);
            for (tenant, _) in tenants.names.iter().zip(used).filter(|(_, used)| *used) {
                self.note(tenant, index);
            }
        }
    }

    /// Notes what new rows have. Those whose names get no column come back with it in JSON text.
    pub(crate) fn admit(
        &mut self,
        rows: RecordBatch,
        tenants: &RowTenants,
        limits: NameLimits,
    ) -> Result<RecordBatch, StoreError> {
        let schema = rows.schema();
        let own: Vec<(usize, Property)> = schema
            .fields()
            .iter()
            .enumerate()
            .filter_map(|(place, field)| Some((place, property_of(field)?)))
            .collect();
        // By column and tenant: whether rows have it and it has no column.
        let mut refused = vec![Vec::new(); own.len()];
        for ((place, property), refused) in own.iter().zip(&mut refused) {
            let used = tenants_with(rows.column(*place), tenants);
            refused.resize(used.len(), false);
            for (code, (tenant, used)) in tenants.names.iter().zip(used).enumerate() {
                if !used {
                    continue;
                }
                if self.has_room(tenant, property, limits) {
                    let index = self.index(property);
                    self.note(tenant, index);
                } else {
                    refused[code] = true;
                    let overflow = self.index(&Property::overflow());
                    self.note(tenant, overflow);
                }
            }
        }
        if refused.iter().flatten().any(|refused| *refused) {
            return overflowing(&rows, &own, &refused, tenants);
        }
        Ok(rows)
    }

    /// Whether a tenant's rows may have this property in a column.
    fn has_room(&self, tenant: &Arc<str>, property: &Property, limits: NameLimits) -> bool {
        let registry = &self.registry;
        let columns = registry.by_name.get(&property.name);
        let known_to_all = columns.is_some();
        let room_in_all = known_to_all || registry.by_name.len() < limits.table;
        let Some(used) = self.used(tenant) else { return room_in_all && limits.tenant > 0 };
        if columns.is_some_and(|columns| columns.iter().any(|index| used.columns.contains(*index))) {
            return true;
        }
        let overflows = registry.overflow.is_some_and(|index| used.columns.contains(index));
        room_in_all && !overflows && used.names < limits.tenant
    }
}

fn shard_of(tenant: &str) -> usize {
    usize::from(xxh3_64(tenant.as_bytes()).to_be_bytes()[0]) % SHARDS
}

/// Which tenants have a value in a column.
fn tenants_with(array: &ArrayRef, tenants: &RowTenants) -> Vec<bool> {
    let mut used = vec![false; tenants.names.len()];
    if let [used] = used.as_mut_slice() {
        *used = array.null_count() < array.len();
        return vec![*used];
    }
    for (row, code) in tenants.codes.iter().enumerate() {
        if array.is_valid(row) {
            used[*code as usize] = true;
        }
    }
    used
}

/// The rows with what has no column as JSON text.
fn overflowing(
    rows: &RecordBatch,
    own: &[(usize, Property)],
    refused: &[Vec<bool>],
    tenants: &RowTenants,
) -> Result<RecordBatch, StoreError> {
    let mut texts: Vec<Option<String>> = vec![None; rows.num_rows()];
    let schema = rows.schema();
    let (mut fields, mut columns): (Vec<FieldRef>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    let mut next = own.iter().zip(refused).peekable();
    for (place, (field, array)) in schema.fields().iter().zip(rows.columns()).enumerate() {
        let Some(((_, property), refused)) = next.next_if(|((own, _), _)| *own == place) else {
            fields.push(field.clone());
            columns.push(array.clone());
            continue;
        };
        let is_refused = |row: usize| array.is_valid(row) && refused[tenants.codes[row] as usize];
        let moved: Vec<bool> = (0..rows.num_rows()).map(is_refused).collect();
        if moved.contains(&true) {
            let declared = property_column(property);
            let cells = Cells::of(array, &declared)?;
            for row in moved.iter().enumerate().filter_map(|(row, moved)| moved.then_some(row)) {
                let text = texts[row].get_or_insert_with(|| "{".to_owned());
                if text.len() > 1 {
                    text.push(',');
                }
                write_text(&property.name, text);
                text.push(':');
                write_property(&cells, property.kind, row, text);
            }
        }
        let kept = nullif(array, &BooleanArray::from(moved))?;
        if kept.null_count() < kept.len() {
            fields.push(field.clone());
            columns.push(kept);
        }
    }
    let closed = texts.into_iter().map(|text| text.map(|text| text + "}"));
    // Properties are by their stored names everywhere.
    let overflow = property_field(&Property::overflow());
    let is_before = |field: &FieldRef| !is_property(field) || field.name() < overflow.name();
    let place = fields.iter().take_while(|field| is_before(field)).count();
    fields.insert(place, Arc::new(overflow));
    columns.insert(place, Arc::new(closed.collect::<StringArray>()));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Appends a cell that is not null as canonical JSON.
pub(crate) fn write_property(cells: &Cells<'_>, kind: PropertyKind, row: usize, into: &mut String) {
    match (cells, kind) {
        (Cells::Text(texts), PropertyKind::Json | PropertyKind::Overflow) => {
            into.push_str(texts.value(row));
        }
        (Cells::Text(texts), _) => write_text(texts.value(row), into),
        (Cells::Bool(values), _) => PropertyValue::Bool(values.value(row)).write_json(into),
        (Cells::Int(values), _) => PropertyValue::Int(values.value(row)).write_json(into),
        (Cells::Float(values), _) => PropertyValue::Float(values.value(row)).write_json(into),
        (Cells::Decimal(_) | Cells::Timestamp(_) | Cells::Date(_), _) => into.push_str("null"),
    }
}

/// The columns of properties that a scope's rows have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visible {
    /// With their indexes, by name and kind.
    pub(crate) columns: Vec<(usize, Property)>,
    /// The one with what has no column.
    pub(crate) overflow: Option<(usize, Property)>,
    /// Of several tenants: a name may have columns with some and none with others.
    pub(crate) several: bool,
}

impl Visible {
    /// The columns of one name.
    pub(crate) fn of(&self, name: &str) -> &[(usize, Property)] {
        let from = self.columns.partition_point(|(_, property)| &*property.name < name);
        let own = self.columns[from..].iter().take_while(|(_, property)| &*property.name == name).count();
        &self.columns[from..from + own]
    }

    /// Whether what a name holds may be in the JSON text.
    pub(crate) fn overflows(&self, name: &str) -> bool {
        self.overflow.is_some() && (self.several || self.of(name).is_empty())
    }
}

/// Whether a field is a column of properties.
pub(crate) fn is_property(field: &Field) -> bool {
    property_of(field).is_some()
}
