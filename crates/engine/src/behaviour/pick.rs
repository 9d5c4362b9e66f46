//! The rows of a spine whose codes are wanted: most are not, so a few of them are looked at together.

/// So many codes are compared at once.
const TOGETHER: usize = 32;
/// With more wanted codes each row's is looked up.
const COMPARED_MAX: usize = 4;

/// Calls `take` with the place of each wanted code, ascending. `is_wanted` is by code.
pub(super) fn wanted_places(codes: &[u16], is_wanted: &[bool], mut take: impl FnMut(usize)) {
    let wanted = is_wanted.iter().zip(0..=u16::MAX).filter(|(is_wanted, _)| **is_wanted);
    let wanted: Vec<u16> = wanted.map(|(_, code)| code).collect();
    if wanted.len() > COMPARED_MAX {
        let is_wanted = |code: u16| is_wanted.get(usize::from(code)).copied().unwrap_or(false);
        codes.iter().enumerate().filter(|(_, code)| is_wanted(**code)).for_each(|(place, _)| take(place));
        return;
    }
    for (index, chunk) in codes.chunks(TOGETHER).enumerate() {
        // Without a branch for each, so that they are compared side by side.
        let has = |wanted: &u16| chunk.iter().fold(false, |found, code| found | (code == wanted));
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
        let codes: Vec<u16> = (0..1_000_u32).map(|place| (place * place % 61) as u16).collect();
        for wanted in [&[][..], &[0], &[60], &[1, 4, 9], &[0, 1, 4, 9, 16, 25], &[99]] {
            for end in [0, 1, 31, 32, 33, 1_000] {
                let is_wanted: Vec<bool> = (0..70).map(|code| wanted.contains(&code)).collect();
                let mut found = Vec::new();
                wanted_places(&codes[..end], &is_wanted, |place| found.push(place));
                let want: Vec<usize> =
                    (0..end).filter(|place| wanted.contains(&i32::from(codes[*place]))).collect();
                assert_eq!(found, want, "{wanted:?} {end}");
            }
        }
    }
}
