//! Texts of few values as codes, the same in all chunks of an import.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, StringArray};

use crate::short_text::{RecentTexts, packed};

/// A column with more values than this is written as it is.
const VALUES_MAX: usize = 4096;
/// As one with longer texts is.
const TEXT_BYTES_MAX: usize = 256;

/// The texts of each column that has few.
#[derive(Debug, Default)]
pub(crate) struct TextCodes {
    columns: HashMap<String, Coded>,
}

#[derive(Debug, Default)]
struct Coded {
    codes: hashbrown::HashMap<Box<str>, u16>,
    texts: Vec<Box<str>>,
    /// Of all texts so far.
    shared: Arc<[Box<str>]>,
    recent: RecentTexts,
    has_too_many: bool,
}

impl TextCodes {
    /// The code of each row of a column, and the texts that they stand for; nulls have any. `None` where the
    /// column has, or had, too many values.
    pub(crate) fn of(&mut self, column: &str, array: &StringArray) -> Option<(Vec<u16>, Arc<[Box<str>]>)> {
        if !self.columns.contains_key(column) {
            self.columns.insert(column.to_owned(), Coded::default());
        }
        let coded = self.columns.get_mut(column)?;
        if coded.has_too_many {
            return None;
        }
        let codes = coded.codes(array);
        if codes.is_none() {
            *coded = Coded { has_too_many: true, ..Coded::default() };
        } else if coded.shared.len() < coded.texts.len() {
            coded.shared = coded.texts.iter().cloned().collect();
        }
        Some((codes?, coded.shared.clone()))
    }
}

impl Coded {
    fn codes(&mut self, array: &StringArray) -> Option<Vec<u16>> {
        let mut codes = Vec::with_capacity(array.len());
        for row in 0..array.len() {
            codes.push(if array.is_valid(row) { self.code(array.value(row))? } else { 0 });
        }
        Some(codes)
    }

    fn code(&mut self, text: &str) -> Option<u16> {
        let Some(short) = packed(text.as_bytes()) else { return self.find(text) };
        if let Some(code) = self.recent.find(short) {
            return u16::try_from(code).ok();
        }
        let code = self.find(text)?;
        self.recent.note(short, code.into());
        Some(code)
    }

    fn find(&mut self, text: &str) -> Option<u16> {
        if let Some(code) = self.codes.get(text) {
            return Some(*code);
        }
        if self.texts.len() == VALUES_MAX || text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let code = u16::try_from(self.texts.len()).ok()?;
        self.texts.push(text.into());
        self.codes.insert(text.into(), code);
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_for_the_same_texts_in_all_chunks() {
        let mut codes = TextCodes::default();
        let chunk = StringArray::from(vec![Some("a"), None, Some(""), Some("b"), Some("a")]);
        let (first, texts) = codes.of("c", &chunk).unwrap();
        assert_eq!((&*texts[usize::from(first[3])], first[0]), ("b", first[4]));
        let (second, more) = codes.of("c", &StringArray::from(vec!["z", "b"])).unwrap();
        assert_eq!((second[1], &*more[usize::from(second[0])]), (first[3], "z"));
        assert!(texts.iter().zip(more.iter()).all(|(text, same)| text == same));
    }

    #[test]
    fn a_column_of_many_texts_has_no_codes_from_then_on() {
        let mut codes = TextCodes::default();
        let many: StringArray = (0..=VALUES_MAX).map(|number| Some(number.to_string())).collect();
        assert!(codes.of("c", &many).is_none());
        assert!(codes.of("c", &StringArray::from(vec!["1"])).is_none());
        assert!(codes.of("d", &StringArray::from(vec!["1"])).is_some());
    }
}
