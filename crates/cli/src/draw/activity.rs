//! Lifecycle, stickiness, paths and drop-off.

use serde_json::Value as Json;

use super::Drawing;
use super::bars::{Line, bar, chart, greatest, numbers};
use super::screen::{Ink, left, right, widest};
use super::words::{group, number, percent};

/// Who is active, from the axis to the right, and who left, to the left of it.
const ACTIVE: [(&str, char, u8); 3] = [("new", '█', 75), ("returning", '▓', 71), ("resurrecting", '▒', 179)];
const DORMANT: (&str, char, u8) = ("dormant", '░', 245);
/// What the numbers are, in the order of the legend.
const HEADERS: [&str; 4] = ["new", "ret", "res", "dorm"];
/// As many edges as are drawn.
const EDGES_MAX: usize = 50;

/// A bar of who is active by what they are, against a bar of who has left.
pub(super) fn lifecycle(drawing: &Drawing<'_>) -> String {
    let screen = drawing.screen;
    let starts = drawing.result["starts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let labels: Vec<String> = starts.iter().map(|start| drawing.calendar.period(start)).collect();
    let active: Vec<Vec<Option<f64>>> =
        ACTIVE.iter().map(|(name, _, _)| numbers(&drawing.result[*name])).collect();
    let dormant = numbers(&drawing.result[DORMANT.0]);
    let value =
        |series: &[Option<f64>], bucket: usize| series.get(bucket).copied().flatten().unwrap_or(0.0).abs();
    let sum = |bucket: usize| active.iter().map(|series| value(series, bucket)).sum::<f64>();
    let most_active = greatest((0..starts.len()).map(|bucket| Some(sum(bucket))));
    let most_dormant = greatest((0..starts.len()).map(|bucket| Some(value(&dormant, bucket))));
    let cells: Vec<[String; 4]> = (0..starts.len()).map(|bucket| counts(drawing, bucket)).collect();
    let cell_columns: Vec<usize> = (HEADERS.iter().enumerate())
        .map(|(place, header)| widest(cells.iter().map(|row| row[place].as_str()).chain([*header])))
        .collect();
    let label_columns = widest(labels.iter().map(String::as_str));
    let taken = 2 + label_columns + 2 + 1 + cell_columns.iter().map(|columns| columns + 2).sum::<usize>();
    let bars = screen.width.saturating_sub(taken).max(12);
    let (left_columns, right_columns) = divided(bars, most_dormant, most_active);
    let headers = HEADERS.iter().zip(&cell_columns);
    let headers: String = headers.map(|(header, columns)| format!("  {}", right(header, *columns))).collect();
    let begin = " ".repeat(2 + label_columns + 2 + bars + 1);
    let mut text = format!("{begin}{}\n", screen.ink(&headers, Ink::Dim));
    for (bucket, label) in labels.iter().enumerate() {
        let gone = scaled(value(&dormant, bucket), most_dormant, left_columns);
        let gone = right(&DORMANT.1.to_string().repeat(gone), left_columns);
        text.push_str(&format!(
            "  {}  {}│",
            left(label, label_columns),
            screen.ink(&gone, Ink::Text(DORMANT.2))
        ));
        let mut drawn = 0;
        for ((_, sign, colour), series) in ACTIVE.iter().zip(&active) {
            let columns =
                scaled(value(series, bucket), most_active, right_columns).min(right_columns - drawn);
            drawn += columns;
            text.push_str(&screen.ink(&sign.to_string().repeat(columns), Ink::Text(*colour)));
        }
        text.push_str(&" ".repeat(right_columns - drawn));
        for (cell, columns) in cells.get(bucket).into_iter().flatten().zip(&cell_columns) {
            text.push_str(&format!("  {}", right(cell, *columns)));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    let legend = ACTIVE.iter().chain([&DORMANT]);
    let legend = legend.map(|(name, sign, colour)| screen.ink(&format!("{sign} {name}"), Ink::Text(*colour)));
    text.push_str(&format!("\n  {}\n", legend.collect::<Vec<String>>().join("   ")));
    text
}

/// The numbers in the order of the legend.
fn counts(drawing: &Drawing<'_>, bucket: usize) -> [String; 4] {
    ["new", "returning", "resurrecting", DORMANT.0].map(|name| number(&drawing.result[name][bucket]))
}

/// Columns for who left and for who is active, at one scale for both where both can be seen.
fn divided(columns: usize, dormant: f64, active: f64) -> (usize, usize) {
    let least = columns / 6;
    let share = if dormant + active > 0.0 { dormant / (dormant + active) } else { 0.0 };
    let to_left = scaled(share, 1.0, columns).clamp(least, columns - least);
    (to_left, columns - to_left)
}

/// So many columns of a value; one that is not nothing has one.
fn scaled(value: f64, most: f64, columns: usize) -> usize {
    if value <= 0.0 || most <= 0.0 {
        return 0;
    }
    #[expect(clippy::cast_precision_loss, reason = "columns of a screen")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the columns")]
    let whole = ((value / most).min(1.0) * columns as f64).round() as usize;
    whole.max(1)
}

/// How many actors were active in exactly so many buckets, and in at least so many.
pub(super) fn stickiness(drawing: &Drawing<'_>) -> String {
    let unit = drawing.calendar.unit();
    let of = drawing.query["interval_count"].as_u64().unwrap_or(1);
    let bucket = if of == 1 { unit.to_owned() } else { format!("{of} {unit}s") };
    let at_least = &drawing.result["at_least"];
    let line = |(place, count): (usize, &Json)| Line {
        label: format!("{} × {bucket}", place + 1),
        value: count.as_f64(),
        cells: vec![number(count), number(&at_least[place])],
    };
    let lines: Vec<Line> =
        drawing.result["data"].as_array().into_iter().flatten().enumerate().map(line).collect();
    let total = number(&drawing.result["actors_total"]);
    format!("{}\n  actors: {total}\n", chart(&["exactly", "or more"], &lines, drawing.screen))
}

/// Who was at each step, and whose session ended there.
pub(super) fn dropoff(drawing: &Drawing<'_>) -> String {
    let result = drawing.result;
    let line = |step: &Json| Line {
        label: group(&step["step"]),
        value: step["sessions"].as_f64(),
        cells: vec![
            number(&step["sessions"]),
            percent(step["reach_rate"].as_f64()),
            number(&step["exits"]),
            percent(step["step_exit_rate"].as_f64()),
        ],
    };
    let lines: Vec<Line> = result["steps"].as_array().into_iter().flatten().map(line).collect();
    let headers = ["sessions", "of all", "exits", "exit rate"];
    let counts = ["total_sessions", "converted", "total_exits", "active"].map(|name| number(&result[name]));
    let [sessions, converted, exits, active] = counts;
    let rate = percent(result["conversion_rate"].as_f64());
    let mut text = format!(
        "{}\n  sessions: {sessions}   converted: {converted} ({rate})   exits: {exits}   active: {active}\n",
        chart(&headers, &lines, drawing.screen)
    );
    if let Some(sessions) = result.get("sessions").filter(|sessions| sessions.is_array()) {
        text.push('\n');
        text.push_str(&super::table::tables_of(&serde_json::json!({"sessions": sessions})));
    }
    text
}

/// Edges by step, the commonest first.
pub(super) fn paths(drawing: &Drawing<'_>) -> String {
    let edges = drawing.result["edges"].as_array().map(Vec::as_slice).unwrap_or_default();
    let columns = (drawing.screen.width / 6).max(BAR_COLUMNS_MIN);
    let most = greatest(edges.iter().map(|edge| edge["count"].as_f64()));
    let header = ["step", "from", "", "to", "count", ""].map(str::to_owned);
    let row = |edge: &Json| {
        let share = edge["count"].as_f64().filter(|_| most > 0.0).map_or(0.0, |count| count / most);
        vec![
            number(&edge["step"]),
            group(&edge["from"]),
            "→".to_owned(),
            group(&edge["to"]),
            number(&edge["count"]),
            bar(share, columns),
        ]
    };
    let rows: Vec<Vec<String>> = edges.iter().take(EDGES_MAX).map(row).collect();
    let mut text = super::table::aligned_left(&header, &rows, drawing.screen.width / 4);
    if edges.len() > EDGES_MAX {
        text.push_str(&format!("  … and {} more: --json has them all\n", edges.len() - EDGES_MAX));
    }
    text
}

const BAR_COLUMNS_MIN: usize = 6;
