//! The order of stored rows: by tenant, then by whose behaviour they are (events) or by key (entities),
//! then by time and arrival. Every column becomes a code of 64 bits that orders as its values do, and
//! rows are sorted by their codes, which is several times faster than comparing cells.

use ebbtide_model::{TableKind, TableSchema};

use hashbrown::HashMap;

use crate::cells::Cells;

/// The declared columns that order a table's rows within a tenant, before the arrival number.
pub(crate) fn order_columns(table: &TableSchema) -> Vec<usize> {
    match table.kind {
        TableKind::Events => table.actor.into_iter().chain(table.time).collect(),
        TableKind::Entity => table.key.clone(),
    }
}

/// Row numbers in the order of these codes, column by column, and among equals as they come. `None`
/// where the rows are in order already.
pub(crate) fn sorted(rows: u32, mut codes: Vec<Vec<u64>>) -> Option<Vec<u32>> {
    codes.retain(|column| column.windows(2).any(|pair| pair[0] != pair[1]));
    if in_order(rows, &codes) {
        return None;
    }
    Some(match codes.as_slice() {
        [a] => sort_by_codes(rows, |row| [a[row]]),
        [a, b] => sort_by_codes(rows, |row| [a[row], b[row]]),
        [a, b, c] => sort_by_codes(rows, |row| [a[row], b[row], c[row]]),
        [a, b, c, d] => sort_by_codes(rows, |row| [a[row], b[row], c[row], d[row]]),
        [a, b, c, d, e] => sort_by_codes(rows, |row| [a[row], b[row], c[row], d[row], e[row]]),
        columns => {
            let mut order: Vec<u32> = (0..rows).collect();
            order.sort_by(|&a, &b| {
                let pairs = columns.iter().map(|column| (column[a as usize], column[b as usize]));
                pairs.map(|(a, b)| a.cmp(&b)).find(|order| order.is_ne()).unwrap_or(a.cmp(&b))
            });
            order
        }
    })
}

fn in_order(rows: u32, codes: &[Vec<u64>]) -> bool {
    (1..rows as usize).all(|row| {
        let pairs = codes.iter().map(|column| (column[row - 1], column[row]));
        pairs.map(|(a, b)| a.cmp(&b)).find(|order| order.is_ne()).is_none_or(std::cmp::Ordering::is_lt)
    })
}

fn sort_by_codes<const COLUMNS: usize>(rows: u32, codes: impl Fn(usize) -> [u64; COLUMNS]) -> Vec<u32> {
    let mut keyed: Vec<([u64; COLUMNS], u32)> = (0..rows).map(|row| (codes(row as usize), row)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, row)| row).collect()
}

/// Codes that order as the cells do, nulls first; equal cells have equal codes. Of each cell there is one, or
/// two that order one after the other.
pub(crate) fn codes(cells: &Cells<'_>, rows: usize) -> Vec<Vec<u64>> {
    let one = match cells {
        Cells::Int(array) => exact(cells, rows, |row| order_signed(array.value(row))),
        Cells::Timestamp(array) => exact(cells, rows, |row| order_signed(array.value(row))),
        Cells::Date(array) => exact(cells, rows, |row| order_signed(i64::from(array.value(row)))),
        Cells::Bool(array) => exact(cells, rows, |row| u64::from(array.value(row))),
        Cells::Float(array) => exact(cells, rows, |row| order_float(array.value(row))),
        Cells::Decimal(array) => ranks(rows, |row| (!cells.is_null(row)).then(|| array.value(row))),
        Cells::Text(array) => {
            let text = |row: usize| (!cells.is_null(row)).then(|| array.value(row));
            match (0..rows).filter_map(text).map(str::len).max().unwrap_or(0) {
                0..SHORT => (0..rows).map(|row| short(text(row).map(str::as_bytes))).collect(),
                SHORT..TWO_WORDS => return two_words(rows, text),
                _ => ranks(rows, text),
            }
        }
    };
    vec![one]
}

/// Texts with fewer bytes are numbers of 64 bits: their bytes, zeros, and how long they are.
const SHORT: usize = 8;
const TWO_WORDS: usize = 16;

/// The order of a short text, null before all.
fn short(text: Option<&[u8]>) -> u64 {
    let Some(text) = text else { return 0 };
    let mut bytes = [0; 8];
    bytes[..text.len()].copy_from_slice(text);
    u64::from_be_bytes(bytes) | (text.len() as u64 + 1)
}

fn two_words<'t>(rows: usize, text: impl Fn(usize) -> Option<&'t str>) -> Vec<Vec<u64>> {
    let (mut first, mut second) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    for row in 0..rows {
        let text = text(row).map(str::as_bytes);
        match text.and_then(|text| text.split_first_chunk::<8>()) {
            Some((head, rest)) => {
                first.push(u64::from_be_bytes(*head));
                second.push(short(Some(rest)) + 8);
            }
            None => {
                let mut head = [0; 8];
                let text = text.map(|text| {
                    head[..text.len()].copy_from_slice(text);
                    text.len() as u64 + 1
                });
                first.push(u64::from_be_bytes(head));
                second.push(text.unwrap_or(0));
            }
        }
    }
    vec![first, second]
}

fn exact(cells: &Cells<'_>, rows: usize, code: impl Fn(usize) -> u64) -> Vec<u64> {
    let nulls = (0..rows).any(|row| cells.is_null(row));
    if !nulls {
        return (0..rows).map(code).collect();
    }
    let value = |row: usize| (!cells.is_null(row)).then(|| code(row));
    if (0..rows).any(|row| value(row) == Some(u64::MAX)) {
        return ranks(rows, value);
    }
    (0..rows).map(|row| value(row).map_or(0, |code| code + 1)).collect()
}

/// The rank of each value among the distinct ones; null is 0.
fn ranks<V: Copy + Ord + std::hash::Hash>(rows: usize, value: impl Fn(usize) -> Option<V>) -> Vec<u64> {
    let mut distinct: HashMap<V, u64> = HashMap::new();
    for value in (0..rows).filter_map(&value) {
        distinct.entry(value).or_default();
    }
    let mut ascending: Vec<V> = distinct.keys().copied().collect();
    ascending.sort_unstable();
    for (value, rank) in ascending.into_iter().zip(1..) {
        distinct.insert(value, rank);
    }
    (0..rows).map(|row| value(row).and_then(|value| distinct.get(&value).copied()).unwrap_or(0)).collect()
}

fn order_signed(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

/// The total order of IEEE 754, as Arrow sorts floats.
fn order_float(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, StringArray, UInt32Array};
    use arrow::compute::sort_to_indices;
    use ebbtide_model::{Column, ColumnType};

    use super::*;

    fn check(column_type: ColumnType, array: ArrayRef) {
        let column = Column { name: "c".to_owned(), column_type, nullable: true };
        let codes = codes(&Cells::of(&array, &column).unwrap(), array.len());
        let rows = u32::try_from(array.len()).unwrap();
        let ours = sorted(rows, codes).unwrap_or_else(|| (0..rows).collect());
        let sorted = arrow::compute::take(&array, &UInt32Array::from(ours), None).unwrap();
        let theirs = sort_to_indices(&array, None, None).unwrap();
        assert_eq!(&sorted, &arrow::compute::take(&array, &theirs, None).unwrap());
    }

    #[test]
    fn codes_order_as_arrow_does_with_nulls_first() {
        let ints = [Some(3), None, Some(i64::MIN), Some(i64::MAX), Some(-1), None, Some(0)];
        check(ColumnType::Int, Arc::new(Int64Array::from(ints.to_vec())));
        check(ColumnType::Int, Arc::new(Int64Array::from(vec![3, 2, i64::MAX, i64::MIN])));
        check(
            ColumnType::Float,
            Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-0.0), Some(0.0), Some(-2.5)])),
        );
        check(
            ColumnType::Text,
            Arc::new(StringArray::from(vec![Some("b"), None, Some(""), Some("ab"), Some("b")])),
        );
        for bytes in [7, 15, 30] {
            let long = "z".repeat(bytes);
            let texts =
                ["b", "a", "a\0", "a\0\0", "ab", "abcdefg", "abcdefgh", "abcdefgh\0", "abcdefghi", "é"];
            let texts = texts.into_iter().filter(|text| text.len() <= bytes).rev();
            let cells =
                [None, Some(""), Some(&*long)].into_iter().chain(texts.map(Some)).chain([None, Some("b")]);
            check(ColumnType::Text, Arc::new(cells.collect::<StringArray>()));
        }
        let decimals = Decimal128Array::from(vec![Some(5), None, Some(-7)]);
        check(ColumnType::Decimal, Arc::new(decimals.with_precision_and_scale(38, 9).unwrap()));
    }

    #[test]
    fn rows_with_equal_codes_stay_as_they_came() {
        let order = sorted(4, vec![vec![1, 0, 1, 0], vec![7; 4]]);
        assert_eq!(order, Some(vec![1, 3, 0, 2]));
        assert_eq!(sorted(3, vec![vec![1, 1, 2]]), None);
        let wide = sorted(2, vec![vec![0, 0], vec![2, 1], vec![0, 1], vec![1, 0], vec![1, 0], vec![5, 4]]);
        assert_eq!(wide, Some(vec![1, 0]));
    }
}
