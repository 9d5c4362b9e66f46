//! Properties as a scope's rows have them, made of the stored columns of their kinds and of the JSON text of
//! those that have none.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, RecordBatchOptions, StringBuilder, new_null_array,
};
use arrow::datatypes::{Field, FieldRef, Float64Type, Int64Type, Schema, SchemaRef};
use ebbtide_model::{Column, ColumnType, Property, PropertyKind, canonical_json};

use crate::cells::Cells;
use crate::columns::{property_column, property_field};
use crate::properties::{Visible, write_property};
use crate::{StoreError, arrow_type};

/// How what was asked for is made of what is read.
#[derive(Clone, Debug)]
pub(crate) struct Assembly {
    outputs: Vec<Output>,
    schema: SchemaRef,
}

#[derive(Clone, Debug)]
enum Output {
    /// A column that is read, as it is.
    Read(usize),
    Property(Parts),
}

/// Where the values of a property are among what is read.
#[derive(Clone, Debug)]
struct Parts {
    name: Arc<str>,
    column_type: ColumnType,
    kinds: Vec<(usize, Property)>,
    overflow: Option<usize>,
}

/// What is asked of a part, in the making.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The columns to read.
    pub(crate) read: Vec<FieldRef>,
    outputs: Vec<Output>,
    fields: Vec<FieldRef>,
}

impl Asked {
    /// A column as it is stored.
    pub(crate) fn stored(&mut self, field: &FieldRef) {
        let place = self.place(field);
        self.outputs.push(Output::Read(place));
        self.fields.push(field.clone());
    }

    /// A property in the type of the scope's schema.
    pub(crate) fn property(&mut self, column: &Column, visible: &Visible) {
        let kinds = visible.of(&column.name).iter();
        let kinds =
            kinds.map(|(_, property)| (self.place(&Arc::new(property_field(property))), property.clone()));
        let kinds: Vec<(usize, Property)> = kinds.collect();
        let overflow = visible.overflow.as_ref().filter(|_| visible.overflows(&column.name));
        let overflow = overflow.map(|(_, property)| self.place(&Arc::new(property_field(property))));
        let name = Arc::from(&*column.name);
        self.outputs.push(Output::Property(Parts { name, column_type: column.column_type, kinds, overflow }));
        self.fields.push(Arc::new(Field::new(&column.name, arrow_type(column.column_type), true)));
    }

    /// A column that is read, and not part of what comes out: where it is among what is read.
    pub(crate) fn read_too(&mut self, field: &FieldRef) -> usize {
        self.place(field)
    }

    fn place(&mut self, field: &FieldRef) -> usize {
        let known = self.read.iter().position(|read| read.name() == field.name());
        known.unwrap_or_else(|| {
            self.read.push(field.clone());
            self.read.len() - 1
        })
    }

    pub(crate) fn assembly(self) -> Assembly {
        Assembly { outputs: self.outputs, schema: Arc::new(Schema::new(self.fields)) }
    }
}

impl Assembly {
    pub(crate) fn assemble(&self, read: &RecordBatch) -> Result<RecordBatch, StoreError> {
        let options = RecordBatchOptions::new().with_row_count(Some(read.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), self.columns(read)?, &options)?)
    }

    /// The same, where some texts are read as codes.
    pub(crate) fn assemble_coded(&self, read: &RecordBatch) -> Result<RecordBatch, StoreError> {
        let columns = self.columns(read)?;
        let fields = self.schema.fields().iter().zip(&columns);
        let fields = fields.map(|(field, column)| {
            let data_type = column.data_type().clone();
            Field::new(field.name(), data_type, true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(read.num_rows()));
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }

    fn columns(&self, read: &RecordBatch) -> Result<Vec<ArrayRef>, StoreError> {
        let column = |output: &Output| match output {
            Output::Read(place) => Ok(read.column(*place).clone()),
            Output::Property(parts) => parts.assemble(read),
        };
        self.outputs.iter().map(column).collect()
    }

    /// Where, among what is read, is what an asked column is as it stands; `None` where it has to be made.
    pub(crate) fn as_it_stands(&self, column: usize) -> Option<usize> {
        match self.outputs.get(column)? {
            Output::Read(place) => Some(*place),
            Output::Property(parts) => {
                let [(place, property)] = parts.kinds.as_slice() else { return None };
                (property.kind.column_type() == parts.column_type).then_some(*place)
            }
        }
    }

    /// Whether an asked column is a property that no row has.
    pub(crate) fn is_absent(&self, column: usize) -> bool {
        match self.outputs.get(column) {
            Some(Output::Property(parts)) => parts.kinds.is_empty() && parts.overflow.is_none(),
            Some(Output::Read(_)) | None => false,
        }
    }

    /// Whether a text that is read goes into what is made of several columns.
    pub(crate) fn reads_text(&self, place: usize) -> bool {
        self.outputs.iter().any(|output| match output {
            Output::Read(_) => false,
            Output::Property(parts) => {
                let mut places = parts.kinds.iter().map(|(place, _)| *place).chain(parts.overflow);
                parts.column_type == ColumnType::Mixed && places.any(|own| own == place)
            }
        })
    }
}

impl Parts {
    fn assemble(&self, read: &RecordBatch) -> Result<ArrayRef, StoreError> {
        let of_kind = |kind: PropertyKind| {
            let found = self.kinds.iter().find(|(_, property)| property.kind == kind);
            found.map(|(place, _)| read.column(*place))
        };
        let plain = match self.column_type {
            ColumnType::Bool => of_kind(PropertyKind::Bool),
            ColumnType::Int => of_kind(PropertyKind::Int),
            ColumnType::Text => of_kind(PropertyKind::Text),
            ColumnType::Float => match (of_kind(PropertyKind::Int), of_kind(PropertyKind::Float)) {
                (Some(ints), Some(floats)) => return Ok(floats_of(ints, floats)),
                (Some(ints), None) => return Ok(floats_of(ints, &absent(ColumnType::Float, read))),
                (None, floats) => floats,
            },
            ColumnType::Mixed => return self.mixed(read),
            ColumnType::Decimal | ColumnType::Timestamp | ColumnType::Date => None,
        };
        Ok(plain.cloned().unwrap_or_else(|| absent(self.column_type, read)))
    }

    fn mixed(&self, read: &RecordBatch) -> Result<ArrayRef, StoreError> {
        if self.kinds.is_empty() && self.overflow.is_none() {
            return Ok(absent(ColumnType::Mixed, read));
        }
        let declared: Vec<Column> = self.kinds.iter().map(|(_, kind)| property_column(kind)).collect();
        let mut cells = Vec::with_capacity(self.kinds.len());
        for ((place, property), column) in self.kinds.iter().zip(&declared) {
            cells.push((Cells::of(read.column(*place), column)?, property.kind));
        }
        let overflow = self.overflow.and_then(|place| read.column(place).as_string_opt::<i32>());
        let mut texts = StringBuilder::with_capacity(read.num_rows(), 0);
        let mut text = String::new();
        for row in 0..read.num_rows() {
            if let Some((cells, kind)) = cells.iter().find(|(cells, _)| !cells.is_null(row)) {
                text.clear();
                write_property(cells, *kind, row, &mut text);
                texts.append_value(&text);
                continue;
            }
            let own = overflow.filter(|texts| texts.is_valid(row));
            texts.append_option(own.and_then(|texts| field_of(texts.value(row), &self.name)));
        }
        Ok(Arc::new(texts.finish()))
    }
}

/// Integers among floats.
fn floats_of(ints: &ArrayRef, floats: &ArrayRef) -> ArrayRef {
    let (Some(ints), Some(floats)) =
        (ints.as_primitive_opt::<Int64Type>(), floats.as_primitive_opt::<Float64Type>())
    else {
        return floats.clone();
    };
    #[expect(clippy::cast_precision_loss, reason = "among floats an integer is the nearest of them")]
    let value = |row: usize| {
        if floats.is_valid(row) {
            return Some(floats.value(row));
        }
        ints.is_valid(row).then(|| ints.value(row) as f64)
    };
    Arc::new((0..floats.len()).map(value).collect::<Float64Array>())
}

fn absent(column_type: ColumnType, read: &RecordBatch) -> ArrayRef {
    new_null_array(&arrow_type(column_type), read.num_rows())
}

/// The canonical text of an object's field.
fn field_of(object: &str, name: &str) -> Option<String> {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(object).ok()?;
    fields.get(name).map(canonical_json)
}
