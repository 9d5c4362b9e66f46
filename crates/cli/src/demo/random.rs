//! Random numbers from a seed, the same on every machine and for ever: made-up data must not change with
//! a library's version.

/// The splitmix64 generator (Steele, Lea & Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number below `bound`, which is not 0 or less.
    pub(crate) fn below(&mut self, bound: i64) -> i64 {
        let bound = u128::from(bound.max(1).unsigned_abs());
        let scaled = (u128::from(self.next()) * bound) >> 64;
        i64::try_from(scaled).unwrap_or(0)
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        const STEPS: i64 = 1 << 52;
        self.below(STEPS) as f64 / STEPS as f64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Exponentially distributed.
    pub(crate) fn waiting(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Log-normally distributed, with this median; the sum of twelve uniforms stands for the normal.
    pub(crate) fn around(&mut self, median: f64, spread: f64) -> f64 {
        let normal: f64 = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        median * (spread * normal).exp()
    }
}
