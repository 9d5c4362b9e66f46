//! Which groups may be among the best of their partition, where no others are wanted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashbrown::HashMap;

/// Of some groups those that are among the highest so many of their partition, or equal to the lowest of them. `within`
/// has what tells partitions apart, by the places of the groups, and `by` the numbers that are compared, by group.
pub(super) fn best_of(count: usize, within: &[&[u32]], groups: &[u32], by: &[i64]) -> Vec<u32> {
    let number = |group: u32| by.get(group as usize).copied().unwrap_or(0);
    let mut partition_of: Vec<usize> = Vec::with_capacity(groups.len());
    let mut highest: Vec<Highest> = Vec::new();
    let mut partitions: HashMap<Vec<u32>, usize> = HashMap::new();
    let mut key: Vec<u32> = Vec::with_capacity(within.len());
    for (place, group) in groups.iter().enumerate() {
        key.clear();
        key.extend(within.iter().map(|numbers| numbers[place]));
        let partition = match partitions.get(&key) {
            Some(partition) => *partition,
            None => {
                highest.push(Highest::new(count));
                partitions.insert(key.clone(), highest.len() - 1);
                highest.len() - 1
            }
        };
        highest[partition].note(number(*group));
        partition_of.push(partition);
    }
    let left = groups.iter().zip(partition_of);
    let left = left.filter(|(group, partition)| highest[*partition].may_have(number(**group)));
    left.map(|(group, _)| *group).collect()
}

/// The highest of some numbers.
struct Highest {
    count: usize,
    numbers: BinaryHeap<Reverse<i64>>,
}

impl Highest {
    fn new(count: usize) -> Self {
        Self { count, numbers: BinaryHeap::new() }
    }

    fn lowest(&self) -> Option<i64> {
        self.numbers.peek().map(|lowest| lowest.0).filter(|_| self.numbers.len() >= self.count)
    }

    fn note(&mut self, number: i64) {
        if self.lowest().is_some_and(|lowest| number <= lowest) {
            return;
        }
        self.numbers.push(Reverse(number));
        if self.numbers.len() > self.count {
            self.numbers.pop();
        }
    }

    /// Whether a number is among the highest, or equal to the lowest of them.
    fn may_have(&self, number: i64) -> bool {
        self.lowest().is_none_or(|lowest| number >= lowest)
    }
}
