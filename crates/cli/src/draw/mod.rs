//! Answers to behavioural questions, drawn for people at a terminal: bars, heatmaps and tables. They read
//! the answer's JSON, so that one from a server looks as one from a folder.

mod activity;
mod bars;
mod funnel;
mod retention;
mod screen;
mod table;
#[cfg(test)]
mod tests;
mod trend;
mod words;

use serde_json::Value as Json;

pub(crate) use screen::Screen;
use screen::{Ink, shown};
use words::Calendar;

/// What a drawing has to go by.
struct Drawing<'a> {
    result: &'a Json,
    /// The question, with every default filled in.
    query: &'a Json,
    calendar: Calendar,
    screen: &'a Screen,
}

impl<'a> Drawing<'a> {
    /// The same of a part of the result, such as a group.
    fn of(&self, result: &'a Json) -> Self {
        Self { result, calendar: self.calendar.clone(), ..*self }
    }

    /// Each group under its name.
    fn with_groups(&self, draw: fn(&Self) -> String) -> String {
        let mut text = draw(self);
        for group in self.result["groups"].as_array().into_iter().flatten() {
            let name = shown(&words::group(&group["value"]), self.screen.width);
            text.push_str(&format!("\n{}\n{}", self.screen.ink(&name, Ink::Bold), draw(&self.of(group))));
        }
        text
    }
}

/// An answer with its title, and what its asker should know of it.
pub(crate) fn answer(answer: &Json, screen: &Screen) -> String {
    let (result, query) = (&answer["result"], &answer["query"]);
    let drawing = Drawing { result, query, calendar: Calendar::of(query), screen };
    let kind = query["kind"].as_str().unwrap_or_default();
    let drawn = match kind {
        "funnel" if query["viz"] == "trends" => drawing.with_groups(funnel::over_time),
        "funnel" => drawing.with_groups(funnel::steps),
        "retention" => drawing.with_groups(retention::heatmap),
        "trend" => trend::series(&drawing),
        "lifecycle" => activity::lifecycle(&drawing),
        "stickiness" => activity::stickiness(&drawing),
        "paths" => activity::paths(&drawing),
        "dropoff" => activity::dropoff(&drawing),
        _ => table::tables_of(result),
    };
    let mut text = match title(&drawing, kind) {
        Some(title) => format!("{}\n\n{drawn}", screen.ink(&shown(&title, screen.width), Ink::Bold)),
        None => drawn,
    };
    let warnings = answer["meta"]["warnings"].as_array().into_iter().flatten().filter_map(Json::as_str);
    for warning in warnings {
        text.push_str(&format!("\nNote: {}\n", shown(warning, usize::MAX)));
    }
    text
}

/// The rows of a statement's answer as a table.
pub(crate) fn rows(answer: &Json, screen: &Screen) -> String {
    table::of_rows(&answer["columns"], &answer["rows"], screen)
}

/// What was counted, in a few words.
fn title(drawing: &Drawing<'_>, kind: &str) -> Option<String> {
    let query = drawing.query;
    let text = |name: &str| query[name].as_str().unwrap_or_default().replace('_', "-");
    Some(match kind {
        "funnel" if query["viz"] == "trends" => {
            format!("Funnel by {}: who entered, and who of them converted", drawing.calendar.unit())
        }
        "funnel" => format!("Funnel, {}, within {}", text("order"), words::duration(&query["window"])),
        "retention" => format!(
            "Retention by {}, {}: % of the members who came back",
            drawing.calendar.unit(),
            text("type")
        ),
        "trend" => format!("Trend by {}", drawing.calendar.unit()),
        "lifecycle" => format!("Lifecycle by {}", drawing.calendar.unit()),
        "stickiness" => {
            format!("Stickiness: actors by how many {}s they were active in", drawing.calendar.unit())
        }
        "dropoff" => "Drop-off: who was at each step, and whose session ended there".to_owned(),
        "paths" => "Paths: from one item to the next".to_owned(),
        _ => return None,
    })
}
