//! Sessions with an id that have been idle: of each so much as a late event may need, which is little, for there are
//! more of them with every hour.

use hashbrown::HashTable;

use super::users::Print;
use crate::behaviour::dropoff::Session;

/// Enough that no one table is large: where it grows it does so in no time.
const SHARDS: usize = 64;

#[derive(Debug)]
pub(super) struct Ended {
    /// By bits of the print that records do not have.
    shards: Vec<HashTable<Record>>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    /// The first 96 bits.
    print: [u32; 3],
    /// When its last event was, in halves.
    last: [u32; 2],
    /// By bit: the steps that it was at; and in the bits from [`PLACE`] on the last of them.
    steps: u32,
}

/// Steps are 20 at most.
const PLACE: u32 = 24;

impl Ended {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }

    /// Keeps an idle session; false where it cannot be told in so few bytes.
    pub(super) fn put(&mut self, id: Print, session: &Session) -> bool {
        let Some((last, reached, place)) = session.in_brief() else { return false };
        let Some(reached) = u32::try_from(reached).ok().filter(|reached| reached >> PLACE == 0) else {
            return false;
        };
        let record =
            Record { print: print_of(id), last: halves(last), steps: reached | u32::from(place) << PLACE };
        self.shards[shard_of(id)].insert_unique(id[0], record, |record| hash_of(record.print));
        true
    }

    /// Takes out the session of an id.
    pub(super) fn take(&mut self, id: Print) -> Option<Session> {
        let print = print_of(id);
        let found = self.shards[shard_of(id)].find_entry(id[0], |record| record.print == print).ok()?;
        let (record, _) = found.remove();
        let place = u8::try_from(record.steps >> PLACE).unwrap_or(0);
        Some(Session::of_brief((whole(record.last), u64::from(record.steps & ((1 << PLACE) - 1)), place)))
    }

    pub(super) fn bytes(&self) -> usize {
        self.shards.iter().map(HashTable::allocation_size).sum()
    }
}

fn shard_of(id: Print) -> usize {
    usize::try_from(id[1] >> 32).unwrap_or(0) % SHARDS
}

fn print_of(id: Print) -> [u32; 3] {
    let [low, high] = [id[0], id[0] >> 32].map(low_half);
    [low, high, low_half(id[1])]
}

fn hash_of(print: [u32; 3]) -> u64 {
    u64::from(print[0]) | u64::from(print[1]) << 32
}

fn halves(number: i64) -> [u32; 2] {
    let bits = number.cast_unsigned();
    [low_half(bits), low_half(bits >> 32)]
}

fn whole(halves: [u32; 2]) -> i64 {
    (u64::from(halves[0]) | u64::from(halves[1]) << 32).cast_signed()
}

fn low_half(bits: u64) -> u32 {
    u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX)
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
        assert!(ended.bytes() < 5_000 * 64, "{}", ended.bytes());
        for number in 0..5_000 {
            let session = ended.take(id(number)).unwrap();
            assert_eq!(session.in_brief(), Some(brief(number)));
            assert_eq!(ended.take(id(number)), None);
        }
        for last in [i64::MIN, -1, 0, i64::MAX] {
            ended.put(id(1), &Session::of_brief((last, 3, 1)));
            assert_eq!(ended.take(id(1)).unwrap().in_brief(), Some((last, 3, 1)));
        }
        assert!(!ended.put(id(1), &Session::of_brief((0, 1 << PLACE, 1))));
    }
}
