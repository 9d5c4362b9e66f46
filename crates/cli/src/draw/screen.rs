//! Where an answer is drawn: how wide it is, and whether it takes colours.

use std::io::{self, IsTerminal};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Where nobody says how wide it is.
const WIDTH: usize = 80;
const WIDTH_MIN: usize = 40;
const WIDTH_MAX: usize = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    /// In columns.
    pub(crate) width: usize,
    pub(crate) paint: Paint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Signs alone say everything.
    Plain,
    Coloured,
}

/// A colour of the palette of 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Bold,
    Dim,
    Text(u8),
    /// Behind a text, which is dark or light as that asks for.
    Behind(u8, Shade),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shade {
    Light,
    Dark,
}

impl Screen {
    /// Colours are for a terminal that has them, unless `NO_COLOR` is set.
    pub(crate) fn of_stdout() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_terminal = io::stdout().is_terminal();
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let coloured = is_terminal && !is_dumb && !is_set("NO_COLOR");
        let terminal = if is_terminal { terminal_size::terminal_size() } else { None };
        let given = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let width = terminal.map(|(width, _)| usize::from(width.0)).or_else(given).unwrap_or(WIDTH);
        Self {
            width: width.clamp(WIDTH_MIN, WIDTH_MAX),
            paint: if coloured { Paint::Coloured } else { Paint::Plain },
        }
    }

    /// The text in a colour, where there are any.
    pub(crate) fn ink(&self, text: &str, ink: Ink) -> String {
        if self.paint == Paint::Plain || text.is_empty() {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Bold => "1".to_owned(),
            Ink::Dim => "2".to_owned(),
            Ink::Text(colour) => format!("38;5;{colour}"),
            Ink::Behind(colour, Shade::Light) => format!("38;5;16;48;5;{colour}"),
            Ink::Behind(colour, Shade::Dark) => format!("38;5;231;48;5;{colour}"),
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Text of rows as a terminal may be given it: without signs that would steer it, and no wider than so
/// many columns.
pub(crate) fn shown(text: &str, columns: usize) -> String {
    let mut shown = String::new();
    let mut width = 0;
    for sign in text.chars().map(harmless) {
        width += sign.width().unwrap_or(0);
        if width > columns {
            while UnicodeWidthStr::width(&*shown) + 1 > columns && shown.pop().is_some() {}
            shown.push('…');
            return shown;
        }
        shown.push(sign);
    }
    shown
}

fn harmless(sign: char) -> char {
    // Signs that turn the direction of writing would move what stands beside them.
    let turns = matches!(sign, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if sign.is_control() || turns { '\u{fffd}' } else { sign }
}

/// The text with spaces behind it, up to so many columns.
pub(crate) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// The text with spaces before it.
pub(crate) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(text.width())))
}

/// How wide the widest of some texts is.
pub(crate) fn widest<'t>(texts: impl IntoIterator<Item = &'t str>) -> usize {
    texts.into_iter().map(UnicodeWidthStr::width).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_rows_does_not_steer_the_terminal_and_fits() {
        let check = |text: &str, columns, want: &str| assert_eq!(shown(text, columns), want, "{text:?}");
        check("view", 10, "view");
        check("a\u{1b}[31mb\n", 20, "a\u{fffd}[31mb\u{fffd}");
        check("\u{202e}abc", 9, "\u{fffd}abc");
        check("checkout", 5, "chec…");
        check("日本語", 4, "日…");
        check("日本", 4, "日本");
        assert_eq!(right("日本", 6), "  日本");
        assert_eq!(left("日本", 6), "日本  ");
    }

    #[test]
    fn colours_are_nowhere_on_a_plain_screen() {
        let plain = Screen { width: 80, paint: Paint::Plain };
        assert_eq!(plain.ink("x", Ink::Bold), "x");
        let coloured = Screen { width: 80, paint: Paint::Coloured };
        assert_eq!(coloured.ink("x", Ink::Text(5)), "\u{1b}[38;5;5mx\u{1b}[0m");
        assert_eq!(coloured.ink("", Ink::Bold), "");
    }
}
