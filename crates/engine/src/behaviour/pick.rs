//! The rows of a spine whose codes are wanted: most are not, so a few of them are looked at together.

use ebbtide_store::SpineCodes;

use super::kernel::Code;

/// So many codes are compared at once.
const TOGETHER: usize = 32;
/// With more wanted codes each row's is looked up.
const COMPARED_MAX: usize = 4;

/// Calls `take` with the place of each wanted code, ascending. `is_wanted` is by code.
pub(super) fn places_of(codes: &SpineCodes, is_wanted: &[bool], take: impl FnMut(usize)) {
    match codes {
        SpineCodes::Byte(codes) => wanted_places(codes, is_wanted, take),
        SpineCodes::Short(codes) => wanted_places(codes, is_wanted, take),
    }
}

fn wanted_places<C: Code>(codes: &[C], is_wanted: &[bool], mut take: impl FnMut(usize)) {
    let wanted = is_wanted.iter().enumerate().filter(|(_, is_wanted)| **is_wanted);
    let wanted: Vec<C> = wanted.filter_map(|(code, _)| C::of(code)).collect();
    if wanted.len() > COMPARED_MAX {
        let is_wanted = |code: C| is_wanted.get(code.place()).copied().unwrap_or(false);
        codes.iter().enumerate().filter(|(_, code)| is_wanted(**code)).for_each(|(place, _)| take(place));
        return;
    }
    for (index, chunk) in codes.chunks(TOGETHER).enumerate() {
        // Without a branch for each, so that they are compared side by side.
        let has = |wanted: &C| chunk.iter().fold(false, |found, code| found | (code == wanted));
        if wanted.iter().any(has) {
            let own = chunk.iter().enumerate().filter(|(_, code)| wanted.contains(code));
            own.for_each(|(place, _)| take(index * TOGETHER + place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_places_are_those_of_wanted_codes() {
        let codes: Vec<u8> = (0..1_000_u32).map(|place| (place * place % 61) as u8).collect();
        let short = codes.iter().copied().map(u16::from).collect::<Vec<u16>>();
        for wanted in [&[][..], &[0], &[60], &[1, 4, 9], &[0, 1, 4, 9, 16, 25], &[99]] {
            for end in [0, 1, 31, 32, 33, 1_000] {
                let is_wanted: Vec<bool> = (0..70).map(|code| wanted.contains(&code)).collect();
                let mut found = Vec::new();
                wanted_places(&codes[..end], &is_wanted, |place| found.push(place));
                let mut of_short = Vec::new();
                wanted_places(&short[..end], &is_wanted, |place| of_short.push(place));
                let want: Vec<usize> =
                    (0..end).filter(|place| wanted.contains(&i32::from(codes[*place]))).collect();
                assert_eq!(found, want, "{wanted:?} {end}");
                assert_eq!(of_short, want, "{wanted:?} {end}");
            }
        }
    }
}
