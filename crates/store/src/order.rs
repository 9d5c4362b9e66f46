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
    // As they come is by the last column, too, where that never falls.
    while codes.last().is_some_and(|column| column.is_sorted()) {
        codes.pop();
    }
    if in_order(rows, &codes) {
        return None;
    }
    if let Some(order) = sort_packed(rows, &codes) {
        return Some(order);
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

/// Sorts where all codes and the row's number fit into one number, as they do where they span little.
fn sort_packed(rows: u32, codes: &[Vec<u64>]) -> Option<Vec<u32>> {
    let row_bits = u32::BITS - rows.leading_zeros();
    let mut columns: Vec<(&[u64], u64, u32)> = Vec::with_capacity(codes.len());
    let mut bits = row_bits;
    for column in codes {
        let (low, high) = (column.iter().min()?, column.iter().max()?);
        let own = u64::BITS - (high - low).leading_zeros();
        bits += own;
        columns.push((column, *low, own));
    }
    if bits <= u64::BITS {
        let pack = |row: u32| {
            let codes = columns.iter();
            let packed = codes.fold(0, |all, (column, low, bits)| all << bits | (column[row as usize] - low));
            packed << row_bits | u64::from(row)
        };
        let mut packed: Vec<u64> = (0..rows).map(pack).collect();
        packed.sort_unstable();
        let mask = (1 << row_bits) - 1;
        return packed.into_iter().map(|packed| u32::try_from(packed & mask).ok()).collect();
    }
    if bits > u128::BITS {
        return None;
    }
    let pack = |row: u32| {
        let codes = columns.iter();
        let packed = codes.fold(0, |all: u128, (column, low, bits)| {
            all.checked_shl(*bits).unwrap_or(0) | u128::from(column[row as usize] - low)
        });
        packed << row_bits | u128::from(row)
    };
    let mut packed: Vec<u128> = (0..rows).map(pack).collect();
    packed.sort_unstable();
    let mask = (1 << row_bits) - 1;
    packed.into_iter().map(|packed| u32::try_from(packed & mask).ok()).collect()
}

/// Sorts what begins with a hash, by which it is spread first, so that only few are compared with each other.
pub(crate) fn sort_spread<T: Copy + Ord>(items: Vec<T>, hash: impl Fn(&T) -> u64) -> Vec<T> {
    let Some(bits) = (items.len() / SPREAD_ITEMS).checked_ilog2().filter(|bits| *bits > 0) else {
        let mut items = items;
        items.sort_unstable();
        return items;
    };
    let place = |item: &T| usize::try_from(hash(item) >> (u64::BITS - bits)).unwrap_or(0);
    let mut ends = vec![0_usize; 1 << bits];
    items.iter().for_each(|item| ends[place(item)] += 1);
    let mut sum = 0;
    for end in &mut ends {
        // Where the part begins, until it is filled.
        sum += std::mem::replace(end, sum);
    }
    let mut spread = items.clone();
    for item in items {
        let next = &mut ends[place(&item)];
        spread[*next] = item;
        *next += 1;
    }
    let mut start = 0;
    for end in ends {
        spread[start..end].sort_unstable();
        start = end;
    }
    spread
}

/// Items that are compared with each other, about.
const SPREAD_ITEMS: usize = 32;

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
        Cells::Decimal(array) => ranks(rows, |row| (!cells.is_null(row)).then(|| array.value(row)), |_| 0),
        Cells::Text(array) => {
            let text = |row: usize| (!cells.is_null(row)).then(|| array.value(row));
            match (0..rows).filter_map(text).map(str::len).max().unwrap_or(0) {
                0..SHORT => (0..rows).map(|row| short(text(row).map(str::as_bytes))).collect(),
                SHORT..TWO_WORDS => return two_words(rows, text),
                _ => ranks(rows, text, head),
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
        return ranks(rows, value, |_| 0);
    }
    (0..rows).map(|row| value(row).map_or(0, |code| code + 1)).collect()
}

/// The rank of each value among the distinct ones; null is 0. `head` orders as the values do, or says that they
/// are equal.
fn ranks<V: Copy + Ord + std::hash::Hash>(
    rows: usize,
    value: impl Fn(usize) -> Option<V>,
    head: impl Fn(V) -> u64,
) -> Vec<u64> {
    let mut numbers: HashMap<V, u32> = HashMap::new();
    let mut distinct: Vec<(u64, V, u32)> = Vec::new();
    let mut number_of: Vec<u32> = Vec::with_capacity(rows);
    for row in 0..rows {
        let Some(value) = value(row) else {
            number_of.push(0);
            continue;
        };
        number_of.push(*numbers.entry(value).or_insert_with(|| {
            let number = u32::try_from(distinct.len() + 1).unwrap_or(u32::MAX);
            distinct.push((head(value), value, number));
            number
        }));
    }
    drop(numbers);
    distinct.sort_unstable();
    let mut ranks = vec![0; distinct.len() + 1];
    for ((_, _, number), rank) in distinct.into_iter().zip(1..) {
        ranks[number as usize] = rank;
    }
    number_of.into_iter().map(|number| ranks[number as usize]).collect()
}

/// The first eight bytes of a text as a number.
fn head(text: &str) -> u64 {
    let mut bytes = [0; 8];
    let taken = text.len().min(8);
    bytes[..taken].copy_from_slice(&text.as_bytes()[..taken]);
    u64::from_be_bytes(bytes)
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
    fn what_begins_with_a_hash_is_sorted_however_it_is_spread() {
        let mut seed = 1_u64;
        for items in [0, 1, 40, 100, 5_000] {
            let mut next = || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed & 0xffff_0000_0000_00ff, seed % 3)
            };
            let items: Vec<(u64, u64)> = (0..items).map(|_| next()).collect();
            let mut sorted = items.clone();
            sorted.sort_unstable();
            assert_eq!(sort_spread(items, |item| item.0), sorted);
        }
    }

    #[test]
    fn rows_are_in_order_whether_their_codes_are_packed_or_not() {
        for high in [9, 1 << 40, u64::MAX] {
            let columns = [vec![3, 3, 2, 3, 2], vec![high, 1, 0, high, 0], vec![5, 6, high, 4, 1]];
            let mut expected: Vec<u32> = (0..5).collect();
            expected.sort_by_key(|&row| columns.each_ref().map(|column| column[row as usize]));
            assert_eq!(sorted(5, columns.to_vec()), Some(expected));
        }
        assert_eq!(sorted(3, vec![vec![1, 0, 1], vec![4, 5, 5]]), Some(vec![1, 0, 2]));
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
