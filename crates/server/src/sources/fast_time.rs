//! Instants in the one layout that nearly every file has, read without a general parser. Whatever
//! differs from it is left to [`ebbtide_model::Instant::parse`], so this path may refuse but never
//! disagree.

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Microseconds since 1970 of `YYYY-MM-DDTHH:MM:SS[.f…][Z|±HH:MM]`, without an offset UTC; `None` for
/// every other layout and for fields out of range.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || bytes[4] != b'-' || bytes[7] != b'-' || bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    if !matches!(bytes[10], b'T' | b' ') {
        return None;
    }
    let year = digits(&bytes[0..4])?;
    let month = digits(&bytes[5..7])?;
    let day = digits(&bytes[8..10])?;
    let hour = digits(&bytes[11..13])?;
    let minute = digits(&bytes[14..16])?;
    let second = digits(&bytes[17..19])?;
    let in_range = (1..=9998).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let (micros, rest) = fraction(&bytes[19..])?;
    let offset_seconds = offset(rest)?;
    let seconds =
        days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_seconds;
    Some(seconds * MICROS_PER_SECOND + micros)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    let mut number = 0;
    for byte in bytes {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(byte - b'0');
    }
    Some(number)
}

/// The microseconds of `.f…` with one to six digits, and what follows them.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(b'.') = bytes.first() else {
        return Some((0, bytes));
    };
    let length = bytes[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=6).contains(&length) {
        return None;
    }
    let mut micros = digits(&bytes[1..=length])?;
    for _ in length..6 {
        micros *= 10;
    }
    Some((micros, &bytes[1 + length..]))
}

/// Seconds east of UTC.
fn offset(bytes: &[u8]) -> Option<i64> {
    match bytes {
        [] | [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            let seconds = hours * 3_600 + minutes * 60;
            let valid = hours < 24 && minutes < 60;
            valid.then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, by counting years from March, so that
/// the leap day is a year's last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year_from_march = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let era = year_from_march.div_euclid(400);
    let year_of_era = year_from_march.rem_euclid(400);
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    const DAYS_PER_ERA: i64 = 146_097;
    const DAYS_TO_1970: i64 = 719_468;
    era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    use ebbtide_model::Instant;

    use super::*;

    #[test]
    fn the_fast_path_never_disagrees_with_the_model() {
        let check = |text: &str| {
            if let Some(micros) = parse(text) {
                assert_eq!(Instant::parse(text).map(Instant::micros), Ok(micros), "{text}");
            }
        };
        for year in [1, 1600, 1899, 1900, 1969, 1970, 1999, 2000, 2024, 2100, 9998] {
            for month in 1..=13 {
                for day in [1, 28, 29, 30, 31, 32] {
                    check(&format!("{year:04}-{month:02}-{day:02}T23:59:59.999999Z"));
                    check(&format!("{year:04}-{month:02}-{day:02} 00:00:00-11:30"));
                    check(&format!("{year:04}-{month:02}-{day:02}T12:34:56.7+14:00"));
                }
            }
        }
        for odd in [
            "2024-02-29T24:00:00Z",
            "2024-02-29T10:60:00Z",
            "2024-02-29T10:00:60Z",
            "2024-02-29T10:00:00.Z",
            "2024-02-29T10:00:00+25:00",
            "2024-02-29T10:00:00+23:59",
            "2024-02-29T10:00:00+10:60",
            "2024-02-29T10:00:00z",
            "2024-02-29T10:00:00.1234567Z",
            "2024-02-29T10:00:00[UTC]",
            "2024-02-29T10:00:00+05",
            "2024-02-29T10:00:00 Z",
            "٢٠٢٤-02-29T10:00:00Z",
        ] {
            check(odd);
        }
    }

    #[test]
    fn the_usual_layouts_take_the_fast_path() {
        for usual in [
            "2024-02-29T10:00:00Z",
            "2024-02-29T10:00:00",
            "2024-02-29 10:00:00.123456+00:00",
            "2024-02-29T10:00:00.5-05:00",
        ] {
            assert!(parse(usual).is_some(), "{usual}");
        }
    }
}
