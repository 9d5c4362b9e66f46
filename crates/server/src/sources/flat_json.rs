//! Objects of plain values, read without the detour over a parser of all JSON: what most events carry. Any other
//! text is left to that parser, which says what is wrong with it.

use std::borrow::Cow;

use crate::capture::Json;

/// Digits of a number that is sure to be an integer of 64 bits.
const DIGITS_MAX: usize = 18;

/// The fields of an object, in order, as the parser would read them.
pub(super) type Fields<'t> = Vec<(Cow<'t, str>, Json<'t>)>;

/// Reads an object whose names have no escapes, and whose values are texts without any, integers, truth values or
/// null. False where the text is something else, or no JSON; what lies in `fields` means nothing then.
pub(super) fn read_flat<'t>(text: &'t str, fields: &mut Fields<'t>) -> bool {
    fields.clear();
    let mut rest = Rest { text, at: 0 };
    rest.object(fields).is_some()
}

/// What is still to be read.
struct Rest<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Rest<'t> {
    fn object(&mut self, fields: &mut Fields<'t>) -> Option<()> {
        self.take(b'{')?;
        if self.take(b'}').is_none() {
            loop {
                let name = self.string()?;
                self.take(b':')?;
                fields.push((Cow::Borrowed(name), self.value()?));
                if self.take(b',').is_none() {
                    break;
                }
            }
            self.take(b'}')?;
        }
        self.skip_space();
        (self.at == self.text.len()).then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn string(&mut self) -> Option<&'t str> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' | 0..0x20 => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.text.get(start..self.at - 1)
    }

    fn value(&mut self) -> Option<Json<'t>> {
        self.skip_space();
        match self.peek()? {
            b'"' => Some(Json::Text(Cow::Borrowed(self.string()?))),
            b'-' | b'0'..=b'9' => self.integer().map(Json::Int),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => None,
        }
    }

    fn word(&mut self, word: &str, value: Json<'t>) -> Option<Json<'t>> {
        let is_it = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        is_it.then_some(value)
    }

    fn integer(&mut self) -> Option<i64> {
        let is_negative = self.peek() == Some(b'-');
        self.at += usize::from(is_negative);
        let start = self.at;
        let mut value = 0_i64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if self.at - start == DIGITS_MAX {
                return None;
            }
            value = value * 10 + i64::from(digit - b'0');
            self.at += 1;
        }
        let digits = &self.text.as_bytes()[start..self.at];
        // A zero in front is no JSON, and a negative zero is a float, as is what goes on.
        let is_odd = digits.first() == Some(&b'0') && (digits.len() > 1 || is_negative);
        if digits.is_empty() || is_odd || matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        Some(if is_negative { -value } else { value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read so, the parser reads in the same way; `None` where it is left to that.
    fn read(text: &str) -> Option<Fields<'_>> {
        let mut fields = Fields::new();
        if !read_flat(text, &mut fields) {
            return None;
        }
        assert_eq!(serde_json::from_str::<Json<'_>>(text).unwrap(), Json::Object(fields.clone()), "{text}");
        Some(fields)
    }

    #[test]
    fn plain_objects_are_read_as_the_parser_reads_them() {
        for text in [
            "{}",
            " { } ",
            r#"{"a":"b","c":1,"d":-25,"e":0,"f":true,"g":false,"h":null}"#,
            "\t{ \"a\" : \"é ü {\" ,\r\n\"\":\"\" , \"a\":999999999999999999 }\n",
        ] {
            assert!(read(text).is_some(), "{text}");
        }
    }

    #[test]
    fn whatever_else_there_is_is_left_to_the_parser() {
        for text in [
            "",
            "[]",
            "null",
            "{",
            "{}}",
            "{} x",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":01}",
            "{\"a\":-0}",
            "{\"a\":-}",
            "{\"a\":1.5}",
            "{\"a\":1e3}",
            "{\"a\":1E3}",
            "{\"a\":[]}",
            "{\"a\":{}}",
            "{\"a\":\"\\n\"}",
            "{\"\\u0061\":1}",
            "{\"a\":\"\n\"}",
            "{\"a\":tru}",
            "{\"a\":nulll}",
            "{\"a\":1000000000000000000}",
            "{\"a\":99999999999999999999}",
            "{\"a\":\"b}",
            "{\"a\":1\u{a0}}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn no_text_is_read_otherwise_than_the_parser_reads_it() {
        const PARTS: [&str; 20] = [
            "{", "}", "\"", ":", ",", " ", "a", "1", "0", "-", ".", "e", "true", "null", "\\", "é", "\"a\":",
            "\"b\"", "[", "\n",
        ];
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut roll = |sides: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from((seed >> 11) % sides).unwrap()
        };
        let mut plain = 0;
        for _ in 0..200_000 {
            let mut text = String::from("{");
            for _ in 0..roll(6) {
                text.push_str(PARTS[roll(20)]);
            }
            text.push('}');
            plain += usize::from(read(&text).is_some());
        }
        assert!(plain > 1_000, "{plain}");
    }
}
