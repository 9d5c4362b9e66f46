//! Which rows of a sorted run are whose.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::datatypes::Int32Type;

use crate::StoreError;

/// The tenants of a sorted run, ascending, each with its first row. A tenant's rows are contiguous.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Directory {
    tenants: Vec<(Arc<str>, u32)>,
    rows: u32,
}

impl Directory {
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Adds rows at the end, whose tenant is the last one or comes after it.
    pub(crate) fn push(&mut self, tenant: &str, rows: u32) {
        if rows == 0 {
            return;
        }
        if self.tenants.last().is_none_or(|(last, _)| **last != *tenant) {
            self.tenants.push((Arc::from(tenant), self.rows));
        }
        self.rows = self.rows.saturating_add(rows);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, Range<u32>)> {
        self.tenants.iter().enumerate().map(|(index, (tenant, first))| {
            let end = self.tenants.get(index + 1).map_or(self.rows, |(_, next)| *next);
            (tenant, *first..end)
        })
    }

    /// The rows of a tenant; an empty range where it has none.
    pub(crate) fn range(&self, tenant: &str) -> Range<u32> {
        match self.tenants.binary_search_by(|(name, _)| (**name).cmp(tenant)) {
            Ok(index) => {
                let end = self.tenants.get(index + 1).map_or(self.rows, |(_, next)| *next);
                self.tenants[index].1..end
            }
            Err(_) => 0..0,
        }
    }

    /// Whose a row is; `None` past the end.
    pub(crate) fn tenant_of(&self, row: u32) -> Option<&Arc<str>> {
        if row >= self.rows {
            return None;
        }
        let index = self.tenants.partition_point(|(_, first)| *first <= row).checked_sub(1)?;
        Some(&self.tenants[index].0)
    }

    /// The tenant column of these rows.
    pub(crate) fn column(&self, rows: Range<u32>) -> Result<ArrayRef, StoreError> {
        let first = self.tenants.partition_point(|(_, first)| *first <= rows.start).saturating_sub(1);
        let mut names = Vec::new();
        let mut keys = Vec::with_capacity((rows.end - rows.start) as usize);
        for (tenant, range) in self.iter().skip(first) {
            if range.start >= rows.end {
                break;
            }
            let key = i32::try_from(names.len()).unwrap_or(i32::MAX);
            names.push(&**tenant);
            let taken = range.end.min(rows.end) - range.start.max(rows.start);
            keys.extend(std::iter::repeat_n(key, taken as usize));
        }
        let names = Arc::new(StringArray::from(names));
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), names)?))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::*;

    #[test]
    fn each_tenant_has_its_rows_and_each_row_its_tenant() {
        let mut directory = Directory::default();
        directory.push("a", 2);
        directory.push("a", 1);
        directory.push("c", 4);
        assert_eq!((directory.range("a"), directory.range("b"), directory.range("c")), (0..3, 0..0, 3..7));
        let tenants: Vec<Option<&str>> = (0..8).map(|row| directory.tenant_of(row).map(|t| &**t)).collect();
        assert_eq!(tenants[2..4], [Some("a"), Some("c")]);
        assert_eq!(tenants[7], None);
    }

    #[test]
    fn the_tenant_column_of_a_slice_is_that_slice() {
        let mut directory = Directory::default();
        directory.push("a", 3);
        directory.push("b", 1);
        directory.push("c", 2);
        let column = directory.column(2..5).unwrap();
        let text = arrow::compute::cast(&column, &arrow::datatypes::DataType::Utf8).unwrap();
        let text = text.as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!(text.iter().flatten().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(directory.column(6..6).unwrap().len(), 0);
    }
}
