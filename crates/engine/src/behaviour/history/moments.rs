//! Instants in ascending order, most of them in four bytes.

/// Instants of one block, counted from its first one.
const BLOCK: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Moments {
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    first: i64,
    since: Since,
}

/// By instant, how long after the first one it is.
#[derive(Debug)]
enum Since {
    Short(Box<[u32]>),
    Long(Box<[u64]>),
}

impl Moments {
    /// They ascend.
    pub(super) fn of(all: impl Iterator<Item = i64>) -> Self {
        let mut moments = Self::default();
        let mut block: Vec<i64> = Vec::with_capacity(BLOCK);
        for at in all {
            block.push(at);
            if block.len() == BLOCK {
                moments.close(&mut block);
            }
        }
        moments.close(&mut block);
        moments
    }

    fn close(&mut self, block: &mut Vec<i64>) {
        let Some(first) = block.first().copied() else { return };
        let since = || block.iter().map(|at| at.abs_diff(first));
        let short: Option<Box<[u32]>> = since().map(|since| u32::try_from(since).ok()).collect();
        let since = short.map_or_else(|| Since::Long(since().collect()), Since::Short);
        self.blocks.push(Block { first, since });
        block.clear();
    }

    /// How many are not after a moment.
    pub(super) fn until(&self, moment: i64) -> usize {
        let begun = self.blocks.partition_point(|block| block.first <= moment);
        let Some((block, before)) =
            begun.checked_sub(1).and_then(|last| Some((self.blocks.get(last)?, last)))
        else {
            return 0;
        };
        let limit = moment.abs_diff(block.first);
        let within = match &block.since {
            Since::Short(since) => since.partition_point(|since| u64::from(*since) <= limit),
            Since::Long(since) => since.partition_point(|since| *since <= limit),
        };
        before * BLOCK + within
    }

    /// The one at a place; `None` behind the last.
    pub(super) fn at(&self, place: usize) -> Option<i64> {
        let block = self.blocks.get(place / BLOCK)?;
        let since = match &block.since {
            Since::Short(since) => u64::from(*since.get(place % BLOCK)?),
            Since::Long(since) => *since.get(place % BLOCK)?,
        };
        Some(block.first.wrapping_add_unsigned(since))
    }

    pub(super) fn bytes(&self) -> usize {
        let rest = self.blocks.iter().map(|block| match &block.since {
            Since::Short(since) => size_of_val(&**since),
            Since::Long(since) => size_of_val(&**since),
        });
        self.blocks.len() * size_of::<Block>() + rest.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_found_whether_they_are_close_or_far_apart() {
        let check = |all: &[i64]| {
            let moments = Moments::of(all.iter().copied());
            let found: Vec<i64> = (0..all.len()).filter_map(|place| moments.at(place)).collect();
            assert_eq!(found, all);
            assert_eq!(moments.at(all.len()), None);
            for at in all.iter().flat_map(|at| [at.saturating_sub(1), *at, at.saturating_add(1)]) {
                assert_eq!(moments.until(at), all.partition_point(|other| *other <= at), "{at}");
            }
        };
        check(&[]);
        check(&[-7]);
        check(&[i64::MIN, -1, 0, 0, 5, i64::MAX]);
        check(&(0..1_000).map(|number| number / 3).collect::<Vec<_>>());
        check(&(0..1_000).map(|number| number * number * 1_000_003 - 7).collect::<Vec<_>>());
        check(&[3; 600]);
        assert!(Moments::of(0..10_000).bytes() < 10_000 * 5);
    }
}
