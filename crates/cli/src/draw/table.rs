//! Answers as aligned tables, for people at a terminal.

use ebbtide_model::{Written, digits};
use serde_json::Value as Json;

use super::screen::{Ink, Screen, left, right, shown, widest};
use super::words;

/// A longer text is cut.
const CELL_COLUMNS_MAX: usize = 120;

/// The lists of a result as tables, one below the other, and what is no list as `name: value`.
pub(super) fn tables_of(result: &Json) -> String {
    let Json::Object(fields) = result else {
        return format!("{result:#}\n");
    };
    let mut text = String::new();
    let starts = fields.get("starts").and_then(Json::as_array);
    for (name, value) in fields {
        match (value, starts) {
            (_, Some(_)) if name == "starts" => {}
            (Json::Array(rows), Some(starts)) if rows.len() == starts.len() && name != "complete" => {
                text.push_str(&format!("{name}\n{}\n", by_period(starts, rows)));
            }
            (Json::Object(series), Some(starts)) if name == "data" => {
                let lists: Vec<(&String, &Vec<Json>)> =
                    series.iter().filter_map(|(name, list)| Some((name, list.as_array()?))).collect();
                let header = std::iter::once("start").chain(lists.iter().map(|(name, _)| name.as_str()));
                let rows = starts.iter().enumerate().map(|(index, start)| {
                    let cells = lists.iter().map(|(_, list)| list.get(index).unwrap_or(&Json::Null));
                    std::iter::once(start).chain(cells).map(cell).collect()
                });
                text.push_str(&aligned(header.map(str::to_owned).collect(), rows.collect()));
            }
            (Json::Array(rows), _) if rows.iter().all(Json::is_object) && !rows.is_empty() => {
                text.push_str(&format!("{name}\n{}\n", of_objects(rows)));
            }
            (value, _) => text.push_str(&format!("{name}: {}\n", scalar(value))),
        }
    }
    text
}

/// A line for each period: its start, then its value or its cells.
fn by_period(starts: &[Json], rows: &[Json]) -> String {
    let lines: Vec<Vec<String>> = starts
        .iter()
        .zip(rows)
        .map(|(start, row)| match row.as_array() {
            Some(cells) => std::iter::once(start).chain(cells).map(cell).collect(),
            None => vec![cell(start), cell(row)],
        })
        .collect();
    let width = lines.iter().map(Vec::len).max().unwrap_or(1);
    let header =
        std::iter::once("start".to_owned()).chain((0..width.saturating_sub(1)).map(|k| k.to_string()));
    aligned(header.collect(), lines)
}

fn of_objects(rows: &[Json]) -> String {
    let mut header: Vec<String> = Vec::new();
    for name in rows.iter().filter_map(Json::as_object).flat_map(|row| row.keys()) {
        if !header.contains(name) {
            header.push(name.clone());
        }
    }
    let lines = rows.iter().map(|row| header.iter().map(|name| cell(&row[name])).collect()).collect();
    aligned(header, lines)
}

/// What is no list: a fraction is rounded, all else as it is.
fn scalar(value: &Json) -> String {
    if value.is_f64() { words::fraction(value) } else { shown(&Written(value).to_string(), usize::MAX) }
}

fn cell(value: &Json) -> String {
    match value.as_str() {
        Some(text) => shown(text, CELL_COLUMNS_MAX),
        None if value.is_null() => String::new(),
        None if value.is_f64() => words::fraction(value),
        None => shown(&Written(value).to_string(), CELL_COLUMNS_MAX),
    }
}

fn aligned(header: Vec<String>, lines: Vec<Vec<String>>) -> String {
    let all: Vec<Vec<String>> = std::iter::once(header).chain(lines).collect();
    let columns = all.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| widest(all.iter().filter_map(|line| line.get(column)).map(String::as_str));
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in &all {
        let cells = line.iter().zip(&widths).map(|(cell, width)| right(cell, *width));
        text.push_str(&format!("  {}\n", cells.collect::<Vec<_>>().join("  ")));
    }
    text
}

/// Rows under the names of their columns, numbers from the right; cells are cut where they do not fit.
pub(super) fn of_rows(columns: &Json, rows: &Json, screen: &Screen) -> String {
    let names: Vec<&str> =
        columns.as_array().into_iter().flatten().filter_map(|column| column["name"].as_str()).collect();
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut columns: Vec<Column> = names.iter().map(|name| Column::of(name, rows)).collect();
    fit(&mut columns, screen.width);
    let mut text = String::new();
    let header: Vec<String> = columns.iter().map(|column| column.aligned(&column.name)).collect();
    text.push_str(&format!("  {}\n", screen.ink(header.join("  ").trim_end(), Ink::Bold)));
    for row in 0..rows.len() {
        let cells = columns.iter().map(|column| column.cells.get(row).map_or("", String::as_str));
        let cells: Vec<String> =
            columns.iter().zip(cells).map(|(column, cell)| column.aligned(cell)).collect();
        text.push_str(&format!("  {}\n", cells.join("  ").trim_end()));
    }
    let counted = if rows.len() == 1 { "row" } else { "rows" };
    text.push_str(&format!("  ({} {counted})\n", rows.len()));
    text
}

/// A column of a table.
struct Column {
    name: String,
    cells: Vec<String>,
    is_numeric: bool,
    width: usize,
}

impl Column {
    fn of(name: &str, rows: &[Json]) -> Self {
        let cells: Vec<String> = rows.iter().map(|row| cell(&row[name])).collect();
        let is_numeric = rows
            .iter()
            .all(|row| row[name].is_number() || digits(&row[name]).is_some() || row[name].is_null());
        let label = shown(name, CELL_COLUMNS_MAX);
        let width = widest(cells.iter().map(String::as_str).chain([label.as_str()]));
        Self { name: label, cells, is_numeric, width }
    }

    fn aligned(&self, cell: &str) -> String {
        let cell = shown(cell, self.width);
        if self.is_numeric { right(&cell, self.width) } else { left(&cell, self.width) }
    }
}

/// Narrows the widest columns until the table fits, or none can be narrower.
fn fit(columns: &mut [Column], screen: usize) {
    const COLUMN_MIN: usize = 8;
    let taken = |columns: &[Column]| columns.iter().map(|column| column.width + 2).sum::<usize>();
    while taken(columns) > screen {
        let over = taken(columns) - screen;
        let Some(widest) = columns.iter_mut().max_by_key(|column| column.width) else {
            return;
        };
        if widest.width <= COLUMN_MIN {
            return;
        }
        widest.width = widest.width.saturating_sub(over.div_ceil(2).max(1)).max(COLUMN_MIN);
    }
}

/// Texts from the left, none wider than so many columns; lines without spaces at their end.
pub(super) fn aligned_left(header: &[String], lines: &[Vec<String>], columns_max: usize) -> String {
    let cell = |cell: &String| shown(cell, columns_max);
    let all: Vec<Vec<String>> = std::iter::once(header)
        .chain(lines.iter().map(Vec::as_slice))
        .map(|line| line.iter().map(cell).collect())
        .collect();
    let width = |column: usize| widest(all.iter().filter_map(|line| line.get(column)).map(String::as_str));
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for line in &all {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| left(cell, *width)).collect();
        text.push_str(&format!("  {}\n", cells.join("  ").trim_end()));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_become_tables_and_all_else_is_named() {
        let check = |result: Json, want: &str| assert_eq!(tables_of(&result), want);
        check(
            json!({"actors": [{"actor": 17, "ratio": 2.5}, {"actor": 4, "ratio": null}], "total": 2}),
            "actors\n  actor  ratio\n     17    2.5\n      4       \n\ntotal: 2\n",
        );
        check(
            json!({"starts": ["2026-01", "2026-02"], "matrix": [[10, 5], [7]]}),
            "matrix\n    start   0  1\n  2026-01  10  5\n  2026-02   7\n\n",
        );
        check(
            json!({"starts": ["2026-01"], "data": {"total": [3], "sum": [1.5]}}),
            "    start  total  sum\n  2026-01      3  1.5\n",
        );
    }

    #[test]
    fn rows_of_a_statement_are_a_table_that_fits() {
        let columns = json!([{"name": "actor"}, {"name": "n"}, {"name": "props"}]);
        let rows = json!([
            {"actor": "ann", "n": 12, "props": "{\"plan\":\"pro\",\"a long name\":\"and a long value\"}"},
            {"actor": "b\u{1b}[2J", "n": null, "props": null},
        ]);
        let check = |columns: &Json, rows: &Json, width, want: &str| {
            let screen = Screen { width, paint: super::super::screen::Paint::Plain };
            assert_eq!(of_rows(columns, rows, &screen), want);
        };
        let want =
            "  actor   n  props\n  ann    12  {\"plan\":\"pro\",\"a long name…\n  b\u{fffd}[2J\n  (2 rows)\n";
        check(&columns, &rows, 40, want);
        check(&json!([{"name": "n"}]), &json!([{"n": 1}]), 40, "  n\n  1\n  (1 row)\n");
        check(&json!([{"name": "n"}]), &json!([]), 40, "  n\n  (0 rows)\n");
    }
}
