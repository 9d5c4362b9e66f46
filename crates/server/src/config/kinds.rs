//! What a setting's value may be: how it is read from a file or a variable, shown, and bounded.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Hidden;
use crate::apps::bundled;

/// A value as it was given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    /// A file's text.
    Text(String),
    Integer(i64),
    Bool(bool),
    /// A file's list of texts, or a flag that may be given several times.
    List(Vec<String>),
    /// A variable's or a flag's, which has no type of its own.
    Bare(String),
    /// Of a type that no setting has, as it was written.
    Other(String),
}

impl Given {
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) | Self::Bare(text) => format!("{text:?}"),
            Self::Integer(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::List(items) => format!("{items:?}"),
            Self::Other(written) => written.clone(),
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Bare(text) => Some(text),
            Self::Integer(_) | Self::Bool(_) | Self::List(_) | Self::Other(_) => None,
        }
    }

    fn list(&self) -> Option<Vec<String>> {
        match self {
            Self::List(items) => Some(items.clone()),
            Self::Bare(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(items.map(str::to_owned).collect())
            }
            Self::Text(_) | Self::Integer(_) | Self::Bool(_) | Self::Other(_) => None,
        }
    }

    fn number(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            Self::Bare(text) => digits(text),
            Self::Text(_) | Self::Bool(_) | Self::List(_) | Self::Other(_) => None,
        }
    }
}

/// The value does not fit; what does is [`Setting::allowed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misfit;

/// One value of a configuration.
pub(super) trait Setting {
    /// Takes a value; paths are relative to `base`.
    fn set(&mut self, given: &Given, base: &Path) -> Result<(), Misfit>;

    /// As a file has it; `None` where there is none.
    fn shown(&self) -> Option<String>;

    /// What a value may be.
    fn allowed(&self) -> String;
}

/// Numbers that settings are kept in.
pub(super) trait Whole: Copy + TryFrom<u64> + TryInto<u64> {}
impl<N: Copy + TryFrom<u64> + TryInto<u64>> Whole for N {}

/// How many.
pub(super) struct Count<'c, N>(pub(super) &'c mut N, pub(super) RangeInclusive<u64>);

/// How many bytes: a number, or text such as `16MiB`.
pub(super) struct Bytes<'c, N>(pub(super) &'c mut N, pub(super) RangeInclusive<u64>);

/// How long: text such as `30s`.
pub(super) struct Time<'c>(pub(super) &'c mut Duration, pub(super) RangeInclusive<Duration>);

/// How long in whole seconds.
pub(super) struct Seconds<'c>(pub(super) &'c mut u8, pub(super) RangeInclusive<u8>);

/// Text that its rule lets through.
pub(super) struct Text<'c> {
    pub(super) value: &'c mut Option<String>,
    pub(super) allowed: &'static str,
    pub(super) fits: fn(&str) -> bool,
}

/// As [`Text`], where there always is one.
pub(super) struct Word<'c> {
    pub(super) value: &'c mut String,
    pub(super) allowed: &'static str,
    pub(super) fits: fn(&str) -> bool,
}

/// A list of texts that their rule lets through.
pub(super) struct Texts<'c> {
    pub(super) values: &'c mut Vec<String>,
    pub(super) allowed: &'static str,
    pub(super) fits: fn(&str) -> bool,
}

pub(super) struct Yes<'c>(pub(super) &'c mut bool);

/// Text that is never shown.
pub(super) struct Kept<'c>(pub(super) &'c mut Option<Hidden>);

pub(super) struct File<'c>(pub(super) &'c mut Option<PathBuf>);

pub(super) struct Files<'c>(pub(super) &'c mut Vec<PathBuf>);

/// Apps: a bundled pack's name, a pack's folder, or `NAME=FOLDER`.
pub(super) struct Apps<'c>(pub(super) &'c mut Vec<String>);

/// One of a few words.
pub(super) struct OneOf<'c, T: 'static>(pub(super) &'c mut T, pub(super) &'static [(&'static str, T)]);

fn put<N: Whole>(slot: &mut N, number: Option<u64>, range: &RangeInclusive<u64>) -> Result<(), Misfit> {
    let number = number.filter(|number| range.contains(number)).ok_or(Misfit)?;
    *slot = N::try_from(number).map_err(|_| Misfit)?;
    Ok(())
}

fn number<N: Whole>(value: N) -> u64 {
    value.try_into().unwrap_or(u64::MAX)
}

impl<N: Whole> Setting for Count<'_, N> {
    fn set(&mut self, given: &Given, _: &Path) -> Result<(), Misfit> {
        put(self.0, given.number(), &self.1)
    }

    fn shown(&self) -> Option<String> {
        Some(number(*self.0).to_string())
    }

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.1.start(), self.1.end())
    }
}

impl<N: Whole> Setting for Bytes<'_, N> {
    fn set(&mut self, given: &Given, _: &Path) -> Result<(), Misfit> {
        put(self.0, given.number().or_else(|| parse_bytes(given.text()?)), &self.1)
    }

    fn shown(&self) -> Option<String> {
        Some(format!("{:?}", show_bytes(number(*self.0))))
    }

    fn allowed(&self) -> String {
        let (least, most) = (show_bytes(*self.1.start()), show_bytes(*self.1.end()));
        format!("bytes from {least} to {most}: a number, or text such as \"16MiB\"")
    }
}

impl Setting for Time<'_> {
    fn set(&mut self, given: &Given, _: &Path) -> Result<(), Misfit> {
        let time = given.text().and_then(parse_time).filter(|time| self.1.contains(time));
        *self.0 = time.ok_or(Misfit)?;
        Ok(())
    }

    fn shown(&self) -> Option<String> {
        Some(format!("{:?}", show_time(*self.0)))
    }

    fn allowed(&self) -> String {
        let (least, most) = (show_time(*self.1.start()), show_time(*self.1.end()));
        format!("a time from {least} to {most}: text such as \"500ms\", \"30s\", \"10m\" or \"1h\"")
    }
}

impl Setting for Seconds<'_> {
    fn set(&mut self, given: &Given, _: &Path) -> Result<(), Misfit> {
        let time = given.text().and_then(parse_time).filter(|time| time.subsec_nanos() == 0);
        let seconds = time.and_then(|time| u8::try_from(time.as_secs()).ok());
        *self.0 = seconds.filter(|seconds| self.1.contains(seconds)).ok_or(Misfit)?;
        Ok(())
    }

    fn shown(&self) -> Option<String> {
        Some(format!("\"{}s\"", self.0))
    }

    fn allowed(&self) -> String {
        format!("whole seconds from {}s to {}s: text such as \"30s\"", self.1.start(), self.1.end())
    }
}

impl Setting for Text<'_> {
    fn set(&mut self, given: &Given, _: &Path) -> Result<(), Misfit> {
        *self.value = Some(given.text().filter(|text| (self.fits)(text)).ok_or(Misfit)?.to_owned());
        Ok(())
    }

    fn shown(&self) -> Option<String> {
        self.value.as_ref().map(|text| format!("{text:?}"))
    }

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }
}

impl Setting for Word<'_> {
    fn set(&mut self, given: &Given, _: &Path) -> Result<(), Misfit> {
        *self.value = given.text().filter(|text| (self.fits)(text)).ok_or(Misfit)?.to_owned();
        Ok(())
    }

    fn shown(&self) -> Option<String> {
        Some(format!("{:?}", self.value))
    }

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }
}

impl Setting for Texts<'_> {
    fn set(&mut self, given: &Given, _: &Path) -> Result<(), Misfit> {
        let list = given.list().ok_or(Misfit)?;
        if !list.iter().all(|text| (self.fits)(text)) {
            return Err(Misfit);
        }
        *self.values = list;
        Ok(())
    }

    fn shown(&self) -> Option<String> {
        Some(show_list(self.values.iter()))
    }

    fn allowed(&self) -> String {
        format!("a list of {}", self.allowed)
    }
}

impl Setting for Yes<'_> {
    fn set(&mut self, given: &Given, _: &Path) -> Result<(), Misfit> {
        *self.0 = match given {
            Given::Bool(value) => *value,
            Given::Bare(text) if text == "true" => true,
            Given::Bare(text) if text == "false" => false,
            Given::Bare(_) | Given::Text(_) | Given::Integer(_) | Given::List(_) | Given::Other(_) => {
                return Err(Misfit);
            }
        };
        Ok(())
    }

    fn shown(&self) -> Option<String> {
        Some(self.0.to_string())
    }

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }
}

impl Setting for Kept<'_> {
    fn set(&mut self, given: &Given, _: &Path) -> Result<(), Misfit> {
        *self.0 = Some(Hidden::new(given.text().ok_or(Misfit)?));
        Ok(())
    }

    fn shown(&self) -> Option<String> {
        self.0.as_ref().map(|_| "\"(not shown)\"".to_owned())
    }

    fn allowed(&self) -> String {
        "text of at least 32 bytes".to_owned()
    }
}

impl Setting for File<'_> {
    fn set(&mut self, given: &Given, base: &Path) -> Result<(), Misfit> {
        *self.0 = Some(base.join(given.text().filter(|path| !path.is_empty()).ok_or(Misfit)?));
        Ok(())
    }

    fn shown(&self) -> Option<String> {
        self.0.as_ref().map(|path| format!("{:?}", path.display().to_string()))
    }

    fn allowed(&self) -> String {
        "a path".to_owned()
    }
}

impl Setting for Files<'_> {
    fn set(&mut self, given: &Given, base: &Path) -> Result<(), Misfit> {
        let list = given.list().filter(|list| list.iter().all(|path| !path.is_empty()));
        *self.0 = list.ok_or(Misfit)?.iter().map(|path| base.join(path)).collect();
        Ok(())
    }

    fn shown(&self) -> Option<String> {
        Some(show_list(self.0.iter().map(|path| path.display().to_string())))
    }

    fn allowed(&self) -> String {
        "a list of paths".to_owned()
    }
}

impl Setting for Apps<'_> {
    fn set(&mut self, given: &Given, base: &Path) -> Result<(), Misfit> {
        let list = given.list().filter(|list| list.iter().all(|app| !app.is_empty()));
        *self.0 = list.ok_or(Misfit)?.iter().map(|app| app_from(app, base)).collect();
        Ok(())
    }

    fn shown(&self) -> Option<String> {
        Some(show_list(self.0.iter()))
    }

    fn allowed(&self) -> String {
        "a list of bundled packs' names, packs' folders, or NAME=FOLDER".to_owned()
    }
}

/// With the pack's folder relative to `base`, where it is a folder.
fn app_from(app: &str, base: &Path) -> String {
    let (name, from) = match app.split_once('=') {
        Some((name, from)) => (Some(name), from),
        None => (None, app),
    };
    if bundled(from).is_some() || base.as_os_str().is_empty() {
        return app.to_owned();
    }
    let from = base.join(from).display().to_string();
    name.map_or_else(|| from.clone(), |name| format!("{name}={from}"))
}

impl<T: Copy + PartialEq> Setting for OneOf<'_, T> {
    fn set(&mut self, given: &Given, _: &Path) -> Result<(), Misfit> {
        let text = given.text().ok_or(Misfit)?;
        *self.0 = self.1.iter().find(|(word, _)| *word == text).ok_or(Misfit)?.1;
        Ok(())
    }

    fn shown(&self) -> Option<String> {
        self.1.iter().find(|(_, value)| value == self.0).map(|(word, _)| format!("{word:?}"))
    }

    fn allowed(&self) -> String {
        let words: Vec<String> = self.1.iter().map(|(word, _)| format!("{word:?}")).collect();
        words.join(" or ")
    }
}

fn show_list(items: impl Iterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.map(|item| format!("{:?}", item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

const BYTE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

fn parse_bytes(text: &str) -> Option<u64> {
    let (unit, size) = BYTE_UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
    digits(text.strip_suffix(unit)?.trim_end())?.checked_mul(*size)
}

/// In the largest unit that it is whole in.
fn show_bytes(bytes: u64) -> String {
    let whole = BYTE_UNITS.iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    whole.map_or_else(|| format!("{bytes}B"), |(unit, size)| format!("{}{unit}", bytes / size))
}

const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

fn parse_time(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let (_, milliseconds) = TIME_UNITS.iter().find(|(known, _)| *known == unit)?;
    digits(text.strip_suffix(unit)?)?.checked_mul(*milliseconds).map(Duration::from_millis)
}

fn show_time(time: Duration) -> String {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let whole =
        TIME_UNITS.iter().find(|(_, size)| milliseconds >= *size && milliseconds.is_multiple_of(*size));
    whole.map_or_else(|| "0s".to_owned(), |(unit, size)| format!("{}{unit}", milliseconds / size))
}

/// A number without sign, point or spaces.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_a_number_with_a_unit_and_shown_in_the_largest_whole_one() {
        let check = |text: &str, want: Option<u64>| assert_eq!(parse_bytes(text), want, "{text:?}");
        check("16MiB", Some(16 << 20));
        check("16 MiB", Some(16 << 20));
        check("1GiB", Some(1 << 30));
        check("5B", Some(5));
        for bad in ["", "MiB", "16", "16MB", "16mib", "-1MiB", "+1MiB", "1.5MiB", "18446744073709551615KiB"] {
            check(bad, None);
        }
        for (bytes, want) in [(0, "0B"), (1, "1B"), (1_536, "1536B"), (2_048, "2KiB"), (3 << 30, "3GiB")] {
            assert_eq!(show_bytes(bytes), want);
            assert_eq!(parse_bytes(want), Some(bytes));
        }
    }

    #[test]
    fn times_are_a_number_with_a_unit_and_shown_in_the_largest_whole_one() {
        let check = |text: &str, want: Option<u64>| {
            assert_eq!(parse_time(text), want.map(Duration::from_millis), "{text:?}");
        };
        check("500ms", Some(500));
        check("30s", Some(30_000));
        check("10m", Some(600_000));
        check("1h", Some(3_600_000));
        check("0s", Some(0));
        for bad in ["", "s", "30", "30 s", "-1s", "1.5s", "1d", "1é", "18446744073709551615h"] {
            check(bad, None);
        }
        for (milliseconds, want) in [(0, "0s"), (1_500, "1500ms"), (90_000, "90s"), (7_200_000, "2h")] {
            assert_eq!(show_time(Duration::from_millis(milliseconds)), want);
        }
    }
}
