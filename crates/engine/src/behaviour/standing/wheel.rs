//! Timers of sessions, by when each will be idle: putting one in costs the same however many there are, and time
//! that passes costs what falls due. None is moved while events come: whoever takes one that is due looks whether
//! its session went on.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Enough that few timers are near, and that looking for the next one is soon done.
const SLOTS: usize = 256;

/// When a timer is due, in microseconds, and whose it is.
pub(super) type Timer = (i64, u32);

#[derive(Debug)]
pub(super) struct Wheel {
    /// How long a slot is, in microseconds.
    width: i64,
    /// The last slot whose timers are near.
    slot: i64,
    near: BinaryHeap<Reverse<Timer>>,
    /// By slot, modulo how many there are.
    far: Vec<Vec<Timer>>,
    far_count: usize,
}

impl Wheel {
    /// For timers that are due within `span` of the moment to which the wheel was turned.
    pub(super) fn new(span: i64) -> Self {
        let slots = i64::try_from(SLOTS).unwrap_or(i64::MAX);
        // With two to spare: a span begins and ends within a slot.
        let width = span.max(0) / (slots - 2) + 1;
        Self { width, slot: i64::MIN, near: BinaryHeap::new(), far: vec![Vec::new(); SLOTS], far_count: 0 }
    }

    fn place(slot: i64) -> usize {
        let slots = i64::try_from(SLOTS).unwrap_or(i64::MAX);
        usize::try_from(slot.rem_euclid(slots)).unwrap_or(0)
    }

    pub(super) fn add(&mut self, timer: Timer) {
        let slot = timer.0.div_euclid(self.width);
        if slot <= self.slot {
            self.near.push(Reverse(timer));
        } else {
            self.far[Self::place(slot)].push(timer);
            self.far_count += 1;
        }
    }

    /// Time has passed: what is due by now is near.
    pub(super) fn turn_to(&mut self, now: i64) {
        let slot = now.div_euclid(self.width);
        let slots = i64::try_from(SLOTS).unwrap_or(i64::MAX);
        // After a long time all are.
        let first = slot.saturating_sub(slots).max(self.slot.saturating_add(1));
        if self.far_count > 0 {
            (first..=slot).for_each(|slot| self.draw_near(slot));
        }
        self.slot = self.slot.max(slot);
    }

    fn draw_near(&mut self, slot: i64) {
        let timers = std::mem::take(&mut self.far[Self::place(slot)]);
        self.far_count -= timers.len();
        self.near.extend(timers.into_iter().map(Reverse));
    }

    /// Takes a timer that is due by now.
    pub(super) fn due(&mut self, now: i64) -> Option<Timer> {
        let Reverse((due, _)) = self.near.peek()?;
        if *due > now {
            return None;
        }
        self.near.pop().map(|Reverse(timer)| timer)
    }

    /// The one that is due first.
    pub(super) fn first(&mut self) -> Option<Timer> {
        while self.near.is_empty() && self.far_count > 0 {
            self.slot += 1;
            self.draw_near(self.slot);
        }
        self.near.peek().map(|Reverse(timer)| *timer)
    }

    /// Takes the one that is due first.
    pub(super) fn take_first(&mut self) {
        if self.first().is_some() {
            self.near.pop();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        // Vectors that grow have room for twice as much at most.
        (self.near.len() + self.far_count) * 2 * size_of::<Timer>() + SLOTS * size_of::<Vec<Timer>>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Xorshift.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: i64) -> i64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            i64::try_from(self.0 >> 11).unwrap_or(0) % bound.max(1)
        }
    }

    #[test]
    fn timers_fall_due_as_those_of_a_sorted_list() {
        for (seed, span) in
            [(1, 0), (2, 1), (3, 255), (4, 1_000), (5, 300_000_000), (6, i64::MAX / 1_000_000)]
        {
            let mut random = Random(seed * 0x9E37_79B9);
            let mut wheel = Wheel::new(span);
            let mut sorted: BTreeSet<Timer> = BTreeSet::new();
            let mut now = -5_000_i64;
            wheel.turn_to(now);
            for whose in 0..4_000 {
                match random.below(4) {
                    0 => {
                        // Now and then much later than any timer.
                        let spans = if random.below(20) == 0 { 3 } else { 1 };
                        let step = random.below(spans) * span;
                        now = now.saturating_add(step + random.below(span / 50 + 2));
                        wheel.turn_to(now);
                        let mut due = BTreeSet::new();
                        while let Some(timer) = wheel.due(now) {
                            due.insert(timer);
                        }
                        let later = sorted.split_off(&(now + 1, 0));
                        assert_eq!(due, std::mem::replace(&mut sorted, later), "{span}");
                    }
                    1 => assert_eq!(wheel.first(), sorted.first().copied(), "{span}"),
                    2 => {
                        wheel.take_first();
                        sorted.pop_first();
                    }
                    _ => {
                        let timer = (now.saturating_add(1 + random.below(span)), whose);
                        wheel.add(timer);
                        sorted.insert(timer);
                    }
                }
            }
        }
    }
}
