//! The languages of texts for people.

/// A language that texts are there in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    #[default]
    English,
    Korean,
    Russian,
}

impl Language {
    pub const ALL: [Self; 3] = [Self::English, Self::Korean, Self::Russian];

    /// Of ISO 639-1.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
            Self::Russian => "ru",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// What stands before the digits after the point.
    pub fn decimal_mark(self) -> char {
        match self {
            Self::English | Self::Korean => '.',
            Self::Russian => ',',
        }
    }

    /// A number as sentences have it: its digits before the point in threes, its point as the language writes it.
    pub fn number(self, plain: &str) -> String {
        let between = match self {
            Self::English | Self::Korean => ",",
            Self::Russian => "\u{a0}",
        };
        let (whole, rest) = plain.split_once('.').map_or((plain, None), |(whole, rest)| (whole, Some(rest)));
        let digits = whole.bytes().filter(u8::is_ascii_digit).count();
        let mut written = String::with_capacity(plain.len() + digits / 3 * between.len());
        let mut left = digits;
        for character in whole.chars() {
            let is_digit = character.is_ascii_digit();
            if is_digit && left < digits && left.is_multiple_of(3) {
                written.push_str(between);
            }
            left -= usize::from(is_digit);
            written.push(character);
        }
        if let Some(rest) = rest {
            written.push(self.decimal_mark());
            written.push_str(rest);
        }
        written
    }

    /// The language that an `Accept-Language` wants most (RFC 9110, 12.5.4): the one of the highest quality,
    /// of several the first. English where it names none that is there. `ko-KR` is Korean; `*` is whichever
    /// is not named.
    pub fn accepted(header: &str) -> Self {
        const RANGES_MAX: usize = 32;
        let mut best: Option<(u16, Self)> = None;
        let mut any: Option<u16> = None;
        let mut named: Vec<Self> = Vec::new();
        for range in header.split(',').take(RANGES_MAX) {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let Some(quality) = quality.map_or(Some(QUALITY_MAX), thousandths) else { continue };
            let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
            if tag == "*" {
                any = any.or(Some(quality));
            } else if let Some(language) = Self::from_code(&primary) {
                named.push(language);
                if quality > 0 && best.is_none_or(|(known, _)| quality > known) {
                    best = Some((quality, language));
                }
            }
        }
        let other = Self::ALL.into_iter().find(|language| !named.contains(language));
        match (best, any.filter(|quality| *quality > 0), other) {
            (None, Some(_), Some(other)) => other,
            (Some((quality, _)), Some(any), Some(other)) if any > quality => other,
            (Some((_, language)), _, _) => language,
            (None, _, _) => Self::default(),
        }
    }
}

const QUALITY_MAX: u16 = 1_000;

/// A quality of RFC 9110: from 0 to 1, with up to three digits after the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    if rest.len() > 3 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest: u16 = format!("{rest:0<3}").parse().ok()?;
    match whole {
        "0" => Some(rest),
        "1" if rest == 0 => Some(QUALITY_MAX),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_wanted_most_is_found_in_whatever_header() {
        let check = |header: &str, want: Language| assert_eq!(Language::accepted(header), want, "{header}");
        check("", Language::English);
        check("ko", Language::Korean);
        check("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", Language::Korean);
        check("en;q=0.1, RU-ru;q=0.2", Language::Russian);
        check("fr-CH, fr;q=0.9, ru;q=0.5, *;q=0.1", Language::Russian);
        check("fr", Language::English);
        check("ru;q=0, ko;q=0", Language::English);
        check("en;q=0, *", Language::Korean);
        check("*", Language::English);
        check("en;q=0.5, *;q=0.8", Language::Korean);
        check("ko;q=2, ru;q=0.001", Language::Russian);
        check("ko;q=0.1234, ru", Language::Russian);
        check("korean, russian", Language::English);
        check(";;,,q=1,;q", Language::English);
    }

    #[test]
    fn numbers_are_written_as_the_language_does() {
        let check = |language: Language, plain: &str, want: &str| assert_eq!(language.number(plain), want);
        check(Language::English, "0", "0");
        check(Language::English, "999", "999");
        check(Language::English, "1234.5", "1,234.5");
        check(Language::Korean, "-1234567", "-1,234,567");
        check(Language::Korean, "-123", "-123");
        check(Language::Russian, "1234567.25", "1\u{a0}234\u{a0}567,25");
        check(Language::Russian, "< 0.001", "< 0,001");
    }

    #[test]
    fn every_language_is_found_by_its_code() {
        for language in Language::ALL {
            assert_eq!(Language::from_code(language.code()), Some(language));
        }
        assert_eq!(Language::from_code("EN"), None);
    }
}
