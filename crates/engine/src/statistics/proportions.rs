//! Two shares side by side.

use super::two_sided_p;

/// In each of the four cells so many are to be expected, or the normal distribution does not fit: W. G.
/// Cochran, "Some methods for strengthening the common χ² tests", *Biometrics* 10 (1954).
const EXPECTED_LEAST: f64 = 5.0;

/// So many out of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proportion {
    pub part: u64,
    pub whole: u64,
}

/// The pooled test of two proportions with its correction for continuity: J. L. Fleiss, B. Levin and M. C. Paik,
/// *Statistical Methods for Rates and Proportions*, chapter 3. Its square is χ² of the four cells as F. Yates
/// has corrected it. Without the correction chance alone would pass a little oftener than the level says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoProportions {
    /// Above 0 where the first share is the larger one.
    pub z: f64,
    /// Of both sides, for one test alone.
    pub p: f64,
}

impl Proportion {
    /// `None`: more are in the part than in the whole.
    pub fn new(part: u64, whole: u64) -> Option<Self> {
        (part <= whole).then_some(Self { part, whole })
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { part: self.part.saturating_add(other.part), whole: self.whole.saturating_add(other.whole) }
    }
}

impl TwoProportions {
    /// `None`: there are too few for the test to be fit.
    pub fn of(first: Proportion, second: Proportion) -> Option<Self> {
        let (first_whole, second_whole) = (real(first.whole), real(second.whole));
        let pooled = first.and(second);
        let share = real(pooled.part) / real(pooled.whole);
        let scarce = first_whole.min(second_whole) * share.min(1.0 - share);
        // Not a number where there is nobody at all.
        if scarce.is_nan() || scarce < EXPECTED_LEAST {
            return None;
        }
        let deviation = (share * (1.0 - share) * (1.0 / first_whole + 1.0 / second_whole)).sqrt();
        let apart = real(first.part) / first_whole - real(second.part) / second_whole;
        let beyond = apart.abs() - (1.0 / first_whole + 1.0 / second_whole) / 2.0;
        let z = (beyond.max(0.0) / deviation).copysign(apart);
        Some(Self { z, p: two_sided_p(z) })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53, in a quotient")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(part: u64, whole: u64) -> Proportion {
        Proportion::new(part, whole).unwrap()
    }

    #[test]
    fn shares_that_were_worked_out_by_hand_are_found() {
        let check = |first: Proportion, second: Proportion, z: f64, p: f64| {
            let test = TwoProportions::of(first, second).unwrap();
            assert!((test.z - z).abs() < 1e-6, "{test:?}");
            assert!((test.p - p).abs() < 1e-6, "{test:?}");
        };
        // (0.15 − 0.01) / √(0.375 · 0.625 · 0.02), and (0.1 − 0.0075) / √(0.8 / 3 · 2.2 / 3 · 0.015).
        check(of(45, 100), of(30, 100), 2.044_831, 0.040_872);
        check(of(20, 100), of(60, 200), -1.707_894, 0.087_656);
        check(of(50, 100), of(50, 100), 0.0, 1.0);
        // Nearer than the correction is no distance.
        check(of(50, 100), of(101, 201), 0.0, 1.0);
    }

    #[test]
    fn too_few_are_not_tested() {
        let check = |first: Proportion, second: Proportion, want: bool| {
            assert_eq!(TwoProportions::of(first, second).is_some(), want, "{first:?} {second:?}");
        };
        check(of(0, 0), of(0, 0), false);
        check(of(0, 0), of(5, 10), false);
        check(of(0, 1_000), of(0, 1_000), false);
        check(of(1_000, 1_000), of(1_000, 1_000), false);
        // Half of ten are five.
        check(of(10, 10), of(0, 10), true);
        check(of(9, 9), of(0, 9), false);
        check(of(4, 50), of(6, 50), true);
        check(of(4, 50), of(5, 50), false);
        assert_eq!(Proportion::new(2, 1), None);
    }

    proptest! {
        #[test]
        fn the_square_is_that_of_yates_and_the_sides_can_be_changed(
            first in 20_u64..100_000, second in 20_u64..100_000, a in 0.0_f64..1.0, b in 0.0_f64..1.0,
        ) {
            let part = |share: f64, whole: u64| (share * whole as f64) as u64;
            let (x, y) = (of(part(a, first), first), of(part(b, second), second));
            if let Some(test) = TwoProportions::of(x, y) {
                // N (|ad − bc| − N / 2)² over the product of the margins, whole until the division.
                let cells = [x.part, x.whole - x.part, y.part, y.whole - y.part].map(i128::from);
                let cross = cells[0] * cells[3] - cells[1] * cells[2];
                let margins = (cells[0] + cells[1]) * (cells[2] + cells[3])
                    * (cells[0] + cells[2]) * (cells[1] + cells[3]);
                let all = cells.iter().sum::<i128>();
                let doubled = (2 * cross.abs() - all).max(0);
                let chi_squared = all as f64 * (doubled as f64 / 2.0).powi(2) / margins as f64;
                prop_assert!((test.z * test.z - chi_squared).abs() <= 1e-9 * (1.0 + chi_squared));
                let turned = TwoProportions::of(y, x).unwrap();
                prop_assert!((turned.z + test.z).abs() < 1e-12 && (turned.p - test.p).abs() < 1e-12);
                // Those who did not are as far apart as those who did.
                let rest = |of: Proportion| Proportion { part: of.whole - of.part, ..of };
                let without = TwoProportions::of(rest(x), rest(y)).unwrap();
                prop_assert!((without.z + test.z).abs() < 1e-9 * (1.0 + test.z.abs()));
            }
        }
    }
}
