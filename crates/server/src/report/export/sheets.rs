//! What a spreadsheet's sheets may be called and hold.

use std::collections::HashSet;

/// Rows of a sheet, its header included.
pub(super) const SHEET_ROWS_MAX: u32 = 1_048_576;
pub(super) const SHEET_COLUMNS_MAX: usize = 16_384;
/// UTF-16 units of a cell's text.
pub(super) const CELL_UNITS_MAX: usize = 32_767;
/// UTF-16 units of a sheet's name.
const NAME_UNITS_MAX: usize = 31;
const FORBIDDEN: [char; 7] = ['[', ']', ':', '*', '?', '/', '\\'];

/// Gives out names that differ, whatever the case of their letters.
#[derive(Debug, Default)]
pub(super) struct SheetNames {
    given: HashSet<String>,
}

impl SheetNames {
    /// The wanted name, or what is nearest to it among those that are allowed and free: `cards`, `cards (2)`.
    pub(super) fn name(&mut self, wanted: &str) -> String {
        let plain = |c: char| if FORBIDDEN.contains(&c) || c.is_control() { '_' } else { c };
        let plain: String = wanted.chars().map(plain).collect();
        let plain = plain.trim_matches('\'').trim();
        // Excel keeps this one to itself.
        let plain = if plain.is_empty() || plain.eq_ignore_ascii_case("history") { "list" } else { plain };
        let mut number = 1_u64;
        loop {
            let end = if number == 1 { String::new() } else { format!(" ({number})") };
            let begin = cut(plain, NAME_UNITS_MAX.saturating_sub(end.len()));
            let name = format!("{}{end}", begin.trim_end_matches('\''));
            if self.given.insert(name.to_lowercase()) {
                return name;
            }
            number += 1;
        }
    }
}

fn cut(text: &str, units_max: usize) -> &str {
    let mut units = 0;
    for (index, c) in text.char_indices() {
        units += c.len_utf16();
        if units > units_max {
            return &text[..index];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_free_of_forbidden_characters_and_differ() {
        let mut names = SheetNames::default();
        let mut check = |wanted: &str, want: &str| assert_eq!(names.name(wanted), want, "{wanted}");
        check("cards", "cards");
        check("Cards", "Cards (2)");
        check("cards", "cards (3)");
        check("a/b:c*d?e[f]g\\h", "a_b_c_d_e_f_g_h");
        check("'quoted'", "quoted");
        check("", "list");
        check("''", "list (2)");
        check("History", "list (3)");
        check("analytics.sessions.by_mentor_and_month", "analytics.sessions.by_mentor_an");
        check("analytics.sessions.by_mentor_and_week", "analytics.sessions.by_mento (2)");
        check(&"😀".repeat(20), &"😀".repeat(15));
        check("cards (2)x\n", "cards (2)x_");
    }
}
