//! Many tests at once.

/// The p of each test among all of them, in their order: what is at most a level is significant at that level
/// with all that was looked at taken into account, whatever hangs on what. S. Holm, "A simple sequentially
/// rejective multiple test procedure", *Scandinavian Journal of Statistics* 6 (1979).
pub fn holm_adjusted(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|left, right| p[*left].total_cmp(&p[*right]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least = 0.0_f64;
    for (index, left) in order.iter().zip((1..=p.len()).rev()) {
        // No list is so long that its length is not exact.
        #[expect(clippy::cast_precision_loss, reason = "a number of tests")]
        let times = left as f64;
        least = least.max((times * p[*index]).min(1.0));
        adjusted[*index] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_is_weighed_by_how_many_are_left() {
        let check = |p: &[f64], want: &[f64]| {
            let got = holm_adjusted(p);
            assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-12), "{got:?}");
            assert_eq!(got.len(), want.len());
        };
        check(&[], &[]);
        check(&[0.03], &[0.03]);
        check(&[0.01, 0.04, 0.03, 0.005], &[0.03, 0.06, 0.06, 0.02]);
        check(&[0.9, 0.8], &[1.0, 1.0]);
        check(&[0.01, 0.01], &[0.02, 0.02]);
    }

    proptest! {
        /// What the procedure rejects, step by step from the smallest, is what its adjusted p says.
        #[test]
        fn what_is_rejected_is_what_steps_down_to_it(
            p in prop::collection::vec(0.0_f64..0.2, 1..12), level in 0.001_f64..0.5,
        ) {
            let mut sorted = p.clone();
            sorted.sort_by(f64::total_cmp);
            let stops = sorted.iter().enumerate().position(|(index, p)| *p > level / (sorted.len() - index) as f64);
            let rejected = stops.unwrap_or(sorted.len());
            let adjusted = holm_adjusted(&p);
            // Not on the very edge, where one is a quotient and the other a product.
            prop_assume!(adjusted.iter().all(|adjusted| (adjusted - level).abs() > 1e-12));
            prop_assert_eq!(adjusted.iter().filter(|adjusted| **adjusted <= level).count(), rejected);
            for (own, adjusted) in p.iter().zip(&adjusted) {
                prop_assert!(adjusted >= own && *adjusted <= (own * p.len() as f64).min(1.0) + 1e-15);
            }
        }
    }
}
