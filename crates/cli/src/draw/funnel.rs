//! A funnel: a bar for each step, or for each bucket of time.

use serde_json::Value as Json;

use super::Drawing;
use super::bars::{Line, chart, numbers};
use super::words::{duration, matcher, number, percent};

/// What is said of a step; the time is from the step before.
const HEADERS: [&str; 4] = ["actors", "of all", "of before", "median"];

/// Who got how far: of those who entered, and of those who were at the step before.
pub(super) fn steps(drawing: &Drawing<'_>) -> String {
    let counts = numbers(&drawing.result["counts"]);
    let entered = counts.first().copied().flatten();
    let mut before = None;
    let mut lines = Vec::new();
    for (step, count) in counts.iter().enumerate() {
        let of_before = share(*count, before).filter(|_| step > 0);
        let time = duration(&drawing.result["median_seconds"][step]);
        lines.push(Line {
            label: format!("{} {}", step + 1, matcher(&drawing.query["steps"][step])),
            value: *count,
            cells: vec![
                number(&drawing.result["counts"][step]),
                percent(share(*count, entered)),
                percent(of_before),
                time,
            ],
        });
        before = *count;
    }
    let mut text = chart(&HEADERS, &lines, drawing.screen);
    let between = duration(&drawing.result["avg_between_seconds"]);
    if !between.is_empty() {
        let asked = &drawing.query["time_between"];
        let step = |place: usize| asked[place].as_u64().map_or(0, |step| step + 1);
        text.push_str(&format!("\n  from step {} to step {}: {between} on average\n", step(0), step(1)));
    }
    if let Some(all) = drawing.result.get("all_actors").filter(|all| all.is_number()) {
        text.push_str(&format!("\n  actors with any event: {}\n", number(all)));
    }
    text
}

/// How many converted of those who entered in each bucket.
pub(super) fn over_time(drawing: &Drawing<'_>) -> String {
    let shares = numbers(&drawing.result["percent"]);
    // A group has the buckets of the whole.
    let starts = drawing.result["starts"].as_array().map(|starts| starts.iter().collect::<Vec<&Json>>());
    let line = |(bucket, share): (usize, &Option<f64>)| Line {
        label: starts
            .as_ref()
            .and_then(|starts| starts.get(bucket))
            .map_or_else(|| (bucket + 1).to_string(), |start| drawing.calendar.period(start)),
        value: *share,
        cells: vec![
            percent(*share),
            format!(
                "{} of {}",
                number(&drawing.result["converted"][bucket]),
                number(&drawing.result["entered"][bucket])
            ),
        ],
    };
    chart(&[], &shares.iter().enumerate().map(line).collect::<Vec<Line>>(), drawing.screen)
}

/// In percent; none over nothing.
fn share(count: Option<f64>, of: Option<f64>) -> Option<f64> {
    let of = of.filter(|of| *of > 0.0)?;
    Some(count? / of * 100.0)
}
