//! Rows of spilled chunks, many at a time, as columns in memory.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Int32Array, StringArray, UInt64Array, make_array, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Int32Type, SchemaRef};

use crate::StoreError;
use crate::columns::DECLARED_INDEX;
use crate::segment::{ColumnBytes, Spilled, ValueBytes, long_at, short_at, text_range};

/// Rows of a chunk that come next to each other, all of one tenant.
#[derive(Clone, Debug)]
pub(crate) struct Picked {
    pub(crate) chunk: usize,
    /// A place among all tenants.
    pub(crate) tenant: u32,
    pub(crate) rows: Range<u32>,
}

/// The columns of all chunks.
pub(crate) struct Gathering<'a> {
    chunks: Vec<&'a Spilled>,
    columns: Vec<Column<'a>>,
}

struct Column<'a> {
    field: FieldRef,
    /// By chunk, where it has the column.
    parts: Vec<Option<ColumnBytes<'a>>>,
}

impl ColumnBytes<'_> {
    /// Whether a row has a value.
    pub(crate) fn has(&self, row: usize) -> bool {
        self.valid.is_none_or(|valid| valid.get(row) == Some(&1))
    }
}

impl<'a> Gathering<'a> {
    pub(crate) fn new(stored: &SchemaRef, chunks: Vec<&'a Spilled>) -> Self {
        let column = |field: &FieldRef| Column {
            field: field.clone(),
            parts: chunks.iter().map(|chunk| chunk.column(field.name())).collect(),
        };
        let columns = stored.fields().iter().skip(DECLARED_INDEX).map(column).collect();
        Self { chunks, columns }
    }

    /// The rows in stored columns; tenants ascend.
    pub(crate) fn columns(
        &self,
        tenants: &[&Arc<str>],
        picked: &[Picked],
    ) -> Result<Vec<ArrayRef>, StoreError> {
        let rows = picked.iter().map(|picked| picked.rows.len()).sum();
        let mut columns = vec![tenant_column(tenants, picked, rows)?, self.sequences(picked, rows)];
        for column in &self.columns {
            columns.push(column.gather(picked, rows)?);
        }
        Ok(columns)
    }

    fn sequences(&self, picked: &[Picked], rows: usize) -> ArrayRef {
        let mut sequences: Vec<u64> = Vec::with_capacity(rows);
        for Picked { chunk, rows, .. } in picked {
            let all = self.chunks[*chunk].sequences();
            sequences.extend(rows.clone().map(|row| long_at(all, row as usize)));
        }
        Arc::new(UInt64Array::from(sequences))
    }
}

fn tenant_column(tenants: &[&Arc<str>], picked: &[Picked], rows: usize) -> Result<ArrayRef, StoreError> {
    let first = picked.first().map_or(0, |picked| picked.tenant);
    let last = picked.last().map_or(0, |picked| picked.tenant);
    let mut keys: Vec<i32> = Vec::with_capacity(rows);
    for Picked { tenant, rows, .. } in picked {
        let key = i32::try_from(tenant - first).unwrap_or(i32::MAX);
        keys.extend(std::iter::repeat_n(key, rows.len()));
    }
    let names = tenants.get(first as usize..=last as usize).unwrap_or_default();
    let names: StringArray = names.iter().map(|name| Some(&***name)).collect();
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), Arc::new(names))?))
}

impl Column<'_> {
    fn part(&self, picked: &Picked) -> Option<&ColumnBytes<'_>> {
        self.parts[picked.chunk].as_ref()
    }

    fn gather(&self, picked: &[Picked], rows: usize) -> Result<ArrayRef, StoreError> {
        if picked.iter().all(|picked| self.part(picked).is_none()) {
            return Ok(new_null_array(self.field.data_type(), rows));
        }
        let nulls = self.nulls(picked, rows);
        match self.field.data_type() {
            DataType::Utf8 => self.texts(picked, rows, nulls),
            DataType::Boolean => {
                let values = self.fixed(picked, rows, 1);
                let values = values.iter().map(|value| *value != 0).collect::<BooleanBuffer>();
                Ok(Arc::new(BooleanArray::new(values, nulls)))
            }
            data_type => {
                let width = data_type.primitive_width().unwrap_or(8);
                let data = arrow::array::ArrayData::builder(data_type.clone()).len(rows).nulls(nulls);
                Ok(make_array(data.add_buffer(self.fixed(picked, rows, width)).build()?))
            }
        }
    }

    fn nulls(&self, picked: &[Picked], rows: usize) -> Option<NullBuffer> {
        let is_full = |picked: &Picked| self.part(picked).is_some_and(|part| part.valid.is_none());
        if picked.iter().all(is_full) {
            return None;
        }
        let mut valid: Vec<bool> = Vec::with_capacity(rows);
        for one in picked {
            let own = one.rows.start as usize..one.rows.end as usize;
            match self.part(one).map(|part| part.valid) {
                None => valid.extend(std::iter::repeat_n(false, own.len())),
                Some(None) => valid.extend(std::iter::repeat_n(true, own.len())),
                Some(Some(bytes)) => {
                    valid.extend(bytes.get(own).unwrap_or_default().iter().map(|valid| *valid == 1));
                }
            }
        }
        Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0)
    }

    fn fixed(&self, picked: &[Picked], rows: usize, width: usize) -> Buffer {
        let mut values = MutableBuffer::with_capacity(rows * width);
        for one in picked {
            let own = one.rows.start as usize * width..one.rows.end as usize * width;
            match self.part(one).map(|part| &part.values) {
                Some(ValueBytes::Fixed { bytes }) => {
                    values.extend_from_slice(bytes.get(own).unwrap_or_default());
                }
                _ => values.extend_zeros(own.len()),
            }
        }
        values.into()
    }

    fn texts(
        &self,
        picked: &[Picked],
        rows: usize,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, StoreError> {
        let mut ends: Vec<i32> = Vec::with_capacity(rows + 1);
        let mut texts: Vec<u8> = Vec::with_capacity(rows * 8);
        ends.push(0);
        let end = |bytes: usize| {
            i32::try_from(bytes)
                .map_err(|_| StoreError::WrongShape { detail: "a batch is too large".to_owned() })
        };
        for one in picked {
            match self.part(one).map(|part| &part.values) {
                Some(ValueBytes::Texts { ends: own_ends, bytes }) => {
                    let first = text_range(own_ends, one.rows.start as usize).start;
                    let base = texts.len();
                    for row in one.rows.clone() {
                        let own = text_range(own_ends, row as usize).end.saturating_sub(first);
                        ends.push(end(base + own)?);
                    }
                    let last = text_range(own_ends, one.rows.end as usize - 1).end;
                    texts.extend_from_slice(bytes.get(first..last).unwrap_or_default());
                }
                Some(ValueBytes::Codes { codes, texts: known }) => {
                    for row in one.rows.clone() {
                        let known = known.get(usize::from(short_at(codes, row as usize)));
                        let is_there = self.part(one).is_some_and(|part| part.has(row as usize));
                        if let Some(text) = known.filter(|_| is_there) {
                            texts.extend_from_slice(text.as_bytes());
                        }
                        ends.push(end(texts.len())?);
                    }
                }
                _ => {
                    let same = end(texts.len())?;
                    ends.extend(std::iter::repeat_n(same, one.rows.len()));
                }
            }
        }
        let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
        Ok(Arc::new(StringArray::try_new(ends, Buffer::from_vec(texts), nulls)?))
    }
}
