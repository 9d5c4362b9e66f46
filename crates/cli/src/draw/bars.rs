//! Bars and lines of blocks.

use serde_json::Value as Json;

use super::screen::{Ink, Screen, left, right, shown, widest};

/// Eighths of a block, the narrowest first.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
/// Eighths of a block, the lowest first.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const BAR_INK: Ink = Ink::Text(74);
/// Labels take a third of the screen at most.
const LABEL_SHARE: usize = 3;
/// A bar that is shorter tells nothing.
const BAR_MIN: usize = 6;

/// A bar of a share of so many columns. What is not nothing is seen.
pub(crate) fn bar(share: f64, columns: usize) -> String {
    let eighths = eighths(share, columns * 8);
    let mut bar = "█".repeat(eighths / 8);
    bar.extend((eighths % 8).checked_sub(1).and_then(|rest| EIGHTHS.get(rest)));
    bar
}

fn eighths(share: f64, most: usize) -> usize {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    #[expect(clippy::cast_precision_loss, reason = "columns of a screen")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the most")]
    let eighths = (share * most as f64).round() as usize;
    if share > 0.0 { eighths.max(1) } else { eighths }
}

/// Values as a line of blocks, from zero to the greatest; a gap where there is none.
pub(crate) fn spark(values: &[Option<f64>]) -> String {
    let most = greatest(values.iter().copied());
    let sign = |value: &Option<f64>| match value {
        None => ' ',
        Some(value) if most > 0.0 => {
            let level = eighths((value / most).max(0.0), LEVELS.len());
            level.checked_sub(1).and_then(|level| LEVELS.get(level)).copied().unwrap_or('_')
        }
        Some(_) => '_',
    };
    values.iter().map(sign).collect()
}

/// The greatest of the values, or 0.
pub(crate) fn greatest(values: impl IntoIterator<Item = Option<f64>>) -> f64 {
    values.into_iter().flatten().fold(0.0, f64::max)
}

pub(crate) fn numbers(list: &Json) -> Vec<Option<f64>> {
    list.as_array().map(|list| list.iter().map(Json::as_f64).collect()).unwrap_or_default()
}

/// A line of a chart: its name, what its bar shows, and what is written behind it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) value: Option<f64>,
    pub(crate) cells: Vec<String>,
}

/// Lines one below the other, as wide as the screen, each bar a share of the greatest. `headers` name the
/// cells, if there are any; where the screen is narrow, the last cells are left out.
pub(crate) fn chart(headers: &[&str], lines: &[Line], screen: &Screen) -> String {
    let most = greatest(lines.iter().map(|line| line.value));
    let label_columns = widest(lines.iter().map(|line| line.label.as_str())).min(screen.width / LABEL_SHARE);
    let mut cell_columns = cell_columns(headers, lines);
    let taken =
        |cells: &[usize]| 2 + label_columns + 2 + cells.iter().map(|columns| columns + 2).sum::<usize>();
    while taken(&cell_columns) + BAR_MIN > screen.width && cell_columns.len() > 1 {
        cell_columns.pop();
    }
    let bar_columns = screen.width.saturating_sub(taken(&cell_columns)).max(BAR_MIN);
    let mut text = String::new();
    if !headers.is_empty() {
        let cells = headers.iter().zip(&cell_columns);
        let cells: String = cells.map(|(header, columns)| format!("  {}", right(header, *columns))).collect();
        let begin = " ".repeat(2 + label_columns + 2 + bar_columns);
        text.push_str(&format!("{begin}{}\n", screen.ink(&cells, Ink::Dim)));
    }
    for line in lines {
        let share = line.value.filter(|_| most > 0.0).map_or(0.0, |value| value / most);
        let bar = left(&bar(share, bar_columns), bar_columns);
        let label = left(&shown(&line.label, label_columns), label_columns);
        text.push_str(&format!("  {label}  {}", screen.ink(&bar, BAR_INK)));
        for (cell, columns) in line.cells.iter().zip(&cell_columns) {
            text.push_str(&format!("  {}", right(cell, *columns)));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

fn cell_columns(headers: &[&str], lines: &[Line]) -> Vec<usize> {
    let cells = lines.iter().map(|line| line.cells.len()).max().unwrap_or(0);
    let column = |place: usize| {
        let cells = lines.iter().filter_map(|line| line.cells.get(place)).map(String::as_str);
        widest(cells.chain(headers.get(place).copied()))
    };
    (0..cells).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::screen::Paint;

    #[test]
    fn a_bar_is_as_long_as_its_share_and_nothing_is_lost() {
        let check = |share, columns, want: &str| assert_eq!(bar(share, columns), want, "{share}");
        check(1.0, 4, "████");
        check(0.5, 4, "██");
        check(0.0, 4, "");
        check(0.0001, 4, "▏");
        check(0.3125, 4, "█▎");
        check(f64::NAN, 4, "");
        check(9.0, 4, "████");
    }

    #[test]
    fn a_line_of_blocks_has_one_for_each_value() {
        assert_eq!(spark(&[Some(0.0), Some(1.0), None, Some(8.0)]), "_▁ █");
        assert_eq!(spark(&[Some(0.0)]), "_");
        assert_eq!(spark(&[]), "");
    }

    #[test]
    fn a_chart_is_no_wider_than_its_screen() {
        let line = |label: &str, value| Line {
            label: label.to_owned(),
            value: Some(value),
            cells: vec![value.to_string(), "x".to_owned()],
        };
        let lines = [line("view", 20.0), line("a label that is much too long", 5.0)];
        let text = chart(&[], &lines, &Screen { width: 40, paint: Paint::Plain });
        assert_eq!(
            text,
            "  view           ████████████████  20  x\n  a label that…  ████               5  x\n"
        );
        // The last cells go first.
        let text =
            chart(&["n", "a long header of a cell"], &lines, &Screen { width: 40, paint: Paint::Plain });
        let want = "                                       n\n  \
                    view           ███████████████████  20\n  a label that…  ████▊                 5\n";
        assert_eq!(text, want);
    }
}
