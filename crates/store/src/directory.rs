//! Which rows of a sorted run are whose.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::datatypes::Int32Type;

use crate::StoreError;

/// The tenants of a sorted run, ascending. A tenant's rows are contiguous.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Directory {
    tenants: Vec<Own>,
    rows: u32,
}

/// What is a tenant's.
#[derive(Clone, Debug, PartialEq)]
struct Own {
    tenant: Arc<str>,
    /// Its first row.
    first: u32,
    /// The highest arrival number of its rows; 0 where that was not kept.
    last_number: u64,
}

impl Directory {
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Adds rows at the end, whose tenant is the last one or comes after it, and the highest arrival
    /// number of them.
    pub(crate) fn push(&mut self, tenant: &str, rows: u32, last_number: u64) {
        if rows == 0 {
            return;
        }
        match self.tenants.last_mut() {
            Some(last) if *last.tenant == *tenant => last.last_number = last.last_number.max(last_number),
            _ => self.tenants.push(Own { tenant: Arc::from(tenant), first: self.rows, last_number }),
        }
        self.rows = self.rows.saturating_add(rows);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, Range<u32>)> {
        self.of(None)
    }

    /// The tenants, ascending, each with the highest arrival number of its rows.
    pub(crate) fn last_numbers(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        self.tenants.iter().map(|own| (&own.tenant, own.last_number))
    }

    /// The highest arrival number of a tenant's rows; 0 where that was not kept, or it has none.
    pub(crate) fn last_number_of(&self, tenant: &str) -> u64 {
        self.find(tenant).map_or(0, |index| self.tenants[index].last_number)
    }

    fn end(&self, index: usize) -> u32 {
        self.tenants.get(index + 1).map_or(self.rows, |next| next.first)
    }

    /// The rows of a tenant, or of each.
    pub(crate) fn of<'d>(
        &'d self,
        tenant: Option<&'d str>,
    ) -> impl Iterator<Item = (&'d Arc<str>, Range<u32>)> {
        let (from, to) = match tenant {
            Some(tenant) => match self.find(tenant) {
                Some(index) => (index, index + 1),
                None => (0, 0),
            },
            None => (0, self.tenants.len()),
        };
        (from..to).map(|index| {
            let own = &self.tenants[index];
            (&own.tenant, own.first..self.end(index))
        })
    }

    /// Whose these rows are, in order, each counted from the first of them.
    pub(crate) fn within(&self, rows: &Range<u32>) -> Vec<(Arc<str>, Range<u32>)> {
        let first = self.owner_of(rows.start).unwrap_or(self.tenants.len());
        let own = (first..self.tenants.len()).take_while(|index| self.tenants[*index].first < rows.end);
        own.map(|index| {
            let own = &self.tenants[index];
            let start = own.first.max(rows.start) - rows.start;
            (own.tenant.clone(), start..self.end(index).min(rows.end) - rows.start)
        })
        .collect()
    }

    /// The place of a tenant among them.
    pub(crate) fn place_of(&self, tenant: &str) -> Option<u32> {
        self.find(tenant).and_then(|place| u32::try_from(place).ok())
    }

    fn find(&self, tenant: &str) -> Option<usize> {
        self.tenants.binary_search_by(|own| (*own.tenant).cmp(tenant)).ok()
    }

    /// The rows of a tenant; an empty range where it has none.
    pub(crate) fn range(&self, tenant: &str) -> Range<u32> {
        self.find(tenant).map_or(0..0, |index| self.tenants[index].first..self.end(index))
    }

    /// Whose a row is, as an index into the tenants; `None` past the end.
    pub(crate) fn owner_of(&self, row: u32) -> Option<usize> {
        if row >= self.rows {
            return None;
        }
        self.tenants.partition_point(|own| own.first <= row).checked_sub(1)
    }

    /// The name of the tenant whose a row is; `None` past the end.
    pub(crate) fn tenant_of(&self, row: u32) -> Option<&str> {
        self.tenants.get(self.owner_of(row)?).map(|own| &*own.tenant)
    }

    /// The tenant column of some rows, whatever their order.
    pub(crate) fn column_of(&self, rows: &[u32]) -> Result<ArrayRef, StoreError> {
        let owners: Vec<usize> = rows.iter().filter_map(|row| self.owner_of(*row)).collect();
        let first = owners.iter().min().copied().unwrap_or(0);
        let end = owners.iter().max().map_or(first, |last| last + 1);
        let keys = owners.iter().map(|owner| i32::try_from(owner - first).unwrap_or(i32::MAX));
        let names = self.tenants[first..end].iter().map(|own| Some(&*own.tenant)).collect::<StringArray>();
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys.collect(), Arc::new(names))?))
    }

    /// The tenant column of these rows.
    pub(crate) fn column(&self, rows: Range<u32>) -> Result<ArrayRef, StoreError> {
        let first = self.tenants.partition_point(|own| own.first <= rows.start).saturating_sub(1);
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
        directory.push("a", 2, 9);
        directory.push("a", 1, 5);
        directory.push("c", 4, 7);
        assert_eq!((directory.range("a"), directory.range("b"), directory.range("c")), (0..3, 0..0, 3..7));
        let owners: Vec<Option<usize>> = (0..8).map(|row| directory.owner_of(row)).collect();
        assert_eq!(owners[2..4], [Some(0), Some(1)]);
        assert_eq!(owners[7], None);
        let last: Vec<(&str, u64)> =
            directory.last_numbers().map(|(tenant, last)| (&**tenant, last)).collect();
        assert_eq!(last, [("a", 9), ("c", 7)]);
        let within = |rows| directory.within(&rows);
        assert_eq!(within(1..5), [(Arc::from("a"), 0..2), (Arc::from("c"), 2..4)]);
        assert_eq!(within(3..4), [(Arc::from("c"), 0..1)]);
        assert_eq!(within(7..9), []);
    }

    #[test]
    fn the_tenant_column_of_a_slice_is_that_slice() {
        let mut directory = Directory::default();
        directory.push("a", 3, 1);
        directory.push("b", 1, 2);
        directory.push("c", 2, 3);
        let column = directory.column(2..5).unwrap();
        let text = arrow::compute::cast(&column, &arrow::datatypes::DataType::Utf8).unwrap();
        let text = text.as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!(text.iter().flatten().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(directory.column(6..6).unwrap().len(), 0);
    }
}
