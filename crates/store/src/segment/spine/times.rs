//! When the events of a spine were: whole numbers of ticks, in four bytes each, by which almost every comparison
//! is decided, and the rest of each time beside them, in a few bits. Together they are exact.

use std::ops::Range;

use arrow::buffer::ScalarBuffer;
use bytes::{BufMut, Bytes};

use super::NO_TIME;

/// Ticks divide this, so that seconds, and with them all calendar periods, begin with one.
const SECOND: i64 = 1_000_000;
/// A rest is a number of at most so many bits.
const REST_BITS_MAX: u32 = 16;
/// What is read at once of the rests, which therefore go on by so many bytes less one.
const REST_READ_BYTES: usize = 4;

/// Times by row, in microseconds; a run's ascend.
#[derive(Clone, Debug)]
pub enum SpineTimes {
    /// As they are; [`NO_TIME`] where there is none.
    Whole(ScalarBuffer<i64>),
    Ticks(SpineTicks),
}

/// Times as ticks and rests.
#[derive(Clone, Debug)]
pub struct SpineTicks {
    ticks: ScalarBuffer<u32>,
    scale: Scale,
    /// How many bits a rest has.
    rest_bits: u32,
    /// Of all rows of the group.
    rests: Bytes,
    /// The place among them of the first tick's rest.
    first: usize,
    /// The earliest and the latest time of the group.
    within: (i64, i64),
}

/// How ticks stand for times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    /// The time of tick 0: a whole number of ticks since 1970.
    pub(super) base: i64,
    /// Microseconds of a tick.
    pub(super) tick: i64,
    /// Rests are multiples of so many microseconds.
    pub(super) grain: i64,
}

impl SpineTimes {
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(times) => times.len(),
            Self::Ticks(times) => times.ticks.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The time of a row, in microseconds, or [`NO_TIME`]; rows are counted from the first.
    ///
    /// # Panics
    /// Where there is no such row.
    #[inline]
    pub fn at(&self, row: usize) -> i64 {
        match self {
            Self::Whole(times) => times[row],
            Self::Ticks(times) => times.at(row),
        }
    }

    /// Those of some rows.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        match self {
            Self::Whole(times) => Self::Whole(times.slice(rows.start, rows.len())),
            Self::Ticks(times) => Self::Ticks(SpineTicks {
                ticks: times.ticks.slice(rows.start, rows.len()),
                first: times.first + rows.start,
                ..times.clone()
            }),
        }
    }
}

impl SpineTicks {
    /// By row: how many whole ticks there were.
    #[inline]
    pub fn ticks(&self) -> &[u32] {
        &self.ticks
    }

    /// The tick from which on events are not before a time, all those of earlier ticks being before it; `None` where the
    /// time is in the middle of a tick that there may be events of.
    pub fn from(&self, time: i64) -> Option<i64> {
        let (earliest, latest) = self.within;
        if time <= earliest {
            return Some(0);
        }
        if time > latest {
            return Some(i64::MAX);
        }
        self.place(time)
    }

    /// Where a time lies among the ticks, also before the first and after the last one; `None` where it is in the middle
    /// of one.
    pub fn place(&self, time: i64) -> Option<i64> {
        let since = time.checked_sub(self.scale.base)?;
        (since % self.scale.tick == 0).then_some(since / self.scale.tick)
    }

    /// Microseconds of a tick.
    pub fn tick_micros(&self) -> i64 {
        self.scale.tick
    }

    /// The time of a row, in microseconds.
    ///
    /// # Panics
    /// Where there is no such row.
    #[inline]
    pub fn at(&self, row: usize) -> i64 {
        let Scale { base, tick, grain } = self.scale;
        let rest = rest(&self.rests, self.first + row, self.rest_bits);
        base.wrapping_add(i64::from(self.ticks[row]).wrapping_mul(tick)).wrapping_add(i64::from(rest) * grain)
    }
}

impl Scale {
    /// The finest ticks that times between two fit into; `None` where none do, or one has no time.
    fn of(times: &[i64], earliest: i64, latest: i64) -> Option<Self> {
        if earliest == NO_TIME {
            return None;
        }
        let mut grain = SECOND;
        for time in times {
            if time % grain != 0 {
                grain = common_divisor(grain, time.unsigned_abs().cast_signed());
            }
        }
        let fits = |tick: i64| {
            let base = earliest.div_euclid(tick).checked_mul(tick)?;
            let ticks = latest.checked_sub(base)? / tick;
            let scale = Self { base, tick, grain };
            (ticks <= i64::from(u32::MAX) && scale.rest_bits() <= REST_BITS_MAX).then_some(scale)
        };
        let mut ticks: Vec<i64> =
            (0..=6).flat_map(|two| (0..=6).map(move |five| 2_i64.pow(two) * 5_i64.pow(five))).collect();
        ticks.sort_unstable();
        ticks.into_iter().filter(|tick| tick % grain == 0).find_map(fits)
    }

    /// As the file says it; `None` where it cannot be so.
    pub(super) fn new(base: i64, tick: i64, grain: i64) -> Option<Self> {
        let is_sound = grain > 0 && tick >= grain && tick <= SECOND && tick % grain == 0;
        let scale = Self { base, tick, grain };
        (is_sound && scale.rest_bits() <= REST_BITS_MAX).then_some(scale)
    }

    /// How many bits a rest has.
    fn rest_bits(self) -> u32 {
        (self.tick / self.grain - 1).checked_ilog2().map_or(0, |highest| highest + 1)
    }

    /// How many bytes the rests of so many rows take.
    pub(super) fn rest_bytes(self, rows: usize) -> usize {
        match self.rest_bits() as usize {
            0 => 0,
            bits => (rows * bits).div_ceil(8) + REST_READ_BYTES - 1,
        }
    }

    /// The times of a group, once its parts were read; `None` where there are too few rests.
    pub(super) fn times(
        self,
        ticks: ScalarBuffer<u32>,
        rests: Bytes,
        within: (i64, i64),
    ) -> Option<SpineTimes> {
        if rests.len() < self.rest_bytes(ticks.len()) {
            return None;
        }
        Some(SpineTimes::Ticks(SpineTicks {
            ticks,
            scale: self,
            rest_bits: self.rest_bits(),
            rests,
            first: 0,
            within,
        }))
    }
}

fn common_divisor(left: i64, right: i64) -> i64 {
    let (mut left, mut right) = (left, right);
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

#[inline]
fn rest(rests: &[u8], row: usize, bits: u32) -> u32 {
    if bits == 0 {
        return 0;
    }
    let place = row * bits as usize;
    let read = rests.get(place / 8..place / 8 + REST_READ_BYTES).and_then(|bytes| bytes.try_into().ok());
    let word = read.map_or(0, u32::from_le_bytes);
    (word >> (place % 8)) & ((1 << bits) - 1)
}

/// Puts down the times of a group, and says how: `None`, in eight bytes each.
pub(super) fn write(times: &[i64], range: (i64, i64), into: &mut Vec<u8>) -> Option<Scale> {
    let Some(scale) = Scale::of(times, range.0, range.1) else {
        times.iter().for_each(|time| into.put_i64_le(*time));
        return None;
    };
    let since = |time: &i64| time - scale.base;
    for time in times {
        into.put_u32_le(u32::try_from(since(time) / scale.tick).unwrap_or(u32::MAX));
    }
    super::write::pad(into);
    let bits = scale.rest_bits();
    if bits > 0 {
        let start = into.len();
        let (mut word, mut filled) = (0_u64, 0);
        for time in times {
            let rest = since(time) % scale.tick / scale.grain;
            word |= rest.cast_unsigned() << filled;
            filled += bits;
            while filled >= 8 {
                into.put_u8(word.to_le_bytes()[0]);
                word >>= 8;
                filled -= 8;
            }
        }
        if filled > 0 {
            into.put_u8(word.to_le_bytes()[0]);
        }
        into.resize(start + scale.rest_bytes(times.len()), 0);
        super::write::pad(into);
    }
    Some(scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The times as they are read, and how they were written.
    fn written(times: &[i64]) -> (SpineTimes, Option<Scale>) {
        let within = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
        let mut bytes = Vec::new();
        let scale = write(times, within, &mut bytes);
        assert_eq!(bytes.len() % 8, 0);
        let Some(scale) = scale else {
            let whole = bytes.chunks_exact(8).map(|own| i64::from_le_bytes(own.try_into().unwrap()));
            return (SpineTimes::Whole(whole.collect()), None);
        };
        let Scale { base, tick, grain } = scale;
        assert_eq!(Scale::new(base, tick, grain), Some(scale));
        let (ticks, rests) = bytes.split_at(super::super::aligned(times.len() * 4));
        assert!(rests.len() >= scale.rest_bytes(times.len()));
        let ticks = ticks.chunks_exact(4).take(times.len());
        let ticks = ticks.map(|own| u32::from_le_bytes(own.try_into().unwrap())).collect();
        let rests = Bytes::copy_from_slice(&rests[..scale.rest_bytes(times.len())]);
        (scale.times(ticks, rests, within).unwrap(), Some(scale))
    }

    fn check(times: &[i64]) -> Option<Scale> {
        let (found, scale) = written(times);
        let all = |found: &SpineTimes| (0..found.len()).map(|row| found.at(row)).collect::<Vec<i64>>();
        assert_eq!(all(&found), times);
        let part = times.len() / 3..times.len() - times.len() / 4;
        assert_eq!(all(&found.slice(part.clone())), times[part.clone()]);
        assert_eq!(all(&found.slice(part).slice(0..1)), times[times.len() / 3..][..1]);
        if let SpineTimes::Ticks(found) = &found {
            for bound in
                times.iter().flat_map(|time| [*time - 1, *time, time / SECOND * SECOND, time + 5_000])
            {
                let Some(from) = found.from(bound) else { continue };
                for (tick, time) in found.ticks().iter().zip(times) {
                    assert_eq!(i64::from(*tick) < from, *time < bound, "{time} before {bound}");
                }
            }
        }
        scale
    }

    const DAY: i64 = 86_400 * SECOND;

    #[test]
    fn ticks_are_as_fine_as_they_can_be() {
        let tick = |times: &[i64]| check(times).map(|Scale { tick, grain, .. }| (tick, grain));
        let now = 1_750_000_000 * SECOND;
        assert_eq!(tick(&[now]), Some((SECOND, SECOND)));
        assert_eq!(tick(&[now + 1, now + 3]), Some((1, 1)));
        assert_eq!(tick(&[now, now + 3_000, now + 180 * DAY]), Some((4_000, 1_000)));
        assert_eq!(tick(&[now + 1, now + 180 * DAY]), Some((4_000, 1)));
        assert_eq!(tick(&[now + 1, now + 3_000 * DAY]), Some((62_500, 1)));
        assert_eq!(tick(&[now, now + 40_000 * DAY]), Some((SECOND, SECOND)));
        // Rests would be too long, or there is no time.
        assert_eq!(tick(&[now + 1, now + 4_000 * DAY]), None);
        assert_eq!(tick(&[NO_TIME, now]), None);
        assert_eq!(tick(&[NO_TIME + 1, i64::MAX]), None);
        assert_eq!(tick(&[NO_TIME + 1, NO_TIME + 2]), Some((1, 1)));
    }

    #[test]
    fn seconds_begin_with_a_tick() {
        let times: Vec<i64> = (0..200).map(|day| day * DAY + day * 7_919).collect();
        let (SpineTimes::Ticks(found), _) = written(&times) else { panic!("they fit") };
        for second in (0..150).map(|day| day * DAY + (day + 1) * SECOND) {
            assert!(found.from(second).is_some());
            assert_eq!(found.from(second + 1), None);
        }
    }

    proptest! {
        #[test]
        fn times_are_read_as_they_were_written(
            start in -DAY * 20_000..DAY * 20_000,
            span in prop::sample::select(vec![10, 5_000, DAY, 100 * DAY, 3_000 * DAY, 90_000 * DAY]),
            grain in prop::sample::select(vec![1, 2, 3, 1_000, 125_000, SECOND]),
            parts in prop::collection::vec(0.0..1.0_f64, 1..70),
        ) {
            let time = |part: f64| (start + (span as f64 * part) as i64) / grain * grain;
            check(&parts.into_iter().map(time).collect::<Vec<i64>>());
        }
    }
}
