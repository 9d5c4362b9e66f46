//! Texts of few bytes as numbers, which are compared and looked up faster than texts.

/// Bytes of a short text, at most.
const BYTES_MAX: usize = 15;

/// A text as a number that no other has: its bytes, zeros, and how long it is. `None` of a longer one.
pub(crate) fn packed(text: &[u8]) -> Option<u128> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let mut bytes = [0; 16];
    bytes[..text.len()].copy_from_slice(text);
    Some(u128::from_le_bytes(bytes) | (text.len() as u128) << 120)
}

/// Remembers a number for each of the last short texts.
#[derive(Debug)]
pub(crate) struct RecentTexts {
    places: Vec<(u128, u32)>,
}

/// Places for them; where two texts have the same, the last one is remembered.
const PLACES_BITS: u32 = 10;
/// Longer than any text is.
const NOTHING: u128 = u128::MAX;

impl Default for RecentTexts {
    fn default() -> Self {
        Self { places: vec![(NOTHING, 0); 1 << PLACES_BITS] }
    }
}

impl RecentTexts {
    fn place(text: u128) -> usize {
        let [low, high] = [text as u64, (text >> 64) as u64];
        let mixed = (low ^ high.rotate_left(31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(mixed >> (u64::BITS - PLACES_BITS)).unwrap_or(0)
    }

    pub(crate) fn find(&self, text: u128) -> Option<u32> {
        let (known, number) = self.places[Self::place(text)];
        (known == text).then_some(number)
    }

    pub(crate) fn note(&mut self, text: u128, number: u32) {
        self.places[Self::place(text)] = (text, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_told_apart_and_remembered() {
        let texts: Vec<String> = (0..5_000).map(|number: u32| number.to_string()).collect();
        let mut recent = RecentTexts::default();
        for (number, text) in (0..).zip(&texts) {
            let packed = packed(text.as_bytes()).unwrap();
            assert_eq!(recent.find(packed), None);
            recent.note(packed, number);
            assert_eq!(recent.find(packed), Some(number));
        }
        let texts = [&b""[..], b"\0", b"\0\0", b"a", b"a\0", b"123456789012345"];
        let mut numbers: Vec<Option<u128>> = texts.iter().map(|text| packed(text)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!((numbers.len(), packed(b"1234567890123456")), (texts.len(), None));
    }
}
