//! The tails of the normal distribution.

use std::f64::consts::{FRAC_2_SQRT_PI, PI, SQRT_2};

/// Below it the series is used, above it the continued fraction: both are exact there to about twelve digits.
const SERIES_BELOW: f64 = 2.5;
/// Terms after which neither changes any more.
const SERIES_TERMS: u32 = 60;
const FRACTION_TERMS: u32 = 80;

/// How likely a standard normal variable is at least as far from 0 as `z`.
pub fn two_sided_p(z: f64) -> f64 {
    complementary_error(z.abs() / SQRT_2).clamp(0.0, 1.0)
}

/// `erfc(x)` for `x` ≥ 0.
fn complementary_error(x: f64) -> f64 {
    if x < SERIES_BELOW { 1.0 - error_series(x) } else { error_fraction(x) }
}

/// Abramowitz and Stegun, *Handbook of Mathematical Functions*, 7.1.6: all terms are positive, so none cancel.
fn error_series(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..=SERIES_TERMS {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// Abramowitz and Stegun, 7.1.14, from its far end.
fn error_fraction(x: f64) -> f64 {
    let below = (1..=FRACTION_TERMS).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
    (-x * x).exp() / (PI.sqrt() * below)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_quantiles_have_their_probabilities() {
        // NIST/SEMATECH e-Handbook, table 1.3.6.7.1, and quantiles to nine digits.
        let check = |z: f64, want: f64| {
            let got = two_sided_p(z);
            assert!((got / want - 1.0).abs() < 1e-8, "{z}: {got} for {want}");
        };
        check(0.0, 1.0);
        check(0.674_489_750_196_1, 0.5);
        check(1.0, 0.317_310_507_862_9);
        check(1.644_853_626_951_5, 0.1);
        check(1.959_963_984_540_1, 0.05);
        check(2.575_829_303_548_9, 0.01);
        check(3.290_526_731_491_9, 0.001);
        check(4.0, 6.334_248_366_624e-5);
        check(6.0, 1.973_175_290_075e-9);
        check(10.0, 1.523_970_604_832e-23);
    }

    #[test]
    fn no_distance_gives_anything_but_a_probability() {
        for z in [f64::INFINITY, f64::NEG_INFINITY, 40.0, 1e300, -1e-300] {
            let p = two_sided_p(z);
            assert!((0.0..=1.0).contains(&p), "{z}: {p}");
        }
    }

    proptest! {
        #[test]
        fn the_tail_is_the_same_on_both_sides_and_thins_out(z in 0.0_f64..9.0, more in 1e-6_f64..1.0) {
            prop_assert_eq!(two_sided_p(z).to_bits(), two_sided_p(-z).to_bits());
            prop_assert!(two_sided_p(z + more) < two_sided_p(z));
        }

        /// Against the density, added up by Simpson's rule.
        #[test]
        fn the_tail_is_what_the_density_leaves(z in 0.0_f64..5.0) {
            const PIECES: u32 = 2_000;
            let width = z / f64::from(PIECES);
            let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * PI).sqrt();
            let sum: f64 = (0..=PIECES).map(|n| {
                let weight = if n == 0 || n == PIECES { 1.0 } else if n % 2 == 1 { 4.0 } else { 2.0 };
                weight * density(f64::from(n) * width)
            }).sum();
            prop_assert!((two_sided_p(z) - (1.0 - 2.0 * sum * width / 3.0)).abs() < 1e-11);
        }
    }
}
