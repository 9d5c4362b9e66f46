//! A retention's cohorts as a heatmap: the more of a cohort came back, the darker.

use serde_json::Value as Json;

use super::Drawing;
use super::bars::numbers;
use super::screen::{Ink, Screen, Shade, left, right, widest};
use super::words::number;

/// From few to all, on a terminal with colours and on one without.
const HEAT: [(u8, Shade, char); 8] = [
    (255, Shade::Light, ' '),
    (195, Shade::Light, '░'),
    (153, Shade::Light, '░'),
    (111, Shade::Light, '▒'),
    (69, Shade::Dark, '▒'),
    (27, Shade::Dark, '▓'),
    (21, Shade::Dark, '▓'),
    (18, Shade::Dark, '█'),
];
/// A sign of heat, `100.0`, and a sign for what has not ended.
const CELL_COLUMNS: usize = 7;

pub(super) fn heatmap(drawing: &Drawing<'_>) -> String {
    let result = drawing.result;
    let starts = result["starts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let labels: Vec<String> = starts.iter().map(|start| drawing.calendar.period(start)).collect();
    let sizes: Vec<String> = result["sizes"].as_array().into_iter().flatten().map(number).collect();
    let label_columns = widest(labels.iter().map(String::as_str).chain(["cohort"]));
    let size_columns = widest(sizes.iter().map(String::as_str).chain(["members"]));
    let rows: Vec<Vec<Option<f64>>> =
        result["percent"].as_array().into_iter().flatten().map(numbers).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let taken = 2 + label_columns + 2 + size_columns + 1;
    let fitting = (drawing.screen.width.saturating_sub(taken) / (CELL_COLUMNS + 1)).max(1).min(columns);
    let begin =
        |label: &str, size: &str| format!("  {}  {} ", left(label, label_columns), right(size, size_columns));
    let mut text = begin("cohort", "members");
    for column in 0..fitting {
        text.push_str(&format!(
            " {}",
            right(&format!("{} {column} ", short(drawing.calendar.unit())), CELL_COLUMNS)
        ));
    }
    finish(&mut text);
    let mut is_running = false;
    for (row, label) in labels.iter().enumerate() {
        text.push_str(&begin(label, sizes.get(row).map_or("", String::as_str)));
        let shares = rows.get(row).map(Vec::as_slice).unwrap_or_default();
        for (column, share) in shares.iter().enumerate().take(fitting) {
            let has_ended = result["complete"][row][column] != Json::Bool(false);
            is_running |= !has_ended && share.is_some();
            text.push_str(&format!(" {}", cell(*share, has_ended, drawing.screen)));
        }
        finish(&mut text);
    }
    text.push_str(&begin("mean", ""));
    for mean in numbers(&result["mean_pooled"]).iter().take(fitting) {
        text.push_str(&format!(" {}", cell(*mean, true, drawing.screen)));
    }
    finish(&mut text);
    if fitting < columns {
        text.push_str(&format!("  … {} more: see --json\n", columns - fitting));
    }
    if is_running {
        text.push_str("  * has not ended yet\n");
    }
    text
}

fn cell(share: Option<f64>, has_ended: bool, screen: &Screen) -> String {
    let Some(share) = share else {
        return " ".repeat(CELL_COLUMNS);
    };
    let mark = if has_ended { ' ' } else { '*' };
    let step = HEAT.iter().rposition(|_| true).unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the last step")]
    #[expect(clippy::cast_precision_loss, reason = "a few steps")]
    let place = (share.clamp(0.0, 100.0) / 100.0 * step as f64).round() as usize;
    let Some((colour, shade, sign)) = HEAT.get(place) else {
        return " ".repeat(CELL_COLUMNS);
    };
    match screen.paint {
        super::screen::Paint::Plain => format!("{sign}{share:>5.1}{mark}"),
        super::screen::Paint::Coloured => {
            screen.ink(&format!(" {share:>5.1}{mark}"), Ink::Behind(*colour, *shade))
        }
    }
}

fn short(unit: &str) -> &str {
    match unit {
        "hour" => "h",
        "day" => "d",
        "week" => "w",
        "month" => "m",
        "quarter" => "q",
        _ => "y",
    }
}

fn finish(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}
