//! A trend: a bar for each bucket, or where there are many, or several series, a line of blocks each.

use serde_json::Value as Json;

use super::Drawing;
use super::bars::{Line, chart, greatest, numbers, spark};
use super::screen::{Ink, left, right, shown, widest};
use super::words::{group, number};

/// More buckets than this are drawn as a line of blocks.
const BARS_MAX: usize = 40;
/// Names of series take a third of the screen at most.
const LABEL_SHARE: usize = 3;

/// Values over time, under a name.
struct Series<'a> {
    name: String,
    values: &'a Json,
}

pub(super) fn series(drawing: &Drawing<'_>) -> String {
    let result = drawing.result;
    let starts = result["starts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut all: Vec<Series<'_>> = named(&result["data"], "");
    if let Some(groups) = result["groups"].as_array() {
        all = groups.iter().flat_map(|part| named(&part["data"], &group(&part["value"]))).collect();
    }
    for entity in result["entities"].as_array().into_iter().flatten() {
        all.push(Series {
            name: entity["name"].as_str().unwrap_or_default().to_owned(),
            values: &entity["data"],
        });
    }
    if let Some(before) = result.get("compare") {
        all.extend(named(&before["data"], "the period before"));
    }
    match all.as_slice() {
        [one] if starts.len() <= BARS_MAX => bars(drawing, starts, one.values),
        _ => lines(drawing, starts, &all),
    }
}

/// The series of one measure, or of several by their names.
fn named<'a>(data: &'a Json, name: &str) -> Vec<Series<'a>> {
    let Json::Object(measures) = data else {
        return vec![Series { name: name.to_owned(), values: data }];
    };
    let of = |measure: &str| if name.is_empty() { measure.to_owned() } else { format!("{name} {measure}") };
    measures.iter().map(|(measure, values)| Series { name: of(measure), values }).collect()
}

fn bars(drawing: &Drawing<'_>, starts: &[Json], values: &Json) -> String {
    let line = |(bucket, start): (usize, &Json)| {
        let has_ended = drawing.result["complete"][bucket] != Json::Bool(false);
        let mark = if has_ended || values[bucket].is_null() { "" } else { "*" };
        Line {
            label: drawing.calendar.period(start),
            value: values[bucket].as_f64(),
            cells: vec![format!("{}{mark}", number(&values[bucket]))],
        }
    };
    let lines: Vec<Line> = starts.iter().enumerate().map(line).collect();
    let is_running = lines.iter().any(|line| line.cells.iter().any(|cell| cell.ends_with('*')));
    let note = if is_running { "  * has not ended yet\n" } else { "" };
    format!("{}{note}", chart(&[], &lines, drawing.screen))
}

/// A line of blocks for each series, with its greatest value and its last.
fn lines(drawing: &Drawing<'_>, starts: &[Json], all: &[Series<'_>]) -> String {
    let screen = drawing.screen;
    let names: Vec<String> = all.iter().map(|series| series.name.clone()).collect();
    let name_columns = widest(names.iter().map(String::as_str)).min(screen.width / LABEL_SHARE);
    let ends: Vec<(String, String)> = all.iter().map(|series| ends(series.values)).collect();
    let most_columns = widest(ends.iter().map(|(most, _)| most.as_str()).chain(["most"]));
    let last_columns = widest(ends.iter().map(|(_, last)| last.as_str()).chain(["last"]));
    let taken = 2 + name_columns + 2 + 2 + most_columns + 2 + last_columns;
    let columns = screen.width.saturating_sub(taken).max(8);
    let first = starts.len().saturating_sub(columns);
    let shown_starts = starts.get(first..).unwrap_or_default();
    let span = match (shown_starts.first(), shown_starts.last()) {
        (Some(from), Some(to)) => {
            format!("{} … {}", drawing.calendar.period(from), drawing.calendar.period(to))
        }
        _ => String::new(),
    };
    let mut text = format!(
        "  {}  {}  {}  {}\n",
        left("", name_columns),
        left(&shown(&span, columns), columns),
        right("most", most_columns),
        right("last", last_columns)
    );
    for ((series, name), (most, last)) in all.iter().zip(&names).zip(&ends) {
        let values = numbers(series.values);
        let blocks = left(&spark(values.get(first..).unwrap_or_default()), columns);
        text.push_str(&format!(
            "  {}  {}  {}  {}\n",
            left(&shown(name, name_columns), name_columns),
            screen.ink(&blocks, Ink::Text(74)),
            right(most, most_columns),
            right(last, last_columns)
        ));
    }
    if first > 0 {
        text.push_str(&format!("  … after {first} earlier ones: --json has them all\n"));
    }
    text
}

/// The greatest value and the last one that is there.
fn ends(values: &Json) -> (String, String) {
    let list = values.as_array().map(Vec::as_slice).unwrap_or_default();
    let last = list.iter().rev().find(|value| !value.is_null()).map(number).unwrap_or_default();
    let most = greatest(numbers(values));
    let most = list.iter().find(|value| value.as_f64() == Some(most)).map(number).unwrap_or_default();
    (most, last)
}
