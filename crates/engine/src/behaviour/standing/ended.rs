//! Sessions with an id that have been idle: of each so much as a late event may need, which is little, for there are
//! more of them with every hour.

use hashbrown::HashMap;

use super::users::Print;
use crate::behaviour::dropoff::Session;

/// By ten bits of the print, which records lack therefore. One is searched from its first record to its last: new
/// sessions are few beside events.
const SHARDS: usize = 1 << 10;
/// A shard grows by one of so many of its records, and by this many more: what is not taken is little.
const GROWTH_ONE_OF: usize = 16;
const GROWTH_MIN: usize = 4;
/// Times of records, in microseconds from the first one's: four years before and after.
const LAST_BITS: u32 = 48;

#[derive(Debug)]
pub(super) struct Ended {
    shards: Vec<Vec<Record>>,
    /// The earliest time that records can tell, where there are any.
    since: Option<i64>,
    /// What sessions were by their end, by number: their steps by bit, and the last of these.
    kinds: Vec<(u64, u8)>,
    numbers: HashMap<(u64, u8), u16>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    /// 64 bits of it, in halves.
    print: [u32; 2],
    /// When its last event was, and which kind it is: 48 bits and 16.
    rest: [u32; 2],
}

impl Ended {
    pub(super) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Vec::new()).collect();
        Self { shards, since: None, kinds: Vec::new(), numbers: HashMap::new() }
    }

    /// Keeps an idle session; false where it cannot be told in so few bytes.
    pub(super) fn put(&mut self, id: Print, session: &Session) -> bool {
        let Some((last, reached, place)) = session.in_brief() else { return false };
        let since = *self.since.get_or_insert(last.saturating_sub(1 << (LAST_BITS - 1)));
        let after = last.checked_sub(since).and_then(|after| u64::try_from(after).ok());
        let Some(after) = after.filter(|after| after >> LAST_BITS == 0) else { return false };
        let Some(kind) = self.kind_of((reached, place)) else { return false };
        let record = Record { print: halves(id[0]), rest: halves(after | u64::from(kind) << LAST_BITS) };
        let shard = &mut self.shards[shard_of(id)];
        if shard.len() == shard.capacity() {
            shard.reserve_exact(shard.len() / GROWTH_ONE_OF + GROWTH_MIN);
        }
        shard.push(record);
        true
    }

    fn kind_of(&mut self, kind: (u64, u8)) -> Option<u16> {
        if let Some(number) = self.numbers.get(&kind) {
            return Some(*number);
        }
        let number = u16::try_from(self.kinds.len()).ok()?;
        self.kinds.push(kind);
        self.numbers.insert(kind, number);
        Some(number)
    }

    /// Takes out the session of an id.
    pub(super) fn take(&mut self, id: Print) -> Option<Session> {
        let shard = &mut self.shards[shard_of(id)];
        let print = halves(id[0]);
        let place = shard.iter().position(|record| record.print == print)?;
        let rest = whole(shard.swap_remove(place).rest);
        let (reached, step) = self.kinds.get(usize::try_from(rest >> LAST_BITS).ok()?).copied()?;
        let last = self.since?.checked_add_unsigned(rest & ((1 << LAST_BITS) - 1))?;
        Some(Session::of_brief((last, reached, step)))
    }

    pub(super) fn bytes(&self) -> usize {
        let records: usize = self.shards.iter().map(Vec::capacity).sum();
        records * size_of::<Record>() + SHARDS * size_of::<Vec<Record>>() + self.kinds.len() * 64
    }
}

fn shard_of(id: Print) -> usize {
    usize::try_from(id[1] >> 32).unwrap_or(0) % SHARDS
}

fn halves(bits: u64) -> [u32; 2] {
    [bits, bits >> 32].map(|bits| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX))
}

fn whole(halves: [u32; 2]) -> u64 {
    u64::from(halves[0]) | u64::from(halves[1]) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_taken_out_once_as_it_was() {
        let id = |number: u64| {
            [number.wrapping_mul(0x9E37_79B9_7F4A_7C15), number.wrapping_mul(0xC2B2_AE3D_27D4_EB4F)]
        };
        let brief = |number: u64| {
            let last = i64::try_from(number).unwrap() * 7_919 - 20_000_000_000;
            let reached = (number % (1 << 20)) | 1;
            (last, reached, u8::try_from(number % 20).unwrap())
        };
        let mut ended = Ended::new();
        for number in 0..5_000 {
            assert!(ended.put(id(number), &Session::of_brief(brief(number))));
        }
        let shards = SHARDS * (size_of::<Vec<Record>>() + GROWTH_MIN * size_of::<Record>());
        assert!(ended.bytes() < shards + 5_000 * (18 + 64), "{}", ended.bytes());
        for number in 0..5_000 {
            let session = ended.take(id(number)).unwrap();
            assert_eq!(session.in_brief(), Some(brief(number)));
            assert_eq!(ended.take(id(number)), None);
        }
        // Others stay where they are.
        for last in [i64::MIN, i64::MAX, 1 << LAST_BITS] {
            assert!(!ended.put(id(1), &Session::of_brief((last, 3, 1))), "{last}");
        }
        for last in [i64::MIN, -1, 0, i64::MAX] {
            let mut ended = Ended::new();
            assert!(ended.put(id(1), &Session::of_brief((last, 3, 1))));
            assert_eq!(ended.take(id(1)).unwrap().in_brief(), Some((last, 3, 1)));
        }
        let kinds =
            (0..70_000).filter(|kind| ended.put(id(1), &Session::of_brief((0, kind << 8, 1)))).count();
        assert!(kinds < 70_000, "there is room for the number of a kind in two bytes");
    }
}
