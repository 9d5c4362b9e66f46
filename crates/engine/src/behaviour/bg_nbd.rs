//! The BG/NBD model of who comes back, and who has gone for good: Fader, Hardie & Lee, "Counting Your
//! Customers" the Easy Way, Marketing Science 24 (2005). Equation numbers are theirs.
//!
//! Each actor comes at a rate that is gamma distributed over actors (r, α), and after each time leaves for good
//! with a chance that is beta distributed (a, b).

use std::collections::BTreeMap;

use crate::{EngineError, Interrupt, stop};

/// Fewer who came back tell nothing of how they leave.
const REPEATERS_MIN: u64 = 10;
/// Parameters outside of these bounds (or their inverse) mean that the data do not tell them apart.
const PARAMETER_MAX: f64 = 1e5;

/// An actor's history in brief: repeat days, days from the first to the last, days from the first to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Recency {
    pub(crate) repeats: u32,
    pub(crate) last_day: u32,
    pub(crate) days: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Params {
    pub(crate) r: f64,
    pub(crate) alpha: f64,
    pub(crate) a: f64,
    pub(crate) b: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fitted {
    pub(crate) params: Params,
    pub(crate) log_likelihood: f64,
    unit_days: f64,
}

/// Why there is no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("there are no actors")]
    Nobody,
    #[error("all actors have events on one day only, which says nothing of who comes back")]
    OneTimers,
    #[error("only {0} actors have events on several days; {REPEATERS_MIN} are needed")]
    FewRepeaters(u64),
    #[error("the history is shorter than two units")]
    ShortHistory,
    #[error("the history does not tell the parameters apart")]
    Unidentified,
}

/// How many actors there are of each history. In order, so that sums are the same every time.
type Counts = BTreeMap<Recency, u64>;

/// A history in units of time, and how many actors have it.
struct Weighted {
    repeats: f64,
    /// `t_x` and T.
    last: f64,
    age: f64,
    actors: f64,
}

/// The parameters of greatest likelihood.
pub(crate) fn fit(
    counts: &Counts,
    unit_days: u32,
    interrupt: &dyn Interrupt,
) -> Result<Result<Fitted, Unfit>, EngineError> {
    let unit = f64::from(unit_days);
    let repeaters: u64 =
        counts.iter().filter(|(recency, _)| recency.repeats > 0).map(|(_, actors)| actors).sum();
    let oldest = counts.keys().map(|recency| recency.days).max();
    let unfit = match (oldest, repeaters) {
        (None, _) => Some(Unfit::Nobody),
        (_, 0) => Some(Unfit::OneTimers),
        (Some(oldest), _) if oldest < 2 * unit_days => Some(Unfit::ShortHistory),
        (_, few) if few < REPEATERS_MIN => Some(Unfit::FewRepeaters(few)),
        _ => None,
    };
    if let Some(unfit) = unfit {
        return Ok(Err(unfit));
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of actors, far below 2^53")]
    let weighted = |(recency, actors): (&Recency, &u64)| Weighted {
        repeats: f64::from(recency.repeats),
        last: f64::from(recency.last_day) / unit,
        age: f64::from(recency.days) / unit,
        actors: *actors as f64,
    };
    let histories: Vec<Weighted> = counts.iter().map(weighted).collect();
    let worth = |point: &[f64; 4]| Params::of_logarithms(point).log_likelihood(&histories);
    let mut best = [0.0; 4];
    // A simplex may stall; from where it did a fresh one goes on.
    for step in [0.5, 0.05] {
        best = climb(best, step, &worth, interrupt)?;
    }
    let log_likelihood = worth(&best);
    let known = best.iter().all(|logarithm| logarithm.abs() < PARAMETER_MAX.ln());
    if !known || !log_likelihood.is_finite() {
        return Ok(Err(Unfit::Unidentified));
    }
    Ok(Ok(Fitted { params: Params::of_logarithms(&best), log_likelihood, unit_days: unit }))
}

impl Params {
    fn of_logarithms(point: &[f64; 4]) -> Self {
        let [r, alpha, a, b] = point.map(f64::exp);
        Self { r, alpha, a, b }
    }

    /// Equation 6, in logarithms, of histories by how often they repeat.
    fn log_likelihood(&self, histories: &[Weighted]) -> f64 {
        let Self { r, alpha, a, b } = *self;
        let mut total = 0.0;
        // What follows from the repeats alone is the same for many histories in a row.
        #[expect(clippy::float_cmp, reason = "counts, which are whole")]
        for alike in histories.chunk_by(|one, next| one.repeats == next.repeats) {
            let Some(x) = alike.first().map(|history| history.repeats) else {
                continue;
            };
            let came = ln_gamma(r + x) - ln_gamma(r) + r * alpha.ln();
            let stayed = ln_gamma(a + b) + ln_gamma(b + x) - ln_gamma(b) - ln_gamma(a + b + x);
            let leaves = if x > 0.0 { a.ln() - (b + x - 1.0).ln() } else { f64::NEG_INFINITY };
            for history in alike {
                let alive = -(r + x) * (alpha + history.age).ln();
                let gone = leaves - (r + x) * (alpha + history.last).ln();
                let (less, greater) = if alive < gone { (alive, gone) } else { (gone, alive) };
                total += history.actors * (came + stayed + greater + (less - greater).exp().ln_1p());
            }
        }
        total
    }
}

impl Fitted {
    fn units(&self, days: u32) -> f64 {
        f64::from(days) / self.unit_days
    }

    /// How many times likelier it is that the actor has gone than that it is still there.
    fn odds_gone(&self, recency: Recency) -> f64 {
        if recency.repeats == 0 {
            return 0.0;
        }
        let Params { r, alpha, a, b } = self.params;
        let x = f64::from(recency.repeats);
        let (last, age) = (self.units(recency.last_day), self.units(recency.days));
        a / (b + x - 1.0) * ((alpha + age) / (alpha + last)).powf(r + x)
    }

    /// The probability that an actor is still there.
    pub(crate) fn alive(&self, recency: Recency) -> f64 {
        1.0 / (1.0 + self.odds_gone(recency))
    }

    /// On how many days an actor is expected in the next so many units: equation 10, after Euler's
    /// transformation of its hypergeometric function, so that the series converges fast.
    pub(crate) fn expected(&self, recency: Recency, horizon: u32) -> f64 {
        /// The formula has a removable pole at a = 1.
        const NEAR_ONE: f64 = 1e-6;
        let Params { r, alpha, a, b } = self.params;
        let a = if (a - 1.0).abs() < NEAR_ONE { 1.0 + NEAR_ONE } else { a };
        let x = f64::from(recency.repeats);
        let horizon = f64::from(horizon);
        let rest = alpha + self.units(recency.days);
        let z = horizon / (rest + horizon);
        let all = a + b + x - 1.0;
        let stays = (1.0 - z).powf(a - 1.0) * hypergeometric(a - 1.0, a + b - 1.0 - r, all, z);
        all / (a - 1.0) * (1.0 - stays) / (1.0 + self.odds_gone(recency))
    }
}

/// Nelder and Mead's simplex from a point to where the worth is greatest.
fn climb(
    from: [f64; 4],
    step: f64,
    worth: &impl Fn(&[f64; 4]) -> f64,
    interrupt: &dyn Interrupt,
) -> Result<[f64; 4], EngineError> {
    const ROUNDS_MAX: usize = 1_000;
    const WIDTH_MIN: f64 = 1e-8;
    let cost = |point: &[f64; 4]| {
        let cost = -worth(point);
        if cost.is_finite() { cost } else { f64::MAX }
    };
    let mut simplex: Vec<([f64; 4], f64)> = vec![(from, cost(&from))];
    for axis in 0..4 {
        let mut point = from;
        point[axis] += step;
        simplex.push((point, cost(&point)));
    }
    for _ in 0..ROUNDS_MAX {
        stop::check(interrupt)?;
        simplex.sort_by(|left, right| left.1.total_cmp(&right.1));
        let (best, worst) = (simplex[0], simplex[4]);
        let width = (0..4).map(|axis| (worst.0[axis] - best.0[axis]).abs()).fold(0.0, f64::max);
        if width < WIDTH_MIN {
            break;
        }
        let centre: [f64; 4] =
            std::array::from_fn(|axis| simplex[..4].iter().map(|(point, _)| point[axis]).sum::<f64>() / 4.0);
        let along = |by: f64| {
            let point = std::array::from_fn(|axis| centre[axis] + by * (worst.0[axis] - centre[axis]));
            (point, cost(&point))
        };
        let reflected = along(-1.0);
        simplex[4] = if reflected.1 < best.1 {
            let expanded = along(-2.0);
            if expanded.1 < reflected.1 { expanded } else { reflected }
        } else if reflected.1 < simplex[3].1 {
            reflected
        } else {
            let contracted = along(if reflected.1 < worst.1 { -0.5 } else { 0.5 });
            if contracted.1 < worst.1.min(reflected.1) {
                contracted
            } else {
                for (point, value) in &mut simplex[1..4] {
                    *point = std::array::from_fn(|axis| (point[axis] + best.0[axis]) / 2.0);
                    *value = cost(point);
                }
                let point = std::array::from_fn(|axis| (worst.0[axis] + best.0[axis]) / 2.0);
                (point, cost(&point))
            }
        };
    }
    simplex.sort_by(|left, right| left.1.total_cmp(&right.1));
    Ok(simplex[0].0)
}

/// The logarithm of the gamma function of a positive number, by Lanczos' approximation (g = 7).
fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    const HALF_LN_TAU: f64 = 0.918_938_533_204_672_7;
    if x < 0.5 {
        // Below there it is less exact; Γ(x) = Γ(x + 1) / x.
        return ln_gamma(x + 1.0) - x.ln();
    }
    let x = x - 1.0;
    let terms = COEFFICIENTS.iter().skip(1).zip(1_u32..);
    let sum = terms.fold(COEFFICIENTS[0], |sum, (term, index)| sum + term / (x + f64::from(index)));
    let t = x + 7.5;
    HALF_LN_TAU + (x + 0.5) * t.ln() - t + sum.ln()
}

/// Gauss' hypergeometric function by its series, for 0 ≤ z < 1.
fn hypergeometric(a: f64, b: f64, c: f64, z: f64) -> f64 {
    const TERMS_MAX: u32 = 100_000;
    let (mut term, mut sum) = (1.0, 1.0);
    for index in 0..TERMS_MAX {
        let n = f64::from(index);
        term *= (a + n) * (b + n) / (c + n) * z / (n + 1.0);
        sum += term;
        if term.abs() <= f64::EPSILON * 1e-2 * f64::abs(sum) {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StopFlag;

    fn close(got: f64, want: f64, within: f64) {
        assert!((got - want).abs() <= within, "got {got}, want {want}");
    }

    #[test]
    fn special_functions_have_their_known_values() {
        close(ln_gamma(1.0), 0.0, 1e-14);
        close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln(), 1e-13);
        close(ln_gamma(10.0), 362_880_f64.ln(), 1e-12);
        close(ln_gamma(1e-5), 11.512_919_692_895_826, 1e-9);
        close(hypergeometric(1.0, 1.0, 2.0, 0.5), 2.0 * 2_f64.ln(), 1e-14);
        close(hypergeometric(0.3, 2.0, 2.0, 0.9), 0.1_f64.powf(-0.3), 1e-12);
    }

    /// The published figures: appendix of the paper's own spreadsheet note.
    const CDNOW: Fitted = Fitted {
        params: Params { r: 0.242_594, alpha: 4.413_532, a: 0.792_920, b: 2.425_895 },
        log_likelihood: -9_582.429,
        unit_days: 7.0,
    };

    #[test]
    fn an_actor_is_expected_as_the_paper_says() {
        // Its first customer: twice in 30.43 of 38.86 weeks, expected 1.226 times in the next 39.
        let first = Recency { repeats: 2, last_day: 213, days: 272 };
        close(CDNOW.expected(first, 39), 1.226, 0.001);
        close(CDNOW.alive(first), 0.727, 0.001);
        assert_eq!(CDNOW.alive(Recency { repeats: 0, last_day: 0, days: 272 }), 1.0);
        let pole = Fitted { params: Params { a: 1.0, ..CDNOW.params }, ..CDNOW };
        assert!(pole.expected(first, 39).is_finite());
    }

    #[test]
    fn what_cannot_be_known_is_said_and_not_guessed() {
        let check = |counts: &[(Recency, u64)], unit, want: Unfit| {
            let counts = counts.iter().copied().collect();
            assert_eq!(fit(&counts, unit, &StopFlag::default()).unwrap().unwrap_err(), want);
        };
        let once = Recency { repeats: 0, last_day: 0, days: 100 };
        let twice = Recency { repeats: 1, last_day: 9, days: 100 };
        check(&[], 7, Unfit::Nobody);
        check(&[(once, 1_000)], 7, Unfit::OneTimers);
        check(&[(once, 1_000), (twice, 9)], 7, Unfit::FewRepeaters(9));
        check(&[(Recency { repeats: 1, last_day: 9, days: 13 }, 50)], 7, Unfit::ShortHistory);
        // All are alike, so how they differ cannot be known.
        check(&[(twice, 1_000)], 7, Unfit::Unidentified);
    }

    #[test]
    fn parameters_are_found_again_from_histories_drawn_by_them() {
        let mut state = 5_u64;
        let mut uniform = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            #[expect(clippy::cast_precision_loss, reason = "of 53 bits")]
            let drawn = ((state >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0;
            drawn
        };
        let mut counts = Counts::new();
        for _ in 0..5_000 {
            // r = 2, α = 10 weeks; a = 1, b = 3.
            let rate = (-uniform().ln() - uniform().ln()) / 70.0;
            let leaving = 1.0 - uniform().powf(1.0 / 3.0);
            let (mut day, mut recency) = (0.0, Recency { repeats: 0, last_day: 0, days: 350 });
            loop {
                if uniform() < leaving && recency.repeats > 0 {
                    break;
                }
                day += -uniform().ln() / rate;
                if day > 350.0 {
                    break;
                }
                recency.repeats += 1;
                recency.last_day = day.round() as u32;
            }
            *counts.entry(recency).or_default() += 1;
        }
        let fitted = fit(&counts, 7, &StopFlag::default()).unwrap().unwrap().params;
        for (got, want) in [(fitted.r, 2.0), (fitted.alpha, 10.0), (fitted.a, 1.0), (fitted.b, 3.0)] {
            close(got / want, 1.0, 0.2);
        }
    }
}
